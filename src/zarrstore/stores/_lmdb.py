"""An LMDB environment, which all stores of a process that use its path have in common."""

from __future__ import annotations

import errno
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, ClassVar, NoReturn

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    NotShareableError,
)
from zarrstore.runtime import ForkSafeLock
from zarrstore.stores._files import raise_backend_error

try:
    import lmdb
except ImportError as error:
    raise ImportError(
        "LMDBStore needs a package that is not installed: pip install 'zarrstore[lmdb]'",
        name="lmdb",
    ) from error

__all__ = ["MAX_KEY_BYTES", "MENDABLE", "Environment", "lmdb", "name_of", "raise_lmdb_error"]

MAX_KEY_BYTES = 511
_READERS = 1024
_WRITES_TO_MAP = sys.platform.startswith("linux")
"""Where a file of the map's size takes no more of the disk than is in it; as zarr 2 decides."""
_PATIENCE = 5.0
"""Seconds for which operations of other threads are waited for."""
_LONGEST_OPERATION = 1.0
"""Seconds for which a fork waits for operations of other threads."""
_LOOK = 0.01
"""Seconds between two looks at the file and the free space."""
_MARGIN = 2**24
_PAUSE = 0.05
"""Seconds for which a reader waits for the end of others, where there are too many."""

_ADVICE: dict[type[Exception], tuple[int, str]] = {
    lmdb.MapFullError: (errno.ENOSPC, "the map is full and cannot grow; give a larger map_size"),
    lmdb.ReadersFullError: (errno.EAGAIN, "too many readers at once; use fewer threads"),
    lmdb.BadValsizeError: (errno.EFBIG, "LMDB takes values below 4 GiB; write smaller chunks"),
    lmdb.LockError: (errno.EAGAIN, "another process has locked it; try again"),
}
_CORRUPT = (
    lmdb.InvalidError,
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
    lmdb.PanicError,
)
_NUMBERS = (
    errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR,
    errno.EISDIR, errno.EFBIG, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EDQUOT,
)  # fmt: skip


def name_of(key: str, store: str) -> bytes:
    """Return a key as the database has it, or raise if it cannot have it."""
    name = key.encode()
    if len(name) > MAX_KEY_BYTES:
        raise BackendError(
            f"cannot write {key!r} in {store}: LMDB takes keys of {MAX_KEY_BYTES} bytes, "
            f"and this one has {len(name)}; use a shorter key",
            store=store,
            key=key,
            errno=errno.ENAMETOOLONG,
        )
    return name


def raise_lmdb_error(error: Exception, action: str, store: str, key: str) -> NoReturn:
    """Raise an error of the package lmdb as one of ours, with what to do about it."""
    message = f"cannot {action} {key!r} in {store}: {error}"
    if isinstance(error, _CORRUPT):
        raise CorruptDataError(
            f"{message}; it is damaged, or no LMDB database of this version", store=store, key=key
        ) from error
    # what the operating system said is in the text only
    said = (code for code in _NUMBERS if str(error).endswith(os.strerror(code)))
    number, advice = _ADVICE.get(type(error), (next(said, None), ""))
    cls = BackendError
    if isinstance(error, lmdb.ReadonlyError) or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        cls, advice = AccessDeniedError, "check the owner and mode of the database and its folder"
    elif "already open" in str(error):
        advice = "this process has opened it by lmdb.open(); close that first"
    raise cls(
        f"{message}; {advice}" if advice else message, store=store, key=key, errno=number
    ) from error


class Elsewhere(lmdb.Error):
    """The file was deleted or replaced."""

    def __init__(self) -> None:
        super().__init__("the file was deleted or replaced while an operation was under way")


MENDABLE = (lmdb.MapFullError, lmdb.MapResizedError, lmdb.ReadersFullError, Elsewhere)


