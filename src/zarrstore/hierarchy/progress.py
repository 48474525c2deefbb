"""Progress of long work: a callback, or a bar."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from zarrstore.chunks import Progress
from zarrstore.forks import ForkSafeLock, PerProcess
from zarrstore.hierarchy.facts import human_size, printable

__all__ = ["reporting"]

_Bar: TypeAlias = Callable[[int, int | None], None]

_REFRESHES = 10
"""Of the display of a notebook, in a second."""


@contextmanager
def reporting(
    progress: Progress | bool | None, what: str, unit: str = "chunks"
) -> Iterator[Progress | None]:
    """Yield a callback for what a user asked: ``True`` is a bar, made by ``rich``.

    The callback is called with how much is done, and of how much: this may grow, and is ``None``
    while it is not known. What it raises is raised by the work it reports.

    Parameters
    ----------
    progress : callable or bool, optional
    what : str
        Stands before the bar.
    unit : str
        Of what is counted: ``"bytes"`` are shown as KiB, MiB and so on.

    Raises
    ------
    ImportError
        If a bar is asked for and ``rich`` is not installed.

    Examples
    --------
    >>> with reporting(lambda done, total: print(done, total), "copying") as callback:
    ...     callback(1, 2)
    1 2
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with _DISPLAY.get().bar(what, unit) as bar:
            yield bar
    else:
        yield progress


class _Display:
    """The bars of a process, one below the other; they are shown while any of them is in use."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._users = 0
        self._bars: Any = None
        self._notebook: _Notebook | None = None

    @contextmanager
    def bar(self, what: str, unit: str) -> Iterator[_Bar]:
        """Show a bar; of bars within others only the outermost stays when all is done."""
        with self._lock:
            is_first = not self._users
            if is_first:
                self._start()
            bars, notebook = self._bars, self._notebook
            number = bars.add_task(printable(what), total=None, **_texts(0, None, unit))
            task = bars.tasks[-1]
            if notebook is not None:
                notebook.show(bars, now=True)
            self._users += 1

        def update(done: int, total: int | None) -> None:
            if total != task.total:  # as rich would, but it forgets how fast the work was
                task.total = total
                task.finished_time = None
            bars.update(number, completed=done, **_texts(done, total, unit))
            if notebook is not None:
                notebook.show(bars)

        try:
            yield update
            if task.total is None:
                update(task.completed, task.completed)
        finally:
            with self._lock:
                self._users -= 1
                if not is_first:
                    bars.remove_task(number)
                if not self._users:
                    self._stop()

    def _start(self) -> None:
        try:
            import rich
            from rich import errors, progress
        except ImportError as error:
            raise ImportError(
                "progress=True needs rich: pip install 'zarrstore[cli]', or give a callback"
            ) from error
        in_notebook = rich.get_console().is_jupyter
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[part]}", markup=False),
            progress.TextColumn("{task.fields[amount]}", markup=False),
            progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            disable=in_notebook,
        )
        self._notebook = _Notebook() if in_notebook else None
        with suppress(errors.LiveError):  # older versions show one display at a time
            self._bars.start()

    def _stop(self) -> None:
        if self._notebook is not None:
            self._notebook.show(self._bars, now=True)
        self._bars.stop()
        self._bars = self._notebook = None


_DISPLAY = PerProcess(_Display)


def _texts(done: int, total: int | None, unit: str) -> dict[str, str]:
    """Return what stands behind a bar: the part that is done, and how much."""
    if unit == "bytes":
        said, of_all = human_size(done), "" if total is None else f" of {human_size(total)}"
    else:
        said, of_all = f"{done:,}", f" {unit}" if total is None else f"/{total:,} {unit}"
    part = "" if total is None else f"{done / total if total else 1:>4.0%}"
    return {"part": part, "amount": said + of_all}


class _Notebook:
    """The output of a notebook's cell that the bars are drawn to.

    Rich's own way needs widgets, which a saved notebook does not show.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = 0.0
        self._lock = ForkSafeLock()

    def show(self, bars: Any, *, now: bool = False) -> None:
        """Draw the bars, unless they were a moment ago."""
        with self._lock:
            if not now and time.monotonic() - self._shown < 1 / _REFRESHES:
                return
            self._shown = time.monotonic()
            table = bars.make_tasks_table(bars.tasks)
            if self._handle is None:
                display = importlib.import_module("IPython.display").display
                self._handle = display(table, display_id=True)
            else:
                self._handle.update(table)
