"""Reading a part of a shard, without the rest of it."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from zarrstore.abc import Store, Version
from zarrstore.byte_range import ByteRequest, RangeByteRequest
from zarrstore.compute import compute
from zarrstore.errors import ConflictError, CorruptDataError
from zarrstore.format.chunk_parts import NDArray, place_inner
from zarrstore.format.codecs.shard_index import ShardIndex
from zarrstore.format.codecs.sharding_indexed import ShardLayout
from zarrstore.format.indexing import ChunkPart, Selection
from zarrstore.operations import Buffer
from zarrstore.runtime import is_inline

__all__ = ["read_part_of_shard"]

_ATTEMPTS = 3
_WORTH_ALL_OF_IT = 0.5


class _Indexes:
    """The indexes of shards of one store that were read last, each with the shard's version."""

    _LARGEST = 2**21
    """Inner chunks of all that are kept: about 50 MB."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Version, ShardIndex]] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> tuple[Version, ShardIndex] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: str, version: Version, index: ShardIndex) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = version, index
            self._size += len(index)
            while self._size > self._LARGEST:
                self._drop(next(iter(self._kept)))

    def drop(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._size -= len(dropped[1])


_by_store: dict[int, _Indexes] = {}


def _indexes_of(store: Store) -> _Indexes:
    """Return the indexes of a store: of this object, since others may have other data."""
    found = _by_store.get(id(store))
    if found is None:
        found = _by_store.setdefault(id(store), _Indexes())
        weakref.finalize(store, _by_store.pop, id(store), None)
    return found


async def read_part_of_shard(
    store: Store,
    key: str,
    layout: ShardLayout,
    part: ChunkPart,
    selection: Selection,
    out: NDArray,
) -> bool:
    """Put a part of a shard where it belongs; tell whether it was small enough for that.

    If not, or if the shard is replaced all the time, it is to be read as a whole. From a store
    that blocks, and has versions, the part comes from one state of the shard, and the index is
    read once for several parts. From others the index is read each time, and a shard that is
    replaced in the middle may give parts of both.

    Raises
    ------
    CorruptDataError
    """
    inner = selection.inside(part)
    parts = list(inner.parts(layout.grid))
    if len(parts) > _WORTH_ALL_OF_IT * layout.count:
        return False
    numbers = layout.numbers_of([inner_part.coords for inner_part in parts])
    for attempt in range(_ATTEMPTS):
        try:
            chunks = await _inner_chunks(store, key, layout, numbers)
            await compute(_put, layout, part, parts, inner, chunks, out)
        except ConflictError:  # replaced all the time
            return False
        except CorruptDataError:  # which may be of two states, where that cannot be told
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return True
    return False


def _put(
    layout: ShardLayout,
    part: ChunkPart,
    parts: Sequence[ChunkPart],
    inner: Selection,
    chunks: Sequence[Buffer | None] | None,
    out: NDArray,
) -> None:
    if chunks is None:
        out[part.outside] = layout.spec.fill_value
        return
    target = out[part.outside]
    place_inner(layout, parts, chunks, inner, target)
    if not part.is_view:
        out[part.outside] = target


async def _inner_chunks(
    store: Store, key: str, layout: ShardLayout, numbers: Sequence[int]
) -> list[Buffer | None] | None:
    """Return inner chunks, all of one state of the shard where that can be told.

    Raises
    ------
    ConflictError
        If the shard is replaced all the time.
    CorruptDataError
    """
    if not is_inline():
        data = await store.get(key, layout.index_request)
        if data is None:
            return None
        spans = layout.decode_index(data, None).spans(numbers)
        requests = _requests(spans)
        read = await store.get_ranges(key, requests) if requests else []
        return None if read is None else _in_order(layout, numbers, spans, read)
    indexes = _indexes_of(store)
    known = indexes.get(key)
    if known is not None and len(known[1]) == layout.count:
        version, index = known
        spans = index.spans(numbers)
        found = await store.get_versioned(key, _requests(spans))
        if found is not None and found.version == version:
            return _in_order(layout, numbers, spans, found.parts)
        indexes.drop(key)
        if found is None:
            return None

    def then(parts: Sequence[Buffer], size: int) -> list[ByteRequest]:
        nonlocal index, spans
        index = layout.decode_index(parts[0], size)
        spans = index.spans(numbers)
        return _requests(spans)

    found = await store.get_versioned(key, [layout.index_request], then)
    if found is None:
        return None
    if found.version is not None:
        indexes.keep(key, found.version, index)
    return _in_order(layout, numbers, spans, found.parts[1:])


def _requests(spans: Sequence[tuple[int, int] | None]) -> list[ByteRequest]:
    return [RangeByteRequest(*span) for span in spans if span is not None]


def _in_order(
    layout: ShardLayout,
    numbers: Sequence[int],
    spans: Sequence[tuple[int, int] | None],
    read: Iterable[Buffer],
) -> list[Buffer | None]:
    """Return what was read of each span, and ``None`` for those that are missing."""
    found = iter(read)
    chunks: list[Buffer | None] = []
    for number, span in zip(numbers, spans, strict=True):
        data = None if span is None else next(found)
        if data is not None and span is not None and len(data) != span[1] - span[0]:
            raise CorruptDataError(
                f"the shard ends within inner chunk {layout.coords_of(number)}, at bytes "
                f"{span[0]} to {span[1]}: truncated?"
            )
        chunks.append(data)
    return chunks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_by_store.clear)
