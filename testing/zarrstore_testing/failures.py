"""Failures of the backend: they come out as errors, never as "missing", never as done."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from zarrstore.abc import ABSENT, Capability, OffsetByteRequest
from zarrstore.errors import ConflictError
from zarrstore_testing.behaviour import Failed, NotApplicable, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.hooks import below, failing_hooks
from zarrstore_testing.log import shown


def _failing(face: Face) -> AbstractContextManager[object]:
    """Return a context in which the backend of the store fails."""
    if face.options.failing is not None:
        return face.options.failing(face.store)
    stores = below(face.store)
    if not stores:
        raise NotApplicable("the kit is not told how the backend fails (failing)")
    return failing_hooks(stores[0])


async def _fails(face: Face, operation: str, *args: Any, **kwargs: Any) -> None:
    called = f"{operation}({face.log.arguments(args, kwargs)})"
    try:
        found = await face.call(operation, *args, **kwargs)
    except ConflictError as error:
        raise Failed(f"the backend failed, and {called} took it for a conflict") from error
    except Exception:  # noqa: BLE001 - any will do, so long as it comes out
        return
    raise Failed(f"the backend failed, and {called} returned {shown(found)}")


@behaviour(
    "an error of the backend comes out of every read, and is never taken for missing",
    reads_only=True,
)
async def errors_are_not_missing(face: Face) -> None:
    await face.seed({"a/b": b"12345"})
    face.log.no_code()
    with _failing(face):
        for key in ("a/b", "missing"):
            await _fails(face, "get", key)
            await _fails(face, "get", key, OffsetByteRequest(1))
            await _fails(face, "get_ranges", key, [OffsetByteRequest(1)])
            await _fails(face, "get_many", [key])
            await _fails(face, "get_into", key, bytearray(9))
            await _fails(face, "get_each", [key], print)
            for operation in ("exists", "stat", "getsize"):
                await _fails(face, operation, key)
        if face.can(Capability.LIST):
            await _fails(face, "list")
            await _fails(face, "list_prefix", "a")
            await _fails(face, "list_dir", "a")
            await _fails(face, "is_empty", "a")
            await _fails(face, "getsize_prefix", "a")
    await face.gives(b"12345", "get", "a/b")


@behaviour("an error of the backend comes out of every change, and the old values stay")
async def failed_changes_are_told(face: Face) -> None:
    await face.seed({"a/b": b"12345"})
    face.log.no_code()
    with _failing(face):
        await _fails(face, "set", "a/b", b"new")
        await _fails(face, "set_many", {"a/b": b"new"})
        await _fails(face, "set_each", [("a/b", b"new")])
        if face.can(Capability.CREATE_EXCLUSIVE):
            await _fails(face, "set", "new", b"new", expect=ABSENT)
            await _fails(face, "set_if_not_exists", "new", b"new")
        if face.can(Capability.DELETE):
            await _fails(face, "delete", "a/b")
        if face.can(Capability.DELETE | Capability.LIST):
            await _fails(face, "delete_dir", "a")
            await _fails(face, "clear")
    await face.gives(b"12345", "get", "a/b")
    await face.gives(None, "get", "new")
