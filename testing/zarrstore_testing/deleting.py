"""Deleting: a key, everything under a prefix, everything; and nothing else."""

from __future__ import annotations

from zarrstore.abc import Capability
from zarrstore_testing.behaviour import behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.keys import keep

DELETE = Capability.DELETE
BOTH = Capability.DELETE | Capability.LIST


@behaviour("a deleted key is missing, for every method", DELETE)
async def delete_removes(face: Face) -> None:
    await face.set_many({"a/b": b"1", "a/c": b"2"})
    # what a store knows of a key by now it has to forget
    await face.gives(b"1", "get", "a/b")
    await face.gives(1, "getsize", "a/b")
    await face.gives(None, "delete", "a/b")
    await face.gives(None, "get", "a/b")
    await face.gives(False, "exists", "a/b")
    await face.gives(None, "stat", "a/b")
    await face.gives([None, b"2"], "get_many", ["a/b", "a/c"])
    if face.can(Capability.LIST):
        await face.lists(["a/c"], "list")
    # nor is anything of it in a shorter value that is written later
    await face.set("a/b", b"y" * face.size(200_000))
    await face.delete("a/b")
    await face.set("a/b", b"new")
    await face.gives(b"new", "get", "a/b")
    await face.gives(3, "getsize", "a/b")


@behaviour("deleting a missing key does nothing", DELETE)
async def delete_is_idempotent(face: Face) -> None:
    await face.gives(None, "delete", "missing")
    await face.gives(None, "delete", "missing/below")
    await face.set("a/b", b"1")
    for key in ("a/b", "a/b", "a/c", "a/b/c"):
        await face.gives(None, "delete", key)


@behaviour("delete never deletes a directory, nor what is in it", DELETE)
async def delete_leaves_directories(face: Face) -> None:
    await face.set_many({"a/b/c": b"1", "a/d": b"2"})
    for path in ("a", "a/b"):
        await face.gives(None, "delete", path)
    await face.gives([b"1", b"2"], "get_many", ["a/b/c", "a/d"])


@behaviour("delete touches one key: none with the same beginning, none below, none above", DELETE)
async def delete_touches_one_key(face: Face) -> None:
    keys = face.usable(["a/b", "a/bc", "a/b.c", "a/b c", "b", "ab", "c/a/b"])
    await face.set_many({key: key.encode() for key in keys})
    await face.delete("a/b")
    await face.gives([None, *(key.encode() for key in keys[1:])], "get_many", keys)


@behaviour("delete_dir deletes everything under a prefix, with and without its slash", BOTH)
async def delete_dir_deletes_below(face: Face) -> None:
    for prefix in ("a/b", "a/b/"):
        await face.set_many(dict.fromkeys(("a/b/c", "a/b/d/e", "a/b/d/f/g", "a/z"), b"1"))
        await face.gives(b"1", "get", "a/b/d/e")
        await face.gives(None, "delete_dir", prefix)
        await face.lists(["a/z"], "list")
        await face.gives(None, "get", "a/b/d/e")
        await face.gives(False, "exists", "a/b/d/e")
        await face.gives(None, "stat", "a/b/d/e")
        await face.lists(["z"], "list_dir", "a")
    await face.set("a/b/c", b"again")
    await face.gives(b"again", "get", "a/b/c")


@behaviour("delete_dir never touches a sibling, nor the key of the same name", BOTH)
async def delete_dir_leaves_siblings(face: Face) -> None:
    siblings = face.usable(["a/bc", "a/b.c", "a/b-/c", "a/c/b/d", "ab/c", "b/c", "a/b0"])
    await face.set_many({key: key.encode() for key in [*siblings, "a/b/c"]})
    await face.delete_dir("a/b")
    await face.lists(siblings, "list")
    await face.gives([key.encode() for key in siblings], "get_many", siblings)
    await face.delete_dir("a/bc")
    await face.gives(b"a/bc", "get", "a/bc")
    if await keep(face, "b", b"key"):
        await face.delete_dir("b")
        await face.gives(b"key", "get", "b")
        await face.gives(None, "get", "b/c")


@behaviour("delete_dir of a missing prefix does nothing", BOTH)
async def delete_dir_is_idempotent(face: Face) -> None:
    await face.gives(None, "delete_dir", "missing")
    await face.set_many({"a/b": b"1", "c": b"2"})
    for prefix in ("a", "a", "a/b", "c", "missing/below/"):
        await face.gives(None, "delete_dir", prefix)
    await face.lists(["c"], "list")


@behaviour("clear deletes every key, again and again, and the store goes on", BOTH)
async def clear_empties(face: Face) -> None:
    await face.gives(None, "clear")
    for _ in range(2):
        keys = face.usable(("a", "b/c", "b/d/e", ".f", "g h"))
        await face.set_many(dict.fromkeys(keys, b"1"))
        await face.gives(b"1", "get", "b/c")
        await face.gives(None, "clear")
        await face.lists([], "list")
        await face.lists([], "list_dir")
        await face.gives(True, "is_empty", "")
        await face.gives(None, "get", "b/c")
    await face.set("a", b"1")
    await face.set("b/c", b"2")
    await face.gives(None, "delete_dir", "")
    await face.lists([], "list")


@behaviour("many keys are deleted at once", BOTH)
async def delete_dir_deletes_many(face: Face) -> None:
    await face.set_many([(f"a/{i % 7}/{i}", b"1") for i in range(150)] + [("b", b"2")])
    await face.delete_dir("a")
    await face.lists(["b"], "list")
