"""Reading a part of a shard, without the rest of it."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence

from zarrstore.abc import Store, Version
from zarrstore.byte_range import RangeByteRequest
from zarrstore.compute import compute
from zarrstore.errors import CorruptDataError
from zarrstore.format.chunk_parts import NDArray, place_inner
from zarrstore.format.codecs.sharding_indexed import ShardIndex, ShardLayout
from zarrstore.format.indexing import ChunkPart, Selection
from zarrstore.operations import Buffer
from zarrstore.runtime import is_inline

__all__ = ["read_part_of_shard"]

_ATTEMPTS = 3
_WORTH_ALL_OF_IT = 0.5


class _ReplacedError(Exception):
    """The shard was replaced while it was read."""


class _Indexes:
    """The indexes of shards of one store that were read last, each with the shard's version."""

    _LARGEST = 2**18
    """Inner chunks of all that are kept: about 40 MB."""

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
    numbers = [layout.number_of(inner_part.coords) for inner_part in parts]
    for attempt in range(_ATTEMPTS):
        try:
            chunks = await _inner_chunks(store, key, layout, numbers)
            await compute(_put, layout, part, parts, inner, chunks, out)
        except _ReplacedError:
            continue
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
    _ReplacedError
        If they are not.
    CorruptDataError
    """
    if not is_inline():
        return (await _read(store, key, layout, numbers, None, None))[1]
    indexes = _indexes_of(store)
    index: ShardIndex | None = None
    size = None
    known = indexes.get(key)
    if known is not None:
        version, index = known
    else:
        stat = await store.stat(key)
        if stat is None:
            return None
        if stat.version is None:
            return (await _read(store, key, layout, numbers, None, stat.size))[1]
        version, size = stat.version, stat.size
    failure: CorruptDataError | None = None
    try:
        index, chunks = await _read(store, key, layout, numbers, index, size)
    except CorruptDataError as error:  # or it was replaced by a shorter one
        failure = error
    stat = await store.stat(key)
    if stat is None or stat.version != version:
        indexes.drop(key)
        raise _ReplacedError
    if failure is not None:
        raise failure
    if index is not None:
        indexes.keep(key, version, index)
    return chunks


async def _read(
    store: Store,
    key: str,
    layout: ShardLayout,
    numbers: Sequence[int],
    index: ShardIndex | None,
    size: int | None,
) -> tuple[ShardIndex | None, list[Buffer | None] | None]:
    """Return the index of a shard, read if it is not known, and inner chunks."""
    if index is None:
        data = await store.get(key, layout.index_request())
        if data is None:
            return None, None
        index = layout.decode_index(data, size)
    return index, await _read_chunks(store, key, layout, index, numbers)


async def _read_chunks(
    store: Store, key: str, layout: ShardLayout, index: ShardIndex, numbers: Sequence[int]
) -> list[Buffer | None] | None:
    spans = [index[number] for number in numbers]
    requests = [RangeByteRequest(*span) for span in spans if span is not None]
    read = await store.get_ranges(key, requests) if requests else []
    if read is None:
        return None
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
