"""Reading values: `Readable`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from zarrstore.byte_range import ByteRequest, RangeByteRequest, coalesce
from zarrstore.errors import ConflictError, KeyNotFoundError
from zarrstore.fan_out import Pace, each_bounded, map_bounded
from zarrstore.keys import check_key, check_keys
from zarrstore.operations import (
    Buffer,
    Capability,
    MaybeAwaitable,
    Operations,
    Receive,
    Request,
    Stat,
    Then,
    Versioned,
    operation,
)
from zarrstore.requests import (
    check_byte_range,
    checked_ranges,
    frozen,
    pair_of,
    part_of,
    writable_view,
)
from zarrstore.runtime import is_inline

__all__ = ["Readable", "Receive"]

_ATTEMPTS = 3
_READ = Capability.READ  # to look a member of an enum up takes as long as the rest of a check


class Readable(Operations):
    """Reading values."""

    @abstractmethod
    def _get(self, key: str) -> MaybeAwaitable[Any]:
        """Return the whole value as a bytes-like object, or ``None`` if there is no such key."""

    def _get_range(self, key: str, byte_range: ByteRequest) -> MaybeAwaitable[Any]:
        """Return a part of a value, clamped as in `zarrstore.byte_range`, or ``None``."""
        return NotImplemented

    def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> MaybeAwaitable[Any]:
        """Return a list of parts of one value, or ``None`` if there is no such key."""
        return NotImplemented

    def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> MaybeAwaitable[Any]:
        """Return parts of one state of a value, as a `Versioned`: see `get_versioned`."""
        return NotImplemented

    def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> MaybeAwaitable[Any]:
        """Return a list of values (or parts), ``None`` where there is no such key."""
        return NotImplemented

    def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> MaybeAwaitable[Any]:
        """Read into a flat, writable buffer of bytes; return the size as `get_into` does."""
        return NotImplemented

    def _get_each(self, keys: Iterable[str], receive: Receive) -> MaybeAwaitable[Any]:
        """Read values one after the other, handing each to a function; see `get_each`."""
        return NotImplemented

    def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> MaybeAwaitable[Any]:
        """Read values one after the other, each into a buffer of its own; see `get_each_into`."""
        return NotImplemented

    def _stat(self, key: str) -> MaybeAwaitable[Any]:
        """Return a `Stat`, or ``None`` if there is no such key."""
        return NotImplemented

    def _exists(self, key: str) -> MaybeAwaitable[Any]:
        """Tell whether there is such a key."""
        return NotImplemented

    def _reading(self, what: str, key: str) -> None:
        check_key(key)
        self._require(_READ, what, "it cannot be read", key)

    @operation
    async def get(self, key: str, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a value, or the part of it that a byte range asks for; ``None`` if missing.

        A directory is not a key.

        Parameters
        ----------
        key : str
        byte_range : RangeByteRequest, OffsetByteRequest or SuffixByteRequest, optional
            Clamped to what exists: past the end is cut, a start at or past it gives ``b""``.

        Returns
        -------
        bytes, memoryview or None
            Read-only. It stays as it is, whatever is written to the key afterwards.

        Raises
        ------
        InvalidKeyError
            If the key breaks the key rules; before any I/O.
        AccessDeniedError, BackendError
            If the backend refuses or fails, which is never taken for missing.
        CorruptDataError
            If what is stored, or what a server answers, is not what it claims to be.
        UnsupportedOperationError, StoreClosedError
            If the store cannot be read, or is closed.

        Notes
        -----
        Usable from any thread and event loop. A read that races a write returns the old value
        or the new one.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a": b"hello"})
        >>> store.sync.get("a"), store.sync.get("b")
        (b'hello', None)
        """
        self._reading("get", key)
        if byte_range is None:
            return frozen(await self._hook("_get", key))
        return await self._part(key, byte_range)

    async def _part(self, key: str, byte_range: ByteRequest) -> Buffer | None:
        check_byte_range(byte_range)
        part = await self._hook("_get_range", key, byte_range)
        if part is not NotImplemented:
            return frozen(part)
        whole = frozen(await self._hook("_get", key))
        return None if whole is None else part_of(whole, byte_range)

    @operation
    async def get_ranges(self, key: str, byte_ranges: Iterable[ByteRequest]) -> list[Buffer] | None:
        """Return parts of one value in the order asked; ``None`` if the key is missing.

        Near ranges are read in one request.

        Parameters
        ----------
        key : str
        byte_ranges : iterable of RangeByteRequest, OffsetByteRequest or SuffixByteRequest
            In any order; they may overlap. Each is clamped as in `get`.

        Examples
        --------
        >>> from zarrstore.byte_range import SuffixByteRequest
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a": b"hello"})
        >>> store.sync.get_ranges("a", [SuffixByteRequest(1), RangeByteRequest(0, 2)])
        [b'o', b'he']
        """
        self._reading("get_ranges", key)
        requests = checked_ranges(byte_ranges)
        if not requests:
            return [] if await self._found(key) else None
        return await self._ranges(key, requests)

    async def _ranges(self, key: str, requests: list[ByteRequest]) -> list[Buffer] | None:
        parts = await self._hook("_get_ranges", key, requests)
        if parts is not NotImplemented:
            return None if parts is None else [bytes(part) for part in parts]
        return await self._coalesced(key, requests)

    @operation
    async def get_versioned(
        self, key: str, byte_ranges: Iterable[ByteRequest], then: Then | None = None
    ) -> Versioned | None:
        """Return parts of one state of a value, of which the first may tell what else to read.

        Parameters
        ----------
        key : str
        byte_ranges : iterable of RangeByteRequest, OffsetByteRequest or SuffixByteRequest
        then : callable, optional
            Given the parts and the size of the value, returns more ranges, whose parts follow.
            It must not use the store, and is called again if the value was replaced meanwhile.

        Raises
        ------
        ConflictError
            If the value is replaced all the time. A store without versions cannot tell, and may
            give parts of several states.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a": b"3hello"})
        >>> rest = lambda parts, size: [RangeByteRequest(1, 1 + int(parts[0]))]
        >>> store.sync.get_versioned("a", [RangeByteRequest(0, 1)], rest).parts
        [b'3', b'hel']
        """
        self._reading("get_versioned", key)
        requests = checked_ranges(byte_ranges)
        found: Any = await self._hook("_get_versioned", key, requests, then)
        if found is NotImplemented:
            found = await self._versioned(key, requests, then)
        if found is None:
            return None
        parts, size, version = found
        return Versioned([bytes(part) for part in parts], size, version)

    async def _versioned(
        self, key: str, requests: list[ByteRequest], then: Then | None
    ) -> Versioned | None:
        there = await self._found(key)
        for _ in range(_ATTEMPTS):
            if there is None:
                return None
            parts = await self._ranges(key, requests) if requests else []
            if parts is not None and then is not None:
                more = checked_ranges(then(parts, there.size))
                read = await self._ranges(key, more) if more else []
                parts = None if read is None else parts + read
            before = there
            if parts is not None and before.version is None:
                return Versioned(parts, before.size, None)
            there = await self._found(key)
            if parts is not None and there is not None and there.version == before.version:
                return Versioned(parts, before.size, before.version)
        raise ConflictError(
            f"{key!r} of {self.url} is replaced all the time; read it as a whole",
            store=self.url,
            key=key,
        )

    async def _coalesced(self, key: str, requests: list[ByteRequest]) -> list[Buffer] | None:
        bounded = {i: each for i, each in enumerate(requests) if isinstance(each, RangeByteRequest)}
        indices = list(bounded)
        spans: list[tuple[ByteRequest, list[int]]] = [
            (span, [indices[member] for member in members])
            for span, members in coalesce(list(bounded.values()))
        ]
        spans += [(each, [i]) for i, each in enumerate(requests) if i not in bounded]
        read = await map_bounded(lambda span: self._part(key, span[0]), spans)
        results: list[Buffer] = [b""] * len(requests)
        for (span, members), data in zip(spans, read, strict=True):
            if data is None:
                return None
            if not isinstance(span, RangeByteRequest):
                results[members[0]] = data
                continue
            for member in members:
                wanted = bounded[member]
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

        Returns
        -------
        list of (bytes, memoryview or None)

        Raises
        ------
        InvalidKeyError
            If any key breaks the key rules; before any I/O.
        BackendError
            The first failure; what was not started is not, and what was under way has ended.

        Notes
        -----
        From a store that is asynchronous at most `zarrstore.limits.requests` values are read at
        once, whoever asks in this process; from one that blocks, by this thread and, as soon as
        that takes long, by up to `zarrstore.limits.threads` workers.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a": b"hello", "b": b"1"})
        >>> store.sync.get_many(["b", "missing", ("a", RangeByteRequest(1, 3))])
        [b'1', None, b'el']
        """
        pairs = [(item, None) if isinstance(item, str) else pair_of(item) for item in requests]
        check_keys([key for key, _ in pairs])
        for _, byte_range in pairs:
            if byte_range is not None:
                check_byte_range(byte_range)
        self._require(Capability.READ, "get_many", "it cannot be read")
        values = await self._hook("_get_many", pairs)
        if values is not NotImplemented:
            return [value if type(value) is bytes else frozen(value) for value in values]
        if len(pairs) > 1 and is_inline() and all(byte_range is None for _, byte_range in pairs):
            return await self._many_in_turn([key for key, _ in pairs])
        return await map_bounded(self._one_of_many, pairs)

    async def _many_in_turn(self, keys: list[str]) -> list[Buffer | None]:
        """Return values, several threads reading some of them in turn where that takes long."""
        found: list[Buffer | None] = [None] * len(keys)

        async def read(first: int, stop: int) -> None:
            def receive(index: int, value: Buffer | None) -> None:
                found[first + index] = None if value is None else bytes(value)

            some = keys[first:stop]
            if await self._hook("_get_each", some, receive) is NotImplemented:
                for index, key in enumerate(some):
                    receive(index, frozen(await self._hook("_get", key)))

        pace = Pace(len(keys))
        spans = pace.spans()
        for first, stop in spans:
            await read(first, stop)
            if pace.threads() > 1:
                await each_bounded(
                    lambda span: read(*span), spans, count=len(keys), limit=pace.threads
                )
        return found

    async def _one_of_many(self, request: tuple[str, ByteRequest | None]) -> Buffer | None:
        key, byte_range = request
        if byte_range is None:
            return frozen(await self._hook("_get", key))
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
        byte_range : RangeByteRequest, OffsetByteRequest or SuffixByteRequest, optional
            As in `get`.

        Raises
        ------
        TypeError
            If the buffer is read-only, or of another memory order.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> buffer = bytearray(8)
        >>> MemoryStore({"a": b"hello"}).sync.get_into("a", buffer), bytes(buffer)
        (5, b'hello\\x00\\x00\\x00')
        """
        self._reading("get_into", key)
        view = writable_view(buffer)
        if byte_range is not None:
            check_byte_range(byte_range)
        return await self._into(key, view, byte_range)

    async def _into(
        self, key: str, view: memoryview, byte_range: ByteRequest | None = None
    ) -> int | None:
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
    async def get_each(self, keys: Iterable[str], receive: Receive) -> None:
        """Read values one after the other, handing each to a function as soon as it is read.

        What is handed over may be the store's own buffer, which the next value overwrites: use
        it, or copy it, before ``receive`` returns. For many small values of a store that blocks
        this is the quickest way to read.

        Parameters
        ----------
        keys : iterable of str
            Some may be taken before the values of those before them have been received.
        receive : callable
            Called with the position of the key and its value, ``None`` if there is no such key.
            It must not use the store.

        Raises
        ------
        InvalidKeyError
            If a key breaks the key rules, when its turn comes.
        Exception
            What ``receive`` raises.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sizes = {}
        >>> def receive(index, value):
        ...     sizes[index] = None if value is None else len(value)
        >>> MemoryStore({"a": b"hello"}).sync.get_each(["a", "b"], receive)
        >>> sizes
        {0: 5, 1: None}
        """
        self._require(Capability.READ, "get_each", "it cannot be read")
        checked = map(check_key, keys)
        if await self._hook("_get_each", checked, receive) is NotImplemented:
            for index, key in enumerate(checked):
                receive(index, frozen(await self._hook("_get", key)))

    @operation
    async def get_each_into(self, keys: Iterable[str], buffers: Iterable[Any]) -> list[int | None]:
        """Read values one after the other, each into a buffer of its own; return their sizes.

        ``None`` for each that is missing. As in `get_into`, nothing is promised of a buffer that
        is smaller than its value. For many small values of a store that blocks this is the
        quickest way to read them to where they are needed.

        Parameters
        ----------
        keys : iterable of str
        buffers : iterable of bytearray, memoryview or numpy array
            One for each key, writable and C-contiguous.

        Raises
        ------
        InvalidKeyError, TypeError
            If a key or buffer is wrong, when its turn comes.
        ValueError
            If there are more of one than of the other; some values may have been read.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> buffers = [bytearray(2), bytearray(2)]
        >>> MemoryStore({"a": b"1"}).sync.get_each_into(["a", "b"], buffers), bytes(buffers[0])
        ([1, None], b'1\\x00')
        """
        self._require(Capability.READ, "get_each_into", "it cannot be read")
        checked = map(check_key, keys)
        views = map(writable_view, buffers)
        sizes: Any = await self._hook("_get_each_into", checked, views)
        if sizes is NotImplemented:
            sizes = [await self._into(*pair) for pair in zip(checked, views, strict=True)]
        return list(sizes)

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
