"""`Array` and `AsyncArray`: an array in a store, blocking and asynchronous."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from zarrstore.chunks import Progress
from zarrstore.hierarchy.array_core import ArrayCore, Request
from zarrstore.hierarchy.array_properties import ArrayProperties, array_facts
from zarrstore.hierarchy.faces import AsyncFace, BlockingFace, loaded, loaded_here
from zarrstore.hierarchy.info import Info, array_info
from zarrstore.hierarchy.progress import reporting
from zarrstore.hierarchy.selecting import (
    AsyncIndexer,
    Fields,
    How,
    Indexer,
    Selecting,
    as_numpy,
    by_block,
    by_coordinate,
    is_plain,
    orthogonally,
)
from zarrstore.runtime import WORKERS

__all__ = ["Array", "AsyncArray"]

NDArray: TypeAlias = np.ndarray[Any, Any]


class Array(ArrayProperties, BlockingFace[ArrayCore], Selecting):
    """An array in a store, read and written with slices, as numpy arrays are.

    Made by `zarrstore.create_array`, `zarrstore.open_array`, `zarrstore.open` and groups.

    Notes
    -----
    Usable from many threads. Pickled, it opens again wherever its store can.

    Examples
    --------
    >>> import zarrstore
    >>> array = zarrstore.create_array({}, shape=(4, 4), dtype="int32", chunks=(2, 2))
    >>> array[1, :] = 7
    >>> array[0:2, 0:2]
    array([[0, 0],
           [7, 7]], dtype=int32)
    >>> array.oindex[[1, 3], [0, 2]]
    array([[7, 7],
           [0, 0]], dtype=int32)
    """

    def __getitem__(self, selection: Any) -> Any:
        core = self._core
        return self._drive(core.read_request, core.request(selection))

    def __setitem__(self, selection: Any, value: Any) -> None:
        core = self._core
        self._drive(core.write_request, core.request(selection), loaded_here(value))

    def read(
        self,
        selection: Any = ...,
        *,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Return a selection as a numpy array; a scalar where every index is an integer.

        Parameters
        ----------
        selection : int, slice, ..., list, numpy.ndarray or tuple of them
            What numpy makes of it; all by default. Names of fields may be among it.
        out : numpy.ndarray, optional
            Read into this array, which has the selection's shape, and return it. Its dtype may
            be another one of the same kind, or a wider one.
        fields : str or list of str, optional
            Of a structured data type.
        progress : callable or bool, optional
            Called with the number of chunks done and of all; ``True`` shows a bar.

        Raises
        ------
        IndexError
            If the selection does not fit the shape.
        CorruptDataError
            If a chunk cannot be decoded.

        Examples
        --------
        >>> import numpy as np, zarrstore
        >>> array = zarrstore.create_array({}, data=np.arange(6).reshape(2, 3))
        >>> array.read((slice(None), [2, 0]), out=np.empty((2, 2)))
        array([[2., 0.],
               [5., 3.]])
        """
        return self._get(as_numpy, selection, out, fields, progress)

    def write(
        self,
        selection: Any,
        value: Any,
        *,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> None:
        """Write a value, broadcast to the shape of a selection.

        Chunks that then hold only the fill value are not stored.

        Parameters
        ----------
        selection : int, slice, ..., list, numpy.ndarray or tuple of them
        value : array-like
            Cast to the array's dtype as numpy does on assignment, with its warnings and errors;
            text and bytes that are too long are an error, and not cut.
        fields : str or list of str, optional
            Of a structured data type.
        progress : callable or bool, optional
            Called with the number of chunks done and of all; ``True`` shows a bar.

        Raises
        ------
        ReadOnlyError, IndexError
        ValueError, TypeError, OverflowError
            If the value cannot be cast, or broadcast to the selection. Nothing was written.
        """
        self._put(as_numpy, selection, value, fields, progress)

    def _get(
        self,
        how: How,
        selection: Any,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        request = self._core.request(selection, how, fields)
        with reporting(progress, f"reading {self.name}") as callback:
            return self._drive(self._core.read_request, request, out, callback)

    def _put(
        self,
        how: How,
        selection: Any,
        value: Any,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> None:
        request = self._core.request(selection, how, fields)
        with reporting(progress, f"writing {self.name}") as callback:
            self._drive(self._core.write_request, request, loaded_here(value), callback)

    @property
    def oindex(self) -> Indexer:
        """Selects along each dimension by itself: ``array.oindex[[0, 2], :, mask]``."""
        return Indexer(self, orthogonally)

    @property
    def vindex(self) -> Indexer:
        """Selects elements by coordinates, or by a mask: ``array.vindex[[0, 2], [1, 3]]``."""
        return Indexer(self, by_coordinate)

    @property
    def blocks(self) -> Indexer:
        """Selects whole chunks by their place in the grid: ``array.blocks[0, 1:3]``.

        Where there are shards it selects shards.
        """
        return Indexer(self, by_block)

    @property
    def async_array(self) -> AsyncArray:
        """The same array for coroutines; closing it leaves this one open."""
        return AsyncArray(self._core)

    def refresh(self) -> None:
        """Read the metadata again: a shape or attributes that others have changed since.

        `resize`, `append` and changes of attributes begin with what is stored, as does opening
        the array again; whatever else is asked goes by what is known here.

        Raises
        ------
        NodeNotFoundError
            If the array is gone.
        """
        self._drive(self._core.refresh)

    def resize(self, new_shape: Any) -> None:
        """Change the shape, in place.

        What is cut off is gone: when the array grows again there is the fill value.

        Parameters
        ----------
        new_shape : int or sequence of int
            As many lengths as there are dimensions.

        Raises
        ------
        ValueError
            If the number of dimensions is another, or a length is negative. Nothing was changed.
        ReadOnlyError

        Examples
        --------
        >>> import zarrstore
        >>> array = zarrstore.create_array({}, data=[1, 2, 3, 4], chunks=3)
        >>> array.resize(2)
        >>> array.resize(5)
        >>> array[:]
        array([1, 2, 0, 0, 0])
        """
        self._drive(self._core.resize, new_shape)

    def append(
        self, data: Any, axis: int = 0, *, progress: Progress | bool | None = None
    ) -> tuple[int, ...]:
        """Make the array longer, by data; return the new shape.

        Where the store has conditional writes, of several threads and processes that append at
        once each gets a place of its own, and nothing is lost. Elsewhere that is so for threads.

        Parameters
        ----------
        data : array-like
            Its lengths are the array's but along ``axis``. Cast as `write` does.
        axis : int, default 0
        progress : callable or bool, optional

        Raises
        ------
        ValueError
            If the data is of another shape, or cannot be cast. Nothing was changed.
        ReadOnlyError

        Examples
        --------
        >>> import zarrstore
        >>> array = zarrstore.create_array({}, data=[[1, 2]])
        >>> array.append([[3, 4], [5, 6]])
        (3, 2)
        """
        with reporting(progress, f"writing {self.name}") as callback:
            return self._drive(self._core.append, loaded_here(data), axis, callback)

    def nbytes_stored(self) -> int:
        """Return the bytes of all that the store holds of the array, its metadata too."""
        return self._drive(self._core.nbytes_stored)

    @property
    def nchunks_initialized(self) -> int:
        """The number of chunks that are stored; all of a shard count if it is. Lists the keys."""
        return self._drive(self._core.nchunks_stored)

    def info_complete(self) -> Info:
        """Return `info` with what only the store knows: bytes and chunks that are stored."""
        stored = self.nbytes_stored()
        counted = self._drive(self._core.values_stored)
        facts = array_facts(
            self._core, type(self).__name__, nbytes_stored=stored, nchunks_initialized=counted
        )
        return array_info(facts)

    def item(self, *index: int) -> Any:
        """Return one element as a Python object: of an array of one element, or at an index.

        Examples
        --------
        >>> import zarrstore
        >>> zarrstore.create_array({}, data=[[1, 2], [3, 4]]).item(1, 0)
        3
        """
        if index:
            return np.asarray(self[index]).item()
        if self.size != 1:
            raise ValueError(f"{self!r} has {self.size} elements: give the index of one")
        return np.asarray(self.read()).item()

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
        # as many at a time as come out of one row of chunks
        step = self._core.spec.grid.max_chunk_shape[0]
        return (row for at in range(0, len(self), step) for row in self[at : at + step])

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of {self!r} is not defined: it has {self.size} elements; compare it "
                "with None, or read it and use .any() or .all()"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(f"{self!r} is no index: only integers without dimensions are")
        return operator.index(self.item())


class AsyncArray(ArrayProperties, AsyncFace[ArrayCore], Selecting):
    """An array in a store, for coroutines under asyncio or trio.

    Made by the functions of `zarrstore.aio`. Usable from several event loops.

    Examples
    --------
    >>> import asyncio
    >>> from zarrstore import aio
    >>> async def main():
    ...     array = await aio.create_array({}, shape=4, dtype="int32")
    ...     await array.write(slice(1, 3), 7)
    ...     await array.oindex.write([0], 1)
    ...     return await array.read()
    >>> asyncio.run(main())
    array([1, 7, 7, 0], dtype=int32)
    """

    async def read(
        self,
        selection: Any = ...,
        *,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        """Return a selection as a numpy array: see `Array.read`."""
        return await self._get(as_numpy, selection, out, fields, progress)

    async def write(
        self,
        selection: Any,
        value: Any,
        *,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> None:
        """Write a value, broadcast to the shape of a selection: see `Array.write`."""
        await self._put(as_numpy, selection, value, fields, progress)

    async def _request(self, how: How, selection: Any, fields: Fields) -> Request:
        if is_plain(selection):
            return self._core.request(selection, how, fields)

        async def resolve() -> Request:
            return self._core.request(selection, how, fields)

        return await WORKERS.run(resolve)  # arrays may be large, or load themselves

    async def _get(
        self,
        how: How,
        selection: Any,
        out: NDArray | None = None,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> Any:
        request = await self._request(how, selection, fields)
        with reporting(progress, f"reading {self.name}") as callback:
            return await self._run(self._core.read_request, request, out, callback)

    async def _put(
        self,
        how: How,
        selection: Any,
        value: Any,
        fields: Fields = None,
        progress: Progress | bool | None = None,
    ) -> None:
        request = await self._request(how, selection, fields)
        value = await loaded(value)
        with reporting(progress, f"writing {self.name}") as callback:
            await self._run(self._core.write_request, request, value, callback)

    @property
    def oindex(self) -> AsyncIndexer:
        """Selects along each dimension by itself: ``await array.oindex.read(([0, 2], mask))``."""
        return AsyncIndexer(self, orthogonally)

    @property
    def vindex(self) -> AsyncIndexer:
        """Selects elements by coordinates, or by a mask: ``await array.vindex.read(mask)``."""
        return AsyncIndexer(self, by_coordinate)

    @property
    def blocks(self) -> AsyncIndexer:
        """Selects whole chunks by their place in the grid: ``await array.blocks.read((0, 1))``."""
        return AsyncIndexer(self, by_block)

    async def refresh(self) -> None:
        """Read the metadata again: see `Array.refresh`."""
        await self._run(self._core.refresh)

    async def resize(self, new_shape: Any) -> None:
        """Change the shape, in place: see `Array.resize`."""
        await self._run(self._core.resize, new_shape)

    async def append(
        self, data: Any, axis: int = 0, *, progress: Progress | bool | None = None
    ) -> tuple[int, ...]:
        """Make the array longer, by data; return the new shape: see `Array.append`."""
        data = await loaded(data)
        with reporting(progress, f"writing {self.name}") as callback:
            return await self._run(self._core.append, data, axis, callback)

    async def nbytes_stored(self) -> int:
        """Return the bytes of all that the store holds of the array, its metadata too."""
        return await self._run(self._core.nbytes_stored)

    async def nchunks_initialized(self) -> int:
        """Return the number of chunks that are stored; all of a shard count if it is."""
        return await self._run(self._core.nchunks_stored)

    async def info_complete(self) -> Info:
        """Return `info` with what only the store knows: bytes and chunks that are stored."""
        facts = array_facts(
            self._core,
            type(self).__name__,
            nbytes_stored=await self.nbytes_stored(),
            nchunks_initialized=await self._run(self._core.values_stored),
        )
        return array_info(facts)
