"""`StorePlan`: who writes which chunk or shard, known before anything runs. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np

from zarrstore.dask.axes import Axis, block_bounds, spans_of
from zarrstore.dask.errors import AlignmentError
from zarrstore.dask.plan_html import plan_html
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.format.dimensions import Positions
from zarrstore.hierarchy.facts import human_size, pieces_text

__all__ = ["Align", "ArrayPlan", "StorePlan", "pieces_of", "plan_array"]

Align: TypeAlias = Literal["auto", "error", "rechunk", "lock"]
"""What becomes of blocks that share chunks or shards."""

_BATCH_BLOCKS = 128
_LEAST_TASKS = 16
"""So many tasks there are at least, before small blocks are written together."""


@dataclass(frozen=True, eq=False)
class ArrayPlan:
    """How one dask array is written.

    Parameters
    ----------
    url : str
        Of the stored array.
    unit : {"chunk", "shard", "cell"}
        What is stored under one key.
    dtype : numpy.dtype
        Of the stored array.
    axes : tuple of Axis
    how : {"aligned", "rechunk", "lock"}
        ``aligned``: no two blocks share a unit. ``rechunk``: blocks are cut and joined at the
        boundaries of units. ``lock``: those that share a unit write one after the other.
    bounds : tuple of Positions
        For each dimension where the tasks that write begin, and where the last ends.
    """

    url: str
    unit: str
    dtype: np.dtype[Any]
    axes: tuple[Axis, ...]
    how: str
    bounds: tuple[Positions, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is written."""
        return tuple([axis.span.count for axis in self.axes])

    @property
    def nbytes(self) -> int:
        """Bytes of what is written, in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def nunits(self) -> int:
        """Chunks or shards that are written."""
        return math.prod([len(axis.parts) - 1 for axis in self.axes])

    @property
    def nblocks(self) -> int:
        """Blocks of the dask array that have elements."""
        return math.prod([len(axis.bounds) - 1 for axis in self.axes])

    @property
    def ntasks(self) -> int:
        """Tasks that write."""
        return math.prod([len(bounds) - 1 for bounds in self.bounds])

    @cached_property
    def conflicts(self) -> int:
        """Units that have elements of several blocks, as the blocks are."""
        return self._shared([axis.bounds for axis in self.axes])

    @cached_property
    def serialised(self) -> int:
        """Units that several tasks write, one after the other; 0 unless ``how`` is ``lock``."""
        return self._shared(self.bounds)

    def _shared(self, bounds: Sequence[Positions]) -> int:
        single = [
            int(np.count_nonzero(~axis.shared(each)))
            for axis, each in zip(self.axes, bounds, strict=True)
        ]
        return self.nunits - math.prod(single)

    @cached_property
    def partial(self) -> int:
        """Units of which the region has a part only: they are read, changed and written."""
        return self.nunits - math.prod([int(np.count_nonzero(axis.whole)) for axis in self.axes])

    @property
    def has_one_writer(self) -> bool:
        """Whether each unit is written by one task: tasks begin only where units do."""
        return not self.ntasks or all(
            axis.is_aligned(bounds) for axis, bounds in zip(self.axes, self.bounds, strict=True)
        )

    def writers(self, coords: Sequence[int]) -> list[tuple[int, ...]]:
        """Return which tasks write a unit, in the order in which they do.

        Parameters
        ----------
        coords : sequence of int
            Of the chunk or shard in its grid.
        """
        ranges = []
        for axis, bounds, index in zip(self.axes, self.bounds, coords, strict=True):
            at = int(np.searchsorted(axis.units, index))
            if at >= len(axis.units) or axis.units[at] != index:
                return []
            first, last = axis.writers(bounds)
            ranges.append(range(int(first[at]), int(last[at]) + 1))
        return sorted(itertools.product(*ranges), key=self.rank)

    def rank(self, task: tuple[int, ...]) -> tuple[int, ...]:
        """Return what orders tasks that share a unit: neighbours alternate, so few wait long."""
        return (*[index % 2 for index in task], *task)

    def tasks(self) -> Iterator[tuple[int, ...]]:
        """Yield the coordinates of each task that writes."""
        yield from itertools.product(*[range(len(bounds) - 1) for bounds in self.bounds])

    def region(self, task: Sequence[int]) -> tuple[int | slice, ...]:
        """Return what a task writes of the stored array."""
        return tuple(
            [
                axis.stored(int(bounds[at]), int(bounds[at + 1]))
                for axis, bounds, at in zip(self.axes, self.bounds, task, strict=True)
            ]
        )

    def turns(self) -> Iterator[list[tuple[int, ...]]]:
        """Yield the tasks that take turns at a unit, in their order, for each such set of tasks."""
        ranges = []
        for axis, bounds in zip(self.axes, self.bounds, strict=True):
            pairs = np.unique(np.stack(axis.writers(bounds), axis=1), axis=0)
            ranges.append([range(first, last + 1) for first, last in pairs.tolist()])
        for each in itertools.product(*ranges):
            if any(len(indices) > 1 for indices in each):
                yield sorted(itertools.product(*each), key=self.rank)

    def __str__(self) -> str:
        return "\n".join([self.title, *[f"  {name:<9} {said}" for name, said in self.rows()]])

    __repr__ = __str__

    @property
    def title(self) -> str:
        """What is written where."""
        return f"{self.dtype} {self.shape} to {self.url}: {human_size(self.nbytes)}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield what is said of the plan: a name, and a line."""
        if any(axis.span.count < axis.dimension.length for axis in self.axes):
            yield "region", self._region()
        if not self.nunits:
            yield f"{self.unit}s", "none: there are no elements"
            return
        yield f"{self.unit}s", f"{self.nunits:,} of {self._lengths([a.parts for a in self.axes])}"
        yield "blocks", f"{self.nblocks:,} of {self._lengths([a.bounds for a in self.axes])}"
        if self.conflicts:
            have = "has" if self.conflicts == 1 else "have"
            yield "conflicts", f"{self._units(self.conflicts)} {have} elements of several blocks"
        else:
            yield "conflicts", f"none: each {self.unit} has elements of one block"
        yield "writers", self._writers()
        if self.partial:
            are = "is" if self.partial == 1 else "are"
            yield "partial", f"{self._units(self.partial)} {are} read, changed and written"

    def _units(self, count: int) -> str:
        return f"{count:,} {self.unit}{'' if count == 1 else 's'}"

    def _region(self) -> str:
        lengths = tuple([axis.dimension.length for axis in self.axes])
        items = [
            str(axis.span.start)
            if axis.span.dropped
            else f"{axis.span.start}:{axis.span.stop}"
            + (f":{axis.span.step}" if axis.span.step > 1 else "")
            for axis in self.axes
        ]
        return f"[{', '.join(items)}] of {lengths}"

    def _writers(self) -> str:
        tasks = f"{self.ntasks:,} task{'' if self.ntasks == 1 else 's'}"
        if self.how == "lock":
            return (
                f"{tasks}; those that share one of {self._units(self.serialised)} write it "
                "one after the other"
            )
        how = f", of blocks cut and joined where {self.unit}s end" if self.how == "rechunk" else ""
        return f"{tasks}{how}; each {self.unit} is written by one"

    def _lengths(self, bounds: Sequence[Positions]) -> str:
        return pieces_text(tuple([pieces_of(np.diff(each)) for each in bounds]))

    def _repr_html_(self) -> str:
        return plan_html([self])


