"""Threads and event loops: a store works from any of them, and blocks none."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from functools import partial
from typing import Any

import anyio
import trio

from zarrstore.abc import Capability, RangeByteRequest, Store
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import AsyncioFace, BlockingFace, Face, TrioFace, drive, in_threads
from zarrstore_testing.io_watch import io_of_this_thread
from zarrstore_testing.log import plain, shown

_LONGEST_GAP = 0.5


async def _use(face: Face, who: str) -> None:
    """Use a store beside others: keys of our own, and a listing that has them."""
    for number in range(6):
        key = f"{who}/{number}"
        await face.set(key, key.encode() * 10)
        await face.gives(key.encode() * 10, "get", key)
        await face.gives(key.encode()[:4], "get", key, RangeByteRequest(0, 4))
        await face.gives(None, "get", f"{who}/missing")
    if face.can(Capability.LIST):
        await face.lists([f"{who}/{number}" for number in range(6)], "list_prefix", who)
        if face.can(Capability.DELETE):
            await face.delete_dir(who)
            await face.gives(True, "is_empty", who)


@behaviour("a store is usable from any thread, from several at once", rewrites=True)
def threads_share_a_store(case: Case, store: Store) -> None:
    face = BlockingFace(store, case)
    drive(_use(face, "here"))
    in_threads([partial(lambda who: drive(_use(face, who)), f"thread{i}") for i in range(5)])
    drive(_use(face, "again"))


@behaviour("a store is usable from several tasks at once")
async def tasks_share_a_store(face: Face) -> None:
    outcomes = await face.together([partial(_use, face, f"task{number}") for number in range(5)])
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


@behaviour(
    "a store is usable from one event loop after another: asyncio.run twice, and trio",
    rewrites=True,
)
def loops_one_after_another(case: Case, store: Store) -> None:
    kinds: list[type[Any]] = [AsyncioFace, AsyncioFace, TrioFace, AsyncioFace, BlockingFace]
    for number, kind in enumerate(kinds):
        face = kind(store, case)
        kind.run(partial(_use, face, f"loop{number}"))
        kind.run(partial(face.set, "kept", b"%d" % number))
    drive(BlockingFace(store, case).gives(b"4", "get", "kept"))


@behaviour("a store is usable from several event loops at once, asyncio's and trio's")
def loops_at_once(case: Case, store: Store) -> None:
    kinds: list[type[Any]] = [AsyncioFace, AsyncioFace, TrioFace, BlockingFace]
    faces = [kind(store, case) for kind in kinds]
    uses = [partial(face.run, partial(_use, face, f"loop{i}")) for i, face in enumerate(faces)]
    in_threads(uses, take_turns=False)


@behaviour("the blocking methods work where an event loop runs already, as in Jupyter")
def sync_inside_a_running_loop(case: Case, store: Store) -> None:
    face = BlockingFace(store, case)

    async def cell() -> None:
        drive(_use(face, "cell"))
        await _use(AsyncioFace(store, case), "awaited")

    asyncio.run(cell())


async def _longest_gap(face: Face) -> float:
    """Use a store beside a ticking task; return the longest time without a tick, in seconds."""
    ended = False
    gaps = []

    async def tick() -> None:
        last = time.perf_counter()
        while not ended:
            await anyio.sleep(0.002)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    value = b"x" * face.size(1 << 20)
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await anyio.sleep(0.01)
        for number in range(25):
            await face.set(f"a/{number % 3}", value if number == 0 else b"1")
            await face.get(f"a/{number % 3}")
            await face.exists("a/0")
            await face.stat("a/1")
            if face.can(Capability.LIST):
                await face.call("list")
                await face.is_empty("")
        await anyio.sleep(0.01)
        ended = True
    return max(gaps)


@behaviour("no store blocks the caller's event loop: a task beside it goes on", rewrites=True)
def event_loop_is_not_blocked(case: Case, store: Store) -> None:
    for kind in (AsyncioFace, TrioFace):
        face = kind(store, case)
        gaps = []
        # a busy machine stalls once, a store that blocks does so every time
        for _ in range(3):
            gaps.append(kind.run(partial(_longest_gap, face)))
            if gaps[-1] < _LONGEST_GAP:
                break
        else:
            raise Failed(
                f"under {kind.name} a task beside the store's operations got no turn for "
                f"{min(gaps):.2f} s (at most {_LONGEST_GAP} s): they block the event loop"
            )


@behaviour("no store does I/O in the thread of the caller's event loop", rewrites=True)
def event_loop_thread_does_no_io(case: Case, store: Store) -> None:
    for kind in (AsyncioFace, TrioFace):
        face = kind(store, case)
        kind.run(partial(_longest_gap, face))  # what is imported or opened at first use

        async def watched(face: Face = face) -> list[str]:
            with io_of_this_thread() as events:
                await _longest_gap(face)
            return events

        if events := kind.run(watched):
            raise Failed(
                f"under {kind.name} the store did I/O in the thread of the event loop, which "
                f"blocks it: {', '.join(events[:4])}"
            )


@behaviour(
    "a set that is cancelled leaves the old value or the new, and the store goes on", rewrites=True
)
def cancelled_set_is_whole(case: Case, store: Store) -> None:
    old = b"o" * case.options.size(2_000_000)
    new = b"n" * case.options.size(3_000_000)

    async def cancelled(face: Face, delay: float) -> None:
        await face.set("a/b", old)
        with anyio.move_on_after(delay):
            await face.set("a/b", new)
        found = await face.get("a/b")
        if found != old and found != new:
            length = "no value" if found is None else f"{len(found)} bytes"
            raise Failed(
                f"a set cancelled after {delay * 1e3:g} ms left {length}, neither the old "
                f"{len(old)} bytes nor the new {len(new)}"
            )
        if face.can(Capability.LIST):
            await face.lists(["a/b"], "list")
        await face.set("a/b", b"after")
        await face.gives(b"after", "get", "a/b")

    for kind in (AsyncioFace, TrioFace):
        for delay in (0, 0.0002, 0.001, 0.003):
            kind.run(partial(cancelled, kind(store, case), delay))


@behaviour(
    "a cancelled read leaves nothing behind, and is a cancellation to its caller", reads_only=True
)
def cancelled_get_is_cancelled(case: Case, store: Store) -> None:
    value = bytes(case.options.size(1_000_000))
    store = case.with_values(store, {"a/b": value})

    async def main(delay: float) -> None:
        tasks = [asyncio.ensure_future(store.get("a/b")) for _ in range(8)]
        await asyncio.sleep(delay)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            whole = not isinstance(outcome, BaseException) and outcome == value
            if not whole and not isinstance(outcome, asyncio.CancelledError):
                raise Failed(f"a get beside cancelled ones gave {shown(outcome)}")
        if any(isinstance(outcome, BaseException) for outcome in outcomes[1::2]):
            raise Failed("a get that was not cancelled was, because another one was")

    case.log.add("8 times get('a/b') at once, every second one cancelled")
    for delay in (0, 0.002, 0.005, 0.01):
        asyncio.run(main(delay))
    drive(BlockingFace(store, case).gives(True, "exists", "a/b"))


_SCRIPT: list[tuple[Capability, tuple[Any, ...]]] = [
    (Capability.WRITE, ("set", "a/b", b"0123456789")),
    (Capability.WRITE, ("set_many", {"a/c": b"xyz", "d": b""})),
    (Capability.READ, ("get", "a/b")),
    (Capability.READ, ("get", "missing")),
    (Capability.READ, ("get", "../a")),
    (Capability.READ, ("get_many", [("a/b", (1, 2))])),
    (Capability.READ, ("get_ranges", "a/b", [RangeByteRequest(3, 300)])),
    (Capability.READ, ("get_many", ["d", "missing", ("a/b", RangeByteRequest(0, 2))])),
    (Capability.READ, ("get_into", "a/b", bytearray(20))),
    (Capability.READ, ("exists", "a")),
    (Capability.READ, ("getsize", "a/c")),
    (Capability.READ, ("getsize", "missing")),
    (Capability.WRITE, ("set", "a/b", "text")),
    (Capability.WRITE, ("set", "a/b", b"1", "surplus")),
    (Capability.CREATE_EXCLUSIVE, ("set_if_not_exists", "a/b", b"no")),
    (Capability.CREATE_EXCLUSIVE, ("set_if_not_exists", "e", b"yes")),
    (Capability.LIST, ("list",)),
    (Capability.LIST, ("list_prefix", "a")),
    (Capability.LIST, ("list_prefix", "a//")),
    (Capability.LIST, ("list_dir",)),
    (Capability.LIST, ("is_empty", "f")),
    (Capability.LIST, ("getsize_prefix", "a")),
    (Capability.DELETE, ("delete", "a/b")),
    (Capability.DELETE, ("delete_dir", "a")),
    (Capability.LIST, ("list",)),
    (Capability.READ, ("close",)),
    (Capability.READ, ("get", "a/b")),
]


def _transcript(kind: type[Face], store: Store, case: Case) -> list[tuple[str, object]]:
    """Run a script over one face; return each call with its result, or the type of its error."""
    face = kind(store, case)
    capabilities = store.capabilities
    found: list[tuple[str, object]] = []

    async def play() -> None:
        for capability, (operation, *args) in _SCRIPT:
            if capability not in capabilities:
                continue
            call = f"{operation}({case.log.arguments(tuple(args), {})})"
            try:
                result = plain(await face.call(operation, *args))
            except Exception as error:  # noqa: BLE001 - compared with the other faces
                result = type(error).__name__
            if isinstance(result, list) and operation.startswith("list"):
                result = sorted(result)
            if operation == "set" and len(args) == 2 and isinstance(args[1], bytes):
                result = type(result).__name__  # versions differ from store to store
            found.append((call, result))

    kind.run(play)
    return found


@behaviour(
    "each operation has the same result through the blocking and the async methods", rewrites=True
)
def sync_equals_async(case: Case, store: Store) -> None:
    blocking = _transcript(BlockingFace, store, case)
    for kind in (AsyncioFace, TrioFace):
        found = _transcript(kind, case.make(), case)
        for (call, wanted), (_, result) in zip(blocking, found, strict=True):
            if result != wanted:
                raise Failed(
                    f"{call} gave {shown(wanted)} through store.sync, and {shown(result)} under "
                    f"{kind.name}"
                )


@behaviour("a store does not depend on the working directory, once it is made")
def working_directory_may_change(case: Case, store: Store) -> None:
    store.sync["a/b"] = b"1"
    before = os.getcwd()
    case.log.add("os.chdir() to a new directory")
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            drive(BlockingFace(store, case).gives(b"1", "get", "a/b"))
            store.sync["c"] = b"2"
        finally:
            os.chdir(before)
    drive(BlockingFace(store, case).gives([b"1", b"2"], "get_many", ["a/b", "c"]))


@behaviour("results arrive under trio without an asyncio loop in sight", reads_only=True)
def trio_needs_no_asyncio(case: Case, store: Store) -> None:
    store = case.with_values(store, {"a": b"1"})

    async def main() -> object:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return plain(await store.get("a"))
        raise Failed("an asyncio loop was running in trio's thread")

    if (found := trio.run(main)) != b"1":
        raise Failed(f"get('a') under trio gave {found!r}")
