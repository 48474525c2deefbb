"""`NestedChunksStore`: chunks ``a/0.1`` of Zarr that lie at ``a/0/1`` or the like."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, NamedTuple

from zarrstore.keys import join
from zarrstore.stores._translating import TranslatingStore

__all__ = ["NestedArray", "NestedChunksStore"]

_is_chunk = re.compile(r"[0-9]+(?:\.[0-9]+)+").fullmatch
_is_number = re.compile(r"[0-9]+").fullmatch


class NestedArray(NamedTuple):
    """What is needed of an array to tell the keys of its chunks."""

    ndim: int

    @property
    def numbers(self) -> int:
        """How many numbers there are in the key of a chunk."""
        return max(1, self.ndim)


class NestedChunksStore(TranslatingStore):
    """Keep chunks in directories, one for each dimension but the last.

    Which numbers of a path are those of a chunk only the array above can tell, since arrays are
    called by numbers, too. Where there is none, none are, and no chunk can be written.
    """

    _documents_first = True
    _order: ClassVar[int] = 1
    """-1 if the numbers are in reverse order below."""
    _node_names: ClassVar[Sequence[str]]
    """Names of the keys below of which each node has one."""

    @abstractmethod
    async def _array_at(self, path: str) -> NestedArray | None:
        """Return what is known of the array at a path, if there is one."""

    def _is_foreign(self, name: str) -> bool:  # noqa: ARG002
        """Tell whether a name in the store below is that of no key here."""
        return False

    async def _array_above(self, path: str) -> NestedArray | None:
        """Return the array that a path which ends with numbers lies in."""
        while path and _is_number(path.rpartition("/")[2]):
            path = path.rpartition("/")[0]
            found = await self._array_at(path)
            if found is not None:
                return found
        return None

    async def _below(self, key: str) -> str | None:
        path, _, name = key.rpartition("/")
        if self._is_foreign(name):
            return None
        in_number = _is_number(path.rpartition("/")[2])
        if not in_number or not (_is_chunk(name) or _is_number(name)):
            return self._nested(path, name)
        here = await self._array_at(path)
        if here is not None:
            fits = here.numbers == name.count(".") + 1
            return self._nested(path, name) if fits else None
        return None if await self._array_above(path) is not None else self._nested(path, name)

    async def _check(self, key: str, value: Any) -> None:  # noqa: ARG002
        path, _, name = key.rpartition("/")
        if _is_chunk(name) and await self._array_at(path) is None:
            raise self._cannot_hold(key)

    def _nested(self, path: str, name: str) -> str:
        if _is_chunk(name):
            name = "/".join(name.split(".")[:: self._order])
        return join(path, name)

    async def _above(self, below: str, known: dict[str, NestedArray | None]) -> str:
        """Return the key of what is in the store below; ``known`` are arrays that were seen."""
        segments = below.split("/")
        first = len(segments)
        while first and _is_number(segments[first - 1]):
            first -= 1
        if len(segments) - first < 2:
            return below
        for at in range(first, len(segments)):
            path = "/".join(segments[:at])
            if path not in known:
                known[path] = await self._array_at(path)
            array = known[path]
            if array is not None:
                numbers = segments[at:][:: self._order]
                return join(path, ".".join(numbers)) if array.numbers == len(numbers) else below
        return below

    async def _delete_dir(self, prefix: str) -> Any:
        path = prefix.rstrip("/")
        if _is_number(path.rpartition("/")[2]) and not await self._are_nodes([path]):
            return NotImplemented  # there may be chunks below it, which are not
        await self._inner.delete_dir(prefix)
        return None

    async def _are_nodes(self, paths: Sequence[str]) -> bool:
        """Tell whether each of some paths is one of a node."""
        keys = [join(path, name) for path in paths for name in self._node_names]
        values = await self._inner.get_many(keys)
        each = len(self._node_names)
        return all(
            any(value is not None for value in values[at : at + each])
            for at in range(0, len(values), each)
        )

    async def _names(self, prefix: str, names: Sequence[str]) -> list[str] | None:
        """Return the names one level below a prefix of what is there below; ``None`` for the same.

        Numbers there may be of chunks, which have other names here.
        """
        path = prefix.rstrip("/")
        numbers = list(filter(_is_number, names))
        if not numbers and not _is_number(path.rpartition("/")[2]):
            return None
        if not path or not set(self._node_names).isdisjoint(names):
            is_group = await self._array_at(path) is None
            if is_group and numbers and await self._are_nodes([join(path, n) for n in numbers]):
                return None
        found: dict[str, None] = {}
        async for key in self._list(prefix):
            found[key[len(prefix) :].partition("/")[0]] = None
        return list(found)

    @abstractmethod
    def _list(self, prefix: str) -> AsyncIterator[str]: ...
