"""The stores that the tests of the zarr-python adapter are run over, each new and empty."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

from zarrstore.abc import BlockingStore, Store
from zarrstore.runtime import ForkSafeLock, PerProcess
from zarrstore.stores.dbm import DBMStore
from zarrstore.stores.lmdb import LMDBStore
from zarrstore.stores.local import LocalStore, TempStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.mongodb import MongoDBStore
from zarrstore.stores.redis import RedisStore
from zarrstore.stores.remote import RemoteStore
from zarrstore.stores.sqlite import SQLiteStore
from zarrstore.stores.wrappers.cache import CacheStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.logging import LoggingStore
from zarrstore.stores.wrappers.prefix import PrefixStore
from zarrstore.stores.zip import ZipStore

__all__ = ["DIRECTORIES", "MAKERS", "TableStore", "let_theirs_block", "make_store"]


class TableStore(BlockingStore):
    """A table of a database, as a user might write it."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.path = path
        self._database = PerProcess(self._connect, sqlite3.Connection.close)
        self._one_at_a_time = ForkSafeLock()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        database.execute("CREATE TABLE IF NOT EXISTS pairs (key TEXT PRIMARY KEY, value BLOB)")
        return database

    @property
    def url(self) -> str:
        return f"table://{self.path}"

    def _location(self) -> dict[str, Any]:
        return {"path": self.path}

    def _close(self) -> None:
        self._database.close()

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._one_at_a_time:
            return self._database.get().execute(statement, values).fetchall()

    def _get(self, key: str) -> bytes | None:
        rows = self._run("SELECT value FROM pairs WHERE key = ?", key)
        return rows[0][0] if rows else None

    def _set(self, key: str, value: bytes) -> None:
        self._run("REPLACE INTO pairs VALUES (?, ?)", key, value)

    def _delete(self, key: str) -> None:
        self._run("DELETE FROM pairs WHERE key = ?", key)

    def _list(self, prefix: str) -> Iterator[str]:
        rows = self._run("SELECT key FROM pairs")
        return (key for (key,) in rows if key.startswith(prefix))


def _s3(_: Path, request: pytest.FixtureRequest) -> Store:
    bucket = request.getfixturevalue("s3_bucket")
    return RemoteStore.from_url(f"{bucket.url}/a", bucket.storage_options)


def _redis(_: Path, request: pytest.FixtureRequest) -> Store:
    server = request.getfixturevalue("valkey")
    return RedisStore(uuid.uuid4().hex, host="127.0.0.1", port=server.port, socket_timeout=60)


def _mongodb(_: Path, request: pytest.FixtureRequest) -> Store:
    server = request.getfixturevalue("secantus")
    return MongoDBStore(
        "zarr", uuid.uuid4().hex, host="127.0.0.1", port=server.port, socketTimeoutMS=60_000
    )


MAKERS: dict[str, Callable[[Path, pytest.FixtureRequest], Store]] = {
    "memory": lambda _, __: MemoryStore(),
    "local": lambda folder, _: LocalStore(folder),
    "zip": lambda folder, _: ZipStore(folder / "a.zip"),
    "mapping": lambda _, __: MappingStore(OrderedDict()),
    "table": lambda folder, _: TableStore(str(folder / "pairs.sqlite")),
    "sqlite": lambda folder, _: SQLiteStore(folder / "a.db"),
    "lmdb": lambda folder, _: LMDBStore(folder / "a.lmdb"),
    "dbm": lambda folder, _: DBMStore(folder / "a.dbm", open="dumb"),
    "fsspec memory": lambda _, __: RemoteStore.from_url(f"memory://{uuid.uuid4().hex}"),
    "fsspec local": lambda folder, _: RemoteStore.from_url(f"local://{folder}"),
    "s3": _s3,
    "redis": _redis,
    "mongodb": _mongodb,
    "prefix": lambda _, __: PrefixStore(MemoryStore({"other": b"1"}), "a/b"),
    "prefix of local": lambda folder, _: PrefixStore(LocalStore(folder), "a"),
    "logging": lambda folder, _: LoggingStore(LocalStore(folder)),
    "latency": lambda _, __: LatencyStore(MemoryStore(), get_latency=0.001),
    "cache": lambda folder, _: CacheStore(LocalStore(folder)),
    "temporary": lambda folder, _: TempStore(dir=folder),
}
"""Makers by name, called with an empty directory and the ``request`` of pytest."""

DIRECTORIES = {"local", "fsspec local", "prefix of local", "logging", "cache", "temporary"}
"""Those in which a key cannot be a prefix as well."""


def let_theirs_block(blockbuster: BlockBuster) -> None:
    """Let stores of zarr-python block its own event loop, as its zip files and its logging do."""
    names = {"_get", "_get_range", "_exact_part", "_stat", "_exists", "_set", "_delete", "_opened"}
    for function in blockbuster.functions.values():
        function.can_block_in("zarrstore/interop/_zarr_python.py", names | {"_once_each"})


def make_store(name: str, request: pytest.FixtureRequest) -> Store:
    """Return a new store."""
    folder = Path(tempfile.mkdtemp(dir=request.getfixturevalue("tmp_path")))
    return MAKERS[name](folder, request)
