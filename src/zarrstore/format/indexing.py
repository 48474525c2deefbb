"""Selections: from ``array[...]`` to the parts of chunks that answer it. Pure: no I/O.

A selection yields `ChunkPart`: ``out[part.outside] = chunk[part.inside]`` for each of them reads
it, ``chunk[part.inside] = value[part.outside]`` writes it.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import EllipsisType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from zarrstore.format.chunk_grids import ChunkGrid
from zarrstore.format.dimensions import Dimension

__all__ = [
    "Along",
    "Axis",
    "AxisSelection",
    "BasicSelection",
    "ChunkPart",
    "Selection",
    "Span",
    "axis_span",
    "basic_selection",
    "block_selection",
    "combined",
    "expanded",
    "integer",
    "span_of",
]

NDArray: TypeAlias = np.ndarray[Any, Any]
Index: TypeAlias = tuple[slice | EllipsisType | NDArray, ...]

_BLOCK = 256
"""Chunks along the first dimension that are planned at once."""


class ChunkPart(NamedTuple):
    """A part of one chunk, and where it belongs in the selection."""

    coords: tuple[int, ...]
    """Of the chunk in its grid."""
    inside: Index
    """The part of the chunk; steps are positive."""
    outside: Index
    """The part of the selection, before dimensions of integers are dropped."""
    is_whole: bool
    """Whether the part is all that the chunk has inside the array."""
    fills_chunk: bool
    """Whether the part is the chunk's full shape, in order, so that nothing lies beyond the
    array; ``is_view`` is true then."""
    is_view: bool = True
    """Whether ``outside`` gives a view: only then may what it gives be written to."""


_part: Callable[[Iterable[Any]], ChunkPart] = partial(tuple.__new__, ChunkPart)
"""Half the time of ``ChunkPart()``: this is called for each chunk."""


class Selection(ABC):
    """What is selected of an array, resolved against its shape."""

    __slots__ = ()

    is_element: bool
    """Whether the result is one element, not an array, as with integers alone."""

    @property
    @abstractmethod
    def full_shape(self) -> tuple[int, ...]:
        """The shape that ``outside`` of the parts is an index into."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the result, as numpy has it."""

    @abstractmethod
    def full_view(self, array: NDArray) -> NDArray:
        """View an array of `shape` as one of `full_shape`, in the order of the chunks."""

    @abstractmethod
    def count_parts(self, grid: ChunkGrid) -> int:
        """Return how many chunks the selection touches."""

    @abstractmethod
    def parts(self, grid: ChunkGrid) -> Iterator[ChunkPart]:
        """Yield the parts of chunks that make up the selection, one for each chunk touched."""

    @abstractmethod
    def inside(self, part: ChunkPart) -> Selection:
        """Return what one of the parts selects of its chunk, as a selection of its own.

        Its `full_shape` is the shape of ``array[part.outside]``, where ``array`` has this
        selection's `full_shape`.
        """


class Along(NamedTuple):
    """The parts of chunks along one dimension: what `ChunkPart` has, a sequence for each."""

    indices: Sequence[int]
    insides: Sequence[Any]
    outsides: Sequence[Any]
    are_whole: Sequence[bool]
    fill: Sequence[bool]
    are_views: Sequence[bool]


class Axis(ABC):
    """What is selected along one dimension."""

    __slots__ = ()

    count: int
    """The number of elements."""
    dropped: bool
    """Whether the result is without the dimension, as with an integer."""
    reversed: bool
    """Whether the order of the chunks is the opposite of the result's."""

    @abstractmethod
    def along(self, dimension: Dimension, most: int | None = None) -> Iterator[Along]:
        """Yield the parts of chunks, so many at a time; all at once without a number."""

    @abstractmethod
    def count_chunks(self, dimension: Dimension) -> int:
        """Return how many chunks are touched."""


