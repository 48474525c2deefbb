"""What is specific to `MemoryStore`: the owner's dict, names, processes, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from zarrstore.abc import ABSENT, RangeByteRequest
from zarrstore.errors import ConflictError, NotShareableError
from zarrstore.stores.memory import MemoryStore

VALUES = {
    "bytes": b"\1\2\3\4",
    "bytearray": bytearray(b"\1\2\3\4"),
    "memoryview": memoryview(b"\1\2\3\4"),
    "strided memoryview": memoryview(b"\1x\2x\3x\4x")[::2],
    "uint8": np.array([1, 2, 3, 4], "u1"),
    "2-d": np.array([[1, 2], [3, 4]], "u1"),
    "big-endian": np.array([0x01020304], ">u4"),
    "a number": np.array(0x04030201, "<u4"),
    "strided": np.array([1, 0, 2, 0, 3, 0, 4, 0], "u1")[::2],
    "structured": np.array([(1, 0x0203, 4)], [("a", "u1"), ("b", ">u2"), ("c", "u1")]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_that_the_owner_put_there(kind):
    store = MemoryStore({"a": VALUES[kind]}).sync
    into = bytearray(4)
    assert store["a"] == b"\1\2\3\4"
    assert type(store.get("a")) is bytes
    assert store.get("a", byte_range=RangeByteRequest(1, 3)) == b"\2\3"
    assert store.get_ranges("a", [RangeByteRequest(3, 9)]) == [b"\4"]
    assert store.get_many(["a", ("a", RangeByteRequest(0, 1))]) == [b"\1\2\3\4", b"\1"]
    assert store.get_into("a", into) == store.getsize("a") == store.getsize_prefix() == 4
    assert into == b"\1\2\3\4"


def test_the_dict_is_the_data():
    data: dict = {}
    store = MemoryStore(data).sync
    store["a/b"] = bytearray(b"1")
    assert data == {"a/b": b"1"}
    assert type(data["a/b"]) is bytes
    data["c"] = b"2"
    assert store["c"] == b"2"
    del data["a/b"]
    assert dict(store) == {"c": b"2"}
    store.clear()
    assert data == {}


def test_the_owner_changes_a_value_in_place():
    value = bytearray(b"1234")
    store = MemoryStore({"a": value}).sync
    before, part = store.get("a"), store.get("a", byte_range=RangeByteRequest(0, 2))
    value[:] = b"abcd"
    assert (before, part) == (b"1234", b"12")
    assert store["a"] == b"abcd"


def test_the_caller_reuses_its_buffer():
    buffer = bytearray(b"1")
    store = MemoryStore().sync
    store["a"] = buffer
    store.set_many([("b", buffer)])
    buffer[:] = b"2"
    assert dict(store) == {"a": b"1", "b": b"1"}


def test_what_is_no_key_or_no_value_in_the_dict():
    store = MemoryStore({5: b"", "../a": b"", "a": None, "b": b"1"}).sync
    assert list(store.list_dir()) == ["a", "b"] or list(store.list_dir()) == ["b"]
    assert not store.exists("a")
    assert store.get("a") is store.stat("a") is None
    assert store.getsize_prefix() == 1


def test_versions_when_the_owner_replaces_a_value():
    data: dict = {}
    store = MemoryStore(data).sync
    version = store.set("a", b"1")
    assert store.stat("a").version == version
    data["a"] = b"2"
    assert store.stat("a").version != version
    with pytest.raises(ConflictError):
        store.set("a", b"3", expect=version)
    version = store.stat("a").version
    del data["a"]
    with pytest.raises(ConflictError, match="does not exist any more"):
        store.set("a", b"3", expect=version)
    store.set("a", b"3", expect=ABSENT)
    data["b"] = b""
    with pytest.raises(ConflictError, match="already exists"):
        store.set("b", b"3", expect=ABSENT)


def test_two_stores_over_one_dict():
    data: dict = {}
    first, second = MemoryStore(data), MemoryStore(data)
    assert first == second
    assert hash(first) == hash(second)
    assert MemoryStore({}) != MemoryStore({})
    version = first.sync.set("a", b"1")
    second.sync.set("a", b"2", expect=version)
    with pytest.raises(ConflictError):
        first.sync.set("a", b"3", expect=version)


def test_names():
    first = MemoryStore(name="test-names")
    first.sync["a"] = b"1"
    assert MemoryStore(name="test-names").sync["a"] == b"1"
    assert MemoryStore(name="test-names") == first
    assert first.url == "memory://test-names"
    assert MemoryStore(name="test-other-name").sync.get("a") is None
    with pytest.raises(TypeError, match="not both"):
        MemoryStore({}, name="a")
    with pytest.raises(TypeError, match="not list"):
        MemoryStore([])


def test_pickle_in_this_process_and_in_another():
    data = {"a": b"1"}
    store = MemoryStore(data)
    again = pickle.loads(pickle.dumps(store))
    again.sync["b"] = b"2"
    assert data == {"a": b"1", "b": b"2"}
    view = pickle.loads(pickle.dumps(store.with_read_only()))
    assert view.read_only
    assert view.sync["a"] == b"1"
    code = f"import pickle; pickle.loads(bytes.fromhex('{pickle.dumps(store).hex()}'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "NotShareableError" in done.stderr
    assert "LocalStore" in done.stderr
    dumped = pickle.dumps(MemoryStore())
    gc.collect()
    with pytest.raises(NotShareableError):
        pickle.loads(dumped)


def test_a_forked_child_reads_and_does_not_write():
    code = """