class Environment:
    """One environment of this process: made by `of`, opened at first use.

    Parameters
    ----------
    path : str
    subdir : bool
        Whether the path is a folder, with ``data.mdb`` in it.
    map_size : int
    """

    _all: ClassVar[weakref.WeakValueDictionary[str, Environment]] = weakref.WeakValueDictionary()
    _making = ForkSafeLock()
    _of_parents: ClassVar[list[Any]] = []

    def __init__(self, path: str, subdir: bool, map_size: int) -> None:
        self.env: Any = None
        self._path = path
        self._subdir = subdir
        self._file = os.path.join(path, "data.mdb") if subdir else path
        self._map_size = map_size
        self.is_writable = False
        self._users = 0
        self._is_stranded = False
        self.active: list[None] = []
        """An item for each operation that is under way."""
        self.wanted = False
        """Whether somebody waits for the end of them: then none begins."""
        self._lock = ForkSafeLock()
        self._look_at = 0.0
        self._room = 0
        self._file_id: tuple[int, int] | None = None

    @classmethod
    def of(cls, path: str, subdir: bool, map_size: int) -> Environment:
        """Return the environment of a path, for one more store."""
        real = os.path.realpath(path)
        with cls._making:
            found = cls._all.get(real)
            if found is None:
                found = cls._all[real] = cls(path, subdir, map_size)
            elif found.env is not None and found._is_elsewhere():
                found.mend(Elsewhere())
            found._users += 1
            return found

    @classmethod
    def all(cls) -> list[Environment]:
        # other threads make more meanwhile, which values() would not stand
        return [each for each in (ref() for ref in cls._all.valuerefs()) if each is not None]

    def release(self) -> None:
        """Close it, if it was the last store that used it."""
        with self._making:
            self._users -= 1
            if self._users == 0 and self.env is not None:
                with self._alone() as alone:
                    if alone:
                        self._shut()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the environment as it is during an operation."""
        self._enter()
        try:
            yield
        finally:
            self.active.pop()

    def _enter(self) -> None:
        self.active.append(None)
        while self.wanted:
            self.active.pop()
            with self._lock:
                pass
            self.active.append(None)

    def opened(self, writing: bool) -> Any:
        """Return the environment within an operation; ``None`` if there is no database."""
        env = self.env
        if env is not None and (self.is_writable or not writing):
            return env
        if self._is_stranded:
            raise NotShareableError(
                f"{self._path} was in use when this process was forked, and cannot be used in it; "
                "fork when no operation is under way, or start processes by spawn",
                store=f"lmdb://{self._path}",
            )
        self.active.pop()
        try:
            with self._alone() as alone:
                if alone and (self.env is None or (writing and not self.is_writable)):
                    self._open(writing)
        finally:
            self._enter()
        if self.env is None and (writing or os.path.exists(self._file)):
            raise BackendError(f"{self._path} is in use", errno=errno.EAGAIN)
        return self.env

    def _open(self, writing: bool) -> None:
        folder = self._path if self._subdir else os.path.dirname(self._path)
        try:
            size = os.stat(self._file).st_size
        except (FileNotFoundError, NotADirectoryError):
            size = 0
            if not writing:
                return
        may_write = writing or (os.access(self._file, os.W_OK) and os.access(folder, os.W_OK))
        self._shut()
        if 0 < size < self._map_size:
            self._check_size(size)
        self.env = lmdb.open(
            self._path,
            # a smaller file would cut off what other processes have mapped
            map_size=max(self._map_size, size if _WRITES_TO_MAP else 0),
            subdir=self._subdir,
            readonly=not may_write,
            lock=may_write or os.access(folder, os.W_OK),
            create=writing,
            meminit=False,
            writemap=_WRITES_TO_MAP and may_write,
            metasync=False,
            sync=False,
            map_async=False,
            max_readers=_READERS,
            max_spare_txns=os.cpu_count() or 1,
        )
        self.is_writable = may_write
        self._file_id = self._there()
        if may_write:
            self.env.reader_check()  # of processes that were killed

    def _check_size(self, size: int) -> None:
        """Raise if the file is cut: to touch what is missing would end the process.

        To open it for writing would fill it up with zeros.
        """
        looked = lmdb.open(self._path, subdir=self._subdir, readonly=True, lock=False, create=False)
        try:
            needed = (looked.info()["last_pgno"] + 1) * looked.stat()["psize"]
        finally:
            looked.close()
        if size < needed:
            raise lmdb.CorruptedError(f"the file is cut: it has {size} of {needed} bytes")

    def _shut(self) -> None:
        env, self.env, self.is_writable = self.env, None, False
        if env is not None:
            env.close()

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._file)
        except OSError:  # which opening it tells
            return None
        return found.st_dev, found.st_ino

    def _is_elsewhere(self) -> bool:
        """Tell whether the file was deleted or replaced: what is written to it would be lost."""
        return self._there() != self._file_id

    def mend(self, error: Exception) -> bool:
        """Do away with what made a transaction fail; tell whether that could be done.

        Outside of an operation.
        """
        if isinstance(error, lmdb.ReadersFullError):
            with self.used():
                freed = 0 if self.env is None else self.env.reader_check()
            if not freed:  # by processes that were killed: so some may end
                sleep(_PAUSE)
            return True
        with self._alone() as alone:
            if alone and self.env is not None:
                if isinstance(error, Elsewhere):
                    self._shut()
                else:  # full, or another process gave it another size
                    is_full = isinstance(error, lmdb.MapFullError)
                    self.env.set_mapsize(2 * self.env.info()["map_size"] if is_full else 0)
                    self._room = 0
            return alone

    def check_place(self, nbytes: int, key: str) -> None:
        """Raise if a change may not fit on the disk: the kernel would end the process instead.

        `Elsewhere` if the file is at its path no more.
        """
        now = monotonic()
        if now > self._look_at or self._room < nbytes:
            if self._is_elsewhere():
                raise Elsewhere
            there = os.statvfs(os.path.dirname(self._file))
            self._look_at, self._room = now + _LOOK, there.f_bavail * there.f_frsize - _MARGIN
            if self._room < nbytes + _MARGIN:
                full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise_backend_error(full, "write", f"lmdb://{self._path}", key)
        self._room -= 2 * nbytes + 2**16

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Wait until no operation is under way, and let none begin; tell whether that is so."""
        with self._lock:
            outer, self.wanted = self.wanted, True
            try:
                until = monotonic() + _PATIENCE
                while self.active and monotonic() < until:
                    sleep(0.0002)
                yield not self.active
            finally:
                self.wanted = outer

    def _before_fork(self, until: float) -> None:
        self._lock.__enter__()
        self.wanted = True
        while self.active and monotonic() < until:
            sleep(0.0002)
        if not self.active:
            self._shut()

    def _after_fork_in_parent(self) -> None:
        self.wanted = False
        self._lock.__exit__()

    def _after_fork_in_child(self) -> None:
        self.wanted = False
        self.active = []
        if self.env is not None:  # in use, or opened just now
            self._of_parents.append(self.env)  # to close it would end what the parent reads
            self.env, self.is_writable, self._is_stranded = None, False, True


_forked: list[Environment] = []


def _before_fork() -> None:
    """Close what is open: LMDB does not go through a fork. Who needs it opens it again."""
    until = monotonic() + _LONGEST_OPERATION
    _forked.extend(Environment.all())
    for environment in _forked:
        environment._before_fork(until)


def _after_fork_in_parent() -> None:
    while _forked:
        _forked.pop()._after_fork_in_parent()


def _after_fork_in_child() -> None:
    _forked.clear()
    for environment in Environment.all():  # there may be some that were made meanwhile
        environment._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
