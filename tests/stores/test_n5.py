"""`N5Store`: what zarr-python 2.18.7 wrote, what others write, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import zarrstore
from zarrstore.abc import ABSENT, RangeByteRequest, Store
from zarrstore.errors import (
    ConflictError,
    CorruptDataError,
    MetadataError,
    NodeExistsError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.n5 import N5Store
from zarrstore.stores.wrappers.prefix import PrefixStore

DATA = Path(__file__).parents[1] / "data" / "n5.zip"
VALUES = np.arange(35).reshape(5, 7)
LEVELS = np.arange(24, dtype="u2").reshape(2, 3, 4)


def written_by_zarr_2() -> dict[str, bytes]:
    with zipfile.ZipFile(DATA) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(params=["memory", "local", "loop"])
def container(request, tmp_path):
    """What zarr-python 2 wrote, below an `N5Store`."""
    inner = LocalStore(tmp_path / "x") if request.param == "local" else MemoryStore()
    if request.param == "loop":
        inner = LatencyStore(inner, 0.0, 0.0)
    inner.sync.set_many(written_by_zarr_2())
    return N5Store(inner)


def dataset(data, dimensions, block_size, compression, blocks, more=MappingProxyType({})):
    """Return what N5 keeps of a dataset, its dimensions as N5 has them."""
    attributes = {
        "dataType": data,
        "dimensions": dimensions,
        "blockSize": block_size,
        "compression": compression,
    } | dict(more)
    return {"a/attributes.json": json.dumps(attributes).encode()} | {
        f"a/{key}": value for key, value in blocks.items()
    }


def opened(values):
    return zarrstore.open_array(N5Store(MemoryStore(values)), path="a", mode="r+")


class TestWrittenByZarrPython2:
    def test_arrays_of_every_type(self, container):
        group = zarrstore.open_group(container, path="types", mode="r")
        assert dict(group.attrs) == {"units": "nm"}
        arrays = dict(group.members())
        assert len(arrays) == 10
        for name, array in arrays.items():
            assert array.dtype == np.dtype(name)
            assert (array[:] == VALUES.astype(name)).all()

    def test_arrays_of_every_compressor(self, container):
        arrays = dict(zarrstore.open_group(container, path="codecs", mode="r").members())
        assert len(arrays) == 8
        for array in arrays.values():
            assert (array[:] == VALUES.astype("f4") / 3).all()

    def test_dimensions_and_levels_named_by_numbers(self, container):
        group = zarrstore.open_group(container, mode="r")
        assert dict(group.attrs) == {"title": "n5"}
        assert sorted(name for name, _ in group["pyramid"].members()) == ["0", "1"]
        for level in range(2):
            array = group[f"pyramid/{level}"]
            assert array.shape == (2, 3, 4)
            assert array.chunks == (1, 2, 2)
            assert (array[:] == LEVELS * (level + 1)).all()
        assert group["one"][:].tolist() == [0, 1, 2, 3, 4]
        assert dict(group["one"].attrs) == {"resolution": [4, 4]}

    def test_every_key_is_listed_once_and_is_there(self, container):
        sync = container.sync
        keys = list(sync)
        assert len(keys) == len(set(keys))
        assert {"types/u2/.zarray", "types/u2/1.1", "pyramid/1/1.0.1", "one/2"} <= set(keys)
        assert not any(key.endswith("attributes.json") for key in keys)
        values = dict(sync)
        assert sync.get_many(keys) == [values[key] for key in keys]
        assert all(sync.exists(key) for key in keys)
        assert [sync.getsize(key) for key in keys] == [len(values[key]) for key in keys]
        assert sync.getsize_prefix("types") == sum(
            len(value) for key, value in values.items() if key.startswith("types/")
        )
        for prefix in ("", "types", "types/u2", "types/u2/0", "pyramid", "pyramid/0", "one", "x"):
            start = f"{prefix}/" if prefix else ""
            below = [key for key in keys if key.startswith(start)]
            assert sorted(sync.list_prefix(prefix)) == sorted(below)
            names = {key[len(start) :].partition("/")[0] for key in below}
            assert sorted(sync.list_dir(prefix)) == sorted(names)
            assert sync.is_empty(prefix) is not below

    def test_writing_it_again_gives_the_same_blocks(self, container):
        data = {}
        copy = N5Store(MemoryStore(data))
        group = zarrstore.open_group(container, mode="r")
        for path in ("types", "codecs", "one", "pyramid"):
            zarrstore.copy(group, copy, source_path=path, dest_path=path)
        written = written_by_zarr_2()
        for key, value in written.items():
            if not key.endswith(".json"):
                assert data[key] == value
            elif key != "attributes.json":
                theirs = json.loads(value)
                theirs.get("compression", {}).pop("id", None)
                assert json.loads(data[key]) == theirs

    @pytest.mark.parametrize("folder", ["types", "codecs"])
    def test_encoding_it_again_gives_the_same_blocks(self, container, folder):
        data = {}
        copy = N5Store(MemoryStore(data))
        for name, array in zarrstore.open_group(container, path=folder, mode="r").members():
            zarrstore.create_array(
                copy,
                name=f"{folder}/{name}",
                data=array[:],
                chunks=array.chunks,
                compressor=array.metadata.compressor["compressor_config"],
            )
        for key, value in written_by_zarr_2().items():
            if not key.startswith(folder) or key.endswith(".json"):
                continue
            # the header of gzip has the time
            decode = gzip.decompress if "/gzip/" in key else bytes
            assert data[key][:12] == value[:12]
            assert decode(data[key][12:]) == decode(value[12:])

    def test_a_change(self, container):
        array = zarrstore.open_array(container, path="codecs/gzip", mode="r+")
        array[1, 1] = 77
        array.resize((6, 9))
        array.attrs["x"] = 1
        again = zarrstore.open_array(container, path="codecs/gzip", mode="r")
        assert again[1, 1] == 77
        assert again.shape == (6, 9)
        stored = json.loads(container.store.sync["codecs/gzip/attributes.json"])
        assert stored["dimensions"] == [9, 6]
        assert stored["x"] == 1
        assert stored["compression"] == {"type": "gzip", "level": 2, "useZlib": False}


COMPRESSIONS = {
    "raw": ({"type": "raw"}, bytes),
    "gzip of Java": ({"type": "gzip", "level": -1, "useZlib": False}, gzip.compress),
    "gzip, nothing said": ({"type": "gzip"}, gzip.compress),
    "zlib": ({"type": "gzip", "useZlib": True, "level": 3}, zlib.compress),
    "bzip2": ({"type": "bzip2", "blockSize": 8}, bz2.compress),
    "xz": ({"type": "xz", "preset": 6}, lzma.compress),
}


class TestWrittenByOthers:
    @pytest.mark.parametrize("name", COMPRESSIONS)
    def test_blocks_at_the_end_may_be_short(self, name):
        """As N5's own library writes them."""
        compression, compress = COMPRESSIONS[name]
        values = np.arange(15, dtype=">i4").reshape(3, 5)
        blocks = {}
        for row, column in ((0, 0), (0, 3), (2, 0), (2, 3)):
            part = values[row : row + 2, column : column + 3]
            head = struct.pack(">HHII", 0, 2, *part.shape[::-1])
            blocks[f"{column // 3}/{row // 2}"] = head + compress(part.tobytes())
        array = opened(dataset("int32", [5, 3], [3, 2], compression, blocks))
        assert (array[:] == values).all()
        array.resize((4, 6))
        assert (array[:3, :5] == values).all()
        assert (array[3] == 0).all()
        assert (array[:, 5] == 0).all()
        array[3, 5] = 9
        assert array[2:, 3:].tolist() == [[13, 14, 0], [0, 0, 9]]

    def test_groups_without_attributes(self):
        values = dataset("uint8", [1], [1], {"type": "raw"}, {"0": b"\0\0\0\1\0\0\0\1\7"})
        inner = MemoryStore({f"x/y/{key}": value for key, value in values.items()})
        inner.sync["attributes.json"] = b'{"n5": "4.0.0"}'
        store = N5Store(inner)
        assert zarrstore.open_group(store, mode="r")["x/y/a"][:].tolist() == [7]
        assert [name for name, _ in zarrstore.open_group(store, path="x").members()] == ["y"]
        assert sorted(store.sync) == [
            ".zgroup", "x/.zgroup", "x/y/.zgroup", "x/y/a/.zarray", "x/y/a/0"
        ]  # fmt: skip
        assert sorted(store.sync.list_dir("x")) == [".zgroup", "y"]
        assert not store.sync.exists("z/.zgroup")
        assert not store.sync.exists("x/y/a/0/.zgroup")

    def test_a_root_without_attributes(self):
        store = N5Store(MemoryStore(dataset("uint8", [1], [1], {"type": "raw"}, {})))
        assert [name for name, _ in zarrstore.open_group(store, mode="r").members()] == ["a"]

    def test_the_compression_of_old_containers(self):
        block = struct.pack(">HHI", 0, 1, 2) + gzip.compress(b"\1\2")
        values = dataset(
            "uint8", [2], [2], None, {"0": block}, {"compressionType": "gzip", "other": 1}
        )
        attributes = json.loads(values["a/attributes.json"])
        del attributes["compression"]
        values["a/attributes.json"] = json.dumps(attributes).encode()
        array = opened(values)
        assert array[:].tolist() == [1, 2]
        assert dict(array.attrs) == {"other": 1}
        array.attrs["other"] = 2
        assert array[:].tolist() == [1, 2]
        assert dict(opened(values).attrs) == {"other": 2}

    def test_what_others_say_of_a_compression_is_kept(self):
        compression = {"type": "blosc", "cname": "zstd", "clevel": 6, "shuffle": 0, "nthreads": 4}
        values = dataset("uint8", [4], [2], {**compression, "blocksize": 0}, {})
        array = opened(values)
        array.resize(6)
        array[:] = range(6)
        stored = json.loads(values["a/attributes.json"])
        assert stored["compression"]["nthreads"] == 4
        assert stored["dimensions"] == [6]
        assert opened(values)[:].tolist() == list(range(6))

    def test_a_block_of_varying_length(self):
        head = struct.pack(">HHII", 1, 1, 2, 2)
        values = dataset("uint8", [2], [2], {"type": "raw"}, {"0": head + b"\1\2"})
        assert opened(values)[:].tolist() == [1, 2]


