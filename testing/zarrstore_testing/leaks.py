"""Leaks: nothing stays open after an operation, and nothing at all after close."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from zarrstore.abc import ABSENT, Capability, RangeByteRequest, Store
from zarrstore.errors import ConflictError, KeyNotFoundError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import AsyncioFace, BlockingFace, Face, drive

_ROUNDS = 12
_DESCRIPTORS = "/dev/fd"


def _open_now() -> Counter[str]:
    """Return how many descriptors, threads and unfinished tasks this process has."""
    gc.collect()
    found: Counter[str] = Counter()
    if os.path.isdir(_DESCRIPTORS):
        found["file descriptors"] = len(os.listdir(_DESCRIPTORS))
    found["threads"] = threading.active_count()
    found["tasks"] = sum(
        # by its type: a weak proxy would be asked for its referent, which may be gone
        issubclass(type(thing), asyncio.Task) and not thing.done()
        for thing in gc.get_objects()
    )
    return found


async def _uses(face: Face) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """Return operations that are repeated, by name: those that succeed, miss, fail, break off."""
    await face.seed({"a/b": b"12345"})
    uses: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("get", lambda: face.get("a/b")),
        ("get of a missing key", lambda: face.get("missing")),
        ("get of a directory", lambda: face.get("a")),
        ("get of a range", lambda: face.get("a/b", RangeByteRequest(1, 3))),
        ("get_ranges", lambda: face.get_ranges("a/b", [RangeByteRequest(1, 3)])),
        ("get_into", lambda: face.get_into("a/b", bytearray(9))),
        ("exists", lambda: face.exists("a/b")),
        ("stat", lambda: face.stat("a/b")),
        ("getsize of a missing key", lambda: face.raises(KeyNotFoundError, "getsize", "missing")),
    ]
    if face.can(Capability.WRITE) and not face.options.append_only:
        uses.append(("set", lambda: face.set("a/b", b"12345")))
    if face.can(Capability.CREATE_EXCLUSIVE):
        conflict = partial(face.raises, ConflictError, "set", "a/b", b"", expect=ABSENT)
        uses.append(("set that conflicts", conflict))
    if face.can(Capability.LIST):

        async def broken_off() -> None:
            async for _ in face.iterate("list"):
                break

        uses += [
            ("list", lambda: face.call("list")),
            ("list_dir", lambda: face.call("list_dir", "a")),
            ("list broken off", broken_off),
            ("is_empty", lambda: face.is_empty("")),
        ]
    if face.can(Capability.DELETE):
        uses.append(("delete of a missing key", lambda: face.delete("missing")))
    return uses


@behaviour(
    "no operation leaves a file, a thread or a task behind: found, missing, broken off",
    reads_only=True,
)
def nothing_is_left_open(case: Case, store: Store) -> None:
    face = AsyncioFace(store, case)

    async def left(*uses: Callable[[], Awaitable[object]]) -> list[str]:
        before = _open_now()
        for use in uses:
            for _ in range(_ROUNDS):
                await use()
        grown = _open_now() - before
        return [f"{count} {what}" for what, count in grown.items() if count >= _ROUNDS]

    async def repeated() -> None:
        uses = await _uses(face)
        for _ in range(3):  # what is opened at first use, and kept
            for _, use in uses:
                await use()
        if not (found := await left(*(use for _, use in uses))):
            return
        for name, use in uses:
            if found := await left(use):
                raise Failed(f"{name}, {_ROUNDS} times, left {' and '.join(found)} open")
        raise Failed(f"{len(uses)} operations, {_ROUNDS} times each, left {found} open")

    face.run(repeated)


@behaviour("close releases every file, thread and task, of a store that was used or never was")
def close_releases_everything(case: Case, store: Store) -> None:
    drive(BlockingFace(store, case).set("a/b", b"1"))

    def use_and_close(used: bool) -> None:
        another = case.make()
        if used:
            face = BlockingFace(another, case)
            drive(face.set("a/b", b"12345"))
            drive(face.get("a/b"))
        another.sync.close()

    for used in (True, False):
        for _ in range(2):
            use_and_close(used)
        before = _open_now()
        for _ in range(_ROUNDS):
            use_and_close(used)
        for what, count in (_open_now() - before).items():
            if count >= _ROUNDS:
                how = "used" if used else "never used"
                raise Failed(
                    f"{_ROUNDS} stores that were {how} and closed left {count} {what} open"
                )
