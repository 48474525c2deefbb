"""Copying nodes between stores: stored bytes where nothing is changed, else values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress
from zarrstore.errors import CorruptDataError, NodeExistsError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.codecs.base import Codec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.consolidated import without_snapshot
from zarrstore.hierarchy.creating import NewNode, as_read_back, write_document
from zarrstore.hierarchy.formats import FORMATS, NodeFormat
from zarrstore.hierarchy.group_core import GroupCore, node_of, open_node
from zarrstore.hierarchy.likes import codec_v3, converted_options, merged_options, without_n5
from zarrstore.hierarchy.nodes import not_found
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.resizing import chunks_stored
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.runtime import is_inline, limits

__all__ = ["check_apart", "copy_node", "delete_node", "move_node"]

_BLOCK_BYTES = 2**26
"""Of values in memory at a time; one chunk may be larger."""

_NOT_OF_COPIES = ("shape", "data", "write_data", "attributes", "dimension_names")


async def copy_node(
    source: Store,
    source_path: str,
    dest: Store,
    dest_path: str,
    options: Mapping[str, Any],
    *,
    overwrite: bool = False,
    verify: bool = True,
    progress: Progress | None = None,
) -> ArrayCore | GroupCore:
    """Copy an array, or a group with all below it; its metadata is written last.

    Parameters
    ----------
    source, dest : Store
    source_path, dest_path : str
    options : mapping
        How the copies of arrays are stored, where not as they are.
    overwrite : bool
        Whether what is at the destination is deleted first.
    verify : bool
        Whether everything is read back and compared.
    progress : callable, optional

    Raises
    ------
    NodeNotFoundError
        If there is nothing to copy.
    NodeExistsError
        If there is something at the destination, and not ``overwrite``.
    CorruptDataError
        If what was written is not what is read back.
    """
    check_apart(source, source_path, dest, dest_path)
    _check_options(options)
    node = await open_node(source, source_path)
    if node is None:
        raise not_found(source, source_path, "array or group")
    new = NewNode(dest, dest_path, overwrite)
    format = await new.find_format(options.get("zarr_format"), default=node.document.zarr_format)
    copies: dict[str, ArrayCore | GroupCore] = {}
    jobs: list[_Job] = []
    for path, each in (await _all_nodes(node)).items():
        copies[path] = copied = _copy_of(
            each, dest, join(dest_path, path) if path else dest_path, format, options
        )
        if isinstance(each, ArrayCore) and isinstance(copied, ArrayCore):
            jobs.append(_Job(each, copied))
    if not overwrite:
        await _check_empty(dest, dest_path)
    counter = _Counter(progress)
    for job in jobs:
        counter.total += await job.plan()
    await new.clear()
    if dest._documents_first:
        await _write_documents(new, dest, copies)
    for job in jobs:
        await job.run(verify, counter)
    if not dest._documents_first:
        await _write_documents(new, dest, copies)
    return copies[""]


async def _write_documents(
    new: NewNode, store: Store, copies: Mapping[str, ArrayCore | GroupCore]
) -> None:
    # those above come after those below: what is not complete is not found
    for path in sorted(copies, key=lambda path: path.count("/"), reverse=True):
        if path:
            await write_document(store, copies[path].path, copies[path].document)
    await new.write(copies[""].document, attributes_first=True)


async def _all_nodes(node: ArrayCore | GroupCore) -> dict[str, ArrayCore | GroupCore]:
    """Return a node and all below it, by their paths below it."""
    below = await node.members(max_depth=None) if isinstance(node, GroupCore) else []
    return {"": node, **dict(below)}


async def delete_node(store: Store, path: str) -> None:
    """Delete an array or group, and all below it.

    Raises
    ------
    NodeNotFoundError
        If there is none.
    """
    if not any([await format.exists(store, path) for format in FORMATS]):
        raise not_found(store, path, "array or group")
    await store.delete_dir(path)


async def move_node(
    store: Store,
    source_path: str,
    dest_path: str,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ArrayCore | GroupCore:
    """Copy a node to another path of its store, read the copy back, then delete it there.

    Raises
    ------
    NodeNotFoundError, NodeExistsError, CorruptDataError
        As `copy_node`; nothing was deleted.
    """
    node = await copy_node(
        store, source_path, store, dest_path, {}, overwrite=overwrite, progress=progress
    )
    await store.delete_dir(source_path)
    return node


def _check_options(options: Mapping[str, Any]) -> None:
    for name in _NOT_OF_COPIES:
        if name in options:
            raise TypeError(f"a copy has the {name} of what is copied; leave {name} out")


def check_apart(source: Store, source_path: str, dest: Store, dest_path: str) -> None:
    """Raise `ValueError` if one of two places is the other, or below it."""
    here = join_url(source.url, source_path).rstrip("/")
    there = join_url(dest.url, dest_path).rstrip("/")
    if here == there or there.startswith(f"{here}/") or here.startswith(f"{there}/"):
        raise ValueError(
            f"{here} cannot be copied or moved to {there}: one is the other, or below it"
        )


async def _check_empty(store: Store, path: str) -> None:
    """Refuse to mix with chunks that an unfinished copy has left there."""
    if Capability.LIST in store.capabilities and not await store.is_empty(path):
        raise NodeExistsError(
            f"there are keys below {join_url(store.url, path)} that belong to no array or group, "
            "of an unfinished copy perhaps; delete them, or copy with overwrite=True",
            store=store.url,
            key=path,
        )


def _copy_of(
    node: ArrayCore | GroupCore,
    store: Store,
    path: str,
    format: NodeFormat,
    options: Mapping[str, Any],
) -> ArrayCore | GroupCore:
    """Return what the copy of a node is to be."""
    same = node.document.zarr_format == format.version
    if isinstance(node, GroupCore):
        group = without_snapshot(node.document) if same else format.group(node.document.attributes)
        return node_of(store, path, group)
    changes = {name: value for name, value in options.items() if name != "zarr_format"}
    document = without_n5(node.document)
    if changes or not same:
        made = converted_options(document, compile_spec(document), zarr_format=format.version)
        document = array_document(merged_options(made, changes), format.version)
    document = as_read_back(store, path, document)
    spec = node.spec if document is node.document else compile_spec(document)
    return ArrayCore(store, path, document, spec)


class _Counter:
    """What is done, of all."""

    def __init__(self, progress: Progress | None) -> None:
        self.total = 0
        self._done = 0
        self._progress = progress

    def add(self) -> None:
        """Tell that one more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self.total)


