"""How an array that is created is cut into chunks and shards, from what a user gives."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zarrstore.format.chunk_grids import ChunkGrid, RectilinearGrid, RegularGrid, guess_chunks
from zarrstore.format.dimensions import Dimension
from zarrstore.format.documents import MAX_DIMENSIONS

__all__ = ["Layout", "is_auto", "layout_of", "lengths_of"]

_INNER_BYTES = 2**20
_SHARD_BYTES = 2**26


@dataclass(frozen=True)
class Layout:
    """How an array is cut.

    Parameters
    ----------
    grid : ChunkGrid
        Of what is stored under one key: chunks, or shards.
    inner : tuple of int, optional
        The shape of the chunks in a shard.
    index_location : str
        Where a shard has its index.
    """

    grid: ChunkGrid
    inner: tuple[int, ...] | None = None
    index_location: str = "end"

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """What the codecs are given: a chunk, the largest where they differ."""
        return self.grid.max_chunk_shape if self.inner is None else self.inner


def is_auto(given: Any) -> bool:
    """Tell whether an option is left to be chosen."""
    return isinstance(given, str) and given == "auto"


def lengths_of(name: str, value: Any, least: int) -> tuple[int, ...]:
    """Return what is given as a shape.

    Raises
    ------
    TypeError
        If it is no integer or sequence of integers.
    ValueError
        If a length is out of range.
    """
    try:
        items = tuple(value) if _is_sequence(value) else (value,)
        lengths = tuple([_integer(item) for item in items])
    except TypeError:
        raise TypeError(f"{name} is an integer or a sequence of integers, not {value!r}") from None
    for length in lengths:
        if length < least:
            raise ValueError(f"{name} must be {least} or more along each dimension, not {length}")
        if length >= 2**63:
            raise ValueError(f"{name} must be below 2**63 along each dimension, not {length}")
    if len(lengths) > MAX_DIMENSIONS:
        raise ValueError(f"{name} has {len(lengths)} dimensions; {MAX_DIMENSIONS} at most")
    return lengths


def _integer(item: Any) -> int:
    if isinstance(item, bool):
        raise TypeError
    return operator.index(item)


def _is_sequence(value: Any) -> bool:
    """Tell a sequence of lengths from one length, which numpy may hold in an array."""
    if isinstance(value, tuple | list | int):
        return not isinstance(value, int)
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes)
        and getattr(value, "ndim", 1) > 0
    )


def layout_of(shape: tuple[int, ...], itemsize: int, chunks: Any, shards: Any) -> Layout:
    """Return how an array is cut, from the options of these names.

    Raises
    ------
    TypeError, ValueError
        If they do not fit the shape, or each other.

    Examples
    --------
    >>> layout_of((10, 10), 4, (2, 5), (4, 10)).grid.grid_shape
    (3, 1)
    >>> layout_of((5,), 4, [[2, 3]], None).grid.grid_shape
    (2,)
    """
    if shards is None or shards is False:
        return Layout(_grid("chunks", shape, itemsize, chunks, (1,) * len(shape)))
    location = "end"
    if isinstance(shards, Mapping):
        unknown = sorted(set(shards) - {"shape", "index_location"})
        if unknown or "shape" not in shards:
            raise ValueError(f"shards has 'shape' and perhaps 'index_location', not {shards!r}")
        location = shards.get("index_location", "end")
        shards = shards["shape"]
    if _is_chosen(chunks) and not is_auto(shards) and shards is not True:
        outer = _grid("shards", shape, itemsize, shards, (1,) * len(shape))
        return Layout(outer, _divided(outer, itemsize), location)
    inner = _grid("chunks", shape, itemsize, chunks, (1,) * len(shape))
    if not isinstance(inner, RegularGrid):
        raise ValueError("chunks within shards are all of one shape; give shards alone in lists")
    if is_auto(shards) or shards is True:
        shard_shape = _grown(inner.chunk_shape, shape, itemsize)
        return Layout(RegularGrid(shape, shard_shape), inner.chunk_shape, location)
    outer = _grid("shards", shape, itemsize, shards, inner.chunk_shape)
    _check_multiple(outer, inner.chunk_shape)
    return Layout(outer, inner.chunk_shape, location)


def _is_chosen(chunks: Any) -> bool:
    return chunks is None or chunks is True or is_auto(chunks)


def _grid(
    name: str, shape: tuple[int, ...], itemsize: int, given: Any, unit: tuple[int, ...]
) -> ChunkGrid:
    """Return the grid that is given; the whole length is rounded up to a multiple of ``unit``."""
    if _is_chosen(given):
        return RegularGrid(shape, guess_chunks(shape, itemsize))
    if given is False:
        given = -1
    if isinstance(given, str):
        raise ValueError(f"{name} is a shape, 'auto' or False, not {given!r}")
    items = list(given) if _is_sequence(given) else [given] * len(shape)
    if len(items) != len(shape):
        raise ValueError(f"{name} has {len(items)} lengths for {len(shape)} dimensions")
    whole = [-(-max(1, length) // each) * each for length, each in zip(shape, unit, strict=True)]
    if any(map(_is_sequence, items)):
        return _rectilinear(name, shape, items, whole)
    lengths = lengths_of(name, items, -1)
    if 0 in lengths:
        raise ValueError(f"{name} must be 1 or more along each dimension, or -1 for the whole")
    return RegularGrid(
        shape,
        tuple([full if each == -1 else each for each, full in zip(lengths, whole, strict=True)]),
    )


def _rectilinear(
    name: str, shape: tuple[int, ...], items: Sequence[Any], whole: Sequence[int]
) -> ChunkGrid:
    lengths: list[Any] = []
    for item, length, full in zip(items, shape, whole, strict=True):
        if not _is_sequence(item):
            (each,) = lengths_of(name, item, -1)
            if each == 0:
                raise ValueError(f"{name} must be 1 or more along each dimension, or -1")
            lengths.append(full if each == -1 else each)
            continue
        each_length = (
            lengths_of(name, item, 1) if len(item) <= MAX_DIMENSIONS else _many(name, item)
        )
        if sum(each_length) != length:
            raise ValueError(
                f"{name}: the lengths along a dimension add up to {sum(each_length)}, and the "
                f"array has {length}"
            )
        lengths.append(list(each_length))
    return RectilinearGrid(shape, tuple(lengths))


def _many(name: str, items: Sequence[Any]) -> list[int]:
    return [lengths_of(name, item, 1)[0] for item in items]


def _check_multiple(outer: ChunkGrid, inner: tuple[int, ...]) -> None:
    for axis, (dimension, each) in enumerate(zip(outer.dimensions, inner, strict=True)):
        for length in _lengths(dimension):
            if length % each:
                raise ValueError(
                    f"shards must be multiples of chunks along each dimension: along {axis} "
                    f"{length} is none of {each}"
                )


def _lengths(dimension: Dimension) -> list[int]:
    """Return the lengths that the chunks along a dimension have."""
    if dimension.shortest == dimension.longest:
        return [dimension.longest]
    return sorted(set(dimension.lengths_of(np.arange(dimension.count)).tolist()))


def _divided(outer: ChunkGrid, itemsize: int) -> tuple[int, ...]:
    """Return a chunk shape of about 1 MiB that divides every shard."""
    chunks = [math.gcd(*_lengths(dimension)) for dimension in outer.dimensions]
    while math.prod(chunks) * itemsize > _INNER_BYTES and max(chunks) > 1:
        longest = chunks.index(max(chunks))
        chunks[longest] //= _smallest_factor(chunks[longest])
    return tuple(chunks)


def _smallest_factor(number: int) -> int:
    for factor in range(2, min(math.isqrt(number), 2**16) + 1):
        if number % factor == 0:
            return factor
    return number


def _grown(chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return a shard shape of 64 MiB at most, or of one chunk."""
    shards = list(chunks)
    while 2 * math.prod(shards) * itemsize <= _SHARD_BYTES:
        short = [axis for axis, length in enumerate(shape) if shards[axis] < length]
        if not short:
            break
        axis = min(short, key=shards.__getitem__)
        shards[axis] *= 2
    return tuple(shards)
