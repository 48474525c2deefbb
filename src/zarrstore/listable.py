"""Listing keys, and what is done to all keys under a prefix: `Listable`."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarrstore.fan_out import map_bounded
from zarrstore.keys import check_prefix
from zarrstore.listing import Listing
from zarrstore.operations import Capability, MaybeAwaitable, operation
from zarrstore.readable import Readable
from zarrstore.writable import Writable

__all__ = ["Listable"]


class Listable(Readable, Writable):
    """Listing keys, and what is done to all keys under a prefix.

    A prefix that reaches a hook is ``""`` or ends with ``/``.
    """

    def _capabilities_of_hooks(self) -> Capability:
        return _capabilities_of(type(self))

    def _list(self, prefix: str) -> Iterable[str] | AsyncIterator[str] | Any:
        """Yield every key that starts with a prefix, each once, in any order."""
        return NotImplemented

    def _list_dir(self, prefix: str) -> Iterable[str] | AsyncIterator[str] | Any:
        """Yield the names one level below a prefix, keys and prefixes alike, each once."""
        return NotImplemented

    def _is_empty(self, prefix: str) -> MaybeAwaitable[Any]:
        """Tell whether no key starts with a prefix."""
        return NotImplemented

    def _delete_dir(self, prefix: str) -> MaybeAwaitable[Any]:
        """Delete every key that starts with a prefix."""
        return NotImplemented

    def _getsize_prefix(self, prefix: str) -> MaybeAwaitable[Any]:
        """Return the sum of the sizes of all keys that start with a prefix."""
        return NotImplemented

    def _listing(self, what: str, prefix: str) -> str:
        prefix = check_prefix(prefix)
        self._require(Capability.LIST, what, "ask for the keys you know", prefix)
        return prefix

    def list(self) -> AsyncIterator[str]:
        """Iterate over all keys, each once, in no promised order.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sorted(MemoryStore({"a/b": b"", "c": b""}).sync.list())
        ['a/b', 'c']
        """
        return self.list_prefix("")

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys under a prefix: full keys, each once, in no promised order.

        Parameters
        ----------
        prefix : str
            ``""``, or the path of a node: ``"a"`` and ``"a/"`` mean every key that starts with
            ``a/``, never ``ab`` and never the key ``a``. There may be none: no error.

        Raises
        ------
        InvalidKeyError, UnsupportedOperationError, StoreClosedError
            At the call, before the first key.
        BackendError
            While it is iterated.

        Notes
        -----
        Keys come as the backend finds them: a key that is there throughout appears, one that is
        written or deleted meanwhile may. Breaking off releases what the listing holds. An
        iterator belongs to one caller; each may have its own.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore({"a/b": b"", "a/c/0": b"", "ab": b""})
        >>> sorted(store.sync.list_prefix("a"))
        ['a/b', 'a/c/0']
        """
        prefix = self._listing("list_prefix", prefix)
        target: Any = self._view_of or self
        return Listing(self._home, lambda: target._list(prefix))

    def list_dir(self, prefix: str = "") -> AsyncIterator[str]:
        """Iterate over the names one level below a prefix, without ``/``, each once.

        Names of keys and of prefixes alike; nothing if the prefix is missing.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sorted(MemoryStore({"a/b": b"", "c": b""}).sync.list_dir(""))
        ['a', 'c']
        """
        prefix = self._listing("list_dir", prefix)
        target: Any = self._view_of or self
        return Listing(
            self._home,
            lambda: target._list_dir(prefix),
            keys_below=(lambda: target._list(prefix), prefix),
        )

    @operation
    async def is_empty(self, prefix: str = "") -> bool:
        """Tell whether there is no key under a prefix; stops at the first."""
        prefix = self._listing("is_empty", prefix)
        empty = await self._hook("_is_empty", prefix)
        if empty is not NotImplemented:
            return bool(empty)
        async for _ in self.list_prefix(prefix):
            return False
        return True

    @operation
    async def delete_dir(self, prefix: str) -> None:
        """Delete every key under a prefix; nothing happens if there are none.

        Keys beside the prefix stay: ``delete_dir("a")`` leaves ``ab``, and the key ``a``.

        Raises
        ------
        InvalidKeyError, ReadOnlyError, UnsupportedOperationError
            Before any I/O.
        BackendError
            If a key cannot be deleted; others may be gone.
        """
        prefix = check_prefix(prefix)
        self._require(Capability.DELETE, "delete_dir", "write to a new prefix instead", prefix)
        if await self._hook("_delete_dir", prefix) is NotImplemented:
            keys = [key async for key in self.list_prefix(prefix)]
            await map_bounded(lambda key: self._hook("_delete", key), keys)

    async def clear(self) -> None:
        """Delete every key."""
        await self.delete_dir("")

    @operation
    async def getsize_prefix(self, prefix: str = "") -> int:
        """Return the sum of the sizes of all values under a prefix, in bytes."""
        prefix = self._listing("getsize_prefix", prefix)
        size: Any = await self._hook("_getsize_prefix", prefix)
        if size is not NotImplemented:
            return int(size)
        keys = [key async for key in self.list_prefix(prefix)]
        stats = await map_bounded(self._found, keys)
        return sum(stat.size for stat in stats if stat is not None)


_CAPABILITIES = {
    "_set": Capability.WRITE,
    "_delete": Capability.DELETE,
    "_list": Capability.LIST,
    "_set_if": Capability.CREATE_EXCLUSIVE | Capability.COMPARE_AND_SWAP,
}


@functools.cache
def _capabilities_of(cls: type[Listable]) -> Capability:
    found = Capability.READ
    for name, capability in _CAPABILITIES.items():
        if getattr(cls, name) is not getattr(Listable, name):
            found |= capability
    return found
