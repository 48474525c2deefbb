"""Read-only views."""

from __future__ import annotations

from typing import Any

from zarrstore.abc import ABSENT, Capability, RangeByteRequest
from zarrstore.errors import ReadOnlyError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face

_CHANGES: list[tuple[Capability, tuple[Any, ...], dict[str, Any]]] = [
    (Capability.WRITE, ("set", "a/b", b"new"), {}),
    (Capability.WRITE, ("set", "new", b"new"), {}),
    (Capability.WRITE, ("set", "new", b"new"), {"expect": ABSENT}),
    (Capability.WRITE, ("set", "a/b", b"new"), {"expect": "1"}),
    (Capability.WRITE, ("set_many", {"new": b"new", "a/b": b"new"}), {}),
    (Capability.WRITE, ("set_each", [("new", b"new"), ("a/b", b"new")]), {}),
    (Capability.WRITE, ("set_if_not_exists", "new", b"new"), {}),
    (Capability.DELETE, ("delete", "a/b"), {}),
    (Capability.DELETE, ("delete", "missing"), {}),
    (Capability.DELETE, ("delete_dir", "a"), {}),
    (Capability.DELETE, ("delete_dir", "missing"), {}),
    (Capability.DELETE, ("clear",), {}),
]


@behaviour("every change of a read-only store raises ReadOnlyError, and nothing changes")
async def changes_raise_read_only(face: Face) -> None:
    await face.set("a/b", b"old")
    view = face.view()
    for capability, call, kwargs in _CHANGES:
        if face.can(capability):
            error = await view.raises(ReadOnlyError, *call, **kwargs)
            if not isinstance(error, PermissionError):
                raise Failed("ReadOnlyError should be a PermissionError")
    await face.gives(b"old", "get", "a/b")
    await face.gives(False, "exists", "new")
    if face.can(Capability.LIST):
        await face.lists(["a/b"], "list")


@behaviour("with_read_only is a view of the same data, which sees later writes", rewrites=True)
async def view_has_the_same_data(face: Face) -> None:
    await face.set("a/b", b"old")
    view = face.view()
    if not view.store.read_only or face.store.read_only:
        raise Failed("the view should be read_only, and its original not")
    await view.gives(b"old", "get", "a/b")
    await view.gives(b"ld", "get", "a/b", RangeByteRequest(1, 5))
    await face.set("a/b", b"new")
    await face.set("c", b"1")
    await view.gives([b"new", b"1"], "get_many", ["a/b", "c"])
    await view.gives(3, "getsize", "a/b")
    if face.can(Capability.LIST):
        await view.lists(["a/b", "c"], "list")
        await view.lists(["a", "c"], "list_dir")
        await view.gives(False, "is_empty", "a")
    again = view.view()
    await again.gives(b"new", "get", "a/b")


@behaviour("the capabilities of a read-only view are those of its store without changes")
async def view_has_no_capability_to_change(face: Face) -> None:
    view = face.store.with_read_only()
    wanted = face.store.capabilities & (Capability.READ | Capability.LIST | Capability.SHARED)
    if view.capabilities != wanted:
        raise Failed(f"capabilities of the view should be {wanted}, and are {view.capabilities}")


@behaviour("closing a view does not close its original, nor another view", rewrites=True)
async def closing_a_view(face: Face) -> None:
    await face.set("a", b"1")
    view = face.view()
    other = face.view()
    await view.get("a")
    await view.close()
    await face.gives(b"1", "get", "a")
    await face.set("a", b"2")
    await other.gives(b"2", "get", "a")
    async with face.view() as _:
        pass
    await face.gives(b"2", "get", "a")


@behaviour("a writable view of a read-only view of a writable store writes to the same data")
async def view_can_be_writable(face: Face) -> None:
    writable = face.view().view(False)
    await writable.set("a", b"1")
    await face.gives(b"1", "get", "a")
