"""`Scratch`: memory of a thread that is used again and again."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

__all__ = ["LARGEST_SCRATCH", "Scratch"]

LARGEST_SCRATCH = 2**26


class Scratch(threading.local):
    """A buffer of this thread for what is copied on at once.

    The system clears memory that is new, page by page, which takes longer than most codecs do.
    """

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def of(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return a number of bytes, which the next call in this thread may give again."""
        if size > LARGEST_SCRATCH:
            return np.empty(size, np.uint8)
        if self._bytes.nbytes < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size]
