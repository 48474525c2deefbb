"""Metadata of datasets: drafted over a store, and written to it when all elements are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zarrstore.abc import BlockingStore, Capability, Store
from zarrstore.errors import ConflictError, NodeNotFoundError
from zarrstore.fan_out import each_bounded, map_bounded
from zarrstore.hierarchy import functions
from zarrstore.keys import join
from zarrstore.redaction import join_url

__all__ = ["Documents", "Drafts"]


class Drafts(BlockingStore):
    """Over a store: what is written is kept here."""

    def __init__(self, store: Store, *, hidden: bool) -> None:
        super().__init__()
        self.made: dict[str, bytes] = {}
        self.read: dict[str, bytes | None] = {}
        self._under = store
        self._hidden = hidden

    @property
    def url(self) -> str:
        return self._under.url

    def _get(self, key: str) -> Any:
        made = self.made.get(key)
        if made is not None or self._hidden:
            return made
        found = self._under.sync.get(key)
        self.read[key] = None if found is None else bytes(found)
        return found

    def _set(self, key: str, value: Any) -> None:
        self.made[key] = bytes(value)

    def _delete(self, key: str) -> None:
        self.made.pop(key, None)

    def _list(self, prefix: str) -> Iterator[str]:
        there = () if self._hidden else self._under.sync.list_prefix(prefix)
        yield from {*there, *[key for key in self.made if key.startswith(prefix)]}

    def _list_dir(self, prefix: str) -> Iterator[str]:
        there = () if self._hidden else self._under.sync.list_dir(prefix)
        made = [key[len(prefix) :] for key in self.made if key.startswith(prefix)]
        yield from {*there, *[key.partition("/")[0] for key in made]}


@dataclass(frozen=True)
class Documents:
    """Metadata that is written when all elements are.

    Parameters
    ----------
    store : Store
    path : str
        Of the group.
    values : dict
    read : dict
        What they were made from.
    kept : frozenset of str, optional
        Of a dataset that takes the place of another: the names in the group that are of it.
    consolidated : bool
    note : str, optional
        The key that tells others of an append.
    """

    store: Store
    path: str
    values: Mapping[str, bytes]
    read: Mapping[str, bytes | None]
    kept: frozenset[str] | None
    consolidated: bool
    note: str | None

    def publish(self) -> None:
        """Write it; done again, it changes nothing."""
        self.store._home.drive(self._publish)
        self.end_appending()

    async def _publish(self) -> None:
        store = self.store

        async def write(key: str) -> None:
            if self.read.get(key) != self.values[key]:
                await store.set(key, self.values[key])

        await each_bounded(write, list(self.values), count=len(self.values))
        if self.kept is not None:
            async for name in store.list_dir(self.path):
                if name not in self.kept:
                    await store.delete(join(self.path, name))
                    await store.delete_dir(join(self.path, name))
        if self.consolidated:
            try:  # xarray opens what is consolidated at the root
                await functions.consolidate_metadata(store, "", None, None)
            except NodeNotFoundError:
                await functions.consolidate_metadata(store, self.path, None, None)

    def have_changed(self) -> bool:
        """Tell whether what it is made from is another by now."""
        return self.store._home.drive(self._have_changed)

    async def _have_changed(self) -> bool:
        keys = [key for key in self.values if self.read.get(key) is not None]
        found = await map_bounded(self.store.get, keys)
        return any(data != self.read[key] for key, data in zip(keys, found, strict=True))

    def begin_appending(self, resume: bool) -> None:
        """Keep others from appending at this time.

        Raises
        ------
        ConflictError
            If another does.
        """
        if self.note is not None and not self.store._home.drive(self._note_first) and not resume:
            raise ConflictError(
                f"another appends to the dataset at {join_url(self.store.url, self.path)}, or an "
                "append was broken off there; append when it is done, or, if it was broken off, "
                "with resume=True, which puts the data in its place",
                store=self.store.url,
                key=self.note,
            )

    async def _note_first(self) -> bool:
        """Leave a note for others; tell whether there was none."""
        assert self.note is not None
        if Capability.CREATE_EXCLUSIVE in self.store.capabilities:
            return await self.store.set_if_not_exists(self.note, b"{}")
        is_first = not await self.store.exists(self.note)
        await self.store.set(self.note, b"{}")
        return is_first

    def end_appending(self) -> None:
        """Let others append."""
        if self.note is not None:
            self.store._home.drive(self.store.delete, self.note)
