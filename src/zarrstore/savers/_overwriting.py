"""Putting a new array in the place of another, so that a reader finds one of them, whole.

The metadata is one key, which is changed in one step; chunks are many. So the chunks of the new
array have keys that those of the old one have not: there are three ways of Zarr to name them,
taken by turns. The old chunks stay until the next array is there, for who reads them just now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from zarrstore.abc import Capability, Store
from zarrstore.errors import ConflictError, NodeExistsError, UnsupportedOperationError
from zarrstore.fan_out import each_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.documents import METADATA_KEY
from zarrstore.format.documents_v2 import ARRAY_KEY, ATTRIBUTES_KEY
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.formats import RESERVED_NAMES, V3
from zarrstore.hierarchy.options import ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.savers._claims import CLAIM_NAME, Claim, claimed
from zarrstore.savers._options import array_at, options_for
from zarrstore.savers.base import NDArray
from zarrstore.updating import Expect, turn, until_no_conflict

__all__ = ["overwrite"]

_ENCODINGS: dict[str, dict[str, str]] = {
    "c/": {"name": "default", "separator": "/"},
    "c.": {"name": "default", "separator": "."},
    "0.": {"name": "v2", "separator": "."},
}
"""How chunks are named, by turns; no key of one is a key, or below a key, of another."""

_ATTEMPTS = 10

_KEYS = {
    "c/": re.compile(r"c(/\d+)*"),
    "c.": re.compile(r"c(\.\d+)+"),
    "0.": re.compile(r"\d+([./]\d+)*"),
}


def overwrite(store: Store, path: str, values: NDArray, options: ArrayOptions) -> None:
    """Replace the array at a path by one of other values; create it if there is none.

    Parameters
    ----------
    store : Store
        In one without compare-and-swap, only the threads of this process wait for each other.
    path : str
    values : numpy.ndarray
    options : ArrayOptions

    Raises
    ------
    NodeExistsError
        If there is a group.
    UnsupportedOperationError
        If the new array is to be of Zarr v2, which has one name only for a chunk.
    ConflictError
        If this process was halted for so long that another has taken its turn.
    """
    job = _Job(store, path, values, options)
    if Capability.COMPARE_AND_SWAP not in store.capabilities:
        store._home.drive(job.run_in_turn)
        return
    store._home.drive(job.plan, None)  # what is refused leaves nothing behind
    with claimed(store, path) as claim:
        for _ in range(_ATTEMPTS):
            new = store._home.drive(job.plan, claim.abandoned)
            claim.use(new.naming)
            store._home.drive(job.write, new)
            if store._home.drive(job.put_in_place, new, claim):
                store._home.drive(job.clear, new)
                return
    raise ConflictError(
        f"{join_url(store.url, path)} is replaced by others all the time; save again",
        store=store.url,
        key=path,
    )


@dataclass(frozen=True)
class _New:
    """The array that is to be, and what is there."""

    array: ArrayCore
    naming: str
    old: ArrayCore | None


@dataclass(frozen=True)
class _Job:
    """An array that is overwritten."""

    store: Store
    path: str
    values: NDArray
    options: ArrayOptions

    async def run_in_turn(self) -> None:
        """Do all of it, while the other threads of this process wait."""
        async with turn(self.store, join(self.path, CLAIM_NAME)):
            is_done = False
            while not is_done:
                new = await self.plan(None)
                await self.write(new)
                is_done = await self.put_in_place(new, None)
            await self.clear(new)

    async def plan(self, abandoned: str | None) -> _New:
        """Find out what is there, and make the metadata of what is to be.

        Parameters
        ----------
        abandoned : str or None
            How one names its chunks who may come back to life.
        """
        old = await array_at(self.store, self.path)
        node = NewNode(self.store, self.path, overwrite=old is not None)
        format = await node.find_format(self.options.get("zarr_format"))
        naming = _next_naming(old, self.values.ndim, abandoned)
        given: Any = options_for(self.values, self.options, format.version)
        if format is V3:
            given["chunk_key_encoding"] = _ENCODINGS[naming]
        elif old is not None:
            raise UnsupportedOperationError(
                f"{old.url} cannot be overwritten by an array of Zarr v2, which has one name only "
                "for each chunk, so that the old and the new would be mixed; save to Zarr v3, or "
                "under another dataset_name, or delete it before",
                store=self.store.url,
                key=self.path,
            )
        given["shape"] = self.values.shape
        document = array_document(given, format.version)
        write_empty = config_of(self.options).write_empty_chunks
        array = ArrayCore(self.store, self.path, document, compile_spec(document), write_empty)
        array.values(self.values, array.spec.shape)  # refused here, if it is to be
        return _New(array, naming, old)

    async def write(self, new: _New) -> None:
        """Write the chunks, where nobody looks for any yet."""
        namings = set(_ENCODINGS) if new.old is None else {new.naming}
        await self._delete(namings)
        await new.array.write(..., self.values)

    async def clear(self, new: _New) -> None:
        """Delete all chunks but those of the new array and of the one that it replaced.

        Metadata of Zarr v2 goes as well, where Zarr v3 has taken its place, perhaps in a process
        that was killed then.
        """
        if new.old is not None:
            for name in (ARRAY_KEY, ATTRIBUTES_KEY):
                await self.store.delete(join(self.path, name))
            await self._delete(set(_ENCODINGS) - {new.naming, _naming_of(new.old)})

    async def _delete(self, namings: set[str]) -> None:
        """Delete the chunks that are named in certain ways."""
        prefix = f"{self.path}/" if self.path else ""
        keys = []
        async for key in self.store.list_prefix(self.path):
            name = key.removeprefix(prefix)
            if name.rpartition("/")[2] in RESERVED_NAMES and "/" in name:
                raise NodeExistsError(
                    f"there are arrays or groups below {join_url(self.store.url, self.path)}, "
                    "where an array is to be; use another dataset_name",
                    store=self.store.url,
                    key=self.path,
                )
            if _naming_of_key(name) in namings:
                keys.append(key)
        await each_bounded(self.store.delete, keys, count=len(keys))

    async def put_in_place(self, new: _New, claim: Claim | None) -> bool:
        """Change the metadata, which makes the new array the one that is there.

        ``False`` if another array has come whose chunks are named as those of the new one: they
        are mixed, and have to be written again under other names.
        """
        if new.old is None:
            node = NewNode(self.store, self.path)
            try:
                await node.find_format(new.array.format.version)
                await node.write(new.array.document)
            except NodeExistsError:
                return False
            return True
        key = join(self.path, METADATA_KEY)
        data = new.array.format.encode(new.array.document)[METADATA_KEY]
        is_free = True

        async def attempt(expect: Expect) -> None:
            nonlocal is_free
            # an array that grew meanwhile is replaced all the same
            now = await array_at(self.store, self.path)
            is_free = now is None or _naming_of(now) != new.naming
            if claim is not None and not claim.is_held(await self.store.get(claim.key)):
                raise _TakenOverError
            if is_free:
                await self.store.set(key, data, expect=expect)

        try:
            await until_no_conflict(self.store, key, attempt)
        except _TakenOverError:
            raise ConflictError(
                f"{new.array.url} was not overwritten: this process was halted for so long that "
                "another took its turn; save again",
                store=self.store.url,
                key=key,
            ) from None
        return is_free


class _TakenOverError(Exception):
    """Another has the claim by now."""


def _naming_of(array: ArrayCore) -> str:
    key = array.spec.keys.key((0,) * len(array.spec.shape))
    return _naming_of_key(key) or ""


def _naming_of_key(name: str) -> str | None:
    """Return how a chunk is named that has this key in its array; ``None`` for other keys."""
    return next((naming for naming, keys in _KEYS.items() if keys.fullmatch(name)), None)


def _next_naming(old: ArrayCore | None, ndim: int, abandoned: str | None) -> str:
    # without dimensions "c" is the key of both encodings of that name
    all_names = [naming for naming in _ENCODINGS if ndim or naming != "c."]
    if old is not None:
        now = list(_ENCODINGS).index(_naming_of(old))
        turns = [*list(_ENCODINGS)[now + 1 :], *list(_ENCODINGS)[:now]]
        all_names = [naming for naming in turns if naming in all_names]
    others = [naming for naming in all_names if naming != abandoned]
    return (others or all_names)[0]
