"""Whether obstore runs in this process: its threads do not survive a fork."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from contextlib import suppress
from typing import Any

from zarrstore.errors import UnsupportedOperationError

__all__ = ["check_engine"]

_ANSWERS = 0.5
"""Seconds in which an engine that runs has answered long ago."""

_first = os.getpid()
_may_be_inherited = "obstore" in sys.modules and multiprocessing.parent_process() is not None
_checked: tuple[int, bool] | None = None


async def check_engine(url: str) -> None:
    """Raise if obstore was used by the parent of this process: it would never answer.

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
    if os.getpid() == _first and not _may_be_inherited:
        return True
    import obstore
    from obstore.store import MemoryStore

    probe: Any = MemoryStore()
    # not the blocking call, which would hold up the interpreter for ever
    with suppress(TimeoutError):
        await asyncio.wait_for(obstore.put_async(probe, "probe", b""), _ANSWERS)
        return True
    return False
