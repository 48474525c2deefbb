"""Groups: looking up, listing, creating, requiring; against zarr-python and a model."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
import zarr
from hierarchy.counting import Counting
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrstore
from zarrstore import aio

FORMATS = [2, 3]


def late() -> zarrstore.Store:
    return zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.0005, 0.0005)


def filled(store: Any = None, zarr_format: Any = 3) -> zarrstore.Group:
    group = zarrstore.create_group(store, zarr_format=zarr_format)
    group.create_array("b/x", shape=3, dtype="i2")
    group.create_array("a", shape=(2, 2), dtype="f4")
    group.create_group("b/c/d")
    return group


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("store", [late, zarrstore.MemoryStore])
def test_a_mapping(zarr_format: int, store: Callable[[], zarrstore.Store]) -> None:
    group = filled(store(), zarr_format)
    assert group.keys() == list(group) == ["a", "b"]
    assert [node.path for node in group.values()] == ["a", "b"]
    assert [name for name, _ in group.items()] == ["a", "b"]
    assert len(group) == 2
    assert bool(zarrstore.create_group())
    assert "b/c/d" in group
    assert "/b/x/" in group
    assert "c" not in group
    assert 3 not in group
    assert group["b"]["x"].shape == (3,)
    assert group["b/x"] == group["b"]["x"]
    assert group.get("nothing", 7) == 7
    with pytest.raises(KeyError, match="no array or group 'nothing'"):
        _ = group["nothing"]
    with pytest.raises(ValueError, match="names no node"):
        _ = group["/"]
    del group["b/c"]
    with pytest.raises(KeyError):
        del group["b/c"]
    group["new"] = np.arange(3)
    group["new"] = [[1.5]]
    assert group["new"][...].tolist() == [[1.5]]
    assert group["new"].zarr_format == zarr_format
    assert group.zarr_format == zarr_format


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_members_are_zarr_pythons(tmp_path: Path, zarr_format: int) -> None:
    group = filled(tmp_path, zarr_format)
    theirs = zarr.open_group(str(tmp_path), mode="r")
    for depth in (0, 1, 2, None):
        expected = sorted(name for name, _ in theirs.members(max_depth=depth))
        assert [name for name, _ in group.members(depth)] == expected
        assert group.nmembers(depth) == theirs.nmembers(depth) == len(expected)
    assert group.array_keys() == sorted(theirs.array_keys()) == ["a"]
    assert group.group_keys() == sorted(theirs.group_keys()) == ["b"]
    assert [array.path for array in group.array_values()] == ["a"]
    assert [below.path for below in group.group_values()] == ["b"]
    assert [name for name, _ in group.arrays()] == ["a"]
    assert [name for name, _ in group.groups()] == ["b"]
    for depth in (-1, -5):
        with pytest.raises(ValueError, match="max_depth"):
            group.members(depth)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_requests(zarr_format: int) -> None:
    """How often a store is asked, which is what remote ones take time for."""
    store = Counting(zarrstore.MemoryStore())
    group = filled(store, zarr_format)

    def calls(work: Callable[[], Any]) -> list[str]:
        store.calls.clear()
        work()
        return store.calls

    one = "_get" if zarr_format == 3 else "_get_many"
    assert calls(lambda: group["b/x"]) == [one]
    assert calls(lambda: group.get("nothing")) == [one]
    assert calls(lambda: group.members()) == ["_list_dir", "_get_many"]
    assert calls(lambda: group.members(None)).count("_get_many") == 3
    assert calls(lambda: zarrstore.open_array(store, path="a", mode="r+")).count("_get") == 1
    made = calls(lambda: group.create_array("n", shape=3))
    assert len(made) <= {3: 4, 2: 6}[zarr_format], made


def test_get_array_and_get_group() -> None:
    group = filled()
    assert group.get_array("b/x").shape == (3,)
    assert group.get_group("b").keys() == ["c", "x"]
    for call, name in (
        (group.get_array, "b"),
        (group.get_array, "nothing"),
        (group.get_group, "a"),
        (group.get_group, "nothing"),
    ):
        with pytest.raises(zarrstore.NodeNotFoundError):
            call(name)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_requiring(zarr_format: int) -> None:
    group = filled(None, zarr_format)
    assert group.require_group("b").keys() == ["c", "x"]
    assert group.require_group("p/q").zarr_format == zarr_format
    assert group.require_group("b", overwrite=True).keys() == []
    assert [g.path for g in group.require_groups("b", "k", "p/q")] == ["b", "k", "p/q"]
    assert group.require_groups() == ()
    with pytest.raises(TypeError, match="is an array"):
        group.require_group("a")
    array = group.require_array("a", shape=(2, 2), dtype="f4")
    assert array == group["a"]
    assert group.require_array("a", shape=[2, 2], dtype="f8").dtype == "f4"
    for options in ({"shape": (2, 3)}, {"dtype": "i4"}, {"dtype": "f8", "exact": True}):
        with pytest.raises(TypeError, match=r"has shape|has dtype"):
            group.require_array("a", **{"shape": (2, 2), "dtype": "f4", **options})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is a group"):
        group.require_array("b", shape=3)
    new = group.require_array("new", shape=3, dtype="i4", chunks=2, attributes={"x": 1})
    assert (new.chunks, new.zarr_format) == ((2,), zarr_format)
    assert group.require_array("new", shape=3, dtype="i4", exact=True).attrs["x"] == 1


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_filled_arrays(zarr_format: int) -> None:
    group = zarrstore.create_group(zarr_format=zarr_format)  # type: ignore[arg-type]
    assert group.zeros(name="z", shape=2)[:].tolist() == [0, 0]
    assert group.ones(name="o", shape=2, dtype="i1")[:].tolist() == [1, 1]
    assert group.empty(name="e", shape=2, dtype="i1").shape == (2,)
    full = group.full(name="f", shape=(4, 4), fill_value=7, dtype="i2", chunks=(2, 2))
    assert full[0, 0] == 7
    for name, made, value in (
        ("zl", group.zeros_like, 0),
        ("ol", group.ones_like, 1),
        ("el", group.empty_like, 7),
        ("fl", group.full_like, 7),
    ):
        like = made(name=name, data=full)
        assert (like.chunks, like.dtype, like[0, 0]) == ((2, 2), "i2", value)
        assert like.zarr_format == zarr_format
    assert group.full_like(name="fl", data=full, fill_value=3, overwrite=True)[0, 0] == 3
    with pytest.raises(zarrstore.NodeExistsError):
        group.zeros(name="z", shape=3)
    assert group.zeros(name="z", shape=3, overwrite=True).shape == (3,)


def test_a_group_is_a_place_to_open_from(tmp_path: Path) -> None:
    root = filled(tmp_path)
    below = root["b"]
    assert zarrstore.open(below, path="x").path == "b/x"
    assert zarrstore.open_group(below, mode="r").read_only
    assert zarrstore.open_array(root["b/x"]) == root["b/x"]
    assert zarrstore.create_array(below, name="y", shape=1).path == "b/y"
    assert zarrstore.create_group(below, path="g").path == "b/g"
    assert zarrstore.zeros(3, store=below, path="g/z").path == "b/g/z"
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.create_group(below)
    with pytest.raises(zarrstore.NodeExistsError, match="has nothing below it"):
        zarrstore.create_array(root["a"], name="y", shape=1)
    with pytest.raises(TypeError, match="storage_options"):
        zarrstore.open(below, storage_options={"a": 1})
    with pytest.raises(zarrstore.ReadOnlyError):
        zarrstore.open_group(below, mode="r").create_group("z")
    inner = zarrstore.open_store(below)
    assert "x/zarr.json" in inner.sync
    assert zarrstore.open_store(root) is root.store
    below.close()
    assert root.keys() == ["a", "b"]


def test_closing(tmp_path: Path) -> None:
    with zarrstore.open_group(tmp_path / "x.zip", mode="w") as group:
        group["a"] = [1, 2]
    with pytest.raises(zarrstore.StoreClosedError):
        group.keys()
    assert zarrstore.load(tmp_path / "x.zip")["a"].tolist() == [1, 2]


def test_a_group_for_coroutines_and_in_another_place(tmp_path: Path) -> None:
    group = filled(tmp_path)
    assert asyncio.run(group.async_group.keys()) == ["a", "b"]
    again = pickle.loads(pickle.dumps(group))
    assert again == group
    assert again.keys() == ["a", "b"]
    zarrstore.consolidate_metadata(tmp_path)
    old = zarrstore.open_consolidated(tmp_path)
    group.create_group("new")
    assert pickle.loads(pickle.dumps(old)).keys() == ["a", "b"]


def test_attributes_return_the_node() -> None:
    group = zarrstore.create_group()
    assert group.update_attributes({"a": 1}).attrs["a"] == 1
    array = group.create_array("x", shape=1)
    assert array.update_attributes({"b": 2}) is array


def test_what_is_told_of_a_group() -> None:
    group = filled({}, 2)
    assert str(group.tree()).splitlines() == [
        "/", "├── a (2, 2) float32", "└── b", "    ├── c", "    │   └── d", "    └── x (3,) int16",
    ]  # fmt: skip
    assert str(group.tree(level=0)).splitlines() == ["/", "├── a (2, 2) float32", "└── b"]
    assert "<svg" in group.tree()._repr_html_()
    assert "No. members" not in repr(group.info)
    complete = repr(group.info_complete())
    assert "No. members : 5" in complete
    assert "Zarr format : 2" in complete
    assert "float32" in group._repr_html_()


def test_a_node_that_others_delete_meanwhile() -> None:
    group = filled({})
    array = group["b/x"]
    del group["b"]
    with pytest.raises(zarrstore.NodeNotFoundError):
        array.attrs["x"] = 1
    assert group.keys() == ["a"]


def test_as_coroutines() -> None:
    async def main() -> None:
        group = await aio.create_group(late())
        await group.setitem("a/b", np.arange(3))
        await group.create_group("g")
        assert await group.keys() == ["a", "g"]
        assert await group.nmembers(None) == 3
        assert [name for name, _ in await group.groups()] == ["a", "g"]
        assert await (await group.get_group("a")).array_keys() == ["b"]
        assert (await (await group.get_array("a/b")).read()).tolist() == [0, 1, 2]
        made = await group.require_array("n", shape=2, dtype="i4", fill_value=5)
        assert (await made.read()).tolist() == [5, 5]
        like = await group.zeros_like(name="like", data=made)
        assert like.shape == (2,)
        assert [g.path for g in await group.require_groups("g", "h")] == ["g", "h"]
        assert "g" in str(await group.tree(0))
        assert "No. arrays" in repr(await group.info_complete())
        await group.move("h", "k")
        await group.delitem("g")
        assert not await group.contains("g")
        assert await group.get("g") is None
        with pytest.raises(KeyError):
            await group.getitem("g")
        assert await group.group_keys() == ["a", "k"]
        assert len(await group.values()) == len(await group.items()) == 4

    asyncio.run(main())
    trio.run(main)


class Model:
    """What a hierarchy must be: the kinds of nodes by their paths."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}

    def above(self, path: str) -> list[str]:
        parts = path.split("/")
        return ["/".join(parts[:depth]) for depth in range(1, len(parts))]

    def below(self, path: str) -> list[str]:
        return [other for other in self.kinds if f"{other}/".startswith(f"{path}/")]

    def is_free(self, path: str) -> bool:
        above = [self.kinds.get(each) for each in self.above(path)]
        return path not in self.kinds and "array" not in above

    def allows(self, step: str, path: str, other: str) -> bool:
        if step == "delete":
            return path in self.kinds
        if step == "move":
            apart = not f"{other}/".startswith(f"{path}/") and not f"{path}/".startswith(
                f"{other}/"
            )
            return path in self.kinds and self.is_free(other) and apart
        if step == "overwrite":
            return all(self.kinds.get(each) != "array" for each in self.above(path))
        return self.is_free(path)

    def do(self, step: str, path: str, other: str) -> None:
        taken = {each: self.kinds.pop(each) for each in self.below(path)}
        if step == "delete":
            return
        to = other if step == "move" else path
        for each in self.above(to):
            self.kinds.setdefault(each, "group")
        if step == "move":
            self.kinds.update({other + each[len(path) :]: kind for each, kind in taken.items()})
        else:
            self.kinds[path] = "group" if step == "group" else "array"


