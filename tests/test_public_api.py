"""The exported names, pinned: a change here is a change for users."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import zarrstore_testing

import zarrstore
from zarrstore import aio

STORES = [
    "DBMStore",
    "LMDBStore",
    "CacheStore",
    "ConsolidatedStore",
    "LatencyStore",
    "LocalStore",
    "LoggingStore",
    "MappingStore",
    "MemoryStore",
    "MongoDBStore",
    "N5Store",
    "NestedStore",
    "ObjectStore",
    "PrefixStore",
    "RedisStore",
    "RemoteStore",
    "SQLiteStore",
    "TempStore",
    "WrapperStore",
    "ZipStore",
]
AUTHORS = [
    "ABSENT",
    "BlockingStore",
    "Capability",
    "OffsetByteRequest",
    "RangeByteRequest",
    "Stat",
    "Store",
    "SuffixByteRequest",
    "SyncStore",
]
ERRORS = [
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
]
ARRAYS = ["Array", "AsyncArray", "AsyncGroup", "Group"]
FUNCTIONS = [
    "array",
    "consolidate_metadata",
    "copy",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "delete",
    "empty",
    "empty_like",
    "full",
    "full_like",
    "load",
    "move",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_store",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]
OTHER = ["CopyReport", "__version__", "aio", "limits", "v2"]


def test_exported_names() -> None:
    expected = {*STORES, *AUTHORS, *ERRORS, *ARRAYS, *FUNCTIONS, *OTHER}
    assert set(zarrstore.__all__) == expected
    assert len(zarrstore.__all__) == len(expected)


def test_every_exported_name_is_there_and_documented() -> None:
    for name in zarrstore.__all__:
        value = getattr(zarrstore, name)
        if name not in ("__version__", "ABSENT"):
            assert inspect.getdoc(value), name


def test_exported_names_of_aio_and_the_kit() -> None:
    assert set(aio.__all__) == {"AsyncArray", "AsyncGroup", *FUNCTIONS}
    assert {"Report", "StoreTests", "check_store"} <= set(zarrstore_testing.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_aio_has_the_same_parameters(name: str) -> None:
    blocking = inspect.signature(getattr(zarrstore, name))
    asynchronous = inspect.signature(getattr(aio, name))
    assert blocking.parameters == asynchronous.parameters
    assert inspect.iscoroutinefunction(getattr(aio, name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_aio_says_what_a_function_does_in_a_line(name: str) -> None:
    first = (inspect.getdoc(getattr(aio, name)) or "").splitlines()
    assert first[0].endswith(f"see `zarrstore.{name}`.")
    assert "Examples" in (inspect.getdoc(getattr(zarrstore, name)) or "")


BLOCKING_ONLY = ("async_array", "async_group", "item")
SPELLED = {
    "__getitem__": "getitem",
    "__contains__": "contains",
    "__delitem__": "delitem",
    "__setitem__": "setitem",
}


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [(zarrstore.Array, zarrstore.AsyncArray), (zarrstore.Group, zarrstore.AsyncGroup)],
)
def test_both_faces_of_a_node_have_the_same_methods(blocking: type, asynchronous: type) -> None:
    for name, method in inspect.getmembers(asynchronous, inspect.iscoroutinefunction):
        if name.startswith("_"):
            continue
        other = next((dunder for dunder, plain in SPELLED.items() if plain == name), name)
        there = getattr(blocking, other)
        if not other.startswith("__") and not isinstance(there, property):
            assert inspect.signature(method).parameters == inspect.signature(there).parameters, name
    for name in dir(blocking):
        if not name.startswith("_") and name not in BLOCKING_ONLY:
            assert hasattr(asynchronous, name), name


def test_the_blocking_face_of_a_store_has_its_methods() -> None:
    operations = [
        name
        for name, method in inspect.getmembers(zarrstore.Store, inspect.isfunction)
        if not name.startswith("_") and name != "with_read_only"
    ]
    assert len(operations) > 15
    for name in operations:
        there = inspect.signature(getattr(zarrstore.Store, name)).parameters
        here = inspect.signature(getattr(zarrstore.SyncStore, name)).parameters
        if name == "get":  # a mapping's get has a default in the second place
            assert set(there) < set(here)
        else:
            assert there == here, name


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = zarrstore.nothing
    assert set(zarrstore.__all__) <= set(dir(zarrstore))


def test_importing_loads_no_heavy_package() -> None:
    script = (
        "import sys, zarrstore; "
        "print([m for m in ('numpy', 'fsspec', 'asyncio', 'anyio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
