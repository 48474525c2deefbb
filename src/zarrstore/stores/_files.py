"""What stores over local files share: temporary names, locks, errors, syncing to the disk."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from zarrstore.errors import AccessDeniedError, BackendError, UnsupportedOperationError
from zarrstore.runtime import ForkSafeLock

__all__ = [
    "FileLock",
    "is_temporary",
    "pread",
    "raise_backend_error",
    "read_into",
    "refuse_temporary",
    "sync_directory",
    "temporary_name",
    "write_all",
    "write_file",
]

_BY_DESCRIPTOR = os.utime in os.supports_fd
_TEMPORARY = re.compile(r"(?:\A|/)\.zarrstore-[0-9a-f]{16}\.partial(?:/|\Z)").search
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and write again",
    errno.EDQUOT: "the disk quota is used up; free some space and write again",
    errno.EFBIG: "the value is larger than a file may be here; write smaller chunks",
    errno.EMFILE: "this process has too many open files; close some, or raise its limit",
    errno.ENFILE: "the system has too many open files",
    errno.ENAMETOOLONG: "the name is longer than the file system takes; use a shorter key",
    errno.ENOTDIR: "a part of the path is a file, where a directory is needed",
    errno.EISDIR: "there is a directory of that name: a key here cannot be a prefix as well",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "permission is refused; check the owner and mode of the path",
    errno.EPERM: "permission is refused; check the owner and mode of the path",
    errno.ELOOP: "a symbolic link in the store is not followed; use a store rooted at its target",
}


def temporary_name(number: int | None = None) -> str:
    """Return a file name, of one length, that `is_temporary` knows: that of a number, or fresh."""
    return f".zarrstore-{secrets.randbits(64) if number is None else number:016x}.partial"


def is_temporary(path: str) -> bool:
    """Tell whether a file name, or any segment of a key, is that of a temporary file."""
    return ".partial" in path and _TEMPORARY(path) is not None


def refuse_temporary(key: str, store: str) -> None:
    """Raise if a key to be written has the name of a temporary file, which is never listed."""
    if is_temporary(key):
        raise UnsupportedOperationError(
            f"{store} keeps names like {key!r} for its temporary files; use another key",
            store=store,
            key=key,
        )


def raise_backend_error(error: OSError, action: str, store: str, key: str) -> NoReturn:
    """Raise the error of a failed system call as one of ours, with what to do about it."""
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    advice = _ADVICE.get(error.errno or 0)
    message = f"cannot {action} {key!r} in {store}: {error.strerror or error}"
    cls = AccessDeniedError if denied else BackendError
    raise cls(
        f"{message}; {advice}" if advice else message, store=store, key=key, errno=error.errno
    ) from error


def write_all(descriptor: int, value: Any) -> None:
    """Write a whole buffer to a file descriptor."""
    written = os.write(descriptor, value)
    if written < len(value):
        rest = memoryview(value)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def write_file(descriptor: int, path: str, value: Any, durable: bool) -> None:
    """Write a value to a new file that is open, and give it a time that no other write has.

    The kernel's clock ticks too slowly to tell two quick writes apart, and versions are made of
    times.
    """
    write_all(descriptor, value)
    now = time.time_ns()
    os.utime(descriptor if _BY_DESCRIPTOR else path, ns=(now, now))
    if durable:
        os.fsync(descriptor)


def read_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill a buffer from an offset of a file on; return how many bytes there were."""
    done = 0
    while done < buffer.nbytes:
        if hasattr(os, "preadv"):
            count = os.preadv(descriptor, [buffer[done:]], offset + done)
        else:
            data = pread(descriptor, buffer.nbytes - done, offset + done)
            count = len(data)
            buffer[done : done + count] = data
        if count == 0:
            break
        done += count
    return done


def _seek_and_read(descriptor: int, size: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


pread: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)
"""Read up to a number of bytes (the second argument) from an offset of a file on (the third)."""


def sync_directory(path: str) -> None:
    """Wait until a directory's entries have reached the disk."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Held:
    """The state of one directory's lock in this process."""

    __slots__ = ("__weakref__", "depth", "descriptor", "lock")

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self.depth = 0
        self.descriptor = -1


class FileLock:
    """A lock between the threads and the processes that use one directory.

    The directory itself is locked, so nothing is left behind. It must exist when the lock is
    taken. A thread that holds it may take it again.
    """

    _all: ClassVar[weakref.WeakValueDictionary[str, _Held]] = weakref.WeakValueDictionary()
    _making = ForkSafeLock()

    def __init__(self, directory: str) -> None:
        self._directory = directory
        with FileLock._making:
            held = FileLock._all.get(directory)
            if held is None:
                held = FileLock._all[directory] = _Held()
            self._held = held

    def __enter__(self) -> None:
        held = self._held
        held.lock.__enter__()
        try:
            if held.depth == 0:
                descriptor = os.open(self._directory, os.O_RDONLY)
                try:
                    _flock(descriptor, "LOCK_EX")
                except BaseException:
                    os.close(descriptor)
                    raise
                held.descriptor = descriptor
            held.depth += 1
        except BaseException:
            held.lock.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        held = self._held
        held.depth -= 1
        try:
            if held.depth == 0:
                try:
                    # closing would not unlock as long as a forked child has a copy
                    _flock(held.descriptor, "LOCK_UN")
                finally:
                    os.close(held.descriptor)
        finally:
            held.lock.__exit__()


def _flock(descriptor: int, operation: str) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, getattr(fcntl, operation))


def _after_fork_in_child() -> None:
    """Drop the child's copies of locks that threads of the parent hold."""
    for held in list(FileLock._all.values()):
        if held.depth:
            os.close(held.descriptor)
            held.depth = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
