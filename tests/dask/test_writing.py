from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from dask.utils import has_keyword

import zarrstore
import zarrstore.interop.zarr
from zarrstore import (
    BlockingStore,
    ConflictError,
    CorruptDataError,
    LatencyStore,
    MemoryStore,
    NodeExistsError,
    NodeNotFoundError,
    ReadOnlyError,
    UnsupportedOperationError,
)
from zarrstore.dask import (
    AlignmentError,
    StoreTask,
    computing_meta,
    from_zarr,
    plan_store,
    store,
    store_dask,
    to_zarr,
)
from zarrstore.dask.targets import NOTE_KEY


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype="int64").reshape(shape)


def test_what_is_created():
    where = MemoryStore()
    source = da.ones((10, 20), chunks=(4, 5), dtype="float32")
    result = to_zarr(source, where, "deep/a", attributes={"unit": "m"}, dimension_names=["y", "x"])
    assert result.array == zarrstore.open(where, path="deep/a")
    assert result.array.chunks == (4, 5)
    assert result.array.dtype == "float32"
    assert result.array.attrs["unit"] == "m"
    assert result.array.dimension_names == ("y", "x")
    assert isinstance(zarrstore.open(where), zarrstore.Group)
    assert (zarr.open_array(zarrstore.interop.zarr.to_zarr(where), path="deep/a")[:] == 1).all()
    assert to_zarr(da.ones((10, 20), chunks=(4, (5, 9, 6))), {}).array.chunks == (10, 20)
    in_group = zarrstore.create_group({})
    to_zarr(source, in_group, "b")
    assert in_group["b"].shape == (10, 20)


def test_fill_values_are_not_stored():
    values = np.zeros(100)
    values[55] = 1
    result = to_zarr(da.from_array(values, chunks=10), {})
    assert [key for key, written in result.keys.items() if written.size is not None] == ["c/5"]
    assert result.verify() == 10
    result = to_zarr(da.from_array(values, chunks=10), {}, write_empty_chunks=True)
    assert result.array.nchunks_initialized == 10


@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", "bcd", "", "ä"]),
        np.array(["2020-01-01", "NaT"], dtype="M8[s]"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([True, False]),
        np.array(3.5),
        np.empty((0, 4)),
    ],
)
@pytest.mark.parametrize("align", ["auto", "lock"])
def test_kinds_of_elements(values, align):
    source = da.from_array(values, chunks=1)
    result = to_zarr(source, {}, chunks=(3,) * values.ndim, align=align)
    found = result.array[...]
    assert np.array_equal(np.asarray(found), values, equal_nan=values.dtype.kind == "M")
    result.verify()


def test_text_of_any_length():
    source = da.from_array(np.array(["a", "long text", ""], object), chunks=2)
    result = to_zarr(source, {}, dtype="str")
    assert result.array[:].tolist() == ["a", "long text", ""]


def test_shapes_that_differ():
    array = zarrstore.create_array({}, shape=10)
    with pytest.raises(ValueError, match=r"shape \(9,\).*has \(10,\); nothing is broadcast"):
        store(da.ones(9), array)
    with pytest.raises(ValueError, match=r"in the region .*has \(4,\)"):
        store(da.ones(5), array, slice(2, 6))
    with pytest.raises(ValueError, match="2 sources for 1 targets"):
        store([da.ones(5), da.ones(5)], [array])
    with pytest.raises(ValueError, match="1 regions for 2 sources"):
        store([da.ones(5), da.ones(5)], [array, array], [slice(0, 5)])
    with pytest.raises(TypeError, match="a target is an array in a store, not ndarray"):
        store(da.ones(5), np.ones(5))
    with pytest.raises(TypeError, match="a dask array is needed, not ndarray"):
        to_zarr(np.ones(3), {})


def test_regions_that_cannot_be():
    array = zarrstore.create_array({}, shape=(10, 10))
    for region, error in [
        ((slice(None, None, -1), 0), ValueError),
        ([1, 2], ValueError),
        ((11, 0), IndexError),
        ((0, 0, 0), IndexError),
        ((..., ...), IndexError),
        ((np.array([1]), slice(None)), (TypeError, ValueError)),
    ]:
        with pytest.raises(error):
            store(da.ones(10), array, region)


