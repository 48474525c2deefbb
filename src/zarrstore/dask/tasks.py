"""What the tasks of a graph do: each may run in another process, and more than once."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from zarrstore.dask.at_work import at_work
from zarrstore.dask.axes import Span
from zarrstore.dask.checks import Casting, checked_block
from zarrstore.dask.done_parts import note_done
from zarrstore.dask.receipts import NotingStore, Receipt, Written, merged
from zarrstore.dask.staging import note_all_waits
from zarrstore.dask.targets import Target, check_own, clear_old
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.array_core import ArrayCore, Request
from zarrstore.hierarchy.likes import like_options
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.keys import join

__all__ = [
    "Box",
    "Writer",
    "combine",
    "stage_box",
    "unstaged",
    "wait_for_all",
    "waiting_name",
    "write_box",
]

NDArray: TypeAlias = np.ndarray[Any, Any]
Region: TypeAlias = tuple[int | slice, ...]


@dataclass(frozen=True)
class Writer:
    """What the tasks that write one array have in common.

    Parameters
    ----------
    target : Target
    attempt : str
        What is one write here: one that goes on with it later is another.
    dtype : numpy.dtype
        Of the dask array.
    spans : tuple of Span
        Where it goes.
    casting : str
        How elements may be cast.
    complete : frozenset of str
        Keys that need not be written.
    """

    target: Target
    attempt: str
    dtype: np.dtype[Any]
    spans: tuple[Span, ...]
    casting: Casting = "safe"
    complete: frozenset[str] = field(default=frozenset(), repr=False)

    def checked(self, blocks: Sequence[Any]) -> list[Any]:
        """Return blocks as arrays of numpy whose elements may be cast as they will be."""
        core = self.target.core
        how = self.dtype, core.spec.dtype, self.casting, core.url
        return [checked_block(block, *how) for block in blocks]


@dataclass(frozen=True)
class Box:
    """What one task writes: no tuple, which would be taken for a key or task of the graph.

    Parameters
    ----------
    region : tuple of int and slice
        Of the stored array.
    lengths : tuple of tuple of int
        For each dimension of the dask array the length of each block that has a part in the box.
    skipped : tuple of int
        How many elements of the first of them come before the box.
    shape : tuple of int
    rank : tuple of int
        In the order of the tasks that share a chunk or shard.
    number : int
        Among all boxes of the array.
    apart : bool
        Whether each block has chunks of its own, and is large enough to be written by itself.
    """

    region: Region
    lengths: tuple[tuple[int, ...], ...]
    skipped: tuple[int, ...]
    shape: tuple[int, ...]
    rank: tuple[int, ...]
    number: int
    apart: bool = False


def assembled(box: Box, blocks: Sequence[Any]) -> Any:
    """Return the elements of a box, from the blocks that have a part in it.

    Raises
    ------
    ValueError
        If a block has not the shape that the dask array says it has.
    TypeError
        If one is masked: a stored array has no mask.
    """
    values = [
        _plain(block, lengths)
        for block, lengths in zip(blocks, itertools.product(*box.lengths), strict=True)
    ]
    if len(values) == 1:
        pairs = zip(box.skipped, box.shape, strict=True)
        return values[0][tuple([slice(skip, skip + length) for skip, length in pairs])]
    made = np.empty(box.shape, np.result_type(*{value.dtype for value in values}))
    spans = [
        list(_spans(*given)) for given in zip(box.lengths, box.skipped, box.shape, strict=True)
    ]
    for value, places in zip(values, itertools.product(*spans), strict=True):
        made[tuple([into for into, _ in places])] = value[tuple([of for _, of in places])]
    return made


def _spans(lengths: Sequence[int], skipped: int, length: int) -> list[tuple[slice, slice]]:
    """Return where each block along a dimension goes in a box, and which part of it."""
    found = []
    start = -skipped
    for each in lengths:
        first, stop = max(0, start), min(length, start + each)
        found.append((slice(first, stop), slice(first - start, stop - start)))
        start += each
    return found


def _plain(block: Any, shape: tuple[int, ...]) -> NDArray:
    if isinstance(block, np.ma.MaskedArray):
        # of records each field may be masked
        if np.ma.getmaskarray(block).view(bool).any():
            raise TypeError(
                "a block is masked, and a stored array has no mask: fill it first, with "
                "dask.array.ma.filled(array, value)"
            )
        block = block.data
    value = np.asarray(block)
    if value.shape != shape:
        raise ValueError(
            f"a block has shape {value.shape}, and the dask array says {shape}; nothing of it was "
            "written. Give its chunks to what makes the blocks (map_blocks(..., chunks=))"
        )
    return value


def write_box(writer: Writer, box: Box, blocks: Sequence[Any], *_: object) -> Receipt:
    """Write a box; return what was written.

    Parameters
    ----------
    writer : Writer
    box : Box
    blocks : sequence of array
        Those that have a part in it; the last dimension varies fastest.
    *_ : object
        Results of the tasks that come before this one.
    """
    return _write(writer, box, list(_pieces(box, writer.checked(blocks))))


def _pieces(box: Box, blocks: Sequence[Any]) -> Iterator[tuple[Region, Any]]:
    """Yield regions of the stored array, with what goes there."""
    if not box.apart:
        yield box.region, assembled(box, blocks)
        return
    spans = [
        [span for span, _ in _spans(*given)]
        for given in zip(box.lengths, box.skipped, box.shape, strict=True)
    ]
    pairs = zip(itertools.product(*spans), itertools.product(*box.lengths), strict=True)
    for (places, shape), block in zip(pairs, blocks, strict=True):
        if math.prod(shape):
            yield tuple(_within(box.region, places)), _plain(block, shape)


def _within(region: Region, places: Sequence[slice]) -> Iterator[int | slice]:
    """Yield the part of a region that a part of what goes there belongs to."""
    left = iter(places)
    for item in region:
        if isinstance(item, slice):
            place = next(left)
            start, stop = [item.start + item.step * at for at in (place.start, place.stop - 1)]
            yield slice(start, stop + 1, item.step)
        else:
            yield item


def _write(writer: Writer, box: Box, pieces: Sequence[tuple[Region, Any]]) -> Receipt:
    core = writer.target.core
    noting = NotingStore(core.store, box.rank, writer.complete)
    noted = dataclasses.replace(core, store=noting)
    requests = [(noted.request(region), values) for region, values in pieces]

    async def write(each: tuple[Request, Any] | None) -> None:
        if each is None:
            await check_own(writer.target)
        else:
            await noted.write_request(*each)

    async def write_all() -> None:
        # a slow store does both at once
        await each_bounded(write, [None, *requests], count=1 + len(requests))

    with at_work(writer.attempt):
        core.store._home.drive(write_all)
        if writer.target.noted:
            name = waiting_name(box.region)
            core.store._home.drive(note_done, writer.target, name, noting.receipt)
    return noting.receipt


def stage_box(writer: Writer, box: Box, blocks: Sequence[Any]) -> int:
    """Put the elements of a box where they can wait until all have been read.

    What waits there already stays: when this is done again, what it is made of may be gone.
    """
    waiting = _waiting(writer, box)
    drive = waiting.store._home.drive
    drive(check_own, writer.target)
    if not drive(_is_there, waiting):
        elements = assembled(box, writer.checked(blocks))
        values = waiting.values(elements, box.shape).reshape(waiting.spec.shape)
        with at_work(writer.attempt):
            drive(waiting.write, ..., values)
    return box.number


def waiting_name(region: Region) -> str:
    """Return under which name the elements of a region wait.

    With other regions, after a write was broken off, nothing of what waits is used.
    """
    return hashlib.blake2b(repr(region).encode(), digest_size=16).hexdigest()


def _waiting(writer: Writer, box: Box) -> ArrayCore:
    """Return the array of one chunk, without metadata, in which a box waits."""
    core = writer.target.core
    name = waiting_name(box.region)
    lengths = iter(box.shape)
    shape = tuple([next(lengths) if isinstance(item, slice) else 1 for item in box.region])
    options = like_options(Array(core), {"shape": shape, "chunks": shape})
    document = array_document(options, core.document.zarr_format)
    path = join(writer.target.staging, name)
    return ArrayCore(core.store, path, document, compile_spec(document), write_empty_chunks=True)


async def _is_there(waiting: ArrayCore) -> bool:
    key = waiting.spec.keys.key((0,) * len(waiting.spec.shape))
    return await waiting.store.exists(join(waiting.path, key))


def wait_for_all(writer: Writer, staged: Sequence[Any]) -> int:
    """Do what must not be done before all elements wait."""
    drive = writer.target.core.store._home.drive
    with at_work(writer.attempt):
        drive(note_all_waits, writer.target, writer.spans)
        drive(clear_old, writer.target)
    return len(staged)


def unstaged(writer: Writer, box: Box, *_: object) -> Receipt:
    """Write a box of elements that wait; return what was written."""
    waiting = _waiting(writer, box)
    drive = waiting.store._home.drive
    if not drive(_is_there, waiting):
        raise RuntimeError(f"what waited to be written to {writer.target.core.url} is gone")
    values = np.asarray(drive(waiting.read)).reshape(box.shape)
    return _write(writer, box, [(box.region, values)])


def combine(receipts: Sequence[Mapping[str, Written]]) -> Receipt:
    """Return one receipt of several."""
    return merged(receipts)
