"""Listing: each key once, whatever happens meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import partial
from typing import Any

from zarrstore.abc import Capability, Store
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import FACES, BlockingFace, Face, drive
from zarrstore_testing.log import shown

LIST = Capability.LIST
BOTH = Capability.LIST | Capability.DELETE
_TREE = ["zarr.json", "a/zarr.json", "a/c/0/0", "a/c/0/1", "a/c/1/0", "b/.zarray", "b/0.0", "e f/g"]


async def _tree(face: Face) -> list[str]:
    """Put a value under each key of a tree into the store; return the keys."""
    tree = face.usable(_TREE)
    await face.seed(dict.fromkeys(tree, b"1"))
    return tree


def _children(keys: Iterable[str], prefix: str) -> set[str]:
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    return {key[len(start) :].partition("/")[0] for key in keys if key.startswith(start)}


_AT_ONCE = 500


def _many(case: Case, store: Store, keys: Iterable[str]) -> Store:
    values = dict.fromkeys(keys, b"1")
    if Capability.WRITE not in store.capabilities:
        return case.seeded(values)
    items = list(values.items())
    for first in range(0, len(items), _AT_ONCE):  # in between the check can be broken off
        store.sync.set_many(items[first : first + _AT_ONCE])
    return store


async def _close(keys: Any) -> None:
    close = getattr(keys, "aclose", None)
    if close is not None:
        await close()


@behaviour("list yields every key, in full, each once", LIST, reads_only=True)
async def list_yields_every_key(face: Face) -> None:
    await face.lists([], "list")
    tree = await _tree(face)
    await face.lists(tree, "list")
    await face.lists(tree, "list")
    await face.lists(tree, "list_prefix", "")


@behaviour(
    "list_prefix yields full keys under a prefix; of a missing prefix, nothing",
    LIST,
    reads_only=True,
)
async def list_prefix_yields_full_keys(face: Face) -> None:
    tree = await _tree(face)
    for prefix in ("a", "a/c", "a/c/0/", "b", "e f", "missing", "a/c/2", "zarr.json"):
        wanted = [key for key in tree if key.startswith(prefix.rstrip("/") + "/")]
        await face.lists(wanted, "list_prefix", prefix)


@behaviour(
    "list_dir yields the names one level below, of keys and prefixes, each once",
    LIST,
    reads_only=True,
)
async def list_dir_yields_children(face: Face) -> None:
    tree = await _tree(face)
    await face.lists(_children(tree, ""), "list_dir")
    for prefix in ("", "a", "a/c", "a/c/0/", "b", "e f"):
        await face.lists(_children(tree, prefix), "list_dir", prefix)


@behaviour("list_dir of a missing prefix, or of a key, is nothing", LIST, reads_only=True)
async def list_dir_of_nothing(face: Face) -> None:
    await face.lists([], "list_dir")
    await face.lists([], "list_dir", "missing")
    await face.seed({"a/b": b"1"})
    for prefix in ("missing", "a/b", "a/c/d", "b", "aa"):
        await face.lists([], "list_dir", prefix)


@behaviour("a prefix is gone with its last key", BOTH, rewrites=True)
async def prefix_goes_with_its_last_key(face: Face) -> None:
    await face.set_many({"a/b/c": b"1", "a/b/d": b"2", "e": b"3"})
    await face.delete("a/b/c")
    await face.lists(["b"], "list_dir", "a")
    await face.delete("a/b/d")
    await face.lists([], "list_dir", "a")
    await face.lists(["e"], "list_dir")
    for prefix in ("a", "a/b"):
        await face.gives(True, "is_empty", prefix)
    await face.set("a", b"a key now")
    await face.lists(["a", "e"], "list_dir")
    await face.set("x/y", b"1")
    await face.delete_dir("x/y")
    await face.delete_dir("x")
    await face.lists(["a", "e"], "list_dir")


@behaviour("is_empty tells whether there is no key under a prefix", LIST, reads_only=True)
async def is_empty_tells(face: Face) -> None:
    await face.gives(True, "is_empty", "")
    await face.gives(True, "is_empty")
    await face.seed({"a/b/c": b""})
    for prefix, empty in (("", False), ("a", False), ("a/b/", False), ("a/b/c", True), ("b", True)):
        await face.gives(empty, "is_empty", prefix)


@behaviour(
    "getsize_prefix is the sum of the sizes under a prefix; 0 if there are none",
    LIST,
    reads_only=True,
)
async def getsize_prefix_adds_up(face: Face) -> None:
    await face.gives(0, "getsize_prefix", "")
    await face.seed({"a/b": b"12", "a/c/d": b"345", "a/c/e": b"", "ab": b"6", "f": b"7890"})
    for prefix, size in (("", 10), ("a", 5), ("a/c/", 3), ("a/b", 0), ("missing", 0)):
        await face.gives(size, "getsize_prefix", prefix)
    await face.gives(10, "getsize_prefix")


@behaviour(
    "thousands of keys are all listed, each once: pages are asked for to the last",
    LIST,
    reads_only=True,
)
def many_keys_are_listed(case: Case, store: Store) -> None:
    count = case.options.many_keys
    keys = [f"m/{number}" for number in range(count - 50)] + [f"n/{i}/x" for i in range(50)]
    store = _many(case, store, keys)
    blocking = BlockingFace(store, case)
    for kind in FACES:
        face = kind(store, case)
        names = [key[2:] for key in keys[:-50]]
        kind.run(partial(face.lists, keys, "list"))
        kind.run(partial(face.lists, keys[:-50], "list_prefix", "m"))
        kind.run(partial(face.lists, names, "list_dir", "m"))
        kind.run(partial(face.lists, ["m", "n"], "list_dir"))
    drive(blocking.gives(count, "getsize_prefix", ""))


@behaviour(
    "a key that is there throughout a listing appears, whatever comes or goes", BOTH, rewrites=True
)
async def listing_while_keys_change(face: Face) -> None:
    stay = {f"s/{number:03}" for number in range(60)}
    leave = {f"l/{number:03}" for number in range(60)}
    come = {f"c/{number:03}" for number in range(60)}
    await face.set_many(dict.fromkeys(stay | leave, b"1"))
    seen: list[str] = []
    async for key in face.list():
        seen.append(key)
        # few go before many come, so that a listing by page number skips some, or repeats some
        if len(seen) in (2, 20):
            for gone in sorted(leave)[len(seen) : 2 * len(seen)]:
                await face.delete(gone)
        if len(seen) in (5, 40):
            for new in sorted(come)[len(seen) // 2 : len(seen)]:
                await face.set(new, b"2")
            await face.set(sorted(stay)[len(seen)], b"changed")
    if missed := sorted(stay - set(seen)):
        raise Failed(f"list() left out {shown(missed)}, which were there from beginning to end")
    if len(set(seen)) != len(seen):
        raise Failed(f"list() yielded {len(seen) - len(set(seen))} keys twice")
    if strange := sorted(set(seen) - stay - leave - come):
        raise Failed(f"list() yielded {shown(strange)}, which never were there")


@behaviour("deleting each key that is listed deletes them all", BOTH)
async def deleting_while_listing(face: Face) -> None:
    await face.set_many({f"a/{number % 5}/{number}": b"1" for number in range(100)})
    async for key in face.list_prefix("a"):
        await face.delete(key)
    await face.lists([], "list")


@behaviour(
    "breaking off a listing early releases everything: the store goes on", LIST, rewrites=True
)
async def listing_broken_off(face: Face) -> None:
    keys = [f"a/{number}" for number in range(40)]
    await face.set_many(dict.fromkeys(keys, b"1"))
    for number in range(30):
        listed = face.iterate(*(("list",), ("list_prefix", "a"), ("list_dir", "a"))[number % 3])
        async for _ in listed:
            break
        if number % 2:
            await _close(listed)
        del listed
    gc.collect()
    unused = face.list()
    del unused
    await face.set("a/0", b"new")
    await face.gives(b"new", "get", "a/0")
    await face.lists(keys, "list")


@behaviour("two listings at a time do not disturb each other", LIST, reads_only=True)
async def listings_side_by_side(face: Face) -> None:
    keys = [f"a/{number}" for number in range(30)]
    await face.seed(dict.fromkeys(keys, b"1"))
    found: list[str] = []
    async for key in face.list():
        found.append(key)
        if len(found) == 3:
            await face.lists(keys, "list")
            await face.gives(b"1", "get", "a/9")
    if sorted(found) != sorted(keys):
        raise Failed(f"list() gave {shown(found)} while another listing ran")


@behaviour("the same listing from several tasks or threads is whole in each", LIST, rewrites=True)
async def listings_at_once(face: Face) -> None:
    keys = [f"a/{number}" for number in range(40)]
    await face.set_many(dict.fromkeys(keys, b"1"))

    async def listed() -> list[str]:
        return [key async for key in face.list()]

    async def written() -> list[str]:
        for key in keys:
            await face.set(key, b"2")
        return keys

    for outcome in await face.together([listed, listed, written, listed]):
        if isinstance(outcome, Exception):
            raise Failed(f"listing beside a writer raised {shown(outcome)}") from outcome
        if sorted(outcome) != sorted(keys):
            raise Failed(f"list() gave {shown(outcome)} beside a writer that changed no key")


@behaviour("a listing beside writers and deleters is whole: what is there throughout appears", BOTH)
async def listings_beside_writers(face: Face) -> None:
    stay = [f"s/{number}" for number in range(40)]
    leave = [f"l/{number}" for number in range(15)]
    await face.set_many(dict.fromkeys(stay + leave, b"1"))

    async def listed() -> list[str]:
        return [key async for key in face.list()]

    async def written() -> list[str]:
        for number in range(15):
            await face.set(f"n/{number}", b"2")
        return stay

    async def deleted() -> list[str]:
        for key in leave:
            await face.delete(key)
        return stay

    for outcome in await face.together([listed, written, listed, deleted, listed]):
        if isinstance(outcome, Exception):
            raise Failed(f"listing beside writers raised {shown(outcome)}") from outcome
        if missed := sorted(set(stay) - set(outcome)):
            raise Failed(f"list() beside writers left out {shown(missed)}, which were there")
        if len(set(outcome)) != len(outcome):
            raise Failed(f"list() beside writers yielded keys twice: {shown(outcome)}")
