"""Selections: from ``array[...]`` to the parts of chunks that answer it. Pure: no I/O."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from zarrstore.format.chunk_grids import RegularGrid

__all__ = ["BasicSelection", "ChunkPart", "basic_selection"]

Slices: TypeAlias = tuple[slice | EllipsisType, ...]


class ChunkPart(NamedTuple):
    """A part of one chunk, and where it belongs in the selection."""

    coords: tuple[int, ...]
    """Of the chunk in its grid."""
    inside: Slices
    """The part of the chunk; steps are positive."""
    outside: Slices
    """The part of the selection, before dimensions of integers are dropped."""
    is_whole: bool
    """Whether the part is all that the chunk has inside the array."""
    fills_chunk: bool
    """Whether the part is the chunk's full shape, so that nothing lies beyond the array."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The elements ``start, start + step, ...`` of one dimension; ``step`` is positive."""

    start: int
    step: int
    count: int
    reversed: bool = False
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class BasicSelection:
    """Integers and slices, resolved against a shape."""

    spans: tuple[_Span, ...]
    is_element: bool = False
    """Whether the result is one element, not an array: integers alone were given, no ``...``."""

    @property
    def full_shape(self) -> tuple[int, ...]:
        """The shape of the selection with a length of 1 for each integer."""
        return tuple(span.count for span in self.spans)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result, as numpy has it."""
        return tuple(span.count for span in self.spans if not span.dropped)

    def full_view(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """View an array of `shape` as one of `full_shape`, in the order of the chunks."""
        full = array.reshape(self.full_shape)
        if any(span.reversed for span in self.spans):
            full = full[tuple(slice(None, None, -1 if s.reversed else 1) for s in self.spans)]
        return full

    def count_parts(self, grid: RegularGrid) -> int:
        """Return how many chunks the selection touches."""
        return math.prod(len(parts) for parts in self._parts_by_dimension(grid))

    def parts(self, grid: RegularGrid) -> Iterator[ChunkPart]:
        """Yield the parts of chunks that make up the selection, in the order of the grid."""
        if not self.spans:
            # of an array without dimensions, () would take an element where ... takes a view
            yield ChunkPart((), (...,), (...,), True, True)
            return
        for combination in itertools.product(*self._parts_by_dimension(grid)):
            coords, inside, outside, are_whole, fill = zip(*combination, strict=True)
            yield ChunkPart(coords, inside, outside, all(are_whole), all(fill))

    def _parts_by_dimension(
        self, grid: RegularGrid
    ) -> list[list[tuple[int, slice, slice, bool, bool]]]:
        return [
            list(_parts_of(span, length, chunk))
            for span, length, chunk in zip(self.spans, grid.shape, grid.chunk_shape, strict=True)
        ]


def _parts_of(
    span: _Span, length: int, chunk: int
) -> Iterator[tuple[int, slice, slice, bool, bool]]:
    """Yield the part of each chunk along one dimension."""
    done = 0
    while done < span.count:
        at = span.start + done * span.step
        index = at // chunk
        first = index * chunk
        end = min(first + chunk, length)
        count = min(span.count - done, -(-(end - at) // span.step))
        inside = slice(at - first, at - first + (count - 1) * span.step + 1, span.step)
        is_whole = count == end - first
        yield index, inside, slice(done, done + count), is_whole, count == chunk
        done += count


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
    items = list(selection) if isinstance(selection, tuple) else [selection]
    dots = [at for at, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    given = len(items) - len(dots)
    if given > len(shape):
        raise IndexError(
            f"too many indices: the array has {len(shape)} dimensions, but {given} were indexed"
        )
    at = dots[0] if dots else len(items)
    items[at : at + 1] = [slice(None)] * (len(shape) - given)
    spans = tuple(
        _span(item, length, axis)
        for axis, (item, length) in enumerate(zip(items, shape, strict=True))
    )
    return BasicSelection(spans, not dots and all(span.dropped for span in spans))


def _span(item: Any, length: int, axis: int) -> _Span:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        count = len(range(start, stop, step))
        if step < 0:
            last = start + (count - 1) * step
            return _Span(last if count else 0, -step, count, reversed=True)
        return _Span(start, step, count)
    try:
        if isinstance(item, bool | np.bool_):
            raise TypeError
        number = operator.index(item)
    except TypeError:
        raise IndexError(
            f"an index is an integer, a slice or '...', not {type(item).__name__}"
        ) from None
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of bounds for axis {axis} with size {length}")
    return _Span(number % length, 1, 1, dropped=True)
