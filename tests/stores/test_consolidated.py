"""`ConsolidatedStore`: documents from one, chunks from the store."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import numpy as np
import pytest
from zarrstore_testing.hooks import watched_hooks

import zarrstore
from zarrstore.abc import Capability, RangeByteRequest
from zarrstore.errors import MetadataError, ReadOnlyError
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.stores.wrappers.consolidated import ConsolidatedStore

VALUES = np.arange(12).reshape(3, 4)


def tree(zarr_format):
    """A store with a group, a group in it, and an array in that; consolidated."""
    store = MemoryStore()
    group = zarrstore.create_group(store, attributes={"n": 1}, zarr_format=zarr_format)
    group.create_group("g", attributes={"m": 2})
    group.create_array("g/a", data=VALUES, chunks=(2, 2))
    group.create_array("b", data=VALUES[0], chunks=2)
    zarrstore.consolidate_metadata(store)
    return store


class Unlisted(WrapperStore):
    """A store that cannot list, as one over HTTP."""

    def __init__(self, store):
        super().__init__(store)
        self._capabilities = store.capabilities & ~Capability.LIST


@pytest.fixture(params=[2, 3])
def zarr_format(request):
    return request.param


@pytest.fixture
def inner(zarr_format):
    return tree(zarr_format)


def test_documents_need_no_request(inner):
    store = ConsolidatedStore(inner)
    with watched_hooks(inner) as counts:
        group = zarrstore.open_group(store, mode="r")
        assert sorted(name for name, _ in group.members()) == ["b", "g"]
        assert dict(group["g"].attrs) == {"m": 2}
        array = group["g/a"]
        assert counts == Counter(_get_many=1, _get=2)  # of both keys that may have them
        assert (array[:] == VALUES).all()
        assert counts["_list"] == counts["_list_dir"] == counts["_exists"] == 0


def test_without_a_listing(inner):
    store = ConsolidatedStore(Unlisted(inner))
    group = zarrstore.open_group(store, mode="r")
    assert sorted(name for name, _ in group.members(max_depth=None)) == ["b", "g", "g/a"]
    assert (group["g/a"][:] == VALUES).all()
    inside = zarrstore.open_group(store, path="g", mode="r")
    assert [name for name, _ in inside.members()] == ["a"]
    assert (zarrstore.open_array(store, path="b", mode="r")[:] == VALUES[0]).all()


def test_the_same_documents_as_those_below(inner):
    store = ConsolidatedStore(inner)
    for key in inner.sync:
        there = inner.sync[key]
        if key.endswith((".zarray", ".zgroup", ".zattrs", "zarr.json")):
            ours, theirs = json.loads(store.sync[key]), json.loads(there)
            ours.pop("consolidated_metadata", None)
            theirs.pop("consolidated_metadata", None)
            assert ours == theirs
            assert store.sync.getsize(key) == len(store.sync[key])
        else:
            assert store.sync[key] == there


def test_what_is_not_consolidated_is_missing(inner, zarr_format):
    zarrstore.create_array(inner, name="new", data=VALUES, zarr_format=zarr_format)
    store = ConsolidatedStore(inner)
    assert "new" not in zarrstore.open_group(store, mode="r")
    for name in (".zarray", ".zattrs", "zarr.json", ".zgroup", ".zmetadata"):
        key = f"new/{name}"
        assert store.sync.get(key) is None
        assert store.sync.stat(key) is None
        assert not store.sync.exists(key)
        assert key not in list(store.sync)
    assert [key for key in store.sync if key.startswith("new/")]


def test_documents_by_every_method(inner, zarr_format):
    store = ConsolidatedStore(inner)
    sync = store.sync
    key = "g/a/zarr.json" if zarr_format == 3 else "g/a/.zarray"
    chunk = next(each for each in inner.sync.list_prefix("b") if each[-1].isdigit())
    whole, data = sync[key], inner.sync[chunk]
    part = RangeByteRequest(1, 4)
    assert sync.get(key, part) == whole[1:4]
    assert sync.get_ranges(key, [part, part]) == [whole[1:4]] * 2
    assert sync.get_ranges("g/.zarray", [part]) is None
    assert sync.get_versioned(key, [part], lambda parts, size: [part]).parts == [whole[1:4]] * 2
    asked = [chunk, key, "x/.zattrs", (key, part), (chunk, part), ("x/.zattrs", part)]
    assert sync.get_many(asked) == [data, whole, None, whole[1:4], data[1:4], None]
    found = {}
    sync.get_each([chunk, key, "x/.zattrs", chunk], lambda at, value: found.update({at: value}))
    assert found == {0: data, 1: whole, 2: None, 3: data}
    found.clear()
    sync.get_each([chunk] * 70, lambda at, value: found.update({at: value}))
    assert found == dict.fromkeys(range(70), data)
    buffers = [bytearray(2000) for _ in range(3)]
    sizes = sync.get_each_into([chunk, key, "x/.zattrs"], buffers)
    assert sizes == [len(data), len(whole), None]
    assert buffers[0].startswith(data)
    assert buffers[1].startswith(whole)
    assert sync.get_each_into([chunk], buffers[:1]) == [len(data)]
    assert sync.get_into(key, bytearray(1)) == len(whole)
    assert sync.exists(key)
    assert sync.stat(key).size == len(whole)


def test_listings_merge(inner):
    store = ConsolidatedStore(inner)
    assert set(inner.sync) <= set(store.sync)
    assert len(list(store.sync)) == len(set(store.sync))
    assert set(store.sync.list_dir("g")) >= {"a"}
    assert set(inner.sync.list_dir()) == set(store.sync.list_dir())
    assert set(store.sync.list_prefix("g/a")) - {"g/a/.zattrs"} == set(
        inner.sync.list_prefix("g/a")
    )
    assert store.sync.getsize_prefix() == sum(len(value) for value in dict(store.sync).values())
    assert not store.sync.is_empty("g")
    assert store.sync.is_empty("nothing")


def test_chunks_can_be_written_and_documents_cannot(inner, zarr_format):
    store = ConsolidatedStore(inner)
    array = zarrstore.open_array(store, path="g/a", mode="r+")
    array[0, 0] = 99
    assert zarrstore.open_array(inner, path="g/a")[0, 0] == 99
    key = "g/a/zarr.json" if zarr_format == 3 else "g/a/.zarray"
    before = dict(inner.sync)
    for change in (
        lambda s: s.set(key, b"{}"),
        lambda s: s.set("new/.zgroup", b"{}"),
        lambda s: s.set_many({"data": b"1", ".zmetadata": b"{}"}),
        lambda s: s.set_each([(key, b"{}")]),
        lambda s: s.set_if_not_exists(key, b"{}"),
        lambda s: s.delete(key),
        lambda s: s.delete_dir("g"),
        lambda s: s.clear(),
    ):
        with pytest.raises(ReadOnlyError, match="consolidate again"):
            change(store.sync)
    with pytest.raises(ReadOnlyError):
        array.attrs["x"] = 1
    with pytest.raises(ReadOnlyError):
        array.resize((9, 9))
    assert dict(inner.sync) == before
    store.sync.set_if_not_exists("data/1", b"1")
    store.sync.delete("data/1")
    store.sync["data/2"] = b"2"
    store.sync.delete_dir("data")
    assert dict(inner.sync) == before


def test_both_formats_at_once():
    inner = tree(2)
    inner.sync.set_many(dict(tree(3).sync))
    store = ConsolidatedStore(inner)
    assert zarrstore.open_array(store, path="b", zarr_format=2, mode="r")[1] == 1
    assert zarrstore.open_array(store, path="b", zarr_format=3, mode="r")[1] == 1


def test_another_key():
    inner = tree(2)
    inner.sync["meta/all"] = inner.sync[".zmetadata"]
    inner.sync.delete(".zmetadata")
    with pytest.raises(MetadataError, match="consolidate_metadata"):
        ConsolidatedStore(inner).sync.get(".zgroup")
    store = ConsolidatedStore(inner, metadata_key="meta/all")
    assert zarrstore.open_group(store, mode="r")["g/a"][1, 1] == 5
    assert store.sync["meta/all"] == inner.sync["meta/all"]
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again != ConsolidatedStore(inner)
    assert again.metadata_key == "meta/all"


def test_nan_of_python():
    text = b'{"zarr_consolidated_format": 1, "metadata": {".zattrs": {"a": NaN}}}'
    assert ConsolidatedStore(MemoryStore({".zmetadata": text})).sync[".zattrs"] == b'{"a":NaN}'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"zarr_consolidated_format": 2, "metadata": {}}',
        b'{"zarr_consolidated_format": 1, "metadata": []}',
        b'{"zarr_consolidated_format": 1, "metadata": {"../.zgroup": {}}}',
        b'{"zarr_consolidated_format": 1, "metadata": {".zgroup": 5}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"zarr_consolidated_format": ' + b"9" * 5000 + b"}",
    ],
)
def test_documents_that_are_none(document):
    for _ in range(2):
        with pytest.raises(MetadataError, match="no valid consolidated metadata in memory://"):
            ConsolidatedStore(MemoryStore({".zmetadata": document})).sync.get(".zgroup")


@pytest.mark.parametrize(
    "member", [b"5", b'{"kind": "other"}', b'{"kind": "inline", "metadata": {"/a": {}}}']
)
def test_documents_of_v3_that_are_none(member):
    text = b'{"node_type": "group", "consolidated_metadata": ' + member + b"}"
    with pytest.raises(MetadataError, match="no valid consolidated metadata"):
        ConsolidatedStore(MemoryStore({"zarr.json": text})).sync.get("zarr.json")
    with pytest.raises(MetadataError):
        ConsolidatedStore(MemoryStore({"zarr.json": b'{"node_type": "group"}'})).sync.get(
            "a/zarr.json"
        )
