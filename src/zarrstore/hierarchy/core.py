"""Operations on arrays and groups, written once: coroutines that run in their store's home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress
from zarrstore.errors import MetadataError, NodeExistsError, NodeNotFoundError
from zarrstore.fan_out import map_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.documents import (
    METADATA_KEY,
    ArrayDocument,
    Document,
    GroupDocument,
    encode,
    plain_attributes,
)
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.nodes import NodeCore, not_found, read_document
from zarrstore.hierarchy.options import AccessMode, ArrayOptions, array_document
from zarrstore.keys import join
from zarrstore.redaction import join_url

__all__ = [
    "GroupCore",
    "NodeOrError",
    "check_mode",
    "create_array",
    "create_group",
    "node_path",
    "open_any",
    "open_array",
    "open_group",
    "open_node",
    "prepare_store",
]

_MODES = ("r", "r+", "a", "w", "w-")


def node_path(path: str) -> str:
    """Return the path of a node as a prefix of keys: without ``/`` at its ends."""
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    path = path.strip("/")
    if METADATA_KEY in path.split("/"):
        raise ValueError(f"{path!r} is no path of a node: {METADATA_KEY!r} holds the metadata")
    return path


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


@dataclass(eq=False)
class GroupCore(NodeCore):
    """A group in a store."""

    document: GroupDocument

    def path_of(self, name: str) -> str:
        """Return the path in the store of a node below this group."""
        path = node_path(name)
        if not path:
            raise ValueError(f"{name!r} names no node below {self.url}")
        return join(self.path, path)

    async def get(self, name: str) -> ArrayCore | GroupCore | None:
        """Return the node of a name, or ``None``."""
        return await open_node(self.store, self.path_of(name))

    async def contains(self, name: str) -> bool:
        """Tell whether there is a node of a name, whether or not it can be opened."""
        return await self.store.exists(join(self.path_of(name), METADATA_KEY))

    async def names(self) -> list[str]:
        """Return the names of the nodes one level below, sorted."""
        names = await self._names_below()
        there = await map_bounded(self.contains, names)
        return [name for name, is_node in zip(names, there, strict=True) if is_node]

    async def _names_below(self) -> list[str]:
        names = [name async for name in self.store.list_dir(self.path)]
        return sorted(name for name in names if name != METADATA_KEY)

    async def members(self) -> list[tuple[str, ArrayCore | GroupCore]]:
        """Return the nodes one level below, sorted by name."""
        return [(name, _raised(node)) for name, node in await self._members_or_errors()]

    async def _members_or_errors(self) -> list[tuple[str, NodeOrError]]:
        async def get(name: str) -> NodeOrError | None:
            try:
                return await self.get(name)
            except MetadataError as error:
                return error

        names = await self._names_below()
        nodes = await map_bounded(get, names)
        return [(name, node) for name, node in zip(names, nodes, strict=True) if node is not None]

    async def walk(self) -> list[tuple[int, str, NodeOrError]]:
        """Return the nodes at any depth, each before those below it: depth, name, node.

        In the place of one that cannot be opened stands the error.
        """
        found = []
        pending = [(0, name, node) for name, node in reversed(await self._members_or_errors())]
        while pending:
            depth, name, node = pending.pop()
            found.append((depth, name, node))
            if isinstance(node, GroupCore):
                below = await node._members_or_errors()
                pending += [(depth + 1, child, member) for child, member in reversed(below)]
        return found

    async def delete(self, name: str) -> bool:
        """Delete a node and everything below it; tell whether it was there."""
        there = await self.contains(name)
        if there:
            await self.store.delete_dir(self.path_of(name))
        return there

    async def create_array(
        self,
        name: str,
        options: ArrayOptions,
        overwrite: bool,
        progress: Progress | None = None,
    ) -> ArrayCore:
        return await create_array(self.store, self.path_of(name), options, overwrite, progress)

    async def create_group(
        self, name: str, attributes: Mapping[str, Any] | None, overwrite: bool
    ) -> GroupCore:
        return await create_group(self.store, self.path_of(name), attributes, overwrite)


NodeOrError: TypeAlias = ArrayCore | GroupCore | MetadataError


def _raised(node: NodeOrError) -> ArrayCore | GroupCore:
    if isinstance(node, MetadataError):
        raise node
    return node


async def open_node(store: Store, path: str) -> ArrayCore | GroupCore | None:
    """Return the array or group at a path, or ``None`` if there is none."""
    document = await read_document(store, path)
    if document is None:
        await _refuse_version_2(store, path)
        return None
    if isinstance(document, GroupDocument):
        return GroupCore(store, path, document)
    try:
        spec = compile_spec(document)
    except MetadataError as error:
        key = join(path, METADATA_KEY)
        raise MetadataError(
            f"{key!r} in {store.url} cannot be used: {error}", store=store.url, key=key
        ) from error
    return ArrayCore(store, path, document, spec)


async def _refuse_version_2(store: Store, path: str) -> None:
    """Raise if there is an array or group of Zarr v2, rather than write another over it."""
    for name in (".zarray", ".zgroup"):
        if await store.exists(join(path, name)):
            raise MetadataError(
                f"{join_url(store.url, path)} is of Zarr v2 ({name}), and only Zarr v3 is read "
                "and written here; convert it with zarr-python, or use another path",
                store=store.url,
                key=join(path, name),
            )


async def _create(store: Store, path: str, document: Document, overwrite: bool) -> None:
    """Write the document of a new node, and of the groups above it that are missing."""
    data = encode(document)
    key = join(path, METADATA_KEY)
    parents = path.split("/")[:-1]
    for depth in range(len(parents) + 1 if path else 0):
        await _create_parent(store, "/".join(parents[:depth]))
    if overwrite:
        await store.delete_dir(path)
        await store.set(key, data)
        return
    await _refuse_version_2(store, path)
    if Capability.CREATE_EXCLUSIVE in store.capabilities:
        if not await store.set_if_not_exists(key, data):
            raise _exists(store, path)
    else:
        if await store.exists(key):
            raise _exists(store, path)
        await store.set(key, data)


async def _create_parent(store: Store, path: str) -> None:
    key = join(path, METADATA_KEY)
    document = await read_document(store, path)
    if isinstance(document, ArrayDocument):
        raise NodeExistsError(
            f"{join_url(store.url, path)} is an array, which has nothing below it; "
            "use another path",
            store=store.url,
            key=path,
        )
    if document is None:
        await _refuse_version_2(store, path)
        data = encode(GroupDocument(zarr_format=3, node_type="group"))
        if Capability.CREATE_EXCLUSIVE in store.capabilities:
            await store.set_if_not_exists(key, data)
        else:
            await store.set(key, data)


def _exists(store: Store, path: str) -> NodeExistsError:
    return NodeExistsError(
        f"there is already an array or group at {join_url(store.url, path)}; "
        "open it, or replace it with overwrite=True (mode 'w')",
        store=store.url,
        key=path,
    )


async def create_array(
    store: Store,
    path: str,
    options: ArrayOptions,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ArrayCore:
    """Create an array, and write ``data`` into it if that is among the options."""
    document, spec = array_document(options)
    array = ArrayCore(store, path, document, spec, bool(options.get("write_empty_chunks", False)))
    data = options.get("data")
    values = None if data is None else array.values(data, spec.shape)
    await _create(store, path, document, overwrite)
    if values is not None:
        await array.write(..., values, progress)
    return array


async def create_group(
    store: Store,
    path: str,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> GroupCore:
    """Create a group."""
    document = GroupDocument(
        zarr_format=3, node_type="group", attributes=plain_attributes(attributes or {})
    )
    await _create(store, path, document, overwrite)
    return GroupCore(store, path, document)


async def open_array(store: Store, path: str, mode: AccessMode, options: ArrayOptions) -> ArrayCore:
    """Open an array, or create it where the mode and the options say so."""
    check_mode(mode)
    if mode in ("w", "w-"):
        return await create_array(store, path, options, overwrite=mode == "w")
    node = await open_node(store, path)
    if node is None and mode == "a" and makes_array(options):
        try:
            return await create_array(store, path, options)
        except NodeExistsError:
            node = await open_node(store, path)  # another may have made it meanwhile
            if node is None:
                raise
    if isinstance(node, ArrayCore):
        node.write_empty_chunks = bool(options.get("write_empty_chunks", False))
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
    store: Store, path: str, mode: AccessMode, attributes: Mapping[str, Any] | None = None
) -> GroupCore:
    """Open a group, or create it where the mode says so."""
    check_mode(mode)
    if mode in ("w", "w-"):
        return await create_group(store, path, attributes, overwrite=mode == "w")
    node = await open_node(store, path)
    if node is None and mode == "a":
        try:
            return await create_group(store, path, attributes)
        except NodeExistsError:
            node = await open_node(store, path)  # another may have made it meanwhile
            if node is None:
                raise
    if isinstance(node, GroupCore):
        return node
    if node is not None:
        raise NodeNotFoundError(
            f"{node.url} is an array, not a group; use open_array or open",
            store=store.url,
            key=path,
        )
    raise not_found(store, path, "group")


async def open_any(
    store: Store, path: str, mode: AccessMode, options: ArrayOptions
) -> ArrayCore | GroupCore:
    """Open an array or group; where there is none, create what the options describe."""
    check_mode(mode)
    if mode not in ("w", "w-"):
        node = await open_node(store, path)
        if node is not None:
            return node
        if mode != "a":
            raise not_found(store, path, "array or group")
    if makes_array(options):
        return await open_array(store, path, mode, options)
    return await open_group(store, path, mode, options.get("attributes"))
