"""Measuring cells: the candidates take turns, and every time is kept."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.arrays.libraries import (
    BareLoop,
    Library,
    Tensorstore,
    Zarr,
    ZarrFused,
    Zarrs,
    Zarrstore,
)
from benchmarks.arrays.zarr2 import Zarr2

Measure = Callable[[], float]
UNITS = {"µs": 1e6, "ms": 1e3, "s": 1.0, "MiB": 2.0**-20}


@dataclass
class Plan:
    """A cell to measure: for each candidate, a function that prepares and returns a measurement.

    A measurement returns seconds, or bytes. What is prepared may also raise: the candidate is then
    left out, and the table says why.
    """

    labels: dict[str, str]
    candidates: Mapping[str, Callable[[], Measure]]
    unit: str = "µs"
    must: float | None = None
    """The most that ours may be, in seconds or bytes."""
    rounds: int | None = None


@dataclass
class Cell:
    """What was measured."""

    labels: dict[str, str]
    unit: str
    must: float | None
    names: list[str]
    times: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def best(self, name: str) -> float | None:
        """Return the least that was measured of a candidate."""
        return min(self.times[name]) if self.times.get(name) else None

    def shown(self, name: str) -> float | None:
        """Return the least in the unit of this cell."""
        best = self.best(name)
        return None if best is None else best * UNITS[self.unit]


@dataclass
class Session:
    """The libraries that are there, the folder to write to, and how often to measure."""

    folder: Path
    rounds: int
    side: int
    is_quick: bool
    libraries: dict[str, Library] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    wanted: Callable[[dict[str, str]], bool] = lambda _: True
    is_flat: bool = False
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def load(self, names: list[str]) -> None:
        """Find the libraries that are installed."""
        makers: dict[str, Callable[[], Library]] = {
            kind.name: kind for kind in (Zarrstore, Zarr, ZarrFused, Zarrs, Tensorstore, BareLoop)
        }
        makers[Zarr2.name] = lambda: Zarr2(self.folder)
        for name in [name for name in makers if not names or name in (*names, Zarrstore.name)]:
            try:
                self.libraries[name] = makers[name]()
            except (ImportError, OSError) as error:
                self.missing[name] = str(error)

    def close(self) -> None:
        """End what was started, and delete what was written."""
        for library in self.libraries.values():
            if isinstance(library, Zarr2):
                library.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def those(self, *names: str) -> list[Library]:
        """Return the libraries of these names that are there."""
        return [self.libraries[name] for name in names if name in self.libraries]

    def fresh(self) -> Path:
        """Return a path where nothing is."""
        return self.folder / "cells" / str(next(self.numbers))

    def data(self) -> Any:
        """Return the values that are written."""
        values = temperatures(self.side)
        return values.ravel() if self.is_flat else values

    def measure(self, plan: Plan, tick: Callable[[], None]) -> Cell:
        """Measure a cell, in turns."""
        cell = Cell(plan.labels, plan.unit, plan.must, list(plan.candidates))
        ready: dict[str, Measure] = {}
        for name, prepare in plan.candidates.items():
            with _noting(cell, name):
                ready[name] = prepare()
        for turn in range(plan.rounds or self.rounds):
            order = list(ready)
            first = turn % max(1, len(order))
            for name in order[first:] + order[:first]:
                with _noting(cell, name):
                    cell.times.setdefault(name, []).append(ready[name]())
            for name in cell.failed:
                ready.pop(name, None)
            tick()
        shutil.rmtree(self.folder / "cells", ignore_errors=True)
        return cell

    def run(self, title: str, plans: list[Plan]) -> list[Cell]:
        """Measure all cells of a part that are wanted."""
        plans = [plan for plan in plans if self.wanted(plan.labels)]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        cells = []
        console = Console(stderr=True)
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
            task = bar.add_task(title, total=sum(plan.rounds or self.rounds for plan in plans))
            for plan in plans:
                bar.update(task, description=f"{title}: {', '.join(plan.labels.values())}")
                cells.append(self.measure(plan, lambda: bar.advance(task)))
        return cells

    def facts(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "where": file_system(self.folder),
            "rounds": self.rounds,
            "side": self.side,
            "is_flat": self.is_flat,
            "is_quick": self.is_quick,
            "releases": list(dict.fromkeys(one.release for one in self.libraries.values())),
            "missing": sorted(self.missing),
        }


@contextmanager
def _noting(cell: Cell, name: str) -> Iterator[None]:
    """Leave out a candidate that fails, and keep what it said."""
    try:
        yield
    except Exception as error:
        cell.failed[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        cell.times.pop(name, None)


@lru_cache(maxsize=2)
def temperatures(side: int) -> Any:
    """Return a smooth field in kelvin with noise of 0.1 K, as a sensor or a model has it.

    In blocks of 256 KiB, blosc makes it 1.9 times smaller, zstd 1.4 times.
    """
    y = np.linspace(0, 1, side, dtype="float32")[:, np.newaxis]
    x = np.linspace(0, 1, side, dtype="float32")
    smooth = 280 + 20 * np.cos(np.pi * y) + 5 * np.sin(6 * np.pi * x) * np.sin(4 * np.pi * y)
    noise = np.random.default_rng(0).normal(0, 0.1, (side, side))
    return (smooth + noise).astype("float32")


def file_system(folder: Path) -> str:
    """Return the kind of file system of a folder, such as tmpfs."""
    try:
        with open("/proc/mounts") as file:
            mounts = [line.split()[1:3] for line in file]
    except OSError:
        return "unknown"
    path = str(folder.resolve())
    under = [
        (len(point), kind)
        for point, kind in mounts
        if (path + "/").startswith(point.rstrip("/") + "/")
    ]
    return max(under, default=(0, "unknown"))[1]
