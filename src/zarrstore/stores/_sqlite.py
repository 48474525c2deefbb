"""Connections to one SQLite database: as many as threads at work, and none across a fork."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
import weakref
from typing import Any, ClassVar, NoReturn
from urllib.parse import quote

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    NotShareableError,
    StoreClosedError,
)
from zarrstore.runtime import ForkSafeLock

__all__ = ["Connections", "Failures", "raise_sqlite_error"]

_PAGE_SIZE = 8192
"""Of a new database: a value of 256 KiB is written twice as fast as in pages of 4 KiB."""
_CACHE = 16_000
"""KiB of pages that a connection keeps, at most."""
_MOST_IDLE = 8
_LOOK = 0.01
"""Seconds for which reading trusts that the file is the one that was opened."""
_LONGEST_OPERATION = 1.0
"""Seconds for which a fork waits for operations of other threads."""

_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'zarr'"
_NO_SHARED_MEMORY = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

Failures = (sqlite3.Error, OverflowError)
"""What the module sqlite3 raises; an OverflowError is a value of more than 2 GiB."""

_ERRORS: dict[int, tuple[type[BackendError | CorruptDataError], int | None, str]] = {
    sqlite3.SQLITE_BUSY: (
        BackendError,
        errno.EAGAIN,
        "another process has locked it; try again, or give a longer timeout",
    ),
    sqlite3.SQLITE_LOCKED: (BackendError, errno.EAGAIN, "it is locked; try again"),
    sqlite3.SQLITE_FULL: (
        BackendError,
        errno.ENOSPC,
        "the disk is full, or the database as large as it may be; free some space and write again",
    ),
    sqlite3.SQLITE_TOOBIG: (
        BackendError,
        errno.EFBIG,
        "the value is larger than SQLite takes (1 GB by default); write smaller chunks",
    ),
    sqlite3.SQLITE_READONLY: (
        AccessDeniedError,
        errno.EACCES,
        "the file or its directory cannot be written; check their owner and mode",
    ),
    sqlite3.SQLITE_PERM: (AccessDeniedError, errno.EACCES, "check the owner and mode of the file"),
    sqlite3.SQLITE_AUTH: (AccessDeniedError, errno.EACCES, "check the owner and mode of the file"),
    sqlite3.SQLITE_CANTOPEN: (
        BackendError,
        None,
        "a database is a file in a directory that is there, and that may be written",
    ),
    sqlite3.SQLITE_CORRUPT: (
        CorruptDataError,
        None,
        "the database is damaged; restore it, or see what the sqlite3 program can .recover",
    ),
    sqlite3.SQLITE_NOTADB: (CorruptDataError, None, "the file is no SQLite database"),
    sqlite3.SQLITE_IOERR: (
        BackendError,
        errno.EIO,
        "the disk failed, or a limit on the size of files was reached",
    ),
}


def raise_sqlite_error(error: BaseException, action: str, store: str, key: str) -> NoReturn:
    """Raise what the module sqlite3 raised as one of our errors, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OverflowError | sqlite3.DataError):
        code = sqlite3.SQLITE_TOOBIG
    cls, number, advice = _ERRORS.get((code or 0) & 0xFF, (BackendError, None, ""))
    message = f"cannot {action} {key!r} in {store}: {error}" + (f"; {advice}" if advice else "")
    if issubclass(cls, BackendError):
        raise cls(message, store=store, key=key, errno=number) from error
    raise cls(message, store=store, key=key) from error


