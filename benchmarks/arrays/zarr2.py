"""zarr 2, in an environment and a process of its own: it cannot be installed beside zarr 3."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arrays.libraries import Library, Spec

ROOT = Path(__file__).parents[2]
PACKAGES = ["zarr==2.18.7", "numcodecs<0.16", "numpy<2.3"]


class Zarr2(Library):
    """The last zarr 2, timed by a worker process that is told what to do.

    Its environment is made when it is first used, with Python 3.11 where there is one, and kept in
    the user's cache folder.
    """

    name = "zarr 2.18"

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [_environment(), "-m", "benchmarks.arrays.zarr2_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        version, python = self._ask({"do": "versions"})
        self.release = f"zarr {version} (Python {python})"
        self.folder = folder
        self.data: tuple[Any, Path] | None = None
        self.numbers = itertools.count()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ImportError(f"the worker of zarr 2 ended with {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["answer"]

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
        return float(self._ask(request | _place(place)))

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
            self._ask({"do": "forget"} | _place(place))
        return taken

    def time_read(self, place: Any) -> float:
        return float(self._ask({"do": "read"} | _place(place)))

    def close(self) -> None:
        """End the worker."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def _place(place: Any) -> dict[str, Any]:
    return {"place": str(place), "in_memory": not isinstance(place, Path)}


def _environment() -> str:
    """Return the interpreter of an environment that has zarr 2."""
    python = next(python for python in ("python3.11", sys.executable) if _works(python))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    there = cache / "zarrstore-benchmarks" / f"{PACKAGES[0]}-{Path(python).name}"
    interpreter = there / "bin" / "python"
    if not (there / "complete").exists():
        print(f"Installing {' '.join(PACKAGES)} in {there}", file=sys.stderr)
        try:
            subprocess.run([python, "-m", "venv", "--clear", there], check=True)
            command = [str(interpreter), "-m", "pip", "install", "-qq", *PACKAGES]
            subprocess.run(command, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(there, ignore_errors=True)
            raise ImportError(f"zarr 2 cannot be installed: {error}") from error
        (there / "complete").touch()
    return str(interpreter)


def _works(python: str) -> bool:
    """Tell whether there is such a Python; a shim may be there without one."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False
