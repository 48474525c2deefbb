"""`MappingStore`: any mutable mapping from ``str`` to bytes as a store."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from zarrstore.abc import BlockingStore

__all__ = ["MappingStore"]


class MappingStore(BlockingStore):
    """Read and write through a mutable mapping: an object of zarr 2, zict, fsspec or yours.

    Parameters
    ----------
    mapping : MutableMapping
        From ``str`` to any bytes-like object. Its methods may block; they are called from
        several threads at once if the store is used so.
    read_only : bool, default False

    Notes
    -----
    Whether a write is atomic, and whether a reader sees it at once, is the mapping's to keep.
    The pickle opens in this process only; a mapping with a store of its own should be opened
    by its URL or path.

    Examples
    --------
    >>> from collections import OrderedDict
    >>> mapping = OrderedDict()
    >>> MappingStore(mapping).sync["a"] = b"1"
    >>> dict(mapping)
    {'a': b'1'}
    """

    _delete_tells = True

    def __init__(self, mapping: MutableMapping[str, Any], *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        if not isinstance(mapping, MutableMapping):
            raise TypeError(f"mapping is a MutableMapping, not {type(mapping).__name__}")
        self._mapping = mapping

    @property
    def url(self) -> str:
        return f"<{type(self._mapping).__name__} at {id(self._mapping):#x}>"

    def _identity(self) -> object:
        return id(self._mapping)

    def _get(self, key: str) -> Any:
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        # what belongs to the mapping may change
        return value if type(value) is bytes else memoryview(value).tobytes()

    def _exists(self, key: str) -> bool:
        return key in self._mapping

    def _set(self, key: str, value: bytes) -> None:
        self._mapping[key] = value

    def _delete(self, key: str) -> bool:
        try:
            del self._mapping[key]
        except KeyError:
            return False
        return True

    def _list(self, prefix: str) -> Iterator[str]:
        for key in list(self._mapping):
            if isinstance(key, str) and key.startswith(prefix):
                yield key