BROKEN_BLOCKS = {
    "empty": b"",
    "half a header": b"\0\0\0",
    "another number of dimensions": struct.pack(">HHI", 0, 1, 4) + bytes(4),
    "ends in its header": struct.pack(">HHI", 0, 2, 2),
    "larger than the block size": struct.pack(">HHII", 0, 2, 3, 2) + bytes(6),
    "enormous": struct.pack(">HHII", 0, 2, 2**32 - 1, 2**32 - 1),
    "no length": struct.pack(">HHII", 0, 2, 0, 2),
    "truncated": struct.pack(">HHII", 0, 2, 2, 2) + bytes(3),
    "too long": struct.pack(">HHII", 0, 2, 2, 2) + bytes(5),
    "of objects": struct.pack(">HHII", 2, 2, 2, 2) + bytes(4),
    "another number of elements": struct.pack(">HHIII", 1, 2, 2, 2, 9) + bytes(9),
    "no count": struct.pack(">HHII", 1, 2, 2, 2),
}


class TestDamaged:
    @pytest.mark.parametrize("name", BROKEN_BLOCKS)
    def test_blocks(self, name):
        values = dataset("uint8", [2, 2], [2, 2], {"type": "raw"}, {"0/0": BROKEN_BLOCKS[name]})
        with pytest.raises(CorruptDataError):
            opened(values)[:]

    @pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zstd", "blosc", "lz4", "lzma"])
    def test_compressed_blocks(self, compression):
        members = {"cname": "lz4", "clevel": 1, "shuffle": 1, "blocksize": 0}
        given = {"type": compression, **(members if compression == "blosc" else {})}
        head = struct.pack(">HHII", 0, 2, 2, 2)
        for payload in (b"", b"garbage", bytes(40), gzip.compress(bytes(10_000_000))):
            values = dataset("uint8", [2, 2], [2, 2], given, {"0/0": head + payload})
            with pytest.raises(CorruptDataError):
                opened(values)[:]

    @pytest.mark.parametrize(
        "change",
        [
            {"dataType": "text"},
            {"dataType": None},
            {"dimensions": 5},
            {"dimensions": [True, 2]},
            {"dimensions": [-1, 2]},
            {"dimensions": [2**63, 2]},
            {"blockSize": [0, 1]},
            {"blockSize": [1]},
            {"blockSize": None},
            {"compression": None},
            {"compression": {}},
            {"compression": {"type": 5}},
        ],
    )
    def test_attributes(self, change):
        values = dataset("uint8", [2, 2], [2, 2], {"type": "raw"}, {}, change)
        with pytest.raises(MetadataError, match=r"'a/attributes.json' in memory://"):
            opened(values)

    @pytest.mark.parametrize(
        "compression",
        [
            {"type": "own"},
            {"type": "pickle"},
            {"type": "gzip", "level": "x"},
            {"type": "lz4", "blockSize": 65536},
        ],
    )
    def test_compressions_that_are_not_known(self, compression):
        with pytest.raises(MetadataError):
            opened(dataset("uint8", [2, 2], [2, 2], compression, {}))

    def test_the_rest_of_a_container_can_be_used(self):
        """What is broken is found in its place, and only there."""
        values = dataset("text", [2, 2], [2, 2], {"type": "raw"}, {"0/0": b"1"})
        store = N5Store(MemoryStore(values))
        zarrstore.create_array(store, name="fine", data=VALUES)
        assert sorted(store.sync.list_dir("fine")) == [".zarray", "0.0"]
        assert {"a/.zgroup", "fine/0.0"} <= set(store.sync)
        assert (zarrstore.open_group(store)["fine"][:] == VALUES).all()
        with pytest.raises(MetadataError, match="dataType"):
            zarrstore.open_array(store, path="a")

    @pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 100_000, b"9" * 5000])
    def test_attributes_that_are_no_object(self, text):
        store = N5Store(MemoryStore({"a/attributes.json": text, "b": b"1"}))
        with pytest.raises(MetadataError):
            store.sync.get("a/.zarray")
        assert sorted(store.sync) == [".zgroup", "a/.zgroup", "b"]


