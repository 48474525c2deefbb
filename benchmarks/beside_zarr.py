"""Time zarr-python on the stores here beside zarr-python on its own, and print a table of ratios.

Run with ``python benchmarks/beside_zarr.py``. The two take turns; each figure is the best of
several rounds. The array has no codec, so that the stores are what is measured, and what is read
is compared with what was written.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.storage

import zarrstore
from zarrstore.interop.zarr import to_zarr

CHUNKS = {"16 KiB": (2**14, 1024), "256 KiB": (2**18, 128)}
"""Bytes of a chunk, and how many of them an array has."""
PIPELINES = {
    "default": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "fused": "zarr.core.codec_pipeline.FusedCodecPipeline",
}

Opener = Callable[[Path, str], Any]
"""Opens a store of zarr-python in a directory, with mode ``w`` or ``r``."""

_memory: dict[Path, Any] = {}


def theirs_in_memory(folder: Path, mode: str) -> Any:
    """Open zarr-python's own store, which is kept from writing to reading."""
    if mode == "w":
        _memory[folder] = zarr.storage.MemoryStore()
    return _memory[folder]


def ours_in_memory(folder: Path, mode: str) -> Any:
    """Open the store here, which is kept likewise."""
    if mode == "w":
        _memory[folder] = zarrstore.MemoryStore()
    return to_zarr(_memory[folder])


STORES: dict[str, tuple[Opener, Opener]] = {
    "local": (
        lambda folder, _: zarr.storage.LocalStore(folder / "theirs"),
        lambda folder, _: to_zarr(zarrstore.LocalStore(folder / "ours")),
    ),
    "memory": (theirs_in_memory, ours_in_memory),
    "zip": (
        lambda folder, mode: zarr.storage.ZipStore(folder / "theirs.zip", mode=mode),
        lambda folder, mode: to_zarr(zarrstore.ZipStore(folder / "ours.zip", mode)),
    ),
}


@contextmanager
def pipeline(name: str) -> Iterator[None]:
    """Have zarr-python use a codec pipeline."""
    with zarr.config.set({"codec_pipeline.path": PIPELINES[name]}):
        yield


def write(opener: Opener, folder: Path, values: Any, chunk: int) -> float:
    """Return the seconds of writing a new array; of a zip file, of closing it too."""
    store = opener(folder, "w")
    array = zarr.create_array(
        store, shape=values.shape, dtype=values.dtype, chunks=(chunk,), compressors=None
    )
    started = time.perf_counter()
    array[...] = values
    if folder in _memory:
        return time.perf_counter() - started
    store.close()
    return time.perf_counter() - started


def read(opener: Opener, folder: Path, values: Any) -> float:
    """Return the seconds of reading what `write` has written."""
    store = opener(folder, "r")
    array = zarr.open_array(store, mode="r")
    started = time.perf_counter()
    found = array[...]
    taken = time.perf_counter() - started
    assert np.array_equal(found, values)
    if folder not in _memory:
        store.close()
    return taken


def row(
    name: str, chunk: str, kind: str, base: Path, rounds: int
) -> Iterator[tuple[str, list[float]]]:
    """Yield the operation and the seconds of both, for each, best of all rounds."""
    size, count = CHUNKS[chunk]
    values = np.random.default_rng(1).random(size * count // 4, dtype="float32")
    taken: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for who in order:
            folder = Path(tempfile.mkdtemp(dir=base))
            opener = STORES[name][who]
            with pipeline(kind):
                for operation in ("write", "read"):
                    run = (
                        write(opener, folder, values, size // 4)
                        if operation == "write"
                        else read(opener, folder, values)
                    )
                    taken.setdefault((operation, who), []).append(run)
            _memory.pop(folder, None)
            shutil.rmtree(folder)
    for operation in ("write", "read"):
        yield operation, [min(taken[operation, who]) / count for who in (0, 1)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each figure")
    parser.add_argument("--folder", help="where to write; a tmpfs if there is one")
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--chunk", choices=CHUNKS, action="append", help="only this length")
    parser.add_argument("--pipeline", choices=PIPELINES, action="append", help="only this one")
    given = parser.parse_args()
    has_fused = hasattr(zarr.core.codec_pipeline, "FusedCodecPipeline")
    kinds = given.pipeline or [name for name in PIPELINES if name != "fused" or has_fused]
    memory = Path("/dev/shm") if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="zarrstore-beside-zarr-", dir=given.folder or memory))
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; "
        f"zarr {version('zarr')}, numpy {version('numpy')}; µs a chunk\n"
    )
    print("| store | chunk | pipeline | operation | its own store | ours | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ratios = []
    try:
        for name, chunk, kind in itertools.product(
            given.store or STORES, given.chunk or CHUNKS, kinds
        ):
            for operation, (theirs, ours) in row(name, chunk, kind, base, given.rounds):
                ratios.append(ours / theirs)
                print(
                    f"| {name} | {chunk} | {kind} | {operation} | {theirs * 1e6:.0f} | "
                    f"{ours * 1e6:.0f} | {ours / theirs:.2f} |",
                    flush=True,
                )
    finally:
        shutil.rmtree(base)
    print(f"\nat most {max(ratios):.2f}; on average {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main()
