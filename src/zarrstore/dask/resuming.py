"""Which tasks of a write that was broken off are done already."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from zarrstore.dask.done_parts import receipts_noted
from zarrstore.dask.notes import change_note, own_note
from zarrstore.dask.plan import ArrayPlan
from zarrstore.dask.receipts import Receipt, Written, merged
from zarrstore.dask.staging import names_that_wait
from zarrstore.dask.targets import Target
from zarrstore.dask.tasks import waiting_name
from zarrstore.fan_out import map_bounded
from zarrstore.hierarchy.replacing import delete_chunks
from zarrstore.keys import join

__all__ = ["Done", "complete_keys", "find_done", "find_waiting"]


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
    waiting : frozenset of str
        Names of what waits to be written.
    """

    tasks: frozenset[tuple[int, ...]] = frozenset()
    keys: frozenset[str] = frozenset()
    receipt: Receipt | None = None
    waiting: frozenset[str] = frozenset()


async def complete_keys(target: Target, keys: frozenset[str], *, whole: bool) -> frozenset[str]:
    """Return which of the keys that are there are complete, and note whether all are from now on.

    Parameters
    ----------
    target : Target
    keys : frozenset of str
    whole : bool
        Whether one task writes each chunk from now on.
    """
    core, number = target.core, target.number
    if target.kind == "update":
        return keys
    if target.resumed:
        note = await own_note(core, number)
        if target.kind == "new" and note.waits and not note.cleared:
            # what is there may be of the array that was being deleted
            await delete_chunks(core.store, core.path, [target.naming], [core.spec])
            await change_note(core, number, cleared=True)
            keys = frozenset()
        if not note.whole:
            keys = frozenset()
    if not whole:
        await change_note(core, number, whole=False)
    return keys


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


def find_noted(plan: ArrayPlan, target: Target, token: str, *, all_waits: bool) -> Done:
    """Return what is noted to be done of an update."""
    receipts_of = partial(receipts_noted, all_waits=all_waits)
    noted = target.core.store._home.drive(receipts_of, target, token)
    done = [(task, noted.get(waiting_name(plan.region(task)))) for task in plan.tasks()]
    receipts = [(task, receipt) for task, receipt in done if receipt is not None]
    tasks = frozenset([task for task, _ in receipts])
    return Done(tasks, receipt=merged([receipt for _, receipt in receipts]))


def find_waiting(plan: ArrayPlan, target: Target, done: Done, *, all_waits: bool) -> Done:
    """Return what is done, with what waits to be written.

    Parameters
    ----------
    plan : ArrayPlan
    target : Target
    done : Done
    all_waits : bool
        Whether all of it was waiting, so that a part may be in its place.

    Raises
    ------
    ValueError
        If all waits, but not in the pieces of this plan: it cannot be computed again.
    """
    names = target.core.store._home.drive(names_that_wait, target)
    tasks = [task for task in plan.tasks() if task not in done.tasks]
    if all_waits and any(waiting_name(plan.region(task)) not in names for task in tasks):
        raise ValueError(
            f"the write to {target.core.url} that was broken off was of a dask array with other "
            "blocks, or with another region or align=: give the same to go on with it"
        )
    return replace(done, waiting=names)
