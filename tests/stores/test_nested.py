"""`NestedStore`: chunks with dots in nested directories."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import zarrstore
from zarrstore.abc import ABSENT, RangeByteRequest
from zarrstore.errors import ConflictError, UnsupportedOperationError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.nested import NestedStore

VALUES = np.arange(24).reshape(2, 3, 4)


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    return NestedStore(MemoryStore() if request.param == "memory" else LocalStore(tmp_path))


def test_chunks_are_nested_below(store):
    group = zarrstore.open_group(store, zarr_format=2)
    array = group.create_array("a", data=VALUES, chunks=(1, 2, 2))
    assert json.loads(store.store.sync["a/.zarray"])["dimension_separator"] == "."
    assert store.store.sync["a/1/0/1"] == store.sync["a/1.0.1"]
    assert not store.store.sync.exists("a/1.0.1")
    assert (zarrstore.open_array(store, path="a", mode="r")[:] == VALUES).all()
    array[1, 2, 3] = 99
    assert array[1, 2, 3] == 99
    assert sorted(store.sync.list_dir("a")) == sorted(
        [".zarray", *(f"{i}.{j}.{k}" for i in range(2) for j in range(2) for k in range(2))]
    )


def test_a_tree_of_zarr_python_before_2_8():
    """Its documents do not say how chunks are laid out."""
    document = {
        "zarr_format": 2, "shape": [2, 2], "chunks": [1, 1], "dtype": "|u1", "compressor": None,
        "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    data = {"0/.zarray": json.dumps(document).encode(), ".zgroup": b'{"zarr_format": 2}'}
    data |= {f"0/{i}/{j}": bytes([2 * i + j]) for i in range(2) for j in range(2)}
    store = NestedStore(MemoryStore(data))
    assert zarrstore.open_group(store, mode="r")["0"][:].tolist() == [[0, 1], [2, 3]]
    assert sorted(store.sync) == [".zgroup", "0/.zarray", "0/0.0", "0/0.1", "0/1.0", "0/1.1"]
    assert sorted(store.sync.list_dir()) == [".zgroup", "0"]
    assert sorted(store.sync.list_dir("0")) == [".zarray", "0.0", "0.1", "1.0", "1.1"]
    assert store.sync.is_empty("0/0")
    store.sync.delete_dir("0/0")
    assert store.sync.exists("0/0.0")
    store.sync.delete_dir("0")
    assert sorted(data) == [".zgroup"]


def test_arrays_with_the_other_separator_are_left_as_they_are(store):
    group = zarrstore.open_group(store, zarr_format=2)
    group.create_array("a", data=VALUES, chunks=(1, 2, 2), dimension_separator="/")
    assert store.store.sync["a/1/0/1"] == store.sync["a/1/0/1"]
    assert (zarrstore.open_array(store, path="a", mode="r")[:] == VALUES).all()
    assert sorted(store.sync.list_dir("a")) == [".zarray", "0", "1"]
    assert set(store.sync) == set(store.store.sync)


def test_arrays_named_by_numbers_and_of_one_dimension(store):
    group = zarrstore.open_group(store, zarr_format=2)
    for name in ("0", "1"):
        group.create_array(name, data=[1, 2, 3], chunks=2)
    assert sorted(store.sync.list_prefix("1")) == ["1/.zarray", "1/0", "1/1"]
    assert group["1"][:].tolist() == [1, 2, 3]


def test_paths_of_numbers(store):
    """Where there is no array they are keys as any other; below one they are its chunks."""
    store.sync["a/0/1"] = b"1"
    assert list(store.sync) == ["a/0/1"]
    assert store.sync["a/0/1"] == b"1"
    assert list(store.sync.list_dir("a")) == ["0"]
    store.sync.delete_dir("a/0")
    group = zarrstore.open_group(store, zarr_format=2)
    group.create_array("0", data=VALUES[0], chunks=(2, 2))
    for key in ("0/1/1", "0/1.1.1", "0/0/1.1"):
        with pytest.raises(UnsupportedOperationError, match="with dots"):
            store.sync[key] = b"1"
        assert store.sync.get(key) is None
    assert store.sync["0/1.1"]
    with pytest.raises(UnsupportedOperationError, match="create the array first"):
        store.sync["b/0.1"] = b"1"


def test_a_copy_writes_documents_first(store):
    source = MemoryStore()
    zarrstore.create_array(source, data=VALUES, chunks=(1, 2, 2), zarr_format=2)
    zarrstore.copy(source, store)
    assert dict(store.sync) == dict(source.sync)


def test_by_every_method(store):
    zarrstore.create_array(store, name="a", shape=(2, 3), chunks=(1, 1), dtype="u1", zarr_format=2)
    sync, part = store.sync, RangeByteRequest(1, 3)
    version = sync.set("a/0.1", b"12345", expect=ABSENT)
    with pytest.raises(ConflictError):
        sync.set("a/0.1", b"", expect=ABSENT)
    assert sync.get_ranges("a/0.1", [part, part]) == [b"23", b"23"]
    assert sync.get_versioned("a/0.1", [part]) == ([b"23"], 5, version)
    assert sync.stat("a/0.1").version == version
    assert sync.get_many(["a/0.1", "a/0.2", ("a/0.1", part)]) == [b"12345", None, b"23"]
    sync.set_each([("a/0.2", b"2"), ("b", b"3")])
    assert sync.get_each_into(["a/0.2", "b", "c"], [bytearray(1) for _ in range(3)]) == [1, 1, None]
    assert sorted(sync) == [".zgroup", "a/.zarray", "a/0.1", "a/0.2", "b"]
    assert sync.getsize_prefix("a") == 6 + sync.getsize("a/.zarray")
    sync.delete("a/0.1")
    assert sorted(store.store.sync) == [".zgroup", "a/.zarray", "a/0/2", "b"]


def test_pickle(tmp_path):
    store = NestedStore(LocalStore(tmp_path))
    zarrstore.create_array(store, name="a", data=[[0, 1]], chunks=(1, 1), zarr_format=2)
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.sync["a/0.1"] == store.sync["a/0.1"]
