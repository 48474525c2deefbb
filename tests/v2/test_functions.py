"""The functions of `zarrstore.v2`: on stores, and making and migrating arrays."""

from __future__ import annotations

import json
import os
from collections import ChainMap, OrderedDict
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

import zarrstore
from zarrstore import v2


def document(store: Any, path: str = "") -> Any:
    return json.loads(bytes(store[f"{path}/.zarray" if path else ".zarray"]))


def test_what_zarr_2_would_make_of_an_argument(tmp_path: Path) -> None:
    import fsspec

    for given, cls in (
        (None, v2.KVStore),
        ({}, v2.KVStore),
        (str(tmp_path / "x"), v2.DirectoryStore),
        (tmp_path / "x", v2.DirectoryStore),
        (tmp_path / "x.zip", v2.ZipStore),
        (f"file://{tmp_path}/x", v2.FSStore),
        ("simplecache::memory://x", v2.FSStore),
        (fsspec.get_mapper(f"file://{tmp_path}/x"), v2.FSStore),
        (OrderedDict(), v2.KVStore),
        (ChainMap(), v2.KVStore),
        (zarrstore.MemoryStore(), v2.V2Store),
        (zarrstore.MemoryStore().sync, v2.V2Store),
    ):
        with v2.normalize_store_arg(given, mode="w") as store:
            assert type(store) is cls, given
            assert store.is_writeable()
    data: dict[str, bytes] = {}
    v2.normalize_store_arg(data)["a"] = b"1"
    assert data == {"a": b"1"}
    assert not v2.normalize_store_arg(f"file://{tmp_path}/x").is_writeable()
    for arguments, options in (
        (({},), {"zarr_version": 3}),
        ((str(tmp_path),), {"storage_options": {"a": 1}}),
    ):
        with pytest.raises(ValueError, match=r"zarr_version|storage_options"):
            v2.normalize_store_arg(*arguments, **options)
    with pytest.raises(TypeError):
        v2.normalize_store_arg(object())
    with pytest.raises(TypeError):
        v2.KVStore([])  # type: ignore[arg-type]


def test_functions_take_any_mapping() -> None:
    data: dict[str, Any] = {"a/.zarray": b"{}", "a/b/.zgroup": b"{}", "ab": b"12"}
    for store in (data, zarrstore.MemoryStore(data), v2.KVStore(data)):
        assert v2.contains_array(store, "/a/")
        assert v2.contains_array(store, b"a")
        assert not v2.contains_array(store)
        assert v2.contains_group(store, "a/b")
        assert not v2.contains_group(store, "a")
        assert v2.listdir(store) == ["a", "ab"]
        assert v2.getsize(store, "a") == 2
    v2.rename(data, "a", "c")
    v2.rmdir(data, "c/b")
    assert sorted(data) == ["ab", "c/.zarray"]
    v2.rmdir(data)
    assert data == {}


def test_what_is_removed_at_exit(tmp_path: Path) -> None:
    for name in ("a.db", "a.db-log", "b"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.dbs" / "x").mkdir(parents=True)
    v2.atexit_rmtree(str(tmp_path / "a.db"))  # no directory
    v2.atexit_rmglob(str(tmp_path / "a.db*"))
    assert os.listdir(tmp_path) == ["b"]
    v2.atexit_rmtree(str(tmp_path))
    assert not tmp_path.exists()


def test_metadata_of_an_array() -> None:
    store: dict[str, bytes] = {}
    v2.init_array(store, 1000, 100)
    assert document(store) == {
        "chunks": [100],
        "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
        "dimension_separator": ".",
        "dtype": "<f8",
        "fill_value": None,
        "filters": None,
        "order": "C",
        "shape": [1000],
        "zarr_format": 2,
    }
    array = zarrstore.open_array(store)
    array[3] = 4
    assert array[2:5].tolist() == [0, 4, 0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compressor": None}, {"compressor": None}),
        ({"compressor": "none"}, {"compressor": None}),
        ({"compressor": numcodecs.Zlib(1)}, {"compressor": {"id": "zlib", "level": 1}}),
        ({"shape": (), "chunks": True}, {"compressor": None, "chunks": [], "shape": []}),
        ({"chunks": False}, {"chunks": [20, 30]}),
        ({"chunks": 10}, {"chunks": [10, 10]}),
        ({"chunks": (None, -1)}, {"chunks": [20, 30]}),
        ({"chunks": (7,)}, {"chunks": [7, 30]}),
        ({"dtype": ">u2", "fill_value": 7}, {"dtype": ">u2", "fill_value": 7}),
        ({"dtype": ("i4", (2, 3))}, {"dtype": "<i4", "shape": [20, 30, 2, 3]}),
        ({"order": "F"}, {"order": "F"}),
        ({"dimension_separator": "/"}, {"dimension_separator": "/"}),
        (
            {"filters": [numcodecs.Delta("f8")]},
            {"filters": [{"id": "delta", "dtype": "<f8", "astype": "<f8"}]},
        ),
        (
            {"dtype": object, "object_codec": numcodecs.VLenUTF8()},
            {"dtype": "|O", "filters": [{"id": "vlen-utf8"}]},
        ),
    ],
    ids=str,
)
def test_options_of_an_array(options: dict[str, Any], expected: dict[str, Any]) -> None:
    store: dict[str, bytes] = {}
    v2.init_array(store, **{"shape": (20, 30), "path": "a", **options})
    assert expected.items() <= document(store, "a").items()
    zarrstore.open_array(store, path="a")[...]


