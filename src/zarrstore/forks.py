"""What survives a fork: locks that the child finds free, values made anew in each process."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

__all__ = ["ForkSafeLock", "PerProcess"]

T = TypeVar("T")


class ForkSafeLock:
    """A lock that is free again in a forked child, where its holder does not exist.

    Examples
    --------
    >>> with ForkSafeLock():
    ...     pass
    """

    __slots__ = ("__weakref__", "_lock")

    _all: ClassVar[weakref.WeakSet[ForkSafeLock]] = weakref.WeakSet()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        ForkSafeLock._all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.RLock()


class PerProcess(Generic[T]):
    """A value that is made at first use, once in each process: a connection, a client.

    Parameters
    ----------
    make : callable
        Makes the value. Called under a lock.
    discard : callable, optional
        Called with the value by `close`, in the process that made it only.
    """

    def __init__(self, make: Callable[[], T], discard: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._discard = discard
        self._lock = ForkSafeLock()
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """Return this process's value, made now if it is not there yet."""
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with self._lock:
            made = self._made
            if made is None or made[0] != os.getpid():
                self._made = made = (os.getpid(), self._make())
            return made[1]

    def close(self) -> None:
        """Discard the value if this process made one."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None and made[0] == os.getpid() and self._discard is not None:
            self._discard(made[1])


def _after_fork_in_child() -> None:
    for lock in ForkSafeLock._all:
        lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
