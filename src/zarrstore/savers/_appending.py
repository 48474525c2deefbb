"""Appending to an array that is made if it is missing."""

from __future__ import annotations

import math

from zarrstore.abc import Store
from zarrstore.errors import ConflictError, NodeExistsError
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.chunk_grids import guess_chunks
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_options import is_auto
from zarrstore.hierarchy.creating import NewNode
from zarrstore.hierarchy.options import ArrayOptions, config_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.hierarchy.resizing import resized
from zarrstore.savers._options import array_at, options_for
from zarrstore.savers.base import NDArray
from zarrstore.savers.values import without_loss

__all__ = ["append", "chunks_for_appending"]

_CHUNK_BYTES = 2**20
_ENDLESS = 2**40
"""The length for which shards are chosen."""
_ATTEMPTS = 10


async def append(store: Store, path: str, values: NDArray, options: ArrayOptions) -> None:
    """Append values along the first dimension; create the array if there is none.

    Raises
    ------
    ValueError, TypeError
        If the values do not fit what is there; nothing was changed.
    NodeExistsError
        If there is a group.
    """
    for attempt in range(_ATTEMPTS):
        array = await array_at(store, path)
        if array is None:
            try:
                array = await _create(store, path, values, options)
            except NodeExistsError:
                array = await array_at(store, path)  # another may have made it meanwhile
                if array is None:
                    raise
        if not array.spec.shape:
            raise ValueError(
                f"{array.url} has no dimensions, and nothing can be appended to it; use "
                "approach='overwrite', or another dataset_name"
            )
        array.write_empty_chunks = config_of(options).write_empty_chunks
        try:
            await array.append(without_loss(values, array.spec.dtype))
        except ConflictError:
            # replaced since it was opened, perhaps
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            return


async def _create(store: Store, path: str, values: NDArray, options: ArrayOptions) -> ArrayCore:
    """Create an array of length 0 for values like these.

    Of several who do so one succeeds, and all of them append to it.
    """
    format = await NewNode(store, path).find_format(options.get("zarr_format"))
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
    new = NewNode(store, path)
    await new.find_format(format.version)
    await new.write(empty)
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
