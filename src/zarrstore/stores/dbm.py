"""`DBMStore`: a database of the standard library's dbm, one entry a key."""

from __future__ import annotations

import dbm
import importlib
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import parse_qs

from zarrstore.abc import BlockingStore, Capability, Version
from zarrstore.errors import StoreURLError, ZarrStoreError
from zarrstore.operations import Absent, operation
from zarrstore.readable import Receive
from zarrstore.stores._arguments import checked_flag, checked_number
from zarrstore.stores._dbm import FLAVOURS, Handle, raise_dbm_error
from zarrstore.stores._paths import checked_path, path_of_url
from zarrstore.sync import SyncStore

__all__ = ["DBMStore"]

T = TypeVar("T")

_FAILURES = (*dbm.error, ValueError, SyntaxError, TypeError)
"""What the modules of dbm raise; the last three where dbm.dumb reads an index that is damaged."""


class _SyncDBM(SyncStore):
    """The blocking face of a `DBMStore`."""

    __slots__ = ()

    def flush(self) -> None:
        """Write to the files what the database keeps in memory."""
        store: Any = self._store
        self._drive(store.flush)

    def __reduce__(self) -> tuple[Any, ...]:
        return _SyncDBM, (self._store,)


class DBMStore(BlockingStore):
    """Keep each value in an entry of a dbm database: gnu, ndbm, dumb or sqlite3.

    Parameters
    ----------
    path : path-like
        The file, or what the names of its files begin with; made absolute now.
    flag : str, default "c"
        ``r``: read only; ``w``: must exist; ``c``: made by the first write; ``n``: begins empty.
        Letters that dbm.gnu knows may follow.
    mode : int, default 0o666
        Of new files.
    open : callable or {"gnu", "ndbm", "dumb", "sqlite3"}, optional
        Called with path, flag and mode; returns what dbm calls a database. A flavour by its name
        is that of the standard library, which not every Python has. By default what fits to the
        files that are there; for new ones the first of sqlite3 (Python 3.13), gnu, ndbm and dumb.
    write_lock : bool, default True
        Whether threads take turns. ``False`` is for one thread.
    read_only : bool, default False
        The same as flag ``r``.

    Notes
    -----
    What zarr 2 wrote opens, and the other way round. Close the store, or `flush` it: what the
    database has in memory is lost if the process is killed, and dbm.dumb then loses more.

    One process at a time may write, and no other may read meanwhile: it gets a `BackendError`.
    So a store that may write lives in its process, and a pickle of it raises `NotShareableError`
    in another, as any use of it does in a forked child; close it, and open it there. One that
    is read only can be pickled.

    There is no place for sizes and versions: ``stat`` reads the value, and of conditional writes
    there is ``expect=ABSENT`` only.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with DBMStore(f"{folder}/data.dbm").sync as sync:
    ...         sync["a/b"] = b"hello"
    ...     DBMStore(f"{folder}/data.dbm", "r").sync["a/b"]
    b'hello'
    """

    _delete_tells = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        flag: str = "c",
        mode: int = 0o666,
        open: Callable[..., Any] | str | None = None,
        write_lock: bool = True,
        *,
        read_only: bool = False,
    ) -> None:
        if not isinstance(flag, str):
            raise TypeError(f"flag is a str, not {flag!r}")
        if flag[:1] not in ("r", "w", "c", "n"):
            raise ValueError(f"flag is 'r', 'w', 'c' or 'n', not {flag!r}")
        if not (open is None or callable(open) or isinstance(open, str)):
            raise TypeError(f"open is a function or the name of a flavour, not {open!r}")
        if read_only and flag[0] == "n":
            raise ValueError(f"flag={flag!r} writes, and read_only=True forbids it; leave one out")
        if isinstance(open, str):
            if open not in FLAVOURS:
                raise ValueError(f"open is one of {', '.join(FLAVOURS)}, not {open!r}")
            try:
                importlib.import_module(f"dbm.{open}")
            except ImportError as error:
                raise ImportError(f"this Python has no dbm.{open}", name=f"dbm.{open}") from error
        flag = "r" + flag[1:] if read_only else flag
        super().__init__(read_only=flag[0] == "r")
        self._capabilities = self._capabilities_of_hooks() & ~Capability.COMPARE_AND_SWAP
        self._path = checked_path(path)
        self._flag = flag
        self._mode = checked_number("mode", mode)
        self._opener = open
        self._write_lock = checked_flag("write_lock", write_lock)
        self._handle = Handle.of(self._path, self.url)
        self._turn: AbstractContextManager[None] = (
            self._handle.lock if self._write_lock else nullcontext()
        )
        self._release = weakref.finalize(self, self._handle.release)

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open ``dbm://x`` (a relative path) or ``dbm:///folder/x`` (absolute).

        Parameters
        ----------
        url : str
            ``?flavour=gnu`` at its end chooses a flavour.
        storage_options : mapping, optional
            ``flag``, ``mode``, ``open`` and ``write_lock``.
        read_only : bool, default False

        Raises
        ------
        StoreURLError
            If the URL has no path, another query, or a flavour that this Python does not have.

        Examples
        --------
        >>> DBMStore.from_url("dbm:///tmp/data.dbm?flavour=dumb", read_only=True)
        DBMStore('dbm:///tmp/data.dbm', read_only=True)
        """
        path, query = path_of_url(url)
        options = dict(storage_options or {})
        asked = parse_qs(query)
        if query and set(asked) != {"flavour"}:
            raise StoreURLError(f"{url!r}: only '?flavour=' may follow the path", store=url)
        if query:
            options["open"] = asked["flavour"][-1]
        try:
            return cls(path, read_only=read_only, **options)
        except (ImportError, ValueError) as error:
            raise StoreURLError(f"cannot open {url!r}: {error}", store=url) from error

    @property
    def path(self) -> Path:
        """The path that was given, absolute."""
        return Path(self._path)

    @property
    def url(self) -> str:
        return f"dbm://{self._path}"

    @property
    def sync(self) -> _SyncDBM:
        """The blocking face of this store, which is a mutable mapping as well."""
        return _SyncDBM(self)

    def _location(self) -> dict[str, Any] | None:
        if not self._read_only:
            return None
        return {
            "path": self._path,
            "flag": self._flag,
            "mode": self._mode,
            "open": self._opener,
            "write_lock": self._write_lock,
        }

    def _identity(self) -> object:
        return self._path

    def _close(self) -> None:
        try:
            self._release()
        except _FAILURES as error:
            raise_dbm_error(error, "close", self.url, "")

    @operation
    async def flush(self) -> None:
        """Write to the files what the database keeps in memory.

        Raises
        ------
        BackendError
            If they cannot be written (disk full); it may be tried again.
        """
        self._check_open()
        try:
            with self._handle.lock:
                self._handle.sync()
        except _FAILURES as error:
            raise_dbm_error(error, "flush", self.url, "")

    def _run(
        self, work: Callable[[Any], T], action: str, key: str, *, writing: bool = False
    ) -> T | None:
        """Return what a function returns; ``None`` if there is no database, and none is made."""
        try:
            with self._turn:
                handle = self._handle
                if (
                    handle.ready is not None
                    and (handle.is_writable or not writing)
                    and self._flag[0] != "n"
                ):
                    return work(handle.ready)
                result = handle.run(work, self._flag, self._mode, self._opener, writing=writing)
                if self._flag[0] == "n":
                    self._flag = "c" + self._flag[1:]  # once
                return result
        except ZarrStoreError:
            raise
        except _FAILURES as error:
            # opened anew next time: after a failure gdbm takes every key for missing
            with suppress(*_FAILURES), self._turn:
                self._handle.shut()
            raise_dbm_error(error, action, self.url, key)

    def _get(self, key: str) -> bytes | None:
        name = key.encode()
        return self._run(lambda database: _value(database, name), "read", key)

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        for index, key in enumerate(keys):
            receive(index, self._get(key))

    def _exists(self, key: str) -> bool:
        name = key.encode()
        return bool(self._run(lambda database: name in database, "look up", key))

    def _set(self, key: str, value: bytes) -> None:
        name = key.encode()

        def write(database: Any) -> None:
            database[name] = value

        self._run(write, "write", key, writing=True)

    def _set_if(self, key: str, value: bytes, expect: Version | Literal[Absent.ABSENT]) -> None:
        name = key.encode()

        def write(database: Any) -> None:
            if name in database:
                raise self._conflict(key, expect, None)
            database[name] = value

        self._run(write, "write", key, writing=True)

    def _delete(self, key: str) -> bool:
        name = key.encode()

        def delete(database: Any) -> bool:
            if name not in database:
                return False
            del database[name]
            return True

        return bool(self._run(delete, "delete", key))

    def _names(self, prefix: str) -> list[bytes]:
        start = prefix.encode()

        def read(database: Any) -> list[bytes]:
            return [bytes(name) for name in database.keys() if name.startswith(start)]  # noqa: SIM118

        return self._run(read, "list", prefix) or []

    def _list(self, prefix: str) -> Iterator[str]:
        for name in self._names(prefix):
            yield name.decode(errors="surrogateescape")

    def _is_empty(self, prefix: str) -> bool:
        return not self._names(prefix)

    def _getsize_prefix(self, prefix: str) -> int:
        names = self._names(prefix)

        def add(database: Any) -> int:
            return sum(len(_value(database, name) or b"") for name in names)

        return self._run(add, "list", prefix) or 0

    def _delete_dir(self, prefix: str) -> None:
        names = self._names(prefix)

        def delete(database: Any) -> None:
            for name in names:
                if name in database:
                    del database[name]

        self._run(delete, "delete", prefix)


def _value(database: Any, name: bytes) -> bytes | None:
    try:
        return bytes(database[name])
    except KeyError:
        return None
