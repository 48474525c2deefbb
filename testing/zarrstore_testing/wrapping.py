"""Wrappers: what the store below can do is not lost."""

from __future__ import annotations

from zarrstore.abc import Capability, RangeByteRequest, Store
from zarrstore_testing.behaviour import Failed, NotApplicable, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import BlockingFace, drive
from zarrstore_testing.hooks import below, has_hook, watched_hooks


def _inner(store: Store) -> Store:
    stores = below(store)
    if not stores:
        raise NotApplicable("the store is no wrapper: it has no other one as its 'store'")
    return stores[0]


@behaviour("a wrapper has every capability of the store that it wraps")
def wrapper_forwards_what_its_store_can(_: Case, store: Store) -> None:
    inner = _inner(store)
    if lost := inner.capabilities & ~store.capabilities:
        raise Failed(f"the store that is wrapped has {lost}, and the wrapper has not")
    if gained := store.capabilities & ~inner.capabilities & ~Capability.SHARED:
        raise Failed(f"the wrapper has {gained}, and the store that is wrapped has not")


@behaviour("a wrapper asks the store that it wraps for a part where a part is wanted")
def wrapper_forwards_what_its_store_does_better(case: Case, store: Store) -> None:
    inner = _inner(store)
    face = BlockingFace(store, case)
    drive(face.set("a", b"0123456789"))
    if not has_hook(inner, "_get_range"):
        raise NotApplicable("the store that is wrapped has no _get_range")
    with watched_hooks(inner) as counts:
        drive(face.gives(b"23", "get", "a", RangeByteRequest(2, 4)))
    if counts["_get"] and not counts["_get_range"]:
        raise Failed("get of 2 bytes read the whole value of the store that is wrapped")
