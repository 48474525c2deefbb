"""The records of the zip format (PKWARE APPNOTE 6.3): what local headers and others hold."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

from zarrstore.stores._zip.codecs import NEEDED_VERSION

__all__ = ["DIRECTORY", "END", "END64", "LOCAL", "LOCATOR", "extras", "local_header", "parts"]

LOCAL = struct.Struct("<4s5H3L2H")
DIRECTORY = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
LOCATOR = struct.Struct("<4sLQL")
END64 = struct.Struct("<4sQ2H2L4Q")

LOCAL_MARK = b"PK\x03\x04"
DIRECTORY_MARK = b"PK\x01\x02"
END_MARK = b"PK\x05\x06"
END64_MARK = b"PK\x06\x06"
LOCATOR_MARK = b"PK\x06\x07"

ENCRYPTED, DESCRIPTOR, UTF8 = 0x1, 0x8, 0x800
U16, U32 = 0xFFFF, 0xFFFFFFFF
ZIP64, TIMES, UNICODE_NAME = 0x0001, 0x5455, 0x7075


def parts(record: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the name, the extra field and the comment of a directory record."""
    named, extra, _ = struct.unpack_from("<3H", record, 28)
    name_end = DIRECTORY.size + named
    return (
        record[DIRECTORY.size : name_end],
        record[name_end : name_end + extra],
        record[name_end + extra :],
    )


def extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and content of each extra field; what is malformed ends it."""
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, position)
        position += 4 + length
        if position > len(extra):
            return
        yield tag, extra[position - length : position]


def local_header(
    key: str, method: int, flags: int, crc: int, packed: int, size: int
) -> tuple[bytes, bytes]:
    """Return the local header and the directory record of a new entry, written now."""
    name = key.encode()
    if not name.isascii():
        flags |= UTF8
    seconds = time.time()
    now = time.localtime(seconds)
    date = max(0, now.tm_year - 1980) << 9 | now.tm_mon << 5 | now.tm_mday
    clock = now.tm_hour << 11 | now.tm_min << 5 | now.tm_sec // 2
    extra = struct.pack("<HHBL", TIMES, 5, 1, int(seconds) & U32)
    needed = NEEDED_VERSION[method]
    local = extra
    shown = packed, size
    if size >= U32 or packed >= U32:
        needed = max(needed, 45)
        local = struct.pack("<HHQQ", ZIP64, 16, size, packed) + extra
        shown = U32, U32
    fixed = needed, flags, method, clock, date, crc
    header = LOCAL.pack(LOCAL_MARK, *fixed, *shown, len(name), len(local))
    record = DIRECTORY.pack(
        DIRECTORY_MARK,
        3 << 8 | needed,  # made on Unix: the mode is in the external attributes
        *fixed,
        *(min(packed, U32), min(size, U32)),
        *(len(name), len(extra), 0, 0, 0),
        0o100644 << 16,
        0,
    )
    return header + name + local, record + name + extra
