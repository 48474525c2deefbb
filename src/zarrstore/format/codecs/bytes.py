"""The ``bytes`` codec: elements to bytes, in one byte order.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/bytes/index.html.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ArrayBytesCodec, ChunkSpec, take
from zarrstore.operations import Buffer

__all__ = ["Bytes", "flat_bytes"]


class Bytes(ArrayBytesCodec):
    """Lay the elements of a chunk out in C order.

    Parameters
    ----------
    endian : {"little", "big", None}
        The byte order; ``None`` for types that have none.

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

    def fitted(self, spec: ChunkSpec) -> Bytes:
        if spec.data_type.is_variable:
            raise MetadataError(
                f"codecs: bytes cannot encode {spec.data_type.name}, whose elements have no "
                f"fixed size; use {spec.data_type.serializer!r}"
            )
        return Bytes(None) if self.endian and not _has_byte_order(spec.dtype) else self

    def stored_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the elements as they are stored."""
        if not _has_byte_order(dtype):
            return dtype
        endian = self.endian
        if endian is None and dtype.names is not None:
            endian = "little"  # records, as zarr-python 3.1 wrote them
        if endian is None:
            raise MetadataError(f"codecs: bytes.endian is missing, and {dtype.name} needs it")
        return dtype if endian == sys.byteorder else dtype.newbyteorder(endian)

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        stored = np.ascontiguousarray(chunk, self.stored_dtype(spec.dtype))
        return flat_bytes(stored).data

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        self.check_size(data, spec)
        return np.frombuffer(data, self.stored_dtype(spec.dtype)).reshape(spec.shape)

    @staticmethod
    def check_size(data: Buffer, spec: ChunkSpec) -> None:
        """Look whether data has the size of a chunk."""
        if len(data) != spec.nbytes:
            raise CorruptDataError(
                f"the chunk has {len(data)} bytes where {spec.nbytes} are expected"
            )

    def encoded_size(self, spec: ChunkSpec) -> int:
        return spec.nbytes


def _has_byte_order(dtype: np.dtype[Any]) -> bool:
    return dtype.newbyteorder() != dtype


def flat_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the memory of a C-contiguous array as a flat array of bytes."""
    return array.reshape(-1).view(np.uint8)
