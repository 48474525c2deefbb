"""What zarr 2.18.7 wrote opens here, what is written here opens there; it writes through ours."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zarr2
from v2.contents import Cases, expected, fill, made, read

from zarrstore import v2

if TYPE_CHECKING:
    from azurite import Azurite
    from daemons import Secantus, Valkey

pytest_plugins = ["azurite", "database_servers"]

OTHER_SIDE = Path(__file__).parent / "other_side.py"


@pytest.fixture
def there(valkey: Valkey, secantus: Secantus, azurite: Azurite, tmp_path: Path) -> Cases:
    """Every class of zarr 2 that keeps what is written when its process ends."""
    folder, name = tmp_path, uuid.uuid4().hex
    return {
        "directory": ("DirectoryStore", {"path": f"{folder}/directory"}, "all"),
        "nested": ("NestedDirectoryStore", {"path": f"{folder}/nested"}, "all"),
        "filesystem": ("FSStore", {"url": f"{folder}/filesystem"}, "all"),
        "zip": ("ZipStore", {"path": f"{folder}/data.zip"}, "all"),
        "sqlite": ("SQLiteStore", {"path": f"{folder}/data.sqldb"}, "all"),
        "redis": ("RedisStore", {"prefix": name, "port": valkey.port}, "all"),
        "mongodb": ("MongoDBStore", {"collection": name, "port": secantus.port}, "all"),
        "azure": (
            "ABSStore",
            {"client": [azurite.connection_string, azurite.container(), "a/b"]},
            "all",
        ),
        "dbm": ("DBMStore", {"path": f"{folder}/data.dbm"}, "all"),
        "lmdb": ("LMDBStore", {"path": f"{folder}/data.mdb"}, "buffers"),
        "n5": ("N5Store", {"path": f"{folder}/data.n5"}, "numbers"),
        "n5 in a filesystem": (
            "N5FSStore",
            {"url": f"{folder}/fs.n5", "auto_mkdir": True},
            "numbers",
        ),
    }


def wrong(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it should be."""
    right = {kind: expected(kind) for kind in ("all", "numbers", "buffers")}
    return {name: read for name, (kind, read) in found.items() if read != right[kind]}


def test_what_zarr_2_wrote_opens_here(there: Cases, tmp_path: Path) -> None:
    zarr2.run(OTHER_SIDE, "write_theirs", there, cwd=tmp_path)
    found = {}
    for name, (cls, arguments, kind) in there.items():
        with made(v2, cls, arguments, "r") as store:
            found[name] = kind, read(store, kind)
    assert not wrong(found)


def test_what_is_written_here_opens_in_zarr_2(there: Cases, tmp_path: Path) -> None:
    for cls, arguments, kind in there.values():
        with made(v2, cls, arguments, "w") as store:
            fill(store, kind)
    answer = zarr2.run(OTHER_SIDE, "read_theirs", there, cwd=tmp_path)
    assert not wrong({name: (kind, answer[name]) for name, (_, _, kind) in there.items()})


def test_zarr_2_works_through_our_stores(there: Cases, tmp_path: Path) -> None:
    there |= {
        "lmdb": ("LMDBStore", {"path": f"{tmp_path}/through.mdb"}, "all"),
        "memory": ("MemoryStore", {}, "all"),
        "mapping": ("KVStore", {"mutablemapping": {}}, "all"),
        "lower case": (
            "DirectoryStore",
            {"path": f"{tmp_path}/lower", "normalize_keys": True},
            "all",
        ),
        "filesystem in memory": ("FSStore", {"url": "memory://through"}, "all"),
    }
    answer = zarr2.run(OTHER_SIDE, "through_ours", there, cwd=tmp_path)
    assert not wrong({name: (kind, answer[name]) for name, (_, _, kind) in there.items()})


def test_zarr_2_and_this_package_in_one_process(there: Cases, tmp_path: Path) -> None:
    answer = zarr2.run(OTHER_SIDE, "side_by_side", there, cwd=tmp_path)
    assert not wrong({name: (kind, answer[name]) for name, (_, _, kind) in there.items()})
