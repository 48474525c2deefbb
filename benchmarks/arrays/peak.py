"""Print the bytes that a process needs above its imports to write or read a large array.

``python -m benchmarks.arrays.peak LIBRARY write|read CODEC PATH MEBIBYTES``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arrays.libraries import (
    Library,
    Spec,
    Tensorstore,
    Zarr,
    ZarrFused,
    Zarrs,
    Zarrstore,
)

CHUNK = 1024
LIBRARIES: dict[str, type[Library]] = {
    kind.name: kind for kind in (Zarrstore, Zarr, ZarrFused, Zarrs, Tensorstore)
}


def resident(field: str) -> int:
    """Return a size of this process in bytes; ``VmHWM`` is the largest that it ever was."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field + ":"))
    return 1024 * int(line.split()[1])


def large(mebibytes: int) -> Any:
    """Return an array of about that size, made without any other of its size."""
    rows = max(CHUNK, round((mebibytes * 2**18) ** 0.5) // CHUNK * CHUNK)
    data = np.empty((rows, rows), "float32")
    line = np.cumsum(np.random.default_rng(0).normal(size=rows), dtype="float32")
    for row in range(rows):
        np.add(line, row, out=data[row])
        data[row, row] = row
    return data


def main(name: str, operation: str, codec: str, place: str, mebibytes: str) -> None:
    """Do it once."""
    library = LIBRARIES[name]()
    before = resident("VmRSS")
    if operation == "write":
        data = large(int(mebibytes))
        array = library.create(Path(place), Spec(data.shape, (CHUNK, CHUNK), codec))
        library.write(array, data)
    else:
        data = library.read(library.open(Path(place)))
        if data[CHUNK - 1, CHUNK - 1] != CHUNK - 1:
            raise SystemExit(f"{name} reads other values than it wrote")
    print(resident("VmHWM") - before - data.nbytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
