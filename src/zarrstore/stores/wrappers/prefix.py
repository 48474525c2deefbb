"""`PrefixStore`: what lies under one prefix of a store, as a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from zarrstore.abc import Stat, Store, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import ConflictError
from zarrstore.keys import check_prefix
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.redaction import join_url
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["PrefixStore"]


class PrefixStore(WrapperStore):
    """View the keys under a prefix as a store of its own.

    Parameters
    ----------
    store : Store
    prefix : str
        ``"a/b"`` and ``"a/b/"`` mean the same.
    read_only : bool, default False

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> inner = PrefixStore(MemoryStore({"a/b": b"1", "ab": b"2"}), "a")
    >>> dict(inner.sync)
    {'b': b'1'}
    """

    def __init__(self, store: Store, prefix: str, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self._prefix = check_prefix(prefix)
        self._waits_in_threads = store._waits_in_threads

    @property
    def prefix(self) -> str:
        """``""``, or a path that ends with ``/``."""
        return self._prefix

    @property
    def url(self) -> str:
        return join_url(self._inner.url, self._prefix.rstrip("/"))

    def _location(self) -> dict[str, Any]:
        return {"store": self._inner, "prefix": self._prefix}

    def _read_back(self, key: str, value: Buffer) -> Buffer:
        return self._inner._read_back(self._prefix + key, value)

    async def _get(self, key: str) -> Any:
        return await self._inner.get(self._prefix + key)

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return await self._inner.get(self._prefix + key, byte_range)

    async def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        return await self._inner.get_ranges(self._prefix + key, byte_ranges)

    async def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        return await self._inner.get_versioned(self._prefix + key, byte_ranges, then)

    async def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        return await self._inner.get_many(
            [(self._prefix + key, byte_range) for key, byte_range in requests]
        )

    async def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        return await self._inner.get_into(self._prefix + key, buffer, byte_range)

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        await self._inner.get_each((self._prefix + key for key in keys), receive)

    async def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        return await self._inner.get_each_into((self._prefix + key for key in keys), buffers)

    async def _stat(self, key: str) -> Stat | None:
        return await self._inner.stat(self._prefix + key)

    async def _exists(self, key: str) -> bool:
        return await self._inner.exists(self._prefix + key)

    async def _set(self, key: str, value: Any) -> Version | None:
        return await self._inner.set(self._prefix + key, value)

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        try:
            return await self._inner.set(self._prefix + key, value, expect=expect)
        except ConflictError as error:
            raise self._conflict(key, expect, error.found) from error

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        await self._inner.set_many([(self._prefix + key, value) for key, value in items])

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        await self._inner.set_each((self._prefix + key, value) for key, value in items)

    async def _delete(self, key: str) -> None:
        await self._inner.delete(self._prefix + key)

    async def _delete_dir(self, prefix: str) -> None:
        await self._inner.delete_dir(self._prefix + prefix)

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        start = len(self._prefix)
        async for key in self._inner.list_prefix(self._prefix + prefix):
            yield key[start:]

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._inner.list_dir(self._prefix + prefix)

    async def _is_empty(self, prefix: str) -> bool:
        return await self._inner.is_empty(self._prefix + prefix)

    async def _getsize_prefix(self, prefix: str) -> int:
        return await self._inner.getsize_prefix(self._prefix + prefix)
