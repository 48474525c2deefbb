"""Operations on a group, written once: coroutines that run in its store's home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress
from zarrstore.errors import (
    MetadataError,
    NodeExistsError,
    UnsupportedOperationError,
)
from zarrstore.fan_out import map_bounded
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.documents import dumps, plain_attributes
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.consolidated import (
    Snapshot,
    consolidated_v2,
    consolidated_v3,
    without_snapshot,
)
from zarrstore.hierarchy.creating import NewNode, as_read_back, node_path
from zarrstore.hierarchy.formats import (
    CONSOLIDATED_KEY,
    RESERVED_NAMES,
    AnyDocument,
    AnyGroupDocument,
    format_of,
    read_document,
    read_documents,
)
from zarrstore.hierarchy.likes import like_options
from zarrstore.hierarchy.nodes import NodeCore, not_found
from zarrstore.hierarchy.options import ArrayOptions, config_of, shape_of
from zarrstore.hierarchy.options_v2 import array_document
from zarrstore.keys import join

__all__ = [
    "GroupCore",
    "NodeOrError",
    "create_array",
    "create_arrays",
    "create_group",
    "node_of",
    "open_node",
]


@dataclass(eq=False)
class GroupCore(NodeCore):
    """A group in a store."""

    document: AnyGroupDocument

    def path_of(self, name: str) -> str:
        """Return the path in the store of a node below this group."""
        path = node_path(name)
        if not path:
            raise ValueError(f"{name!r} names no node below {self.url}")
        return join(self.path, path)

    @property
    def consolidated(self) -> Snapshot | None:
        """The consolidated metadata, unless something was changed through it since."""
        return None if self.snapshot is None or self.snapshot.is_stale else self.snapshot

    def is_changed(self) -> None:
        """Look members up in the store from now on."""
        if self.snapshot is not None:
            self.snapshot.is_stale = True

    async def get(self, name: str) -> ArrayCore | GroupCore | None:
        """Return the node of a name, or ``None``."""
        path = self.path_of(name)
        snapshot = self.consolidated
        if snapshot is not None:
            document = snapshot.document(path)
        else:
            document = await read_document(self.store, path, self.format.version)
        return None if document is None else node_of(self.store, path, document, snapshot)

    async def get_array(self, name: str) -> ArrayCore:
        """Return the array of a name, or raise `NodeNotFoundError`."""
        node = await self.get(name)
        if not isinstance(node, ArrayCore):
            raise not_found(self.store, self.path_of(name), "array")
        return node

    async def get_group(self, name: str) -> GroupCore:
        """Return the group of a name, or raise `NodeNotFoundError`."""
        node = await self.get(name)
        if not isinstance(node, GroupCore):
            raise not_found(self.store, self.path_of(name), "group")
        return node

    async def contains(self, name: str) -> bool:
        """Tell whether there is a node of a name, whether or not it can be opened."""
        path = self.path_of(name)
        snapshot = self.consolidated
        if snapshot is not None:
            return snapshot.has(path)
        return await self.format.exists(self.store, path)

    async def names(self) -> list[str]:
        """Return the names of the nodes one level below, sorted."""
        snapshot = self.consolidated
        if snapshot is not None:
            return list(snapshot.names(self.path))
        names = await self._names_below()
        there = await map_bounded(self.contains, names)
        return [name for name, is_node in zip(names, there, strict=True) if is_node]

    async def _names_below(self) -> list[str]:
        if Capability.LIST not in self.store.capabilities:
            raise UnsupportedOperationError(
                f"{type(self.store).__name__} {self.store.url} cannot list what is below "
                f"{self.name}; open the group with use_consolidated=True, if its metadata is "
                "consolidated, or ask for members by their names",
                store=self.store.url,
                key=self.path,
            )
        names = [name async for name in self.store.list_dir(self.path)]
        return sorted(name for name in names if name not in RESERVED_NAMES)

    async def members(self, max_depth: int | None = 0) -> list[tuple[str, ArrayCore | GroupCore]]:
        """Return the nodes below with their paths, sorted by path; all with ``None``.

        Raises
        ------
        MetadataError
            If one of them cannot be opened.
        """
        if max_depth is not None and max_depth < 0:
            raise ValueError(f"max_depth must be None, or 0 or more, not {max_depth!r}")
        if max_depth == 0:
            return [(name, _raised(node)) for name, node in await self._members_or_errors()]
        return [(name, _raised(node)) for _, name, node in await self._walk(max_depth)]

    async def count(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below: see `members`."""
        return len(await self.names() if max_depth == 0 else await self.members(max_depth))

    async def walk(self, max_depth: int | None = None) -> list[tuple[int, str, NodeOrError]]:
        """Return the nodes below, each before those below it: depth, name, node.

        In the place of one that cannot be opened stands the error.
        """
        found = await self._walk(max_depth)
        return [(depth, path.rpartition("/")[2], node) for depth, path, node in found]

    async def _walk(self, max_depth: int | None) -> list[tuple[int, str, NodeOrError]]:
        """Return depth, path below this group, and node: one level after the other is read."""
        found: dict[str, list[tuple[str, NodeOrError]]] = {}
        groups: dict[str, GroupCore] = {"": self}
        depth = 0
        while groups and (max_depth is None or depth <= max_depth):
            level = await map_bounded(GroupCore._members_or_errors, list(groups.values()))
            below = dict(zip(groups, level, strict=True))
            groups = {
                join(path, name): node
                for path, members in below.items()
                for name, node in members
                if isinstance(node, GroupCore)
            }
            found.update(below)
            depth += 1
        return list(_in_order(found))

    async def _members_or_errors(self) -> list[tuple[str, NodeOrError]]:
        """Return the nodes one level below with their names, sorted."""
        snapshot = self.consolidated
        names = snapshot.names(self.path) if snapshot is not None else await self._names_below()
        paths = [join(self.path, name) for name in names]
        if snapshot is not None:
            documents = snapshot.documents(paths)
        else:
            documents = await read_documents(self.store, paths, self.format.version)
        members: list[tuple[str, NodeOrError]] = []
        for name, path, document in zip(names, paths, documents, strict=True):
            if document is None:
                continue
            node: NodeOrError
            if isinstance(document, MetadataError):
                node = document
            else:
                try:
                    node = node_of(self.store, path, document, snapshot)
                except MetadataError as error:
                    node = error
            members.append((name, node))
        return members

    async def delete(self, name: str) -> bool:
        """Delete a node and everything below it; tell whether it was there."""
        path = self.path_of(name)
        self.is_changed()
        there = await self.contains(name)
        if there:
            await self.store.delete_dir(path)
        return there

    async def create_array(
        self,
        name: str,
        options: ArrayOptions,
        overwrite: bool,
        progress: Progress | None = None,
    ) -> ArrayCore:
        """Create an array below this group, of its format."""
        self.is_changed()
        return await create_array(
            self.store, self.path_of(name), self._of_this_format(options), overwrite, progress
        )

    def _of_this_format(self, options: ArrayOptions) -> ArrayOptions:
        return {"zarr_format": self.format.version, **options}

    async def create_like(
        self, name: str, a: Any, options: Mapping[str, Any], overwrite: bool
    ) -> ArrayCore:
        """Create an array like another below this group, of its format."""
        given = {"zarr_format": self.format.version, **options}
        return await self.create_array(name, like_options(a, given), overwrite)

    async def create_group(
        self, name: str, attributes: Mapping[str, Any] | None = None, overwrite: bool = False
    ) -> GroupCore:
        """Create a group below this group, of its format."""
        self.is_changed()
        return await create_group(
            self.store, self.path_of(name), attributes, overwrite, self.format.version
        )

    async def require_group(self, name: str, overwrite: bool = False) -> GroupCore:
        """Return the group of a name; create it if it is missing."""
        if not overwrite:
            node = await self.get(name)
            if node is None:
                try:
                    return await self.create_group(name)
                except NodeExistsError:
                    node = await self.get(name)  # another may have made it meanwhile
            if isinstance(node, GroupCore):
                return node
            raise TypeError(f"{join(self.url, node_path(name))} is an array, not a group")
        return await self.create_group(name, overwrite=True)

    async def require_groups(self, names: tuple[str, ...]) -> list[GroupCore]:
        """Return the groups of some names; create those that are missing."""
        return await map_bounded(self.require_group, names)

    async def require_array(self, name: str, options: ArrayOptions, exact: bool) -> ArrayCore:
        """Return the array of a name; create it if it is missing.

        Raises
        ------
        TypeError
            If there is one of another shape, or of a dtype that does not fit, or a group.
        """
        node = await self.get(name)
        if node is None:
            try:
                return await self.create_array(name, options, overwrite=False)
            except NodeExistsError:
                node = await self.get(name)  # another may have made it meanwhile
        if not isinstance(node, ArrayCore):
            raise TypeError(f"{join(self.url, node_path(name))} is a group, not an array")
        shape = shape_of(options)
        if shape != node.spec.shape:
            raise TypeError(f"{node.url} has shape {node.spec.shape}, not {shape}")
        given = options.get("dtype")
        dtype = data_type_for("float64" if given is None else given).dtype
        if node.spec.dtype != dtype and (exact or not np.can_cast(node.spec.dtype, dtype)):
            kind = "" if exact else " which cannot be cast to"
            raise TypeError(f"{node.url} has dtype {node.spec.dtype}, not{kind} {dtype}")
        return node

    async def consolidate(self) -> GroupCore:
        """Store the metadata of all nodes below with that of this group; return it as it is now.

        Raises
        ------
        MetadataError
            If one of them cannot be opened.
        """
        fresh = GroupCore(self.store, self.path, self.document)
        nodes = {path: without_snapshot(node.document) for path, node in await fresh.members(None)}
        if self.document.zarr_format == 2:
            data = dumps(consolidated_v2(self.document, nodes))
            await self.store.set(join(self.path, CONSOLIDATED_KEY), data)
        else:
            await fresh.edit_document(lambda document: consolidated_v3(document, nodes))
        return fresh


