"""Writes that are broken off at every change that they make to a store, and go on."""

from __future__ import annotations

import itertools
from typing import Any

import dask.array as da
import numpy as np
import pytest

import zarrstore
from zarrstore import MemoryStore
from zarrstore.dask import from_zarr, to_zarr
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
