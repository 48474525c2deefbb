"""`AsyncGroup`: a group in a store, asynchronous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from zarrstore.chunks import Progress
from zarrstore.errors import KeyNotFoundError
from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.copying import move_node
from zarrstore.hierarchy.faces import AsyncFace, Face, loaded_data
from zarrstore.hierarchy.formats import AnyGroupDocument
from zarrstore.hierarchy.group_core import GroupCore
from zarrstore.hierarchy.group_facts import group_facts, group_listing, group_tree
from zarrstore.hierarchy.info import Info, group_info
from zarrstore.hierarchy.likes import data_options
from zarrstore.hierarchy.options import ArrayOptions, CreateOptions, StorageOptions
from zarrstore.hierarchy.progress import reporting
from zarrstore.hierarchy.tree import Tree

__all__ = ["AsyncGroup", "GroupProperties", "async_face"]


class GroupProperties(Face[GroupCore]):
    """What is known of a group without reading more."""

    @property
    def metadata(self) -> AnyGroupDocument:
        """The metadata document."""
        return self._core.document

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The version of the format: 2 or 3."""
        return self._core.document.zarr_format

    @property
    def info(self) -> Info:
        """What is known of the group, as a table; `info_complete` looks into the store too."""
        return group_info(group_facts(self._core, type(self).__name__))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core.url}>"

    def _missing(self, name: str) -> KeyNotFoundError:
        url = self._core.url
        return KeyNotFoundError(f"no array or group {name!r} in {url}", store=url, key=name)


