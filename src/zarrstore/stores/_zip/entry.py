"""One value of an archive: where it is, what is claimed of it, and how it is read."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime
from typing import Any, NoReturn

from zarrstore.errors import CorruptDataError, UnsupportedOperationError
from zarrstore.stores._zip.codecs import DEFLATED, LARGEST_RATIO, NEEDED_VERSION, STORED, unpack
from zarrstore.stores._zip.format import (
    DESCRIPTOR,
    DIRECTORY,
    ENCRYPTED,
    LOCAL,
    LOCAL_MARK,
    TIMES,
    U32,
    extras,
    parts,
)
from zarrstore.stores._zip.sources import Source

__all__ = ["Entry"]

_SMALL = 64 * 1024


class Entry:
    """One value of an archive: where it is, and what the central directory says of it."""

    __slots__ = (
        "_version",
        "crc",
        "data",
        "flags",
        "header",
        "key",
        "limit",
        "method",
        "packed",
        "record",
        "size",
        "source",
    )

    key: str
    source: Source
    method: int
    flags: int
    crc: int
    packed: int
    """Bytes in the archive."""
    size: int
    """Bytes of the value."""
    header: int
    """Where the local header starts."""
    limit: int
    """Where the entry ends at the latest: the next one, or the central directory, starts there."""
    data: int
    """Where the data start; -1 until the local header has been read and checked."""
    record: bytes
    """Its record in the central directory."""

    def __init__(
        self,
        key: str,
        source: Source,
        record: bytes,
        numbers: tuple[int, int, int, int, int],
        header: int,
        data: int = -1,
        version: str | None = None,
    ) -> None:
        self.key = key
        self.source = source
        self.record = record
        self.method, self.flags, self.crc, self.packed, self.size = numbers
        self.header = header
        self.limit = header
        self.data = data
        self._version = version

    @property
    def version(self) -> str:
        return self._version or f"{self.crc:x}-{self.size:x}-{self.header:x}"

    @property
    def modified(self) -> datetime | None:
        """When it was written, to two seconds; local time where the archive has no other."""
        fields = DIRECTORY.unpack_from(self.record)
        for tag, content in extras(parts(self.record)[1]):
            if tag == TIMES and len(content) >= 5 and content[0] & 1:
                return datetime.fromtimestamp(struct.unpack_from("<l", content, 1)[0], UTC)
        clock, date = fields[5], fields[6]
        try:
            local = datetime(  # noqa: DTZ001 - a zip date is local time
                1980 + (date >> 9),
                date >> 5 & 15,
                date & 31,
                clock >> 11,
                clock >> 5 & 63,
                (clock & 31) * 2,
            )
            return local.astimezone()
        except (ValueError, OverflowError, OSError):
            return None

    def moved(self, source: Source, header: int, limit: int) -> Entry:
        """Return the same entry at another place."""
        data = -1 if self.data < 0 else self.data - self.header + header
        numbers = self.method, self.flags, self.crc, self.packed, self.size
        there = Entry(self.key, source, self.record, numbers, header, data, self.version)
        there.limit = limit
        return there

    def read(self, largest: int) -> bytes | memoryview:
        """Return the whole value, checked."""
        self._check(largest)
        return self._value(self._packed(0, self.packed))

    def _value(self, packed: bytes | memoryview) -> bytes | memoryview:
        value = packed if self.method == STORED else self._unpack(packed)
        self._check_sum(value)
        if type(value) is memoryview and value.nbytes <= _SMALL:
            return value.tobytes()
        return value

    def read_part(self, start: int, stop: int, largest: int) -> bytes | memoryview:
        """Return a part of the value; of a stored one nothing else is read."""
        if self.method != STORED or stop - start == self.size:
            return self.read(largest)[start:stop]
        self._check(largest)
        if start == stop:
            return b""
        return self._packed(start, stop)

    def read_parts(self, spans: list[tuple[int, int]], largest: int) -> list[Any]:
        """Return several parts of the value, in one request where far."""
        if self.method != STORED:
            whole = self.read(largest)
            return [whole[start:stop] for start, stop in spans]
        if self.source.near or self._slack() > _SMALL:
            return [self.read_part(start, stop, largest) for start, stop in spans]
        self._check(largest)
        if self.data >= 0:
            asked = [(self.data + start, stop - start) for start, stop in spans]
            return self.source.read_many(asked)
        first, slack = self._first(), self._slack()
        asked = [(first + start, stop - start + slack) for start, stop in spans]
        head, *blocks = self.source.read_many([(self.header, first - self.header), *asked])
        self._locate(head)
        at = self.data - first
        return [
            block[at : at + stop - start]
            for block, (start, stop) in zip(blocks, spans, strict=True)
        ]

    def whole_span(self, largest: int) -> tuple[int, int] | None:
        """Return the offset and length of all that `take` needs; ``None`` if that is not known."""
        self._check(largest)
        if self._slack() > _SMALL:
            return None
        return self.header, self.limit - self.header

    def take(self, block: bytes) -> bytes | memoryview:
        """Return the whole value, checked, from the bytes of its span."""
        self._locate(block)
        at = self.data - self.header
        return self._value(memoryview(block)[at : at + self.packed])

    def read_into(self, buffer: memoryview, start: int, stop: int, largest: int) -> None:
        """Read a part of the value into a buffer of its length."""
        if self.method != STORED:
            buffer[:] = self.read(largest)[start:stop]
            return
        self._check(largest)
        if self.source.near:
            self.locate()
        if self.data < 0:
            buffer[:] = self._packed(start, stop)
        else:
            self.source.read_into(self.data + start, buffer)
        if stop - start == self.size:
            self._check_sum(buffer)

    def _check(self, largest: int) -> None:
        """Raise unless this entry can be read here."""
        if self.flags & ENCRYPTED:
            self._refuse("is encrypted, which is not supported; write the archive without")
        if self.method not in NEEDED_VERSION:
            self._refuse(
                f"is compressed by method {self.method}, which is not supported; the methods are "
                "stored, deflate, bzip2 and lzma: write the archive again with one of them"
            )
        if self.method == STORED:
            return
        if self.size > largest:
            self._corrupt(
                f"claims {self.size} bytes, and max_value_size is {largest}; raise it if you "
                "trust the archive"
            )
        if self.method == DEFLATED and self.size > LARGEST_RATIO * (self.packed + 1):
            self._corrupt(f"claims {self.size} bytes, which {self.packed} cannot hold")

    def _check_sum(self, value: Any) -> None:
        if zlib.crc32(value) != self.crc:
            self._corrupt("does not have the CRC-32 that the archive gives for it")

    def _packed(self, start: int, stop: int) -> bytes | memoryview:
        """Return a part of what the archive holds of this entry, in one request where far."""
        if self.data < 0:
            found = self._with_header(start, stop)
            if found is not None:
                return found
        return self.source.read(self.data + start, stop - start)

    def _with_header(self, start: int, stop: int) -> memoryview | None:
        """Read the local header and a part of the data together, unless apart is better."""
        first, slack = self._first(), self._slack()
        fixed = first - self.header
        if slack > _SMALL or (self.source.near and stop > _SMALL):
            self.locate()
            return None
        if start <= _SMALL:
            block = self.source.read(self.header, fixed + slack + stop)
            self._locate(block)
            at = self.data - self.header + start
        else:
            head, block = self.source.read_many(
                [(self.header, fixed), (first + start, stop - start + slack)]
            )
            self._locate(head)
            at = self.data - first
        return memoryview(block)[at : at + stop - start]

    def locate(self) -> None:
        """Find where the data start."""
        if self.data < 0:
            self._locate(self.source.read(self.header, self._first() - self.header))

    def _first(self) -> int:
        """Return where the data start at the earliest: where the header has no extra field."""
        return self.header + LOCAL.size + len(parts(self.record)[0])

    def _slack(self) -> int:
        """Return how much later than that they may start."""
        return self.limit - self.packed - self._first()

    def _locate(self, head: bytes) -> None:
        """Check a local header against the central directory, and take the offset from it."""
        mark, _, flags, method, _, _, crc, packed, size, named, extra = LOCAL.unpack_from(head)
        name = parts(self.record)[0]
        if (
            mark != LOCAL_MARK
            or bytes(head[LOCAL.size : LOCAL.size + len(name)]) != name
            or named != len(name)
            or method != self.method
            or (flags ^ self.flags) & ENCRYPTED
        ):
            self._corrupt("is not where the archive's directory says")
        if not flags & DESCRIPTOR and (
            crc != self.crc or (packed not in (self.packed, U32)) or (size not in (self.size, U32))
        ):
            self._corrupt("has another size or CRC-32 in its header than in the directory")
        data = self.header + LOCAL.size + named + extra
        if data + self.packed > self.limit:
            self._corrupt("overlaps what comes after it in the archive")
        self.data = data

    def _unpack(self, packed: bytes | memoryview) -> bytes:
        """Decompress, never to more than the declared size."""
        try:
            return unpack(packed, self.method, self.size)
        except ValueError as error:
            self._corrupt(f"cannot be decompressed: {error}", error.__cause__ or error)

    def _refuse(self, what: str) -> NoReturn:
        url = self.source.url
        raise UnsupportedOperationError(f"{self.key!r} in {url} {what}", store=url, key=self.key)

    def _corrupt(self, what: str, cause: BaseException | None = None) -> NoReturn:
        url = self.source.url
        raise CorruptDataError(f"{self.key!r} in {url} {what}", store=url, key=self.key) from cause
