"""Many small files one after the other, with as few system calls as they take."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from zarrstore.operations import Buffer
from zarrstore.stores._confined import ConfinedDirectory
from zarrstore.stores._files import is_temporary, read_into, temporary_name, write_file

__all__ = ["CAN_OPEN_BESIDE", "CAN_READ_INTO", "read_each", "read_each_into", "write_each"]

CAN_OPEN_BESIDE = {os.open, os.rename, os.unlink} <= os.supports_dir_fd and (
    os.utime in os.supports_fd
)
"""Whether a file can be opened by its name in a directory that is open already."""
CAN_READ_INTO = CAN_OPEN_BESIDE and hasattr(os, "preadv")
"""Whether a file can be read into a buffer."""

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_numbers = itertools.count(secrets.randbits(64))
"""For temporary names. One that is taken, in a forked child perhaps, is an error like others."""
_SCRATCH = 2**18
_LARGEST_SCRATCH = 2**23


class _Scratch(threading.local):
    """A buffer of this thread, so that what is read lands in memory that the processor has near.

    To read straight to where the data belongs takes twice as long, copying from here included.
    """

    view: memoryview | None = None

    def take(self) -> memoryview:
        """Return the buffer, which is then nobody else's: one reading may be within another."""
        view, self.view = self.view, None
        return memoryview(bytearray(_SCRATCH)) if view is None else view

    def give_back(self, view: memoryview) -> None:
        if view.nbytes <= _LARGEST_SCRATCH:
            self.view = view


_scratch = _Scratch()


class _Beside:
    """The directory of the files that are used just now, which is kept open.

    Not for the first file in it where the directory before it had one file only.
    """

    def __init__(self, open_directory: Callable[[str], int]) -> None:
        self._open = open_directory
        self._directory: str | None = None
        self._descriptor: int | None = None
        self._has_several = True

    def of(self, directory: str) -> int | None:
        """Return the descriptor of a directory; ``None`` for a file to be opened by its path."""
        if directory != self._directory:
            self._has_several, several = False, self._has_several
            self.leave()
            self._directory = directory
            if several:
                self._descriptor = self._open(directory)
        else:
            self._has_several = True
            if self._descriptor is None:
                self._descriptor = self._open(directory)
        return self._descriptor

    def leave(self) -> None:
        descriptor, self._descriptor, self._directory = self._descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)


def read_each(
    files: ConfinedDirectory,
    keys: Iterable[str],
    receive: Callable[[int, Buffer | None], object],
    read_alone: Callable[[str], Buffer | None],
) -> None:
    """Read values in turn; what fails is read again alone, which tells why.

    Several are read before they are received: between system calls the processor runs other
    code at half its speed.
    """
    beside = _Beside(files.open_directory)
    found: list[Buffer | None] = []
    received = used = 0
    room = _scratch.take()

    def hand_over() -> None:
        nonlocal received, used
        for value in found:
            receive(received, value)
            received += 1
        found.clear()
        used = 0

    try:
        for key in keys:
            directory, _, name = key.rpartition("/")
            try:
                at = beside.of(directory)
                descriptor = files.open(key) if at is None else os.open(name, _READ, dir_fd=at)
            except OSError:
                found.append(read_alone(key))
                continue
            try:
                there = os.fstat(descriptor)
                if is_temporary(key) or not stat.S_ISREG(there.st_mode):
                    found.append(None)
                    continue
                size = there.st_size
                if used + size > room.nbytes:
                    hand_over()
                    if size > room.nbytes:
                        room = memoryview(bytearray(size))
                target = room[used : used + size]
                try:
                    done = read_into(descriptor, target, 0)
                except OSError:
                    found.append(read_alone(key))
                    continue
            finally:
                os.close(descriptor)
            found.append(target[:done].toreadonly())
            used += done
        hand_over()
    finally:
        beside.leave()
        _scratch.give_back(room)


def read_each_into(
    files: ConfinedDirectory,
    keys: Iterable[str],
    buffers: Iterable[memoryview],
    read_alone: Callable[[str, memoryview], int | None],
) -> list[int | None]:
    """Read values in turn, each into a buffer; what is unusual is read alone, which tells why."""
    beside = _Beside(files.open_directory)
    sizes: list[int | None] = []
    try:
        for key, buffer in zip(keys, buffers, strict=True):
            try:
                size = _read_into(files, beside, key, buffer)
            except OSError:
                size = None
            sizes.append(read_alone(key, buffer) if size is None else size)
    finally:
        beside.leave()
    return sizes


def _read_into(
    files: ConfinedDirectory, beside: _Beside, key: str, buffer: memoryview
) -> int | None:
    """Read a file that fits into a buffer; return its size, ``None`` if that is not simple.

    Raises
    ------
    OSError
        The same: it is missing, or no file of bytes.
    """
    directory, _, name = key.rpartition("/")
    at = beside.of(directory)
    descriptor = files.open(key) if at is None else os.open(name, _READ, dir_fd=at)
    try:
        # a pipe cannot seek, and a directory cannot be read
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size > buffer.nbytes or is_temporary(key):
            return None
        done = os.preadv(descriptor, (buffer[:size],), 0)
    finally:
        os.close(descriptor)
    return size if done == size else None


def write_each(
    files: ConfinedDirectory,
    items: Iterable[tuple[str, Any]],
    write_alone: Callable[[str, Any], object],
    durable: bool,
) -> None:
    """Write values in turn; what fails is written again alone, which tells why."""
    beside = _Beside(files.open_directory)
    temporary = temporary_name(next(_numbers) % 2**64)
    try:
        for key, value in items:
            directory, _, name = key.rpartition("/")
            try:
                at = beside.of(directory)
                if at is not None and not is_temporary(key):
                    _write(at, name, temporary, value, durable)
                    continue
            except OSError:
                beside.leave()
            write_alone(key, value)
    finally:
        beside.leave()


def _write(beside: int, name: str, temporary: str, value: Any, durable: bool) -> None:
    """Write a value to a new file in an open directory, and put it in its place.

    Raises
    ------
    OSError
        If that did not work; nothing is left behind.
    """
    descriptor = os.open(temporary, _CREATE, 0o666, dir_fd=beside)
    try:
        try:
            write_file(descriptor, temporary, value, durable)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=beside, dst_dir_fd=beside)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=beside)
        raise
    if durable:
        os.fsync(beside)
