"""Selections with arrays of integers or truth values: orthogonal, of coordinates, of a mask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from zarrstore.format.chunk_grids import ChunkGrid
from zarrstore.format.dimensions import Dimension, Positions
from zarrstore.format.index_arrays import (
    as_index_array,
    cut,
    cut_order,
    grouped,
    index_positions,
    mask_positions,
)
from zarrstore.format.indexing import (
    Along,
    Axis,
    AxisSelection,
    BasicSelection,
    ChunkPart,
    Index,
    NDArray,
    Selection,
    Span,
    axis_span,
    basic_selection,
    combined,
    expanded,
    integer,
    span_of,
)

__all__ = [
    "CoordinateSelection",
    "Indices",
    "OrthogonalSelection",
    "coordinate_selection",
    "mask_selection",
    "orthogonal_selection",
]


@dataclass(slots=True, eq=False)
class Indices(Axis):
    """Elements of one dimension in any order; ``positions`` are not negative."""

    positions: Positions
    count: int = field(init=False)
    reversed: bool = field(init=False, default=False)
    dropped: bool = field(init=False, default=False)
    _groups: tuple[Dimension, Positions, Positions | None, Positions] | None = field(
        init=False, default=None, repr=False
    )

    def __post_init__(self) -> None:
        self.count = len(self.positions)

    def along(self, dimension: Dimension, most: int | None = None) -> Iterator[Along]:  # noqa: ARG002
        """Yield the parts of chunks, all at once."""
        if not self.count:
            yield Along((), (), (), (), (), ())
            return
        chunks, order, edges = self._by_chunk(dimension)
        inside = self.positions - dimension.starts_of(chunks)
        if order is not None:
            chunks, inside = chunks[order], inside[order]
        found = chunks[edges[:-1]]
        insides, outsides = list(cut(inside, edges)), list(cut_order(order, edges))
        are_whole = list(map(_is_all, insides, dimension.extents_of(found).tolist()))
        are_views = [isinstance(outside, slice) for outside in outsides]
        fill = [
            is_view and isinstance(inside, slice) and inside.stop - inside.start == length
            for is_view, inside, length in zip(
                are_views, insides, dimension.lengths_of(found).tolist(), strict=True
            )
        ]
        yield Along(found.tolist(), insides, outsides, are_whole, fill, are_views)

    def count_chunks(self, dimension: Dimension) -> int:
        return len(self._by_chunk(dimension)[2]) - 1

    def _by_chunk(self, dimension: Dimension) -> tuple[Positions, Positions | None, Positions]:
        """Return the chunk of each element, their order and where each chunk begins in it."""
        # counted first and planned then
        if self._groups is None or self._groups[0] is not dimension:
            chunks = dimension.indices_of(self.positions)
            self._groups = (dimension, chunks, *grouped([chunks]))
        return self._groups[1:]


def _is_all(inside: slice | Positions, extent: int) -> bool:
    if isinstance(inside, slice):
        return bool(inside.stop - inside.start == extent)
    return len(inside) >= extent and _covers(inside, extent)


def _covers(inside: Any, extents: int | Sequence[int]) -> bool:
    """Tell whether the elements of a chunk within ``extents`` are all there."""
    is_there = np.zeros(extents, bool)
    is_there[inside] = True
    return bool(is_there.all())


@dataclass(slots=True)
class OrthogonalSelection(AxisSelection):
    """Integers, slices and arrays, each along its own dimension: see `orthogonal_selection`."""

    axes: tuple[Axis, ...]
    is_element: bool = False

    def parts(self, grid: ChunkGrid) -> Iterator[ChunkPart]:
        """Yield the parts of chunks that make up the selection, in the order of the grid."""
        parts = combined(self.axes, grid)
        if sum(isinstance(axis, Indices) for axis in self.axes) < 2:
            return parts
        return (
            ChunkPart(coords, _crossed(inside), _crossed(outside), *flags)
            for coords, inside, outside, *flags in parts
        )

    def inside(self, part: ChunkPart) -> OrthogonalSelection:
        return OrthogonalSelection(tuple([_axis_inside(item) for item in part.inside]))


def _axis_inside(item: Any) -> Axis:
    return Indices(item.reshape(-1)) if isinstance(item, np.ndarray) else span_of(item)


def _crossed(index: Index) -> Index:
    """Return an index of slices and arrays of one dimension as one that numpy takes crosswise."""
    arrays = [axis for axis, item in enumerate(index) if isinstance(item, np.ndarray)]
    if len(arrays) < 2:
        return index
    # a slice between arrays would move their dimensions to the front
    first, last = arrays[0], arrays[-1]
    crossed = [
        _as_array(item).reshape(-1, *[1] * (last - axis))
        for axis, item in enumerate(index[first : last + 1], first)
    ]
    return (*index[:first], *crossed, *index[last + 1 :])


def _as_array(item: Any) -> NDArray:
    return item if isinstance(item, np.ndarray) else np.arange(item.start, item.stop, item.step)


@dataclass(slots=True, eq=False)
class CoordinateSelection(Selection):
    """Elements by their coordinates: made by `coordinate_selection` and `mask_selection`."""

    coordinates: tuple[Positions, ...]
    """Along each dimension, of one dimension and not negative."""
    shape: tuple[int, ...]
    is_element: bool = field(init=False, default=False)
    _groups: tuple[ChunkGrid, list[Positions], Positions | None, Positions] | None = field(
        init=False, default=None, repr=False
    )

    @property
    def full_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.shape

    def full_view(self, array: NDArray) -> NDArray:
        return array

    def count_parts(self, grid: ChunkGrid) -> int:
        return len(self._by_chunk(grid)[2]) - 1

    def _by_chunk(self, grid: ChunkGrid) -> tuple[list[Positions], Positions | None, Positions]:
        """Return the chunk of each element, their order and where each chunk begins in it."""
        if self._groups is None or self._groups[0] is not grid:
            pairs = zip(self.coordinates, grid.dimensions, strict=True)
            chunks = [dimension.indices_of(positions) for positions, dimension in pairs]
            self._groups = (grid, chunks, *grouped(chunks))
        return self._groups[1:]

    def parts(self, grid: ChunkGrid) -> Iterator[ChunkPart]:
        """Yield the parts of chunks that make up the selection, in the order of the grid."""
        chunks, order, edges = self._by_chunk(grid)
        insides = [
            positions - dimension.starts_of(indices)
            for positions, indices, dimension in zip(
                self.coordinates, chunks, grid.dimensions, strict=True
            )
        ]
        if order is not None:
            insides = [inside[order] for inside in insides]
        firsts = edges[:-1] if order is None else order[edges[:-1]]
        found = [indices[firsts] for indices in chunks]
        pairs = zip(grid.dimensions, found, strict=True)
        extents = [dimension.extents_of(indices) for dimension, indices in pairs]
        # not of integers, as the number of elements may be more than one can say
        sizes = math.prod([extent.astype(float) for extent in extents])
        may_cover = edges[1:] - edges[:-1] >= sizes
        for number, (coords, outside, start, stop) in enumerate(
            zip(
                zip(*[indices.tolist() for indices in found], strict=True),
                self._outsides(order, edges),
                edges[:-1].tolist(),
                edges[1:].tolist(),
                strict=True,
            )
        ):
            inside = tuple([positions[start:stop] for positions in insides])
            is_whole = bool(may_cover[number]) and _covers(inside, [e[number] for e in extents])
            yield ChunkPart(coords, inside, outside, is_whole, False, isinstance(outside[0], slice))

    def _outsides(self, order: Positions | None, edges: Positions) -> Iterator[Index]:
        if len(self.shape) == 1:
            return ((outside,) for outside in cut_order(order, edges))
        numbers = np.arange(edges[-1]) if order is None else order
        targets = np.unravel_index(numbers, self.shape)
        return (
            tuple([target[start:stop] for target in targets])
            for start, stop in pairwise(edges.tolist())
        )

    def inside(self, part: ChunkPart) -> CoordinateSelection:
        coordinates = tuple([item for item in part.inside if isinstance(item, np.ndarray)])
        return CoordinateSelection(coordinates, (len(coordinates[0]),))


def orthogonal_selection(
    selection: Any, shape: Sequence[int]
) -> BasicSelection | OrthogonalSelection:
    """Resolve a selection along each dimension by itself against a shape.

    Parameters
    ----------
    selection : int, slice, ..., list, numpy.ndarray or tuple of them
        An array is of one dimension: integers, or truth values of the dimension's length.
    shape : sequence of int

    Raises
    ------
    IndexError
        If there are too many indices, or one is out of range, or an array is of another kind.

    Examples
    --------
    >>> orthogonal_selection(([2, 0], [True, False, True]), (3, 3)).shape
    (2, 2)
    """
    items, has_dots = expanded(selection, len(shape))
    pairs = zip(items, shape, strict=True)
    axes = tuple([_axis(*pair, axis) for axis, pair in enumerate(pairs)])
    spans = tuple([axis for axis in axes if isinstance(axis, Span)])
    if len(spans) == len(axes):
        is_element = not has_dots and all(span.dropped for span in spans)
        return BasicSelection(spans, is_element)
    return OrthogonalSelection(axes)


def _axis(item: Any, length: int, axis: int) -> Axis:
    if isinstance(item, slice) or integer(item) is not None:
        return axis_span(item, length, axis)
    array = as_index_array(item)
    if array.ndim != 1:
        raise IndexError(
            f"an array that selects along axis {axis} has one dimension, not {array.ndim}; "
            "use vindex for coordinates and masks of more"
        )
    if array.dtype == bool:
        return Indices(mask_positions(array, (length,), axis)[0])
    return Indices(index_positions(array, length, axis))


def coordinate_selection(selection: Any, shape: Sequence[int]) -> Selection:
    """Resolve coordinates of single elements against a shape, as numpy does for arrays alone.

    Parameters
    ----------
    selection : int, list, numpy.ndarray or tuple of them
        Integers for each dimension, broadcast against each other. A mask, of truth values,
        stands for the coordinates at which it is true, along as many dimensions as it has.
    shape : sequence of int

    Returns
    -------
    Selection
        Of the shape that the coordinates are broadcast to.

    Raises
    ------
    IndexError
        If there is not one for each dimension, one is out of range or of another kind, or they
        cannot be broadcast.

    Examples
    --------
    >>> coordinate_selection(([0, 2, 2], [1, 1, 0]), (3, 3)).shape
    (3,)
    """
    items = selection if isinstance(selection, tuple) else (selection,)
    arrays: list[NDArray] = []
    for item in items:
        number = integer(item)
        array = np.asarray(number) if number is not None else as_index_array(item)
        at = len(arrays)
        if array.dtype == bool:
            arrays += mask_positions(array, shape[at : at + array.ndim], at)
        elif at < len(shape):
            arrays.append(index_positions(array, shape[at], at))
        else:
            arrays.append(array)
    if len(arrays) != len(shape):
        raise IndexError(
            f"coordinates are given for {len(arrays)} dimensions, where the array has "
            f"{len(shape)}; oindex selects along some of them"
        )
    if all([array.ndim == 0 for array in arrays]):  # noqa: C419
        return basic_selection(tuple(arrays), shape)
    if _are_crossed(arrays):
        return OrthogonalSelection(tuple([Indices(array.reshape(-1)) for array in arrays]))
    try:
        coordinates = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = " ".join(str(array.shape) for array in arrays)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
        ) from None
    flat = tuple([array.reshape(-1) for array in coordinates])
    return CoordinateSelection(flat, coordinates[0].shape)


def _are_crossed(arrays: Sequence[NDArray]) -> bool:
    """Tell whether arrays are those of `numpy.ix_`, each along its own dimension."""
    ones = (1,) * len(arrays)
    return all(
        array.shape == (*ones[:axis], array.size, *ones[axis + 1 :])
        for axis, array in enumerate(arrays)
    )


def mask_selection(mask: Any, shape: Sequence[int]) -> Selection:
    """Resolve a mask, an array of truth values of the array's shape.

    Raises
    ------
    IndexError
        If it has another shape, or is of something else.

    Examples
    --------
    >>> mask_selection([[True, False], [True, True]], (2, 2)).shape
    (3,)
    """
    array = as_index_array(mask)
    if array.dtype != bool or array.ndim != len(shape) or not shape:
        raise IndexError(
            f"a mask is an array of truth values of shape {tuple(shape)}, not of {array.dtype} "
            f"and shape {array.shape}"
        )
    return coordinate_selection(array, shape)
