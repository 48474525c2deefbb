"""Zarr v2: arrays and groups, in both directions with zarr-python."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr_metadata.model import read_node_metadata_v2

import zarrstore
from zarrstore import aio

DTYPES: list[Any] = [
    "bool", "i1", ">i4", "<u8", "f2", ">f8", "c8", "S3", "U4", "M8[ns]", "m8[s]", "V4",
    [("a", ">i4"), ("b", "S3")], "string",
]  # fmt: skip
COMPRESSORS: list[Any] = [
    "auto", None, "gzip", {"id": "zlib", "level": 1}, numcodecs.Blosc("lz4", shuffle=2),
]  # fmt: skip


def values_of(dtype: Any, shape: tuple[int, ...] = (5, 4)) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    if dtype == "string":
        return np.array(rng.choice(["", "a", "bé", "ccc"], shape), object)
    dtype = np.dtype(dtype)
    if dtype.kind in "SU":
        return rng.choice(["", "a", "bb", "ccc"], shape).astype(dtype)
    if dtype.names or dtype.kind == "V":
        return np.frombuffer(rng.bytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    return rng.integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("separator", [".", "/"])
def test_ours_in_theirs(tmp_path: Path, dtype: Any, order: Any, separator: Any) -> None:
    values = values_of(dtype)
    for number, compressor in enumerate(COMPRESSORS):
        path = str(tmp_path / str(number))
        ours = zarrstore.create_array(
            path,
            shape=values.shape,
            dtype=dtype,
            chunks=(2, 3),
            order=order,
            dimension_separator=separator,
            compressor=compressor,
            zarr_format=2,
            attributes={"x": [1, None]},
        )
        ours[:4] = values[:4]
        theirs = zarr.open_array(path, mode="r")
        expected = theirs[...]
        assert expected[:4].tolist() == values[:4].tolist()
        assert zarrstore.open_array(path, mode="r")[...].tolist() == expected.tolist()
        assert dict(theirs.attrs) == {"x": [1, None]}
        assert (tmp_path / str(number) / ("0/0" if separator == "/" else "0.0")).exists()
        document = json.loads((tmp_path / str(number) / ".zarray").read_text())
        assert document["order"] == order
        assert document["dimension_separator"] == separator


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_theirs_in_ours(tmp_path: Path, dtype: Any, order: Any) -> None:
    values = values_of(dtype)
    theirs = zarr.create_array(
        str(tmp_path),
        shape=values.shape,
        dtype=str if dtype == "string" else values.dtype,
        chunks=(2, 3),
        order=order,
        zarr_format=2,
        attributes={"x": 1},
    )
    theirs[:4] = values[:4]
    ours = zarrstore.open_array(tmp_path)
    assert ours[...].tolist() == theirs[...].tolist()
    assert ours.zarr_format == 2
    assert ours.attrs.asdict() == {"x": 1}
    ours[4] = values[4]
    assert zarr.open_array(str(tmp_path), mode="r")[...].tolist() == values.tolist()
    ours.attrs["y"] = 2
    assert dict(zarr.open_array(str(tmp_path), mode="r").attrs) == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("filters", "dtype"),
    [
        ([numcodecs.Delta("i4")], "i4"),
        ([{"id": "shuffle", "elementsize": 4}], "i4"),
        ([numcodecs.FixedScaleOffset(0, 10, "f8", "i4")], "f8"),
        ([numcodecs.VLenUTF8()], object),
        ([{"id": "vlen-utf8"}], "O"),
    ],
    ids=str,
)
def test_filters(tmp_path: Path, filters: Any, dtype: Any) -> None:
    values = values_of("string" if dtype in (object, "O") else dtype)
    ours = zarrstore.create_array(
        tmp_path, shape=values.shape, dtype=dtype, filters=filters, zarr_format=2
    )
    ours[...] = values
    assert zarr.open_array(str(tmp_path), mode="r")[...].tolist() == values.tolist()
    assert zarrstore.open(tmp_path)[...].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("given", "stored", "read"),
    [
        ({}, 0.0, 0.0),
        ({"fill_value": None}, None, 0.0),
        ({"fill_value": 3}, 3.0, 3.0),
        ({"fill_value": np.nan}, "NaN", np.nan),
        ({"fill_value": -np.inf}, "-Infinity", -np.inf),
    ],
)
def test_fill_values(given: Any, stored: Any, read: float) -> None:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, shape=2, dtype="f8", zarr_format=2, **given)
    assert json.loads(bytes(data[".zarray"]))["fill_value"] == stored
    array = zarrstore.open_array(data)
    np.testing.assert_array_equal(array[:], [read, read])
    assert array.metadata.fill_value == stored
    array.attrs["x"] = 1
    array.resize(3)
    assert json.loads(bytes(data[".zarray"]))["fill_value"] == stored


def test_a_bare_nan_of_python_is_read() -> None:
    """As zarr-python 2 wrote it, and some still do."""
    document = {
        "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "<f8", "compressor": None,
        "fill_value": math.nan, "order": "C", "filters": None,
    }  # fmt: skip
    data = {".zarray": json.dumps(document).encode(), ".zattrs": b'{"a": Infinity}'}
    assert b"NaN" in data[".zarray"]
    array = zarrstore.open(data)
    assert np.isnan(array[0])
    assert array.attrs["a"] == math.inf


def test_groups(tmp_path: Path) -> None:
    root = zarrstore.create_group(tmp_path, zarr_format=2, attributes={"of": "root"})
    assert root.zarr_format == 2
    array = root.create_array("g/a", shape=(3,), dtype="i2", attributes={"x": 1})
    assert array.zarr_format == root["g"].zarr_format == 2
    root.create_group("k", attributes={"of": "k"})
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        ".zattrs", ".zgroup", "g/.zgroup", "g/a/.zarray", "g/a/.zattrs", "k/.zattrs", "k/.zgroup",
    ]  # fmt: skip
    theirs = zarr.open_group(str(tmp_path), mode="r")
    assert sorted(name for name, _ in theirs.members(max_depth=None)) == ["g", "g/a", "k"]
    assert dict(theirs.attrs) == {"of": "root"}
    assert dict(theirs["k"].attrs) == {"of": "k"}
    for group in (root, zarrstore.open_group(tmp_path), zarrstore.open(tmp_path, mode="r")):
        assert group.keys() == ["g", "k"]
        assert [name for name, _ in group.members(None)] == ["g", "g/a", "k"]
        assert "g/a" in group
        assert "g/b" not in group
    assert root["g/a"].shape == (3,)
    del root["g"]
    assert root.keys() == ["k"]
    with pytest.raises(zarrstore.NodeExistsError):
        root.create_array("k", shape=1)
    assert root.create_array("k", shape=1, overwrite=True).zarr_format == 2


def test_attributes_of_others_are_kept() -> None:
    data: dict[str, Any] = {}
    first = zarrstore.create_group(data, zarr_format=2)
    assert list(data) == [".zgroup"]
    second = zarrstore.open_group(data)
    first.attrs["a"] = 1
    second.attrs["b"] = 2
    assert first.attrs.asdict() == {"a": 1}
    del first.attrs["a"]
    assert zarrstore.open_group(data).attrs.asdict() == {"b": 2}
    zarrstore.delete(data)
    assert data == {}
    with pytest.raises(zarrstore.NodeNotFoundError):
        second.attrs["c"] = 3
    assert data == {}


def test_which_format_is_found_and_made() -> None:
    data: dict[str, Any] = {}
    zarrstore.create_group(data, path="two", zarr_format=2)
    assert zarrstore.open(data).zarr_format == 2
    assert zarrstore.create_array(data, name="two/a", shape=1).zarr_format == 2
    assert zarrstore.open_array(data, path="b", shape=1).zarr_format == 2
    before = dict(data)
    with pytest.raises(ValueError, match="is of Zarr v2"):
        zarrstore.create_array(data, name="two/c", shape=1, zarr_format=3)
    for mode in ("r", "r+"):
        with pytest.raises(zarrstore.NodeNotFoundError):
            zarrstore.open(data, mode, path="two", zarr_format=3)  # type: ignore[arg-type]
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.open_group(data, path="", zarr_format=3)
    for format in (1, 4, True, "2"):
        with pytest.raises(ValueError, match="zarr_format is 2, 3 or None"):
            zarrstore.open(data, zarr_format=format)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="zarr_format is 2, 3 or None"):
            zarrstore.create_array({}, shape=1, zarr_format=format)  # type: ignore[arg-type]
    assert data == before
    other: dict[str, Any] = {}
    zarrstore.create_group(other)
    with pytest.raises(ValueError, match="is of Zarr v3"):
        zarrstore.create_group(other, path="x", zarr_format=2)
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.create_group(other, zarr_format=2)
    assert list(other) == ["zarr.json"]
    assert zarrstore.create_group(other, zarr_format=2, overwrite=True).zarr_format == 2
    assert list(other) == [".zgroup"]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"serializer": "bytes"}, ValueError, "no serializer"),
        ({"shards": (4,)}, ValueError, "no shards"),
        ({"codecs": []}, ValueError, "no codecs"),
        ({"dimension_names": ["x"]}, ValueError, "no dimension_names"),
        ({"chunks": [[2, 2]]}, ValueError, "one shape only"),
        ({"compressors": ["gzip", "zlib"]}, ValueError, "Zarr v2 has one"),
        ({"compressor": "gzip", "compressors": "gzip"}, ValueError, "give one of them"),
        ({"compressor": "nothing"}, ValueError, "nothing"),
        ({"compressor": 3}, TypeError, "codec"),
        ({"order": "A"}, ValueError, "order is"),
        ({"dimension_separator": "-"}, ValueError, "dimension_separator is"),
        ({"chunk_key_encoding": "default"}, ValueError, "must be 'v2'"),
        (
            {"chunk_key_encoding": ("v2", "/"), "dimension_separator": "."},
            ValueError,
            "give one of them",
        ),
        ({"dtype": object}, TypeError, "needs a filter"),
        ({"fill_value": "x"}, ValueError, "fill_value"),
        ({"filters": [{"id": "pickle"}], "dtype": object}, ValueError, "pickle"),
        ({"config": {"x": 1}}, ValueError, "config has no"),
    ],
    ids=str,
)
def test_options_that_are_not_valid_change_nothing(
    options: Any, error: type[Exception], says: str
) -> None:
    data: dict[str, Any] = {}
    with pytest.raises(error, match=says):
        zarrstore.create_array(data, **{"shape": 4, "zarr_format": 2, **options})
    assert data == {}


def test_options_of_version_2_in_version_3() -> None:
    data: dict[str, Any] = {}
    for options in ({"compressor": "gzip"}, {"dimension_separator": "."}):
        with pytest.raises(ValueError, match="Zarr v3 has no"):
            zarrstore.create_array(data, shape=4, zarr_format=3, **options)  # type: ignore[arg-type]
    assert data == {}
    for separator in ("/", "."):
        array = zarrstore.create_array(
            data,
            shape=4,
            zarr_format=2,
            chunk_key_encoding={"name": "v2", "separator": separator},
            overwrite=True,
        )
        assert array.metadata.dimension_separator == separator


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_documents_are_those_of_the_specification(dtype: Any) -> None:
    data: dict[str, Any] = {}
    group = zarrstore.create_group(data, zarr_format=2, attributes={"a": 1})
    group.create_array("x", shape=(4, 2), dtype=dtype, filters=None, attributes={"b": 2})
    documents = {key: json.loads(bytes(value)) for key, value in data.items()}
    assert documents[".zgroup"] == {"zarr_format": 2}
    assert documents[".zattrs"] == {"a": 1}
    assert documents["x/.zattrs"] == {"b": 2}
    assert set(documents["x/.zarray"]) == {
        "zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order", "filters",
        "dimension_separator",
    }  # fmt: skip
    files = {name: documents[f"x/{name}"] for name in (".zarray", ".zattrs")}
    assert read_node_metadata_v2(files).problems == ()


def test_as_coroutines(tmp_path: Path) -> None:
    async def main() -> None:
        group = await aio.create_group(tmp_path, zarr_format=2)
        array = await group.create_array("a/b", data=np.arange(4), chunks=3)
        await array.update_attributes({"x": 1})
        again = await aio.open(tmp_path, path="a/b")
        assert again.zarr_format == 2
        assert (await again.read()).tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]
        assert again.attrs == {"x": 1}
        assert await group.keys() == ["a"]

    asyncio.run(main())
