"""Compressed streams of the standard library, decoded to a bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.base import decoded_size_differs
from zarrstore.operations import Buffer

__all__ = ["decode_streams"]


def decode_streams(
    codec: str,
    decompressor: Callable[[], Any],
    errors: tuple[type[Exception], ...],
    data: Buffer,
    size: int | None,
    limit: int,
    *,
    several: bool = True,
) -> bytes:
    """Return the content of one compressed stream, or of several one after the other.

    Parameters
    ----------
    codec : str
        Its name, for messages.
    decompressor : callable
        Makes one for each stream, such as `bz2.BZ2Decompressor`.
    errors : tuple of type
        What it raises for data that is not its own.
    data : bytes-like
    size, limit : int
        As for `BytesBytesCodec.decode`.
    several : bool, default True
        Whether the format has several streams in one.

    Raises
    ------
    CorruptDataError
    """
    parts: list[bytes] = []
    rest: Buffer = data
    room = limit + 1
    try:
        while len(rest) or not parts:
            stream = decompressor()
            parts.append(stream.decompress(rest, room))
            room -= len(parts[-1])
            if room <= 0:
                raise CorruptDataError(
                    f"{codec} data decodes to more than the {limit} bytes it may have"
                )
            if not stream.eof:
                raise CorruptDataError(f"{codec} data of {len(data)} bytes is truncated")
            rest = stream.unused_data
            if len(rest) and not several:
                raise CorruptDataError(f"{codec} data has {len(rest)} bytes after its end")
    except errors as error:
        raise CorruptDataError(
            f"{codec} data of {len(data)} bytes cannot be decoded: {error}"
        ) from error
    decoded = parts[0] if len(parts) == 1 else b"".join(parts)
    if size is not None and len(decoded) != size:
        raise decoded_size_differs(codec, size, len(decoded))
    return decoded
