"""The stores here as stores of zarr-python 3."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, Self, TypeVar

import numpy as np
import zarr.abc.store as zarr_abc
from zarr.core.buffer import Buffer, BufferPrototype, cpu, default_buffer_prototype

from zarrstore.abc import BlockingStore, Capability, Store
from zarrstore.byte_range import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarrstore.interop._loop_turns import LoopTurns
from zarrstore.runtime import CALLER, drive_inline

__all__ = ["BlockingStoreAdapter", "StoreAdapter"]

T = TypeVar("T")

_BYTE = np.dtype("B")


class StoreAdapter(zarr_abc.Store):
    """A store of this package as a store of zarr-python 3.

    Parameters
    ----------
    store : Store
        Closed when this one is closed.
    read_only : bool, optional
        By default as the store is. Otherwise what is adapted is a view of the store, and to
        close it leaves the store open.

    Notes
    -----
    Where zarr-python has a rule of its own, it is kept: a change of a read-only store raises
    ``ValueError``. All other errors are those of the store.
    """

    def __init__(self, store: Store, *, read_only: bool | None = None) -> None:
        if not isinstance(store, Store):
            raise TypeError(f"store is a Store, not {type(store).__name__}; see to_zarr")
        if read_only is not None and read_only != store.read_only:
            store = store.with_read_only(read_only)
        super().__init__(read_only=store.read_only)
        self._store = store

    @property
    def store(self) -> Store:
        """The store that is adapted."""
        return self._store

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a view of the same data; closing it does not close this store."""
        return type(self)(self._store.with_read_only(read_only))

    def close(self) -> None:
        """Close the store that is adapted."""
        super().close()
        self._store.sync.close()

    def __str__(self) -> str:
        return self._store.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, value: object) -> bool:
        if type(value) is not type(self):
            return NotImplemented
        return self._store == value._store

    def __hash__(self) -> int:
        return hash((StoreAdapter, self._store))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._store,)

    @property
    def supports_writes(self) -> bool:
        """Whether values can be written."""
        return Capability.WRITE in self._store.capabilities

    @property
    def supports_deletes(self) -> bool:
        """Whether values can be deleted."""
        return Capability.DELETE in self._store.capabilities

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return Capability.LIST in self._store.capabilities

    def _bytes(self, value: object) -> Any:
        """Return what is in a buffer, or its memory where the store does not keep it."""
        if not isinstance(value, Buffer):
            raise TypeError(f"value is a Buffer of zarr-python, not {type(value).__name__}")
        if self._store._takes_views:
            return value.as_buffer_like()
        return value.as_numpy_array().tobytes()  # quicker than a view that is copied later

    async def _run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        """Await a method of the store, whose home takes it where it runs."""
        return await function(*args)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: zarr_abc.ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value or a part of it, ``None`` if missing; a part is clamped."""
        return _buffer(await self._run(self._store.get, key, _request(byte_range)), prototype)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, zarr_abc.ByteRequest | None]],
    ) -> builtins.list[Buffer | None]:
        """Return many values or parts, in the order asked, several read at once."""
        requests = [(key, _request(byte_range)) for key, byte_range in key_ranges]
        values = await self._run(self._store.get_many, requests)
        return [_buffer(value, prototype) for value in values]

    async def exists(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return await self._run(self._store.exists, key)

    async def getsize(self, key: str) -> int:
        """Return the size of a value in bytes without reading it."""
        return await self._run(self._store.getsize, key)

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the size of all values under a prefix in bytes."""
        return await self._run(self._store.getsize_prefix, prefix.rstrip("/"))

    async def is_empty(self, prefix: str) -> bool:
        """Tell whether there is no key under a prefix."""
        return await self._run(self._store.is_empty, prefix.rstrip("/"))

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value, atomically."""
        self._check_writable()
        await self._run(self._store.set, key, self._bytes(value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value if there is no such key; atomic where the store can do that."""
        self._check_writable()
        if Capability.CREATE_EXCLUSIVE in self._store.capabilities:
            await self._run(self._store.set_if_not_exists, key, self._bytes(value))
        else:
            await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Delete a key; nothing happens if there is none."""
        self._check_writable()
        await self._run(self._store.delete, key)

    async def delete_dir(self, prefix: str) -> None:
        """Delete every key under a prefix."""
        self._check_writable()
        await self._run(self._store.delete_dir, prefix.rstrip("/"))

    async def clear(self) -> None:
        """Delete every key."""
        await self.delete_dir("")

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys."""
        return self._store.list()

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys under a prefix, which is that of a node."""
        return self._store.list_prefix(prefix.rstrip("/"))

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the names one level below a prefix."""
        return self._store.list_dir(prefix.rstrip("/"))


