"""`CacheStore`: what it asks for once, what it forgets, and what it never brings back."""

from __future__ import annotations

import asyncio
import gc
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from zarrstore_testing.hooks import watched_hooks

import zarrstore
from zarrstore.abc import (
    ABSENT,
    Capability,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarrstore.errors import BackendError, ConflictError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.stores.wrappers.cache import CacheStatistics, CacheStore
from zarrstore.stores.wrappers.latency import LatencyStore

VALUES = {"a/b": b"0123456789", "a/c": b"second", "d": b"third", "e/f/g": b"deep"}
FIRST = RangeByteRequest(0, 3)


class Asked(WrapperStore):
    """Count what a store is asked."""

    def __init__(self, store):
        super().__init__(store)
        self.counts = Counter()

    async def _hook(self, name, *args):
        self.counts[name] += 1
        return await super()._hook(name, *args)

    def _list(self, prefix):
        self.counts["_list"] += 1
        return super()._list(prefix)

    def _list_dir(self, prefix):
        self.counts["_list_dir"] += 1
        return super()._list_dir(prefix)


@pytest.fixture(params=["memory", "in memory", "on disk", "loop", "loop, on disk"])
def cached(request, tmp_path):
    """A cache of each kind: over what never blocks, what blocks, and what is asynchronous."""
    inner = MemoryStore(dict(VALUES))
    if request.param in ("in memory", "on disk"):
        inner = LocalStore(tmp_path / "data")
        inner.sync.set_many(VALUES)
    if request.param.startswith("loop"):
        inner = LatencyStore(inner, 0.0, 0.0)
    below = LocalStore(tmp_path / "cache") if "on disk" in request.param else None
    return CacheStore(Asked(inner), cache=below)


READS = {
    "get": lambda s: s.get("a/b"),
    "get of a missing key": lambda s: s.get("missing"),
    "get of a range": lambda s: s.get("a/b", RangeByteRequest(2, 5)),
    "get of a suffix": lambda s: s.get("a/b", SuffixByteRequest(4)),
    "get_ranges": lambda s: s.get_ranges("a/b", [OffsetByteRequest(7), FIRST, FIRST]),
    "get_ranges, missing": lambda s: s.get_ranges("missing", [FIRST]),
    "get_versioned": lambda s: s.get_versioned("a/b", [FIRST], lambda parts, size: [FIRST]),
    "get_versioned, missing": lambda s: s.get_versioned("missing", [FIRST]),
    "get_many": lambda s: s.get_many(["a/b", "missing", ("a/c", FIRST), "a/b"]),
    "get_into": lambda s: (s.get_into("a/b", buffer := bytearray(10)), bytes(buffer)),
    "get_into, range": lambda s: (s.get_into("a/b", b := bytearray(3), FIRST), bytes(b)),
    "get_into, too small": lambda s: s.get_into("a/b", bytearray(3)),
    "get_each": lambda s: each(s, ["a/b", "missing", "d", "a/b"] * 9),
    "get_each_into": lambda s: s.get_each_into(["a/b", "missing"], [bytearray(9), bytearray(9)]),
    "stat": lambda s: s.stat("a/b"),
    "stat, missing": lambda s: s.stat("missing"),
    "exists": lambda s: (s.exists("a/b"), s.exists("missing"), s.exists("a")),
    "list": lambda s: sorted(s.list()),
    "list_prefix": lambda s: sorted(s.list_prefix("a")),
    "list_dir": lambda s: sorted(s.list_dir("a")),
    "is_empty": lambda s: (s.is_empty("a"), s.is_empty("nothing")),
    "getsize_prefix": lambda s: s.getsize_prefix("a"),
}


def each(store, keys):
    found = []
    store.get_each(keys, lambda index, value: found.append((index, value and bytes(value))))
    return found


@pytest.mark.parametrize("name", READS)
def test_the_second_read_asks_nothing(cached, name):
    read = READS[name]
    counts = cached.store.counts
    wanted = read(cached.store.sync)
    counts.clear()
    assert read(cached.sync) == wanted
    assert counts
    counts.clear()
    assert read(cached.sync) == wanted
    assert counts == Counter()


CHANGES = {
    "set": lambda s: s.set("a/b", b"new"),
    "set expect": lambda s: s.set("a/b", b"new", expect=s.stat("a/b").version),
    "set_many": lambda s: s.set_many({"a/b": b"new", "d": b""}),
    "set_each": lambda s: s.set_each([("d", b""), ("a/b", b"new")]),
    "delete": lambda s: s.delete("a/b"),
    "delete_dir": lambda s: s.delete_dir("a"),
    "clear": lambda s: s.clear(),
    "new keys": lambda s: s.set_many({"missing": b"1", "nothing/here": b"22"}),
    "new key": lambda s: s.set("missing", b"1", expect=ABSENT),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_by_every_read(cached, name):
    for read in READS.values():
        read(cached.sync)
    CHANGES[name](cached.sync)
    for read in READS.values():
        assert read(cached.sync) == read(cached.store.sync)


def test_what_is_kept_when_another_key_changes():
    cached = CacheStore(MemoryStore(dict(VALUES)))
    cached.sync.get("d")
    list(cached.sync.list_prefix("e"))
    list(cached.sync.list_prefix("a"))
    cached.sync["a/b"] = b"new"
    with watched_hooks(cached.store) as counts:
        cached.sync.get("d")
        list(cached.sync.list_prefix("e"))
        assert counts == Counter()
        list(cached.sync.list_prefix("a"))
        assert counts["_list"] == 1


def test_a_part_is_kept_as_a_part():
    """A chunk within a shard must never cost the shard."""
    cached = CacheStore(MemoryStore({"shard": bytes(1_000_000)}), max_bytes=10_000)
    for start in range(0, 30_000, 1000):
        assert len(cached.sync.get("shard", RangeByteRequest(start, start + 1000))) == 1000
    statistics = cached.statistics
    assert statistics.nbytes == 10_000
    assert statistics.evictions == 20
    assert statistics.misses == 30
    cached.sync.get("shard", RangeByteRequest(29_000, 30_000))
    assert cached.statistics.hits == 1


def test_the_value_used_longest_ago_goes_first():
    cached = CacheStore(MemoryStore({key: bytes(10) for key in "abcd"}), max_bytes=30)
    for key in "abcad":  # b is the oldest when d comes
        cached.sync.get(key)
    assert cached.statistics == CacheStatistics(hits=1, misses=4, evictions=1, nbytes=30)
    with watched_hooks(cached.store) as counts:
        for key in "acd":
            cached.sync.get(key)
        assert counts == Counter()
        cached.sync.get("b")
        assert counts["_get"] == 1
    assert cached.statistics.hit_rate == 4 / 9


def test_a_whole_value_takes_the_place_of_its_parts():
    cached = CacheStore(MemoryStore(dict(VALUES)))
    cached.sync.get("a/b", FIRST)
    cached.sync.get("a/b")
    assert cached.statistics.nbytes == 10
    with watched_hooks(cached.store) as counts:
        assert cached.sync.get("a/b", RangeByteRequest(1, 7)) == b"123456"
        assert counts == Counter()


def test_what_is_larger_than_the_cache_passes_through():
    cached = CacheStore(MemoryStore({"a": bytes(101), "b": bytes(100)}), max_bytes=100)
    for _ in range(2):
        assert len(cached.sync["a"]) == 101
    assert cached.statistics == CacheStatistics(misses=2)
    assert len(cached.sync["b"]) == 100
    assert cached.statistics.nbytes == 100
    assert CacheStore(MemoryStore({"a": b"1"}), max_bytes=0).sync["a"] == b"1"


def test_without_a_limit():
    cached = CacheStore(MemoryStore({"a": bytes(101)}), max_bytes=None)
    cached.sync.get("a")
    assert cached.statistics.nbytes == 101


def test_max_age():
    inner = MemoryStore({"a": b"old"})
    cached = CacheStore(inner, max_age=0.05)
    read = [lambda: cached.sync["a"], lambda: cached.sync.get("b"), lambda: list(cached.sync)]
    assert [each() for each in read] == [b"old", None, ["a"]]
    inner.sync.set_many({"a": b"new", "b": b"1"})
    time.sleep(0.06)
    assert [each() for each in read] == [b"new", b"1", ["a", "b"]]


def test_no_age_at_all():
    inner = MemoryStore({"a": b"old"})
    cached = CacheStore(inner, max_age=0)
    assert cached.sync["a"] == b"old"
    inner.sync["a"] = b"new"
    assert cached.sync["a"] == b"new"


def test_what_others_write_is_seen_after_invalidate():
    inner = MemoryStore(dict(VALUES))
    cached = CacheStore(inner)
    sync = cached.sync
    for forget, keys_too in (
        (cached.invalidate, True),
        (cached.invalidate_values, False),
        (cached.invalidate_keys, True),
    ):
        inner.sync.clear()
        inner.sync["a"] = b"old"
        cached.invalidate()
        assert (sync["a"], sync.get("b"), list(sync), sync.exists("b")) == (b"old", None, ["a"], 0)
        inner.sync.set_many({"a": b"new", "b": b"1"})
        assert (sync["a"], sync.get("b"), list(sync), sync.exists("b")) == (b"old", None, ["a"], 0)
        forget()
        assert (list(sync) == ["a", "b"]) is keys_too
        assert (sync.get("b") == b"1") is keys_too
        assert (sync["a"] == b"new") is (forget != cached.invalidate_keys)


@pytest.mark.parametrize("cached", ["memory", "on disk", "loop"], indirect=True)
def test_reading_after_everything_was_forgotten(cached):
    for forget in (cached.invalidate_values, cached.invalidate_keys, cached.invalidate):
        assert cached.sync["a/b"] == VALUES["a/b"]
        forget()
        assert cached.sync["a/b"] == VALUES["a/b"]
        assert sorted(cached.sync) == sorted(VALUES)


class Slow(WrapperStore):
    """A store whose reads wait, when they have read, until they are let go."""

    def __init__(self, store):
        super().__init__(store)
        self.has_read, self.go_on = threading.Event(), threading.Event()
        self.count = 0

    async def _wait(self, value):
        self.count += 1
        self.has_read.set()
        assert self.go_on.wait(20)
        return value

    async def _get(self, key):
        return await self._wait(await self._inner.get(key))

    async def _get_many(self, requests):
        return await self._wait(await self._inner.get_many(requests))

    async def _get_ranges(self, key, byte_ranges):
        return await self._wait(await self._inner.get_ranges(key, byte_ranges))

    async def _get_versioned(self, key, byte_ranges, then):
        return await self._wait(await self._inner.get_versioned(key, byte_ranges, then))

    async def _stat(self, key):
        return await self._wait(await self._inner.stat(key))

    async def _exists(self, key):
        return await self._wait(await self._inner.exists(key))

    async def _list(self, prefix):
        keys = [key async for key in self._inner.list_prefix(prefix)]
        await self._wait(None)
        for key in keys:
            yield key


IN_FLIGHT = {
    "get": lambda s: s.get("a/b"),
    "get of a part": lambda s: s.get_ranges("a/b", [RangeByteRequest(0, 100)]),
    "get_many": lambda s: s.get_many(["a/b"]),
    "get_versioned": lambda s: s.get_versioned("a/b", [OffsetByteRequest(0)]).parts,
    "stat": lambda s: s.getsize("a/b"),
    "missing": lambda s: s.get("new"),
    "exists": lambda s: s.exists("new"),
    "list": lambda s: sorted(s.list()),
}


@pytest.mark.parametrize("change", ["set", "delete_dir", "clear", "invalidate"])
@pytest.mark.parametrize("name", IN_FLIGHT)
def test_a_read_in_flight_does_not_bring_the_old_value_back(name, change):
    inner = MemoryStore(dict(VALUES))
    slow = Slow(inner)
    cached = CacheStore(slow)
    reader = threading.Thread(target=IN_FLIGHT[name], args=(cached.sync,))
    reader.start()
    assert slow.has_read.wait(20)
    if change == "set":
        cached.sync.set_many({"a/b": b"the new value", "new": b"1"})
    elif change == "invalidate":
        inner.sync.set_many({"a/b": b"the new value", "new": b"1"})
        cached.invalidate()
    else:
        cached.sync.delete_dir("a") if change == "delete_dir" else cached.sync.clear()
        inner.sync["new"] = b"1"
        if change == "delete_dir":
            cached.sync.delete("new")
    slow.go_on.set()
    reader.join(20)
    if name == "get_versioned" and change in ("delete_dir", "clear"):
        assert cached.sync.get_versioned("a/b", [OffsetByteRequest(0)]) is None
    elif name == "stat" and change in ("delete_dir", "clear"):
        assert cached.sync.stat("a/b") is None
    else:
        assert IN_FLIGHT[name](cached.sync) == IN_FLIGHT[name](inner.sync)


def test_a_value_that_is_read_by_many_at_once_is_asked_for_once():
    slow = Slow(MemoryStore(dict(VALUES)))
    cached = CacheStore(slow)
    found = []
    readers = [
        threading.Thread(target=lambda: found.append(cached.sync.get("a/b"))) for _ in range(8)
    ]
    for reader in readers:
        reader.start()
    assert slow.has_read.wait(20)
    time.sleep(0.05)
    slow.go_on.set()
    for reader in readers:
        reader.join(20)
    assert found == [VALUES["a/b"]] * 8
    assert slow.count == 1


def test_tasks_too():
    cached = CacheStore(LatencyStore(MemoryStore(dict(VALUES)), 0.01))

    async def main():
        return await asyncio.gather(*[cached.get("a/b") for _ in range(8)])

    with watched_hooks(cached.store) as counts:
        assert asyncio.run(main()) == [VALUES["a/b"]] * 8
        assert counts["_get"] == 1


def test_a_reader_that_fails_or_is_cancelled_leaves_the_others_alone():
    cached = CacheStore(LatencyStore(MemoryStore(dict(VALUES)), 0.05))

    async def main():
        first = asyncio.ensure_future(cached.get("a/b"))
        second = asyncio.ensure_future(cached.get("a/b"))
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert asyncio.run(main()) == VALUES["a/b"]
    assert cached.sync.get("a/b") == VALUES["a/b"]


def test_a_conditional_write_on_what_is_out_of_date_loses_nothing():
    """The version and the value must never be those of two states, the value the older one."""
    inner = MemoryStore({"n": b"1"})
    cached = CacheStore(inner)
    assert cached.sync["n"] == b"1"
    inner.sync["n"] = b"2"  # by another
    version = cached.sync.stat("n").version
    value = cached.sync["n"]
    assert value == b"2"
    inner.sync["n"] = b"3"
    with pytest.raises(ConflictError):
        cached.sync.set("n", value + b"!", expect=version)
    assert cached.sync["n"] == b"3"
    cached.sync.set("n", b"4", expect=cached.sync.stat("n").version)
    assert inner.sync["n"] == b"4"
    cached.sync.get("m")
    inner.sync["m"] = b"1"
    assert not cached.sync.set_if_not_exists("m", b"2")
    assert cached.sync["m"] == b"1"


class Meanwhile(WrapperStore):
    """A store in which something else happens before it is asked for the state of a value."""

    happens = None

    def _turn(self):
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()

    async def _stat(self, key):
        self._turn()
        return await self._inner.stat(key)

    async def _get_versioned(self, key, byte_ranges, then):
        self._turn()
        return await self._inner.get_versioned(key, byte_ranges, then)


@pytest.mark.parametrize("change_between", [True, False])
@pytest.mark.parametrize(
    "state",
    [lambda s: s.stat("n").version, lambda s: s.get_versioned("n", [FIRST]).version],
)
def test_no_value_is_older_than_the_state_that_was_read_before_it(state, change_between):
    """However reads and writes of others fall between: `update` relies on it."""
    inner = MemoryStore({"n": b"1"})
    below = Meanwhile(inner)
    cached = CacheStore(below)

    def meanwhile():
        if change_between:
            with pytest.raises(ConflictError):
                cached.sync.set("n", b"", expect="another")
        assert cached.sync["n"] == b"1"  # another reader has it in the cache
        inner.sync["n"] = b"2"  # a writer, who has not come to tell the cache

    for _ in range(2):
        inner.sync["n"] = b"1"
        cached.invalidate()
        below.happens = meanwhile
        assert state(cached.sync) == inner.sync.stat("n").version
        assert cached.sync["n"] == b"2"
        state(cached.sync)
        assert cached.sync["n"] == b"2"


def test_parts_of_another_state_are_forgotten():
    inner = MemoryStore({"a": b"old value"})
    cached = CacheStore(inner)
    cached.sync.get_versioned("a", [FIRST])
    inner.sync["a"] = b"new and longer"
    found = cached.sync.get_versioned("a", [FIRST, OffsetByteRequest(3)])
    assert found.parts == [b"new", b" and longer"]
    assert cached.sync.get_versioned("a", [FIRST]) == inner.sync.get_versioned("a", [FIRST])


def test_arrays_over_a_cache(tmp_path):
    cached = CacheStore(LocalStore(tmp_path))
    array = zarrstore.create_array(
        cached, shape=(64, 64), dtype="i4", chunks=(8, 8), shards=(32, 32)
    )
    values = np.arange(64 * 64).reshape(64, 64)
    array[:] = values
    for _ in range(2):
        assert (zarrstore.open_array(cached, mode="r")[3:40, 5:9] == values[3:40, 5:9]).all()
    array[5, 7] = -1  # within a shard that was read
    values[5, 7] = -1
    assert (array[:] == values).all()
    with watched_hooks(cached.store) as counts:
        assert (zarrstore.open_array(cached, mode="r")[:] == values).all()
        assert counts == Counter()


class TestInAnotherStore:
    def test_values_are_there_and_go(self, tmp_path):
        below = LocalStore(tmp_path)
        cached = CacheStore(
            MemoryStore({key: bytes(10) for key in "abcd"}), max_bytes=30, cache=below
        )
        for key in "abcd":
            cached.sync.get(key)
        assert len(list(below.sync)) == 3
        assert below.sync.getsize_prefix() == 30
        cached.sync["d"] = b"new"
        assert len(list(below.sync)) == 2
        other = CacheStore(MemoryStore({"a": b"other"}), cache=below)
        assert other.sync["a"] == b"other"
        cached.invalidate()
        assert cached.sync["d"] == b"new"
        cached.sync.close()
        assert LocalStore(tmp_path).sync.getsize_prefix() == 5

    def test_one_that_fails_costs_no_read(self, tmp_path):
        class Full(MemoryStore):
            def _set(self, key, value):
                raise BackendError("disk full")

        class Broken(MemoryStore):
            def _get_range(self, key, byte_range):
                raise BackendError("no")

            def _get(self, key):
                raise BackendError("no")

            def _delete(self, key):
                raise BackendError("no")

        for kind in (Full, Broken):
            cached = CacheStore(MemoryStore(dict(VALUES)), cache=kind())
            for _ in range(2):
                assert cached.sync["a/b"] == VALUES["a/b"]
                assert cached.sync.get("a/b", FIRST) == b"012"
            cached.sync["a/b"] = b"new"
            assert cached.sync["a/b"] == b"new"
            assert cached.statistics.failures
            cached.sync.close()

    def test_one_that_was_emptied(self, tmp_path):
        below = LocalStore(tmp_path)
        cached = CacheStore(MemoryStore(dict(VALUES)), cache=below)
        assert cached.sync["a/b"] == VALUES["a/b"]
        below.sync.clear()
        assert cached.sync["a/b"] == VALUES["a/b"]
        assert cached.statistics.misses == 2

    def test_what_a_process_leaves(self, tmp_path):
        code = (
            "import sys, zarrstore as z; s = z.CacheStore(z.MemoryStore({'a': b'1'}), "
            "cache=z.LocalStore(sys.argv[1])); assert s.sync['a'] == b'1'; "
            "assert len(list(z.LocalStore(sys.argv[1]).sync)) == 1"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
        assert list(LocalStore(tmp_path).sync) == []

    def test_pickles_and_forks_have_names_of_their_own(self, tmp_path):
        inner = LocalStore(tmp_path / "data")
        inner.sync["a"] = b"1"
        cached = CacheStore(inner, cache=LocalStore(tmp_path / "cache"), max_bytes=99, max_age=9)
        assert cached.sync["a"] == b"1"
        again = pickle.loads(pickle.dumps(cached))
        assert again == cached
        assert again.statistics == CacheStatistics()
        assert again.sync["a"] == b"1"
        assert (again.max_bytes, again.cache) == (99, cached.cache)
        assert len(list(cached.cache.sync)) == 2
        again.sync.close()
        with watched_hooks(inner) as counts:
            assert cached.sync["a"] == b"1"
            assert counts == Counter()

    def test_capabilities(self):
        local = LocalStore("nowhere")
        assert Capability.SHARED in CacheStore(local).capabilities
        assert Capability.SHARED not in CacheStore(local, cache=MemoryStore()).capabilities


FORK = """
import os, sys, zarrstore
inner = zarrstore.LocalStore(sys.argv[1])
inner.sync["a"] = b"old"
cached = zarrstore.CacheStore(inner)
assert cached.sync["a"] == b"old"
inner.sync["a"] = b"new"
if os.fork() == 0:
    os._exit(not (cached.sync["a"] == b"new" and cached.statistics.misses == 1))
assert os.wait()[1] == 0
assert cached.sync["a"] == b"old"
"""


def test_a_forked_child_begins_with_an_empty_cache(tmp_path):
    subprocess.run([sys.executable, "-c", FORK, str(tmp_path)], check=True, timeout=60)


def test_views_share_the_cache():
    cached = CacheStore(MemoryStore(dict(VALUES)))
    assert cached.with_read_only().sync["a/b"] == VALUES["a/b"]
    assert cached.sync["a/b"] == VALUES["a/b"]
    assert cached.with_read_only().statistics.hits == 1


def test_a_listing_that_is_broken_off_is_not_kept():
    cached = CacheStore(MemoryStore(dict(VALUES)))
    for _ in cached.sync.list():
        break
    gc.collect()
    assert sorted(cached.sync.list()) == sorted(VALUES)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"max_bytes": -1}, ValueError),
        ({"max_bytes": 1.5}, TypeError),
        ({"max_bytes": "1"}, TypeError),
        ({"max_age": "60"}, TypeError),
        ({"max_age": -1}, ValueError),
        ({"max_age": float("nan")}, ValueError),
        ({"cache": {}}, TypeError),
        ({"cache": MemoryStore(read_only=True)}, ValueError),
        ({"cache": MemoryStore(name="cached below")}, ValueError),
    ],
)
def test_wrong_arguments(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        CacheStore(MemoryStore(name="cached below"), **arguments)


@pytest.mark.parametrize("failing", ["_get", "_set", "_delete"])
def test_a_cache_of_others_that_raises_anything_costs_no_read(failing):
    def fail(*_):
        raise OSError(28, "No space left on device")

    cache = MemoryStore()
    setattr(cache, failing, fail)
    cached = CacheStore(MemoryStore({"a": b"1"}), cache=cache)
    assert cached.sync["a"] == cached.sync["a"] == b"1"
    cached.sync["a"] = b"2"
    assert cached.sync["a"] == b"2"
    assert cached.statistics.failures > 0
    cached.sync.close()


def test_a_kept_value_that_was_cut_is_read_again(tmp_path):
    cache = LocalStore(tmp_path)
    cached = CacheStore(MemoryStore({"a": b"0123456789"}), cache=cache).sync
    for cut in (b"", b"0123"):
        assert cached["a"] == b"0123456789"
        (name,) = cache.sync
        cache.sync[name] = cut
        assert cached.get("a", RangeByteRequest(2, 6)) == b"2345"
        assert cached["a"] == b"0123456789"
        cached.store.invalidate()
        cached["a"] = b"0123456789"


def test_many_threads_that_read_and_write():
    """After each write of its own key a thread sees that value, whatever the others do."""
    inner = MemoryStore({str(n): b"0" * 50 for n in range(8)})
    cached = CacheStore(inner, max_bytes=300)
    wrong = []

    def work(number):
        for count in range(150):
            value = b"%d" % count * 10
            cached.sync[str(number)] = value
            for other in range(8):
                cached.sync.get(str(other))
            if cached.sync[str(number)] != value:
                wrong.append((number, count))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cached.statistics.nbytes <= 300
    assert dict(cached.sync) == dict(inner.sync)
