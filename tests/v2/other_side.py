"""What is done in the environment of zarr 2 with its stores and with those of `zarrstore.v2`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import zarr
from v2 import contents
from v2.contents import Cases, made, shown, values
from zarr import storage
from zarr._storage.store import BaseStore

import zarrstore
from zarrstore import v2

warnings.simplefilter("ignore", FutureWarning)  # that most of its stores are deprecated


class Theirs:
    """The stores of zarr 2."""

    N5Store = zarr.N5Store
    N5FSStore = zarr.N5FSStore
    locals().update({name: cls for name, cls in vars(storage).items() if name.endswith("Store")})


def fill(store: Any, kind: str) -> None:
    """Write everything with zarr 2."""
    group = zarr.group(store)
    group.attrs["title"] = "zarr 2"
    for path, (data, options) in values(kind).items():
        array = group.create_dataset(path, data=data, **options)
        array.attrs["path"] = path


def read(store: Any, kind: str) -> dict[str, str]:
    """Return what zarr 2 reads of everything."""
    group = zarr.open_group(store, mode="r")
    found = {path: shown(group[path]) for path in values(kind)}
    assert sorted(group.array_keys()) == sorted(path for path in found if "/" not in path)
    assert list(group.group_keys()) == ["deep"]
    assert group.attrs["title"]
    assert {group[path].attrs["path"] for path in found} == set(found)
    return found


def write_theirs(cases: Cases) -> None:
    """Write everything to each store of zarr 2."""
    for cls, arguments, kind in cases.values():
        store = made(Theirs, cls, arguments, "w")
        fill(store, kind)
        store.close()


def read_theirs(cases: Cases) -> dict[str, Any]:
    """Return what zarr 2 reads in its own stores, or what it says."""
    found: dict[str, Any] = {}
    for name, (cls, arguments, kind) in cases.items():
        try:
            store = made(Theirs, cls, arguments, "r")
            found[name] = read(store, kind)
            store.close()
        except Exception as error:
            found[name] = repr(error)
    return found


def through_ours(cases: Cases) -> dict[str, Any]:
    """Return what zarr 2 reads of what it wrote through our stores, or what it says."""
    found: dict[str, Any] = {}
    for name, (cls, arguments, kind) in cases.items():
        try:
            store = made(v2, cls, arguments, "w")
            fill(store, kind)
            group = zarr.open_group(store, mode="r+")
            assert group.store is store
            assert isinstance(store, BaseStore)
            _change(group, store)
            found[name] = read(store, kind)
            store.close()
        except Exception as error:
            found[name] = repr(error)
    return found


def _change(group: Any, store: Any) -> None:
    """Do what goes through other methods of a store than those of a mapping."""
    other = group.create_dataset("other/x", shape=10, chunks=3, dtype="i2", fill_value=0)
    other[2:8] = 5
    other.resize(6)
    assert other[...].tolist() == [0, 0, 5, 5, 5, 5]
    other.append(np.array([1, 2], "i2"))
    assert other.nbytes_stored > 0
    assert "x" in group["other"]
    group.move("other", "moved")
    assert group["moved/x"][...].tolist() == [0, 0, 5, 5, 5, 5, 1, 2]
    zarr.consolidate_metadata(store)
    assert zarr.open_consolidated(store)["moved/x"].shape == (8,)
    del store[".zmetadata"]
    group.create_dataset("moved/x", shape=2, dtype="i2", overwrite=True)
    assert group["moved/x"][...].tolist() == [0, 0]
    del group["moved"]
    assert "moved" not in group


def side_by_side(cases: Cases) -> dict[str, Any]:
    """Return what zarr 2 reads of what this package wrote here, which is as this package reads."""
    found: dict[str, Any] = {}
    for name, (cls, arguments, kind) in cases.items():
        try:
            store = made(v2, cls, arguments, "w")
            contents.fill(store, kind)
            found[name] = read(store, kind)
            assert contents.read(store, kind) == found[name]
            store.close()
        except Exception as error:
            found[name] = repr(error)
    return found


def in_nested(folder: str, names: list[str]) -> list[Any]:
    """Return what zarr 2 reads of some arrays in nested directories."""
    group = zarr.open_group(storage.NestedDirectoryStore(folder), mode="r")
    return [group[name][...].tolist() for name in names]


def make_nested(folder: str) -> dict[str, Any]:
    """Return what zarr 2 writes to new arrays in nested directories, by their names."""
    group = zarr.open_group(storage.NestedDirectoryStore(folder), mode="a")
    for name, separator in [("their default", None), ("their slash", "/")]:
        data = np.arange(6).reshape(2, 3)
        group.create_dataset(name, data=data, chunks=(1, 2), dimension_separator=separator)
    return {name: group[name][...].tolist() for name in group if name.startswith("their")}


def old_in_nested(folder: str) -> list[Any]:
    """Return what this package reads of an array by a store of zarr 2, and of copies of it."""
    store = storage.NestedDirectoryStore(folder)
    opened: list[Any] = []
    for given in (store, v2.KVStore(store), v2.as_v2(store), v2.LRUStoreCache(store, None)):
        copied: dict[str, bytes] = {}
        zarrstore.copy_store(given, copied)
        opened += [given, copied]
    return [zarrstore.open_group(each, mode="r")["old"][...].tolist() for each in opened]
