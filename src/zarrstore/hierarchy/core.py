"""Opening arrays and groups, written once: coroutines that run in their store's home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from zarrstore.abc import Capability, Store
from zarrstore.errors import NodeExistsError, NodeNotFoundError
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.consolidated import read_snapshot
from zarrstore.hierarchy.group_core import GroupCore, create_array, create_group, open_node
from zarrstore.hierarchy.nodes import not_found
from zarrstore.hierarchy.options import AccessMode, ArrayOptions, config_of

__all__ = [
    "check_mode",
    "open_any",
    "open_array",
    "open_group",
    "prepare_store",
]

_MODES = get_args(AccessMode)


def check_mode(mode: str) -> None:
    """Raise `ValueError` unless a mode is one of ``r``, ``r+``, ``a``, ``w``, ``w-``."""
    if mode not in _MODES:
        raise ValueError(f"mode is one of {', '.join(_MODES)}, not {mode!r}")


async def prepare_store(store: Store, mode: AccessMode) -> None:
    """Make a whole store what a mode asks for: there, empty, or new."""
    if mode == "a" or (mode in ("r", "r+") and Capability.LIST not in store.capabilities):
        return
    if mode == "w":
        await store.clear()
        return
    empty = await store.is_empty()
    if mode in ("r", "r+") and empty:
        raise NodeNotFoundError(
            f"{store.url} does not exist or is empty, and mode {mode!r} needs it; "
            "create it with mode 'a', or check the path",
            store=store.url,
        )
    if mode == "w-" and not empty:
        raise NodeExistsError(
            f"{store.url} is not empty, and mode 'w-' must not change what exists; "
            "use 'a' to add to it or 'w' to replace it",
            store=store.url,
        )


async def open_array(store: Store, path: str, mode: AccessMode, options: ArrayOptions) -> ArrayCore:
    """Open an array, or create it where the mode and the options say so."""
    check_mode(mode)
    config = config_of(options)
    if mode in ("w", "w-"):
        return await create_array(store, path, options, overwrite=mode == "w")
    zarr_format = options.get("zarr_format")
    node = await open_node(store, path, zarr_format)
    if node is None and mode == "a" and makes_array(options):
        try:
            return await create_array(store, path, options)
        except NodeExistsError:
            node = await open_node(store, path, zarr_format)  # another may have made it meanwhile
            if node is None:
                raise
    if isinstance(node, ArrayCore):
        node.write_empty_chunks = config.write_empty_chunks
        return node
    if node is not None:
        raise NodeNotFoundError(
            f"{node.url} is a group, not an array; use open_group or open",
            store=store.url,
            key=path,
        )
    raise not_found(store, path, "array")


def makes_array(options: ArrayOptions) -> bool:
    """Tell whether there is enough in the options to create an array."""
    return options.get("shape") is not None or options.get("data") is not None


async def open_group(
    store: Store,
    path: str,
    mode: AccessMode,
    attributes: Mapping[str, Any] | None = None,
    zarr_format: int | None = None,
    use_consolidated: bool | None = None,
) -> GroupCore:
    """Open a group, or create it where the mode says so."""
    check_mode(mode)
    _check_consolidated(use_consolidated, mode)
    if mode in ("w", "w-"):
        return await create_group(store, path, attributes, mode == "w", zarr_format)
    node = await open_node(store, path, zarr_format)
    if node is None and mode == "a" and not use_consolidated:
        try:
            return await create_group(store, path, attributes, zarr_format=zarr_format)
        except NodeExistsError:
            node = await open_node(store, path, zarr_format)  # another may have made it meanwhile
            if node is None:
                raise
    if isinstance(node, GroupCore):
        await _use_consolidated(node, mode, use_consolidated)
        return node
    if node is not None:
        raise NodeNotFoundError(
            f"{node.url} is an array, not a group; use open_array or open",
            store=store.url,
            key=path,
        )
    raise not_found(store, path, "group")


def _check_consolidated(use_consolidated: bool | None, mode: AccessMode) -> None:
    if not isinstance(use_consolidated, bool | None):
        raise TypeError(f"use_consolidated is True, False or None, not {use_consolidated!r}")
    if use_consolidated and mode in ("w", "w-"):
        raise ValueError(f"use_consolidated=True opens what is there, and mode {mode!r} creates")


async def _use_consolidated(
    node: GroupCore, mode: AccessMode, use_consolidated: bool | None
) -> None:
    """Look members up in the consolidated metadata: what may be changed is read as it is now."""
    if use_consolidated or (use_consolidated is None and mode == "r"):
        node.snapshot = await read_snapshot(
            node.store, node.path, node.document, required=bool(use_consolidated)
        )


async def open_any(
    store: Store,
    path: str,
    mode: AccessMode,
    options: ArrayOptions,
    use_consolidated: bool | None = None,
) -> ArrayCore | GroupCore:
    """Open an array or group; where there is none, create what the options describe."""
    check_mode(mode)
    _check_consolidated(use_consolidated, mode)
    zarr_format = options.get("zarr_format")
    config = config_of(options)
    if mode not in ("w", "w-"):
        node = await open_node(store, path, zarr_format)
        if isinstance(node, ArrayCore):
            node.write_empty_chunks = config.write_empty_chunks
        if isinstance(node, GroupCore):
            await _use_consolidated(node, mode, use_consolidated)
        if node is not None:
            return node
        if mode != "a" or use_consolidated:
            raise not_found(store, path, "array or group")
    if makes_array(options):
        return await open_array(store, path, mode, options)
    return await open_group(store, path, mode, options.get("attributes"), zarr_format)
