"""`LocalStore`: a directory, one file a key; `TempStore`: one that goes with its process."""

from __future__ import annotations

import atexit
import errno
import functools
import os
import shutil
import stat as stat_module
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.keys import join
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.stores._confined import ConfinedDirectory
from zarrstore.stores._each_file import (
    CAN_OPEN_BESIDE,
    CAN_READ_INTO,
    read_each,
    read_each_into,
    write_each,
)
from zarrstore.stores._files import (
    FileLock,
    is_temporary,
    pread,
    raise_backend_error,
    read_into,
    refuse_temporary,
    sync_directory,
    temporary_name,
    write_file,
)
from zarrstore.stores._paths import absolute

__all__ = ["LocalStore", "TempStore"]

T = TypeVar("T")

_ONE_READ = 2**30
_ATTEMPTS = 100
_MISSING = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO)
)


class LocalStore(BlockingStore):
    """Keep each value in a file below a directory.

    Parameters
    ----------
    root : path-like
        The directory; made absolute now, created by the first write.
    read_only : bool, default False
    durable : bool, default False
        Whether a value has reached the disk (file, then directory) before ``set`` returns, so
        that it survives a power cut.

    Notes
    -----
    A write goes to a temporary file that is renamed: readers see the old value or the new one,
    and a killed writer leaves at most a temporary file, which is never listed and goes when its
    directory is deleted. Conditional writes hold between threads and between processes of one
    machine (``flock`` on the root); an unconditional ``set`` does not wait for them.
    Symbolic links below the root are not followed: what is behind one is not in the store.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     store = LocalStore(root)
    ...     store.sync["a/b"] = b"hello"
    ...     print((store.root / "a" / "b").read_bytes())
    b'hello'
    """

    _takes_views = True
    _delete_tells = True

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        read_only: bool = False,
        durable: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        path = os.fspath(root)
        if not isinstance(path, str):
            raise TypeError(f"root is a str or a path, not {type(root).__name__}")
        if "\x00" in path:
            raise ValueError(f"root has a NUL character: {path!r}")
        self._root = absolute(path)
        self._files = ConfinedDirectory(self._root)
        self._base = self._files.base
        self._durable = durable

    @functools.cached_property
    def _lock(self) -> FileLock:
        return FileLock(self._root)

    @property
    def root(self) -> Path:
        """The directory, absolute."""
        return Path(self._root)

    @property
    def durable(self) -> bool:
        """Whether ``set`` waits for the disk."""
        return self._durable

    @property
    def url(self) -> str:
        return f"file://{self._root}"

    def _location(self) -> dict[str, Any]:
        return {"root": self._root, "durable": self._durable}

    def _open(self, key: str) -> int | None:
        """Open a value for reading; ``None`` if it is missing."""
        if is_temporary(key):
            return None
        try:
            return self._files.open(key)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise_backend_error(error, "read", self.url, key)

    def _read_file(self, key: str, read: Callable[[int, os.stat_result], T]) -> T | None:
        """Return what a function reads from a value's file, given its descriptor and status."""
        descriptor = self._open(key)
        if descriptor is None:
            return None
        try:
            there = os.fstat(descriptor)
            if not stat_module.S_ISREG(there.st_mode):
                return None
            return read(descriptor, there)
        except OSError as error:
            raise_backend_error(error, "read", self.url, key)
        finally:
            os.close(descriptor)

    def _get(self, key: str) -> Buffer | None:
        return self._read_file(key, _read_all)

    def _get_range(self, key: str, byte_range: ByteRequest) -> Buffer | None:
        parts = self._get_ranges(key, (byte_range,))
        return None if parts is None else parts[0]

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> list[Buffer] | None:
        return self._read_file(
            key, lambda descriptor, there: _read_parts(descriptor, there.st_size, byte_ranges)
        )

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Any:
        def read(descriptor: int, there: os.stat_result) -> Versioned:
            size = there.st_size
            parts = _read_parts(descriptor, size, byte_ranges)
            if then is not None:
                parts += _read_parts(descriptor, size, then(parts, size))
            # others may write to the file itself
            if _state(os.fstat(descriptor)) != _state(there):
                raise ConflictError(
                    f"the file of {key!r} in {self.url} is written to while it is read",
                    store=self.url,
                    key=key,
                )
            return Versioned(parts, size, _version(there))

        return self._read_file(key, read)

    def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None = None
    ) -> int | None:
        def read(descriptor: int, there: os.stat_result) -> int:
            size = there.st_size
            start, stop = (0, size) if byte_range is None else resolve(byte_range, size)
            if stop - start > buffer.nbytes:
                return stop - start
            return read_into(descriptor, buffer[: stop - start], start)

        return self._read_file(key, read)

    def _get_each(self, keys: Iterable[str], receive: Receive) -> Any:
        if not CAN_OPEN_BESIDE:
            return NotImplemented
        return read_each(self._files, keys, receive, self._get)

    def _get_each_into(self, keys: Iterable[str], buffers: Iterable[memoryview]) -> Any:
        if not CAN_READ_INTO:
            return NotImplemented
        return read_each_into(self._files, keys, buffers, self._get_into)

    def _set_each(self, items: Iterable[tuple[str, Any]]) -> Any:
        if not CAN_OPEN_BESIDE:
            return NotImplemented
        return write_each(self._files, items, self._set, self._durable)

    def _look_up(self, key: str) -> os.stat_result | None:
        try:
            self._files.enter(key.rpartition("/")[0])
            if is_temporary(key):
                return None
            there = os.lstat(self._base + key)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise_backend_error(error, "look up", self.url, key)
        return there if stat_module.S_ISREG(there.st_mode) else None

    def _exists(self, key: str) -> bool:
        return self._look_up(key) is not None

    def _stat(self, key: str) -> Stat | None:
        there = self._look_up(key)
        if there is None:
            return None
        modified = datetime.fromtimestamp(there.st_mtime, UTC)
        return Stat(there.st_size, _version(there), modified)

    def _set(self, key: str, value: Any) -> Version:
        return self._write(key, value, os.replace)

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Version:
        def place(temporary: str, path: str) -> None:
            if isinstance(expect, Absent):
                self._link(temporary, path, key)
                return
            with self._lock:
                self._check_version(key, expect)
                os.replace(temporary, path)

        self._check_version(key, expect)  # a lost cause writes nothing, and makes no directory
        return self._write(key, value, place)

    def _check_version(self, key: str, expect: Version | Literal[Absent.ABSENT]) -> None:
        there = self._look_up(key)
        found = None if there is None else _version(there)
        if found != (None if isinstance(expect, Absent) else expect):
            raise self._conflict(key, expect, found)

    def _link(self, temporary: str, path: str, key: str) -> None:
        """Give a file its name unless there is one, which holds against plain writers too."""
        try:
            os.link(temporary, path)
        except FileExistsError:
            self._check_version(key, Absent.ABSENT)
            raise IsADirectoryError(errno.EISDIR, "what is there is not a value") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            with self._lock:  # no hard links here: the lock has to do
                self._check_version(key, Absent.ABSENT)
                os.rename(temporary, path)
        else:
            os.unlink(temporary)

    def _write(self, key: str, value: Any, place: Callable[[str, str], None]) -> Version:
        """Write a value to a new file beside its place, and put it there; return its version."""
        refuse_temporary(key, self.url)
        directory = key.rpartition("/")[0]
        temporary = join(directory, temporary_name())
        try:
            for _ in range(_ATTEMPTS):
                with suppress(FileNotFoundError):  # the directory was deleted meanwhile
                    version = self._write_file(temporary, value)
                    try:
                        place(self._base + temporary, self._base + key)
                    except IsADirectoryError:
                        if not self._remove_what_killed_writers_left(self._base + key):
                            raise
                        place(self._base + temporary, self._base + key)
                    break
            else:
                raise OSError(errno.ENOENT, "the directory is removed as often as it is made")
            if self._durable:
                sync_directory(self._base + directory)
        except BaseException as error:
            self._clean_up(temporary, directory)
            if isinstance(error, OSError) and not isinstance(error, ZarrStoreError):
                raise_backend_error(error, "write", self.url, key)
            raise
        return version

    def _clean_up(self, temporary: str, directory: str) -> None:
        with suppress(OSError):
            self._files.enter(directory)
            with suppress(FileNotFoundError):
                os.unlink(self._base + temporary)
            self._files.prune(directory)

    def _write_file(self, path: str, value: Any) -> Version:
        descriptor = self._files.create(path, self._durable)
        try:
            write_file(descriptor, self._base + path, value, self._durable)
            return _version(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _delete(self, key: str) -> bool:
        path = self._base + key
        directory = key.rpartition("/")[0]
        try:
            self._files.enter(directory)
            if is_temporary(key) or not stat_module.S_ISREG(os.lstat(path).st_mode):
                return False
            os.unlink(path)
            if self._durable:
                sync_directory(self._base + directory)
        except OSError as error:
            if error.errno in _MISSING:
                return False
            raise_backend_error(error, "delete", self.url, key)
        self._files.prune(directory)
        return True

    def _delete_dir(self, prefix: str) -> None:
        directory = prefix.rstrip("/")
        try:
            self._files.enter(directory)
            self._remove_below(self._base + directory)
        except OSError as error:
            if error.errno not in _MISSING:
                raise_backend_error(error, "delete", self.url, prefix)
        self._files.prune(directory)

    def _remove_what_killed_writers_left(self, directory: str) -> bool:
        """Remove a directory if there is no value below it; tell whether that is done.

        A writer that is at work there makes it anew, as it does when others delete it.
        """
        with suppress(OSError):
            self._remove_below(directory, is_temporary)
            os.rmdir(directory)
            return True
        return False

    def _remove_below(self, directory: str, only: Callable[[str], bool] = bool) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._remove_below(entry.path, only)
                    try:
                        os.rmdir(entry.path)
                    except OSError:  # a writer was there meanwhile, or a link is in it
                        continue
                elif entry.is_file(follow_symlinks=False) and only(entry.name):
                    with suppress(FileNotFoundError):
                        os.unlink(entry.path)
        if self._durable:
            sync_directory(directory)

    def _list(self, prefix: str) -> Iterator[str]:
        return self._walk(prefix, recurse=True)

    def _list_dir(self, prefix: str) -> Iterator[str]:
        return self._walk(prefix, recurse=False)

    def _has_keys(self, below: str) -> bool:
        """Tell whether there is a key below a directory that is there."""
        with suppress(OSError):  # to look for what most nodes have is quicker than to list
            if stat_module.S_ISREG(os.lstat(f"{self._base}{below}zarr.json").st_mode):
                return True
        return next(self._walk(below, recurse=True, is_there=True), None) is not None

    def _walk(self, prefix: str, recurse: bool, is_there: bool = False) -> Iterator[str]:  # noqa: C901
        """Yield keys below a prefix, or the names one level below it."""
        pending = [prefix]
        while pending:
            below = pending.pop()
            try:
                if below == prefix and not is_there:
                    self._files.enter(below[:-1])
                with os.scandir(self._base + below) as entries:
                    for entry in entries:
                        name = entry.name
                        if entry.is_file(follow_symlinks=False):
                            if not is_temporary(name):
                                yield below + name if recurse else name
                        elif entry.is_dir(follow_symlinks=False):
                            child = f"{below}{name}/"
                            if recurse:
                                pending.append(child)
                            elif self._has_keys(child):
                                yield name
            except OSError as error:
                if error.errno not in _MISSING:
                    raise_backend_error(error, "list", self.url, below)


class TempStore(LocalStore):
    """Keep each value in a file below a new temporary directory, which goes with its process.

    Parameters
    ----------
    suffix, prefix : str
        What the name of the directory ends and begins with.
    dir : path-like, optional
        The directory to make it in; by default the one for temporary files.
    read_only : bool, default False
    durable : bool, default False
        As in `LocalStore`.

    Notes
    -----
    The directory is removed by `close`, and when the process that made it ends; not by a forked
    child, nor by a store that a pickle opened. A process that is killed leaves it.

    Examples
    --------
    >>> with TempStore().sync as store:
    ...     store["a"] = b"1"
    ...     root = store.store.root
    >>> root.exists()
    False
    """

    _remove: Callable[[], None] | None = None

    def __init__(
        self,
        suffix: str = "",
        prefix: str = "zarr",
        dir: str | os.PathLike[str] | None = None,
        *,
        read_only: bool = False,
        durable: bool = False,
    ) -> None:
        place = tempfile.gettempdir() if dir is None else os.path.abspath(dir)
        try:
            root = tempfile.mkdtemp(suffix, prefix, place)
        except OSError as error:
            raise_backend_error(error, "make", f"file://{place}", prefix)
        super().__init__(root, read_only=read_only, durable=durable)
        self._remove = functools.partial(_remove, root, os.getpid())
        atexit.register(self._remove)

    def _close(self) -> None:
        if self._remove is not None:
            atexit.unregister(self._remove)
            self._remove()

    def __reduce__(self) -> tuple[Any, ...]:
        target: Any = self._view_of or self
        return _reopened, (self._root, self._durable, self._read_only, target._read_only)


def _remove(root: str, pid: int) -> None:
    if pid == os.getpid():
        shutil.rmtree(root, ignore_errors=True)


def _reopened(root: str, durable: bool, read_only: bool, base: bool) -> TempStore:
    """Return a store over the directory of another one, which it leaves there."""
    store = TempStore.__new__(TempStore)
    LocalStore.__init__(store, root, read_only=base, durable=durable)
    return store if read_only == base else store.with_read_only(read_only)


def _version(there: os.stat_result) -> Version:
    return f"{there.st_mtime_ns:x}-{there.st_ino:x}-{there.st_size:x}"


def _state(there: os.stat_result) -> tuple[int, int]:
    return there.st_mtime_ns, there.st_size


def _read(descriptor: int, offset: int, size: int) -> Buffer:
    data = pread(descriptor, min(size, _ONE_READ), offset) if size else b""
    if len(data) == size:
        return data
    value = bytearray(size)  # beyond what one system call reads, or cut meanwhile
    value[: len(data)] = data
    rest = memoryview(value)[len(data) :]
    count = read_into(descriptor, rest, offset + len(data)) if data else 0
    return memoryview(value)[: len(data) + count].toreadonly()


def _read_all(descriptor: int, there: os.stat_result) -> Buffer:
    return _read(descriptor, 0, there.st_size)


def _read_parts(descriptor: int, size: int, byte_ranges: Iterable[ByteRequest]) -> list[Buffer]:
    spans = (resolve(byte_range, size) for byte_range in byte_ranges)
    return [_read(descriptor, start, stop - start) for start, stop in spans]