NodeOrError: TypeAlias = ArrayCore | GroupCore | MetadataError


def _in_order(
    below: Mapping[str, list[tuple[str, NodeOrError]]],
) -> Iterator[tuple[int, str, NodeOrError]]:
    """Yield depth, path and node, each before those below it, from the members of each group."""
    levels = [("", iter(below[""]))] if below else []
    while levels:
        parent, members = levels[-1]
        for name, node in members:
            path = join(parent, name)
            yield len(levels) - 1, path, node
            if path in below:
                levels.append((path, iter(below[path])))
                break
        else:
            levels.pop()


def _raised(node: NodeOrError) -> ArrayCore | GroupCore:
    if isinstance(node, MetadataError):
        raise node
    return node


def node_of(
    store: Store, path: str, document: AnyDocument, snapshot: Snapshot | None = None
) -> ArrayCore | GroupCore:
    """Return the node of a document.

    Raises
    ------
    MetadataError
        If it is an array that cannot be used.
    """
    if document.node_type == "group":
        return GroupCore(store, path, document, snapshot=snapshot)
    try:
        spec = compile_spec(document)
    except MetadataError as error:
        key = join(path, format_of(document).node_name(document))
        raise MetadataError(
            f"{key!r} in {store.url} cannot be used: {error}", store=store.url, key=key
        ) from error
    return ArrayCore(store, path, document, spec, snapshot=snapshot)


