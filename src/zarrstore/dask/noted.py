"""What a write into an array has done, noted part by part, so that the same write can go on."""

from __future__ import annotations

import hashlib

import msgspec

from zarrstore.dask.plan import ArrayPlan
from zarrstore.dask.receipts import Receipt
from zarrstore.dask.targets import Target
from zarrstore.fan_out import each_bounded
from zarrstore.keys import join

__all__ = ["drop_notes", "note_done", "number_of", "receipts_noted"]

_DONE = "done-"
"""Before the name of a region: below the path of the write."""

_BEGUN = "begun"
"""Below the path of the write as long as what is noted there is of use."""


def number_of(plan: ArrayPlan) -> str:
    """Return a number that writes have in common which write the same parts."""
    axes = zip(plan.axes, plan.bounds, strict=True)
    parts = [(axis.span, bounds.tobytes()) for axis, bounds in axes]
    return hashlib.blake2b(repr((plan.how, parts)).encode(), digest_size=16).hexdigest()


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


async def receipts_noted(target: Target) -> dict[str, Receipt]:
    """Return the receipts of the parts that are written, by their names, and let more be noted."""
    store, begun = target.core.store, join(target.staging, _BEGUN)
    if not await store.exists(begun):
        await _drop(target)  # of a write that has ended, and was broken off when it tidied up
        await store.set(begun, b"")
        return {}
    keys = await _keys(target)
    begin = len(join(target.staging, _DONE))
    found = await store.get_many(keys)
    return {
        key[begin:]: msgspec.json.decode(data, type=Receipt)
        for key, data in zip(keys, found, strict=True)
        if data is not None
    }


async def drop_notes(target: Target) -> None:
    """Delete what is noted: all is written, and other data may come."""
    await target.core.store.delete(join(target.staging, _BEGUN))
    await _drop(target)


async def _drop(target: Target) -> None:
    keys = await _keys(target)
    await each_bounded(target.core.store.delete, keys, count=len(keys))
