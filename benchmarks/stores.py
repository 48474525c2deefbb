"""Time stores beside the class of the same name in zarr 2, in one run; print a table of ratios.

Run with ``python -m benchmarks.stores``, from the root of the repository. Every figure is the best
of several rounds in which the two take turns.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

import daemons  # noqa: E402

import zarrstore.v2  # noqa: E402
from benchmarks.store_times import CELLS, KINDS, seconds, times  # noqa: E402
from benchmarks.workers import Worker  # noqa: E402

WORKER = "benchmarks.stores_zarr2_worker"
PACKAGES = ("fsspec", "lmdb", "redis[hiredis]", "pymongo")


def compare(name: str, worker: Worker, folder: Path, rounds: int) -> None:
    """Print the rows of one class."""
    kind = KINDS[name]
    for size, count in zip(CELLS, kind.counts, strict=False):
        best: dict[str, tuple[float, float]] = {}
        for number in range(rounds):
            place = folder / f"{name}-{size}-{number}"
            place.mkdir()
            server = getattr(daemons, kind.server)() if kind.server else nullcontext()
            with server:
                of = {"name": name, "size": size, "count": count}
                of["port"] = server.port if kind.server else 0
                theirs = worker.ask({"do": "times", "of": {**of, "path": str(place / "theirs")}})
                mine = times(zarrstore.v2, path=str(place / "ours"), **of)
            for what, taken in mine.items():
                least = best.get(what, (math.inf, math.inf))
                best[what] = min(least[0], taken), min(least[1], theirs[what])
            shutil.rmtree(place)
        for what, (mine_taken, their_taken) in best.items():
            print(
                f"| {name} | {what} | {size // 1024} KiB | {mine_taken * 1e6:.2f} µs | "
                f"{their_taken * 1e6:.2f} µs | {their_taken / mine_taken:.2f} |",
                flush=True,
            )


def list_among_a_million(name: str, folder: Path) -> None:
    """Print how long it takes to list a prefix of 100 keys among a million."""
    with KINDS[name].make(zarrstore.v2, str(folder / f"{name}-million"), 0) as sync:
        for part in range(100):
            sync.set_many(
                {f"a/{part:02}/{node:02}/{leaf}": b"" for node in range(100) for leaf in range(100)}
            )
        found: list[float] = []
        for number in range(20):
            prefix = f"a/{number:02}/50"
            found.append(seconds(lambda prefix=prefix: list(sync.list_prefix(prefix))))
            assert len(list(sync.list_prefix(prefix))) == 100
        level = seconds(lambda: list(sync.list_dir("a")))
    print(
        f"{name}: 100 keys under a prefix among a million: {sorted(found)[10] * 1e3:.2f} ms "
        f"(must be under 5 ms); its 100 children one level below the top: {level * 1e3:.2f} ms"
    )


def main() -> None:
    """Time what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(KINDS)}; by default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to write; by default the temporary folder")
    parser.add_argument("--no-million", action="store_true", help="leave the long listings out")
    arguments = parser.parse_args()
    names = arguments.names or list(KINDS)
    worker = Worker(WORKER, PACKAGES)
    version, python = worker.ask({"do": "versions"})
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; zarrstore "
        f"{zarrstore.__version__}; zarr {version} (Python {python})\n",
        file=sys.stdout,
    )
    print("| store | operation | value | zarrstore | zarr 2 | times as quick |")
    print("| --- | --- | --- | --- | --- | --- |")
    try:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for name in names:
                compare(name, worker, Path(folder), arguments.rounds)
            if not arguments.no_million:
                print()
                for name in names:
                    if KINDS[name].listed:
                        list_among_a_million(name, Path(folder))
    finally:
        worker.close()


if __name__ == "__main__":
    main()
