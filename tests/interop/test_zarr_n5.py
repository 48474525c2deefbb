"""zarr-python 3 on N5 containers, by way of `to_zarr`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

import zarrstore
from zarrstore.errors import CorruptDataError
from zarrstore.interop.zarr import to_zarr

DATA = Path(__file__).parents[1] / "data" / "n5.zip"
VALUES = np.arange(35).reshape(5, 7)


def test_it_reads_what_zarr_python_2_wrote():
    group = zarr.open_group(to_zarr(f"{DATA}|zip:|n5:"), mode="r", zarr_format=2)
    for name, array in group["types"].arrays():
        assert array.dtype == np.dtype(name)
        assert (array[:] == VALUES.astype(name)).all()
    for _, array in group["codecs"].arrays():
        assert (array[:] == VALUES.astype("f4") / 3).all()


def test_it_writes_what_is_there(tmp_path):
    path = f"{tmp_path}/x.n5"
    zarrstore.create_array(path, name="a", shape=(5, 7), chunks=(3, 4), dtype="i4")
    array = zarr.open_array(to_zarr(path), path="a", mode="r+", zarr_format=2)
    array[:] = VALUES
    array[2:4, 3] = 100
    expected = VALUES.copy()
    expected[2:4, 3] = 100
    assert (zarrstore.open_array(path, path="a", mode="r")[:] == expected).all()


def test_an_array_that_it_has_created_is_opened_anew(tmp_path):
    """What it would write without is refused, and not read as something else."""
    store = to_zarr(f"{tmp_path}/x.n5")
    array = zarr.create_array(store, shape=(2, 2), chunks=(2, 2), dtype="i4", zarr_format=2)
    with pytest.raises(CorruptDataError, match="open the array anew"):
        array[:] = 1
    zarr.open_array(store, mode="r+", zarr_format=2)[:] = 1
    assert zarrstore.open_array(store.store, mode="r")[:].tolist() == [[1, 1], [1, 1]]
