"""`ArraySpec`: an array's metadata, compiled for reading and writing chunks."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.chunk_grids import ChunkKeys, RegularGrid
from zarrstore.format.codecs.base import ChunkSpec, Codec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codecs_of
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.registry import data_type_of
from zarrstore.format.documents import ArrayDocument, Extension, extension

__all__ = ["ArraySpec", "chunk_keys", "compile_spec"]


@dataclass(frozen=True)
class ArraySpec:
    """What is needed to move the chunks of an array, whatever its format's version."""

    shape: tuple[int, ...]
    data_type: DataType
    fill_value: Any
    """A scalar of the data type."""
    grid: RegularGrid
    keys: ChunkKeys
    codecs: tuple[Codec, ...]

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        """In native byte order."""
        return self.data_type.dtype

    @functools.cached_property
    def pipeline(self) -> CodecPipeline:
        """The codecs, compiled for the chunks of a regular grid."""
        return self.pipeline_for(self.grid.chunk_shape)

    def pipeline_for(self, chunk_shape: tuple[int, ...]) -> CodecPipeline:
        """Return the codecs, compiled for chunks of a shape."""
        found = self._pipelines.get(chunk_shape)
        if found is None:
            spec = ChunkSpec(chunk_shape, self.data_type, self.fill_value)
            found = self._pipelines[chunk_shape] = CodecPipeline(self.codecs, spec)
        return found

    @functools.cached_property
    def _pipelines(self) -> dict[tuple[int, ...], CodecPipeline]:
        return {}

    def is_fill(self, chunk: np.ndarray[Any, Any]) -> bool:
        """Tell whether every element is the fill value, bit for bit (so -0.0 is not 0.0)."""
        if self.data_type.is_variable:
            return bool((chunk == self.fill_value).all())
        bits = chunk.reshape(-1).view(self._unit)
        # most chunks that are not empty show it in their first element
        return bool(bits[0] == self._fill_bits[0]) and bool(
            (bits.reshape(-1, self._fill_bits.size) == self._fill_bits).all()
        )

    @functools.cached_property
    def _unit(self) -> np.dtype[Any]:
        return np.dtype(f"u{math.gcd(self.dtype.itemsize, 8)}")

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
    named = extension(document.data_type)
    data_type = data_type_of(named.name, named.configuration)
    grid = _grid(document.shape, extension(document.chunk_grid))
    names = document.dimension_names
    if names is not None and len(names) != len(document.shape):
        raise MetadataError(
            f"dimension_names: {len(names)} names for {len(document.shape)} dimensions"
        )
    for transformer in map(extension, document.storage_transformers):
        if transformer.must_understand:
            raise MetadataError(
                f"storage_transformers: {transformer.name!r} is not known here; none are"
            )
    spec = ArraySpec(
        shape=document.shape,
        data_type=data_type,
        fill_value=data_type.decode_fill_value(document.fill_value),
        grid=grid,
        keys=chunk_keys(extension(document.chunk_key_encoding)),
        codecs=tuple(codecs_of(document.codecs)),
    )
    assert spec.pipeline  # so that codecs that do not fit are found now
    return spec


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
