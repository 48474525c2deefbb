"""What loses elements elsewhere, mostly without a word: not one is wrong here."""

from __future__ import annotations

import multiprocessing
import os

import dask.array as da
import numpy as np
import pytest

import zarrstore
from zarrstore import LocalStore, MemoryStore, NotShareableError, ZipStore
from zarrstore.dask import from_zarr, plan_store, store, store_dask, to_zarr
from zarrstore.dask.targets import NOTE_KEY

ALIGN = ["auto", "rechunk", "lock"]
SCHEDULERS = ["threads", "sync"]


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype="int64").reshape(shape)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("align", ALIGN)
@pytest.mark.parametrize("cut", [{"shards": 200, "chunks": 20}, {"chunks": 15}, {"chunks": 7}])
def test_blocks_of_ten(cut, align, scheduler):
    expected = numbers(10_000)
    result = to_zarr(
        da.from_array(expected, chunks=10), {}, align=align, scheduler=scheduler, **cut
    )
    assert np.array_equal(result.array[:], expected)
    assert result.verify() == result.plan[0].nunits


@pytest.mark.parametrize("align", ALIGN)
def test_existing_shards(align):
    array = zarrstore.create_array({}, shape=10_000, chunks=10, shards=1000, dtype="int64")
    expected = numbers(10_000)
    store(da.from_array(expected, chunks=300), array, align=align)
    assert np.array_equal(array[:], expected)


@pytest.mark.parametrize("align", ALIGN)
@pytest.mark.parametrize("cut", [{"chunks": (15, 10)}, {"chunks": (5, 4), "shards": (100, 8)}])
def test_two_dimensions_into_what_is_there(cut, align):
    array = zarrstore.create_array({}, shape=(100, 10), dtype="int64", **cut)
    expected = numbers(100, 10)
    result = store_dask(
        sources=[da.from_array(expected, chunks=(10, 3))], targets=[array], align=align
    )
    assert np.array_equal(array[:], expected)
    assert len(result.keys) == array.nchunks_initialized or cut.get("shards")
    result.verify()


@pytest.mark.parametrize("make", [MemoryStore, dict])
def test_what_lives_in_this_process_is_refused_elsewhere(make):
    given = make()
    with pytest.raises(NotShareableError, match=r"scheduler='threads'"):
        to_zarr(da.ones(1000, chunks=10), given, scheduler="processes")
    assert not list(zarrstore.open_store(given).sync)


def test_a_zip_file_from_many_processes(tmp_path):
    zipped = ZipStore(tmp_path / "a.zip")
    with pytest.raises(NotShareableError, match="zip file"):
        to_zarr(da.ones(1000, chunks=10), zipped, scheduler="processes")
    to_zarr(da.ones(1000, chunks=10), zipped, scheduler="threads").verify()
    zipped.sync.close()
    assert zarrstore.open_array(tmp_path / "a.zip", mode="r")[:].sum() == 1000


@pytest.mark.parametrize("make", [MemoryStore, lambda: "array.zarr"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("mode", ["w", "r+"])
@pytest.mark.parametrize("shape", [(99,), (9, 11)])
def test_overwriting_what_the_graph_reads(shape, mode, zarr_format, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = make()
    expected = numbers(*shape)
    first = zarrstore.create_array(where, data=expected, chunks=4, zarr_format=zarr_format)
    lazy = from_zarr(where, chunks=4)
    backwards = lazy[::-1] + lazy
    options = {"chunks": first.chunks, "zarr_format": zarr_format} if mode == "w" else {}
    result = to_zarr(backwards, where, mode=mode, **options)
    assert np.array_equal(result.array[:], expected[::-1] + expected)
    again = zarrstore.open_array(where, mode="r")
    assert np.array_equal(again[:], expected[::-1] + expected)
    assert again.zarr_format == zarr_format
    result.verify()
    left = [key for key in zarrstore.open_store(where).sync if NOTE_KEY in key]
    assert not left
    assert again.nchunks_initialized == len(
        [key for key in again.store.sync if not key.rpartition("/")[2].startswith((".z", "zarr"))]
    )


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array(["a", "long text", "", "ä"], object), "str"),
        (np.array(["a", "bc", "", "d"]), "U3"),
        (np.array([b"a", b"", b"bc", b"d"], object), "bytes"),
        (np.array([(1, 2.5), (3, 4.5)] * 2, dtype=[("a", "i4"), ("b", "f8")]), None),
    ],
)
def test_kinds_of_elements_that_wait(values, dtype):
    how = {} if dtype is None else {"dtype": dtype}
    array = zarrstore.create_array({}, shape=4, chunks=3, **({"dtype": values.dtype} | how))
    array[:] = values
    store(from_zarr(array, chunks=1)[::-1], array)
    assert array[:].tolist() == values[::-1].tolist()


