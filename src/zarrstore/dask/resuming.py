"""Which tasks of a write that was broken off are done already."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zarrstore.dask.plan import ArrayPlan
from zarrstore.dask.receipts import Receipt, Written
from zarrstore.dask.targets import Target
from zarrstore.fan_out import map_bounded
from zarrstore.keys import join

__all__ = ["Done", "find_done"]


@dataclass(frozen=True)
class Done:
    """What need not be done again.

    Parameters
    ----------
    tasks : frozenset of tuple of int
        Those of which all chunks are there.
    keys : frozenset of str
        Chunks of other tasks.
    receipt : dict
        Of what is there; the checksums are not known.
    """

    tasks: frozenset[tuple[int, ...]] = frozenset()
    keys: frozenset[str] = frozenset()
    receipt: Receipt | None = None


def find_done(plan: ArrayPlan, target: Target, keys: frozenset[str]) -> Done:
    """Return what is done, from the keys that are there.

    A chunk that is there is complete where one task writes it: no store shows half a value.
    """
    if not keys or plan.how == "lock":
        return Done()
    core = target.core
    spec, path = core.spec, core.path

    def keys_of(task: tuple[int, ...]) -> Iterator[str]:
        for coords in itertools.product(*_units(plan, task)):
            yield join(path, spec.keys.key(coords))

    tasks = [task for task in plan.tasks() if all(key in keys for key in keys_of(task))]
    there = [key for task in tasks for key in keys_of(task)]

    async def sizes() -> list[int]:
        return await map_bounded(core.store.getsize, there)

    found = core.store._home.drive(sizes)
    receipt = {key: Written(size, None) for key, size in zip(there, found, strict=True)}
    return Done(frozenset(tasks), keys.difference(there), receipt)


def _units(plan: ArrayPlan, task: tuple[int, ...]) -> list[list[int]]:
    """Return for each dimension the indices of the units that a task writes."""
    found = []
    for axis, bounds, at in zip(plan.axes, plan.bounds, task, strict=True):
        first, stop = np.searchsorted(axis.parts, bounds[at : at + 2]).tolist()
        found.append(axis.units[first:stop].tolist())
    assert math.prod(map(len, found)) or not plan.ntasks
    return found
