"""What the cores of arrays and groups share: a place in a store, a document, attributes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from zarrstore.abc import Capability, Store
from zarrstore.errors import ConflictError, NodeNotFoundError
from zarrstore.format.documents import METADATA_KEY, Document, decode, encode, plain_attributes
from zarrstore.keys import join
from zarrstore.redaction import join_url

__all__ = ["NodeCore", "not_found", "read_document"]

_RETRIES = 100


@dataclass(eq=False)
class NodeCore:
    """What arrays and groups share: a place in a store, and a document."""

    store: Store
    path: str
    document: Document

    @property
    def url(self) -> str:
        """The store's URL with the node's path."""
        return join_url(self.store.url, self.path)

    @property
    def name(self) -> str:
        """The path with a ``/`` before it."""
        return f"/{self.path}"

    @property
    def key(self) -> str:
        """The key of the document."""
        return join(self.path, METADATA_KEY)

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
        """Change the stored attributes, on top of what others changed meanwhile."""
        swaps = Capability.COMPARE_AND_SWAP in self.store.capabilities
        for _ in range(_RETRIES):
            stat = await self.store.stat(self.key) if swaps else None
            document = await read_document(self.store, self.path)
            if not isinstance(document, type(self.document)):
                raise not_found(self.store, self.path, "array or group")
            edited = msgspec.structs.replace(document, attributes=edit(document.attributes))
            try:
                await self.store.set(
                    self.key, encode(edited), expect=None if stat is None else stat.version
                )
            except ConflictError:
                continue
            self.document = edited
            return
        raise ConflictError(
            f"{self.key!r} in {self.store.url} was changed by others {_RETRIES} times in a row; "
            "try again",
            store=self.store.url,
            key=self.key,
        )


def not_found(store: Store, path: str, kind: str) -> NodeNotFoundError:
    """Make the error of a path where there is nothing of a kind."""
    return NodeNotFoundError(
        f"no {kind} at {join_url(store.url, path)}; check the path, or create it",
        store=store.url,
        key=path,
    )


async def read_document(store: Store, path: str) -> Document | None:
    """Return the metadata document at a path, or ``None``."""
    key = join(path, METADATA_KEY)
    data = await store.get(key)
    return None if data is None else decode(data, key, store.url)
