"""`LoopTurns`: blocking calls of one turn of an event loop, made in worker threads in one hop.

A hop to a thread and back takes several times as long as reading a small value. Many values are
asked for at once, by as many tasks: those of one turn of the loop go together.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio

from zarrstore.runtime import drive_inline, limits, pool_here

__all__ = ["LoopTurns"]

T = TypeVar("T")

_LONG = 0.002
"""Seconds for one call from which each is to have a thread of its own."""


class _Call:
    """A call that is awaited on the loop, and made in a worker thread."""

    __slots__ = ("_args", "_context", "_ended", "_error", "_function", "_result", "begun", "future")

    def __init__(
        self,
        future: asyncio.Future[Any],
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
    ) -> None:
        self.future = future
        self.begun = False
        self._context = contextvars.copy_context()
        self._function = function
        self._args = args
        self._result: Any = None
        self._error: BaseException | None = None
        self._ended: asyncio.Event | None = None

    def make(self) -> None:
        self.begun = True
        if self.future.cancelled():  # looked at second here, and first in `until_ended`
            return
        try:
            self._result = self._context.run(drive_inline, self._function, *self._args)
        except BaseException as error:  # noqa: BLE001 - the caller's to handle
            self._error = error

    def settle(self) -> None:
        self.begun = False
        if self._ended is not None:
            self._ended.set()
        if self.future.done():  # cancelled
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)

    async def until_ended(self) -> None:
        """Wait for a call whose future was cancelled, if it cannot be stopped any more."""
        if not self.begun:
            return
        self._ended = asyncio.Event()
        while not self._ended.is_set():
            with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                await self._ended.wait()


class _Turn:
    """The calls of one turn of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: LoopTurns) -> None:
        self.loop = loop
        self._turns = turns
        self._waiting: deque[_Call] = deque()
        self._unsettled = 0
        self._help: asyncio.TimerHandle | None = None

    def add(self, call: _Call) -> None:
        self._waiting.append(call)

    def leave(self) -> None:
        """Hand the calls to one worker thread, or to several if they are long."""
        self._turns._ended(self)
        self._unsettled = len(self._waiting)
        if self._turns.seconds > _LONG:
            self._employ(self._unsettled)
            return
        self._employ(1)
        if self._unsettled > 1:
            self._help = self.loop.call_later(_LONG, lambda: self._employ(len(self._waiting)))

    def _employ(self, workers: int) -> None:
        threads = pool_here()
        for _ in range(min(workers, limits.threads)):
            threads.submit(self._work)

    def _work(self) -> None:
        made: list[_Call] = []
        since = time.perf_counter()
        while True:
            try:
                call = self._waiting.popleft()
            except IndexError:
                break
            call.make()
            made.append(call)
            if (passed := time.perf_counter() - since) > _LONG:
                self._deliver(made, passed)
                made, since = [], since + passed
        if made:
            self._deliver(made, time.perf_counter() - since)

    def _deliver(self, made: list[_Call], seconds: float) -> None:
        self._turns.seconds += 0.2 * (seconds / len(made) - self._turns.seconds)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self.loop.call_soon_threadsafe(self._settle, made)

    def _settle(self, made: list[_Call]) -> None:
        for call in made:
            call.settle()
        self._unsettled -= len(made)
        if self._unsettled == 0 and self._help is not None:
            self._help.cancel()


class _Thread(threading.local):
    turn: _Turn | None = None


class LoopTurns:
    """Runs coroutine functions that block, awaited from asyncio, inline in worker threads.

    Those that are called in one turn of the loop go to one thread, one after the other, in one
    hop; as soon as they take long, each has a thread of its own.
    """

    def __init__(self) -> None:
        self._thread = _Thread()
        self.seconds = 0.0
        """How long a call takes, on average, lately."""

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        """Run a coroutine function that blocks.

        When the caller is cancelled it has not begun, and never will, or it has ended before the
        cancellation is passed on.
        """
        loop = asyncio.get_running_loop()
        turn = self._thread.turn
        if turn is None or turn.loop is not loop:
            turn = self._thread.turn = _Turn(loop, self)
            loop.call_soon(turn.leave)
        future: asyncio.Future[T] = loop.create_future()
        call = _Call(future, function, args)
        turn.add(call)
        try:
            return await future
        except asyncio.CancelledError:
            await call.until_ended()
            raise

    def _ended(self, turn: _Turn) -> None:
        if self._thread.turn is turn:
            self._thread.turn = None
