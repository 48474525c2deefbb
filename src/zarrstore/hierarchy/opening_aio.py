"""Opening and creating as coroutines: see `zarrstore.aio`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack, overload

from zarrstore.abc import Store
from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.functions import Opened
from zarrstore.hierarchy.group import AsyncGroup, async_face
from zarrstore.hierarchy.group_core import GroupCore
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.registry import Engine, StoreLike

__all__ = [
    "consolidate_metadata",
    "create_array",
    "create_group",
    "node",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_store",
]


@overload
def node(opened: Opened[ArrayCore]) -> AsyncArray: ...
@overload
def node(opened: Opened[GroupCore]) -> AsyncGroup: ...
@overload
def node(opened: Opened[ArrayCore | GroupCore]) -> AsyncArray | AsyncGroup: ...
def node(opened: Opened[Any]) -> AsyncArray | AsyncGroup:
    """Return the asynchronous face of a node."""
    face: AsyncArray | AsyncGroup = async_face(opened.core, owns_store=opened.owns_store)
    return face


async def open_store(
    store: StoreLike = None,
    *,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Store:
    """Open a store: see `zarrstore.open_store`."""
    return await functions.open_store(store, mode, storage_options, engine)


async def create_array(
    store: StoreLike = None,
    *,
    name: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray:
    """Create an array: see `zarrstore.create_array`."""
    return node(
        await functions.create_array(store, name, overwrite, storage_options, progress, options)
    )


async def create_group(
    store: StoreLike = None,
    *,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Create a group: see `zarrstore.create_group`."""
    return node(
        await functions.create_group(
            store, path, attributes, overwrite, zarr_format, storage_options
        )
    )


async def open_array(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray:
    """Open an array: see `zarrstore.open_array`."""
    return node(await functions.open_array(store, path, mode, storage_options, options))


async def open_group(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    attributes: Mapping[str, Any] | None = None,
    zarr_format: Literal[2, 3] | None = None,
    use_consolidated: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Open a group: see `zarrstore.open_group`."""
    return node(
        await functions.open_group(
            store, path, mode, attributes, zarr_format, use_consolidated, storage_options
        )
    )


async def open_consolidated(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "r",
    zarr_format: Literal[2, 3] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Open a group whose metadata is consolidated: see `zarrstore.open_consolidated`."""
    return await open_group(
        store,
        path=path,
        mode=mode,
        zarr_format=zarr_format,
        use_consolidated=True,
        storage_options=storage_options,
    )


async def consolidate_metadata(
    store: StoreLike = None,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncGroup:
    """Store the metadata of all nodes below a group: see `zarrstore.consolidate_metadata`."""
    return node(await functions.consolidate_metadata(store, path, zarr_format, storage_options))


async def open(
    store: StoreLike = None,
    mode: AccessMode = "a",
    *,
    path: str | None = None,
    use_consolidated: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> AsyncArray | AsyncGroup:
    """Open the array or group at a path: see `zarrstore.open`."""
    return node(await functions.open(store, mode, path, use_consolidated, storage_options, options))
