"""A dbm database that is open, which all stores of a process that use its path have in common."""

from __future__ import annotations

import dbm
import errno
import importlib
import os
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NoReturn, TypeVar

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    NotShareableError,
)
from zarrstore.runtime import ForkSafeLock

__all__ = ["FLAVOURS", "Handle", "raise_dbm_error"]

T = TypeVar("T")

FLAVOURS = ("sqlite3", "gnu", "ndbm", "dumb")
"""In the order in which the standard library chooses one."""

_FILES = ("", ".dat", ".pag", ".db")
_ADVICE = {
    errno.EAGAIN: "another process has it open, and one at a time may write; close it there",
    errno.ENOSPC: "the disk is full; free some space and write again",
    errno.EFBIG: "a limit on the size of files was reached",
    errno.ENOENT: "flag='c' creates a database, in a folder that is there",
}


def raise_dbm_error(error: BaseException, action: str, store: str, key: str) -> NoReturn:
    """Raise what a dbm module raised as one of our errors."""
    message = f"cannot {action} {key!r} in {store}: {error}"
    number = getattr(error, "errno", None)
    undetermined = isinstance(error, dbm.error[0]) and "type" in str(error)
    if "recovery" in str(error):  # of gdbm, after a write that failed
        message += "; mend it by the command 'recover' of the program gdbmtool"
        raise CorruptDataError(message, store=store, key=key) from error
    if not isinstance(error, dbm.error) or undetermined:
        raise CorruptDataError(
            f"{message}; it is damaged, or a database of another kind", store=store, key=key
        ) from error
    cls = BackendError
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        cls = AccessDeniedError
    advice = _ADVICE.get(number or 0, "")
    raise cls(
        f"{message}; {advice}" if advice else message, store=store, key=key, errno=number
    ) from error


class _Inline:
    """What calls at once, where `ThreadPoolExecutor` calls in a thread of its own."""

    def call(self, function: Callable[[], T]) -> T:
        return function()

    def end(self) -> None:
        pass


class _InOneThread:
    """For connections of sqlite3 that dbm opens, which work in one thread only."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "zarrstore-dbm")

    def call(self, function: Callable[[], T]) -> T:
        return self._executor.submit(function).result()

    def end(self) -> None:
        self._executor.shutdown()


class Handle:
    """One database of this process: made by `of`, opened at first use."""

    _all: ClassVar[weakref.WeakValueDictionary[str, Handle]] = weakref.WeakValueDictionary()
    _making = ForkSafeLock()

    def __init__(self, path: str, url: str) -> None:
        self.lock = ForkSafeLock()
        self._path = path
        self._url = url
        self._pid = 0
        self._users = 0
        self._database: Any = None
        self.ready: Any = None
        """The database, if it can be used without further ado."""
        self.is_writable = False
        self._place: _Inline | _InOneThread = _Inline()
        self._locked: int | None = None

    @classmethod
    def of(cls, path: str, url: str) -> Handle:
        """Return the handle of a path, for one more store."""
        real = os.path.realpath(path)
        with cls._making:
            found = cls._all.get(real)
            if found is None:
                found = cls._all[real] = cls(path, url)
            found._users += 1
            return found

    def release(self) -> None:
        """Close the database, if it was the last store that used it."""
        with self._making:
            self._users -= 1
            if self._users == 0 and self._pid == os.getpid():
                with self.lock:
                    self.shut()

    def run(
        self, work: Callable[[Any], T], flag: str, mode: int, opener: Any, *, writing: bool
    ) -> T | None:
        """Call a function with the database; ``None`` if there is none, and none is to be made.

        The caller holds the lock. The flag ``"n"`` begins anew, whoever uses it.
        """
        if self._database is not None and self._pid != os.getpid():
            raise NotShareableError(
                f"{self._url} is open in process {self._pid}, and cannot be used in a forked one; "
                "start processes by spawn, and open it there",
                store=self._url,
            )
        may_write = flag[0] != "r"
        if self._database is None or flag[0] == "n" or (may_write and not self.is_writable):
            if flag[0] in "rc" and not writing and not self.is_there():
                return None
            self.shut()
            self._open(flag, mode, opener)
        database = self._database
        result = self._place.call(lambda: work(database))
        self.ready = database if isinstance(self._place, _Inline) else None
        return result

    def is_there(self) -> bool:
        """Tell whether there is a database."""
        return any(os.path.exists(self._path + ending) for ending in _FILES)

    def _open(self, flag: str, mode: int, opener: Any) -> None:
        function = _function(self._path, flag, opener)
        module = getattr(function, "__module__", None) or ""
        self._place = _InOneThread() if module == "dbm.sqlite3" else _Inline()
        locks_itself = module in ("_gdbm", "dbm.gnu")
        try:
            if not locks_itself:
                self._take_lock(flag)
            self._database = self._place.call(lambda: function(self._path, flag, mode))
            if not locks_itself:
                self._take_lock(flag)  # the file may be new
            elif self._database.firstkey() is None:
                len(self._database)  # which fails where gdbm takes every key for missing
        except BaseException:
            self.shut()
            raise
        self.is_writable = flag[0] != "r"
        self._pid = os.getpid()

    def _take_lock(self, flag: str) -> None:
        """Lock the file of the database, as gnu does by itself."""
        path = next((self._path + end for end in _FILES if os.path.isfile(self._path + end)), None)
        if self._locked is not None or path is None or os.name != "posix":
            return
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
        try:
            kind = fcntl.LOCK_SH if flag[0] == "r" else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        self._locked = descriptor

    def sync(self) -> None:
        """Write what the database keeps in memory. The caller holds the lock."""
        database = self._database
        if database is not None and self.is_writable and hasattr(database, "sync"):
            self._place.call(database.sync)

    def shut(self) -> None:
        """Close the database, until it is used again. The caller holds the lock."""
        database, self._database, self.ready = self._database, None, None
        try:
            if database is not None and hasattr(database, "close"):
                self._place.call(database.close)
        finally:
            self._place.end()
            self._place = _Inline()
            if self._locked is not None:
                os.close(self._locked)
                self._locked = None
            self.is_writable = False

    def _before_fork(self) -> None:
        with self.lock:
            self.sync()

    def _after_fork_in_child(self) -> None:
        self.ready = None
        if self._database is None:
            if self._locked is not None:  # to open it just now: that lock is the parent's
                os.close(self._locked)
                self._locked = None
        else:
            import ctypes

            # never closed here: that would write the parent's index, and end its lock
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._database))


def _function(path: str, flag: str, opener: Any) -> Callable[..., Any]:
    """Return what opens a database: a function, that of a flavour, or what fits to the files."""
    if callable(opener):
        function: Callable[..., Any] = opener
        return function
    found = None if flag[0] == "n" else dbm.whichdb(path)
    if found == "":
        raise dbm.error[0]("the type of the database is not known")
    if opener is not None:
        if found and found != f"dbm.{opener}":
            raise dbm.error[0](f"the type of the database is {found}, not dbm.{opener}")
        found = f"dbm.{opener}"
    for name in [found] if found else [f"dbm.{flavour}" for flavour in FLAVOURS]:
        try:
            function = importlib.import_module(name).open
        except ImportError:
            if found:
                raise
        else:
            return function
    raise AssertionError("dbm.dumb is always there")


def _handles() -> list[Handle]:
    # other threads make more meanwhile, which values() would not stand
    return [each for each in (ref() for ref in Handle._all.valuerefs()) if each is not None]


def _before_fork() -> None:
    for handle in _handles():
        handle._before_fork()


def _after_fork_in_child() -> None:
    for handle in _handles():
        handle._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
