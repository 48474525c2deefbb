"""The stores of zarr 2 as mutable mappings, with its names and arguments.

Each is a thin face of a store here: give one to zarr 2, to code that was written for it, or to
any function of this package, which then uses the store behind it.

>>> from zarrstore import v2
>>> store = v2.MemoryStore()
>>> v2.init_array(store, shape=4, chunks=2, dtype="i4", path="a")
>>> sorted(store), v2.contains_array(store, "a")
(['.zgroup', 'a/.zarray'], True)

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "azure": ("ABSStore",),
    "databases": ("DBMStore", "LMDBStore", "SQLiteStore"),
    "directory": ("DirectoryStore", "NestedDirectoryStore", "TempStore"),
    "filesystems": ("FSStore",),
    "functions": (
        "atexit_rmglob",
        "atexit_rmtree",
        "contains_array",
        "contains_group",
        "getsize",
        "listdir",
        "normalize_store_arg",
        "rename",
        "rmdir",
    ),
    "layers": ("ConsolidatedMetadataStore", "LRUStoreCache"),
    "making": (
        "ContainsArrayError",
        "ContainsGroupError",
        "init_array",
        "init_group",
        "migrate_1to2",
    ),
    "memory": ("DictStore", "KVStore", "MemoryStore"),
    "n5": ("N5FSStore", "N5Store"),
    "servers": ("MongoDBStore", "RedisStore"),
    "store": ("V2Store", "as_v2"),
    "zip": ("ZipStore",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME)]


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'zarrstore.v2' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"zarrstore.v2.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from zarrstore.v2.azure import ABSStore as ABSStore
    from zarrstore.v2.databases import DBMStore as DBMStore
    from zarrstore.v2.databases import LMDBStore as LMDBStore
    from zarrstore.v2.databases import SQLiteStore as SQLiteStore
    from zarrstore.v2.directory import DirectoryStore as DirectoryStore
    from zarrstore.v2.directory import NestedDirectoryStore as NestedDirectoryStore
    from zarrstore.v2.directory import TempStore as TempStore
    from zarrstore.v2.filesystems import FSStore as FSStore
    from zarrstore.v2.functions import atexit_rmglob as atexit_rmglob
    from zarrstore.v2.functions import atexit_rmtree as atexit_rmtree
    from zarrstore.v2.functions import contains_array as contains_array
    from zarrstore.v2.functions import contains_group as contains_group
    from zarrstore.v2.functions import getsize as getsize
    from zarrstore.v2.functions import listdir as listdir
    from zarrstore.v2.functions import normalize_store_arg as normalize_store_arg
    from zarrstore.v2.functions import rename as rename
    from zarrstore.v2.functions import rmdir as rmdir
    from zarrstore.v2.layers import ConsolidatedMetadataStore as ConsolidatedMetadataStore
    from zarrstore.v2.layers import LRUStoreCache as LRUStoreCache
    from zarrstore.v2.making import ContainsArrayError as ContainsArrayError
    from zarrstore.v2.making import ContainsGroupError as ContainsGroupError
    from zarrstore.v2.making import init_array as init_array
    from zarrstore.v2.making import init_group as init_group
    from zarrstore.v2.making import migrate_1to2 as migrate_1to2
    from zarrstore.v2.memory import DictStore as DictStore
    from zarrstore.v2.memory import KVStore as KVStore
    from zarrstore.v2.memory import MemoryStore as MemoryStore
    from zarrstore.v2.n5 import N5FSStore as N5FSStore
    from zarrstore.v2.n5 import N5Store as N5Store
    from zarrstore.v2.servers import MongoDBStore as MongoDBStore
    from zarrstore.v2.servers import RedisStore as RedisStore
    from zarrstore.v2.store import V2Store as V2Store
    from zarrstore.v2.store import as_v2 as as_v2
    from zarrstore.v2.zip import ZipStore as ZipStore
