"""What waits beside an array until all that it is made of was read, and what was left of it."""

from __future__ import annotations

import dataclasses

from zarrstore.abc import Capability
from zarrstore.dask.notes import change_note, own_note
from zarrstore.dask.targets import NOTE_KEY, Target
from zarrstore.errors import ConflictError, UnsupportedOperationError
from zarrstore.keys import join

__all__ = [
    "check_can_wait",
    "drop_what_waits",
    "names_that_wait",
    "note_all_waits",
    "note_none_waits",
    "with_what_waits",
]

_ALL = "all"
"""Below the path where data waits: it is complete, and may be in its place in part."""


async def note_all_waits(target: Target) -> None:
    """Note that everything waits that is to be written over an array which is there.

    From now on the array may hold a part of it, so that it cannot be computed again.
    """
    if target.kind == "update":
        await target.core.store.set(join(target.staging, _ALL), b"")
    elif target.kind == "replace":
        await change_note(target.core, target.number, waits=True)


async def note_none_waits(target: Target) -> None:
    """Note that all that waited is in its place."""
    if target.kind == "update" and target.staged:
        await target.core.store.delete(join(target.staging, _ALL))


async def drop_what_waits(target: Target) -> None:
    """Delete what waits to be written into an array, if not all does: nothing was written yet."""
    if target.kind == "update" and target.staged:
        store = target.core.store
        if not await store.exists(join(target.staging, _ALL)):
            await store.delete_dir(target.staging)


async def names_that_wait(target: Target) -> frozenset[str]:
    """Return the names of what waits to be written, in a store that can list."""
    store, path = target.core.store, target.staging
    if Capability.LIST not in store.capabilities:
        return frozenset()
    at = len(path) + 1
    keys = [key[at:] async for key in store.list_prefix(path)]
    return frozenset([key.partition("/")[0] for key in keys if "/" in key])


async def _broken_off(target: Target) -> list[str]:
    """Return the numbers of writes into an array of which all waits, and a part may be there."""
    store, path = target.core.store, target.core.path
    if Capability.LIST not in store.capabilities:
        return []
    begin = f"{NOTE_KEY}-"
    names = [name async for name in store.list_dir(path) if name.startswith(begin)]
    keys = [join(path, f"{name}/{_ALL}") for name in names]
    return [
        name.removeprefix(begin)
        for name, key in zip(names, keys, strict=True)
        if await store.exists(key)
    ]


async def with_what_waits(target: Target) -> Target:
    """Return the target of a write that was broken off, staged if all of it waits.

    Raises
    ------
    ValueError
        If it is of an update, and none waits.
    """
    if target.kind != "update":
        note = await own_note(target.core, target.number)
        return dataclasses.replace(target, staged=target.staged or note.waits)
    numbers = await _broken_off(target)
    if len(numbers) != 1:
        what = "nothing" if not numbers else "more than one write"
        raise ValueError(
            f"there is {what} to resume at {target.core.url}, whose data waits to be written into "
            "it: write into it again, which has the same outcome however often it is done"
        )
    return dataclasses.replace(target, number=numbers[0], staged=True)


async def check_can_wait(target: Target) -> None:
    """Raise if nothing can wait beside an array, or something waits there since another write.

    Raises
    ------
    UnsupportedOperationError
        If what waited could not be deleted.
    ConflictError
        If a write into an array, which reads it, was broken off half done.
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
    for number in await _broken_off(target):
        if number != target.number:
            where = dataclasses.replace(target, number=number).staging
            raise ConflictError(
                f"a write into {target.core.url} of what was made of the array itself is under "
                "way, or was broken off, so that a part of the array is old and another is new: "
                "resume=True goes on with it. (To leave the array as it is, delete what is below "
                f"{where!r} in the store.)",
                store=store.url,
                key=where,
            )
