"""Copying, moving and deleting nodes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrstore
from zarrstore import aio

GZIP = {"name": "gzip", "configuration": {"level": 1}}


def late() -> zarrstore.Store:
    return zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.0002, 0.0002)


def filled(store: Any, zarr_format: Any = 3) -> zarrstore.Group:
    root = zarrstore.create_group(store, zarr_format=zarr_format, attributes={"of": "root"})
    array = root.create_array(
        "a", shape=(7, 5), dtype="f4", chunks=(3, 2), fill_value=7, attributes={"x": 1}
    )
    array[:4] = np.arange(20).reshape(4, 5)
    root.create_array("g/words", data=np.array(["a", "bb"]), chunks=1)
    root.create_array("g/n", shape=(), dtype="i8", fill_value=3)
    root.create_array("g/none", shape=(0, 3), dtype="i8")
    root.create_group("g/h", attributes={"of": "h"})
    return root


def everything(group: Any) -> dict[str, Any]:
    return {
        name: (
            node.attrs.asdict(),
            node[...].tolist() if isinstance(node, zarrstore.Array) else None,
        )
        for name, node in [("", group), *group.members(None)]
    }


@pytest.mark.parametrize(
    ("source", "dest"), [*itertools.product([late, zarrstore.MemoryStore], repeat=2)]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_stored_bytes_are_copied(
    source: Callable[[], zarrstore.Store], dest: Callable[[], zarrstore.Store], zarr_format: Any
) -> None:
    here, there = source(), dest()
    root = filled(here, zarr_format)
    seen: list[tuple[int, int]] = []
    made = zarrstore.copy(root, there, progress=lambda done, total: seen.append((done, total)))
    assert dict(there.sync) == dict(here.sync)
    assert everything(made) == everything(root)
    assert seen[-1] == (8, 8)
    assert made.zarr_format == zarr_format


def test_between_kinds_of_store(tmp_path: Path) -> None:
    root = filled(tmp_path / "a")
    zarrstore.copy(tmp_path / "a", tmp_path / "b.zip").close()
    with zarrstore.open_group(tmp_path / "b.zip", mode="r") as group:
        assert everything(group) == everything(root)
    made = zarrstore.copy(str(tmp_path / "b.zip"), {}, source_path="g", dest_path="x/y")
    assert made.path == "x/y"
    assert made.keys() == ["h", "n", "none", "words"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "options",
    [
        {"compressors": GZIP},
        {"chunks": (2, 5), "compressors": None},
        {"chunks": (2, 2), "shards": (4, 4)},
        {"fill_value": 0},
        {"dtype": "f8"},
        {"chunks": [[3, 4], [5]]},
        {"serializer": {"name": "bytes", "configuration": {"endian": "big"}}},
        {"codecs": ["bytes"]},
        {"filters": {"name": "transpose", "configuration": {"order": [1, 0]}}},
        {"zarr_format": 2},
        {"zarr_format": 2, "compressor": {"id": "zlib", "level": 1}, "order": "F"},
        {"chunk_key_encoding": "v2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("to", [late, zarrstore.MemoryStore])
def test_other_options(options: Any, to: Callable[[], zarrstore.Store], tmp_path: Path) -> None:
    source = filled({})["a"]
    made = zarrstore.copy(source, to(), **options)
    assert isinstance(made, zarrstore.Array)
    assert made[...].tolist() == source[...].tolist()
    assert made.attrs.asdict() == {"x": 1}
    local = zarrstore.copy(made, tmp_path / "x")
    if "shards" not in options and options.get("chunks") != [[3, 4], [5]]:
        assert zarr.open_array(str(tmp_path / "x"), mode="r")[...].tolist() == source[...].tolist()
    assert local[...].tolist() == source[...].tolist()  # type: ignore[union-attr]


def test_from_one_format_to_the_other_and_back(tmp_path: Path) -> None:
    data: dict[str, Any] = {}
    root = zarrstore.create_group(data)
    names = ["y", "x"]
    array = root.create_array(
        "a",
        data=np.arange(12).reshape(3, 4),
        chunks=(2, 2),
        compressors=GZIP,
        dimension_names=names,
    )
    root.create_array("sharded", data=np.arange(64), chunks=4, shards=16)
    root.create_array("f", data=np.arange(6.0).reshape(2, 3), filters={"name": "transpose",
                      "configuration": {"order": [1, 0]}})  # fmt: skip
    root.create_array("text", data=np.array(["a", "é"]), dtype="string")
    two = zarrstore.copy(root, tmp_path / "two", zarr_format=2)
    assert two["a"].attrs.asdict() == {"_ARRAY_DIMENSIONS": names}
    assert two["a"].metadata.compressor == {"id": "gzip", "level": 1}
    assert two["sharded"].chunks == (4,)
    assert two["f"].metadata.order == "F"
    theirs = zarr.open_group(str(tmp_path / "two"), mode="r")
    for name, member in root.members():
        assert theirs[name][...].tolist() == member[...].tolist()
    three = zarrstore.copy(two, {}, zarr_format=3)
    assert three["a"].metadata.codecs == array.metadata.codecs
    assert three["a"].dimension_names == ("y", "x")
    assert three["a"].attrs.asdict() == {}
    for name, member in root.members():
        assert three[name][...].tolist() == member[...].tolist()
    inside = zarrstore.copy(two["a"], root, dest_path="copied")
    assert inside.zarr_format == 3


@pytest.mark.parametrize(
    "compressor",
    [
        None,
        {"id": "gzip", "level": 3},
        {"id": "zstd", "level": 3},
        {"id": "zstd", "level": 3, "checksum": True},
        {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
        {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": -1, "blocksize": 0},
        {"id": "zlib", "level": 1},
    ],
    ids=str,
)
def test_the_same_bytes_in_the_other_format(compressor: Any) -> None:
    data: dict[str, Any] = {}
    three: dict[str, Any] = {}
    two: dict[str, Any] = {}
    source = zarrstore.create_array(
        data, data=np.arange(8), chunks=4, compressor=compressor, zarr_format=2
    )
    made = zarrstore.copy(source, three, zarr_format=3)
    back = zarrstore.copy(made, two, zarr_format=2)
    assert two["0"] == three["c/0"] == data["0"]
    assert made[...].tolist() == back[...].tolist() == list(range(8))  # type: ignore[index]


def test_big_endian_goes_both_ways() -> None:
    source = zarrstore.create_array({}, data=np.arange(4), dtype=">i4", zarr_format=2)
    three = zarrstore.copy(source, {}, zarr_format=3)
    assert three.serializer.endian == "big"  # type: ignore[union-attr]
    two = zarrstore.copy(three, {}, zarr_format=2)
    assert two.metadata.dtype == ">i4"  # type: ignore[union-attr]
    assert two[...].tolist() == [0, 1, 2, 3]  # type: ignore[index]


@pytest.mark.parametrize(
    ("source_path", "dest_path"),
    [("", ""), ("g", "g"), ("g", "g/x"), ("", "new"), ("g/h", "g"), ("g", "")],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_never_onto_or_into_itself(source_path: str, dest_path: str, overwrite: bool) -> None:
    data: dict[str, Any] = {}
    root = filled(data)
    before = dict(data)
    with pytest.raises(ValueError, match="one is the other, or below it"):
        zarrstore.copy(
            root, data, source_path=source_path, dest_path=dest_path, overwrite=overwrite
        )
    assert data == before


def test_what_is_there_is_kept_or_replaced() -> None:
    source = filled({})
    data: dict[str, Any] = {}
    zarrstore.create_array(data, name="x/old", shape=3)
    before = dict(data)
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.copy(source, data, dest_path="x")
    with pytest.raises(zarrstore.NodeExistsError, match="has nothing below it"):
        zarrstore.copy(source, data, dest_path="x/old/y")
    assert data == before
    made = zarrstore.copy(source, data, dest_path="x", overwrite=True)
    assert everything(made) == everything(source)
    assert "x/old/zarr.json" not in data


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"shape": 3}, TypeError),
        ({"data": [1]}, TypeError),
        ({"attributes": {}}, TypeError),
        ({"nothing": 3}, TypeError),
        ({"chunks": (0, 1)}, ValueError),
        ({"compressors": "nothing"}, ValueError),
        ({"zarr_format": 4}, ValueError),
    ],
    ids=str,
)
def test_options_that_are_not_valid_change_nothing(options: Any, error: type[Exception]) -> None:
    data: dict[str, Any] = {}
    zarrstore.create_group(data, path="x")
    before = dict(data)
    with pytest.raises(error):
        zarrstore.copy(filled({})["a"], data, dest_path="x", overwrite=True, **options)
    assert data == before


def test_nothing_to_copy() -> None:
    for source in ({}, {"a/zarr.json": b"{"}):
        with pytest.raises((zarrstore.NodeNotFoundError, zarrstore.MetadataError)):
            zarrstore.copy(source, {}, source_path="a")


class Failing(zarrstore.MemoryStore):
    """A store that fails, or damages what is written, after some writes."""

    def __init__(self, good: int, *, damage: bool = False) -> None:
        super().__init__()
        self.good = good
        self.damage = damage

    def _set(self, key: str, value: Any) -> Any:
        self.good -= 1
        if self.good < 0:
            if not self.damage:
                raise OSError("full")
            value = bytes(value)[:-1]
        return super()._set(key, value)


@pytest.mark.parametrize("options", [{}, {"compressors": None}], ids=str)
def test_a_copy_that_is_not_finished_is_not_found(options: Any) -> None:
    """However far it came: no array without its chunks, no group without its members."""
    source = filled({})
    complete: set[str] = set()
    for good in itertools.count():
        store = Failing(good)
        try:
            zarrstore.copy(source, store, dest_path="x/y", **options)
        except OSError:
            pass
        else:
            break
        stored = dict(store.sync)
        group = None
        for name, member in source.members(None):
            if f"x/y/{name}/zarr.json" not in stored:
                continue
            group = zarrstore.open(stored, mode="r", path=f"x/y/{name}")
            if isinstance(member, zarrstore.Array):
                assert group[...].tolist() == member[...].tolist()  # type: ignore[index]
            else:
                assert group.keys() == member.keys()  # type: ignore[union-attr]
            complete.add(name)
        assert "x/y/zarr.json" not in stored
        if stored:
            with pytest.raises(zarrstore.NodeExistsError, match="unfinished copy"):
                zarrstore.copy(source, stored, dest_path="x/y")
        again = zarrstore.copy(source, stored, dest_path="x/y", overwrite=True)
        assert everything(again) == everything(source)
    assert complete == {name for name, _ in source.members(None)}


@pytest.mark.parametrize("options", [{}, {"chunks": 4, "compressors": None}], ids=str)
def test_what_is_written_is_read_back(options: Any) -> None:
    source = zarrstore.create_array({}, data=np.arange(8), chunks=2)
    store = Failing(1, damage=True)
    with pytest.raises(zarrstore.CorruptDataError):
        zarrstore.copy(source, store, **options)
    assert "zarr.json" not in store.sync
    store = Failing(1, damage=True)
    store.good = 1
    copied = zarrstore.copy(source, Failing(100), verify=False, **options)
    assert copied[...].tolist() == list(range(8))  # type: ignore[index]


def test_a_codec_that_loses_precision_needs_no_verification() -> None:
    source = zarrstore.create_array({}, data=np.linspace(0, 1, 8), zarr_format=2)
    scale = {"id": "fixedscaleoffset", "offset": 0, "scale": 10, "dtype": "<f8", "astype": "u1"}
    with pytest.raises(zarrstore.CorruptDataError, match="verify=False"):
        zarrstore.copy(source, {}, filters=[scale])
    made = zarrstore.copy(source, {}, filters=[scale], verify=False)
    np.testing.assert_allclose(made[...], source[...], atol=0.06)  # type: ignore[index]


def test_only_what_is_stored_is_copied(tmp_path: Path) -> None:
    source = zarrstore.create_array({}, shape=(10**9, 10**9), chunks=(100, 100), dtype="u1")
    source[5, 5] = 1
    made = zarrstore.copy(source, tmp_path / "x")
    assert made[5, 5] == 1  # type: ignore[index]
    assert len(list(made.store.sync.list())) == 2


def test_blocks_of_whole_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the chunks lie to each other, and where memory is short."""
    monkeypatch.setattr("zarrstore.hierarchy.copying._BLOCK_BYTES", 100)
    values = np.arange(17 * 13).reshape(17, 13)
    for chunks, others in itertools.product([(3, 4), (17, 1), (1, 13)], repeat=2):
        source = zarrstore.create_array({}, data=values, chunks=chunks)
        made = zarrstore.copy(source, {}, chunks=others, compressors=None)
        assert made[...].tolist() == values.tolist()  # type: ignore[index]
    grid = [[3, 4, 10], [1, 12]]
    made = zarrstore.copy(zarrstore.create_array({}, data=values, chunks=(5, 5)), {}, chunks=grid)
    assert made[...].tolist() == values.tolist()  # type: ignore[index]


