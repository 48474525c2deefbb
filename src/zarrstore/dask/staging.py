"""What waits beside an array until all that it is made of was read, and what was left of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec

from zarrstore.abc import Capability
from zarrstore.dask.axes import Span, spans_of
from zarrstore.dask.notes import change_note, own_note
from zarrstore.dask.targets import NOTE_KEY, Target
from zarrstore.errors import ConflictError, UnsupportedOperationError
from zarrstore.keys import join

__all__ = [
    "able_to_resume",
    "check_can_wait",
    "drop_what_waits",
    "names_that_wait",
    "note_all_waits",
    "note_none_waits",
]

_UPDATES = f"{NOTE_KEY}-updates"
"""Beside an array: below it a key for each write into it of which all waits, with its region."""


def _mark(target: Target) -> str:
    return join(target.core.path, f"{_UPDATES}/{target.number}")


async def note_all_waits(target: Target, spans: Sequence[Span]) -> None:
    """Note that everything waits that is to be written over an array which is there.

    From now on the array may hold a part of it, so that it cannot be computed again.
    """
    if target.kind == "update":
        await target.core.store.set(_mark(target), msgspec.json.encode(list(spans)))
    elif target.kind == "replace":
        await change_note(target.core, target.number, waits=True)


async def note_none_waits(target: Target) -> None:
    """Note that all that waited is in its place."""
    if target.kind == "update" and target.staged:
        await target.core.store.delete(_mark(target))


async def drop_what_waits(target: Target) -> None:
    """Delete what waits to be written into an array, if not all does: nothing was written yet."""
    if target.kind == "update" and target.staged:
        store = target.core.store
        if not await store.exists(_mark(target)):
            await store.delete_dir(target.staging)


async def names_that_wait(target: Target) -> frozenset[str]:
    """Return the names of what waits to be written, in a store that can list."""
    store, path = target.core.store, target.staging
    if Capability.LIST not in store.capabilities:
        return frozenset()
    at = len(path) + 1
    keys = [key[at:] async for key in store.list_prefix(path)]
    return frozenset([key.partition("/")[0] for key in keys if "/" in key])


async def _broken_off(target: Target) -> dict[str, list[Span]]:
    """Return writes into an array of which all waits, and a part may be there: their regions."""
    store = target.core.store
    if Capability.LIST not in store.capabilities:
        return {}
    keys = [key async for key in store.list_prefix(join(target.core.path, _UPDATES))]
    found = {}
    for key in keys:
        data = await store.get(key)
        if data is not None:
            found[key.rpartition("/")[2]] = msgspec.json.decode(data, type=list[Span])
    return found


async def able_to_resume(target: Target, region: Any) -> Target:
    """Return the target of a write that goes on, staged if all of it waits, or that can later.

    Raises
    ------
    UnsupportedOperationError
        If what is done of an update cannot be noted.
    ConflictError
        If the data of more than one write to the region waits.
    """
    if target.kind != "update":
        if not target.resumed:
            return target
        note = await own_note(target.core, target.number)
        return dataclasses.replace(target, staged=target.staged or note.waits)
    store = target.core.store
    if Capability.LIST | Capability.DELETE not in store.capabilities:
        raise UnsupportedOperationError(
            f"{store.url} cannot list and delete the keys that say which parts of a write into "
            f"{target.core.url} are done, so that resume= can go on: leave it out",
            store=store.url,
            key=target.core.path,
        )
    wanted = list(spans_of(region, target.core.spec.shape))
    there = await _broken_off(target)
    numbers = [number for number, each in there.items() if each == wanted]
    if len(numbers) > 1:
        raise ConflictError(
            f"the data of {len(numbers)} writes to one region waits beside {target.core.url}: it "
            "cannot be told which of them goes on; delete the keys of the others below "
            f"{_UPDATES!r} in the store",
            store=store.url,
            key=target.core.path,
        )
    number = numbers[0] if numbers else target.number
    return dataclasses.replace(target, number=number, staged=bool(numbers), noted=True)


async def check_can_wait(target: Target, spans: Sequence[Span]) -> None:
    """Raise if nothing can wait beside an array, or something waits there since another write.

    Raises
    ------
    UnsupportedOperationError
        If what waited could not be deleted.
    ConflictError
        If a write to the same elements, made of what they were, was broken off half done.
    """
    store = target.core.store
    if Capability.DELETE not in store.capabilities:
        raise UnsupportedOperationError(
            f"the dask array is made of {target.core.url}, so that it has to wait in other keys of "
            "the store until all of it was read, and the store cannot delete them; write to "
            "another path, or read from a copy",
            store=store.url,
            key=target.core.path,
        )
    for number, there in (await _broken_off(target)).items():
        if number != target.number and all(map(Span.meets, there, spans)):
            key = _mark(dataclasses.replace(target, number=number))
            raise ConflictError(
                f"a write into {target.core.url} of what was made of the array itself is under "
                "way, or was broken off, so that a part of the array is old and another is new: "
                "resume=True, with the same dask array and region, goes on with it. (To leave the "
                f"array as it is, delete the key {key!r}.)",
                store=store.url,
                key=key,
            )
