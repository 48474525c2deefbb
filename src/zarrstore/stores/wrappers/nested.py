"""`NestedStore`: chunks in directories, for arrays that do not say how their chunks are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from zarrstore.abc import Version
from zarrstore.byte_range import OffsetByteRequest
from zarrstore.operations import Absent, Buffer
from zarrstore.stores._translating import TranslatingStore
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["NestedStore"]

_ARRAY, _CONSOLIDATED = ".zarray", ".zmetadata"
_MEMBER = "dimension_separator"


class NestedStore(TranslatingStore):
    """Read arrays that do not say so as those with ``dimension_separator="/"``.

    As the nested directories of zarr-python 2: before there was that member of ``.zarray``, it
    put a chunk ``a/0.1`` at ``a/0/1`` and did not say so. What does say it, with either
    separator, is left as it is, here and there. Nothing is changed in the store.

    Parameters
    ----------
    store : Store
        Closed when this one is closed.
    read_only : bool, default False

    Notes
    -----
    Consolidated metadata in ``.zmetadata`` is read so, too.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> store = NestedStore(MemoryStore({"a/.zarray": b'{"shape": [2, 2]}', "a/0/1": b"1"}))
    >>> store.sync["a/.zarray"]
    b'{"shape": [2, 2], "dimension_separator": "/"}'
    """

    def _is_virtual(self, key: str) -> bool:
        return key.rpartition("/")[2] in _COMPLETE

    async def _virtual(self, keys: Sequence[str]) -> list[Buffer | None]:
        values = await self._inner.get_many(keys)
        return [
            None if value is None else _read_as(key, value)
            for key, value in zip(keys, values, strict=True)
        ]

    async def _virtual_versioned(self, key: str) -> tuple[Buffer, Version | None] | None:
        found = await self._inner.get_versioned(key, [OffsetByteRequest(0)])
        return None if found is None else (_read_as(key, found.parts[0]), found.version)

    def _read_back(self, key: str, value: Buffer) -> Buffer:
        below = self._inner._read_back(key, value)
        return _read_as(key, below) if self._is_virtual(key) else below

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


def _array(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of an array with a separator."""
    return document if document.get(_MEMBER) is not None else {**document, _MEMBER: "/"}


def _consolidated(document: dict[str, Any]) -> dict[str, Any]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return document
    completed = {
        key: _array(each) if key.rpartition("/")[2] == _ARRAY and isinstance(each, dict) else each
        for key, each in metadata.items()
    }
    return {**document, "metadata": completed}


_COMPLETE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    _ARRAY: _array,
    _CONSOLIDATED: _consolidated,
}


def _read_as(key: str, value: Buffer) -> Buffer:
    """Return what a document is read as."""
    try:
        found = json.loads(bytes(value))
    except (ValueError, RecursionError):
        return value  # what is wrong is said by who needs it
    if not isinstance(found, dict):
        return value
    completed = _COMPLETE[key.rpartition("/")[2]](found)
    return value if completed == found else json.dumps(completed).encode()
