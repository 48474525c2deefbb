"""Consolidated metadata: the documents of all nodes below a group, kept with the group's own.

Written and read as zarr-python does: within ``zarr.json`` in Zarr v3
(https://github.com/zarr-developers/zarr-specs/pull/309), in ``.zmetadata`` in Zarr v2.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from zarrstore.abc import Store
from zarrstore.errors import MetadataError
from zarrstore.format.documents import (
    METADATA_KEY,
    GroupDocument,
    as_stored,
    decode_consolidated,
    invalid,
    parse,
)
from zarrstore.format.documents_v2 import ATTRIBUTES_KEY
from zarrstore.hierarchy.formats import (
    CONSOLIDATED_KEY,
    V2,
    V3,
    AnyDocument,
    AnyGroupDocument,
    NodeFormat,
    format_of,
)
from zarrstore.keys import is_key, join
from zarrstore.operations import Buffer
from zarrstore.redaction import join_url

__all__ = ["Snapshot", "consolidated_v2", "consolidated_v3", "read_snapshot", "without_snapshot"]

_MEMBER = "consolidated_metadata"

Node: TypeAlias = AnyDocument | dict[str, Any]


class Snapshot:
    """The nodes below a group as they were when its metadata was consolidated.

    Parameters
    ----------
    base : str
        The path of the group.
    nodes : mapping
        By path below the group, the document of each node, or its JSON by names of keys: see
        `NodeFormat.files`.
    node_format : NodeFormat
    store : str
        The URL of the store, for messages.
    """

    def __init__(
        self, base: str, nodes: dict[str, Node], node_format: NodeFormat, store: str
    ) -> None:
        self.is_stale = False
        """Whether something below the group was changed through it since."""
        self._prefix = f"{base}/" if base else ""
        self._nodes = nodes
        self._format = node_format
        self._store = store
        self._below: dict[str, list[str]] = {}
        for path in sorted(nodes):
            parent, _, name = path.rpartition("/")
            self._below.setdefault(parent, []).append(name)

    def document(self, path: str) -> AnyDocument | None:
        """Return the document of the node at a path in the store, ``None`` if there is none.

        Raises
        ------
        MetadataError
            If it is not valid.
        """
        relative = self._relative(path)
        found = self._nodes.get(relative)
        if not isinstance(found, dict):
            return found
        document = self._format.document(found, path, self._store)
        if document is not None:
            self._nodes[relative] = document
        return document

    def documents(self, paths: Sequence[str]) -> list[AnyDocument | MetadataError | None]:
        """Return what `document` does for each path; for what is not valid, the error."""
        found: list[AnyDocument | MetadataError | None] = []
        for path in paths:
            try:
                found.append(self.document(path))
            except MetadataError as error:
                found.append(error)
        return found

    def has(self, path: str) -> bool:
        """Tell whether there is a node at a path in the store."""
        return self._relative(path) in self._nodes

    def names(self, path: str) -> list[str]:
        """Return the names of the nodes one level below a path in the store, sorted."""
        return self._below.get(self._relative(path), [])

    def _relative(self, path: str) -> str:
        return path[len(self._prefix) :]


async def read_snapshot(
    store: Store, path: str, document: AnyGroupDocument, *, required: bool
) -> Snapshot | None:
    """Return the consolidated metadata of a group, ``None`` if there is none.

    Raises
    ------
    MetadataError
        If it is not valid, or is ``required`` and not there.
    """
    if isinstance(document, GroupDocument):
        key = join(path, METADATA_KEY)
        found = document.consolidated_metadata
        nodes = None if found is None else _nodes_v3(found, key, store.url)
    else:
        key = join(path, CONSOLIDATED_KEY)
        data = await store.get(key)
        nodes = None if data is None else _nodes_v2(parse(data, key, store.url), key, store.url)
    if nodes is not None:
        return Snapshot(path, nodes, format_of(document), store.url)
    if required:
        raise MetadataError(
            f"{join_url(store.url, path)} has no consolidated metadata; write it with "
            "consolidate_metadata, or open the group without use_consolidated=True",
            store=store.url,
            key=path,
        )
    return None


def _nodes_v3(data: Buffer, key: str, store: str) -> dict[str, Node] | None:
    documents = decode_consolidated(data)
    if documents is not None:
        for path in documents:
            _check_path(path, key, store)
        return dict(documents)
    found = parse(data, key, store)
    if found is None:
        return None
    if not isinstance(found, dict) or found.get("kind") != "inline":
        raise _not_valid(key, store, f"{_MEMBER}.kind must be 'inline'")
    nodes = found.get("metadata")
    if not isinstance(nodes, dict):
        raise _not_valid(key, store, f"{_MEMBER}.metadata must be an object")
    for path in nodes:
        _check_path(path, key, store)
    return {path: {V3.names[0]: raw} for path, raw in nodes.items()}


def _nodes_v2(found: Any, key: str, store: str) -> dict[str, Node]:
    nodes: dict[str, dict[str, Any]] = {}
    entries = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(entries, dict) or found.get("zarr_consolidated_format") != 1:
        raise _not_valid(
            key, store, "zarr_consolidated_format must be 1, and metadata must be an object"
        )
    for entry, raw in entries.items():
        path, _, name = entry.rpartition("/")
        if name in V2.names and path:  # the group's own stand beside it, and are newer
            _check_path(path, key, store)
            nodes.setdefault(path, {})[name] = raw
    return {path: raw for path, raw in nodes.items() if raw.keys() & set(V2.node_names)}


def _check_path(path: str, key: str, store: str) -> None:
    if not is_key(path):
        raise _not_valid(key, store, f"{_MEMBER}: {path!r} is no path of a node")


def _not_valid(key: str, store: str, why: str) -> MetadataError:
    return invalid(key, store, 2 if key.endswith(CONSOLIDATED_KEY) else 3, MetadataError(why))


def _sorted(nodes: Mapping[str, AnyDocument]) -> list[tuple[str, AnyDocument]]:
    """Return nodes in the order in which zarr-python writes them."""

    def order(item: tuple[str, AnyDocument]) -> tuple[int, str, str]:
        path = item[0]
        return path.count("/"), unicodedata.normalize("NFKC", path).casefold(), path

    return sorted(nodes.items(), key=order)


def consolidated_v3(document: GroupDocument, nodes: Mapping[str, AnyDocument]) -> GroupDocument:
    """Return the document of a group with those of the nodes below it in it."""
    metadata: dict[str, Any] = {}
    for path, node in _sorted(nodes):
        raw = V3.files(node)[V3.names[0]]
        if isinstance(node, GroupDocument):
            raw[_MEMBER] = _inline({})
        metadata[path] = raw
    return GroupDocument(
        zarr_format=3,
        node_type="group",
        attributes=document.attributes,
        consolidated_metadata=as_stored(_inline(metadata)),
        extra=document.extra,
    )


def _inline(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "inline", "must_understand": False, "metadata": metadata}


def consolidated_v2(document: AnyGroupDocument, nodes: Mapping[str, AnyDocument]) -> dict[str, Any]:
    """Return the JSON of ``.zmetadata``."""
    metadata: dict[str, Any] = {}
    for path, node in [("", document), *_sorted(nodes)]:
        for name, raw in {ATTRIBUTES_KEY: {}, **V2.files(node)}.items():
            metadata[join(path, name)] = raw
    return {"metadata": metadata, "zarr_consolidated_format": 1}


def without_snapshot(document: AnyDocument) -> AnyDocument:
    """Return a document without what is consolidated in it."""
    if isinstance(document, GroupDocument) and document.consolidated_metadata is not None:
        return msgspec.structs.replace(document, consolidated_metadata=None)
    return document
