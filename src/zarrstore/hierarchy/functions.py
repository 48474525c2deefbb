"""What `zarrstore` and `zarrstore.aio` do with arrays and groups, written once.

Each coroutine is driven in the caller's thread for blocking code, and awaited by code that is
asynchronous; `is_inline` tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np

from zarrstore.abc import Store
from zarrstore.hierarchy import copying, core, group_core
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.copying_stores import CopyReport, copy_keys
from zarrstore.hierarchy.creating import node_path
from zarrstore.hierarchy.faces import Face, loaded, working_home
from zarrstore.hierarchy.group_core import GroupCore
from zarrstore.hierarchy.group_facts import group_tree
from zarrstore.hierarchy.likes import data_options, like_options
from zarrstore.hierarchy.nodes import NodeCore
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.hierarchy.progress import reporting
from zarrstore.hierarchy.tree import Tree
from zarrstore.keys import join
from zarrstore.registry import Engine, StoreLike, make_store
from zarrstore.runtime import WORKERS, LoopHome, is_inline
from zarrstore.stores.wrappers.prefix import PrefixStore
from zarrstore.sync import SyncStore

T = TypeVar("T")
N = TypeVar("N", bound=NodeCore, covariant=True)

StorageOptionsOfStore = Mapping[str, Any] | None


@dataclass(frozen=True)
class Opened(Generic[N]):
    """A node, and whether its store was opened for it."""

    core: N
    owns_store: bool

    async def close(self) -> None:
        """Close the store if it was opened for the node."""
        if self.owns_store:
            await at_home(self.core.store, self.core.store.close)


@dataclass(frozen=True)
class Place:
    """A path in a store.

    Parameters
    ----------
    store : Store
    path : str
    owns_store : bool
        Whether the store was made here, rather than given.
    """

    store: Store
    path: str
    owns_store: bool

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function of a store and a path in the store's home."""
        return await at_home(self.store, function, self.store, self.path, *args)

    async def open(self, function: Callable[..., Coroutine[Any, Any, N]], *args: Any) -> Opened[N]:
        """Run one that returns a node."""
        return Opened(await self.run(function, *args), self.owns_store)

    async def close(self) -> None:
        """Close the store if it was made here."""
        if self.owns_store:
            await at_home(self.store, self.store.close)