def do(group: zarrstore.Group, step: str, path: str, other: str) -> None:
    if step == "delete":
        del group[path]
    elif step == "move":
        group.move(path, other)
    elif step == "group":
        group.create_group(path)
    else:
        group.create_array(path, shape=1, overwrite=step == "overwrite")


NAMES = st.sampled_from(["a", "b", "c", "é", "A b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
STEPS = st.sampled_from(["array", "group", "delete", "overwrite", "move"])


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(STEPS, PATHS, PATHS), max_size=12),
    zarr_format=st.sampled_from(FORMATS),
)
def test_hierarchies(steps: list[tuple[str, str, str]], zarr_format: Any) -> None:
    data: dict[str, Any] = {}
    group = zarrstore.create_group(data, zarr_format=zarr_format)
    model = Model()
    for step in steps:
        if model.allows(*step):
            do(group, *step)
            model.do(*step)
        else:
            before = dict(data)
            with pytest.raises((KeyError, ValueError, zarrstore.ZarrStoreError)):
                do(group, *step)
            assert data == before
    kinds = {
        name: "array" if isinstance(node, zarrstore.Array) else "group"
        for name, node in group.members(None)
    }
    assert kinds == model.kinds
    theirs = zarr.open_group(zarr.storage.MemoryStore(_buffers(data)), mode="r")
    assert {name for name, _ in theirs.members(max_depth=None)} == set(model.kinds)


def _buffers(data: dict[str, Any]) -> dict[str, Any]:
    return {key: zarr.core.buffer.cpu.Buffer.from_bytes(bytes(v)) for key, v in data.items()}
