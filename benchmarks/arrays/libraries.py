"""The same few operations on arrays, in each library.

A library that is not installed raises `ImportError` when its class is called.
"""

from __future__ import annotations

import importlib
import itertools
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.arrays.timing import timed

Shape = tuple[int, ...]
CODECS = ("none", "blosc", "zstd")


@dataclass(frozen=True)
class Spec:
    """An array to create. ``chunks`` are the inner chunks where there are shards."""

    shape: Shape
    chunks: Shape
    codec: str = "none"
    shards: Shape | None = None
    dtype: str = "float32"


class Library(ABC):
    """What is measured of a library. A place is a path, or what `memory` returns."""

    name: str
    release: str
    """The package with its version."""

    @abstractmethod
    def create(self, place: Any, spec: Spec) -> Any:
        """Return a new array."""

    @abstractmethod
    def open(self, place: Any) -> Any:
        """Return an array that is there."""

    @abstractmethod
    def write(self, array: Any, data: Any) -> None:
        """Write a whole array."""

    def read(self, array: Any, selection: Any = ...) -> Any:
        """Return a selection."""
        return array[selection]

    def memory(self) -> Any:
        """Return a new place in memory."""
        raise NotImplementedError(f"{self.name} has no store in memory here")

    def time_write(self, place: Any, spec: Spec, data: Any) -> float:
        """Return the seconds of writing a new array, which is created before."""
        array = self.create(place, spec)
        return timed(lambda: self.write(array, data))

    def time_read(self, place: Any) -> float:
        """Return the seconds of reading an array, which is opened before."""
        array = self.open(place)
        return timed(lambda: self.read(array))

    def fill(self, place: Any, spec: Spec, data: Any) -> None:
        """Write an array and raise unless it reads as what was written."""
        self.write(self.create(place, spec), data)
        self.compare(self.read(self.open(place)), data)

    def compare(self, found: Any, expected: Any) -> None:
        """Raise unless what was read is what was written."""
        if not np.array_equal(found, expected):
            raise ValueError(f"{self.name} reads other values than it wrote")


class Zarrstore(Library):
    name = "zarrstore"
    codecs: ClassVar[dict[str, Any]] = {
        "none": None,
        "blosc": {
            "name": "blosc",
            "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle"},
        },
        "zstd": {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    }

    def __init__(self) -> None:
        self.module = importlib.import_module("zarrstore")
        self.release = f"zarrstore {version('zarrstore')}"

    def create(self, place: Any, spec: Spec) -> Any:
        sharded = {"shards": spec.shards} if spec.shards else {}
        return self.module.create_array(
            place,
            shape=spec.shape,
            chunks=spec.chunks,
            dtype=spec.dtype,
            compressors=self.codecs[spec.codec],
            **sharded,
        )

    def open(self, place: Any) -> Any:
        return self.module.open_array(place, mode="r")

    def write(self, array: Any, data: Any) -> None:
        array[...] = data

    def memory(self) -> Any:
        return self.module.MemoryStore()

    def create_members(self, place: Path, count: int) -> None:
        """Make a group of small arrays."""
        group = self.module.create_group(place)
        for number in range(count):
            group.create_array(f"array-{number}", shape=(100, 100), chunks=(10, 10))

    def members(self, place: Path) -> list[Any]:
        """Open a group, and return all that is in it."""
        return list(self.module.open_group(place, mode="r").members())

    def consolidate(self, place: Path) -> None:
        """Copy the metadata of all members to the group."""
        self.module.consolidate_metadata(place)

    def consolidated_members(self, place: Path) -> list[Any]:
        """Open a group by its consolidated metadata, and return all that is in it."""
        return list(self.module.open_consolidated(place).members())


class Zarr(Library):
    name = "zarr"
    pipeline = "zarr.core.codec_pipeline.BatchedCodecPipeline"

    def __init__(self) -> None:
        self.module = importlib.import_module("zarr")
        codecs = importlib.import_module("zarr.codecs")
        module, kind = self.pipeline.rsplit(".", 1)
        if not hasattr(importlib.import_module(module), kind):
            raise ImportError(f"zarr {self.module.__version__} has no {kind}")
        self.configured = partial(self.module.config.set, {"codec_pipeline.path": self.pipeline})
        self.release = f"zarr {self.module.__version__}"
        self.codecs = {
            "none": None,
            "blosc": codecs.BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
            "zstd": codecs.ZstdCodec(level=1),
        }

    def create(self, place: Any, spec: Spec) -> Any:
        with self.configured():
            return self.module.create_array(
                place,
                shape=spec.shape,
                chunks=spec.chunks,
                shards=spec.shards,
                dtype=spec.dtype,
                compressors=self.codecs[spec.codec],
            )

    def open(self, place: Any) -> Any:
        with self.configured():
            return self.module.open_array(place, mode="r")

    def write(self, array: Any, data: Any) -> None:
        array[...] = data

    def memory(self) -> Any:
        return self.module.storage.MemoryStore()

    def members(self, place: Path) -> list[Any]:
        """Open a group, and return all that is in it."""
        return list(self.module.open_group(place, mode="r", use_consolidated=False).members())

    def consolidate(self, place: Path) -> None:
        """Copy the metadata of all members to the group."""
        with warnings.catch_warnings():  # that it is an extension of the format
            warnings.simplefilter("ignore")
            self.module.consolidate_metadata(place)

    def consolidated_members(self, place: Path) -> list[Any]:
        """Open a group by its consolidated metadata, and return all that is in it."""
        return list(self.module.open_consolidated(place, mode="r").members())


