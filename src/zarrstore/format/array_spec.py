"""`ArraySpec`: an array's metadata, compiled for reading and writing chunks."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.chunk_grids import ChunkKeys, RegularGrid
from zarrstore.format.codecs.pipeline import CodecPipeline, codec_from_dict
from zarrstore.format.data_types import decode_fill_value, dtype_of
from zarrstore.format.documents import ArrayDocument, Extension, extension

__all__ = ["ArraySpec", "chunk_keys", "compile_spec"]


@dataclass(frozen=True)
class ArraySpec:
    """What is needed to move the chunks of an array, whatever its format's version."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """In native byte order."""
    fill_value: Any
    """A numpy scalar."""
    grid: RegularGrid
    keys: ChunkKeys
    pipeline: CodecPipeline

    def is_fill(self, chunk: np.ndarray[Any, Any]) -> bool:
        """Tell whether every element is the fill value, bit for bit (so -0.0 is not 0.0)."""
        bits = chunk.reshape(-1).view(self._unit)
        # most chunks that are not empty show it in their first element
        return bool(bits[0] == self._fill_bits[0]) and bool(
            (bits.reshape(-1, self._fill_bits.size) == self._fill_bits).all()
        )

    @functools.cached_property
    def _unit(self) -> np.dtype[Any]:
        return np.dtype(f"u{min(self.dtype.itemsize, 8)}")

    @functools.cached_property
    def _fill_bits(self) -> np.ndarray[Any, Any]:
        return np.array([self.fill_value], self.dtype).view(self._unit)


class _GridConfiguration(msgspec.Struct, forbid_unknown_fields=True):
    chunk_shape: tuple[int, ...]


class _KeysConfiguration(msgspec.Struct, forbid_unknown_fields=True):
    separator: str | None = None


def _configuration(field: str, named: Extension, of: type[Any]) -> Any:
    try:
        return msgspec.convert(named.configuration, of)
    except msgspec.ValidationError as error:
        raise MetadataError(f"{field}.configuration: {error}") from error


def compile_spec(document: ArrayDocument) -> ArraySpec:
    """Compile the document of an array.

    Raises
    ------
    MetadataError
        If a member is not valid, or is an extension that is not known here.
    """
    data_type = extension(document.data_type)
    dtype = dtype_of(data_type.name)
    if data_type.configuration:
        raise MetadataError(f"data_type.configuration: {data_type.name!r} has none")
    grid = _grid(document.shape, extension(document.chunk_grid))
    names = document.dimension_names
    if names is not None and len(names) != len(document.shape):
        raise MetadataError(
            f"dimension_names: {len(names)} names for {len(document.shape)} dimensions"
        )
    if document.storage_transformers:
        raise MetadataError("storage_transformers: none are known here")
    codecs = [
        codec_from_dict(named.name, named.configuration)
        for named in map(extension, document.codecs)
    ]
    return ArraySpec(
        shape=document.shape,
        dtype=dtype,
        fill_value=decode_fill_value(document.fill_value, dtype),
        grid=grid,
        keys=chunk_keys(extension(document.chunk_key_encoding)),
        pipeline=CodecPipeline(codecs, grid.chunk_shape, dtype),
    )


def _grid(shape: tuple[int, ...], named: Extension) -> RegularGrid:
    if named.name != "regular":
        raise MetadataError(f"chunk_grid.name: unknown chunk grid {named.name!r}; use 'regular'")
    chunk_shape = _configuration("chunk_grid", named, _GridConfiguration).chunk_shape
    if len(chunk_shape) != len(shape):
        raise MetadataError(
            f"chunk_grid.configuration.chunk_shape: {len(chunk_shape)} lengths for "
            f"{len(shape)} dimensions"
        )
    for length in chunk_shape:
        if not 1 <= length < 2**63:
            raise MetadataError(
                "chunk_grid.configuration.chunk_shape: a chunk length is 1 or more and below "
                f"2**63, not {length}"
            )
    return RegularGrid(shape, chunk_shape)


def chunk_keys(named: Extension) -> ChunkKeys:
    """Return the chunk keys of a ``chunk_key_encoding``.

    Raises
    ------
    MetadataError
    """
    separator = _configuration("chunk_key_encoding", named, _KeysConfiguration).separator
    if separator is None:
        separator = "." if named.name == "v2" else "/"
    return ChunkKeys(named.name, separator)
