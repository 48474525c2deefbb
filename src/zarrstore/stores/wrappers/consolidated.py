"""`ConsolidatedStore`: all metadata from one document, chunks from the store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NoReturn

from zarrstore.abc import Store
from zarrstore.errors import MetadataError, ReadOnlyError
from zarrstore.keys import check_key, is_key, join
from zarrstore.operations import Buffer
from zarrstore.stores._translating import TranslatingStore

__all__ = ["ConsolidatedStore"]

_CONSOLIDATED = ".zmetadata"
_V2 = (".zarray", ".zgroup", ".zattrs")
_V3 = "zarr.json"
_MEMBER = "consolidated_metadata"


class ConsolidatedStore(TranslatingStore):
    """Answer for metadata documents from one that holds them all, for chunks from a store.

    Parameters
    ----------
    store : Store
        Its ``.zmetadata`` (Zarr v2), or the ``consolidated_metadata`` in its ``zarr.json``
        (Zarr v3), is read at the first use, once.
    metadata_key : str, default ".zmetadata"
        Another key for the document of Zarr v2.
    read_only : bool, default False
        Whether chunks, too, cannot be changed.

    Raises
    ------
    MetadataError
        At the first use, if there is no consolidated metadata, or it is not valid.
    ReadOnlyError
        If a metadata document is to be changed: change it in the store below, consolidate again,
        and open it anew.

    Notes
    -----
    Documents that are not consolidated are missing here, whatever the store has. Each group has
    its part of the consolidated metadata, so that any of them opens without a listing.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> metadata = b'{"zarr_consolidated_format": 1, "metadata": {".zgroup": {"zarr_format": 2}}}'
    >>> store = ConsolidatedStore(MemoryStore({".zmetadata": metadata, "a/.zgroup": b"{}"}))
    >>> store.sync[".zgroup"], store.sync.get("a/.zgroup")
    (b'{"zarr_format":2}', None)
    """

    def __init__(
        self, store: Store, *, metadata_key: str = _CONSOLIDATED, read_only: bool = False
    ) -> None:
        super().__init__(store, read_only=read_only)
        self._metadata_key = check_key(metadata_key)
        self._documents: _Documents | None = None

    @property
    def metadata_key(self) -> str:
        """The key of the consolidated metadata of Zarr v2."""
        return self._metadata_key

    def _location(self) -> dict[str, Any]:
        return {"store": self._inner, "metadata_key": self._metadata_key}

    def _is_virtual(self, key: str) -> bool:
        name = key.rpartition("/")[2]
        return name in _V2 or name in (_V3, _CONSOLIDATED) or key == self._metadata_key

    async def _loaded(self) -> _Documents:
        if self._documents is None:
            keys = [self._metadata_key, _V3]
            v2, v3 = await self._inner.get_many(keys)
            self._documents = _Documents(self._metadata_key, v2, v3, self.url)
        return self._documents

    async def _virtual(self, keys: Sequence[str]) -> list[Buffer | None]:
        documents = await self._loaded()
        return [documents.get(key) for key in keys]

    async def _exists(self, key: str) -> bool:
        if self._is_virtual(key):
            return key in (await self._loaded()).keys
        return await self._inner.exists(key)

    def _refuse(self, what: str, key: str) -> NoReturn:
        raise ReadOnlyError(
            f"cannot {what} {key!r} in {self.url}: it is consolidated metadata here, which is "
            "read-only; change it in the store below, consolidate again, and open it anew",
            store=self.url,
            key=key,
        )

    async def _set_virtual(self, key: str, value: Any, expect: Any) -> NoReturn:  # noqa: ARG002
        self._refuse("write", key)

    async def _delete_virtual(self, key: str) -> NoReturn:
        self._refuse("delete", key)

    async def _set_many(self, items: Sequence[tuple[str, Any]]) -> None:
        for key, _ in items:
            if self._is_virtual(key):
                self._refuse("write", key)
        await self._inner.set_many(items)

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        def checked() -> Iterable[tuple[str, Any]]:
            for key, value in items:
                if self._is_virtual(key):
                    self._refuse("write", key)
                yield key, value

        await self._inner.set_each(checked())

    async def _delete_dir(self, prefix: str) -> None:
        if below := (await self._loaded()).below(prefix):
            self._refuse("delete", below[0])
        await self._inner.delete_dir(prefix)

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        for key in (await self._loaded()).below(prefix):
            yield key
        async for key in self._inner.list_prefix(prefix):
            if not self._is_virtual(key):
                yield key

    async def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        start = len(prefix)
        below = (await self._loaded()).below(prefix)
        names = dict.fromkeys(key[start:].partition("/")[0] for key in below)
        for name in names:
            yield name
        async for name in self._inner.list_dir(prefix):
            if name not in names and not self._is_virtual(prefix + name):
                yield name


class _Documents:
    """The documents of consolidated metadata, by key; each encoded when it is asked for."""

    def __init__(self, key: str, v2: Buffer | None, v3: Buffer | None, store: str) -> None:
        self._key = key
        self._store = store
        self._encoded: dict[str, bytes] = {}
        self._v2 = {} if v2 is None else self._members_v2(bytes(v2))
        self._v3 = {} if v3 is None else self._members_v3(bytes(v3))
        if not self._encoded:
            raise self._invalid(
                f"there is neither {key!r} nor {_MEMBER} in {_V3!r}; write it with "
                "consolidate_metadata"
            )
        groups = [path for path, docs in self._v2.items() if ".zgroup" in docs]
        self.keys = {join(path, name) for path, docs in self._v2.items() for name in docs}
        self.keys |= {join(path, _V3) for path in self._v3}
        self.keys |= {join(path, _CONSOLIDATED) for path in groups}
        self.keys |= set(self._encoded)

    def _invalid(self, why: str) -> MetadataError:
        return MetadataError(
            f"no valid consolidated metadata in {self._store}: {why}", store=self._store
        )

    def _parsed(self, key: str, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._invalid(f"{key!r} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise self._invalid(f"{key!r} is no JSON object")
        return found

    def _entries(self, key: str, found: Any) -> dict[str, Any]:
        entries = found.get("metadata")
        if not isinstance(entries, dict):
            raise self._invalid(f"metadata in {key!r} is no object")
        for name, entry in entries.items():
            if not is_key(name) or not isinstance(entry, dict):
                raise self._invalid(f"{name!r} in {key!r} is no document at a path")
        return entries

    def _members_v2(self, data: bytes) -> dict[str, dict[str, Any]]:
        """Return the documents of Zarr v2 by path, then by name."""
        found = self._parsed(self._key, data)
        if found.get("zarr_consolidated_format") != 1:
            raise self._invalid(f"zarr_consolidated_format in {self._key!r} is not 1")
        members: dict[str, dict[str, Any]] = {}
        for key, document in self._entries(self._key, found).items():
            path, _, name = key.rpartition("/")
            if name in _V2:
                members.setdefault(path, {})[name] = document
        self._encoded[self._key] = data
        return members

    def _members_v3(self, data: bytes) -> dict[str, Any]:
        """Return the documents of Zarr v3 by path."""
        found = self._parsed(_V3, data)
        inline = found.get(_MEMBER)
        if inline is None:
            return {}
        if not isinstance(inline, dict) or inline.get("kind") != "inline":
            raise self._invalid(f"{_MEMBER}.kind in {_V3!r} is not 'inline'")
        self._encoded[_V3] = data
        return self._entries(_V3, inline)

    def below(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, sorted."""
        return sorted(key for key in self.keys if key.startswith(prefix))

    def get(self, key: str) -> bytes | None:
        """Return the document at a key."""
        if key not in self.keys:
            return None
        found = self._encoded.get(key)
        if found is None:
            text = json.dumps(self._document(key), separators=(",", ":"))
            found = self._encoded[key] = text.encode()
        return found

    def _document(self, key: str) -> dict[str, Any]:
        path, _, name = key.rpartition("/")
        prefix = f"{path}/" if path else ""
        start = len(prefix)
        if name == _V3:
            document = self._v3[path]
            if document.get("node_type") != "group":
                return dict(document)
            below = {
                each[start:]: member for each, member in self._v3.items() if each.startswith(prefix)
            }
            inline = {"kind": "inline", "must_understand": False, "metadata": below}
            return {**document, _MEMBER: inline}
        if name != _CONSOLIDATED:
            return dict(self._v2[path][name])
        nodes = {each: docs for each, docs in self._v2.items() if f"{each}/".startswith(prefix)}
        below = {
            join(each, name)[start:]: document
            for each, docs in nodes.items()
            for name, document in docs.items()
        }
        return {"metadata": below, "zarr_consolidated_format": 1}
