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
        "directory": ("DirectoryStore", {"path": f"{folder}/directory"}, False),
        "nested": ("NestedDirectoryStore", {"path": f"{folder}/nested"}, False),
        "filesystem": ("FSStore", {"url": f"{folder}/filesystem"}, False),
        "zip": ("ZipStore", {"path": f"{folder}/data.zip"}, False),
        "sqlite": ("SQLiteStore", {"path": f"{folder}/data.sqldb"}, False),
        "dbm": ("DBMStore", {"path": f"{folder}/data.dbm"}, False),
        "lmdb": ("LMDBStore", {"path": f"{folder}/data.mdb"}, False),
        "n5": ("N5Store", {"path": f"{folder}/data.n5"}, True),
        "n5 in a filesystem": ("N5FSStore", {"url": f"{folder}/fs.n5", "auto_mkdir": True}, True),
    }


def opened(cls: str, arguments: dict[str, Any], mode: str) -> v2.V2Store:
    if cls == "ZipStore":
        arguments = {**arguments, "mode": mode}
    store: v2.V2Store = getattr(v2, cls)(**arguments)
    return store


def wrong(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it should be."""
    right = {plain: expected(plain) for plain in (True, False)}
    return {name: read for name, (plain, read) in found.items() if read != right[plain]}


def test_what_zarr_2_wrote_opens_here(tmp_path: Path) -> None:
    there = cases(tmp_path)
    zarr2.run(OTHER_SIDE, "write_theirs", there, cwd=tmp_path)
    found = {}
    for name, (cls, arguments, plain) in there.items():
        with opened(cls, arguments, "r") as store:
            found[name] = plain, read(store, plain)
    assert not wrong(found)


def test_what_is_written_here_opens_in_zarr_2(tmp_path: Path) -> None:
    there = cases(tmp_path)
    for cls, arguments, plain in there.values():
        with opened(cls, arguments, "w") as store:
            fill(store, plain)
    answer = zarr2.run(OTHER_SIDE, "read_theirs", there, cwd=tmp_path)
    assert not wrong({name: (plain, answer[name]) for name, (_, _, plain) in there.items()})


def test_zarr_2_works_through_our_stores(tmp_path: Path) -> None:
    there = cases(tmp_path) | {
        "memory": ("MemoryStore", {}, False),
        "mapping": ("KVStore", {"mutablemapping": {}}, False),
        "lower case": (
            "DirectoryStore",
            {"path": f"{tmp_path}/lower", "normalize_keys": True},
            False,
        ),
        "filesystem in memory": ("FSStore", {"url": "memory://through"}, False),
    }
    answer = zarr2.run(OTHER_SIDE, "through_ours", there, cwd=tmp_path)
    assert not wrong({name: (plain, answer[name]) for name, (_, _, plain) in there.items()})


def test_zarr_2_and_this_package_in_one_process(tmp_path: Path) -> None:
    there = cases(tmp_path)
    answer = zarr2.run(OTHER_SIDE, "side_by_side", there, cwd=tmp_path)
    assert not wrong({name: (plain, answer[name]) for name, (_, _, plain) in there.items()})
