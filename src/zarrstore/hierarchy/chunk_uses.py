"""What is said at keys of an array of who writes or deletes chunks, and how those are named."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from zarrstore.abc import Store
from zarrstore.hierarchy.processes import has_ended
from zarrstore.keys import join

__all__ = ["CLAIM_NAME", "NOTE_NAME", "Use", "use_at"]

CLAIM_NAME = ".overwriting"
"""Of the key where a saver says what it does."""

NOTE_NAME = ".zarrstore-write"
"""Of the key where a write of dask says so."""

_LONG = 24 * 3600
"""Seconds after which nobody who was halted comes back to life."""


class Use(msgspec.Struct):
    """What is said of the names of chunks at a key of their array."""

    using: list[str] = []
    """The namings of chunks that are written or deleted."""
    left: list[str] = []
    """Those of one who was before, and was not seen to end."""
    left_at: float = 0.0
    """When that was, in seconds since 1970."""
    process: Any = None
    """What tells that of its holder from all others, if all is done by one."""

    def taken_over(self) -> tuple[list[str], float]:
        """Return `left` and `left_at` for who takes the place of this one."""
        return (self.using, time.time()) if self.using else (self.still_left, self.left_at)

    @property
    def has_ended(self) -> bool:
        """Whether its holder is known to write nothing any more."""
        return has_ended(self.process)

    @property
    def now(self) -> list[str]:
        """The namings of chunks that somebody writes or deletes, as far as is known."""
        return self.still_left if self.has_ended else [*self.using, *self.still_left]

    @property
    def still_left(self) -> list[str]:
        """What was left, if that was not long ago."""
        return self.left if time.time() - self.left_at < _LONG else []


async def use_at(store: Store, path: str, name: str) -> Use:
    """Return what is said of the names of chunks at one of the keys; nothing if there is none."""
    data = await store.get(join(path, name))
    try:
        return Use() if data is None else msgspec.json.decode(data, type=Use)
    except msgspec.MsgspecError:
        return Use()
