"""`CacheStore`: what was read from a store is kept for the next time."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from zarrstore.abc import Stat, Store, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.operations import Absent, Buffer, Capability, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.requests import checked_ranges, part_of
from zarrstore.runtime import CALLER, WORKERS, PerProcess
from zarrstore.stores._arguments import checked_number, checked_seconds
from zarrstore.stores._batches import lists_of
from zarrstore.stores._cached import MISS, Cached, CacheState, CacheStatistics, Part, Reading, What
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["CacheStatistics", "CacheStore"]

_AT_ONCE = 16
_INLINE = (CALLER, WORKERS)


class CacheStore(WrapperStore):
    """Keep what is read from a store, in memory or in another store, for the next time.

    Kept are values, parts of values, that a key is missing, what `stat` says, and listings. A
    part is kept as the part that was asked for: reading one inner chunk of a shard never fetches
    the shard. What was used longest ago makes room.

    Parameters
    ----------
    store : Store
        Closed when the cache is closed.
    max_bytes : int or None, default 256 MiB
        Of all values and parts that are kept. One that alone is larger is passed through; with
        ``None`` there is no limit.
    cache : Store, optional
        Where values and parts are kept, below a name of its own; in memory by default. Closed
        when the cache is closed.
    max_age : float, optional
        Seconds after which what was read is read again. By default it is kept until it is
        written through this store, makes room, or is invalidated.
    read_only : bool, default False

    Notes
    -----
    What others write to the store below is not noticed before ``max_age``, `invalidate`, or a
    conditional write that finds it: parts of a value that were read at different times may then
    be of different states. Changes made through this store are seen at once, by all its threads
    and tasks; a read that began before a change never brings the old value back.

    The cache is empty in each new process: in a forked child, and in one that a pickle is opened
    in. With ``cache`` its values are deleted on `close`, or when the process ends; one that is
    killed leaves them. A cache that fails (a full disk) costs requests, and no read.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> store = CacheStore(MemoryStore({"a": b"hello"}), max_bytes=1_000_000)
    >>> store.sync["a"], store.sync["a"], store.statistics.hits
    (b'hello', b'hello', 1)
    """

    def __init__(
        self,
        store: Store,
        *,
        max_bytes: int | None = 2**28,
        cache: Store | None = None,
        max_age: float | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, read_only=read_only)
        if max_bytes is not None:
            max_bytes = checked_number("max_bytes", max_bytes)
        if max_age is not None:
            max_age = checked_seconds("max_age", max_age)
        if cache is not None and not isinstance(cache, Store):
            raise TypeError(f"cache is a Store, not {type(cache).__name__}; see open_store")
        if cache is not None and cache.read_only:
            raise ValueError(f"cache is {cache.url}, which is read-only: nothing could be kept")
        if cache is not None and cache.url == store.url:
            raise ValueError(f"cache is {cache.url} itself; keep the values in another place")
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._cache = cache
        self._process = PerProcess(functools.partial(CacheState, max_bytes, max_age, cache))
        if cache is not None and store._home in _INLINE:
            slower = cache._home not in _INLINE or store._home is CALLER
            self._home = cache._home if slower else store._home

    @property
    def cache(self) -> Store | None:
        """The store that holds the values; ``None`` if memory does."""
        return self._cache

    @property
    def max_bytes(self) -> int | None:
        """How many bytes are kept at most."""
        return self._max_bytes

    @property
    def statistics(self) -> CacheStatistics:
        """What the cache has done so far, in this process.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = CacheStore(MemoryStore({"a": b"hello"}))
        >>> store.sync["a"]
        b'hello'
        >>> store.statistics
        CacheStatistics(hits=0, misses=1, evictions=0, nbytes=5, failures=0)
        """
        return self._cached.statistics

    def invalidate(self) -> None:
        """Forget everything: the next reads ask the store below."""
        self._cached.forget()

    def invalidate_values(self) -> None:
        """Forget values, parts of values, and what `stat` says of them."""
        self._cached.forget(lambda what: not isinstance(what, str) or what in ("stat", "version"))

    def invalidate_keys(self) -> None:
        """Forget which keys there are, and which are missing."""
        self._cached.forget(lambda what: isinstance(what, str) and what not in ("stat", "version"))

    @property
    def capabilities(self) -> Capability:
        found = super().capabilities
        if self._cache is not None and Capability.SHARED not in self._cache.capabilities:
            found &= ~Capability.SHARED
        return found

    def _location(self) -> dict[str, Any]:
        return {
            "store": self._inner,
            "max_bytes": self._max_bytes,
            "cache": self._cache,
            "max_age": self._max_age,
        }

    @property
    def _cached(self) -> Cached:
        return self._process.get().cached

    async def _close(self) -> None:
        state = self._process.get()
        state.cached.forget()
        if self._cache is not None:
            await state.empty()
            await self._cache.close()
        await self._inner.close()

    async def _in_cache(self, key: str, byte_range: ByteRequest | None) -> Any:
        """Return what the cache answers to a read, ``None`` for a missing key, or `MISS`."""
        value, wanted = self._cached.find(key, byte_range)
        if value is MISS or value is None:
            return value
        if self._cache is None:
            return value if wanted is None else part_of(value, wanted)
        what = None if wanted is not None else byte_range
        return await self._process.get().load(key, what, value, wanted)

    async def _keep(self, reading: Reading, what: What, value: Buffer | None) -> Buffer | None:
        """Keep what was read, and return it."""
        if value is None:
            self._cached.keep(reading, "missing", None, 1)
        elif self._cached.fits(len(value)):
            value = bytes(value)  # a view would hold all that it is a part of
            await self._process.get().keep(reading, what, value)
        return value

    async def _read(self, key: str, byte_range: ByteRequest | None) -> Any:
        cached = self._cached
        found = await self._in_cache(key, byte_range)
        if found is MISS:
            async with cached.turns.of((key, byte_range)):
                found = await self._in_cache(key, byte_range)
                if found is MISS:
                    cached.count(misses=1)
                    reading = cached.begin(key)
                    try:
                        value = await self._inner.get(key, byte_range)
                        return await self._keep(reading, byte_range, value)
                    finally:
                        cached.end(reading)
        cached.count(hits=1)
        return found

    async def _get(self, key: str) -> Any:
        return await self._read(key, None)

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return await self._read(key, byte_range)

    async def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        cached = self._cached
        found = {each: await self._in_cache(key, each) for each in dict.fromkeys(byte_ranges)}
        asked = [each for each, part in found.items() if part is MISS]
        cached.count(hits=len(found) - len(asked), misses=len(asked))
        if asked:
            reading = cached.begin(key)
            try:
                parts = await self._inner.get_ranges(key, asked)
                if parts is None:
                    return await self._keep(reading, None, None)
                for each, part in zip(asked, parts, strict=True):
                    found[each] = await self._keep(reading, each, part)
            finally:
                cached.end(reading)
        if any(part is None for part in found.values()):
            return None
        return [found[each] for each in byte_ranges]

    async def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        cached = self._cached
        known = await self._versioned_found(key, byte_ranges, then)
        if known is not MISS:
            cached.count(hits=1)
            return None if known is None else Versioned(*known)
        cached.count(misses=1)
        asked = list(byte_ranges)

        def noted(parts: list[Buffer], size: int) -> Iterable[ByteRequest]:
            asked[len(byte_ranges) :] = more = checked_ranges(then(parts, size)) if then else []
            return more

        reading = cached.begin(key)
        try:
            found = await self._inner.get_versioned(key, byte_ranges, then and noted)
            if found is None:
                cached.keep_state(reading, "version", None)
                return None
            if cached.keep_state(reading, "version", (found.version, found.size)):
                for each, part in zip(asked, found.parts, strict=True):
                    await self._keep(reading, Part(found.version, each), part)
            return found
        finally:
            cached.end(reading)

    async def _versioned_found(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Any:
        """Return parts of one state, with its size and version, as far as the cache has them."""
        known = self._cached.get(key, "version")
        if known is MISS:
            return MISS if self._cached.get(key, "missing") is MISS else None
        version, size = known
        parts: list[Any] = [await self._cached_part(key, version, each) for each in byte_ranges]
        if then is not None and MISS not in parts:
            more = checked_ranges(then(parts, size))
            parts += [await self._cached_part(key, version, each) for each in more]
        return MISS if MISS in parts else (parts, size, version)

    async def _cached_part(self, key: str, version: Version | None, byte_range: ByteRequest) -> Any:
        what = Part(version, byte_range)
        value = self._cached.get(key, what)
        if value is MISS or self._cache is None:
            return value
        return await self._process.get().load(key, what, value, None)

    async def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        cached = self._cached
        found = {each: await self._in_cache(*each) for each in dict.fromkeys(requests)}
        asked = [each for each, value in found.items() if value is MISS]
        cached.count(hits=len(found) - len(asked), misses=len(asked))
        if asked:
            readings = [cached.begin(key) for key, _ in asked]
            try:
                values = await self._inner.get_many(asked)
                for each, reading, value in zip(asked, readings, values, strict=True):
                    found[each] = await self._keep(reading, each[1], value)
            finally:
                for reading in readings:
                    cached.end(reading)
        return [found[each] for each in requests]

    async def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        return _placed(await self._read(key, byte_range), buffer)

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        first = 0
        for some in lists_of(keys, _AT_ONCE):
            for index, value in enumerate(await self._get_many([(key, None) for key in some])):
                receive(first + index, value)
            first += len(some)

    async def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        sizes: list[int | None] = []
        for some in lists_of(zip(keys, buffers, strict=True), _AT_ONCE):
            values = await self._get_many([(key, None) for key, _ in some])
            sizes += [_placed(value, each[1]) for value, each in zip(values, some, strict=True)]
        return sizes

    async def _stat(self, key: str) -> Stat | None:
        cached = self._cached
        stat = cached.get(key, "stat")
        if stat is MISS and cached.get(key, "missing") is not MISS:
            return None
        if stat is MISS:
            reading = cached.begin(key)
            try:
                stat = await self._inner.stat(key)
                cached.keep_state(reading, "stat", stat)
            finally:
                cached.end(reading)
        found: Stat | None = stat
        return found

    async def _exists(self, key: str) -> bool:
        cached = self._cached
        known = cached.is_there(key)
        if known is None:
            reading = cached.begin(key)
            try:
                known = await self._inner.exists(key)
                cached.keep(reading, "there" if known else "missing", None, 1)
            finally:
                cached.end(reading)
        return known

    async def _set(self, key: str, value: Any) -> Version | None:
        try:
            return await self._inner.set(key, value)
        finally:
            await self._changed((key,))

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        try:
            return await self._inner.set(key, value, expect=expect)
        finally:  # in a conflict too: another has written it
            await self._changed((key,))

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        try:
            await self._inner.set_many(items)
        finally:
            await self._changed([key for key, _ in items])

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        written: list[str] = []

        def noted() -> Iterable[tuple[str, Any]]:
            for key, value in items:
                written.append(key)
                yield key, value

        try:
            await self._inner.set_each(noted())
        finally:
            await self._changed(written)

    async def _delete(self, key: str) -> None:
        try:
            await self._inner.delete(key)
        finally:
            await self._changed((key,))

    async def _delete_dir(self, prefix: str) -> None:
        try:
            await self._inner.delete_dir(prefix)
        finally:
            self._cached.changed_below(prefix)
            await self._process.get().clean()

    async def _changed(self, keys: Iterable[str]) -> None:
        self._cached.changed(keys)
        await self._process.get().clean()

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return self._listed("_list", prefix, self._inner.list_prefix)

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._listed("_list_dir", prefix, self._inner.list_dir)

    async def _listed(
        self, what: Literal["_list", "_list_dir"], prefix: str, listing: Any
    ) -> AsyncIterator[str]:
        cached = self._cached
        names = cached.get(prefix, what)
        if names is not MISS:
            for name in names:
                yield name
            return
        names = []
        reading = cached.begin(prefix)
        try:
            async for name in listing(prefix):
                names.append(name)
                yield name
            cached.keep(reading, what, names, 1 + len(names))
        finally:
            cached.end(reading)

    async def _is_empty(self, prefix: str) -> bool:
        return bool(await self._of_prefix("_is_empty", prefix, self._inner.is_empty))

    async def _getsize_prefix(self, prefix: str) -> int:
        return int(await self._of_prefix("_getsize_prefix", prefix, self._inner.getsize_prefix))

    async def _of_prefix(
        self, what: Literal["_is_empty", "_getsize_prefix"], prefix: str, ask: Any
    ) -> Any:
        cached = self._cached
        found = cached.get(prefix, what)
        if found is MISS:
            reading = cached.begin(prefix)
            try:
                found = await ask(prefix)
                cached.keep(reading, what, found, 1)
            finally:
                cached.end(reading)
        return found


def _placed(value: Buffer | None, buffer: memoryview) -> int | None:
    """Put a value into a buffer, if it fits; return its size."""
    if value is None:
        return None
    if len(value) <= buffer.nbytes:
        buffer[: len(value)] = value
    return len(value)
