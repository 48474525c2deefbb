"""The stores of zarr-python 3 as stores here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import zarr.abc.store as zarr_abc
import zarr.storage
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import _get_loop

from zarrstore.abc import Capability, Stat, Store
from zarrstore.byte_range import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    resolve,
)
from zarrstore.errors import AccessDeniedError, BackendError, CorruptDataError, ZarrStoreError
from zarrstore.interop._zarr_adapter import StoreAdapter
from zarrstore.redaction import redact
from zarrstore.runtime import Home, LoopHome
from zarrstore.stores._remote.recipe import Recipe

__all__ = ["ZarrPythonStore"]


_ZARR_LOOP = LoopHome(_get_loop)
"""Where zarr-python itself runs its stores, and the sessions of some of them live."""


class _Same:
    """A store of zarr-python, compared as it compares itself."""

    def __init__(self, store: zarr_abc.Store) -> None:
        self._store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and bool(self._store == other._store)

    def __hash__(self) -> int:
        return hash(type(self._store))


class ZarrPythonStore(Store):
    """A store of zarr-python 3 as a store of this package.

    Parameters
    ----------
    zarr_store : zarr.abc.store.Store
        Closed when this one is closed.
    read_only : bool, default False
        In addition to the store's own setting.

    Notes
    -----
    It runs on zarr-python's own event loop, whoever calls. Keys and ranges keep the rules here;
    whether a write is atomic is the store's to keep. There are no versions and no conditional
    writes, because zarr-python's ``set_if_not_exists`` does not tell who wrote.
    """

    _home: Home = _ZARR_LOOP

    def __init__(self, zarr_store: zarr_abc.Store, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only or zarr_store.read_only)
        self._zarr = zarr_store
        self._capabilities = _capabilities(zarr_store)

    @property
    def zarr_store(self) -> zarr_abc.Store:
        """The store of zarr-python."""
        return self._zarr

    @property
    def url(self) -> str:
        return redact(" ".join(str(self._zarr).split()))  # icechunk's has several lines

    def _location(self) -> dict[str, Any] | None:
        return {"zarr_store": self._zarr} if _is_shareable(self._zarr) else None

    def _identity(self) -> object:
        # stores in memory are equal to zarr-python if they hold the same
        return _Same(self._zarr) if _is_shareable(self._zarr) else id(self._zarr)

    async def _close(self) -> None:
        with self._translated("close", ""):
            await asyncio.to_thread(self._zarr.close)  # it may block, or wait for this very loop

    async def _opened(self) -> zarr_abc.Store:
        store = self._zarr
        if not store._is_open:
            try:
                await store._ensure_open()
            except ValueError:  # another task was first, which the store takes for an error
                if not store._is_open:
                    raise
        return store

    @contextmanager
    def _translated(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except ZarrStoreError:
            raise
        except Exception as error:
            denied = isinstance(error, PermissionError)
            cls = AccessDeniedError if denied else BackendError
            what = redact(str(error)) or type(error).__name__
            raise cls(
                f"cannot {action} {key!r} in {self.url}: {what}",
                store=self.url,
                key=key,
                errno=getattr(error, "errno", None),
            ) from error

    async def _get(self, key: str) -> Any:
        with self._translated("read", key):
            store = await self._opened()
            return _memory(await store.get(key, default_buffer_prototype()))

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        with self._translated("read", key):
            store = await self._opened()
            asked = _asked(byte_range)
            if asked is not None:
                with suppress(Exception):  # of the end of the value, perhaps
                    found = _memory(await store.get(key, default_buffer_prototype(), asked))
                    if found is None or _can_only_be(byte_range, len(found)):
                        return found
            return await self._exact_part(store, key, byte_range)

    async def _exact_part(self, store: zarr_abc.Store, key: str, byte_range: ByteRequest) -> Any:
        """Return a part that lies within the value for certain."""
        stat = await self._stat(key)
        if stat is None:
            return None
        start, stop = resolve(byte_range, stat.size)
        if start == stop:
            return b""
        asked = zarr_abc.RangeByteRequest(start, stop)
        found = _memory(await store.get(key, default_buffer_prototype(), asked))
        if found is not None and len(found) != stop - start:
            raise CorruptDataError(
                f"wrong answer for {key!r} in {self.url}: {len(found)} bytes, where "
                f"{stop - start} were asked for",
                store=self.url,
                key=key,
            )
        return found

    async def _stat(self, key: str) -> Stat | None:
        with self._translated("look up", key):
            store = await self._opened()
            if not await store.exists(key):  # getsize takes a directory for a key in some
                return None
            try:
                return Stat(await store.getsize(key))
            except FileNotFoundError:
                return None

    async def _exists(self, key: str) -> bool:
        with self._translated("look up", key):
            return await (await self._opened()).exists(key)

    async def _set(self, key: str, value: Any) -> None:
        with self._translated("write", key):
            store = await self._opened()
            await store.set(key, default_buffer_prototype().buffer.from_bytes(value))

    async def _delete(self, key: str) -> None:
        with self._translated("delete", key):
            store = await self._opened()
            if await store.exists(key):  # some delete a directory, or raise if there is nothing
                await store.delete(key)

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        with self._translated("list", prefix):
            store = await self._opened()
            async for key in _once_each(store.list_prefix(prefix), store):
                if key.startswith(prefix):
                    yield key

    async def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        with self._translated("list", prefix):
            store = await self._opened()
            async for name in _once_each(store.list_dir(prefix.rstrip("/"))):
                yield name.strip("/")


def _capabilities(store: zarr_abc.Store) -> Capability:
    found = Capability.READ
    for supported, capability in (
        (store.supports_writes, Capability.WRITE),
        (store.supports_deletes, Capability.DELETE),
        (store.supports_listing, Capability.LIST),
    ):
        if supported:
            found |= capability
    return found


async def _once_each(
    found: AsyncIterator[str], store: zarr_abc.Store | None = None
) -> AsyncIterator[str]:
    """Yield each name or key once; only a zip file has keys that are listed twice."""
    if store is not None and not isinstance(_innermost(store), zarr.storage.ZipStore):
        async for key in found:
            yield key
        return
    seen: set[str] = set()
    async for name in found:
        if name not in seen:
            seen.add(name)
            yield name


def _innermost(store: Any) -> Any:
    """Return what wrappers of zarr-python stand for."""
    while isinstance(store, zarr.storage.WrapperStore):
        store = store._store
    return store


def _is_shareable(store: Any) -> bool:
    """Tell whether a pickle opens the same data in any process, as far as is known."""
    store = _innermost(store)
    if isinstance(store, StoreAdapter):
        return Capability.SHARED in store.store.capabilities
    if isinstance(store, zarr.storage.ZipStore):
        return store.read_only
    if isinstance(store, zarr.storage.FsspecStore):
        return Recipe.of(getattr(store.fs, "sync_fs", store.fs)).is_shareable
    return not isinstance(store, zarr.storage.MemoryStore)


def _asked(byte_range: ByteRequest) -> zarr_abc.ByteRequest | None:
    """Return a byte range of ours as one of zarr-python, ``None`` if it asks for no byte."""
    if isinstance(byte_range, RangeByteRequest):
        if byte_range.start == byte_range.end:
            return None
        return zarr_abc.RangeByteRequest(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return zarr_abc.OffsetByteRequest(byte_range.offset)
    return zarr_abc.SuffixByteRequest(byte_range.suffix) if byte_range.suffix else None


def _can_only_be(byte_range: ByteRequest, size: int) -> bool:
    """Tell whether an answer of this size is right: what is past the end some answer wrongly."""
    if isinstance(byte_range, RangeByteRequest):
        return size == byte_range.end - byte_range.start
    return isinstance(byte_range, OffsetByteRequest) or size == byte_range.suffix


def _memory(value: Buffer | None) -> Any:
    return None if value is None else value.as_buffer_like()