def test_the_separator_of_the_store() -> None:
    store = v2.MemoryStore(dimension_separator="/")
    v2.init_array(store, (2, 2), 1)
    zarrstore.open_array(store)[...] = 1
    assert {"0/0", "1/1"} <= set(store)


def test_overwriting() -> None:
    store: dict[str, bytes] = {"a/b/0": b"1"}
    chunks: dict[str, bytes] = {"a/b/1": b"2", "a/c": b"3"}
    v2.init_array(store, 4, path="a/b")
    for make in (v2.init_array, v2.init_group):
        arguments = {"shape": 4} if make is v2.init_array else {}
        with pytest.raises(zarrstore.NodeExistsError):
            make(store, path="a/b", **arguments)  # type: ignore[operator]
        make(store, path="a/b", overwrite=True, chunk_store=chunks, **arguments)  # type: ignore[operator]
        assert chunks == {"a/c": b"3"}
        assert "a/b/0" not in store
    assert v2.contains_group(store, "a/b")
    assert not v2.contains_array(store, "a/b")
    with pytest.raises(v2.ContainsGroupError):
        v2.init_group(store, path="a/b")
    with pytest.raises(ValueError, match="a/b"):
        v2.init_array(store, 4, path="a/b")
    v2.init_group(store, overwrite=True)
    assert sorted(store) == [".zgroup"]


V1 = {
    "chunks": [3],
    "dtype": "<i4",
    "fill_value": 0,
    "order": "C",
    "shape": [5],
    "zarr_format": 1,
}


@pytest.mark.parametrize(
    ("compression", "options", "codec"),
    [
        ("zlib", 1, numcodecs.Zlib(1)),
        ("bz2", 2, numcodecs.BZ2(2)),
        ("blosc", {"cname": "lz4", "clevel": 5, "shuffle": 1}, numcodecs.Blosc("lz4", 5, 1)),
        ("lzma", None, numcodecs.LZMA()),
        ("none", None, None),
        (None, None, None),
    ],
)
def test_from_version_1(compression: str | None, options: Any, codec: Any) -> None:
    meta = {**V1, "compression": compression, "compression_opts": options}
    chunks = np.arange(6, dtype="<i4").reshape(2, 3)
    data = {
        "meta": json.dumps(meta).encode(),
        "attrs": b'{"unit": "m"}',
        **{str(i): chunk.tobytes() if codec is None else bytes(codec.encode(chunk))
           for i, chunk in enumerate(chunks)},
    }  # fmt: skip
    v2.migrate_1to2(data)
    assert sorted(data) == [".zarray", ".zattrs", "0", "1"]
    array = zarrstore.open_array(data, mode="r")
    assert array[...].tolist() == [0, 1, 2, 3, 4]
    assert array.attrs["unit"] == "m"
    assert document(data)["compressor"] == (None if codec is None else codec.get_config())


def test_what_is_no_array_of_version_1() -> None:
    with pytest.raises(KeyError):
        v2.migrate_1to2({})
    for meta in (
        b"{",
        b"[]",
        json.dumps({**V1, "zarr_format": 2}).encode(),
        json.dumps({**V1, "compression": "nothing"}).encode(),
        json.dumps({**V1, "compression": "zlib", "compression_opts": "x"}).encode(),
        json.dumps({**V1, "shape": [-1], "compression": None}).encode(),
    ):
        data = {"meta": meta, "attrs": b"{}"}
        with pytest.raises(zarrstore.MetadataError):
            v2.migrate_1to2(data)
        assert data == {"meta": meta, "attrs": b"{}"}


def test_a_store_of_zarr_v3_is_refused() -> None:
    class Version3(dict):  # type: ignore[type-arg]
        _store_version = 3

    with pytest.raises(ValueError, match="Version3"):
        v2.normalize_store_arg(Version3())
