"""The ``bytes`` codec: elements to bytes, in one byte order.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/bytes/index.html.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import Codec, take

__all__ = ["Bytes"]


class Bytes(Codec):
    """Lay the elements of a chunk out in C order.

    Parameters
    ----------
    endian : {"little", "big", None}
        The byte order; ``None`` for types of one byte.

    Examples
    --------
    >>> Bytes("little").to_dict()
    {'name': 'bytes', 'configuration': {'endian': 'little'}}
    """

    name = "bytes"

    def __init__(self, endian: Literal["little", "big"] | None = "little") -> None:
        if endian not in ("little", "big", None):
            raise MetadataError(f"codecs: bytes.endian is 'little' or 'big', not {endian!r}")
        self.endian = endian

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Bytes:
        return cls(take(configuration, cls.name, "endian").get("endian"))

    def configuration(self) -> dict[str, Any]:
        return {} if self.endian is None else {"endian": self.endian}

    def stored_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the elements as they are stored."""
        if dtype.itemsize == 1:
            return dtype
        if self.endian is None:
            raise MetadataError(f"codecs: bytes.endian is missing, and {dtype.name} needs it")
        return dtype if self.endian == sys.byteorder else dtype.newbyteorder(self.endian)
