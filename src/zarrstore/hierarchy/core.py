"""Operations on arrays and groups, written once: coroutines that run in their store's home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress, read_chunks, write_chunks
from zarrstore.errors import (
    ConflictError,
    MetadataError,
    NodeExistsError,
    NodeNotFoundError,
    ReadOnlyError,
)
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.documents import (
    METADATA_KEY,
    ArrayDocument,
    Document,
    GroupDocument,
    decode,
    encode,
)
from zarrstore.format.indexing import basic_selection
from zarrstore.hierarchy.options import AccessMode, ArrayOptions, array_document
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.runtime import map_bounded

__all__ = [
    "ArrayCore",
    "GroupCore",
    "NodeCore",
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
_RETRIES = 100
D = TypeVar("D", ArrayDocument, GroupDocument)


def node_path(path: str) -> str:
    """Return the path of a node as a prefix of keys: without ``/`` at its ends."""
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    return path.strip("/")


def check_mode(mode: str) -> None:
    """Raise `ValueError` unless a mode is one of ``r``, ``r+``, ``a``, ``w``, ``w-``."""
    if mode not in _MODES:
        raise ValueError(f"mode is one of {', '.join(_MODES)}, not {mode!r}")


async def prepare_store(store: Store, mode: AccessMode) -> None:
    """Make a whole store what a mode asks for: there, empty, or new."""
    if mode == "a" or Capability.LIST not in store.capabilities:
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
class NodeCore:
    """What arrays and groups share: a place in a store, and a document."""

    store: Store
    path: str

    @property
    def url(self) -> str:
        """The store's URL with the node's path."""
        return join_url(self.store.url, self.path)

    @property
    def name(self) -> str:
        """The path with a ``/`` before it."""
        return f"/{self.path}"

    async def _edit_document(self, cls: type[D], edit: Callable[[D], D]) -> D:
        """Change the stored document, on top of what others changed meanwhile."""
        key = join(self.path, METADATA_KEY)
        swaps = Capability.COMPARE_AND_SWAP in self.store.capabilities
        for _ in range(_RETRIES):
            stat = await self.store.stat(key) if swaps else None
            document = await _read_document(self.store, self.path)
            if not isinstance(document, cls):
                raise _not_found(self.store, self.path, "array or group")
            edited = edit(document)
            try:
                await self.store.set(
                    key, _encoded(edited), expect=None if stat is None else stat.version
                )
            except ConflictError:
                continue
            return edited
        raise ConflictError(
            f"{key!r} in {self.store.url} was changed by others {_RETRIES} times in a row; "
            "try again",
            store=self.store.url,
            key=key,
        )


@dataclass(eq=False)
class ArrayCore(NodeCore):
    """An array in a store."""

    document: ArrayDocument
    spec: ArraySpec
    write_empty_chunks: bool = False

    async def read(
        self, selection: Any = ..., out: Any = None, progress: Progress | None = None
    ) -> Any:
        """Return a selection as a numpy array, or a scalar where every index is an integer."""
        wanted = basic_selection(selection, self.spec.shape)
        if out is None:
            result = np.empty(wanted.shape, self.spec.dtype)
        else:
            result = _checked_out(out, wanted.shape)
        await read_chunks(self.store, self.path, self.spec, wanted, result, progress)
        return result[()] if wanted.is_element and out is None else result

    async def write(self, selection: Any, value: Any, progress: Progress | None = None) -> None:
        """Write a value, broadcast to the shape of the selection."""
        wanted = basic_selection(selection, self.spec.shape)
        if self.store.read_only:
            raise ReadOnlyError(
                f"{self.url} was opened read-only; open it with mode 'r+' or 'a' to write",
                store=self.store.url,
                key=self.path,
            )
        array = value if isinstance(value, np.ndarray) else np.asarray(value, self.spec.dtype)
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"cannot write values of {array.dtype} to an array of {self.spec.dtype}"
            )
        try:
            array = np.broadcast_to(array, wanted.shape)
        except ValueError:
            raise ValueError(
                f"could not broadcast a value of shape {array.shape} into the selection's "
                f"shape {wanted.shape}"
            ) from None
        await write_chunks(
            self.store,
            self.path,
            self.spec,
            wanted,
            array,
            progress,
            self.write_empty_chunks,
        )

    async def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Merge attributes into the stored ones."""

        def edit(document: ArrayDocument) -> ArrayDocument:
            merged = {**document.attributes, **attributes}
            return msgspec.structs.replace(document, attributes=merged)

        self.document = await self._edit_document(ArrayDocument, edit)

    async def put_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes."""

        def edit(document: ArrayDocument) -> ArrayDocument:
            return msgspec.structs.replace(document, attributes=dict(attributes))

        self.document = await self._edit_document(ArrayDocument, edit)


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

    async def members(self) -> list[tuple[str, ArrayCore | GroupCore]]:
        """Return the nodes one level below, sorted by name."""
        names = sorted([name async for name in self.store.list_dir(self.path)])
        names = [name for name in names if name != METADATA_KEY]
        nodes = await map_bounded(self.get, names)
        return [(name, node) for name, node in zip(names, nodes, strict=True) if node is not None]

    async def walk(self) -> list[tuple[int, str, ArrayCore | GroupCore]]:
        """Return the nodes at any depth, each before those below it: depth, name, node."""
        found = []
        pending = [(0, name, node) for name, node in reversed(await self.members())]
        while pending:
            depth, name, node = pending.pop()
            found.append((depth, name, node))
            if isinstance(node, GroupCore):
                below = await node.members()
                pending += [(depth + 1, child, member) for child, member in reversed(below)]
        return found

    async def delete(self, name: str) -> None:
        """Delete a node and everything below it."""
        path = self.path_of(name)
        if await _read_document(self.store, path) is None:
            raise _not_found(self.store, path, "array or group")
        await self.store.delete_dir(path)

    async def create_array(self, name: str, options: ArrayOptions, overwrite: bool) -> ArrayCore:
        return await create_array(self.store, self.path_of(name), options, overwrite)

    async def create_group(
        self, name: str, attributes: Mapping[str, Any] | None, overwrite: bool
    ) -> GroupCore:
        return await create_group(self.store, self.path_of(name), attributes, overwrite)

    async def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Merge attributes into the stored ones."""

        def edit(document: GroupDocument) -> GroupDocument:
            merged = {**document.attributes, **attributes}
            return msgspec.structs.replace(document, attributes=merged)

        self.document = await self._edit_document(GroupDocument, edit)

    async def put_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes."""

        def edit(document: GroupDocument) -> GroupDocument:
            return msgspec.structs.replace(document, attributes=dict(attributes))

        self.document = await self._edit_document(GroupDocument, edit)


def _checked_out(out: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a numpy array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, and the selection {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return out


def _encoded(document: Document) -> bytes:
    try:
        return encode(document)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise TypeError(f"attributes must be what JSON can hold: {error}") from error


def _not_found(store: Store, path: str, kind: str) -> NodeNotFoundError:
    return NodeNotFoundError(
        f"no {kind} at {join_url(store.url, path)}; check the path, or create it",
        store=store.url,
        key=path,
    )


async def _read_document(store: Store, path: str) -> Document | None:
    key = join(path, METADATA_KEY)
    data = await store.get(key)
    return None if data is None else decode(data, key, store.url)


async def open_node(store: Store, path: str) -> ArrayCore | GroupCore | None:
    """Return the array or group at a path, or ``None`` if there is none."""
    document = await _read_document(store, path)
    if document is None:
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


async def _create(store: Store, path: str, document: Document, overwrite: bool) -> None:
    """Write the document of a new node, and of the groups above it that are missing."""
    data = _encoded(document)
    key = join(path, METADATA_KEY)
    parents = path.split("/")[:-1]
    for depth in range(len(parents) + 1 if path else 0):
        await _create_parent(store, "/".join(parents[:depth]))
    if overwrite:
        await store.delete_dir(path)
        await store.set(key, data)
    elif Capability.CREATE_EXCLUSIVE in store.capabilities:
        if not await store.set_if_not_exists(key, data):
            raise _exists(store, path)
    else:
        if await store.exists(key):
            raise _exists(store, path)
        await store.set(key, data)


async def _create_parent(store: Store, path: str) -> None:
    key = join(path, METADATA_KEY)
    document = await _read_document(store, path)
    if isinstance(document, ArrayDocument):
        raise NodeExistsError(
            f"{join_url(store.url, path)} is an array, which has nothing below it; "
            "use another path",
            store=store.url,
            key=path,
        )
    if document is None:
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
    await _create(store, path, document, overwrite)
    array = ArrayCore(store, path, document, spec, bool(options.get("write_empty_chunks", False)))
    if options.get("data") is not None:
        await array.write(..., options["data"], progress)
    return array


async def create_group(
    store: Store,
    path: str,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> GroupCore:
    """Create a group."""
    document = GroupDocument(zarr_format=3, node_type="group", attributes=dict(attributes or {}))
    await _create(store, path, document, overwrite)
    return GroupCore(store, path, document)


async def open_array(store: Store, path: str, mode: AccessMode, options: ArrayOptions) -> ArrayCore:
    """Open an array, or create it where the mode and the options say so."""
    check_mode(mode)
    if mode in ("w", "w-"):
        return await create_array(store, path, options, overwrite=mode == "w")
    node = await open_node(store, path)
    if isinstance(node, ArrayCore):
        node.write_empty_chunks = bool(options.get("write_empty_chunks", False))
        return node
    if node is not None:
        raise NodeNotFoundError(
            f"{node.url} is a group, not an array; use open_group or open",
            store=store.url,
            key=path,
        )
    if mode == "a" and ("shape" in options or "data" in options):
        return await create_array(store, path, options)
    raise _not_found(store, path, "array")


async def open_group(
    store: Store, path: str, mode: AccessMode, attributes: Mapping[str, Any] | None = None
) -> GroupCore:
    """Open a group, or create it where the mode says so."""
    check_mode(mode)
    if mode in ("w", "w-"):
        return await create_group(store, path, attributes, overwrite=mode == "w")
    node = await open_node(store, path)
    if isinstance(node, GroupCore):
        return node
    if node is not None:
        raise NodeNotFoundError(
            f"{node.url} is an array, not a group; use open_array or open",
            store=store.url,
            key=path,
        )
    if mode == "a":
        return await create_group(store, path, attributes)
    raise _not_found(store, path, "group")


async def open_any(
    store: Store, path: str, mode: AccessMode, options: ArrayOptions
) -> ArrayCore | GroupCore:
    """Open an array or group; where there is none, create what the options describe."""
    check_mode(mode)
    makes_array = "shape" in options or "data" in options
    if mode not in ("w", "w-"):
        node = await open_node(store, path)
        if node is not None:
            return node
        if mode != "a":
            raise _not_found(store, path, "array or group")
    if makes_array:
        return await open_array(store, path, mode, options)
    return await open_group(store, path, mode, options.get("attributes"))