def test_moving() -> None:
    data: dict[str, Any] = {}
    root = filled(data)
    before = everything(root["g"])
    made = zarrstore.move(data, "g", "x/y")
    assert everything(made) == before
    assert root.keys() == ["a", "x"]
    root.move("x/y", "z")
    assert everything(root["z"]) == before
    assert root["x"].keys() == []
    with pytest.raises(zarrstore.NodeExistsError):
        root.move("z", "a")
    with pytest.raises(zarrstore.NodeNotFoundError):
        root.move("nothing", "b")
    with pytest.raises(ValueError, match="one is the other"):
        root.move("z", "z/h")
    assert everything(root["z"]) == before
    root.move("z", "a", overwrite=True)
    assert everything(root["a"]) == before


def test_deleting() -> None:
    data: dict[str, Any] = {}
    root = filled(data)
    zarrstore.delete(data, "g")
    assert root.keys() == ["a"]
    zarrstore.delete(root["a"])
    assert set(data) == {"zarr.json"}
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.delete(data, "g")
    data["bad/zarr.json"] = b"{"
    zarrstore.delete(root, "bad")
    assert set(data) == {"zarr.json"}


@pytest.mark.parametrize("source", [late, zarrstore.MemoryStore])
@pytest.mark.parametrize("dest", [late, zarrstore.MemoryStore])
def test_as_coroutines(
    source: Callable[[], zarrstore.Store], dest: Callable[[], zarrstore.Store]
) -> None:
    here, there = source(), dest()
    expected = everything(filled(here))

    async def main() -> None:
        made = await aio.copy(here, there, dest_path="x")
        assert isinstance(made, zarrstore.AsyncGroup)
        other = await aio.copy(made, {}, compressors=GZIP)
        assert isinstance(other, zarrstore.AsyncGroup)
        array = await other.get_array("a")
        assert (await array.read()).tolist() == expected["a"][1]
        await made.move("g", "k")
        moved = await aio.move(there, "x", "y")
        assert isinstance(moved, zarrstore.AsyncGroup)
        assert await moved.keys() == ["a", "k"]
        await aio.delete(there, "y/a")
        assert await moved.keys() == ["k"]

    asyncio.run(main())
    assert everything(zarrstore.open_group(there, path="y/k")) == {
        name[2:]: found for name, found in expected.items() if name.startswith("g/")
    } | {"": ({}, None)}
