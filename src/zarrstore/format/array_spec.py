"""`ArraySpec`: an array's metadata, compiled for reading and writing chunks."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.chunk_grids import ChunkGrid, ChunkKeys, RegularGrid, chunk_grid
from zarrstore.format.codecs.base import ChunkSpec, Codec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codecs_of
from zarrstore.format.codecs.v2 import object_codec_of, v2_codecs
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.registry import data_type_of
from zarrstore.format.data_types.v2 import data_type_from_v2, decode_fill_value_v2
from zarrstore.format.documents import ArrayDocument, Extension, extension
from zarrstore.format.documents_v2 import ArrayDocumentV2

__all__ = ["ArraySpec", "chunk_keys", "compile_spec"]


@dataclass(frozen=True)
class ArraySpec:
    """What is needed to move the chunks of an array, whatever its format's version."""

    shape: tuple[int, ...]
    data_type: DataType
    fill_value: Any
    """A scalar of the data type."""
    grid: ChunkGrid
    keys: ChunkKeys
    codecs: tuple[Codec, ...]

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        """In native byte order."""
        return self.data_type.dtype

    @functools.cached_property
    def pipeline(self) -> CodecPipeline:
        """The codecs, compiled for the chunks of a regular grid; the largest of another one."""
        return self.pipeline_for(self.grid.max_chunk_shape)

    def pipeline_at(self, coords: tuple[int, ...]) -> CodecPipeline:
        """Return the codecs, compiled for one chunk of the grid."""
        return self.pipeline_for(self.grid.chunk_shape_at(coords))

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


class _KeysConfiguration(msgspec.Struct, forbid_unknown_fields=True):
    separator: str | None = None


def compile_spec(document: ArrayDocument | ArrayDocumentV2) -> ArraySpec:
    """Compile the document of an array.

    Raises
    ------
    MetadataError
        If a member is not valid, or is an extension that is not known here.
    """
    try:
        kind = _packed(_kind(document))
    except (OverflowError, TypeError):  # a number that takes more than 64 bits
        return _compiled(document)
    spec = _specs.get(kind)
    if spec is None:
        if len(_specs) >= _KEPT:
            _specs.clear()
        spec = _specs[kind] = _compiled(document)
    return spec if spec.shape == document.shape else _with_shape(spec, document)


_KEPT = 256
_packed = msgspec.msgpack.Encoder().encode
_specs: dict[bytes, ArraySpec] = {}


def _kind(document: ArrayDocument | ArrayDocumentV2) -> tuple[Any, ...]:
    """Return what arrays have in common that are compiled once, whatever their shapes."""
    if isinstance(document, ArrayDocumentV2):
        return (
            document.chunks,
            document.dtype,
            document.compressor,
            document.fill_value,
            document.order,
            document.filters,
            document.dimension_separator,
        )
    return (
        len(document.shape),
        document.data_type,
        document.chunk_grid,
        document.chunk_key_encoding,
        document.fill_value,
        document.codecs,
        document.dimension_names,
        document.storage_transformers,
    )


def _with_shape(spec: ArraySpec, document: ArrayDocument | ArrayDocumentV2) -> ArraySpec:
    """Return the spec of an array that differs from another in its shape only."""
    grid: ChunkGrid
    if isinstance(spec.grid, RegularGrid):
        grid = RegularGrid(document.shape, spec.grid.chunk_shape)
    else:
        assert isinstance(document, ArrayDocument)
        named = extension(document.chunk_grid)
        grid = chunk_grid(document.shape, named.name, named.configuration)
    found = ArraySpec(document.shape, spec.data_type, spec.fill_value, grid, spec.keys, spec.codecs)
    found.__dict__["_pipelines"] = spec._pipelines
    return found


def _compiled(document: ArrayDocument | ArrayDocumentV2) -> ArraySpec:
    spec = _compiled_v3(document) if isinstance(document, ArrayDocument) else _compiled_v2(document)
    assert spec.pipeline  # so that codecs that do not fit are found now
    return spec


def _compiled_v3(document: ArrayDocument) -> ArraySpec:
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
    named = extension(document.data_type)
    data_type = data_type_of(named.name, named.configuration)
    grid = extension(document.chunk_grid)
    return ArraySpec(
        shape=document.shape,
        data_type=data_type,
        fill_value=data_type.decode_fill_value(document.fill_value),
        grid=chunk_grid(document.shape, grid.name, grid.configuration),
        keys=chunk_keys(extension(document.chunk_key_encoding)),
        codecs=tuple(codecs_of(document.codecs)),
    )


def _compiled_v2(document: ArrayDocumentV2) -> ArraySpec:
    data_type, stored = data_type_from_v2(document.dtype, object_codec_of(document.filters))
    codecs = v2_codecs(
        document.filters,
        document.compressor,
        document.order,
        stored,
        data_type,
        ndim=len(document.shape),
    )
    fill_value = decode_fill_value_v2(data_type, document.fill_value, stored)
    return ArraySpec(
        shape=document.shape,
        data_type=data_type,
        fill_value=data_type.default_fill_value() if fill_value is None else fill_value,
        grid=RegularGrid(document.shape, document.chunks),
        keys=ChunkKeys("v2", document.dimension_separator),
        codecs=tuple(codecs),
    )


def chunk_keys(named: Extension) -> ChunkKeys:
    """Return the chunk keys of a ``chunk_key_encoding``.

    Raises
    ------
    MetadataError
    """
    try:
        separator = msgspec.convert(named.configuration, _KeysConfiguration).separator
    except msgspec.ValidationError as error:
        raise MetadataError(f"chunk_key_encoding.configuration: {error}") from error
    if separator is None:
        separator = "." if named.name == "v2" else "/"
    return ChunkKeys(named.name, separator)
