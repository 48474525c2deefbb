"""Writing the metadata of a new node, and of the groups above it that are missing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from zarrstore.abc import Capability, Store
from zarrstore.errors import MetadataError, NodeExistsError
from zarrstore.fan_out import map_bounded
from zarrstore.hierarchy.formats import (
    FORMATS,
    RESERVED_NAMES,
    V2,
    V3,
    AnyDocument,
    NodeFormat,
    check_format,
    format_of,
    read_documents,
)
from zarrstore.keys import check_prefix, join
from zarrstore.redaction import join_url

__all__ = ["NewNode", "as_read_back", "node_path", "write_document"]

T = TypeVar("T", bound=AnyDocument)


def node_path(path: str) -> str:
    """Return the path of a node as a prefix of keys: without ``/`` at its ends."""
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    path = path.strip("/")
    reserved = RESERVED_NAMES.intersection(path.split("/"))
    if reserved:
        raise ValueError(f"{path!r} is no path of a node: {min(reserved)!r} holds the metadata")
    return path


class NewNode:
    """A place for a node that is created.

    Parameters
    ----------
    store : Store
    path : str
    overwrite : bool
        Whether what is there is deleted; else it must not be a node.
    """

    def __init__(self, store: Store, path: str, overwrite: bool = False) -> None:
        check_prefix(path)
        self._store = store
        self._path = path
        self._overwrite = overwrite
        self._missing: list[str] = []

    async def find_format(self, zarr_format: int | None, default: int = 3) -> NodeFormat:
        """Return the format of the new node: as given, else that of the group above it.

        Parameters
        ----------
        zarr_format : int or None
        default : int
            Where there is no group above it.

        Nothing is written.

        Raises
        ------
        NodeExistsError
            If there is an array above it, or a node in its place that is not to be deleted.
        ValueError
            If the group above it is of another format.
        """
        check_format(zarr_format)
        names = self._path.split("/") if self._path else []
        above = ["/".join(names[:depth]) for depth in range(len(names))]
        found: AnyDocument | None = None
        for path, document in zip(above, await read_documents(self._store, above), strict=True):
            if isinstance(document, MetadataError):
                raise document
            if document is None:
                self._missing.append(path)
                continue
            if document.node_type == "array":
                raise NodeExistsError(
                    f"{join_url(self._store.url, path)} is an array, which has nothing below it; "
                    "use another path",
                    store=self._store.url,
                    key=path,
                )
            found = document
        if found is None:
            version = zarr_format or self._store._foreign_format or default
            format = V2 if version == 2 else V3
        else:
            format = format_of(found)
            if zarr_format not in (None, format.version):
                raise ValueError(
                    f"the group above {join_url(self._store.url, self._path)} is of Zarr "
                    f"v{format.version}: a node of zarr_format={zarr_format} would not be found "
                    "below it; leave zarr_format out, or use another path"
                )
        if not self._overwrite:
            # writing a v3 document finds out by itself whether there is one
            looked_for = [V2] if format is V3 and self._can_race else FORMATS
            if await self._has_one_of([name for each in looked_for for name in each.node_names]):
                raise self._exists()
        return format

    async def _has_one_of(self, names: list[str]) -> bool:
        keys = [join(self._path, name) for name in names]
        return any(await map_bounded(self._store.exists, keys))

    @functools.cached_property
    def _can_race(self) -> bool:
        """Whether writing finds out by itself that there is a node already."""
        return Capability.CREATE_EXCLUSIVE in self._store.capabilities

    async def clear(self) -> None:
        """Delete what is in the place of the node, if it is to be overwritten."""
        if self._overwrite:
            await self._store.delete_dir(self._path)

    async def write(self, document: AnyDocument, *, attributes_first: bool = False) -> None:
        """Write the metadata, and that of the groups above that are missing.

        Parameters
        ----------
        document : AnyDocument
        attributes_first : bool
            Whether what makes the node is the last that is written of it; the attributes are
            then written even if there is a node already.

        Raises
        ------
        NodeExistsError
            If there is a node; nothing was changed.
        """
        format = format_of(document)
        for path in self._missing:
            await self._create(path, format.encode(format.group({})), exclusive=self._can_race)
        files = format.encode(document)
        if self._store._foreign_format is not None:
            attributes_first = False  # they may be in one document with the rest
        if attributes_first:
            await _write_others(self._store, self._path, files)
        exclusive = self._can_race and not self._overwrite
        if not await self._create(self._path, files, exclusive=exclusive):
            raise self._exists()
        if not attributes_first:
            await _write_others(self._store, self._path, files)

    async def _create(self, path: str, files: Mapping[str, bytes], *, exclusive: bool) -> bool:
        """Write what makes a node; tell whether there was none, if that matters."""
        name, data = next(iter(files.items()))
        if exclusive:
            return await self._store.set_if_not_exists(join(path, name), data)
        await self._store.set(join(path, name), data)
        return True

    def _exists(self) -> NodeExistsError:
        return NodeExistsError(
            f"there is already an array or group at {join_url(self._store.url, self._path)}; "
            "open it, or replace it with overwrite=True (mode 'w')",
            store=self._store.url,
            key=self._path,
        )


def as_read_back(store: Store, path: str, document: T) -> T:
    """Return what the document of a node is read as when it was written to a store."""
    if store._foreign_format is None:
        return document
    format = format_of(document)
    files = {
        name: store._read_back(join(path, name), data)
        for name, data in format.encode(document).items()
    }
    found: Any = format.decode([files.get(name) for name in format.names], path, store.url)
    return cast("T", found)


async def _write_others(store: Store, path: str, files: Mapping[str, bytes]) -> None:
    for name, data in list(files.items())[1:]:
        await store.set(join(path, name), data)


async def write_document(store: Store, path: str, document: AnyDocument) -> None:
    """Write the metadata of a node over what is there; what makes the node comes last."""
    files = format_of(document).encode(document)
    await _write_others(store, path, files)
    name, data = next(iter(files.items()))
    await store.set(join(path, name), data)
