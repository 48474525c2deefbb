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
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from daemons import Secantus, Valkey  # noqa: E402

import zarrstore  # noqa: E402
from benchmarks.store_times import CELLS, keys, seconds, times  # noqa: E402
from benchmarks.workers import Worker  # noqa: E402

WORKER = "benchmarks.stores_zarr2_worker"
PACKAGES = ("lmdb", "redis[hiredis]", "pymongo")
BATCH = 2**22
"""Bytes that are read, or written, at once by ``get_many`` and ``set_many``."""


@dataclass(frozen=True)
class Maker:
    """How a store is made, for a path where nothing is, and what is asked of it."""

    make: Callable[[Path, int | None], Any]
    """Called with the port of the server, too, where there is one."""
    server: Callable[[], Any] = nullcontext
    """What is to run meanwhile."""
    count: int = 10**9
    """At most so many keys are written."""
    deleted: int = 10**9
    """At most so many keys are deleted, where that takes long."""
    batches: bool = False
    """Whether ``set_many`` and ``get_many`` are timed, which zarr 2 does not have."""
    listed: bool = False
    """Whether 100 keys among a million are listed."""


MAKERS = {
    "SQLiteStore": Maker(lambda path, _: zarrstore.SQLiteStore(path), batches=True, listed=True),
    "LMDBStore": Maker(lambda path, _: zarrstore.LMDBStore(path), batches=True, listed=True),
    "DBMStore": Maker(lambda path, _: zarrstore.DBMStore(path, open="dumb"), deleted=200),
    "RedisStore": Maker(
        lambda path, port: zarrstore.RedisStore(path.name, host="127.0.0.1", port=port),
        server=Valkey,
        batches=True,
    ),
    # there zarr 2 has no index of its keys: each takes as long as there are others
    "MongoDBStore": Maker(
        lambda path, port: zarrstore.MongoDBStore("ours", path.name, host="127.0.0.1", port=port),
        server=Secantus,
        count=1000,
        batches=True,
    ),
}


def ours(maker: Maker, path: Path, port: int | None, size: int, count: int) -> dict[str, float]:
    """Return the seconds for an operation of one key."""
    with maker.make(path, port).sync as sync:
        found = times(sync, size, count, min(count, maker.deleted))
    if maker.batches:
        names = keys(count)
        with maker.make(path.with_suffix(".many"), port).sync as sync:
            value, at_once = os.urandom(size), BATCH // size
            parts = [names[at : at + at_once] for at in range(0, count, at_once)]
            for what, run in (
                ("set_many", lambda part: sync.set_many(dict.fromkeys(part, value))),
                ("get_many", sync.get_many),
            ):
                found[what] = sum(seconds(partial(run, part)) for part in parts) / count
    return found


def compare(name: str, worker: Worker, folder: Path, rounds: int) -> None:
    """Print the rows of one class."""
    maker = MAKERS[name]
    for size, most in CELLS:
        count = min(most, maker.count)
        best: dict[str, tuple[float, float]] = {}
        for number in range(rounds):
            place = folder / f"{name}-{size}-{number}"
            place.mkdir()
            with maker.server() as server:
                port = None if server is None else server.port
                request = {
                    "do": "times",
                    "name": name,
                    "path": str(place / "theirs"),
                    "port": port,
                    "size": size,
                    "count": count,
                    "deleted": min(count, maker.deleted),
                }
                theirs = worker.ask(request)
                mine = ours(maker, place / "ours", port, size, count)
            for what, taken in mine.items():
                least = best.get(what, (math.inf, math.inf))
                best[what] = min(least[0], taken), min(least[1], theirs[what.split("_")[0]])
            shutil.rmtree(place)
        for what, (mine_taken, their_taken) in best.items():
            print(
                f"| {name} | {what} | {size // 1024} KiB | {mine_taken * 1e6:.1f} µs | "
                f"{their_taken * 1e6:.1f} µs | {their_taken / mine_taken:.2f} |",
                flush=True,
            )


def list_among_a_million(name: str, folder: Path) -> None:
    """Print how long it takes to list a prefix of 100 keys among a million."""
    with MAKERS[name].make(folder / f"{name}-million", None).sync as sync:
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
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MAKERS)}; by default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to write; by default the temporary folder")
    parser.add_argument("--no-million", action="store_true", help="leave the long listings out")
    arguments = parser.parse_args()
    names = arguments.names or list(MAKERS)
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
                    if MAKERS[name].listed:
                        list_among_a_million(name, Path(folder))
    finally:
        worker.close()


if __name__ == "__main__":
    main()
