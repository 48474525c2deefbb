"""Kinds of selection, and the methods and ``oindex``, ``vindex``, ``blocks`` that ask for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from zarrstore.chunks import Progress
from zarrstore.format.chunk_grids import ChunkGrid
from zarrstore.format.fancy_indexing import (
    coordinate_selection,
    mask_selection,
    orthogonal_selection,
)
from zarrstore.format.indexing import Selection, basic_selection, block_selection
from zarrstore.format.selections import selection_of

__all__ = [
    "AsyncIndexer",
    "Fields",
    "How",
    "Indexer",
    "Selecting",
    "as_numpy",
    "by_block",
    "by_coordinate",
    "is_plain",
    "orthogonally",
]

NDArray: TypeAlias = np.ndarray[Any, Any]
Fields: TypeAlias = str | list[str] | None
How: TypeAlias = Callable[[Any, ChunkGrid], Selection]
"""Resolves what a user selects against the grid of an array."""


def as_numpy(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve ``array[...]``."""
    return selection_of(selection, grid.shape)


def basically(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve integers, slices and ``...``."""
    return basic_selection(selection, grid.shape)


def orthogonally(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve ``array.oindex[...]``."""
    return orthogonal_selection(selection, grid.shape)


def by_coordinate(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve ``array.vindex[...]``."""
    return coordinate_selection(selection, grid.shape)


def by_mask(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve a mask of the array's shape."""
    return mask_selection(selection, grid.shape)


def by_block(selection: Any, grid: ChunkGrid) -> Selection:
    """Resolve ``array.blocks[...]``."""
    return block_selection(selection, grid)


def is_plain(selection: Any) -> bool:
    """Tell whether a selection has no array in it, so that it is resolved at once."""
    items = selection if isinstance(selection, tuple) else (selection,)
    return all(isinstance(item, int | slice | str | EllipsisType) for item in items)


class Selecting(ABC):
    """Reading and writing by each kind of selection; of an `AsyncArray` these are coroutines."""

    @abstractmethod
    def _get(
        self,
        how: How,
        selection: Any,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Read a selection."""

    @abstractmethod
    def _put(
        self,
        how: How,
        selection: Any,
        value: Any,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Write a selection."""

    def get_basic_selection(
        self, selection: Any = ..., *, out: NDArray | None = None, fields: Fields = None
    ) -> Any:
        """Read integers, slices and ``...``: see `Array.read`."""
        return self._get(basically, selection, out, fields)

    def set_basic_selection(self, selection: Any, value: Any, *, fields: Fields = None) -> Any:
        """Write to integers, slices and ``...``: see `Array.write`."""
        return self._put(basically, selection, value, fields)

    def get_orthogonal_selection(
        self, selection: Any, *, out: NDArray | None = None, fields: Fields = None
    ) -> Any:
        """Read what arrays, slices and integers select, each along its own dimension.

        The same as ``array.oindex[selection]``.
        """
        return self._get(orthogonally, selection, out, fields)

    def set_orthogonal_selection(self, selection: Any, value: Any, *, fields: Fields = None) -> Any:
        """Write to what arrays, slices and integers select, each along its own dimension."""
        return self._put(orthogonally, selection, value, fields)

    def get_coordinate_selection(
        self, selection: Any, *, out: NDArray | None = None, fields: Fields = None
    ) -> Any:
        """Read elements by their coordinates, an array of integers for each dimension.

        The same as ``array.vindex[selection]``.
        """
        return self._get(by_coordinate, selection, out, fields)

    def set_coordinate_selection(self, selection: Any, value: Any, *, fields: Fields = None) -> Any:
        """Write elements by their coordinates; of those that are there twice the last one stays."""
        return self._put(by_coordinate, selection, value, fields)

    def get_mask_selection(
        self, mask: Any, *, out: NDArray | None = None, fields: Fields = None
    ) -> Any:
        """Read the elements where a mask, of truth values and of the array's shape, is true."""
        return self._get(by_mask, mask, out, fields)

    def set_mask_selection(self, mask: Any, value: Any, *, fields: Fields = None) -> Any:
        """Write the elements where a mask, of truth values and of the array's shape, is true."""
        return self._put(by_mask, mask, value, fields)

    def get_block_selection(
        self, selection: Any, *, out: NDArray | None = None, fields: Fields = None
    ) -> Any:
        """Read whole chunks by their place in the grid: of shards, if there are shards.

        The same as ``array.blocks[selection]``.
        """
        return self._get(by_block, selection, out, fields)

    def set_block_selection(self, selection: Any, value: Any, *, fields: Fields = None) -> Any:
        """Write whole chunks by their place in the grid: of shards, if there are shards."""
        return self._put(by_block, selection, value, fields)


class Indexer:
    """What `Array.oindex`, `Array.vindex` and `Array.blocks` are: ``[]`` with its own meaning."""

    __slots__ = ("_array", "_how")

    def __init__(self, array: Selecting, how: How) -> None:
        self._array = array
        self._how = how

    def __getitem__(self, selection: Any) -> Any:
        return self._array._get(self._how, selection)

    def __setitem__(self, selection: Any, value: Any) -> None:
        self._array._put(self._how, selection, value)


class AsyncIndexer:
    """What `AsyncArray.oindex`, `AsyncArray.vindex` and `AsyncArray.blocks` are."""

    __slots__ = ("_array", "_how")

    def __init__(self, array: Selecting, how: How) -> None:
        self._array = array
        self._how = how

    async def read(
        self,
        selection: Any,
        *,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Return a selection as a numpy array: see `Array.read`."""
        return await self._array._get(self._how, selection, out, fields, progress)

    async def write(
        self,
        selection: Any,
        value: Any,
        *,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> None:
        """Write a value, broadcast to the shape of a selection: see `Array.write`."""
        await self._array._put(self._how, selection, value, fields, progress)
