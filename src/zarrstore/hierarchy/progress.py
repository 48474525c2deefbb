"""Progress of long work: a callback, or a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zarrstore.chunks import Progress

__all__ = ["reporting"]


@contextmanager
def reporting(progress: Progress | bool | None, what: str) -> Iterator[Progress | None]:
    """Yield a callback for what a user asked: ``True`` is a bar, made by ``rich``.

    Raises
    ------
    ImportError
        If a bar is asked for and ``rich`` is not installed.
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with _bar(what) as callback:
            yield callback
    else:
        yield progress


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], Any]]:
    try:
        import rich.progress
    except ImportError as error:
        raise ImportError(
            "progress=True needs rich: pip install 'zarrstore[cli]', or give a callback"
        ) from error
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.completed}/{task.total} chunks"),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
