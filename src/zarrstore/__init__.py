"""Zarr arrays and groups in any store, opened from a string or a dict.

>>> import zarrstore
>>> array = zarrstore.create_array("memory://first", shape=(4, 4), dtype="int32", chunks=(2, 2))
>>> array[1:3, 1:3] = 7
>>> zarrstore.open("memory://first", mode="r")[2]
array([0, 7, 7, 0], dtype=int32)

Names are imported when they are first used: ``import zarrstore`` alone is quick, and loads
neither numpy nor fsspec.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "zarrstore.abc": (
        "ABSENT",
        "BlockingStore",
        "Capability",
        "OffsetByteRequest",
        "RangeByteRequest",
        "Stat",
        "Store",
        "SuffixByteRequest",
    ),
    "zarrstore.errors": (
        "AccessDeniedError",
        "BackendError",
        "ConflictError",
        "CorruptDataError",
        "InvalidKeyError",
        "KeyNotFoundError",
        "MetadataError",
        "NodeExistsError",
        "NodeNotFoundError",
        "NotShareableError",
        "ReadOnlyError",
        "StoreClosedError",
        "StoreURLError",
        "UnsupportedOperationError",
        "ZarrStoreError",
    ),
    "zarrstore.hierarchy.array": ("Array", "AsyncArray"),
    "zarrstore.hierarchy.group": ("AsyncGroup", "Group"),
    "zarrstore.hierarchy.making": (
        "array",
        "create",
        "empty",
        "empty_like",
        "full",
        "full_like",
        "ones",
        "ones_like",
        "zeros",
        "zeros_like",
    ),
    "zarrstore.hierarchy.opening": (
        "consolidate_metadata",
        "create_array",
        "create_group",
        "open",
        "open_array",
        "open_consolidated",
        "open_group",
        "open_store",
    ),
    "zarrstore.hierarchy.saving": (
        "copy",
        "delete",
        "load",
        "move",
        "save",
        "save_array",
        "save_group",
        "tree",
    ),
    "zarrstore.runtime": ("limits",),
    "zarrstore.stores.dbm": ("DBMStore",),
    "zarrstore.stores.lmdb": ("LMDBStore",),
    "zarrstore.stores.local": ("LocalStore",),
    "zarrstore.stores.mapping": ("MappingStore",),
    "zarrstore.stores.memory": ("MemoryStore",),
    "zarrstore.stores.mongodb": ("MongoDBStore",),
    "zarrstore.stores.object": ("ObjectStore",),
    "zarrstore.stores.redis": ("RedisStore",),
    "zarrstore.stores.remote": ("RemoteStore",),
    "zarrstore.stores.sqlite": ("SQLiteStore",),
    "zarrstore.stores.wrappers.base": ("WrapperStore",),
    "zarrstore.stores.wrappers.latency": ("LatencyStore",),
    "zarrstore.stores.wrappers.logging": ("LoggingStore",),
    "zarrstore.stores.wrappers.prefix": ("PrefixStore",),
    "zarrstore.stores.zip": ("ZipStore",),
    "zarrstore.sync": ("SyncStore",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("aio",)

__version__ = "0.1.0.dev0"
__all__ = [*sorted([*_HOME, *_MODULES]), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"zarrstore.{name}")
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'zarrstore' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from zarrstore import aio as aio
    from zarrstore.abc import ABSENT as ABSENT
    from zarrstore.abc import BlockingStore as BlockingStore
    from zarrstore.abc import Capability as Capability
    from zarrstore.abc import OffsetByteRequest as OffsetByteRequest
    from zarrstore.abc import RangeByteRequest as RangeByteRequest
    from zarrstore.abc import Stat as Stat
    from zarrstore.abc import Store as Store
    from zarrstore.abc import SuffixByteRequest as SuffixByteRequest
    from zarrstore.errors import AccessDeniedError as AccessDeniedError
    from zarrstore.errors import BackendError as BackendError
    from zarrstore.errors import ConflictError as ConflictError
    from zarrstore.errors import CorruptDataError as CorruptDataError
    from zarrstore.errors import InvalidKeyError as InvalidKeyError
    from zarrstore.errors import KeyNotFoundError as KeyNotFoundError
    from zarrstore.errors import MetadataError as MetadataError
    from zarrstore.errors import NodeExistsError as NodeExistsError
    from zarrstore.errors import NodeNotFoundError as NodeNotFoundError
    from zarrstore.errors import NotShareableError as NotShareableError
    from zarrstore.errors import ReadOnlyError as ReadOnlyError
    from zarrstore.errors import StoreClosedError as StoreClosedError
    from zarrstore.errors import StoreURLError as StoreURLError
    from zarrstore.errors import UnsupportedOperationError as UnsupportedOperationError
    from zarrstore.errors import ZarrStoreError as ZarrStoreError
    from zarrstore.hierarchy.array import Array as Array
    from zarrstore.hierarchy.array import AsyncArray as AsyncArray
    from zarrstore.hierarchy.group import AsyncGroup as AsyncGroup
    from zarrstore.hierarchy.group import Group as Group
    from zarrstore.hierarchy.making import array as array
    from zarrstore.hierarchy.making import create as create
    from zarrstore.hierarchy.making import empty as empty
    from zarrstore.hierarchy.making import empty_like as empty_like
    from zarrstore.hierarchy.making import full as full
    from zarrstore.hierarchy.making import full_like as full_like
    from zarrstore.hierarchy.making import ones as ones
    from zarrstore.hierarchy.making import ones_like as ones_like
    from zarrstore.hierarchy.making import zeros as zeros
    from zarrstore.hierarchy.making import zeros_like as zeros_like
    from zarrstore.hierarchy.opening import consolidate_metadata as consolidate_metadata
    from zarrstore.hierarchy.opening import create_array as create_array
    from zarrstore.hierarchy.opening import create_group as create_group
    from zarrstore.hierarchy.opening import open as open
    from zarrstore.hierarchy.opening import open_array as open_array
    from zarrstore.hierarchy.opening import open_consolidated as open_consolidated
    from zarrstore.hierarchy.opening import open_group as open_group
    from zarrstore.hierarchy.opening import open_store as open_store
    from zarrstore.hierarchy.saving import copy as copy
    from zarrstore.hierarchy.saving import delete as delete
    from zarrstore.hierarchy.saving import load as load
    from zarrstore.hierarchy.saving import move as move
    from zarrstore.hierarchy.saving import save as save
    from zarrstore.hierarchy.saving import save_array as save_array
    from zarrstore.hierarchy.saving import save_group as save_group
    from zarrstore.hierarchy.saving import tree as tree
    from zarrstore.runtime import limits as limits
    from zarrstore.stores.dbm import DBMStore as DBMStore
    from zarrstore.stores.lmdb import LMDBStore as LMDBStore
    from zarrstore.stores.local import LocalStore as LocalStore
    from zarrstore.stores.mapping import MappingStore as MappingStore
    from zarrstore.stores.memory import MemoryStore as MemoryStore
    from zarrstore.stores.mongodb import MongoDBStore as MongoDBStore
    from zarrstore.stores.object import ObjectStore as ObjectStore
    from zarrstore.stores.redis import RedisStore as RedisStore
    from zarrstore.stores.remote import RemoteStore as RemoteStore
    from zarrstore.stores.sqlite import SQLiteStore as SQLiteStore
    from zarrstore.stores.wrappers.base import WrapperStore as WrapperStore
    from zarrstore.stores.wrappers.latency import LatencyStore as LatencyStore
    from zarrstore.stores.wrappers.logging import LoggingStore as LoggingStore
    from zarrstore.stores.wrappers.prefix import PrefixStore as PrefixStore
    from zarrstore.stores.zip import ZipStore as ZipStore
    from zarrstore.sync import SyncStore as SyncStore