class Connections:
    """Connections to one database, of which each is used by one thread at a time.

    Parameters
    ----------
    path : str
        Absolute.
    url : str
        For messages.
    read_only, durable, wal : bool
    timeout : float
        Seconds to wait for a lock of another process.

    Notes
    -----
    SQLite's own locks do not go through a fork, not even to a database that the child opens
    anew: there it would count on locks that only its parent has. So connections are closed when
    the process is forked, and opened again by whoever needs one.
    """

    _locks: ClassVar[weakref.WeakValueDictionary[str, ForkSafeLock]] = weakref.WeakValueDictionary()

    def __init__(
        self, path: str, url: str, *, read_only: bool, durable: bool, wal: bool, timeout: float
    ) -> None:
        self._path = path
        self._url = url
        self._read_only = read_only
        self._durable = durable
        self._wal = wal
        self._timeout = timeout
        self._idle: list[sqlite3.Connection] = []
        self._open: set[sqlite3.Connection] = set()
        self._of_others: set[sqlite3.Connection] = set()
        """Those of a file that is at this path no more."""
        self._file: tuple[int, int] | None = None
        self._look_at = 0.0
        self._is_ready = False
        self._closed = False
        with _forks.gate:
            self.writing = self._locks.setdefault(path, ForkSafeLock())
            """Held by the one thread of this process that writes: SQLite lets one write, too,
            and the others sleep before they try again."""
            _forks.known.add(self)

    def take(self, writing: bool = False) -> sqlite3.Connection | None:
        """Return a connection that is this thread's until it is given back.

        ``None`` if there is no database, or no table in it, and nothing is to be written.
        """
        now = time.monotonic()
        if self._open and (writing or now >= self._look_at):
            self._look_at = now + _LOOK
            self._look()
        try:
            if writing and not self._is_ready:
                return self._made_ready()
            return self._idle.pop()
        except IndexError:
            connection = self._opened("rw")
            # the database may have been deleted
            return self._made_ready() if writing and connection is None else connection

    def give(self, connection: sqlite3.Connection) -> None:
        """Take a connection back; what was not committed is rolled back."""
        if connection.in_transaction:
            try:
                connection.rollback()
            except sqlite3.Error:  # it cannot be used again
                self._end(connection)
                return
        if self._closed or connection in self._of_others or len(self._idle) >= _MOST_IDLE:
            self._end(connection)
        else:
            self._idle.append(connection)
            if self._closed:  # meanwhile
                self._empty()

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        self._closed = True
        self._empty()

    def _empty(self) -> None:
        while self._idle:
            self._end(self._idle.pop())

    def _end(self, connection: sqlite3.Connection) -> None:
        self._open.discard(connection)
        self._of_others.discard(connection)
        connection.close()

    def _look(self) -> None:
        """Leave a file that was deleted or replaced: what is written to it would be lost."""
        with _forks.gate:
            there = self._there()
            if there == self._file:
                return
            self._file, self._is_ready = there, False
            self._of_others |= self._open
            self._empty()

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:  # which opening it tells
            return None
        return found.st_dev, found.st_ino

    def _made_ready(self) -> sqlite3.Connection:
        """Return a connection to a database that is there, and has the table."""
        connection = self._opened("rwc", writing=True)
        assert connection is not None
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
            if self._wal:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    # somebody uses it in its old mode, which will do
            connection.execute("CREATE TABLE IF NOT EXISTS zarr(k TEXT PRIMARY KEY, v BLOB)")
            self._set_up(connection)
        except BaseException:
            self._end(connection)
            raise
        self._is_ready = True
        return connection

    def _opened(self, mode: str, writing: bool = False) -> sqlite3.Connection | None:
        try:
            connection = self._connected(f"mode={'ro' if self._read_only else mode}")
        except sqlite3.OperationalError:
            if not writing and not self._is_there():
                return None
            raise
        try:
            if not writing:
                try:
                    found = connection.execute(_TABLE).fetchone()
                except sqlite3.OperationalError as error:
                    # in a directory that cannot be written there is no place for shared memory
                    if error.sqlite_errorcode & 0xFF not in _NO_SHARED_MEMORY or self._has_wal():
                        raise
                    self._end(connection)
                    connection = self._connected("mode=ro&immutable=1")
                    found = connection.execute(_TABLE).fetchone()
                if found is None:
                    self._end(connection)
                    return None
                self._set_up(connection)
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _connected(self, options: str) -> sqlite3.Connection:
        with _forks.gate:
            if self._closed:
                raise StoreClosedError(f"{self._url} is closed; open it again", store=self._url)
            if self._path in _forks.stranded:
                raise NotShareableError(
                    f"{self._url} was in use when this process was forked, and cannot be used in "
                    "it; fork when no operation is under way, or start processes by spawn",
                    store=self._url,
                )
            there = None if self._open else self._there()
            connection = sqlite3.connect(
                f"file:{quote(os.fsencode(self._path))}?{options}",
                uri=True,
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            if not self._open:
                self._file = there or self._there()
            self._open.add(connection)
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        # without a write-ahead log anything less may damage the database in a power cut
        level = "FULL" if self._durable or journal != "wal" else "NORMAL"
        connection.execute(f"PRAGMA synchronous = {level}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")

    def _is_there(self) -> bool:
        try:
            os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def _has_wal(self) -> bool:
        try:
            return os.stat(f"{self._path}-wal").st_size > 0
        except OSError:
            return False

    def _before_fork(self, until: float) -> None:
        self._empty()
        while self._open and time.monotonic() < until:
            time.sleep(0.001)
            self._empty()

    def _after_fork_in_child(self) -> None:
        if self._open:
            _forks.stranded.add(self._path)
            _forks.of_parents.extend(self._open)  # closing them would undo what the parent writes
            self._idle, self._open, self._of_others = [], set(), set()


class _Forks:
    """What keeps connections from going through a fork."""

    def __init__(self) -> None:
        self.gate = threading.RLock()
        self.known: weakref.WeakSet[Connections] = weakref.WeakSet()
        self.stranded: set[str] = set()
        self.of_parents: list[Any] = []

    def before(self) -> None:
        self.gate.acquire()
        until = time.monotonic() + _LONGEST_OPERATION
        for connections in list(self.known):
            connections._before_fork(until)

    def after_in_parent(self) -> None:
        self.gate.release()

    def after_in_child(self) -> None:
        self.gate = threading.RLock()
        for connections in list(self.known):
            connections._after_fork_in_child()


_forks = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_forks.before,
        after_in_parent=_forks.after_in_parent,
        after_in_child=_forks.after_in_child,
    )