class BlockingStoreAdapter(StoreAdapter):
    """A store that blocks, or never waits, as a store of zarr-python 3.

    It has the blocking methods too, by which zarr-python's ``FusedCodecPipeline`` reads and
    writes without an event loop.

    Parameters
    ----------
    store : Store
    read_only : bool, optional
        As of `StoreAdapter`.
    """

    def __init__(self, store: Store, *, read_only: bool | None = None) -> None:
        super().__init__(store, read_only=read_only)
        self._turns = None if store._home is CALLER else LoopTurns()
        self._blocking = self._store if isinstance(self._store, BlockingStore) else None

    async def _run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> T:
        if self._turns is None:
            return drive_inline(function, *args)
        return await self._turns.run(function, *args)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: zarr_abc.ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a value or a part of it, ``None`` if missing; a part is clamped."""
        if self._turns is None:
            return self.get_sync(key, prototype=prototype, byte_range=byte_range)
        value = await self._turns.run(self._store.get, key, _request(byte_range))
        return _buffer(value, prototype)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value, atomically."""
        if self._turns is None:
            self.set_sync(key, value)
            return
        self._check_writable()
        await self._turns.run(self._store.set, key, self._bytes(value))

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: zarr_abc.ByteRequest | None = None,
    ) -> Buffer | None:
        """Do what `get` does, in this thread."""
        if byte_range is None and self._blocking is not None:
            return _buffer(self._blocking._get_plainly(key), prototype)
        return _buffer(drive_inline(self._store.get, key, _request(byte_range)), prototype)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Do what `set` does, in this thread."""
        self._check_writable()
        if self._blocking is not None:
            self._blocking._set_plainly(key, self._bytes(value))
        else:
            drive_inline(self._store.set, key, self._bytes(value))

    def delete_sync(self, key: str) -> None:
        """Do what `delete` does, in this thread."""
        self._check_writable()
        drive_inline(self._store.delete, key)

    async def get_ranges(
        self,
        key: str,
        byte_ranges: Sequence[zarr_abc.ByteRequest | None],
        *,
        prototype: BufferPrototype,
        **_: Any,
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Yield all parts of a value at once: near ones are read together as the store does."""
        if byte_ranges:
            values = await self._run(self._store.get_ranges, key, _requests(byte_ranges))
            yield _numbered(key, values, prototype)

    def get_ranges_sync(
        self,
        key: str,
        byte_ranges: Sequence[zarr_abc.ByteRequest | None],
        *,
        prototype: BufferPrototype,
        **_: Any,
    ) -> Sequence[tuple[int, Buffer | None]]:
        """Do what `get_ranges` does, in this thread."""
        values = drive_inline(self._store.get_ranges, key, _requests(byte_ranges))
        return _numbered(key, values, prototype)


def _request(byte_range: zarr_abc.ByteRequest | None) -> ByteRequest | None:
    """Return a byte range of zarr-python as one of ours."""
    if byte_range is None:
        return None
    if isinstance(byte_range, zarr_abc.RangeByteRequest):
        return RangeByteRequest(byte_range.start, byte_range.end)
    if isinstance(byte_range, zarr_abc.OffsetByteRequest):
        return OffsetByteRequest(byte_range.offset)
    if isinstance(byte_range, zarr_abc.SuffixByteRequest):
        return SuffixByteRequest(byte_range.suffix)
    raise TypeError(
        f"Unexpected byte_range, got {byte_range!r}: it is a RangeByteRequest, OffsetByteRequest "
        "or SuffixByteRequest of zarr.abc.store"
    )


def _requests(byte_ranges: Iterable[zarr_abc.ByteRequest | None]) -> list[ByteRequest]:
    return [_request(byte_range) or OffsetByteRequest(0) for byte_range in byte_ranges]


def _buffer(value: Any, prototype: BufferPrototype | None) -> Buffer | None:
    """Return what was read as a buffer of the kind that is asked for, without a copy."""
    if value is None:
        return None
    kind = (prototype or default_buffer_prototype()).buffer
    if kind is cpu.Buffer:
        return kind(np.frombuffer(value, _BYTE))  # what from_bytes does, without its detours
    return kind.from_bytes(value)


def _numbered(
    key: str, values: list[Any] | None, prototype: BufferPrototype
) -> list[tuple[int, Buffer | None]]:
    if values is None:
        # what zarr-python expects of both methods
        raise BaseExceptionGroup("chunk read failed", [FileNotFoundError(key)])
    return [(index, _buffer(value, prototype)) for index, value in enumerate(values)]
