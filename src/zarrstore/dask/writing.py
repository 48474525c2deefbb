"""`to_zarr`, `store`, `store_dask` and `plan_store`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeAlias, cast, get_args, overload

import dask
from dask.highlevelgraph import HighLevelGraph
from dask.optimization import cull
from dask.utils import parse_bytes

from zarrstore.chunks import Progress
from zarrstore.dask.checks import Casting, check_casting, check_names, check_progress, check_source
from zarrstore.dask.done_parts import number_of, outdate_notes
from zarrstore.dask.graph import Job, write_graph
from zarrstore.dask.orders import Order, listed, orders_of, target_at
from zarrstore.dask.plan import Align, ArrayPlan, StorePlan, pieces_of, plan_array
from zarrstore.dask.reads import targets_read
from zarrstore.dask.results import StoreResult, StoreTask
from zarrstore.dask.resuming import Done, complete_keys, find_done, find_noted, find_waiting
from zarrstore.dask.running import batch_bytes, check_shared, scheduler_of
from zarrstore.dask.staging import check_can_wait
from zarrstore.dask.targets import Target, begin
from zarrstore.dask.tasks import Writer
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.options import ArrayOptions
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.registry import StoreLike

__all__ = ["plan_store", "store", "store_dask", "to_zarr"]

Mode: TypeAlias = Literal["r+", "a", "w", "w-"]


@overload
def to_zarr(
    array: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    chunks: Any = None,
    shards: Any = None,
    region: Any = None,
    mode: Mode | None = None,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: Literal[True] = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    **create: Any,
) -> StoreResult: ...
@overload
def to_zarr(
    array: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    chunks: Any = None,
    shards: Any = None,
    region: Any = None,
    mode: Mode | None = None,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: Literal[False],
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    **create: Any,
) -> StoreTask: ...
def to_zarr(
    array: Any,
    store_like: StoreLike,
    path: str = "",
    *,
    chunks: Any = None,
    shards: Any = None,
    region: Any = None,
    mode: Mode | None = None,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: bool = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    **create: Any,
) -> StoreResult | StoreTask:
    """Write a dask array to an array in a store; no element is lost, however both are cut.

    Parameters
    ----------
    array : dask.array.Array
    store_like : optional
        Whatever `zarrstore.open_store` accepts, a group, or an `Array` to write into.
    path : str, default ""
        In the store; the root by default.
    chunks, shards : optional
        Of a new array, as in `zarrstore.create_array`. By default the chunks are the blocks of
        the dask array, if they are of one shape, and of about 1 MiB if not.
    region : tuple of int and slice, optional
        Where to write in an array that is there. Chunks that it has a part of are read, changed
        and written once.
    mode : {"w-", "w", "a", "r+"}, optional
        ``w-`` a new array, the default; ``w`` replaces one that is there, which stays as it is
        until the new one is complete; ``r+`` writes into one that is there, the default with a
        region; ``a`` either.
    align : {"auto", "error", "rechunk", "lock"}, default "auto"
        What becomes of blocks that share chunks or shards. ``rechunk``: they are cut and joined
        where chunks end. ``lock``: those that share one write it one after the other. ``auto``:
        the first, or the second where blocks would become too large for the memory. ``error``:
        `AlignmentError`, with the plan.
    casting : {"no", "equiv", "safe", "same_kind", "unsafe"}, default "safe"
        How elements may be cast to the dtype of the stored array, as in numpy.
    compute : bool, default True
        Whether to write now; if not, a `StoreTask` is returned.
    progress : callable or bool, optional
        Called with the number of tasks that have written and of all; ``True`` shows a bar.
    resume : bool, default False
        Go on with a write of the same data that was broken off: what is there is not written
        again. With ``r+``, of a dask array made of the array itself: what waits is put there.
    scheduler : optional
        As dask takes it; by default what is configured, the current client, or threads.
    storage_options : mapping, optional
        For the backend of a URL.
    **create
        Other options of a new array, as in `zarrstore.create_array`.

    Returns
    -------
    StoreResult
        With the keys, sizes and checksums of all that was written; ``result.verify()`` reads it
        back.

    Raises
    ------
    ValueError
        If shapes differ, or chunk sizes are unknown.
    TypeError
        If elements would be changed by being cast, those of a block too.
    NotShareableError
        If the scheduler runs tasks in other processes, and the store lives in this one.
    NodeExistsError, NodeNotFoundError
        If the mode needs an array that is not there, or forbids one that is.
    ConflictError
        If the array was replaced since it was opened, or another write into it is to go on first.

    Examples
    --------
    >>> import dask.array as da
    >>> result = to_zarr(da.arange(10, chunks=3), "memory://numbers", chunks=4)
    >>> result.array[:].tolist(), sorted(result.keys), result.verify()
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], ['c/0', 'c/1', 'c/2'], 3)
    """
    check_source(array)
    check_progress(progress)
    options = _creation(array, chunks, shards, create)
    mode = mode or ("w-" if region is None and not isinstance(store_like, Array) else "r+")
    if mode not in get_args(Mode):
        raise ValueError(f"mode is one of {', '.join(get_args(Mode))}, not {mode!r}")
    if mode in ("w", "w-") and region is not None:
        raise ValueError(
            f"a region is of an array that is there, and mode {mode!r} makes a new one"
        )
    target = target_at(store_like, path, mode, options, resume, storage_options, region)
    if target.kind == "update" and (create or chunks is not None or shards is not None):
        given = {**create, "chunks": chunks, "shards": shards}
        names = ", ".join(sorted(name for name, value in given.items() if value is not None))
        raise ValueError(f"{target.core.url} is there, and keeps its own {names}: leave it out")
    order = Order(array, target, region, mode)
    task = task_of([order], align, casting, None, scheduler if compute else False)
    return task.compute(scheduler=scheduler, progress=progress) if compute else task


_OF_DASK = {"component": "path=", "overwrite": "mode='w'"}


def _creation(array: Any, chunks: Any, shards: Any, create: Mapping[str, Any]) -> ArrayOptions:
    for name in create.keys() & _OF_DASK.keys():
        raise TypeError(f"{name}= is dask's own; use {_OF_DASK[name]} here")
    for name in create.keys() & {"shape", "data"}:
        raise TypeError(f"{name}= is that of the dask array: leave it out")
    options = {"dtype": array.dtype, **create, "shape": array.shape}
    if shards is not None:
        options["shards"] = shards
    if chunks is not None:
        options["chunks"] = chunks
    elif shards is None:
        regular = all(isinstance(pieces_of(lengths), int) for lengths in array.chunks)
        options["chunks"] = array.chunksize if regular and array.size else "auto"
    return cast("ArrayOptions", options)


@overload
def store(
    sources: Any,
    targets: Any,
    regions: Any = None,
    *,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: Literal[True] = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    split_every: int | None = None,
) -> StoreResult: ...
@overload
def store(
    sources: Any,
    targets: Any,
    regions: Any = None,
    *,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: Literal[False],
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    split_every: int | None = None,
) -> StoreTask: ...
def store(
    sources: Any,
    targets: Any,
    regions: Any = None,
    *,
    align: Align = "auto",
    casting: Casting = "safe",
    compute: bool = True,
    progress: Progress | bool | None = None,
    resume: bool = False,
    scheduler: Any = None,
    split_every: int | None = None,
) -> StoreResult | StoreTask:
    """Write dask arrays into arrays that are there, in one graph.

    Parameters
    ----------
    sources : dask.array.Array, or sequence of them
    targets : Array, or sequence of them
        One for each source; of zarrstore, or of zarr-python. The same may be there twice, with
        regions that do not overlap.
    regions : tuple of int and slice, or sequence of them, optional
        One for each source, or one for all; ``None`` is all of an array.
    align, casting, compute, progress, resume, scheduler
        As in `to_zarr`.
    split_every : int, optional
        How many receipts are merged at a time.

    Examples
    --------
    >>> import dask.array as da, zarrstore
    >>> array = zarrstore.create_array({}, shape=6, chunks=4, dtype="int64")
    >>> halves = da.arange(3, chunks=1), da.arange(3, 6, chunks=3)
    >>> store(halves, [array, array], [slice(0, 3), slice(3, 6)]).plan.partial
    2
    >>> array[:]
    array([0, 1, 2, 3, 4, 5])
    """
    check_progress(progress)
    orders = orders_of(sources, targets, regions, resume=resume)
    task = task_of(orders, align, casting, split_every, scheduler if compute else False)
    return task.compute(scheduler=scheduler, progress=progress) if compute else task


def store_dask(
    *,
    sources: Any,
    targets: Any,
    regions: Any = None,
    split_every: int | None = None,
    **store_kwargs: Any,
) -> StoreResult:
    """Write dask arrays into arrays that are there; return the receipts, merged by a tree.

    Parameters
    ----------
    sources, targets, regions
        As in `store`.
    split_every : int, optional
        How many receipts are merged at a time; 16 by default.
    **store_kwargs
        Others of `store`.

    Examples
    --------
    >>> import dask.array as da, zarrstore
    >>> array = zarrstore.create_array({}, shape=6, chunks=2, dtype="int64")
    >>> len(store_dask(sources=[da.ones(6, chunks=1, dtype=int)], targets=[array]).keys)
    3
    """
    return store(sources, targets, regions, split_every=split_every, compute=True, **store_kwargs)


def plan_store(
    sources: Any,
    targets: Any = None,
    regions: Any = None,
    *,
    align: Align = "auto",
    **create: Any,
) -> StorePlan:
    """Plan a write: who writes which chunk or shard. Nothing is computed or written.

    Parameters
    ----------
    sources : dask.array.Array, or sequence of them
    targets : Array, or sequence of them, optional
        As in `store`; without them of new arrays.
    regions : tuple of int and slice, or sequence of them, optional
    align : {"auto", "error", "rechunk", "lock"}, default "auto"
    **create
        Options of new arrays: ``chunks``, ``shards``, ``dtype`` ..., as in `to_zarr`.

    Returns
    -------
    StorePlan
        Printed it is a table; in a notebook the blocks are drawn over the chunks.

    Examples
    --------
    >>> import dask.array as da
    >>> plan = plan_store(da.ones(100, chunks=10), chunks=4, shards=20)
    >>> plan.conflicts, plan.ntasks, plan.has_one_writer, plan[0].writers([3])
    (5, 5, True, [(3,)])
    """
    if targets is not None:
        if create:
            raise TypeError(f"{', '.join(sorted(create))}: the targets have their own")
        orders = orders_of(sources, targets, regions, writable=False)
        return StorePlan([plan_order(order, align) for order in orders])
    if regions is not None:
        raise TypeError("regions are of targets: give both")
    plans = []
    for source in listed(sources):
        check_source(source)
        spec = new_spec(source, **create)
        together = batch_bytes(scheduler_of())
        plans.append(_planned(source, spec, None, align, "a new array", together))
    return StorePlan(plans)


def new_spec(source: Any, *, chunks: Any = None, shards: Any = None, **create: Any) -> ArraySpec:
    """Return how a new array for a dask array is stored."""
    options = _creation(source, chunks, shards, create)
    return compile_spec(array_document(options, options.get("zarr_format") or 3))


def plan_order(order: Order, align: Align, scheduler: Any = None) -> ArrayPlan:
    """Plan a write by a scheduler, without its being begun."""
    core, target = order.target.core, order.target
    if target.staged or target.noted:  # the parts are the same with another scheduler
        together = batch_bytes()
    else:  # chunks that are there are looked for by each block
        together = 0 if target.resumed else batch_bytes(scheduler_of(scheduler))
    return _planned(order.source, core.spec, order.region, align, core.url, together)


def _planned(
    source: Any, spec: ArraySpec, region: Any, align: Align, url: str, together: int
) -> ArrayPlan:
    most = 2 * parse_bytes(dask.config.get("array.chunk-size", "128MiB"))
    return plan_array(
        source.chunks, spec, region, align, url=url, most_bytes=most, batch_bytes=together
    )


def task_of(
    orders: Sequence[Order],
    align: Align,
    casting: Casting,
    split_every: int | None,
    scheduler: Any,
    publish: Callable[[], None] | None = None,
) -> StoreTask:
    """Return a write, after all that can be refused is; what is in the way is cleared."""
    for order in orders:
        core = order.target.core
        check_casting(order.source.dtype, core.spec.dtype, casting, core.url)
    stores = [order.target.core.store for order in orders]
    if scheduler is not False:
        check_shared(stores, scheduler_of(scheduler))
    blocks = _blocks([order.source for order in orders])
    updated = [order.target.core for order in orders if order.target.kind == "update"]
    read = targets_read(blocks, updated)
    staged = [replace(order, target=_staged(order.target, read)) for order in orders]
    plan = StorePlan([plan_order(order, align, scheduler or None) for order in staged])
    targets = tuple(
        [
            _numbered(now.target, each, all_waits=order.target.staged)
            for order, now, each in zip(orders, staged, plan, strict=True)
        ]
    )
    jobs = []
    attempt = uuid.uuid4().hex
    for order, each, target in zip(orders, plan, targets, strict=True):
        spans = tuple([axis.span for axis in each.axes])
        writer = Writer(target, attempt, order.source.dtype, spans, casting)
        jobs.append(Job(order.source.name, each, writer))
    graph = write_graph(jobs, split_every)  # refuses what overlaps, before anything is written
    threes = zip(orders, plan, targets, strict=True)
    done = [_begun(*three) for three in threes]
    goes_on = any(each.tasks or each.waiting for each in done)
    if goes_on:
        left = [_without(job, each) for job, each in zip(jobs, done, strict=True)]
        graph = write_graph(left, split_every)
    name = f"zarrstore-{dask.base.tokenize(graph.writes, graph.receipts)}"
    tasks = {**graph.with_blocks(blocks), name: (_listing, graph.receipts)}
    if goes_on:  # not every scheduler leaves out what nobody needs
        tasks, _ = cull(tasks, [name])
    return StoreTask(
        HighLevelGraph.from_collections(name, tasks, []),
        name,
        graph.writes,
        targets,
        plan,
        tuple([each.receipt or {} for each in done]),
        attempt,
        publish,
    )


def _staged(target: Target, read: Collection[str]) -> Target:
    """Let data wait where it would be put over what is read meanwhile."""
    is_read = target.core.url in read
    staged = target.kind == "replace" or (target.kind == "update" and is_read)
    return replace(target, staged=staged or target.staged)


def _numbered(target: Target, plan: ArrayPlan, *, all_waits: bool) -> Target:
    """Give an update that can go on later the number that it will have then."""
    begins = target.noted and not all_waits
    return replace(target, number=number_of(plan)) if begins else target


def _blocks(sources: Sequence[Any]) -> dict[Any, Any]:
    """Return the graph that computes the blocks of dask arrays."""
    if not sources:
        return {}
    check_names(sources)
    merged = HighLevelGraph.merge(*[source.__dask_graph__() for source in sources])
    keys = [source.__dask_keys__() for source in sources]
    found = dict(sources[0].__dask_optimize__(merged, keys))
    # it leaves out what is on a cluster already, under the same key
    futures = {key: value for key, value in merged.items() if _is_future(value)}
    return {**futures, **found}


def _is_future(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("key", "client", "status"))


def _begun(order: Order, plan: ArrayPlan, target: Target) -> Done:
    drive = target.core.store._home.drive
    if target.kind == "update" and target.staged:
        drive(check_can_wait, target, [axis.span for axis in plan.axes])
    if target.kind == "update" and not target.noted:
        drive(outdate_notes, replace(target, number=number_of(plan)))
    if target.noted:
        done = find_noted(plan, target, order.token, all_waits=order.target.staged)
    else:
        keys = drive(begin, order.target, order.mode)
        complete = partial(complete_keys, whole=plan.how != "lock")
        done = find_done(plan, target, drive(complete, target, keys))
    goes_on = target.resumed or target.noted
    if goes_on and target.staged:
        done = find_waiting(plan, target, done, all_waits=order.target.staged)
    return done


def _without(job: Job, done: Done) -> Job:
    writer = replace(job.writer, complete=done.keys)
    return replace(job, writer=writer, complete=done.tasks, waiting=done.waiting)


def _listing(receipts: list[Any]) -> list[Any]:
    return receipts
