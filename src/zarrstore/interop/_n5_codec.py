"""The blocks of N5 for zarr-python 3, which has no codec for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.registry import codec_registry, register_codec

from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.n5 import N5Block
from zarrstore.format.data_types.registry import data_type_for

__all__ = ["register_n5"]


class N5ChunkCodec(Codec):  # type: ignore[misc]
    """`N5Block` as a codec of numcodecs."""

    codec_id = N5Block.name

    def __init__(self, dtype: Any, chunk_shape: Any, compressor_config: Any = None) -> None:
        self._configuration = {
            "dtype": dtype,
            "chunk_shape": chunk_shape,
            "compressor_config": compressor_config,
        }
        self._spec = ChunkSpec(tuple(chunk_shape), data_type_for(np.dtype(dtype)), 0)
        self._block = N5Block(compressor_config).fitted(self._spec)

    def get_config(self) -> dict[str, Any]:
        return {"id": self.codec_id, **self._configuration}

    def encode(self, buf: Any) -> bytes:
        chunk = np.asarray(buf).view(self._spec.dtype).reshape(self._spec.shape)
        return self._block.encode(chunk, self._spec)

    def decode(self, buf: Any, out: Any = None) -> Any:
        data = np.frombuffer(buf, np.uint8).data.toreadonly()
        chunk = np.ascontiguousarray(self._block.decode(data, self._spec), self._spec.dtype)
        if out is None:
            return chunk
        np.frombuffer(out, self._spec.dtype)[...] = chunk.reshape(-1)
        return out


def register_n5() -> None:
    """Let zarr-python find the codec, unless it has one of its own."""
    if N5Block.name not in codec_registry:
        register_codec(N5ChunkCodec)
