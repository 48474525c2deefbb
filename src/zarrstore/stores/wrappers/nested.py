"""Stores whose arrays have their chunks in directories, whether or not they say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from zarrstore.abc import Version
from zarrstore.byte_range import OffsetByteRequest
from zarrstore.operations import Absent, Buffer
from zarrstore.stores._translating import TranslatingStore
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.v2.keys import ARRAY_KEY

__all__ = ["SlashesByDefault"]

_MEMBER = "dimension_separator"


class SlashesByDefault(TranslatingStore):
    """A store in which an array that does not say has ``"/"`` between the numbers of chunks.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> SlashesByDefault(MemoryStore({"a/.zarray": b'{"shape": [2]}'})).sync["a/.zarray"]
    b'{"shape": [2], "dimension_separator": "/"}'
    """

    def _is_virtual(self, key: str) -> bool:
        return key.rpartition("/")[2] == ARRAY_KEY

    async def _virtual(self, keys: Sequence[str]) -> list[Buffer | None]:
        return [_completed(value) for value in await self._inner.get_many(keys)]

    async def _virtual_versioned(self, key: str) -> tuple[Buffer, Version | None] | None:
        found = await self._inner.get_versioned(key, [OffsetByteRequest(0)])
        value = None if found is None else _completed(found.parts[0])
        return None if found is None or value is None else (value, found.version)

    async def _set_virtual(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT] | None
    ) -> Version | None:
        return await self._inner.set(key, value, expect=expect)

    async def _delete_virtual(self, key: str) -> None:
        await self._inner.delete(key)

    # what is written and listed is what there is below

    _set = WrapperStore._set
    _set_if = WrapperStore._set_if
    _set_many = WrapperStore._set_many
    _set_each = WrapperStore._set_each
    _delete = WrapperStore._delete
    _exists = WrapperStore._exists
    _list = WrapperStore._list
    _list_dir = WrapperStore._list_dir


def _completed(value: Buffer | None) -> Buffer | None:
    """Return the document of an array with a separator."""
    if value is None:
        return None
    try:
        found = json.loads(bytes(value))
    except (ValueError, RecursionError):
        return value  # what is wrong is said by who needs it
    if not isinstance(found, dict) or found.get(_MEMBER) is not None:
        return value
    return json.dumps({**found, _MEMBER: "/"}).encode()