def test_unknown_chunk_sizes():
    unknown = da.arange(10, chunks=3)
    unknown = unknown[unknown > 4]
    with pytest.raises(ValueError, match=r"compute_chunk_sizes\(\)"):
        to_zarr(unknown, {})
    assert to_zarr(unknown.compute_chunk_sizes(), {}).array[:].tolist() == [5, 6, 7, 8, 9]


def test_blocks_that_are_not_as_they_say():
    wrong = da.ones(10, chunks=5).map_blocks(lambda block: block[:3], dtype=float)
    where = MemoryStore()
    with pytest.raises(ValueError, match=r"has shape \(3,\), and the dask array says \(5,\)"):
        to_zarr(wrong, where)
    with pytest.raises(NodeNotFoundError):
        zarrstore.open_array(where, mode="r")


@pytest.mark.parametrize(
    ("block", "told", "found"),
    [
        ([1.5, 2], "int64", None),
        (np.array([1.5, 2]), "int64", None),
        (np.array([2**40, 1]), "int8", None),
        (np.array([-1, 1]), "uint64", None),
        (np.array(["long", "b"]), "U3", None),
        ([1, 2], "int8", [1, 2]),
        (np.array([1, 2], "int8"), "int64", [1, 2]),
        (np.array(["a", "b"], "U9"), "U3", ["a", "b"]),
    ],
)
@pytest.mark.parametrize("align", ["auto", "lock"])
def test_blocks_whose_elements_are_not_as_they_say(block, told, found, align):
    """They are cast if no element is changed, and refused if not."""
    blocks = [da.from_delayed(dask.delayed(block), (2,), told) for _ in range(2)]
    source, where = da.concatenate(blocks), MemoryStore()
    if found:
        assert to_zarr(source, where, chunks=3, align=align).array[:].tolist() == found * 2
        return
    with pytest.raises((TypeError, ValueError), match=r"a block holds|does not fit"):
        to_zarr(source, where, chunks=3, align=align)
    with pytest.raises(NodeNotFoundError):
        zarrstore.open_array(where, mode="r")


def test_elements_that_are_cast_as_allowed():
    source = da.from_delayed(dask.delayed(np.array([1.5, 2])), (2,), "float32")
    assert to_zarr(source, {}, casting="same_kind").array[:].tolist() == [1.5, 2]


def test_masked_blocks():
    records = np.ma.array([(1, 2.5)] * 2, mask=[(0, 1), (0, 0)], dtype=[("a", "i4"), ("b", "f8")])
    with pytest.raises(TypeError, match="filled"):
        to_zarr(da.from_array(records, chunks=1, asarray=False), {})
    masked = da.ma.masked_greater(da.arange(10, chunks=5), 6)
    with pytest.raises(TypeError, match="filled"):
        to_zarr(masked, {})
    assert to_zarr(da.ma.filled(masked, -1), {}).array[-1] == -1
    assert to_zarr(da.ma.masked_greater(da.arange(10, chunks=5), 60), {}).array[-1] == 9


def test_casting():
    with pytest.raises(TypeError, match=r"casting='safe'.*astype"):
        to_zarr(da.ones(4), {}, dtype="float32")
    with pytest.raises(TypeError, match="cannot be cast"):
        to_zarr(da.ones(4, dtype="int64"), {}, dtype="int32", casting="no")
    assert to_zarr(da.ones(4), {}, dtype="float32", casting="same_kind").array.dtype == "float32"
    assert to_zarr(da.ones(4), {}, dtype="int8", casting="unsafe").array[:].tolist() == [1] * 4
    assert to_zarr(da.ones(4, dtype="int32"), {}, dtype="float64").array[0] == 1


def test_what_is_asked_for_is_checked_before_a_write_begins():
    where: dict[str, Any] = {}
    for error, asked in [
        (ValueError, {"casting": "x"}),
        (ValueError, {"align": "x"}),
        (ValueError, {"scheduler": "x"}),
        (TypeError, {"progress": 5}),
        (TypeError, {"shape": (3,)}),
        (TypeError, {"data": 3}),
    ]:
        with pytest.raises(error):
            to_zarr(da.ones(4), where, **asked)
        assert not where
    assert store([], []).verify() == 0
    to_zarr(da.ones(4), where)
    assert plan_store(da.ones(4), zarrstore.open_array(where, mode="r")).ntasks == 1


