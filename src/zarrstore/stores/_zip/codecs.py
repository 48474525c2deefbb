"""The compression methods of zip archives. What is decompressed never outgrows what it claims."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import Any

__all__ = ["DEFLATED", "LARGEST_RATIO", "NEEDED_VERSION", "STORED", "compress", "unpack"]

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_BZIP2, _LZMA = zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA

NEEDED_VERSION = {STORED: 20, DEFLATED: 20, _BZIP2: 46, _LZMA: 63}
"""The methods known here, and the version of zip that has them."""

LARGEST_RATIO = 1032
"""Of deflate: two bits stand for 258 bytes at most."""


def unpack(packed: bytes | memoryview, method: int, size: int) -> bytes:
    """Decompress a value of a known size.

    Raises
    ------
    ValueError
        If the data are damaged, or of another size; the cause is chained.
    """
    import lzma

    try:
        value = _unpackers[method](packed, size)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, struct.error) as error:
        raise ValueError(str(error)) from error
    if len(value) != size:
        raise ValueError(f"there are {len(value)} bytes and not {size}, or more")
    return value


def _inflate(packed: bytes | memoryview, size: int) -> bytes:
    decoder = zlib.decompressobj(-15)
    value = decoder.decompress(packed, size or 1)
    if not decoder.eof:
        value += decoder.decompress(decoder.unconsumed_tail, 1)
    if not decoder.eof and len(value) <= size:
        raise EOFError("the compressed data are cut")
    return value


def _unpack_bzip2(packed: bytes | memoryview, size: int) -> bytes:
    import bz2

    return _unpack_by(bz2.BZ2Decompressor(), packed, size)


def _unpack_lzma(packed: bytes | memoryview, size: int) -> bytes:
    import lzma

    _, length, properties, dictionary = struct.unpack_from("<HHBL", packed)
    if length != 5 or properties >= 9 * 5 * 5:
        raise ValueError("the LZMA properties are not valid")
    decoder = lzma.LZMADecompressor(
        lzma.FORMAT_RAW,
        filters=[
            {
                "id": lzma.FILTER_LZMA1,
                "lc": properties % 9,
                "lp": properties // 9 % 5,
                "pb": properties // 45,
                # no match reaches further back than the value is long
                "dict_size": max(4096, min(dictionary, size)),
            }
        ],
    )
    return _unpack_by(decoder, packed[9:], size)


def _unpack_by(decoder: Any, packed: bytes | memoryview, size: int) -> bytes:
    parts = []
    left = size
    while left and not decoder.eof:
        part = decoder.decompress(packed, left)
        packed = b""
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


_unpackers = {DEFLATED: _inflate, _BZIP2: _unpack_bzip2, _LZMA: _unpack_lzma}


def compress(value: Any, method: int, level: int | None) -> tuple[int, int, Any]:
    """Return the method, the flags and the bytes of a value; stored if that is no longer."""
    flags = 0
    packed = value
    if method == DEFLATED:
        encoder = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, -15)
        packed = encoder.compress(value) + encoder.flush()
    elif method == _BZIP2:
        import bz2

        packed = bz2.compress(value, level or 9)
    elif method == _LZMA:
        import lzma

        flags = 2  # the stream has an end mark
        settings = {"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 2**23}
        packed = struct.pack("<BBHBL", 9, 4, 5, 3 + 9 * 5 * 2, 2**23)
        packed += lzma.compress(value, lzma.FORMAT_RAW, filters=[settings])
    if len(packed) >= len(value):
        return STORED, 0, value
    return method, flags, packed
