"""Time zarr 2 on behalf of another process: a request a line, as JSON, an answer a line.

Runs in an environment of its own, which has zarr 2 and numpy.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc, Zstd

from benchmarks.arrays.timing import timed
from benchmarks.workers import serve

CODECS = {
    "none": None,
    "blosc": Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE),
    "zstd": Zstd(level=1),
}
memories: dict[str, Any] = {}
data = lru_cache(maxsize=1)(np.load)


def store(place: str, in_memory: bool) -> Any:
    """Return what zarr opens."""
    return memories.setdefault(place, zarr.MemoryStore()) if in_memory else place


def create(request: dict[str, Any]) -> Any:
    """Return a new array."""
    return zarr.create(
        store=store(request["place"], request["in_memory"]),
        shape=tuple(request["shape"]),
        chunks=tuple(request["chunks"]),
        dtype=request["dtype"],
        compressor=CODECS[request["codec"]],
        overwrite=True,
    )


def answer(request: dict[str, Any]) -> Any:
    """Return what a request asks for."""
    if request["do"] == "versions":
        return [zarr.__version__, platform.python_version()]
    if request["do"] == "forget":
        memories.pop(request["place"], None)
        return None
    if request["do"] == "read":
        array = zarr.open_array(store(request["place"], request["in_memory"]), mode="r")
        return timed(lambda: array[...])
    array = create(request)
    values = data(request["data"])
    taken = timed(lambda: array.__setitem__(..., values))
    if request["do"] == "fill" and not np.array_equal(array[...], values):
        raise ValueError("zarr 2 reads other values than it wrote")
    return taken


if __name__ == "__main__":
    serve(answer)