class AsyncGroup(GroupProperties, AsyncFace[GroupCore]):
    """A group in a store, for coroutines under asyncio or trio.

    Made by the functions of `zarrstore.aio`. Usable from several event loops. The methods are
    those of `Group`; ``getitem``, ``setitem``, ``delitem`` and ``contains`` stand for ``[]`` and
    ``in``.

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
        found = await self._run(self._core.get, name)
        if found is None:
            raise self._missing(name)
        return async_face(found)

    async def get(self, name: str, default: Any = None) -> Any:
        """Return the array or group of a name, or ``default``."""
        found = await self._run(self._core.get, name)
        return default if found is None else async_face(found)

    async def get_array(self, path: str) -> AsyncArray:
        """Return the array of a name: see `Group.get_array`."""
        return AsyncArray(await self._run(self._core.get_array, path))

    async def get_group(self, path: str) -> AsyncGroup:
        """Return the group of a name: see `Group.get_group`."""
        return AsyncGroup(await self._run(self._core.get_group, path))

    async def contains(self, name: str) -> bool:
        """Tell whether there is an array or group of a name."""
        return await self._run(self._core.contains, name)

    async def setitem(self, name: str, value: Any) -> None:
        """Replace what has a name by an array of some data."""
        options = await loaded_data(data_options(value, self._core.format.version))
        await self._run(self._core.create_array, name, options, True)

    async def delitem(self, name: str) -> None:
        """Delete an array or group and everything below it."""
        if not await self._run(self._core.delete, name):
            raise self._missing(name)

    async def keys(self) -> list[str]:
        """Return the names one level below, sorted: see `Group.keys`."""
        return await self._run(self._core.names)

    async def values(self) -> list[AsyncArray | AsyncGroup]:
        """Return the nodes one level below, sorted by name."""
        return [each for _, each in await self.members()]

    async def items(self) -> list[tuple[str, AsyncArray | AsyncGroup]]:
        """Return the nodes one level below with their names, sorted."""
        return await self.members()

    async def members(self, max_depth: int | None = 0) -> list[tuple[str, AsyncArray | AsyncGroup]]:
        """Return the nodes below with their paths, sorted: see `Group.members`."""
        found = await self._run(self._core.members, max_depth)
        return [(name, async_face(each)) for name, each in found]

    async def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below: see `members`."""
        return await self._run(self._core.count, max_depth)

    async def arrays(self) -> list[tuple[str, AsyncArray]]:
        """Return the arrays one level below with their names, sorted."""
        members = await self.members()
        return [(name, each) for name, each in members if isinstance(each, AsyncArray)]

    async def array_keys(self) -> list[str]:
        """Return the names of the arrays one level below, sorted."""
        return [name for name, _ in await self.arrays()]

    async def array_values(self) -> list[AsyncArray]:
        """Return the arrays one level below, sorted by name."""
        return [each for _, each in await self.arrays()]

    async def groups(self) -> list[tuple[str, AsyncGroup]]:
        """Return the groups one level below with their names, sorted."""
        members = await self.members()
        return [(name, each) for name, each in members if isinstance(each, AsyncGroup)]

    async def group_keys(self) -> list[str]:
        """Return the names of the groups one level below, sorted."""
        return [name for name, _ in await self.groups()]

    async def group_values(self) -> list[AsyncGroup]:
        """Return the groups one level below, sorted by name."""
        return [each for _, each in await self.groups()]

    async def create_array(
        self,
        name: str,
        *,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ArrayOptions],
    ) -> AsyncArray:
        """Create an array below this group: see `Group.create_array`."""
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
        """Create a group below this group: see `Group.create_group`."""
        core = await self._run(self._core.create_group, name, attributes, overwrite)
        return AsyncGroup(core)

    async def require_group(self, name: str, overwrite: bool = False) -> AsyncGroup:
        """Return the group of a name; create it if it is missing: see `Group.require_group`."""
        return AsyncGroup(await self._run(self._core.require_group, name, overwrite))

    async def require_groups(self, *names: str) -> tuple[AsyncGroup, ...]:
        """Return the groups of some names; create those that are missing."""
        return tuple([AsyncGroup(c) for c in await self._run(self._core.require_groups, names)])

    async def require_array(
        self,
        name: str,
        *,
        shape: int | Sequence[int],
        exact: bool = False,
        **options: Unpack[CreateOptions],
    ) -> AsyncArray:
        """Return the array of a name; create it if it is missing: see `Group.require_array`."""
        wanted = await loaded_data({**options, "shape": shape})
        return AsyncArray(await self._run(self._core.require_array, name, wanted, exact))

    async def _created(self, name: str, options: Any, overwrite: bool) -> AsyncArray:
        return AsyncArray(await self._run(self._core.create_array, name, options, overwrite))

    async def _created_like(
        self, name: str, data: Any, options: Mapping[str, Any], overwrite: bool
    ) -> AsyncArray:
        return AsyncArray(await self._run(self._core.create_like, name, data, options, overwrite))

    async def empty(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> AsyncArray:
        """Create an array without values below this group: see `zarrstore.empty`."""
        return await self._created(name, {**options, "shape": shape}, overwrite)

    async def zeros(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> AsyncArray:
        """Create an array of zeros below this group: see `zarrstore.zeros`."""
        return await self._created(name, {**options, "shape": shape, "fill_value": 0}, overwrite)

    async def ones(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> AsyncArray:
        """Create an array of ones below this group: see `zarrstore.ones`."""
        return await self._created(name, {**options, "shape": shape, "fill_value": 1}, overwrite)

    async def full(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        fill_value: Any,
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> AsyncArray:
        """Create an array of a value below this group: see `zarrstore.full`."""
        filled = {**options, "shape": shape, "fill_value": fill_value}
        return await self._created(name, filled, overwrite)

    async def empty_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> AsyncArray:
        """Create an array like another below this group: see `zarrstore.empty_like`."""
        return await self._created_like(name, data, options, overwrite)

    async def zeros_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> AsyncArray:
        """Create an array of zeros like another below this group: see `zarrstore.zeros_like`."""
        return await self._created_like(name, data, {**options, "fill_value": 0}, overwrite)

    async def ones_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> AsyncArray:
        """Create an array of ones like another below this group: see `zarrstore.ones_like`."""
        return await self._created_like(name, data, {**options, "fill_value": 1}, overwrite)

    async def full_like(
        self,
        *,
        name: str,
        data: Any,
        fill_value: Any = None,
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> AsyncArray:
        """Create an array of a value like another below this group: see `zarrstore.full_like`."""
        filled = options if fill_value is None else {**options, "fill_value": fill_value}
        return await self._created_like(name, data, filled, overwrite)

    async def move(
        self,
        source: str,
        dest: str,
        *,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
    ) -> None:
        """Move a node below this group to another path below it: see `zarrstore.move`."""
        core = self._core
        paths = core.path_of(source), core.path_of(dest)
        with reporting(progress, f"moving {source}") as callback:
            await self._run(move_node, core.store, *paths, overwrite, callback)
        core.is_changed()

    async def tree(self, level: int | None = None) -> Tree:
        """Return what is below, drawn as a tree: see `Group.tree`."""
        return await self._run(group_tree, self._core, level)

    async def info_complete(self) -> Info:
        """Return what is known of the group, with the numbers of nodes below it."""
        listing = await self._run(group_listing, self._core)
        return group_info(group_facts(self._core, "AsyncGroup"), listing)


@overload
def async_face(core: ArrayCore, *, owns_store: bool = ...) -> AsyncArray: ...
@overload
def async_face(core: GroupCore, *, owns_store: bool = ...) -> AsyncGroup: ...
def async_face(core: ArrayCore | GroupCore, *, owns_store: bool = False) -> AsyncArray | AsyncGroup:
    """Return the asynchronous face of a node."""
    if isinstance(core, ArrayCore):
        return AsyncArray(core, owns_store=owns_store)
    return AsyncGroup(core, owns_store=owns_store)
