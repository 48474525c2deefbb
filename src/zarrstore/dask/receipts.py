"""What was written: keys, sizes and checksums; noted where it is done, merged, verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import google_crc32c
import numpy as np

from zarrstore.abc import Store, Version
from zarrstore.compute import compute
from zarrstore.operations import Absent
from zarrstore.runtime import ForkSafeLock, is_inline
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["NotingStore", "Receipt", "Written", "crc32c", "merged"]


_LONG = 2**18
"""Bytes of which the checksum takes longer than to have it computed in another thread."""


class Written(NamedTuple):
    """What a key holds after a write."""

    size: int | None
    """In bytes; ``None`` if there is no such key: all elements are the fill value."""
    crc32c: int | None
    """The checksum; ``None`` if the value was there before a write that was resumed."""
    rank: tuple[int, ...] = ()
    """Of the task: of several that wrote a key one after the other, the last counts."""


Receipt: TypeAlias = dict[str, Written]
"""What was written, by keys of the store."""


def crc32c(value: Any) -> int:
    """Return the CRC-32C of a value.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    # the library takes no memoryview
    data = value if isinstance(value, bytes) else np.frombuffer(value, np.uint8)
    found: int = google_crc32c.value(data)
    return found


def merged(receipts: Iterable[Mapping[str, Written]]) -> Receipt:
    """Return one receipt of several.

    Examples
    --------
    >>> merged([{"c/0": Written(4, 1, (1,))}, {"c/0": Written(4, 2, (0,)), "c/1": Written(4, 3)}])
    {'c/0': Written(size=4, crc32c=1, rank=(1,)), 'c/1': Written(size=4, crc32c=3, rank=())}
    """
    result: Receipt = {}
    for receipt in receipts:
        if result.keys().isdisjoint(receipt):
            result.update(receipt)
            continue
        for key, written in receipt.items():
            before = result.get(key)
            if before is None or before.rank <= written.rank:
                result[key] = written
    return result


class NotingStore(WrapperStore):
    """Note what is written to a store; keys that hold their value already are not written.

    Parameters
    ----------
    store : Store
    rank : tuple of int
        For the receipt.
    complete : frozenset of str
        Keys that were written before the work was broken off.
    """

    _takes_views = True

    def __init__(
        self,
        store: Store,
        rank: tuple[int, ...] = (),
        complete: frozenset[str] = frozenset(),
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, read_only=read_only)
        self._waits_in_threads = store._waits_in_threads
        self._rank = rank
        self._complete = complete
        self._lock = ForkSafeLock()
        self.receipt: Receipt = {}

    def _note(self, key: str, value: Any) -> None:
        written = Written(memoryview(value).nbytes, crc32c(value), self._rank)
        with self._lock:
            self.receipt[key] = written

    async def _set(self, key: str, value: Any) -> Version | None:
        if is_inline() or memoryview(value).nbytes < _LONG:
            self._note(key, value)
        else:  # it would hold up the I/O loop
            await compute(self._note, key, value)
        return None if key in self._complete else await super()._set(key, value)

    async def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> Version | None:
        version = await super()._set_if(key, value, expect)
        self._note(key, value)
        return version

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        await super()._set_many(list(self._noting(items)))

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        await super()._set_each(self._noting(items))

    def _noting(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for key, value in items:
            self._note(key, value)
            if key not in self._complete:
                yield key, value

    async def _delete(self, key: str) -> None:
        await super()._delete(key)
        with self._lock:
            self.receipt[key] = Written(None, None, self._rank)
