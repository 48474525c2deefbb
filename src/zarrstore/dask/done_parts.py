"""What a write into an array has done, noted part by part, so that the same write can go on."""

from __future__ import annotations

import hashlib

import msgspec

from zarrstore.abc import Capability, Store
from zarrstore.dask.plan import ArrayPlan
from zarrstore.dask.receipts import Receipt, merged
from zarrstore.dask.targets import Target
from zarrstore.fan_out import each_bounded, map_bounded
from zarrstore.keys import join

__all__ = ["drop_notes", "note_done", "number_of", "outdate_notes", "receipts_noted"]

_DONE = "done-"
"""Before the name of a region: below the path of the write."""

_BEGUN = "begun"
"""Below the path of the write as long as what is noted there is of use."""


def number_of(plan: ArrayPlan) -> str:
    """Return a number that writes have in common of the same blocks to the same chunks.

    How many small blocks are written together makes no difference.
    """
    digest = hashlib.blake2b(plan.how.encode(), digest_size=16)
    for axis in plan.axes:
        digest.update(repr(axis.span).encode())
        for bounds in (axis.bounds, axis.parts):
            digest.update(bounds.astype("<i8", copy=False).data)
    return digest.hexdigest()


async def note_done(target: Target, name: str, receipt: Receipt) -> None:
    """Note that a part is written.

    Parameters
    ----------
    target : Target
    name : str
        Of the part.
    receipt : dict
        Of what was written.
    """
    key = join(target.staging, f"{_DONE}{name}")
    await target.core.store.set(key, msgspec.json.encode(receipt))


async def _keys(target: Target) -> list[str]:
    begin = join(target.staging, _DONE)
    listing = target.core.store.list_prefix(target.staging)
    return [key async for key in listing if key.startswith(begin)]


async def receipts_noted(target: Target, token: str, *, all_waits: bool) -> dict[str, Receipt]:
    """Return the receipts of the parts that are written, by their names, and let more be noted.

    A part of which chunks are gone, as after `resize`, is not among them.

    Parameters
    ----------
    target : Target
    token : str
        Of the dask array, where it must be the same as when they were noted.
    all_waits : bool
        Whether data waits there that this write is to put in its place.
    """
    store, begun = target.core.store, join(target.staging, _BEGUN)
    if await store.get(begun) != token.encode():
        # of a write that has ended, or of other data: parts that are done, and what has waited
        await (_drop(target) if all_waits else store.delete_dir(target.staging))
        await store.set(begun, token.encode())
        return {}
    keys = await _keys(target)
    begin = len(join(target.staging, _DONE))
    found = await store.get_many(keys)
    receipts = {
        key[begin:]: msgspec.json.decode(data, type=Receipt)
        for key, data in zip(keys, found, strict=True)
        if data is not None
    }
    gone = await _gone(store, merged(receipts.values()))
    return {name: receipt for name, receipt in receipts.items() if gone.isdisjoint(receipt)}


async def _gone(store: Store, receipt: Receipt) -> set[str]:
    """Return the keys that were written, and are not there any more."""
    keys = [key for key, written in receipt.items() if written.size is not None]
    there = await map_bounded(store.exists, keys)
    return {key for key, is_there in zip(keys, there, strict=True) if not is_there}


async def outdate_notes(target: Target) -> None:
    """Let nobody go on with what is noted of an update: all is written, or other data comes."""
    store = target.core.store
    can_be = Capability.LIST | Capability.DELETE in store.capabilities
    if target.kind == "update" and can_be:
        await store.delete(join(target.staging, _BEGUN))


async def drop_notes(target: Target) -> None:
    """Delete what is noted, and of no use any more."""
    if target.noted:
        await _drop(target)


async def _drop(target: Target) -> None:
    keys = await _keys(target)
    await each_bounded(target.core.store.delete, keys, count=len(keys))
