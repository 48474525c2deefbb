"""The tasks of a write that are at work in this process: none is left when it is broken off."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from zarrstore.forks import PerProcess

__all__ = ["at_work", "begin_again", "under_way"]


class _UnderWay:
    """What this process writes just now, by attempts."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tasks: Counter[str] = Counter()
        self._stopped: set[str] = set()

    @contextmanager
    def task(self, attempt: str) -> Iterator[None]:
        with self._changed:
            if attempt in self._stopped:
                raise RuntimeError("this write was broken off")
            self._tasks[attempt] += 1
        try:
            yield
        finally:
            with self._changed:
                self._tasks[attempt] -= 1
                if not self._tasks[attempt]:
                    del self._tasks[attempt]
                self._changed.notify_all()

    def begin(self, attempt: str) -> None:
        with self._changed:
            self._stopped.discard(attempt)

    def stop(self, attempt: str) -> None:
        with self._changed:
            self._stopped.add(attempt)
            while self._tasks[attempt]:
                self._changed.wait()
            del self._tasks[attempt]


_under_way = PerProcess(_UnderWay)


@contextmanager
def under_way(attempt: str) -> Iterator[None]:
    """Leave no task of a write at work in this process when it is broken off.

    A scheduler does not wait for the others when one has failed; they would write into what is
    begun anew.
    """
    known = _under_way.get()
    known.begin(attempt)
    try:
        yield
    except BaseException:
        known.stop(attempt)
        raise


def begin_again(attempt: str) -> None:
    """Let tasks of a write that was broken off work again."""
    _under_way.get().begin(attempt)


def at_work(attempt: str) -> AbstractContextManager[None]:
    """Return what a task enters while it writes: `RuntimeError` if the write was broken off."""
    return _under_way.get().task(attempt)
