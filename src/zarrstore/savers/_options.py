"""What the ways of saving to a Zarr array share."""

from __future__ import annotations

from typing import Any, cast

from zarrstore.abc import Store
from zarrstore.errors import NodeExistsError
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.group_core import open_node
from zarrstore.hierarchy.options import ArrayOptions
from zarrstore.savers.base import NDArray

__all__ = ["array_at", "options_for"]


async def array_at(store: Store, path: str) -> ArrayCore | None:
    """Return the array at a path, ``None`` if there is nothing.

    Raises
    ------
    NodeExistsError
        If it is a group.
    """
    node = await open_node(store, path)
    if node is None or isinstance(node, ArrayCore):
        return node
    raise NodeExistsError(
        f"{node.url} is a group, which no array is saved over; use another dataset_name",
        store=store.url,
        key=path,
    )


def options_for(values: NDArray, options: ArrayOptions, version: int) -> ArrayOptions:
    """Return the options of an array that is created for values in a version of the format."""
    given: Any = dict(options)
    if version == 3 and "compressor" in given:
        if "compressors" in given:
            raise ValueError("compressor and compressors are the same; give one of them")
        given["compressors"] = given.pop("compressor")
    if given.get("dtype") is None:
        given["dtype"] = "bytes" if values.dtype.kind == "O" else values.dtype
    return cast("ArrayOptions", given)
