"""Writing a dask array block by block, and reading one lazily."""

from __future__ import annotations

import math
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import dask.array as da
import dask.base
import dask.local
import dask.threaded
import numpy as np

from zarrstore.dask.at_work import at_work, under_way
from zarrstore.savers.values import without_loss
from zarrstore.serializers._layout import Layout

__all__ = ["Source", "Target", "is_computed_here", "lazy", "write_blocks"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_IN_THIS_PROCESS = (dask.threaded.get, dask.local.get_sync)


class Target(ABC):
    """Where blocks are written to."""

    layout: Layout

    def __dask_tokenize__(self) -> object:
        return id(self)

    @abstractmethod
    def write(self, name: str, region: tuple[slice, ...], values: NDArray) -> None:
        """Write a block of ``"data"`` or ``"mask"``; may be called from several threads."""


class Source(ABC):
    """An array that is stored, as dask slices it.

    Parameters
    ----------
    layout : Layout
    fill_value : object
        Of a masked array; ``None`` for the default.
    """

    def __init__(self, layout: Layout, fill_value: Any) -> None:
        self.layout = layout
        self.fill_value = fill_value
        self.shape = layout.shape
        self.dtype = layout.dtype
        self.ndim = len(self.shape)

    @abstractmethod
    def read(self, box: tuple[slice, ...]) -> list[NDArray]:
        """Return a part of each that is stored, in its dtype; the box has steps of 1."""

    def __getitem__(self, region: Any) -> NDArray:
        box, inside = _box(region, self.shape)
        found = [np.asarray(part[inside]) for part in self.read(box)]
        data = found[0].astype(self.dtype, copy=False)
        if not self.layout.is_masked:
            return data
        return np.ma.MaskedArray(data, found[1], fill_value=self.fill_value)


def _box(region: Any, shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[Any, ...]]:
    """Return the smallest box around a selection, and the selection in it."""
    box: list[slice] = []
    inside: list[int | slice] = []
    for index, length in zip(region, shape, strict=True):
        if not isinstance(index, slice):
            at = int(index) % length
            box.append(slice(at, at + 1))
            inside.append(0)
            continue
        span = range(length)[index]
        low = min(span[0], span[-1]) if span else 0
        box.append(slice(low, low + 1 + abs(span[-1] - span[0]) if span else 0))
        inside.append(slice(None, None, index.step))
    return tuple(box), tuple(inside)


def lazy(source: Source) -> da.Array:
    """Return a stored array as one of dask."""
    return da.from_array(
        source,
        chunks=source.layout.chunks,
        name=f"unpickled-{uuid.uuid4().hex}",
        asarray=False,
        fancy=False,
        meta=source.layout.meta(),
    )


def is_computed_here(array: da.Array) -> bool:
    """Tell whether an array is computed in this process, whose tasks end before a failure does."""
    scheduler = dask.base.get_scheduler(collections=[array])
    return scheduler is None or scheduler in _IN_THIS_PROCESS


def write_blocks(array: da.Array, target: Target, *, anywhere: bool) -> Any:
    """Compute a dask array and write its blocks, each in the task that has it.

    Parameters
    ----------
    array : da.Array
    target : Target
    anywhere : bool
        Whether the target can be used in other processes. If not, what a scheduler of processes
        has computed is written here, a block at a time.

    Returns
    -------
    object
        The fill value of a masked array, ``None`` of others.
    """
    layout = target.layout
    if not anywhere and not is_computed_here(array):
        return _write_here(array.persist(), target)
    attempt = f"pickled-{uuid.uuid4().hex}"
    written = da.map_blocks(
        _write_at_work,
        array,
        target=target,
        attempt=attempt,
        name=attempt,
        chunks=tuple([(1,) * len(lengths) for lengths in layout.chunks]),
        dtype=object,
        meta=np.empty((0,) * array.ndim, object),
    )
    with under_way(attempt):
        found = np.asarray(written.compute(), object)
    return next((value for value in found.flat if value is not None), None)


def _write_here(array: da.Array, target: Target) -> Any:
    fill_value = None
    for at in np.ndindex(*array.numblocks):
        block = array.blocks[at] if at else array
        (found,) = _write(block.compute(), target, at).flat
        fill_value = fill_value if found is None else found
    return fill_value


def _write_at_work(
    block: Any, target: Target, attempt: str, block_id: tuple[int, ...] = ()
) -> NDArray:
    """Write one block, unless the write was broken off."""
    with at_work(attempt):
        return _write(block, target, block_id)


def _write(block: Any, target: Target, block_id: tuple[int, ...] = ()) -> NDArray:
    """Write one block; return its fill value in an array of one element."""
    result = np.empty((1,) * len(block_id), object)
    layout = target.layout
    region = layout.region(block_id)
    expected = tuple([at.stop - at.start for at in region])
    if np.shape(block) != expected:
        raise ValueError(
            f"block {block_id} has shape {np.shape(block)}, and the dask array says {expected}; "
            "correct what its chunks are said to be"
        )
    mask = np.ma.getmaskarray(block) if isinstance(block, np.ma.MaskedArray) else None
    if mask is not None and b"\1" in mask.tobytes() and not layout.is_masked:
        raise TypeError(
            f"block {block_id} is masked, and the dask array does not say so; give "
            "meta=np.ma.array([]) where it is made"
        )
    if math.prod(expected):
        target.write("data", region, _elements(np.asarray(np.ma.getdata(block)), layout))
        if layout.is_masked:
            no_mask = np.zeros(expected, layout.stored["mask"])
            target.write("mask", region, no_mask if mask is None else mask)
    if isinstance(block, np.ma.MaskedArray):
        result[(0,) * result.ndim] = block.fill_value
    return result


def _elements(values: NDArray, layout: Layout) -> NDArray:
    """Return the elements of a block as they are stored."""
    dtype = layout.stored["data"]
    if values.dtype.kind == "O" or layout.dtype.kind == "O":
        for item in values.flat:
            if not isinstance(item, str):
                raise TypeError(
                    f"an object is {type(item).__name__}, and only text is kept of objects; give "
                    "the array another dtype, with array.astype(...)"
                )
    if values.dtype.kind == "O":
        values = values.astype(np.dtypes.StringDType())
    if values.dtype == dtype:
        return values
    try:
        return without_loss(values, dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"a block is of {values.dtype}, and the dask array says {layout.dtype}: {error}; call "
            "array.astype(...)"
        ) from error
