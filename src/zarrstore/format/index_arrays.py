"""Arrays of indices: checked, and grouped by the chunks that they point into."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from zarrstore.format.dimensions import Positions

__all__ = ["as_index_array", "cut", "cut_order", "grouped", "index_positions", "mask_positions"]


def as_index_array(item: Any) -> np.ndarray[Any, Any]:
    """Return what selects several elements as an array of integers or truth values.

    Raises
    ------
    IndexError
        If it is something else.
    """
    array = np.asarray(item)
    if array.size == 0 and not isinstance(item, np.ndarray):
        return array.astype(np.intp)
    if array.dtype.kind in "biu" and not isinstance(item, bool | np.bool_):
        return array
    if array.ndim:
        raise IndexError(
            f"an array used as an index is of integers or truth values, not of {array.dtype}"
        )
    raise IndexError(
        "an index is an integer, a slice, '...' or an array of integers or truth values, not "
        f"{type(item).__name__}"
    )


def mask_positions(
    mask: np.ndarray[Any, Any], shape: Sequence[int], axis: int
) -> tuple[Positions, ...]:
    """Return the coordinates at which a mask is true; ``axis`` is its first."""
    if mask.ndim == 0:
        raise IndexError("a truth value is no index; use ... for an array without dimensions")
    if mask.shape != tuple(shape):
        raise IndexError(
            f"a mask from axis {axis} on has shape {mask.shape}, where the array has {tuple(shape)}"
        )
    return np.nonzero(mask)


def index_positions(array: np.ndarray[Any, Any], length: int, axis: int) -> Positions:
    """Return indices as positions, which are not negative."""
    if array.size == 0:
        return array.astype(np.intp)
    low, high = int(array.min()), int(array.max())
    if low < -length or high >= length:
        wrong = low if low < -length else high
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {length}")
    positions = np.ascontiguousarray(array, np.intp).reshape(array.shape)
    return positions if low >= 0 else np.where(positions < 0, positions + length, positions)


def grouped(chunks: Sequence[Positions]) -> tuple[Positions | None, Positions]:
    """Bring the elements of each chunk together, in the order in which they are given.

    Parameters
    ----------
    chunks : sequence of numpy.ndarray
        For each dimension, the index of the chunk of every element.

    Returns
    -------
    order : numpy.ndarray or None
        Of the elements; ``None`` if it is theirs already.
    edges : numpy.ndarray
        Where each chunk begins in that order, and the end.
    """
    count = len(chunks[0])
    if not count:
        return None, np.zeros(1, np.intp)
    lows = [int(indices.min()) for indices in chunks]
    sizes = [int(indices.max()) - low + 1 for indices, low in zip(chunks, lows, strict=True)]
    order: Positions | None = None
    if math.prod(sizes) < 2**63:
        numbers = chunks[0] - lows[0]
        for indices, low, size in zip(chunks[1:], lows[1:], sizes[1:], strict=True):
            numbers = numbers * size + (indices - low)
        if (numbers[1:] < numbers[:-1]).any():
            order = _order(numbers, math.prod(sizes))
            numbers = numbers[order]
        changes = numbers[1:] != numbers[:-1]
    else:
        order = np.lexsort(chunks[::-1])
        changes = np.zeros(count - 1, bool)
        for indices in chunks:
            ordered = indices[order]
            changes |= ordered[1:] != ordered[:-1]
    return order, np.concatenate([[0], np.flatnonzero(changes) + 1, [count]])


def _order(numbers: Positions, size: int) -> Positions:
    """Return the stable order of numbers below ``size``.

    numpy sorts 16 bits by their digits, which is several times as fast as by comparison.
    """
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if size <= 2**16:
        return order
    return order[_order((numbers >> 16)[order], (size - 1 >> 16) + 1)]


def cut(values: Positions, edges: Positions) -> Iterator[slice | Positions]:
    """Yield the values between edges; as a slice where each is one more than the last."""
    breaks = np.zeros(len(values), np.intp)
    np.cumsum(values[1:] - values[:-1] != 1, out=breaks[1:])
    ends = breaks[edges[1:] - 1] if len(values) else breaks
    are_runs = breaks[edges[:-1]] == ends
    for (start, stop), is_run in zip(pairwise(edges.tolist()), are_runs.tolist(), strict=True):
        if is_run:
            first = int(values[start])
            yield slice(first, first + stop - start, 1)
        else:
            yield values[start:stop]


def cut_order(order: Positions | None, edges: Positions) -> Iterator[slice | Positions]:
    """Yield what `grouped` found for each chunk: as a slice where that is possible."""
    if order is not None:
        return cut(order, edges)
    return (slice(start, stop, 1) for start, stop in pairwise(edges.tolist()))
