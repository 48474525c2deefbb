"""`compute`: work of the processor, asked for by a coroutine that must not be held up by it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from zarrstore.runtime import is_inline

if TYPE_CHECKING:
    import asyncio

__all__ = ["compute", "cores"]

T = TypeVar("T")


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Job:
    """A call, and the event of the loop that waits for its end."""

    __slots__ = ("args", "ended", "error", "function", "loop", "result", "started")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: asyncio.Event,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self.loop = loop
        self.ended = ended
        self.function = function
        self.args = args
        self.result: Any = None
        self.error: BaseException | None = None
        self.started = False

    def run(self) -> None:
        try:
            self.result = self.function(*self.args)
        except BaseException as error:  # noqa: BLE001 - passed on to who waits
            self.error = error


class _Batches:
    """Jobs in threads of their own, as many as cores, each taking a batch at a time.

    The worker threads of stores that block may all wait for what is computed here.
    """

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._workers = 0
        self._threads: ThreadPoolExecutor | None = None

    def add(self, job: _Job) -> None:
        with self._lock:
            self._waiting.append(job)
            if self._workers >= cores():
                return
            self._workers += 1
            if self._threads is None:
                self._threads = ThreadPoolExecutor(cores(), "zarrstore-compute")
            self._threads.submit(self._work)

    def remove(self, job: _Job) -> bool:
        """Take a job back; tell whether it had not started."""
        with self._lock:
            if job.started:
                return False
            self._waiting.remove(job)
            return True

    def _take(self) -> list[_Job]:
        with self._lock:
            share = -(-len(self._waiting) // cores())
            batch = [self._waiting.popleft() for _ in range(share)]
            for job in batch:
                job.started = True
            if not batch:
                self._workers -= 1
            return batch

    def _work(self) -> None:
        while batch := self._take():
            loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
            for job in batch:
                job.run()
                loops.setdefault(job.loop, []).append(job)
            for loop, jobs in loops.items():
                with suppress(RuntimeError):  # that loop is closed, and who waited with it
                    loop.call_soon_threadsafe(_tell, jobs)


def _tell(jobs: list[_Job]) -> None:
    for job in jobs:
        job.ended.set()


_batches = _Batches()


async def compute(function: Callable[..., T], *args: Any) -> T:
    """Call a function that keeps a processor busy, and return what it returns.

    Inline it is called at once. On an I/O loop it is called in a worker thread, together with
    others that wait, and has ended when a cancellation is passed on.
    """
    if is_inline():
        return function(*args)
    import asyncio

    job = _Job(asyncio.get_running_loop(), asyncio.Event(), function, args)
    _batches.add(job)
    try:
        await job.ended.wait()
    except asyncio.CancelledError:
        if not _batches.remove(job):
            while not job.ended.is_set():
                with suppress(asyncio.CancelledError):
                    await job.ended.wait()
        raise
    if job.error is not None:
        raise job.error
    result: T = job.result
    return result


def _after_fork_in_child() -> None:
    _batches._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
