"""`Group` and `AsyncGroup`: a group in a store, blocking and asynchronous."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Unpack, overload

from zarrstore.chunks import Progress
from zarrstore.errors import KeyNotFoundError, MetadataError
from zarrstore.format.documents import GroupDocument
from zarrstore.hierarchy.array import Array, AsyncArray
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.core import GroupCore, NodeOrError
from zarrstore.hierarchy.faces import (
    AsyncFace,
    BlockingFace,
    Face,
    loaded_data,
    loaded_data_here,
)
from zarrstore.hierarchy.options import ArrayOptions
from zarrstore.hierarchy.progress import reporting

__all__ = ["AsyncGroup", "Group", "async_face", "blocking_face"]


class _GroupFacts(Face[GroupCore]):
    """What is known of a group without reading more."""

    @property
    def metadata(self) -> GroupDocument:
        """The metadata document."""
        return self._core.document

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.url}>"

    def _missing(self, name: str) -> KeyNotFoundError:
        url = self._core.url
        return KeyNotFoundError(f"no array or group {name!r} in {url}", store=url, key=name)


def _drawn(root: str, nodes: list[tuple[int, str, NodeOrError]]) -> str:
    """Draw nodes, given in order with their depth, as a tree of lines."""
    lines: list[str] = []
    open_below: set[int] = set()
    for depth, name, node in reversed(nodes):
        bars = "".join("│   " if level in open_below else "    " for level in range(depth))
        elbow = "├── " if depth in open_below else "└── "
        open_below = {level for level in open_below if level < depth} | {depth}
        lines.append(f"{bars}{elbow}{name if name.isprintable() else repr(name)}{_facts(node)}")
    return "\n".join([root, *reversed(lines)])


def _facts(node: NodeOrError) -> str:
    if isinstance(node, ArrayCore):
        return f" {node.spec.shape} {node.spec.dtype.name}"
    if isinstance(node, MetadataError):
        return f" (cannot be opened: {node.__cause__ or node})"
    return ""


class Group(_GroupFacts, BlockingFace[GroupCore]):
    """A group in a store: a mapping from paths to arrays and groups.

    Made by `zarrstore.create_group`, `zarrstore.open_group`, `zarrstore.open` and groups.

    Examples
    --------
    >>> import zarrstore
    >>> group = zarrstore.open_group()
    >>> array = group.create_array("a/b", shape=3, dtype="int8")
    >>> "a/b" in group, sorted(group), group["a/b"][:]
    (True, ['a'], array([0, 0, 0], dtype=int8))
    >>> print(group.tree())
    /
    └── a
        └── b (3,) int8
    """

    def __getitem__(self, name: str) -> Array | Group:
        node = self._drive(self._core.get, name)
        if node is None:
            raise self._missing(name)
        return blocking_face(node)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the array or group of a name, or ``default``."""
        node = self._drive(self._core.get, name)
        return default if node is None else blocking_face(node)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._drive(self._core.contains, name)

    def __delitem__(self, name: str) -> None:
        if not self._drive(self._core.delete, name):
            raise self._missing(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return the names one level below, sorted."""
        return self._drive(self._core.names)

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    def members(self) -> list[tuple[str, Array | Group]]:
        """Return the nodes one level below, with their names, sorted."""
        return [(name, blocking_face(node)) for name, node in self._drive(self._core.members)]

    def create_array(
        self,
        name: str,
        *,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ArrayOptions],
    ) -> Array:
        """Create an array below this group: see `zarrstore.create_array`."""
        options = loaded_data_here(options)
        with reporting(progress, f"writing {name}") as callback:
            core = self._drive(self._core.create_array, name, options, overwrite, callback)
        return Array(core)

    def create_group(
        self,
        name: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Group:
        """Create a group below this group: see `zarrstore.create_group`."""
        return Group(self._drive(self._core.create_group, name, attributes, overwrite))

    def tree(self) -> str:
        """Return everything below, drawn as a tree."""
        return _drawn(self.name, self._drive(self._core.walk))


class AsyncGroup(_GroupFacts, AsyncFace[GroupCore]):
    """A group in a store, for coroutines under asyncio or trio.

    Made by the functions of `zarrstore.aio`. Usable from several event loops.

    Examples
    --------
    >>> import asyncio
    >>> from zarrstore import aio
    >>> async def main():
    ...     group = await aio.open_group()
    ...     await group.create_array("a", shape=3, dtype="int8")
    ...     return await group.keys()
    >>> asyncio.run(main())
    ['a']
    """

    async def getitem(self, name: str) -> AsyncArray | AsyncGroup:
        """Return the array or group of a name.

        Raises
        ------
        KeyNotFoundError
            If there is none.
        """
        node = await self._run(self._core.get, name)
        if node is None:
            raise self._missing(name)
        return async_face(node)

    async def get(self, name: str, default: Any = None) -> Any:
        """Return the array or group of a name, or ``default``."""
        node = await self._run(self._core.get, name)
        return default if node is None else async_face(node)

    async def contains(self, name: str) -> bool:
        """Tell whether there is an array or group of a name."""
        return await self._run(self._core.contains, name)

    async def delitem(self, name: str) -> None:
        """Delete an array or group and everything below it."""
        if not await self._run(self._core.delete, name):
            raise self._missing(name)

    async def keys(self) -> list[str]:
        """Return the names one level below, sorted."""
        return await self._run(self._core.names)

    async def members(self) -> list[tuple[str, AsyncArray | AsyncGroup]]:
        """Return the nodes one level below, with their names, sorted."""
        return [(name, async_face(node)) for name, node in await self._run(self._core.members)]

    async def create_array(
        self,
        name: str,
        *,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ArrayOptions],
    ) -> AsyncArray:
        """Create an array below this group: see `zarrstore.create_array`."""
        options = await loaded_data(options)
        with reporting(progress, f"writing {name}") as callback:
            core = await self._run(self._core.create_array, name, options, overwrite, callback)
        return AsyncArray(core)

    async def create_group(
        self,
        name: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> AsyncGroup:
        """Create a group below this group: see `zarrstore.create_group`."""
        core = await self._run(self._core.create_group, name, attributes, overwrite)
        return AsyncGroup(core)

    async def tree(self) -> str:
        """Return everything below, drawn as a tree."""
        return _drawn(self.name, await self._run(self._core.walk))


@overload
def blocking_face(core: ArrayCore, *, owns_store: bool = ...) -> Array: ...
@overload
def blocking_face(core: GroupCore, *, owns_store: bool = ...) -> Group: ...
def blocking_face(core: ArrayCore | GroupCore, *, owns_store: bool = False) -> Array | Group:
    """Return the blocking face of a node."""
    if isinstance(core, ArrayCore):
        return Array(core, owns_store=owns_store)
    return Group(core, owns_store=owns_store)


@overload
def async_face(core: ArrayCore, *, owns_store: bool = ...) -> AsyncArray: ...
@overload
def async_face(core: GroupCore, *, owns_store: bool = ...) -> AsyncGroup: ...
def async_face(core: ArrayCore | GroupCore, *, owns_store: bool = False) -> AsyncArray | AsyncGroup:
    """Return the asynchronous face of a node."""
    if isinstance(core, ArrayCore):
        return AsyncArray(core, owns_store=owns_store)
    return AsyncGroup(core, owns_store=owns_store)
