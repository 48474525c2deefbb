"""What a write returns: receipts that can be verified, or a write that is still to be done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import dask.threaded
from dask.base import DaskMethodsMixin
from dask.highlevelgraph import HighLevelGraph

from zarrstore.chunks import Progress
from zarrstore.dask.at_work import begin_again, under_way
from zarrstore.dask.current import difference
from zarrstore.dask.done_parts import drop_notes, outdate_notes
from zarrstore.dask.plan import StorePlan
from zarrstore.dask.reads import place_of
from zarrstore.dask.receipts import Receipt, Written, crc32c
from zarrstore.dask.running import check_shared, run_graph, scheduler_of
from zarrstore.dask.staging import drop_what_waits, note_none_waits
from zarrstore.dask.targets import Target, finish, tidy_up
from zarrstore.errors import ConflictError, CorruptDataError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.facts import human_size
from zarrstore.hierarchy.progress import reporting

__all__ = ["ArrayResult", "StoreResult", "StoreTask", "finished"]


@dataclass(frozen=True)
class ArrayResult:
    """What was written of one array.

    Parameters
    ----------
    array : Array
    keys : dict
        For each key of the store its `Written`: size in bytes and CRC-32C.
    """

    array: Array
    keys: Mapping[str, Written]

    @property
    def nbytes(self) -> int:
        """Bytes of all values that were written."""
        return sum(written.size or 0 for written in self.keys.values())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.array._core.url}: {self._facts()}>"

    def _facts(self) -> str:
        count, unit = len(self.keys), "shard" if self.array.shards else "chunk"
        return f"{count:,} {unit}{'' if count == 1 else 's'}, {human_size(self.nbytes)}"


@dataclass(frozen=True)
class StoreResult(Sequence[ArrayResult]):
    """What a write has written: a sequence with the `ArrayResult` of each array.

    Parameters
    ----------
    arrays : tuple of ArrayResult
    plan : StorePlan
    """

    arrays: tuple[ArrayResult, ...]
    plan: StorePlan
    _targets: tuple[Target, ...] = field(repr=False)

    def __getitem__(self, index: Any) -> Any:
        return self.arrays[index]

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        lines = [f"{each.array._core.url}: {each._facts()}" for each in self.arrays]
        if len(lines) == 1:
            return f"<{type(self).__name__} {lines[0]}>"
        return "\n  ".join([f"<{type(self).__name__} of {len(lines)} arrays>", *lines])

    @property
    def array(self) -> Array:
        """The array, where there is one."""
        if len(self.arrays) != 1:
            raise TypeError(f"{len(self.arrays)} arrays were written: use result[0].array, ...")
        return self.arrays[0].array

    @property
    def keys(self) -> Receipt:
        """The keys of all arrays; of arrays in several stores look at each."""
        return {key: written for each in self.arrays for key, written in each.keys.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all values that were written."""
        return sum(each.nbytes for each in self.arrays)

    def verify(self, *, progress: Progress | bool | None = None) -> int:
        """Read back all that was written, and compare sizes and checksums; return how many keys.

        Parameters
        ----------
        progress : callable or bool, optional

        Raises
        ------
        CorruptDataError
            If a value is another one, or is not there, or the metadata is another.

        Examples
        --------
        >>> import dask.array as da
        >>> from zarrstore.dask import to_zarr
        >>> to_zarr(da.ones((4, 4), chunks=(2, 2)), {}).verify()
        4
        """
        total = sum(len(each.keys) for each in self.arrays)
        counted = 0
        with reporting(progress, "verifying", "values") as callback:

            def tell() -> None:
                nonlocal counted
                counted += 1
                if callback is not None:
                    callback(counted, total)

            for each in self.arrays:
                core = each.array._core
                core.store._home.drive(_verify, core, each.keys, tell)
        return total

    def tidy_up(self) -> None:
        """Delete what is of no use any more: chunks of arrays that were replaced.

        `StoreTask.compute` has done so. Where a scheduler may do a task again, as with
        ``dask.compute`` and ``client.compute``, it is left to you: the dask array may be made of
        those chunks.
        """
        for target in self._targets:
            target.core.store._home.drive(tidy_up, target)


