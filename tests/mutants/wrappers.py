"""Wrappers that lose what the store below can do."""

from __future__ import annotations

from mutants.base import Sound, SoundAsync, found_by
from zarrstore.abc import ABSENT, Capability, Stat, Store
from zarrstore.byte_range import resolve
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.base import WrapperStore


class SoundWrapper(WrapperStore):
    """A wrapper without a fault, over a store of its own."""

    def __init__(self, store=None, *, read_only=False):
        super().__init__(Sound() if store is None else store, read_only=read_only)


class HandMade(Store):
    """A wrapper that is none of `WrapperStore`: it forwards the four hooks that it must."""

    def __init__(self, store=None, *, read_only=False):
        super().__init__(read_only=read_only)
        self.store = MemoryStore() if store is None else store

    def _location(self):
        return {"store": self.store} if Capability.SHARED in self.store.capabilities else None

    async def _get(self, key):
        return await self.store.get(key)

    async def _set(self, key, value):
        return await self.store.set(key, value)

    async def _set_if(self, key, value, expect):
        return await self.store.set(key, value, expect=expect)

    async def _stat(self, key):
        return await self.store.stat(key)

    async def _get_range(self, key, byte_range):
        return await self.store.get(key, byte_range)

    async def _delete(self, key):
        await self.store.delete(key)

    def _list(self, prefix):
        return self.store.list_prefix(prefix)


@found_by("stat_reads_no_value", in_zarr=False)
class ReadsTheValueForItsSize(SoundWrapper):
    async def _stat(self, key):
        value = await self.store.get(key)
        stat = await self.store.stat(key)
        return None if value is None or stat is None else Stat(len(value), stat.version)


@found_by("stat_reads_no_value", in_zarr=False)
class ReadsTheValueToTellThatItIsThere(SoundWrapper):
    async def _exists(self, key):
        return await self.store.get(key) is not None


@found_by("wrapper_forwards_what_its_store_can", in_zarr=False)
class DropsConditionalWrites(HandMade):
    _set_if = Store._set_if


@found_by("wrapper_forwards_what_its_store_can", in_zarr=False)
class DropsDelete(HandMade):
    _delete = Store._delete


@found_by("wrapper_forwards_what_its_store_can", in_zarr=False)
class DropsListing(HandMade):
    _list = Store._list


@found_by("wrapper_forwards_what_its_store_does_better", in_zarr=False)
class DropsRanges(HandMade):
    _get_range = Store._get_range


@found_by("stat_reads_no_value", in_zarr=False)
class DropsStat(HandMade):
    _stat = Store._stat


@found_by("set_returns_a_version", "version_is_honoured", in_zarr=False)
class DropsVersions(SoundWrapper):
    async def _stat(self, key):
        stat = await self.store.stat(key)
        return stat and Stat(stat.size)


@found_by("absent_is_honoured", in_zarr=False)
class DropsTheCondition(SoundWrapper):
    async def _set_if(self, key, value, expect):
        return await self.store.set(key, value)


class Cache(SoundWrapper):
    """Keeps values that were read; each fault is in what it forgets to drop."""

    def __init__(self, store=None, *, read_only=False):
        super().__init__(store, read_only=read_only)
        self.held = {}

    async def _get(self, key):
        if key not in self.held:
            self.held[key] = await self.store.get(key)
        return self.held[key]

    async def _get_many(self, requests):
        return NotImplemented

    async def _get_each(self, keys, receive):
        return NotImplemented

    async def _set(self, key, value):
        self.held.pop(key, None)
        return await self.store.set(key, bytes(value))

    async def _set_if(self, key, value, expect):
        self.held.pop(key, None)
        return await self.store.set(key, bytes(value), expect=expect)

    async def _set_many(self, items):
        return NotImplemented

    async def _set_each(self, items):
        return NotImplemented

    async def _delete(self, key):
        self.held.pop(key, None)
        await self.store.delete(key)

    async def _delete_dir(self, prefix):
        self.held.clear()
        await self.store.delete_dir(prefix)


@found_by("overwriting_replaces", "writes_are_seen_at_once")
class CacheKeepsWhatWasOverwritten(Cache):
    async def _set(self, key, value):
        return await self.store.set(key, bytes(value))


@found_by("delete_removes")
class CacheKeepsWhatWasDeleted(Cache):
    async def _delete(self, key):
        await self.store.delete(key)


@found_by("delete_dir_deletes_below", "clear_empties")
class CacheKeepsWhatADirectoryHad(Cache):
    async def _delete_dir(self, prefix):
        await self.store.delete_dir(prefix)


@found_by("absent_is_honoured", "set_if_not_exists_tells", in_zarr=False)
class CacheKeepsThatItWasMissing(Cache):
    async def _set_if(self, key, value, expect):
        if key in self.held and self.held[key] is None and expect is ABSENT:
            return await self.store.set(key, bytes(value), expect=expect)
        return await super()._set_if(key, value, expect)

    async def _stat(self, key):
        if await self._get(key) is None:
            return None
        return await self.store.stat(key)

    async def _exists(self, key):
        return await self._get(key) is not None


@found_by("get_many_takes_ranges")
class CacheTakesAPartForTheWhole(Cache):
    async def _get_range(self, key, byte_range):
        if key not in self.held:
            self.held[key] = await self.store.get(key, byte_range)
            return self.held[key]
        value = self.held[key]
        return None if value is None else value[slice(*resolve(byte_range, len(value)))]


@found_by("list_prefix_yields_full_keys", "prefix_slash_is_optional")
class PrefixIsNotTakenOff(SoundWrapper):
    def _list(self, prefix):
        async def keys():
            async for key in self.store.list_prefix(prefix):
                yield f"pre/{key}" if prefix else key

        return keys()


@found_by("closed_view_raises", "closing_a_view")
class ClosesItsStoreWithAView(SoundWrapper):
    async def close(self):
        if self._view_of is not None:
            await self.store.close()
        await super().close()


@found_by("is_empty_stops_at_the_first", in_zarr=False)
class ListsAllToTellWhetherThereIsAny(SoundWrapper):
    async def _is_empty(self, prefix):
        return not [key async for key in self.store.list_prefix(prefix)]


@found_by("errors_are_not_missing", in_zarr=False)
class WrapperTakesErrorsForMissing(SoundWrapper):
    async def _get(self, key):
        try:
            return await self.store.get(key)
        except Exception:
            return None


@found_by("cancelled_get_is_cancelled", in_zarr=False)
class WrapperSwallowsEverything(SoundAsync):
    def __init__(self, store=None, *, read_only=False):
        super().__init__(read_only=read_only)

    async def get(self, key, byte_range=None):
        try:
            return await super().get(key, byte_range)
        except BaseException:
            return None