class TestCreating:
    def test_the_document_is_read_back(self):
        """An array that is created encodes as one that is opened."""
        data = {}
        store = N5Store(MemoryStore(data))
        array = zarrstore.create_array(store, data=VALUES, dtype=">i4", chunks=(3, 4))
        again = zarrstore.open_array(store, mode="r")
        assert array.filters == again.filters
        assert array.compressors == again.compressors
        assert array.dtype == again.dtype == np.dtype("i4")
        assert (again[:] == VALUES).all()
        assert data["0/0"][:12] == struct.pack(">HHII", 0, 2, 4, 3)
        assert set(data) == {"attributes.json", "0/0", "1/0", "0/1", "1/1"}

    def test_zarr_v2_by_default_and_nothing_else(self):
        data = {}
        store = N5Store(MemoryStore(data))
        group = zarrstore.open_group(store, attributes={"x": 1})
        group.create_group("g")
        with pytest.raises((UnsupportedOperationError, ValueError)):
            group.create_array("v3", data=[1], zarr_format=3)
        with pytest.raises(UnsupportedOperationError, match="zarr_format=2"):
            zarrstore.create_array(N5Store(MemoryStore()), data=[1], zarr_format=3)
        assert json.loads(data["attributes.json"]) == {"n5": "2.0.0", "x": 1}
        with pytest.raises(NodeExistsError):
            zarrstore.create_group(store, path="g")

    @pytest.mark.parametrize(
        "options",
        [
            {"dtype": "M8[s]"},
            {"dtype": "S3"},
            {"dtype": "T"},
            {"dtype": [("x", "i4")]},
            {"dtype": "i4", "fill_value": 5},
            {"dtype": "f4", "fill_value": float("nan")},
            {"dtype": "i4", "order": "F"},
            {"dtype": "i4", "filters": [{"id": "delta", "dtype": "<i4"}]},
        ],
    )
    def test_what_n5_has_not(self, options):
        data = {}
        with pytest.raises(MetadataError):
            zarrstore.create_array(N5Store(MemoryStore(data)), shape=(2, 2), **options)
        assert data == {}

    def test_attributes_that_are_taken(self):
        data = {}
        store = N5Store(MemoryStore(data))
        array = zarrstore.create_array(store, data=[1, 2])
        before = dict(data)
        with pytest.raises(MetadataError, match="dimensions"):
            array.attrs["dimensions"] = [9]
        assert data == before
        array.attrs["a"] = 1
        array.attrs.clear()
        assert data["attributes.json"] == before["attributes.json"]

    @pytest.mark.parametrize("chunks_before_documents", [False, True])
    def test_copies_both_ways(self, chunks_before_documents):
        source = MemoryStore()
        group = zarrstore.create_group(source, zarr_format=2, attributes={"x": 1})
        group.create_array("a", data=VALUES, chunks=(3, 4), compressor={"id": "zlib", "level": 1})
        group.create_array("levels/0", data=LEVELS, chunks=(1, 2, 2), attributes={"y": 2})
        n5 = N5Store(MemoryStore())
        path = "deep/er" if chunks_before_documents else ""
        zarrstore.copy(source, n5, dest_path=path)
        copied = zarrstore.open_group(n5, path=path, mode="r")
        assert dict(copied.attrs) == {"x": 1}
        assert (copied["a"][:] == VALUES).all()
        assert (copied["levels/0"][:] == LEVELS).all()
        assert dict(copied["levels/0"].attrs) == {"y": 2}
        for zarr_format in (2, 3):
            back = MemoryStore()
            zarrstore.copy(n5, back, source_path=path, zarr_format=zarr_format)
            assert b"n5_wrapper" not in b"".join(dict(back.sync).values())
            assert (zarrstore.open_group(back)["levels/0"][:] == LEVELS).all()
            assert (zarrstore.open_group(back)["a"][:] == VALUES).all()
        like = zarrstore.zeros_like(copied["a"], store=MemoryStore())
        assert "n5_wrapper" not in str(like.info)

    def test_shapes_with_few_dimensions(self):
        store = N5Store(MemoryStore())
        zarrstore.create_array(store, name="none", data=5)
        zarrstore.create_array(store, name="1", data=[1, 2, 3], chunks=2)
        assert zarrstore.open_array(store, path="none")[()] == 5
        assert zarrstore.open_array(store, path="1")[:].tolist() == [1, 2, 3]
        assert sorted(store.sync.list_prefix("1")) == ["1/.zarray", "1/0", "1/1"]
        assert sorted(store.sync.list_dir()) == [".zgroup", "1", "none"]

    def test_an_array_after_one_of_another_shape(self):
        inner = MemoryStore()
        ours, other = N5Store(inner), N5Store(inner)
        array = zarrstore.create_array(ours, data=VALUES, chunks=(3, 4))
        assert other.sync.get("0.0")
        zarrstore.create_array(ours, data=LEVELS, chunks=(1, 2, 2), overwrite=True)
        again = zarrstore.open_array(other)
        again[0, 0, 0] = 9
        assert again[0, 0, 0] == 9
        with pytest.raises(CorruptDataError, match="open the array anew"):
            array[0:3, 0:4] = 1


