"""Whether a process of this machine has ended, told by what it wrote down of itself."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

__all__ = ["has_ended", "this_process"]


def this_process() -> dict[str, Any] | None:
    """Return what tells this process from all others, now and later; ``None`` without ``/proc``."""
    pid = os.getpid()
    try:
        return {**_machine(), "pid": pid, "started": _state(pid)[1]}
    except (OSError, ValueError, IndexError):
        return None


def has_ended(process: Any) -> bool:
    """Tell whether a process is known to have ended; ``False`` if that cannot be known.

    Parameters
    ----------
    process : object
        What `this_process` returned, there.

    Examples
    --------
    >>> has_ended(this_process()), has_ended({"host": "another", "pid": 1})
    (False, False)
    """
    if not isinstance(process, dict) or type(process.get("pid")) is not int or process["pid"] < 1:
        return False
    pid = process["pid"]
    try:
        here = _machine()
        if any(process.get(name) != value for name, value in here.items()):
            return False
        os.kill(pid, 0)  # not by /proc, which may hide the processes of other users
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    except (OSError, ValueError, OverflowError):
        return False
    try:
        state, started = _state(pid)
        if started != process.get("started"):
            return True  # another has its number
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except (OSError, ValueError, IndexError):
        return False  # hidden, or it ends just now


def _machine() -> dict[str, str]:
    """Return what the numbers of processes are valid in."""
    return {
        "host": socket.gethostname(),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "namespace": os.readlink("/proc/self/ns/pid"),
    }


def _state(pid: int) -> tuple[str, str]:
    """Return the state of a process, and when it started."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    fields = text.rpartition(")")[2].split()  # its name comes before, and may have spaces
    return fields[0], fields[19]
