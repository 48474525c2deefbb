"""Groups, attributes and consolidated metadata with zarr-python, and datasets with xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from interop.values import check_documents, check_same

import zarrstore

# that consolidated metadata, or a data type, is in no specification
pytestmark = [
    pytest.mark.filterwarnings("ignore:Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:The data type"),
]
ATTRIBUTES: dict[str, Any] = {"a": [1, None, 2.5, True, {"b": "é"}], "": {}, "n": -(2**60)}
FORMATS = pytest.mark.parametrize("zarr_format", [3, 2])
MEMBERS = ["g", "g/h", "g/h/x", "g/y", "k", "z"]


def fill(root: Any, zarr_format: int) -> None:
    """Make the same hierarchy with zarrstore or zarr-python, which have the same methods."""
    root.attrs.update(ATTRIBUTES)
    root.create_group("g", attributes=ATTRIBUTES).create_group("h")
    names = {"dimension_names": ["t", None]} if zarr_format == 3 else {}
    root["g/h"].create_array("x", data=np.arange(6.0).reshape(2, 3), chunks=(1, 2), **names)
    root["g"].create_array("y", shape=(4,), dtype=">i2", fill_value=-1, attributes=ATTRIBUTES)
    root.create_group("k")
    root.create_array("z", shape=(), dtype="float32", fill_value=float("nan"))


def check(root: Any, zarr_format: int) -> None:
    assert dict(root.attrs) == dict(root["g"].attrs) == dict(root["g/y"].attrs) == ATTRIBUTES
    assert dict(root["k"].attrs) == {}
    assert sorted(name for name, _ in root.members(max_depth=None)) == MEMBERS
    check_same(root["g/h/x"][...], np.arange(6.0).reshape(2, 3))
    check_same(root["g/y"][...], np.full(4, -1, "i2"))
    assert np.isnan(root["z"][()])
    assert root["g/h"].metadata.zarr_format == zarr_format
    if zarr_format == 3:
        assert root["g/h/x"].metadata.dimension_names == ("t", None)


@FORMATS
@pytest.mark.parametrize("consolidated_by", [None, "ours", "theirs"])
@pytest.mark.parametrize("written_by", ["ours", "theirs"])
def test_hierarchies(
    tmp_path: Path, zarr_format: Any, written_by: str, consolidated_by: str | None
) -> None:
    package: Any = {"ours": zarrstore, "theirs": zarr}[written_by]
    fill(package.create_group(tmp_path, zarr_format=zarr_format), zarr_format)
    if consolidated_by:
        package = {"ours": zarrstore, "theirs": zarr}[consolidated_by]
        package.consolidate_metadata(tmp_path)
    if written_by == "ours" and consolidated_by != "theirs":
        check_documents(tmp_path)
    used = bool(consolidated_by)
    for package in (zarrstore, zarr):
        check(package.open_group(tmp_path, mode="r"), zarr_format)
        check(package.open_group(tmp_path, mode="r", use_consolidated=used), zarr_format)


@FORMATS
def test_changes_to_what_the_other_has_open(tmp_path: Path, zarr_format: Any) -> None:
    fill(zarr.create_group(tmp_path, zarr_format=zarr_format), zarr_format)
    ours = zarrstore.open_group(tmp_path)
    del ours["g/h"]
    ours["g/y"].attrs["a"] = 3
    ours["g/y"].resize(6)
    ours["g/y"][4:] = 7
    theirs = zarr.open_group(tmp_path)
    assert dict(theirs["g/y"].attrs) == {**ATTRIBUTES, "a": 3}
    array: Any = theirs["g/y"]
    array.resize((7,))
    del theirs["k"]
    assert ours["g/y"][:].tolist() == [-1, -1, -1, -1, 7, 7, -1]
    assert [name for name, _ in ours.members(max_depth=None)] == ["g", "g/y", "z"]


def dataset() -> xarray.Dataset:
    times = np.array(["2020-01-01", "2020-01-02", "NaT"], "M8[ns]")
    return xarray.Dataset(
        {
            "heat": (("time", "x"), np.array([[0, np.nan], [2.5, 3], [4, 5]], "f4")),
            "count": (("x",), np.array([3, 2**40])),
            "flag": (("x",), np.array([True, False])),
            "name": (("x",), np.array(["é", ""], np.dtypes.StringDType())),
            "code": (("x",), np.array([b"ab", b"c"])),
            "scalar": ((), 1.5),
        },
        coords={"time": times, "x": [0.5, 1.5]},
        attrs={"title": "a"},
    )


@FORMATS
@pytest.mark.parametrize("consolidated", [False, True])
def test_datasets(tmp_path: Path, zarr_format: Any, consolidated: bool) -> None:
    """Those of xarray are read here, and written anew they are the same in xarray."""
    first = dataset()
    first.to_zarr(tmp_path / "a", zarr_format=zarr_format, consolidated=consolidated)
    source = zarrstore.open_group(tmp_path / "a", mode="r")
    copy = zarrstore.create_group(
        tmp_path / "b", zarr_format=zarr_format, attributes=source.attrs.asdict()
    )
    for name, array in source.arrays():
        attributes = array.attrs.asdict()
        names: Any = {}
        if zarr_format == 3:
            names = {"dimension_names": array.metadata.dimension_names}
            assert (names["dimension_names"] or ()) == first[name].dims
        else:
            assert tuple(attributes["_ARRAY_DIMENSIONS"]) == first[name].dims
        copy.create_array(
            name,
            data=array[...],
            dtype="string" if name == "name" else array.dtype,
            fill_value=array.metadata.fill_value,
            attributes=attributes,
            **names,
        )
    check_same(source["heat"][...], first["heat"].values)
    assert source["name"][:].tolist() == ["é", ""]
    if consolidated:
        zarrstore.consolidate_metadata(tmp_path / "b")
    options: dict[str, Any] = {"chunks": None, "consolidated": consolidated}
    for path in ("a", "b"):
        with xarray.open_zarr(tmp_path / path, **options) as again:
            xarray.testing.assert_identical(again.load(), first)


def test_a_dataset_of_ours(tmp_path: Path) -> None:
    """In Zarr v2 xarray takes what is like the fill value for missing, so there is none."""
    for zarr_format in (3, 2):
        root = zarrstore.create_group(tmp_path / str(zarr_format), zarr_format=zarr_format)
        for name, data in [("x", np.arange(3)), ("level", np.array([0.0, 1.5, 0]))]:
            if zarr_format == 3:
                root.create_array(name, data=data, dimension_names=["x"])
            else:
                named = {"_ARRAY_DIMENSIONS": ["x"]}
                root.create_array(name, data=data, attributes=named, fill_value=None)
        with xarray.open_zarr(tmp_path / str(zarr_format), chunks=None, consolidated=False) as read:
            expected = xarray.Dataset({"level": ("x", [0.0, 1.5, 0])}, coords={"x": [0, 1, 2]})
            xarray.testing.assert_identical(read.load(), expected)
