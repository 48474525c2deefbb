"""Time the foundation beside its peers in one run, and print a table of ratios.

Run with ``python benchmarks/foundation.py``; peers that are not installed are left out. Every
figure is the best of several rounds in which the candidates take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import zarrstore

PHOTOGRAPH = Path(__file__).parents[1] / "examples" / "data" / "hubble_deep_field.npz"
CHUNKS = (109, 200, 3)  # 65,400 bytes; both lengths divide the tiled photograph's
ROUNDS = 7


def best(candidates: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the least of several results for each candidate, taken in turns."""
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            found[name].append(run())
    return {name: min(times) for name, times in found.items()}


def timed(function: Callable[[], Any], repeat: int = 1) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    for _ in range(repeat):
        function()
    return (time.perf_counter() - started) / repeat


def process(code: str) -> Callable[[], float]:
    """Return a function that times a fresh interpreter."""

    def run() -> float:
        return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    return run


def row(what: str, ours: str, theirs: str, must: str, reached: bool) -> None:
    """Print one row of the table."""
    print(f"| {what} | {ours} | {theirs} | {must} | {'yes' if reached else '**no**'} |", flush=True)


def time_imports(folder: Path) -> None:
    """Measure importing the package, and the first read of an array in a fresh process."""
    path = folder / "cold"
    zarrstore.create_array(path, data=np.arange(10_000).reshape(100, 100), chunks=(50, 50))
    read = (
        "import zarrstore, sys; a = zarrstore.open_array(PATH, mode='r')[...]; "
        "assert a.sum() == 49995000; assert 'asyncio' not in sys.modules"
    )
    seconds = best(
        {
            "bare": process("pass"),
            "import": process("import zarrstore"),
            "numpy": process("import numpy"),
            "cold": process(read.replace("PATH", repr(str(path)))),
        },
        rounds=15,
    )
    taken = 1e3 * (seconds["import"] - seconds["bare"])
    bare = 1e3 * seconds["bare"]
    row("`import zarrstore`", f"{taken:.0f} ms more", f"bare {bare:.0f} ms", "50 ms", taken <= 50)
    taken = 1e3 * (seconds["cold"] - seconds["numpy"])
    numpy = 1e3 * seconds["numpy"]
    row(
        "cold start: import, open a local array, read it; no event loop",
        f"{taken:.0f} ms more",
        f"`import numpy` {numpy:.0f} ms",
        "150 ms",
        taken <= 150,
    )


def time_gets(folder: Path) -> None:
    """Measure blocking gets of 4 KiB."""
    value = os.urandom(4096)
    local = zarrstore.LocalStore(folder / "gets")
    local.sync["a/b/c"] = value
    path = str(folder / "gets" / "a" / "b" / "c")
    data = {"a/b/c": value}
    sync_local, sync_memory = local.sync, zarrstore.MemoryStore(data).sync

    def by_hand() -> bytes:
        with open(path, "rb") as file:
            return file.read()

    seconds = best(
        {
            "local": lambda: timed(lambda: sync_local.get("a/b/c"), 5000),
            "by hand": lambda: timed(by_hand, 5000),
            "memory": lambda: timed(lambda: sync_memory.get("a/b/c"), 20000),
            "look-up": lambda: timed(lambda: data["a/b/c"], 20000),
        }
    )
    us = {name: 1e6 * taken for name, taken in seconds.items()}
    ratio = us["local"] / us["by hand"]
    row(
        "blocking `get`, 4 KiB, local",
        f"{us['local']:.1f} µs",
        f"open, read, close by hand {us['by hand']:.1f} µs",
        f"1.5 times (is {ratio:.2f})",
        ratio <= 1.5,
    )
    more = us["memory"] - us["look-up"]
    row(
        "blocking `get`, 4 KiB, memory",
        f"{us['memory']:.1f} µs",
        f"dict look-up {us['look-up']:.2f} µs",
        f"3 µs more (is {more:.1f})",
        more <= 3,
    )


def time_latency() -> None:
    """Measure 64 values from a store that answers after 10 ms."""
    keys = [f"c/{number}" for number in range(64)]
    inner = zarrstore.MemoryStore(dict.fromkeys(keys, b"x"))
    slow = zarrstore.LatencyStore(inner, get_latency=0.01).sync
    taken = best({"": lambda: timed(lambda: slow.get_many(keys))})[""]
    row(
        "`get_many` of 64 values, 10 ms each, from blocking code",
        f"{1e3 * taken:.1f} ms",
        "one after the other 640 ms",
        "25 ms",
        taken <= 0.025,
    )


def time_listing(folder: Path) -> None:
    """Measure listing 100,000 keys of a local store."""
    root = folder / "listing"
    for group in range(100):
        (root / f"c/{group}").mkdir(parents=True)
        for number in range(1000):
            (root / f"c/{group}/{number}").touch()
    store = zarrstore.LocalStore(root).sync
    candidates = {"zarrstore": lambda: timed(lambda: sum(1 for _ in store.list()))}
    with contextlib.suppress(ImportError):
        import zarr.storage

        theirs = zarr.storage.LocalStore(root)

        async def count() -> int:
            return sum([1 async for _ in theirs.list()])

        candidates["zarr"] = lambda: timed(lambda: asyncio.run(count()))
    seconds = best(candidates, rounds=5)
    ours = seconds["zarrstore"]
    zarr_taken = seconds.get("zarr", float("nan"))
    ratio = ours / zarr_taken
    row(
        "list 100,000 local keys",
        f"{1e3 * ours:.0f} ms",
        f"zarr {1e3 * zarr_taken:.0f} ms",
        f"0.4 of zarr's time (is {ratio:.2f})",
        ratio <= 0.4,
    )


