"""An archive under construction, beside the one that it will replace."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable
from typing import Any, ClassVar

from zarrstore.errors import ConflictError, CorruptDataError
from zarrstore.stores._files import temporary_name, write_all
from zarrstore.stores._zip.entry import Entry
from zarrstore.stores._zip.format import LOCAL_MARK
from zarrstore.stores._zip.index import directory
from zarrstore.stores._zip.sources import FileSource, Source

__all__ = ["Part", "copy_entries", "copy_preamble", "identity", "name_new", "state_of"]

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_RDWR | _FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = _WRITE | os.O_CREAT | os.O_EXCL
_PIECE = 2**20
_SMALL = 64 * 1024
_LARGEST_GAP = 64 * 1024


class Part:
    """A file that grows by entries until it is an archive.

    Parameters
    ----------
    path : str, optional
        The file, until it gets another name; none if it has no name.
    descriptor : int
    url : str
        Of the archive.
    lock : int, default -1
        A descriptor that holds the lock of the only writer.
    """

    _all: ClassVar[weakref.WeakSet[Part]] = weakref.WeakSet()

    def __init__(self, path: str | None, descriptor: int, url: str, lock: int = -1) -> None:
        self.path = path
        self.source = FileSource(descriptor, url)
        self.end = 0
        self._lock = lock
        Part._all.add(self)

    @classmethod
    def beside(cls, path: str, url: str) -> Part:
        """Make the file that the one writer of an archive has.

        Its name follows from that of the archive, so what a killed writer left is found and
        removed by the next one; the system drops the lock of a killed writer.

        Raises
        ------
        ConflictError
            If there is a writer.
        """
        folder, name = os.path.split(path)
        partial = os.path.join(folder, _named_after(name))
        lock = _only_writer(partial, url)
        if lock is None:
            return cls.unlocked(folder, url)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, _named_after(os.path.basename(partial))))
            # the lock has a descriptor of its own, which a forked child closes
            return cls(partial, os.open(partial, _WRITE), url, lock)
        except BaseException:
            os.unlink(partial)
            os.close(lock)
            raise

    @classmethod
    def unlocked(cls, folder: str, url: str) -> Part:
        """Make a file in a folder, under a fresh name."""
        path = os.path.join(folder, temporary_name())
        return cls(path, os.open(path, _CREATE, 0o666), url)

    @classmethod
    def nameless(cls, url: str) -> Part:
        """Make a file that goes with its last reader."""
        with tempfile.TemporaryFile() as file:
            return cls(None, os.dup(file.fileno()), url)

    def sibling(self) -> Part:
        """Make another file like this, which is found and removed in the same way."""
        url = self.source.url
        if self.path is None:
            return Part.nameless(url)
        folder, name = os.path.split(self.path)
        if self._lock < 0:
            return Part.unlocked(folder, url)
        path = os.path.join(folder, _named_after(name))
        return Part(path, os.open(path, _CREATE, 0o666), url)

    def append(self, *pieces: Any) -> int:
        """Write at the end; return where. After a failure nothing counts as written."""
        start = self.end
        size = sum(map(len, pieces))
        descriptor = self.source.descriptor
        os.lseek(descriptor, start, os.SEEK_SET)
        for piece in (b"".join(pieces),) if size <= _SMALL else pieces:
            write_all(descriptor, piece)
        self.end = start + size
        return start

    def copy(self, source: Source, start: int, stop: int) -> int:
        """Append a part of another file; return where it is now."""
        at = self.end
        os.lseek(self.source.descriptor, at, os.SEEK_SET)
        for offset in range(start, stop, _PIECE):
            write_all(self.source.descriptor, source.read(offset, min(_PIECE, stop - offset)))
        self.end = at + stop - start
        return at

    def finish(self, entries: Iterable[Entry], comment: bytes, durable: bool = False) -> None:
        """Write the central directory behind the entries: the file is an archive now."""
        end = self.end
        try:
            self.append(directory(entries, end, comment))
            os.ftruncate(self.source.descriptor, self.end)
            if durable:
                os.fsync(self.source.descriptor)
        finally:
            self.end = end  # more entries may come, over the directory

    def release(self) -> None:
        """Let others write."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def discard(self) -> None:
        """Remove the file; who reads it still can."""
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.path = None
        self.release()


