"""`TranslatingStore`: a wrapper whose keys are not those of its store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from zarrstore.abc import Stat, Version
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.operations import Absent, Buffer, Then, Versioned
from zarrstore.readable import Receive
from zarrstore.requests import checked_ranges, part_of
from zarrstore.stores._batches import lists_of
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["TranslatingStore"]

_AT_ONCE = 64


class TranslatingStore(WrapperStore):
    """Ask a store by other keys, or answer without it. A subclass says which.

    Some keys are *virtual*: what they hold is made from something else. All others have one in
    the store below, or none.
    """

    def _is_virtual(self, key: str) -> bool:  # noqa: ARG002
        """Tell whether a key is answered by `_virtual`, `_set_virtual` and `_delete_virtual`."""
        return False

    async def _virtual(self, keys: Sequence[str]) -> list[Buffer | None]:
        """Return what some virtual keys hold, ``None`` where one is missing."""
        raise NotImplementedError

    async def _virtual_versioned(self, key: str) -> tuple[Buffer, Version | None] | None:
        """Return what a virtual key holds, and its version."""
        (value,) = await self._virtual([key])
        return None if value is None else (value, None)

    async def _below(self, key: str) -> str | None:
        """Return the key in the store below of one that is not virtual.

        ``None`` if there cannot be such a key.
        """
        return key

    async def _set_virtual(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT] | None
    ) -> Version | None:
        """Write a virtual key."""
        raise NotImplementedError

    async def _delete_virtual(self, key: str) -> None:
        """Delete a virtual key."""
        raise NotImplementedError

    def _cannot_hold(self, key: str) -> ZarrStoreError:
        """Make the error of a key that `_below` has no other for."""
        raise NotImplementedError

    async def _check(self, key: str, value: Any) -> None:
        """Raise unless a value can be written to a key that is not virtual."""

    async def _get(self, key: str) -> Any:
        if self._is_virtual(key):
            return (await self._virtual([key]))[0]
        below = await self._below(key)
        return None if below is None else await self._inner.get(below)

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        parts = await self._get_ranges(key, (byte_range,))
        return None if parts is None else parts[0]

    async def _get_ranges(self, key: str, byte_ranges: Sequence[ByteRequest]) -> Any:
        if self._is_virtual(key):
            (whole,) = await self._virtual([key])
            return None if whole is None else [part_of(whole, each) for each in byte_ranges]
        below = await self._below(key)
        if below is None:
            return None
        if len(byte_ranges) == 1:
            part = await self._inner.get(below, byte_ranges[0])
            return None if part is None else [part]
        return await self._inner.get_ranges(below, byte_ranges)

    async def _get_versioned(
        self, key: str, byte_ranges: Sequence[ByteRequest], then: Then | None
    ) -> Versioned | None:
        if not self._is_virtual(key):
            below = await self._below(key)
            if below is None:
                return None
            return await self._inner.get_versioned(below, byte_ranges, then)
        found = await self._virtual_versioned(key)
        if found is None:
            return None
        whole, version = found
        parts = [part_of(whole, each) for each in byte_ranges]
        if then is not None:
            parts += [part_of(whole, each) for each in checked_ranges(then(parts, len(whole)))]
        return Versioned(parts, len(whole), version)

    async def _get_many(self, requests: Sequence[tuple[str, ByteRequest | None]]) -> Any:
        values: dict[int, Any] = dict.fromkeys(range(len(requests)))
        virtual = [at for at, (key, _) in enumerate(requests) if self._is_virtual(key)]
        if virtual:
            found = await self._virtual([requests[at][0] for at in virtual])
            for at, whole in zip(virtual, found, strict=True):
                byte_range = requests[at][1]
                values[at] = whole
                if whole is not None and byte_range is not None:
                    values[at] = part_of(whole, byte_range)
        asked: dict[int, tuple[str, ByteRequest | None]] = {}
        for at in values.keys() - set(virtual):
            below = await self._below(requests[at][0])
            if below is not None:
                asked[at] = below, requests[at][1]
        if asked:
            values.update(zip(asked, await self._inner.get_many(asked.values()), strict=True))
        return [values[at] for at in range(len(requests))]

    async def _get_into(
        self, key: str, buffer: memoryview, byte_range: ByteRequest | None
    ) -> int | None:
        if not self._is_virtual(key):
            below = await self._below(key)
            return None if below is None else await self._inner.get_into(below, buffer, byte_range)
        (value,) = await self._get_many([(key, byte_range)])
        if value is not None and len(value) <= buffer.nbytes:
            buffer[: len(value)] = value
        return None if value is None else len(value)

    async def _all_below(self, keys: Iterable[str]) -> list[str] | None:
        """Return the keys below of some; ``None`` unless each has one."""
        found = []
        for key in keys:
            below = None if self._is_virtual(key) else await self._below(key)
            if below is None:
                return None
            found.append(below)
        return found

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        first = 0
        for some in lists_of(keys, _AT_ONCE):
            below = await self._all_below(some)
            if below is None:
                for at, key in enumerate(some, first):
                    receive(at, await self._get(key))
            else:

                def received(at: int, value: Buffer | None, first: int = first) -> None:
                    receive(first + at, value)

                await self._inner.get_each(below, received)
            first += len(some)

    async def _get_each_into(
        self, keys: Iterable[str], buffers: Iterable[memoryview]
    ) -> list[int | None]:
        sizes: list[int | None] = []
        for some in lists_of(zip(keys, buffers, strict=True), _AT_ONCE):
            below = await self._all_below(key for key, _ in some)
            if below is None:
                sizes += [await self._get_into(*each, None) for each in some]
            else:
                sizes += await self._inner.get_each_into(below, [buffer for _, buffer in some])
        return sizes

    async def _stat(self, key: str) -> Stat | None:
        if self._is_virtual(key):
            found = await self._virtual_versioned(key)
            return None if found is None else Stat(len(found[0]), found[1])
        below = await self._below(key)
        return None if below is None else await self._inner.stat(below)

    async def _exists(self, key: str) -> bool:
        if self._is_virtual(key):
            return (await self._virtual([key]))[0] is not None
        below = await self._below(key)
        return below is not None and await self._inner.exists(below)

    async def _set(self, key: str, value: Any) -> Version | None:
        if self._is_virtual(key):
            return await self._set_virtual(key, value, None)
        return await self._inner.set(await self._place(key, value), value)

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        if self._is_virtual(key):
            return await self._set_virtual(key, value, expect)
        below = await self._place(key, value)
        try:
            return await self._inner.set(below, value, expect=expect)
        except ConflictError as error:
            raise self._conflict(key, expect, error.found) from error

    async def _place(self, key: str, value: Any) -> str:
        """Return the key below that a value is written to."""
        below = await self._below(key)
        if below is None:
            raise self._cannot_hold(key)
        await self._check(key, value)
        return below

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        for key, value in items:
            if self._is_virtual(key):
                await self._set_virtual(key, value, None)
        data = [(key, value) for key, value in items if not self._is_virtual(key)]
        await self._inner.set_many([(await self._place(*item), item[1]) for item in data])

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        # what makes the items may use one buffer for all: each is written before the next
        for key, value in items:
            await self._set(key, value)

    async def _delete(self, key: str) -> None:
        if self._is_virtual(key):
            await self._delete_virtual(key)
        elif (below := await self._below(key)) is not None:
            await self._inner.delete(below)

    @abstractmethod
    def _list(self, prefix: str) -> AsyncIterator[str]: ...

    @abstractmethod
    def _list_dir(self, prefix: str) -> AsyncIterator[str]: ...

    # what is below a prefix of the store may be no key here, or another one

    async def _is_empty(self, _prefix: str) -> Any:
        return NotImplemented

    async def _getsize_prefix(self, _prefix: str) -> Any:
        return NotImplemented
