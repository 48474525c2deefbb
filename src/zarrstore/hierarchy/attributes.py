"""The attributes of a node as a mapping that writes through."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from zarrstore.hierarchy.nodes import NodeCore

__all__ = ["Attributes"]


class Attributes(MutableMapping[str, Any]):
    """The attributes of an array or group; every change is stored at once.

    Made by ``array.attrs`` and ``group.attrs``. Changes made meanwhile by others are kept: by any
    process where the store has conditional writes, elsewhere by this process.

    Parameters
    ----------
    node : NodeCore
    drive : callable
        Runs a coroutine function of the node, blocking.

    Examples
    --------
    >>> import zarrstore
    >>> group = zarrstore.open_group()
    >>> group.attrs["title"] = "Hubble"
    >>> group.attrs.update(year=1995, title="Hubble Deep Field")
    >>> dict(group.attrs)
    {'title': 'Hubble Deep Field', 'year': 1995}
    """

    def __init__(self, node: NodeCore, drive: Callable[..., Any]) -> None:
        self._node = node
        self._drive = drive

    def __getitem__(self, name: str) -> Any:
        # a copy: what is changed in place would not be stored
        return copy.deepcopy(self._node.document.attributes[name])

    def __setitem__(self, name: str, value: Any) -> None:
        self._drive(self._node.update_attributes, {name: value})

    def __delitem__(self, name: str) -> None:
        self._drive(self._node.delete_attribute, name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._node.document.attributes))

    def __len__(self) -> int:
        return len(self._node.document.attributes)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Merge several attributes, in one write."""
        self._drive(self._node.update_attributes, dict(*args, **kwargs))

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes, in one write."""
        self._drive(self._node.put_attributes, attributes)

    def clear(self) -> None:
        """Remove all attributes, in one write."""
        self.put({})

    def asdict(self) -> dict[str, Any]:
        """Return a copy as a dict."""
        return self._node.copy_of_attributes()

    def __repr__(self) -> str:
        return repr(self.asdict())
