"""What is refused before anything runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import dask.array as da
import numpy as np

from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.faces import Face

__all__ = ["Casting", "check_casting", "check_source", "targets_read"]

Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]

_TEXT = "UTOS"


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


def check_casting(given: np.dtype[Any], dtype: np.dtype[Any], casting: Casting, url: str) -> None:
    """Raise `TypeError` if elements would be changed by being stored, and that is not allowed."""
    if given == dtype or (given.kind in _TEXT and dtype.kind in "OT"):
        return  # each element is looked at when it is written
    if not np.can_cast(given, dtype, casting):
        raise TypeError(
            f"{given} cannot be cast to the {dtype} of {url} with casting={casting!r}: elements "
            "may be changed; cast the dask array yourself (array.astype), or allow it with "
            "casting='same_kind' or 'unsafe'"
        )


def targets_read(graph: Mapping[Any, Any], targets: Iterable[ArrayCore]) -> set[str]:
    """Return the URLs of those arrays that are read by a graph which is to write them.

    Parameters
    ----------
    graph : mapping
        Materialised: what reads is a value in it, or an argument of a task.
    targets : iterable of ArrayCore
    """
    wanted = {_plain(core.url): core.url for core in targets}
    found: set[str] = set()
    seen: set[int] = set()
    for value in graph.values():
        for url in _urls(value, seen):
            if _plain(url) in wanted:
                found.add(wanted[_plain(url)])
    return found


def _plain(url: str) -> str:
    return url.replace("file://", "").rstrip("/")


_PLAIN = (str, bytes, int, float, slice, type, np.ndarray, np.generic, np.dtype, type(None))


def _urls(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield the URLs of arrays in stores that are part of a task."""
    if isinstance(value, _PLAIN) or id(value) in seen:
        return
    if isinstance(value, Face):
        yield value._core.url
        return
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _urls(item, seen)
        return
    seen.add(id(value))
    if hasattr(value, "store_path"):
        yield from _zarr_urls(value)
        return
    for name in _parts(value):
        yield from _urls(getattr(value, name), seen)


_PARTS = ("func", "args", "kwargs", "keywords", "value", "array", "data", "x", "_array")
"""Where tasks, partial functions and wrappers of lazy arrays keep what they are made of."""


def _parts(value: Any) -> list[str]:
    """Return the attributes to look into: those that are kept, not computed when asked for."""
    if isinstance(value, functools.partial):
        return ["func", "args", "keywords"]
    names = set(getattr(value, "__dict__", ()))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names.update([slots] if isinstance(slots, str) else slots)
    return [name for name in _PARTS if name in names and hasattr(value, name)]


def _zarr_urls(array: Any) -> Iterator[str]:
    """Yield what an array of zarr-python may be called here."""
    yield str(array.store_path)
    path = str(array.path).strip("/")
    inner = getattr(array.store_path.store, "store", None)  # ours, adapted
    url = getattr(inner, "url", None)
    if isinstance(url, str):
        yield f"{url.rstrip('/')}/{path}" if path else url
