"""The blocking face of a store, and the mutable mapping of zarr 2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Literal, Self

from zarrstore.byte_range import ByteRequest, is_byte_request
from zarrstore.errors import KeyNotFoundError
from zarrstore.listable import Listable
from zarrstore.listing import Listing
from zarrstore.operations import (
    Absent,
    Buffer,
    Capability,
    Request,
    Stat,
    Then,
    Version,
    Versioned,
)
from zarrstore.readable import Receive

__all__ = ["SyncStore"]


class SyncStore(MutableMapping[str, bytes]):
    """The blocking methods of a store, which is a mapping from keys to bytes as well.

    Made by ``store.sync``. Each method does what the store's method of the same name does, with
    the same parameters, results and errors; as a mapping it raises `KeyNotFoundError`, which is
    a ``KeyError``. As a context manager it closes the store at the end.

    Notes
    -----
    Where the store blocks it is called straight in this thread; where it is asynchronous the
    call waits for the I/O loop. Usable from any thread, in Jupyter too, where an event loop
    runs; in a coroutine it holds that loop up, so await the store's own methods there.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> sync = MemoryStore().sync
    >>> sync["a/b"] = b"hello"
    >>> "a/b" in sync, sync["a/b"], len(sync), list(sync.list_dir("a"))
    (True, b'hello', 1, ['b'])
    """

    __slots__ = ("_drive", "_plain", "_store")

    def __init__(self, store: Listable) -> None:
        self._store = store
        self._drive = store._home.drive
        # of a store that blocks: one value without a coroutine, which takes longer than some do
        self._plain: Any = store if hasattr(store, "_get_plainly") else None

    @property
    def store(self) -> Listable:
        """The asynchronous store behind this face."""
        return self._store

    @property
    def url(self) -> str:
        """The store's URL, credentials redacted."""
        return self._store.url

    @property
    def read_only(self) -> bool:
        """Whether every change raises `ReadOnlyError`."""
        return self._store.read_only

    @property
    def capabilities(self) -> Capability:
        """What the store can do."""
        return self._store.capabilities

    def __repr__(self) -> str:
        return f"{self._store!r}.sync"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SyncStore):
            return self._store == other._store
        return NotImplemented

    def __hash__(self) -> int:
        return hash((SyncStore, self._store))

    def __reduce__(self) -> tuple[Any, ...]:
        return SyncStore, (self._store,)

    def get(self, key: str, default: Any = None, *, byte_range: ByteRequest | None = None) -> Any:
        """Return a value, or the part of it that a byte range asks for.

        ``default`` if there is no such key, as a mapping does. A byte range may stand in the
        second place too, as in `Store.get`.

        Examples
        --------
        >>> from zarrstore.byte_range import RangeByteRequest
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sync = MemoryStore({"a": b"hello"}).sync
        >>> sync.get("a"), sync.get("a", RangeByteRequest(1, 3)), sync.get("b", b"-")
        (b'hello', b'el', b'-')
        """
        if default is not None and byte_range is None and is_byte_request(default):
            byte_range, default = default, None
        if byte_range is None and self._plain is not None:
            value = self._plain._get_plainly(key)
        else:
            value = self._drive(self._store.get, key, byte_range)
        return default if value is None else value

    def get_ranges(self, key: str, byte_ranges: Iterable[ByteRequest]) -> list[Buffer] | None:
        """Return parts of one value, ``None`` if the key is missing: see `Store.get_ranges`."""
        return self._drive(self._store.get_ranges, key, byte_ranges)

    def get_versioned(
        self, key: str, byte_ranges: Iterable[ByteRequest], then: Then | None = None
    ) -> Versioned | None:
        """Return parts of one state of a value: see `Store.get_versioned`."""
        return self._drive(self._store.get_versioned, key, byte_ranges, then)

    def get_many(self, requests: Iterable[Request]) -> list[Buffer | None]:
        """Return many values, ``None`` for each that is missing: see `Store.get_many`."""
        return self._drive(self._store.get_many, requests)

    def get_each(self, keys: Iterable[str], receive: Receive) -> None:
        """Read values one after the other, handing each to a function: see `Store.get_each`."""
        self._drive(self._store.get_each, keys, receive)

    def get_each_into(self, keys: Iterable[str], buffers: Iterable[Any]) -> list[int | None]:
        """Read values into a buffer each; return their sizes: see `Store.get_each_into`."""
        return self._drive(self._store.get_each_into, keys, buffers)

    def get_into(self, key: str, buffer: Any, byte_range: ByteRequest | None = None) -> int | None:
        """Read into a buffer; return the size, ``None`` if missing: see `Store.get_into`."""
        return self._drive(self._store.get_into, key, buffer, byte_range)

    def exists(self, key: str) -> bool:
        """Tell whether there is such a key: see `Store.exists`."""
        return self._drive(self._store.exists, key)

    def stat(self, key: str) -> Stat | None:
        """Return size, version and time of a value, ``None`` if missing: see `Store.stat`."""
        return self._drive(self._store.stat, key)

    def getsize(self, key: str) -> int:
        """Return the size of a value in bytes, or raise if missing: see `Store.getsize`."""
        return self._drive(self._store.getsize, key)

    def getsize_prefix(self, prefix: str = "") -> int:
        """Return the size of all values under a prefix, in bytes: see `Store.getsize_prefix`."""
        return self._drive(self._store.getsize_prefix, prefix)

    def set(
        self,
        key: str,
        value: Any,
        *,
        expect: Version | Literal[Absent.ABSENT] | None = None,
    ) -> Version | None:
        """Write a value, atomically; return its version, or ``None``: see `Store.set`."""
        if expect is None and self._plain is not None:
            version: Version | None = self._plain._set_plainly(key, value)
            return version
        return self._drive(self._store.set, key, value, expect=expect)

    def set_if_not_exists(self, key: str, value: Any) -> bool:
        """Write a value if there is no such key; tell whether this call wrote it.

        See `Store.set_if_not_exists`.
        """
        return self._drive(self._store.set_if_not_exists, key, value)

    def set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        """Write values one after the other, each taken as it comes: see `Store.set_each`."""
        self._drive(self._store.set_each, items)

    def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        """Write many values, from pairs or a mapping: see `Store.set_many`."""
        self._drive(self._store.set_many, items)

    def delete(self, key: str) -> None:
        """Delete a key; nothing happens if there is none: see `Store.delete`."""
        if self._plain is not None:
            self._plain._delete_plainly(key)
        else:
            self._drive(self._store.delete, key)

    def delete_dir(self, prefix: str) -> None:
        """Delete every key under a prefix: see `Store.delete_dir`."""
        self._drive(self._store.delete_dir, prefix)

    def clear(self) -> None:
        """Delete every key: see `Store.clear`."""
        self._drive(self._store.clear)

    def list(self) -> Iterator[str]:
        """Iterate over all keys, each once, in no promised order: see `Store.list`."""
        return self._iterate(self._store.list())

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """Iterate over the full keys under a prefix: see `Store.list_prefix`."""
        return self._iterate(self._store.list_prefix(prefix))

    def list_dir(self, prefix: str = "") -> Iterator[str]:
        """Iterate over the names one level below a prefix: see `Store.list_dir`."""
        return self._iterate(self._store.list_dir(prefix))

    def is_empty(self, prefix: str = "") -> bool:
        """Tell whether there is no key under a prefix: see `Store.is_empty`."""
        return self._drive(self._store.is_empty, prefix)

    def close(self) -> None:
        """Release what the store holds: see `Store.close`."""
        self._drive(self._store.close)

    def _iterate(self, listing: Any) -> Iterator[str]:
        for batch in self._batches(listing):
            yield from batch

    def _batches(self, listing: Any) -> Iterator[Sequence[str]]:
        assert isinstance(listing, Listing)
        try:
            while batch := self._drive(listing.next_batch):
                yield batch
        finally:
            listing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, key: str) -> bytes:
        if self._plain is not None:
            value = self._plain._get_plainly(key)
        else:
            value = self._drive(self._store.get, key)
        if value is None:
            raise self._missing(key)
        return value if type(value) is bytes else bytes(value)

    def __setitem__(self, key: str, value: Any) -> None:
        if type(value) is not bytes:
            value = self._contiguous(value)
        if self._plain is not None:
            self._plain._set_plainly(key, value)
        else:
            self._drive(self._store.set, key, value)

    def _contiguous(self, value: Any) -> Any:
        """Return what the store is given for a value that is no ``bytes``."""
        return value

    def __delitem__(self, key: str) -> None:
        if self._plain is not None and self._store._delete_tells:
            found = self._plain._delete_plainly(key)
        elif found := self.exists(key):
            self.delete(key)
        if not found:
            raise self._missing(key)

    def _missing(self, key: str) -> KeyNotFoundError:
        return KeyNotFoundError(f"no key {key!r} in {self.url}", store=self.url, key=key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.exists(key)

    def __iter__(self) -> Iterator[str]:
        return self.list()

    def __len__(self) -> int:
        return sum(map(len, self._batches(self._store.list())))
