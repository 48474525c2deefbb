"""The faces of a store: asyncio, trio and blocking, made alike so that a check is written once."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

import anyio
import trio

from zarrstore.abc import Capability, Store
from zarrstore_testing.behaviour import Failed
from zarrstore_testing.case import Case
from zarrstore_testing.log import LISTINGS, plain, shown

__all__ = [
    "ASYNC_FACES",
    "FACES",
    "AsyncioFace",
    "BlockingFace",
    "Face",
    "TrioFace",
    "drive",
    "in_threads",
]

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

OPERATIONS = LISTINGS | frozenset(
    (
        "get", "get_ranges", "get_many", "get_each", "get_each_into", "get_into", "get_versioned",
        "exists", "stat", "getsize", "getsize_prefix", "set", "set_if_not_exists", "set_many",
        "set_each", "delete", "delete_dir", "clear", "is_empty", "close",
    )
)  # fmt: skip


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits to its end, in this thread and without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a check awaited an event loop while it ran over the blocking face")


def in_threads(functions: Iterable[Callable[[], T]], *, take_turns: bool = True) -> list[T]:
    """Call each function in a thread of its own, all at once; return their results in order.

    By default the threads take turns at every call and return, so that what has to be done in
    one go, and is not, goes wrong here rather than once in a thousand runs.
    """
    tasks = list(functions)
    barrier = threading.Barrier(len(tasks))

    def give_way(_: object, event: str, __: object) -> None:
        if event in ("call", "return"):
            time.sleep(0)

    outcomes: list[Future[T]] = [Future() for _ in tasks]

    def run(function: Callable[[], T], outcome: Future[T]) -> None:
        barrier.wait(30)
        if take_turns:
            sys.setprofile(give_way)
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            outcome.set_exception(error)
        finally:
            sys.setprofile(None)

    # daemons: a store that hangs in one does not keep the process from ending
    threads = [
        threading.Thread(target=run, args=pair, daemon=True)
        for pair in zip(tasks, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome.result() for outcome in outcomes]


class Face(ABC):
    """A store through one of its faces.

    Each operation of the store is a coroutine method here (``await face.get("a")``), whichever
    the face; the three that list return an asynchronous iterator. All are written to the log.
    """

    name: ClassVar[str]

    def __init__(self, store: Store, case: Case) -> None:
        self.store = store
        self.case = case
        self.log = case.log
        self.options = case.options
        self._seeds: dict[str, bytes] = {}

    @classmethod
    @abstractmethod
    def run(cls, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function as this face needs it."""

    @abstractmethod
    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any: ...

    @abstractmethod
    def _iterate(self, operation: str, *args: Any) -> AsyncIterator[str]: ...

    @abstractmethod
    async def together(self, functions: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run coroutine functions at the same time; return what each returned or raised."""

    @abstractmethod
    async def __aenter__(self) -> object: ...

    @abstractmethod
    async def __aexit__(self, *error: object) -> bool | None: ...

    def view(self, read_only: bool = True) -> Face:
        """Return a view of the store through the same face."""
        view = self.store.with_read_only(read_only)
        self.log.bind(view, "view", f"{self.log.name_of(self.store)}.with_read_only({read_only})")
        return type(self)(view, self.case)

    def another(self) -> Face:
        """Return another new store through the same face."""
        return type(self)(self.case.make(), self.case)

    def usable(self, keys: Iterable[str]) -> list[str]:
        """Return those of some keys that the store takes."""
        return [key for key in keys if self.options.allows(key)]

    def size(self, size: int) -> int:
        """Return a size in bytes, or the largest that the store takes."""
        return self.options.size(size)

    async def seed(self, items: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Put values into the store, or replace it by a read-only one that has them."""
        if self.can(Capability.WRITE):
            for key, value in dict(items).items():
                await self.set(key, value)
            return
        self._seeds.update(items)
        self.store = await self._seeded(self._seeds)

    async def _seeded(self, items: Mapping[str, bytes]) -> Store:
        # what the author wrote may block
        return await anyio.to_thread.run_sync(self.case.seeded, dict(items))

    def can(self, capability: Capability) -> bool:
        """Tell whether the store has a capability."""
        return capability in self.store.capabilities

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation in LISTINGS:
            return partial(self.iterate, operation)
        if operation in OPERATIONS:
            return partial(self.call, operation)
        raise AttributeError(operation)

    async def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Call an operation; one that lists returns the list."""
        with self.log.operation(self.store, operation, args, kwargs) as done:
            if operation in LISTINGS:
                result: Any = [key async for key in self._iterate(operation, *args)]
            else:
                result = await self._call(operation, *args, **kwargs)
            done(result)
        return result

    def iterate(self, operation: str, *args: Any) -> AsyncIterator[str]:
        """Return the iterator of an operation that lists."""
        self.log.no_code()
        return self._iterate(operation, *args)

    def fail(self, message: str, expression: str = "", *operands: Any) -> NoReturn:
        """Fail, because an expression is not true; see `Log.claim`."""
        if expression:
            self.log.claim(expression, *operands)
        else:
            self.log.no_code()
        raise Failed(message)

    async def gives(self, expected: Any, operation: str, *args: Any, **kwargs: Any) -> None:
        """Fail unless an operation returns a value; buffers compare as their bytes."""
        found = await self.call(operation, *args, **kwargs)
        if plain(found) != expected:
            self.fail(
                f"{operation}({self.log.arguments(args, kwargs)}) should have returned "
                f"{shown(expected)}, and returned {shown(found)}",
                "{} == {}",
                self.log.last,
                expected,
            )

    async def lists(self, expected: Iterable[str], operation: str, *args: Any) -> None:
        """Fail unless an operation that lists yields these, each once, in any order."""
        found = await self.call(operation, *args)
        wanted = sorted(expected)
        if sorted(found) == wanted:
            return
        missing = sorted(set(wanted) - set(found))
        extra = sorted(set(found) - set(wanted))
        twice = sorted({key for key in found if found.count(key) > 1}) if len(found) < 5000 else []
        faults = [
            f"{what} {shown(keys)}"
            for what, keys in (("missing", missing), ("not expected", extra), ("repeated", twice))
            if keys
        ]
        self.fail(
            f"{operation}({self.log.arguments(args, {})}) should have listed {shown(wanted)}, "
            f"and listed {shown(found)}: {'; '.join(faults)}",
            "sorted({}) == {}",
            self.log.last,
            wanted,
        )

    async def raises(
        self, expected: type[E] | tuple[type[E], ...], operation: str, *args: Any, **kwargs: Any
    ) -> E:
        """Fail unless an operation raises an error; return the error."""
        kinds = expected if isinstance(expected, tuple) else (expected,)
        names = " or ".join(kind.__name__ for kind in kinds)
        called = f"{operation}({self.log.arguments(args, kwargs)})"
        try:
            found = await self.call(operation, *args, **kwargs)
        except kinds as error:
            return error
        except Exception as error:
            self.log.claim_raises(kinds)
            raise Failed(
                f"{called} should have raised {names}, and raised {type(error).__name__}: {error}"
            ) from error
        self.log.claim_raises(kinds)
        raise Failed(f"{called} should have raised {names}, and returned {shown(found)}")


class _AsyncFace(Face):
    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.store, operation)(*args, **kwargs)

    def _iterate(self, operation: str, *args: Any) -> AsyncIterator[str]:
        keys: AsyncIterator[str] = getattr(self.store, operation)(*args)
        return keys

    async def together(self, functions: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run coroutine functions at the same time; return what each returned or raised."""
        self.log.no_code()
        tasks = list(functions)
        outcomes: list[Any] = [None] * len(tasks)

        async def outcome(index: int) -> None:
            try:
                outcomes[index] = await tasks[index]()
            except Exception as error:  # noqa: BLE001 - the caller judges it
                outcomes[index] = error

        async with anyio.create_task_group() as group:
            for index in range(len(tasks)):
                group.start_soon(outcome, index)
        return outcomes

    async def __aenter__(self) -> object:
        self.log.no_code()
        return await self.store.__aenter__()

    async def __aexit__(self, *error: object) -> bool | None:
        store: Any = self.store
        swallowed: bool | None = await store.__aexit__(*error)
        return swallowed


class AsyncioFace(_AsyncFace):
    """The asynchronous methods, under asyncio."""

    name = "asyncio"

    @classmethod
    def run(cls, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function in a new event loop of asyncio."""
        return asyncio.run(function())


class TrioFace(_AsyncFace):
    """The asynchronous methods, under trio."""

    name = "trio"

    @classmethod
    def run(cls, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function under trio."""
        return trio.run(function)


class _Forwarded(AsyncIterator[str]):
    """A blocking iterator as an asynchronous one that never waits."""

    def __init__(self, keys: Any) -> None:
        self._keys = keys

    async def __anext__(self) -> str:
        for key in self._keys:
            return str(key)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._keys.close()


class BlockingFace(Face):
    """The blocking methods of ``store.sync``."""

    name = "sync"

    @classmethod
    def run(cls, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function that never suspends, without an event loop."""
        return drive(function())

    async def _seeded(self, items: Mapping[str, bytes]) -> Store:
        return self.case.seeded(items)

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.store.sync, operation)(*args, **kwargs)

    def _iterate(self, operation: str, *args: Any) -> AsyncIterator[str]:
        return _Forwarded(getattr(self.store.sync, operation)(*args))

    async def together(self, functions: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run coroutine functions at the same time; return what each returned or raised."""

        self.log.no_code()

        def outcome(function: Callable[[], Any]) -> Any:
            try:
                return drive(function())
            except Exception as error:  # noqa: BLE001 - the caller judges it
                return error

        return in_threads([partial(outcome, function) for function in functions])

    async def __aenter__(self) -> object:
        self.log.no_code()
        return self.store.sync.__enter__().store

    async def __aexit__(self, *error: object) -> bool | None:
        sync: Any = self.store.sync
        swallowed: bool | None = sync.__exit__(*error)
        return swallowed


ASYNC_FACES: tuple[type[Face], ...] = (AsyncioFace, TrioFace)
"""The faces whose calls are awaited."""

FACES: tuple[type[Face], ...] = (*ASYNC_FACES, BlockingFace)
"""What a check is run over."""
