"""`WrapperStore`: a store over another store, which forwards everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from zarrstore.abc import Stat, Store, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.operations import Absent, Buffer, Capability, Then, Versioned
from zarrstore.readable import Receive

__all__ = ["WrapperStore"]


class WrapperStore(Store):
    """Forward every hook to another store. Override the hooks that should differ.

    A wrapper runs where its store runs: over a blocking store it needs no event loop.

    Parameters
    ----------
    store : Store
        Closed when the wrapper is closed.
    read_only : bool, default False
        In addition to the store's own setting.
    """

    _takes_views = True

    def __init__(self, store: Store, *, read_only: bool = False) -> None:
        if not isinstance(store, Store):
            raise TypeError(f"store is a Store, not {type(store).__name__}; see open_store")
        super().__init__(read_only=read_only or store.read_only)
        self._inner = store
        self._capabilities = store.capabilities
        self._home = store._home
        self._foreign_format = self._foreign_format or store._foreign_format
        self._documents_first = self._documents_first or store._documents_first

    @property
    def store(self) -> Store:
        """The store that is wrapped."""
        return self._inner

    @property
    def url(self) -> str:
        return self._inner.url

    @property
    def capabilities(self) -> Capability:
        shared = self._inner.capabilities & Capability.SHARED
        return super().capabilities & ~Capability.SHARED | shared

    def _location(self) -> dict[str, Any]:
        """Return the arguments that make this wrapper again."""
        return {"store": self._inner}

    def _read_back(self, key: str, value: Buffer) -> Buffer:
        return self._inner._read_back(key, value)

    async def _hook(self, name: str, *args: Any) -> Any:
        # the wrapped store counts the requests: a wrapper that held one too could starve it
        target = self._view_of or self
        result = getattr(target, name)(*args)
        return await result if hasattr(result, "__await__") else result

    async def _close(self) -> None:
        await self._inner.close()

    async def _get(self, key: str) -> Any:
        return await self._inner.get(key)

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return await self._inner.get(key, byte_range)

    async def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        return await self._inner.get_ranges(key, byte_ranges)

    async def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        return await self._inner.get_versioned(key, byte_ranges, then)

    async def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        return await self._inner.get_many(requests)

    async def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        return await self._inner.get_into(key, buffer, byte_range)

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        await self._inner.get_each(keys, receive)

    async def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        return await self._inner.get_each_into(keys, buffers)

    async def _stat(self, key: str) -> Stat | None:
        return await self._inner.stat(key)

    async def _exists(self, key: str) -> bool:
        return await self._inner.exists(key)

    async def _set(self, key: str, value: Any) -> Version | None:
        return await self._inner.set(key, value)

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        return await self._inner.set(key, value, expect=expect)

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        await self._inner.set_many(items)

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        await self._inner.set_each(items)

    async def _delete(self, key: str) -> None:
        await self._inner.delete(key)

    async def _delete_dir(self, prefix: str) -> None:
        await self._inner.delete_dir(prefix)

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return self._inner.list_prefix(prefix)

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._inner.list_dir(prefix)

    async def _is_empty(self, prefix: str) -> bool:
        return await self._inner.is_empty(prefix)

    async def _getsize_prefix(self, prefix: str) -> int:
        return await self._inner.getsize_prefix(prefix)
