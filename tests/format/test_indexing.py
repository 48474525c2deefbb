"""Selections against numpy."""

from __future__ import annotations

import itertools
import pickle
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from zarrstore.format.chunk_grids import ChunkGrid, RectilinearGrid, RegularGrid
from zarrstore.format.fancy_indexing import (
    coordinate_selection,
    mask_selection,
    orthogonal_selection,
)
from zarrstore.format.indexing import (
    ChunkPart,
    Selection,
    basic_selection,
    block_selection,
)
from zarrstore.format.selections import selection_of, split_fields

UNSTORED = -7
"""What chunks have beyond the array."""

shapes = st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
many = settings(max_examples=80, deadline=None)


@st.composite
def grids(draw: st.DrawFn, shape: tuple[int, ...]) -> ChunkGrid:
    lengths = st.integers(1, 7)
    if draw(st.booleans()):
        return RegularGrid(shape, tuple(draw(lengths) for _ in shape))
    pairs = st.tuples(lengths, st.integers(1, 3))
    chunks = []
    for length in shape:
        given_lengths = draw(st.lists(lengths | pairs, max_size=4))
        if draw(st.booleans()):
            chunks.append(draw(lengths))
        else:
            chunks.append([*given_lengths, *([length] if length else [])])
    return RectilinearGrid(shape, tuple(chunks))


def slices(length: int) -> st.SearchStrategy[slice]:
    ends = st.none() | st.integers(-length - 2, length + 2)
    steps = st.none() | st.integers(-4, 4).filter(bool)
    return st.builds(slice, ends, ends, steps)


def numbers(length: int) -> st.SearchStrategy[int]:
    return st.integers(-length, length - 1) if length else st.nothing()


def lists(length: int) -> st.SearchStrategy[Any]:
    """Integers in any order, some twice, and masks, as lists and as arrays."""
    indices = st.lists(numbers(length), max_size=8) if length else st.just([])
    unsigned = indices.map(lambda found: np.array([i % length for i in found], np.uint8))
    masks = st.lists(st.booleans(), min_size=length, max_size=length)
    arrays = indices.map(lambda found: np.array(found, np.int64))
    return indices | arrays | unsigned | masks.map(lambda mask: np.array(mask, bool))


