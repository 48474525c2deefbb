"""What differs between the nodes of Zarr v3 and of Zarr v2: which keys hold what."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from zarrstore.abc import Store
from zarrstore.errors import MetadataError
from zarrstore.format.documents import (
    METADATA_KEY,
    ArrayDocument,
    Document,
    GroupDocument,
    decode,
    dumps,
    from_json,
    parse,
    to_json,
)
from zarrstore.format.documents_v2 import (
    ARRAY_KEY,
    ATTRIBUTES_KEY,
    GROUP_KEY,
    ArrayDocumentV2,
    DocumentV2,
    GroupDocumentV2,
    from_json_v2,
    to_json_v2,
)
from zarrstore.keys import join
from zarrstore.operations import Buffer

__all__ = [
    "CONSOLIDATED_KEY",
    "FORMATS",
    "RESERVED_NAMES",
    "V2",
    "V3",
    "AnyArrayDocument",
    "AnyDocument",
    "AnyGroupDocument",
    "NodeFormat",
    "ZarrFormat",
    "check_format",
    "format_of",
    "read_document",
    "read_documents",
]

ZarrFormat: TypeAlias = Literal[2, 3]
AnyArrayDocument: TypeAlias = ArrayDocument | ArrayDocumentV2
AnyGroupDocument: TypeAlias = GroupDocument | GroupDocumentV2
AnyDocument: TypeAlias = Document | DocumentV2

CONSOLIDATED_KEY = ".zmetadata"
"""Where Zarr v2 keeps the consolidated metadata of a group."""

RESERVED_NAMES = frozenset([METADATA_KEY, ARRAY_KEY, GROUP_KEY, ATTRIBUTES_KEY, CONSOLIDATED_KEY])
"""Names of keys that hold metadata, and so are no names of nodes."""


class NodeFormat(ABC):
    """A version of the format, as far as nodes are concerned."""

    version: ClassVar[ZarrFormat]
    names: ClassVar[tuple[str, ...]]
    """Of the keys that hold a node's metadata."""
    node_names: ClassVar[tuple[str, ...]]
    """Of the keys of which one makes a node; it is written last."""

    @abstractmethod
    def document(self, found: Mapping[str, Any], path: str, store: str) -> AnyDocument | None:
        """Return the document of a node from its parsed JSON, ``None`` if it is no node."""

    @abstractmethod
    def files(self, document: Any) -> dict[str, dict[str, Any]]:
        """Return the JSON of a document by names of keys, the one that makes the node first."""

    @abstractmethod
    def attributes_name(self, document: Any) -> str:
        """Return the name of the key that holds the attributes."""

    @abstractmethod
    def group(self, attributes: dict[str, Any]) -> AnyGroupDocument:
        """Return the document of a new group."""

    def node_name(self, document: Any) -> str:
        """Return the name of the key that makes the node."""
        return next(iter(self.files(document)))

    def encode(self, document: Any) -> dict[str, bytes]:
        """Return what is stored of a document, by names of keys: see `files`."""
        return {name: dumps(raw) for name, raw in self.files(document).items()}

    def decode(self, values: Sequence[Buffer | None], path: str, store: str) -> AnyDocument | None:
        """Return the document of a node from what is stored at `names`."""
        found = {
            name: parse(value, join(path, name), store)
            for name, value in zip(self.names, values, strict=True)
            if value is not None
        }
        return self.document(found, path, store)

    async def read(self, store: Store, path: str) -> AnyDocument | None:
        """Return the document of the node at a path, ``None`` if there is none.

        Raises
        ------
        MetadataError
        """
        if len(self.names) == 1:
            values = [await store.get(join(path, self.names[0]))]
        else:
            values = await store.get_many([join(path, name) for name in self.names])
        return self.decode(values, path, store.url)

    async def exists(self, store: Store, path: str) -> bool:
        """Tell whether there is a node at a path, whether or not it can be opened."""
        for name in self.node_names:
            if await store.exists(join(path, name)):
                return True
        return False


class _FormatV3(NodeFormat):
    version = 3
    names = (METADATA_KEY,)
    node_names = names

    def document(self, found: Mapping[str, Any], path: str, store: str) -> Document | None:
        if METADATA_KEY not in found:
            return None
        return from_json(found[METADATA_KEY], join(path, METADATA_KEY), store)

    def decode(self, values: Sequence[Buffer | None], path: str, store: str) -> Document | None:
        (data,) = values
        return None if data is None else decode(data, join(path, METADATA_KEY), store)

    def files(self, document: Document) -> dict[str, dict[str, Any]]:
        return {METADATA_KEY: to_json(document)}

    def attributes_name(self, document: Document) -> str:  # noqa: ARG002
        return METADATA_KEY

    def group(self, attributes: dict[str, Any]) -> GroupDocument:
        return GroupDocument(zarr_format=3, node_type="group", attributes=attributes)


class _FormatV2(NodeFormat):
    version = 2
    names = (ARRAY_KEY, GROUP_KEY, ATTRIBUTES_KEY)
    node_names = (ARRAY_KEY, GROUP_KEY)

    def document(self, found: Mapping[str, Any], path: str, store: str) -> DocumentV2 | None:
        return from_json_v2(found, path, store)

    def files(self, document: DocumentV2) -> dict[str, dict[str, Any]]:
        return to_json_v2(document)

    def attributes_name(self, document: DocumentV2) -> str:  # noqa: ARG002
        return ATTRIBUTES_KEY

    def group(self, attributes: dict[str, Any]) -> GroupDocumentV2:
        return GroupDocumentV2(zarr_format=2, attributes=attributes)


V3: NodeFormat = _FormatV3()
V2: NodeFormat = _FormatV2()
FORMATS: tuple[NodeFormat, ...] = (V3, V2)
"""In the order in which a node is looked for."""


def format_of(document: AnyDocument) -> NodeFormat:
    """Return the format of a document."""
    return V3 if document.zarr_format == 3 else V2


def check_format(zarr_format: Any) -> None:
    """Raise `ValueError` unless a format is 2, 3, or ``None`` for either."""
    if zarr_format not in (2, 3, None) or isinstance(zarr_format, bool):
        raise ValueError(f"zarr_format is 2, 3 or None, not {zarr_format!r}")


def _formats(zarr_format: int | None) -> list[NodeFormat]:
    check_format(zarr_format)
    return [each for each in FORMATS if zarr_format in (each.version, None)]


async def read_document(
    store: Store, path: str, zarr_format: int | None = None
) -> AnyDocument | None:
    """Return the metadata of the node at a path, ``None`` if there is none.

    Without a format Zarr v3 is looked for first, in one request, then Zarr v2.

    Raises
    ------
    MetadataError
        If it is not valid.
    """
    for each in _formats(zarr_format):
        document = await each.read(store, path)
        if document is not None:
            return document
    return None


async def read_documents(
    store: Store, paths: Sequence[str], zarr_format: int | None = None
) -> list[AnyDocument | MetadataError | None]:
    """Return what `read_document` does for each path; for what is not valid, the error."""
    url = store.url
    found: list[AnyDocument | MetadataError | None] = [None] * len(paths)
    for each in _formats(zarr_format):
        missing = [index for index, document in enumerate(found) if document is None]
        if not missing:
            break
        keys = [join(paths[index], name) for index in missing for name in each.names]
        values = await store.get_many(keys)
        size = len(each.names)
        for at, index in enumerate(missing):
            try:
                parts = values[at * size : (at + 1) * size]
                found[index] = each.decode(parts, paths[index], url)
            except MetadataError as error:
                found[index] = error
    return found
