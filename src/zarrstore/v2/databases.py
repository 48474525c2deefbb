"""Stores in database files: `SQLiteStore`."""

from __future__ import annotations

import os
from pickle import PicklingError
from typing import Any

from zarrstore.abc import Store
from zarrstore.stores import memory, sqlite
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["SQLiteStore"]


class SQLiteStore(V2Store):
    """A store in an SQLite database, one row of the table ``zarr`` a key.

    Parameters
    ----------
    path : path-like
        The file, or ``":memory:"`` for what lives as long as this object, and cannot be pickled.
    dimension_separator : {".", "/"}, optional
    **kwargs
        ``timeout``, ``durable`` and ``wal`` of `zarrstore.SQLiteStore`.

    Notes
    -----
    Prefixes are compared as they are: ``_`` and ``%`` in a path stand for themselves.

    Examples
    --------
    >>> store = SQLiteStore("data.sqldb")
    >>> store.update({"a_b/c": b"1", "axb/c": b"2"})
    >>> store.rmdir("a_b")
    >>> dict(store)
    {'axb/c': b'2'}
    >>> store.close()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        dimension_separator: DimensionSeparator | None = None,
        **kwargs: Any,
    ) -> None:
        store: Store
        if os.fspath(path) == ":memory:":
            store, self.path = memory.MemoryStore(), ":memory:"
        else:
            store = sqlite.SQLiteStore(path, **kwargs)
            self.path = str(store.path)
        self.kwargs = kwargs
        super().__init__(store, dimension_separator=dimension_separator)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path == ":memory:":
            raise PicklingError("a database in memory cannot be pickled; give SQLiteStore a file")
        return super().__reduce__()
