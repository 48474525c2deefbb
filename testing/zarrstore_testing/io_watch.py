"""Seeing that a thread does I/O, from the audit events of the interpreter."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["io_of_this_thread"]

_IO = frozenset(
    (
        "open", "time.sleep", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename",
        "os.rmdir", "os.link", "os.truncate", "os.utime", "fcntl.flock", "fcntl.lockf",
        "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen",
        "urllib.Request", "shutil.rmtree",
    )
)  # fmt: skip
_watched: dict[int, list[str]] = {}
_hooked: list[bool] = []


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if _watched and event in _IO and (events := _watched.get(threading.get_ident())) is not None:
        events.append(f"{event}({args[0]!r})" if args else event)


@contextmanager
def io_of_this_thread() -> Iterator[list[str]]:
    """Collect the I/O that this thread does meanwhile, as far as the interpreter tells of it."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_heard)  # for good: there is no way to take one out
    events: list[str] = []
    collecting = gc.isenabled()
    gc.collect()
    # what is collected here may be anybody's, a temporary directory that removes itself for one
    gc.disable()
    _watched[threading.get_ident()] = events
    try:
        yield events
    finally:
        del _watched[threading.get_ident()]
        if collecting:
            gc.enable()
