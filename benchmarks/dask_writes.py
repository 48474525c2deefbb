"""Dask arrays to stores: zarrstore.dask beside dask.array, and beside a target that does nothing.

``python benchmarks/dask_writes.py`` prints a table of ratios. The candidates take turns, and the
best of several rounds counts. The name of a part runs it alone.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
sys.path[:] = [path for path in sys.path if Path(path) != ROOT / "benchmarks"]

import zarrstore  # noqa: E402
from benchmarks.arrays.timing import timed  # noqa: E402
from zarrstore import LatencyStore, MemoryStore  # noqa: E402
from zarrstore.dask import plan_store, store, to_zarr  # noqa: E402

ROUNDS = 5
_PROCESSES, _TIMES = 4, 50


class Nothing:
    """A target that does nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class Files:
    """A target that writes each block to a file, by hand: no chunks, no metadata, no receipt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __setitem__(self, key: Any, value: Any) -> None:
        with open(self._folder / "-".join(str(part.start) for part in key), "wb") as file:
            file.write(value.data)


def best(candidates: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the least seconds of each of several candidates, that take turns."""
    found = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, function in candidates.items():
            found[name] = min(found[name], timed(function))
    return found


def row(what: str, ours: str, beside: str, aim: str, reached: bool) -> None:
    """Print a row of the table."""
    print(f"| {what} | {ours} | {beside} | {aim} | {'yes' if reached else 'no'} |", flush=True)


def planning() -> None:
    """A million chunks."""
    for what, chunks in (("that line up", 10), ("that do not", 7)):
        source = da.ones(10_000_000, chunks=10)
        started = time.perf_counter()
        str(plan_store(source, chunks=chunks))
        taken = time.perf_counter() - started
        tracemalloc.start()
        str(plan_store(source, chunks=chunks))
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        said = f"{taken:.2f} s, {peak:.0f} MiB"
        aim = "2 s, 200 MiB"
        row(f"plan 1,000,000 blocks {what}", said, "", aim, taken < 2 and peak < 200)


def latency() -> None:
    """1,600 chunks, 20 ms a request."""
    source = da.from_array(np.random.default_rng(0).random((1600, 100)), chunks=(1, 100))

    def slow() -> Any:
        return LatencyStore(MemoryStore(), 0.02, 0.02)

    taken = best({"ours": lambda: to_zarr(source, slow())}, 3)["ours"]
    what = "1,600 one-chunk blocks, 20 ms a request"
    row(what, f"{taken:.2f} s", "", "0.6 s", taken <= 0.6)


def misaligned() -> None:
    """Blocks that do not line up, beside one lock for all."""
    values = np.random.default_rng(0).random(3200)
    source = da.from_array(values, chunks=10)

    def target() -> Any:
        slow = LatencyStore(MemoryStore(), 0.002, 0.002)
        return zarrstore.create_array(slow, shape=3200, chunks=15, dtype="float64")

    def checked(write: Callable[[Any], object]) -> Callable[[], None]:
        def run() -> None:
            array = target()
            write(array)
            assert np.array_equal(array[:], values)

        return run

    found = best(
        {
            "ours": checked(lambda array: store(source, array)),
            "in turn": checked(lambda array: store(source, array, align="lock")),
            "lock": checked(lambda array: da.store(source, array, lock=True)),
        },
        2,
    )
    ratio = found["lock"] / found["ours"]
    what = "320 blocks that do not line up, 2 ms a request"
    row(
        what,
        f'{found["ours"]:.2f} s; align="lock" {found["in turn"]:.2f} s',
        f"lock=True {found['lock']:.2f} s",
        f"10 times faster (is {ratio:.1f})",
        ratio >= 10,
    )


def local() -> None:
    """Chunks of 1 MiB and of 16 KiB in a directory, beside dask.array and a target of nothing."""
    for count, size in ((256, 2**20), (4096, 2**14)):
        source = da.random.default_rng(0).random((count, size // 8), chunks=(1, size // 8))
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:

            def fresh(
                write: Callable[..., object], folder: str = folder, source: Any = source
            ) -> Callable[[], object]:
                return lambda: write(source, tempfile.mkdtemp(dir=folder))

            found = best(
                {
                    "ours": fresh(lambda x, at: to_zarr(x, f"{at}/a", compressors=None)),
                    "nothing": lambda x=source: da.store(x, Nothing(), lock=False),
                    "files": fresh(lambda x, at: da.store(x, Files(Path(at)), lock=False)),
                    "theirs": fresh(lambda x, at: _dask_to_zarr(x, f"{at}/a")),
                },
                3,
            )
        above, below = found["ours"] / found["nothing"], found["theirs"] / found["ours"]
        row(
            f"`to_zarr`, {count:,} chunks of {size // 1024:,} KiB, no codec",
            f"{found['ours']:.2f} s",
            f"nothing {found['nothing']:.2f} s, files by hand {found['files']:.2f} s "
            f"({found['ours'] / found['files']:.2f} times), "
            f"dask.array {found['theirs']:.2f} s",
            f"1.25 times nothing (is {above:.2f}); 3 times faster than dask.array (is {below:.1f})",
            above <= 1.25 and below >= 3,
        )


def _dask_to_zarr(source: Any, where: str) -> object:
    try:
        return da.to_zarr(source, where, zarr_array_kwargs={"compressors": None})
    except TypeError:  # of another release
        return da.to_zarr(source, where, compressors=None)


def _folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _append(path: str, number: int) -> None:
    array = zarrstore.open_array(path, mode="r+")
    for count in range(_TIMES):
        array.append(np.array([[number, count]]))


def appending() -> None:
    """Processes that append at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/log.zarr"
        zarrstore.create_array(path, shape=(0, 2), chunks=(7, 2), dtype="int64")
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=_append, args=(path, number)) for number in range(_PROCESSES)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        rows = zarrstore.open_array(path, mode="r")[:]
    whole = all(
        rows[rows[:, 0] == number, 1].tolist() == list(range(_TIMES))
        for number in range(_PROCESSES)
    )
    row("4 processes x 50 appends", f"{len(rows)}", "", "200 of 200, in order", whole)


PARTS = {part.__name__: part for part in (planning, latency, misaligned, local, appending)}


def main() -> None:
    """Run the parts that are named, or all."""
    print("| what | zarrstore | beside | must reach | reached |\n| --- | --- | --- | --- | --- |")
    with dask.config.set(scheduler="threads"):
        for name in sys.argv[1:] or PARTS:
            PARTS[name]()


if __name__ == "__main__":
    main()
