"""Datasets of xarray: written as planned, in any place, whole or not at all, by one at a time."""

from __future__ import annotations

import os
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import zarrstore
from zarrstore import ConflictError, NodeExistsError, ReadOnlyError
from zarrstore.dask import AlignmentError
from zarrstore.interop.xarray import dataset_to_zarr, plan_dataset
from zarrstore.interop.zarr import to_zarr as adapted

ENCODING: dict[str, dict[str, Any]] = {
    "t": {"chunks": (10, 4), "shards": (20, 8)},
    "p": {"dtype": "float32", "scale_factor": 2.0, "_FillValue": -1, "chunks": (6, 6)},
    "label": {},
}


def days(first: int, count: int) -> xr.Dataset:
    """Return a dataset whose blocks line up with nothing, of which some is in memory."""
    values = np.arange(first * 17, (first + count) * 17).reshape(count, 17)
    time = np.datetime64("2000-01-01", "ns") + np.arange(first, first + count) * np.timedelta64(
        1, "D"
    ).astype("timedelta64[ns]")
    return xr.Dataset(
        {
            "t": (("time", "x"), da.from_array(values / 3, chunks=(7, 5)), {"units": "K"}),
            "p": (("time", "x"), da.from_array(values * 2, chunks=((count - 3, 3), 4))),
            "label": ("time", np.array([f"day {n}" for n in range(first, first + count)], object)),
            "when": ("time", da.from_array(time, chunks=3)),
        },
        {"time": time, "x": np.arange(17), "z": ("x", da.from_array(np.ones(17), chunks=4))},
        {"title": "weather"},
    )


def opened(store: Any, group: str | None = None) -> xr.Dataset:
    with xr.open_zarr(adapted(store), group=group) as found:
        return found.load()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_new_appended_and_regions(zarr_format):
    data: dict[str, bytes] = {}
    encoding = {name: dict(given) for name, given in ENCODING.items()}
    if zarr_format == 2:
        del encoding["t"]["shards"]
    plan = plan_dataset(days(0, 33), data, encoding=encoding, zarr_format=zarr_format)
    assert not data
    assert plan[0].conflicts == 6 if zarr_format == 3 else plan[0].conflicts > 6
    result = dataset_to_zarr(days(0, 33), data, encoding=encoding, zarr_format=zarr_format)
    assert [str(each) for each in result.plan] == [str(each) for each in plan]
    assert result.verify() == len(result.keys)
    assert [each.array.path for each in result][:3] == ["t", "p", "label"]
    assert opened(data).identical(days(0, 33).compute())

    result = dataset_to_zarr(days(33, 12), data, append_dim="time", align="lock")
    assert result.plan[0].partial > 0
    result.verify()
    assert opened(data).equals(days(0, 45).compute())

    want = days(0, 45).compute()
    regions: list[tuple[int, Any]] = [(100, {"time": slice(13, 28)}), (200, "auto")]
    for first, region in regions:
        part = days(first, 15).assign_coords(time=want.time[13:28]).drop_vars("z")
        if region != "auto":
            part = part.drop_vars("x")
        for name in part.data_vars:
            want[name][13:28] = part[name].compute()
        assert dataset_to_zarr(part, data, region=region).plan.partial > 0
        assert opened(data).equals(want)
    with pytest.raises(AlignmentError):
        dataset_to_zarr(part, data, region="auto", align="error")
    assert opened(data).equals(want)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_read_is_replaced(zarr_format):
    data: dict[str, bytes] = {}
    dataset_to_zarr(days(0, 20), data, "deep/a", zarr_format=zarr_format)
    found = xr.open_zarr(adapted(data), group="deep/a").drop_encoding()
    upside_down = found.isel(time=slice(None, None, -1)).drop_vars("when")
    want = upside_down.compute()
    keys = {key for key in data if key.startswith("deep/a/t/")}
    result = dataset_to_zarr(
        upside_down, data, "deep/a", mode="w", encoding={"t": {"chunks": (5, 9)}}
    )
    assert not keys & result[0].keys.keys()  # so that the old ones stay until all are there
    assert opened(data, "deep/a").equals(want)
    assert not any("when" in key for key in data)
    with pytest.raises(NodeExistsError, match="mode 'w' replaces"):
        dataset_to_zarr(days(0, 20), data, "deep/a")
    dataset_to_zarr(days(0, 20)[["when"]], data, "deep/a", mode="a")
    assert "when" in opened(data, "deep/a")


