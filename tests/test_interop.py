"""Zip files, codecs and the quickstart: what the rest of tests/interop has not."""

from __future__ import annotations

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


@pytest.mark.parametrize("dtype", ["bool", "int32", "float64"])
@pytest.mark.parametrize(
    "compressors",
    [
        None,
        zarr.codecs.GzipCodec(level=1),
        zarr.codecs.ZstdCodec(level=3),
        zarr.codecs.BloscCodec(cname="zstd", shuffle="shuffle"),
        zarr.codecs.BloscCodec(cname="lz4"),
        [zarr.codecs.ZstdCodec(checksum=True), zarr.codecs.Crc32cCodec()],
    ],
    ids=["none", "gzip", "zstd", "blosc", "lz4", "zstd and crc32c"],
)
def test_objects_of_zarr_python(tmp_path: Path, dtype: str, compressors: Any) -> None:
    """They mean the same here and there."""
    values = np.arange(91).reshape(13, 7).astype(dtype)
    options: dict[str, Any] = {
        "compressors": compressors,
        "filters": zarr.codecs.TransposeCodec(order=(1, 0)),
        "serializer": zarr.codecs.BytesCodec(endian="big" if dtype != "bool" else None),
        "chunks": (4, 3),
    }
    ours = zarrstore.create_array(tmp_path / "ours", data=values, **options)
    theirs = zarr.create_array(tmp_path / "theirs", data=values, **options)
    assert [each.to_dict() for each in ours.compressors] == [
        each.to_dict() for each in theirs.compressors
    ]
    for name in ("ours", "theirs"):
        np.testing.assert_array_equal(zarr.open_array(tmp_path / name)[...], values)
        np.testing.assert_array_equal(zarrstore.open_array(tmp_path / name)[...], values)


def test_groups_and_zips(tmp_path: Path) -> None:
    values = np.arange(91, dtype="int32").reshape(13, 7)
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
    np.testing.assert_array_equal(zarr.open_array(path, mode="r")[...], photograph)
    spec: Any = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), photograph)
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