def test_two_arrays_that_read_each_other():
    group = zarrstore.create_group({})
    a = group.create_array("a", data=numbers(50), chunks=7)
    b = group.create_array("b", data=-numbers(50), chunks=9)
    store([from_zarr(b)[::-1], from_zarr(a)[::-1]], [a, b])
    assert np.array_equal(a[:], -numbers(50)[::-1])
    assert np.array_equal(b[:], numbers(50)[::-1])


def test_sources_of_one_target_that_meet_within_a_chunk():
    array = zarrstore.create_array({}, shape=100, chunks=15, dtype="int64")
    expected = numbers(100)
    parts = [slice(at, at + 10) for at in range(0, 100, 10)]
    sources = [da.from_array(expected[part], chunks=3) for part in parts]
    result = store(sources, [array] * 10, parts)
    assert np.array_equal(array[:], expected)
    result.verify()


def test_one_array_by_two_names(tmp_path):
    """It is one place: sources that meet there are refused, or take turns."""
    os.symlink(tmp_path, tmp_path.with_name("link"))
    group = zarrstore.create_group(tmp_path)
    first = group.create_array("a", shape=20, chunks=20, dtype="int64")
    second = zarrstore.open_array(tmp_path.with_name("link") / "a", mode="r+")
    half = da.ones(10, chunks=1, dtype="int64")
    with pytest.raises(ValueError, match="sources 0 and 1 go to the same elements"):
        store([half, half], [first, second], [slice(0, 10), slice(9, 19)])
    task = store(
        [half, half * 2], [first, second], [slice(0, 20, 2), slice(1, 20, 2)], compute=False
    )
    task.compute().verify()
    assert first[:].tolist() == [1, 2] * 10


def test_sources_that_go_to_the_same_elements_are_refused():
    array = zarrstore.create_array({}, shape=10, chunks=3, dtype="int64")
    ones = da.ones(5, dtype="int64")
    with pytest.raises(ValueError, match="sources 0 and 1 go to the same elements"):
        store([ones, ones], [array, array], [slice(0, 5), slice(4, 9)])
    store([ones, ones * 2], [array, array], [slice(0, 10, 2), slice(1, 10, 2)])
    assert array[:].tolist() == [1, 2] * 5


def test_dask_arrays_of_one_name():
    group = zarrstore.create_group({})
    targets = [group.create_array(name, shape=4, dtype="int64") for name in "ab"]
    values = numbers(4), numbers(4) * 2
    with pytest.raises(ValueError, match="other data under the name"):
        store([da.from_array(each, name="x") for each in values], targets)
    store([da.from_array(values[0].copy(), name="x") for _ in "ab"], targets)
    assert (targets[0][:] == targets[1][:]).all()


class Failing(MemoryStore):
    """Fails at some write."""

    left = 6

    def _set(self, key, value):
        if "c/" in key:
            self.left -= 1
            if not self.left:
                raise OSError("the disk is full")
        return super()._set(key, value)


def test_an_error_in_mid_write():
    """The array does not open, and the write goes on where it was broken off."""
    where = Failing()
    source = da.from_array(numbers(1000), chunks=10)
    with pytest.raises(OSError, match="disk is full"):
        to_zarr(source, where)
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.open_array(where, mode="r")
    before = {key: where.sync.stat(key).version for key in where.sync if key.startswith("c/")}
    assert before
    with pytest.raises(zarrstore.NodeExistsError, match="resume=True"):
        to_zarr(source, where)
    result = to_zarr(source, where, resume=True)
    assert np.array_equal(result.array[:], numbers(1000))
    assert result.verify() == 100
    assert before == {key: where.sync.stat(key).version for key in before}
    assert NOTE_KEY not in where.sync


def appended(path: str, number: int) -> None:
    array = zarrstore.open_array(path, mode="r+")
    for count in range(50):
        array.append(np.array([[number, count]]))


def test_four_processes_that_append(tmp_path):
    path = str(tmp_path / "log.zarr")
    zarrstore.create_array(path, shape=(0, 2), chunks=(7, 2), dtype="int64")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=appended, args=(path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    rows = zarrstore.open_array(path, mode="r")[:]
    assert len(rows) == 200
    for number in range(4):
        assert rows[rows[:, 0] == number, 1].tolist() == list(range(50))


def test_parts_of_one_chunk_by_separate_writes(tmp_path):
    array = zarrstore.create_array(LocalStore(tmp_path), shape=100, chunks=100, dtype="int64")
    source = da.from_array(numbers(100), chunks=1)
    plan = plan_store(source, array, align="lock")
    assert plan[0].serialised == 1
    store(source, array, align="lock", scheduler="threads")
    assert np.array_equal(array[:], numbers(100))
