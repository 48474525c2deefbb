"""The central directory of an archive, read and written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NoReturn

from zarrstore.errors import CorruptDataError
from zarrstore.keys import is_key
from zarrstore.stores._zip.codecs import STORED
from zarrstore.stores._zip.entry import Entry
from zarrstore.stores._zip.format import (
    DIRECTORY,
    DIRECTORY_MARK,
    ENCRYPTED,
    END,
    END64,
    END64_MARK,
    END_MARK,
    LOCAL,
    LOCAL_MARK,
    LOCATOR,
    LOCATOR_MARK,
    U16,
    U32,
    UNICODE_NAME,
    UTF8,
    ZIP64,
    extras,
    parts,
)
from zarrstore.stores._zip.sources import Source

__all__ = ["Index", "directory", "read_index"]

_TAIL = 65_535 + END.size + LOCATOR.size + END64.size
_LARGEST_INDEX = 2**30


class Index:
    """What the central directory of an archive says."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.comment = b""
        self.preamble = 0
        """How many bytes stand before the first entry: a self-extracting program."""
        self.end = 0
        """Where the entries end, and the directory begins."""


def read_index(source: Source) -> Index:
    """Read and check the central directory of an archive.

    Raises
    ------
    CorruptDataError
        If the archive is cut, contradicts itself, or has a name that is no key.
    """
    index = Index()
    length = min(source.size, _TAIL)
    tail_at = source.size - length
    tail = source.read(tail_at, length)
    count, start, size, moved = _find_directory(source, tail, tail_at, index)
    if start < tail_at:
        missing = min(size, tail_at - start)
        blob = source.read(start, missing) + tail[: size - missing]
    else:
        blob = tail[start - tail_at : start - tail_at + size]
    spans: list[tuple[int, int, Entry | None]] = []
    position = 0
    while position < size:
        position = _read_record(source, blob, position, moved, index.entries, spans)
    if position != size or len(spans) & U16 != count & U16:
        _damaged(source, f"{count} entries were announced, and {len(spans)} are there")
    _check_places(source, spans, start, index)
    return index


def _damaged(source: Source, what: str, key: str | None = None) -> NoReturn:
    raise CorruptDataError(
        f"{source.url} is not a whole zip archive: {what}; it was left as it is: restore it "
        "from a copy, or open it with mode='w' to start anew",
        store=source.url,
        key=key,
    )


def _find_directory(
    source: Source, tail: bytes, tail_at: int, index: Index
) -> tuple[int, int, int, int]:
    """Return the number of entries, the directory's place and size, and how far all is moved."""
    at = tail.rfind(END_MARK)
    while at >= 0:
        if at + END.size <= len(tail):
            end = END.unpack_from(tail, at)
            if at + END.size + end[7] == len(tail):
                break
        at = tail.rfind(END_MARK, 0, at + len(END_MARK) - 1)
    else:
        _damaged(source, "its end is missing, it is cut or something else")
    _, disk, first_disk, _, count, size, offset, _ = end
    index.comment = tail[at + END.size :]
    stop = tail_at + at
    if at >= LOCATOR.size and tail[at - LOCATOR.size :].startswith(LOCATOR_MARK):
        at -= LOCATOR.size + END64.size
        if at < 0 or not tail[at:].startswith(END64_MARK):
            _damaged(source, "its zip64 end record is not where it should be")
        _, _, _, _, disk, first_disk, _, count, size, offset = END64.unpack_from(tail, at)
        stop = tail_at + at
    if disk or first_disk:
        _damaged(source, "it is one part of several")
    start = stop - size
    moved = start - offset
    if start < 0 or moved < 0:
        _damaged(source, "its directory would begin before the file does")
    if size > _LARGEST_INDEX:
        _damaged(source, f"its directory claims {size} bytes")
    if moved and source.read(0, len(LOCAL_MARK)) == LOCAL_MARK:
        # not a program before an archive: an archive cut after a value that is an archive
        _damaged(source, "it begins with entries that its directory does not know")
    return count, start, size, moved


