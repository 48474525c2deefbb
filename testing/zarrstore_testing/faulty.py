"""Stores over others that are slow, fail, hang, cut off or answer out of turn."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from zarrstore.abc import Capability, Store
from zarrstore.errors import BackendError
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.stores.wrappers.latency import LatencyStore

__all__ = [
    "FailingStore",
    "FaultyStore",
    "ReorderingStore",
    "StallingStore",
    "TruncatingStore",
]

_MANY = frozenset(("_get_many", "_set_many", "_get_each", "_set_each"))
_READS = frozenset(("_get", "_get_range", "_get_ranges", "_get_into", "_stat", "_exists"))


class FaultyStore(WrapperStore):
    """A store over another, whose operations can be made to go wrong.

    Values are read and written one by one, so that each is an operation of its own. It lives in
    one process, as the count of its operations does.

    Parameters
    ----------
    store : Store
    operations : iterable of str, optional
        The operations that the fault is in (``"get"``, ``"set"``, ``"list"`` ...), the name of the
        hook without its underscore; all by default.

    Attributes
    ----------
    count : int
        How many of these operations there have been.
    """

    def __init__(
        self,
        store: Store,
        *,
        operations: Iterable[str] | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, read_only=read_only)
        self.operations = None if operations is None else frozenset(operations)
        self._counter = itertools.count(1)
        self.count = 0

    @property
    def capabilities(self) -> Capability:
        """What the store below can do, but for being opened in another process."""
        return super().capabilities & ~Capability.SHARED

    def _location(self) -> Any:
        return None

    def _counts(self, name: str) -> int:
        """Return the number of this operation; 0 if the fault does not concern it."""
        if self.operations is not None and name.removeprefix("_") not in self.operations:
            return 0
        self.count = next(self._counter)
        return self.count

    async def _before(self, name: str, number: int, args: tuple[Any, ...]) -> None:
        """Do what comes before an operation; raise, for one that fails."""

    async def _after(self, name: str, number: int, result: Any) -> Any:
        """Return the result of an operation, or another one."""
        return result

    async def _hook(self, name: str, *args: Any) -> Any:
        if name in _MANY:
            return NotImplemented  # one by one
        number = self._counts(name)
        if number:
            await self._before(name, number, args)
        result = await super()._hook(name, *args)
        return await self._after(name, number, result) if number else result

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return self._listed("_list", prefix, lambda: self._inner.list_prefix(prefix))

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._listed("_list_dir", prefix, lambda: self._inner.list_dir(prefix))

    async def _listed(
        self, name: str, prefix: str, keys: Callable[[], AsyncIterator[str]]
    ) -> AsyncIterator[str]:
        if number := self._counts(name):
            await self._before(name, number, (prefix,))
        async for key in keys():
            yield key


class FailingStore(FaultyStore):
    """Fail each nth operation.

    Parameters
    ----------
    store : Store
    every : int, default 1
        Operations ``every``, ``2 * every`` ... fail.
    error : callable, default BackendError
        Makes the error from a message: `TimeoutError` for a server that answers too late.
    operations : iterable of str, optional
        As in `FaultyStore`.
    """

    def __init__(
        self,
        store: Store,
        every: int = 1,
        error: Callable[[str], Exception] = BackendError,
        *,
        operations: Iterable[str] | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, operations=operations, read_only=read_only)
        if every < 1:
            raise ValueError(f"every is 1 or more, not {every}")
        self._every = every
        self._error = error

    async def _before(self, name: str, number: int, args: tuple[Any, ...]) -> None:
        if number % self._every == 0:
            ending = {1: "st", 2: "nd", 3: "rd"}.get(number if number < 4 else 0, "th")
            what = f"{name.removeprefix('_')} of {args[0]!r}"
            raise self._error(f"the {number}{ending} operation fails, as it was told to: {what}")


class TruncatingStore(FaultyStore):
    """Cut off what is read: a connection that broke, and nobody noticed.

    Parameters
    ----------
    store : Store
    size : int
        How many bytes are left at most.
    every : int, default 1
        Each nth read is cut off.
    """

    def __init__(self, store: Store, size: int, every: int = 1, *, read_only: bool = False) -> None:
        super().__init__(store, operations=("get", "get_range", "get_ranges"), read_only=read_only)
        self._size = size
        self._every = every

    async def _after(self, name: str, number: int, result: Any) -> Any:
        if number % self._every or result is None or result is NotImplemented:
            return result
        if isinstance(result, list):
            return [part[: self._size] for part in result]
        return result[: self._size]

    async def _get_into(self, key: str, buffer: memoryview, byte_range: Any) -> Any:
        return NotImplemented  # through get


class StallingStore(FaultyStore):
    """Let operations wait until they are released, as a server does that answers no more.

    Parameters
    ----------
    store : Store
    seconds : float, optional
        After which a stalled operation raises `TimeoutError`; by default it waits for `release`.
    operations : iterable of str, optional
        As in `FaultyStore`.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> store = StallingStore(MemoryStore(), seconds=0.01, operations=["set"])
    >>> store.sync.get("a")
    >>> store.sync.set("a", b"1")
    Traceback (most recent call last):
        ...
    TimeoutError: set of 'a' had no answer within 0.01 s
    """

    def __init__(
        self,
        store: Store,
        seconds: float | None = None,
        *,
        operations: Iterable[str] | None = None,
        read_only: bool = False,
    ) -> None:
        # which runs on the I/O loop, where an operation can wait without a thread
        super().__init__(LatencyStore(store, 0, 0), operations=operations, read_only=read_only)
        self._seconds = seconds
        self._released = threading.Event()
        self.stalled = 0
        """How many operations wait now."""

    def release(self) -> None:
        """Let all operations go on, those that wait and those to come."""
        self._released.set()

    async def _before(self, name: str, number: int, args: tuple[Any, ...]) -> None:
        self.stalled += 1
        try:
            waited = 0.0
            while not self._released.is_set():
                if self._seconds is not None and waited >= self._seconds:
                    what = f"{name.removeprefix('_')} of {args[0]!r}"
                    raise TimeoutError(f"{what} had no answer within {self._seconds:g} s")
                await asyncio.sleep(0.005)
                waited += 0.005
        finally:
            self.stalled -= 1


class ReorderingStore(FaultyStore):
    """Let operations that run at a time end in another order than they began in.

    Parameters
    ----------
    store : Store
    seconds : float, default 0.005
        How long an operation takes at most.
    seed : int, default 0
        Decides on the order, the same each time.
    """

    def __init__(
        self, store: Store, seconds: float = 0.005, seed: int = 0, *, read_only: bool = False
    ) -> None:
        super().__init__(LatencyStore(store, 0, 0), read_only=read_only)
        self._seconds = seconds
        self._random = random.Random(seed)  # noqa: S311 - the order is to be the same each time

    async def _before(self, name: str, number: int, args: tuple[Any, ...]) -> None:
        await asyncio.sleep(self._random.random() * self._seconds)

    async def _after(self, name: str, number: int, result: Any) -> Any:
        await asyncio.sleep(self._random.random() * self._seconds)
        return result
