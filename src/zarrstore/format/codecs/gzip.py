"""The ``gzip`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/gzip/index.html.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import BytesBytesCodec, decoded_size_differs, take
from zarrstore.operations import Buffer

__all__ = ["Gzip"]

_GZIP_HEADER = 16 + zlib.MAX_WBITS


class Gzip(BytesBytesCodec):
    """Compress with gzip.

    Parameters
    ----------
    level : int, default 5
        From 0 (stored) to 9 (smallest).

    Examples
    --------
    >>> Gzip().to_dict()
    {'name': 'gzip', 'configuration': {'level': 5}}
    """

    name = "gzip"

    def __init__(self, level: int = 5) -> None:
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 9:
            raise MetadataError(f"codecs: gzip.level is from 0 to 9, not {level!r}")
        self.level = level

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Gzip:
        return cls(take(configuration, cls.name, "level").get("level", 5))

    def configuration(self) -> dict[str, Any]:
        return {"level": self.level}

    def encode(self, data: Buffer) -> bytes:
        return gzip.compress(data, self.level, mtime=0)

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        parts: list[bytes] = []
        rest: Buffer = data
        room = limit + 1
        try:
            while len(rest):
                member = zlib.decompressobj(_GZIP_HEADER)
                parts.append(member.decompress(rest, room))
                room -= len(parts[-1])
                if room <= 0:
                    raise CorruptDataError(
                        f"gzip data decodes to more than the {limit} bytes it may have"
                    )
                if not member.eof:
                    raise CorruptDataError(f"gzip data of {len(data)} bytes is truncated")
                rest = member.unused_data
        except zlib.error as error:
            raise CorruptDataError(
                f"gzip data of {len(data)} bytes cannot be decoded: {error}"
            ) from error
        decoded = parts[0] if len(parts) == 1 else b"".join(parts)
        if size is not None and len(decoded) != size:
            raise decoded_size_differs(self.name, size, len(decoded))
        return decoded

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 8) + 1024
