"""Arrays that grow and shrink: against numpy, by many threads, by many processes."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import zarrstore
from zarrstore import aio

LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {"chunks": (3, 2)},
    "raw": {"chunks": (2, 3), "compressors": None},
    "v2": {"chunks": (3, 2), "zarr_format": 2},
    "shards": {"chunks": (1, 2), "shards": (3, 4)},
    "rectilinear": {"chunks": [[1, 3, 2], [2, 4]]},
}
START = (6, 6)


class Resized(RuleBasedStateMachine):
    """What is done to an array and to numpy's, one after the other."""

    make: Callable[[], Any] = zarrstore.MemoryStore

    @initialize(layout=st.sampled_from(sorted(LAYOUTS)))
    def create(self, layout: str) -> None:
        self.store = self.make()
        self.expected = np.full(START, 7, "int16")
        self.array = zarrstore.create_array(
            self.store, shape=START, dtype="int16", fill_value=7, **LAYOUTS[layout]
        )

    @rule(data=st.data(), value=st.integers(0, 99))
    def write(self, data: st.DataObject, value: int) -> None:
        index = tuple(data.draw(st.slices(length)) for length in self.expected.shape)
        self.expected[index] = value
        self.array[index] = value

    @rule(shape=st.tuples(st.integers(0, 9), st.integers(0, 9)))
    def resize(self, shape: tuple[int, int]) -> None:
        kept = tuple(slice(min(pair)) for pair in zip(shape, self.expected.shape, strict=True))
        resized = np.full(shape, 7, "int16")
        resized[kept] = self.expected[kept]
        self.expected = resized
        self.array.resize(shape)

    @rule(length=st.integers(0, 4), axis=st.integers(-2, 1), value=st.integers(0, 99))
    def append(self, length: int, axis: int, value: int) -> None:
        shape = list(self.expected.shape)
        shape[axis] = min(length, max(0, 14 - shape[axis]))
        data = np.full(shape, value, "int16")
        self.expected = np.append(self.expected, data, axis)
        assert self.array.append(data, axis) == self.expected.shape

    @rule()
    def open_again(self) -> None:
        self.array = zarrstore.open_array(self.store, mode="r+")

    @invariant()
    def same(self) -> None:
        if hasattr(self, "array"):
            assert self.array.shape == self.expected.shape
            np.testing.assert_array_equal(self.array[...], self.expected)
            assert self.array.nchunks_initialized <= self.array.nchunks or self.array.shards

    def teardown(self) -> None:
        if hasattr(self, "array"):
            keys = list(self.store.sync.list())
            self.array.resize((0, 0))
            left = [key for key in self.store.sync.list() if key in keys]
            assert set(left) <= {"zarr.json", ".zarray", ".zattrs"}


class LateResized(Resized):
    make = staticmethod(lambda: zarrstore.LatencyStore(zarrstore.MemoryStore(), 0, 0))


class ResizedFiles(Resized):
    make = staticmethod(lambda: zarrstore.LocalStore(tempfile.mkdtemp()))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "array"):
            shutil.rmtree(self.store.root)


TestResized = Resized.TestCase
TestResized.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestLateResized = LateResized.TestCase
TestLateResized.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestResizedFiles = ResizedFiles.TestCase
TestResizedFiles.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)


def test_chunks_outside_are_deleted_and_those_at_the_edge_cleared() -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, data=np.ones((10, 10)), chunks=(4, 4), compressors=None)
    array.resize((5, 10))
    assert {key for key in data if key.startswith("c/")} == {
        f"c/{row}/{column}" for row in range(2) for column in range(3)
    }
    edge = np.frombuffer(data["c/1/0"]).reshape(4, 4)
    assert edge.tolist() == [[1] * 4, [0] * 4, [0] * 4, [0] * 4]
    array.resize((5, 0))
    assert [key for key in data if key.startswith("c/")] == []


