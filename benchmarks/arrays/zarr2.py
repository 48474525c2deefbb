"""zarr 2, in an environment and a process of its own: it cannot be installed beside zarr 3."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arrays.libraries import Library, Spec
from benchmarks.workers import Worker


class Zarr2(Library):
    """The last zarr 2, timed by a worker process that is told what to do."""

    name = "zarr 2.18"

    def __init__(self, folder: Path) -> None:
        self.worker = Worker("benchmarks.arrays.zarr2_worker")
        version, python = self.worker.ask({"do": "versions"})
        self.release = f"zarr {version} (Python {python})"
        self.folder = folder
        self.data: tuple[Any, Path] | None = None
        self.numbers = itertools.count()

    def _write(self, do: str, place: Any, spec: Spec, data: Any) -> float:
        if spec.shards:
            raise NotImplementedError("zarr 2 has no shards")
        request = {
            "do": do,
            "shape": spec.shape,
            "chunks": spec.chunks,
            "dtype": spec.dtype,
            "codec": spec.codec,
            "data": str(self._saved(data)),
        }
        return float(self.worker.ask(request | _place(place)))

    def _saved(self, data: Any) -> Path:
        """Return a file with the data."""
        if self.data is None or self.data[0] is not data:
            if self.data:
                self.data[1].unlink()
            self.data = data, self.folder / f"zarr2-{next(self.numbers)}.npy"
            np.save(self.data[1], data)
        return self.data[1]

    def create(self, place: Any, spec: Spec) -> Any:
        raise NotImplementedError(f"the worker creates arrays: {place}, {spec}")

    def open(self, place: Any) -> Any:
        raise NotImplementedError(f"the worker opens arrays: {place}")

    def write(self, array: Any, data: Any) -> None:
        raise NotImplementedError(f"the worker writes arrays: {array}, {data}")

    def memory(self) -> str:
        return f"memory-{next(self.numbers)}"

    def fill(self, place: Any, spec: Spec, data: Any) -> None:
        self._write("fill", place, spec, data)

    def time_write(self, place: Any, spec: Spec, data: Any) -> float:
        taken = self._write("write", place, spec, data)
        if not isinstance(place, Path):
            self.worker.ask({"do": "forget"} | _place(place))
        return taken

    def time_read(self, place: Any) -> float:
        return float(self.worker.ask({"do": "read"} | _place(place)))

    def close(self) -> None:
        """End the worker."""
        self.worker.close()


def _place(place: Any) -> dict[str, Any]:
    return {"place": str(place), "in_memory": not isinstance(place, Path)}
