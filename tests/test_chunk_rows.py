"""Whole chunks in a row, which are copied together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import zarrstore
from zarrstore.errors import CorruptDataError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore


@pytest.mark.parametrize("compressors", [None, "zstd", {"name": "blosc", "configuration": {}}])
@pytest.mark.parametrize("kind", ["memory", "local"])
def test_rows_with_missing_partial_and_foreign_chunks(kind, compressors, tmp_path):
    store = MemoryStore() if kind == "memory" else LocalStore(tmp_path / "root")
    array = zarrstore.create_array(
        store, shape=(70, 330), chunks=(16, 8), dtype="i4", fill_value=-1, compressors=compressors
    )
    data = np.arange(70 * 330, dtype="i4").reshape(70, 330)
    array[...] = data
    assert_array_equal(array[...], data)
    for at in ("c/0/3", "c/1/0", "c/2/40"):
        store.sync.delete(at)
    data[:16, 24:32] = data[16:32, :8] = data[32:48, 320:328] = -1
    assert_array_equal(array[...], data)
    assert_array_equal(array[5:70, 3:329], data[5:70, 3:329])
    assert_array_equal(array[::-1, ::-1], data[::-1, ::-1])
    assert_array_equal(array.oindex[[3, 2, 60], 8:320], data[[3, 2, 60], 8:320])
    out = np.empty((70, 330), "f8", order="F")
    array.read(out=out)
    assert_array_equal(out, data)
    array[::-1, ::-1] = data
    assert_array_equal(array[...], data[::-1, ::-1])


def test_empty_chunks_among_others_are_left_out():
    store = MemoryStore()
    array = zarrstore.create_array(store, shape=(4, 64), chunks=(4, 4), dtype="f8")
    data = np.zeros((4, 64))
    data[:, 8:12] = 1
    data[3, 63] = -0.0  # not the fill value, bit for bit
    array[...] = data
    assert sorted(store.sync.list_dir("c/0")) == ["15", "2"]
    array[...] = np.ones((4, 64))
    array[...] = data
    assert sorted(store.sync.list_dir("c/0")) == ["15", "2"]


def test_the_chunk_that_is_damaged_is_named(tmp_path):
    store = LocalStore(tmp_path)
    array = zarrstore.create_array(store, shape=640, chunks=8, dtype="i4", compressors=None)
    array[...] = np.arange(640)
    for data in (b"", b"short", b"x" * 33, b"x" * 100_000):
        store.sync.set("c/37", data)
        with pytest.raises(CorruptDataError, match=rf"'c/37'.*{len(data)} bytes where 32"):
            array[...]


@pytest.mark.parametrize("compressors", [None, "zstd"])
def test_what_is_selected_by_arrays_reaches_the_result(compressors):
    array = zarrstore.create_array(
        {}, shape=(12, 6), chunks=(2, 3), dtype="i2", compressors=compressors
    )
    data = np.arange(72, dtype="i2").reshape(12, 6)
    array[...] = data
    rows = [11, 0, 1, 0, 6]
    out = np.full((5, 6), -7, "i2")  # what is not written would show
    array.get_orthogonal_selection((rows, slice(None)), out=out)
    assert_array_equal(out, data[rows])
    out = np.full(5, -7, "i2")
    array.get_coordinate_selection((rows, [0, 5, 2, 3, 3]), out=out)
    assert_array_equal(out, data[rows, [0, 5, 2, 3, 3]])
