"""The ``crc32c`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/crc32c/index.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np

from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.base import BytesBytesCodec, decoded_size_differs, take
from zarrstore.operations import Buffer

__all__ = ["Crc32c"]

_SIZE = 4


class Crc32c(BytesBytesCodec):
    """Append a CRC-32C checksum, which reading verifies.

    Examples
    --------
    >>> bytes(Crc32c().decode(Crc32c().encode(b"abc"), size=3, limit=3))
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
        return b"".join((data, _checksum(data)))

    def decode(self, data: Buffer, size: int | None, limit: int) -> memoryview:
        if len(data) < _SIZE:
            raise CorruptDataError(f"crc32c data has {len(data)} bytes, too few for a checksum")
        view = memoryview(data).toreadonly()
        content, stored = view[:-_SIZE], view[-_SIZE:]
        if len(content) > limit or (size is not None and len(content) != size):
            raise decoded_size_differs(self.name, limit if size is None else size, len(content))
        found = _checksum(content)
        if found != stored:
            raise CorruptDataError(
                f"crc32c checksum does not match: stored {bytes(stored).hex()}, found {found.hex()}"
            )
        return content

    def encoded_size(self, size: int) -> int:
        return size + _SIZE

    def largest_encoded_size(self, size: int) -> int:
        return size + _SIZE


def _checksum(content: Buffer) -> bytes:
    # the library takes no memoryview, and a copy would cost as much as the checksum
    value: int = google_crc32c.value(np.frombuffer(content, np.uint8))
    return value.to_bytes(_SIZE, "little")
