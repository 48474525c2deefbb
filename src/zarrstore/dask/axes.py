"""One dimension of a write: blocks of a dask array over the units of a stored one. Pure.

A *unit* is what is stored under one key: a chunk, a shard, or a cell of a rectilinear grid. All is
done with arrays of boundaries, so that a million units take milliseconds.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zarrstore.format.dimensions import Dimension, Positions

__all__ = ["Axis", "Span", "block_bounds", "spans_of"]


@dataclass(frozen=True)
class Span:
    """What a region has of one dimension.

    Parameters
    ----------
    start, step, count : int
        Of the elements; the step is 1 or more.
    dropped : bool
        Whether the dask array lacks the dimension, as with an integer.
    """

    start: int
    step: int
    count: int
    dropped: bool = False

    @property
    def stop(self) -> int:
        """After the last element."""
        return self.start + self.step * (self.count - 1) + 1 if self.count else self.start

    def meets(self, other: Span) -> bool:
        """Tell whether two regions have elements in common along a dimension.

        Examples
        --------
        >>> Span(0, 2, 5).meets(Span(1, 2, 5)), Span(0, 2, 5).meets(Span(3, 3, 2))
        (False, True)
        """
        if not self.count or not other.count:
            return False
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        if start >= stop:
            return False
        # x = self.start (mod self.step) and x = other.start (mod other.step)
        common = math.gcd(self.step, other.step)
        if (other.start - self.start) % common:
            return False
        period = math.lcm(self.step, other.step)
        inverse = pow(self.step // common, -1, other.step // common) if other.step > common else 0
        jumps = (other.start - self.start) // common * inverse % (other.step // common)
        candidate = self.start + self.step * jumps
        candidate += -(-(start - candidate) // period) * period
        return candidate < stop


def spans_of(region: Any, shape: Sequence[int]) -> tuple[Span, ...]:
    """Return what a region has of each dimension of an array.

    Parameters
    ----------
    region : int, slice, ..., or tuple of them; or None
        ``None`` is all.
    shape : sequence of int

    Raises
    ------
    IndexError
        If the region does not fit the shape.
    TypeError, ValueError
        If it is made of something else, or a step is negative.

    Examples
    --------
    >>> spans_of((3, slice(2, None, 2)), (4, 7))
    (Span(start=3, step=1, count=1, dropped=True), Span(start=2, step=2, count=3, dropped=False))
    """
    given = () if region is None else region if isinstance(region, tuple) else (region,)
    dots = [at for at, item in enumerate(given) if item is Ellipsis]
    missing = len(shape) - len(given) + len(dots)
    if missing < 0 or len(dots) > 1:
        raise IndexError(f"a region of {len(given)} items for {len(shape)} dimensions: {region!r}")
    at = dots[0] if dots else len(given)
    items = (*given[:at], *[slice(None)] * missing, *given[at + 1 :])
    return tuple([_span(item, length) for item, length in zip(items, shape, strict=True)])


def _span(item: Any, length: int) -> Span:
    if isinstance(item, slice):
        start, stop, step = item.indices(length)
        if step < 1:
            raise ValueError(
                f"a region goes upwards, and {item!r} does not: reverse the dask array"
            )
        return Span(start, step, len(range(start, stop, step)))
    if isinstance(item, bool | np.bool_) or not hasattr(item, "__index__"):
        raise TypeError(
            f"a region is made of integers and slices, not of {type(item).__name__}; write what "
            "else is selected with the array's own methods"
        )
    index = operator.index(item)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for a dimension of {length}")
    return Span(index % length, 1, 1, dropped=True)


def block_bounds(lengths: Sequence[int]) -> Positions:
    """Return where the blocks of a dask array begin along a dimension, and where the last ends."""
    bounds = np.zeros(len(lengths) + 1, np.intp)
    np.cumsum(np.asarray(lengths, np.intp), out=bounds[1:])
    return bounds


def _distinct(ascending: Positions) -> Positions:
    """Return numbers in their order, each once."""
    differ = np.ones(len(ascending), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=differ[1:])
    return ascending[differ]


@dataclass(frozen=True, eq=False)
class Axis:
    """One dimension of a write.

    Parameters
    ----------
    dimension : Dimension
        How the stored array is cut into units.
    span : Span
        Where the dask array goes.
    blocks : Positions
        Where its blocks begin, and where the last ends; may have blocks without elements.

    Examples
    --------
    >>> from zarrstore.format.dimensions import RegularDimension
    >>> axis = Axis(RegularDimension(40, 15), Span(0, 1, 40), block_bounds([10, 10, 10, 10]))
    >>> axis.parts.tolist(), axis.snapped().tolist(), axis.shared(axis.bounds).tolist()
    ([0, 15, 30, 40], [0, 15, 30, 40], [True, True, False])
    """

    dimension: Dimension
    span: Span
    blocks: Positions

    @cached_property
    def bounds(self) -> Positions:
        """The boundaries of the blocks that have elements."""
        return _distinct(self.blocks)

    @cached_property
    def parts(self) -> Positions:
        """Where another unit begins, in elements of the dask array; the first is 0, the last its
        length."""
        count, span = self.span.count, self.span
        if not count:
            return np.zeros(1, np.intp)
        ends = np.array([span.start, span.stop - 1], np.intp)
        first, last = self.dimension.indices_of(ends).tolist()
        starts = self.dimension.starts_of(np.arange(first + 1, last + 1, dtype=np.intp))
        starts -= span.start
        if span.step > 1:
            starts = _distinct(-(-starts // span.step))
        return np.concatenate([[0], starts, [count]]).astype(np.intp, copy=False)

    @cached_property
    def units(self) -> Positions:
        """The index of the unit of each part."""
        starts = self.parts[:-1] * self.span.step
        starts += self.span.start
        return self.dimension.indices_of(starts)

    @cached_property
    def whole(self) -> Any:
        """Which units are covered from end to end."""
        return np.diff(self.parts) == self.dimension.extents_of(self.units)

    def writers(self, bounds: Positions) -> tuple[Positions, Positions]:
        """Return the first and the last of some pieces that have elements of each unit."""
        first = np.searchsorted(bounds, self.parts[:-1], side="right") - 1
        last = np.searchsorted(bounds, self.parts[1:], side="left") - 1
        return first, last

    def shared(self, bounds: Positions) -> Any:
        """Tell which units have elements of more than one piece."""
        first, last = self.writers(bounds)
        return last > first

    def is_aligned(self, bounds: Positions) -> bool:
        """Tell whether each unit has elements of one piece only."""
        places = np.searchsorted(self.parts, bounds)
        return bool((self.parts[places] == bounds).all())

    def snapped(self) -> Positions:
        """Return the boundaries of the blocks, each moved to the next boundary of units.

        Blocks stay near their length where units are no longer than they are.
        """
        parts, bounds = self.parts, self.bounds
        if len(bounds) < 2:
            return bounds
        above = np.searchsorted(parts, bounds)
        below = np.maximum(above - 1, 0)
        nearer = np.where(bounds - parts[below] < parts[above] - bounds, below, above)
        nearer[0], nearer[-1] = 0, len(parts) - 1
        return _distinct(parts[nearer])

    def pieces_of(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first block that has elements of a range, and the one after the last."""
        first = int(np.searchsorted(self.blocks, start, side="right")) - 1
        return first, int(np.searchsorted(self.blocks, stop, side="left"))

    def stored(self, start: int, stop: int) -> int | slice:
        """Return where a range of the dask array goes in the stored one."""
        span = self.span
        if span.dropped:
            return span.start
        begin = span.start + span.step * start
        return slice(begin, begin + span.step * (stop - start - 1) + 1, span.step)
