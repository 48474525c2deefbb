"""The attributes of a node as a mapping that writes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

__all__ = ["Attributes"]


class Attributes(MutableMapping[str, Any]):
    """The attributes of an array or group; every change is stored at once.

    Made by ``array.attrs`` and ``group.attrs``. Changes made meanwhile by others are kept where
    the store has conditional writes.

    Parameters
    ----------
    read : callable
        Returns the attributes as they were last read or written.
    merge, replace : callable
        Store some, or all.

    Examples
    --------
    >>> import zarrstore
    >>> group = zarrstore.open_group()
    >>> group.attrs["title"] = "Hubble"
    >>> group.attrs.update(year=1995, title="Hubble Deep Field")
    >>> dict(group.attrs)
    {'title': 'Hubble Deep Field', 'year': 1995}
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Any]],
        merge: Callable[[Mapping[str, Any]], object],
        replace: Callable[[Mapping[str, Any]], object],
    ) -> None:
        self._read = read
        self._merge = merge
        self._replace = replace

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._merge({name: value})

    def __delitem__(self, name: str) -> None:
        kept = dict(self._read())
        del kept[name]
        self._replace(kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Merge several attributes, in one write."""
        self._merge(dict(*args, **kwargs))

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes, in one write."""
        self._replace(attributes)

    def clear(self) -> None:
        """Remove all attributes, in one write."""
        self._replace({})

    def asdict(self) -> dict[str, Any]:
        """Return a copy as a dict."""
        return dict(self._read())

    def __repr__(self) -> str:
        return repr(self.asdict())
