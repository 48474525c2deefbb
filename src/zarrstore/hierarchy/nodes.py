"""What the cores of arrays and groups share: a place in a store, a document, attributes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from zarrstore.abc import Store
from zarrstore.errors import NodeNotFoundError
from zarrstore.format.documents import dumps, plain_attributes
from zarrstore.hierarchy.consolidated import Snapshot
from zarrstore.hierarchy.formats import AnyDocument, NodeFormat, format_of
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.updating import Expect, until_no_conflict

__all__ = ["NodeCore", "not_found"]


@dataclass(eq=False)
class NodeCore:
    """What arrays and groups share: a place in a store, and a document."""

    store: Store
    path: str
    document: Any
    """One of `AnyDocument`; of a new shape or with new attributes it is another object."""
    snapshot: Snapshot | None = field(default=None, kw_only=True)
    """The consolidated metadata that this node was found in."""

    @property
    def url(self) -> str:
        """The store's URL with the node's path."""
        return join_url(self.store.url, self.path)

    @property
    def name(self) -> str:
        """The path with a ``/`` before it."""
        return f"/{self.path}"

    @property
    def format(self) -> NodeFormat:
        """What the version of the format makes of a node."""
        return format_of(self.document)

    def copy_of_attributes(self) -> dict[str, Any]:
        """Return the attributes as they were last read or written, for the caller to keep."""
        return copy.deepcopy(self.document.attributes)

    async def update_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Merge attributes into the stored ones."""
        new = plain_attributes(attributes)
        await self._edit_attributes(lambda stored: {**stored, **new})

    async def put_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes."""
        new = plain_attributes(attributes)
        await self._edit_attributes(lambda _: new)

    async def delete_attribute(self, name: str) -> None:
        """Remove one of the stored attributes; `KeyError` if there is none of that name."""

        def without(stored: dict[str, Any]) -> dict[str, Any]:
            kept = dict(stored)
            del kept[name]
            return kept

        await self._edit_attributes(without)

    async def _edit_attributes(self, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def edited(document: AnyDocument) -> AnyDocument:
            return msgspec.structs.replace(document, attributes=edit(document.attributes))

        await self._edit(edited, self.format.attributes_name(self.document))

    async def edit_document(self, edit: Callable[[Any], Any]) -> None:
        """Change the stored document (but for its attributes), as `update_attributes` does.

        Parameters
        ----------
        edit : callable
            Is given the document as it is stored, and returns what it becomes. Called again if
            another has changed it meanwhile.
        """
        await self._edit(edit, self.format.node_name(self.document))

    async def _edit(self, edit: Callable[[Any], Any], name: str) -> None:
        """Change the part of the document that a key holds, on top of what others changed."""
        key = join(self.path, name)

        async def attempt(expect: Expect) -> None:
            document = await self.format.read(self.store, self.path)
            if document is None or document.node_type != self.document.node_type:
                raise not_found(self.store, self.path, self.document.node_type)
            edited = edit(document)
            data = dumps(self.format.files(edited).get(name, {}))
            await self.store.set(key, data, expect=expect)
            self.document = edited

        await until_no_conflict(self.store, key, attempt)
        if self.snapshot is not None:
            self.snapshot.is_stale = True


def not_found(store: Store, path: str, kind: str) -> NodeNotFoundError:
    """Make the error of a path where there is nothing of a kind."""
    return NodeNotFoundError(
        f"no {kind} at {join_url(store.url, path)}; check the path, or create it",
        store=store.url,
        key=path,
    )
