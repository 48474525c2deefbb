"""Several processes append to one array and write parts of its shards, and nothing is lost.

Run it with ``python examples/many_writers.py``. The store can be named, such as
``python examples/many_writers.py s3://bucket/folder``, if it has conditional writes.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import zarrstore

WRITERS = 4
TIMES = 25
COLUMNS = 8


def write(arguments: tuple[str, int]) -> None:
    """Append rows to the log, and write every fourth row of the image, four to a shard."""
    url, number = arguments
    log = zarrstore.open_array(url, path="log")
    for time in range(TIMES):
        log.append([[number, time]])
    image = zarrstore.open_array(url, path="image")
    for row in range(number, image.shape[0], WRITERS):
        image[row] = row


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"{folder}/shared.zarr"
        group = zarrstore.open_group(url, mode="w-")  # where nothing is yet
        if zarrstore.Capability.COMPARE_AND_SWAP not in group.store.capabilities:
            raise SystemExit(f"{url} has no conditional writes: its writers would lose changes")
        log = group.create_array("log", shape=(0, 2), dtype="int64", chunks=(30, 2))
        image = group.create_array(
            "image", shape=(32, COLUMNS), dtype="int64", chunks=(1, COLUMNS), shards=(16, COLUMNS)
        )
        # "spawn": each writer is a new interpreter, which shares nothing with this one
        with ProcessPoolExecutor(WRITERS, get_context("spawn")) as processes:
            list(processes.map(write, [(url, number) for number in range(WRITERS)]))

        log.refresh()
        found = sorted(map(tuple, log[:].tolist()))
        if found != [(number, time) for number in range(WRITERS) for time in range(TIMES)]:
            raise SystemExit("rows of the log were lost")
        if not np.array_equal(image[:], np.arange(32)[:, np.newaxis] * np.ones(COLUMNS, int)):
            raise SystemExit("rows of the image were lost")
        print(f"{WRITERS} processes: {len(found)} rows appended, {image.shape[0]} rows in 2 shards")
        print("nothing was lost")


if __name__ == "__main__":
    main()
