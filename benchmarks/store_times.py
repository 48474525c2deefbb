"""What is timed of a store of key and value, whoever made it: all that `stores.py` compares."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from typing import Any

CELLS = ((1024, 10_000), (256 * 1024, 1_000))
"""Bytes of a value, and how many there are."""


def keys(count: int) -> list[str]:
    """Return keys of chunks of two dimensions."""
    return [f"array/{number // 100}.{number % 100}" for number in range(count)]


def seconds(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def times(mapping: MutableMapping[str, Any], size: int, count: int, deleted: int) -> dict[str, Any]:
    """Return the seconds that an operation of one key takes, through a mapping.

    A value counts as read when its bytes are there, and stay: zarr 2 may return memory that is
    somebody else's by then.
    """
    names = keys(count)
    value = os.urandom(size)

    def write() -> None:
        for name in names:
            mapping[name] = value

    def read() -> None:
        for name in names:
            bytes(mapping[name])

    def delete() -> None:
        for name in names[:deleted]:
            del mapping[name]

    found = {
        "set": seconds(write) / count,
        "get": seconds(read) / count,
        # without len(), for which list() would ask a mapping
        "list": seconds(lambda: list(iter(mapping))) / count,
    }
    if sorted(mapping) != sorted(names) or bytes(mapping[names[-1]]) != value:
        raise ValueError(f"{mapping} has not what was written")
    found["delete"] = seconds(delete) / deleted
    return found