def test_modes():
    where = MemoryStore()
    with pytest.raises(NodeNotFoundError):
        to_zarr(da.ones(4), where, mode="r+")
    to_zarr(da.ones(4), where, mode="a")
    with pytest.raises(NodeExistsError, match="mode 'w' replaces it"):
        to_zarr(da.ones(4), where)
    to_zarr(da.ones(4) * 2, where, mode="a")
    assert to_zarr(da.ones(2) * 3, where, region=slice(1, 3)).array[:].tolist() == [2, 3, 3, 2]
    assert to_zarr(da.ones(6), where, mode="w").array.shape == (6,)
    with pytest.raises(ValueError, match="keeps its own chunks"):
        to_zarr(da.ones(6), where, mode="r+", chunks=2)
    with pytest.raises(ValueError, match="a region is of an array that is there"):
        to_zarr(da.ones(6), where, mode="w", region=slice(0, 6))
    with pytest.raises(ReadOnlyError):
        to_zarr(da.ones(6), where.with_read_only())
    with pytest.raises(ReadOnlyError):
        store(da.ones(6), zarrstore.open_array(where, mode="r"))
    group = MemoryStore()
    zarrstore.create_array(group, name="a", data=[1])
    with pytest.raises(NodeExistsError, match="is a group"):
        to_zarr(da.ones(6), group, mode="w")


def test_what_is_of_dask_or_xarray():
    with pytest.raises(ValueError, match=r"mode is one of r\+, a, w, w-"):
        to_zarr(da.ones(3), {}, mode="r")
    with pytest.raises(TypeError, match="use mode='w'"):
        to_zarr(da.ones(3), {}, overwrite=True)
    with pytest.raises(TypeError, match="dataset_to_zarr"):
        plan_store(xr.Dataset())


def test_alignment():
    source = da.ones((40, 40), chunks=(10, 10))
    with pytest.raises(AlignmentError, match="conflicts 8 chunks have") as caught:
        to_zarr(source, {}, chunks=(15, 10), align="error")
    assert pickle.loads(pickle.dumps(caught.value)).plan is not None
    to_zarr(source, {}, chunks=(5, 10), align="error")
    with pytest.raises(ValueError, match="align is one of auto, error, rechunk, lock"):
        to_zarr(source, {}, align="never")
    with dask.config.set({"array.chunk-size": "1kiB"}):
        plan = plan_store(source, chunks=(40, 30))
        assert plan[0].how == "lock"
        assert plan_store(source, chunks=(40, 30), align="rechunk")[0].how == "rechunk"
    assert plan_store(source, chunks=(40, 30))[0].how == "rechunk"


def test_plans():
    array = zarrstore.create_array({}, shape=(100, 100), chunks=(30, 100), dtype="int16")
    plan = plan_store(da.ones((50, 100), chunks=(7, 40)), array, slice(20, 70))
    assert (plan.conflicts, plan.partial, plan.ntasks) == (3, 2, 2 + 1)
    assert plan.nbytes == 10_000
    assert plan.has_one_writer
    assert [plan[0].writers([at, 0]) for at in range(4)] == [[(0, 0)], [(1, 0)], [(2, 0)], []]
    assert [plan[0].region(task) for task in plan[0].tasks()][1] == (
        slice(30, 60, 1),
        slice(0, 100, 1),
    )
    locked = plan_store(da.ones(100, chunks=10), chunks=25, align="lock")[0]
    assert locked.writers([0]) == [(0,), (2,), (1,)]
    assert locked.serialised == 4
    assert not locked.has_one_writer
    assert "write it one after the other" in str(locked)
    with pytest.raises(TypeError, match="the targets have their own"):
        plan_store(da.ones(10), zarrstore.create_array({}, shape=10), chunks=3)
    with pytest.raises(TypeError, match="give both"):
        plan_store(da.ones(10), None, slice(3))


@pytest.mark.parametrize("shape", [(), (0,), (1000,), (40, 30), (2, 300, 20), (3, 2, 5, 5)])
def test_plans_in_notebooks(shape):
    source = da.ones(shape, chunks=7 if shape else ())
    for chunks in ((4,) * len(shape), "auto"):
        html = plan_store(source, chunks=chunks)._repr_html_()
        assert html.count("<div") == html.count("</div")
        assert "<script" not in html
        assert ("<svg" in html) == (int(np.prod(shape)) > 1)


