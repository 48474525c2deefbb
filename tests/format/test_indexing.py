"""Selections against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.indexing import basic_selection


@st.composite
def grids_and_selections(draw: st.DrawFn) -> tuple[RegularGrid, Any]:
    shape = draw(st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=12))
    chunks = tuple(draw(st.integers(1, 7)) for _ in shape)
    if shape:
        selection = draw(st_numpy.basic_indices(shape, allow_newaxis=False))
    else:
        selection = draw(st.sampled_from([(), ..., (...,)]))
    return RegularGrid(shape, chunks), selection


@given(grids_and_selections())
@settings(max_examples=300, deadline=None)
def test_the_parts_make_up_the_selection(case: tuple[RegularGrid, Any]) -> None:
    grid, selection = case
    array = np.arange(np.prod(grid.shape, dtype=int)).reshape(grid.shape)
    expected = array[selection]
    wanted = basic_selection(selection, grid.shape)
    assert wanted.shape == np.shape(expected)
    result = np.full(wanted.shape, -1)
    view = wanted.full_view(result)
    parts = list(wanted.parts(grid))
    assert len(parts) == wanted.count_parts(grid)
    assert len({part.coords for part in parts}) == len(parts)
    for part in parts:
        start = [i * c for i, c in zip(part.coords, grid.chunk_shape, strict=True)]
        inside = tuple(slice(at, at + c) for at, c in zip(start, grid.chunk_shape, strict=True))
        chunk = array[inside]
        taken = chunk[part.inside]
        assert taken.size > 0
        assert part.is_whole == (taken.shape == chunk.shape)
        assert part.fills_chunk == (taken.shape == grid.chunk_shape)
        view[part.outside] = taken
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ((0, 0, 0), "too many indices: the array has 2 dimensions, but 3 were indexed"),
        ((..., ...), "single ellipsis"),
        (3, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -5), "index -5 is out of bounds for axis 1 with size 4"),
        (1.0, "not float"),
        (True, "not bool"),
        (None, "not NoneType"),
        ("a", "not str"),
        ([0, 1], "not list"),
    ],
)
def test_what_is_no_basic_selection(selection: Any, says: str) -> None:
    with pytest.raises(IndexError, match=says):
        basic_selection(selection, (3, 4))


def test_numpy_integers_are_integers() -> None:
    assert basic_selection((np.int64(-1), np.uint8(2)), (3, 4)).shape == ()
