"""`LocalStore`: a directory, one file a key."""

from __future__ import annotations

import errno
import os
import secrets
import stat as stat_module
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, RangeByteRequest, resolve
from zarrstore.errors import UnsupportedOperationError
from zarrstore.operations import Absent
from zarrstore.stores._files import (
    FileLock,
    is_temporary,
    raise_backend_error,
    sync_directory,
    temporary_name,
    write_all,
)

__all__ = ["LocalStore"]

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_CREATE |= getattr(os, "O_BINARY", 0)
_SMALL = 64 * 1024
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
        self._root = os.path.abspath(path)
        self._base = os.path.join(self._root, "")
        self._durable = durable
        self._contained: dict[str, tuple[int, int]] = {}
        self._lock = FileLock(self._root)

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
        path = self._base + key
        try:
            if not self._is_contained(os.path.dirname(path)) or is_temporary(key):
                return None
            return os.open(path, _READ)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise_backend_error(error, "read", self.url, key)

    def _is_contained(self, directory: str) -> bool:
        """Tell whether a directory is below the root with no symbolic link on the way."""
        there = os.stat(directory)
        identity = there.st_dev, there.st_ino
        if self._contained.get(directory) == identity:
            return True
        path = self._root
        for name in directory[len(self._base) :].split(os.sep) if directory != path else ():
            path = os.path.join(path, name)
            if not stat_module.S_ISDIR(os.lstat(path).st_mode):
                return False
        if len(self._contained) > 10_000:
            self._contained.clear()
        self._contained[directory] = identity
        return True

    def _get(self, key: str) -> bytes | None:
        descriptor = self._open(key)
        if descriptor is None:
            return None
        try:
            data = os.read(descriptor, _SMALL)
            if 0 < len(data) < _SMALL:
                return data
            there = os.fstat(descriptor)
            if not stat_module.S_ISREG(there.st_mode):
                return None
            if not data:
                return data
            value = bytearray(there.st_size)
            value[: len(data)] = data
            size = len(data) + _read_into(descriptor, memoryview(value)[len(data) :], len(data))
            return bytes(memoryview(value)[:size])
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise_backend_error(error, "read", self.url, key)
        finally:
            os.close(descriptor)

    def _get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        parts = self._get_ranges(key, (byte_range,))
        return None if parts is None else parts[0]

    def _get_ranges(self, key: str, byte_ranges: Any) -> list[bytes] | None:
        descriptor = self._open(key)
        if descriptor is None:
            return None
        try:
            there = os.fstat(descriptor)
            if not stat_module.S_ISREG(there.st_mode):
                return None
            parts = []
            for byte_range in byte_ranges:
                start, stop = resolve(byte_range, there.st_size)
                parts.append(_read_exactly(descriptor, start, stop - start))
            return parts
        except OSError as error:
            raise_backend_error(error, "read", self.url, key)
        finally:
            os.close(descriptor)

    def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        descriptor = self._open(key)
        if descriptor is None:
            return None
        try:
            there = os.fstat(descriptor)
            if not stat_module.S_ISREG(there.st_mode):
                return None
            wanted = byte_range or RangeByteRequest(0, there.st_size)
            start, stop = resolve(wanted, there.st_size)
            if stop - start > buffer.nbytes:
                return stop - start
            return _read_into(descriptor, buffer[: stop - start], start)
        except OSError as error:
            raise_backend_error(error, "read", self.url, key)
        finally:
            os.close(descriptor)

    def _stat(self, key: str) -> Stat | None:
        path = self._base + key
        try:
            if not self._is_contained(os.path.dirname(path)) or is_temporary(key):
                return None
            there = os.lstat(path)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise_backend_error(error, "look up", self.url, key)
        if not stat_module.S_ISREG(there.st_mode):
            return None
        modified = datetime.fromtimestamp(there.st_mtime, timezone.utc)
        return Stat(there.st_size, _version(there), modified)

    def _set(self, key: str, value: Any) -> Version:
        temporary, version = self._write_temporary(key, value)
        try:
            os.replace(temporary, self._base + key)
        except OSError as error:
            _unlink(temporary)
            raise_backend_error(error, "write", self.url, key)
        self._sync_parent(key)
        return version

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Version:
        temporary, version = self._write_temporary(key, value)
        try:
            with self._lock:
                there = self._stat(key)
                found = None if there is None else there.version
                if found != (None if isinstance(expect, Absent) else expect):
                    raise self._conflict(key, expect, found)
                if isinstance(expect, Absent):
                    self._link(temporary, key)
                else:
                    os.replace(temporary, self._base + key)
        except OSError as error:
            raise_backend_error(error, "write", self.url, key)
        finally:
            _unlink(temporary)
        self._sync_parent(key)
        return version

    def _link(self, temporary: str, key: str) -> None:
        """Give a file its name unless there is one, which holds against plain writers too."""
        try:
            os.link(temporary, self._base + key)
        except FileExistsError:
            there = self._stat(key)
            raise self._conflict(key, Absent.ABSENT, there and there.version) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            os.rename(temporary, self._base + key)  # no hard links here: the lock has to do

    def _write_temporary(self, key: str, value: Any) -> tuple[str, Version]:
        """Write a value to a new file beside its place; return the file and its version."""
        if is_temporary(key):
            raise UnsupportedOperationError(
                f"{self.url} keeps names like {key!r} for its temporary files; use another key",
                store=self.url,
                key=key,
            )
        directory = os.path.dirname(self._base + key)
        temporary = os.path.join(directory, temporary_name())
        try:
            descriptor = self._create(temporary, directory, key)
            try:
                write_all(descriptor, value)
                now = time.time_ns()
                # the kernel's clock ticks too slowly to tell two quick writes apart
                os.utime(descriptor if os.utime in os.supports_fd else temporary, ns=(now, now))
                if self._durable:
                    os.fsync(descriptor)
                there = os.fstat(descriptor)
            except BaseException:
                _unlink(temporary)
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise_backend_error(error, "write", self.url, key)
        return temporary, _version(there)

    def _create(self, path: str, directory: str, key: str) -> int:
        for _ in range(100):
            try:
                if not self._is_contained(directory):
                    raise OSError(errno.ELOOP, "a symbolic link in the store is not followed")
                return os.open(path, _CREATE, 0o666)
            except FileNotFoundError:
                self._make_directory(directory)
        raise OSError(errno.ENOENT, "the directory is removed as often as it is made")

    def _make_directory(self, directory: str) -> None:
        missing = []
        while directory != self._root and not os.path.lexists(directory):
            missing.append(directory)
            directory = os.path.dirname(directory)
        if directory == self._root:
            os.makedirs(directory, exist_ok=True)
        elif not self._is_contained(directory):
            raise OSError(errno.ELOOP, "a symbolic link in the store is not followed")
        for path in reversed(missing):
            try:
                os.mkdir(path)
            except FileExistsError:
                continue
            if self._durable:
                sync_directory(os.path.dirname(path))

    def _sync_parent(self, key: str) -> None:
        if self._durable:
            try:
                sync_directory(os.path.dirname(self._base + key))
            except OSError as error:
                raise_backend_error(error, "sync", self.url, key)

    def _delete(self, key: str) -> None:
        path = self._base + key
        directory = os.path.dirname(path)
        try:
            if is_temporary(key) or not self._is_contained(directory):
                return
            if not stat_module.S_ISREG(os.lstat(path).st_mode):
                return
            os.unlink(path)
            if self._durable:
                sync_directory(directory)
        except OSError as error:
            if error.errno in _MISSING:
                return
            raise_backend_error(error, "delete", self.url, key)
        self._prune(directory)

    def _prune(self, directory: str) -> None:
        """Remove directories that are empty now, up to the root."""
        while directory != self._root:
            try:
                os.rmdir(directory)
            except OSError:
                return
            self._contained.pop(directory, None)
            directory = os.path.dirname(directory)

    def _delete_dir(self, prefix: str) -> None:
        top = os.path.join(self._root, prefix.rstrip("/"))
        try:
            if self._is_contained(os.path.normpath(top)):
                self._remove_below(top)
        except OSError as error:
            if error.errno not in _MISSING:
                raise_backend_error(error, "delete", self.url, prefix)
        if prefix:
            self._prune(os.path.normpath(top))

    def _remove_below(self, directory: str) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._remove_below(entry.path)
                    try:
                        os.rmdir(entry.path)
                    except OSError:  # a writer was there meanwhile, or a link is in it
                        continue
                elif entry.is_file(follow_symlinks=False):
                    _unlink(entry.path)
        if self._durable:
            sync_directory(directory)

    def _list(self, prefix: str) -> Iterator[str]:
        return self._walk(prefix, recurse=True)

    def _list_dir(self, prefix: str) -> Iterator[str]:
        return self._walk(prefix, recurse=False)

    def _walk(self, prefix: str, recurse: bool) -> Iterator[str]:
        """Yield keys below a prefix, or the names one level below it."""
        pending = [prefix]
        while pending:
            below = pending.pop()
            try:
                if below == prefix and not self._is_contained(
                    os.path.normpath(self._base + below)
                ):
                    return
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
                            elif next(self._walk(child, recurse=True), None) is not None:
                                yield name
            except OSError as error:
                if error.errno not in _MISSING:
                    raise_backend_error(error, "list", self.url, below)


def _version(there: os.stat_result) -> Version:
    return f"{there.st_mtime_ns:x}-{there.st_ino:x}-{there.st_size:x}"


def _read_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill a buffer from an offset on; return how many bytes there were."""
    done = 0
    while done < buffer.nbytes:
        if hasattr(os, "preadv"):
            count = os.preadv(descriptor, [buffer[done:]], offset + done)
        else:
            data = _pread(descriptor, buffer.nbytes - done, offset + done)
            count = len(data)
            buffer[done : done + count] = data
        if count == 0:
            break
        done += count
    return done


def _read_exactly(descriptor: int, offset: int, size: int) -> bytes:
    data = _pread(descriptor, size, offset) if size else b""
    if len(data) == size:
        return data
    value = bytearray(size)  # beyond what one system call reads, or cut meanwhile
    return bytes(memoryview(value)[: _read_into(descriptor, memoryview(value), offset)])


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
