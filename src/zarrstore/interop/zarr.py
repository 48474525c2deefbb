"""Stores of zarr-python 3: ours for it, and its for us.

>>> import zarr, zarrstore
>>> array = zarr.create_array(to_zarr("memory://interop"), shape=4, dtype="int8", chunks=2)
>>> array[:] = [1, 2, 3, 4]
>>> zarrstore.open_array("memory://interop")[1:3]
array([2, 3], dtype=int8)
"""

from __future__ import annotations

from typing import TypeGuard

from zarrstore.abc import Store
from zarrstore.hierarchy.faces import Face
from zarrstore.hierarchy.opening import open_store
from zarrstore.registry import StoreLike, make_store

try:
    import zarr.abc.store as zarr_abc
except ImportError as error:
    raise ImportError(
        "zarrstore.interop.zarr needs zarr-python 3.1 or later: pip install 'zarrstore[zarr]'"
    ) from error

from zarrstore.interop._n5_codec import register_n5
from zarrstore.interop._zarr_adapter import BlockingStoreAdapter, StoreAdapter
from zarrstore.interop._zarr_python import ZarrPythonStore
from zarrstore.runtime import LoopHome

__all__ = ["BlockingStoreAdapter", "StoreAdapter", "ZarrPythonStore", "from_zarr", "to_zarr"]


def to_zarr(store_like: StoreLike = None, *, read_only: bool | None = None) -> zarr_abc.Store:
    """Return a store that zarr-python 3, xarray and dask accept.

    Parameters
    ----------
    store_like : optional
        Whatever `zarrstore.open_store` takes: a store, a path, a URL, a dict, a group. A store
        of zarr-python is returned as it is.
    read_only : bool, optional
        By default as the store is.

    Returns
    -------
    StoreAdapter or BlockingStoreAdapter
        Closing it closes the store, unless ``read_only`` made it a view.

    Raises
    ------
    ReadOnlyError
        If ``read_only=False`` is given for a store that was opened read-only.

    Examples
    --------
    >>> import zarr
    >>> with to_zarr("data.zip") as store:
    ...     group = zarr.create_group(store)
    ...     group.create_array("a", shape=3, dtype="int8")[:] = [0, 1, 2]
    >>> zarr.open_array(to_zarr("data.zip", read_only=True), path="a")[:]
    array([0, 1, 2], dtype=int8)
    """
    if _is_of_zarr(store_like):
        adapted = store_like
    else:
        if isinstance(store_like, Face):
            store_like = open_store(store_like)
        store = make_store(store_like, read_only=bool(read_only))
        if store._foreign_format is not None:
            register_n5()
        if isinstance(store, ZarrPythonStore):
            adapted = store.zarr_store
            read_only = store.read_only if read_only is None else read_only
        elif isinstance(store._home, LoopHome):
            return StoreAdapter(store, read_only=read_only)
        else:
            return BlockingStoreAdapter(store, read_only=read_only)
    if read_only is None or read_only == adapted.read_only:
        return adapted
    return adapted.with_read_only(read_only)


def from_zarr(zarr_store: zarr_abc.Store) -> Store:
    """Return a store of zarr-python 3 as a store here; `zarrstore.open_store` does it, too.

    Parameters
    ----------
    zarr_store : zarr.abc.store.Store

    Returns
    -------
    Store
        What `to_zarr` was given, if it is one that `to_zarr` has made.

    Examples
    --------
    >>> import zarr.storage
    >>> store = from_zarr(zarr.storage.MemoryStore())
    >>> store.sync["a"] = b"hello"
    >>> store.sync["a"]
    b'hello'
    """
    if isinstance(zarr_store, StoreAdapter):
        return zarr_store.store
    if not _is_of_zarr(zarr_store):
        raise TypeError(
            f"zarr_store is a store of zarr-python 3, not {type(zarr_store).__name__}; "
            "open_store takes anything else"
        )
    return ZarrPythonStore(zarr_store)


def _is_of_zarr(given: object) -> TypeGuard[zarr_abc.Store]:
    return isinstance(given, zarr_abc.Store)
