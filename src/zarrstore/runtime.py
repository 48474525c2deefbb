"""Where a coroutine runs: inline in the caller's thread, on an I/O loop, or in a worker thread.

Everything above the stores is written once, as coroutines. Every store has a *home*, which
knows how such a coroutine is driven, from blocking code (`Home.drive`) and from async code
(`Home.run`):

===========  ================================  ==========================================
home         ``drive`` (blocking caller)       ``run`` (asyncio or trio caller)
===========  ================================  ==========================================
`CALLER`     inline, in the caller's thread    the same: the store never blocks (memory)
`WORKERS`    inline, in the caller's thread    inline, in one worker thread
`LoopHome`   one hop to an I/O loop            one hop to the same I/O loop
===========  ================================  ==========================================

*Inline* means ``coro.send(None)``: there is no event loop, and a coroutine that suspends is an
error at once. Limits on threads and on requests in flight are process-wide (`limits`).
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from zarrstore.budgets import Limits, Pool, limits, pool, pool_of_loop, run_in_worker
from zarrstore.forks import ForkSafeLock, PerProcess

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

__all__ = [
    "CALLER",
    "WORKERS",
    "ForkSafeLock",
    "Home",
    "Limits",
    "LoopHome",
    "PerProcess",
    "drive_inline",
    "io_loop_home",
    "is_inline",
    "limits",
    "pause",
    "pool_here",
    "run_in_worker",
]

T = TypeVar("T")
R = TypeVar("R")


class _Thread(threading.local):
    inline = False


_thread = _Thread()


def is_inline() -> bool:
    """Tell whether this thread is driving a coroutine inline just now."""
    return _thread.inline


def drive_inline(function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
    """Call a coroutine function and run it to its end in this thread, without an event loop.

    Raises
    ------
    RuntimeError
        If the coroutine suspends: it awaited something that needs an event loop.
    """
    outer = _thread.inline
    _thread.inline = True
    try:
        coroutine = function(*args, **kwargs)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        coroutine.close()
    finally:
        _thread.inline = outer
    name = getattr(function, "__qualname__", repr(function))
    raise RuntimeError(
        f"{name} suspended while it was driven without an event loop: "
        "a store that awaits I/O must subclass Store, not BlockingStore"
    )


async def pause(seconds: float) -> None:
    """Wait, in a coroutine that runs inline or on an I/O loop."""
    if _thread.inline:
        time.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


class Home(Protocol):
    """Where the coroutines of a store run."""

    def here(self) -> bool:
        """Tell whether the caller is already there."""

    def drive(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine function there, blocking until it ends."""

    async def run(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine function there, awaited from asyncio or trio; at once if already there.

        When the caller is cancelled the work is cancelled too where it can be, and has ended
        before the cancellation is passed on: the caller's buffers are its own again.
        """


class _CallerHome:
    """The home of stores that never block: inline, wherever the caller is."""

    here = staticmethod(is_inline)
    drive = staticmethod(drive_inline)

    async def run(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        return drive_inline(function, *args, **kwargs)


class _WorkersHome:
    """The home of stores that block."""

    here = staticmethod(is_inline)
    drive = staticmethod(drive_inline)

    async def run(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        if _thread.inline:
            return await function(*args, **kwargs)
        context = contextvars.copy_context()
        future = pool_here().submit(context.run, drive_inline, function, *args, **kwargs)
        return await _finished(future, future.cancel)


class LoopHome:
    """The home of stores that are asynchronous: one I/O loop, in a thread of its own.

    Parameters
    ----------
    get_loop : callable
        Returns the loop, already running in another thread. Called for each operation, so
        that a loop lost in a fork is replaced.
    """

    def __init__(self, get_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._get_loop = get_loop

    def here(self) -> bool:
        """Tell whether the caller is on the I/O loop already."""
        import asyncio

        return asyncio._get_running_loop() is self._get_loop()

    def drive(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine function on the I/O loop, blocking until it ends.

        Raises
        ------
        RuntimeError
            If this is the I/O loop's own thread, which would wait for itself.
        """
        if self.here():
            raise RuntimeError(
                "a blocking call was made on the I/O loop itself, where it would wait for "
                "itself; await the store's method instead"
            )
        future, start, cancel = self._task(function, *args, **kwargs)
        try:
            start()
            return future.result()
        except BaseException:
            if not future.done():  # Ctrl-C: the buffers are the caller's again only afterwards
                from concurrent.futures import wait

                cancel()
                wait([future])
            raise

    async def run(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T:
        """Run a coroutine function on the I/O loop, awaited from asyncio or trio."""
        if self.here():
            return await function(*args, **kwargs)
        future, start, cancel = self._task(function, *args, **kwargs)
        start()
        return await _finished(future, cancel)

    def _task(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
    ) -> tuple[Future[T], Callable[[], object], Callable[[], object]]:
        """Return a future that is done when a task has ended, its start and its cancel.

        ``asyncio.run_coroutine_threadsafe`` would not do: cancelling its future leaves the task
        running for a while, with the caller's buffers in its hands.
        """
        from concurrent.futures import Future

        loop = self._get_loop()
        future: Future[T] = Future()
        task: asyncio.Task[tuple[Any, BaseException | None]] | None = None

        def begin() -> None:
            nonlocal task
            if future.cancelled():
                return
            task = loop.create_task(_outcome(function, args, kwargs))
            task.add_done_callback(settle)

        def settle(ended: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
            if ended.cancelled():
                future.cancel()
                future.set_running_or_notify_cancel()  # for those who wait()
                return
            result, error = ended.result()
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def end() -> None:
            if task is not None:
                task.cancel()
            elif future.cancel():  # it was interrupted before it could begin
                future.set_running_or_notify_cancel()

        context = _context_of_caller()
        return (
            future,
            lambda: loop.call_soon_threadsafe(begin, context=context),
            lambda: loop.call_soon_threadsafe(end),
        )

    def call_soon(self, function: Callable[..., Coroutine[Any, Any, object]]) -> None:
        """Start a coroutine function there and do not wait for it."""
        _, start, _ = self._task(function)
        start()


def _context_of_caller() -> contextvars.Context:
    """Return a copy of the caller's context, without the mark of its own event loop in it."""
    context = contextvars.copy_context()
    for variable in list(context):
        if variable.name == _LIBRARY_OF_CALLER:
            context.run(variable.set, None)
    return context


_LIBRARY_OF_CALLER = (
    "current_async_library_cvar"  # of sniffio, by which anyio tells trio from asyncio
)


async def _outcome(
    function: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[T | None, BaseException | None]:
    import asyncio

    try:
        return await function(*args, **kwargs), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit would end the loop for everyone
        return None, error


async def _finished(future: Future[T], cancel: Callable[[], object]) -> T:
    """Await a future of another thread, under asyncio or trio."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return await _finished_elsewhere(future, cancel)
    ended = _ended(future)
    try:
        await ended.wait()
    except asyncio.CancelledError:
        import anyio

        cancel()
        while not ended.is_set():
            # unshielded, anyio cancels again at every turn of the loop and keeps it spinning
            with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                await ended.wait()
        raise
    return future.result()


def _ended(future: Future[Any]) -> asyncio.Event:
    """Return an event of the running loop that is set when a future of another thread is done."""
    import asyncio

    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(event.set)

    future.add_done_callback(tell)
    return event


async def _finished_elsewhere(future: Future[T], cancel: Callable[[], object]) -> T:
    import anyio
    import anyio.to_thread

    try:
        cancelled = anyio.get_cancelled_exc_class()
    except Exception:  # noqa: BLE001 - anyio's is private, and not the same in each release
        cancel()
        raise RuntimeError(
            "a coroutine of zarrstore was driven without an event loop: await it under "
            "asyncio or trio, or use the blocking methods (store.sync)"
        ) from None
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    try:
        await anyio.to_thread.run_sync(ended.wait, abandon_on_cancel=True)
    except cancelled:
        cancel()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(ended.wait)
        raise
    return future.result()


def pool_here() -> Pool:
    """Return the worker threads for what this thread waits for."""
    return pool_of_loop if _io_thread.is_here() else pool


CALLER: Home = _CallerHome()
WORKERS: Home = _WorkersHome()


class _IOThread:
    """The package's own event loop, in a daemon thread; made at first use, anew after a fork."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_here(self) -> bool:
        """Tell whether the caller is on the loop."""
        if self._loop is None:
            return False
        import asyncio

        return asyncio._get_running_loop() is self._loop

    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    import asyncio

                    loop = asyncio.new_event_loop()
                    threading.Thread(
                        target=loop.run_forever, name="zarrstore-io", daemon=True
                    ).start()
                    self._loop = loop
        return self._loop


_io_thread = _IOThread()
io_loop_home = LoopHome(_io_thread.loop)
"""The home of an asynchronous store that brings no loop of its own."""


def _after_fork_in_child() -> None:
    _thread.inline = False
    _io_thread._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
