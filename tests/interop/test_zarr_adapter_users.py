"""xarray, dask, references and OME-Zarr on the stores here, by way of zarr-python."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
import xarray
import zarr
from blockbuster import BlockBuster
from interop.zarr_stores import TableStore, make_store

import zarrstore
from zarrstore.interop.zarr import from_zarr, to_zarr

pytest_plugins = ["servers"]

STORES = ["local", "zip", "table", "memory", "fsspec memory", "s3"]
OME_ZARR = tuple(map(int, importlib.metadata.version("ome-zarr").split(".")[:2]))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", STORES)
def test_xarray(name: str, zarr_format: Any, request: pytest.FixtureRequest) -> None:
    store = to_zarr(make_store(name, request))
    options: Any = {"zarr_format": zarr_format, "consolidated": False}
    values = np.arange(12.0).reshape(4, 3)
    coordinates = {"time": np.arange(4), "x": [1, 2, 3]}
    first = xarray.Dataset({"t": (("time", "x"), values)}, coordinates, {"title": "heights"})
    first.to_zarr(store, mode="w", **options)
    later = first.assign_coords(time=np.arange(4, 8))
    later.to_zarr(store, append_dim="time", **options)
    part = (first * 0 - 1).drop_vars(["time", "x"])
    part.to_zarr(store, region={"time": slice(2, 6)}, **options)
    expected = np.concatenate([values, values])
    expected[2:6] = -1
    with xarray.open_zarr(store, **options) as back:
        assert isinstance(back.t.data, dask.array.Array)
        np.testing.assert_array_equal(back.t, expected)
        np.testing.assert_array_equal(back.time, np.arange(8))
        assert back.attrs == {"title": "heights"}
        np.testing.assert_array_equal(back.t.isel(time=slice(1, 3)), expected[1:3])
    # what xarray closed was a view
    with xarray.open_dataset(store, engine="zarr", chunks=None, **options) as back:
        np.testing.assert_array_equal(back.t, expected)
    ours = zarrstore.open_group(from_zarr(store), mode="r")
    np.testing.assert_array_equal(ours["t"][...], expected)
    store.close()


@pytest.mark.parametrize("name", ["local", "table", "s3"])
def test_xarray_reads_what_is_written_here(name: str, request: pytest.FixtureRequest) -> None:
    store = make_store(name, request)
    group = zarrstore.create_group(store)
    group.create_array("x", data=np.arange(3), dimension_names=["x"])
    group.create_array("t", data=np.ones((3, 2)), chunks=1, dimension_names=["x", "y"])
    zarrstore.consolidate_metadata(store)
    with xarray.open_zarr(to_zarr(store), consolidated=True) as found:
        assert dict(found.sizes) == {"x": 3, "y": 2}
        assert float(found.t.sum()) == 6
    store.sync.close()


@pytest.mark.parametrize("name", STORES)
def test_dask(name: str, request: pytest.FixtureRequest) -> None:
    store = to_zarr(make_store(name, request))
    values = np.arange(64, dtype="int64").reshape(8, 8)
    array = dask.array.from_array(values, chunks=(4, 2))
    target = zarr.create_array(
        store, name="a", shape=values.shape, dtype=values.dtype, chunks=(4, 2)
    )
    array.store(target, lock=False)
    found = dask.array.from_zarr(zarr.open_array(store, path="a", mode="r"))
    assert found.chunks == ((4, 4), (2, 2, 2, 2))
    np.testing.assert_array_equal(found.compute(scheduler="threads"), values)
    np.testing.assert_array_equal(
        dask.array.from_zarr(store, component="a")[2:5].compute(), values[2:5]
    )
    store.close()


def test_dask_in_processes(tmp_path: Path) -> None:
    store = to_zarr(TableStore(str(tmp_path / "pairs")))
    zarr.create_array(store, name="a", shape=20, dtype="int8", chunks=5)[:] = 1
    array = dask.array.from_zarr(zarr.open_array(store, path="a", mode="r"))
    assert array.sum().compute(scheduler="processes", num_workers=2) == 20
    store.close()


@pytest.mark.parametrize("place", ["file", "s3"])
def test_references(
    place: str, tmp_path: Path, request: pytest.FixtureRequest, blockbuster: BlockBuster
) -> None:
    """A kerchunk document: chunks that are parts of other files, metadata in the document."""
    for function in blockbuster.functions.values():
        # s3fs reads its configuration on the loop where the filesystem of references calls it
        function.can_block_in("s3fs/core.py", "set_session")
    values = np.arange(12, dtype="<i4").reshape(3, 4)
    raw = b"HEAD" + values.tobytes()
    options: dict[str, Any] = {"remote_protocol": place}
    if place == "file":
        where = str(tmp_path / "old.bin")
        (tmp_path / "old.bin").write_bytes(raw)
    else:
        bucket = request.getfixturevalue("s3_bucket")
        with zarrstore.open_store(bucket.url, storage_options=bucket.storage_options).sync as s3:
            s3["old.bin"] = raw
        where = f"{bucket.url}/old.bin"
        options["remote_options"] = bucket.storage_options
    array = {"zarr_format": 2, "shape": [3, 4], "chunks": [1, 4], "dtype": "<i4", "order": "C"}
    array |= {"compressor": None, "filters": None, "fill_value": 0}
    references = {
        ".zgroup": '{"zarr_format": 2}',
        ".zattrs": "{}",
        "a/.zarray": json.dumps(array),
        "a/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": ["y", "x"]}),
        **{f"a/{row}.0": [where, 4 + 16 * row, 16] for row in range(3)},
    }
    options["fo"] = {"version": 1, "refs": references}
    store = zarrstore.open_store("reference://", mode="r", storage_options=options)
    adapted = to_zarr(store)
    np.testing.assert_array_equal(zarr.open_group(adapted, mode="r")["a"][...], values)
    with xarray.open_zarr(adapted, consolidated=False, mask_and_scale=False) as found:
        np.testing.assert_array_equal(found.a, values)
        assert found.a.dims == ("y", "x")
    np.testing.assert_array_equal(zarrstore.open_group(store, mode="r")["a"][...], values)
    store.sync.close()


def image_of(store: Any) -> tuple[list[Any], list[str]]:
    """Return the levels of an OME-Zarr image, and the names of its axes."""
    if OME_ZARR < (0, 21):
        # its reader takes paths only: what it would do, by the layout that OME-NGFF lays down
        group = zarr.open_group(store, mode="r")
        scales = group.attrs["ome"]["multiscales"][0]
        levels = [dask.array.from_zarr(group[each["path"]]) for each in scales["datasets"]]
        return levels, [axis["name"] for axis in scales["axes"]]
    from ome_zarr.io import ZarrLocation
    from ome_zarr.reader import Reader

    node = next(iter(Reader(ZarrLocation(store))()))
    return node.data, [axis["name"] for axis in node.metadata["axes"]]


# deprecations of its own dependencies
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", STORES)
def test_ome_zarr(name: str, request: pytest.FixtureRequest) -> None:
    from ome_zarr.writer import write_image

    store = to_zarr(make_store(name, request))
    pixels = np.random.default_rng(1).integers(0, 99, (2, 64, 64), dtype="uint8")
    group = zarr.create_group(store)
    write_image(pixels, group, axes="cyx", scale_factors=[2])
    levels, axes = image_of(store)
    assert axes == ["c", "y", "x"]
    assert [level.shape for level in levels] == [(2, 64, 64), (2, 32, 32)]
    np.testing.assert_array_equal(levels[0].compute(), pixels)
    ours = zarrstore.open_group(from_zarr(store), mode="r")
    path = ours.attrs["ome"]["multiscales"][0]["datasets"][0]["path"]
    np.testing.assert_array_equal(ours[path][...], pixels)
    store.close()
