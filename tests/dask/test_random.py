"""Random writes, and random plans: not one element is wrong, and each chunk has one writer."""

from __future__ import annotations

import itertools

import numpy as np
from dask_cases import Case, cases, check
from hypothesis import given, settings
from hypothesis import strategies as st

from zarrstore.dask.axes import Axis, block_bounds, spans_of
from zarrstore.format.dimensions import RectilinearDimension, RegularDimension


@settings(max_examples=250)
@given(cases())
def test_random_writes(case: Case) -> None:
    check(case)


def test_processes(tmp_path) -> None:
    """One of them in other processes: to start them takes long."""
    region = (slice(2, 29), slice(1, None, 2))
    options = {"chunks": (4, 3), "shards": (8, 6)}
    case = Case((30, 11), region, ((10, 10, 7), (3, 2)), options, "lock", "processes", True)
    check(case, str(tmp_path / "a.zarr"))


@st.composite
def dimensions(draw: st.DrawFn):
    length = draw(st.integers(0, 40))
    if draw(st.booleans()):
        return RegularDimension(length, draw(st.integers(1, 45)))
    runs = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=5))
    return RectilinearDimension(length, (*runs, (max(1, length), 1)))


@settings(max_examples=200)
@given(dimensions(), st.data())
def test_an_axis_beside_a_loop_over_its_elements(dimension, data) -> None:
    bounds = st.integers(0, dimension.length)
    start, stop = sorted(data.draw(st.tuples(bounds, bounds)))
    region = slice(start, stop, data.draw(st.integers(1, 3)))
    places = np.arange(dimension.length)[region]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(places)), max_size=6)))
    lengths = np.diff([0, *cuts, len(places)]).tolist()
    (span,) = spans_of(region, [dimension.length])
    axis = Axis(dimension, span, block_bounds(lengths))
    units = dimension.indices_of(places) if len(places) else np.zeros(0, int)
    block_of = np.repeat(np.arange(len(lengths)), lengths)
    found = np.unique(units)
    assert axis.units.tolist() == found.tolist()
    whole = [
        np.count_nonzero(units == unit) == dimension.extents_of(np.array([unit]))[0]
        for unit in found
    ]
    assert np.asarray(axis.whole).tolist() == whole
    shared = [len(set(block_of[units == unit])) > 1 for unit in found]
    assert axis.shared(axis.bounds).tolist() == shared
    assert axis.is_aligned(axis.bounds) == (not any(shared))
    snapped = axis.snapped()
    assert axis.is_aligned(snapped)
    assert (snapped[0], snapped[-1]) == (0, len(places))
    assert (np.diff(snapped) > 0).all()
    for first, last in itertools.pairwise(snapped):
        where = axis.stored(int(first), int(last))
        assert np.arange(dimension.length)[where].tolist() == places[first:last].tolist()
        begin, end = axis.pieces_of(int(first), int(last))
        assert set(block_of[first:last]) <= set(range(begin, end))
