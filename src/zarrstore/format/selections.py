"""What ``array[...]`` selects: fields apart, and the kind of selection that numpy makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zarrstore.format.fancy_indexing import (
    coordinate_selection,
    mask_selection,
    orthogonal_selection,
)
from zarrstore.format.index_arrays import as_index_array
from zarrstore.format.indexing import Selection, basic_selection, integer

__all__ = ["selection_of", "split_fields"]


def selection_of(selection: Any, shape: Sequence[int]) -> Selection:
    """Resolve what is asked of ``array[...]`` against a shape.

    What is selected is what numpy selects. Arrays together with slices are taken only where
    orthogonal indexing gives the same.

    Parameters
    ----------
    selection : int, slice, ..., list, numpy.ndarray or tuple of them
    shape : sequence of int

    Raises
    ------
    IndexError
        If the selection does not fit the shape, or is to be asked of ``oindex`` or ``vindex``.

    Examples
    --------
    >>> selection_of((slice(2), [0, 2, 1]), (4, 3)).shape
    (2, 3)
    >>> selection_of(([0, 3], [0, 2]), (4, 3)).shape
    (2,)
    """
    items = selection if isinstance(selection, tuple) else (selection,)
    for item in items:
        if type(item) is not int and type(item) is not slice and item is not ...:
            break
    else:
        return basic_selection(selection, shape)
    arrays = [at for at, item in enumerate(items) if not _is_basic(item)]
    if not arrays:
        return basic_selection(selection, shape)
    items = tuple([as_index_array(item) if at in arrays else item for at, item in enumerate(items)])
    if len(arrays) == 1:
        array = items[arrays[0]]
        if array.ndim == 1 and _is_orthogonal(items, arrays[0], len(shape)):
            return orthogonal_selection(items, shape)
        if array.dtype == bool and len(items) == 1:
            return mask_selection(array, shape)
    are_coordinates = not any(_is_kept(item) or _is_mask(item) for item in items)
    if are_coordinates and len(items) == len(shape):
        return coordinate_selection(items, shape)
    raise IndexError(
        "what numpy makes of these arrays, slices and integers together is not supported: use "
        "oindex[...] to select along each dimension by itself, or vindex[...] for coordinates"
    )


def _is_basic(item: Any) -> bool:
    return _is_kept(item) or integer(item) is not None


def _is_kept(item: Any) -> bool:
    return item is ... or isinstance(item, slice)


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == bool


def _is_orthogonal(items: Sequence[Any], at: int, ndim: int) -> bool:
    """Tell whether numpy leaves the dimension of the one array, at ``at``, where it stands.

    With an integer it is one of several that are indexed together: where a slice is between
    them, their dimension is the first one of the result.
    """
    together = [index for index, item in enumerate(items) if not _is_kept(item)]
    is_apart = together[-1] - together[0] >= len(together)
    dots = ndim - (len(items) - 1)  # the dimensions that ... stands for
    kept = sum(dots if item is ... else 1 for item in items[:at] if _is_kept(item))
    return not (is_apart and kept)


def split_fields(selection: Any) -> tuple[str | list[str] | None, Any]:
    """Return the fields of a structured data type that a selection names, and the rest of it.

    Returns
    -------
    fields : str, list of str or None
    rest : Any
        The selection without them, ``...`` where nothing is left.

    Examples
    --------
    >>> split_fields("x"), split_fields((["x", "y"], 2)), split_fields(2)
    (('x', Ellipsis), (['x', 'y'], (2,)), (None, 2))
    """
    if not isinstance(selection, tuple):
        return (selection, ...) if _names_fields(selection) else (None, selection)
    fields = [item for item in selection if _names_fields(item)]
    if not fields:
        return None, selection
    rest = tuple([item for item in selection if not _names_fields(item)]) or ...
    if len(fields) == 1:
        return fields[0], rest
    return [name for item in fields for name in ([item] if isinstance(item, str) else item)], rest


def _names_fields(item: Any) -> bool:
    if isinstance(item, list):
        return bool(item) and all(isinstance(name, str) for name in item)
    return isinstance(item, str)
