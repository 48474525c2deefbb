"""Opening and creating as coroutines, for asyncio and trio: the same names as in `zarrstore`.

Each function is documented at its blocking namesake; both run the same core.

Examples
--------
>>> import asyncio
>>> from zarrstore import aio
>>> async def main():
...     group = await aio.open_group("memory://aio")
...     array = await group.create_array("a", data=[1, 2, 3])
...     return await array.read(slice(1, None))
>>> asyncio.run(main())
array([2, 3])
"""

from __future__ import annotations

from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.group import AsyncGroup
from zarrstore.hierarchy.making_aio import (
    array,
    create,
    empty,
    empty_like,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from zarrstore.hierarchy.opening_aio import (
    consolidate_metadata,
    create_array,
    create_group,
    open,
    open_array,
    open_consolidated,
    open_group,
    open_store,
)
from zarrstore.hierarchy.saving_aio import (
    copy,
    copy_store,
    delete,
    load,
    move,
    save,
    save_array,
    save_group,
    tree,
)

__all__ = [
    "AsyncArray",
    "AsyncGroup",
    "array",
    "consolidate_metadata",
    "copy",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "delete",
    "empty",
    "empty_like",
    "full",
    "full_like",
    "load",
    "move",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_store",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]
