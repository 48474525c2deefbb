"""Groups and attributes in the hands of several, values that are arrays, nodes that are broken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

import zarrstore
from zarrstore import aio

GROUP = b'{"zarr_format": 3, "node_type": "group"}'


def late() -> zarrstore.Store:
    return zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.001, 0.001)


@pytest.mark.parametrize("source", [late, zarrstore.MemoryStore])
@pytest.mark.parametrize("target", [late, zarrstore.MemoryStore])
def test_an_array_in_a_store_is_a_value(
    source: Callable[[], zarrstore.Store], target: Callable[[], zarrstore.Store]
) -> None:
    """Wherever the two live: on the I/O loop, the other could not be read by blocking."""
    values = np.arange(10)
    given = zarrstore.create_array(source(), data=values, chunks=3)
    array = zarrstore.create_array(target(), data=given, chunks=4)
    assert array[...].tolist() == values.tolist()
    array[::-1] = given
    assert array[...].tolist() == values[::-1].tolist()
    array.write(..., given)
    assert array[...].tolist() == values.tolist()
    made = zarrstore.open_group(target()).create_array("a", data=given)
    assert made[...].tolist() == values.tolist()

    async def main() -> list[list[int]]:
        group = await aio.open_group(target())
        first = await group.create_array("a", data=given)
        await first.write(slice(0, 2), np.array([4, 5]))
        await first.write(slice(2, None), await aio.create_array(source(), data=values[:8]))
        second = await aio.open_array(target(), data=first)
        return [(await first.read()).tolist(), (await second.read()).tolist()]

    expected = [4, 5, *range(8)]
    assert asyncio.run(main()) == [expected, expected]
    assert trio.run(main) == [expected, expected]


@pytest.mark.parametrize("store", [late, zarrstore.MemoryStore])
def test_an_array_that_is_replaced_by_its_own_values_keeps_them(
    store: Callable[[], zarrstore.Store],
) -> None:
    here = store()
    array = zarrstore.create_array(here, data=np.arange(5), chunks=2)
    again = zarrstore.create_array(here, data=array, chunks=3, overwrite=True)
    assert again[...].tolist() == [0, 1, 2, 3, 4]
    again = zarrstore.open_array(here, mode="w", data=again)
    again[1:] = again[:-1]
    assert again[...].tolist() == [0, 0, 1, 2, 3]


def test_data_that_does_not_fit_changes_nothing() -> None:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, data=[1, 2, 3])
    before = dict(data)
    with pytest.raises(ValueError, match="could not broadcast"):
        zarrstore.create_array(data, overwrite=True, shape=3, data=[1, 2])
    with pytest.raises(ValueError, match="invalid literal"):
        zarrstore.create_array(data, overwrite=True, dtype="i8", data=np.array(["a"]))
    assert data == before


def test_values_are_broadcast_and_cast_as_numpy_does() -> None:
    array = zarrstore.create_array({}, shape=3, dtype="i4", chunks=2)
    array[...] = np.array([[1, 2, 3]])
    assert array[...].tolist() == [1, 2, 3]
    array[0] = np.array([[7]])
    assert array[0] == 7
    with pytest.raises(TypeError):
        array[...] = np.datetime64("2020")


def test_rows_of_an_array() -> None:
    data: dict[str, Any] = {}
    values = np.arange(12).reshape(6, 2)
    array = zarrstore.create_array(
        zarrstore.LoggingStore(zarrstore.MemoryStore(data)), data=values, chunks=(4, 2)
    )
    assert [row.tolist() for row in array] == values.tolist()
    with pytest.raises(TypeError, match="without dimensions"):
        iter(zarrstore.create_array({}, shape=()))


def test_one_node_that_cannot_be_opened_does_not_hide_the_others() -> None:
    data: dict[str, Any] = {"zarr.json": GROUP, "bad/zarr.json": b"{", "good/zarr.json": GROUP}
    zarrstore.create_array(data, name="odd", shape=1)
    document = json.loads(bytes(data["odd/zarr.json"]))
    data["odd/zarr.json"] = json.dumps({**document, "codecs": [{"name": "new"}]}).encode()
    data["a\x1b[31m/zarr.json"] = GROUP
    group = zarrstore.open_group(data)
    assert group.keys() == ["a\x1b[31m", "bad", "good", "odd"]
    assert len(group) == 4
    assert "bad" in group
    assert group._ipython_key_completions_() == group.keys()
    with pytest.raises(zarrstore.MetadataError, match=r"'bad/zarr\.json'"):
        _ = group["bad"]
    with pytest.raises(zarrstore.MetadataError, match=r"'bad/zarr\.json'"):
        group.members()
    tree = group.tree()
    assert "bad (cannot be opened: " in tree
    assert "odd (cannot be opened: codecs: unknown codec 'new'" in tree
    assert "\x1b" not in tree
    del group["bad"]
    assert "bad" not in group
    with pytest.raises(zarrstore.KeyNotFoundError):
        del group["bad"]


def test_the_name_of_the_metadata_is_no_name_of_a_node(tmp_path: Path) -> None:
    group = zarrstore.open_group(tmp_path / "x")
    for name in ("zarr.json", "a/zarr.json", "zarr.json/a"):
        with pytest.raises(ValueError, match="is no path of a node"):
            group.create_group(name)


def test_what_many_open_at_once_is_created_once(tmp_path: Path) -> None:
    """Mode "a" is "create if missing", for all of them."""

    def make(number: int) -> tuple[str, str]:
        group = zarrstore.open_group(tmp_path / f"g{number % 8}")
        array = zarrstore.open_array(tmp_path / f"a{number % 8}", shape=3, dtype="i2")
        return repr(group), repr(array)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(make, sorted(range(64), key=lambda n: n % 8)))) == 8
    with pytest.raises(zarrstore.NodeExistsError, match="has nothing below it"):
        zarrstore.open_array({"zarr.json": b"x"} | _array_at("a"), path="a/b", shape=1)


def _array_at(path: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, name=path, shape=1)
    return data


def test_removing_an_attribute_keeps_what_others_stored() -> None:
    data: dict[str, Any] = {}
    first = zarrstore.create_array(data, shape=1, attributes={"a": 1, "b": 2})
    second = zarrstore.open_array(data)
    second.attrs["c"] = 3
    del first.attrs["a"]
    assert dict(first.attrs) == {"b": 2, "c": 3}
    assert first.attrs.pop("c") == 3
    with pytest.raises(KeyError):
        del second.attrs["a"]
    assert zarrstore.open_array(data).attrs.asdict() == {"b": 2}


class Unlisted(zarrstore.BlockingStore):
    """A store that cannot say what it holds."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def _get(self, key: str) -> Any:
        return self.data.get(key)

    def _set(self, key: str, value: Any) -> None:
        self.data[key] = bytes(value)


def test_a_mode_that_a_store_cannot_keep_is_an_error() -> None:
    store = Unlisted()
    zarrstore.create_array(store, data=[1, 2])
    assert zarrstore.open_store(store) is store
    assert zarrstore.open_store(store, mode="r").read_only
    for mode in ("w", "w-"):
        with pytest.raises(zarrstore.UnsupportedOperationError):
            zarrstore.open_store(store, mode=mode)  # type: ignore[arg-type]
    assert zarrstore.open_array(store)[...].tolist() == [1, 2]


def test_progress_of_an_array_in_a_group() -> None:
    seen: list[tuple[int, int]] = []
    zarrstore.open_group().create_array(
        "a", data=np.arange(4), chunks=1, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (4, 4)


def test_closing_a_node_leaves_a_store_that_was_given_open() -> None:
    store = zarrstore.MemoryStore()
    for given in (store, store.sync):
        zarrstore.open_group(given).close()
        assert store.sync.exists("zarr.json")
