"""How much is under way at once in this process: requests, bytes, worker threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Limits", "Pool", "limits", "pool", "pool_of_loop", "positive", "run_in_worker"]

T = TypeVar("T")

_holds_slot: ContextVar[bool] = ContextVar("_holds_slot", default=False)


class Limits:
    """How much may be under way at once in this process, whoever asks.

    Parameters
    ----------
    requests : int
        Requests in flight to stores that are asynchronous (S3, HTTP ...).
    nbytes : int
        Bytes of decoded chunks in flight to and from such stores.
    threads : int
        Worker threads for stores that block.

    Examples
    --------
    >>> import zarrstore
    >>> zarrstore.limits.requests = 256
    >>> zarrstore.limits
    Limits(requests=256, nbytes=268435456, threads=...)
    >>> zarrstore.limits.requests = 128
    """

    def __init__(self, requests: int, nbytes: int, threads: int) -> None:
        self._requests = _Budget(requests)
        self._nbytes = _Budget(nbytes)
        self._threads = threads

    def __repr__(self) -> str:
        return f"Limits(requests={self.requests}, nbytes={self.nbytes}, threads={self.threads})"

    @property
    def requests(self) -> int:
        """Requests in flight at most; settable at any time."""
        return self._requests.size

    @requests.setter
    def requests(self, number: int) -> None:
        self._requests.resize(positive("requests", number))

    @property
    def nbytes(self) -> int:
        """Bytes of decoded chunks in flight at most; settable at any time.

        One chunk alone may be larger.
        """
        return self._nbytes.size

    @nbytes.setter
    def nbytes(self, number: int) -> None:
        self._nbytes.resize(positive("nbytes", number))

    @property
    def threads(self) -> int:
        """Worker threads at most; settable before the first is started."""
        return self._threads

    @threads.setter
    def threads(self, number: int) -> None:
        if pool.made:
            raise RuntimeError("limits.threads is set before the first worker thread starts")
        self._threads = positive("threads", number)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Hold one request slot; entered on an I/O loop.

        A request that is made for another is part of it: it would wait for a slot that is held
        until it has ended.
        """
        if _holds_slot.get():
            yield
            return
        await self._requests.acquire(1)
        _holds_slot.set(True)
        try:
            yield
        finally:
            _holds_slot.set(False)
            self._requests.release(1)

    @asynccontextmanager
    async def memory(self, nbytes: int) -> AsyncIterator[None]:
        """Hold the memory of a chunk; entered on an I/O loop, before its request."""
        await self._nbytes.acquire(nbytes)
        try:
            yield
        finally:
            self._nbytes.release(nbytes)


def positive(name: str, number: int) -> int:
    """Return a number that is 1 or more, or raise `ValueError`."""
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, not {number!r}")
    return number


class _Budget:
    """A semaphore over an amount, shared by several event loops, in order of arrival."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    def resize(self, size: int) -> None:
        with self._lock:
            self.size = size
            self._wake()

    def _has(self, amount: int) -> bool:
        return self._taken == 0 or self._taken + amount <= self.size

    async def acquire(self, amount: int) -> None:
        import asyncio

        with self._lock:
            if self._has(amount) and not self._waiting:
                self._taken += amount
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiter = turn, amount
            self._waiting.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                else:
                    self._taken -= amount
                self._wake()
            raise

    def release(self, amount: int) -> None:
        with self._lock:
            self._taken -= amount
            self._wake()

    def _wake(self) -> None:
        while self._waiting and self._has(self._waiting[0][1]):
            turn, amount = self._waiting.popleft()
            try:
                turn.get_loop().call_soon_threadsafe(_grant, turn)
            except RuntimeError:  # that loop is closed, and the waiter with it
                continue
            self._taken += amount


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


limits = Limits(requests=128, nbytes=2**28, threads=min(32, 4 * (os.cpu_count() or 1)))
"""The process-wide limits. Settable: ``zarrstore.limits.requests = 256``."""


class Pool:
    """The worker threads of this process."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    @property
    def made(self) -> bool:
        return self._executor is not None

    def submit(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        if self._executor is None:
            with self._lock:
                if self._executor is None:
                    from concurrent.futures import ThreadPoolExecutor

                    self._executor = ThreadPoolExecutor(limits.threads, "zarrstore-worker")
        return self._executor.submit(function, *args, **kwargs)


pool = Pool()
pool_of_loop = Pool()
"""For the package's own I/O loop: all other worker threads may be waiting for that."""


def run_in_worker(function: Callable[..., T], *args: Any) -> Future[T]:
    """Call a function in a worker thread, when one is free."""
    return pool.submit(function, *args)


def _after_fork_in_child() -> None:
    limits._requests._renew()
    limits._nbytes._renew()
    pool._renew()
    pool_of_loop._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
