"""Appending to an array that is made if it is missing."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

from zarrstore.abc import Capability, Store
from zarrstore.errors import ConflictError, NodeExistsError, NodeNotFoundError
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.chunk_grids import guess_chunks
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import naming_of
from zarrstore.hierarchy.chunk_options import is_auto
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.nodes import not_found
from zarrstore.hierarchy.options import ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.replacing import array_at, create, delete_chunks
from zarrstore.hierarchy.resizing import resized
from zarrstore.keys import join
from zarrstore.savers._claims import claimed, until_released
from zarrstore.savers._options import options_for
from zarrstore.savers.base import NDArray
from zarrstore.savers.values import without_loss
from zarrstore.updating import turn

__all__ = ["append", "chunks_for_appending"]

_CHUNK_BYTES = 2**20
_ENDLESS = 2**40
"""The length for which shards are chosen."""
_ATTEMPTS = 10


def append(store: Store, path: str, values: NDArray, options: ArrayOptions) -> None:
    """Append values along the first dimension; create the array if there is none.

    Raises
    ------
    ValueError, TypeError
        If the values do not fit what is there; nothing was changed.
    NodeExistsError
        If there is a group.
    """
    drive = store._home.drive
    for attempt in range(_ATTEMPTS):
        array = drive(array_at, store, path)
        if array is None:
            _create(store, path, values, options)
        if array is None or array.spec.shape[:1] == (0,):
            # one who began to overwrite what was not there may still write, with the same names
            if Capability.COMPARE_AND_SWAP in store.capabilities:
                drive(until_released, store, path)
            array = drive(array_at, store, path)
        if array is None:
            continue
        if not array.spec.shape:
            raise ValueError(
                f"{array.url} has no dimensions, and nothing can be appended to it; use "
                "approach='overwrite', or another dataset_name"
            )
        array.write_empty_chunks = config_of(options).write_empty_chunks
        try:
            drive(array.append, without_loss(values, array.spec.dtype))
        except (ConflictError, NodeNotFoundError):
            # replaced since it was opened, perhaps
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return
    raise not_found(store, path, "array")


def _create(store: Store, path: str, values: NDArray, options: ArrayOptions) -> None:
    """Create an array of length 0 for values like these, if there is still none.

    Of several who do so one succeeds, and all of them append to it. Chunks that somebody who was
    killed has left there are deleted, when it is the turn of this one.
    """
    creation = _Creation(store, path, values, options)
    if Capability.COMPARE_AND_SWAP not in store.capabilities:
        store._home.drive(creation.in_turn)
    elif store._home.drive(creation.is_clear):
        store._home.drive(creation.create)
    else:
        with claimed(store, path):
            store._home.drive(creation.anew)


@dataclass(frozen=True)
class _Creation:
    """An array that is created."""

    store: Store
    path: str
    values: NDArray
    options: ArrayOptions

    async def is_clear(self) -> bool:
        """Tell whether nothing was left there."""
        can_list = Capability.LIST in self.store.capabilities
        return not can_list or await self.store.is_empty(self.path)

    async def in_turn(self) -> None:
        """Create it, while the other threads of this process wait."""
        async with turn(self.store, join(self.path, CLAIM_NAME)):
            await self.anew()

    async def anew(self) -> None:
        """Create it where others wait, so that what was left can be deleted."""
        if await array_at(self.store, self.path) is None:
            array = await self._empty()
            await delete_chunks(self.store, self.path, [naming_of(array.spec)])
            await self.create()

    async def create(self) -> None:
        """Create it, unless another does so at this moment."""
        with suppress(NodeExistsError):
            await create(await self._empty())
            return
        if await array_at(self.store, self.path) is None:
            await create(await self._empty())  # something else is in the way

    async def _empty(self) -> ArrayCore:
        """Return the array that is to be."""
        store, path, values, options = self.store, self.path, self.values, self.options
        new = NewNode(store, path, overwrite=True)  # whether there is one is found out later
        format = await new.find_format(options.get("zarr_format"))
        given = options_for(values, options, format.version)
        if values.dtype.kind == "U" and options.get("dtype") is None:
            given["dtype"] = "string"  # what comes later may be longer
        shape = values.shape
        chunks, shards = given.get("chunks", "auto"), given.get("shards")
        if is_auto(shards) or shards is True:
            shape = (_ENDLESS, *shape[1:])
        if (chunks is None or chunks is True or is_auto(chunks)) and (
            not shards or is_auto(shards) or shards is True
        ):
            given["chunks"] = chunks_for_appending(values.shape, max(1, values.dtype.itemsize))
        document = array_document({**given, "shape": shape}, format.version)
        empty = resized(document, (0, *values.shape[1:]))
        return ArrayCore(store, path, empty, compile_spec(empty))


def chunks_for_appending(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of chunks of about 1 MiB, for an array that grows along its first dimension.

    Parameters
    ----------
    shape : tuple of int
        Of what is appended; how long that is does not matter.
    itemsize : int
        Of an element, in bytes.

    Examples
    --------
    >>> chunks_for_appending((3, 128), 8), chunks_for_appending((1, 4096, 4096), 4)
    ((1024, 128), (1, 512, 512))
    """
    row = tuple([max(1, length) for length in shape[1:]])
    nbytes = math.prod(row) * itemsize
    if nbytes > _CHUNK_BYTES:
        return (1, *guess_chunks(row, itemsize, _CHUNK_BYTES))
    return (_CHUNK_BYTES // nbytes, *row)
