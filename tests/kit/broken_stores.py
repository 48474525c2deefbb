"""Stores with one realistic fault each, and the behaviours that find it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
import time
import unicodedata
from urllib.parse import unquote

from zarrstore.abc import BlockingStore, Stat, Store
from zarrstore.byte_range import RangeByteRequest, SuffixByteRequest, resolve
from zarrstore.operations import ABSENT
from zarrstore.runtime import CALLER

FAULTS: dict[type[Store], set[str]] = {}


def found_by(*names):
    def note(cls):
        FAULTS[cls] = set(names)
        return cls

    return note


class Sound(BlockingStore):
    """A store without a fault, with conditional writes."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.data = {}
        self.versions = {}
        self.count = 0
        self.lock = threading.RLock()

    def _get(self, key):
        return self.data.get(key)

    def _stat(self, key):
        with self.lock:
            value = self.data.get(key)
            return None if value is None else Stat(len(value), self.versions[key])

    def _set(self, key, value):
        with self.lock:
            self.count += 1
            self.data[key] = value
            self.versions[key] = str(self.count)
            return self.versions[key]

    def _set_if(self, key, value, expect):
        with self.lock:
            found = self.versions.get(key) if key in self.data else None
            if found != (None if expect is ABSENT else expect):
                raise self._conflict(key, expect, found)
            return self._set(key, value)

    def _delete(self, key):
        with self.lock:
            self.data.pop(key, None)

    def _list(self, prefix):
        return [key for key in list(self.data) if key.startswith(prefix)]


@found_by("overwriting_replaces")
class NoTruncation(Sound):
    def _set(self, key, value):
        return super()._set(key, value + self.data.get(key, b"")[len(value) :])


@found_by("input_is_copied")
class KeepsTheCallersBuffer(Sound):
    _takes_views = True

    def _get(self, key):
        value = self.data.get(key)
        return None if value is None else bytes(value)