@dataclass(slots=True)
class Span(Axis):
    """The elements ``start, start + step, ...`` of one dimension; ``step`` is positive."""

    start: int
    step: int
    count: int
    reversed: bool = False
    dropped: bool = False

    def along(self, dimension: Dimension, most: int | None = None) -> Iterator[Along]:
        if self.count == 0:
            yield Along((), (), (), (), (), ())
        elif self.step == 1:
            first, stop = self._chunks(dimension)
            size = most or stop - first
            for at in range(first, stop, size):
                yield self._run(dimension, at, min(at + size, stop))
        else:
            walk = self._walk(dimension)
            while parts := tuple(itertools.islice(walk, most)):
                yield Along(*zip(*parts, strict=True))

    def count_chunks(self, dimension: Dimension) -> int:
        if self.count <= 1:
            return self.count
        if self.step <= dimension.shortest:
            first, stop = self._chunks(dimension)
            return stop - first
        if self.step >= dimension.longest:
            return self.count
        return sum(1 for _ in self._walk(dimension))

    def _chunks(self, dimension: Dimension) -> tuple[int, int]:
        last = self.start + (self.count - 1) * self.step
        return dimension.chunk_at(self.start)[0], dimension.chunk_at(last)[0] + 1

    def _run(self, dimension: Dimension, first: int, stop: int) -> Along:
        """Return the parts of chunks in a row; all but the outermost are whole."""
        count = stop - first
        starts = dimension.starts(first, stop)
        cuts = [start - self.start for start in starts]
        cuts[0] = max(0, cuts[0])
        cuts.append(min(self.count, starts[-1] + dimension.length_of(stop - 1) - self.start))
        if dimension.shortest == dimension.longest:
            insides = [slice(0, dimension.longest, 1)] * count
        else:
            lengths = dimension.lengths_of(np.arange(first, stop))
            insides = [slice(0, length, 1) for length in lengths.tolist()]
        are_whole, fill = [True] * count, [True] * count
        for at in (0, count - 1):
            offset = self.start - starts[at]
            insides[at] = slice(cuts[at] + offset, cuts[at + 1] + offset, 1)
            selected = cuts[at + 1] - cuts[at]
            are_whole[at] = selected == dimension.extent_of(first + at)
            fill[at] = selected == dimension.length_of(first + at)
        outsides = list(map(slice, cuts, cuts[1:], itertools.repeat(1)))
        return Along(range(first, stop), insides, outsides, are_whole, fill, [True] * count)

    def _walk(self, dimension: Dimension) -> Iterator[tuple[int, slice, slice, bool, bool, bool]]:
        """Yield the part of one chunk after the other."""
        done = 0
        while done < self.count:
            at = self.start + done * self.step
            index, start, length = dimension.chunk_at(at)
            extent = min(length, dimension.length - start)
            count = min(self.count - done, -(-(start + extent - at) // self.step))
            inside = slice(at - start, at - start + (count - 1) * self.step + 1, self.step)
            outside = slice(done, done + count, 1)
            yield index, inside, outside, count == extent, count == length, True
            done += count


class AxisSelection(Selection):
    """A selection along each dimension by itself."""

    __slots__ = ()

    axes: tuple[Axis, ...]

    @property
    def full_shape(self) -> tuple[int, ...]:
        """The shape of the selection with a length of 1 for each integer."""
        return tuple([axis.count for axis in self.axes])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple([axis.count for axis in self.axes if not axis.dropped])

    def full_view(self, array: NDArray) -> NDArray:
        full = array.reshape(self.full_shape)
        if any([axis.reversed for axis in self.axes]):  # noqa: C419
            full = full[tuple(slice(None, None, -1 if a.reversed else 1) for a in self.axes)]
        return full

    def count_parts(self, grid: ChunkGrid) -> int:
        pairs = zip(self.axes, grid.dimensions, strict=True)
        return math.prod([axis.count_chunks(dimension) for axis, dimension in pairs])


def combined(axes: Sequence[Axis], grid: ChunkGrid) -> Iterator[ChunkPart]:
    """Return the parts of chunks for each combination of parts along the dimensions."""
    if not all([axis.count for axis in axes]):  # noqa: C419
        return iter(())
    (first, *others) = zip(axes, grid.dimensions, strict=True)
    rest = [next(axis.along(dimension)) for axis, dimension in others]
    blocks = first[0].along(first[1], _BLOCK)
    return itertools.chain.from_iterable(_product((block, *rest)) for block in blocks)


def _product(by_dimension: Sequence[Along]) -> Iterator[ChunkPart]:
    # as this is done for each chunk, none of it is a step in Python
    indices, insides, outsides, are_whole, fill, are_views = zip(*by_dimension, strict=True)
    fields = (
        itertools.product(*indices),
        itertools.product(*insides),
        itertools.product(*outsides),
        _all_of(are_whole),
        _all_of(fill),
        _all_of(are_views),
    )
    return map(_part, zip(*fields, strict=False))


def _all_of(flags: Sequence[Sequence[bool]]) -> Iterator[bool]:
    if all(map(all, flags)):
        return itertools.repeat(True)
    return map(all, itertools.product(*flags))


@dataclass(slots=True)
class BasicSelection(AxisSelection):
    """Integers and slices: made by `basic_selection` and `block_selection`."""

    axes: tuple[Span, ...]
    is_element: bool = False

    def parts(self, grid: ChunkGrid) -> Iterator[ChunkPart]:
        """Yield the parts of chunks that make up the selection, in the order of the grid."""
        if not self.axes:
            # of an array without dimensions, () would take an element where ... takes a view
            return iter((ChunkPart((), (...,), (...,), True, True),))
        # most selections of one chunk are small, so that the time to plan them shows
        coords: tuple[int, ...] = ()
        inside: tuple[slice, ...] = ()
        outside: tuple[slice, ...] = ()
        is_whole = fills_chunk = True
        dimensions = grid.dimensions
        for axis, span in enumerate(self.axes):
            count = span.count
            if not count:
                return iter(())
            index, start, length = dimensions[axis].chunk_at(span.start)
            at = span.start - start
            stop = at + (count - 1) * span.step + 1
            if stop > length:
                break
            coords += (index,)
            inside += (slice(at, stop, span.step),)
            outside += (slice(0, count, 1),)
            if count != length:
                fills_chunk = False
                is_whole = is_whole and count == dimensions[axis].length - start
        else:
            return iter((_part((coords, inside, outside, is_whole, fills_chunk, True)),))
        return combined(self.axes, grid)

    def inside(self, part: ChunkPart) -> BasicSelection:
        return BasicSelection(tuple([span_of(item) for item in part.inside if item is not ...]))


def basic_selection(selection: Any, shape: Sequence[int]) -> BasicSelection:
    """Resolve a selection of integers, slices and ``...`` against a shape.

    Raises
    ------
    IndexError
        If there are too many indices, or an integer is out of range, or a kind of selection
        that is not basic is asked for.

    Examples
    --------
    >>> basic_selection((0, slice(None, None, -2)), (3, 5)).shape
    (3,)
    """
    items, has_dots = expanded(selection, len(shape))
    spans: list[Span] = []
    is_element = not has_dots
    for axis, item in enumerate(items):
        length = shape[axis]
        if type(item) is int and -length <= item < length:
            spans.append(Span(item % length, 1, 1, False, True))
        else:
            span = axis_span(item, length, axis)
            is_element = is_element and span.dropped
            spans.append(span)
    return BasicSelection(tuple(spans), is_element)


def block_selection(selection: Any, grid: ChunkGrid) -> BasicSelection:
    """Resolve a selection of whole chunks, by integers, slices of step 1 and ``...``.

    An integer selects a chunk and drops no dimension. Slices end at the grid's end.

    Raises
    ------
    IndexError
        If there are too many indices, or an integer is out of range, or a slice has a step.

    Examples
    --------
    >>> from zarrstore.format.chunk_grids import RegularGrid
    >>> block_selection((-1, slice(0, 2)), RegularGrid((5, 6), (2, 2))).shape
    (1, 4)
    """
    items, _ = expanded(selection, len(grid.shape))
    pairs = enumerate(zip(items, grid.dimensions, strict=True))
    return BasicSelection(tuple([_block_span(*pair, axis) for axis, pair in pairs]))


def expanded(selection: Any, ndim: int) -> tuple[Sequence[Any], bool]:
    """Return an item for each dimension, and whether there was a ``...``.

    Raises
    ------
    IndexError
        If there are more items than dimensions, or several ``...``.
    """
    items = selection if isinstance(selection, tuple) else (selection,)
    if len(items) == ndim:
        for item in items:
            if item is ...:
                break
        else:
            return items, False
    dots = [at for at, item in enumerate(items) if item is ...]
    given = len(items) - len(dots)
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if given > ndim:
        raise IndexError(
            f"too many indices: the array has {ndim} dimensions, but {given} were indexed"
        )
    at = dots[0] if dots else given
    return (*items[:at], *[slice(None)] * (ndim - given), *items[at + 1 :]), bool(dots)


def span_of(item: Any) -> Span:
    """Return a slice whose start, stop and step are positive numbers as a span."""
    return Span(item.start, item.step, len(range(item.start, item.stop, item.step)))


def integer(item: Any) -> int | None:
    """Return an index as an integer; ``None`` if it is something else, truth values too."""
    if type(item) is int:
        return item
    if isinstance(item, bool | np.bool_):
        return None
    try:
        return operator.index(item)
    except TypeError:
        return None


def axis_span(item: Any, length: int, axis: int) -> Span:
    """Resolve an integer or a slice against a dimension; ``axis`` is its number, for messages.

    Raises
    ------
    IndexError
        If the integer is out of range, or it is something else.
    """
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        count = len(range(start, stop, step))
        if step < 0:
            last = start + (count - 1) * step
            return Span(last if count else 0, -step, count, reversed=True)
        return Span(start, step, count)
    number = integer(item)
    if number is None:
        raise IndexError(f"an index is an integer, a slice or '...', not {type(item).__name__}")
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of bounds for axis {axis} with size {length}")
    return Span(number % length, 1, 1, False, True)


def _block_span(item: Any, dimension: Dimension, axis: int) -> Span:
    if isinstance(item, slice):
        first, stop, step = item.indices(dimension.count)
        if step != 1:
            raise IndexError(f"blocks are selected with slices of step 1, not {step}")
    else:
        number = integer(item)
        if number is None:
            raise IndexError(
                f"blocks are selected by integers, slices and '...', not {type(item).__name__}"
            )
        if not -dimension.count <= number < dimension.count:
            raise IndexError(
                f"block {number} is out of bounds for axis {axis} with {dimension.count} chunks"
            )
        first = number % dimension.count
        stop = first + 1
    if stop <= first:
        return Span(0, 1, 0)
    start = dimension.start_of(first)
    return Span(start, 1, dimension.start_of(stop - 1) + dimension.extent_of(stop - 1) - start)