@st.composite
def basics(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    if shape:
        return draw(st_numpy.basic_indices(shape, allow_newaxis=False))
    return draw(st.sampled_from([(), ..., (...,)]))


@st.composite
def orthogonals(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    items = [draw(slices(n) | numbers(n) | lists(n)) for n in shape]
    return with_dots(draw, items)


def with_dots(draw: st.DrawFn, items: list[Any]) -> Any:
    """Leave out items at the end, or put ... for some of them."""
    start = draw(st.integers(0, len(items)))
    if draw(st.booleans()):
        stop = draw(st.integers(start, len(items)))
        return (*items[:start], ..., *items[stop:])
    if draw(st.booleans()):
        return tuple(items[:start])
    return tuple(items)


@st.composite
def coordinates(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    if draw(st.booleans()):
        return draw(st_numpy.arrays(bool, shape))
    result = draw(st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    if 0 in shape:
        result = (*result, 0)
    arrays = []
    for length in shape:
        start = draw(st.integers(0, len(result) - 1 if 0 in shape else len(result)))
        own = [n if draw(st.booleans()) else 1 for n in result[start:]]
        if length == 0:
            own[-1] = 0
        elements = numbers(length) if length else None
        arrays.append(draw(st_numpy.arrays(np.int64, tuple(own), elements=elements)))
    return tuple(arrays)


def numpy_orthogonal(array: np.ndarray, selection: Any) -> Any:
    """Take along each dimension by itself."""
    items = selection if isinstance(selection, tuple) else (selection,)
    at = next((at for at, item in enumerate(items) if item is ...), len(items))
    rest = items[at + 1 :]
    items = (*items[:at], *[slice(None)] * (array.ndim - len(items[:at]) - len(rest)), *rest)
    dropped = []
    for axis, item in enumerate(items):
        if isinstance(item, int | np.integer):
            dropped.append(axis)
            item = [item]
        elif not isinstance(item, slice):
            item = np.asarray(item, None if len(item) else np.intp)
        array = array[(slice(None),) * axis + (item,)]
    return array.squeeze(tuple(dropped))


def stored(grid: ChunkGrid, array: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """Return the chunks of an array as they are stored, with something else beyond it."""
    chunks = {}
    for coords in np.ndindex(*grid.grid_shape):
        chunk = np.full(grid.chunk_shape_at(coords), UNSTORED, array.dtype)
        region = region_of(grid, coords)
        chunk[tuple(slice(0, s.stop - s.start) for s in region)] = array[region]
        chunks[coords] = chunk
    return chunks


def region_of(grid: ChunkGrid, coords: tuple[int, ...]) -> tuple[slice, ...]:
    pairs = zip(grid.dimensions, coords, strict=True)
    return tuple(slice(d.start_of(i), d.start_of(i) + d.extent_of(i)) for d, i in pairs)


def joined(grid: ChunkGrid, chunks: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
    array = np.full(grid.shape, -1)
    for coords, chunk in chunks.items():
        region = region_of(grid, coords)
        array[region] = chunk[tuple(slice(0, s.stop - s.start) for s in region)]
    return array


def check(part: ChunkPart, selection: Selection, grid: ChunkGrid, view: np.ndarray) -> None:
    """Check what a part says of itself."""
    shape = grid.chunk_shape_at(part.coords)
    numbered = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    taken = numbered[part.inside]
    target = view[part.outside]
    assert taken.shape == target.shape
    assert taken.size > 0
    assert all(type(at) is int for at in part.coords)
    region = region_of(grid, part.coords)
    within = numbered[tuple(slice(0, s.stop - s.start) for s in region)]
    assert part.is_whole == (np.unique(taken).size == within.size)
    assert part.is_view == all(isinstance(item, slice) or item is ... for item in part.outside)
    assert part.is_view == np.shares_memory(target, view)
    if part.fills_chunk:
        assert part.is_view
        np.testing.assert_array_equal(taken, numbered)
    elif all(isinstance(item, slice) for item in part.inside) and part.is_view:
        assert taken.shape != numbered.shape


def read(selection: Selection, grid: ChunkGrid, chunks: Any, out: np.ndarray) -> None:
    parts = list(selection.parts(grid))
    assert len(parts) == selection.count_parts(grid)
    assert len({part.coords for part in parts}) == len(parts)
    for part in parts:
        check(part, selection, grid, out)
        out[part.outside] = chunks[part.coords][part.inside]


def write(selection: Selection, grid: ChunkGrid, chunks: Any, value: np.ndarray) -> None:
    for part in selection.parts(grid):
        chunk = chunks[part.coords]
        if part.is_whole:
            chunk[...] = UNSTORED
        chunk[part.inside] = value[part.outside]


def read_nested(
    selection: Selection, grid: ChunkGrid, chunks: Any, inner: Any, out: np.ndarray
) -> None:
    for part in selection.parts(grid):
        inside = selection.inside(part)
        assert inside.full_shape == out[part.outside].shape
        found = np.full(inside.full_shape, -1)
        read(inside, inner[part.coords], stored(inner[part.coords], chunks[part.coords]), found)
        out[part.outside] = found


def write_nested(
    selection: Selection, grid: ChunkGrid, chunks: Any, inner: Any, value: np.ndarray
) -> None:
    for part in selection.parts(grid):
        inside = selection.inside(part)
        pieces = stored(inner[part.coords], chunks[part.coords])
        write(inside, inner[part.coords], pieces, value[part.outside])
        chunks[part.coords] = joined(inner[part.coords], pieces)


def check_all(selection: Selection, grid: ChunkGrid, expected: Any, data: st.DataObject) -> None:
    """Read and write a selection; ``expected`` is the number of each element that it selects."""
    array = np.arange(np.prod(grid.shape, dtype=int)).reshape(grid.shape)
    assert selection.shape == np.shape(expected)
    chunks = stored(grid, array)
    inner: dict[tuple[int, ...], ChunkGrid] = {}
    for coords, chunk in chunks.items():
        inner[coords] = data.draw(grids(chunk.shape)) if len(inner) < 2 else RegularGrid(
            chunk.shape, tuple(-(-length // 2) for length in chunk.shape)
        )  # fmt: skip
    value = np.random.default_rng(0).permutation(np.size(expected)).reshape(selection.shape) + 1000
    changed = array.copy()
    for at, new in zip(np.ravel(expected), np.ravel(value), strict=True):
        changed.flat[at] = new  # one by one, so that the last one stays

    for reading, writing in ((read, write), (read_nested, write_nested)):
        more = (inner,) if reading is read_nested else ()
        result = np.full(selection.shape, -1)
        full = selection.full_view(result)
        assert full.shape == selection.full_shape
        reading(selection, grid, chunks, *more, full)  # type: ignore[operator]
        np.testing.assert_array_equal(result, expected)
        copies = {coords: chunk.copy() for coords, chunk in chunks.items()}
        writing(selection, grid, copies, *more, selection.full_view(value))  # type: ignore[operator]
        np.testing.assert_array_equal(joined(grid, copies), changed)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


@given(st.data())
@many
def test_basic_selections(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    grid, selection = data.draw(grids(shape)), data.draw(basics(shape))
    expected = numbered(shape)[selection]
    wanted = basic_selection(selection, shape)
    assert wanted.is_element == (not isinstance(expected, np.ndarray))
    check_all(wanted, grid, expected, data)


@given(st.data())
@many
def test_orthogonal_selections(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    grid, selection = data.draw(grids(shape)), data.draw(orthogonals(shape))
    wanted = orthogonal_selection(selection, shape)
    check_all(wanted, grid, numpy_orthogonal(numbered(shape), selection), data)


@given(st.data())
@many
def test_coordinate_selections(data: st.DataObject) -> None:
    shape = data.draw(shapes.filter(bool))
    grid, selection = data.draw(grids(shape)), data.draw(coordinates(shape))
    expected = numbered(shape)[selection]
    wanted = coordinate_selection(selection, shape)
    assert wanted.is_element == (not isinstance(expected, np.ndarray))
    check_all(wanted, grid, expected, data)


@given(st.data())
@many
def test_block_selections(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    grid = data.draw(grids(shape))
    counts = grid.grid_shape
    one_by_one = [slices(n).map(lambda s: slice(s.start, s.stop)) | numbers(n) for n in counts]
    selection = with_dots(data.draw, [data.draw(items) for items in one_by_one])
    wanted = block_selection(selection, grid)
    chosen = numpy_orthogonal(np.ones(counts, bool), selection)
    assert wanted.count_parts(grid) == chosen.size
    assert all(part.is_whole for part in wanted.parts(grid))
    # numpy takes the elements of the chunks that it takes
    at = next((at for at, item in enumerate(selection) if item is ...), len(selection))
    rest = selection[at + 1 :]
    missing = len(counts) - len(selection[:at]) - len(rest)
    items = (*selection[:at], *[slice(None)] * missing, *rest)
    elements = []
    for item, dimension in zip(items, grid.dimensions, strict=True):
        chunks = np.atleast_1d(np.arange(dimension.count)[item])
        regions = [np.arange(dimension.length)[region_of_one(dimension, i)] for i in chunks]
        elements.append(np.concatenate([np.zeros(0, int), *regions]))
    expected = numbered(shape)[np.ix_(*elements)] if shape else numbered(shape)
    check_all(wanted, grid, expected, data)


def region_of_one(dimension: Any, index: int) -> slice:
    return slice(dimension.start_of(index), dimension.start_of(index) + dimension.extent_of(index))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_asked_of_an_array_is_what_numpy_gives_or_is_refused(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    items = [data.draw(slices(n) | numbers(n) | lists(n)) for n in shape]
    selection = data.draw(st.just(with_dots(data.draw, items)) | coordinates(shape))
    array = numbered(shape)
    try:
        expected = array[selection]
    except IndexError:
        with pytest.raises(IndexError):
            selection_of(selection, shape)
        return
    try:
        wanted = selection_of(selection, shape)
    except IndexError:
        given_items = selection if isinstance(selection, tuple) else (selection,)
        arrays = [item for item in given_items if isinstance(item, list | np.ndarray)]
        assert len(arrays) > 1 or any(isinstance(item, int) for item in items) or not shape
        with pytest.raises(IndexError, match=r"oindex|mask|truth value"):
            selection_of(selection, shape)
        return
    assert wanted.is_element == (not isinstance(expected, np.ndarray))
    check_all(wanted, RegularGrid(shape, (2,) * len(shape)), expected, data)


ARRAY = numbered((3, 4, 5))


@pytest.mark.parametrize(
    "selection",
    [
        [0, 2],
        [[0, 2], [1, 1]],
        (slice(None), [0, 2]),
        (0, [0, 2]),
        ([0, 2], slice(1, 3), 0),
        (..., [4, 0, 4]),
        ([True, False, True],),
        ([0, 2], [1, 1], [3, 3]),
        ([0, 2], [1, 1], 3),
        np.ix_([0, 2], [1, 3], [4, 4, 0]),
        (np.array([[0, 1], [2, 0]]), np.array([0, 1]), -1),
        ARRAY % 3 == 0,
        range(2),
        (np.int8(1), np.uint64(2)),
        np.array(2),
        (np.array([], int), slice(2)),
        [],
        ([], [], []),
    ],
)
def test_kinds_of_selections_that_are_numpys(selection: Any) -> None:
    if isinstance(selection, list) and selection and isinstance(selection[0], list):
        with pytest.raises(IndexError, match="oindex"):
            selection_of(selection, ARRAY.shape)
        return
    wanted = selection_of(selection, ARRAY.shape)
    result = np.full(wanted.shape, -1)
    grid = RegularGrid(ARRAY.shape, (2, 2, 2))
    read(wanted, grid, stored(grid, ARRAY), wanted.full_view(result))
    np.testing.assert_array_equal(result, ARRAY[selection])


@pytest.mark.parametrize(
    "selection",
    [
        (0, slice(None), [0, 1]),  # numpy: (2, 4), orthogonal: (4, 2)
        (slice(None), [0, 1], [0, 1]),
        ([0, 1], slice(None), [0, 1]),
        ([True, False, True], [0, 1], 0),
        ([[0, 1], [1, 0]], slice(None), slice(None)),
    ],
)
def test_what_numpy_and_orthogonal_indexing_answer_differently_is_refused(selection: Any) -> None:
    assert ARRAY[selection].size
    with pytest.raises(IndexError, match=r"oindex\[...\] .* or vindex\[...\]"):
        selection_of(selection, ARRAY.shape)


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ((0, 0, 0), "too many indices: the array has 2 dimensions, but 3 were indexed"),
        ((..., ...), "single ellipsis"),
        (3, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -5), "index -5 is out of bounds for axis 1 with size 4"),
        (2**70, "out of bounds for axis 0"),
        (1.0, "not float"),
        ("a", "not str"),
        (slice(0, 1), None),
        (([0, 3], [0, 0]), "index 3 is out of bounds for axis 0 with size 3"),
        ((slice(None), [-5, 0]), "index -5 is out of bounds for axis 1 with size 4"),
        ([0.5], "integers or truth values, not of float64"),
        (np.zeros(0), "integers or truth values, not of float64"),
        (["a"], "integers or truth values, not of <U1"),
        ([2**70], "integers or truth values, not of object"),
        ([True, False], r"a mask from axis 0 on has shape \(2,\), where the array has \(3,\)"),
        ((slice(None), [True] * 3), r"a mask from axis 1 on has shape \(3,\)"),
        (np.ones((3, 5), bool), r"a mask from axis 0 on has shape \(3, 5\)"),
        (([0, 1], [0, 1, 2]), r"could not be broadcast together with shapes \(2,\) \(3,\)"),
        (([0], [0], [0]), "(too many indices|3 dimensions, where the array has 2|oindex)"),
    ],
)
def test_errors_are_numpys(selection: Any, says: str | None) -> None:
    array = numbered((3, 4))
    if says is None:
        assert selection_of(selection, array.shape).shape == array[selection].shape
        return
    with pytest.raises(IndexError):
        array[selection]
    with pytest.raises(IndexError, match=says):
        selection_of(selection, array.shape)


@pytest.mark.parametrize("selection", [True, np.True_, None, (None, 0), np.array(True)])
def test_what_makes_new_dimensions_is_refused(selection: Any) -> None:
    for resolve in (basic_selection, selection_of, orthogonal_selection, coordinate_selection):
        with pytest.raises(IndexError):
            resolve(selection, (3, 4))


def test_unsigned_integers_do_not_become_negative() -> None:
    """As they do in numpy."""
    with pytest.raises(IndexError, match="index 18446744073709551615 is out of bounds for axis 0"):
        selection_of(np.array([2**64 - 1], np.uint64), (3,))


def test_lists_are_not_basic() -> None:
    with pytest.raises(IndexError, match=r"an index is an integer, a slice or '\.\.\.', not list"):
        basic_selection([0, 1], (3, 4))


def test_orthogonal_arrays_have_one_dimension() -> None:
    with pytest.raises(IndexError, match="along axis 1 has one dimension, not 2; use vindex"):
        orthogonal_selection((0, [[0, 1]]), (3, 4))
    with pytest.raises(IndexError, match="along axis 0 has one dimension, not 2; use vindex"):
        orthogonal_selection(np.ones((3, 4), bool), (3, 4))


def test_coordinates_are_for_every_dimension() -> None:
    for selection in (([0, 1],), [0, 1], 0, ([0], [0], [0])):
        with pytest.raises(IndexError, match="dimensions, where the array has 2"):
            coordinate_selection(selection, (3, 4))
    for selection in ((slice(None), [0]), (..., [0])):
        with pytest.raises(IndexError, match=r"not (slice|ellipsis)"):
            coordinate_selection(selection, (3, 4))
    with pytest.raises(IndexError, match="truth values of shape"):
        mask_selection([0, 1], (2,))
    with pytest.raises(IndexError, match="truth values of shape"):
        mask_selection([True, False], (2, 2))


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (2, "block 2 is out of bounds for axis 0 with 2 chunks"),
        ((0, -3), "block -3 is out of bounds for axis 1 with 2 chunks"),
        (slice(None, None, 2), "slices of step 1, not 2"),
        (slice(None, None, -1), "slices of step 1, not -1"),
        ([0], "integers, slices and '...', not list"),
        ((0, 0, 0), "too many indices"),
    ],
)
def test_what_is_no_selection_of_blocks(selection: Any, says: str) -> None:
    with pytest.raises(IndexError, match=says):
        block_selection(selection, RegularGrid((3, 4), (2, 2)))


@pytest.mark.parametrize(
    ("selection", "fields", "rest"),
    [
        ("x", "x", ...),
        (["x", "y"], ["x", "y"], ...),
        (("x",), "x", ...),
        (("x", slice(2, 5)), "x", (slice(2, 5),)),
        (("x", 0, "y", ...), ["x", "y"], (0, ...)),
        ((["x"], 0), ["x"], (0,)),
        ((0, 1), None, (0, 1)),
        (..., None, ...),
        ([], None, []),
        ([1, 2], None, [1, 2]),
    ],
)
def test_fields(selection: Any, fields: Any, rest: Any) -> None:
    assert split_fields(selection) == (fields, rest)


def test_numpy_integers_are_integers() -> None:
    assert basic_selection((np.int64(-1), np.uint8(2)), (3, 4)).shape == ()


def test_contiguous_arrays_are_moved_as_slices() -> None:
    """As slices are, and a mask that is true throughout fills its chunks."""
    grid = RegularGrid((8, 4), (2, 4))
    mask = np.array([True] * 6 + [False] * 2)
    parts = list(orthogonal_selection(mask, grid.shape).parts(grid))
    assert parts == list(basic_selection(slice(6), grid.shape).parts(grid))
    assert all(part.fills_chunk for part in parts)


def test_the_arrays_that_are_given_stay_as_they_are() -> None:
    indices = np.array([-1, 0, -2])
    selection = orthogonal_selection((indices,), (3,))
    list(selection.parts(RegularGrid((3,), (2,))))
    assert indices.tolist() == [-1, 0, -2]


def test_repeated_coordinates_keep_the_last_value() -> None:
    rng = np.random.default_rng(0)
    grid = RegularGrid((50, 50), (7, 11))
    coords = tuple(rng.integers(0, 50, 10_000) for _ in range(2))
    value = np.arange(10_000)
    expected = np.zeros(grid.shape, int)
    expected[coords] = value
    chunks = stored(grid, np.zeros(grid.shape, int))
    write(coordinate_selection(coords, grid.shape), grid, chunks, value)
    np.testing.assert_array_equal(joined(grid, chunks), expected)


def test_grids_of_more_chunks_than_can_be_numbered() -> None:
    shape = (2**62,) * 3
    grid = RegularGrid(shape, (1, 2, 3))
    far = 2**62 - 1
    selection = coordinate_selection(([far, 0, far], [0, far, 0], [far, 0, far]), shape)
    parts = list(selection.parts(grid))
    assert [part.coords for part in parts] == [(0, far // 2, 0), (far, 0, far // 3)]
    assert [part.outside for part in parts] == [(slice(1, 2, 1),), (pytest.approx([0, 2]),)]


def test_planning_is_lazy() -> None:
    grid = RegularGrid((2**40, 8), (1, 4))
    selection = basic_selection(..., grid.shape)
    assert selection.count_parts(grid) == 2**41
    started = time.perf_counter()
    parts = list(itertools.islice(selection.parts(grid), 3))
    assert time.perf_counter() - started < 1
    assert [part.coords for part in parts] == [(0, 0), (0, 1), (1, 0)]
    stepped = basic_selection(slice(1, None, 3), (2**40, 8))
    assert stepped.count_parts(grid) == 2 * -(-(2**40 - 1) // 3)
    assert [part.coords[0] for part in itertools.islice(stepped.parts(grid), 4)] == [1, 1, 4, 4]


def test_parts_can_be_pickled() -> None:
    grid = RectilinearGrid((5, 6), (2, [1, 5]))
    assert pickle.loads(pickle.dumps(grid)) == grid
    parts = list(basic_selection(..., grid.shape).parts(pickle.loads(pickle.dumps(grid))))
    assert pickle.loads(pickle.dumps(parts)) == parts
    assert isinstance(parts[0], ChunkPart)