def test_what_plans_and_results_say():
    array = zarrstore.create_array({}, shape=(9, 20, 30), chunks=(3, 20, 30), dtype="float64")
    blocks = da.ones((7, 15), chunks=(7, 15))
    region = (slice(1, 8), 3, slice(0, 29, 2))
    said = str(plan_store(blocks, array, region))
    assert "region    [1:8, 3, 0:29:2] of (9, 20, 30)" in said
    assert "chunks    3 of ((2, 3, 2), 1, 15)" in said
    assert "partial   3 chunks are read" in said
    assert "partial   1 chunk is read" in str(plan_store(blocks[0], array, (0, *region[1:])))
    assert str(plan_store(da.ones((0, 3)))).endswith("\n  chunks    none: there are no elements")
    drawn = plan_store(da.ones((9, 20, 30), chunks=(3, 20, 30)))._repr_html_()
    assert "dimensions 0 and 2 of 3" in drawn  # along which there is something to see
    result = store([blocks, blocks], [array, array], [region, (slice(1, 8), 4, region[2])])
    url = array.store.url
    assert repr(result[0]) == f"<ArrayResult {url}: 3 chunks, {result[0].nbytes} B>"
    assert repr(result).startswith(f"<StoreResult of 2 arrays>\n  {url}: 3 chunks")
    result = to_zarr(da.ones(8, chunks=8), {}, chunks=4, shards=8)
    assert repr(result).startswith(f"<StoreResult {result.array.store.url}: 1 shard, ")


def test_not_computed():
    where = MemoryStore()
    task = to_zarr(da.ones(10, chunks=3), where, compute=False)
    assert isinstance(task, StoreTask)
    assert "4 tasks" in repr(task)
    assert "<svg" in task._repr_html_()
    assert dask.is_dask_collection(task)
    with pytest.raises(NodeNotFoundError):
        zarrstore.open_array(where, mode="r")
    (result,) = dask.compute(task, scheduler="sync")
    assert result.verify() == 4
    other = to_zarr(da.zeros(10, chunks=3) + 2, where, mode="w", compute=False)
    assert zarrstore.open_array(where)[:].sum() == 10  # as long as the new one is not there
    (result,) = dask.compute(other, scheduler="sync")
    assert zarrstore.open_array(where)[:].sum() == 20
    result.tidy_up()
    assert len([key for key in where.sync if key.startswith("c")]) == 4
    last = to_zarr(da.ones(10, chunks=3), {}, compute=False)
    assert last.persist(scheduler="sync").compute(scheduler="sync").verify() == 4


def test_results():
    where = MemoryStore()
    result = to_zarr(da.from_array(numbers(100), chunks=10), where, compressors=None)
    assert result.nbytes == 800
    assert set(result.keys) == {f"c/{at}" for at in range(10)}
    assert repr(result[0]).endswith("10 chunks, 800 B>")
    assert len(result) == 1
    again = zarrstore.open_array(where)
    again.attrs["later"] = 1
    assert result.verify() == 10
    for key, value, match in [
        ("c/3", bytes(80), "checksum"),
        ("c/4", b"short", "5 bytes long, and was 80"),
        ("c/5", None, "not there"),
    ]:
        before = where.sync[key]
        if value is None:
            del where.sync[key]
        else:
            where.sync[key] = value
        with pytest.raises(CorruptDataError, match=match) as caught:
            result.verify()
        assert caught.value.key == key
        where.sync[key] = before
    zarrstore.create_array(where, overwrite=True, data=numbers(100), chunks=10)
    with pytest.raises(CorruptDataError, match="codecs"):
        result.verify()
    where.sync.clear()
    with pytest.raises(CorruptDataError, match="there is no array"):
        result.verify()


class Stopping(MemoryStore):
    """Fails after some chunks."""

    left = 10**9
    written: list[str]
    noted: list[str]

    def _set(self, key: str, value: Any) -> Any:
        if "c" in key and NOTE_KEY not in key:
            self.left -= 1
            if self.left < 0:
                raise OSError("stopped")
            self.__dict__.setdefault("written", []).append(key)
        if "/done-" in key:
            self.__dict__.setdefault("noted", []).append(key)
        return super()._set(key, value)


