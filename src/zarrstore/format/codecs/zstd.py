"""The ``zstd`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/zstd/index.html.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import zstandard

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import BytesBytesCodec, decoded_size_differs, take
from zarrstore.operations import Buffer

__all__ = ["Zstd"]


class _Contexts(threading.local):
    """Compression contexts of this thread: they are dear to make and not for sharing."""

    def __init__(self) -> None:
        self.compressors: dict[tuple[int, bool], zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


class Zstd(BytesBytesCodec):
    """Compress with Zstandard.

    Parameters
    ----------
    level : int, default 1
        From -131072 (fastest) to 22 (smallest); 0 is the library's default.
    checksum : bool, default False
        Whether each chunk carries a checksum of its content.

    Examples
    --------
    >>> Zstd(level=3).to_dict()
    {'name': 'zstd', 'configuration': {'level': 3, 'checksum': False}}
    """

    name = "zstd"

    def __init__(self, level: int = 1, checksum: bool = False) -> None:
        if isinstance(level, bool) or not isinstance(level, int) or not -131072 <= level <= 22:
            raise MetadataError(f"codecs: zstd.level is from -131072 to 22, not {level!r}")
        if not isinstance(checksum, bool):
            raise MetadataError(f"codecs: zstd.checksum is true or false, not {checksum!r}")
        self.level = level
        self.checksum = checksum

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Zstd:
        given = take(configuration, cls.name, "level", "checksum")
        return cls(given.get("level", 0), given.get("checksum", False))

    def configuration(self) -> dict[str, Any]:
        return {"level": self.level, "checksum": self.checksum}

    def encode(self, data: Buffer) -> bytes:
        return self._compressor().compress(data)

    encodes_many = hasattr(zstandard.ZstdCompressor, "multi_compress_to_buffer")

    def encode_many(self, data: Sequence[Buffer]) -> list[Buffer]:
        compressor = self._compressor()
        if len(data) < 2 or not self.encodes_many:
            return super().encode_many(data)
        # one call for all of them: each call hands the interpreter to another thread
        segments = compressor.multi_compress_to_buffer(list(data))
        return [memoryview(cast("bytes", segments[index])) for index in range(len(data))]

    def _compressor(self) -> zstandard.ZstdCompressor:
        wanted = self.level, self.checksum
        compressor = _contexts.compressors.get(wanted)
        if compressor is None:
            compressor = _contexts.compressors[wanted] = zstandard.ZstdCompressor(
                level=self.level or 3, write_checksum=self.checksum, write_content_size=True
            )
        return compressor

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        try:
            declared = zstandard.frame_content_size(data)
            if 0 < declared <= limit and (
                declared == size or (size is None and declared <= _frame(data)[1])
            ):
                decoded = _contexts.decompressor.decompress(data, allow_extra_data=False)
            else:
                decoded = _decode_frames(bytes(data), limit)
        except (zstandard.ZstdError, IndexError) as error:
            raise CorruptDataError(
                f"zstd data of {len(data)} bytes cannot be decoded: {error}"
            ) from error
        if size is not None and len(decoded) != size:
            raise decoded_size_differs(self.name, size, len(decoded))
        return decoded

    decodes_many = hasattr(zstandard.ZstdDecompressor, "multi_decompress_to_buffer")

    def decode_many(self, data: Sequence[Buffer], size: int | None, limit: int) -> list[Buffer]:
        frames: list[bytes | bytearray | memoryview] = list(data)
        if len(frames) > 1 and size and self.decodes_many:
            # a failure does not say which frame it was; one by one does
            with suppress(zstandard.ZstdError, IndexError):
                if all(_is_one_frame(frame, size) for frame in data):
                    sizes = struct.pack(f"={len(frames)}Q", *[size] * len(frames))
                    segments = _contexts.decompressor.multi_decompress_to_buffer(
                        frames, decompressed_sizes=sizes
                    )
                    views = range(len(frames))
                    return [memoryview(cast("bytes", segments[index])) for index in views]
        return super().decode_many(data, size, limit)

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 8) + 1024


def _decode_frames(data: bytes, limit: int) -> bytes:
    """Decode frames that do not tell their size, or several, to ``limit`` bytes at most."""
    reader = _contexts.decompressor.stream_reader(data, read_across_frames=True)
    room = limit + 1
    while room > 0 and (part := reader.read(min(room, 1 << 20))):
        room -= len(part)
    if room <= 0:
        raise CorruptDataError(f"zstd data decodes to more than the {limit} bytes it may have")
    # known to be small enough now, and decoded again: the reader does not notice a cut
    parts: list[bytes] = []
    while True:
        frame = _contexts.decompressor.decompressobj()
        parts.append(frame.decompress(data))
        if not frame.eof:
            raise CorruptDataError("zstd data is truncated")
        data = frame.unused_data
        if not data:
            return b"".join(parts)


def _is_one_frame(data: Buffer, size: int) -> bool:
    """Tell whether data is one frame of ``size`` bytes of content, and nothing after it."""
    return zstandard.frame_content_size(data) == size and _frame(data)[0] == len(data)


def _frame(data: Buffer) -> tuple[int, int]:
    """Return where the first frame ends, and the largest size that its content can have.

    Follows https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1: a header, blocks that
    tell their length, and a checksum if the header says so.
    """
    at = zstandard.frame_header_size(data)
    is_last, blocks = False, 0
    while not is_last:
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        is_last = bool(header & 1)
        at += 3 + (1 if header >> 1 & 3 == _REPEATED_BYTE else header >> 3)
        blocks += 1
    return at + (4 if data[4] & _HAS_CHECKSUM else 0), blocks * _LARGEST_BLOCK


_REPEATED_BYTE = 1
_HAS_CHECKSUM = 4
_LARGEST_BLOCK = 2**17
