"""Which scheduler runs a graph, whether a store can be used with it, and its progress."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask
import dask.local
import dask.multiprocessing
import dask.threaded
from dask.base import get_scheduler
from dask.callbacks import Callback
from dask.system import CPU_COUNT

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress
from zarrstore.errors import NotShareableError

__all__ = ["batch_bytes", "check_shared", "run_graph", "scheduler_of"]

_BATCH_BYTES = 2**24
_BATCH_BYTES_APART = 2**20
"""Of blocks in several processes, that have to be sent to the one that writes them together."""

_IMPORTED_BY = os.getpid()


def scheduler_of(scheduler: Any = None) -> Callable[..., Any]:
    """Return what computes graphs: as given, as configured, the current client, or threads."""
    found: Callable[..., Any] = get_scheduler(scheduler=scheduler) or dask.threaded.get
    return found


def _client(get: Any) -> Any:
    """Return the client of `distributed` that a scheduler function is of, or ``None``."""
    owner = getattr(get, "__self__", None)
    return owner if hasattr(owner, "scheduler_info") and hasattr(owner, "submit") else None


def _stays_here(get: Any) -> bool:
    """Tell whether all tasks run in this process."""
    if get in (dask.threaded.get, dask.local.get_sync):
        return True
    client = _client(get)
    if client is None:
        # an executor of threads, or one that is not known, and may be of processes
        executor = getattr(next(iter(getattr(get, "args", ())), None), "__self__", None)
        return type(executor).__name__ in ("ThreadPoolExecutor", "SynchronousExecutor")
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return bool(workers) and all(address.startswith("inproc://") for address in workers)


def batch_bytes(get: Any) -> int:
    """Return how many bytes of small blocks beside each other one task writes."""
    return _BATCH_BYTES if _stays_here(get) else _BATCH_BYTES_APART


def check_shared(stores: Iterable[Store], get: Any) -> None:
    """Raise `NotShareableError` if tasks run in other processes, and a store is of this one."""
    apart = [store for store in stores if Capability.SHARED not in store.capabilities]
    if apart and not _stays_here(get):
        store = apart[0]
        raise NotShareableError(
            f"{type(store).__name__} {store.url} lives in this process, and the scheduler runs "
            "tasks in others, where it cannot be opened; use scheduler='threads', or write to a "
            "store that processes share, such as a directory (zarrstore.copy_store makes a zip "
            "file of it)",
            store=store.url,
        )


def run_graph(
    tasks: Mapping[Any, Any],
    result: Any,
    writes: Collection[Any],
    get: Callable[..., Any],
    progress: Progress | None = None,
    **kwargs: Any,
) -> Any:
    """Compute a key of a graph.

    Parameters
    ----------
    tasks : mapping
    result : key
    writes : collection of keys
        Of these is told how many are done.
    get : callable
        The scheduler.
    progress : callable, optional
    **kwargs
        For the scheduler.
    """
    if get is dask.threaded.get and os.getpid() != _IMPORTED_BY and not _pool(kwargs):
        # those that dask has were forked, and their threads do not exist here
        with ThreadPoolExecutor(_workers(kwargs)) as pool:
            return run_graph(tasks, result, writes, get, progress, **{**kwargs, "pool": pool})
    if progress is None:
        (found,) = get(tasks, [result], **kwargs)
        return found
    progress(0, len(writes))
    client = _client(get)
    if client is None:
        with _Counting(frozenset(writes), progress):
            (found,) = get(tasks, [result], **kwargs)
        return found
    return _run_distributed(client, tasks, result, list(writes), progress, kwargs)


def _pool(kwargs: Mapping[str, Any]) -> Any:
    return kwargs.get("pool") or dask.config.get("pool", None)


def _workers(kwargs: Mapping[str, Any]) -> int:
    found: int = kwargs.get("num_workers") or dask.config.get("num_workers", None) or CPU_COUNT
    return found


class _Counting(Callback):  # type: ignore[misc]
    """Counts the tasks that write, for the schedulers of dask itself."""

    def __init__(self, writes: frozenset[Any], progress: Progress) -> None:
        super().__init__()
        self._writes = writes
        self._tell = progress
        self._done = 0
        self._lock = threading.Lock()

    def _posttask(self, key: Any, *_: object) -> None:
        if key in self._writes:
            with self._lock:
                self._done += 1
                self._tell(self._done, len(self._writes))


def _run_distributed(
    client: Any,
    tasks: Mapping[Any, Any],
    result: Any,
    writes: list[Any],
    progress: Progress,
    kwargs: dict[str, Any],
) -> Any:
    from distributed import as_completed

    futures = client.get(tasks, [result, *writes], sync=False, **kwargs)
    try:
        for done, future in enumerate(as_completed(futures[1:], loop=client.loop), 1):
            if future.status == "error":
                future.result()
            progress(done, len(writes))
        return futures[0].result()
    finally:
        for future in futures:  # what nobody waits for is not done
            future.release()
