"""What a new shape does to the chunks of an array."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.chunks import write_chunks
from zarrstore.errors import UnsupportedOperationError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.chunk_grids import ChunkGrid, RectilinearGrid
from zarrstore.format.documents import Extension
from zarrstore.format.indexing import basic_selection

__all__ = ["appended_shape", "chunks_stored", "clear_outside", "new_shape", "resized"]

_FEW = 1000
"""So many chunks are deleted without asking the store which of them are there."""


def new_shape(given: Any, ndim: int) -> tuple[int, ...]:
    """Return a shape that an array of ``ndim`` dimensions can have.

    Raises
    ------
    TypeError
        If it is no integer or sequence of integers.
    ValueError
        If it has another number of dimensions, or a length is out of range.

    Examples
    --------
    >>> new_shape(3, 1), new_shape([2, 4], 2)
    ((3,), (2, 4))
    """
    try:
        items = tuple(given) if isinstance(given, Iterable) else (given,)
        if any(isinstance(item, bool) for item in items):
            raise TypeError
        shape = tuple(operator.index(item) for item in items)
    except TypeError:
        raise TypeError(f"a shape is an integer or a sequence of integers, not {given!r}") from None
    if len(shape) != ndim:
        raise ValueError(f"the shape {shape} has {len(shape)} dimensions; the array has {ndim}")
    for length in shape:
        if not 0 <= length < 2**63:
            raise ValueError(f"a length is 0 or more and below 2**63, not {length}")
    return shape


def appended_shape(
    shape: Sequence[int], data: Sequence[int], axis: int, url: str
) -> tuple[int, ...]:
    """Return the shape of an array once data is appended to it.

    Raises
    ------
    ValueError
        If the data has other lengths along the other dimensions.

    Examples
    --------
    >>> appended_shape((3, 4), (2, 4), 0, "memory://x")
    (5, 4)
    """
    if len(data) != len(shape) or any(
        given != length
        for at, (given, length) in enumerate(zip(data, shape, strict=True))
        if at != axis
    ):
        raise ValueError(
            f"data of shape {tuple(data)} cannot be appended to {url} of shape {tuple(shape)} "
            f"along axis {axis}: all other lengths must be equal"
        )
    return (*shape[:axis], shape[axis] + data[axis], *shape[axis + 1 :])


def resized(document: Any, shape: tuple[int, ...]) -> Any:
    """Return the document of an array once it is resized."""
    grid = compile_spec(document).grid
    if isinstance(grid, RectilinearGrid):
        configuration = grid.with_shape(shape).to_configuration()
        named = Extension(name=grid.name, configuration=configuration)
        return msgspec.structs.replace(document, shape=shape, chunk_grid=named)
    return msgspec.structs.replace(document, shape=shape)


def _kept_chunks(grid: ChunkGrid, kept: Sequence[int]) -> tuple[int, ...]:
    """Return how many chunks along each dimension have elements of a smaller shape."""
    pairs = zip(grid.dimensions, kept, strict=True)
    return tuple(
        [dimension.chunk_at(length - 1)[0] + 1 if length else 0 for dimension, length in pairs]
    )


def _edges(grid: ChunkGrid, kept: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield what lies outside of a smaller shape, in chunks that have something inside of it.

    No element is there twice.
    """
    ends = []
    for dimension, length in zip(grid.dimensions, kept, strict=True):
        _, start, size = dimension.chunk_at(length - 1) if length else (0, 0, 0)
        ends.append(min(start + size, dimension.length))
    for axis, (length, end) in enumerate(zip(kept, ends, strict=True)):
        if length < end:
            yield (
                *[slice(0, stop) for stop in kept[:axis]],
                slice(length, end),
                *[slice(0, stop) for stop in ends[axis + 1 :]],
            )


def _removed_chunks(grid_shape: Sequence[int], kept: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the coordinates of the chunks outside of a smaller grid, each once."""
    for axis, (count, stop) in enumerate(zip(grid_shape, kept, strict=True)):
        if stop < count:
            yield from itertools.product(
                *[range(each) for each in kept[:axis]],
                range(stop, count),
                *[range(each) for each in grid_shape[axis + 1 :]],
            )


async def clear_outside(store: Store, path: str, spec: ArraySpec, shape: tuple[int, ...]) -> None:
    """Make all elements outside of a new shape the fill value, and delete their chunks.

    Parameters
    ----------
    store : Store
    path : str
        Of the array in the store.
    spec : ArraySpec
        As it is before it is resized.
    shape : tuple of int
        The new one.

    Raises
    ------
    UnsupportedOperationError
        If there is something to delete and the store cannot.
    """
    kept = tuple([min(pair) for pair in zip(shape, spec.shape, strict=True)])
    if kept == spec.shape:
        return
    kept_chunks = _kept_chunks(spec.grid, kept)
    removed = math.prod(spec.grid.grid_shape) - math.prod(kept_chunks)
    if removed and Capability.DELETE not in store.capabilities:
        raise UnsupportedOperationError(
            f"{store.url} cannot delete, which an array's chunks must be once it is smaller; "
            "copy the part that you need to a new array",
            store=store.url,
            key=path,
        )
    fill = np.empty((), spec.dtype)
    fill[()] = spec.fill_value
    for edge in _edges(spec.grid, kept):
        selection = basic_selection(edge, spec.shape)
        value = np.broadcast_to(fill, selection.shape)
        await write_chunks(store, path, spec, selection, value)
    if removed:
        await _delete_chunks(store, path, spec, kept_chunks, removed)


async def _delete_chunks(
    store: Store, path: str, spec: ArraySpec, kept: tuple[int, ...], removed: int
) -> None:
    prefix = f"{path}/" if path else ""
    keys: Iterable[str]
    if removed <= _FEW or Capability.LIST not in store.capabilities:
        keys = (prefix + spec.keys.key(at) for at in _removed_chunks(spec.grid.grid_shape, kept))
    else:
        keys = [
            key
            async for key, coords in chunks_stored(store, path, spec)
            if any(at >= stop for at, stop in zip(coords, kept, strict=True))
        ]
        removed = len(keys)
    await each_bounded(store.delete, keys, count=removed)


async def chunks_stored(
    store: Store, path: str, spec: ArraySpec
) -> AsyncIterator[tuple[str, tuple[int, ...]]]:
    """Iterate over the keys of an array's chunks that are stored, each with its coordinates.

    Those outside of the array's shape are among them.
    """
    prefix = f"{path}/" if path else ""
    async for key in store.list_prefix(path):
        coords = spec.keys.chunk_coords(key.removeprefix(prefix), len(spec.shape))
        if coords is not None:
            yield key, coords
