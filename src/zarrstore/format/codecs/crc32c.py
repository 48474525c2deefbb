"""The ``crc32c`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/crc32c/index.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import google_crc32c

from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.base import BytesBytesCodec, decoded_size_differs, take
from zarrstore.operations import Buffer

__all__ = ["Crc32c"]

_SIZE = 4


class Crc32c(BytesBytesCodec):
    """Append a CRC-32C checksum, which reading verifies.

    Examples
    --------
    >>> Crc32c().decode(Crc32c().encode(b"abc"), size=3, limit=3)
    b'abc'
    """

    name = "crc32c"

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Crc32c:
        take(configuration, cls.name)
        return cls()

    def configuration(self) -> dict[str, Any]:
        return {}

    def encode(self, data: Buffer) -> bytes:
        content = bytes(data)
        return content + _checksum(content)

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        content, stored = bytes(data[:-_SIZE]), bytes(data[-_SIZE:])
        if len(data) < _SIZE:
            raise CorruptDataError(f"crc32c data has {len(data)} bytes, too few for a checksum")
        if size is not None and len(content) != size:
            raise decoded_size_differs(self.name, size, len(content))
        if len(content) > limit:
            raise decoded_size_differs(self.name, limit, len(content))
        found = _checksum(content)
        if found != stored:
            raise CorruptDataError(
                f"crc32c checksum does not match: stored {stored.hex()}, found {found.hex()}"
            )
        return content

    def encoded_size(self, size: int) -> int:
        return size + _SIZE

    def largest_encoded_size(self, size: int) -> int:
        return size + _SIZE


def _checksum(content: bytes) -> bytes:
    value: int = google_crc32c.value(content)
    return value.to_bytes(_SIZE, "little")
