"""Closing: once is enough, and then nothing works any more."""

from __future__ import annotations

from typing import Any

from zarrstore.abc import ABSENT, Capability, RangeByteRequest
from zarrstore.errors import StoreClosedError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face

_EVERY: list[tuple[Capability, tuple[Any, ...]]] = [
    (Capability.READ, ("get", "a")),
    (Capability.READ, ("get", "a", RangeByteRequest(0, 1))),
    (Capability.READ, ("get_ranges", "a", [RangeByteRequest(0, 1)])),
    (Capability.READ, ("get_versioned", "a", [RangeByteRequest(0, 1)])),
    (Capability.READ, ("get_many", ["a"])),
    (Capability.READ, ("get_each", ["a"], print)),
    (Capability.READ, ("get_each_into", ["a"], [bytearray(8)])),
    (Capability.READ, ("get_into", "a", bytearray(4))),
    (Capability.READ, ("exists", "a")),
    (Capability.READ, ("stat", "a")),
    (Capability.READ, ("getsize", "a")),
    (Capability.WRITE, ("set", "a", b"1")),
    (Capability.WRITE, ("set_many", {"a": b"1"})),
    (Capability.WRITE, ("set_each", [("a", b"1")])),
    (Capability.CREATE_EXCLUSIVE, ("set_if_not_exists", "a", b"1")),
    (Capability.DELETE, ("delete", "a")),
    (Capability.DELETE, ("delete_dir", "a")),
    (Capability.DELETE, ("clear",)),
    (Capability.LIST, ("list",)),
    (Capability.LIST, ("list_prefix", "a")),
    (Capability.LIST, ("list_dir", "a")),
    (Capability.LIST, ("is_empty", "a")),
    (Capability.LIST, ("getsize_prefix", "a")),
]


class _Ours(Exception):  # noqa: N818
    pass


@behaviour("after close() any use raises StoreClosedError, by every method", reads_only=True)
async def use_after_close_raises(face: Face) -> None:
    await face.seed({"a": b"1"})
    capabilities = face.store.capabilities
    await face.close()
    for capability, call in _EVERY:
        if capability in capabilities:
            await face.raises(StoreClosedError, *call)
    if Capability.CREATE_EXCLUSIVE in capabilities:
        await face.raises(StoreClosedError, "set", "a", b"1", expect=ABSENT)
    repr(face.store)


@behaviour("a store that was never used can be closed; closing again does nothing", reads_only=True)
async def close_is_idempotent(face: Face) -> None:
    await face.gives(None, "close")
    await face.gives(None, "close")
    await face.raises(StoreClosedError, "get", "a")


@behaviour("the context manager gives the store and closes it", reads_only=True)
async def context_manager_closes(face: Face) -> None:
    async with face as entered:
        if entered is not face.store:
            raise Failed(f"'with store as x' should give the store itself, and gave {entered!r}")
        await face.seed({"a": b"1"})
        await face.gives(b"1", "get", "a")
    await face.raises(StoreClosedError, "get", "a")


@behaviour(
    "the context manager never swallows an exception, and closes all the same", reads_only=True
)
async def context_manager_passes_exceptions_on(face: Face) -> None:
    try:
        async with face:
            await face.seed({"a": b"1"})
            raise _Ours
    except _Ours:
        await face.raises(StoreClosedError, "get", "a")
        return
    raise Failed("an exception raised inside 'with store' did not come out of it")


@behaviour("a view of a store that was closed is closed as well", reads_only=True)
async def views_close_with_their_store(face: Face) -> None:
    await face.seed({"a": b"1"})
    view = face.view()
    await view.gives(b"1", "get", "a")
    await face.close()
    await view.raises(StoreClosedError, "get", "a")
    await view.raises(StoreClosedError, "exists", "a")


@behaviour(
    "a view that was closed raises StoreClosedError, and can be closed again", reads_only=True
)
async def closed_view_raises(face: Face) -> None:
    view = face.view()
    await view.close()
    await view.close()
    await view.raises(StoreClosedError, "get", "a")
    if face.can(Capability.LIST):
        await view.raises(StoreClosedError, "list")
    await face.gives(None, "get", "a")
