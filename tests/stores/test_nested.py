"""`NestedStore`: chunks in directories of arrays that do not say so."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr2

import zarrstore
from zarrstore.abc import ABSENT, RangeByteRequest
from zarrstore.errors import ConflictError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.nested import NestedStore

VALUES = np.arange(24).reshape(2, 3, 4)
OTHER_SIDE = Path(__file__).parents[1] / "v2" / "other_side.py"


def document(**members: Any) -> bytes:
    found = {
        "zarr_format": 2, "shape": [2, 2], "chunks": [1, 1], "dtype": "|u1", "compressor": None,
        "fill_value": 0, "order": "C", "filters": None, **members,
    }  # fmt: skip
    return json.dumps(found).encode()


OLD = {
    ".zgroup": b'{"zarr_format": 2}',
    "0/.zarray": document(),
    **{f"0/{i}/{j}": bytes([2 * i + j]) for i in range(2) for j in range(2)},
}
"""As zarr-python wrote it before 2.8: documents do not say how chunks are called."""


def test_a_tree_of_zarr_python_before_2_8() -> None:
    data = dict(OLD)
    store = NestedStore(MemoryStore(data))
    group = zarrstore.open_group(store)
    assert group["0"][:].tolist() == [[0, 1], [2, 3]]
    group["0"][1, 1] = 9
    assert data["0/1/1"] == b"\x09"
    assert data["0/.zarray"] == OLD["0/.zarray"]
    assert sorted(store.sync) == sorted(data)
    assert sorted(store.sync.list_dir("0")) == [".zarray", "0", "1"]


def test_its_consolidated_metadata() -> None:
    metadata = {key: json.loads(OLD[key]) for key in (".zgroup", "0/.zarray")}
    consolidated = {"zarr_consolidated_format": 1, "metadata": metadata}
    data = OLD | {".zmetadata": json.dumps(consolidated).encode()}
    store = NestedStore(MemoryStore(data))
    for group in (
        zarrstore.open_group(store, mode="r"),
        zarrstore.open_consolidated(store),
        zarrstore.open_group(zarrstore.ConsolidatedStore(store), mode="r"),
    ):
        assert group["0"][:].tolist() == [[0, 1], [2, 3]]


def test_it_can_be_copied_to_where_nobody_has_to_know() -> None:
    new: dict[str, bytes] = {}
    zarrstore.copy_store(NestedStore(MemoryStore(dict(OLD))), new)
    assert zarrstore.open_group(new, mode="r")["0"][:].tolist() == [[0, 1], [2, 3]]
    again: dict[str, bytes] = {}
    zarrstore.copy_store(dict(OLD), NestedStore(zarrstore.MemoryStore(again)))
    assert again == OLD


def test_zarr_2_reads_the_same(tmp_path: Path) -> None:
    """Whether the array says it, with either separator, or not, and whoever made it."""
    LocalStore(tmp_path / "x").sync.set_many(
        {f"old/{key.removeprefix('0/')}": value for key, value in OLD.items() if key[0] == "0"}
        | {".zgroup": OLD[".zgroup"]}
    )
    group = zarrstore.open_group(NestedStore(LocalStore(tmp_path / "x")))
    old = group["old"][...].tolist()
    for name, options in [("default", {}), ("dot", {"dimension_separator": "."})]:
        group.create_array(name, data=VALUES, chunks=(1, 2, 2), **options)
    group.create_array("slash", data=VALUES, chunks=(1, 2, 2), dimension_separator="/")
    names = ["old", "default", "dot", "slash"]
    answer = zarr2.run(OTHER_SIDE, "in_nested", str(tmp_path / "x"), names, cwd=tmp_path)
    expected = [old, *[VALUES.tolist()] * 3]
    assert answer == expected
    assert [group[name][...].tolist() for name in names] == expected
    through = zarr2.run(OTHER_SIDE, "old_in_nested", str(tmp_path / "x"), cwd=tmp_path)
    assert through == [old] * 8
    created = zarr2.run(OTHER_SIDE, "make_nested", str(tmp_path / "x"), cwd=tmp_path)
    found = zarrstore.open_group(NestedStore(LocalStore(tmp_path / "x")), mode="r")
    assert {name: found[name][...].tolist() for name in created} == created


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b"\xff", b"1", b'{"metadata": []}'])
def test_what_is_no_document_is_left_as_it_is(value: bytes) -> None:
    store = NestedStore(MemoryStore({".zmetadata": value}))
    assert store.sync[".zmetadata"] == value


@pytest.mark.parametrize("value", [b"", b"[]", b'{"dimension_separator": "."}'])
def test_an_array_that_says_it_is_left_as_it_is(value: bytes) -> None:
    assert NestedStore(MemoryStore({"a/.zarray": value})).sync["a/.zarray"] == value


def test_by_every_method() -> None:
    store = NestedStore(MemoryStore())
    sync, part = store.sync, RangeByteRequest(1, 3)
    version = sync.set("a/.zarray", b'{"shape": []}', expect=ABSENT)
    read = b'{"shape": [], "dimension_separator": "/"}'
    with pytest.raises(ConflictError):
        sync.set("a/.zarray", b"", expect=ABSENT)
    assert sync.get_ranges("a/.zarray", [part, part]) == [read[1:3]] * 2
    assert sync.get_versioned("a/.zarray", [part]) == ([read[1:3]], len(read), version)
    assert sync.stat("a/.zarray").version == version
    assert sync.getsize("a/.zarray") == sync.getsize_prefix("a") == len(read)
    assert sync.get_many(["a/.zarray", "b", ("a/.zarray", part)]) == [read, None, read[1:3]]
    assert sync.get_each_into(["a/.zarray"], [bytearray(100)]) == [len(read)]
    assert sync.get("b/.zarray") is None
    sync.delete("a/.zarray")
    assert not list(sync)


def test_pickle(tmp_path: Path) -> None:
    store = NestedStore(LocalStore(tmp_path))
    store.sync.set_many(OLD)
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert zarrstore.open_group(again, mode="r")["0"][1].tolist() == [2, 3]