def _named_after(name: str) -> str:
    """Return the temporary name that belongs to a file name."""
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".zarrstore-{digest[:16]}.partial"


def _only_writer(path: str, url: str) -> int | None:
    """Create a file and lock it; ``None`` where that cannot be done.

    Raises
    ------
    ConflictError
        If another descriptor holds the lock.
    """
    if os.name != "posix":
        return None
    for _ in range(100):
        try:
            lock, fresh = _open_or_create(path)
        except FileNotFoundError:
            continue
        except OSError:  # another user's, a link: where the fault lies elsewhere it shows again
            return None
        held = _lock(lock)
        # of two that opened a file just when its writer removed it, both come here
        if held and identity(os.fstat(lock))[:2] == (state_of(path) or ())[:2]:
            if fresh:
                return lock
            os.unlink(path)  # left by a killed writer
        elif held is None and fresh:
            os.unlink(path)
        os.close(lock)
        if held is None:
            return None
        if not held:
            break
    raise ConflictError(
        f"{url} is being written by another store, in this process or another: close that one "
        "first, or open this one with mode='r'",
        store=url,
    )


def _open_or_create(path: str) -> tuple[int, bool]:
    """Return a descriptor, and whether the file is new."""
    try:
        return os.open(path, _CREATE, 0o666), True
    except FileExistsError:
        return os.open(path, _WRITE), False


def _lock(descriptor: int) -> bool | None:
    """Tell whether a file could be locked; ``None`` if its file system has no locks."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def identity(there: os.stat_result) -> tuple[int, ...]:
    """Return what tells one state of a file from another."""
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns


def state_of(path: str) -> tuple[int, ...] | None:
    """Return the identity of a file; ``None`` if there is no file."""
    try:
        return identity(os.stat(path))
    except FileNotFoundError:
        return None


def name_new(part: str, path: str, url: str) -> None:
    """Give a file a name that must be free.

    Raises
    ------
    ConflictError
        If it is not.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise ConflictError(f"{url} was made by another program meanwhile", store=url) from None
    except OSError:
        os.rename(part, path)  # no hard links here
    else:
        os.unlink(part)


def copy_preamble(image: Part, source: Source, length: int) -> int:
    """Keep a program that stands before the entries; return its length."""
    if source.read(0, min(len(LOCAL_MARK), length)) == LOCAL_MARK:
        return 0  # entries that were deleted
    image.copy(source, 0, length)
    return length


def copy_entries(image: Part, entries: list[Entry], moved: dict[str, Entry]) -> None:
    """Copy entries of one source, in their order there, in runs as long as can be."""
    run: list[tuple[Entry, int]] = []
    for number, entry in enumerate(entries):
        end = _true_end(entry)
        run.append((entry, end))
        if number + 1 < len(entries) and entries[number + 1].header == end:
            continue
        first = run[0][0]
        shift = image.copy(first.source, first.header, end) - first.header
        for there, stop in run:
            moved[there.key] = there.moved(image.source, there.header + shift, stop + shift)
        run.clear()


def _true_end(entry: Entry) -> int:
    """Return where an entry ends, without much dead space behind it."""
    if entry.limit - entry.header - entry.packed > _LARGEST_GAP:
        with contextlib.suppress(CorruptDataError):
            entry.locate()
            return min(entry.limit, entry.data + entry.packed + 24)  # a data descriptor
    return entry.limit


def _after_fork_in_child() -> None:
    for part in list(Part._all):
        part.release()  # else the lock would outlive a parent that is killed


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
