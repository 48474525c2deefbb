"""`ConfinedDirectory`: files below a directory, with no symbolic link on the way to them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from zarrstore.runtime import PerProcess
from zarrstore.stores._files import sync_directory

__all__ = ["ConfinedDirectory"]

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | _FLAGS
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS


def _open_descriptors() -> int | None:
    """Open the directory in which Linux tells where each open file is."""
    try:
        return os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (AttributeError, OSError):
        return None


_descriptors = PerProcess(_open_descriptors)


class ConfinedDirectory:
    """The files below a root. Every path is relative to it, separated by ``/``; ``""`` is it.

    Parameters
    ----------
    root : str
        Absolute. May itself be, or lie behind, a symbolic link.

    Raises
    ------
    OSError
        From every method, with ``ELOOP`` where a symbolic link is on the way.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.base = os.path.join(root, "")
        self._real_base = self.base  # unless there is a link on the way to the root
        self._makes_first = True  # most new stores are written for a new node

    def open(self, path: str) -> int:
        """Open a file for reading, without waiting for a writer if it is a pipe."""
        descriptor = os.open(self.base + path, _READ)
        try:
            self._check(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open_directory(self, directory: str) -> int:
        """Open a directory, so that its files can be opened by their names."""
        descriptor = os.open(self.base + directory, _DIRECTORY)
        try:
            if directory:
                self._check(descriptor, directory)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def create(self, path: str, durable: bool = False) -> int:
        """Create a file that does not exist, with its directory, and open it for writing.

        Raises
        ------
        FileNotFoundError
            If its directory was removed as soon as it was made: try again.
        """
        directory = path.rpartition("/")[0]
        made = self._makes_first and self._make(directory, durable)
        try:
            descriptor = os.open(self.base + path, _CREATE, 0o666)
        except FileNotFoundError:
            made = self._make(directory, durable)
            descriptor = os.open(self.base + path, _CREATE, 0o666)
        # who writes chunks one directory each is spared an attempt that fails
        self._makes_first = made
        try:
            self._check(descriptor, path)
        except BaseException:
            os.close(descriptor)
            os.unlink(self.base + path)
            if made:
                os.rmdir(self.base + directory)
            raise
        return descriptor

    def _check(self, descriptor: int, path: str) -> None:
        """Raise unless an open file is where its path says.

        The system is asked where the file is, so that nothing can be changed between a check
        and its use. Where it cannot tell, the way is walked.
        """
        descriptors = _descriptors.get()
        if descriptors is not None:
            there = os.readlink(str(descriptor), dir_fd=descriptors)
            wanted = self._real_base + path
            if there == wanted or there == f"{wanted} (deleted)":  # replaced just now
                return
            self._real_base = os.path.join(os.path.realpath(self.root), "")
            if there == self._real_base + path:
                return
        self.enter(path.rpartition("/")[0])
        found, opened = os.lstat(self.base + path), os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            if stat.S_ISLNK(found.st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            # replaced since it was opened: sound if its directory is still what it was
            self.enter(path.rpartition("/")[0])

    def enter(self, directory: str) -> None:
        """Raise unless a directory is there."""
        for path in _ways(directory):
            _check_directory(self.base + path)

    def _make(self, directory: str, durable: bool) -> bool:
        """Make a directory and those above it, the root too; tell whether it was missing."""
        try:
            return self._make_one(directory, durable)
        except FileNotFoundError:
            self._make_root(durable)
            ways = list(_ways(directory))
            for way in ways[:-1]:
                self._make_one(way, durable)
                _check_directory(self.base + way)
            return self._make_one(directory, durable)

    def _make_one(self, directory: str, durable: bool) -> bool:
        path = self.base + directory
        try:
            os.mkdir(path)
        except FileExistsError:
            return False
        if durable:
            sync_directory(os.path.dirname(path))
        return True

    def _make_root(self, durable: bool) -> None:
        missing = [self.root]
        while not os.path.lexists(parent := os.path.dirname(missing[-1])):
            missing.append(parent)
        for path in reversed(missing):
            try:
                os.mkdir(path)
            except FileExistsError:
                continue
            if durable:
                sync_directory(os.path.dirname(path))

    def prune(self, directory: str) -> None:
        """Remove a directory and those above it, below the root, as far as they are empty."""
        while directory:
            try:
                os.rmdir(self.base + directory)
            except OSError:
                return
            directory = directory.rpartition("/")[0]


def _ways(directory: str) -> Iterator[str]:
    """Yield the directories on the way to one, itself last."""
    end = directory.find("/")
    while end != -1:
        yield directory[:end]
        end = directory.find("/", end + 1)
    if directory:
        yield directory


def _check_directory(path: str) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISDIR(mode):
        number = errno.ELOOP if stat.S_ISLNK(mode) else errno.ENOTDIR
        raise OSError(number, os.strerror(number))