class TestKeys:
    @pytest.mark.parametrize(
        "key", ["zarr.json", "a/attributes.json", "0/1/1", "0/1.1.1", "0/1/1.1", "0/0/5", "b/0.1"]
    )
    def test_that_it_cannot_hold(self, key):
        data = {}
        store = N5Store(MemoryStore(data))
        zarrstore.create_array(store, name="0", data=VALUES)
        before, sync = dict(data), store.sync
        for change in (
            lambda: sync.set(key, b"1"),
            lambda: sync.set_many({key: b"1"}),
            lambda: sync.set_each([(key, b"1")]),
            lambda: sync.set(key, b"1", expect=ABSENT),
        ):
            with pytest.raises(UnsupportedOperationError, match="cannot hold"):
                change()
        assert data == before
        assert sync.get(key) is None
        assert sync.get_many([key]) == [None]
        assert not sync.exists(key)
        sync.delete(key)

    def test_chunks_that_are_no_blocks_are_refused(self):
        """One that was encoded without the header would be read as damaged, or worse."""
        store = N5Store(MemoryStore())
        zarrstore.create_array(store, name="a", data=VALUES, chunks=(3, 4), compressor=None)
        before = store.sync["a/0.0"]
        for value in (b"", b"text", bytes(48), bytes(96), before[:-1], before[:4] + bytes(104)):
            with pytest.raises(CorruptDataError, match="n5_wrapper"):
                store.sync["a/0.0"] = value
        assert store.sync["a/0.0"] == before
        store.sync["a/0.0"] = before

    def test_documents_by_every_method(self, container):
        sync = container.sync
        key, part = "one/.zarray", RangeByteRequest(1, 4)
        whole = sync[key]
        assert json.loads(whole)["shape"] == [5]
        assert sync.get(key, part) == whole[1:4]
        assert sync.get_ranges(key, [part, part]) == [whole[1:4]] * 2
        found = sync.get_versioned(key, [part], lambda parts, size: [part])
        assert found.parts == [whole[1:4]] * 2
        assert found.version == sync.stat(key).version is not None
        assert sync.get_into(key, buffer := bytearray(len(whole))) == len(whole)
        assert buffer == whole
        asked = [key, "one/0", "one/.zgroup", ".zgroup", "one/9"]
        values = [whole, sync["one/0"], None, sync[".zgroup"], None]
        assert sync.get_many(asked) == values
        found = {}
        sync.get_each(asked, lambda at, value: found.update({at: value and bytes(value)}))
        assert list(found.values()) == values
        buffers = [bytearray(1000) for _ in asked]
        assert sync.get_each_into(asked, buffers) == [value and len(value) for value in values]

    def test_conditional_writes_of_documents(self):
        sync = N5Store(MemoryStore()).sync
        group = b'{"zarr_format": 2}'
        assert sync.set_if_not_exists("g/.zgroup", group)
        assert not sync.set_if_not_exists("g/.zgroup", group)
        version = sync.stat("g/.zgroup").version
        assert sync.set_if_not_exists("g/.zattrs", b'{"a": 1}')
        with pytest.raises(ConflictError):
            sync.set("g/.zattrs", b'{"a": 2}', expect=version)
        version = sync.set("g/.zattrs", b'{"a": 2}', expect=sync.stat("g/.zattrs").version)
        assert version == sync.stat("g/.zattrs").version
        assert json.loads(sync["g/.zattrs"]) == {"a": 2}
        sync.delete("g/.zattrs")
        assert sync.get("g/.zattrs") is None
        assert sync.exists("g/.zgroup")
        sync.delete("g/.zattrs")
        sync.delete("g/.zgroup")
        sync.delete("g/.zarray")
        assert sync.is_empty()
        with pytest.raises(MetadataError):
            sync["g/.zattrs"] = b"5"
        with pytest.raises(MetadataError):
            sync["g/.zgroup"] = b"{"

    def test_documents_and_chunks_at_once(self, container):
        copy = N5Store(MemoryStore())
        copy.sync.set_many(dict(container.sync))
        assert sorted(copy.sync) == sorted(container.sync)
        assert (zarrstore.open_array(copy, path="pyramid/1")[:] == LEVELS * 2).all()

    def test_a_dataset_does_not_become_a_group(self, container):
        with pytest.raises(MetadataError, match="delete it first"):
            container.sync["one/.zgroup"] = b'{"zarr_format": 2}'

    @pytest.mark.parametrize("swaps", [True, False])
    def test_no_change_of_attributes_is_lost(self, swaps):
        class Plain(MemoryStore):
            _set_if = Store._set_if

        store = N5Store(MemoryStore() if swaps else Plain())
        zarrstore.create_array(store, data=[1])

        def work(number):
            for count in range(5):
                zarrstore.open_array(store).attrs[f"{number}-{count}"] = count

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(zarrstore.open_array(store).attrs) == 20

    def test_deleting(self, container):
        sync = container.sync
        sync.delete_dir("types/u2/0")  # no prefix of any key
        assert sync.exists("types/u2/0.0")
        sync.delete("types/u2/0.1")
        assert not container.store.sync.exists("types/u2/1/0")
        sync.delete_dir("pyramid/0")
        assert sync.is_empty("pyramid/0")
        assert (zarrstore.open_array(container, path="pyramid/1")[:] == LEVELS * 2).all()
        sync.delete_dir("types")
        assert not any(key.startswith("types") for key in container.store.sync)
        sync.clear()
        assert container.store.sync.is_empty()


