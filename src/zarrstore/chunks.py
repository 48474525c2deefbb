"""The chunk engine: moves the chunks of an array between a store and memory.

Inline (a store that blocks) as many threads as cores, the caller's among them, take one chunk
after the other and run straight through: get, decode, scatter, or gather, encode, set. On an
I/O loop the requests run concurrently, as far as the process-wide limits allow, and the
decoding and encoding is done in worker threads, in batches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.compute import compute, cores
from zarrstore.errors import CorruptDataError
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.codecs.pipeline import flat_bytes
from zarrstore.format.indexing import BasicSelection, ChunkPart
from zarrstore.operations import Buffer
from zarrstore.runtime import is_inline, limits, map_bounded

__all__ = ["Progress", "read_chunks", "write_chunks"]

NDArray: TypeAlias = np.ndarray[Any, Any]

Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of chunks that are done, and of all."""


class _Mover:
    """What reading and writing share: keys, progress, errors."""

    def __init__(
        self,
        store: Store,
        path: str,
        spec: ArraySpec,
        selection: BasicSelection,
        progress: Progress | None,
    ) -> None:
        self._store = store
        self._prefix = f"{path}/" if path else ""
        self._spec = spec
        self._selection = selection
        self._progress = progress
        self._counting = threading.Lock()
        self._done = 0
        self._inline = is_inline()

    async def run(self, move: Callable[[ChunkPart], Any]) -> None:
        parts = list(self._selection.parts(self._spec.grid))
        total = len(parts)

        async def move_and_tell(part: ChunkPart) -> None:
            await move(part)
            if self._progress is not None:
                with self._counting:
                    self._done += 1
                    self._progress(self._done, total)

        limit = cores() if self._inline else limits.requests
        await map_bounded(move_and_tell, parts, limit=limit)

    def key(self, part: ChunkPart) -> str:
        return self._prefix + self._spec.keys.key(part.index)

    def corrupt(self, key: str, error: CorruptDataError) -> CorruptDataError:
        codecs = ", ".join(codec.name for codec in self._spec.pipeline.codecs)
        return CorruptDataError(
            f"chunk {key!r} of {self._store.url} (codecs: {codecs}) is corrupt: {error}; "
            "restore it from a copy, or delete the key to read the fill value there",
            store=self._store.url,
            key=key,
        )


class _Reader(_Mover):
    def __init__(self, *args: Any, out: NDArray) -> None:
        super().__init__(*args)
        self._out = self._selection.full_view(out)

    async def move(self, part: ChunkPart) -> None:
        key = self.key(part)
        pipeline = self._spec.pipeline
        if self._inline and pipeline.is_raw and part.fills_chunk:
            target = self._out[part.outside]
            if target.flags.c_contiguous and target.dtype == pipeline.dtype:
                size = await self._store.get_into(key, flat_bytes(target))
                if size is None:
                    target[...] = self._spec.fill_value
                elif size != target.nbytes:
                    raise self.corrupt(
                        key, CorruptDataError(f"it has {size} bytes, not {target.nbytes}")
                    )
                return
        data = await self._store.get(key)
        if data is None:
            self._out[part.outside] = self._spec.fill_value
            return
        try:
            await compute(self._scatter, part, data)
        except CorruptDataError as error:
            raise self.corrupt(key, error) from error

    def _scatter(self, part: ChunkPart, data: Buffer) -> None:
        target = self._out[part.outside]
        pipeline = self._spec.pipeline
        if part.fills_chunk and target.flags.c_contiguous and target.dtype == pipeline.dtype:
            pipeline.decode_into(data, target)
        else:
            target[...] = pipeline.decode(data)[part.inside]


class _Writer(_Mover):
    def __init__(self, *args: Any, value: NDArray, write_empty_chunks: bool) -> None:
        super().__init__(*args)
        self._value = self._selection.full_view(value)
        can_delete = Capability.DELETE in self._store.capabilities
        self._write_empty_chunks = write_empty_chunks or not can_delete

    async def move(self, part: ChunkPart) -> None:
        key = self.key(part)
        old = None if part.is_whole else await self._store.get(key)
        try:
            data = await compute(self._encode, part, old)
        except CorruptDataError as error:
            raise self.corrupt(key, error) from error
        if data is None:
            await self._store.delete(key)
        else:
            await self._store.set(key, data)

    def _encode(self, part: ChunkPart, old: Buffer | None) -> Buffer | None:
        """Return the bytes of a chunk, or ``None`` for one that need not be stored."""
        chunk = self._gather(part, old)
        if not self._write_empty_chunks and self._spec.is_fill(chunk):
            return None
        return self._spec.pipeline.encode(chunk)

    def _gather(self, part: ChunkPart, old: Buffer | None) -> NDArray:
        pipeline = self._spec.pipeline
        value = self._value[part.outside]
        if part.fills_chunk and value.dtype == pipeline.dtype and value.flags.c_contiguous:
            return value
        # without a codec the stored bytes are the chunk's own memory, which must then last
        reusable = self._inline or not pipeline.is_raw
        chunk = pipeline.scratch() if reusable else np.empty(pipeline.shape, pipeline.dtype)
        if old is not None:
            pipeline.decode_into(old, chunk)
        elif not part.fills_chunk:
            chunk[...] = self._spec.fill_value
        chunk[part.inside] = value
        return chunk


async def read_chunks(
    store: Store,
    path: str,
    spec: ArraySpec,
    selection: BasicSelection,
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
    selection : BasicSelection
    out : numpy.ndarray
        Of the selection's shape.
    progress : callable, optional

    Raises
    ------
    CorruptDataError
        If a chunk cannot be decoded; the message names its key.
    """
    reader = _Reader(store, path, spec, selection, progress, out=out)
    await reader.run(reader.move)


async def write_chunks(
    store: Store,
    path: str,
    spec: ArraySpec,
    selection: BasicSelection,
    value: NDArray,
    progress: Progress | None = None,
    write_empty_chunks: bool = False,
) -> None:
    """Write a selection of an array from memory.

    A whole chunk is written without reading it; a part of one is read, changed and written.
    Chunks that hold only the fill value are deleted instead, unless ``write_empty_chunks``.

    Parameters
    ----------
    store : Store
    path : str
        Of the array in the store.
    spec : ArraySpec
    selection : BasicSelection
    value : numpy.ndarray
        Of the selection's shape.
    progress : callable, optional
    write_empty_chunks : bool, default False

    Notes
    -----
    Writers of parts of one chunk at the same time overwrite each other's parts: give each its
    own chunks.
    """
    writer = _Writer(
        store,
        path,
        spec,
        selection,
        progress,
        value=value,
        write_empty_chunks=write_empty_chunks,
    )
    await writer.run(writer.move)
