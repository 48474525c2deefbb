"""What zarr 2.18.7 wrote opens here, what is written here opens there; it writes through ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr2
from v2.contents import Cases, expected, fill, read

from zarrstore import v2

OTHER_SIDE = Path(__file__).parent / "other_side.py"


def cases(folder: Path) -> Cases:
    return {
        "directory": ("DirectoryStore", {"path": f"{folder}/directory"}, "all"),
        "nested": ("NestedDirectoryStore", {"path": f"{folder}/nested"}, "all"),
        "filesystem": ("FSStore", {"url": f"{folder}/filesystem"}, "all"),
        "zip": ("ZipStore", {"path": f"{folder}/data.zip"}, "all"),
        "sqlite": ("SQLiteStore", {"path": f"{folder}/data.sqldb"}, "all"),
        "dbm": ("DBMStore", {"path": f"{folder}/data.dbm"}, "all"),
        "lmdb": ("LMDBStore", {"path": f"{folder}/data.mdb"}, "buffers"),
        "n5": ("N5Store", {"path": f"{folder}/data.n5"}, "numbers"),
        "n5 in a filesystem": (
            "N5FSStore",
            {"url": f"{folder}/fs.n5", "auto_mkdir": True},
            "numbers",
        ),
    }


def opened(cls: str, arguments: dict[str, Any], mode: str) -> v2.V2Store:
    if cls == "ZipStore":
        arguments = {**arguments, "mode": mode}
    store: v2.V2Store = getattr(v2, cls)(**arguments)
    return store


def wrong(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it should be."""
    right = {kind: expected(kind) for kind in ("all", "numbers", "buffers")}
    return {name: read for name, (kind, read) in found.items() if read != right[kind]}


def test_what_zarr_2_wrote_opens_here(tmp_path: Path) -> None:
    there = cases(tmp_path)
    zarr2.run(OTHER_SIDE, "write_theirs", there, cwd=tmp_path)
    found = {}
    for name, (cls, arguments, kind) in there.items():
        with opened(cls, arguments, "r") as store:
            found[name] = kind, read(store, kind)
    assert not wrong(found)


def test_what_is_written_here_opens_in_zarr_2(tmp_path: Path) -> None:
    there = cases(tmp_path)
    for cls, arguments, kind in there.values():
        with opened(cls, arguments, "w") as store:
            fill(store, kind)
    answer = zarr2.run(OTHER_SIDE, "read_theirs", there, cwd=tmp_path)
    assert not wrong({name: (kind, answer[name]) for name, (_, _, kind) in there.items()})


def test_zarr_2_works_through_our_stores(tmp_path: Path) -> None:
    there = cases(tmp_path) | {
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


def test_zarr_2_and_this_package_in_one_process(tmp_path: Path) -> None:
    there = cases(tmp_path)
    answer = zarr2.run(OTHER_SIDE, "side_by_side", there, cwd=tmp_path)
    assert not wrong({name: (kind, answer[name]) for name, (_, _, kind) in there.items()})