def test_chunks_that_are_chosen():
    # xarray chooses none for blocks of several shapes, and none that fit shards
    values = da.from_array(np.arange(400).reshape(20, 20), chunks=((3, 17), 7))
    times = da.from_array(np.arange(20).astype("datetime64[s]"), chunks=((3, 17),))
    dataset = xr.Dataset({"a": (("y", "x"), values), "b": (("y", "x"), values), "s": ("y", times)})
    dataset["b"].encoding = {"dtype": "int16", "chunks": "auto"}
    data: dict[str, bytes] = {}
    dataset_to_zarr(dataset, data, encoding={"a": {"shards": (10, 20)}})
    assert zarrstore.open_array(data, path="a").shards == (10, 20)
    assert zarrstore.open_array(data, path="b").dtype == np.int16
    assert opened(data).equals(dataset.compute())


def test_broken_off(tmp_path):
    def failing(block, block_info=None):
        if block_info and block_info[0]["chunk-location"] == (2, 1):
            raise OSError("no more room")
        return block

    def broken(dataset):
        data = dataset.t.data.map_blocks(failing, dtype=float)
        return dataset.assign(t=dataset.t.copy(data=data))

    with pytest.raises(OSError, match="no more room"):
        dataset_to_zarr(broken(days(0, 20)), tmp_path)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(tmp_path, consolidated=False)
    with pytest.raises(NodeExistsError, match="resume=True"):
        dataset_to_zarr(days(0, 20), tmp_path)
    assert dataset_to_zarr(days(0, 20), tmp_path, resume=True).verify() == 37
    with pytest.raises(OSError, match="no more room"):
        dataset_to_zarr(broken(days(20, 20)), tmp_path, append_dim="time")
    assert opened(tmp_path).identical(days(0, 20).compute())
    with pytest.raises(ConflictError, match="resume=True"):
        dataset_to_zarr(days(20, 20), tmp_path, append_dim="time")
    dataset_to_zarr(days(20, 20), tmp_path, append_dim="time", resume=True)
    assert opened(tmp_path).equals(days(0, 40).compute())
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if "zarrstore" in name]


def test_other_data_appended_in_the_place_of_an_append_that_was_broken_off():
    def failing(block, block_info=None):
        if block_info and block_info[0]["chunk-location"] == (3,):
            raise OSError("no more room")
        return block

    def dataset(value):
        return xr.Dataset({"t": ("x", da.full(8, value, chunks=2))})

    data: dict[str, bytes] = {}
    dataset_to_zarr(dataset(0), data)
    broken = dataset(1)
    broken["t"] = "x", broken.t.data.map_blocks(failing, dtype=int)
    how = {"append_dim": "x", "resume": True, "scheduler": "sync"}
    with pytest.raises(OSError, match="no more room"):
        dataset_to_zarr(broken, data, **how)
    dataset_to_zarr(dataset(2), data, **how)
    assert opened(data).t.values.tolist() == [0] * 8 + [2] * 8
    assert not [key for key in data if "zarrstore" in key]


def test_later():
    data: list[dict[str, bytes]] = [{}, {}]
    tasks = [
        dataset_to_zarr(days(n, 20), where, compute=False, encoding=ENCODING)
        for n, where in enumerate(data)
    ]
    assert not any(key.endswith("zarr.json") for key in data[0])
    for n, result in enumerate(dask.compute(*tasks)):
        assert result.verify() == len(result.keys)
        assert opened(data[n]).identical(days(n, 20).compute())


def test_what_is_refused():
    with pytest.raises(TypeError, match="to_dataset"):
        dataset_to_zarr(days(0, 5)["t"], {})
    with pytest.raises(ReadOnlyError):
        dataset_to_zarr(days(0, 5), zarrstore.MemoryStore(read_only=True))
    with pytest.raises(ValueError, match="append_dim="):
        dataset_to_zarr(days(0, 5), {}, mode="w", append_dim="time")
    with pytest.raises(ValueError, match="mode is one of w, w-, a, a-"):
        dataset_to_zarr(days(0, 5), {}, mode="r")
    with pytest.raises(ValueError, match="a region is"):
        plan_dataset(days(0, 5), {}, mode="w-", region="auto")
    data: dict[str, bytes] = {}
    dataset_to_zarr(days(0, 5), data)
    there = dict(data)
    with pytest.raises(ValueError, match="different dimension sizes"):
        dataset_to_zarr(days(5, 5).isel(x=slice(3)), data, append_dim="time")
    hours = days(5, 5).assign_coords(time=days(0, 5).time + np.timedelta64(1, "h"))
    with (
        pytest.warns(UserWarning, match="serialized faithfully"),
        pytest.raises(ValueError, match=r"'days since .* they would need 'hours since"),
    ):
        dataset_to_zarr(hours, data, append_dim="time")
    with pytest.raises(zarrstore.NotShareableError):
        dataset_to_zarr(days(5, 5), data, append_dim="time", scheduler="processes")
    assert data == there
