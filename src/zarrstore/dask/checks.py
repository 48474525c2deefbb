"""What is refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import MaterializedLayer

__all__ = [
    "Casting",
    "check_casting",
    "check_names",
    "check_progress",
    "check_source",
    "checked_block",
]

Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]

_TEXT = "UTOS"
_NUMBERS = set("biufc")


def check_source(array: Any) -> None:
    """Raise unless something is a dask array whose chunk sizes are known."""
    if hasattr(array, "to_zarr") and hasattr(array, "coords"):
        raise TypeError(
            f"a dask array is needed, not a {type(array).__name__} of xarray: "
            "zarrstore.interop.xarray.dataset_to_zarr writes a dataset, and the attribute data of "
            "a DataArray is an array"
        )
    if not isinstance(array, da.Array):
        raise TypeError(
            f"a dask array is needed, not {type(array).__name__}; dask.array.from_array(x) makes "
            "one, and zarrstore.save_array writes what is in memory"
        )
    if any(math.isnan(length) for length in array.shape):
        raise ValueError(
            f"the chunk sizes of {array!r} are unknown, so nobody can tell where its blocks go; "
            "compute them first: array = array.compute_chunk_sizes()"
        )
    if not isinstance(array._meta, np.ndarray | np.generic):
        _of_numpy(array._meta)


def check_progress(progress: Any) -> None:
    """Raise `TypeError` if something cannot be told of the progress: before a write begins."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress is a function or a bool, not {type(progress).__name__}")


def check_names(sources: Iterable[Any]) -> None:
    """Raise `ValueError` if dask arrays hold other data under one name: a graph has a name once."""
    known: dict[Any, Any] = {}
    for source in sources:
        for name, layer in getattr(source.dask, "layers", {}).items():
            other = known.setdefault(name, layer)
            if other is not layer and not _same_data(other, layer):
                raise ValueError(
                    f"two of the dask arrays hold other data under the name {name!r}, and in one "
                    "graph one of them would be taken for the other: write one after the other, or "
                    "leave it to dask to name them (from_array without name=)"
                )


def _same_data(layer: Any, other: Any) -> bool:
    if not isinstance(layer, MaterializedLayer) or not isinstance(other, MaterializedLayer):
        return True  # by its name dask knows it
    pairs = [(layer[key], other[key]) for key in layer.keys() & other.keys()]
    return all(
        one is two or tokenize(one) == tokenize(two)
        for one, two in pairs
        if isinstance(one, np.ndarray) and isinstance(two, np.ndarray)
    )


def check_casting(given: np.dtype[Any], dtype: np.dtype[Any], casting: Casting, url: str) -> None:
    """Raise `TypeError` if elements would be changed by being stored, and that is not allowed."""
    if casting not in get_args(Casting):
        raise ValueError(f"casting is one of {', '.join(get_args(Casting))}, not {casting!r}")
    if not _may_be_cast(given, dtype, casting):
        raise TypeError(
            f"{given} cannot be cast to the {dtype} of {url} with casting={casting!r}: elements "
            "may be changed; cast the dask array yourself (array.astype), or allow it with "
            "casting='same_kind' or 'unsafe'"
        )


def _may_be_cast(given: np.dtype[Any], dtype: np.dtype[Any], casting: Casting) -> bool:
    if given == dtype or (given.kind in _TEXT and dtype.kind in "OT"):
        return True  # each element is looked at when it is written
    return bool(np.can_cast(given, dtype, casting))


def checked_block(
    block: Any, told: np.dtype[Any], dtype: np.dtype[Any], casting: Casting, url: str
) -> Any:
    """Return a block as an array of numpy, of which no element is changed by being stored.

    Parameters
    ----------
    block : array-like
    told : numpy.dtype
        Of the dask array, which may not be that of its blocks.
    dtype : numpy.dtype
        Of the stored array.
    casting, url
        As in `check_casting`.

    Raises
    ------
    TypeError
        If its dtype is another one than the dask array's, and elements may be changed; if it is no
        array of numpy, and cannot be made one.
    """
    value = block if isinstance(block, np.ndarray) else _of_numpy(block)
    if value.dtype == told:
        return value
    if not hasattr(block, "dtype"):  # Python's numbers and lists have none
        cast = value.astype(told)
        if (cast == value).all():
            return cast
    kinds = {value.dtype.kind, dtype.kind}
    if kinds in ({"U"}, {"S"}):
        return value  # what is too long is refused when it is written
    if not _may_be_cast(value.dtype, dtype, casting):
        raise TypeError(
            f"a block holds {value.dtype}, and the dask array says {told}: elements may be changed "
            f"by being stored as the {dtype} of {url}, and nothing of it was written. Give its "
            "dtype to what makes the blocks (map_blocks(..., dtype=)), or allow it with "
            "casting='same_kind' or 'unsafe'"
        )
    return value.astype(dtype) if kinds <= _NUMBERS else value


def _of_numpy(block: Any) -> Any:
    """Return a block, or the meta of a dask array, as an array of numpy."""
    cause: Exception | None = None
    try:
        value = np.asarray(block)
        if getattr(block, "shape", value.shape) == value.shape:
            return value
    except Exception as error:  # noqa: BLE001 - each library has its own
        cause = error
    kind = type(block)
    raise TypeError(
        f"blocks are {kind.__module__}.{kind.__qualname__}, which numpy cannot read; make arrays "
        "of numpy of them first: array.map_blocks(function), with a function such as "
        "lambda block: block.get() (cupy) or block.todense() (sparse)"
    ) from cause
