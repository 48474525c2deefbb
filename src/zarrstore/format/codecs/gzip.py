"""The ``gzip`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/gzip/index.html.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import BytesBytesCodec, take
from zarrstore.format.codecs.streams import decode_streams
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
        return decode_streams(self.name, _decompressor, (zlib.error,), data, size, limit)

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 8) + 1024


def _decompressor() -> zlib._Decompress:
    return zlib.decompressobj(_GZIP_HEADER)
