"""Keys of zarr 2, and stores where they are made lower case."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from zarrstore.abc import Stat, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import ConflictError
from zarrstore.operations import Absent, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["ARRAY_KEY", "GROUP_KEY", "LowerKeys"]

ARRAY_KEY = ".zarray"
GROUP_KEY = ".zgroup"


class LowerKeys(WrapperStore):
    """A store whose keys and prefixes are made lower case before they are used.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> sync = LowerKeys(MemoryStore()).sync
    >>> sync["A/b"] = b"1"
    >>> dict(sync), sync["a/B"]
    ({'a/b': b'1'}, b'1')
    """

    async def _get(self, key: str) -> Any:
        return await super()._get(key.lower())

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return await super()._get_range(key.lower(), byte_range)

    async def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        return await super()._get_ranges(key.lower(), byte_ranges)

    async def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        return await super()._get_versioned(key.lower(), byte_ranges, then)

    async def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        return await super()._get_many([(key.lower(), part) for key, part in requests])

    async def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        return await super()._get_into(key.lower(), buffer, byte_range)

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        await super()._get_each((key.lower() for key in keys), receive)

    async def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        return await super()._get_each_into((key.lower() for key in keys), buffers)

    async def _stat(self, key: str) -> Stat | None:
        return await super()._stat(key.lower())

    async def _exists(self, key: str) -> bool:
        return await super()._exists(key.lower())

    async def _set(self, key: str, value: Any) -> Version | None:
        return await super()._set(key.lower(), value)

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        try:
            return await super()._set_if(key.lower(), value, expect)
        except ConflictError as error:
            raise self._conflict(key, expect, error.found) from error

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        await super()._set_many([(key.lower(), value) for key, value in items])

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        await super()._set_each((key.lower(), value) for key, value in items)

    async def _delete(self, key: str) -> None:
        await super()._delete(key.lower())

    async def _delete_dir(self, prefix: str) -> None:
        await super()._delete_dir(prefix.lower())

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return super()._list(prefix.lower())

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return super()._list_dir(prefix.lower())

    async def _is_empty(self, prefix: str) -> bool:
        return await super()._is_empty(prefix.lower())

    async def _getsize_prefix(self, prefix: str) -> int:
        return await super()._getsize_prefix(prefix.lower())
