"""`NestedStore`: chunks in nested directories, for arrays whose keys have dots."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from zarrstore.errors import UnsupportedOperationError
from zarrstore.keys import join
from zarrstore.operations import Buffer
from zarrstore.stores._nested import NestedArray, NestedChunksStore

__all__ = ["NestedStore"]

_ARRAY, _GROUP = ".zarray", ".zgroup"


class NestedStore(NestedChunksStore):
    """Keep chunks such as ``a/0.1.2`` at ``a/0/1/2``, as the nested directories of zarr-python 2.

    Arrays that say ``"dimension_separator": "/"`` need none of it, and are left as they are:
    this is for the others, which were written into such directories before there was that.

    Parameters
    ----------
    store : Store
        Closed when this one is closed.
    read_only : bool, default False

    Raises
    ------
    UnsupportedOperationError
        For a path of numbers, such as ``a/0/1``, that is written below an array whose chunk
        ``a/0.1`` lies there, and for a chunk where there is no array.

    Examples
    --------
    >>> import zarrstore
    >>> data = {}
    >>> store = NestedStore(zarrstore.MemoryStore(data))
    >>> _ = zarrstore.create_array(store, data=[[1]], zarr_format=2)
    >>> sorted(data), sorted(store.sync)
    (['.zarray', '0/0'], ['.zarray', '0.0'])
    """

    _node_names = (_ARRAY, _GROUP)

    def _location(self) -> dict[str, Any]:
        return {"store": self._inner}

    async def _array_at(self, path: str) -> NestedArray | None:
        return _array(await self._inner.get(join(path, _ARRAY)))

    def _cannot_hold(self, key: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(
            f"{self.url} has chunks in nested directories, and so cannot hold the key {key!r}: "
            "below an array it is a chunk, which is written with dots; where there is none, create "
            "the array first",
            store=self.url,
            key=key,
        )

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        known: dict[str, NestedArray | None] = {}
        async for below in self._inner.list_prefix(prefix):
            key = await self._above(below, known)
            if key.startswith(prefix):
                yield key

    async def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        below = [name async for name in self._inner.list_dir(prefix)]
        names = await self._names(prefix, below)
        for name in below if names is None else names:
            yield name


def _array(document: Buffer | None) -> NestedArray | None:
    """Return what is needed of a ``.zarray``, ``None`` if it is none."""
    if document is None:
        return None
    try:
        found = json.loads(bytes(document))
        return NestedArray(len(found["shape"]), found.get("dimension_separator", ".") == ".")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
