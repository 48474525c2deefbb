"""What is kept of a dask array beside its elements."""

from __future__ import annotations

import ast
import bisect
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from zarrstore.errors import MetadataError

__all__ = ["Chunks", "Layout", "layout_of"]

NDArray: TypeAlias = np.ndarray[Any, Any]
Chunks: TypeAlias = tuple[tuple[int, ...], ...]

_TEXT = np.dtypes.StringDType()
_NAMES: dict[str, np.dtype[Any]] = {"string": _TEXT, "object": np.dtype(object)}
_VERSION = 1


@dataclass(frozen=True)
class Layout:
    """The chunks and the kind of elements of a dask array.

    Parameters
    ----------
    chunks : tuple of tuple of int
        The lengths of blocks along each dimension; some may be 0.
    dtype : numpy.dtype
        With objects, all of which are text.
    is_masked : bool
    """

    chunks: Chunks
    dtype: np.dtype[Any]
    is_masked: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array, in elements."""
        return tuple([sum(lengths) for lengths in self.chunks])

    @functools.cached_property
    def stored(self) -> dict[str, np.dtype[Any]]:
        """The dtypes of what is stored: ``"data"``, objects as text, and ``"mask"`` if there is."""
        data = {"data": _TEXT if self.dtype.kind == "O" else self.dtype}
        mask: dict[str, np.dtype[Any]] = {"mask": np.ma.make_mask_descr(self.dtype)}
        return data | mask if self.is_masked else data

    @property
    def longest(self) -> tuple[int, ...]:
        """The length of the longest block along each dimension, and 1 at least."""
        return tuple([max(1, *lengths) for lengths in self.chunks])

    @property
    def grid(self) -> list[Any]:
        """The ``chunks`` of a Zarr array of such blocks: in lists where they differ."""
        return [_grid(lengths) for lengths in self.chunks]

    def region(self, block: Sequence[int]) -> tuple[slice, ...]:
        """Return where a block is in the array."""
        pairs = zip(self._bounds, block, strict=True)
        return tuple([slice(bounds[at], bounds[at + 1]) for bounds, at in pairs])

    def touched(self, box: Sequence[slice]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield which blocks a box has elements of, not counting empty ones, and where in it."""
        along = []
        for bounds, at in zip(self._bounds, box, strict=True):
            edges = sorted(set(bounds))
            first, last = bisect.bisect(edges, at.start) - 1, bisect.bisect_left(edges, at.stop)
            cuts = [max(at.start, edges[first]), *edges[first + 1 : last], at.stop]
            pieces = [slice(a - at.start, b - at.start) for a, b in itertools.pairwise(cuts)]
            along.append(list(enumerate(pieces, first)))
        for found in itertools.product(*along):
            yield tuple([number for number, _ in found]), tuple([piece for _, piece in found])

    @functools.cached_property
    def _bounds(self) -> list[list[int]]:
        return [list(itertools.accumulate(lengths, initial=0)) for lengths in self.chunks]

    def meta(self) -> NDArray:
        """Return an array without elements that is like a block."""
        empty = np.empty((0,) * len(self.chunks), self.dtype)
        return np.ma.array(empty) if self.is_masked else empty

    def to_document(self, fill_value: Any) -> dict[str, Any]:
        """Return what JSON can hold of it, with the fill value of a masked array."""
        return {
            "version": _VERSION,
            "chunks": [list(lengths) for lengths in self.chunks],
            "dtype": _described(self.dtype),
            "masked": self.is_masked,
            "fill_value": self._encoded(fill_value) if self.is_masked else None,
        }

    @classmethod
    def from_document(cls, document: Any) -> tuple[Layout, Any]:
        """Return the layout of a document, and the fill value.

        Raises
        ------
        MetadataError
            If it is of another version.
        """
        if document.get("version") != _VERSION:
            raise MetadataError(
                f"the layout of a dask array is of version {document.get('version')!r}, and "
                f"{_VERSION} can be read; update zarrstore"
            )
        chunks = tuple([tuple(lengths) for lengths in document["chunks"]])
        layout = cls(chunks, _dtype(document["dtype"]), document["masked"])
        return layout, layout._decoded(document["fill_value"])

    def _encoded(self, fill_value: Any) -> str | None:
        if fill_value is None or self.dtype.kind in "OT":
            return None if fill_value is None else str(fill_value)
        return np.array(fill_value, self.dtype).tobytes().hex()

    def _decoded(self, encoded: str | None) -> Any:
        if encoded is None or self.dtype.kind in "OT":
            return encoded
        return np.frombuffer(bytes.fromhex(encoded), self.dtype)[0]


def layout_of(array: Any) -> Layout:
    """Return the layout of a dask array.

    Raises
    ------
    ValueError
        If lengths of blocks are unknown.
    TypeError
        If its blocks are no arrays of numpy.
    """
    if any(math.isnan(length) for lengths in array.chunks for length in lengths):
        raise ValueError(
            f"{array!r} has chunks of unknown lengths; call array.compute_chunk_sizes() first, "
            "which computes it once to find them"
        )
    meta = array._meta
    if not isinstance(meta, np.ndarray | np.generic):
        raise TypeError(
            f"{array!r} has blocks of {type(meta).__module__}.{type(meta).__name__}, and numpy's "
            "are kept; convert them, such as with array.map_blocks(...)"
        )
    dtype = array.dtype
    has_objects = dtype.hasobject and dtype.kind not in "OT"
    if has_objects or not dtype.itemsize or _dtype(_described(dtype)) != dtype:
        raise TypeError(f"{array!r} is of {dtype}, which is not kept; use array.astype(...)")
    chunks = tuple([tuple([int(each) for each in lengths]) for lengths in array.chunks])
    return Layout(chunks, array.dtype, isinstance(meta, np.ma.MaskedArray))


def _grid(lengths: Sequence[int]) -> Any:
    there = [length for length in lengths if length]
    if not there:
        return 1
    first = there[0]
    if all(length == first for length in there[:-1]) and there[-1] <= first:
        return first
    return there


def _described(dtype: np.dtype[Any]) -> str:
    for name, known in _NAMES.items():
        if dtype.kind == known.kind:
            return name
    return repr(np.lib.format.dtype_to_descr(np.lib.format.drop_metadata(dtype)))


def _dtype(described: str) -> np.dtype[Any]:
    if described in _NAMES:
        return _NAMES[described]
    found: np.dtype[Any] = np.lib.format.descr_to_dtype(ast.literal_eval(described))
    return found
