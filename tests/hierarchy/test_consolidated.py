"""Consolidated metadata: as zarr-python writes and reads it, and without I/O."""

from __future__ import annotations

import asyncio
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hierarchy.counting import Counting
from zarr_metadata.model import (
    read_consolidated_metadata_v2,
    read_consolidated_metadata_v3,
    read_group_metadata_v3,
)

import zarrstore
from zarrstore import aio

FORMATS = [2, 3]


def filled(store: Any, zarr_format: Any) -> zarrstore.Group:
    root = zarrstore.create_group(store, zarr_format=zarr_format, attributes={"of": "root"})
    root.create_array("a", shape=(3, 4), dtype="i4", chunks=(2, 2), attributes={"x": 1})
    root.create_array("Z", shape=3, dtype="f8", fill_value=np.nan)
    group = root.create_group("g", attributes={"deep": [1]})
    group.create_array("h/b", shape=2, dtype="u1")
    root.create_group("empty")
    return root


def paths(group: Any) -> list[str]:
    return [name for name, _ in group.members(max_depth=None)]


ALL = ["Z", "a", "empty", "g", "g/h", "g/h/b"]


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_ours_in_theirs(tmp_path: Path, zarr_format: int) -> None:
    filled(tmp_path, zarr_format)
    zarrstore.consolidate_metadata(tmp_path)
    theirs = zarr.open_consolidated(str(tmp_path), mode="r")
    assert sorted(name for name, _ in theirs.members(max_depth=None)) == ALL
    assert dict(theirs.attrs) == {"of": "root"}
    assert dict(theirs["a"].attrs) == {"x": 1}
    assert theirs["g/h/b"].shape == (2,)
    assert dict(theirs["g"].attrs) == {"deep": [1]}
    assert np.isnan(theirs["Z"].fill_value)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_theirs_in_ours_and_the_same_document(tmp_path: Path, zarr_format: int) -> None:
    filled(tmp_path, zarr_format)
    key = "zarr.json" if zarr_format == 3 else ".zmetadata"
    zarrstore.consolidate_metadata(tmp_path)
    ours = json.loads((tmp_path / key).read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is no part of the specification
        zarr.consolidate_metadata(str(tmp_path))
    theirs = json.loads((tmp_path / key).read_text())
    if zarr_format == 3:
        inside = [each["consolidated_metadata"].pop("metadata") for each in (ours, theirs)]
        assert ours == theirs
        assert list(inside[0]) == list(inside[1])
        for name, document in inside[0].items():  # theirs are not quite as they are stored
            theirs = {k: v for k, v in inside[1][name].items() if k != "storage_transformers"}
            assert document.keys() == theirs.keys()
            if document["node_type"] == "array":
                del document["codecs"], theirs["codecs"]
            assert document == theirs
    else:  # theirs has an empty consolidated_metadata in each .zgroup, which is not stored there
        assert ours["metadata"].keys() == theirs["metadata"].keys()
        for name, document in ours["metadata"].items():
            assert document.items() <= theirs["metadata"][name].items()
    group = zarrstore.open_consolidated(tmp_path)
    assert paths(group) == ALL
    assert group["g/h/b"].shape == (2,)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_documents_pass_the_strict_models(zarr_format: int) -> None:
    data: dict[str, Any] = {}
    filled(data, zarr_format)
    zarrstore.consolidate_metadata(data)
    if zarr_format == 2:
        document = json.loads(bytes(data[".zmetadata"]))
        assert read_consolidated_metadata_v2(document).problems == ()
    else:
        document = json.loads(bytes(data["zarr.json"]))
        assert read_group_metadata_v3(document).problems == ()
        inside = document["consolidated_metadata"]
        assert read_consolidated_metadata_v3(inside).problems == ()


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_nothing_is_read_for_what_is_inside(zarr_format: int) -> None:
    memory = zarrstore.MemoryStore()
    filled(memory, zarr_format)
    zarrstore.consolidate_metadata(memory)
    store = Counting(memory, read_only=True)
    group = zarrstore.open_group(store, mode="r")
    assert len(store.calls) == {3: 1, 2: 3}[zarr_format]
    store.calls.clear()
    assert paths(group) == ALL
    assert "g/h" in group
    assert "g/x" not in group
    assert group.get("x") is None
    assert len(group) == 4
    assert group["g"].keys() == ["h"]
    assert paths(group["g"]) == ["h", "h/b"]
    assert group["a"].attrs["x"] == 1
    assert "b (2,) uint8" in group.tree()
    assert group.nmembers(None) == 6
    assert [name for name, _ in group.groups()] == ["empty", "g"]
    assert "Zarr format" in repr(group.info_complete())
    assert "g" in group._repr_html_()
    assert store.calls == []
    assert group["a"][0, 0] == 0
    assert store.calls == ["_get"]


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_when_it_is_used(zarr_format: int) -> None:
    data: dict[str, Any] = {}
    root = filled(data, zarr_format)
    with pytest.raises(zarrstore.MetadataError, match="no consolidated metadata"):
        zarrstore.open_consolidated(data)
    with pytest.raises(ValueError, match="no consolidated metadata"):
        zarrstore.open_group(data, use_consolidated=True)
    assert paths(zarrstore.open_group(data, mode="r")) == ALL
    zarrstore.consolidate_metadata(data)
    root.create_array("new", shape=1)
    newer = sorted([*ALL, "new"])
    assert paths(zarrstore.open_group(data, mode="r")) == ALL
    assert paths(zarrstore.open(data, mode="r")) == ALL
    assert paths(zarrstore.open_group(data, mode="r", use_consolidated=False)) == newer
    assert paths(zarrstore.open(data, mode="r", use_consolidated=False)) == newer
    for mode in ("r+", "a"):
        assert paths(zarrstore.open_group(data, mode=mode)) == newer  # type: ignore[arg-type]
        old = zarrstore.open_consolidated(data, mode=mode)  # type: ignore[arg-type]
        assert paths(old) == ALL
    with pytest.raises(ValueError, match="opens what is there"):
        zarrstore.open_consolidated(data, mode="w")
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.open_consolidated({}, mode="a")
    with pytest.raises(TypeError, match="use_consolidated is"):
        zarrstore.open_group(data, use_consolidated="x")  # type: ignore[arg-type]
    zarrstore.consolidate_metadata(data)
    assert paths(zarrstore.open_consolidated(data)) == newer


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_what_is_changed_through_a_consolidated_group_is_seen(zarr_format: int) -> None:
    data: dict[str, Any] = {}
    filled(data, zarr_format)
    zarrstore.consolidate_metadata(data)

    def group() -> zarrstore.Group:
        return zarrstore.open_consolidated(data, mode="r+")

    first = group()
    first.create_array("new", shape=1)
    assert "new" in first
    second = group()
    del second["g/h"]
    assert paths(second["g"]) == []
    third = group()
    below = third["g"]
    below.create_group("k")
    assert "g/k" in third
    fourth = group()
    fourth["a"].attrs["x"] = 2
    assert fourth["a"].attrs["x"] == 2
    fifth = group()
    fifth.move("new", "newer")
    assert "newer" in fifth
    assert "new" not in fifth
    assert zarrstore.consolidate_metadata(first)["a"].attrs["x"] == 2


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_writing_keeps_what_is_consolidated(zarr_format: int) -> None:
    data: dict[str, Any] = {}
    filled(data, zarr_format)
    group = zarrstore.consolidate_metadata(data)
    group.attrs["more"] = True
    zarrstore.open_array(data, path="late", shape=3)
    again = zarrstore.open_consolidated(data)
    assert paths(again) == ALL
    assert again.attrs.asdict() == {"of": "root", "more": True}


def test_a_group_below_the_root() -> None:
    data: dict[str, Any] = {}
    filled(data, 3)
    zarrstore.consolidate_metadata(data, "g")
    assert paths(zarrstore.open_group(data, path="g", mode="r")) == ["h", "h/b"]
    below = zarrstore.open_consolidated(data, path="g")
    assert below["h/b"].path == "g/h/b"
    with pytest.raises(zarrstore.MetadataError):
        zarrstore.open_consolidated(data)
    zarrstore.consolidate_metadata(data)
    inner = json.loads(bytes(data["zarr.json"]))["consolidated_metadata"]["metadata"]["g"]
    assert inner["consolidated_metadata"]["metadata"] == {}


class Unlisted(zarrstore.BlockingStore):
    """A store that cannot say what it holds."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def _get(self, key: str) -> Any:
        return self.data.get(key)


def test_a_store_that_cannot_list_needs_it() -> None:
    data: dict[str, Any] = {}
    filled(data, 3)
    store = Unlisted(data)
    group = zarrstore.open_group(store, mode="r")
    for call in (group.keys, group.members, group.tree, lambda: len(group)):
        with pytest.raises(zarrstore.UnsupportedOperationError, match="use_consolidated=True"):
            call()
    assert group["g/h/b"].shape == (2,)
    assert "Group" in group._repr_html_()
    zarrstore.consolidate_metadata(data)
    assert paths(zarrstore.open_group(store, mode="r")) == ALL


@pytest.mark.parametrize(
    ("consolidated", "says"),
    [
        (3, "kind must be 'inline'"),
        ({"kind": "other", "metadata": {}}, "kind must be 'inline'"),
        ({"kind": "inline", "metadata": []}, "metadata must be an object"),
        ({"kind": "inline", "metadata": {"../x": {}}}, "no path of a node"),
        ({"kind": "inline", "metadata": {"": {}}}, "no path of a node"),
    ],
)
def test_documents_that_are_not_valid_v3(consolidated: Any, says: str) -> None:
    document = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": consolidated}
    data = {"zarr.json": json.dumps(document).encode()}
    with pytest.raises(zarrstore.MetadataError, match=says):
        zarrstore.open_group(data, mode="r")
    assert zarrstore.open_group(data).keys() == []


@pytest.mark.parametrize(
    "document",
    [b"[]", b"{", b'{"metadata": {}}', b'{"zarr_consolidated_format": 1, "metadata": 3}'],
)
def test_documents_that_are_not_valid_v2(document: bytes) -> None:
    data = {".zgroup": b'{"zarr_format": 2}', ".zmetadata": document}
    with pytest.raises(zarrstore.MetadataError, match=r"\.zmetadata"):
        zarrstore.open_group(data, mode="r")
    assert zarrstore.open_group(data).keys() == []


def test_a_member_that_is_not_valid_does_not_hide_the_others() -> None:
    data: dict[str, Any] = {}
    filled(data, 3)
    zarrstore.consolidate_metadata(data)
    document = json.loads(bytes(data["zarr.json"]))
    document["consolidated_metadata"]["metadata"]["a"]["shape"] = [-1]
    data["zarr.json"] = json.dumps(document).encode()
    group = zarrstore.open_group(data, mode="r")
    assert group["g/h/b"].shape == (2,)
    with pytest.raises(zarrstore.MetadataError, match=r"'a/zarr\.json'"):
        _ = group["a"]
    with pytest.raises(zarrstore.MetadataError):
        group.members()
    assert "a (cannot be opened" in group.tree()


@pytest.mark.parametrize("count", [2, 400])
def test_a_name_that_stands_twice(count: int) -> None:
    node = '{"zarr_format": 3, "node_type": "group", "attributes": {"a:b": "c:d"}}'
    names = [f"n{number}" for number in range(count)]

    def data(members: list[str], node: str = node) -> dict[str, Any]:
        inside = ", ".join(f'"{name}": {node}' for name in members)
        document = (
            '{"zarr_format": 3, "node_type": "group", "consolidated_metadata": '
            f'{{"kind": "inline", "must_understand": false, "metadata": {{{inside}}}}}}}'
        )
        return {"zarr.json": document.encode()}

    assert len(zarrstore.open_consolidated(data(names))) == count
    for wrong in (data([*names, "n0"]), data(names, node.replace("{", '{"zarr_format": 3, ', 1))):
        with pytest.raises(zarrstore.MetadataError, match="stands twice"):
            zarrstore.open_consolidated(wrong)
        group = zarrstore.open_group(wrong)
        before = dict(wrong)
        with pytest.raises(zarrstore.MetadataError, match="stands twice"):
            group.attrs["x"] = 1
        assert wrong == before


def test_members_that_are_not_known_here() -> None:
    data: dict[str, Any] = {}
    filled(data, 3)
    zarrstore.consolidate_metadata(data)
    document = json.loads(bytes(data["zarr.json"]))
    inside = document["consolidated_metadata"]
    inside["metadata"]["a"]["mine"] = {"must_understand": False}
    inside["metadata"]["Z"]["attributes"]["x"] = math.nan
    inside["other"] = 1
    data["zarr.json"] = json.dumps(document).encode()
    group = zarrstore.open_consolidated(data)
    assert paths(group) == ALL
    assert group["a"].metadata.extra == {"mine": {"must_understand": False}}
    assert math.isnan(group["Z"].attrs["x"])
    zarrstore.open_group(data).attrs["of"] = "again"
    assert json.loads(bytes(data["zarr.json"]))["consolidated_metadata"]["other"] == 1


def test_a_node_that_is_not_valid_is_not_consolidated() -> None:
    data: dict[str, Any] = {}
    filled(data, 3)
    data["a/zarr.json"] = b"{"
    before = dict(data)
    with pytest.raises(zarrstore.MetadataError, match=r"'a/zarr\.json'"):
        zarrstore.consolidate_metadata(data)
    assert data == before
    with pytest.raises(zarrstore.ReadOnlyError):
        zarrstore.consolidate_metadata(zarrstore.MemoryStore(_valid()).with_read_only())


def _valid() -> dict[str, Any]:
    data: dict[str, Any] = {}
    filled(data, 3)
    return data


def test_as_coroutines() -> None:
    async def main() -> list[str]:
        data: dict[str, Any] = {}
        filled(data, 3)
        await aio.consolidate_metadata(data)
        group = await aio.open_consolidated(data)
        assert await group.contains("g/h")
        assert (await group.getitem("a")).shape == (3, 4)
        return [name for name, _ in await group.members(None)]

    assert asyncio.run(main()) == ALL