def test_a_store_of_many_chunks_is_listed_rather_than_asked_for_each() -> None:
    deleted: list[str] = []

    class Telling(zarrstore.MemoryStore):
        def _delete(self, key: str) -> None:
            deleted.append(key)
            super()._delete(key)

    store = Telling()
    store.sync["other/c/0"] = b""
    array = zarrstore.create_array(store, name="a", shape=10**12, chunks=10, dtype="i1")
    array[0] = array[25] = array[10**12 - 1] = 1
    array.resize(20)
    assert sorted(deleted) == ["a/c/2", f"a/c/{10**11 - 1}"]
    assert "other/c/0" in store.sync


def test_what_another_has_changed_is_kept() -> None:
    data: dict[str, Any] = {}
    first = zarrstore.create_array(data, data=[1, 2, 3])
    second = zarrstore.open_array(data)
    second.attrs["a"] = 1
    second.append([4])
    assert first.shape == (3,)
    assert first.append([5, 6]) == (6,)
    assert first[:].tolist() == [1, 2, 3, 4, 5, 6]
    assert second.shape == (4,)
    second.refresh()
    assert second.shape == (6,)
    first.resize(2)
    assert zarrstore.open_array(data).attrs.asdict() == {"a": 1}
    assert zarrstore.open_array(data)[:].tolist() == [1, 2]
    data.clear()
    for change in (lambda: first.resize(1), lambda: first.append([1]), first.refresh):
        with pytest.raises(zarrstore.NodeNotFoundError, match="no array at"):
            change()


def test_an_array_that_shrinks_while_another_appends() -> None:
    data: dict[str, Any] = {}
    other = zarrstore.create_array(data, data=np.ones(8, "i1"), chunks=4)

    class Appending(zarrstore.MemoryStore):
        """Has data appended just before the new shape is stored."""

        done = False

        def _set_if(self, key: str, value: Any, expect: Any) -> Any:
            if not self.done and key == "zarr.json":
                self.done = True
                other.append(np.ones(8, "i1"))
            return super()._set_if(key, value, expect)

    zarrstore.open_array(Appending(data)).resize(6)
    array = zarrstore.open_array(data)
    assert array.shape == (6,)
    array.resize(16)
    assert array[:].tolist() == [1] * 6 + [0] * 10


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda a: a.resize((2, 3, 4)), ValueError, "3 dimensions; the array has 2"),
        (lambda a: a.resize(4), ValueError, "1 dimensions; the array has 2"),
        (lambda a: a.resize((-1, 3)), ValueError, "0 or more"),
        (lambda a: a.resize((2**63, 3)), ValueError, "below"),
        (lambda a: a.resize((1.5, 3)), TypeError, "a shape is an integer"),
        (lambda a: a.append([1, 2, 3]), ValueError, "cannot be appended"),
        (lambda a: a.append([[1, 2]]), ValueError, r"shape \(1, 2\) cannot be appended"),
        (lambda a: a.append([[1, 2, 3]], axis=1), ValueError, "along axis 1"),
        (lambda a: a.append([[1, 2, 3]], axis=2), IndexError, "axis 2 is out of bounds"),
        (lambda a: a.append([["x", 2, 3]]), ValueError, "invalid literal"),
        (lambda a: a.append([[300, 2, 3]]), OverflowError, "300"),
        (lambda a: a.append([[1, 2], [3]]), ValueError, "inhomogeneous"),
    ],
)
def test_changes_that_cannot_be_change_nothing(
    change: Callable[[Any], Any], error: type[Exception], says: str
) -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, data=np.ones((2, 3), "u1"))
    before = dict(data)
    with pytest.raises(error, match=says):
        change(array)
    assert data == before
    assert array.shape == (2, 3)


def test_read_only_arrays_keep_their_shape(tmp_path: Path) -> None:
    zarrstore.create_array(tmp_path, data=[1, 2])
    array = zarrstore.open_array(tmp_path, mode="r")
    for change in (lambda: array.resize(1), lambda: array.append([1])):
        with pytest.raises(zarrstore.ReadOnlyError):
            change()
    scalar = zarrstore.create_array({}, shape=())
    scalar.resize(())
    with pytest.raises(IndexError, match="axis 0"):
        scalar.append(1)