async def _verify(core: ArrayCore, keys: Mapping[str, Written], tell: Any) -> None:
    stored = await core.format.read(core.store, core.path)
    if stored is None or stored.node_type != "array":
        raise _differs(core, core.path, "there is no array")
    other = difference(compile_spec(stored), core.spec)
    if other is not None:
        raise _differs(core, core.path, f"the array has other {other}")
    await _verify_chunks(core, keys, tell)


async def _verify_chunks(core: ArrayCore, keys: Mapping[str, Written], tell: Any) -> None:
    async def check(key: str) -> None:
        written = keys[key]
        data = await core.store.get(key)
        if (None if data is None else len(data)) != written.size:
            found = "not there" if data is None else f"{len(data):,} bytes long"
            said = "not there" if written.size is None else f"{written.size:,} bytes long"
            raise _differs(core, key, f"it is {found}, and was {said}")
        if data is not None and written.crc32c is not None and crc32c(data) != written.crc32c:
            raise _differs(core, key, "its checksum is another one")
        if data is not None and written.crc32c is None:
            await _decode(core, key)
        tell()

    await each_bounded(check, list(keys), count=len(keys))


async def _decode(core: ArrayCore, key: str) -> None:
    """Read a chunk of which no checksum is known: what is damaged cannot be decoded."""
    prefix = f"{core.path}/" if core.path else ""
    coords = core.spec.keys.chunk_coords(key.removeprefix(prefix), len(core.spec.shape))
    assert coords is not None
    region = []
    for dimension, index in zip(core.spec.grid.dimensions, coords, strict=True):
        start = dimension.start_of(index)
        region.append(slice(start, min(dimension.length, start + dimension.length_of(index))))
    await core.read(tuple(region))


def _differs(core: ArrayCore, key: str, what: str) -> CorruptDataError:
    return CorruptDataError(
        f"{key!r} in {core.store.url} is not what was written: {what}; write the array again",
        store=core.store.url,
        key=key,
    )


def finished(
    receipts: Sequence[Receipt],
    targets: Sequence[Target],
    plan: StorePlan,
    found: Sequence[Receipt],
    publish: Callable[[], None] | None,
) -> StoreResult:
    """Make what was written visible; return the result."""
    arrays = []
    for target, keys, before in zip(targets, receipts, found, strict=True):
        written = {**before, **keys}
        drive = target.core.store._home.drive
        if target.contested:
            _check_undisturbed(target, written)
        drive(finish, target)
        arrays.append(ArrayResult(Array(target.core), written))
    with _all_was_written(targets):  # what is made of these arrays must not be done again
        for step in (note_none_waits, outdate_notes, drop_notes):
            for target in targets:
                target.core.store._home.drive(step, target)
    if publish is not None:
        publish()
    return StoreResult(tuple(_as_left(arrays)), plan, tuple(targets))


