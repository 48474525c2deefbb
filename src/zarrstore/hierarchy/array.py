"""`Array` and `AsyncArray`: an array in a store, blocking and asynchronous."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from zarrstore.chunks import Progress
from zarrstore.format.codecs.base import Codec
from zarrstore.format.documents import ArrayDocument
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.faces import AsyncFace, BlockingFace, Face, loaded, loaded_here
from zarrstore.hierarchy.progress import reporting

__all__ = ["Array", "AsyncArray"]

NDArray: TypeAlias = np.ndarray[Any, Any]


class _ArrayFacts(Face[ArrayCore]):
    """What is known of an array without reading it."""

    @property
    def metadata(self) -> ArrayDocument:
        """The metadata document."""
        return self._core.document

    @property
    def shape(self) -> tuple[int, ...]:
        """In elements."""
        return self._core.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """In native byte order, whatever the order in the store."""
        return self._core.spec.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk, in elements."""
        return self._core.spec.grid.chunk_shape

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """The number of chunks along each dimension."""
        return self._core.spec.grid.grid_shape

    @property
    def nchunks(self) -> int:
        """The number of chunks, stored or not."""
        return math.prod(self.cdata_shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory."""
        return self.size * self.itemsize

    @property
    def fill_value(self) -> Any:
        """What a missing chunk reads as: a numpy scalar."""
        return self._core.spec.fill_value

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The codecs, in the order in which a chunk is encoded."""
        return self._core.spec.pipeline.codecs

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """The names of the dimensions, or ``None``."""
        return self._core.document.dimension_names

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._core.url} shape={self.shape} dtype={self.dtype.name}>"
        )


class Array(_ArrayFacts, BlockingFace[ArrayCore]):
    """An array in a store, read and written with slices, as numpy arrays are.

    Made by `zarrstore.create_array`, `zarrstore.open_array`, `zarrstore.open` and groups.

    Notes
    -----
    Usable from many threads. Writers of parts of one chunk at the same time overwrite each
    other's parts; give each its own chunks.

    Examples
    --------
    >>> import zarrstore
    >>> array = zarrstore.create_array({}, shape=(4, 4), dtype="int32", chunks=(2, 2))
    >>> array[1, :] = 7
    >>> array[0:2, 0:2]
    array([[0, 0],
           [7, 7]], dtype=int32)
    """

    def __getitem__(self, selection: Any) -> Any:
        return self._drive(self._core.read, selection)

    def __setitem__(self, selection: Any, value: Any) -> None:
        self._drive(self._core.write, selection, loaded_here(value))

    def read(
        self,
        selection: Any = ...,
        *,
        out: NDArray | None = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Return a selection as a numpy array; a scalar where every index is an integer.

        Parameters
        ----------
        selection : int, slice, ... or tuple of them
            All by default.
        out : numpy.ndarray, optional
            Read into this array, which has the selection's shape, and return it.
        progress : callable or bool, optional
            Called with the number of chunks done and of all; ``True`` shows a bar.

        Raises
        ------
        IndexError
            If the selection does not fit the shape.
        CorruptDataError
            If a chunk cannot be decoded.
        """
        with reporting(progress, f"reading {self.name}") as callback:
            return self._drive(self._core.read, selection, out, callback)

    def write(self, selection: Any, value: Any, *, progress: Progress | bool | None = None) -> None:
        """Write a value, broadcast to the shape of a selection.

        Chunks that then hold only the fill value are not stored.

        Parameters
        ----------
        selection : int, slice, ... or tuple of them
        value : array-like
            Cast to the array's dtype as numpy does on assignment.
        progress : callable or bool, optional
            Called with the number of chunks done and of all; ``True`` shows a bar.

        Raises
        ------
        ReadOnlyError, IndexError
        ValueError
            If the value cannot be broadcast to the selection. Nothing was written.
        """
        with reporting(progress, f"writing {self.name}") as callback:
            self._drive(self._core.write, selection, loaded_here(value), callback)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        if copy is False:
            raise ValueError("an array in a store cannot be viewed as a numpy array: it is copied")
        data = np.asarray(self.read())
        return data if dtype is None else data.astype(dtype, copy=False)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without dimensions")
        step = self.chunks[0]  # as many at a time as come out of one row of chunks
        return (row for at in range(0, len(self), step) for row in self[at : at + step])


class AsyncArray(_ArrayFacts, AsyncFace[ArrayCore]):
    """An array in a store, for coroutines under asyncio or trio.

    Made by the functions of `zarrstore.aio`. Usable from several event loops.

    Examples
    --------
    >>> import asyncio
    >>> from zarrstore import aio
    >>> async def main():
    ...     array = await aio.create_array({}, shape=4, dtype="int32")
    ...     await array.write(slice(1, 3), 7)
    ...     return await array.read()
    >>> asyncio.run(main())
    array([0, 7, 7, 0], dtype=int32)
    """

    async def read(
        self,
        selection: Any = ...,
        *,
        out: NDArray | None = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Return a selection as a numpy array: see `Array.read`."""
        with reporting(progress, f"reading {self.name}") as callback:
            return await self._run(self._core.read, selection, out, callback)

    async def write(
        self, selection: Any, value: Any, *, progress: Progress | bool | None = None
    ) -> None:
        """Write a value, broadcast to the shape of a selection: see `Array.write`."""
        with reporting(progress, f"writing {self.name}") as callback:
            await self._run(self._core.write, selection, await loaded(value), callback)
