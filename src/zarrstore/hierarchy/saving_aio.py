"""Saving, copying, moving and deleting nodes, as coroutines: see `zarrstore.aio`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.copying_stores import CopyReport, IfExists
from zarrstore.hierarchy.group import AsyncGroup
from zarrstore.hierarchy.opening_aio import node
from zarrstore.hierarchy.options import AccessMode, DataOptions
from zarrstore.hierarchy.tree import Tree
from zarrstore.registry import StoreLike

__all__ = [
    "copy",
    "copy_store",
    "delete",
    "load",
    "move",
    "save",
    "save_array",
    "save_group",
    "tree",
]


async def save_array(
    store: StoreLike,
    arr: Any,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> None:
    """Save an array: see `zarrstore.save_array`."""
    await functions.save_array(
        store, arr, path, overwrite or mode == "w", storage_options, progress, options
    )


async def save_group(
    store: StoreLike,
    *args: Any,
    zarr_format: Literal[2, 3] | None = None,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save several arrays in a group: see `zarrstore.save_group`."""
    await functions.save_group(store, args, kwargs, path, zarr_format, storage_options)


async def save(
    store: StoreLike,
    *args: Any,
    zarr_format: Literal[2, 3] | None = None,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save one array, or several: see `zarrstore.save`."""
    await functions.save(store, args, kwargs, path, zarr_format, storage_options)


async def load(
    store: StoreLike,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Return an array or group in memory: see `zarrstore.load`."""
    return await functions.load(store, path, zarr_format, storage_options)


async def tree(
    store: StoreLike,
    level: int | None = None,
    *,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Tree:
    """Return what is below a group as a tree: see `zarrstore.tree`."""
    return await functions.tree(store, level, path, storage_options)


async def copy(
    source: StoreLike,
    dest: StoreLike,
    *,
    source_path: str | None = None,
    dest_path: str | None = None,
    overwrite: bool = False,
    verify: bool = True,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[DataOptions],
) -> AsyncArray | AsyncGroup:
    """Copy an array or group: see `zarrstore.copy`."""
    return node(
        await functions.copy(
            source,
            dest,
            source_path,
            dest_path,
            overwrite,
            verify,
            progress,
            storage_options,
            options,
        )
    )


async def copy_store(
    source: StoreLike,
    dest: StoreLike,
    *,
    source_path: str | None = None,
    dest_path: str | None = None,
    includes: Sequence[str] = (),
    excludes: Sequence[str] = (),
    if_exists: IfExists = "raise",
    verify: bool = True,
    dry_run: bool = False,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
) -> CopyReport:
    """Copy all keys of a store to another: see `zarrstore.copy_store`."""
    return await functions.copy_store(
        source,
        dest,
        source_path,
        dest_path,
        progress,
        storage_options,
        includes=includes,
        excludes=excludes,
        if_exists=if_exists,
        verify=verify,
        dry_run=dry_run,
    )


async def move(
    store: StoreLike,
    source: str,
    dest: str,
    *,
    overwrite: bool = False,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
) -> AsyncArray | AsyncGroup:
    """Move an array or group: see `zarrstore.move`."""
    return node(await functions.move(store, source, dest, overwrite, progress, storage_options))


async def delete(
    store: StoreLike,
    path: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Delete an array or group: see `zarrstore.delete`."""
    await functions.delete(store, path, storage_options)