@contextmanager
def _all_was_written(targets: Sequence[Target]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        what = f"{_named(targets)}: all was written"
        error.add_note(f"{what}; what is of no use any more was not deleted")
        raise


def _named(targets: Sequence[Target]) -> str:
    urls = {target.core.url for target in targets}
    return urls.pop() if len(urls) == 1 else f"{len(urls)} arrays"


def _as_left(arrays: Sequence[ArrayResult]) -> Iterator[ArrayResult]:
    """Yield the results with what was left under keys that several sources have written."""
    places = [place_of(each.array._core) for each in arrays]
    seen: defaultdict[str, dict[str, Written]] = defaultdict(dict)
    count = Counter(places)
    found = []
    for each, place in reversed(list(zip(arrays, places, strict=True))):
        if count[place] > 1:  # the later one of two that share a chunk has written it last
            path = each.array._core.path
            later, at = seen[place], len(path) + 1 if path else 0
            keys = {key: later.get(key[at:], written) for key, written in each.keys.items()}
            later.update({key[at:]: written for key, written in keys.items()})
            each = replace(each, keys=keys)
        found.append(each)
    return reversed(found)


def _check_undisturbed(target: Target, keys: Receipt) -> None:
    """Read back what another write, if it has not ended, may have written to."""
    core = target.core
    try:
        core.store._home.drive(_verify_chunks, core, keys, lambda: None)
    except CorruptDataError as error:
        raise ConflictError(
            f"{core.url} was not replaced: another write has not ended, and {error}",
            store=core.store.url,
            key=error.key,
        ) from error


class StoreTask(DaskMethodsMixin):  # type: ignore[misc]
    """A write that is still to be done: ``compute()`` does it, or ``dask.compute(a, b, ...)``.

    Parameters
    ----------
    graph : HighLevelGraph
    key : str
    writes : list of keys
    targets : tuple of Target
    plan : StorePlan
    found : tuple of dict
        For each array the receipt of what was there before.
    attempt : str
        Names this write.
    publish : callable, optional
        Called when all arrays are complete; may be called again.
    """

    __dask_scheduler__ = staticmethod(dask.threaded.get)

    def __init__(
        self,
        graph: HighLevelGraph,
        key: Any,
        writes: Sequence[Any],
        targets: tuple[Target, ...],
        plan: StorePlan,
        found: tuple[Receipt, ...],
        attempt: str,
        publish: Callable[[], None] | None = None,
    ) -> None:
        self._graph = graph
        self._key = key
        self._writes = writes
        self._targets = targets
        self.plan = plan
        self._found = found
        self._attempt = attempt
        self._publish = publish

    def __dask_graph__(self) -> HighLevelGraph:
        begin_again(self._attempt)
        return self._graph

    def __dask_keys__(self) -> list[Any]:
        return [self._key]

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **_: Any) -> Any:
        return graph  # the part that computes the blocks is optimised already

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self._key,)

    def __dask_tokenize__(self) -> Any:
        return self._key

    def __dask_postcompute__(self) -> tuple[Any, tuple[Any, ...]]:
        return _finished_in_graph, (self._targets, self.plan, self._found, self._publish)

    def __dask_postpersist__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._rebuild, ()

    def _rebuild(self, graph: Any, *, rename: Any = None) -> StoreTask:
        key = self._key if rename is None else rename.get(self._key, self._key)
        layers = HighLevelGraph.from_collections(key, graph, [])
        rest = self._writes, self._targets, self.plan, self._found, self._attempt
        return StoreTask(layers, key, *rest, self._publish)

    def compute(
        self,
        *,
        scheduler: Any = None,
        progress: Progress | bool | None = None,
        **kwargs: Any,
    ) -> StoreResult:
        """Write, and return what was written.

        Parameters
        ----------
        scheduler : optional
            As dask takes it; by default what is configured, the current client, or threads.
        progress : callable or bool, optional
            Called with the number of tasks that have written and of all; ``True`` shows a bar.
        **kwargs
            For the scheduler, such as ``num_workers``.

        Raises
        ------
        NotShareableError
            If the scheduler runs tasks in other processes, and a store lives in this one.
        """
        get = scheduler_of(scheduler)
        check_shared([target.core.store for target in self._targets], get)
        told = reporting(progress, f"writing {_named(self._targets)}", "tasks")
        try:
            with told as callback, under_way(self._attempt):
                tasks = self._graph.to_dict()
                receipts = run_graph(tasks, self._key, self._writes, get, callback, **kwargs)
        except BaseException:
            for target in self._targets:
                with suppress(Exception):  # the error that is under way tells more
                    target.core.store._home.drive(drop_what_waits, target)
            raise
        result = finished(receipts, self._targets, self.plan, self._found, self._publish)
        with _all_was_written(self._targets):
            result.tidy_up()
        return result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.plan.ntasks:,} tasks>\n{self.plan}"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_()


def _finished_in_graph(
    results: Sequence[Any],
    targets: Sequence[Target],
    plan: StorePlan,
    found: Sequence[Receipt],
    publish: Callable[[], None] | None,
) -> StoreResult:
    return finished(results[0], targets, plan, found, publish)
