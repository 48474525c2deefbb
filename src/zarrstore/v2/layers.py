"""Stores over another store: `LRUStoreCache` and `ConsolidatedMetadataStore`."""

from __future__ import annotations

from typing import ClassVar

from zarrstore.errors import KeyNotFoundError
from zarrstore.registry import StoreLike
from zarrstore.stores.wrappers.cache import CacheStore
from zarrstore.stores.wrappers.consolidated import ConsolidatedStore
from zarrstore.v2.functions import normalize_store_arg
from zarrstore.v2.store import V2Store

__all__ = ["ConsolidatedMetadataStore", "LRUStoreCache"]


class LRUStoreCache(V2Store):
    """A store that keeps what was read from another one for the next time.

    Parameters
    ----------
    store
        Any store or mapping.
    max_size : int or None
        How many bytes of values are kept at most; with ``None`` there is no limit. What was
        used longest ago makes room.

    Notes
    -----
    What others write to the store below is not noticed until it is invalidated. A pickle opens
    with an empty cache. Usable after ``close()``, which leaves the store below open, too.

    Examples
    --------
    >>> cache = LRUStoreCache({"a": b"hello"}, max_size=2**20)
    >>> cache["a"], cache["a"], cache.hits, cache.misses
    (b'hello', b'hello', 1, 1)
    >>> cache.invalidate_values()
    >>> cache["a"]
    b'hello'
    """

    _closes: ClassVar[bool] = False

    def __init__(self, store: StoreLike, max_size: int | None) -> None:
        below = normalize_store_arg(store)
        super().__init__(
            CacheStore(below._below, max_bytes=max_size),
            dimension_separator=below.dimension_separator,
        )

    @property
    def _cache(self) -> CacheStore:
        assert isinstance(self._store, CacheStore)
        return self._store

    @property
    def hits(self) -> int:
        """How many reads needed nothing of the store below, in this process."""
        return self._cache.statistics.hits

    @property
    def misses(self) -> int:
        """How many reads did."""
        return self._cache.statistics.misses

    def invalidate(self) -> None:
        """Forget everything."""
        self._cache.invalidate()

    def invalidate_values(self) -> None:
        """Forget values."""
        self._cache.invalidate_values()

    def invalidate_keys(self) -> None:
        """Forget which keys there are."""
        self._cache.invalidate_keys()


class ConsolidatedMetadataStore(V2Store):
    """A store whose metadata comes from one document, which was written for it; read only.

    Parameters
    ----------
    store
        Any store or mapping.
    metadata_key : str, default ".zmetadata"

    Raises
    ------
    KeyNotFoundError
        If there is no such document.
    MetadataError
        If it is not valid.

    Notes
    -----
    Documents are bytes, as in any store. What is no metadata comes from the store below.

    Examples
    --------
    >>> import zarrstore
    >>> data = {}
    >>> group = zarrstore.create_group(data, zarr_format=2)
    >>> zarrstore.consolidate_metadata(data)
    <Group memory://...>
    >>> ConsolidatedMetadataStore(data)[".zgroup"]
    b'{"zarr_format":2}'
    """

    _closes: ClassVar[bool] = False

    def __init__(self, store: StoreLike, metadata_key: str = ".zmetadata") -> None:
        below = normalize_store_arg(store)
        if not below.exists(metadata_key):
            raise KeyNotFoundError(
                f"there is no {metadata_key!r} in {below.url}: consolidate_metadata writes it",
                store=below.url,
                key=metadata_key,
            )
        super().__init__(
            ConsolidatedStore(below._below, metadata_key=metadata_key, read_only=True),
            dimension_separator=below.dimension_separator,
        )
        self.exists(metadata_key)  # what is not valid is said now
