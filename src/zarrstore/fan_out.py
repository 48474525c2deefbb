"""Doing something to many items, several at a time: `map_bounded`, `each_bounded`, `Pace`."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zarrstore.budgets import limits, positive, run_in_worker
from zarrstore.runtime import drive_inline, is_inline

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Pace", "each_bounded", "map_bounded"]

T = TypeVar("T")
R = TypeVar("R")


async def map_bounded(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], *, limit: int | None = None
) -> list[R]:
    """Apply a coroutine function to many items, several at a time; results in order.

    Parameters
    ----------
    function : coroutine function
    items : iterable
    limit : int, optional
        As in `each_bounded`.

    Returns
    -------
    list
        The results, in the order of the items.

    Raises
    ------
    Exception
        The first error; what was not started is not, and what was under way has ended.
    """
    if limit is not None:
        positive("limit", limit)
    given = list(items)
    if len(given) == 1:
        return [await function(given[0])]
    results: list[Any] = []
    if is_inline():  # small work at once, without what helpers need
        until = time.perf_counter() + _LONGER_THAN_SMALL_WORK
        for item in given:
            results.append(await function(item))
            if time.perf_counter() > until:
                break
    rest = range(len(results), len(given))
    if rest:
        results += [None] * len(rest)

        async def one(index: int) -> None:
            results[index] = await function(given[index])

        await each_bounded(one, rest, count=len(rest), limit=limit, at_once=True)
    return results


async def each_bounded(
    function: Callable[[T], Awaitable[object]],
    items: Iterable[T],
    *,
    count: int,
    limit: int | Callable[[], int] | None = None,
    at_once: bool = False,
) -> None:
    """Apply a coroutine function to many items, several at a time.

    On an I/O loop the calls run concurrently, at most ``limit`` at once. Inline they run one
    after the other in the caller's thread, and as soon as that has taken longer than a few
    small reads would, worker threads help: small work never leaves the caller's thread.

    Parameters
    ----------
    function : coroutine function
    items : iterable
        Taken one by one, so it may be long, and may be made meanwhile.
    count : int
        How many items there are.
    limit : int or callable, optional
        At most so many at once, or a function that returns it when help is called for; by
        default `limits.requests` on a loop, `limits.threads` inline.
    at_once : bool, default False
        Whether worker threads are to help from the beginning: the work is known to be long.

    Raises
    ------
    Exception
        The first error; what was not started is not, and what was under way has ended.
    """
    if isinstance(limit, int):
        positive("limit", limit)
    usual = limits.threads if is_inline() else limits.requests

    def workers() -> int:
        most = limit() if callable(limit) else limit
        return min(count, usual if most is None else most)

    if is_inline():
        _each_inline(function, iter(items), workers, at_once)
    else:
        await _each_loop(function, iter(items), workers())


async def _each_loop(
    function: Callable[[T], Awaitable[object]], items: Iterator[T], workers: int
) -> None:
    import asyncio

    ended: list[BaseException] = []

    async def work() -> None:
        for item in items:
            await function(item)

    async def work_in_task() -> None:
        try:
            await work()
        except (KeyboardInterrupt, SystemExit) as error:
            # of a callback: a task that raises one of these ends the loop, for everyone
            ended.append(error)
            raise asyncio.CancelledError from None

    if workers <= 1:
        await work()
        return
    tasks = [asyncio.ensure_future(work_in_task()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        if ended:
            raise ended[0] from None
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_LONGER_THAN_SMALL_WORK = 0.002
_END = object()


class _Shared(Generic[T]):
    """Items that several threads take from, until one of them fails."""

    def __init__(self, function: Callable[[T], Awaitable[object]], items: Iterator[T]) -> None:
        self._function = function
        self._items = items
        self._taking = threading.Lock()
        self.errors: list[BaseException] = []

    async def _call(self, item: T) -> None:
        await self._function(item)

    def work(self, until: float | None = None) -> bool:
        """Work until the items or the time run out; tell whether the items did."""
        try:
            while not self.errors:
                with self._taking:
                    item: Any = next(self._items, _END)
                if item is _END:
                    return True
                drive_inline(self._call, item)
                if until is not None and time.perf_counter() > until:
                    return False
        except BaseException as error:
            self.errors.append(error)
            raise
        return True


def _each_inline(
    function: Callable[[T], Awaitable[object]],
    items: Iterator[T],
    workers: Callable[[], int],
    at_once: bool,
) -> None:
    shared = _Shared(function, items)
    helpers: list[Future[bool]] = []

    def call_for_help() -> None:
        missing = workers() - 1 - len(helpers)
        helpers.extend(run_in_worker(shared.work) for _ in range(missing))

    try:
        with suppress(Exception):  # raised below, unless another was first
            if at_once:
                call_for_help()
            if not shared.work(time.perf_counter() + _LONGER_THAN_SMALL_WORK):
                call_for_help()
                shared.work()
    finally:
        # a helper that has not started by now is not needed: never wait for a free thread
        for helper in helpers:
            if not helper.cancel():
                helper.exception()
    if shared.errors:
        raise shared.errors[0]


_IN_TURN = 16
_SLOW = 0.0005
"""Seconds for a value from which several threads are to wait, each for one."""


class Pace:
    """How many values are read in turn, by how many threads: more threads where one takes long.

    Threads that make short system calls hold each other up.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = time.perf_counter()
        self._taken = 0

    def _is_slow(self) -> bool:
        return time.perf_counter() - self._started > _SLOW * self._taken

    def threads(self) -> int:
        return limits.threads if self._is_slow() else 1

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the first and last place of values to read in turn."""
        while self._taken < self._count:
            first = self._taken
            self._taken = min(self._count, first + (1 if self._is_slow() else _IN_TURN))
            yield first, self._taken
