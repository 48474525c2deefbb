"""The blocks of N5, as the compressor ``n5_wrapper`` that zarr-python 2 gave them in Zarr v2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import ArrayBytesCodec, BytesBytesCodec, ChunkSpec, take
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.numcodecs import numcodecs_codec
from zarrstore.operations import Buffer
from zarrstore.stores._n5.blocks import header, read_header

__all__ = ["N5Block"]

_BIG_ENDIAN = Bytes("big")


class N5Block(ArrayBytesCodec):
    """A header with the shape of the block, then its elements, big-endian, compressed.

    Blocks at the end of a dataset may be smaller than a chunk: what is not there is 0.

    Parameters
    ----------
    compressor_config : mapping or None
        A codec of numcodecs, by its ``id``.
    dtype, chunk_shape
        What zarr-python 2 wants to know; the array has it.

    Examples
    --------
    >>> N5Block({"id": "gzip", "level": 1}).configuration()["compressor_config"]
    {'id': 'gzip', 'level': 1}
    """

    name = "n5_wrapper"

    def __init__(
        self,
        compressor_config: Mapping[str, Any] | None = None,
        dtype: str | None = None,
        chunk_shape: Any = None,
    ) -> None:
        self._configuration = {
            "compressor_config": compressor_config,
            "dtype": dtype,
            "chunk_shape": chunk_shape,
        }
        self._compressor: BytesBytesCodec | None = None
        if compressor_config is not None:
            members = dict(compressor_config)
            compressor = numcodecs_codec(members.pop("id", None), members)
            if not isinstance(compressor, BytesBytesCodec):
                raise MetadataError(f"codecs: {self.name}: {compressor.name!r} is no compressor")
            self._compressor = compressor

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> N5Block:
        members = take(configuration, cls.name, "compressor_config", "dtype", "chunk_shape")
        return cls(**members)

    def configuration(self) -> dict[str, Any]:
        return dict(self._configuration)

    def reading(self, dtype: np.dtype[Any]) -> N5Block:
        """Return the codec for elements that would be stored so: here they are big-endian."""
        if dtype.kind not in "biufc":
            raise MetadataError(f"codecs: {self.name} takes numbers, not {dtype}")
        return self

    def fitted(self, spec: ChunkSpec) -> N5Block:
        fitted = N5Block.__new__(N5Block)
        fitted._configuration = self._configuration
        fitted._compressor = None
        if self._compressor is not None:
            compressor = self._compressor.fitted(spec)
            assert isinstance(compressor, BytesBytesCodec)
            fitted._compressor = compressor
        return fitted

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:
        data = _BIG_ENDIAN.encode(chunk, spec)
        if self._compressor is not None:
            data = self._compressor.encode(data)
        return b"".join([header(spec.shape), data])

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        start, shape = read_header(data, spec.shape)
        block = spec if shape == spec.shape else ChunkSpec(shape, spec.data_type, spec.fill_value)
        elements: Buffer = memoryview(data)[start:]
        if self._compressor is not None:
            elements = self._compressor.decode(elements, block.nbytes, block.nbytes)
        found = _BIG_ENDIAN.decode(elements, block)
        if block is spec:
            return found
        chunk = np.zeros(spec.shape, found.dtype)
        chunk[tuple(map(slice, shape))] = found
        return chunk

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None

    def largest_encoded_size(self, spec: ChunkSpec) -> int:
        size = spec.nbytes
        if self._compressor is not None:
            size = self._compressor.largest_encoded_size(size)
        return len(header(spec.shape)) + size
