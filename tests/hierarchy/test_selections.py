"""Every kind of selection, read and written, against numpy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyio.to_thread
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import zarrstore
from zarrstore import aio


class Kind(NamedTuple):
    """A kind of selection: of our array, and how numpy selects the same."""

    name: str
    draw: Callable[[st.DrawFn, tuple[int, ...], Any], Any]
    index: Callable[[Any, tuple[int, ...], Any], Any]

    def of(self, array: Any) -> Any:
        return array if self.name == "array" else getattr(array, self.name)


def _same(selection: Any, shape: tuple[int, ...], edges: Any) -> Any:
    return selection


def draw_basic(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    if not shape:
        return draw(st.sampled_from([(), ...]))
    return draw(st_numpy.basic_indices(shape, allow_newaxis=False))


def draw_mask(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    return draw(st_numpy.arrays(bool, shape)) if shape else ()


def draw_one_array(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    """An array along one dimension, slices along the others."""
    axis = draw(st.integers(0, len(shape) - 1)) if shape else 0
    items = [draw(st.slices(length)) for length in shape]
    if shape:
        items[axis] = draw(along(shape[axis], arrays_only=True))
    return tuple(items)


def along(length: int, arrays_only: bool = False) -> st.SearchStrategy[Any]:
    """Return what selects along one dimension by itself."""
    numbers = st.integers(-length, length - 1)
    several = st.lists(numbers, max_size=6) if length else st.just([])
    kinds: list[Any] = [
        several.map(lambda items: np.array(items, int)),
        st_numpy.arrays(bool, length),
    ]
    if not arrays_only:
        kinds += [st.slices(length), *([numbers] if length else [])]
    return st.one_of(kinds)


def draw_orthogonal(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    return tuple(draw(along(length)) for length in shape)


def orthogonal_index(selection: Any, shape: tuple[int, ...], edges: Any) -> Any:
    """Return the index for numpy: crossed arrays, with integers as arrays of no dimension."""
    kept = [item for item in selection if not isinstance(item, int)]
    crossed = []
    for item, length in zip(selection, shape, strict=True):
        if isinstance(item, int):
            crossed.append(np.array(item))
            continue
        if isinstance(item, slice):
            numbers = np.arange(length)[item]
        else:
            numbers = np.flatnonzero(item) if item.dtype == bool else item
        place = sum(1 for other in crossed if other.ndim)
        crossed.append(numbers.reshape(-1, *[1] * (len(kept) - place - 1)))
    return tuple(crossed)


def draw_coordinates(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    if not shape or 0 in shape or draw(st.integers(0, 4)) == 0:
        return draw_mask(draw, shape, edges)
    count = len(shape)
    shapes = draw(st_numpy.mutually_broadcastable_shapes(num_shapes=count, max_dims=2, max_side=4))
    return tuple(
        draw(st_numpy.arrays(int, each, elements=st.integers(-length, length - 1)))
        for each, length in zip(shapes.input_shapes, shape, strict=True)
    )


def draw_blocks(draw: st.DrawFn, shape: tuple[int, ...], edges: Any) -> Any:
    items = []
    for each in edges:
        count = len(each) - 1
        numbers = st.integers(-count, count - 1)
        slices = st.builds(slice, *[st.none() | st.integers(-count - 1, count + 1)] * 2)
        items.append(draw(st.one_of(slices, *([numbers] if count else []))))
    return tuple(items)


def block_index(selection: Any, shape: tuple[int, ...], edges: Any) -> Any:
    index = []
    for item, each in zip(selection, edges, strict=True):
        count = len(each) - 1
        if isinstance(item, slice):
            first, stop, _ = item.indices(count)
        else:
            first, stop = item % count, item % count + 1
        index.append(slice(each[first], each[stop]) if first < stop else slice(0, 0))
    return tuple(index)


KINDS = [
    Kind("array", draw_basic, _same),
    Kind("array", draw_one_array, _same),
    Kind("array", draw_mask, _same),
    Kind("array", draw_coordinates, _same),
    Kind("vindex", draw_coordinates, _same),
    Kind("oindex", draw_orthogonal, orthogonal_index),
    Kind("blocks", draw_blocks, block_index),
]


@st.composite
def arrays(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any], list[list[int]]]:
    """Draw a shape, options that create an array, and where chunks (or shards) meet."""
    shape = draw(st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9))
    chunks = tuple(draw(st.integers(1, 5)) for _ in shape)
    options: dict[str, Any] = {"chunks": chunks}
    outer = chunks
    layout = draw(st.sampled_from(["plain", "v2", "shards", "rectilinear"]))
    options |= draw(st.sampled_from([{}, {"compressors": None}]))
    if layout != "v2" and draw(st.booleans()):
        order = list(range(len(shape)))[::-1]
        options["filters"] = [{"name": "transpose", "configuration": {"order": order}}]
    if layout == "v2":
        options |= {"zarr_format": 2, "order": draw(st.sampled_from("CF"))}
    elif shape and layout == "shards":
        outer = tuple(length * draw(st.integers(1, 3)) for length in chunks)
        options["shards"] = outer
    elif shape and all(shape) and layout == "rectilinear":
        options["chunks"] = [draw(cuts(length)) for length in shape]
        edges = [[0, *np.cumsum(each).tolist()] for each in options["chunks"]]
        return shape, options, edges
    edges = [
        [min(at, length) for at in range(0, length + chunk, chunk)]
        for length, chunk in zip(shape, outer, strict=True)
    ]
    return shape, options, [list(dict.fromkeys(each)) for each in edges]


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[int]:
    lengths: list[int] = []
    while sum(lengths) < length:
        lengths.append(draw(st.integers(1, length - sum(lengths))))
    return lengths


@pytest.mark.parametrize("late", [False, True])
@given(data=st.data(), case=arrays())
@settings(max_examples=80, deadline=None)
def test_what_is_read_and_written_is_numpys(late: bool, data: st.DataObject, case: Any) -> None:
    shape, options, edges = case
    store: zarrstore.Store = zarrstore.MemoryStore()
    store = zarrstore.LatencyStore(store, 0, 0) if late else store
    array = zarrstore.create_array(store, shape=shape, dtype="int16", fill_value=-1, **options)
    expected = np.full(shape, -1, "int16")
    size = math.prod(shape)
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(KINDS))
        selection = kind.draw(data.draw, shape, edges)
        index = kind.index(selection, shape, edges)
        value = np.arange(expected[index].size).reshape(expected[index].shape) + size
        expected[index] = value
        kind.of(array)[selection] = value
        np.testing.assert_array_equal(array[...], expected)

        kind = data.draw(st.sampled_from(KINDS))
        selection = kind.draw(data.draw, shape, edges)
        wanted = expected[kind.index(selection, shape, edges)]
        found = kind.of(array)[selection]
        np.testing.assert_array_equal(found, wanted, strict=True)
    np.testing.assert_array_equal(zarrstore.open_array(store, mode="r")[...], expected)


@given(data=st.data(), case=arrays(), turned=st.booleans(), dtype=st.sampled_from(["i2", "f8"]))
@settings(max_examples=40, deadline=None)
def test_reading_into_memory_of_any_order(
    data: st.DataObject, case: Any, turned: bool, dtype: str
) -> None:
    shape, options, edges = case
    values = np.arange(math.prod(shape), dtype="int16").reshape(shape)
    array = zarrstore.create_array({}, data=values, **options)
    methods = ["basic", "orthogonal", "coordinate", "block", "mask"]
    kinds = [KINDS[0], KINDS[5], KINDS[4], KINDS[6], KINDS[2]]
    at = data.draw(st.integers(0, 4 if shape else 0))
    kind = kinds[at]
    selection = kind.draw(data.draw, shape, edges)
    wanted = values[kind.index(selection, shape, edges)]
    out = np.full(wanted.shape[::-1], 99, dtype).T if turned else np.full(wanted.shape, 99, dtype)
    found = getattr(array, f"get_{methods[at]}_selection")(selection, out=out)
    assert found is out
    np.testing.assert_array_equal(out, wanted)


SELECTIONS: list[tuple[str, Any, Any]] = [
    ("basic", (slice(None, None, -2), 3), np.s_[::-2, 3]),
    ("orthogonal", ([0, 5], np.arange(10) % 3 == 0), np.ix_([0, 5], [0, 3, 6, 9])),
    ("coordinate", ([[0], [5]], [1, 2]), ([[0], [5]], [1, 2])),
    ("mask", np.arange(60).reshape(6, 10) % 7 == 0, np.arange(60).reshape(6, 10) % 7 == 0),
    ("block", (1, slice(0, 2)), np.s_[4:6, 0:6]),
]


@pytest.mark.parametrize(("name", "selection", "index"), SELECTIONS, ids=[s[0] for s in SELECTIONS])
@pytest.mark.anyio
async def test_the_methods_of_both_faces(
    name: str, selection: Any, index: Any, tmp_path: Path
) -> None:
    values = np.arange(60).reshape(6, 10)
    slow = zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.001, 0.001)
    for store in (zarrstore.MemoryStore(), zarrstore.LocalStore(tmp_path), slow):
        later = await aio.create_array(store, data=values, chunks=(4, 3))
        found = await getattr(later, f"get_{name}_selection")(selection)
        np.testing.assert_array_equal(found, values[index], strict=True)
        await getattr(later, f"set_{name}_selection")(selection, -found)
        expected = values.copy()
        expected[index] *= -1
        np.testing.assert_array_equal(await later.read(), expected)

        def at_once(store: zarrstore.Store = store, expected: Any = expected) -> None:
            array = zarrstore.open_array(store)
            found = getattr(array, f"get_{name}_selection")(selection)
            np.testing.assert_array_equal(found, expected[index], strict=True)
            getattr(array, f"set_{name}_selection")(selection, 0)
            expected[index] = 0
            np.testing.assert_array_equal(array[...], expected)

        await anyio.to_thread.run_sync(at_once)


@pytest.mark.anyio
async def test_the_indexers_of_the_asynchronous_face() -> None:
    values = np.arange(60).reshape(6, 10)
    array = await aio.create_array({}, data=values, chunks=(4, 3))
    rows, columns = [0, 5], [1, 2, 9]
    np.testing.assert_array_equal(
        await array.oindex.read((rows, columns)), values[np.ix_(rows, columns)]
    )
    out = np.empty(2)
    assert await array.vindex.read((rows, [1, 2]), out=out) is out
    assert out.tolist() == [1, 52]
    await array.blocks.write((0, 0), 7)
    assert (await array.read((slice(4), slice(3))) == 7).all()
    await array.oindex.write(([5], ...), 0)
    assert not (await array.read(5)).any()
    await array.vindex.write(values > 58, 3)
    assert await array.read((5, 9)) == 3


def test_arrays_in_stores_select() -> None:
    values = np.arange(12).reshape(3, 4)
    array = zarrstore.create_array({}, data=values, chunks=2)
    mask = zarrstore.create_array({}, data=values % 2 == 0)
    rows = zarrstore.create_array({}, data=[2, 0])
    np.testing.assert_array_equal(array[mask], values[values % 2 == 0])
    np.testing.assert_array_equal(array[rows], values[[2, 0]])
    np.testing.assert_array_equal(array.oindex[rows, rows], values[np.ix_([2, 0], [2, 0])])

    async def later() -> None:
        same = array.async_array
        np.testing.assert_array_equal(await same.read(mask), values[values % 2 == 0])

    asyncio.run(later())


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (np.newaxis, "NoneType"),
        ((slice(None), None), "NoneType"),
        ("x", "str"),
        (1.5, "float"),
        (True, "truth value|bool|mask|boolean"),
        ((0, 0, 0), "too many indices"),
        ((..., ...), "single ellipsis"),
        (6, "index 6 is out of bounds for axis 0 with size 6"),
        ((0, -11), "index -11 is out of bounds for axis 1 with size 10"),
        ([0, 6], "out of bounds"),
        (np.ones((6, 9), bool), "mask|boolean|truth"),
        ([1.5], "float"),
        (([0, 1], [0, 1, 2]), "broadcast"),
    ],
)
def test_what_does_not_fit_is_an_index_error(selection: Any, says: str) -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, data=np.ones((6, 10)), chunks=4)
    before = dict(data)
    with pytest.raises(IndexError, match=says) as caught:
        _ = array[selection]
    assert array.store.url in caught.value.__notes__[0]
    with pytest.raises(IndexError, match=says):
        array[selection] = 2
    assert data == before


RECORDS = np.array(
    [(1, 1.5, "a"), (2, 2.5, "bb"), (3, 3.5, "c"), (4, 4.5, "")],
    dtype=[("x", "i4"), ("y", "f8"), ("name", "U3")],
)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fields_of_records(zarr_format: Any) -> None:
    expected = RECORDS.copy()
    array = zarrstore.create_array({}, data=expected, chunks=3, zarr_format=zarr_format)
    np.testing.assert_array_equal(array["x"], expected["x"], strict=True)
    np.testing.assert_array_equal(array["x", 1:3], expected["x"][1:3], strict=True)
    assert array["name", 1] == "bb"
    assert array["name", 1:3].flags.owndata
    some = array[["y", "x"], ::2]
    assert some.dtype == [("y", "f8"), ("x", "i4")]
    assert some.tolist() == expected[["y", "x"]][::2].tolist()
    np.testing.assert_array_equal(array.oindex["x", [3, 0]], [4, 1])
    np.testing.assert_array_equal(array.vindex["x", expected["x"] > 2], [3, 4])
    np.testing.assert_array_equal(array.blocks["y", 1], [4.5])
    out = np.empty(4)
    assert array.read(fields="x", out=out) is out
    assert out.tolist() == [1, 2, 3, 4]
    assert array[1].item() == expected[1].item()

    array["x"] = [9, 8, 7, 6]
    expected["x"] = [9, 8, 7, 6]
    array["name", 1:] = "z"
    expected["name"][1:] = "z"
    array[["y", "x"], 0] = (0.5, 5)
    expected[["y", "x"]][0] = (0.5, 5)
    expected[0] = (5, 0.5, "a")
    array[3] = (1, 2, "end")
    expected[3] = (1, 2, "end")
    array.write([1, 2], -1, fields="y")
    expected["y"][[1, 2]] = -1
    np.testing.assert_array_equal(array[...], expected)


def test_fields_that_are_not_there() -> None:
    array = zarrstore.create_array({}, data=RECORDS)
    with pytest.raises(ValueError, match="no field of name 'z'; there are x, y, name"):
        _ = array["z"]
    with pytest.raises(ValueError, match="no field of name 'z'"):
        array[["x", "z"], 0] = 1
    with pytest.raises(IndexError, match="structured"):
        zarrstore.create_array({}, shape=3).read(fields="x")
    with pytest.raises(ValueError, match="does not fit"):
        array["name"] = "long name"
    np.testing.assert_array_equal(array[...], RECORDS)


def test_a_field_that_is_an_array() -> None:
    expected = np.zeros(5, [("at", "i4", (2,)), ("n", "u1")])
    array = zarrstore.create_array({}, data=expected, chunks=2, zarr_format=2)
    array["at", 1:3] = [[1, 2], [3, 4]]
    expected["at"][1:3] = [[1, 2], [3, 4]]
    array["at", 4] = 9
    expected["at"][4] = 9
    np.testing.assert_array_equal(array["at"], expected["at"], strict=True)
    np.testing.assert_array_equal(array[...], expected)
