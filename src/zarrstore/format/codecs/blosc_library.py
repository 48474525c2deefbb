"""Compressing by Blosc, by whichever release of numcodecs."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
from numcodecs import blosc

from zarrstore.operations import Buffer

__all__ = ["compress"]

_TAKES_TYPESIZE = tuple(map(int, numcodecs.__version__.split(".")[:2])) >= (0, 16)


def compress(
    data: Buffer | np.ndarray[Any, Any],
    cname: bytes,
    clevel: int,
    shuffle: int,
    blocksize: int,
    typesize: int,
) -> bytes:
    """Return a buffer of bytes as Blosc compresses it, with elements of ``typesize`` bytes.

    Before numcodecs 0.16, what is no whole number of elements counts as single bytes.
    """
    elements: Any = data
    options = {"typesize": typesize} if _TAKES_TYPESIZE else {}
    if not options and typesize > 1 and len(data) and len(data) % typesize == 0:
        elements = np.frombuffer(data, f"V{typesize}")  # the buffer says how large they are
    encoded: bytes = blosc.compress(elements, cname, clevel, shuffle, blocksize, **options)
    return encoded
