"""Stores in database files: `DBMStore`, `LMDBStore` and `SQLiteStore`."""

from __future__ import annotations

import dbm as default_dbm
import os
from collections.abc import Callable
from functools import partial
from pickle import PicklingError
from typing import Any

from zarrstore.abc import Store
from zarrstore.stores import dbm, lmdb, memory, sqlite
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["DBMStore", "LMDBStore", "SQLiteStore"]

_TUNING = {
    "lock",
    "map_async",
    "max_dbs",
    "max_readers",
    "max_spare_txns",
    "meminit",
    "metasync",
    "mode",
    "readahead",
    "writemap",
}
"""What ``lmdb.open`` is told of no use here: about speed, or to take no locks."""


class DBMStore(V2Store):
    """A store in a database of the module `dbm`, one entry a key.

    Parameters
    ----------
    path : path-like
        The file, or what the names of its files begin with.
    flag : str, default "c"
        ``r``: read only; ``w``: must exist; ``c``: made if missing; ``n``: begins empty.
    mode : int, default 0o666
        Of new files.
    open : callable, optional
        Opens the database; ``dbm.open`` by default.
    write_lock : bool, default True
        Whether threads take turns.
    dimension_separator : {".", "/"}, optional
    **open_kwargs
        For ``open``.

    Notes
    -----
    Close it, or `flush` it: what is in memory is lost if the process is killed. One process uses
    a database that is written to.

    Examples
    --------
    >>> with DBMStore("data.dbm") as store:
    ...     store["a/b"] = b"hello"
    >>> DBMStore("data.dbm", flag="r")["a/b"]
    b'hello'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        flag: str = "c",
        mode: int = 0o666,
        open: Callable[..., Any] | None = None,
        write_lock: bool = True,
        dimension_separator: DimensionSeparator | None = None,
        **open_kwargs: Any,
    ) -> None:
        opener = partial(open or default_dbm.open, **open_kwargs) if open_kwargs else open
        store = dbm.DBMStore(path, flag, mode, opener, write_lock)
        self.path = str(store.path)
        self.flag = flag
        self.mode = mode
        self.open = open
        self.write_lock = write_lock
        self.open_kwargs = open_kwargs
        super().__init__(store, dimension_separator=dimension_separator)

    def __reduce__(self) -> tuple[Any, ...]:
        """Write what is in memory to the files, which the pickle opens."""
        store: Any = self._below
        if not store._closed:
            self.flush()
        flag = "c" + self.flag[1:] if self.flag[0] == "n" else self.flag
        arguments = self.path, flag, self.mode, self.open, self.write_lock
        return _dbm_store, (type(self), arguments, self._dimension_separator, self.open_kwargs)

    def flush(self) -> None:
        """Write to the files what the database keeps in memory."""
        store: Any = self._below
        if not self.read_only:
            self._drive(store.flush)


def _dbm_store(
    cls: Callable[..., DBMStore],
    arguments: tuple[Any, ...],
    separator: DimensionSeparator | None,
    open_kwargs: dict[str, Any],
) -> DBMStore:
    return cls(*arguments, separator, **open_kwargs)


class LMDBStore(V2Store):
    """A store in an LMDB database, one entry a key.

    Parameters
    ----------
    path : path-like
        The folder, or the file if ``subdir=False``.
    buffers : bool, default True
        Kept for what calls with it: values are ``bytes``.
    dimension_separator : {".", "/"}, optional
    **kwargs
        Of ``lmdb.open``: ``map_size``, ``subdir``, ``readonly``, and ``sync`` for whether a
        value has reached the disk before it counts as written. What only tunes LMDB is ignored,
        and ``lock=False`` too: locks are taken.

    Raises
    ------
    ImportError
        If the package lmdb is not installed (``pip install 'zarrstore[lmdb]'``).
    TypeError
        If an option is not known.

    Examples
    --------
    >>> with LMDBStore("data.mdb") as store:
    ...     store["a/b"] = b"hello"
    >>> LMDBStore("data.mdb", readonly=True)["a/b"]
    b'hello'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        buffers: bool = True,
        dimension_separator: DimensionSeparator | None = None,
        **kwargs: Any,
    ) -> None:
        options = {name: value for name, value in kwargs.items() if name not in _TUNING}
        for theirs, ours in (("readonly", "read_only"), ("sync", "durable")):
            if theirs in options:
                options[ours] = bool(options.pop(theirs))
        store = lmdb.LMDBStore(path, **options)
        self.path = str(store.path)
        self.buffers = buffers
        self.kwargs = kwargs
        super().__init__(store, dimension_separator=dimension_separator)

    def flush(self) -> None:
        """Wait until what was written has reached the disk."""
        inside = os.path.join(self.path, "data.mdb")
        file = inside if os.path.isdir(self.path) else self.path
        if os.path.exists(file):
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())


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
