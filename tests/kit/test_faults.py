"""Faults on demand: stores that go wrong when they are told to, and writers that are killed."""

from __future__ import annotations

import threading
import time

import anyio
import numpy as np
import pytest
import zarrstore_testing.killing
from zarrstore_testing.faults import (
    FailingStore,
    FaultyStore,
    ReorderingStore,
    StallingStore,
    TruncatingStore,
    kill_at,
)

import zarrstore
from zarrstore.abc import Capability, OffsetByteRequest
from zarrstore.errors import BackendError, MetadataError, ZarrStoreError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore

VALUES = {"a": b"0123456789", "b": b"1", "c/d": b"2"}


def memory() -> MemoryStore:
    return MemoryStore(dict(VALUES))


@pytest.mark.parametrize(
    "sound", [FaultyStore, ReorderingStore, lambda inner: FailingStore(inner, 10**9)]
)
def test_without_a_fault_a_store_is_what_it_stands_on(sound):
    store = sound(memory())
    assert store.capabilities == memory().capabilities
    assert dict(store.sync) == VALUES
    assert store.sync.get_many(["b", "x", ("a", OffsetByteRequest(8))]) == [b"1", None, b"89"]
    store.sync.set_many({"e": b"3"}.items())
    assert sorted(store.sync.list_dir()) == ["a", "b", "c", "e"]
    store.sync.clear()
    assert store.sync.is_empty()


def test_each_nth_operation_fails():
    store = FailingStore(memory(), every=3, operations=["get"])
    outcomes = []
    for _ in range(7):
        try:
            outcomes.append(store.sync.get("b"))
        except BackendError as error:
            outcomes.append(str(error))
    assert [outcome for outcome in outcomes if outcome != b"1"] == [
        "the 3rd operation fails, as it was told to: get of 'b'",
        "the 6th operation fails, as it was told to: get of 'b'",
    ]
    assert store.count == 7
    assert store.sync.exists("b")
    late = FailingStore(memory(), error=TimeoutError, operations=["set", "list"])
    with pytest.raises(TimeoutError, match="set of 'x'"):
        late.sync["x"] = b""
    with pytest.raises(TimeoutError, match="list of"):
        list(late.sync.list())
    assert "x" not in late.sync
    with pytest.raises(ValueError, match="1 or more"):
        FailingStore(memory(), every=0)


def test_an_array_tells_of_failures_and_never_fills_in():
    inner = MemoryStore()
    array = zarrstore.create_array(inner, data=np.arange(100), chunks=10)
    failing = FailingStore(inner, every=5, operations=["get", "get_into", "get_each"])
    reader = zarrstore.open_array(failing, mode="r")
    wrong = 0
    for _ in range(6):
        try:
            assert (reader[:] == array[:]).all()
        except ZarrStoreError:
            wrong += 1
    assert wrong


def test_what_is_cut_off_is_no_array():
    inner = MemoryStore()
    zarrstore.create_array(inner, data=np.arange(100), chunks=10)
    data = TruncatingStore(inner, size=8)
    assert data.sync.get("c/0") == inner.sync["c/0"][:8]
    assert len(data.sync.get("c/0", OffsetByteRequest(4))) == 8
    assert data.sync.getsize("c/0") == inner.sync.getsize("c/0")
    with pytest.raises(MetadataError, match="truncated"):
        zarrstore.open_array(data, mode="r")


def test_a_stalled_operation_waits_and_goes_on():
    store = StallingStore(memory(), operations=["get"])
    assert store.sync.exists("a")
    found = []
    thread = threading.Thread(target=lambda: found.append(store.sync.get("b")))
    thread.start()
    until = time.monotonic() + 20
    while not store.stalled and time.monotonic() < until:
        time.sleep(0.002)
    assert store.stalled == 1
    assert found == []
    store.release()
    thread.join(20)
    assert found == [b"1"]
    assert store.stalled == 0
    with pytest.raises(TimeoutError, match=r"get of 'b' had no answer within 0\.02 s"):
        StallingStore(memory(), seconds=0.02).sync.get("b")


def test_a_stalled_operation_can_be_cancelled():
    store = StallingStore(memory())

    async def main() -> bool:
        with anyio.move_on_after(0.05) as scope:
            await store.get("a")
        return scope.cancelled_caught

    assert anyio.run(main)
    store.release()
    assert store.sync.get("b") == b"1"


def test_operations_end_in_another_order():
    ended: list[int] = []
    store = ReorderingStore(MemoryStore({str(number): b"%d" % number for number in range(20)}))

    async def get(number: int) -> None:
        assert await store.get(str(number)) == b"%d" % number
        ended.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(get, number)

    anyio.run(main)
    assert sorted(ended) == list(range(20))
    assert ended != list(range(20))
    assert store.sync.get_many([str(n) for n in range(20)]) == [b"%d" % n for n in range(20)]


def test_faults_stand_on_each_other_and_stay_in_their_process():
    store = FailingStore(LatencyStore(memory(), 0.001, 0.001), every=2)
    assert store.sync.get("b") == b"1"
    with pytest.raises(BackendError):
        store.sync.get("b")
    assert Capability.SHARED not in FaultyStore(LocalStore(".")).capabilities


WRITER = """
import sys
from zarrstore.stores.local import LocalStore
store = LocalStore(sys.argv[1]).sync
for number in range(4):
    store[f"a/{number}"] = b"new"
print("done")
"""


@pytest.mark.parametrize("when", [1, 2, 4])
def test_a_writer_is_killed_at_a_system_call(tmp_path, when):
    LocalStore(tmp_path).sync.update({f"a/{number}": b"old" for number in range(4)})
    found = kill_at(WRITER, "?rename,?renameat", when, arguments=[str(tmp_path)])
    assert found.killed
    assert found.returncode == -9
    assert found.stdout == ""
    assert len(found.calls) == when
    values = [LocalStore(tmp_path).sync[f"a/{number}"] for number in range(4)]
    assert values == [b"new"] * (when - 1) + [b"old"] * (5 - when)


def test_a_call_that_does_not_come_kills_nothing(tmp_path):
    found = kill_at(WRITER, "?rename,?renameat", 100, arguments=[str(tmp_path)])
    assert not found.killed
    assert found.returncode == 0
    assert found.stdout == "done\n"
    assert len(found.calls) == 4


def test_without_strace_it_says_so(monkeypatch):
    monkeypatch.setattr(zarrstore_testing.killing.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="needs strace"):
        kill_at("", "rename")