def pieces_of(given: Any) -> int | tuple[int, ...]:
    """Return the lengths of pieces: one if all but the last have it; of many only some.

    Examples
    --------
    >>> pieces_of([4, 4, 3]), pieces_of([4, 3, 4])
    (4, (4, 3, 4))
    """
    lengths = np.asarray(given)
    if len(lengths) and (lengths[:-1] == lengths[0]).all() and 0 < lengths[-1] <= lengths[0]:
        return int(lengths[0])
    shown = lengths if len(lengths) < 8 else np.concatenate([lengths[:6], lengths[-2:]])
    return tuple(shown.tolist())


class StorePlan(Sequence[ArrayPlan]):
    """How dask arrays are written: a sequence with the `ArrayPlan` of each.

    Examples
    --------
    >>> import dask.array as da
    >>> from zarrstore.dask import plan_store
    >>> print(plan_store(da.ones((100, 100), chunks=(10, 10)), chunks=(15, 15)))
    float64 (100, 100) to a new array: 78.1 KiB
      chunks    49 of (15, 15)
      blocks    100 of (10, 10)
      conflicts 48 chunks have elements of several blocks
      writers   14 tasks, of blocks cut and joined where chunks end; each chunk is written by one
    """

    def __init__(self, plans: Sequence[ArrayPlan]) -> None:
        self._plans = tuple(plans)

    @overload
    def __getitem__(self, index: int) -> ArrayPlan: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ArrayPlan]: ...
    def __getitem__(self, index: int | slice) -> ArrayPlan | Sequence[ArrayPlan]:
        return self._plans[index]

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is written, in memory."""
        return sum(plan.nbytes for plan in self)

    @property
    def ntasks(self) -> int:
        """Tasks that write."""
        return sum(plan.ntasks for plan in self)

    @property
    def conflicts(self) -> int:
        """Chunks and shards that have elements of several blocks, as the blocks are."""
        return sum(plan.conflicts for plan in self)

    @property
    def partial(self) -> int:
        """Chunks and shards that are read, changed and written."""
        return sum(plan.partial for plan in self)

    @property
    def has_one_writer(self) -> bool:
        """Whether each chunk or shard is written by one task."""
        return all(plan.has_one_writer for plan in self)

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return plan_html(self)


def plan_array(
    blocks: Sequence[Sequence[int]],
    spec: ArraySpec,
    region: Any = None,
    align: Align = "auto",
    *,
    url: str = "a new array",
    most_bytes: int = 2**28,
    batch_bytes: int = 0,
) -> ArrayPlan:
    """Plan how an array in blocks is written to a stored one.

    Parameters
    ----------
    blocks : sequence
        For each dimension the length of each block.
    spec : ArraySpec
        Of the stored array.
    region : tuple of int and slice, optional
    align : {"auto", "error", "rechunk", "lock"}
    url : str
    most_bytes : int
        ``auto`` makes no block larger than this and the largest block that there is.
    batch_bytes : int, default 0
        One task writes blocks beside each other if they have no more bytes than this together.

    Raises
    ------
    ValueError
        If the shape is not that of the region.
    AlignmentError
        If blocks share units, and ``align`` is ``error``.
    """
    if align not in get_args(Align):
        raise ValueError(f"align is one of {', '.join(get_args(Align))}, not {align!r}")
    axes = _axes(blocks, spec, region, url)
    unit = "chunk" if isinstance(spec.grid, RegularGrid) else "cell"
    if isinstance(spec.codecs[0], ShardingIndexed):
        unit = "shard"
    here = tuple([axis.bounds for axis in axes])
    itemsize = max(1, spec.dtype.itemsize)
    how, bounds = "aligned", here
    is_empty = any(not axis.span.count for axis in axes)
    if not is_empty and not all(axis.is_aligned(axis.bounds) for axis in axes):
        how = "lock"
        if align in ("auto", "rechunk"):
            snapped = tuple([axis.snapped() for axis in axes])
            most = max(most_bytes, _largest(here) * itemsize)
            if align == "rechunk" or _largest(snapped) * itemsize <= most:
                how, bounds = "rechunk", snapped
    if how != "lock" and batch_bytes:
        bounds = _batches(bounds, itemsize, batch_bytes)
    plan = ArrayPlan(url, unit, spec.dtype, axes, how, bounds)
    if align == "error" and how == "lock":
        raise AlignmentError(
            f"blocks end within {unit}s, so that several tasks would write one, and align='error' "
            "forbids it; use align='auto', or rechunk the dask array so that blocks end where "
            f"{unit}s do. The plan:\n{plan}",
            store=url,
            plan=plan,
        )
    return plan


def _axes(
    blocks: Sequence[Sequence[int]], spec: ArraySpec, region: Any, url: str
) -> tuple[Axis, ...]:
    spans = spans_of(region, spec.shape)
    expected = tuple([span.count for span in spans if not span.dropped])
    shape = tuple([sum(lengths) for lengths in blocks])
    if shape != expected:
        where = "" if region is None else f" in the region {region!r}"
        raise ValueError(
            f"the dask array has shape {shape}, and {url}{where} has {expected}; nothing is "
            "broadcast or cut"
        )
    given = iter(blocks)
    return tuple(
        [
            Axis(dimension, span, block_bounds([1] if span.dropped else next(given)))
            for dimension, span in zip(spec.grid.dimensions, spans, strict=True)
        ]
    )


def _largest(bounds: Sequence[Positions]) -> int:
    return math.prod([int(np.diff(each).max(initial=0)) for each in bounds])


def _batches(
    bounds: tuple[Positions, ...], itemsize: int, most_bytes: int
) -> tuple[Positions, ...]:
    """Return larger pieces where there are many small ones: each is written by one task."""
    counts = [len(each) - 1 for each in bounds]
    total = math.prod(counts)
    if total < 2:
        return bounds
    largest = max(1, _largest(bounds) * itemsize)
    together = min(_BATCH_BLOCKS, most_bytes // largest, -(-total // _LEAST_TASKS))
    made = list(bounds)
    for axis in reversed(range(len(bounds))):
        if together < 2:
            break
        step = min(together, counts[axis])
        made[axis] = np.append(bounds[axis][:-1:step], bounds[axis][-1])
        together //= step
    return tuple(made)
