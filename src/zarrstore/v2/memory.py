"""Stores in this process: `KVStore` over a mapping, `MemoryStore` over dicts in dicts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, ClassVar

from zarrstore.errors import KeyNotFoundError
from zarrstore.registry import make_store
from zarrstore.stores.mapping import MappingStore
from zarrstore.v2.levels import LevelledStore
from zarrstore.v2.store import DimensionSeparator, V2Store, checked_move

__all__ = ["DictStore", "KVStore", "MemoryStore"]


class KVStore(V2Store):
    """A store over a mutable mapping from ``str`` to bytes.

    Parameters
    ----------
    mutablemapping : MutableMapping
        A dict, a store of zarr 2, a zict mapping ... Values may be any bytes-like object; what
        is written is ``bytes``.

    Notes
    -----
    Usable after ``close()``. The pickle opens in this process only: it is never a copy.

    Examples
    --------
    >>> data = {}
    >>> store = KVStore(data)
    >>> store["a/b"] = b"hello"
    >>> data, store.listdir("a")
    ({'a/b': b'hello'}, ['b'])
    """

    _closes: ClassVar[bool] = False

    def __init__(self, mutablemapping: MutableMapping[str, Any]) -> None:
        if not isinstance(mutablemapping, MutableMapping):
            kind = type(mutablemapping).__name__
            raise TypeError(f"mutablemapping is a MutableMapping, not {kind}; see as_v2")
        super().__init__(make_store(mutablemapping))


class MemoryStore(LevelledStore):
    """A store in the memory of this process: a dict for each level of the hierarchy.

    Parameters
    ----------
    root : mapping, optional
        The outermost dict; a new one by default.
    cls : type, default dict
        What the dicts below are made with.
    dimension_separator : {".", "/"}, optional

    Notes
    -----
    A key cannot be a prefix of another: a value takes the place of what was below it. Safe to
    use in several threads, and after ``close()``. The pickle opens in this process only: it is
    never a copy.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store["a/b"] = b"hello"
    >>> store.root, store.listdir("a")
    ({'a': {'b': b'hello'}}, ['b'])
    """

    def __init__(
        self,
        root: MutableMapping[str, Any] | None = None,
        cls: Callable[[], MutableMapping[str, Any]] = dict,
        dimension_separator: DimensionSeparator | None = None,
    ) -> None:
        self._levels = _Levels(cls() if root is None else root, cls)
        super().__init__(MappingStore(self._levels), dimension_separator=dimension_separator)

    @property
    def root(self) -> MutableMapping[str, Any]:
        """The outermost dict."""
        return self._levels.root

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move every key below a path, and one of that name, to another path.

        Raises
        ------
        InvalidKeyError
            If a path is not legal, or the root, or the new one is below the old one.
        KeyNotFoundError
            If there is nothing to move.
        """
        source, target = checked_move(src_path, dst_path)
        if source not in self and self.is_empty(source):
            raise self._missing(source)
        super().rename(source, target)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self._store, type(self), self._dimension_separator)


class DictStore(MemoryStore):
    """The former name of `MemoryStore`.

    Examples
    --------
    >>> isinstance(DictStore(), MemoryStore)
    True
    """


def _same(
    store: MappingStore, cls: type[MemoryStore], separator: DimensionSeparator | None
) -> MemoryStore:
    levels: Any = store._mapping
    return cls(levels.root, levels.kind, separator)


class _Levels(MutableMapping[str, Any]):
    """Dicts in dicts, as one mapping with paths for keys."""

    def __init__(
        self, root: MutableMapping[str, Any], kind: Callable[[], MutableMapping[str, Any]]
    ) -> None:
        self.root = root
        self.kind = kind
        self._lock = threading.Lock()

    def _find(self, key: str) -> tuple[MutableMapping[str, Any], str]:
        """Return the dict that has a value, and its name there."""
        level: Any = self.root
        *above, name = key.split("/")
        for segment in above:
            level = level.get(segment)
            if not isinstance(level, MutableMapping):
                raise KeyError(key)
        if name not in level or isinstance(level[name], MutableMapping):
            raise KeyError(key)
        return level, name

    def __getitem__(self, key: str) -> Any:
        level, name = self._find(key)
        return level[name]

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            level: Any = self.root
            *above, name = key.split("/")
            for segment in above:
                if segment not in level:
                    level[segment] = self.kind()
                level = level[segment]
                if not isinstance(level, MutableMapping):
                    raise KeyNotFoundError(
                        f"{key!r} cannot be written: {segment!r} on the way to it is a value",
                        key=key,
                    )
            level[name] = value

    def __delitem__(self, key: str) -> None:
        with self._lock:
            level, name = self._find(key)
            del level[name]

    def __iter__(self) -> Iterator[str]:
        pending: list[tuple[str, MutableMapping[str, Any]]] = [("", self.root)]
        while pending:
            prefix, level = pending.pop()
            for name, value in list(level.items()):
                if isinstance(value, MutableMapping):
                    pending.append((f"{prefix}{name}/", value))
                else:
                    yield prefix + name

    def __len__(self) -> int:
        return sum(1 for _ in self)
