"""Functions on stores as zarr 2 has them, for any store or mapping."""

from __future__ import annotations

import glob as glob_module
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from zarrstore.registry import StoreLike
from zarrstore.sync import SyncStore
from zarrstore.v2.directory import DirectoryStore
from zarrstore.v2.filesystems import FSStore
from zarrstore.v2.keys import ARRAY_KEY, GROUP_KEY
from zarrstore.v2.memory import KVStore
from zarrstore.v2.n5 import N5Store
from zarrstore.v2.store import V2Store, as_v2, normalize_path
from zarrstore.v2.zip import ZipStore

__all__ = [
    "atexit_rmglob",
    "atexit_rmtree",
    "contains_array",
    "contains_group",
    "getsize",
    "listdir",
    "normalize_store_arg",
    "rename",
    "rmdir",
]


def normalize_store_arg(
    store: StoreLike,
    storage_options: Mapping[str, Any] | None = None,
    mode: str = "r",
    *,
    zarr_version: int | None = None,
) -> V2Store:
    """Return the store that zarr 2 would make of an argument.

    Parameters
    ----------
    store : optional
        A store of this module is returned as it is. ``None`` makes a new `KVStore`; a path a
        `DirectoryStore`, a `ZipStore` (``.zip``) or an `N5Store` (``.n5``); a URL or ``FSMap``
        an `FSStore`; a mapping a `KVStore`. Anything else is what `as_v2` makes of it.
    storage_options : mapping, optional
        For URLs.
    mode : str, default "r"
        For zip files and URLs.
    zarr_version : int, optional
        2.

    Raises
    ------
    ValueError
        If ``zarr_version`` or that of a store of zarr 2 is another, or options are given without
        a URL.

    Examples
    --------
    >>> normalize_store_arg("some.zip", mode="w")
    <ZipStore file:///...some.zip|zip:>
    >>> normalize_store_arg({})
    <KVStore memory://...>
    """
    if zarr_version not in (None, 2):
        raise ValueError(f"zarr_version is 2, not {zarr_version!r}")
    if isinstance(store, V2Store):
        return store
    if getattr(store, "_store_version", 2) != 2:
        raise ValueError(f"{type(store).__name__} is a store of Zarr v3 in zarr 2, not of Zarr v2")
    options = dict(storage_options or {})
    if isinstance(store, os.PathLike):
        store = os.fspath(store)
    if isinstance(store, str) and ("://" in store or "::" in store):
        return FSStore(store, mode=mode, **options)
    if hasattr(store, "fs") and hasattr(store, "root"):  # an FSMap
        return FSStore(store.root, fs=store.fs, mode=mode, **options)
    if options:
        raise ValueError("storage_options go with a URL")
    if isinstance(store, str):
        return _at_path(store, mode)
    if store is None:
        return KVStore({})
    is_mapping = isinstance(store, MutableMapping) and not isinstance(store, SyncStore)
    return KVStore(store) if is_mapping else as_v2(store)


def _at_path(path: str, mode: Any) -> V2Store:
    if path.endswith(".zip"):
        return ZipStore(path, mode=mode)
    return N5Store(path) if path.endswith(".n5") else DirectoryStore(path)


def contains_array(store: StoreLike, path: str | bytes | None = None) -> bool:
    """Tell whether there is an array at a path, by default at the root.

    Examples
    --------
    >>> contains_array({"a/.zarray": b"{}"}, "a"), contains_array({}, "a")
    (True, False)
    """
    return _key(path, ARRAY_KEY) in normalize_store_arg(store)


def contains_group(
    store: StoreLike, path: str | bytes | None = None, explicit_only: bool = True
) -> bool:
    """Tell whether there is a group at a path, by default at the root.

    ``explicit_only`` says nothing in Zarr v2, where every group is explicit.

    Examples
    --------
    >>> contains_group({".zgroup": b"{}"}), contains_group({})
    (True, False)
    """
    del explicit_only
    return _key(path, GROUP_KEY) in normalize_store_arg(store)


def _key(path: str | bytes | None, name: str) -> str:
    above = normalize_path(path)
    return f"{above}/{name}" if above else name


def rmdir(store: StoreLike, path: str | bytes | None = None) -> None:
    """Delete every key below a path, by default all.

    Examples
    --------
    >>> data = {"a/b": b"1", "ab": b"2"}
    >>> rmdir(data, "a")
    >>> data
    {'ab': b'2'}
    """
    normalize_store_arg(store).rmdir(normalize_path(path))


def rename(store: StoreLike, src_path: str | bytes, dst_path: str | bytes) -> None:
    """Move every key below a path, and one of that name, to another path.

    Examples
    --------
    >>> data = {"a/b": b"1"}
    >>> rename(data, "a", "c/d")
    >>> data
    {'c/d/b': b'1'}
    """
    normalize_store_arg(store).rename(normalize_path(src_path), normalize_path(dst_path))


def listdir(store: StoreLike, path: str | bytes | None = None) -> list[str]:
    """Return the names one level below a path, sorted.

    Examples
    --------
    >>> listdir({"a/b": b"1", "a/c/d": b"2"}, "a")
    ['b', 'c']
    """
    return normalize_store_arg(store).listdir(normalize_path(path))


def getsize(store: StoreLike, path: str | bytes | None = None) -> int:
    """Return the size of a value in bytes, or of the values right below a path together.

    Examples
    --------
    >>> getsize({"a/b": b"12", "a/c/d": b"3"}, "a")
    2
    """
    return normalize_store_arg(store).getsize(normalize_path(path))


def atexit_rmtree(
    path: str,
    isdir: Callable[[str], bool] = os.path.isdir,
    rmtree: Callable[[str], object] = shutil.rmtree,
) -> None:
    """Delete a directory, if it is one: for ``atexit.register``.

    Examples
    --------
    >>> import atexit
    >>> _ = atexit.register(atexit_rmtree, "scratch.zarr")
    """
    if isdir(path):
        rmtree(path)


def atexit_rmglob(
    path: str,
    glob: Callable[[str], Iterable[str]] = glob_module.glob,
    isdir: Callable[[str], bool] = os.path.isdir,
    isfile: Callable[[str], bool] = os.path.isfile,
    remove: Callable[[str], object] = os.remove,
    rmtree: Callable[[str], object] = shutil.rmtree,
) -> None:
    """Delete the files and directories that match a pattern: for ``atexit.register``.

    Examples
    --------
    >>> import atexit
    >>> _ = atexit.register(atexit_rmglob, "scratch.db*")
    """
    for each in glob(path):
        if isfile(each):
            remove(each)
        elif isdir(each):
            rmtree(each)