async def at_home(store: Store, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run a coroutine function where a store is used, from blocking code or asynchronous code."""
    if is_inline():
        return store._home.drive(function, *args)
    return await working_home(store).run(function, *args)


async def place(
    store: StoreLike,
    path: str | None,
    mode: AccessMode = "a",
    storage_options: StorageOptionsOfStore = None,
    engine: Engine | None = None,
) -> Place:
    """Return the store for a mode, and the path in it; a node is a place to start from."""
    core.check_mode(mode)
    path = node_path(path or "")
    if isinstance(store, Face):
        if storage_options or engine:
            raise TypeError("storage_options and engine go with a URL, not with a node")
        path = _below(store.path, path)
        store = store.store

    async def make() -> Store:
        return make_store(
            store, read_only=mode == "r", storage_options=storage_options, engine=engine
        )

    is_store = isinstance(store, Store | SyncStore)
    # to tell a directory from a zip file takes a look at the disk
    looks = not (is_store or store is None or isinstance(store, Mapping))
    made = await (WORKERS.run(make) if looks else make())
    return Place(made, path, owns_store=not is_store)


def _below(path: str, name: str) -> str:
    """Return the path of a node below another, or the other itself."""
    name = node_path(name)
    return join(path, name) if name else path


async def _loaded_options(options: Mapping[str, Any]) -> ArrayOptions:
    """Return options for an array with their ``data`` loaded."""
    found = dict(options)
    if "data" in found:
        found["data"] = await loaded(found["data"])
    return cast("ArrayOptions", found)


async def open_store(
    store: StoreLike,
    mode: AccessMode,
    storage_options: StorageOptionsOfStore,
    engine: Engine | None,
) -> Store:
    at = await place(store, "", mode, storage_options, engine)
    made = PrefixStore(at.store, at.path) if at.path else at.store
    await at_home(made, core.prepare_store, made, mode)
    return made


async def create_array(
    store: StoreLike,
    name: str | None,
    overwrite: bool,
    storage_options: StorageOptionsOfStore,
    progress: Any,
    options: Mapping[str, Any],
) -> Opened[ArrayCore]:
    made = await _loaded_options(options)
    at = await place(store, name, "a", storage_options)
    with reporting(progress, f"writing /{at.path}") as callback:
        return await at.open(group_core.create_array, made, overwrite, callback)


async def create_group(
    store: StoreLike,
    path: str | None,
    attributes: Mapping[str, Any] | None,
    overwrite: bool,
    zarr_format: int | None,
    storage_options: StorageOptionsOfStore,
) -> Opened[GroupCore]:
    at = await place(store, path, "a", storage_options)
    return await at.open(group_core.create_group, attributes, overwrite, zarr_format)


async def open_array(
    store: StoreLike,
    path: str | None,
    mode: AccessMode,
    storage_options: StorageOptionsOfStore,
    options: Mapping[str, Any],
) -> Opened[ArrayCore]:
    made = await _loaded_options(options)
    at = await place(store, path, mode, storage_options)
    return await at.open(core.open_array, mode, made)


async def open_group(
    store: StoreLike,
    path: str | None,
    mode: AccessMode,
    attributes: Mapping[str, Any] | None,
    zarr_format: int | None,
    use_consolidated: bool | None,
    storage_options: StorageOptionsOfStore,
) -> Opened[GroupCore]:
    at = await place(store, path, mode, storage_options)
    return await at.open(core.open_group, mode, attributes, zarr_format, use_consolidated)


async def open(
    store: StoreLike,
    mode: AccessMode,
    path: str | None,
    use_consolidated: bool | None,
    storage_options: StorageOptionsOfStore,
    options: Mapping[str, Any],
) -> Opened[ArrayCore | GroupCore]:
    made = await _loaded_options(options)
    at = await place(store, path, mode, storage_options)
    return await at.open(core.open_any, mode, made, use_consolidated)


async def consolidate_metadata(
    store: StoreLike,
    path: str | None,
    zarr_format: int | None,
    storage_options: StorageOptionsOfStore,
) -> Opened[GroupCore]:
    async def consolidated(store: Store, path: str) -> GroupCore:
        group = await core.open_group(store, path, "r+", None, zarr_format, False)
        return await group.consolidate()

    at = await place(store, path, "r+", storage_options)
    return await at.open(consolidated)


async def create_like(
    a: Any,
    store: StoreLike,
    path: str | None,
    overwrite: bool,
    storage_options: StorageOptionsOfStore,
    options: Mapping[str, Any],
) -> Opened[ArrayCore]:
    made = like_options(a, options)
    return await create_array(store, path, overwrite, storage_options, None, made)


async def array(
    data: Any,
    store: StoreLike,
    path: str | None,
    overwrite: bool,
    storage_options: StorageOptionsOfStore,
    progress: Any,
    options: Mapping[str, Any],
) -> Opened[ArrayCore]:
    made = data_options(data, **options)
    return await create_array(store, path, overwrite, storage_options, progress, made)


async def save_array(
    store: StoreLike,
    arr: Any,
    path: str | None,
    overwrite: bool,
    storage_options: StorageOptionsOfStore,
    progress: Any,
    options: Mapping[str, Any],
) -> None:
    opened = await array(arr, store, path, overwrite, storage_options, progress, options)
    await opened.close()


async def save(
    store: StoreLike,
    arrays: tuple[Any, ...],
    named: Mapping[str, Any],
    path: str | None,
    zarr_format: Any,
    storage_options: StorageOptionsOfStore,
) -> None:
    if len(arrays) == 1 and not named:
        options = {"zarr_format": zarr_format}
        await save_array(store, arrays[0], path, False, storage_options, None, options)
    else:
        await save_group(store, arrays, named, path, zarr_format, storage_options)


async def save_group(
    store: StoreLike,
    arrays: tuple[Any, ...],
    named: Mapping[str, Any],
    path: str | None,
    zarr_format: int | None,
    storage_options: StorageOptionsOfStore,
) -> None:
    values = {f"arr_{number}": value for number, value in enumerate(arrays)}
    both = values.keys() & named.keys()
    if both:
        raise ValueError(f"{', '.join(sorted(both))} is the name of two arrays")
    values |= named
    if not values:
        raise ValueError("give at least one array to save")
    loaded_values = {name: await loaded(value) for name, value in values.items()}
    at = await place(store, path, "w", storage_options)

    async def write(store: Store, path: str) -> GroupCore:
        return await group_core.create_arrays(store, path, loaded_values, zarr_format)

    await (await at.open(write)).close()


async def tree(
    store: StoreLike,
    level: int | None,
    path: str | None,
    storage_options: StorageOptionsOfStore,
) -> Tree:
    async def drawn(store: Store, path: str) -> Tree:
        return await group_tree(await core.open_group(store, path, "r"), level)

    at = await place(store, path, "r", storage_options)
    try:
        return await at.run(drawn)
    finally:
        await at.close()


async def load(
    store: StoreLike,
    path: str | None,
    zarr_format: int | None,
    storage_options: StorageOptionsOfStore,
) -> Any:
    async def read(store: Store, path: str) -> Any:
        node = await core.open_any(store, path, "r", cast("Any", {"zarr_format": zarr_format}))
        return await _values(node)

    at = await place(store, path, "r", storage_options)
    try:
        return await at.run(read)
    finally:
        await at.close()


async def _values(node: ArrayCore | GroupCore) -> Any:
    if isinstance(node, ArrayCore):
        return np.asarray(await node.read())
    return {name: await _values(member) for name, member in await node.members()}


async def delete(
    store: StoreLike, path: str | None, storage_options: StorageOptionsOfStore
) -> None:
    at = await place(store, path, "r+", storage_options)
    try:
        await at.run(copying.delete_node)
    finally:
        await at.close()


async def copy(
    source: StoreLike,
    dest: StoreLike,
    source_path: str | None,
    dest_path: str | None,
    overwrite: bool,
    verify: bool,
    progress: Any,
    storage_options: StorageOptionsOfStore,
    options: Mapping[str, Any],
) -> Opened[ArrayCore | GroupCore]:
    from_, to, home = await _places(source, source_path, dest, dest_path, storage_options)
    with reporting(progress, f"copying to /{to.path}") as callback:

        async def run() -> ArrayCore | GroupCore:
            return await copying.copy_node(
                from_.store,
                from_.path,
                to.store,
                to.path,
                options,
                overwrite=overwrite,
                verify=verify,
                progress=callback,
            )

        try:
            node = await at_home(home, run)
        finally:
            await from_.close()
    return Opened(node, to.owns_store)


async def _places(
    source: StoreLike,
    source_path: str | None,
    dest: StoreLike,
    dest_path: str | None,
    storage_options: StorageOptionsOfStore,
) -> tuple[Place, Place, Store]:
    """Return where something is copied from and to, and the store where that is done."""
    from_ = await place(source, source_path, "r", _for(source, storage_options))
    to = await place(dest, dest_path, "a", _for(dest, storage_options))
    # on the loop of one of them that is asynchronous, where both can be awaited
    return from_, to, from_.store if isinstance(from_.store._home, LoopHome) else to.store


async def copy_store(
    source: StoreLike,
    dest: StoreLike,
    source_path: str | None,
    dest_path: str | None,
    progress: Any,
    storage_options: StorageOptionsOfStore,
    **how: Any,
) -> CopyReport:
    from_, to, home = await _places(source, source_path, dest, dest_path, storage_options)
    with reporting(progress, f"copying to {to.store.url}", "bytes") as callback:

        async def run() -> CopyReport:
            return await copy_keys(
                from_.store, from_.path, to.store, to.path, progress=callback, **how
            )

        try:
            return await at_home(home, run)
        finally:
            await from_.close()
            await to.close()


def _for(store: StoreLike, storage_options: StorageOptionsOfStore) -> StorageOptionsOfStore:
    """Return the options for a store, if it is one of those that take them."""
    return storage_options if isinstance(store, str) and "://" in store else None


async def move(
    store: StoreLike,
    source_path: str,
    dest_path: str,
    overwrite: bool,
    progress: Any,
    storage_options: StorageOptionsOfStore,
) -> Opened[ArrayCore | GroupCore]:
    at = await place(store, None, "r+", storage_options)
    paths = [_below(at.path, path) for path in (source_path, dest_path)]
    with reporting(progress, f"moving to /{paths[1]}") as callback:
        node = await at_home(at.store, copying.move_node, at.store, *paths, overwrite, callback)
    return Opened(node, at.owns_store)
