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

from collections.abc import Mapping
from typing import Any, Unpack

from zarrstore.abc import Store
from zarrstore.hierarchy import core
from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.faces import loaded_data, working_home
from zarrstore.hierarchy.group import AsyncGroup, async_face
from zarrstore.hierarchy.opening import store_for
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.hierarchy.progress import reporting
from zarrstore.registry import StoreLike
from zarrstore.runtime import WORKERS

__all__ = [
    "AsyncArray",
    "AsyncGroup",
    "create_array",
    "create_group",
    "open",
    "open_array",
    "open_group",
    "open_store",
]


async def _store_for(
    store: StoreLike, mode: AccessMode, storage_options: Mapping[str, Any] | None
) -> tuple[Store, bool]:
    async def make() -> tuple[Store, bool]:
        return store_for(store, mode, storage_options)

    # to tell a directory from a zip file takes a look at the disk
    looks = not isinstance(store, Store | Mapping | None)
    return await WORKERS.run(make) if looks else await make()


async def open_store(
    store: StoreLike = None,
    *,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a store: see `zarrstore.open_store`."""
    made, _ = await _store_for(store, mode, storage_options)
    await working_home(made).run(core.prepare_store, made, mode)
    return made


async def create_array(
    store: StoreLike = None,
    *,
    name: str = "",
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray:
    """Create an array: see `zarrstore.create_array`."""
    options = await loaded_data(options)
    made, owns = await _store_for(store, "a", storage_options)
    with reporting(progress, f"writing /{core.node_path(name)}") as callback:
        node = await working_home(made).run(
            core.create_array, made, core.node_path(name), options, overwrite, callback
        )
    return async_face(node, owns_store=owns)


async def create_group(
    store: StoreLike = None,
    *,
    path: str = "",
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Create a group: see `zarrstore.create_group`."""
    made, owns = await _store_for(store, "a", storage_options)
    path = core.node_path(path)
    node = await working_home(made).run(core.create_group, made, path, attributes, overwrite)
    return async_face(node, owns_store=owns)


async def open_array(
    store: StoreLike = None,
    *,
    path: str = "",
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray:
    """Open an array: see `zarrstore.open_array`."""
    options = await loaded_data(options)
    made, owns = await _store_for(store, mode, storage_options)
    node = await working_home(made).run(core.open_array, made, core.node_path(path), mode, options)
    return async_face(node, owns_store=owns)


async def open_group(
    store: StoreLike = None,
    *,
    path: str = "",
    mode: AccessMode = "a",
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Open a group: see `zarrstore.open_group`."""
    made, owns = await _store_for(store, mode, storage_options)
    path = core.node_path(path)
    node = await working_home(made).run(core.open_group, made, path, mode, attributes)
    return async_face(node, owns_store=owns)


async def open(
    store: StoreLike = None,
    mode: AccessMode = "a",
    *,
    path: str = "",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray | AsyncGroup:
    """Open the array or group at a path: see `zarrstore.open`."""
    options = await loaded_data(options)
    made, owns = await _store_for(store, mode, storage_options)
    node = await working_home(made).run(core.open_any, made, core.node_path(path), mode, options)
    return async_face(node, owns_store=owns)
