"""What every store can be asked: `Readable`, `Writable`, `Listable`.

The public operations stand here, once. Each checks its arguments and the state of the store,
then calls *hooks*, the methods with a leading underscore, which are all that a backend writes.
An optional hook that a backend leaves out returns ``NotImplemented``, and the operation then
does its work with the required ones.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, Flag, auto
from types import CoroutineType
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeAlias, TypeVar

from zarrstore.byte_range import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    coalesce,
    is_byte_request,
    resolve,
)
from zarrstore.errors import (
    BackendError,
    ConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    UnsupportedOperationError,
)
from zarrstore.keys import check_key, check_prefix
from zarrstore.listing import Listing
from zarrstore.runtime import Home, limits, map_bounded

__all__ = [
    "ABSENT",
    "Absent",
    "Buffer",
    "Capability",
    "Listable",
    "Maybe",
    "Operations",
    "Readable",
    "Request",
    "Stat",
    "Version",
    "Writable",
]

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="Operations")

Buffer: TypeAlias = bytes | memoryview
"""What a value is read as: ``bytes``, or a read-only memoryview of bytes."""

Version: TypeAlias = str
"""Names one state of a value; compare for equality only."""

Request: TypeAlias = str | tuple[str, ByteRequest | None]
"""A key, or a key with a byte range."""

Maybe: TypeAlias = T | Awaitable[T]
"""What a hook returns: a plain value where it blocks, an awaitable where it is async."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "ABSENT"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT
"""``set(key, value, expect=ABSENT)``: write only if there is no such key."""


class Capability(Flag):
    """What a store can do; what is not there raises `UnsupportedOperationError`.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> Capability.COMPARE_AND_SWAP in MemoryStore().capabilities
    True
    """

    READ = auto()
    WRITE = auto()
    DELETE = auto()
    LIST = auto()
    CREATE_EXCLUSIVE = auto()
    """``set(..., expect=ABSENT)`` and ``set_if_not_exists``."""
    COMPARE_AND_SWAP = auto()
    """``set(..., expect=version)``."""
    SHARED = auto()
    """Other processes can open the same data: the store can be pickled."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a value without reading it."""

    size: int
    """In bytes."""
    version: Version | None = None
    """``None`` if the backend has none."""
    modified: datetime | None = None
    """The time of the last write, aware, or ``None`` if the backend keeps none."""


