"""What is written here opens in zarr-python and tensorstore with equal values, and back."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
import zarr.codecs

import zarrstore

EXAMPLES = Path(__file__).parent.parent / "examples"
COMPRESSORS: dict[str, Any] = {
    "none": None,
    "gzip": {"name": "gzip", "configuration": {"level": 5}},
    "zstd": {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    "zstd with a checksum": {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
    "blosc": {"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "bitshuffle"}},
    "crc32c": {"name": "crc32c"},
}
DTYPES = ["bool", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64", "complex64"]


def _values(dtype: str) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 2, (13, 7)).astype(dtype)


def _in_zarr(path: Path) -> Any:
    return zarr.open_array(path, mode="r")[...]


def _in_tensorstore(path: Path) -> Any:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    return tensorstore.open(spec).result().read().result()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressor", COMPRESSORS.values(), ids=COMPRESSORS)
@pytest.mark.parametrize("big", [False, True])
def test_ours_in_theirs(tmp_path: Path, dtype: str, compressor: Any, big: bool) -> None:
    values = _values(dtype)
    endian = {"endian": "big" if big else "little"} if values.itemsize > 1 else {}
    zarrstore.create_array(
        tmp_path / "x",
        data=values,
        chunks=(4, 3),
        fill_value=1,
        serializer={"name": "bytes", "configuration": endian},
        compressors=compressor,
        attributes={"a": [1, None]},
        dimension_names=["y", "x"],
    )
    np.testing.assert_array_equal(_in_zarr(tmp_path / "x"), values)
    if not (compressor and compressor.get("configuration", {}).get("checksum")):
        np.testing.assert_array_equal(_in_tensorstore(tmp_path / "x"), values)
    assert dict(zarr.open_array(tmp_path / "x", mode="r").attrs) == {"a": [1, None]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "compressor",
    [
        None,
        zarr.codecs.GzipCodec(level=1),
        zarr.codecs.ZstdCodec(level=3),
        zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle"),
        zarr.codecs.Crc32cCodec(),
    ],
    ids=repr,
)
def test_zarrs_in_ours(tmp_path: Path, dtype: str, compressor: Any) -> None:
    values = _values(dtype)
    theirs = zarr.create_array(
        tmp_path / "x",
        shape=values.shape,
        dtype=values.dtype,
        chunks=(4, 3),
        compressors=compressor,
        fill_value=1,
        attributes={"a": 1},
    )
    theirs[:8] = values[:8]
    expected = theirs[...]
    ours = zarrstore.open_array(tmp_path / "x")
    np.testing.assert_array_equal(ours[...], expected)
    assert ours.dtype == values.dtype
    assert dict(ours.attrs) == {"a": 1}
    ours[8:] = values[8:]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "x")[...], values)
    again = zarrstore.create_array(tmp_path / "y", data=values, compressors=compressor)
    np.testing.assert_array_equal(again[...], values)


@pytest.mark.parametrize("compressor", ["none", "gzip", "zstd", "blosc", "crc32c"])
def test_tensorstores_in_ours(tmp_path: Path, compressor: str) -> None:
    values = _values("float32")
    codecs: list[Any] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if COMPRESSORS[compressor] is not None:
        names = {"zstd": {"name": "zstd", "configuration": {"level": 1}}}
        codecs.append(names.get(compressor, COMPRESSORS[compressor]))
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(tmp_path / "x")},
        "metadata": {
            "shape": [13, 7],
            "data_type": "float32",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 3]}},
            "codecs": codecs,
        },
        "create": True,
    }
    tensorstore.open(spec).result().write(values).result()
    np.testing.assert_array_equal(zarrstore.open_array(tmp_path / "x", mode="r")[...], values)


def test_special_fill_values(tmp_path: Path) -> None:
    payload = np.array(0x7FC00123, "u4").view("f4")[()]
    for number, value in enumerate([np.nan, np.inf, -np.inf, payload, -0.0]):
        path = tmp_path / str(number)
        zarrstore.create_array(path, shape=3, dtype="f4", fill_value=value)
        expected = np.full(3, value, "f4")
        assert _in_zarr(path).tobytes() == expected.tobytes()
        assert zarrstore.open_array(path)[:].tobytes() == expected.tobytes()
    zarrstore.create_array(tmp_path / "c", shape=2, dtype="c8", fill_value=complex(1, np.inf))
    np.testing.assert_array_equal(_in_zarr(tmp_path / "c"), np.full(2, complex(1, np.inf), "c8"))


def test_groups_and_zips(tmp_path: Path) -> None:
    values = _values("int32")
    with zarrstore.open_group(tmp_path / "x.zip", mode="w") as group:
        group.create_array("a/b", data=values, chunks=(5, 5))
        group["a"].attrs["title"] = "x"
    with zarr.storage.ZipStore(tmp_path / "x.zip", mode="r") as store:
        theirs = zarr.open_group(store, mode="r")
        np.testing.assert_array_equal(theirs["a/b"][...], values)
        assert dict(theirs["a"].attrs) == {"title": "x"}
    theirs = zarr.open_group(tmp_path / "y", mode="w")
    theirs.create_array("c/d", data=values)
    ours = zarrstore.open_group(tmp_path / "y", mode="r")
    assert ours.tree() == "/\n└── c\n    └── d (13, 7) int32"


@pytest.mark.parametrize("dtype", DTYPES)
def test_documents_pass_the_strict_models(tmp_path: Path, dtype: str) -> None:
    from zarr_metadata.model import read_array_metadata_v3, read_group_metadata_v3

    for number, compressor in enumerate(COMPRESSORS.values()):
        zarrstore.create_array(
            tmp_path, name=f"g/{number}", data=_values(dtype), compressors=compressor
        )
        document = json.loads((tmp_path / "g" / str(number) / "zarr.json").read_text())
        assert read_array_metadata_v3(document).problems == ()
    zarrstore.create_group(tmp_path, path="h", attributes={"a": [1, {"b": None}]})
    for name in ("g", "h", "."):
        document = json.loads((tmp_path / name / "zarr.json").read_text())
        assert read_group_metadata_v3(document).problems == ()


def test_the_quickstart_and_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["quickstart.py", "--keep", str(tmp_path / "out")])
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "every value is equal" in printed
    with np.load(EXAMPLES / "data" / "hubble_deep_field.npz") as arrays:
        photograph = arrays["rgb"]
    path = tmp_path / "out" / "hubble.zarr" / "rgb"
    np.testing.assert_array_equal(_in_zarr(path), photograph)
    np.testing.assert_array_equal(_in_tensorstore(path), photograph)
    with zarr.storage.ZipStore(tmp_path / "out" / "hubble.zip", mode="r") as store:
        np.testing.assert_array_equal(zarr.open_array(store, path="rgb")[...], photograph)
    spec = {
        "driver": "zarr3",
        "kvstore": {
            "driver": "zip",
            "base": {"driver": "file", "path": str(tmp_path / "out" / "hubble.zip")},
            "path": "rgb/",
        },
    }
    there = tensorstore.open(spec).result().read().result()
    np.testing.assert_array_equal(there, photograph)
