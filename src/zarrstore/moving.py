"""Moving the chunks of a selection: in which batches, and by how many threads; progress, errors."""

from __future__ import annotations

import itertools
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypeAlias, TypeVar

from zarrstore.abc import Store
from zarrstore.compute import compute, cores
from zarrstore.errors import CorruptDataError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.chunk_parts import shard_layout, unit_of
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.indexing import ChunkPart, Selection
from zarrstore.runtime import is_inline, limits

__all__ = ["Mover", "Progress"]

Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of chunks that are done, and of all."""

T = TypeVar("T")

_BATCH_BYTES = 2**21
_BATCH_CHUNKS = 64
_WAITING = 0.002
"""Seconds of waiting for a chunk from which more threads are to wait, each for one."""
_WORTH_SHARING = 2**16
"""Bytes of a chunk from which threads move chunks at the same time."""
_QUICK_COPY = 2**18
"""Bytes of a chunk without a codec that an I/O loop itself copies: to hand it to a thread and back
takes the loop longer."""
_FEW = 4
_WORTH_A_THREAD = 2**21
"""Bytes to be moved from which another thread is asked for help before anything is done."""
_AT_ONCE = 2**21
"""Bytes of encoded chunks that are moved with few calls: what the processor keeps near."""


class Mover(ABC):
    """What reading and writing share: batches, keys, progress, errors."""

    _small_workers: ClassVar[int]
    """Threads for small chunks that are encoded or decoded one by one."""

    def __init__(
        self,
        store: Store,
        path: str,
        spec: ArraySpec,
        selection: Selection,
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
        self._largest_batch = 1
        self._slow = 0
        self._waits = False
        self._unit = unit_of(spec.pipeline)
        self._small = self._unit.nbytes < _WORTH_SHARING
        self._turn = threading.Lock()
        self._pipeline: CodecPipeline | None = None
        """Of all chunks, where it is the same and they are no shards."""
        if spec.grid.is_regular and shard_layout(spec.pipeline) is None:
            self._pipeline = spec.pipeline
        self._is_quick = spec.pipeline.is_raw and spec.pipeline.nbytes <= _QUICK_COPY
        self._at_once = _AT_ONCE // max(1, spec.pipeline.largest_encoded_size)
        """Chunks that are moved with few calls; 0 where one takes as much memory as all may."""

    @property
    @abstractmethod
    def _together(self) -> bool:
        """Whether the chunks of a batch are encoded or decoded in one call."""

    @abstractmethod
    async def _move(self, parts: Sequence[ChunkPart]) -> None:
        """Move a batch of parts: inline several, on a loop one."""

    @abstractmethod
    async def _in_streams(self, parts: Iterator[ChunkPart], nbytes: int) -> Iterator[ChunkPart]:
        """Move parts by a store that waits in threads; return those that are left."""

    async def run(self) -> None:
        """Move everything."""
        parts = self._selection.parts(self._spec.grid)
        two = list(itertools.islice(parts, 2))  # mostly there is one: to count them takes longer
        parts = itertools.chain(two, parts)
        self._total = 1 if len(two) == 1 else self._selection.count_parts(self._spec.grid)
        if self._total == 1 or (self._inline and self._is_little()):
            await self._move_and_tell(list(parts))
            return
        if self._inline:
            fitting = _BATCH_BYTES // max(1, self._spec.pipeline.nbytes)
            self._largest_batch = max(1, min(_BATCH_CHUNKS, fitting))
        elif self._pipeline is not None and self._store._waits_in_threads:
            parts = await self._in_streams(parts, self._pipeline.nbytes)
        await each_bounded(
            self._move_and_tell,
            self._batches(parts),
            count=self._total,
            limit=self._workers if self._inline else limits.requests,
            at_once=math.prod(self._selection.full_shape) * self._spec.dtype.itemsize
            > _WORTH_A_THREAD,
        )

    def _is_little(self) -> bool:
        """Tell whether to plan the work would take longer than to do it."""
        return self._total <= _FEW and self._total * self._spec.pipeline.nbytes <= _WORTH_SHARING

    def _workers(self) -> int:
        if self._waits:
            return limits.threads
        return min(self._small_workers, cores()) if self._small and not self._together else cores()

    def _in_turn(self) -> AbstractContextManager[object]:
        """Let one thread at a time use the store where others compute meanwhile.

        Threads that make short system calls hand the interpreter to each other at each of them,
        which takes longer than the calls do.
        """
        takes_turns = self._small and self._together and self._inline and not self._waits
        return self._turn if takes_turns else nullcontext()

    def _batches(self, parts: Iterator[ChunkPart]) -> Iterator[list[ChunkPart]]:
        """Yield parts in batches: two alone, to see how long they take, then ever smaller ones."""
        left = self._total
        size = 1
        for number in itertools.count():
            batch = list(itertools.islice(parts, size))
            if not batch:
                return
            yield batch
            left -= len(batch)
            if number > 0:
                size = max(1, min(self._largest_batch, left // (2 * cores())))

    async def _move_and_tell(self, parts: Sequence[ChunkPart]) -> None:
        if self._inline:
            await self._move_and_time(parts)
        else:
            async with limits.memory(self._pipeline_of(parts[0]).nbytes):
                await self._move(parts)
        self._tell(len(parts))

    def _tell(self, more: int) -> None:
        if self._progress is not None:
            with self._counting:
                self._done += more
                self._progress(self._done, self._total)

    async def _move_and_time(self, parts: Sequence[ChunkPart]) -> None:
        """Move parts, and find out whether that takes long because the store waits."""
        if self._waits or self._total == 1:
            await self._move(parts)
            return
        # how long the processor was busy takes long to ask: only where the time was long
        busy = time.thread_time() if self._slow else None
        started = time.perf_counter()
        await self._move(parts)
        waited = time.perf_counter() - started
        if busy is not None and waited > _WAITING * len(parts):
            # a thread that works waits as well: for the interpreter, and for the processor
            waited -= 2 * (time.thread_time() - busy)
        self._slow = self._slow + 1 if waited > _WAITING * len(parts) else 0
        if self._slow > 2:  # less may be by chance: other programs use the processor too
            self._waits = True
            self._largest_batch = 1

    async def _compute(self, function: Callable[..., T], *args: Any) -> T:
        """Encode or decode a chunk where that holds nobody up."""
        return function(*args) if self._is_quick else await compute(function, *args)

    def _pipeline_of(self, part: ChunkPart) -> CodecPipeline:
        return self._pipeline or self._spec.pipeline_at(part.coords)

    def _key(self, part: ChunkPart) -> str:
        return self._prefix + self._spec.keys.key(part.coords)

    def _corrupt(self, key: str, error: CorruptDataError) -> CorruptDataError:
        codecs = ", ".join(codec.name for codec in self._spec.codecs)
        return CorruptDataError(
            f"chunk {key!r} of {self._store.url} (codecs: {codecs}) is corrupt: {error}; "
            "restore it from a copy, or delete the key to read the fill value there",
            store=self._store.url,
            key=key,
        )