async def open_node(
    store: Store, path: str, zarr_format: int | None = None
) -> ArrayCore | GroupCore | None:
    """Return the array or group at a path, or ``None`` if there is none."""
    document = await read_document(store, path, zarr_format)
    return None if document is None else node_of(store, path, document)


async def create_array(
    store: Store,
    path: str,
    options: ArrayOptions,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ArrayCore:
    """Create an array, and write ``data`` into it if that is among the options."""
    new = NewNode(store, path, overwrite)
    format = await new.find_format(options.get("zarr_format"))
    document = as_read_back(store, path, array_document(options, format.version))
    write_empty = config_of(options).write_empty_chunks
    array = ArrayCore(store, path, document, compile_spec(document), write_empty)
    data = options.get("data") if options.get("write_data", True) else None
    values = None if data is None else array.values(data, array.spec.shape)
    await new.clear()
    await new.write(document)
    if values is not None:
        await array.write(..., values, progress)
    return array


async def create_group(
    store: Store,
    path: str,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    zarr_format: int | None = None,
) -> GroupCore:
    """Create a group."""
    plain = plain_attributes(attributes or {})
    new = NewNode(store, path, overwrite)
    document = (await new.find_format(zarr_format)).group(plain)
    await new.clear()
    await new.write(document)
    return GroupCore(store, path, document)


async def create_arrays(
    store: Store, path: str, values: Mapping[str, Any], zarr_format: int | None = None
) -> GroupCore:
    """Replace what is at a path by a group of arrays; if one cannot be stored, nothing is."""
    format = await NewNode(store, path, overwrite=True).find_format(zarr_format)
    arrays: dict[str, ArrayOptions] = {
        node_path(name): {"data": value} for name, value in values.items()
    }
    for options in arrays.values():
        compile_spec(array_document(options, format.version))
    group = await create_group(store, path, None, overwrite=True, zarr_format=format.version)
    for name, options in arrays.items():
        await group.create_array(name, options, overwrite=False)
    return group
