"""`MemoryStore`: values in a dict of this process."""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from zarrstore.abc import BlockingStore, Stat, Version
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import NotShareableError
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.runtime import CALLER, ForkSafeLock

__all__ = ["MemoryStore"]


class _Data:
    """A dict, and what is known of its values: shared by every store over that dict."""

    _all: ClassVar[weakref.WeakValueDictionary[int, _Data]] = weakref.WeakValueDictionary()
    _named: ClassVar[dict[str, _Data]] = {}
    _making = ForkSafeLock()

    def __init__(self, values: MutableMapping[str, Any], name: str | None) -> None:
        self.values = values
        self.name = name
        self.lock = ForkSafeLock()
        self.pid = os.getpid()
        self._counter = itertools.count(1)
        self._written: dict[str, tuple[object, Version, float]] = {}

    @classmethod
    def of(cls, values: MutableMapping[str, Any]) -> _Data:
        with cls._making:
            data = cls._all.get(id(values))
            if data is None:
                data = cls._all[id(values)] = cls(values, None)
            return data

    @classmethod
    def named(cls, name: str) -> _Data:
        with cls._making:
            data = cls._named.get(name)
            if data is None:
                data = cls._named[name] = cls({}, name)
            return data

    def record(self, key: str, value: object) -> Version:
        version = hex(next(self._counter))
        if len(self._written) > 2 * len(self.values) + 64:
            self._written = {key: self._written[key] for key in self._written if key in self.values}
        self._written[key] = value, version, time.time()
        return version

    def known(self, key: str, value: object) -> tuple[Version, datetime]:
        """Return the version and time of a value, which its owner may have put there itself."""
        written = self._written.get(key)
        if written is None or written[0] is not value:
            self.record(key, value)
            written = self._written[key]
        _, version, seconds = written
        return version, datetime.fromtimestamp(seconds, UTC)

    def forget(self, key: str) -> None:
        self._written.pop(key, None)


class MemoryStore(BlockingStore):
    """Keep values in a dict of this process.

    Parameters
    ----------
    store_dict : dict, optional
        The data itself, empty or not: what is written appears there, as ``bytes``, and what is
        put there may be any bytes-like object. A new dict by default.
    name : str, optional
        Two stores of one name share their data, as ``memory://name`` does, until this process
        ends; ``clear()`` frees it.
    read_only : bool, default False

    Notes
    -----
    Never blocks, so no thread is involved, whoever calls. Conditional writes are atomic between
    threads. A pickle opens in this process only, where it is the same data; a forked child may
    read what was there, and `NotShareableError` stops it from writing to a copy.

    Examples
    --------
    >>> data = {}
    >>> store = MemoryStore(data)
    >>> _ = store.sync.set("a/b", b"hello")
    >>> data
    {'a/b': b'hello'}
    """

    _home = CALLER
    _delete_tells = True

    def __init__(
        self,
        store_dict: MutableMapping[str, Any] | None = None,
        *,
        name: str | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        if store_dict is not None and name is not None:
            raise TypeError("give store_dict or name, not both: a name has a dict of its own")
        if store_dict is not None and not isinstance(store_dict, MutableMapping):
            raise TypeError(f"store_dict is a dict, not {type(store_dict).__name__}")
        if name is not None:
            self._data = _Data.named(name)
        else:
            self._data = _Data.of({} if store_dict is None else store_dict)

    @property
    def url(self) -> str:
        return f"memory://{self._data.name or hex(id(self._data.values))}"

    def _identity(self) -> object:
        return id(self._data)

    def _get(self, key: str) -> bytes | None:
        value = self._data.values.get(key)
        if value is None or type(value) is bytes:
            return value
        return memoryview(value).tobytes()  # the owner may change it

    def _get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        value = self._get(key)
        if value is None:
            return None
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        with self._data.lock:
            value, stat = self._get(key), self._stat(key)
        if value is None or stat is None:
            return None
        size = len(value)
        parts: list[Buffer] = []
        for byte_range in byte_ranges:
            start, stop = resolve(byte_range, size)
            parts.append(value[start:stop])
        if then is not None:
            for byte_range in then(parts, size):
                start, stop = resolve(byte_range, size)
                parts.append(value[start:stop])
        return Versioned(parts, size, stat.version)

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        return [
            self._get(key) if byte_range is None else self._get_range(key, byte_range)
            for key, byte_range in requests
        ]

    def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        for index, key in enumerate(keys):
            receive(index, self._get(key))

    def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        sizes: list[int | None] = []
        for key, buffer in zip(keys, buffers, strict=True):
            value = self._get(key)
            if value is not None and len(value) <= len(buffer):
                buffer[: len(value)] = value
            sizes.append(None if value is None else len(value))
        return sizes

    def _stat(self, key: str) -> Stat | None:
        with self._data.lock:
            value = self._data.values.get(key)
            if value is None:
                return None
            version, modified = self._data.known(key, value)
        return Stat(memoryview(value).nbytes, version, modified)

    def _exists(self, key: str) -> bool:
        return self._data.values.get(key) is not None

    def _set(self, key: str, value: bytes) -> Version:
        data = self._writable()
        with data.lock:
            data.values[key] = value
            return data.record(key, value)

    def _set_if(self, key: str, value: bytes, expect: Version | Literal[Absent.ABSENT]) -> Version:
        data = self._writable()
        with data.lock:
            there = data.values.get(key)
            found = None if there is None else data.known(key, there)[0]
            if found != (None if isinstance(expect, Absent) else expect):
                raise self._conflict(key, expect, found)
            return self._set(key, value)

    def _delete(self, key: str) -> bool:
        data = self._writable()
        with data.lock:
            data.forget(key)
            return data.values.pop(key, None) is not None

    def _set_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        self._set_each(items)

    def _set_each(self, items: Iterable[tuple[str, bytes]]) -> None:
        for key, value in items:
            self._set(key, value)

    def _delete_dir(self, prefix: str) -> None:
        for key in self._list(prefix):
            self._delete(key)

    def _list(self, prefix: str) -> Iterator[str]:
        keys = list(self._data.values)
        return (key for key in keys if isinstance(key, str) and key.startswith(prefix))

    def _getsize_prefix(self, prefix: str) -> int:
        values = (self._data.values.get(key) for key in self._list(prefix))
        return sum(memoryview(value).nbytes for value in values if value is not None)

    def _writable(self) -> _Data:
        if self._data.pid != os.getpid():
            raise NotShareableError(
                f"{self.url} lives in the process that made it (pid {self._data.pid}); a change "
                "made in a forked child would be lost; use a store that processes share, such "
                "as LocalStore",
                store=self.url,
            )
        return self._data
