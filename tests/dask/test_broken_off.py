"""Writes that are broken off at every change that they make to a store, and go on."""

from __future__ import annotations

import itertools
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

import zarrstore
from zarrstore import MemoryStore
from zarrstore.dask import from_zarr, store, to_zarr
from zarrstore.dask.targets import NOTE_KEY


class Failing(MemoryStore):
    """Fails at a change, and from then on."""

    left = 10**9

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is full")

    def _set(self, key: str, value: Any) -> Any:
        self._count()
        return super()._set(key, value)

    def _set_if(self, key: str, value: Any, expect: Any) -> Any:
        self._count()
        return super()._set_if(key, value, expect)

    def _delete(self, key: str) -> Any:
        self._count()
        return super()._delete(key)

    def _delete_dir(self, prefix: str) -> None:
        self._count()
        super()._delete_dir(prefix)


def written(where: Failing, left: int, write: Any) -> str:
    """Write until a change fails; tell how far that went."""
    where.left = left
    try:
        write()
    except OSError as error:
        is_there = "all was written" in "".join(getattr(error, "__notes__", []))
        return "all but deleted" if is_there else "in part"
    finally:
        where.left = 10**9
    return "all"


@pytest.mark.parametrize("align", ["auto", "lock"])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("mode", ["w-", "w"])
def test_a_new_array(mode, zarr_format, align):
    expected = np.arange(60).reshape(6, 10)
    source = da.from_array(expected, chunks=(4, 5))
    how = {"mode": mode, "chunks": (3, 5), "zarr_format": zarr_format, "align": align}
    how["scheduler"] = "sync"
    for left in itertools.count():
        where = Failing()
        if mode == "w":
            old = {"chunks": (3, 5), "zarr_format": zarr_format}
            zarrstore.create_array(where, data=-expected, **old)
        done = written(where, left, lambda where=where: to_zarr(source, where, **how))
        if done != "all":
            assert to_zarr(source, where, resume=True, **how).verify() >= 4
        assert np.array_equal(zarrstore.open_array(where, mode="r")[...], expected)
        assert not [key for key in where.sync if NOTE_KEY in key]
        documents = {"zarr.json", ".zarray", ".zattrs"}
        assert len([key for key in where.sync if key not in documents]) == 4
        if done == "all":
            return


@pytest.mark.parametrize("align", ["auto", "lock"])
@pytest.mark.parametrize("reads", [False, True], ids=["others", "itself"])
def test_into_an_array(reads, align):
    before, made = np.arange(50), np.arange(35) + 1000
    expected = before.copy()
    expected[10:45] = before[10:45][::-1] if reads else made
    how = {"region": slice(10, 45), "align": align, "scheduler": "sync", "resume": True}
    for left in itertools.count():
        where = Failing()
        array = zarrstore.create_array(where, data=before, chunks=10)

        def write(array: Any = array) -> None:
            lazy = from_zarr(array, chunks=7)[10:45][::-1] if reads else da.from_array(made, 7)
            to_zarr(lazy, array, **how).verify()

        done = written(where, left, write)
        if done == "in part":
            write()
            assert not [key for key in where.sync if NOTE_KEY in key]
        assert np.array_equal(array[:], expected)
        if done == "all":
            return


@pytest.mark.parametrize("resume", [False, True])
def test_arrays_that_are_made_of_each_other(resume):
    before = np.arange(8)
    for left in itertools.count():
        where = Failing()
        group = zarrstore.create_group(where)
        a, b = [
            group.create_array(name, data=before + n, chunks=4)
            for name, n in (("a", 0), ("b", 100))
        ]

        def write(resume: bool, a: Any = a, b: Any = b) -> None:
            store([from_zarr(b) + 1, from_zarr(a) + 1], [a, b], resume=resume, scheduler="sync")

        done = written(where, left, lambda write=write: write(resume))
        if done == "in part":
            write(True)
        assert np.array_equal(a[:], before + 101)
        assert np.array_equal(b[:], before + 1)
        if done == "all":
            return


def test_what_an_earlier_write_has_left_is_not_taken_for_this_one():
    where = MemoryStore()
    array = zarrstore.create_array(where, data=np.zeros(8, int), chunks=2)
    for number in (1, 2):  # made of the array itself: it waits, and is left to be deleted later
        task = to_zarr(from_zarr(array) + 1, array, resume=True, compute=False)
        dask.compute(task, scheduler="sync")
        assert array[:].tolist() == [number] * 8


@pytest.mark.parametrize("between", ["resize", "other data"])
def test_an_array_that_has_changed_since_a_write_into_it_was_broken_off(between):
    where = Failing()
    array = zarrstore.create_array(where, data=np.zeros(8, int), chunks=2)
    source = da.arange(1, 9, chunks=2)
    how = {"scheduler": "sync", "align": "lock", "resume": True}
    assert written(where, 6, lambda: to_zarr(source, array, **how)) == "in part"
    assert [key for key in where.sync if "/done-" in key]
    if between == "resize":
        array.resize(0)
        array.resize(8)
    else:
        to_zarr(-source, array, align="lock", scheduler="sync")
    to_zarr(source, array, **how).verify()
    assert array[:].tolist() == list(range(1, 9))
