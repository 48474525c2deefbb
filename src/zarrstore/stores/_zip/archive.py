"""A zip archive that is read, written beside its place, and published whole."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat as stat_module
import warnings
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    ConflictError,
    NotShareableError,
    StoreClosedError,
    ZarrStoreError,
)
from zarrstore.runtime import ForkSafeLock
from zarrstore.stores._files import raise_backend_error, sync_directory
from zarrstore.stores._zip.codecs import compress
from zarrstore.stores._zip.entry import Entry
from zarrstore.stores._zip.format import local_header
from zarrstore.stores._zip.index import Index, read_index
from zarrstore.stores._zip.part import (
    Part,
    copy_entries,
    copy_preamble,
    identity,
    name_new,
    state_of,
)
from zarrstore.stores._zip.sources import FileSource, Source, StoredFile, StoreSource, source_of

__all__ = ["Archive"]

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ |= getattr(os, "O_NONBLOCK", 0)
_PIECE = 2**20
_DEAD_PART = 10
"""An archive with less than one part in so many of dead space need not be written again."""


class MissingArchiveError(BackendError, FileNotFoundError):
    """There is no archive where one has to be."""


class ArchiveExistsError(BackendError, FileExistsError):
    """There is an archive where none may be."""


class Archive:
    """The state behind a `ZipStore`, shared with its views.

    Parameters
    ----------
    target : str, StoredFile or binary file object
        An absolute path, a value of a store, or an open file.
    mode : str
        ``r``, ``r+``, ``a``, ``w`` or ``x``.
    url : str
    compression : int
    level : int, optional
    durable : bool
    """

    def __init__(
        self,
        target: Any,
        mode: str,
        url: str,
        *,
        compression: int,
        level: int | None,
        durable: bool,
    ) -> None:
        self.target = target
        self.url = url
        self._path = target if isinstance(target, str) else None
        self._mode = mode
        self._compression, self._level = compression, level
        self._durable = durable
        self._pid = os.getpid()
        self._lock = ForkSafeLock()
        self._index: Index | None = None
        self._source: Source | None = None
        self._sorted: list[str] | None = None
        self._state: tuple[int, ...] | None = None
        self._part: Part | None = None
        self._changed = False
        self._failed = False
        self._closed = False
        self._writer = secrets.token_hex(4)
        self._counter = itertools.count(1)

    @property
    def entries(self) -> dict[str, Entry]:
        """The entries by key. Read without a lock, changed under it."""
        index = self._index
        return self._opened().entries if index is None else index.entries

    def keys_below(self, prefix: str) -> tuple[list[str], int, int]:
        """Return all keys, sorted, and between which indices those below a prefix are."""
        keys = self._sorted
        if keys is None:
            with self._lock:
                keys = self._sorted = sorted(self.entries)
        if not prefix:
            return keys, 0, len(keys)
        # "0" is the character after "/"
        return keys, bisect_left(keys, prefix), bisect_left(keys, prefix[:-1] + "0")

    def read_many(self, keys: list[str], largest: int) -> list[Any]:
        """Return the values of many keys, read together; ``None`` for what is missing."""
        found = map(self.entries.get, dict.fromkeys(keys))
        spans = [(entry, entry.whole_span(largest)) for entry in found if entry is not None]
        together = [(entry, span) for entry, span in spans if span is not None]
        values = {entry.key: entry.read(largest) for entry, span in spans if span is None}
        if together:
            blocks = together[0][0].source.read_many([span for _, span in together])
            for (entry, _), block in zip(together, blocks, strict=True):
                values[entry.key] = entry.take(block)
        return [values.get(key) for key in keys]

    def _opened(self) -> Index:
        with self._lock:
            if self._index is not None:
                return self._index
            if self._closed:
                raise self._closed_error()
            if self._mode in ("w", "x"):
                self.check_process()
            try:
                self._index = index = self._load()
                if self._mode in ("w", "x"):
                    self._begin()
                    self._changed = True
            except BaseException as error:
                self._index, self._failed = None, True
                if isinstance(error, OSError) and not isinstance(error, ZarrStoreError):
                    self._fail("open", error)
                raise
            self._failed = False
            return index

    def _load(self) -> Index:
        self._sorted = None
        if self._path is not None:
            self._path = os.path.realpath(self._path)  # a link to an archive stays a link
        self._source = source = self._find()
        if source is None or self._mode == "w":
            return Index()
        return read_index(source)

    def _find(self) -> Source | None:
        """Return the bytes of the archive that is there; ``None`` if a new one begins."""
        must = self._mode in ("r", "r+")
        source: Source | None
        if isinstance(self.target, StoredFile):
            there = self.target.store.sync.stat(self.target.key)
            if there is None:
                raise self._missing()
            return StoreSource(self.target, there.size)
        if self._path is None:
            source = None if self._mode == "w" else source_of(self.target, self.url)
        else:
            source = self._find_file(self._path, must)
        return source if source is not None and (source.size or must) else None

    def _find_file(self, path: str, must: bool) -> FileSource | None:
        try:
            source = FileSource(os.open(path, _READ), self.url)
        except FileNotFoundError:
            self._state = None
            if must:
                raise self._missing() from None
            return None
        there = os.fstat(source.descriptor)
        if not stat_module.S_ISREG(there.st_mode):
            raise IsADirectoryError(errno.EINVAL, "it is not a file")
        if self._mode == "x":
            raise ArchiveExistsError(
                f"{self.url} exists, and mode='x' creates it; use mode='a' to add to it",
                store=self.url,
                errno=errno.EEXIST,
            )
        self._state = identity(there)
        return source

    def _fail(self, action: str, error: OSError) -> NoReturn:
        """Raise the error of a system call on the archive as a whole."""
        try:
            raise_backend_error(error, action, self.url, "")
        except BackendError as ours:
            text = str(ours).replace(" '' in ", " ", 1)
            raise type(ours)(text, store=self.url, errno=error.errno) from error

    def _missing(self) -> MissingArchiveError:
        return MissingArchiveError(
            f"there is no archive {self.url}; mode='a' creates one",
            store=self.url,
            errno=errno.ENOENT,
        )

    def _closed_error(self) -> StoreClosedError:
        return StoreClosedError(f"{self.url} is closed; open it again", store=self.url)

    def check_process(self) -> None:
        """Raise in a forked child, which must not write what its parent is writing."""
        if self._pid != os.getpid():
            raise NotShareableError(
                f"{self.url} is written by the process that opened it (pid {self._pid}); a "
                "change made in a forked child would be lost: write it there, or use a store "
                "that processes share, such as LocalStore",
                store=self.url,
            )

    def _begin(self) -> Part:
        """Become the only writer. Called under the lock, with the archive open."""
        if self._part is not None:
            return self._part
        if self._closed:
            raise self._closed_error()
        try:
            if self._path is None:
                self._part = self._begin_anew()
                return self._part
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            part = Part.beside(self._path, self.url)
        except OSError as error:
            self._fail("write beside", error)
        try:
            if state_of(self._path) != self._state:
                self._index = self._load()  # another writer came and went
        except BaseException:
            self._index = None  # what is known is not what is there: look again at next use
            part.discard()
            raise
        self._part = part
        return part

    def _begin_anew(self) -> Part:
        """Take the content of a file object away, before it is written over."""
        part = Part.nameless(self.url)
        index, source = self._index, self._source
        if index is not None and source is not None and source.size:
            part.copy(source, 0, index.end)
            for entry in index.entries.values():
                entry.source = part.source
        return part

    def put(
        self, key: str, value: Any, check: Callable[[Entry | None], object] | None = None
    ) -> str:
        """Write a value; return its version.

        ``check`` is called under the lock with the entry that is there, before the write.
        """
        self.check_process()
        crc, size = zlib.crc32(value), len(value)
        method, flags, packed = compress(value, self._compression, self._level)
        head, record = local_header(key, method, flags, crc, len(packed), size)
        with self._lock:
            self._opened()
            part = self._begin()
            entries = self.entries
            there = entries.get(key)
            if check is not None:
                check(there)
            try:
                at = part.append(head, packed)
            except OSError as error:
                raise_backend_error(error, "write", self.url, key)
            version = f"{self._writer}.{next(self._counter):x}"
            numbers = method, flags, crc, len(packed), size
            entry = Entry(key, part.source, record, numbers, at, at + len(head), version)
            entry.limit = part.end
            entries[key] = entry
            if there is None:
                self._sorted = None
            self._changed = True
        return version

    def drop(self, keys: Iterable[str]) -> None:
        """Delete entries."""
        self.check_process()
        with self._lock:
            there = [key for key in keys if key in self.entries]
            if not there:
                return
            self._begin()
            for key in there:
                self.entries.pop(key, None)
            self._sorted = None
            self._changed = True

    def publish(self) -> None:
        """Put the archive with every change in its place, at once.

        Raises
        ------
        ConflictError
            If something else changed it; the new values are kept in a file of their own.
        BackendError
            If it cannot be written; nothing has changed, and it may be tried again.
        """
        with self._lock:
            part, index = self._part, self._index
            if part is None:
                return
            self.check_process()
            if self._changed and index is not None:
                try:
                    self._replace(part, index)
                except ConflictError:
                    raise self._lost_race() from None
                except OSError as error:
                    if isinstance(error, ZarrStoreError):
                        raise
                    raise self._unpublished(error) from error
                self._mode = "a" if self._mode in ("w", "x") else self._mode
            self._changed = False
            self._part = None
            part.discard()
            if self._durable and self._path is not None:
                try:
                    sync_directory(os.path.dirname(self._path))
                except OSError as error:
                    self._fail("sync the folder of", error)

    def _replace(self, part: Part, index: Index) -> None:
        self._check_state()
        if self._is_whole(part, index):
            part.finish(index.entries.values(), index.comment, self._durable)
            self._deliver(part)
            index.end = part.end
            return
        image, new = self._compacted(part, index)
        try:
            self._deliver(image)
        except BaseException:
            image.discard()
            raise
        self._index = new

    def _check_state(self) -> None:
        if self._path is not None and state_of(self._path) != self._state:
            raise ConflictError(f"{self.url} was changed meanwhile", store=self.url)

    def _is_whole(self, part: Part, index: Index) -> bool:
        """Tell whether the part holds every entry, and little besides."""
        if index.preamble and self._path is not None:
            return False
        live = index.preamble
        for entry in index.entries.values():
            if entry.source is not part.source:
                return False
            live += entry.limit - entry.header
        return (part.end - live) * _DEAD_PART <= part.end

    def _compacted(self, part: Part, index: Index) -> tuple[Part, Index]:
        """Write all that is live to a new file, as it is; return that, and its index."""
        image = part.sibling()
        new = Index()
        new.comment = index.comment
        try:
            before = self._source if self._path is not None else part.source
            if before is not None and index.preamble:
                new.preamble = copy_preamble(image, before, index.preamble)
            groups: dict[int, list[Entry]] = {}
            for entry in index.entries.values():
                groups.setdefault(id(entry.source), []).append(entry)
            for group in groups.values():
                copy_entries(image, sorted(group, key=lambda entry: entry.header), new.entries)
            new.end = image.end
            image.finish(new.entries.values(), new.comment, self._durable)
        except BaseException:
            image.discard()
            raise
        return image, new

    def _deliver(self, image: Part) -> None:
        """Put a finished archive in its place."""
        if self._path is None or image.path is None:
            self._pour(image)
        else:
            self._check_state()
            if self._state is None:
                name_new(image.path, self._path, self.url)
            else:
                os.chmod(image.path, stat_module.S_IMODE(os.stat(self._path).st_mode))
                os.replace(image.path, self._path)
            image.path = None
            self._state = identity(os.fstat(image.source.descriptor))
        self._source = image.source

    def _pour(self, image: Part) -> None:
        """Write a finished archive over the file object."""
        size = os.fstat(image.source.descriptor).st_size
        try:
            self.target.seek(0)
            for start in range(0, size, _PIECE):
                piece = memoryview(image.source.read(start, min(_PIECE, size - start)))
                while piece:
                    piece = piece[self.target.write(piece) :]
            self.target.truncate()
            self.target.flush()
            if self._durable:
                with contextlib.suppress(AttributeError, NotImplementedError):
                    os.fsync(self.target.fileno())
        except ValueError as error:
            raise OSError(errno.EBADF, str(error)) from error

    def _unpublished(self, error: OSError) -> BackendError:
        """Make the error of a write that can be tried again: nothing is lost yet."""
        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return (AccessDeniedError if denied else BackendError)(
            f"cannot write {self.url}: {error.strerror or error}; "
            + ("free some space, then " if full else "mend that, then ")
            + "close the store again: its values are kept until then, and "
            + ("the archive that was there is as it was" if self._path else "the file may be cut"),
            store=self.url,
            errno=error.errno,
        )

    def _lost_race(self) -> ConflictError:
        """Save what was written under another name, and make the error that says so."""
        kept = self.rescue()
        return ConflictError(
            f"{self.url} was changed by another program since it was opened, and was left as it "
            + ("is" if kept is None else f"is; the values written here are in {kept}")
            + ": open it again and apply the changes to what is there now",
            store=self.url,
        )

    def rescue(self) -> str | None:
        """Keep the new values in an archive of their own; return its path."""
        part, index = self._part, self._index
        self._part, self._index, self._sorted, self._changed = None, None, None, False
        self._mode = "a" if self._mode in ("w", "x") else self._mode
        if part is None or index is None:
            return None
        mine = [entry for entry in index.entries.values() if entry.source is part.source]
        if part.path is None or not mine:
            part.discard()
            return None
        with contextlib.suppress(OSError):  # without its directory it can still be repaired
            part.finish(mine, b"")
        kept = f"{self._path}.unsaved-{secrets.token_hex(4)}.zip"
        os.rename(part.path, kept)
        part.path = None
        part.release()
        return kept

    def close(self) -> None:
        """Publish, and let go of everything. After a `BackendError` it can be closed again."""
        try:
            if self._pid == os.getpid():
                if self._mode in ("w", "x") and self._index is None and not self._failed:
                    self._opened()  # an archive is made even if nothing is written
                self.publish()
        except ConflictError:
            self._end()
            raise
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            self._index = self._source = self._sorted = self._part = None

    def forgotten(self) -> None:
        """Complete the archive of a store that nobody closed."""
        if self._pid != os.getpid() or self._part is None:
            return
        changed = self._changed
        what = "what was written is in the archive"
        try:
            self.publish()
        except ConflictError as error:
            what = str(error)
        except ZarrStoreError as error:
            kept = self.rescue()
            what = f"{error}; the values are in {kept}" if kept else f"{error}; they are lost"
        self._end()
        if changed:
            warnings.warn(
                f"a ZipStore over {self.url} was not closed; {what}",
                ResourceWarning,
                stacklevel=2,
            )
