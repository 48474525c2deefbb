"""The chunk engine: moves the chunks of an array between a store and memory.

Inline (a store that blocks) as many threads as cores, the caller's among them, take a batch of
chunks each and run straight through: get, decode, scatter, or gather, encode, set. On an I/O
loop the requests run concurrently, as far as the process-wide limits allow, and the decoding
and encoding is done in worker threads, in batches.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.compute import compute, cores
from zarrstore.errors import CorruptDataError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.codecs.bytes import flat_bytes
from zarrstore.format.indexing import BasicSelection, ChunkPart
from zarrstore.operations import Buffer
from zarrstore.runtime import is_inline, limits

__all__ = ["Progress", "read_chunks", "write_chunks"]

NDArray: TypeAlias = np.ndarray[Any, Any]

Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of chunks that are done, and of all."""

_BATCH_BYTES = 2**20
_BATCH_CHUNKS = 32
_IN_PLACE: Final = object()
"""What was read is in the output already."""


class _Turns:
    """Lets one thread at a time into a store that answers at once.

    Two threads that make short system calls hand the interpreter to each other at each of them,
    which takes longer than the calls do. While one of them is in the store, the others decode.
    A store that keeps a thread waiting is entered by several.
    """

    _WAITING = 0.0005

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits = False

    @contextmanager
    def take(self, chunks: int) -> Iterator[None]:
        alone = not self._waits
        if alone:
            self._lock.acquire()
        started = time.perf_counter()
        try:
            yield
        finally:
            if alone:
                self._lock.release()
            self._waits = time.perf_counter() - started > self._WAITING * chunks


class _Mover(ABC):
    """What reading and writing share: batches, keys, progress, errors."""

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
        self._total = 0
        self._inline = is_inline()
        self._turns = _Turns()

    @abstractmethod
    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        """Move a batch of parts."""

    async def run(self) -> None:
        """Move everything."""
        parts = self._selection.parts(self._spec.grid)
        self._total = self._selection.count_parts(self._spec.grid)
        size = 1
        if self._inline:
            share = -(-self._total // cores())
            fitting = _BATCH_BYTES // max(1, self._spec.pipeline.nbytes)
            size = max(1, min(_BATCH_CHUNKS, fitting, share))
        batches = iter(lambda: list(islice(parts, size)), [])
        limit = cores() if self._inline else limits.requests
        count = -(-self._total // size)
        await each_bounded(self._move_and_tell, batches, count=count, limit=limit)

    def _in_store(self, parts: Sequence[ChunkPart]) -> AbstractContextManager[None]:
        """Return what is entered to use the store for some parts."""
        return self._turns.take(len(parts)) if self._inline else nullcontext()

    async def _move_and_tell(self, parts: Sequence[ChunkPart]) -> None:
        if self._inline:
            await self._move(parts)
        else:
            async with limits.memory(len(parts) * self._spec.pipeline.nbytes):
                await self._move(parts)
        if self._progress is not None:
            with self._counting:
                self._done += len(parts)
                self._progress(self._done, self._total)

    def _key(self, part: ChunkPart) -> str:
        return self._prefix + self._spec.keys.key(part.coords)

    def _corrupt(self, key: str, error: CorruptDataError) -> CorruptDataError:
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

    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        keys = [self._key(part) for part in parts]
        with self._in_store(parts):
            found = [await self._fetch(*item) for item in zip(parts, keys, strict=True)]
        await compute(self._place_all, parts, keys, found)

    async def _fetch(self, part: ChunkPart, key: str) -> Any:
        """Return the bytes of a chunk, or read them to where they belong."""
        pipeline = self._spec.pipeline
        if self._inline and pipeline.is_raw and part.fills_chunk:
            target = self._out[part.outside]
            if target.flags.c_contiguous and target.dtype == pipeline.dtype:
                size = await self._store.get_into(key, flat_bytes(target))
                if size is not None and size != target.nbytes:
                    wrong = f"it has {size} bytes where {target.nbytes} are expected"
                    raise self._corrupt(key, CorruptDataError(wrong))
                return None if size is None else _IN_PLACE
        return await self._store.get(key)

    def _place_all(
        self, parts: Sequence[ChunkPart], keys: Sequence[str], found: Sequence[Any]
    ) -> None:
        if len(parts) > 1 and self._spec.pipeline.decodes_many:
            # damaged data is decoded again, one by one, to name its key
            with suppress(CorruptDataError):
                there = [data for data in found if data is not None]
                decoded = iter(self._spec.pipeline.decode_many(there))
                for part, data in zip(parts, found, strict=True):
                    self._out[part.outside] = (
                        self._spec.fill_value if data is None else next(decoded)[part.inside]
                    )
                return
        for part, key, data in zip(parts, keys, found, strict=True):
            if data is None:
                self._out[part.outside] = self._spec.fill_value
            elif data is not _IN_PLACE:
                try:
                    self._place(part, data)
                except CorruptDataError as error:
                    raise self._corrupt(key, error) from error

    def _place(self, part: ChunkPart, data: Buffer) -> None:
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

    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        store = self._store
        keys = [self._key(part) for part in parts]
        old = [
            None if part.is_whole else await store.get(key)
            for part, key in zip(parts, keys, strict=True)
        ]
        encoded = await compute(self._encode_all, parts, keys, old)
        with self._in_store(parts):
            for key, data in zip(keys, encoded, strict=True):
                if data is None:
                    await store.delete(key)
                else:
                    await store.set(key, data)

    def _encode_all(
        self, parts: Sequence[ChunkPart], keys: Sequence[str], old: Sequence[Buffer | None]
    ) -> list[Buffer | None]:
        """Return the bytes of chunks, ``None`` for those that need not be stored."""
        pipeline = self._spec.pipeline
        # without a codec the stored bytes are the chunk's own memory, which must then last
        room = pipeline.room(len(parts), lasting=not self._inline and pipeline.is_raw)
        chunks = [self._gather(*item) for item in zip(parts, keys, old, room, strict=True)]
        stored = [self._write_empty_chunks or not self._spec.is_fill(chunk) for chunk in chunks]
        data = iter(
            pipeline.encode_many([c for c, kept in zip(chunks, stored, strict=True) if kept])
        )
        return [next(data) if kept else None for kept in stored]

    def _gather(self, part: ChunkPart, key: str, old: Buffer | None, room: NDArray) -> NDArray:
        pipeline = self._spec.pipeline
        value = self._value[part.outside]
        if part.fills_chunk and value.dtype == pipeline.dtype and value.flags.c_contiguous:
            return value
        if old is not None:
            try:
                pipeline.decode_into(old, room)
            except CorruptDataError as error:
                raise self._corrupt(key, error) from error
        elif not part.fills_chunk:
            room[...] = self._spec.fill_value
        room[part.inside] = value
        return room


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
    await reader.run()


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
    await writer.run()
