"""Whether obstore runs in this process: its threads do not survive a fork."""

from __future__ import annotations

import os
from typing import Any

from zarrstore.errors import UnsupportedOperationError

__all__ = ["check_engine"]

_ANSWERS_AFTER_FORK = 0.5
"""Seconds in which an engine that runs has answered long ago."""
_ANSWERS = 30.0

_first = os.getpid()
_checked: tuple[int, bool] | None = None


async def check_engine(url: str) -> None:
    """Raise if obstore was used by the parent of this process, where it would never answer.

    Its threads are started at its first use. They do not exist in a forked child, and it does
    not start them again.

    Raises
    ------
    UnsupportedOperationError
        Within a second.
    """
    global _checked
    if _checked is None or _checked[0] != os.getpid():
        _checked = os.getpid(), await _answers()
    if not _checked[1]:
        raise UnsupportedOperationError(
            f"{url} cannot be used in this forked process: its parent used obstore, whose threads "
            "do not survive a fork. Start processes by 'spawn' or 'forkserver', use no such store "
            "before the fork, or open the URL with engine='fsspec'",
            store=url,
        )


async def _answers() -> bool:
    import anyio
    import obstore
    from obstore.store import MemoryStore

    probe: Any = MemoryStore()
    forked = os.getpid() != _first
    with anyio.move_on_after(_ANSWERS_AFTER_FORK if forked else _ANSWERS):
        await obstore.put_async(probe, "probe", b"")
        return True
    return False