def operation(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a coroutine method run in the home of its store, wherever it is awaited."""

    @functools.wraps(method)
    async def at_home(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        home = self._home
        if home.here():
            return await method(self, *args, **kwargs)
        return await home.run(method, self, *args, **kwargs)

    return at_home


class Operations(ABC):
    """What the three kinds of operation share: checks, and the way to the hooks."""

    _home: Home
    _takes_views = False
    """Whether ``_set`` may be given a memoryview of the caller's buffer, which it must not keep.
    By default it gets ``bytes``."""

    _read_only = False
    _closed = False
    _view_of: Operations | None = None
    _capabilities: Capability | None = None
    _allowed: int | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The store's URL, credentials redacted."""

    @property
    def read_only(self) -> bool:
        """Whether every change raises `ReadOnlyError`."""
        return self._read_only

    @property
    def capabilities(self) -> Capability:
        """What this store can do."""
        target = self._view_of or self
        found = target._capabilities
        if found is None:
            found = target._capabilities = _capabilities_of(type(target))
        if self._read_only:
            found &= ~_CHANGES
        return found

    async def _hook(self, name: str, *args: Any) -> Any:
        """Call a hook, on the store itself if this is a view of it."""
        result = getattr(self._view_of or self, name)(*args)
        if type(result) is CoroutineType:
            try:
                async with limits.request():
                    return await result
            finally:
                result.close()  # cancelled while it waited for its turn, it never began
        return result

    def _check_open(self) -> None:
        raise NotImplementedError

    def _require(self, capability: Capability, what: str, instead: str, key: str = "") -> None:
        """Raise unless the store is open and can do something, whatever the arguments."""
        if self._allowed is None:
            self._allowed = self.capabilities.value
        # _value_ and plain attributes: this runs before every operation
        if (
            capability._value_ & self._allowed
            and not self._closed
            and (self._view_of is None or not self._view_of._closed)
        ):
            return
        self._check_open()
        if self._read_only and capability in _CHANGES:
            raise ReadOnlyError(
                f"{what} needs a writable store, and {self.url} is read-only; "
                "open it without read_only (or mode='r')",
                store=self.url,
                key=key,
            )
        if capability not in self.capabilities:
            raise UnsupportedOperationError(
                f"{type(self).__name__} {self.url} does not support {what}; {instead}",
                store=self.url,
                key=key,
            )

    def _value(self, value: object) -> Buffer:
        """Return a value as bytes (or a flat view of them), or raise `TypeError`."""
        if type(value) is bytes:
            return value
        try:
            view = memoryview(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            view = None
        if view is None or not view.c_contiguous:
            raise TypeError(
                "a value is a C-contiguous bytes-like object (bytes, bytearray, memoryview, "
                f"numpy array), not {type(value).__name__}"
                + ("" if view is None else " with another memory order; copy it first")
            )
        if self._takes_views and view.nbytes:
            return view.cast("B")
        return view.tobytes()


def _frozen(value: Any) -> Buffer | None:
    """Return what a hook read as something that nobody can change."""
    if value is None or type(value) is bytes:
        return value
    if type(value) is memoryview and value.readonly and value.format == "B" and value.ndim == 1:
        return value
    return memoryview(value).tobytes()  # bytes() takes a number, or an array of one, for a length


class Readable(Operations):
    """Reading values."""

    @abstractmethod
    def _get(self, key: str) -> Maybe[Any]:
        """Return the whole value as a bytes-like object, or ``None`` if there is no such key."""

    def _get_range(self, key: str, byte_range: ByteRequest) -> Maybe[Any]:
        """Return a part of a value, clamped as in `zarrstore.byte_range`, or ``None``."""
        return NotImplemented

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Maybe[Any]:
        """Return a list of parts of one value, or ``None`` if there is no such key."""
        return NotImplemented

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Maybe[Any]:
        """Return a list of values (or parts), ``None`` where there is no such key."""
        return NotImplemented

    def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> Maybe[Any]:
        """Read into a flat, writable buffer of bytes; return the size as `get_into` does."""
        return NotImplemented

    def _stat(self, key: str) -> Maybe[Any]:
        """Return a `Stat`, or ``None`` if there is no such key."""
        return NotImplemented

    def _exists(self, key: str) -> Maybe[Any]:
        """Tell whether there is such a key."""
        return NotImplemented

    def _reading(self, what: str, key: str) -> None:
        check_key(key)
        self._require(Capability.READ, what, "it cannot be read", key)

    @operation
    async def get(self, key: str, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a value, or the part of it that a byte range asks for; ``None`` if missing.

        A range is clamped to what exists. A directory is not a key.

        Raises
        ------
        InvalidKeyError, StoreClosedError, BackendError

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a": b"hello"})
        >>> store.sync.get("a"), store.sync.get("b")
        (b'hello', None)
        """
        self._reading("get", key)
        if byte_range is None:
            return _frozen(await self._hook("_get", key))
        return await self._part(key, byte_range)

    async def _part(self, key: str, byte_range: ByteRequest) -> Buffer | None:
        _check_byte_range(byte_range)
        part = await self._hook("_get_range", key, byte_range)
        if part is not NotImplemented:
            return _frozen(part)
        whole = _frozen(await self._hook("_get", key))
        return None if whole is None else _slice(whole, byte_range)

    @operation
    async def get_ranges(
        self, key: str, byte_ranges: Iterable[ByteRequest]
    ) -> list[Buffer] | None:
        """Return parts of one value in the order asked; ``None`` if the key is missing.

        Near ranges are read in one request.
        """
        self._reading("get_ranges", key)
        requests = list(byte_ranges)
        for request in requests:
            _check_byte_range(request)
        if not requests:
            return [] if await self._found(key) else None
        parts = await self._hook("_get_ranges", key, requests)
        if parts is not NotImplemented:
            return None if parts is None else [bytes(part) for part in parts]
        return await self._coalesced(key, requests)

    async def _coalesced(self, key: str, requests: list[ByteRequest]) -> list[Buffer] | None:
        bounded = [i for i, request in enumerate(requests) if isinstance(request, RangeByteRequest)]
        spans: list[tuple[ByteRequest, list[int]]] = [
            (span, [bounded[member] for member in members])
            for span, members in coalesce([requests[i] for i in bounded])  # type: ignore[misc]
        ]
        spans += [(requests[i], [i]) for i in range(len(requests)) if i not in set(bounded)]
        read = await map_bounded(lambda span: self._part(key, span[0]), spans)
        results: list[Buffer] = [b""] * len(requests)
        for (span, members), data in zip(spans, read, strict=True):
            if data is None:
                return None
            if not isinstance(span, RangeByteRequest):
                results[members[0]] = data
                continue
            for member in members:
                wanted = requests[member]
                assert isinstance(wanted, RangeByteRequest)
                first = wanted.start - span.start
                results[member] = data[first : first + wanted.end - wanted.start]
        return results

    @operation
    async def get_many(self, requests: Iterable[Request]) -> list[Buffer | None]:
        """Return many values, several read at once, in the order asked; ``None`` for missing.

        Parameters
        ----------
        requests : iterable of str or (str, ByteRequest or None)
            Keys, or keys with a byte range; a key may be there more than once.
        """
        pairs = [(item, None) if isinstance(item, str) else _pair(item) for item in requests]
        for key, byte_range in pairs:
            check_key(key)
            if byte_range is not None:
                _check_byte_range(byte_range)
        self._require(Capability.READ, "get_many", "it cannot be read")
        values = await self._hook("_get_many", pairs)
        if values is not NotImplemented:
            return [_frozen(value) for value in values]
        return await map_bounded(self._one_of_many, pairs)

    async def _one_of_many(self, request: tuple[str, ByteRequest | None]) -> Buffer | None:
        key, byte_range = request
        if byte_range is None:
            return _frozen(await self._hook("_get", key))
        return await self._part(key, byte_range)

    @operation
    async def get_into(
        self, key: str, buffer: Any, byte_range: ByteRequest | None = None
    ) -> int | None:
        """Read a value (or a part) into the caller's buffer; return its size in bytes.

        ``None`` if the key is missing. If the size is larger than the buffer, nothing is
        promised of what the buffer holds.

        Parameters
        ----------
        key : str
        buffer : bytearray, memoryview, numpy array
            Writable and C-contiguous.
        byte_range : ByteRequest, optional
        """
        self._reading("get_into", key)
        view = _writable_view(buffer)
        if byte_range is not None:
            _check_byte_range(byte_range)
        size: Any = await self._hook("_get_into", key, view, byte_range)
        if size is NotImplemented:
            value = await self._one_of_many((key, byte_range))
            if value is None:
                return None
            size = len(value)
            if size <= view.nbytes:
                view[:size] = value
        return size if size is None else int(size)

    @operation
    async def stat(self, key: str) -> Stat | None:
        """Return the size, version and time of a value without reading it; ``None`` if missing."""
        self._reading("stat", key)
        return await self._found(key)

    async def _found(self, key: str) -> Stat | None:
        stat: Any = await self._hook("_stat", key)
        if stat is NotImplemented:
            value = await self._hook("_get", key)
            stat = None if value is None else Stat(memoryview(value).nbytes)
        found: Stat | None = stat
        return found

    @operation
    async def exists(self, key: str) -> bool:
        """Tell whether there is such a key; ``False`` for a directory."""
        self._reading("exists", key)
        found = await self._hook("_exists", key)
        if found is NotImplemented:
            return await self._found(key) is not None
        return bool(found)

    @operation
    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes.

        Raises
        ------
        KeyNotFoundError
            If there is no such key.
        """
        self._reading("getsize", key)
        stat = await self._found(key)
        if stat is None:
            raise KeyNotFoundError(f"no key {key!r} in {self.url}", store=self.url, key=key)
        return stat.size


class Writable(Operations):
    """Writing and deleting values."""

    def _set(self, key: str, value: Any) -> Maybe[Any]:
        """Write a value atomically; return its version, or ``None`` if there are none."""
        return NotImplemented

    def _set_if(self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]) -> Maybe[Any]:
        """Write a value if the key is as expected, else raise by `_conflict`; atomic."""
        return NotImplemented

    def _set_many(self, items: Sequence[tuple[str, Any]]) -> Maybe[Any]:
        """Write many values."""
        return NotImplemented

    def _delete(self, key: str) -> Maybe[Any]:
        """Delete a key; nothing happens if there is none."""
        return NotImplemented

    def _writing(self, what: str, *keys: str) -> None:
        for key in keys:
            check_key(key)
        self._require(Capability.WRITE, what, "it cannot be written", keys[0] if keys else "")

    @operation
    async def set(
        self,
        key: str,
        value: Any,
        *,
        expect: Version | Literal[Absent.ABSENT] | None = None,
    ) -> Version | None:
        """Write a value, atomically; return its version, or ``None`` if the store has none.

        A reader sees the old value or the new one. The caller may reuse its buffer at once.

        Parameters
        ----------
        key : str
        value : bytes-like
            Any C-contiguous buffer.
        expect : str or ABSENT, optional
            Write only if the key has this version, or does not exist. Of many writers that
            race, exactly one wins.

        Raises
        ------
        ConflictError
            If the key is not as expected; nothing was written.
        InvalidKeyError, TypeError, ReadOnlyError, StoreClosedError, BackendError
        UnsupportedOperationError
            If ``expect`` is given and the store has no conditional writes.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore()
        >>> version = store.sync.set("a", b"1", expect=ABSENT)
        >>> version = store.sync.set("a", b"2", expect=version)
        >>> store.sync.get("a")
        b'2'
        """
        self._writing("set", key)
        data = self._value(value)
        if expect is None:
            version: Version | None = await self._hook("_set", key, data)
            return version
        if expect is ABSENT:
            self._require(
                Capability.CREATE_EXCLUSIVE,
                "set(expect=ABSENT)",
                "use exists() and set(), where there is one writer",
                key,
            )
        elif not isinstance(expect, str):
            raise TypeError(f"expect is a version or ABSENT, not {type(expect).__name__}")
        else:
            self._require(
                Capability.COMPARE_AND_SWAP,
                "set(expect=version)",
                "use get() and set(), where there is one writer",
                key,
            )
        swapped: Version | None = await self._hook("_set_if", key, data, expect)
        return swapped

    @operation
    async def set_if_not_exists(self, key: str, value: Any) -> bool:
        """Write a value if there is no such key; tell whether this call wrote it."""
        try:
            await self.set(key, value, expect=ABSENT)
        except ConflictError:
            return False
        return True

    @operation
    async def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        """Write many values, several at once; each is atomic, all together are not.

        Parameters
        ----------
        items : iterable of (str, bytes-like), or a mapping
            A key that is there twice gets the last of its values.
        """
        pairs = dict(items)
        self._writing("set_many", *pairs)
        checked = [(key, self._value(value)) for key, value in pairs.items()]
        if await self._hook("_set_many", checked) is NotImplemented:
            await map_bounded(lambda item: self._hook("_set", *item), checked)

    @operation
    async def delete(self, key: str) -> None:
        """Delete a key; nothing happens if there is none. A directory is never deleted."""
        check_key(key)
        self._require(Capability.DELETE, "delete", "write a value of your own that marks it", key)
        await self._hook("_delete", key)

    def _conflict(self, key: str, expected: object, found: Version | None) -> ConflictError:
        """Make the error of a conditional write that lost."""
        if expected is ABSENT:
            message = f"{key!r} already exists in {self.url}, and had to be absent"
            return ConflictError(message, store=self.url, key=key, found=found)
        state = "does not exist any more" if found is None else f"has version {found!r}"
        return ConflictError(
            f"{key!r} in {self.url} {state}, not the expected version {expected!r}; "
            "read it again, and apply the change to what is there now",
            store=self.url,
            key=key,
            expected=str(expected),
            found=found,
        )


class Listable(Readable, Writable):
    """Listing keys, and what is done to all keys under a prefix.

    A prefix that reaches a hook is ``""`` or ends with ``/``.
    """

    def _list(self, prefix: str) -> Iterable[str] | AsyncIterator[str] | Any:
        """Yield every key that starts with a prefix, each once, in any order."""
        return NotImplemented

    def _list_dir(self, prefix: str) -> Iterable[str] | AsyncIterator[str] | Any:
        """Yield the names one level below a prefix, keys and prefixes alike, each once."""
        return NotImplemented

    def _is_empty(self, prefix: str) -> Maybe[Any]:
        """Tell whether no key starts with a prefix."""
        return NotImplemented

    def _delete_dir(self, prefix: str) -> Maybe[Any]:
        """Delete every key that starts with a prefix."""
        return NotImplemented

    def _getsize_prefix(self, prefix: str) -> Maybe[Any]:
        """Return the sum of the sizes of all keys that start with a prefix."""
        return NotImplemented

    def _listing(self, what: str, prefix: str) -> str:
        prefix = check_prefix(prefix)
        self._require(Capability.LIST, what, "ask for the keys you know", prefix)
        return prefix

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys, each once, in no promised order.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sorted(MemoryStore({"a/b": b"", "c": b""}).sync.list())
        ['a/b', 'c']
        """
        return self.list_prefix("")

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys under a prefix: full keys, each once, in no promised order."""
        prefix = self._listing("list_prefix", prefix)
        target: Any = self._view_of or self
        return Listing(self._home, lambda: target._list(prefix))

    def list_dir(self, prefix: str = "") -> AsyncIterator[str]:
        """Iterate over the names one level below a prefix, without ``/``, each once.

        Names of keys and of prefixes alike; nothing if the prefix is missing.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sorted(MemoryStore({"a/b": b"", "c": b""}).sync.list_dir(""))
        ['a', 'c']
        """
        prefix = self._listing("list_dir", prefix)
        target: Any = self._view_of or self
        return Listing(
            self._home,
            lambda: target._list_dir(prefix),
            keys_below=(lambda: target._list(prefix), prefix),
        )

    @operation
    async def is_empty(self, prefix: str = "") -> bool:
        """Tell whether there is no key under a prefix; stops at the first."""
        prefix = self._listing("is_empty", prefix)
        empty = await self._hook("_is_empty", prefix)
        if empty is not NotImplemented:
            return bool(empty)
        async for _ in self.list_prefix(prefix):
            return False
        return True

    @operation
    async def delete_dir(self, prefix: str) -> None:
        """Delete every key under a prefix; nothing happens if there are none."""
        prefix = check_prefix(prefix)
        self._require(Capability.DELETE, "delete_dir", "write to a new prefix instead", prefix)
        if await self._hook("_delete_dir", prefix) is NotImplemented:
            keys = [key async for key in self.list_prefix(prefix)]
            await map_bounded(lambda key: self._hook("_delete", key), keys)

    async def clear(self) -> None:
        """Delete every key."""
        await self.delete_dir("")

    @operation
    async def getsize_prefix(self, prefix: str = "") -> int:
        """Return the sum of the sizes of all values under a prefix, in bytes."""
        prefix = self._listing("getsize_prefix", prefix)
        size: Any = await self._hook("_getsize_prefix", prefix)
        if size is not NotImplemented:
            return int(size)
        keys = [key async for key in self.list_prefix(prefix)]
        stats = await map_bounded(self._found, keys)
        return sum(stat.size for stat in stats if stat is not None)


_CHANGES = (
    Capability.WRITE
    | Capability.DELETE
    | Capability.CREATE_EXCLUSIVE
    | Capability.COMPARE_AND_SWAP
)


def _capabilities_of(cls: type[Operations]) -> Capability:
    """Return what a class can do: what it wrote hooks for."""
    found = Capability.READ
    for name, capability in (
        ("_set", Capability.WRITE),
        ("_delete", Capability.DELETE),
        ("_list", Capability.LIST),
        ("_set_if", Capability.CREATE_EXCLUSIVE | Capability.COMPARE_AND_SWAP),
    ):
        if getattr(cls, name) is not getattr(Listable, name):
            found |= capability
    return found


def _check_byte_range(byte_range: object) -> None:
    if not is_byte_request(byte_range):
        raise TypeError(
            "a byte range is a RangeByteRequest, OffsetByteRequest or SuffixByteRequest, "
            f"not {byte_range!r}"
        )


def _pair(item: object) -> tuple[str, ByteRequest | None]:
    if isinstance(item, tuple) and len(item) == 2:
        return item
    raise TypeError(f"a request is a key or a (key, byte range) pair, not {item!r}")


def _slice(value: Buffer, byte_range: ByteRequest) -> Buffer:
    start, stop = resolve(byte_range, len(value))
    return value[start:stop]


def _writable_view(buffer: Any) -> memoryview:
    try:
        view = memoryview(buffer)
    except (TypeError, ValueError):
        view = None
    if view is None or view.readonly or not view.c_contiguous:
        raise TypeError(
            "get_into needs a writable, C-contiguous buffer (bytearray, memoryview, numpy "
            f"array), not {type(buffer).__name__}" + (" that is not" if view is not None else "")
        )
    return view.cast("B") if view.nbytes else memoryview(bytearray())
