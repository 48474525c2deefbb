"""Overwriting an array, whose chunks stay until the next one is there, for who reads them just now.

How one array takes the place of another is told in `zarrstore.hierarchy.replacing`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from zarrstore.abc import Capability, Store
from zarrstore.errors import ConflictError, UnsupportedOperationError
from zarrstore.format.array_spec import compile_spec
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import choose, meets, naming_of, next_namings
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME, NOTE_NAME, use_at
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.formats import AnyArrayDocument
from zarrstore.hierarchy.options import ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.replacing import (
    SameNamesError,
    array_at,
    check_can_replace,
    chunks_by_naming,
    delete_chunks,
    put_in_place,
)
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.savers._claims import Claim, claimed
from zarrstore.savers._options import options_for
from zarrstore.savers.base import NDArray
from zarrstore.updating import turn

__all__ = ["overwrite"]

_ATTEMPTS = 10


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
        If there are no names for the chunks of the new array that the old one does not use, or
        attributes of Zarr v2 would have to be changed, which are not in one key with the rest.
    ConflictError
        If this process was halted for so long that another has taken its turn, or one that was
        not seen to end may still write where the new array has to be.
    """
    job = _Job(store, path, values, options)
    if Capability.COMPARE_AND_SWAP not in store.capabilities:
        store._home.drive(job.run_in_turn)
        return
    store._home.drive(job.plan)  # what is refused leaves nothing behind
    with claimed(store, path) as claim:
        for _ in range(_ATTEMPTS):
            new = store._home.drive(job.plan, claim.left, claim.ended)
            claim.use([new.naming])
            try:
                kept = store._home.drive(job.run, new, claim)
            except SameNamesError:
                continue
            with suppress(ConflictError):  # what is left over is of others, by now
                for naming in store._home.drive(job.left_over, kept):
                    claim.use([naming])
                    store._home.drive(job.delete, naming)
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
            for _ in range(_ATTEMPTS):
                try:
                    kept = await self.run(await self.plan(), None)
                except SameNamesError:
                    continue
                for naming in await self.left_over(kept):
                    await self.delete(naming)
                return

    async def plan(self, left: Collection[str] = (), ended: Sequence[str] = ()) -> _New:
        """Find out what is there, and make the metadata of what is to be.

        Parameters
        ----------
        left : collection of str
            Namings of chunks that one may be writing who was not seen to end.
        ended : sequence of str
            Those of one that was.
        """
        old = await array_at(self.store, self.path)
        check_can_replace(self.store, self.path, old is not None)
        if old is not None and Capability.LIST not in self.store.capabilities:
            raise self._unsupported(old, "the store cannot list the chunks that have to go")
        node = NewNode(self.store, self.path, overwrite=True)  # what comes meanwhile is seen later
        format = await node.find_format(self.options.get("zarr_format"))
        given: Any = options_for(self.values, self.options, format.version)
        given["shape"] = self.values.shape
        now = None if old is None else naming_of(old.spec)
        ways = next_namings(format.version, self.values.ndim, now)
        written = await use_at(self.store, self.path, NOTE_NAME)
        never = {*left, *written.using}
        naming = choose(ways, never, [*written.still_left, *ended])
        document = array_document({**given, **ways.get(naming or "", {})}, format.version)
        array = ArrayCore(
            self.store,
            self.path,
            document,
            compile_spec(document),
            config_of(self.options).write_empty_chunks,
        )
        array.values(self.values, array.spec.shape)  # refused here, if it is to be
        if old is not None:
            self._check_v2(old, document)
        if naming is None:
            raise self._no_names(array, bool(ways), written.using)
        return _New(array, naming, old)

    def _check_v2(self, old: ArrayCore, document: AnyArrayDocument) -> None:
        """Refuse what is more than one step where the new array is to be of Zarr v2."""
        if document.zarr_format == 3:
            return
        if old.document.zarr_format == 3:
            what = "an array of Zarr v3 is not overwritten by one of Zarr v2"
        elif old.document.attributes != document.attributes:
            what = "Zarr v2 has attributes at a key of their own: give those that are there"
        else:
            return
        raise self._unsupported(old, what)

    def _no_names(
        self, array: ArrayCore, is_possible: bool, written: Sequence[str]
    ) -> ConflictError | UnsupportedOperationError:
        if not is_possible:
            ndim = len(array.spec.shape)
            return self._unsupported(
                array,
                f"chunks of {ndim} dimensions have one name only in Zarr v2, so that the old "
                "and the new would be mixed",
            )
        name = NOTE_NAME if written else CLAIM_NAME
        what = "write of dask" if written else "process"
        return ConflictError(
            f"{array.url} cannot be overwritten while another {what} may write there that has not "
            f"ended, as far as is known; once you know that it has, delete the key "
            f"{join(self.path, name)!r}",
            store=self.store.url,
            key=join(self.path, name),
        )

    def _unsupported(self, array: ArrayCore, what: str) -> UnsupportedOperationError:
        return UnsupportedOperationError(
            f"{array.url} cannot be overwritten so: {what}; save to Zarr v3, or under another "
            "dataset_name, or delete the array before",
            store=self.store.url,
            key=self.path,
        )

    async def run(self, new: _New, claim: Claim | None) -> list[str]:
        """Write the chunks, where nobody looks for any yet, and put the new array in its place.

        Returns
        -------
        list of str
            How its chunks are named, and those of the array that it replaced.

        Raises
        ------
        SameNamesError
            If others have come who use the same names.
        """
        await self._check_names(new.naming)
        await delete_chunks(self.store, self.path, [new.naming], [new.array.spec])
        await new.array.write(..., self.values)

        async def check() -> None:
            if claim is not None and not claim.is_held(await self.store.get(claim.key)):
                raise claim.taken_over()

        try:
            replaced = await put_in_place(new.array, check)
        except SameNamesError:
            await self._take_back(new)
            raise
        kept = [] if replaced is None else [naming_of(compile_spec(replaced))]
        return [new.naming, *kept]

    async def _take_back(self, new: _New) -> None:
        """Delete what was written from an array that was made meanwhile, and has no elements."""
        now = await array_at(self.store, self.path)
        if now is not None and 0 in now.spec.shape:
            await delete_chunks(self.store, self.path, [new.naming], [new.array.spec])

    async def _check_names(self, naming: str) -> None:
        """Look again for others who use the same names, now that they can see who uses them here.

        Raises
        ------
        SameNamesError
            If there are.
        """
        now = await array_at(self.store, self.path)
        written = await use_at(self.store, self.path, NOTE_NAME)
        if meets(naming, written.using) or (
            now is not None and meets(naming, [naming_of(now.spec)])
        ):
            raise SameNamesError

    async def left_over(self, kept: Sequence[str]) -> list[str]:
        """Return how chunks are named that nobody needs any more."""
        if Capability.LIST not in self.store.capabilities:
            return []
        found = await chunks_by_naming(self.store, self.path)
        return [naming for naming in found if naming not in kept]

    async def delete(self, naming: str) -> None:
        """Delete what is left over, unless somebody uses the names by now."""
        with suppress(SameNamesError):
            await self._check_names(naming)
            await delete_chunks(self.store, self.path, [naming])
