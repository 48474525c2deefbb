"""The chunk engine: moves the chunks of a selection between a store and memory.

It takes *parts*, each what a selection has of one chunk, in batches. A store that blocks is used
by as many threads as there are cores, the caller's among them; each takes a batch and does all of
its work. A store that is asynchronous is asked for many chunks at once, and worker threads decode
what has come.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.errors import CorruptDataError
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.chunk_parts import (
    changed,
    gathered,
    in_part,
    place,
    rows_of_chunks,
    shard_layout,
)
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.indexing import ChunkPart, Selection
from zarrstore.moving import Mover, Progress
from zarrstore.operations import Buffer
from zarrstore.shards import read_part_of_shard
from zarrstore.streams import read_in_streams, write_in_streams
from zarrstore.updating import update

__all__ = ["Progress", "read_chunks", "write_chunks"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_WORTH_A_BUFFER = 2**17
"""Bytes from which one value is read quicker into memory that was used before."""


class _Reader(Mover):
    _small_workers = 1  # system calls that read are the shortest

    def __init__(self, *args: Any, out: NDArray) -> None:
        super().__init__(*args)
        self._out = self._selection.full_view(out)

    @property
    def _together(self) -> bool:
        return self._small and self._unit.decodes_many

    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        if self._pipeline is None:
            parts = [part for part in parts if not await self._read_of_shard(part)]
            if not parts:
                return
        if not self._inline or (len(parts) < 2 and self._spec.pipeline.nbytes < _WORTH_A_BUFFER):
            for part in parts:
                await self._compute(self._place, part, await self._store.get(self._key(part)))
        elif self._at_once > 1 and self._pipeline is not None:
            for first in range(0, len(parts), self._at_once):
                some = parts[first : first + self._at_once]
                await self._read_together(some, self._pipeline)
        else:
            put = self._place if self._pipeline is None else self._place_plainly
            keys = map(self._key, parts)
            await self._store.get_each(keys, lambda index, data: put(parts[index], data))

    async def _in_streams(self, parts: Iterator[ChunkPart], nbytes: int) -> Iterator[ChunkPart]:
        put, tell = self._place_plainly, self._tell
        return await read_in_streams(self._store, parts, self._total, nbytes, self._key, put, tell)

    async def _read_of_shard(self, part: ChunkPart) -> bool:
        """Read a small part of a shard without the rest; tell whether it was one."""
        pipeline = self._pipeline_of(part)
        layout = None if part.is_whole else shard_layout(pipeline)
        if layout is None:
            return False
        key = self._key(part)
        try:
            return await read_part_of_shard(
                self._store, key, layout, part, self._selection, self._out
            )
        except CorruptDataError as error:
            raise self._corrupt(key, error) from error

    async def _read_together(self, parts: Sequence[ChunkPart], pipeline: CodecPipeline) -> None:
        """Read small chunks into one buffer, and decode and copy them with few calls."""
        rooms = pipeline.encoded_rooms(len(parts))
        flat, size = rooms.reshape(-1).data, rooms.shape[1]
        buffers = [flat[at : at + size] for at in range(0, len(flat), size)]
        with self._in_turn():
            sizes = await self._store.get_each_into(map(self._key, parts), buffers)
        if pipeline.is_raw and sizes.count(size) == len(parts):
            chunks = rooms.view(pipeline.dtype).reshape(len(parts), *pipeline.shape)
            for first, stop, target in rows_of_chunks(parts, self._out):
                part = parts[first]
                if stop - first > 1:
                    target[...] = chunks[first:stop]
                elif part.fills_chunk:
                    self._out[part.outside] = chunks[first]
                else:  # what the selection gives of the result may be a copy
                    self._out[part.outside] = chunks[first][part.inside]
            return
        found: list[Buffer | None] = []
        for part, buffer, stored in zip(parts, buffers, sizes, strict=True):
            if stored is not None and stored > size:  # more than there should be
                found.append(await self._store.get(self._key(part)))
            else:
                found.append(None if stored is None else buffer[:stored])
        with suppress(CorruptDataError):  # decoded again one by one, to name its key
            there = [data for data in found if data is not None]
            # each in turn takes the memory that the one before it has left
            decoded = iter(
                pipeline.decode_many(there)
                if pipeline.decodes_many
                else map(pipeline.decode, there)
            )
            for part, data in zip(parts, found, strict=True):
                if data is None:
                    self._out[part.outside] = self._spec.fill_value
                else:
                    chunk = next(decoded)
                    self._out[part.outside] = chunk if part.fills_chunk else chunk[part.inside]
            return
        for part, data in zip(parts, found, strict=True):
            self._place(part, data)

    def _place(self, part: ChunkPart, data: Buffer | None) -> None:
        if data is None:
            self._out[part.outside] = self._spec.fill_value
            return
        try:
            place(self._pipeline_of(part), data, part, self._selection, self._out)
        except CorruptDataError as error:
            raise self._corrupt(self._key(part), error) from error

    def _place_plainly(self, part: ChunkPart, data: Buffer | None) -> None:
        """Do what `_place` does, with fewer calls, for chunks that are no shards."""
        pipeline = self._spec.pipeline
        if data is None or pipeline.nbytes > _WORTH_A_BUFFER:
            self._place(part, data)
            return
        try:
            chunk = pipeline.decode(data)
        except CorruptDataError as error:
            raise self._corrupt(self._key(part), error) from error
        self._out[part.outside] = chunk if part.fills_chunk else chunk[part.inside]


class _Writer(Mover):
    _small_workers = 2

    def __init__(
        self, *args: Any, value: NDArray, write_empty_chunks: bool, fields: Sequence[str] | None
    ) -> None:
        super().__init__(*args)
        self._fields = fields
        self._value = self._selection.full_view(value)
        capabilities = self._store.capabilities
        self._write_empty_chunks = write_empty_chunks or Capability.DELETE not in capabilities
        self._swaps = Capability.COMPARE_AND_SWAP in capabilities

    @property
    def _together(self) -> bool:
        return self._small and self._unit.encodes_many

    async def _in_streams(self, parts: Iterator[ChunkPart], nbytes: int) -> Iterator[ChunkPart]:
        encoded, tell = self._encoded_whole, self._tell
        return await write_in_streams(self._store, parts, self._total, nbytes, encoded, tell)

    def _encoded_whole(self, part: ChunkPart) -> tuple[str, Buffer] | None:
        """Return the key and bytes of a whole chunk; ``None`` if it is none, or not stored."""
        whole = [part] if part.is_whole and self._fields is None else []
        return next(self._encoded_in_turn(whole, []), None)

    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        if self._fields is not None:
            parts = [in_part(part) for part in parts]
        whole = [part for part in parts if part.is_whole]
        empty: list[str] = []
        if self._inline and self._at_once > 1 and self._pipeline is not None:
            # between system calls the processor runs other code at half its speed
            for first in range(0, len(whole), self._at_once):
                some = whole[first : first + self._at_once]
                together = self._encoded_together(some, self._pipeline, empty)
                with self._in_turn():
                    await self._store.set_each(together)
        elif self._inline:
            await self._store.set_each(self._encoded_in_turn(whole, empty))
        else:
            for encoded in await self._compute(lambda: list(self._encoded_in_turn(whole, empty))):
                await self._store.set(*encoded)
        for key in empty:
            await self._store.delete(key)
        for part in parts:
            if not part.is_whole:
                await self._update(part)

    def _encoded_in_turn(
        self, parts: Sequence[ChunkPart], empty: list[str]
    ) -> Iterator[tuple[str, Buffer]]:
        """Yield the keys and bytes of whole chunks; note the keys of those not to be stored.

        Inline the bytes of one may be overwritten by the next.
        """
        for part in parts:
            data = self._changed(part, None, self._write_empty_chunks, lasting=not self._inline)
            if data is None:
                empty.append(self._key(part))
            else:
                yield self._key(part), data

    def _encoded_together(
        self, parts: Sequence[ChunkPart], pipeline: CodecPipeline, empty: list[str]
    ) -> list[tuple[str, Buffer]]:
        """Return what `_encoded_in_turn` yields, for small chunks with few calls."""
        chunks = self._gathered_together(parts, pipeline)
        keys = [self._key(part) for part in parts]
        spec = pipeline.spec
        if self._write_empty_chunks or not spec.begins_with_fill(chunks).any():
            return list(zip(keys, pipeline.encode_stack(chunks), strict=True))
        are_empty = [spec.is_fill(chunks[number, ...]) for number in range(len(parts))]
        empty += itertools.compress(keys, are_empty)
        numbers = [number for number, is_empty in enumerate(are_empty) if not is_empty]
        data = pipeline.encode_many([chunks[number, ...] for number in numbers])
        return [(keys[number], chunk) for number, chunk in zip(numbers, data, strict=True)]

    def _gathered_together(self, parts: Sequence[ChunkPart], pipeline: CodecPipeline) -> NDArray:
        """Return whole chunks as one array, copied with few calls."""
        rooms = pipeline.room(len(parts), lasting=False)
        for first, stop, values in rows_of_chunks(parts, self._value):
            if stop - first > 1:
                rooms[first:stop] = values
            else:
                gathered(pipeline, None, parts[first], values, rooms[first, ...])
        return rooms

    async def _update(self, part: ChunkPart) -> None:
        """Change a part of a chunk, on top of what others change meanwhile."""

        async def change(old: Buffer | None) -> Buffer | None:
            new = await self._compute(self._changed, part, old, self._write_empty_chunks)
            if new is None and old is not None and self._swaps:
                # written where deleting it could lose another's change
                new = await self._compute(self._changed, part, old, True)
            return new

        await update(self._store, self._key(part), change)

    def _changed(
        self,
        part: ChunkPart,
        old: Buffer | None,
        write_empty_chunks: bool,
        *,
        lasting: bool = True,
    ) -> Buffer | None:
        pipeline = self._pipeline_of(part)
        try:
            return changed(
                pipeline,
                old,
                part,
                self._selection,
                self._value,
                write_empty_chunks,
                self._fields,
                lasting=lasting,
            )
        except CorruptDataError as error:
            raise self._corrupt(self._key(part), error) from error


async def read_chunks(
    store: Store,
    path: str,
    spec: ArraySpec,
    selection: Selection,
    out: NDArray,
    progress: Progress | None = None,
) -> None:
    """Read a selection of an array into memory; missing chunks are the fill value.

    Parameters
    ----------
    store : Store
    path : str
        Of the array in the store.
    spec : ArraySpec
    selection : Selection
    out : numpy.ndarray
        Of the selection's shape.
    progress : callable, optional

    Raises
    ------
    CorruptDataError
        If a chunk cannot be decoded; the message names its key.
    """
    await _Reader(store, path, spec, selection, progress, out=out).run()


async def write_chunks(
    store: Store,
    path: str,
    spec: ArraySpec,
    selection: Selection,
    value: NDArray,
    progress: Progress | None = None,
    write_empty_chunks: bool = False,
    fields: Sequence[str] | None = None,
) -> None:
    """Write a selection of an array from memory.

    A whole chunk is written without reading it; a part of one is read, changed and written, on
    top of what others write to it meanwhile (see `zarrstore.updating.update`).
    Chunks that hold only the fill value are deleted instead, unless ``write_empty_chunks``.

    Parameters
    ----------
    store, path, spec, selection, progress
        As for `read_chunks`.
    value : numpy.ndarray
        Of the selection's shape.
    write_empty_chunks : bool, default False
    fields : sequence of str, optional
        Write only these fields of records, and leave the others as they are.
    """
    where = store, path, spec, selection, progress
    await _Writer(*where, value=value, write_empty_chunks=write_empty_chunks, fields=fields).run()
