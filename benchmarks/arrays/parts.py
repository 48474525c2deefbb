"""What is measured, part by part."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import zarrstore
from benchmarks.arrays.libraries import CODECS, Library, Spec
from benchmarks.arrays.session import Measure, Plan, Session
from benchmarks.arrays.timing import timed
from benchmarks.workers import ROOT

PEERS = ("zarr", "zarr fused", "zarrs", "tensorstore")
CHUNKS = {"16 KiB": 64, "256 KiB": 256, "4 MiB": 1024}
CODEC_NAMES = {"none": "none", "blosc": "blosc lz4", "zstd": "zstd 1"}


def local(session: Session) -> list[Plan]:
    """Plan whole arrays in a directory, by codec and size of chunk."""
    libraries = session.those("zarrstore", *PEERS, "zarr 2.18", "bare loop")
    data = session.data()
    plans = []
    for codec in CODECS:
        for size, length in CHUNKS.items():
            chunks = (length**2,) if session.is_flat else (length, length)
            spec = Spec(data.shape, chunks, codec)
            for operation, prepare in (("write", writing), ("read", reading)):
                plans.append(
                    Plan(
                        {"codec": CODEC_NAMES[codec], "chunk": size, "operation": operation},
                        {
                            library.name: partial(
                                prepare, session, library, spec, data, data.size // length**2
                            )
                            for library in libraries
                        },
                    )
                )
    return plans


def writing(session: Session, library: Library, spec: Spec, data: Any, count: int = 1) -> Measure:
    """Prepare writing, each time to a new place, once it has been seen to be right."""
    library.fill(session.fresh(), spec, data)

    def measure() -> float:
        place = session.fresh()
        try:
            return library.time_write(place, spec, data) / count
        finally:
            shutil.rmtree(place, ignore_errors=True)

    return measure


def reading(session: Session, library: Library, spec: Spec, data: Any, count: int = 1) -> Measure:
    """Prepare reading of what the library has written itself."""
    place = session.fresh()
    library.fill(place, spec, data)
    return lambda: library.time_read(place) / count


SHARD, INNER = 1024, 64


def sharded(session: Session) -> list[Plan]:
    """Plan shards: all of them, some points, a column."""
    libraries = session.those("zarrstore", *PEERS)
    data = session.data()
    shards = [
        (row, column)
        for row in range(0, session.side, SHARD)
        for column in range(0, session.side, SHARD)
    ]
    # in another inner chunk of each shard the second time, where the index may be known by now
    first = [(slice(row + 100, row + 110), slice(col + 70, col + 80)) for row, col in shards]
    again = [(slice(row + 705, row + 715), slice(col + 900, col + 910)) for row, col in shards]
    whole = {"write": writing, "read": reading}
    parts: dict[str, tuple[list[Any], list[Any]]] = {
        "10 x 10 point": ([], first),
        "10 x 10 point, same shards again": (first, again),
        "one column": ([], [(slice(None), 7)]),
    }
    plans = []
    for codec in ("none", "blosc"):
        spec = Spec(data.shape, (INNER, INNER), codec, (SHARD, SHARD))
        for what, prepare in whole.items():
            candidates = {
                library.name: partial(prepare, session, library, spec, data)
                for library in libraries
            }
            plans.append(Plan({"codec": CODEC_NAMES[codec], "operation": what}, candidates, "ms"))
        for what, (before, selections) in parts.items():
            candidates = {
                library.name: partial(selecting, session, library, spec, data, before, selections)
                for library in libraries
            }
            plans.append(Plan({"codec": CODEC_NAMES[codec], "operation": what}, candidates))
    return plans


def selecting(
    session: Session,
    library: Library,
    spec: Spec,
    data: Any,
    before: list[Any],
    selections: list[Any],
) -> Measure:
    """Prepare reading selections, one after the other, from an array that was just opened."""
    place = session.fresh()
    library.fill(place, spec, data)
    for selection in before + selections:
        library.compare(library.read(library.open(place), selection), data[selection])

    def measure() -> float:
        array = library.open(place)
        for selection in before:
            library.read(array, selection)
        return timed(lambda: [library.read(array, selection) for selection in selections]) / len(
            selections
        )

    return measure


def memory(session: Session) -> list[Plan]:
    """Plan 10,000 chunks of 100 numbers in memory."""
    count = 1000 if session.is_quick else 10_000
    data = np.random.default_rng(0).random(100 * count)
    spec = Spec(data.shape, (100,), dtype="float64")

    def prepare(library: Library, operation: str) -> Measure:
        place = library.memory()
        library.fill(place, spec, data)
        if operation == "read":
            return lambda: library.time_read(place) / count
        return lambda: library.time_write(library.memory(), spec, data) / count

    return [
        Plan(
            {"operation": operation},
            {
                library.name: partial(prepare, library, operation)
                for library in session.those(
                    "zarrstore", "zarr", "zarr fused", "tensorstore", "zarr 2.18"
                )
            },
            must=16e-6,
        )
        for operation in ("write", "read")
    ]


def calls(session: Session) -> list[Plan]:
    """Plan what costs time once for each call, not for each byte."""
    spec = Spec((1000, 1000), (50, 50))
    data = np.random.default_rng(0).random(spec.shape, "float32")
    repeat = 5 if session.is_quick else 50
    members = 300
    ours: Any = session.libraries["zarrstore"]

    def element(library: Library) -> Measure:
        place = session.fresh()
        library.fill(place, spec, data)
        array = library.open(place)
        library.compare(library.read(array, (421, 7)), data[421, 7])
        return lambda: timed(lambda: library.read(array, (421, 7)), repeat)

    def opening(library: Library) -> Measure:
        place = session.fresh()
        library.fill(place, spec, data)
        return lambda: timed(lambda: library.open(place), repeat)

    def creating(library: Library) -> Measure:
        def measure() -> float:
            places = [session.fresh() for _ in range(repeat)]
            remaining = iter(places)
            try:
                return timed(lambda: library.create(next(remaining), spec), repeat)
            finally:
                for place in places:
                    shutil.rmtree(place, ignore_errors=True)

        return measure

    def listing(library: Any, is_consolidated: bool) -> Measure:
        place = session.fresh()
        ours.create_members(place, members)
        if is_consolidated:
            library.consolidate(place)
        found = library.consolidated_members if is_consolidated else library.members
        if len(found(place)) != members:
            raise ValueError(f"{library.name} finds {len(found(place))} of {members} members")
        return lambda: timed(lambda: found(place))

    def plan(
        what: str,
        prepare: Callable[..., Measure],
        names: tuple[str, ...],
        unit: str,
        must: float,
        *more: Any,
    ) -> Plan:
        libraries = session.those("zarrstore", *names)
        candidates = {one.name: partial(prepare, one, *more) for one in libraries}
        return Plan({"call": what}, candidates, unit, must)

    return [
        plan("read one element of an open array", element, PEERS, "µs", 40e-6),
        plan("open an array", opening, PEERS, "µs", 100e-6),
        plan("create an array", creating, PEERS, "µs", 200e-6),
        plan("members of a group of 300 arrays", listing, ("zarr",), "ms", 10e-3, False),
        plan("the same, consolidated", listing, ("zarr",), "ms", 3e-3, True),
    ]


def peak(session: Session) -> list[Plan]:
    """Plan the memory that a large array takes beyond its own size."""
    mebibytes = 64 if session.is_quick else 1024

    def bytes_needed(name: str, operation: str, codec: str, place: Path) -> float:
        arguments = (name, operation, codec, str(place), str(mebibytes))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.arrays.peak", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return float(done.stdout)

    def prepare(name: str, operation: str, codec: str) -> Measure:
        def write() -> float:
            place = session.fresh()
            try:
                return bytes_needed(name, "write", codec, place)
            finally:
                shutil.rmtree(place, ignore_errors=True)

        if operation == "write":
            return write
        place = session.fresh()
        bytes_needed(name, "write", codec, place)
        return lambda: bytes_needed(name, "read", codec, place)

    return [
        Plan(
            {"codec": CODEC_NAMES[codec], "operation": operation},
            {
                library.name: partial(prepare, library.name, operation, codec)
                for library in session.those("zarrstore", *PEERS)
            },
            "MiB",
            must=64 * 2.0**20,
            rounds=1,
        )
        for codec in CODECS
        for operation in ("write", "read")
    ]


def many(session: Session) -> list[Plan]:
    """Plan the cost of a chunk where there are few, and where there are many."""
    ours = session.libraries["zarrstore"]
    few, lots = (100, 1000) if session.is_quick else (1000, 100_000)

    def prepare(count: int, where: str, operation: str) -> Measure:
        data = np.random.default_rng(0).random(100 * count)
        spec = Spec(data.shape, (100,), dtype="float64")
        # the small array is measured as often as makes the same work: no lucky draw
        repeat = min(20, lots // count)

        def place() -> Any:
            return ours.memory() if where == "memory" else session.fresh()

        def write() -> float:
            there = place()
            try:
                return ours.time_write(there, spec, data)
            finally:
                if isinstance(there, Path):
                    shutil.rmtree(there, ignore_errors=True)

        kept = place()
        ours.fill(kept, spec, data)
        once = write if operation == "write" else partial(ours.time_read, kept)
        return lambda: sum(once() for _ in range(repeat)) / repeat / count

    return [
        Plan(
            {"store": where, "operation": operation},
            {
                f"{count:,} chunks": partial(prepare, count, where, operation)
                for count in (few, lots)
            },
        )
        for where in ("memory", "local")
        for operation in ("write", "read")
    ]


LATENCY = 0.02


def latency(session: Session) -> list[Plan]:
    """Plan a store that answers late."""
    count = 160 if session.is_quick else 1600
    data = np.random.default_rng(0).random((count, 1000), "float32")
    spec = Spec(data.shape, (1, 1000))
    slow: dict[str, Callable[[Any], Any]] = {
        "zarrstore": lambda store: zarrstore.LatencyStore(store, LATENCY, LATENCY)
    }
    libraries: dict[str, tuple[Library, int | None]] = {
        "zarrstore": (session.libraries["zarrstore"], None)
    }
    for library in session.those("zarr"):
        slow["zarr"] = slow_zarr()
        libraries |= {"zarr": (library, None), "zarr, 128 in flight": (library, 128)}

    def prepare(library: Library, in_flight: int | None, operation: str) -> Measure:
        store = library.memory()
        library.fill(store, spec, data)

        def measure() -> float:
            with concurrency(in_flight):
                if operation == "read":
                    return library.time_read(slow[library.name](store))
                return library.time_write(slow[library.name](library.memory()), spec, data)

        return measure

    return [
        Plan(
            {"operation": operation},
            {name: partial(prepare, *given, operation) for name, given in libraries.items()},
            "ms",
            must=0.5,
        )
        for operation in ("write", "read")
    ]


def concurrency(in_flight: int | None) -> Any:
    """Let zarr-python have as many requests in flight as that."""
    if in_flight is None:
        return nullcontext()
    return importlib.import_module("zarr").config.set({"async.concurrency": in_flight})


def slow_zarr() -> Callable[[Any], Any]:
    """Return a wrapper for stores of zarr-python that answers late."""
    wrapper: Any = importlib.import_module("zarr.storage").WrapperStore

    class Slow(wrapper):
        async def get(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(LATENCY)
            return await super().get(*args, **options)

        async def set(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(LATENCY)
            return await super().set(*args, **options)

    return Slow


PARTS: dict[str, tuple[str, Callable[[Session], list[Plan]]]] = {
    "local": ("Whole arrays in a directory, per chunk", local),
    "sharded": ("Shards in a directory", sharded),
    "memory": ("10,000 chunks of 100 numbers in memory, per chunk", memory),
    "calls": ("Single calls", calls),
    "peak": ("Memory beyond the array itself", peak),
    "many": ("100,000 chunks in one array, per chunk", many),
    "latency": ("1,600 chunks on a store with 20 ms a request", latency),
}
