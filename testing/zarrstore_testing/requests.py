"""Requests: a store asks its backend for no more than it needs."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from zarrstore.abc import Capability, RangeByteRequest, Store
from zarrstore_testing.behaviour import Failed, NotApplicable, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.hooks import below, has_hook, watched_hooks

LIST = Capability.LIST
_BIG = 2_000_000
_READS = ("_get", "_get_range", "_get_ranges", "_get_many", "_get_into", "_get_each")
_QUESTIONS = ("_stat", "_exists")


def _stores(face: Face, *hooks: str) -> list[Store]:
    """Return the store and those below it; fail where none of them has any of these hooks."""
    stores = [face.store, *below(face.store)]
    if not any(has_hook(store, hook) for store in stores for hook in hooks):
        raise NotApplicable(
            f"the store has no {' or '.join(hooks)}: what else it has does the work"
        )
    return stores


async def _counted(stores: list[Store], function: Callable[[], Awaitable[object]]) -> Counter[str]:
    """Return how often each hook of any of the stores was called."""
    with ExitStack() as stack:
        watched = [stack.enter_context(watched_hooks(store)) for store in stores]
        await function()
    return sum(watched, Counter())


async def _peak(function: Callable[[], Awaitable[object]]) -> int:
    """Return how many bytes were allocated at most, at one time."""
    tracemalloc.start()
    try:
        await function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@behaviour("stat, exists and getsize never read the value", reads_only=True)
async def stat_reads_no_value(face: Face) -> None:
    size = face.size(_BIG)
    await face.seed({"a/b": b"x" * size})
    stores = _stores(face, "_stat")
    for operation in ("stat", "exists", "getsize"):

        async def ask(operation: str = operation) -> None:
            for _ in range(3):
                await face.call(operation, "a/b")

        counts = await _counted(stores, ask)
        if read := [hook for hook in _READS if counts[hook]]:
            raise Failed(f"{operation}('a/b') called {', '.join(read)}: it read the value")
        if size >= 1_000_000 and (peak := await _peak(ask)) > size // 2:
            raise Failed(
                f"{operation}('a/b') allocated {peak} bytes for a value of {size}: it read it"
            )


@behaviour("a listing asks nothing of the single keys", LIST, reads_only=True)
async def listing_asks_for_no_key(face: Face) -> None:
    await face.seed({f"a/{number}": b"1" for number in range(30)})
    stores = [face.store, *below(face.store)]
    calls: list[tuple[str, ...]] = [("list",), ("list_prefix", "a"), ("list_dir", "a")]
    for operation, *args in [*calls, ("is_empty", "a"), ("list_dir",)]:

        async def ask(operation: str = operation, args: Any = args) -> None:
            await face.call(operation, *args)

        counts = await _counted(stores, ask)
        for hook in (*_READS, *_QUESTIONS):
            if counts[hook]:
                raise Failed(f"{operation}() of 30 keys called {hook} {counts[hook]} times")


@behaviour("is_empty stops at the first key", LIST, reads_only=True)
async def is_empty_stops_at_the_first(face: Face) -> None:
    count = min(face.options.many_keys, 300)
    await face.seed({f"a/{number}": b"" for number in range(count)})
    stores = [face.store, *below(face.store)]
    for store in stores:
        counts = await _counted([store], lambda: face.call("is_empty", "a"))
        if counts["keys"] >= count:
            raise Failed(f"is_empty('a') went through all {count} keys")


@behaviour("getsize_prefix never reads a value", LIST, reads_only=True)
async def getsize_prefix_reads_no_value(face: Face) -> None:
    await face.seed({f"a/{number}": b"12" for number in range(20)})
    stores = _stores(face, "_stat", "_getsize_prefix")
    counts = await _counted(stores, lambda: face.gives(40, "getsize_prefix", "a"))
    if read := [hook for hook in _READS if counts[hook]]:
        raise Failed(f"getsize_prefix('a') of 20 keys called {', '.join(read)}")


@behaviour("get_ranges reads near ranges in one request", reads_only=True)
async def near_ranges_are_one_read(face: Face) -> None:
    value = bytes(range(200))
    await face.seed({"a": value})
    requests = [RangeByteRequest(start, start + 5) for start in range(0, 200, 10)]
    wanted = [value[each.start : each.end] for each in requests]
    for store in _stores(face, "_get_range"):
        ask = partial(face.gives, wanted, "get_ranges", "a", requests)
        if (count := (await _counted([store], ask))["_get_range"]) > 2:
            raise Failed(f"get_ranges of 20 near ranges called _get_range {count} times")
