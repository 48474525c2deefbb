"""Where the bytes of a zip archive come from: anything with a size that is read at an offset."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from zarrstore.abc import Store
from zarrstore.byte_range import RangeByteRequest
from zarrstore.errors import BackendError, CorruptDataError
from zarrstore.redaction import join_url
from zarrstore.runtime import ForkSafeLock

__all__ = ["FileSource", "ObjectSource", "Source", "StoreSource", "StoredFile", "source_of"]


class Source(Protocol):
    """Random access to the bytes of an archive, from any thread."""

    url: str
    """Names the archive in messages."""
    size: int
    """In bytes."""
    near: bool
    """Whether a small read costs little, so that it need not be saved."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly so many bytes, or raise `CorruptDataError`."""

    def read_many(self, spans: Sequence[tuple[int, int]]) -> list[Any]:
        """Return the bytes of each ``(offset, length)``; far sources read them at once."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer from an offset on."""


def _short(url: str, offset: int, length: int, got: int) -> CorruptDataError:
    return CorruptDataError(
        f"{url} ends early: {got} of {length} bytes were there at offset {offset}; it was cut "
        "while it was open",
        store=url,
    )


class FileSource:
    """A file descriptor, read without its position, and closed when nobody reads any more."""

    near = True

    def __init__(self, descriptor: int, url: str) -> None:
        self.descriptor = descriptor
        self.url = url
        self.size = os.fstat(descriptor).st_size
        self._turn = None if hasattr(os, "pread") else ForkSafeLock()

    def __del__(self) -> None:
        # by the last reader, never earlier: the number could be another file's by then
        os.close(self.descriptor)

    def read(self, offset: int, length: int) -> bytes:
        data = self._pread(length, offset) if length else b""
        if len(data) == length:
            return data
        value = bytearray(length)
        value[: len(data)] = data
        self._fill(memoryview(value), offset, len(data))
        return bytes(value)

    def read_many(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(offset, length) for offset, length in spans]

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._fill(buffer, offset, 0)

    def _fill(self, buffer: memoryview, offset: int, done: int) -> None:
        while done < buffer.nbytes:
            if hasattr(os, "preadv"):
                count = os.preadv(self.descriptor, [buffer[done:]], offset + done)
            else:
                data = self._pread(buffer.nbytes - done, offset + done)
                count = len(data)
                buffer[done : done + count] = data
            if count == 0:
                raise _short(self.url, offset, buffer.nbytes, done)
            done += count

    def _pread(self, length: int, offset: int) -> bytes:
        if self._turn is None:
            return os.pread(self.descriptor, length, offset)
        with self._turn:
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, length)


class ObjectSource:
    """A binary file object without a descriptor: a short lock around each seek and read."""

    near = True

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._lock = ForkSafeLock()
        self.url = url
        self.size = self._do(lambda: file.seek(0, os.SEEK_END) or file.tell())

    def _do(self, action: Any) -> Any:
        try:
            with self._lock:
                return action()
        except ValueError as error:
            raise BackendError(
                f"cannot read {self.url}: {error}; keep the file object open as long as the store",
                store=self.url,
            ) from error

    def read(self, offset: int, length: int) -> bytes:
        data: bytes = self._do(lambda: self._read(offset, length))
        return data

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data: bytes = self._file.read(length)
        while len(data) < length:
            more = self._file.read(length - len(data))
            if not more:
                raise _short(self.url, offset, length, len(data))
            data += more
        return data

    def read_many(self, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(offset, length) for offset, length in spans]

    def read_into(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.read(offset, buffer.nbytes)


@dataclass(frozen=True)
class StoredFile:
    """A value of another store, which is an archive itself."""

    store: Store
    key: str
    owned: bool = field(default=False, compare=False)

    @property
    def url(self) -> str:
        return f"{join_url(self.store.url, self.key)}|zip:"


class StoreSource:
    """A value of a store, read by ranges: each read is one request."""

    near = False

    def __init__(self, place: StoredFile, size: int) -> None:
        self._sync = place.store.sync
        self._key = place.key
        self.url = place.url
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        data = self._sync.get(self._key, RangeByteRequest(offset, offset + length))
        self._check(offset, length, data)
        return bytes(data)

    def read_many(self, spans: Sequence[tuple[int, int]]) -> list[Any]:
        asked = [RangeByteRequest(offset, offset + length) for offset, length in spans]
        parts = self._sync.get_ranges(self._key, asked)
        for index, (offset, length) in enumerate(spans):
            self._check(offset, length, None if parts is None else parts[index])
        return parts or []

    def read_into(self, offset: int, buffer: memoryview) -> None:
        asked = RangeByteRequest(offset, offset + buffer.nbytes)
        got = self._sync.get_into(self._key, buffer, asked)
        if got != buffer.nbytes:
            raise _short(self.url, offset, buffer.nbytes, got or 0)

    def _check(self, offset: int, length: int, data: Any) -> None:
        if data is None or len(data) != length:
            raise _short(self.url, offset, length, len(data or b""))


def source_of(file: Any, url: str) -> Source:
    """Return the source of a binary file object: its descriptor where that is the same bytes."""
    real = getattr(file, "file", file)  # what tempfile wraps
    raw = getattr(real, "raw", real)
    # a GzipFile has a descriptor too, of other bytes
    if type(raw) is io.FileIO:
        if file.writable():
            file.flush()
        return FileSource(os.dup(raw.fileno()), url)
    return ObjectSource(file, url)