import os
from zarrstore.abc import ABSENT
from zarrstore.errors import NotShareableError
from zarrstore.stores.memory import MemoryStore
store, named = MemoryStore({"a": b"1"}).sync, MemoryStore(name="n").sync
if (pid := os.fork()):
    assert os.waitpid(pid, 0)[1] == 0
    store["a"] = b"2"
    os._exit(0)
calls = [
    lambda: store.set("a", b"2"), lambda: store.set("b", b"2", expect=ABSENT),
    lambda: store.set_many([("a", b"2")]), lambda: store.delete("a"), store.clear,
    lambda: named.set("a", b"2"),
]
for call in calls:
    try:
        call()
    except NotShareableError as error:
        assert "pid" in str(error)
    else:
        raise AssertionError
assert dict(store) == {"a": b"1"}
fresh = MemoryStore().sync
fresh["a"] = b"3"
assert dict(fresh) == {"a": b"3"}
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


class _Dict(dict):
    """A dict that can be referred to weakly."""


def test_memory_is_free_when_the_last_store_goes():
    data = _Dict(a=np.zeros(10, "u1"))
    array, there = weakref.ref(data["a"]), weakref.ref(data)
    store, second = MemoryStore(data), MemoryStore(data)
    view = store.with_read_only()
    store.sync.stat("a")
    pickle.dumps(store)
    del data, store, second
    gc.collect()
    assert there() is not None
    del view
    gc.collect()
    assert there() is None
    assert array() is None


def test_what_is_known_of_values_does_not_outgrow_them():
    data: dict = {}
    store = MemoryStore(data)
    for n in range(1000):
        store.sync[str(n)] = b""
        del data[str(n)]
    assert len(store._data._written) < 100


def test_threads_that_race():
    store = MemoryStore({"n": b"0"}).sync
    created: list[bool] = []

    def work() -> None:
        created.append(store.set_if_not_exists("once", b""))
        for _ in range(100):
            while True:
                version = store.stat("n").version
                number = int(store["n"])
                try:
                    store.set("n", str(number + 1).encode(), expect=version)
                    break
                except ConflictError:
                    continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store["n"] == b"400"
    assert sorted(created) == [False, False, False, True]


def test_no_thread_is_started_even_for_a_lot():
    code = """
import asyncio, threading
from zarrstore.stores.memory import MemoryStore
async def main():
    store = MemoryStore()
    keys = [f"d/{n}" for n in range(20_000)]
    await store.set_many([(key, b"1") for key in keys])
    assert await store.get_many(keys) == [b"1"] * 20_000
    assert len([key async for key in store.list()]) == 20_000
    assert await store.getsize_prefix("d") == 20_000
    await store.delete_dir("d")
    assert await store.is_empty()
    assert threading.active_count() == 1
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_listing_while_keys_come_and_go():
    store = MemoryStore({f"d/{n}": b"" for n in range(100)}).sync
    seen = []
    for key in store.list():
        seen.append(key)
        store.delete(key)
        store["e/" + key] = b""
    assert len(seen) == len(set(seen)) == 100


def test_two_event_loops():
    store = MemoryStore()
    asyncio.run(store.set("a", b"1"))
    assert asyncio.run(store.get("a")) == b"1"
    assert os.getpid() == store._data.pid
