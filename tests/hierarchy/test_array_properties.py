"""What an array tells of itself, and how it acts where numpy or Python expects something else."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrstore
from zarrstore import aio

CREATED: dict[str, dict[str, Any]] = {
    "plain": {"chunks": (4, 5)},
    "raw": {"chunks": (4, 5), "compressors": None},
    "transposed": {
        "chunks": (4, 5),
        "filters": [{"name": "transpose", "configuration": {"order": [1, 0]}}],
    },
    "shards": {"chunks": (2, 3), "shards": (4, 6), "compressors": ["gzip", "crc32c"]},
    "v2": {"chunks": (4, 5), "zarr_format": 2, "order": "F"},
    "v2 raw": {"chunks": (4, 5), "zarr_format": 2, "compressors": None},
}


@pytest.mark.parametrize("options", CREATED.values(), ids=CREATED)
def test_properties_are_zarr_pythons(options: dict[str, Any], tmp_path: Path) -> None:
    array = zarrstore.create_array(
        tmp_path, shape=(9, 11), dtype="float32", fill_value=1.5, attributes={"a": 1}, **options
    )
    array[:4, :8] = 2
    theirs = zarr.open_array(tmp_path, mode="r")
    names = (
        "shape chunks shards ndim size dtype fill_value nbytes nchunks cdata_shape order path "
        "nchunks_initialized read_chunk_sizes write_chunk_sizes"
    )
    for name in names.split():
        if not hasattr(theirs, name):  # of an older zarr-python
            continue
        assert getattr(array, name) == getattr(theirs, name), name
    assert array.metadata.zarr_format == array.zarr_format == theirs.metadata.zarr_format
    assert array.nbytes_stored() == theirs.nbytes_stored()
    for name in ("filters", "compressors"):
        assert len(getattr(array, name)) == len(getattr(theirs, name)), name
    assert (array.serializer is None) == (theirs.serializer is None)
    later = array.async_array
    assert repr(later).startswith("<AsyncArray file://")
    assert asyncio.run(later.nchunks_initialized()) == array.nchunks_initialized
    assert asyncio.run(later.nbytes_stored()) == array.nbytes_stored()
    assert later.chunks == array.chunks
    if array.zarr_format == 2:
        assert array.compressor == next(iter(array.compressors), None)
    else:
        with pytest.raises(TypeError, match="compressors"):
            _ = array.compressor


def test_chunks_of_several_shapes() -> None:
    array = zarrstore.create_array({}, data=np.arange(10), chunks=[[3, 4, 3]])
    assert array.read_chunk_sizes == array.write_chunk_sizes == ((3, 4, 3),)
    assert (array.cdata_shape, array.nchunks, array.nchunks_initialized) == ((3,), 3, 3)
    assert array.shards is None
    with pytest.raises(NotImplementedError, match="use read_chunk_sizes"):
        _ = array.chunks
    assert list(array) == list(range(10))
    array.resize(8)
    assert array.read_chunk_sizes == ((3, 4, 1),)


def test_the_table_of_facts(tmp_path: Path) -> None:
    array = zarrstore.create_array(tmp_path, data=np.zeros((4, 6), "i2"), chunks=(2, 3))
    array[0, 0] = 1
    text = repr(array.info)
    for line in ("Shape", "(4, 6)", "int16", "zstd", "LocalStore", "No. chunks  : 4"):
        assert line in text
    assert "stored" not in text
    assert "No. chunks stored : 1" in repr(array.info_complete())
    later = array.async_array
    assert repr(asyncio.run(later.info_complete())) == repr(array.info_complete()).replace(
        ": Array", ": AsyncArray"
    )
    assert "<table" in array._repr_html_()
    sharded = zarrstore.create_array({}, data=np.ones((4, 6)), chunks=(2, 3), shards=(4, 6))
    assert "No. shards stored : 1" in repr(sharded.info_complete())
    texts = zarrstore.create_array({}, data=np.array(["a"]), dtype="string")
    assert "No. bytes  " not in repr(texts.info)


def test_numpy_makes_an_array_of_it() -> None:
    values = np.arange(6.0).reshape(2, 3) + 0.5
    array = zarrstore.create_array({}, data=values)
    for made in (np.asarray(array), np.array(array), np.array(array, copy=None)):
        np.testing.assert_array_equal(made, values, strict=True)
    assert np.asarray(array, dtype="i4").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (np.add(array, 1) == values + 1).all()
    assert np.asarray(array).flags.writeable
    with pytest.raises(ValueError, match="copied"):
        np.asarray(array, copy=False)


def test_arrays_of_one_element_are_numbers() -> None:
    one = zarrstore.create_array({}, data=np.array([[2.5]]))
    assert (float(one), int(one), complex(one), bool(one), one.item()) == (2.5, 2, 2.5, True, 2.5)
    assert type(one.item()) is float
    scalar = zarrstore.create_array({}, data=np.array(3))
    assert ["a", "b", "c", "d"][scalar] == "d"
    assert scalar[()] == 3
    assert scalar[...].shape == ()
    assert not zarrstore.create_array({}, data=np.array(0))
    many = zarrstore.create_array({}, data=np.arange(6).reshape(2, 3))
    assert many.item(1, 2) == 5
    for convert in (bool, int, float, complex):
        with pytest.raises(ValueError, match="6 elements"):
            convert(many)
    for array in (one, many):
        with pytest.raises(TypeError, match="is no index"):
            range(array)  # type: ignore[arg-type]


def test_length_and_rows() -> None:
    values = np.arange(21).reshape(7, 3)
    array = zarrstore.create_array({}, data=values, chunks=(2, 2), shards=(4, 2))
    assert len(array) == 7
    np.testing.assert_array_equal(list(array), values)
    scalar = zarrstore.create_array({}, data=np.array(3))
    for use in (len, iter):
        with pytest.raises(TypeError, match="without dimensions"):
            use(scalar)  # type: ignore[operator]


def test_copies_and_pickles_are_equal(tmp_path: Path) -> None:
    array = zarrstore.create_array(tmp_path, name="a", data=np.arange(5), write_empty_chunks=True)
    view = array.astype("f4")
    for made in (copy.copy(array), copy.deepcopy(array), pickle.loads(pickle.dumps(array))):
        assert made == array
        assert hash(made) == hash(array)
        assert made.write_empty_chunks
        assert made[2:].tolist() == [2, 3, 4]
    again = pickle.loads(pickle.dumps(view))
    assert again == view != array
    assert again[1].dtype == "f4"
    later = pickle.loads(pickle.dumps(array.async_array))
    assert asyncio.run(later.read()).tolist() == list(range(5))
    memory = zarrstore.create_array({}, data=[1, 2])
    assert pickle.loads(pickle.dumps(memory))[1] == 2
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)[1:3])"
    for pickled, expected in ((array, "[1 2]"), (view, "[1. 2.]")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(pickled),
            capture_output=True,
            timeout=120,
        )
        assert done.stdout.decode().strip() == expected, done.stderr.decode()


def test_one_element_is_read_by_the_shortest_way(tmp_path: Path) -> None:
    values = np.arange(60, dtype=">i4").reshape(6, 10)
    for options in ({"compressors": None}, {}, {"shards": (6, 9)}, {"chunk_key_encoding": "v2"}):
        array = zarrstore.create_array(
            tmp_path / "x", data=values, chunks=(2, 3), overwrite=True, fill_value=-5, **options
        )
        for index in ((0, 0), (5, 9), (-1, -2), (np.int8(3), 4)):
            assert array[index] == values[index]
            assert type(array[index]) is np.int32
        assert array[2, ...].shape == (10,)
        assert array[2, 3, ...].shape == ()
    array.store.sync.delete("0.0")
    assert array[1, 1] == -5
    array.store.sync["1.1"] = b"damaged"
    with pytest.raises(zarrstore.CorruptDataError, match=r"1\.1"):
        _ = array[2, 4]
    scalar = zarrstore.create_array({}, data=np.float64(1.5))
    assert scalar[()] == 1.5
    assert type(scalar[()]) is np.float64


def test_fill_values_of_views() -> None:
    array = zarrstore.create_array({}, shape=3, dtype="f8", fill_value=2.5)
    assert array.fill_value == 2.5
    assert array.astype("i2").fill_value == 2
    assert array.astype("i2")[:].tolist() == [2, 2, 2]
    assert math.isnan(zarrstore.create_array({}, shape=1, fill_value=np.nan).fill_value)


@pytest.mark.anyio
async def test_views_of_the_asynchronous_face() -> None:
    array = await aio.create_array({}, data=np.arange(4) + 0.5)
    view = array.astype("i8")
    assert (await view.read()).tolist() == [0, 1, 2, 3]
    assert (await view.read(2)).dtype == "i8"
    with pytest.raises(zarrstore.ReadOnlyError):
        await view.append([1])
    assert "shape=(4,) dtype=int64" in repr(view)
