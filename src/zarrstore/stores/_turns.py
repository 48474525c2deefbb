"""`Turns`: one thread or task of this process at a time does something."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Any

from zarrstore.runtime import ForkSafeLock, is_inline

__all__ = ["Turns"]


class Turns:
    """A lock for each of any number of places, for threads that drive inline and for tasks.

    What goes through a fork keeps it in a `zarrstore.runtime.PerProcess`.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._turns: dict[Hashable, _Turn] = {}

    @asynccontextmanager
    async def of(self, place: Hashable) -> AsyncIterator[None]:
        """Wait for the turn at a place."""
        with self._lock:
            turn = self._turns.get(place)
            if turn is None:
                turn = self._turns[place] = _Turn()
            turn.users += 1
        try:
            if is_inline():
                with turn.of_threads:
                    yield
            else:
                async with turn.of_tasks():
                    yield
        finally:
            with self._lock:
                turn.users -= 1
                if not turn.users:
                    del self._turns[place]


class _Turn:
    def __init__(self) -> None:
        self.users = 0
        self.of_threads = ForkSafeLock()
        self._of_tasks: Any = None

    def of_tasks(self) -> Any:
        if self._of_tasks is None:
            import anyio  # what blocks does not need it

            self._of_tasks = anyio.Lock()
        return self._of_tasks