class ZarrFused(Zarr):
    name = "zarr fused"
    pipeline = "zarr.core.codec_pipeline.FusedCodecPipeline"


class Zarrs(Zarr):
    name = "zarrs"
    pipeline = "zarrs.ZarrsCodecPipeline"

    def __init__(self) -> None:
        super().__init__()
        self.release = f"zarrs {version('zarrs')}"


class Tensorstore(Library):
    name = "tensorstore"
    bytes_codec: ClassVar[dict[str, Any]] = {
        "name": "bytes",
        "configuration": {"endian": "little"},
    }
    compressors: ClassVar[dict[str, list[dict[str, Any]]]] = {
        "none": [],
        "blosc": [
            {
                "name": "blosc",
                "configuration": {
                    "cname": "lz4",
                    "clevel": 5,
                    "shuffle": "shuffle",
                    "typesize": 4,
                    "blocksize": 0,
                },
            },
        ],
        "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
    }

    def __init__(self) -> None:
        self.module = importlib.import_module("tensorstore")
        self.release = f"tensorstore {version('tensorstore')}"

    def create(self, place: Any, spec: Spec) -> Any:
        codecs = [self.bytes_codec, *self.compressors[spec.codec]]
        if spec.shards:
            configuration = {
                "chunk_shape": list(spec.chunks),
                "codecs": codecs,
                "index_codecs": [self.bytes_codec, {"name": "crc32c"}],
            }
            codecs = [{"name": "sharding_indexed", "configuration": configuration}]
        metadata = {
            "shape": list(spec.shape),
            "data_type": spec.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(spec.shards or spec.chunks)},
            },
            "codecs": codecs,
        }
        return self._open(place, create=True, metadata=metadata)

    def open(self, place: Any) -> Any:
        return self._open(place)

    def _open(self, place: Any, **more: Any) -> Any:
        if isinstance(place, Path):
            # nobody else waits for the disk
            kvstore = {"driver": "file", "path": str(place), "file_io_sync": False}
            context = None
        else:
            kvstore, context = {"driver": "memory"}, place
        spec = {"driver": "zarr3", "kvstore": kvstore, **more}
        return self.module.open(spec, context=context).result()

    def write(self, array: Any, data: Any) -> None:
        array.write(data).result()

    def read(self, array: Any, selection: Any = ...) -> Any:
        return array[selection].read().result()

    def memory(self) -> Any:
        return self.module.Context()


@dataclass(frozen=True)
class _Files:
    """An array of the bare loop: a file for each chunk, known beforehand."""

    spec: Spec
    folders: list[str]
    chunks: list[tuple[str, tuple[slice, ...]]]


class BareLoop(Library):
    """A thread for each core, and in each a loop in plain Python.

    The system's ``open`` and ``read``, decode with numcodecs, copy; and copy, encode, ``write`` to
    a temporary file, rename. The paths and slices are made beforehand, and nothing is checked.
    """

    name = "bare loop"

    def __init__(self) -> None:
        numcodecs = importlib.import_module("numcodecs")
        self.release = f"bare loop with numcodecs {version('numcodecs')}"
        self.codecs = {
            "none": None,
            "blosc": numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE),
            "zstd": numcodecs.Zstd(level=1),
        }
        self.threads = os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(self.threads)
        self.made: dict[Path, _Files] = {}

    def create(self, place: Any, spec: Spec) -> _Files:
        lengths = zip(spec.shape, spec.chunks, strict=True)
        chunks = []
        for index in itertools.product(*(range(-(-full // part)) for full, part in lengths)):
            path = os.path.join(place, *map(str, index))
            starts = zip(index, spec.chunks, strict=True)
            chunks.append((path, tuple(slice(i * part, (i + 1) * part) for i, part in starts)))
        folders = list(dict.fromkeys(os.path.dirname(path) for path, _ in chunks))
        self.made[place] = _Files(spec, folders, chunks)
        return self.made[place]

    def open(self, place: Any) -> _Files:
        return self.made[place]

    def write(self, array: _Files, data: Any) -> None:
        for folder in array.folders:
            os.makedirs(folder, exist_ok=True)
        self._share(self._write_some, array, data)

    def read(self, array: _Files, selection: Any = ...) -> Any:
        if selection is not ...:
            raise NotImplementedError("the bare loop reads whole arrays")
        out = np.empty(array.spec.shape, array.spec.dtype)
        self._share(self._read_some, array, out)
        return out

    def _share(self, work: Callable[..., None], array: _Files, data: Any) -> None:
        """Do every n-th chunk in each of n threads."""
        codec = self.codecs[array.spec.codec]
        shares = (array.chunks[start :: self.threads] for start in range(self.threads))
        list(self.pool.map(lambda chunks: work(codec, array.spec, chunks, data), shares))

    @staticmethod
    def _write_some(codec: Any, _: Spec, chunks: list[tuple[str, Any]], data: Any) -> None:
        for path, selection in chunks:
            chunk = np.ascontiguousarray(data[selection])
            encoded = chunk if codec is None else codec.encode(chunk)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(path + ".partial", flags)
            os.write(descriptor, encoded)
            os.close(descriptor)
            os.replace(path + ".partial", path)

    @staticmethod
    def _read_some(codec: Any, spec: Spec, chunks: list[tuple[str, Any]], out: Any) -> None:
        size = math.prod(spec.chunks) * out.itemsize + 4096
        for path, selection in chunks:
            descriptor = os.open(path, os.O_RDONLY)
            encoded = os.read(descriptor, size)
            os.close(descriptor)
            decoded = encoded if codec is None else codec.decode(encoded)
            out[selection] = np.frombuffer(decoded, spec.dtype).reshape(spec.chunks)