def _read_record(
    source: Source,
    blob: bytes,
    position: int,
    moved: int,
    entries: dict[str, Entry],
    spans: list[tuple[int, int, Entry | None]],
) -> int:
    """Read one record of the directory; return where the next one is."""
    if position + DIRECTORY.size > len(blob):
        _damaged(source, "its directory is cut")
    fields = DIRECTORY.unpack_from(blob, position)
    mark, _, _, flags, method, _, _, crc, packed, size, named, extra, comment = fields[:13]
    offset = fields[16]
    stop: int = position + DIRECTORY.size + named + extra + comment
    if mark != DIRECTORY_MARK or stop > len(blob):
        _damaged(source, "its directory is damaged")
    record = blob[position:stop]
    if U32 in (packed, size, offset):
        size, packed, offset = _large(source, record, [size, packed, offset])
    raw = record[DIRECTORY.size : DIRECTORY.size + named]
    header = offset + moved
    span_end = header + LOCAL.size + named + packed
    if raw.endswith(b"/"):
        spans.append((header, span_end, None))
        return stop
    name = _decode(source, raw, flags, record)
    if not is_key(name):
        _damaged(source, f"the name {name[:200]!r} is not a legal key", name)
    if method == STORED and packed != size and not flags & ENCRYPTED:
        _damaged(source, f"{name!r} is stored, in {packed} bytes, and claims {size}", name)
    entry = Entry(name, source, record, (method, flags, crc, packed, size), header)
    entries[name] = entry
    spans.append((header, span_end, entry))
    return stop


def _check_places(
    source: Source, spans: list[tuple[int, int, Entry | None]], start: int, index: Index
) -> None:
    """Check that no entry lies over another or outside, and tell each where it has to end."""
    spans.sort(key=lambda span: span[0])
    index.preamble = spans[0][0] if spans else start
    index.end = start
    for number, (_, span_end, entry) in enumerate(spans):
        limit = spans[number + 1][0] if number + 1 < len(spans) else start
        if span_end > limit:
            name = None if entry is None else entry.key
            _damaged(source, f"{name!r} overlaps what comes after it", name)
        if entry is not None:
            entry.limit = limit


def _large(source: Source, record: bytes, values: list[int]) -> list[int]:
    """Return size, packed size and offset with the ones of the zip64 field put in."""
    content = next((data for tag, data in extras(parts(record)[1]) if tag == ZIP64), b"")
    position = 0
    for number, value in enumerate(values):
        if value == U32:
            if position + 8 > len(content):
                if number < 2 and not content:
                    continue  # exactly 4 GiB - 1
                _damaged(source, "a zip64 field is too short")
            (values[number],) = struct.unpack_from("<Q", content, position)
            position += 8
    return values


def _decode(source: Source, raw: bytes, flags: int, record: bytes) -> str:
    if raw.isascii():
        return raw.decode("ascii")
    try:
        if flags & UTF8:
            return raw.decode()
        for tag, content in extras(parts(record)[1]):
            if (
                tag == UNICODE_NAME
                and content[:1] == b"\x01"
                and content[1:5] == struct.pack("<L", zlib.crc32(raw))
            ):
                return content[5:].decode()
    except UnicodeDecodeError:
        _damaged(source, f"the name {raw[:200]!r} is not UTF-8, as it says")
    return raw.decode("cp437")


def directory(entries: Iterable[Entry], start: int, comment: bytes) -> bytes:
    """Return the central directory, and the end of an archive, that begin at an offset."""
    records = [_record(entry) for entry in entries]
    blob = b"".join(records)
    count, size = len(records), len(blob)
    end = b""
    if count >= U16 or size >= U32 or start >= U32:
        end = END64.pack(
            END64_MARK, END64.size - 12, 45, 45, 0, 0, count, count, size, start
        ) + LOCATOR.pack(LOCATOR_MARK, 0, start + size, 1)
    few = min(count, U16)
    return (
        blob
        + end
        + END.pack(END_MARK, 0, 0, few, few, min(size, U32), min(start, U32), len(comment))
        + comment
    )


def _record(entry: Entry) -> bytes:
    """Return the directory record of an entry for the place where it is now."""
    record = entry.record
    small = entry.header < U32 and entry.size < U32 and entry.packed < U32
    if small and U32 not in DIRECTORY.unpack_from(record):
        return record[:42] + struct.pack("<L", entry.header) + record[46:]
    fields = list(DIRECTORY.unpack_from(record))
    name, extra, comment = parts(record)
    values = entry.size, entry.packed, entry.header
    large = [value for value in values if value >= U32]
    fields[9], fields[8], fields[16] = (min(value, U32) for value in values)
    kept = b"".join(
        struct.pack("<HH", tag, len(data)) + data for tag, data in extras(extra) if tag != ZIP64
    )
    if large:
        fields[2] = max(fields[2], 45)
        kept = struct.pack(f"<HH{len(large)}Q", ZIP64, 8 * len(large), *large) + kept
    fields[11] = len(kept)
    return DIRECTORY.pack(*fields) + name + kept + comment
