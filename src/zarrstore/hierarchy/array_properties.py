"""What is known of an array without reading it: the properties that both faces have."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from zarrstore.errors import UnsupportedOperationError
from zarrstore.format.chunk_grids import ChunkGrid, RegularGrid
from zarrstore.format.codecs.base import ArrayBytesCodec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.faces import Face
from zarrstore.hierarchy.facts import ArrayFacts, Pieces
from zarrstore.hierarchy.formats import AnyArrayDocument
from zarrstore.hierarchy.html import array_html
from zarrstore.hierarchy.info import Info, array_info
from zarrstore.hierarchy.options import config_of

__all__ = ["ArrayProperties", "array_facts"]


class ArrayProperties(Face[ArrayCore]):
    """What is known of an array without reading it: as it was opened, or last changed here."""

    @property
    def metadata(self) -> AnyArrayDocument:
        """The metadata document."""
        document: AnyArrayDocument = self._core.document
        return document

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The version of the format: 2 or 3."""
        return self.metadata.zarr_format

    @property
    def read_only(self) -> bool:
        """Whether writing raises `ReadOnlyError`."""
        return self._core.read_only

    @property
    def shape(self) -> tuple[int, ...]:
        """In elements."""
        return self._core.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """In native byte order, whatever the order in the store."""
        return self._core.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk, in elements; where there are shards, of a chunk within them.

        Raises
        ------
        UnsupportedOperationError
            If chunks are of several shapes; it is a `NotImplementedError`, as in zarr-python.
        """
        return _regular(_read_grid(self._core), self._core, "chunks", "read_chunk_sizes")

    @property
    def shards(self) -> tuple[int, ...] | None:
        """The shape of a shard, in elements; ``None`` if there are none.

        Raises
        ------
        UnsupportedOperationError
            If shards are of several shapes.
        """
        if _sharding(self._core) is None:
            return None
        return _regular(self._core.spec.grid, self._core, "shards", "write_chunk_sizes")

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each dimension the length of every chunk within the array: of those in shards."""
        return _sizes(_read_grid(self._core))

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each dimension the length of every chunk within the array: of shards, if any."""
        return _sizes(self._core.spec.grid)

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each dimension."""
        return _read_grid(self._core).grid_shape

    @property
    def nchunks(self) -> int:
        """The number of chunks, stored or not."""
        return math.prod(self.cdata_shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element in memory; of the reference to it where elements vary in size."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory."""
        return self.size * self.itemsize

    @property
    def fill_value(self) -> Any:
        """What a missing chunk reads as: a numpy scalar."""
        value = self._core.spec.fill_value
        cast = self._core.cast
        return value if cast is None else np.asarray(value, self._core.spec.dtype).astype(cast)[()]

    @property
    def order(self) -> Literal["C", "F"]:
        """How elements lie in a chunk that is stored; always ``C`` in memory."""
        order: Literal["C", "F"] = getattr(self.metadata, "order", "C")
        return order

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The codecs, in the order in which a chunk is encoded."""
        return self._core.spec.pipeline.codecs

    @property
    def filters(self) -> tuple[Codec, ...]:
        """The codecs from elements to elements; in Zarr v2 all that come before the compressor."""
        return _codecs_of(self._core).filters

    @property
    def serializer(self) -> Codec | None:
        """The codec from elements to bytes; ``None`` in Zarr v2, which has none."""
        return _codecs_of(self._core).serializer

    @property
    def compressors(self) -> tuple[Codec, ...]:
        """The codecs from bytes to bytes: compressors and checksums."""
        return _codecs_of(self._core).compressors

    @property
    def compressor(self) -> Codec | None:
        """The compressor of an array of Zarr v2, or ``None``.

        Raises
        ------
        TypeError
            If the array is of Zarr v3, which has `compressors`.
        """
        if self.zarr_format != 2:
            raise TypeError("an array of Zarr v3 has compressors, not one compressor")
        return next(iter(self.compressors), None)

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """The names of the dimensions, or ``None``."""
        return self.metadata.dimension_names

    @property
    def write_empty_chunks(self) -> bool:
        """Whether chunks that hold only the fill value are stored."""
        return self._core.write_empty_chunks

    def astype(self, dtype: Any) -> Self:
        """Return this array, read-only, with elements that are cast when they are read.

        Parameters
        ----------
        dtype : data-type

        Examples
        --------
        >>> import zarrstore
        >>> array = zarrstore.create_array({}, data=[1.5, 2.5])
        >>> array.astype("int8")[1:]
        array([2], dtype=int8)
        """
        return type(self)(self._core.as_type(dtype))

    def with_config(self, config: Mapping[str, Any]) -> Self:
        """Return this array with another way of writing, which is stored nowhere.

        Parameters
        ----------
        config : mapping
            ``write_empty_chunks``: whether chunks that hold only the fill value are stored.

        Examples
        --------
        >>> import zarrstore
        >>> array = zarrstore.create_array({}, shape=3)
        >>> array.with_config({"write_empty_chunks": True})[:] = 0
        >>> array.nchunks_initialized
        1
        """
        write_empty_chunks = config_of({"config": config}).write_empty_chunks
        return type(self)(dataclasses.replace(self._core, write_empty_chunks=write_empty_chunks))

    @property
    def info(self) -> Info:
        """What is known of the array, as a table; `info_complete` looks into the store too."""
        return array_info(array_facts(self._core, type(self).__name__))

    def _repr_html_(self) -> str:
        return array_html(array_facts(self._core, type(self).__name__))

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._core.url} shape={self.shape} dtype={self.dtype.name}>"
        )

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        if same is NotImplemented or not isinstance(other, ArrayProperties):
            return NotImplemented
        return same and self._core.cast == other._core.cast

    __hash__ = Face.__hash__


def array_facts(
    core: ArrayCore,
    kind: str = "Array",
    *,
    nbytes_stored: int | None = None,
    nchunks_initialized: int | None = None,
) -> ArrayFacts:
    """Return what is told of an array.

    Parameters
    ----------
    core : ArrayCore
    kind : str
        The name of the face's type.
    nbytes_stored, nchunks_initialized : int, optional
        If they were counted.
    """
    spec = core.spec
    has_shards = _sharding(core) is not None
    codecs = _codecs_of(core)
    varies = spec.data_type.is_variable
    return ArrayFacts(
        name=core.name,
        url=core.url,
        store=type(core.store).__name__,
        zarr_format=core.document.zarr_format,
        shape=spec.shape,
        dtype=str(core.dtype) if core.dtype.kind != "O" else spec.data_type.name,
        fill_value=str(spec.fill_value),
        chunks=_pieces(_read_grid(core)),
        shards=_pieces(spec.grid) if has_shards else None,
        order=getattr(core.document, "order", "C"),
        filters=_names(codecs.filters),
        serializer=None if codecs.serializer is None else codecs.serializer.name,
        compressors=_names(codecs.compressors),
        nbytes=None if varies else math.prod(spec.shape) * core.dtype.itemsize,
        nbytes_stored=nbytes_stored,
        nchunks_initialized=nchunks_initialized,
        read_only=core.read_only,
        dimension_names=core.document.dimension_names,
        attributes=core.document.attributes,
        kind=kind,
    )


def _sharding(core: ArrayCore) -> ShardingIndexed | None:
    """Return the codec of an array whose chunks are stored in shards."""
    codec = core.spec.codecs[0]
    return codec if isinstance(codec, ShardingIndexed) else None


def _read_grid(core: ArrayCore) -> ChunkGrid:
    """Return the grid of the chunks that are decoded by themselves."""
    sharding = _sharding(core)
    spec = core.spec
    return spec.grid if sharding is None else RegularGrid(spec.shape, sharding.chunk_shape)


def _regular(grid: ChunkGrid, core: ArrayCore, name: str, other: str) -> tuple[int, ...]:
    if not grid.is_regular:
        raise UnsupportedOperationError(
            f"{name} of {core.url} are of several shapes: use {other}",
            store=core.store.url,
            key=core.path,
        )
    return grid.max_chunk_shape


def _sizes(grid: ChunkGrid) -> tuple[tuple[int, ...], ...]:
    return tuple(
        [tuple(each.extents_of(np.arange(each.count)).tolist()) for each in grid.dimensions]
    )


def _pieces(grid: ChunkGrid) -> tuple[Pieces, ...]:
    return tuple(
        [
            each.longest
            if each.shortest == each.longest
            else tuple(each.lengths_of(np.arange(each.count)).tolist())
            for each in grid.dimensions
        ]
    )


class _Codecs(NamedTuple):
    """The codecs of the chunks that are decoded by themselves, by kind."""

    filters: tuple[Codec, ...]
    serializer: Codec | None
    compressors: tuple[Codec, ...]


def _codecs_of(core: ArrayCore) -> _Codecs:
    sharding = _sharding(core)
    codecs = core.spec.pipeline.codecs if sharding is None else sharding.codecs
    if core.document.zarr_format == 3:
        at = next(at for at, codec in enumerate(codecs) if isinstance(codec, ArrayBytesCodec))
        return _Codecs(codecs[:at], codecs[at], codecs[at + 1 :])
    # the order and the byte order are codecs here, and members of the document there
    end = len(codecs) - (core.document.compressor is not None)
    begin = int(core.document.order == "F" and isinstance(codecs[0], Transpose))
    filters = [codec for codec in codecs[begin:end] if not isinstance(codec, Bytes)]
    return _Codecs(tuple(filters), None, codecs[end:])


def _names(codecs: tuple[Codec, ...]) -> tuple[str, ...]:
    return tuple([codec.name for codec in codecs])
