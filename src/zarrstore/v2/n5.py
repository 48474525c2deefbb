"""Stores of N5 containers: `N5Store` and `N5FSStore`."""

from __future__ import annotations

import os
from typing import Any

from zarrstore.abc import Store
from zarrstore.byte_range import ByteRequest
from zarrstore.keys import check_key, is_key
from zarrstore.stores._n5.metadata import ATTRIBUTES
from zarrstore.stores.wrappers import n5
from zarrstore.v2.directory import DirectoryStore
from zarrstore.v2.filesystems import FSStore
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["N5FSStore", "N5Store"]


class _Container(V2Store):
    """What the stores of containers share."""

    _container: Store

    def __getitem__(self, key: str) -> bytes:
        """Return a value of Zarr v2, or the attributes of a node as N5 has them."""
        return self._container.sync[key] if _is_of_n5(key) else super().__getitem__(key)

    def get(self, key: str, default: Any = None, *, byte_range: ByteRequest | None = None) -> Any:
        """Return a value, or part of it, or ``default`` if there is none."""
        if _is_of_n5(key):
            return self._container.sync.get(key, default, byte_range=byte_range)
        return super().get(key, default, byte_range=byte_range)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str) and is_key(key) and _is_of_n5(key):
            return key in self._container.sync
        return super().__contains__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        """Write a value of Zarr v2, or the attributes of a node as N5 has them."""
        if _is_of_n5(key):
            self._container.sync[key] = value
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        """Delete a value of Zarr v2, or the attributes of a node as N5 has them."""
        if _is_of_n5(key):
            del self._container.sync[key]
        else:
            super().__delitem__(key)

    def _layers(self, store: Store) -> Store:
        self._container = store
        below: Any = super()
        layers: Store = below._layers(n5.N5Store(store))
        return layers


def _is_of_n5(key: str) -> bool:
    return check_key(key).rpartition("/")[2] == ATTRIBUTES


class N5Store(_Container, DirectoryStore):
    """A store in a directory that is an N5 container, whose nodes appear as those of Zarr v2.

    Parameters
    ----------
    path : path-like
    normalize_keys : bool, default False
        As in `DirectoryStore`.
    dimension_separator : {"/"}, optional
        Kept for what calls with it: blocks lie in directories, and the keys of chunks have
        ``"."`` all the same.

    Raises
    ------
    MetadataError
        When an array is written that N5 cannot have: other data types than numbers, another fill
        value than 0, filters, or ``order="F"``.

    Notes
    -----
    The keys are those of Zarr v2, which zarr 2 lists as the files of the container are called.
    ``attributes.json`` is read, written and deleted as it is, but not listed.

    Examples
    --------
    >>> from zarrstore.v2 import init_array
    >>> store = N5Store("data.n5")
    >>> init_array(store, shape=(2, 3), chunks=(2, 2), dtype="u1", path="a")
    >>> import zarrstore
    >>> zarrstore.open_array(store, path="a")[...] = 7
    >>> sorted(store)
    ['.zgroup', 'a/.zarray', 'a/0.0', 'a/0.1']
    >>> import os
    >>> sorted(os.listdir("data.n5/a"))
    ['0', '1', 'attributes.json']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: DimensionSeparator | None = "/",
    ) -> None:
        if dimension_separator not in (None, "/"):
            raise ValueError("N5Store has dimension_separator '/', and no other")
        super().__init__(path, normalize_keys, ".")


class N5FSStore(_Container, FSStore):
    """A store on any filesystem of fsspec that is an N5 container, like `N5Store`.

    Parameters
    ----------
    *args, **kwargs
        As for `FSStore`. ``dimension_separator`` has no effect.

    Examples
    --------
    >>> from zarrstore.v2 import init_group
    >>> store = N5FSStore("memory://n5-example")
    >>> init_group(store, path="a")
    >>> sorted(store)
    ['.zgroup', 'a/.zgroup']
    >>> store.clear()
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "dimension_separator": "."})