def test_a_store_that_cannot_delete_keeps_the_shape() -> None:
    class Growing(zarrstore.BlockingStore):
        def __init__(self) -> None:
            super().__init__()
            self.data: dict[str, Any] = {}

        def _get(self, key: str) -> Any:
            return self.data.get(key)

        def _set(self, key: str, value: Any) -> None:
            self.data[key] = bytes(value)

    array = zarrstore.create_array(Growing(), data=np.arange(8), chunks=4)
    with pytest.raises(zarrstore.UnsupportedOperationError, match="cannot delete"):
        array.resize(3)
    array.resize(7)  # only within a chunk
    array.append([8, 9])
    assert array[:].tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]


STORES: dict[str, Callable[[Path], zarrstore.Store]] = {
    "memory": lambda path: zarrstore.MemoryStore(),
    "local": lambda path: zarrstore.LocalStore(path),
    "zip": lambda path: zarrstore.open_store(path / "x.zip"),
    "mapping": lambda path: zarrstore.MappingStore({}),
    "latency": lambda path: zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.0005, 0.0005),
    "late mapping": lambda path: zarrstore.LatencyStore(zarrstore.MappingStore({}), 0.0005, 0.0005),
}


def all_rows(count: int, each: int) -> list[tuple[int, int]]:
    return sorted((number, at) for number in range(count) for at in range(each))


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
@pytest.mark.parametrize("apart", [False, True], ids=["one object", "one each"])
def test_threads_that_append_at_once_lose_nothing(
    make: Callable[[Path], zarrstore.Store], apart: bool, tmp_path: Path
) -> None:
    store = make(tmp_path)
    shared = zarrstore.create_array(store, shape=(0, 2), dtype="i4", chunks=(7, 2), fill_value=-1)

    def work(number: int) -> None:
        array = zarrstore.open_array(store) if apart else shared
        for at in range(6):
            array.append([[number, at]] * 3)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    found = zarrstore.open_array(store)[...]
    assert found.shape == (8 * 6 * 3, 2)
    rows = found.reshape(-1, 3, 2)
    assert (rows == rows[:, :1]).all()  # each in one piece
    assert sorted(map(tuple, rows[:, 0].tolist())) == all_rows(8, 6)
    store.sync.close()


def append_many(path: Path, number: int) -> None:
    array = zarrstore.open_array(path)
    for at in range(25):
        array.append([[number, at]])


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    zarrstore.create_array(tmp_path, shape=(0, 2), dtype="i4", chunks=(7, 2), fill_value=-1)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=append_many, args=(tmp_path, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = zarrstore.open_array(tmp_path)[...]
    assert sorted(map(tuple, found.tolist())) == all_rows(4, 25)


@pytest.mark.anyio
async def test_tasks_that_append_at_once_lose_nothing() -> None:
    import anyio

    for store in (zarrstore.MemoryStore(), zarrstore.MappingStore({})):
        array = await aio.create_array(store, shape=(0, 2), dtype="i4", chunks=(5, 2))

        async def work(number: int, array: zarrstore.AsyncArray = array) -> None:
            for at in range(4):
                await array.append([[number, at]])

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(work, number)
        found = await array.read()
        assert sorted(map(tuple, found.tolist())) == all_rows(6, 4)
        await array.resize((3, 2))
        assert array.shape == (3, 2)
        again = await aio.open_array(store)
        await again.resize((4, 2))
        await array.refresh()
        assert (await array.read())[3:].tolist() == [[0, 0]]


def test_tell_the_progress_of_appending() -> None:
    seen: list[tuple[int, int]] = []
    array = zarrstore.create_array({}, data=np.arange(10), chunks=5)
    array.append(np.arange(20), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)
