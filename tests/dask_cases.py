"""Random writes of dask arrays: shapes, blocks, chunks, shards, regions, ways to align, schedulers.

``python tests/dask_cases.py 5000`` runs so many by itself.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zarrstore
from zarrstore.dask import from_zarr, plan_store, store, to_zarr

ALIGN = ("auto", "rechunk", "lock")
_MOST = {0: 1, 1: 60, 2: 14, 3: 6}


@dataclass(frozen=True)
class Case:
    """One write.

    Parameters
    ----------
    shape : tuple of int
        Of the stored array.
    region : tuple of int and slice, or None
    blocks : tuple of tuple of int
        Of the dask array.
    options : dict
        How the array is stored.
    align, scheduler : str
    reads : bool
        Whether the dask array is made of what is there before.
    how : {"into", "replacing", "interleaved"}
        Of all of an array: into one that is there, in the place of it, or as two dask arrays of
        which each has every second row.
    """

    shape: tuple[int, ...]
    region: Any
    blocks: tuple[tuple[int, ...], ...]
    options: dict[str, Any]
    align: str
    scheduler: str
    reads: bool
    how: str = "into"


@st.composite
def _cut(draw: st.DrawFn, length: int) -> tuple[int, ...]:
    """Draw lengths whose sum is a length; some may be 0."""
    if draw(st.booleans()):
        step = draw(st.integers(1, max(1, length)))
        lengths = [min(step, length - at) for at in range(0, length, step)]
    else:
        cuts = draw(st.lists(st.integers(0, length), max_size=6))
        bounds = [0, *sorted(cuts), length]
        lengths = [stop - start for start, stop in itertools.pairwise(bounds)]
    return tuple(lengths) or (0,)


@st.composite
def _region(draw: st.DrawFn, length: int) -> Any:
    if length and draw(st.integers(0, 5)) == 0:
        return draw(st.integers(-length, length - 1))
    start, stop = sorted(draw(st.tuples(st.integers(0, length), st.integers(0, length))))
    return slice(start, stop, draw(st.sampled_from([None, None, None, 1, 2, 3])))


@st.composite
def _options(draw: st.DrawFn, shape: Sequence[int]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["chunks", "chunks", "shards", "cells", "v2"]))
    chunks = tuple([draw(st.integers(1, max(1, length + 2))) for length in shape])
    if kind == "v2":
        order = draw(st.sampled_from("CF"))
        return {"chunks": chunks, "zarr_format": 2, "compressor": None, "order": order}
    options: dict[str, Any] = {"chunks": chunks, "compressors": None}
    if kind == "shards" and shape:
        options["shards"] = tuple([chunk * draw(st.integers(1, 4)) for chunk in chunks])
    if kind == "cells" and shape and 0 not in shape:
        cells = [[each for each in draw(_cut(length)) if each] for length in shape]
        options["chunks"] = cells
    return options


@st.composite
def cases(draw: st.DrawFn, schedulers: Sequence[str] = ("threads", "sync")) -> Case:
    """Draw a write."""
    ndim = draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3]))
    shape = tuple([draw(st.integers(0, _MOST[ndim])) for _ in range(ndim)])
    region = None
    written: Sequence[int] = shape
    if draw(st.booleans()) and ndim:
        region = tuple([draw(_region(length)) for length in shape])
        written = np.empty(shape, bool)[region].shape
    blocks = tuple([draw(_cut(length)) for length in written])
    align = draw(st.sampled_from(ALIGN))
    scheduler = draw(st.sampled_from(list(schedulers)))
    options = draw(_options(shape))
    how = "into"
    if region is None:
        how = draw(st.sampled_from(["into", "replacing", "interleaved"] if ndim else ["into"]))
    return Case(shape, region, blocks, options, align, scheduler, draw(st.booleans()), how)


def check(case: Case, where: Any = None) -> None:
    """Do a write, and compare every element with numpy's."""
    where = {} if where is None else where
    how = {"align": case.align, "scheduler": case.scheduler}
    before = np.empty(case.shape, "int32")
    before.reshape(-1)[:] = -np.arange(1, 1 + before.size)
    expected = before.copy()
    if case.region is None and not case.reads and case.how == "into":
        values = np.asarray(before * 3)
        source = da.from_array(values, chunks=case.blocks)
        result = to_zarr(source, where, "a", **case.options, **how)
        expected = values
    else:
        array = zarrstore.create_array(where, name="a", data=before, **case.options)
        if case.reads:
            lazy = from_zarr(array, chunks=case.shape or None)
            part = lazy if case.region is None else lazy[case.region]
            part = part[(slice(None, None, -1),) * part.ndim]
            source = (part * 2).rechunk(case.blocks) if part.ndim else part * 2
            seen = before if case.region is None else before[case.region]
            values = seen[(slice(None, None, -1),) * seen.ndim] * 2
        else:
            values = np.asarray(before[... if case.region is None else case.region]) * 5
            source = da.from_array(values, chunks=case.blocks)
        expected[... if case.region is None else case.region] = values
        if case.how == "replacing":
            result = to_zarr(source, where, "a", mode="w", **case.options, **how)
        elif case.how == "interleaved":
            rows = slice(None, None, 2), slice(1, None, 2)
            result = store([source[each] for each in rows], [array] * 2, list(rows), **how)
        else:
            result = store(source, array, case.region, **how)
    found = zarrstore.open_array(where, path="a", mode="r")[...]
    wrong = np.count_nonzero(found != expected)
    assert not wrong, f"{wrong} of {expected.size} elements are wrong: {case}"
    result.verify()
    left = [key for key in zarrstore.open_store(where).sync if "zarrstore-write" in key]
    assert not left, f"{left} is left: {case}"
    for plan in result.plan:
        _check_plan(case, plan)


def _check_plan(case: Case, plan: Any) -> None:
    """Compare what a plan says with what is found by looking at every element."""
    if case.align == "rechunk":
        assert plan.has_one_writer
    elif plan.how == "lock":
        assert plan.conflicts == plan.serialised > 0
    again = plan_store(da.zeros(case.shape, chunks=-1, dtype="int32"), **case.options)[0]
    assert again.partial == 0 == again.conflicts
    assert plan.nunits >= plan.partial


def main(count: int) -> None:
    """Run many cases."""
    done = 0

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def run(case: Case) -> None:
        nonlocal done
        check(case)
        done += 1
        if done % 500 == 0:
            print(f"{done:,} cases, 0 elements wrong", flush=True)

    run()
    print(f"{done:,} cases, 0 elements wrong")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
