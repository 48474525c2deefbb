"""`LMDBStore`: an LMDB database, one entry a key."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import BackendError, ZarrStoreError
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.requests import part_of
from zarrstore.stores._arguments import checked_flag, checked_number
from zarrstore.stores._batches import portions, version_of_content
from zarrstore.stores._files import raise_backend_error
from zarrstore.stores._lmdb import (
    MAX_KEY_BYTES,
    MENDABLE,
    Environment,
    lmdb,
    name_of,
    raise_lmdb_error,
)
from zarrstore.stores._paths import checked_path, plain_path_of_url

__all__ = ["LMDBStore"]

T = TypeVar("T")
Transaction: TypeAlias = Any
_MAP_SIZE = 2**40
_PAGE = 1024
_AT_ONCE = 64
_ATTEMPTS = 24


class LMDBStore(BlockingStore):
    """Keep each value in an entry of an LMDB database.

    Parameters
    ----------
    path : path-like
        A folder with the files ``data.mdb`` and ``lock.mdb``; made absolute now, created by the
        first write in a folder that is there.
    read_only : bool, default False
    durable : bool, default False
        Whether a value has reached the disk before ``set`` returns. Without it a power cut may
        damage the database.
    subdir : bool, optional
        ``False`` if the path is the file itself, with the lock beside it. By default whatever is
        there; a new database is a folder.
    map_size : int, default 1 TiB
        What the database may grow to; it is doubled when that is reached. As in zarr 2, on Linux
        the file seems to be as large as this, and takes of the disk what is in it.

    Notes
    -----
    Needs the package lmdb (``pip install 'zarrstore[lmdb]'``). What zarr 2 wrote opens, and the
    other way round. Any number of threads and processes of one machine may use it at a time;
    readers never wait, and one writes at a time.

    Keys have at most 511 bytes. A version is a digest of the value: ``stat`` and conditional writes
    read the value, and a value that is written again is the same version.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with LMDBStore(f"{folder}/data.lmdb").sync as sync:
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
        subdir: bool | None = None,
        map_size: int = _MAP_SIZE,
    ) -> None:
        super().__init__(read_only=read_only)
        self._path = checked_path(path)
        is_folder = not os.path.isfile(self._path) if subdir is None else subdir
        self._subdir = checked_flag("subdir", is_folder)
        self._map_size = checked_number("map_size", map_size, least=1)
        self._durable = checked_flag("durable", durable)
        self._environment: Environment | None = None  # looked for at the first use
        self._releases: list[weakref.finalize[Any, Any]] = []

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open ``lmdb://x`` (a relative path) or ``lmdb:///folder/x`` (absolute).

        Parameters
        ----------
        url : str
        storage_options : mapping, optional
            ``durable``, ``subdir`` and ``map_size``.
        read_only : bool, default False

        Raises
        ------
        StoreURLError
            If the URL has no path, or a query.

        Examples
        --------
        >>> LMDBStore.from_url("lmdb:///tmp/data.lmdb", read_only=True)
        LMDBStore('lmdb:///tmp/data.lmdb', read_only=True)
        """
        return cls(plain_path_of_url(url), read_only=read_only, **(storage_options or {}))

    @property
    def path(self) -> Path:
        """The database's folder (or file), absolute."""
        return Path(self._path)

    @property
    def url(self) -> str:
        return f"lmdb://{self._path}"

    def _location(self) -> dict[str, Any]:
        return {
            "path": self._path,
            "durable": self._durable,
            "subdir": self._subdir,
            "map_size": self._map_size,
        }

    def _identity(self) -> object:
        return self._path

    def _find(self) -> Environment:
        found = self._environment = Environment.of(self._path, self._subdir, self._map_size)
        self._releases.append(weakref.finalize(self, found.release))
        return found

    def _close(self) -> None:
        for release in self._releases:
            release()

    def _run(
        self,
        work: Callable[[Transaction], T],
        action: str,
        key: str,
        missing: T,
        *,
        buffers: bool = True,
        writing: bool = False,
    ) -> T:
        """Return what a function returns that reads, or writes, in one transaction."""
        environment = self._environment or self._find()
        failed: Any = None
        for _ in range(_ATTEMPTS):
            try:
                if failed is not None and not environment.mend(failed):
                    break
                with environment.used():
                    env = self._opened(environment, action, key, writing)
                    if env is None:
                        return missing
                    with env.begin(write=writing, buffers=buffers) as transaction:
                        result = work(transaction)
                    if writing and self._durable:
                        env.sync(True)
                    return result
            except MENDABLE as error:
                failed = error
            except lmdb.Error as error:
                raise_lmdb_error(error, action, self.url, key)
        raise_lmdb_error(failed, action, self.url, key)
        raise AssertionError

    def _opened(self, environment: Environment, action: str, key: str, writing: bool) -> Any:
        try:
            return environment.opened(writing)
        except ZarrStoreError:
            raise
        except OSError as error:
            raise_backend_error(error, action, self.url, key)

    def _get(self, key: str) -> Buffer | None:
        name = key.encode()
        environment = self._environment or self._find()
        active = environment.active
        active.append(None)
        try:
            # what `_run` does, as far as it is needed here: it takes longer than LMDB itself
            if environment.env is not None and not environment.wanted:
                # the transaction ends with its last reference, which takes no call
                value: Buffer | None = environment.env.begin().get(name)
                return value
        except lmdb.Error:
            pass  # and once again, with what may be done about it
        finally:
            active.pop()
        if len(name) > MAX_KEY_BYTES:
            return None
        found: Buffer | None = self._run(
            lambda transaction: transaction.get(name), "read", key, None, buffers=False
        )
        return found

    def _look(self, key: str, work: Callable[[Any], T]) -> T | None:
        """Return what a function makes of a value where it is in the map; ``None`` if missing."""
        name = key.encode()
        if len(name) > MAX_KEY_BYTES:
            return None

        def read(transaction: Transaction) -> T | None:
            value = transaction.get(name)
            return None if value is None else work(value)

        return self._run(read, "read", key, None)

    def _get_range(self, key: str, byte_range: ByteRequest) -> Buffer | None:
        return self._look(key, lambda value: bytes(part_of(value, byte_range)))

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> list[Buffer] | None:
        def read(value: memoryview) -> list[Buffer]:
            return [bytes(part_of(value, each)) for each in byte_ranges]

        return self._look(key, read)

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        def read(value: memoryview) -> Versioned:
            parts: list[Buffer] = [bytes(part_of(value, each)) for each in byte_ranges]
            if then is not None:
                parts += [bytes(part_of(value, each)) for each in then(parts, len(value))]
            return Versioned(parts, len(value), version_of_content(value))

        return self._look(key, read)

    def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None = None
    ) -> int | None:
        def read(value: memoryview) -> int:
            start, stop = (0, len(value)) if byte_range is None else resolve(byte_range, len(value))
            if stop - start <= len(buffer):
                buffer[: stop - start] = value[start:stop]
            return stop - start

        return self._look(key, read)

    def _many(self, keys: Sequence[str], receive: Receive, first: int = 0) -> None:
        """Hand values over where they are in the map, all of one state of the database."""
        names = [key.encode() for key in keys]

        def read(transaction: Transaction) -> bool:
            for index, name in enumerate(names, first):
                value = transaction.get(name) if len(name) <= MAX_KEY_BYTES else None
                receive(index, value)
                if value is not None:
                    with suppress(BufferError):
                        value.release()  # who kept it shall not read what is there later
            return True

        if names and not self._run(read, "read", keys[0], False):
            for index in range(len(names)):
                receive(first + index, None)

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> list[Buffer | None]:
        found: list[Buffer | None] = [None] * len(requests)
        if all(byte_range is None for _, byte_range in requests):
            names = [key.encode() for key, _ in requests]

            def read(transaction: Transaction) -> list[Buffer | None]:
                get = transaction.get
                return [get(name) if len(name) <= MAX_KEY_BYTES else None for name in names]

            return self._run(read, "read", "", found, buffers=False)

        def receive(index: int, value: Buffer | None) -> None:
            byte_range = requests[index][1]
            if value is not None:
                found[index] = (
                    bytes(value) if byte_range is None else bytes(part_of(value, byte_range))
                )

        self._many([key for key, _ in requests], receive)
        return found

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        keys = iter(keys)
        first = 0
        while some := list(islice(keys, _AT_ONCE)):
            self._many(some, receive, first)
            first += len(some)

    def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        return [self._get_into(key, buffer) for key, buffer in zip(keys, buffers, strict=True)]

    def _stat(self, key: str) -> Stat | None:
        return self._look(key, lambda value: Stat(len(value), version_of_content(value)))

    def _exists(self, key: str) -> bool:
        return self._look(key, lambda _: True) is not None

    def _write(self, work: Callable[[Transaction], T], key: str, missing: T, nbytes: int = 0) -> T:
        environment = self._environment or self._find()

        def write(transaction: Transaction) -> T:
            environment.check_place(nbytes, key)
            return work(transaction)

        return self._run(write, "write", key, missing, writing=True)

    def _set(self, key: str, value: Any) -> None:
        self._change(key, value)

    def _change(self, key: str, value: Any) -> bool:
        """Write a value, or delete it if there is none; tell whether something was changed."""
        name = key.encode()
        environment = self._environment or self._find()
        active = environment.active
        active.append(None)
        try:
            # as in `_get`
            if environment.is_writable and not environment.wanted and not self._durable:
                environment.check_place(0 if value is None else len(value), key)
                transaction = environment.env.begin(None, None, True)
                try:
                    done: bool = (
                        transaction.delete(name) if value is None else transaction.put(name, value)
                    )
                    transaction.commit()
                except BaseException:
                    transaction.abort()  # now: the error keeps it
                    raise
                return done
        except lmdb.Error:
            pass
        finally:
            active.pop()
        if value is None:
            # nothing is made, or opened for writing, for what is not there
            return self._exists(key) and self._write(
                lambda found: bool(found.delete(name)), key, False
            )
        name = name_of(key, self.url)
        return self._write(lambda found: bool(found.put(name, value)), key, False, len(value))

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Version:
        name = name_of(key, self.url)

        def write(transaction: Transaction) -> Version:
            there = transaction.get(name)
            found = None if there is None else version_of_content(there)
            if found != (None if isinstance(expect, Absent) else expect):
                raise self._conflict(key, expect, found)
            transaction.put(name, value)
            return version_of_content(value)

        return self._write(write, key, "", len(value))

    def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        pairs = [(name_of(key, self.url), value) for key, value in items]
        for some in portions(pairs, 2**26):

            def write(transaction: Transaction, some: Any = some) -> bool:
                with transaction.cursor() as cursor:
                    cursor.putmulti(some)
                return True

            self._write(write, some[0][0].decode(), False, sum(len(v) + 4096 for _, v in some))

    def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        # copies, so that no lock is held while others make the next value, maybe in the same place
        copies = ((key, bytes(value)) for key, value in items)
        for some in portions(copies):
            self._set_many(some)

    def _delete(self, key: str) -> bool:
        try:
            return self._change(key, None)
        except BackendError:  # on a full disk nothing is refused that changes nothing
            if self._exists(key):
                raise
        return False

    def _delete_dir(self, prefix: str) -> None:
        start = prefix.encode()

        def delete(transaction: Transaction) -> bool:
            with transaction.cursor() as cursor:
                there = cursor.set_range(start) if start else cursor.first()
                for _ in range(_PAGE):
                    if not there or not bytes(cursor.key()).startswith(start):
                        return False
                    cursor.delete()
                    there = bool(cursor.key())
            return True

        if not self._is_empty(prefix):
            while self._write(delete, prefix, False):
                pass

    def _pages(
        self, prefix: str, read: Callable[[Any], tuple[list[str], bytes | None]]
    ) -> Iterator[list[str]]:
        """Yield what a function reads from a cursor on, until it knows of no place to go on."""
        at: bytes | None = prefix.encode()

        def page(transaction: Transaction) -> tuple[list[str], bytes | None]:
            with transaction.cursor() as cursor:
                if len(at or b"") > MAX_KEY_BYTES or not cursor.set_range(at):
                    return [], None
                return read(cursor)

        nothing: tuple[list[str], bytes | None] = [], None
        while at is not None:
            found, at = self._run(page, "list", prefix, nothing, buffers=False)
            yield found

    def _list(self, prefix: str) -> Iterator[str]:
        start = prefix.encode()

        def read(cursor: Any) -> tuple[list[str], bytes | None]:
            names = list(islice(cursor.iternext(keys=True, values=False), _PAGE))
            after = names[-1] + b"\0" if len(names) == _PAGE else None
            if start and not names[-1].startswith(start):
                names = [name for name in names if name.startswith(start)]
                after = None
            return [name.decode(errors="surrogateescape") for name in names], after

        for page in self._pages(prefix, read):
            yield from page

    def _list_dir(self, prefix: str) -> Iterator[str]:
        start = prefix.encode()
        seen: set[str] = set()

        def read(cursor: Any) -> tuple[list[str], bytes | None]:
            found: list[str] = []
            there = True
            after = None
            for _ in range(_PAGE):
                key = cursor.key()
                if not there or not key.startswith(start):
                    return found, None
                name, slash, _rest = key[len(start) :].partition(b"/")
                found.append(name.decode(errors="surrogateescape"))
                # past all keys below the name, of which there may be many
                after = start + name + b"0" if slash else key + b"\0"
                there = cursor.set_range(after) if slash else cursor.next()
            return found, after

        for page in self._pages(prefix, read):
            for name in page:
                if name not in seen:
                    seen.add(name)
                    yield name

    def _is_empty(self, prefix: str) -> bool:
        start = prefix.encode()

        def read(cursor: Any) -> tuple[list[str], bytes | None]:
            return ["there"] if cursor.key().startswith(start) else [], None

        return not any(self._pages(prefix, read))

    def _getsize_prefix(self, prefix: str) -> int:
        start = prefix.encode()

        def read(transaction: Transaction) -> int:
            total = 0
            with transaction.cursor() as cursor:
                if len(start) <= MAX_KEY_BYTES and cursor.set_range(start):
                    for name, value in cursor:
                        if bytes(name[: len(start)]) != start:
                            break
                        total += len(value)
            return total

        return self._run(read, "list", prefix, 0)
