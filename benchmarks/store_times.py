"""What is timed of the stores of zarr 2, and of those of the same names here.

Both have the same classes with the same arguments, so all of this runs on either side, given the
module that has them.
"""

from __future__ import annotations

import dbm.dumb
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["CELLS", "KINDS", "Kind", "keys", "seconds", "times"]

CELLS = (1024, 256 * 1024)
"""Bytes of a value."""
BATCH = 2**22
"""Bytes that are read, or written, at once."""
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Kind:
    """A class, and what is asked of it."""

    make: Callable[[Any, str, int], Any]
    """Called with the module, a path where nothing is, and the port of the server."""
    server: str = ""
    """What is to run meanwhile."""
    counts: tuple[int, ...] = (10_000, 1_000)
    """How many keys are written in each cell."""
    deleted: int = 10**9
    """At most so many keys are deleted, where that takes long; 0 where it cannot be done."""
    kept: bool = False
    """Whether reading is timed when all was read before."""
    batches: bool = False
    """Whether many at once are timed, too."""
    listed: bool = False
    """Whether 100 keys among a million are listed."""


def _lru_cache(module: Any, path: str, _: int) -> Any:
    return module.LRUStoreCache(module.DirectoryStore(path), max_size=2**30)


KINDS = {
    "KVStore": Kind(lambda module, *_: module.KVStore({})),
    "MemoryStore": Kind(lambda module, *_: module.MemoryStore()),
    "DirectoryStore": Kind(lambda module, path, _: module.DirectoryStore(path)),
    "NestedDirectoryStore": Kind(lambda module, path, _: module.NestedDirectoryStore(path)),
    "TempStore": Kind(lambda module, path, _: module.TempStore(dir=os.path.dirname(path))),
    "FSStore": Kind(lambda module, path, _: module.FSStore(path), batches=True),
    "ZipStore": Kind(lambda module, path, _: module.ZipStore(path, mode="w"), deleted=0),
    "LRUStoreCache": Kind(_lru_cache, kept=True),
    "SQLiteStore": Kind(
        lambda module, path, _: module.SQLiteStore(path), batches=True, listed=True
    ),
    "LMDBStore": Kind(lambda module, path, _: module.LMDBStore(path), batches=True, listed=True),
    "DBMStore": Kind(
        lambda module, path, _: module.DBMStore(path, open=dbm.dumb.open), deleted=200
    ),
    "RedisStore": Kind(
        lambda module, path, port: module.RedisStore(os.path.basename(path), host=LOCAL, port=port),
        server="Valkey",
        batches=True,
    ),
    # zarr 2 has no index of its keys there: each takes as long as there are others
    "MongoDBStore": Kind(
        lambda module, path, port: module.MongoDBStore(
            "benchmark", os.path.basename(path), host=LOCAL, port=port
        ),
        server="Secantus",
        counts=(1_000, 100),
        batches=True,
    ),
    "ConsolidatedMetadataStore": Kind(lambda module, *_: module.KVStore({}), counts=(10_000,)),
}


def keys(count: int) -> list[str]:
    """Return keys of chunks of two dimensions."""
    return [f"array/{number // 100}.{number % 100}" for number in range(count)]


def seconds(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def times(module: Any, name: str, path: str, port: int, size: int, count: int) -> dict[str, float]:
    """Return the seconds that each operation takes, for one key."""
    kind = KINDS[name]
    if name == "ConsolidatedMetadataStore":
        return _of_metadata(module, count)
    with kind.make(module, path, port) as mapping:
        found = _one_by_one(mapping, os.urandom(size), count, kind)
    if kind.batches:
        with kind.make(module, f"{path}-batches", port) as mapping:
            found |= _many_at_once(mapping, os.urandom(size), count)
    return found


def _one_by_one(mapping: Any, value: bytes, count: int, kind: Kind) -> dict[str, float]:
    names = keys(count)
    deleted = min(count, kind.deleted)

    def write() -> None:
        for name in names:
            mapping[name] = value

    def read() -> None:
        for name in names:
            # zarr 2 may return memory that is somebody else's by then
            bytes(mapping[name])

    def delete() -> None:
        for name in names[:deleted]:
            del mapping[name]

    found = {"set": seconds(write) / count}
    if kind.kept:
        read()
    found |= {
        "get": seconds(read) / count,
        # without len(), for which list() would ask a mapping
        "list": seconds(lambda: list(iter(mapping))) / count,
    }
    if sorted(mapping) != sorted(names) or bytes(mapping[names[-1]]) != value:
        raise ValueError(f"{mapping} has not what was written")
    if deleted:
        found["delete"] = seconds(delete) / deleted
    return found


def _many_at_once(mapping: Any, value: bytes, count: int) -> dict[str, float]:
    names, at_once = keys(count), BATCH // len(value)
    parts = [names[at : at + at_once] for at in range(0, count, at_once)]

    def write() -> None:
        for part in parts:
            mapping.update(dict.fromkeys(part, value))

    def read() -> None:
        for part in parts:
            values = mapping.getitems(part, contexts={}).values()
            if len([bytes(value) for value in values]) != len(part):
                raise ValueError(f"{mapping} has not what was written")

    return {"update": seconds(write) / count, "getitems": seconds(read) / count}


def _of_metadata(module: Any, count: int) -> dict[str, float]:
    """Time what is read of a document of metadata."""
    names = [f"{number}/.zgroup" for number in range(count)]
    metadata = {name: {"zarr_format": 2} for name in names}
    document = {"zarr_consolidated_format": 1, "metadata": metadata}
    below = {".zmetadata": json.dumps(document).encode()}
    mapping = module.ConsolidatedMetadataStore(module.KVStore(below))

    def read() -> None:
        for name in names:
            if not mapping[name]:
                raise ValueError(f"{mapping} has no {name}")

    return {
        "get": seconds(read) / count,
        "list": seconds(lambda: list(iter(mapping))) / count,
    }
