"""The stores of `zarrstore.v2`: what zarr 2's own suite does not ask."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrstore
from zarrstore import v2

MAKERS: dict[str, Any] = {
    "as_v2": lambda folder, **options: v2.as_v2(folder / "any", **options),
    "MemoryStore": lambda folder, **options: v2.MemoryStore(**options),
    "DirectoryStore": lambda folder, **options: v2.DirectoryStore(folder / "d", **options),
    "TempStore": lambda folder, **options: v2.TempStore(dir=folder, **options),
    "FSStore": lambda folder, **options: v2.FSStore(str(folder / "f"), **options),
    "ZipStore": lambda folder, **options: v2.ZipStore(folder / "z.zip", **options),
    "SQLiteStore": lambda folder, **options: v2.SQLiteStore(folder / "s.db", **options),
}
SHARED = sorted(set(MAKERS) - {"MemoryStore"})


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with MAKERS[request.param](tmp_path) as made:
        yield made


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//b", "./a", "a/", ""])
def test_what_is_no_key_is_refused(store: Any, key: str, tmp_path: Path) -> None:
    """`../` reaches no file outside, whatever is done with it."""
    (tmp_path / "x").write_bytes(b"outside")
    assert key not in store
    for use in (
        lambda: store[key],
        lambda: store.__setitem__(key, b"1"),
        lambda: store.__delitem__(key),
        lambda: store.getitems([key]),
        lambda: store.setitems({key: b"1"}),
    ):
        with pytest.raises(zarrstore.InvalidKeyError):
            use()
    assert (tmp_path / "x").read_bytes() == b"outside"


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".", "a/.."])
def test_paths_stay_inside(store: Any, path: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    store["a/b"] = b"1"
    for use in (store.rmdir, store.listdir, store.getsize):
        with pytest.raises(zarrstore.InvalidKeyError):
            use(path)
    with pytest.raises(zarrstore.InvalidKeyError):
        store.rename("a", path)
    with pytest.raises(zarrstore.InvalidKeyError):
        store.rename(path, "b")
    assert dict(store) == {"a/b": b"1"}
    assert (tmp_path / "x").exists()


def test_paths_are_taken_as_they_are(store: Any) -> None:
    """`_`, `%`, `*`, `?` and `[` stand for themselves; a path is no beginning of a name."""
    keys = ["a_b/x", "aXb/x", "a%b/x", "a_b_c", "a*/x", "a[b]/x", "ab/x", "a?b/x"]
    store.update(dict.fromkeys(keys, b"1"))
    for path in ("a_b", "a%b", "a*", "a[b]", "a?b"):
        assert store.listdir(path) == ["x"]
        assert store.getsize(path) == 1
        store.rmdir(path)
        keys.remove(f"{path}/x")
        assert sorted(store) == sorted(keys)


def test_renaming(store: Any) -> None:
    """Of zarr 2 it took letters off the names that the old path has, too."""
    store.update({"baa/aab": b"1", "baa/c/abab": b"2", "b": b"3", "baab": b"4"})
    store.rename("baa", "x/y")
    assert dict(store) == {"x/y/aab": b"1", "x/y/c/abab": b"2", "b": b"3", "baab": b"4"}
    store.rename("b", "c")
    assert store["c"] == b"3"
    with pytest.raises(zarrstore.InvalidKeyError):
        store.rename("x", "x/y")
    with pytest.raises(zarrstore.InvalidKeyError):
        store.rename("", "x")


def test_sizes_and_names(store: Any) -> None:
    store.update({"a/b": b"12", "a/c/d": b"345", "e": b"6789"})
    assert [store.getsize(path) for path in ("a", "a/c", "e", "a/c/d", "x")] == [2, 3, 4, 3, 0]
    assert store.getsize() == store.getsize("/") == 4
    assert store.getsize_prefix("a") == 5
    assert [store.listdir(path) for path in (None, "/a/", "e", "x")] == [
        ["a", "e"], ["b", "c"], [], []
    ]  # fmt: skip


def test_many_at_once(store: Any) -> None:
    store.setitems({"a": b"1", "b": bytearray(b"2"), "c/d": memoryview(b"3")})
    assert store.getitems(["c/d", "x", "a"], contexts={}) == {"c/d": b"3", "a": b"1"}
    store.delitems(["a", "x"])
    assert sorted(store) == ["b", "c/d"]
    store.update([("e", b"4")], f=b"5")
    assert store["f"] == b"5"


def test_what_numpy_lends_no_buffer_of(store: Any) -> None:
    times = np.array(["2024-02-29", "NaT"], "M8[D]")
    grid = np.arange(6.0).reshape(2, 3)
    store["times"] = times
    store.setitems({"fortran": np.asfortranarray(grid)})
    assert store["times"] == times.tobytes()
    assert store["fortran"] == grid.tobytes(order="F")
    for value in (
        np.array([None, "a"]),
        grid[:, ::2],
        "text",
        [1, 2],
        np.array([(1, None)], "i4,O"),
    ):
        with pytest.raises(TypeError):
            store["x"] = value
    assert "x" not in store


def test_what_it_can_do(store: Any) -> None:
    assert store.is_readable()
    assert store.is_writeable()
    assert store.is_erasable()
    assert store.is_listable()


@pytest.mark.parametrize("name", SHARED)
def test_another_process_has_the_same_data(name: str, tmp_path: Path) -> None:
    store = MAKERS[name](tmp_path, dimension_separator="/")
    store["a"] = b"1"
    code = (
        "import pickle, sys; store = pickle.load(sys.stdin.buffer); "
        "print(type(store).__name__, store.dimension_separator, store['a'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(store), capture_output=True
    )
    assert done.stdout.decode().split() == [type(store).__name__, "/", "b'1'"], done.stderr
    store.close()


def test_data_of_this_process_is_never_copied() -> None:
    data = {"a": b"1"}
    for store in (v2.KVStore(data), v2.MemoryStore({"a": b"1"}, dimension_separator="/")):
        again = pickle.loads(pickle.dumps(store))
        again["b"] = b"2"
        assert store["b"] == b"2"
        assert again.dimension_separator == store.dimension_separator
        done = subprocess.run(
            [sys.executable, "-c", "import pickle, sys; pickle.load(sys.stdin.buffer)"],
            input=pickle.dumps(store),
            capture_output=True,
        )
        assert b"NotShareableError" in done.stderr
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(v2.SQLiteStore(":memory:"))


@pytest.mark.parametrize("name", MAKERS)
def test_separators(name: str, tmp_path: Path) -> None:
    with MAKERS[name](tmp_path, dimension_separator="/") as store:
        v2.init_array(store, shape=(2, 2), chunks=1, path="a")
        zarrstore.open_array(store, path="a")[...] = 1
        assert zarrstore.open_array(store, path="a", mode="r").metadata.dimension_separator == "/"
    with pytest.raises(ValueError, match="dimension_separator"):
        MAKERS[name](tmp_path, dimension_separator="-")


def test_every_function_uses_the_store_behind(store: Any) -> None:
    assert zarrstore.open_store(store) is store.store
    assert zarrstore.open_store(v2.as_v2(store)) is store.store
    assert v2.normalize_store_arg(store) is store
    array = zarrstore.create_array(store, name="a", data=np.arange(4), zarr_format=2)
    assert v2.contains_array(store, "a")
    assert array.store is store.store or array.store == store.store


@pytest.mark.parametrize("name", [*MAKERS, "NestedDirectoryStore"])
def test_chunks_in_directories_of_arrays_that_do_not_say_so(name: str, tmp_path: Path) -> None:
    """As older releases of zarr 2 wrote them, with the separator of the store."""
    if name == "NestedDirectoryStore":
        store = v2.NestedDirectoryStore(tmp_path / "n")
    else:
        store = MAKERS[name](tmp_path, dimension_separator="/")
    with store:
        v2.init_array(store, (2, 2), 1, "i4", path="a", dimension_separator="/")
        old = json.loads(store["a/.zarray"])
        del old["dimension_separator"]
        zarrstore.open_array(store, path="a")[...] = [[1, 2], [3, 4]]
        store["a/.zarray"] = json.dumps(old).encode()
        assert "a/0/1" in store
        assert zarrstore.open_array(store, path="a", mode="r")[...].tolist() == [[1, 2], [3, 4]]
        cached = v2.LRUStoreCache(store, max_size=2**20)
        assert zarrstore.open_array(cached, path="a", mode="r")[1, 1] == 4
        assert "a/0/1" in cached


def test_levels_of_a_hierarchy(tmp_path: Path) -> None:
    """A value takes the place of what was below its path, and nothing can be below a value."""
    for store in (
        v2.MemoryStore(),
        v2.DirectoryStore(tmp_path / "d"),
        v2.TempStore(dir=tmp_path),
        v2.FSStore(str(tmp_path / "f")),
    ):
        store["a/b"] = b"1"
        for change in (
            lambda store: store.__setitem__("a/b/c", b"2"),
            lambda store: store.__delitem__("a/b/c"),
        ):
            with pytest.raises(KeyError):
                change(store)
        store["x/y/z"] = b"1"
        store["x"] = b"2"
        assert dict(store) == {"a/b": b"1", "x": b"2"}
        store["r/s/t"] = b"3"
        del store["r"]
        assert sorted(store) == ["a/b", "x"]


def test_memory_in_the_containers_that_are_given() -> None:
    root: OrderedDict[str, Any] = OrderedDict()
    store = v2.MemoryStore(root, OrderedDict)
    store["a/b/c"] = b"1"
    assert root == {"a": {"b": {"c": b"1"}}}
    assert isinstance(root["a"], OrderedDict)
    assert store.root is root
    root["d"] = bytearray(b"2")
    assert store["d"] == b"2"


def test_lower_keys(tmp_path: Path) -> None:
    store = v2.DirectoryStore(tmp_path / "d", normalize_keys=True)
    store.setitems({"A/B": b"1", "a/C": b"2"})
    assert sorted(store) == ["a/b", "a/c"]
    assert store.getitems(["a/B", "A/c"]) == {"a/B": b"1", "A/c": b"2"}
    store.rename("A", "D")
    assert zarrstore.open_store(store).sync["D/b"] == b"1"
    assert os.listdir(tmp_path / "d") == ["d"]


def test_links_are_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"1")
    store = v2.DirectoryStore(tmp_path / "d")
    store["a"] = b"2"
    (tmp_path / "d" / "link").symlink_to(tmp_path / "outside")
    for source, target in (("link/x", "b"), ("a", "link/b")):
        with pytest.raises(zarrstore.InvalidKeyError, match="link"):
            store.rename(source, target)
    assert os.listdir(tmp_path / "outside") == ["x"]


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="is a file"):
        v2.DirectoryStore(tmp_path / "file")


def test_chunks_in_directories_are_listed_by_their_keys(tmp_path: Path) -> None:
    for store in (
        v2.NestedDirectoryStore(tmp_path / "n"),
        v2.DirectoryStore(tmp_path / "d", dimension_separator="/"),
        v2.FSStore(str(tmp_path / "f"), key_separator="/"),
    ):
        v2.init_array(store, shape=(2, 2), chunks=1)
        store.update({"0/0": b"1", "1/0": b"2", "7/.zgroup": b"{}"})
        assert store.listdir() == [".zarray", "0/0", "1/0", "7/.zgroup"]
        assert all(name in store for name in store.listdir())
    with pytest.raises(ValueError, match="dimension_separator"):
        v2.NestedDirectoryStore(tmp_path / "n", dimension_separator=".")


def test_a_zip_file_is_written_again_and_emptied(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with v2.ZipStore(path, mode="w") as store:
        store["a"] = b"1"
        store["a"] = b"2"
        store["b"] = b"3"
        store.flush()
        assert v2.ZipStore(path, mode="r")["a"] == b"2"
        del store["b"]
    store = v2.ZipStore(path, mode="r")
    assert dict(store) == {"a": b"2"}
    store.flush()
    for change in (store.clear, lambda: store.__setitem__("a", b""), lambda: store.rmdir("a")):
        with pytest.raises(PermissionError):
            change()
    assert not store.is_writeable()
    assert not store.is_erasable()
    with v2.ZipStore(path) as store:
        store.clear()
        store["c"] = b"4"
    assert dict(v2.ZipStore(path, mode="r")) == {"c": b"4"}


@pytest.mark.parametrize("name", ["DBMStore", "LMDBStore", "ZipStore"])
def test_flushing(name: str, tmp_path: Path) -> None:
    with getattr(v2, name)(tmp_path / "x") as store:
        store.flush()
        store["a"] = b"1"
        store.flush()
        assert store["a"] == b"1"
    with v2.LMDBStore(tmp_path / "one.mdb", subdir=False) as store:
        store["a"] = b"1"
        store.flush()
    with pytest.raises(TypeError):
        v2.LMDBStore(tmp_path / "y", unknown=1)


def test_what_is_closed_where_zarr_2_closes(tmp_path: Path) -> None:
    for name in ("ZipStore", "SQLiteStore", "as_v2"):
        store = MAKERS[name](tmp_path)
        store.close()
        store.close()
        with pytest.raises(zarrstore.StoreClosedError):
            _ = "a" in store
    for name in ("MemoryStore", "DirectoryStore", "TempStore", "FSStore"):
        with MAKERS[name](tmp_path) as store:
            store["a"] = b"1"
        assert store["a"] == b"1"


def test_the_cache(tmp_path: Path) -> None:
    below = v2.DirectoryStore(tmp_path / "d", dimension_separator="/")
    below.update({"a": b"1", "b": b"2"})
    cache = v2.LRUStoreCache(below, max_size=None)
    assert (cache["a"], cache["a"], cache.hits, cache.misses) == (b"1", b"1", 1, 1)
    below["a"] = b"3"
    assert cache["a"] == b"1"
    cache.invalidate_values()  # after which zarr 2 raised KeyError
    assert cache["a"] == b"3"
    assert sorted(cache) == ["a", "b"]
    below["c"] = b"4"
    cache.invalidate_keys()
    assert sorted(cache) == ["a", "b", "c"]
    del cache["c"]
    assert "c" not in below
    below["b"] = b"5"
    cache.invalidate()
    assert cache["b"] == b"5"
    assert cache.dimension_separator == "/"
    assert v2.LRUStoreCache({"a": b"1"}, max_size=0)["a"] == b"1"


def test_consolidated_metadata(tmp_path: Path) -> None:
    data: dict[str, bytes] = {}
    zarrstore.create_array(data, name="a", data=np.arange(3), zarr_format=2)
    zarrstore.consolidate_metadata(data)
    store = v2.ConsolidatedMetadataStore(data)
    del data["a/.zarray"]
    assert v2.contains_array(store, "a")
    assert zarrstore.open_group(store, mode="r")["a"][...].tolist() == [0, 1, 2]
    for key in (".zgroup", "a/.zarray", "a/0", "b"):
        with pytest.raises(PermissionError):
            store[key] = b""
        with pytest.raises(PermissionError):
            store.delete(key)


def test_filesystems(tmp_path: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("file")
    store = v2.FSStore(str(tmp_path / "f"), fs=fs, mode="w", create=True)
    assert (tmp_path / "f").is_dir()
    store["a/b"] = b"1"
    assert (store.fs, store.path, store.map["a/b"]) == (fs, str(tmp_path / "f"), b"1")
    assert store.dir_path("a") == f"{tmp_path}/f/a"
    with pytest.raises(ValueError, match="not both"):
        v2.FSStore(str(tmp_path / "f"), fs=fs, auto_mkdir=True)
    reader = v2.FSStore(f"file://{tmp_path}/f", mode="r")
    for change in (
        lambda: reader.__setitem__("a/b", b""),
        lambda: reader.__delitem__("a/b"),
        lambda: reader.setitems({"a": b""}),
        lambda: reader.delitems(["a/b"]),
        lambda: reader.rmdir("a"),
        reader.clear,
    ):
        with pytest.raises(PermissionError):
            change()
    chain = v2.FSStore(
        f"simplecache::file://{tmp_path}/f",
        simplecache={"same_names": True, "cache_storage": str(tmp_path / "cache")},
    )
    assert chain["a/b"] == b"1"


def test_zarr_2_is_not_needed() -> None:
    code = (
        "import sys; from zarrstore import v2; v2.DirectoryStore('x'), v2.MemoryStore(), "
        "v2.KVStore({}), v2.ZipStore('x.zip'), v2.FSStore('memory://x'), v2.SQLiteStore('x.db'); "
        "print([name for name in ('zarr', 'numcodecs', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    store = v2.MemoryStore()
    assert store._store_version == 2
    assert not hasattr(store, "_metadata_class")


def test_names() -> None:
    assert set(v2.__all__) <= set(dir(v2))
    for name in v2.__all__:
        assert getattr(v2, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = v2.nothing


@pytest.mark.parametrize("cls", [v2.N5Store, v2.N5FSStore])
def test_the_attributes_of_n5_are_values(cls: Any, tmp_path: Path) -> None:
    """Of each node as they are, beside the documents of Zarr v2."""
    store = cls(str(tmp_path / "x.n5"))
    key = "a/attributes.json"
    assert key not in store
    assert store.get(key) is None
    with pytest.raises(KeyError):
        store[key]
    with pytest.raises(KeyError):
        del store[key]
    found = {"dimensions": [3, 2], "blockSize": [3, 1], "dataType": "uint8"}
    store[key] = json.dumps(found | {"compression": {"type": "raw"}, "unit": "nm"}).encode()
    assert key in store
    assert store.get(key) == store[key] == (tmp_path / "x.n5" / key).read_bytes()
    array = zarrstore.open_array(store, path="a")
    array[...] = [[1, 2, 3], [4, 5, 6]]
    assert array.attrs["unit"] == "nm"
    assert sorted(store) == [".zgroup", "a/.zarray", "a/.zattrs", "a/0.0", "a/1.0"]
    del store[key]
    assert key not in store
    assert "a/.zarray" not in store
    assert "../attributes.json" not in store
    with pytest.raises(zarrstore.InvalidKeyError):
        store["../attributes.json"] = b"{}"


@pytest.mark.parametrize(
    "make", [lambda folder: v2.MemoryStore(), lambda folder: v2.DirectoryStore(folder)]
)
def test_what_is_not_there_cannot_be_renamed(make: Any, tmp_path: Path) -> None:
    store = make(tmp_path)
    store["a/b"] = b"1"
    for error in (KeyError, FileNotFoundError):
        with pytest.raises(error, match="nothing at 'b'"):
            store.rename("b", "c")
    store.rename("a/b", "c")
    assert dict(store) == {"c": b"1"}


def test_no_consolidated_metadata_is_a_missing_key() -> None:
    """What reads it falls back to what is not consolidated."""
    with pytest.raises(KeyError, match="zmetadata"):
        v2.ConsolidatedMetadataStore({})
    with pytest.raises(zarrstore.MetadataError):
        v2.ConsolidatedMetadataStore({".zmetadata": b"[]"})


def test_lmdb_is_opened_as_it_often_is(tmp_path: Path) -> None:
    with v2.LMDBStore(tmp_path / "x", lock=False, max_dbs=1, readahead=False) as store:
        store["a"] = b"1"
    with pytest.raises(TypeError):
        v2.LMDBStore(tmp_path / "x", locks=False)