@pytest.mark.parametrize("left", [0, 1, 7, 24])
@pytest.mark.parametrize("blocks", [10, 7])
def test_resume(left, blocks):
    expected = numbers(250)
    source = da.from_array(expected, chunks=blocks)
    where = Stopping()
    where.left = left
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, chunks=10)
    where.left = 10**9
    with pytest.raises(NodeExistsError, match="resume=True"):
        to_zarr(source, where, chunks=10)
    with pytest.raises(ValueError, match="other metadata"):
        to_zarr(source, where, chunks=5, resume=True)
    with pytest.raises(ValueError, match="other metadata"):
        to_zarr(source, where, chunks=10, resume=True, zarr_format=2)
    result = to_zarr(source, where, chunks=10, resume=True)
    assert np.array_equal(result.array[:], expected)
    assert result.verify() == 25
    chunks = [key for key in where.written if key.startswith("c/")]
    assert sorted(chunks) == sorted(set(chunks))  # none was written twice
    with pytest.raises(NodeExistsError, match="nothing to resume"):
        to_zarr(source, where, chunks=10, resume=True)
    result = to_zarr(source, {}, resume=True)  # there is nothing to go on with
    assert np.array_equal(result.array[:], expected)


@pytest.mark.parametrize(
    ("align", "left"),
    [*[("auto", left) for left in (0, 1, 5, 6)], *[("lock", left) for left in (0, 1, 7, 15)]],
)
def test_a_write_into_an_array_goes_on(left, align):
    where = Stopping()
    array = zarrstore.create_array(where, shape=100, dtype="int64", chunks=10, fill_value=-1)
    source = da.from_array(numbers(70), chunks=7)
    at = {"region": slice(20, 90), "align": align, "resume": True, "scheduler": "sync"}
    where.left = left
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, array, **at)
    before, where.noted = where.__dict__.get("noted", []), []
    where.left = 10**9
    result = to_zarr(source, array, **at)
    assert np.array_equal(array[20:90], numbers(70))
    assert (array[:20] == -1).all()
    assert (array[90:] == -1).all()
    assert result.verify() == 7
    assert len(before) + len(where.noted) == result.plan.ntasks
    assert not set(before) & set(where.noted)  # no task is done twice
    assert not [key for key in where.sync if NOTE_KEY in key]
    store(source + 1, array, slice(20, 90), resume=True)  # other data, after the end
    assert np.array_equal(array[20:90], numbers(70) + 1)


def test_resume_needs_a_store_that_can_list():
    class NoListing(BlockingStore):
        def __init__(self):
            super().__init__()
            self.data = {}

        def _get(self, key):
            return self.data.get(key)

        def _set(self, key, value):
            self.data[key] = value

    array = zarrstore.create_array(NoListing(), data=numbers(10))
    with pytest.raises(UnsupportedOperationError, match="leave it out"):
        to_zarr(da.ones(10, dtype=int), array, resume=True)


def test_an_overwrite_that_is_broken_off_leaves_the_old_array_and_can_go_on():
    where = Stopping()
    old = zarrstore.create_array(where, data=-numbers(100), chunks=10)
    where.left = 4
    source = from_zarr(old)[::-1].rechunk(10)
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, mode="w", chunks=10)
    assert np.array_equal(zarrstore.open_array(where, mode="r")[:], -numbers(100))
    where.left = 10**9
    result = to_zarr(source, where, mode="w", chunks=10, resume=True)
    assert np.array_equal(zarrstore.open_array(where, mode="r")[:], -numbers(100)[::-1])
    assert result.verify() == 10
    assert len(list(where.sync)) == 11


def test_a_broken_off_overwrite_is_begun_anew():
    where = Stopping()
    zarrstore.create_array(where, data=numbers(100), chunks=10, zarr_format=2)
    for left, ends in ((3, False), (10**9, True)):
        where.left = left
        try:
            to_zarr(da.ones(100, chunks=10), where, mode="w", zarr_format=2)
        except OSError:
            assert not ends
            assert np.array_equal(zarrstore.open_array(where, mode="r")[:], numbers(100))
    assert zarrstore.open_array(where, mode="r")[:].sum() == 100
    assert not [key for key in where.sync if NOTE_KEY in key]


class StoppingLater(Stopping):
    """Fails only once the data waits elsewhere."""

    def _delete(self, key: str) -> Any:
        if key == "zarr.json":
            self.left = 3
        return super()._delete(key)


