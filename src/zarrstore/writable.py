"""Writing and deleting values: `Writable`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from zarrstore.errors import ConflictError
from zarrstore.fan_out import map_bounded
from zarrstore.keys import check_key, check_keys
from zarrstore.operations import (
    ABSENT,
    Absent,
    Capability,
    MaybeAwaitable,
    Operations,
    Version,
    operation,
)

__all__ = ["Writable"]

_WRITE = Capability.WRITE
_DELETE = Capability.DELETE


class Writable(Operations):
    """Writing and deleting values."""

    def _set(self, key: str, value: Any) -> MaybeAwaitable[Any]:
        """Write a value atomically; return its version, or ``None`` if there are none."""
        return NotImplemented

    def _set_if(
        self, key: str, value: Any, expect: Version | Literal[Absent.ABSENT]
    ) -> MaybeAwaitable[Any]:
        """Write a value if the key is as expected, else raise by `_conflict`; atomic."""
        return NotImplemented

    def _set_many(self, items: Sequence[tuple[str, Any]]) -> MaybeAwaitable[Any]:
        """Write many values."""
        return NotImplemented

    def _set_each(self, items: Iterable[tuple[str, Any]]) -> MaybeAwaitable[Any]:
        """Write values one after the other, taking each as it comes; see `set_each`."""
        return NotImplemented

    def _delete(self, key: str) -> MaybeAwaitable[Any]:
        """Delete a key; nothing happens if there is none."""
        return NotImplemented

    def _writing(self, what: str, *keys: str) -> None:
        if len(keys) == 1:
            check_key(keys[0])
        else:
            check_keys(keys)
        self._require(_WRITE, what, "it cannot be written", keys[0] if keys else "")

    def _deleting(self, key: str) -> None:
        check_key(key)
        self._require(_DELETE, "delete", "write a value of your own that marks it", key)

    @operation
    async def set(
        self,
        key: str,
        value: Any,
        *,
        expect: Version | Literal[Absent.ABSENT] | None = None,
    ) -> Version | None:
        """Write a value, atomically; return its version, or ``None`` if the store has none.

        A reader sees the old value or the new one. The caller may reuse its buffer at once.

        Parameters
        ----------
        key : str
        value : bytes-like object
            Any C-contiguous buffer; ``str`` is none.
        expect : str or ABSENT, optional
            Write only if the key has this version, or does not exist. Of many writers that
            race, exactly one wins.

        Returns
        -------
        str or None
            Names what was written, for a later ``expect``; compare it for equality only.

        Raises
        ------
        ConflictError
            If the key is not as expected; nothing was written.
        InvalidKeyError
            If the key breaks the key rules; before any I/O, as the next two.
        TypeError
            If the value is not a C-contiguous buffer.
        ReadOnlyError
            If the store is read-only.
        UnsupportedOperationError
            If the store cannot be written, or ``expect`` is given and it has no conditional
            writes.
        AccessDeniedError, BackendError
            If the backend refuses or fails; the old value is as it was.
        StoreClosedError
            If the store is closed.

        Notes
        -----
        Usable from any thread and event loop. Conditional writes hold between processes too
        where the store is one that processes share (`Capability.SHARED`). If the caller is
        cancelled, the key has the old value or the new one.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore()
        >>> version = store.sync.set("a", b"1", expect=ABSENT)
        >>> version = store.sync.set("a", b"2", expect=version)
        >>> store.sync.get("a")
        b'2'
        """
        self._writing("set", key)
        data = self._value(value)
        if expect is None:
            version: Version | None = await self._hook("_set", key, data)
            return version
        if expect is ABSENT:
            self._require(
                Capability.CREATE_EXCLUSIVE,
                "set(expect=ABSENT)",
                "use exists() and set(), where there is one writer",
                key,
            )
        elif not isinstance(expect, str):
            raise TypeError(f"expect is a version or ABSENT, not {type(expect).__name__}")
        else:
            self._require(
                Capability.COMPARE_AND_SWAP,
                "set(expect=version)",
                "use get() and set(), where there is one writer",
                key,
            )
            if not expect:  # no version is empty, but a backend may take that for "any"
                raise ConflictError(
                    f"no version of {key!r} in {self.url} is the empty string; give one that "
                    "set() or stat() returned, or ABSENT",
                    store=self.url,
                    key=key,
                    expected=expect,
                )
        swapped: Version | None = await self._hook("_set_if", key, data, expect)
        return swapped

    @operation
    async def set_if_not_exists(self, key: str, value: Any) -> bool:
        """Write a value if there is no such key; tell whether this call wrote it.

        Of many callers that race, exactly one is told ``True``. Raises what `set` raises, but
        for `ConflictError`.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore()
        >>> store.sync.set_if_not_exists("a", b"1"), store.sync.set_if_not_exists("a", b"2")
        (True, False)
        """
        try:
            await self.set(key, value, expect=ABSENT)
        except ConflictError:
            return False
        return True

    @operation
    async def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        """Write many values, several at once; each is atomic, all together are not.

        Parameters
        ----------
        items : iterable of pairs of key and value, or a mapping
            A key that is there twice gets the last of its values.

        Raises
        ------
        InvalidKeyError, TypeError
            If any key or value is wrong; nothing was written.
        BackendError
            The first failure; some of the others may be written.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore()
        >>> store.sync.set_many({"a": b"1", "b": b"2"})
        >>> store.sync.get_many(["a", "b"])
        [b'1', b'2']
        """
        pairs = dict(items)
        self._writing("set_many", *pairs)
        checked = [(key, self._value(value)) for key, value in pairs.items()]
        if await self._hook("_set_many", checked) is NotImplemented:
            await map_bounded(lambda item: self._hook("_set", *item), checked)

    @operation
    async def set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        """Write values one after the other, each taken when the one before it is written.

        So ``items`` may make each value in the same buffer. For many small values of a store
        that blocks this is the quickest way to write.

        Parameters
        ----------
        items : iterable of pairs of key and value
            It must not use the store.

        Raises
        ------
        InvalidKeyError, TypeError
            If a key or value is wrong, when its turn comes; those before it are written.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> store = MemoryStore()
        >>> store.sync.set_each((f"c/{number}", bytes([number])) for number in range(2))
        >>> dict(store.sync)
        {'c/0': b'\\x00', 'c/1': b'\\x01'}
        """
        self._writing("set_each")
        checked = ((check_key(key), self._value(value)) for key, value in items)
        if await self._hook("_set_each", checked) is NotImplemented:
            for key, value in checked:
                await self._hook("_set", key, value)

    @operation
    async def delete(self, key: str) -> None:
        """Delete a key; nothing happens if there is none. A directory is never deleted."""
        self._deleting(key)
        await self._hook("_delete", key)

    def _conflict(self, key: str, expected: object, found: Version | None) -> ConflictError:
        """Make the error of a conditional write that lost."""
        if expected is ABSENT:
            message = f"{key!r} already exists in {self.url}, and had to be absent"
            return ConflictError(message, store=self.url, key=key, found=found)
        state = "does not exist any more" if found is None else f"has version {found!r}"
        return ConflictError(
            f"{key!r} in {self.url} {state}, not the expected version {expected!r}; "
            "read it again, and apply the change to what is there now",
            store=self.url,
            key=key,
            expected=str(expected),
            found=found,
        )
