"""The ``sharding_indexed`` codec: many inner chunks in one value, and an index of them.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any, Literal

import msgspec
import numpy as np

from zarrstore.byte_range import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.base import (
    LARGEST_VARIABLE_CHUNK,
    ArrayArrayCodec,
    ArrayBytesCodec,
    ChunkSpec,
    Codec,
    take,
)
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codec_of, codecs_of
from zarrstore.format.codecs.shard_index import ShardIndex
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.numbers import Number
from zarrstore.format.documents import Extension
from zarrstore.operations import Buffer

__all__ = ["ShardLayout", "ShardingIndexed"]

Location = Literal["start", "end"]
_ABSENT = 2**64 - 1
_FEW = 8
_CUT_TOGETHER = 2**20
"""Bytes of inner chunks that the processor has near."""


class ShardingIndexed(ArrayBytesCodec):
    """Store the chunks that an array is read in as parts of larger ones, the shards.

    Parameters
    ----------
    chunk_shape : sequence of int
        Of an inner chunk; it divides the shard's shape.
    codecs : sequence of Codec
        For inner chunks.
    index_codecs : sequence of Codec, optional
        For the index; ``bytes`` and ``crc32c`` by default. They keep the size fixed.
    index_location : {"end", "start"}, default "end"

    Examples
    --------
    >>> ShardingIndexed((64, 64), [Bytes()]).to_dict()["configuration"]["chunk_shape"]
    [64, 64]
    """

    name = "sharding_indexed"

    def __init__(
        self,
        chunk_shape: Sequence[int],
        codecs: Iterable[Any] = (),
        index_codecs: Iterable[Any] | None = None,
        index_location: Location = "end",
    ) -> None:
        self.chunk_shape = _lengths(chunk_shape)
        self.codecs = tuple([codec_of(codec) for codec in codecs]) or (Bytes(),)
        if index_codecs is None:
            index_codecs = (Bytes("little"), Crc32c())
        self.index_codecs = tuple([codec_of(codec) for codec in index_codecs])
        if index_location not in ("start", "end"):
            raise MetadataError(
                "codecs: sharding_indexed.index_location is 'start' or 'end', not "
                f"{index_location!r}"
            )
        self.index_location = index_location
        self._last_layout: ShardLayout | None = None
        self._layouts: dict[tuple[tuple[int, ...], DataType], ShardLayout] = {}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> ShardingIndexed:
        names = ("chunk_shape", "codecs", "index_codecs", "index_location")
        given = take(configuration, cls.name, *names)
        for name in names[:3]:
            if not isinstance(given.get(name), list | tuple):
                raise MetadataError(
                    f"codecs: sharding_indexed.{name} is a list, not {given.get(name)!r}"
                )
        return cls(
            given["chunk_shape"],
            _inner("codecs", given["codecs"]),
            _inner("index_codecs", given["index_codecs"]),
            given.get("index_location", "end"),
        )

    def configuration(self) -> dict[str, Any]:
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": [codec.to_dict() for codec in self.codecs],
            "index_codecs": [codec.to_dict() for codec in self.index_codecs],
            "index_location": self.index_location,
        }

    def fitted(self, spec: ChunkSpec) -> ShardingIndexed:
        if len(self.chunk_shape) != len(spec.shape):
            raise MetadataError(
                f"codecs: sharding_indexed.chunk_shape has {len(self.chunk_shape)} lengths for "
                f"{len(spec.shape)} dimensions"
            )
        if any(whole % part for whole, part in zip(spec.shape, self.chunk_shape, strict=True)):
            raise MetadataError(
                f"codecs: sharding_indexed.chunk_shape {list(self.chunk_shape)} does not divide "
                f"the shard's shape {list(spec.shape)}"
            )
        inner = ChunkSpec(self.chunk_shape, spec.data_type, spec.fill_value)
        codecs = []
        for given in self.codecs:
            codec = given.fitted(inner)
            codecs.append(codec)
            if isinstance(codec, ArrayArrayCodec):
                inner = codec.encoded_spec(inner)
        fitted = ShardingIndexed(self.chunk_shape, codecs, self.index_codecs, self.index_location)
        fitted.layout(spec)
        return fitted

    def layout(self, spec: ChunkSpec) -> ShardLayout:
        """Return where things are in shards of a shape."""
        last = self._last_layout
        if last is not None and last.spec is spec:
            return last
        kind = spec.shape, spec.data_type
        found = self._layouts.get(kind)
        if found is None or found.spec.fill_value is not spec.fill_value:
            found = self._layouts[kind] = ShardLayout(self, spec)
        self._last_layout = found
        return found

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        layout = self.layout(spec)
        # ascontiguousarray would add a dimension where there is none
        chunks = [np.asarray(chunk[region], order="C") for region in layout.regions]
        kept = [not layout.pipeline.spec.is_fill(inner) for inner in chunks]
        data = iter(
            layout.pipeline.encode_many([c for c, keep in zip(chunks, kept, strict=True) if keep])
        )
        return layout.joined([next(data) if keep else None for keep in kept])

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        layout = self.layout(spec)
        index = layout.index_of(data)
        chunk = np.empty(spec.shape, spec.dtype)
        for number, (span, region) in enumerate(zip(index.spans(), layout.regions, strict=True)):
            if span is None:
                chunk[region] = spec.fill_value
                continue
            try:
                chunk[region] = layout.pipeline.decode(data[span[0] : span[1]])
            except CorruptDataError as error:
                coords = layout.coords_of(number)
                raise CorruptDataError(f"inner chunk {coords}: {error}") from error
        return chunk

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None

    def largest_encoded_size(self, spec: ChunkSpec) -> int:
        layout = self.layout(spec)
        if spec.data_type.is_variable:
            return LARGEST_VARIABLE_CHUNK
        return layout.index_size + layout.count * layout.pipeline.largest_encoded_size


class ShardLayout:
    """Where things are in shards of one shape.

    Parameters
    ----------
    codec : ShardingIndexed
    spec : ChunkSpec
        Of a shard.
    """

    def __init__(self, codec: ShardingIndexed, spec: ChunkSpec) -> None:
        self.spec = spec
        self.grid = RegularGrid(spec.shape, codec.chunk_shape)
        self.grid_shape = self.grid.grid_shape
        inner = ChunkSpec(codec.chunk_shape, spec.data_type, spec.fill_value)
        self.pipeline = CodecPipeline(codec.codecs, inner)
        """Of inner chunks."""
        uint64 = Number("uint64")
        indices = ChunkSpec((*self.grid_shape, 2), uint64, uint64.default_fill_value())
        self.count = indices.size // 2
        """Inner chunks in a shard."""
        self._index = CodecPipeline(codec.index_codecs, indices)
        if self._index.encoded_size is None:
            raise MetadataError(
                "codecs: sharding_indexed.index_codecs must give an index of fixed size; leave "
                "compression out"
            )
        self.index_size = self._index.encoded_size
        """In bytes."""
        self._at_start = codec.index_location == "start"
        self._first = self.index_size if self._at_start else 0
        """Where the first inner chunk is, if nothing lies between."""
        self._strides = [math.prod(self.grid_shape[axis + 1 :]) for axis in range(len(spec.shape))]
        self.index_request: ByteRequest = (
            RangeByteRequest(0, self.index_size)
            if self._at_start
            else SuffixByteRequest(self.index_size)
        )
        """The byte range of the index in any shard."""

    @functools.cached_property
    def regions(self) -> list[tuple[slice | EllipsisType, ...]]:
        """The regions of the inner chunks in a shard, in C order; each gives a view."""
        by_dimension = [
            [slice(at, at + length) for at in range(0, whole, length)]
            for whole, length in zip(self.spec.shape, self.grid.chunk_shape, strict=True)
        ]
        return [(*region, ...) for region in itertools.product(*by_dimension)]

    @property
    def stores_plainly(self) -> bool:
        """Whether inner chunks are stored as they are in memory."""
        return self.pipeline.is_raw

    @functools.cached_property
    def is_nested(self) -> bool:
        """Whether inner chunks are shards themselves."""
        return isinstance(self.pipeline.serializer, ShardingIndexed)

    def is_plain(self, index: ShardIndex) -> bool:
        """Tell whether a shard holds every inner chunk as it is in memory, in C order."""
        return self.stores_plainly and index is self._plain[0]

    @functools.cached_property
    def _plain(self) -> tuple[ShardIndex, bytes, int]:
        """The index of a shard that `is_plain`, its bytes, and the least size of the shard."""
        size = self.pipeline.nbytes
        starts = np.arange(self.count, dtype=np.int64) * size + self._first
        index = ShardIndex(starts, starts + size, True)
        sizes = np.full(self.count, size, np.uint64)
        encoded = bytes(self.encoded_index(starts.astype(np.uint64), sizes))
        return index, encoded, self.spec.nbytes + self.index_size

    def copy_plain(self, shard: Buffer, out: np.ndarray[Any, Any]) -> None:
        """Copy the elements of a shard that `is_plain` to an array of its shape."""
        flat = np.frombuffer(shard, self.spec.dtype, self.spec.size, self._first)
        self.by_chunk(out)[...] = flat.reshape(self._chunked_shape)

    @functools.cached_property
    def _chunked_shape(self) -> tuple[int, ...]:
        """Of the grid of inner chunks, and of each of them."""
        return (*self.grid_shape, *self.grid.chunk_shape)

    def by_chunk(self, chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """View an array of the shard's shape as a grid of inner chunks.

        The grid's dimensions come first, then those of an inner chunk.
        """
        ndim = len(self.grid_shape)
        pairs = zip(self.grid_shape, self.grid.chunk_shape, strict=True)
        split = chunk.reshape([length for pair in pairs for length in pair])
        return split.transpose([*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)])

    def stacks(
        self, chunk: np.ndarray[Any, Any], *, lasting: bool
    ) -> Iterator[np.ndarray[Any, Any]]:
        """Yield copies of the inner chunks of an array of the shard's shape, in C order.

        Parameters
        ----------
        chunk : numpy.ndarray
        lasting : bool
            If false, the next ones may be in the same memory.

        Yields
        ------
        numpy.ndarray
            Some inner chunks, one after the other.
        """
        grid = self.by_chunk(chunk) if self.grid_shape else chunk[np.newaxis]
        in_row = self.count // len(grid)
        rows = max(1, _CUT_TOGETHER // (in_row * max(1, self.pipeline.nbytes)))
        for first in range(0, len(grid), rows):
            some = grid[first : first + rows]
            stack = self.pipeline.room(len(some) * in_row, lasting=lasting)
            stack.reshape(some.shape)[...] = some
            yield stack

    @functools.cached_property
    def _first_elements(self) -> Any:
        """The first element of each inner chunk in `by_chunk`."""
        return (..., *(0,) * len(self.grid_shape))

    def plain_shard(self, chunk: np.ndarray[Any, Any], write_empty_chunks: bool) -> Buffer | None:
        """Return a shard that `is_plain`, or ``None`` if an inner chunk may be left out of it."""
        chunks = self.by_chunk(chunk)
        if not write_empty_chunks:
            firsts: np.ndarray[Any, Any] = chunks[self._first_elements]
            if self.pipeline.spec.has_fill(firsts):
                return None
        room = np.empty(self.spec.nbytes + self.index_size, np.uint8)
        at = self._first
        stored = room[at : at + self.spec.nbytes].view(self.spec.dtype)
        stored.reshape(self._chunked_shape)[...] = chunks
        where = 0 if self._at_start else self.spec.nbytes
        room[where : where + self.index_size] = np.frombuffer(self._plain[1], np.uint8)
        return room.data

    def number_of(self, coords: Sequence[int]) -> int:
        """Return the place of an inner chunk in C order."""
        return sum(map(operator.mul, coords, self._strides))

    def numbers_of(self, coords: Sequence[tuple[int, ...]]) -> list[int]:
        """Return the places of several inner chunks in C order."""
        if len(coords) < _FEW:
            return [self.number_of(each) for each in coords]
        numbers: list[int] = (np.array(coords) @ self._strides).tolist()
        return numbers

    def coords_of(self, number: int) -> tuple[int, ...]:
        """Return where an inner chunk is in the shard's grid, given its place in C order."""
        return tuple(map(int, np.unravel_index(number, self.grid_shape)))

    def places_of(self, numbers: np.ndarray[Any, Any]) -> Any:
        """Return where inner chunks are in `by_chunk`, given their places in C order."""
        return np.unravel_index(numbers, self.grid_shape) if self.grid_shape else ...

    def index_of(self, shard: Buffer) -> ShardIndex:
        """Return the index of a whole shard.

        Raises
        ------
        CorruptDataError
        """
        size = len(shard)
        if size < self.index_size:
            raise self._too_small(size)
        at = 0 if self._at_start else size - self.index_size
        return self.decode_index(shard[at : at + self.index_size], size)

    def _too_small(self, size: int) -> CorruptDataError:
        return CorruptDataError(
            f"the shard has {size} bytes, too few for its index of {self.index_size}: truncated?"
        )

    def decode_index(self, data: Buffer, size: int | None) -> ShardIndex:
        """Return an index from its bytes; it is checked.

        Parameters
        ----------
        data : bytes-like
        size : int or None
            Of the shard in bytes, if that is known.

        Raises
        ------
        CorruptDataError
            If the index is damaged, or has entries beyond the shard or over each other.
        """
        if len(data) != self.index_size:
            raise self._too_small(len(data))
        if self.stores_plainly:
            plain, encoded, least = self._plain
            if data == encoded and (size is None or size >= least):
                return plain
        entries = self._index.decode(data).reshape(-1, 2)
        first, last = self._first, LARGEST_VARIABLE_CHUNK * self.count if size is None else size
        if not self._at_start and size is not None:
            last -= self.index_size
        largest = max(0, min(self.pipeline.largest_encoded_size, last - first))
        starts, sizes = entries[:, 0], entries[:, 1]
        if sizes.max() <= largest and first <= starts[0] <= last:
            ends = starts + sizes
            if ends[-1] <= last and (starts[1:] == ends[:-1]).all():
                return ShardIndex(starts, ends, True)
        return self._checked(entries, first, last, largest)

    def _checked(
        self, entries: np.ndarray[Any, Any], first: int, last: int, largest: int
    ) -> ShardIndex:
        """Return an index, some of whose entries are missing, out of order, or wrong."""
        there = entries[:, 0] != _ABSENT
        half = ~there & (entries[:, 1] != _ABSENT)
        if half.any():
            raise self._wrong(half, "has a size, and no place")
        starts, sizes = entries[there].T
        if (sizes > largest).any():
            what = f"has more than the {largest} bytes that it can have"
            raise self._wrong(_among(there, sizes > largest), what)
        ends = starts + sizes
        # starts are looked at by themselves, as a sum may have wrapped around
        outside = (starts < first) | (starts > last) | (ends > last)
        if outside.any():
            what = f"lies outside of the bytes {first} to {last}"
            raise self._wrong(_among(there, outside), what)
        order = np.lexsort((ends, starts))
        over = np.zeros(len(starts), bool)
        over[order[1:]] = starts[order[1:]] < ends[order[:-1]]
        if over.any():
            raise self._wrong(_among(there, over), "overlaps another")
        spans = np.full((2, self.count), -1, np.int64)
        spans[:, there] = starts, ends
        return ShardIndex(spans[0], spans[1], bool(there.all()))

    def _wrong(self, wrong: np.ndarray[Any, Any], what: str) -> CorruptDataError:
        """Make the error of an index, some of whose entries are wrong."""
        coords = self.coords_of(int(wrong.argmax()))
        return CorruptDataError(f"the shard's index is wrong: inner chunk {coords} {what}")

    def joined(self, chunks: Sequence[Buffer | None]) -> bytes:
        """Return a shard of encoded inner chunks in C order; ``None`` leaves one out."""
        sizes = [None if data is None else len(data) for data in chunks]
        return self.joined_pieces([data for data in chunks if data is not None], sizes)

    def joined_pieces(self, pieces: Sequence[Buffer], sizes_or_none: Sequence[int | None]) -> bytes:
        """Return a shard of pieces of inner chunks in C order, given their sizes."""
        sizes = np.array([_ABSENT if size is None else size for size in sizes_or_none], np.uint64)
        there = sizes != _ABSENT
        ends = np.cumsum(np.where(there, sizes, 0), dtype=np.uint64)
        starts = np.where(there, ends - sizes, _ABSENT)
        if self._at_start:
            starts[there] += np.uint64(self.index_size)
        index = self.encoded_index(starts, sizes)
        return b"".join([index, *pieces] if self._at_start else [*pieces, index])

    def encoded_index(self, starts: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> Buffer:
        """Return the bytes of an index."""
        entries = np.stack([starts, sizes], axis=-1).reshape(*self.grid_shape, 2)
        return self._index.encode(entries)


def _among(there: np.ndarray[Any, Any], wrong: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Tell which of all entries are wrong, given which are there and which of those are wrong."""
    among = there.copy()
    among[there] = wrong
    return among


def _inner(name: str, members: Any) -> list[Codec]:
    try:
        return codecs_of(msgspec.convert(members, list[str | Extension]))
    except (msgspec.ValidationError, MetadataError) as error:
        raise MetadataError(f"codecs: sharding_indexed.{name}: {error}") from error


def _lengths(chunk_shape: Any) -> tuple[int, ...]:
    try:
        if any(isinstance(length, bool | float) for length in chunk_shape):
            raise TypeError
        lengths = tuple([operator.index(length) for length in chunk_shape])
    except TypeError:
        lengths = (0,)
    if any(not 1 <= length < 2**63 for length in lengths):
        raise MetadataError(
            "codecs: sharding_indexed.chunk_shape is a list of lengths of 1 or more, not "
            f"{chunk_shape!r}"
        )
    return lengths
