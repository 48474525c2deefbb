"""Timing a call, without anything that the other Pythons would have to install."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any


def timed(function: Callable[[], Any], repeat: int = 1) -> float:
    """Return the seconds of a call, garbage collection apart."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        started = time.perf_counter()
        for _ in range(repeat):
            result = function()
        taken = (time.perf_counter() - started) / repeat
    finally:
        if was_enabled:
            gc.enable()
    del result  # not before: giving the memory back is nobody's reading
    return taken