def test_a_replacement_that_is_broken_off_when_the_old_array_is_gone():
    where = StoppingLater()
    zarrstore.create_array(where, data=-numbers(100), chunks=10)
    source = da.from_array(numbers(100), chunks=10)
    how: dict[str, Any] = {"mode": "w", "chunks": 10, "chunk_key_encoding": "default"}
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, **how)
    with pytest.raises(NodeNotFoundError):
        zarrstore.open_array(where, mode="r")
    where.left = 10**9
    result = to_zarr(source, where, resume=True, **how)
    assert np.array_equal(result.array[:], numbers(100))
    assert result.verify() == 10
    assert len(list(where.sync)) == 11


@pytest.mark.parametrize("blocks", [3, 10])
@pytest.mark.parametrize("align", ["rechunk", "lock"])
def test_an_array_that_is_made_of_itself_and_half_written(blocks, align):
    """It cannot be made again of what is there: what waits is put in its place."""
    for left in (0, 6):
        where = Stopping()
        array = zarrstore.create_array(where, data=numbers(40), chunks=5)
        lazy = from_zarr(array, chunks=blocks) + 100
        where.left = left
        with pytest.raises(OSError, match="stopped"):
            store(lazy, array, align=align, scheduler="sync")
        assert (array[:] != numbers(40)).any() == bool(left)
        where.left = 10**9
        with pytest.raises(ConflictError, match="resume=True"):
            store(lazy, array, align=align)
        with pytest.raises(ValueError, match="other blocks"):
            to_zarr(lazy.rechunk(40), where, mode="r+", resume=True)
        result = to_zarr(lazy, where, mode="r+", align=align, resume=True)
        assert np.array_equal(array[:], numbers(40) + 100)
        assert result.verify() == 8
        assert len(list(where.sync)) == 9


def test_regions_that_are_made_of_the_array_and_half_written():
    """Each is gone on with by itself; what is elsewhere is written meanwhile."""
    where = Stopping()
    array = zarrstore.create_array(where, data=numbers(40), chunks=5)
    lazy = from_zarr(array, chunks=4)
    parts = [slice(0, 13), slice(13, 27)]
    where.left = 3
    with pytest.raises(OSError, match="stopped"):
        store([lazy[each] * 2 for each in parts], [array] * 2, parts, scheduler="sync")
    where.left = 10**9
    store(lazy[30:] * 3, array, slice(30, 40))
    with pytest.raises(ConflictError, match="resume=True"):
        store(lazy[:20] * 3, array, slice(0, 20))
    with pytest.raises(ConflictError, match="same dask array and region"):
        to_zarr(lazy[:20] * 2, array, region=slice(0, 20), resume=True)
    to_zarr(lazy[parts[1]] * 2, array, region=parts[1], resume=True).verify()
    store([lazy[parts[0]] * 2], [array], parts[0], resume=True).verify()
    expected = numbers(40) * np.repeat([2, 1, 3], [27, 3, 10])
    assert np.array_equal(array[:], expected)
    assert len(list(where.sync)) == 9


class StoppingAtANote(MemoryStore):
    """Fails at the second note that is to be deleted."""

    left = 2

    def _delete(self, key: str) -> Any:
        self.left -= "/done-" in key
        if not self.left:
            raise OSError("stopped")
        return super()._delete(key)


def test_notes_of_a_write_that_has_ended_are_of_no_use():
    """What is written next is other data."""
    where = StoppingAtANote()
    array = zarrstore.create_array(where, data=numbers(40), chunks=5)
    source = da.from_array(numbers(40) * 2, chunks=5)
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, array, resume=True)
    assert np.array_equal(array[:], numbers(40) * 2)
    to_zarr(da.from_array(numbers(40) * 3, chunks=5), array, resume=True)
    assert np.array_equal(array[:], numbers(40) * 3)
    assert len(list(where.sync)) == 9


def test_an_array_that_is_made_of_itself_and_not_computed_to_the_end():
    where = MemoryStore()
    array = zarrstore.create_array(where, data=numbers(40), chunks=5)

    def failing(block: Any) -> Any:
        if 33 in block:
            raise OSError("stopped")
        return block

    with pytest.raises(OSError, match="stopped"):
        store(from_zarr(array, chunks=5).map_blocks(failing, dtype="int64"), array)
    assert np.array_equal(array[:], numbers(40))
    assert len(list(where.sync)) == 9


