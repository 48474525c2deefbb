"""Operations on an array, written once: coroutines that run in its store's home."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress, read_chunks, write_chunks
from zarrstore.errors import ConflictError, CorruptDataError, ReadOnlyError
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.format.indexing import Selection, basic_selection
from zarrstore.format.selections import split_fields
from zarrstore.hierarchy.casting import (
    broadcast,
    cast_elements,
    check_bytes,
    fits_into,
    is_silent,
)
from zarrstore.hierarchy.nodes import NodeCore, not_found
from zarrstore.hierarchy.resizing import (
    appended_shape,
    chunks_stored,
    clear_outside,
    new_shape,
    resized,
)
from zarrstore.hierarchy.selecting import Fields, How, as_numpy
from zarrstore.runtime import is_inline
from zarrstore.updating import turn

__all__ = ["ArrayCore", "Request"]

NDArray: TypeAlias = np.ndarray[Any, Any]


class Request(NamedTuple):
    """What is asked of an array as it was at that time."""

    spec: ArraySpec
    selection: Selection
    fields: Fields
    """Of a structured data type; all without."""


@dataclass(eq=False)
class ArrayCore(NodeCore):
    """An array in a store."""

    spec: ArraySpec
    write_empty_chunks: bool = False
    cast: np.dtype[Any] | None = None
    """What elements are read as, if not as they are; the array is then read-only."""

    def __reduce__(self) -> tuple[Any, ...]:
        # with the document, so that nothing is read where it is opened
        return _reopened, (
            self.store,
            self.path,
            self.document,
            self.write_empty_chunks,
            self.cast,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements that are read."""
        return self.spec.dtype if self.cast is None else self.cast

    @property
    def read_only(self) -> bool:
        """Whether writing raises `ReadOnlyError`."""
        return self.store.read_only or self.cast is not None

    def as_type(self, dtype: Any) -> ArrayCore:
        """Return the same array, of which elements are cast when they are read."""
        return dataclasses.replace(self, cast=np.dtype(dtype))

    def request(self, selection: Any, how: How = as_numpy, fields: Fields = None) -> Request:
        """Resolve a selection; what loads itself, such as a mask in a store, is loaded.

        Raises
        ------
        IndexError
            If it does not fit the shape.
        ValueError
            If it names a field that the data type has not.
        """
        spec = self.spec
        try:
            if fields is None and spec.dtype.names is not None:
                fields, selection = split_fields(selection)
            if fields is not None:
                _check_fields(fields, spec.dtype)
            return Request(spec, how(selection, spec.grid), fields)
        except (IndexError, ValueError, TypeError) as error:
            error.add_note(f"in a selection of {self.url}, of shape {spec.shape}")
            raise

    async def read(
        self, selection: Any = ..., out: Any = None, progress: Progress | None = None
    ) -> Any:
        """Return a selection as a numpy array, or a scalar where every index is an integer."""
        return await self.read_request(self.request(selection), out, progress)

    async def read_request(
        self, request: Request, out: Any = None, progress: Progress | None = None
    ) -> Any:
        """Return what is asked for: see `read`."""
        spec, selection, fields = request
        if fields is None and self.cast is None:
            if out is None:
                if selection.is_element and is_inline() and _is_plain_number(spec):
                    with suppress(CorruptDataError):  # the chunk engine names the key
                        return await self._element(spec, selection)
                result = np.empty(selection.shape, spec.dtype)
                await read_chunks(self.store, self.path, spec, selection, result, progress)
                return result[()] if selection.is_element else result
            _check_out(out, selection.shape, spec.dtype)
            if is_silent(spec.dtype, out.dtype):
                await read_chunks(self.store, self.path, spec, selection, out, progress)
                return out
        dtype, inner = _result_type(spec.dtype, fields)
        dtype = dtype if self.cast is None else self.cast
        if out is not None:
            _check_out(out, selection.shape + inner, dtype)
        found = np.empty(selection.shape, spec.dtype)
        await read_chunks(self.store, self.path, spec, selection, found, progress)
        if fields is not None:
            found = found[fields]
        if out is not None:
            out[...] = found
            return out
        result = found.astype(dtype)  # a copy without the other fields
        return result[()] if selection.is_element else result

    async def _element(self, spec: ArraySpec, selection: Selection) -> Any:
        """Return one element: what there is to plan for many takes longer than to read it."""
        (part,) = selection.parts(spec.grid)
        key = spec.keys.key(part.coords)
        data = await self.store.get(f"{self.path}/{key}" if self.path else key)
        if data is None:
            return spec.fill_value
        chunk = spec.pipeline_at(part.coords).decode(data)
        inside: Any = part.inside
        return chunk[tuple([at.start for at in inside])] if spec.shape else chunk[()]

    async def write(self, selection: Any, value: Any, progress: Progress | None = None) -> None:
        """Write a value, broadcast to the shape of the selection."""
        await self.write_request(self.request(selection), value, progress)

    async def write_request(
        self, request: Request, value: Any, progress: Progress | None = None
    ) -> None:
        """Write to what is asked for: see `write`."""
        spec, selection, fields = request
        self._check_writable()
        if fields is None:
            values = self._elements(value, selection)
            await self._write(spec, selection, values, progress)
            return
        dtype, inner = _result_type(spec.dtype, fields)
        values = broadcast(cast_elements(value, dtype), selection.shape + inner)
        records = np.empty(selection.shape, spec.dtype)
        records[fields] = values
        names = [fields] if isinstance(fields, str) else fields
        await self._write(spec, selection, records, progress, names)

    async def _write(
        self,
        spec: ArraySpec,
        selection: Selection,
        values: NDArray,
        progress: Progress | None = None,
        fields: Sequence[str] | None = None,
    ) -> None:
        await write_chunks(
            self.store,
            self.path,
            spec,
            selection,
            values,
            progress,
            self.write_empty_chunks,
            fields,
        )

    def values(self, value: Any, shape: tuple[int, ...]) -> NDArray:
        """Return a value as elements that can be written, broadcast to a shape."""
        return broadcast(self._elements(value), shape)

    def _elements(self, value: Any, selection: Selection | None = None) -> NDArray:
        """Return a value as elements that can be written, broadcast to a selection."""
        spec = self.spec
        try:
            values = cast_elements(
                value, spec.dtype, is_element=selection is not None and selection.is_element
            )
            if spec.data_type.serializer == "vlen-bytes":
                check_bytes(values)
            return values if selection is None else broadcast(values, selection.shape)
        except (ValueError, TypeError, OverflowError) as error:
            error.add_note(f"in a value for {self.url}, of {spec.dtype}")
            raise

    def _check_writable(self) -> None:
        if self.cast is not None:
            raise ReadOnlyError(
                f"{self.url} is seen here as {self.cast}, by astype(), and cannot be written so; "
                "write to the array itself",
                store=self.store.url,
                key=self.path,
            )
        if self.store.read_only:
            raise ReadOnlyError(
                f"{self.url} was opened read-only; open it with mode 'r+' or 'a' to write",
                store=self.store.url,
                key=self.path,
            )

    async def refresh(self) -> None:
        """Read the metadata again, which others may have changed."""
        self._adopt(await self._stored_document())

    async def _stored_document(self) -> Any:
        document = await self.format.read(self.store, self.path)
        if document is None or document.node_type != "array":
            raise not_found(self.store, self.path, "array")
        return document

    def _adopt(self, document: Any) -> None:
        self.spec = compile_spec(document)
        self.document = document

    async def resize(self, shape: Any) -> None:
        """Change the shape; what lies outside of it then reads as the fill value, if ever again.

        What is cut off is cleared before the metadata is changed: who is interrupted between the
        two has an array of the old shape, and only what was to go is gone from it. The other way
        round old elements would be there again when the array grows.
        """
        self._check_writable()
        async with turn(self.store, self.path):
            while True:
                before = await self._stored_document()
                wanted = new_shape(shape, len(before.shape))
                if wanted == before.shape:
                    self._adopt(before)
                    return
                await clear_outside(self.store, self.path, compile_spec(before), wanted)
                if await self._reshape(before.shape, wanted):
                    return

    async def _reshape(self, before: tuple[int, ...], shape: tuple[int, ...]) -> bool:
        """Store another shape; tell whether the stored one was as expected, and nothing if not."""
        fits = True

        def edit(stored: Any) -> Any:
            nonlocal fits
            fits = stored.shape == before
            return resized(stored, shape if fits else stored.shape)

        await self.edit_document(edit)
        self._adopt(self.document)
        return fits

    async def append(
        self, data: Any, axis: int = 0, progress: Progress | None = None
    ) -> tuple[int, ...]:
        """Make the array longer along an axis, by data; return the new shape.

        The new shape is stored first, which reserves the place of the data: of those who append
        at once each has its own. Where the store has no conditional writes, those of this
        process wait for each other.
        """
        self._check_writable()
        axis = _axis(axis, len(self.spec.shape))
        values = self._elements(data)
        swaps = Capability.COMPARE_AND_SWAP in self.store.capabilities
        async with turn(self.store, self.path):
            shape = await self._reserve(values.shape, axis)
            spec, region = _room(self.spec, values.shape[axis], axis)
            if not swaps:
                await self._write(spec, region, values, progress)
        if swaps:
            await self._write(spec, region, values, progress)
        return shape

    async def _reserve(self, lengths: tuple[int, ...], axis: int) -> tuple[int, ...]:
        """Store a shape that is longer along an axis; return it.

        Raises
        ------
        ConflictError
            If another has replaced the array by one of another dtype, which the data was not
            cast for.
        """
        dtype, fits = self.spec.dtype, True

        def edit(stored: Any) -> Any:
            nonlocal fits
            fits = compile_spec(stored).dtype == dtype
            if not fits:
                return stored
            return resized(stored, appended_shape(stored.shape, lengths, axis, self.url))

        await self.edit_document(edit)
        if not fits:
            raise ConflictError(
                f"{self.url} was replaced, and is no longer of {dtype}; open it again",
                store=self.store.url,
                key=self.path,
            )
        self._adopt(self.document)
        return self.spec.shape

    async def nbytes_stored(self) -> int:
        """Return the bytes of all that the store holds of the array, its metadata too."""
        return await self.store.getsize_prefix(self.path)

    async def values_stored(self) -> int:
        """Return how many chunks are stored, or shards, if there are any."""
        return sum([1 async for _ in self._stored_coords()])

    async def nchunks_stored(self) -> int:
        """Return how many chunks are stored, all of a shard counted if it is."""
        spec = self.spec
        if not isinstance(spec.codecs[0], ShardingIndexed):
            return await self.values_stored()
        size = math.prod(spec.codecs[0].chunk_shape)
        grid = spec.grid
        return sum(
            [math.prod(grid.chunk_shape_at(at)) // size async for at in self._stored_coords()]
        )

    async def _stored_coords(self) -> AsyncIterator[tuple[int, ...]]:
        grid_shape = self.spec.grid.grid_shape
        async for _, coords in chunks_stored(self.store, self.path, self.spec):
            if all(at < stop for at, stop in zip(coords, grid_shape, strict=True)):
                yield coords


def _reopened(
    store: Store,
    path: str,
    document: Any,
    write_empty_chunks: bool,
    cast: np.dtype[Any] | None,
) -> ArrayCore:
    return ArrayCore(store, path, document, compile_spec(document), write_empty_chunks, cast)


def _is_plain_number(spec: ArraySpec) -> bool:
    """Tell whether an element is a scalar of its own, and its chunk is decoded as a whole."""
    return spec.dtype.kind in "biufcmM" and type(spec.codecs[0]) is Bytes


def _room(spec: ArraySpec, length: int, axis: int) -> tuple[ArraySpec, Selection]:
    """Return the last elements along an axis, as a selection of a shape of whole chunks.

    Of that shape a chunk at the edge, which others may be adding to as well, is written in part.
    """
    ends = []
    for dimension in spec.grid.dimensions:
        _, start, size = dimension.chunk_at(dimension.length - 1) if dimension.length else (0, 0, 0)
        ends.append(start + size)
    region = [slice(0, stop) for stop in spec.shape]
    region[axis] = slice(spec.shape[axis] - length, spec.shape[axis])
    shape = tuple(ends)
    whole = dataclasses.replace(spec, shape=shape, grid=spec.grid.with_shape(shape))
    return whole, basic_selection(tuple(region), shape)


def _axis(given: Any, ndim: int) -> int:
    axis = operator.index(given)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def _check_fields(fields: Any, dtype: np.dtype[Any]) -> None:
    if dtype.names is None:
        raise IndexError(f"fields are of structured data types, and this one is {dtype}")
    for name in [fields] if isinstance(fields, str) else fields:
        if name not in dtype.names:
            raise ValueError(f"no field of name {name!r}; there are {', '.join(dtype.names)}")


def _result_type(dtype: np.dtype[Any], fields: Fields) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the dtype of some fields, and what a field that is an array adds to the shape."""
    if fields is None:
        return dtype, ()
    if isinstance(fields, str):
        return dtype[fields].base, dtype[fields].shape
    return np.dtype([(name, dtype[name]) for name in fields]), ()


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a numpy array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, and the selection {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if not fits_into(dtype, out.dtype):
        raise TypeError(f"cannot read {dtype} into an array of {out.dtype}; astype() casts")
