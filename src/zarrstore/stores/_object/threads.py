"""Blocking calls of obstore, awaited: each in a thread of its own.

obstore has coroutines, too. They take a good part of the time of a small chunk on their way to
the event loop and back; and where the interpreter ends while one of obstore's own threads is
about to hand over a result, the process is aborted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from zarrstore.runtime import PerProcess

__all__ = ["in_thread", "one_by_one"]

T = TypeVar("T")
R = TypeVar("R")

_MOST = 1024  # requests in flight are limited elsewhere
_threads = PerProcess(lambda: ThreadPoolExecutor(_MOST, "zarrstore-object"))


async def in_thread(function: Callable[..., T], *args: Any, to_its_end: bool = False) -> T:
    """Call a function that blocks.

    Parameters
    ----------
    function : callable
    *args
    to_its_end : bool, default False
        Whether a cancellation waits until the call has ended: it changes something. Otherwise
        what it returns is dropped.
    """
    future = asyncio.get_running_loop().run_in_executor(_threads.get(), function, *args)
    future.add_done_callback(_seen)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while to_its_end and not future.done():
            await _wait(future, None)
        raise


def _seen(future: asyncio.Future[Any]) -> None:
    """Keep asyncio from telling of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()


async def _wait(future: asyncio.Future[Any], seconds: float | None) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.wait([future], timeout=seconds)


async def one_by_one(
    items: Iterable[T], use: Callable[[T], R], then: Callable[[R], object] | None = None
) -> None:
    """Do something to items one after the other, all in one thread.

    Parameters
    ----------
    items : iterable
        Taken in that thread.
    use : callable
        A call that blocks.
    then : callable, optional
        Called with what ``use`` returned. A cancellation then drops the item under way at once;
        without ``then`` it waits for its end.
    """
    stopping = threading.Event()
    handing_over = threading.Lock()

    def work() -> None:
        for item in items:
            result = use(item)
            with handing_over:
                if stopping.is_set():
                    return
                if then is not None:
                    then(result)

    future = asyncio.get_running_loop().run_in_executor(_threads.get(), work)
    future.add_done_callback(_seen)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        stopping.set()
        while not future.done() and (then is None or handing_over.locked()):
            await _wait(future, None if then is None else 0.005)
        raise