def tensorstore_array(path: str, create: bool, shape: tuple[int, ...]) -> Any:
    """Open an array with tensorstore."""
    import tensorstore

    spec: dict[str, Any] = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}
    if create:
        grid = {"name": "regular", "configuration": {"chunk_shape": list(CHUNKS)}}
        codecs = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 1}}]
        spec |= {"create": True, "delete_existing": True}
        spec["metadata"] = {
            "shape": list(shape),
            "data_type": "uint8",
            "chunk_grid": grid,
            "codecs": codecs,
        }
    return tensorstore.open(spec).result()


def photograph_candidates(folder: Path, photograph: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, a function that writes, and one that reads, of each library."""
    level = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}

    def ours_write() -> float:
        array = zarrstore.create_array(
            folder / "ours",
            shape=photograph.shape,
            dtype="u1",
            chunks=CHUNKS,
            compressors=level,
            overwrite=True,
        )
        return timed(lambda: array.write(..., photograph))

    yield "zarrstore", ours_write, lambda: zarrstore.open_array(folder / "ours", mode="r")[...]
    with contextlib.suppress(ImportError):
        import zarr
        import zarr.codecs

        def zarr_write(name: str = "zarr") -> float:
            array = zarr.create_array(
                folder / name,
                shape=photograph.shape,
                dtype="u1",
                chunks=CHUNKS,
                compressors=[zarr.codecs.ZstdCodec(level=1)],
                overwrite=True,
            )
            return timed(lambda: array.__setitem__(..., photograph))

        yield "zarr", zarr_write, lambda: zarr.open_array(folder / "zarr", mode="r")[...]
        with contextlib.suppress(ImportError):
            import zarrs

            pipeline = {"codec_pipeline.path": f"{zarrs.__name__}.ZarrsCodecPipeline"}

            def zarrs_write() -> float:
                with zarr.config.set(pipeline):
                    return zarr_write("zarrs")

            def zarrs_read() -> Any:
                with zarr.config.set(pipeline):
                    return zarr.open_array(folder / "zarrs", mode="r")[...]

            yield "zarrs", zarrs_write, zarrs_read
    with contextlib.suppress(ImportError):
        import tensorstore

        path = str(folder / tensorstore.__name__)

        def tensorstore_write() -> float:
            array = tensorstore_array(path, True, photograph.shape)
            return timed(lambda: array.write(photograph).result())

        def tensorstore_read() -> Any:
            return tensorstore_array(path, False, photograph.shape).read().result()

        yield "tensorstore", tensorstore_write, tensorstore_read


def time_photograph(folder: Path) -> None:
    """Measure writing and reading a photograph, tiled to 167 MB."""
    with np.load(PHOTOGRAPH) as arrays:
        photograph = np.tile(arrays["rgb"], (8, 8, 1))
    writers, readers = {}, {}
    for name, write, read in photograph_candidates(folder, photograph):
        write()
        if not np.array_equal(read(), photograph):
            raise SystemExit(f"{name} reads other values than it wrote")
        writers[name] = write
        readers[name] = lambda read=read: timed(read)
    for what, candidates in (("write", writers), ("read", readers)):
        seconds = best(candidates)
        ours = seconds.pop("zarrstore")
        theirs = ", ".join(f"{name} {1e3 * taken:.0f} ms" for name, taken in seconds.items())
        fastest = min(seconds.values(), default=float("nan"))
        row(
            f"{what} the photograph, 8 x 8 tiled, 64 KiB chunks, zstd",
            f"{1e3 * ours:.0f} ms",
            theirs,
            f"faster than all (is {ours / fastest:.2f} of the fastest)",
            ours < fastest,
        )


def installed(package: str) -> str:
    """Return the version of a package, or a dash."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} -"


def main() -> None:
    """Run what is asked for."""
    parts: dict[str, Callable[..., None]] = {
        "imports": time_imports,
        "gets": time_gets,
        "latency": lambda _: time_latency(),
        "listing": time_listing,
        "photograph": time_photograph,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all by default")
    parser.add_argument("--folder", help="where to write; a tmpfs if there is one by default")
    arguments = parser.parse_args()
    base = arguments.folder or ("/dev/shm" if os.path.isdir("/dev/shm") else None)
    folder = Path(tempfile.mkdtemp(prefix="zarrstore-benchmark-", dir=base))
    names = ("zarrstore", "zarr", "zarrs", "tensorstore", "numpy")
    peers = ", ".join(installed(name) for name in names)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {peers}\n")
    print("| what | zarrstore | beside | must reach | reached |")
    print("| --- | --- | --- | --- | --- |")
    try:
        for name in arguments.parts or parts:
            parts[name](folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
