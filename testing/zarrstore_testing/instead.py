"""What is checked of a capability that a store does not have: that it says so."""

from __future__ import annotations

from functools import partial
from typing import Any

from zarrstore.abc import ABSENT, Capability, Store
from zarrstore.errors import ReadOnlyError, UnsupportedOperationError, ZarrStoreError
from zarrstore_testing.behaviour import Failed
from zarrstore_testing.case import Case
from zarrstore_testing.faces import AsyncioFace, BlockingFace

__all__ = ["check_append_only", "check_instead"]

_CHANGES = (Capability.WRITE, Capability.DELETE, Capability.CREATE_EXCLUSIVE)
_CALLS: dict[Capability, list[tuple[Any, ...]]] = {
    Capability.READ: [("get", "a"), ("exists", "a"), ("stat", "a"), ("getsize", "a")],
    Capability.WRITE: [
        ("set", "a", b"1"),
        ("set_many", {"a": b"1"}),
        ("set_each", [("a", b"1")]),
    ],
    Capability.DELETE: [("delete", "a"), ("delete_dir", "a"), ("clear",)],
    Capability.LIST: [
        ("list",),
        ("list_prefix", "a"),
        ("list_dir", "a"),
        ("is_empty", "a"),
        ("getsize_prefix", "a"),
    ],
    Capability.CREATE_EXCLUSIVE: [("set_if_not_exists", "a", b"1")],
    Capability.COMPARE_AND_SWAP: [],
}


def check_instead(case: Case, store: Store, missing: Capability) -> str:
    """Check that a store refuses what it cannot do; return what was checked, in words."""
    if store.read_only and case.options.seed is None:
        raise Failed("the store is read-only: give a writable one, or a way to seed one (seed)")
    face = BlockingFace(store, case)
    asynchronous = AsyncioFace(store, case)
    checked = []
    error = ReadOnlyError if store.read_only else UnsupportedOperationError
    errors: dict[Capability, type[ZarrStoreError]] = dict.fromkeys(_CHANGES, error)

    async def refused(*call: Any, **kwargs: Any) -> None:
        await face.raises(error, *call, **kwargs)

    for capability, calls in _CALLS.items():
        if capability not in missing:
            continue
        kind = errors.get(capability, UnsupportedOperationError)
        for call in calls:
            face.run(partial(face.raises, kind, *call))
            asynchronous.run(partial(asynchronous.raises, kind, *call))
            checked.append(f"{call[0]}()")
    if Capability.CREATE_EXCLUSIVE in missing:
        face.run(lambda: refused("set", "a", b"1", expect=ABSENT))
        checked.append("set(expect=ABSENT)")
    if Capability.COMPARE_AND_SWAP in missing:
        face.run(lambda: refused("set", "a", b"1", expect="1"))
        checked.append("set(expect=version)")
    if Capability.SHARED in missing:
        return "pickle_opens_the_same_data, which asks for NotShareableError in another process"
    if Capability.READ not in missing and face.run(lambda: face.call("exists", "a")):
        raise AssertionError("an operation that was refused wrote a value all the same")
    return f"{', '.join(checked)} raise {error.__name__}, and nothing is written"


def check_append_only(case: Case, store: Store) -> str:
    """Check that a key cannot be written again; return what was checked, in words."""
    face = BlockingFace(store, case)

    async def check() -> None:
        await face.set("a/b", b"first")
        await face.raises(ZarrStoreError, "set", "a/b", b"second")
        await face.gives(b"first", "get", "a/b")

    face.run(check)
    return "a second set() of a key raises an error of zarrstore's, and the first value stays"
