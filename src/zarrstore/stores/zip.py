"""`ZipStore`: a zip archive, one entry a key."""

from __future__ import annotations

import os
import weakref
import zipfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

from zarrstore.abc import BlockingStore, Stat, Store, Version
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.keys import check_key
from zarrstore.operations import Absent, Capability, operation
from zarrstore.stores._files import raise_backend_error
from zarrstore.stores._zip.archive import Archive
from zarrstore.stores._zip.entry import Entry
from zarrstore.stores._zip.sources import StoredFile
from zarrstore.sync import SyncStore

__all__ = ["ZipStore"]

_MODES = {"r": "r", "r+": "r+", "a": "a", "w": "w", "w-": "x", "x": "x"}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MAX_VALUE_SIZE = 2**32


class _SyncZip(SyncStore):
    """The blocking face of a `ZipStore`."""

    __slots__ = ()

    def flush(self) -> None:
        """Put what was written so far into the archive."""
        store: Any = self._store
        self._drive(store.flush)

    def __reduce__(self) -> tuple[Any, ...]:
        return _SyncZip, (self._store,)


class ZipStore(BlockingStore):
    """Keep each value in an entry of a zip archive.

    Parameters
    ----------
    path : path-like or binary file object
        The archive; a path is made absolute now. A file object is seekable, readable unless the
        mode is ``"w"``, writable unless it is ``"r"``; it stays the caller's to close.
    mode : {"r", "r+", "a", "w", "x", "w-"}, optional
        ``r``: read only, the archive must exist; ``r+``: it must exist; ``a``: made if missing;
        ``w``: begins empty, and takes the place of what is there when it is closed; ``x`` or
        ``w-``: must not exist. By default ``a``, or ``r`` if ``read_only`` is set or the file
        object cannot be written.
    read_only : bool, default False
        The same as mode ``r``.
    compression : int, default zipfile.ZIP_STORED
        The method for new entries, a constant of `zipfile`. Chunks are compressed already; a
        value that would not become shorter is stored.
    compresslevel : int, optional
        As in `zipfile`.
    max_value_size : int, default 4 GiB
        No compressed entry that claims more bytes is decompressed.
    durable : bool, default False
        Whether the archive has reached the disk before ``close`` and ``flush`` return.

    Raises
    ------
    CorruptDataError
        At first use, if the archive is cut or contradicts itself; the file is left as it is. On
        reading a value that fails its CRC-32.
    ConflictError
        At the first write, if another store is writing the archive; on closing, if something
        else changed it meanwhile.

    Notes
    -----
    New values go to a temporary file beside the archive, and ``close`` (or ``flush``) puts a
    whole new archive in its place: a killed writer leaves the archive that was there before.
    Overwritten and deleted entries take no space in it. A file object has no such place: the
    archive is written over it, and a kill meanwhile leaves it cut.

    Reads need no lock and may come from any number of threads. Conditional writes hold between
    the threads of this store, which is the only writer. A store that is read-only and has a path
    can be pickled; a writable one lives in its process, and a forked child may only read it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ZipStore(f"{folder}/data.zip").sync as sync:
    ...         sync["a/b"] = b"hello"
    ...     ZipStore(f"{folder}/data.zip", mode="r").sync["a/b"]
    b'hello'
    """

    _takes_views = True

    def __init__(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        mode: Literal["r", "r+", "a", "w", "x", "w-"] | None = None,
        *,
        read_only: bool = False,
        compression: int = zipfile.ZIP_STORED,
        compresslevel: int | None = None,
        max_value_size: int = _MAX_VALUE_SIZE,
        durable: bool = False,
    ) -> None:
        target = _target(path)
        if mode is None:
            mode = "r" if read_only or not _may_write(target) else "a"
        if mode not in _MODES:
            raise ValueError(f"mode is one of {', '.join(_MODES)}, not {mode!r}")
        if read_only and mode in ("w", "w-", "x"):
            raise ValueError(f"mode={mode!r} writes, and read_only=True forbids it; leave one out")
        mode = "r" if read_only else mode
        if compression not in _METHODS:
            raise ValueError(
                "compression is ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2 or ZIP_LZMA of zipfile, "
                f"not {compression!r}"
            )
        if max_value_size < 0:
            raise ValueError(f"max_value_size is 0 or more, not {max_value_size!r}")
        _check_target(target, mode)
        super().__init__(read_only=mode == "r")
        self._max_value_size = max_value_size
        self._archive = Archive(
            target,
            _MODES[mode],
            _url(target),
            compression=compression,
            level=compresslevel,
            durable=durable,
        )
        if mode != "r":
            weakref.finalize(self, self._archive.forgotten)

    @classmethod
    def from_store(
        cls,
        store: Store,
        key: str,
        *,
        max_value_size: int = _MAX_VALUE_SIZE,
        close_store: bool = False,
    ) -> ZipStore:
        """Open an archive that is a value of another store, to read it in place.

        Opening takes one request for the size and one for the end of the archive (more for a
        large one); reading a value, or a part of a stored one, takes one.

        Parameters
        ----------
        store : Store
        key : str
        max_value_size : int, default 4 GiB
        close_store : bool, default False
            Whether closing this store closes that one.

        Examples
        --------
        >>> import io
        >>> from zarrstore.stores.memory import MemoryStore
        >>> file = io.BytesIO()
        >>> with ZipStore(file).sync as sync:
        ...     sync["a"] = b"hello"
        >>> store = MemoryStore({"data.zip": file.getvalue()})
        >>> ZipStore.from_store(store, "data.zip").sync["a"]
        b'hello'
        """
        if not isinstance(store, Store):
            raise TypeError(f"store is a Store, not {type(store).__name__}; see open_store")
        place: Any = StoredFile(store, check_key(key), close_store)
        return cls(place, "r", max_value_size=max_value_size)

    @property
    def path(self) -> Path | None:
        """The archive's path, absolute; ``None`` if it is a file object or in another store."""
        target = self._archive.target
        return Path(target) if isinstance(target, str) else None

    @property
    def url(self) -> str:
        return self._archive.url

    @property
    def sync(self) -> _SyncZip:
        """The blocking face of this store, which is a mutable mapping as well."""
        return _SyncZip(self)

    def _location(self) -> dict[str, Any] | None:
        target = self._archive.target
        if not self._read_only:
            return None
        if isinstance(target, StoredFile):
            if Capability.SHARED not in target.store.capabilities:
                return None
        elif not isinstance(target, str):
            return None
        return {"path": target, "max_value_size": self._max_value_size}

    def _identity(self) -> object:
        target = self._archive.target
        return target if isinstance(target, str | StoredFile) else id(target)

    @operation
    async def flush(self) -> None:
        """Put what was written so far into the archive, which stays open.

        Costs as much as closing: a whole archive is written, unless all of it is new.

        Raises
        ------
        ConflictError
            If something else changed the archive meanwhile; the message says where the values
            are that were written here.
        BackendError
            If it cannot be written (disk full); it may be tried again.
        """
        self._require(Capability.WRITE, "flush", "there is nothing to write")
        self._archive.publish()

    def _close(self) -> None:
        try:
            self._archive.close()
        except ConflictError:
            raise
        except BaseException:
            self._closed = False  # so that it can be closed again once the cause is gone
            raise
        target = self._archive.target
        if isinstance(target, StoredFile) and target.owned:
            target.store.sync.close()

    def _get(self, key: str) -> Any:
        entry = self._archive.entries.get(key)
        if entry is None:
            return None
        try:
            return entry.read(self._max_value_size)
        except OSError as error:
            self._fail(error, key)

    def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        entry = self._archive.entries.get(key)
        if entry is None:
            return None
        start, stop = resolve(byte_range, entry.size)
        try:
            return entry.read_part(start, stop, self._max_value_size)
        except OSError as error:
            self._fail(error, key)

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        entry = self._archive.entries.get(key)
        if entry is None:
            return None
        spans = [resolve(byte_range, entry.size) for byte_range in byte_ranges]
        try:
            return entry.read_parts(spans, self._max_value_size)
        except OSError as error:
            self._fail(error, key)

    def _get_into(self, key: str, buffer: memoryview, byte_range: ByteRequest | None) -> int | None:
        entry = self._archive.entries.get(key)
        if entry is None:
            return None
        start, stop = (0, entry.size) if byte_range is None else resolve(byte_range, entry.size)
        size = stop - start
        if size <= buffer.nbytes:
            try:
                entry.read_into(buffer[:size], start, stop, self._max_value_size)
            except OSError as error:
                self._fail(error, key)
        return size

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        whole = all(byte_range is None for _, byte_range in requests)
        if not whole or not isinstance(self._archive.target, StoredFile):
            return NotImplemented
        # one call of the store below, which asks for near entries at once
        return self._archive.read_many([key for key, _ in requests], self._max_value_size)

    def _stat(self, key: str) -> Stat | None:
        entry = self._archive.entries.get(key)
        return None if entry is None else Stat(entry.size, entry.version, entry.modified)

    def _exists(self, key: str) -> bool:
        return key in self._archive.entries

    def _set(self, key: str, value: Any) -> Version:
        return self._archive.put(key, value)

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Version:
        def check(there: Entry | None) -> None:
            found = None if there is None else there.version
            if found != (None if isinstance(expect, Absent) else expect):
                raise self._conflict(key, expect, found)

        return self._archive.put(key, value, check)

    def _delete(self, key: str) -> None:
        self._archive.drop([key])

    def _delete_dir(self, prefix: str) -> None:
        self._archive.check_process()
        keys, start, stop = self._archive.keys_below(prefix)
        self._archive.drop(keys[start:stop])

    def _list(self, prefix: str) -> Iterator[str]:
        keys, start, stop = self._archive.keys_below(prefix)
        return iter(keys[start:stop])

    def _list_dir(self, prefix: str) -> Iterator[str]:
        keys, at, stop = self._archive.keys_below(prefix)
        while at < stop:
            path = keys[at]
            slash = path.find("/", len(prefix))
            if slash < 0:
                yield path[len(prefix) :]
                at += 1
                continue
            name = path[:slash]
            # a key of that name was listed on its own
            same = bisect_left(keys, name, 0, at)
            if same == at or keys[same] != name:
                yield name[len(prefix) :]
            at = bisect_left(keys, name + "0", at, stop)  # "0" comes after "/"

    def _is_empty(self, prefix: str) -> bool:
        _, start, stop = self._archive.keys_below(prefix)
        return start == stop

    def _getsize_prefix(self, prefix: str) -> int:
        entries = self._archive.entries
        keys, start, stop = self._archive.keys_below(prefix)
        found = (entries.get(key) for key in keys[start:stop])
        return sum(entry.size for entry in found if entry is not None)

    def _fail(self, error: OSError, key: str) -> NoReturn:
        if isinstance(error, ZarrStoreError):
            raise error
        raise_backend_error(error, "read", self.url, key)


