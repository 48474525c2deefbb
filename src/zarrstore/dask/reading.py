"""`from_zarr`: a dask array over an array in a store."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.utils import parse_bytes

from zarrstore.dask.current import check_current
from zarrstore.format.dimensions import Dimension
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.opening import open_array
from zarrstore.registry import StoreLike

__all__ = ["from_zarr"]


def from_zarr(
    store_like: StoreLike | Array,
    path: str = "",
    chunks: Any = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> da.Array:
    """Return a dask array that reads an array in a store, a block at a time.

    Parameters
    ----------
    store_like : optional
        Whatever `zarrstore.open_store` accepts, a group, or an `Array`.
    path : str, default ""
        In the store; the root by default.
    chunks : optional
        As dask takes it. By default each block is a chunk or shard, or several beside each
        other where they are smaller than dask's ``array.chunk-size``: none is read twice.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    ConflictError
        When it is computed, if another array has taken the place of that one meanwhile.

    Examples
    --------
    >>> import zarrstore
    >>> array = zarrstore.create_array({}, data=[[1, 2], [3, 4]])
    >>> from_zarr(array).sum(axis=0).compute()
    array([4, 6])
    """
    if isinstance(store_like, Array) and not path:
        array = store_like
    else:
        array = open_array(store_like, path=path, mode="r", storage_options=storage_options)
    core = array._core
    if chunks is None:
        chunks = _blocks(core.spec.grid.dimensions, max(1, core.spec.dtype.itemsize))
    meta = np.empty((0,) * array.ndim, array.dtype)
    # another name each time: the array may be another one by then
    name = f"from-zarr-{uuid.uuid4().hex}"
    return da.from_array(
        _Stored(array), chunks=chunks, name=name, lock=False, asarray=True, fancy=False, meta=meta
    )


@dataclass(frozen=True)
class _Stored:
    """An array in a store as dask wants it, without chunks: those of some have no one shape."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __getitem__(self, selection: Any) -> Any:
        found = self.array[selection]
        # afterwards: chunks are deleted once the metadata is another
        core = self.array._core
        core.store._home.drive(check_current, core)
        return found


def _blocks(dimensions: tuple[Dimension, ...], itemsize: int) -> tuple[tuple[int, ...], ...]:
    """Return the lengths of blocks of whole chunks, of about as many bytes as dask likes."""
    most = parse_bytes(dask.config.get("array.chunk-size", "128MiB"))
    together = max(1, most // (math.prod([each.longest for each in dimensions]) * itemsize))
    found: list[tuple[int, ...]] = []
    for each in reversed(dimensions):
        step = max(1, min(together, each.count))
        together //= step
        starts = each.starts_of(np.arange(0, each.count, step, dtype=np.intp))
        ends = np.append(starts[1:], each.length) if len(starts) else starts
        lengths: list[int] = (ends - starts).tolist()
        found.append(tuple(lengths) or (0,))
    return tuple(reversed(found))
