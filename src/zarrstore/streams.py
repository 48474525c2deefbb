"""Chunks of a store whose calls wait in threads: each thread moves one after the other.

A task and an event for each chunk would take longer than a small chunk does.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from zarrstore.abc import Store
from zarrstore.compute import cores
from zarrstore.fan_out import each_bounded
from zarrstore.operations import Buffer
from zarrstore.runtime import limits

__all__ = ["read_in_streams", "write_in_streams"]

T = TypeVar("T")

_FEW = 4
"""Streams for each processor, at least, where requests do not take long."""
_MORE = 16
"""Streams for each processor at most there, of small items."""
_FEW_BYTES = 2**22
_LONG = 0.02
"""Seconds for the quickest item from which as many are to wait at once as may: what takes long
because many are under way takes no less time if there are more."""


class _Shared(Generic[T]):
    """Items that several threads take from."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._taking = threading.Lock()
        self.ended = False
        self.few = True
        self._quickest = math.inf

    def taken(self) -> Iterator[T]:
        """Yield items until there are none, or until each takes long while few are at work."""
        while not self.ended:
            started = time.perf_counter()
            with self._taking:
                try:
                    item = next(self._items)
                except StopIteration:
                    self.ended = True
                    return
            yield item
            self._quickest = min(self._quickest, time.perf_counter() - started)
            if self.few and self._quickest > _LONG:
                return


async def _in_streams(
    items: Iterable[T],
    count: int,
    nbytes: int,
    stream: Callable[[Iterator[T]], Awaitable[None]],
) -> None:
    shared = _Shared(items)

    async def one(_: int) -> None:
        async with limits.memory(nbytes):
            await stream(shared.taken())

    few = max(_FEW * cores(), min(_MORE * cores(), _FEW_BYTES // max(1, nbytes)))
    for shared.few in (True, False):
        most = min(count, limits.requests, few if shared.few else count)
        await each_bounded(one, range(most), count=most, limit=most)
        if shared.ended:
            return


async def read_in_streams(
    store: Store,
    parts: Iterable[T],
    count: int,
    nbytes: int,
    key: Callable[[T], str],
    place: Callable[[T, Buffer | None], object],
    tell: Callable[[int], object],
) -> Iterator[T]:
    """Read values, and hand each to a function, in the thread that has read it.

    Parameters
    ----------
    store : Store
    parts : iterable
        What a key is made of, and what its value is handed over with.
    count : int
        How many there are.
    nbytes : int
        The memory that one needs.
    key, place : callable
        Called by several threads at once.
    tell : callable
        Called after each part.

    Returns
    -------
    iterator
        Over nothing: no part is left.
    """

    async def stream(mine: Iterator[T]) -> None:
        taken: list[T] = []

        def keys() -> Iterator[str]:
            for part in mine:
                taken.append(part)
                yield key(part)

        def receive(index: int, data: Buffer | None) -> None:
            place(taken[index], data)
            tell(1)

        await store.get_each(keys(), receive)

    await _in_streams(parts, count, nbytes, stream)
    return iter(())


async def write_in_streams(
    store: Store,
    parts: Iterable[T],
    count: int,
    nbytes: int,
    encoded: Callable[[T], tuple[str, Buffer] | None],
    tell: Callable[[int], object],
) -> Iterator[T]:
    """Write what a function makes of each part, in the thread that writes it.

    Parameters
    ----------
    store, parts, count, nbytes, tell
        As for `read_in_streams`.
    encoded : callable
        Returns a key and a value, or ``None``. Called by several threads at once.

    Returns
    -------
    iterator
        Over the parts for which there was ``None``.
    """
    left: list[T] = []

    async def stream(mine: Iterator[T]) -> None:
        def items() -> Iterator[tuple[str, Buffer]]:
            for part in mine:
                item = encoded(part)
                if item is None:
                    left.append(part)
                else:
                    yield item
                    tell(1)

        await store.set_each(items())

    await _in_streams(parts, count, nbytes, stream)
    return iter(left)
