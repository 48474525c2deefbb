"""The graph of a write: tasks that write boxes, in turn where they must, and a tree of receipts."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import dask
import numpy as np
from dask.core import get_deps, istask

from zarrstore.dask.axes import Axis
from zarrstore.dask.plan import ArrayPlan
from zarrstore.dask.reads import place_of
from zarrstore.dask.tasks import (
    Box,
    Writer,
    combine,
    stage_box,
    unstaged,
    wait_for_all,
    waiting_name,
    write_box,
)

__all__ = ["Graph", "Job", "Key", "write_graph"]

Key: TypeAlias = tuple[Any, ...] | str

_SPLIT_EVERY = 16
_APART = 2**17
"""Bytes of a block that is quicker written by itself than copied to be written with others."""


@dataclass(frozen=True)
class Job:
    """One dask array, and where it is written.

    Parameters
    ----------
    name : str
        Of its blocks in the graph.
    plan : ArrayPlan
    writer : Writer
    complete : frozenset of tuple of int
        Tasks of which all chunks are there already.
    waiting : frozenset of str
        Names of what waits already, of a write that was broken off.
    """

    name: str
    plan: ArrayPlan
    writer: Writer
    complete: frozenset[tuple[int, ...]] = frozenset()
    waiting: frozenset[str] = frozenset()

    @property
    def staged(self) -> bool:
        """Whether all of it is computed, and waits elsewhere, before anything is written."""
        return self.writer.target.staged


@dataclass
class Graph:
    """Tasks by their keys.

    Parameters
    ----------
    tasks : dict
    writes : list
        The keys of those that write: by them progress is counted.
    receipts : list
        For each job the key of its receipt.
    staged : list
        The keys of tasks that put data where it waits.
    blocks : list of list
        For each task that takes blocks their keys: the list that stands in the task.
    """

    tasks: dict[Key, Any] = field(default_factory=dict)
    writes: list[Key] = field(default_factory=list)
    receipts: list[Key] = field(default_factory=list)
    staged: list[Key] = field(default_factory=list)
    blocks: list[list[Any]] = field(default_factory=list)

    def with_blocks(self, blocks: Mapping[Key, Any]) -> dict[Key, Any]:
        """Return the tasks together with those that compute the blocks.

        A block that one task writes, and nothing else needs, is computed by that task: it is not
        sent to another process to be written there.
        """
        apart = dict(blocks)
        if dask.config.get("optimization.fuse.active", None) is not False:
            _, dependents = get_deps(apart)
            uses = Counter(itertools.chain.from_iterable(self.blocks))
            for needed in self.blocks:
                if len(needed) == 1:
                    key = needed[0]
                    if uses[key] == 1 and not dependents[key] and _is_task(apart[key]):
                        needed[0] = apart.pop(key)
        return {**apart, **self.tasks}


def _is_task(value: Any) -> bool:
    """Tell whether something is computed, and not there already or in another process."""
    return bool(istask(value)) or hasattr(value, "func")


def write_graph(jobs: Sequence[Job], split_every: int | None = None) -> Graph:
    """Return the tasks that write dask arrays, without those that compute them.

    Raises
    ------
    ValueError
        If two of the arrays go to the same elements, or ``split_every`` is below 2.
    """
    split_every = _SPLIT_EVERY if split_every is None else split_every
    if split_every < 2:
        raise ValueError(f"split_every is 2 or more, not {split_every!r}")
    token = uuid.uuid4().hex
    graph = Graph()
    waits = _between(jobs)
    all_wait: Key = f"all-wait-{token}"
    numbered = enumerate(jobs)
    made = [_JobGraph(job, f"{number}-{token}", graph, all_wait) for number, job in numbered]
    for each, others in zip(made, waits, strict=True):
        each.add(others)
        graph.receipts.append(each.receipt(split_every))
    pairs = zip(jobs, graph.receipts, strict=True)
    readers = [*graph.staged, *[receipt for job, receipt in pairs if not job.staged]]
    for each in made:
        each.wait(readers)
    # as long as not all is noted to wait, what reads one of the arrays may be computed again
    waiting = [each.waiting for each in made if each.waiting in graph.tasks]
    if waiting:
        graph.tasks[all_wait] = (len, waiting)
    return graph


class _JobGraph:
    def __init__(self, job: Job, token: str, graph: Graph, all_wait: Key) -> None:
        self._job = job
        self._token = token
        self._graph = graph
        self._tasks = [task for task in job.plan.tasks() if task not in job.complete]
        blocks_bytes = job.plan.nbytes // max(1, job.plan.nblocks)
        self._apart = job.plan.how == "aligned" and blocks_bytes >= _APART
        self._writer: Key = f"writer-{token}"
        self.waiting: Key = f"all-staged-{token}"
        self._all_wait = all_wait

    def add(self, others: Sequence[int]) -> None:
        """Add the tasks that write, after those of other jobs."""
        job, tasks = self._job, self._graph.tasks
        tasks[self._writer] = job.writer
        before: defaultdict[tuple[int, ...], list[Key]] = defaultdict(list)
        for turn in job.plan.turns() if job.plan.how == "lock" else ():
            for first, second in itertools.pairwise(turn):
                key = self._key(first)
                if first not in job.complete and key not in before[second]:
                    before[second].append(key)
        first_of_all: list[Key] = [self._graph.receipts[other] for other in others]
        for number, task in enumerate(self._tasks):
            box, blocks = self._box(task, number)
            self._graph.blocks.append(blocks)
            keys = [*before[task], *first_of_all]
            if job.staged:
                if waiting_name(box.region) not in job.waiting:
                    stage: Key = (f"stage-{self._token}", number)
                    tasks[stage] = (stage_box, self._writer, box, blocks)
                    self._graph.staged.append(stage)
                tasks[self._key(task)] = (unstaged, self._writer, box, self._all_wait, *keys)
            else:
                tasks[self._key(task)] = (write_box, self._writer, box, blocks, *keys)
            self._graph.writes.append(self._key(task))

    def wait(self, readers: Sequence[Key]) -> None:
        """Let what is staged wait until nothing reads the array any more."""
        if self._job.staged:
            self._graph.tasks[self.waiting] = (wait_for_all, self._writer, [*readers])

    def _key(self, task: tuple[int, ...]) -> Key:
        return (f"write-{self._token}", *task)

    def _box(self, task: tuple[int, ...], number: int) -> tuple[Box, list[Key]]:
        plan = self._job.plan
        lengths, skipped, shape, ranges = [], [], [], []
        for axis, bounds, at in zip(plan.axes, plan.bounds, task, strict=True):
            if axis.span.dropped:
                continue
            start, stop = int(bounds[at]), int(bounds[at + 1])
            first, last = axis.pieces_of(start, stop)
            lengths.append(tuple(np.diff(axis.blocks[first : last + 1]).tolist()))
            skipped.append(start - int(axis.blocks[first]))
            shape.append(stop - start)
            ranges.append(range(first, last))
        blocks: list[Key] = [(self._job.name, *at) for at in itertools.product(*ranges)]
        rank = plan.rank(task) if plan.how == "lock" else ()
        box = Box(
            plan.region(task),
            tuple(lengths),
            tuple(skipped),
            tuple(shape),
            rank,
            number,
            self._apart,
        )
        return box, blocks

    def receipt(self, split_every: int) -> Key:
        """Add the tree that merges the receipts; return its root."""
        keys = [self._key(task) for task in self._tasks]
        level = 0
        while len(keys) > 1 or not level:
            above: list[Key] = []
            for number, first in enumerate(range(0, len(keys), split_every)):
                key: Key = (f"receipt-{self._token}", level, number)
                self._graph.tasks[key] = (combine, keys[first : first + split_every])
                above.append(key)
            keys, level = above, level + 1
            if not keys:
                key = (f"receipt-{self._token}", 0, 0)
                self._graph.tasks[key] = (combine, [])
                return key
        return keys[0]


def _between(jobs: Sequence[Job]) -> list[list[int]]:
    """Return for each job the earlier ones that it must come after: they share units."""
    waits: list[list[int]] = [[] for _ in jobs]
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, job in enumerate(jobs):
        places[place_of(job.writer.target.core)].append(number)
    for numbers in places.values():
        for number, other in _near(jobs, numbers):
            axes = list(zip(jobs[number].plan.axes, jobs[other].plan.axes, strict=True))
            if all(a.span.meets(b.span) for a, b in axes):
                raise ValueError(
                    f"sources {other} and {number} go to the same elements of "
                    f"{jobs[number].writer.target.core.url}; which of the two is kept would be "
                    "left to chance"
                )
            if all(np.intersect1d(a.units, b.units).size for a, b in axes):
                waits[number].append(other)
    return waits


def _near(jobs: Sequence[Job], numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield jobs of one array, each with an earlier one, that may share units: few of many."""
    if len(numbers) < 2:
        return
    ends = [[_ends(axis) for axis in jobs[number].plan.axes] for number in numbers]
    first, last = np.moveaxis(np.array(ends, np.intp).reshape(len(numbers), -1, 2), 2, 0)
    for at, number in enumerate(numbers):
        near = ((first[:at] <= last[at]) & (first[at] <= last[:at])).all(axis=1)
        for earlier in np.flatnonzero(near).tolist():
            yield number, numbers[earlier]


def _ends(axis: Axis) -> tuple[int, int]:
    """Return the first and the last unit along a dimension; of no units what meets nothing."""
    return (int(axis.units[0]), int(axis.units[-1])) if len(axis.units) else (1, -1)