@dataclass
class _Job:
    """An array that is copied."""

    source: ArrayCore
    dest: ArrayCore
    _keys: list[tuple[str, str]] = field(default_factory=list)
    _is_raw: bool = False

    async def plan(self) -> int:
        """Find out what there is to copy; return how many pieces it is."""
        self._is_raw = _are_alike(self.source.spec, self.dest.spec)
        if not self._is_raw:
            return _count(list(_steps(self.source.spec, self.dest.spec)))
        spec, path = self.source.spec, self.source.path
        prefix = f"{self.dest.path}/" if self.dest.path else ""
        keys = self.dest.spec.keys
        if Capability.LIST in self.source.store.capabilities:
            stored = [
                (key, coords)
                async for key, coords in chunks_stored(self.source.store, path, spec)
                if all(at < stop for at, stop in zip(coords, spec.grid.grid_shape, strict=True))
            ]
        else:
            stored = [
                (join(path, spec.keys.key(coords)), coords)
                for coords in itertools.product(*map(range, spec.grid.grid_shape))
            ]
        self._keys = [(key, prefix + keys.key(coords)) for key, coords in stored]
        return len(self._keys)

    async def run(self, verify: bool, counter: _Counter) -> None:
        """Copy all pieces."""
        if not self._is_raw:
            for region in _regions(_steps(self.source.spec, self.dest.spec)):
                await self._copy_values(region, verify)
                counter.add()
            return

        async def copy(keys: tuple[str, str]) -> None:
            await self._copy_chunk(*keys, verify)
            counter.add()

        await each_bounded(copy, self._keys, count=len(self._keys))

    async def _copy_chunk(self, source_key: str, dest_key: str, verify: bool) -> None:
        async with _memory(2 * self.source.spec.pipeline.nbytes):
            data = await self.source.store.get(source_key)
            if data is None:
                return  # it reads as the fill value, in the copy too
            await self.dest.store.set(dest_key, data)
            if verify:
                again = await self.dest.store.get(dest_key)
                if again is None or memoryview(again) != memoryview(data):
                    raise self._differs(dest_key)

    async def _copy_values(self, region: tuple[slice, ...], verify: bool) -> None:
        values = np.asarray(await self.source.read(region))
        await self.dest.write(region, values)
        if verify:
            again = np.asarray(await self.dest.read(region))
            if not _are_same(again, self.dest.values(values, values.shape).astype(again.dtype)):
                raise self._differs(f"{self.dest.path}{list(region)}")

    def _differs(self, what: str) -> CorruptDataError:
        return CorruptDataError(
            f"{what} in {self.dest.store.url} is read back as something else than was written; "
            "the copy is not finished. If one of its codecs loses precision, copy with "
            "verify=False",
            store=self.dest.store.url,
            key=what,
        )