@pytest.mark.parametrize("again", ["lock", "rechunk"])
@pytest.mark.parametrize("left", [1, 4, 7])
def test_chunks_of_which_some_blocks_are_missing_are_not_complete(left, again):
    """Blocks that took turns were broken off in the midst of chunks."""
    where = Stopping()
    where.left = left
    source = da.from_array(numbers(40), chunks=3)
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, chunks=10, align="lock", scheduler="sync")
    where.left = left
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, chunks=10, align="lock", resume=True, scheduler="sync")
    where.left = 10**9
    result = to_zarr(source, where, chunks=10, align=again, resume=True)
    assert np.array_equal(result.array[:], numbers(40))
    assert result.verify() == 4
    assert len(list(where.sync)) == 5


class Counting(MemoryStore):
    """Fails at some change."""

    left = 10**9

    def _set(self, key: str, value: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError("stopped")
        return super()._set(key, value)


@pytest.mark.parametrize("left", range(1, 14, 2))
def test_an_array_of_the_same_metadata_is_not_taken_for_the_new_one(left):
    where = Counting()
    zarrstore.create_array(where, data=-numbers(40), chunks=10)
    how: dict[str, Any] = {"mode": "w", "chunks": 10, "chunk_key_encoding": "default"}
    source = da.from_array(numbers(40), chunks=7)
    where.left = left
    try:
        to_zarr(source, where, **how)
    except OSError:
        where.left = 10**9
        result = to_zarr(source, where, resume=True, **how)
        assert result.verify() == 4
    assert np.array_equal(zarrstore.open_array(where, mode="r")[:], numbers(40))
    assert len(list(where.sync)) == 5


class Keeping(MemoryStore):
    """Fails at the second chunk that is to be deleted."""

    left = 2

    def _delete(self, key: str) -> Any:
        self.left -= key.startswith("c/")
        if not self.left:
            raise OSError("stopped")
        return super()._delete(key)


def test_a_replacement_that_is_broken_off_while_the_old_array_is_deleted():
    """What is left of that is not taken for the new one."""
    where = Keeping()
    zarrstore.create_array(where, data=-numbers(60), chunks=10)
    how: dict[str, Any] = {"mode": "w", "chunks": 10, "chunk_key_encoding": "default"}
    source = da.from_array(numbers(40), chunks=7)
    with pytest.raises(OSError, match="stopped"):
        to_zarr(source, where, **how)
    with pytest.raises(NodeNotFoundError):
        zarrstore.open_array(where, mode="r")
    result = to_zarr(source, where, resume=True, **how)
    assert np.array_equal(result.array[:], numbers(40))
    assert result.verify() == 4
    assert len(list(where.sync)) == 5


def test_a_replacement_made_of_what_is_gone_goes_on():
    where = StoppingLater()
    lazy = from_zarr(zarrstore.create_array(where, data=numbers(40), chunks=5), chunks=5)[::-1]
    how: dict[str, Any] = {"mode": "w", "chunks": 5, "chunk_key_encoding": "default"}
    with pytest.raises(OSError, match="stopped"):
        to_zarr(lazy.rechunk(2), where, **how)
    where.left = 10**9
    result = to_zarr(lazy.rechunk(2), where, resume=True, **how)
    assert np.array_equal(result.array[:], numbers(40)[::-1])
    assert len(list(where.sync)) == 9


def test_an_array_that_was_replaced_since_it_was_opened():
    """Its chunks are elsewhere: it is not read as fill values, and nothing is written beside it."""
    where = MemoryStore()
    array = zarrstore.create_array(where, data=numbers(20), chunks=5)
    lazy = from_zarr(where)
    (result,) = dask.compute(to_zarr(lazy + 1, where, mode="w", compute=False))
    assert np.array_equal(lazy.compute(), numbers(20))  # its chunks are deleted by whoever tidies
    result.tidy_up()
    for write in (lazy.compute, lambda: to_zarr(lazy + 1, where, mode="w")):
        with pytest.raises(ConflictError, match="open it again"):
            write()
    with pytest.raises(ConflictError, match="open it again"):
        store(da.ones(20, dtype="int64"), array)
    now = zarrstore.open_array(where)
    assert np.array_equal(now[:], numbers(20) + 1)
    lazy = from_zarr(where)
    zarrstore.open_array(where).resize(30)
    assert np.array_equal(lazy.compute(), numbers(20) + 1)
    with pytest.raises(ConflictError, match="other shape"):
        store(da.ones(20, dtype="int64"), now)


def test_a_task_that_failed_is_computed_again():
    where = Stopping()
    task = to_zarr(da.ones(20, chunks=5), where, compute=False)
    where.left = 2
    with pytest.raises(OSError, match="stopped"):
        task.compute()
    where.left = 10**9
    (result,) = dask.compute(task)
    assert result.verify() == 4


def test_formats_may_change_when_an_array_is_replaced():
    where = MemoryStore()
    for zarr_format, shape in [(2, (9, 9)), (3, (9, 9)), (2, (81,)), (3, ()), (3, ()), (2, ())]:
        expected = numbers(*shape)
        expected = np.asarray(expected)
        source = da.from_array(expected, chunks=(4,) * len(shape))
        result = to_zarr(source, where, mode="w", zarr_format=zarr_format)
        found = zarrstore.open_array(where, mode="r")
        assert found.zarr_format == zarr_format
        assert np.array_equal(found[...], expected)
        result.verify()
        assert not [key for key in where.sync if NOTE_KEY in key]


def test_keys_that_are_asked_for_are_kept():
    where = MemoryStore()
    for _ in range(2):
        to_zarr(da.ones(10, chunks=5), where, mode="w", chunk_key_encoding="default")
        assert sorted(where.sync) == ["c/0", "c/1", "zarr.json"]


def test_many_chunks_of_a_block_are_one_batch():
    store_ = LatencyStore(MemoryStore(), 0.02, 0.02)
    result = to_zarr(da.from_array(numbers(40, 40), chunks=20), store_, chunks=1)
    assert result.verify() == 1600


def test_arrays_of_zarr_python_as_targets(tmp_path):
    theirs = zarr.create_array(tmp_path / "a.zarr", shape=(20,), chunks=(6,), dtype="int64")
    store_dask(sources=da.from_array(numbers(20), chunks=4), targets=theirs, split_every=2)
    assert np.array_equal(theirs[:], numbers(20))
    store(da.from_zarr(theirs)[::-1], zarrstore.open_array(tmp_path / "a.zarr"))
    assert np.array_equal(theirs[:], numbers(20)[::-1])
    with pytest.raises(ValueError, match="split_every is 2 or more"):
        store(da.ones(20, dtype="int64"), theirs, split_every=1)


def test_from_zarr():
    array = zarrstore.create_array({}, data=numbers(60, 50), chunks=(7, 8))
    assert from_zarr(array).chunks == ((60,), (50,))
    with dask.config.set({"array.chunk-size": "1kiB"}):
        lazy = from_zarr(array)
    assert lazy.chunks[0] == (7,) * 8 + (4,)
    assert np.array_equal(lazy.compute(), array[:])
    assert np.array_equal(from_zarr(array, chunks=(10, 10))[3:7, ::3].compute(), array[3:7, ::3])
    assert from_zarr(zarrstore.create_array({}, shape=(0, 3))).compute().shape == (0, 3)
    cells = zarrstore.create_array({}, data=numbers(10), chunks=[[1, 2, 3, 4]])
    with dask.config.set({"array.chunk-size": "8B"}):
        assert from_zarr(cells).chunks == ((1, 2, 3, 4),)
    with pytest.raises(NodeNotFoundError):
        from_zarr({}, "nothing")


def test_computing_meta():
    called: list[Any] = []

    @computing_meta
    def written(block, *, factor=2):
        """Document."""
        called.append(block.shape)
        return np.array([block.sum() * factor])

    assert has_keyword(written, "computing_meta")
    assert list(inspect.signature(written).parameters) == ["block", "factor", "computing_meta"]
    assert written.__doc__ == "Document."
    blocks = da.map_blocks(written, da.ones(6, chunks=2), chunks=(1,), dtype=float)
    assert not called  # dask has not run it to learn what it returns
    assert blocks.compute(scheduler="sync").tolist() == [4, 4, 4]
    assert called == [(2,)] * 3


def test_without_dask(tmp_path):
    (tmp_path / "dask.py").write_text("raise ImportError('none')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import zarrstore.dask"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'zarrstore[dask]'" in done.stderr