@found_by("range_is_clamped")
class PadsRanges(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(byte_range, RangeByteRequest):
            size = min(byte_range.end - byte_range.start, 10**6)
            return value[byte_range.start : byte_range.end].ljust(size, b"\0")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("suffix_is_the_end")
class SuffixOfZeroIsAll(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(byte_range, SuffixByteRequest):
            return value[-byte_range.suffix :]
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("range_past_the_end_is_empty", "offset_is_the_rest")
class RaisesPastTheEnd(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if getattr(byte_range, "start", getattr(byte_range, "offset", 0)) > len(value):
            raise OSError("416 Range Not Satisfiable")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("ranges_of_a_missing_key")
class RangeOfMissingIsEmpty(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key, b"")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("ranges_keep_their_order")
class RangesInFileOrder(Sound):
    def _get_ranges(self, key, byte_ranges):
        value = self.data.get(key)
        if value is None:
            return None
        spans = sorted(resolve(request, len(value)) for request in byte_ranges)
        return [value[start:stop] for start, stop in spans]


@found_by("get_many_keeps_the_order")
class ManyWithoutRepeats(Sound):
    def _get_many(self, requests):
        return [
            None if (value := self.data.get(key)) is None else value[slice(*_span(part, value))]
            for key, part in dict.fromkeys(requests)
        ]


def _span(part, value):
    return (0, len(value)) if part is None else resolve(part, len(value))


@found_by("get_missing_is_none")
class MissingRaises(Sound):
    def _get(self, key):
        return self.data[key]


@found_by("get_missing_is_none", "store_is_new_and_writable")
class MissingIsEmpty(Sound):
    def _get(self, key):
        return self.data.get(key, b"")


@found_by("buffers_are_stable")
class OneBufferForAll(Sound):
    def _get(self, key):
        if (value := self.data.get(key)) is None:
            return None
        self.__dict__.setdefault("buffer", bytearray(2_000_000))[: len(value)] = value
        return memoryview(self.buffer).toreadonly()[: len(value)]


@found_by("delete_is_idempotent")
class DeleteOfMissingRaises(Sound):
    def _delete(self, key):
        del self.data[key]


@found_by("delete_leaves_directories", "delete_touches_one_key")
class DeleteTakesTheDirectory(Sound):
    def _delete(self, key):
        for other in list(self.data):
            if other.startswith(key):
                self.data.pop(other, None)


@found_by("delete_dir_leaves_siblings")
class PrefixWithoutSlash(Sound):
    def _delete_dir(self, prefix):
        for key in list(self.data):
            if key.startswith(prefix.rstrip("/")):
                self.data.pop(key, None)


@found_by("prefix_ends_at_a_segment")
class ListsSiblings(Sound):
    def _list(self, prefix):
        return [key for key in list(self.data) if key.startswith(prefix.rstrip("/"))]


@found_by("prefix_is_not_a_pattern")
class PrefixIsLike(Sound):
    def _list(self, prefix):
        def like(key):
            return all(p in ("_", k) for p, k in zip(prefix, key, strict=False))

        return [key for key in list(self.data) if len(key) > len(prefix) and like(key)]


@found_by("list_yields_every_key")
class ListsTwice(Sound):
    def _list(self, prefix):
        keys = super()._list(prefix)
        return keys + keys[:1]


@found_by("many_keys_are_listed")
class FirstPageOnly(Sound):
    def _list(self, prefix):
        return super()._list(prefix)[:1000]


@found_by("list_dir_yields_children")
class NamesWithSlashes(Sound):
    def _list_dir(self, prefix):
        below = [key[len(prefix) :] for key in super()._list(prefix)]
        return {name + slash for name, slash, _ in (key.partition("/") for key in below)}


@found_by("list_dir_yields_children")
class NamesOfKeysOnly(Sound):
    def _list_dir(self, prefix):
        below = [key[len(prefix) :] for key in super()._list(prefix)]
        return [name for name in below if "/" not in name]


@found_by("prefix_goes_with_its_last_key")
class PrefixesStay(Sound):
    def _set(self, key, value):
        self.__dict__.setdefault("made", set()).update(
            key[: i + 1] for i, letter in enumerate(key) if letter == "/"
        )
        return super()._set(key, value)

    def _list_dir(self, prefix):
        names = [*super()._list(""), *self.__dict__.get("made", ())]
        below = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        return {name.partition("/")[0] for name in below} - {""}


@found_by("listing_while_keys_change", "deleting_while_listing")
class ListsALiveDict(Sound):
    def _list(self, prefix):
        return (key for key in self.data if key.startswith(prefix))


@found_by("listings_beside_writers")
class FailsBesideAWriter(Sound):
    def _list(self, prefix):
        def wanted(key):
            return key.startswith(prefix)

        return [key for key in self.data if wanted(key)]


@found_by("listing_while_keys_change")
class PagesByNumber(Sound):
    def _list(self, prefix):
        number = 0
        while page := sorted(super()._list(prefix))[number : number + 10]:
            yield from page
            number += 10


@found_by("partial_writes_are_not_listed", "set_is_atomic_for_readers")
class TruncatesFirst(Sound):
    def _set(self, key, value):
        for size in (0, len(value) // 2):
            self.data[key] = value[:size]
            self.data[f"{key}.tmp"] = b""
            time.sleep(0)
            del self.data[f"{key}.tmp"]
        return super()._set(key, value)

    def _delete(self, key):
        self.data.pop(key, None)


@found_by("set_is_atomic_for_readers", "set_is_atomic_for_stat")
class DeletesFirst(Sound):
    def _set(self, key, value):
        self.data.pop(key, None)
        time.sleep(0)
        return super()._set(key, value)

    def _stat(self, key):
        value = self.data.get(key)
        return None if value is None else Stat(len(value), self.versions.get(key))


@found_by("one_creator_wins", "one_set_if_not_exists_wins", "one_swapper_wins")
class ChecksThenWrites(Sound):
    def _set_if(self, key, value, expect):
        stat = self._stat(key)
        found = stat and stat.version
        if found != (None if expect is ABSENT else expect):
            raise self._conflict(key, expect, found)
        return self._set(key, value)


@found_by("version_is_honoured", "stale_versions_conflict")
class AcceptsAnyVersion(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT:
                return super()._set_if(key, value, expect)
            return self._set(key, value)


@found_by("absent_is_honoured")
class EmptyIsAbsent(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT and not self.data.get(key):
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("version_after_delete")
class CountsFromOneAgain(Sound):
    def _set(self, key, value):
        with self.lock:
            self.data[key] = value
            self.versions[key] = str(int(self.versions.get(key, 0)) + 1)
            return self.versions[key]

    def _delete(self, key):
        with self.lock:
            self.data.pop(key, None)
            self.versions.pop(key, None)


@found_by("stat_knows_the_size")
class StatOfAnotherVersion(Sound):
    def _stat(self, key):
        value = self.data.get(key)
        return None if value is None else Stat(len(value), hashlib.sha256(value).hexdigest())


@found_by("case_is_kept")
class FoldsCase(Sound):
    def _get(self, key):
        return super()._get(key.lower())

    def _stat(self, key):
        return super()._stat(key.lower())

    def _set(self, key, value):
        return super()._set(key.lower(), value)


@found_by("unicode_is_not_normalised")
class Normalises(Sound):
    def _get(self, key):
        return super()._get(unicodedata.normalize("NFC", key))

    def _stat(self, key):
        return super()._stat(unicodedata.normalize("NFC", key))

    def _set(self, key, value):
        return super()._set(unicodedata.normalize("NFC", key), value)


@found_by("percent_is_not_decoded")
class DecodesPercent(Sound):
    def _get(self, key):
        return super()._get(unquote(key))

    def _stat(self, key):
        return super()._stat(unquote(key))

    def _set(self, key, value):
        return super()._set(unquote(key), value)


@found_by("long_keys_are_whole")
class CutsLongKeys(Sound):
    def _get(self, key):
        return super()._get(key[:255])

    def _set(self, key, value):
        return super()._set(key[:255], value)


@found_by("event_loop_is_not_blocked")
class BlocksTheLoop(Sound):
    _home = CALLER

    def _get(self, key):
        time.sleep(0.03)
        return super()._get(key)


@found_by("event_loop_thread_does_no_io")
class ReadsFilesInTheLoop(Sound):
    _home = CALLER

    def _get(self, key):
        with open(os.devnull, "rb"):
            return super()._get(key)


@found_by("working_directory_may_change")
class RelativePath(Sound):
    def _get(self, key):
        if self.__dict__.setdefault("directory", os.getcwd()) != os.getcwd():
            return None
        return super()._get(key)


@found_by("context_manager_passes_exceptions_on")
class SwallowsExceptions(Sound):
    async def __aexit__(self, *error):
        await self.close()
        return True


@found_by("pickle_opens_the_same_data_here", "pickle_opens_the_same_data_elsewhere")
class PicklesACopy(Sound):
    def __reduce__(self):
        return _copied, (self.data, self.versions, self.count)


def _copied(data, versions, count):
    store = PicklesACopy()
    store.data, store.versions, store.count = dict(data), dict(versions), count
    return store


@found_by("pickle_opens_the_same_data_here")
class DeadPickle(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.path = tempfile.gettempdir()

    def _location(self):
        return {"path": self.path}


@found_by("equality_is_of_the_data")
class AllAreEqual(Sound):
    def _identity(self):
        return "the same"


@found_by("repr_has_no_secrets")
class ShowsItsPassword(Sound):
    @property
    def url(self):
        return f"https://me:{'secret'}@host/{id(self.data)}"


@found_by("loops_one_after_another")
class BoundToOneLoop(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.loop = []

    async def set(self, key, value, *, expect=None):
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not None and self.loop[:1] not in ([], [loop]):
            raise RuntimeError("attached to a different loop")
        self.loop.append(loop)
        return await super().set(key, value, expect=expect)


@found_by("threads_share_a_store")
class BoundToOneThread(Sound):
    def _set(self, key, value):
        if self.__dict__.setdefault("thread", threading.get_ident()) != threading.get_ident():
            raise RuntimeError("objects created in a thread can only be used in that thread")
        return super()._set(key, value)


@found_by("fork_works_or_raises")
class HangsAfterFork(Sound):
    def _get(self, key):
        if self.__dict__.setdefault("pid", os.getpid()) != os.getpid():
            threading.Event().wait()
        return super()._get(key)


@found_by("use_after_close_raises")
class WorksAfterClose(Sound):
    def _check_open(self):
        pass

    async def close(self):
        pass


@found_by("closing_a_view")
class ViewClosesItsOriginal(Sound):
    async def close(self):
        if self._view_of is not None:
            await self._view_of.close()
        await super().close()


@found_by("view_has_the_same_data")
class ViewIsACopy(Sound):
    def with_read_only(self, read_only=True):
        view = type(self)(read_only=read_only)
        view.data, view.versions = dict(self.data), dict(self.versions)
        return view


@found_by("changes_raise_read_only")
class ReadOnlyIsNotAsked(Sound):
    async def delete_dir(self, prefix):
        target = self._view_of or self
        for key in target._list(prefix.rstrip("/") + "/" if prefix else ""):
            target._delete(key)


@found_by("getsize_is_in_bytes")
class SizeInItems(Sound):
    def _stat(self, key):
        stat = super()._stat(key)
        return stat and Stat(stat.size // 8, stat.version)


@found_by("getsize_prefix_adds_up")
class SizeOfOneLevel(Sound):
    def _getsize_prefix(self, prefix):
        keys = super()._list(prefix)
        return sum(len(self.data[key]) for key in keys if "/" not in key[len(prefix) :])


@found_by("get_into_a_small_buffer")
class ReturnsWhatFits(Sound):
    def _get_into(self, key, buffer, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        start, stop = _span(byte_range, value)
        count = min(stop - start, buffer.nbytes)
        buffer[:count] = value[start : start + count]
        return count


@found_by("set_many_writes_all")
class FirstHundredOnly(Sound):
    def _set_many(self, items):
        for key, value in list(items)[:100]:
            self._set(key, value)


@found_by("illegal_keys_raise")
class ChecksNoKeyOnReads(Sound):
    async def exists(self, key):
        self._check_open()
        return key in (self._view_of or self).data


@found_by("exists_is_true_for_keys", "directory_is_not_a_key")
class DirectoriesExist(Sound):
    def _exists(self, key):
        return key in self.data or bool(super()._list(f"{key}/"))


@found_by("is_empty_tells")
class EmptyLooksAtTheRoot(Sound):
    def _is_empty(self, prefix):
        return not self.data


@found_by("get_each_keeps_the_order")
class EachWithoutTheMissing(Sound):
    def _get_each(self, keys, receive):
        for index, key in enumerate(keys):
            if key in self.data:
                receive(index, self.data[key])


@found_by("get_each_values_are_whole")
class EachInOneRoom(Sound):
    def _get_each(self, keys, receive):
        room = bytearray(4_000_000)
        found = []
        for key in keys:
            value = self.data.get(key)
            room[: len(value or b"")] = value or b""
            found.append(None if value is None else memoryview(room).toreadonly()[: len(value)])
        for index, value in enumerate(found):
            receive(index, value)


@found_by("get_each_passes_errors_on")
class EachTriesAgain(Sound):
    def _get_each(self, keys, receive):
        for index, key in enumerate(keys):
            try:
                receive(index, self.data.get(key))
            except OSError:
                receive(index, self._get(key))


@found_by("set_each_takes_one_at_a_time", "set_each_stops_at_an_error")
class EachTakesAllFirst(Sound):
    _takes_views = True

    def _set_each(self, items):
        for key, value in list(items):
            self._set(key, value)

    def _set(self, key, value):
        return super()._set(key, bytes(value))


@found_by("set_each_read_only_takes_nothing")
class EachAsksLate(Sound):
    async def set_each(self, items):
        for key, value in items:
            await self.set(key, value)


@found_by("set_each_writes_all")
class EachKeyOnce(Sound):
    def _set_each(self, items):
        written = set()
        for key, value in items:
            if key not in written:
                self._set(key, value)
            written.add(key)
