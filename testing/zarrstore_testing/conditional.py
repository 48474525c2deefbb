"""Conditional writes: of many writers that race, exactly one wins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from zarrstore.abc import ABSENT, Capability
from zarrstore.errors import ConflictError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.log import shown

CREATE = Capability.CREATE_EXCLUSIVE
SWAP = Capability.COMPARE_AND_SWAP
_WRITERS = 6
_ROUNDS = 8


async def _version(face: Face, key: str) -> str:
    stat = await face.stat(key)
    if stat is None or stat.version is None:
        raise Failed(f"stat({key!r}) should give a version, and gave {stat!r}")
    return str(stat.version)


async def _race(face: Face, key: str, writers: Sequence[Callable[[], Awaitable[Any]]]) -> None:
    """Run writers that write their number; fail unless exactly one wins and the rest conflict."""
    outcomes = await face.together(writers)
    winners = [
        number
        for number, outcome in enumerate(outcomes)
        if outcome is not False and not isinstance(outcome, Exception)
    ]
    others = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, Exception) and not isinstance(outcome, ConflictError)
    ]
    if others:
        raise Failed(f"a writer that lost should get ConflictError, and got {others[0]!r}")
    if len(winners) != 1:
        raise Failed(f"of {len(writers)} writers that raced {len(winners)} won, not exactly one")
    await face.gives(b"writer %d" % winners[0], "get", key)


@behaviour("set(expect=ABSENT) writes only if there is no such key", CREATE)
async def absent_is_honoured(face: Face) -> None:
    await face.gives(None, "get", "a/b")
    await face.set("a/b", b"old", expect=ABSENT)
    await face.gives(b"old", "get", "a/b")
    error = await face.raises(ConflictError, "set", "a/b", b"new", expect=ABSENT)
    await face.gives(b"old", "get", "a/b")
    if error.key != "a/b" or "a/b" not in str(error):
        raise Failed(f"the error should name the key: {error}")
    await face.set("empty", b"")
    await face.raises(ConflictError, "set", "empty", b"new", expect=ABSENT)
    await face.gives(b"", "get", "empty")
    if face.can(Capability.LIST):
        await face.lists(["a/b", "empty"], "list")


@behaviour("a key that was deleted is absent again", CREATE | Capability.DELETE)
async def absent_after_delete(face: Face) -> None:
    for value in (b"1", b"2"):
        await face.set("a", value, expect=ABSENT)
        await face.gives(value, "get", "a")
        await face.delete("a")
    await face.gives(True, "set_if_not_exists", "a", b"3")


@behaviour("set_if_not_exists tells whether it wrote, and raises nothing", CREATE)
async def set_if_not_exists_tells(face: Face) -> None:
    await face.gives(None, "get", "a/b")
    await face.gives(True, "set_if_not_exists", "a/b", b"old")
    await face.gives(b"old", "get", "a/b")
    await face.gives(False, "set_if_not_exists", "a/b", b"new")
    await face.gives(b"old", "get", "a/b")
    await face.set("c", b"")
    await face.gives(False, "set_if_not_exists", "c", b"new")
    await face.gives(b"", "get", "c")


@behaviour("of writers that race with expect=ABSENT exactly one wins, the others conflict", CREATE)
async def one_creator_wins(face: Face) -> None:
    for number in range(_ROUNDS):
        key = f"r/{number}"
        writers = [partial(face.set, key, b"writer %d" % i, expect=ABSENT) for i in range(_WRITERS)]
        await _race(face, key, writers)


@behaviour("of racing calls of set_if_not_exists exactly one returns True", CREATE)
async def one_set_if_not_exists_wins(face: Face) -> None:
    for number in range(_ROUNDS):
        key = f"r/{number}"
        writers = [partial(face.set_if_not_exists, key, b"writer %d" % i) for i in range(_WRITERS)]
        await _race(face, key, writers)


@behaviour("set(expect=version) writes only if the key has that version", SWAP, rewrites=True)
async def version_is_honoured(face: Face) -> None:
    await face.set("a/b", b"1")
    first = await _version(face, "a/b")
    returned = await face.set("a/b", b"2", expect=first)
    await face.gives(b"2", "get", "a/b")
    second = await _version(face, "a/b")
    if returned is not None and returned != second:
        raise Failed(f"set returned version {returned!r}, and stat gives {second!r}")
    if first == second:
        raise Failed(f"the version {first!r} stayed, and the value changed")
    error = await face.raises(ConflictError, "set", "a/b", b"3", expect=first)
    await face.gives(b"2", "get", "a/b")
    if error.expected != first or error.found not in (None, second):
        raise Failed(
            f"the error should have expected={first!r} and found={second!r}, and has "
            f"{error.expected!r} and {error.found!r}"
        )
    await face.set("a/b", b"4", expect=second)
    await face.gives(b"4", "get", "a/b")


@behaviour(
    "a stale version is refused, even if the same bytes were written again", SWAP, rewrites=True
)
async def stale_versions_conflict(face: Face) -> None:
    await face.set("a", b"same")
    old = await _version(face, "a")
    await face.set("a", b"same")
    if await _version(face, "a") == old:
        face.log.note("the version of the same bytes is the same: versions are of the content")
        return
    await face.raises(ConflictError, "set", "a", b"new", expect=old)
    await face.gives(b"same", "get", "a")


@behaviour("a version that never was is refused, and so is any version of a missing key", SWAP)
async def unknown_versions_conflict(face: Face) -> None:
    await face.set("other", b"1")
    version = await _version(face, "other")
    for expect in (version, "no-such-version", "0"):
        await face.raises(ConflictError, "set", "missing", b"1", expect=expect)
    await face.gives(False, "exists", "missing")
    for expect in ("no-such-version", f"{version}x", ""):
        await face.raises(ConflictError, "set", "other", b"2", expect=expect)
    await face.gives(b"1", "get", "other")


@behaviour("what is neither a version nor ABSENT is a TypeError", SWAP)
async def wrong_expectations_raise(face: Face) -> None:
    for wrong in (1, b"1", True, object()):
        await face.raises(TypeError, "set", "a", b"1", expect=wrong)
    await face.gives(False, "exists", "a")


@behaviour("the version of before a deletion is refused after it", SWAP | Capability.DELETE)
async def version_after_delete(face: Face) -> None:
    await face.set("a", b"1")
    old = await _version(face, "a")
    await face.delete("a")
    await face.raises(ConflictError, "set", "a", b"2", expect=old)
    await face.gives(None, "get", "a")
    await face.set("a", b"other")
    await face.raises(ConflictError, "set", "a", b"3", expect=old)
    await face.gives(b"other", "get", "a")


@behaviour(
    "of writers that race with one version exactly one wins, the others conflict",
    SWAP,
    rewrites=True,
)
async def one_swapper_wins(face: Face) -> None:
    for number in range(_ROUNDS):
        key = f"r/{number}"
        await face.set(key, b"old")
        expect = await _version(face, key)
        writers = [partial(face.set, key, b"writer %d" % i, expect=expect) for i in range(_WRITERS)]
        await _race(face, key, writers)


@behaviour(
    "a counter kept by conditional writes loses no count, whoever else writes", SWAP, rewrites=True
)
async def no_update_is_lost(face: Face) -> None:
    writers, counts = 3, 8
    await face.set("n", b"0")

    async def count() -> None:
        value, version = 0, None
        for _ in range(counts):
            while True:
                if version is None:
                    # first the version: a value read after it is as new or newer, and conflicts
                    version = (await face.stat("n")).version
                    value = int(bytes(await face.get("n")))
                try:
                    # what is returned is the version of these bytes, not of later ones
                    version = await face.set("n", b"%d" % (value + 1), expect=version)
                except ConflictError:
                    version = None
                    continue
                value += 1
                break

    outcomes = await face.together([count] * writers)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise Failed(f"a writer got {shown(outcome)}") from outcome
    await face.gives(b"%d" % (writers * counts), "get", "n")
