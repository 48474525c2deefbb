"""Stores, here and of others, against every behaviour: the table in docs/conformance-matrix.md."""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import obstore.store
import zarr
import zarr.storage
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from zarrstore_testing import Options, check_store, registry

from zarrstore.abc import Store
from zarrstore.interop.zarr import from_zarr
from zarrstore.stores.dbm import DBMStore
from zarrstore.stores.local import LocalStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.object import ObjectStore
from zarrstore.stores.remote import RemoteStore
from zarrstore.stores.sqlite import SQLiteStore
from zarrstore.stores.wrappers.cache import CacheStore
from zarrstore.stores.zip import ZipStore

PAGE = Path(__file__).parents[2] / "docs" / "conformance-matrix.md"
RECORD = Path(__file__).with_name("matrix.json")
OPTIONS = Options(many_keys=1100, examples=10, timeout=60)
SIGNS = {"passed": "yes", "failed": "**no**", "not applicable": "-"}


def _directory() -> str:
    return tempfile.mkdtemp(prefix="matrix-")


def _zarr_zip() -> Store:
    return from_zarr(zarr.storage.ZipStore(f"{_directory()}/x.zip", mode="w"))


def _zarr_fsspec() -> Store:
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    files = AsyncFileSystemWrapper(MemoryFileSystem(), asynchronous=True)
    return from_zarr(zarr.storage.FsspecStore(files, path=f"/{uuid.uuid4()}"))


OURS: dict[str, Callable[[], Store]] = {
    "MemoryStore": MemoryStore,
    "MappingStore": lambda: MappingStore({}),
    "LocalStore": lambda: LocalStore(_directory()),
    "ZipStore": lambda: ZipStore(f"{_directory()}/x.zip"),
    "SQLiteStore": lambda: SQLiteStore(f"{_directory()}/x.db"),
    "DBMStore, dumb": lambda: DBMStore(f"{_directory()}/x.dbm", open="dumb"),
    "RemoteStore, fsspec memory": lambda: RemoteStore(MemoryFileSystem(), f"/{uuid.uuid4()}"),
    "RemoteStore, fsspec local": lambda: RemoteStore(LocalFileSystem(), _directory()),
    "ObjectStore, obstore memory": lambda: ObjectStore(obstore.store.MemoryStore()),
    "ObjectStore, obstore local": lambda: ObjectStore(obstore.store.LocalStore(_directory())),
    "CacheStore, local": lambda: CacheStore(LocalStore(_directory())),
}
ZARR: dict[str, Callable[[], Store]] = {
    "MemoryStore": lambda: from_zarr(zarr.storage.MemoryStore()),
    "LocalStore": lambda: from_zarr(zarr.storage.LocalStore(_directory())),
    "ZipStore": _zarr_zip,
    "FsspecStore, memory": _zarr_fsspec,
    "ObjectStore, obstore memory": lambda: from_zarr(
        zarr.storage.ObjectStore(obstore.store.MemoryStore())
    ),
    "ObjectStore, obstore local": lambda: from_zarr(
        zarr.storage.ObjectStore(obstore.store.LocalStore(_directory()))
    ),
}
COLUMNS = {f"zarrstore: {name}": make for name, make in OURS.items()}
COLUMNS |= {f"zarr: {name}": make for name, make in ZARR.items()}

HEAD = """\
# Stores against behaviours

What the [conformance kit](conformance.md) says of the stores here, and of those of zarr-python
{zarr} (with obstore {obstore} and fsspec {fsspec} below them), which it is given through
`from_zarr`. That adapter keeps the rules about keys, byte ranges, read-only stores and closing for
the store below it, so that what fails is what an adapter cannot mend. "-" stands for what a store
does not offer, and says so.

icechunk's store cannot be asked: it takes the documents and chunks of Zarr arrays, and no other
keys and values.

This page is written by `python -m mutants.matrix` in the directory `tests`; the names of some
columns after it are those to check again.
"""


def recorded() -> dict[str, Any]:
    """Return what came of the last checks."""
    found: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {"found": {}}
    return found


def record(names: Iterable[str]) -> None:
    """Check stores, and keep what came of it."""
    for name in names:
        report = check_store(COLUMNS[name], options=OPTIONS)
        kept = recorded()
        kept["versions"] = {name: version(name) for name in ("zarr", "obstore", "fsspec")}
        kept["found"][name] = {result.name: result.status for result in report.results}
        RECORD.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"{name}: {report.counts}", flush=True)


def page() -> str:
    """Return the page."""
    record = recorded()
    lines = [HEAD.format(**record["versions"])]
    for library, names in (("zarrstore", OURS), ("zarr", ZARR)):
        found = {name: record["found"][f"{library}: {name}"] for name in names}
        lines += [f"## Stores of {library}", "", f"| behaviour | {' | '.join(names)} |"]
        lines.append(f"| --- |{' --- |' * len(names)}")
        for behaviour in registry:
            cells = [SIGNS[found[name][behaviour]] for name in names]
            lines.append(f"| `{behaviour}` | {' | '.join(cells)} |")
        failed = [str(sum(status == "failed" for status in found[name].values())) for name in names]
        lines += [f"| failed | {' | '.join(failed)} |", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    record(sys.argv[1:] or COLUMNS)
    PAGE.write_text(page())