class TestOpening:
    def test_by_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        group = zarrstore.open_group("x.n5", attributes={"a": 1})
        group.create_array("deep/b", data=VALUES)
        assert isinstance(zarrstore.open_store("x.n5"), N5Store)
        assert isinstance(zarrstore.open_store(Path("x.n5/")), N5Store)
        assert json.loads((tmp_path / "x.n5" / "attributes.json").read_text())["a"] == 1
        for url in ("x.n5|n5:deep/b", f"file://{tmp_path}/x.n5|n5:deep/b/", "./x.n5|n5:deep/b"):
            assert (zarrstore.open_array(url, mode="r")[:] == VALUES).all()
        assert zarrstore.open_array("x.n5", path="deep/b", mode="r").shape == (5, 7)
        assert zarrstore.open_store("x.n5", mode="r").read_only

    def test_in_any_store(self):
        written = zarrstore.open_group("memory://test-n5/x.n5|n5:")
        written.create_array("a", data=VALUES)
        assert zarrstore.open_store("memory://test-n5").sync.exists("x.n5/a/attributes.json")
        assert zarrstore.open_array("memory://test-n5/x.n5|n5:a", mode="r")[1, 1] == 8
        inside = zarrstore.open_store("memory://test-n5/x.n5|n5:a")
        assert isinstance(inside, PrefixStore)
        zarrstore.open_store("memory://test-n5").sync.clear()

    def test_from_a_zip_file(self):
        group = zarrstore.open_group(f"{DATA}|zip:|n5:", mode="r")
        assert (group["types/f8"][:] == VALUES).all()

    def test_not_at_all(self, tmp_path):
        (tmp_path / "file.n5").write_bytes(b"1")
        for url in (f"{tmp_path}/file.n5", "|n5:"):
            with pytest.raises(StoreURLError):
                zarrstore.open_store(url)

    def test_pickle(self, tmp_path):
        store = N5Store(LocalStore(tmp_path))
        store.sync["a/.zgroup"] = b"{}"
        again = pickle.loads(pickle.dumps(store))
        assert again == store
        assert again.sync.exists("a/.zgroup")
