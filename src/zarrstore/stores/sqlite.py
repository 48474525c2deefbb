"""`SQLiteStore`: a table of an SQLite database, one row a key."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.stores._arguments import checked_flag, checked_seconds
from zarrstore.stores._batches import batches, portions
from zarrstore.stores._paths import checked_path, plain_path_of_url
from zarrstore.stores._sqlite import Connections, Failures, raise_sqlite_error

__all__ = ["SQLiteStore"]

T = TypeVar("T")

# A row gets a number that no row had before: the time, or more. So it tells the states of a key
# apart, and needs no column that other readers of the table do not know.
_FRESH = "max(?, (SELECT ifnull(max(rowid), 0) + 1 FROM zarr))"
_SET = f"REPLACE INTO zarr(rowid, k, v) VALUES ({_FRESH}, ?, ?)"  # noqa: S608
_CREATE = f"INSERT OR IGNORE INTO zarr(rowid, k, v) VALUES ({_FRESH}, ?, ?)"  # noqa: S608
_SWAP = f"UPDATE zarr SET rowid = {_FRESH}, v = ? WHERE k = ? AND rowid = ?"  # noqa: S608
_SET_AT = "REPLACE INTO zarr(rowid, k, v) VALUES (?, ?, ?)"
_GET = "SELECT v FROM zarr WHERE k = ?"
# of text, which others may write, length() counts characters
_LENGTH = "CASE typeof(v) WHEN 'blob' THEN length(v) ELSE length(CAST(v AS BLOB)) END"
_STAT = f"SELECT rowid, {_LENGTH} FROM zarr WHERE k = ?"  # noqa: S608
_EXISTS = "SELECT 1 FROM zarr WHERE k = ?"
_DELETE = "DELETE FROM zarr WHERE k = ?"
_MANY = "SELECT j.key, v FROM json_each(?) AS j CROSS JOIN zarr ON k = j.value"
_RANGE = "FROM zarr WHERE k >= ? AND k < ?"
_PAGE = f"SELECT k {_RANGE} ORDER BY k LIMIT ?"
# some keys as one string, and where to go on: a row for each key takes longer than to find it
_NEXT = "ifnull((SELECT k FROM zarr WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT 1 OFFSET ?3), ?2)"
_KEYS = f"SELECT json_group_array(k), e FROM (SELECT {_NEXT} AS e) JOIN zarr ON k >= ?1 AND k < e"  # noqa: S608
_DELETE_RANGE = f"DELETE {_RANGE}"
_SIZE = f"SELECT ifnull(sum({_LENGTH}), 0) {_RANGE}"

_APART = 1024
"""Between the numbers of rows written together: zarr 2 numbers the last row again, once deleted."""
_LARGEST_PAGE = 4096
_BYTES_OF_TRANSACTION = 2**26


class SQLiteStore(BlockingStore):
    """Keep each value in a row of an SQLite database, a single file.

    Parameters
    ----------
    path : path-like
        The file; made absolute now, created by the first write in a directory that is there.
    read_only : bool, default False
    durable : bool, default False
        Whether a value has reached the disk before ``set`` returns, so that it survives a power
        cut. Without it the last ones may be lost then, and the database stays whole.
    wal : bool, default True
        Whether the first write turns on the write-ahead log, with which reading and writing do
        not wait for each other. It does not work on network file systems.
    timeout : float, default 30
        Seconds to wait for a lock that another process has.

    Notes
    -----
    The table is the one of zarr 2, ``zarr(k TEXT PRIMARY KEY, v BLOB)``, and opens there. Any
    number of threads and processes of one machine may use it at a time; one of them writes at a
    time, as quickly as it gets its turn. Conditional writes hold between all of them.

    ``set_many`` and ``set_each`` write many values in one transaction, which for small ones is
    many times as quick as one by one. A value takes at most 1 GB. What is deleted leaves room in
    the file for other values; ``VACUUM`` gives it back to the disk.

    Where neither the file's directory can be written nor a log is there, the database is taken
    not to change.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SQLiteStore(f"{folder}/data.db").sync as sync:
    ...         sync["a/b"] = b"hello"
    ...         print(sync["a/b"], list(sync.list_dir()))
    b'hello' ['a']
    """

    _takes_views = True
    _delete_tells = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        durable: bool = False,
        wal: bool = True,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(read_only=read_only)
        if os.fspath(path) == ":memory:":
            raise ValueError("':memory:' is no file; use MemoryStore for data of one process")
        self._path = checked_path(path)
        durable, wal = checked_flag("durable", durable), checked_flag("wal", wal)
        timeout = checked_seconds("timeout", timeout)
        self._options = {"durable": durable, "wal": wal, "timeout": timeout}
        self._connections = Connections(
            self._path, self.url, read_only=read_only, durable=durable, wal=wal, timeout=timeout
        )
        weakref.finalize(self, self._connections.close)

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open ``sqlite://x.db`` (a relative path) or ``sqlite:///folder/x.db`` (absolute).

        Parameters
        ----------
        url : str
        storage_options : mapping, optional
            ``durable``, ``wal`` and ``timeout``.
        read_only : bool, default False

        Raises
        ------
        StoreURLError
            If the URL has no path, or a query.

        Examples
        --------
        >>> SQLiteStore.from_url("sqlite:///tmp/data.db", read_only=True)
        SQLiteStore('sqlite:///tmp/data.db', read_only=True)
        """
        return cls(plain_path_of_url(url), read_only=read_only, **(storage_options or {}))

    @property
    def path(self) -> Path:
        """The database's file, absolute."""
        return Path(self._path)

    @property
    def url(self) -> str:
        return f"sqlite://{self._path}"

    def _location(self) -> dict[str, Any]:
        return {"path": self._path, **self._options}

    def _identity(self) -> object:
        return self._path

    def _close(self) -> None:
        self._connections.close()

    def _read(self, work: Callable[[sqlite3.Connection], T], action: str, key: str) -> T | None:
        """Return what a function reads; ``None`` if there is no database."""
        connections = self._connections
        connection = None
        try:
            connection = connections.take()
            return None if connection is None else work(connection)
        except Failures as error:
            raise_sqlite_error(error, action, self.url, key)
        finally:
            if connection is not None:
                connections.give(connection)

    def _row(self, statement: str, values: tuple[Any, ...], action: str, key: str) -> Any:
        """Return the only row of an answer, or ``None``."""
        return self._read(lambda found: found.execute(statement, values).fetchone(), action, key)

    def _write(self, work: Callable[[sqlite3.Connection], T], action: str, key: str) -> T:
        """Return what a function returns that writes; a transaction it leaves is undone."""
        connections = self._connections
        with connections.writing:
            connection = None
            try:
                connection = connections.take(writing=True)
                assert connection is not None
                return work(connection)
            except Failures as error:
                raise_sqlite_error(error, action, self.url, key)
            finally:
                if connection is not None:
                    connections.give(connection)

    def _get(self, key: str) -> Buffer | None:
        row = self._row(_GET, (key,), "read", key)
        if row is None:
            return None
        return row[0] if type(row[0]) is bytes else _bytes(row[0])

    def _get_range(self, key: str, byte_range: ByteRequest) -> Buffer | None:
        found = self._get_versioned(key, (byte_range,), None)
        return None if found is None else found.parts[0]

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> list[Buffer] | None:
        found = self._get_versioned(key, byte_ranges, None)
        return None if found is None else found.parts

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        def read(connection: sqlite3.Connection) -> Versioned | None:
            connection.execute("BEGIN")
            row = connection.execute(_STAT, (key,)).fetchone()
            if row is None:
                return None
            number, size = row[0], row[1] or 0
            if not size:
                return Versioned([b""] * len(byte_ranges), 0, _version(number))
            with connection.blobopen("zarr", "v", number, readonly=True) as blob:
                parts: list[Buffer] = [_part(blob, request, size) for request in byte_ranges]
                if then is not None:
                    parts += [_part(blob, request, size) for request in then(parts, size)]
            connection.execute("COMMIT")
            return Versioned(parts, size, _version(number))

        return self._read(read, "read", key)

    def _values(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(keys)

        def read(connection: sqlite3.Connection) -> None:
            for index, value in connection.execute(_MANY, (json.dumps(keys),)).fetchall():
                found[index] = value if type(value) is bytes else _bytes(value)

        self._read(read, "read", keys[0])
        return found

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> list[Buffer | None]:
        whole = [key for key, byte_range in requests if byte_range is None]
        values: list[Buffer | None] = []
        for batch in batches(whole, self._values):
            values += batch
        if len(whole) == len(requests):
            return values
        rest = iter(values)
        return [
            next(rest) if byte_range is None else self._get_range(key, byte_range)
            for key, byte_range in requests
        ]

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        index = 0
        for batch in batches(keys, self._values):
            for value in batch:
                receive(index, value)
                index += 1

    def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        sizes: list[int | None] = []
        values = (value for batch in batches(keys, self._values) for value in batch)
        for value, buffer in zip(values, buffers, strict=True):
            if value is not None and len(value) <= len(buffer):
                buffer[: len(value)] = value
            sizes.append(None if value is None else len(value))
        return sizes

    def _stat(self, key: str) -> Stat | None:
        row = self._row(_STAT, (key,), "look up", key)
        return None if row is None else Stat(row[1] or 0, _version(row[0]))

    def _exists(self, key: str) -> bool:
        return self._row(_EXISTS, (key,), "look up", key) is not None

    def _set(self, key: str, value: Any) -> Version:
        values = time.time_ns(), key, value
        number = self._write(lambda found: found.execute(_SET, values).lastrowid, "write", key)
        return _version(number)

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Version:
        def write(connection: sqlite3.Connection) -> Version:
            now = time.time_ns()
            if isinstance(expect, Absent):
                done = connection.execute(_CREATE, (now, key, value))
            else:
                done = connection.execute(_SWAP, (now, value, key, _number(expect)))
            row = connection.execute(_STAT, (key,)).fetchone()
            if not done.rowcount:
                raise self._conflict(key, expect, None if row is None else _version(row[0]))
            connection.execute("COMMIT")
            return _version(row[0])

        def in_transaction(connection: sqlite3.Connection) -> Version:
            connection.execute("BEGIN IMMEDIATE")
            return write(connection)

        return self._write(in_transaction, "write", key)

    def _set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            fresh = f"SELECT {_FRESH}"
            (number,) = connection.execute(fresh, (time.time_ns(),)).fetchone()
            rows = [(number + _APART * index, *item) for index, item in enumerate(some)]
            connection.executemany(_SET_AT, rows)
            connection.execute("COMMIT")

        for some in portions(items, _BYTES_OF_TRANSACTION):
            self._write(write, "write", some[0][0])

    def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        # copies, so that no lock is held while others make the next value, maybe in the same place
        copies = ((key, bytes(value)) for key, value in items)
        for some in portions(copies):
            self._set_many(some)

    def _delete(self, key: str) -> bool:
        if not self._exists(key):  # nothing is made or locked for that
            return False
        done = self._write(lambda found: found.execute(_DELETE, (key,)), "delete", key)
        return done.rowcount > 0

    def _delete_dir(self, prefix: str) -> None:
        if not self._is_empty(prefix):
            bounds = _bounds(prefix)
            self._write(lambda found: found.execute(_DELETE_RANGE, bounds), "delete", prefix)

    def _page(self, low: str, high: str | bytes, size: int, prefix: str) -> list[str]:
        values = low, high, size
        rows = self._read(lambda found: found.execute(_PAGE, values).fetchall(), "list", prefix)
        return [key for (key,) in rows or ()]

    def _list(self, prefix: str) -> Iterator[str]:
        return chain.from_iterable(self._pages(prefix))

    def _pages(self, prefix: str) -> Iterator[list[str]]:
        low, high = _bounds(prefix)
        size = 64
        while row := self._row(_KEYS, (low, high, size), "list", prefix):
            keys, low = row
            yield json.loads(keys)
            if low is None or low == high:
                return
            size = min(4 * size, _LARGEST_PAGE)

    def _list_dir(self, prefix: str) -> Iterator[str]:
        low, high = _bounds(prefix)
        start = len(prefix)
        names: set[str] = set()
        size = 16
        while page := self._page(low, high, size, prefix):
            before = len(names)
            for key in page:
                name = key[start:].partition("/")[0]
                if name not in names:
                    names.add(name)
                    yield name
            if len(page) < size:
                return
            # past all keys below the last name, of which there may be many
            last = page[-1]
            end = last.find("/", start)
            low = last + "\0" if end < 0 else _bounds(last[: end + 1])[1]
            is_flat = len(names) - before > size // 2
            size = min(2 * size, _LARGEST_PAGE) if is_flat else max(1, size // 4)

    def _is_empty(self, prefix: str) -> bool:
        return not self._page(*_bounds(prefix), 1, prefix)

    def _getsize_prefix(self, prefix: str) -> int:
        row = self._row(_SIZE, _bounds(prefix), "list", prefix)
        return 0 if row is None else int(row[0])


def _bounds(prefix: str) -> tuple[str, Any]:
    """Return the first string with a prefix that ends with ``/``, and the first beyond."""
    # an empty blob comes after all text
    return prefix, prefix[:-1] + "0" if prefix else b""


def _version(number: int | None) -> Version:
    return f"{number:x}"


def _number(version: Version) -> int:
    """Return the number of the row that a version names; -1 if there cannot be one."""
    try:
        number = int(version, 16)
    except ValueError:
        return -1
    return number if _version(number) == version and number < 2**63 else -1


def _bytes(value: Any) -> bytes:
    """Return what is no blob, as somebody else put it there."""
    return b"" if value is None else str(value).encode()


def _part(blob: sqlite3.Blob, request: ByteRequest, size: int) -> bytes:
    start, stop = resolve(request, size)
    blob.seek(start)
    return blob.read(stop - start)