def _target(path: Any) -> Any:
    """Return an absolute path, or the file object itself."""
    if isinstance(path, StoredFile):
        return path
    if isinstance(path, str | os.PathLike):
        text = os.fspath(path)
        if isinstance(text, str):
            if "\x00" in text:
                raise ValueError(f"path has a NUL character: {text!r}")
            # abspath counts as blocking, and a store may be made on an event loop
            return os.path.normpath(
                text if os.path.isabs(text) else os.path.join(os.getcwd(), text)
            )
    elif all(hasattr(path, name) for name in ("read", "seek", "tell", "seekable", "writable")):
        return path
    raise TypeError(f"path is a str, a path or a binary file object, not {type(path).__name__}")


def _may_write(target: Any) -> bool:
    if isinstance(target, StoredFile):
        return False
    return isinstance(target, str) or bool(target.writable())


def _check_target(target: Any, mode: str) -> None:
    if isinstance(target, str | StoredFile):
        return
    for able, needed in (
        ("seekable", True),
        ("readable", mode != "w"),
        ("writable", mode != "r"),
    ):
        if needed and not getattr(target, able)():
            raise ValueError(
                f"mode={mode!r} needs a {able} file object, and {type(target).__name__} is not; "
                "open it with 'rb' to read, 'r+b' or 'w+b' to write"
            )


def _url(target: Any) -> str:
    if isinstance(target, str):
        return f"file://{target}|zip:"
    if isinstance(target, StoredFile):
        return target.url
    return f"<{type(target).__name__} at {id(target):#x}>|zip:"