def _memory(nbytes: int) -> AbstractAsyncContextManager[None]:
    """Return what is entered to hold memory; inline the number of threads is limit enough."""
    return nullcontext() if is_inline() else limits.memory(nbytes)


def _are_alike(a: ArraySpec, b: ArraySpec) -> bool:
    """Tell whether the stored chunks of one array are those of the other."""
    return (
        a.data_type == b.data_type
        and a.grid == b.grid
        and _codecs(a) == _codecs(b)
        and _are_same(np.asarray(a.fill_value, a.dtype), np.asarray(b.fill_value, b.dtype))
    )


def _codecs(spec: ArraySpec) -> tuple[Codec, ...]:
    """Return the codecs of an array in the form that is one for both formats."""
    return CodecPipeline([codec_v3(codec) for codec in spec.codecs], spec.pipeline.spec).codecs


def _are_same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Tell whether two arrays of a dtype are the same, bit for bit where that can be told."""
    if a.dtype.names is not None:  # what lies between the fields may differ
        return all(_are_same(a[name], b[name]) for name in a.dtype.names)
    if a.dtype.kind == "O":
        pairs = zip(a.flat, b.flat, strict=True)
        return all(np.array_equal(x, y) or (x != x and y != y) for x, y in pairs)
    return bool((a == b).all()) if a.dtype.kind == "T" else a.tobytes() == b.tobytes()


def _steps(source: ArraySpec, dest: ArraySpec) -> Iterator[Sequence[int]]:
    """Yield where blocks of whole chunks begin and end, along each dimension.

    A block has about the chunks of both arrays in it, and no more values than fit the memory.
    """
    shape, itemsize = dest.shape, max(1, dest.dtype.itemsize, source.dtype.itemsize)
    own = [min(pair) for pair in zip(dest.grid.max_chunk_shape, shape, strict=True)]
    wanted = [
        min(max(pair), length)
        for *pair, length in zip(own, source.grid.max_chunk_shape, shape, strict=True)
    ]
    block = list(own)
    for goal in (wanted, shape):
        for axis in reversed(range(len(shape))):
            others = math.prod(block) // max(1, block[axis]) * itemsize
            room = max(block[axis], _BLOCK_BYTES // max(1, others))
            block[axis] = max(block[axis], min(goal[axis], room // max(1, own[axis]) * own[axis]))
    for dimension, length in zip(dest.grid.dimensions, block, strict=True):
        bounds = [0]
        for start in dimension.starts_of(np.arange(dimension.count)).tolist():
            if start - bounds[-1] >= length:
                bounds.append(start)
        yield [*bounds, dimension.length] if dimension.length else []


def _count(steps: Sequence[Sequence[int]]) -> int:
    return math.prod([max(0, len(bounds) - 1) for bounds in steps])


def _regions(steps: Iterable[Sequence[int]]) -> Iterator[tuple[slice, ...]]:
    yield from itertools.product(
        *[[slice(*pair) for pair in itertools.pairwise(bounds)] for bounds in steps]
    )
