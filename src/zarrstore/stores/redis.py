"""`RedisStore`: a Redis or Valkey server, one string a key, named as zarr 2 names them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, Self

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, OffsetByteRequest, RangeByteRequest
from zarrstore.errors import ConflictError, StoreURLError
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.redaction import redact
from zarrstore.stores._arguments import check_installed
from zarrstore.stores._batches import batches, portions
from zarrstore.stores._redis.options import checked_options, options_of, url_of
from zarrstore.stores._redis.server import Command, Server

__all__ = ["RedisStore"]

_FIRST_PAGE, _LARGEST_PAGE = 1000, 16_000
_ATTEMPTS = 3
_FAR = 2**60


class RedisStore(BlockingStore):
    """Keep each value in a string of a Redis or Valkey server.

    Parameters
    ----------
    prefix : str, default "zarr"
        The names there are the prefix, a colon and the key, as zarr 2's.
    read_only : bool, default False
    **options
        As for ``redis.Redis``: ``host``, ``port``, ``db``, ``username``, ``password``, ``ssl``,
        ``unix_socket_path`` ... ``socket_timeout`` and ``socket_connect_timeout`` are 10 seconds
        by default.

    Raises
    ------
    ImportError
        If the package redis is not installed (``pip install 'zarrstore[redis]'``).
    TypeError
        If it knows no such option.

    Notes
    -----
    Nothing is connected before the first use. A lost connection is made again, up to twice; what
    takes longer than the timeout, or is refused, raises `BackendError` or `AccessDeniedError`,
    and the store goes on when the server does.

    Writes are atomic, and conditional writes hold between all writers of the server. A version
    is the SHA-1 of the value, which the server computes: ``set`` without ``expect`` returns none.
    Batches go through pipelines: each value is atomic, all together are not.

    One server has all keys: no cluster. Listing goes through all keys of the database, whatever
    the prefix. A value has 512 MiB at most.

    Examples
    --------
    >>> RedisStore(host="localhost", password="secret")
    RedisStore('redis://localhost:6379/0?prefix=zarr')
    """

    _takes_views = True
    _delete_tells = True

    def __init__(self, prefix: str = "zarr", *, read_only: bool = False, **options: Any) -> None:
        super().__init__(read_only=read_only)
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {type(prefix).__name__}")
        self._prefix = prefix
        self._options = checked_options(options)
        self._url = url_of(prefix, self._options)
        self._server = Server(self._url, self._options)

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open ``redis://host:port/db?prefix=zarr``, without I/O.

        Parameters
        ----------
        url : str
            ``redis://``, ``rediss://`` for TLS, or ``redis+unix:///path?db=0``. Its query may have
            ``prefix`` and options of ``redis.Redis``.
        storage_options : mapping, optional
            More of these options, such as ``password``; those of the URL come first.
        read_only : bool, default False

        Raises
        ------
        StoreURLError
            If the URL means nothing to redis-py, or that is not installed.

        Examples
        --------
        >>> RedisStore.from_url("redis://:secret@localhost/2?prefix=a")
        RedisStore('redis://localhost:6379/2?prefix=a')
        """
        shown = redact(url)
        check_installed("redis", "redis", shown)
        try:
            options = {**(storage_options or {}), **options_of(url)}
            return cls(read_only=read_only, **options)
        except (ValueError, TypeError) as error:
            raise StoreURLError(
                f"cannot open {shown!r}: {redact(str(error))}", store=shown
            ) from None

    @property
    def url(self) -> str:
        return self._url

    def _location(self) -> dict[str, Any]:
        return {"prefix": self._prefix, **self._options}

    def _close(self) -> None:
        self._server.close()

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    def _get(self, key: str) -> Any:
        return self._server.run("read", key, "GET", self._name(key))

    def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        part = self._server.run("read", key, *self._command((key, byte_range)))
        if part:
            return part
        # nothing is there, or only not in this range
        parts = self._get_ranges(key, (byte_range,))
        return None if parts is None else parts[0]

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> list[Buffer] | None:
        found = self._parts(key, byte_ranges)
        return None if found is None else found[0]

    def _parts(
        self, key: str, byte_ranges: Sequence[ByteRequest]
    ) -> tuple[list[Buffer], int] | None:
        """Return parts of one state of a value, and its size."""
        name = self._name(key)
        commands: list[Command] = [("EXISTS", name), ("STRLEN", name)]
        commands += [self._command((key, byte_range)) for byte_range in byte_ranges]
        exists, size, *parts = self._server.run_many("read", [key], commands, atomic=True)
        return (parts, size) if exists else None

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        if then is None:
            return self._state(key, byte_ranges)
        for _ in range(_ATTEMPTS):
            before = self._parts(key, byte_ranges)
            if before is None:
                return None
            # the first parts once more: so they are of the same state as the others
            found = self._state(key, [*byte_ranges, *then(*before)])
            if found is None or (found.parts[: len(byte_ranges)], found.size) == before:
                return found
        raise ConflictError(
            f"{key!r} of {self.url} is replaced all the time; read it as a whole",
            store=self.url,
            key=key,
        )

    def _state(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Versioned | None:
        bounds = [number for byte_range in byte_ranges for number in _bounds(byte_range)]
        found = self._server.state(key, self._name(key), bounds)
        return None if found is None else Versioned(found[2:], found[0], found[1].decode())

    def _stat(self, key: str) -> Stat | None:
        found = self._state(key, ())
        return None if found is None else Stat(found.size, found.version)

    def _exists(self, key: str) -> bool:
        return bool(self._server.run("read", key, "EXISTS", self._name(key)))

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> list[Any]:
        return list(self._values(requests))

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        for index, value in enumerate(self._values((key, None) for key in keys)):
            receive(index, value)

    def _values(self, requests: Iterable[tuple[str, ByteRequest | None]]) -> Iterator[Any]:
        return chain.from_iterable(batches(requests, self._read))

    def _read(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> list[Any]:
        keys = [key for key, _ in requests]
        answers = self._server.run_many("read", keys, map(self._command, requests))
        return [
            answer if byte_range is None or answer else self._get_range(key, byte_range)
            for (key, byte_range), answer in zip(requests, answers, strict=True)
        ]

    def _command(self, request: tuple[str, ByteRequest | None]) -> Command:
        key, byte_range = request
        if byte_range is None:
            return "GET", self._name(key)
        return "GETRANGE", self._name(key), *_bounds(byte_range)

    def _set(self, key: str, value: Buffer) -> None:
        self._server.run("write", key, "SET", self._name(key), value)

    def _set_if(self, key: str, value: Buffer, expect: Version | Literal[Absent.ABSENT]) -> Version:
        if isinstance(expect, Absent):
            if not self._server.create(key, self._name(key), value):
                raise self._conflict(key, expect, None)
        else:
            found = self._server.swap(key, self._name(key), value, expect)
            if found != expect:
                raise self._conflict(key, expect, found)
        return hashlib.sha1(value, usedforsecurity=False).hexdigest()

    def _set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        for some in portions(items):
            commands = (("SET", self._name(key), value) for key, value in some)
            self._server.run_many("write", [key for key, _ in some], commands)

    def _set_each(self, items: Iterable[tuple[str, Buffer]]) -> None:
        # the next may be made in the memory of this one
        self._set_many((key, bytes(value)) for key, value in items)

    def _delete(self, key: str) -> bool:
        return bool(self._server.run("delete", key, "UNLINK", self._name(key)))

    def _pages(self, prefix: str) -> Iterator[list[bytes]]:
        """Yield names that start with a prefix, each once: a scan may meet one twice."""
        pattern = re.sub(r"([*?[\]\\])", r"\\\1", self._name(prefix)) + "*"
        cursor, names = self._server.scan(prefix, 0, pattern, _FIRST_PAGE)
        if names:
            yield names
        seen = set(names) if cursor else set()
        count = _FIRST_PAGE
        while cursor:
            count = min(4 * count, _LARGEST_PAGE)
            cursor, names = self._server.scan(prefix, cursor, pattern, count)
            fresh = [name for name in dict.fromkeys(names) if name not in seen]
            seen.update(fresh)
            if fresh:
                yield fresh

    def _list(self, prefix: str) -> Iterator[str]:
        return chain.from_iterable(map(self._keys, self._pages(prefix)))

    def _keys(self, names: list[bytes]) -> list[str]:
        """Return the keys of names; what is no key has a surrogate or a NUL in it."""
        # all at once, as there may be many
        text = b"\0".join(names).decode(errors="surrogateescape")
        start = self._name("")
        if text.count("\0") == len(names) - 1:
            return f"\0{text}".split(f"\0{start}")[1:]
        return [name.decode(errors="surrogateescape")[len(start) :] for name in names]

    def _delete_dir(self, prefix: str) -> None:
        for names in self._pages(prefix):
            self._server.run("delete", prefix, "UNLINK", *names)

    def _getsize_prefix(self, prefix: str) -> int:
        return sum(
            sum(self._server.run_many("read", [prefix], [("STRLEN", name) for name in names]))
            for names in self._pages(prefix)
        )


def _bounds(byte_range: ByteRequest) -> tuple[int, int]:
    """Return the first and last byte as GETRANGE has them."""
    if isinstance(byte_range, RangeByteRequest):
        if byte_range.start < byte_range.end:
            return min(byte_range.start, _FAR), min(byte_range.end - 1, _FAR)
    elif isinstance(byte_range, OffsetByteRequest):
        return min(byte_range.offset, _FAR), -1
    elif byte_range.suffix:
        return -min(byte_range.suffix, _FAR), -1
    return 1, 0
