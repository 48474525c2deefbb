"""What a graph reads of the array that it writes into is noticed, whatever it is called there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

import zarrstore
from zarrstore import LatencyStore, LocalStore, PrefixStore
from zarrstore.dask import from_zarr, store
from zarrstore.dask.checks import check_source
from zarrstore.dask.reads import targets_read


def delayed(function: Callable[..., Any], *args: Any) -> da.Array:
    return da.from_delayed(dask.delayed(function, pure=False)(*args), (20,), "int64")


known: Any = None


def uses_a_global_name(block: Any) -> Any:
    return block + known[:]


def linked(root: Path) -> da.Array:
    os.symlink(root, f"{root}-link")
    return from_zarr(f"{root}-link/a")


def names_it(block: Any) -> Any:
    global known
    known = block
    return da.ones(20, dtype="int64").map_blocks(uses_a_global_name, dtype="int64")


READS: dict[str, Callable[[Path, Any], da.Array]] = {
    "array": lambda root, array: from_zarr(array)[::-1].rechunk(7),
    "url": lambda root, array: from_zarr(f"file://{root}", "a"),
    "link": lambda root, array: linked(root),
    "view": lambda root, array: from_zarr(PrefixStore(LocalStore(root), "a").with_read_only()),
    "wrapper": lambda root, array: from_zarr(LatencyStore(LocalStore(root / "a"), 0, 0)),
    "path given to dask": lambda root, array: da.from_zarr(str(root / "a")),
    "zarr-python": lambda root, array: da.from_zarr(zarr.open_array(root / "a", mode="r")),
    "closure": lambda root, array: delayed(lambda: array[::-1]),
    "default": lambda root, array: delayed(lambda array=array: array[::-1]),
    "global": lambda root, array: names_it(array),
    "method": lambda root, array: delayed(array.__getitem__, ...),
    "group": lambda root, array: delayed(
        lambda group: group["a"][:], zarrstore.open_group(root, mode="r")
    ),
    "store": lambda root, array: delayed(zarrstore.load, LocalStore(root), "a"),
    "path": lambda root, array: delayed(lambda path: zarr.load(path), root / "a"),
    "text": lambda root, array: delayed(zarrstore.load, str(root), "a"),
    "text of a function": lambda root, array: delayed(lambda: zarr.load(f"{root}/a")),
    "relative": lambda root, array: delayed(zarrstore.load, os.path.relpath(root / "a")),
}


@pytest.mark.parametrize("name", READS)
def test_ways_to_read(name, tmp_path):
    root = tmp_path / "r"
    group = zarrstore.create_group(root)
    array = group.create_array("a", data=np.arange(1, 21), chunks=3)
    other = zarrstore.create_group(tmp_path / "other").create_array("a", shape=20, dtype="int64")
    source = READS[name](root, array)
    cores = [array._core, other._core]
    assert targets_read(dict(source.__dask_graph__()), cores) == {array._core.url}
    expected = source.compute(scheduler="sync")
    store(source, array, scheduler="sync")
    assert array[:].tolist() == expected.tolist()
    assert not [key for key in group.store.sync if "zarrstore-write" in key]


def test_what_reads_something_else(tmp_path):
    group = zarrstore.create_group(tmp_path)
    first, second = [group.create_array(name, data=np.arange(20)) for name in "ab"]
    for source in (from_zarr(second), da.from_zarr(str(tmp_path / "b")), delayed(lambda: second)):
        assert not targets_read(dict(source.__dask_graph__()), [first._core])


def test_blocks_that_numpy_cannot_read():
    class Sparse:
        shape, dtype, ndim = (0,), np.dtype(float), 1

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("would be dense")

    lazy = da.ones(4)
    lazy._meta = Sparse()
    with pytest.raises(TypeError, match=r"Sparse.*map_blocks"):
        check_source(lazy)
