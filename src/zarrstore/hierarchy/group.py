"""`Group`: a group in a store, blocking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack, overload

from zarrstore.chunks import Progress
from zarrstore.errors import UnsupportedOperationError
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.async_group import AsyncGroup, GroupProperties, async_face
from zarrstore.hierarchy.copying import move_node
from zarrstore.hierarchy.faces import BlockingFace, loaded_data_here
from zarrstore.hierarchy.group_core import GroupCore
from zarrstore.hierarchy.group_facts import group_facts, group_listing, group_tree
from zarrstore.hierarchy.html_group import group_html
from zarrstore.hierarchy.info import Info, group_info
from zarrstore.hierarchy.likes import data_options
from zarrstore.hierarchy.options import ArrayOptions, CreateOptions, StorageOptions
from zarrstore.hierarchy.progress import reporting
from zarrstore.hierarchy.tree import Tree

__all__ = ["AsyncGroup", "Group", "async_face", "blocking_face"]


class Group(GroupProperties, BlockingFace[GroupCore]):
    """A group in a store: a mapping from paths to arrays and groups.

    Made by `zarrstore.create_group`, `zarrstore.open_group`, `zarrstore.open` and groups.
    Everything is looked up in the store when it is asked for, unless the group was opened with
    its consolidated metadata.

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

    @property
    def async_group(self) -> AsyncGroup:
        """The same group for coroutines; closing it leaves this one open."""
        return AsyncGroup(self._core)

    def __getitem__(self, name: str) -> Array | Group:
        found = self._drive(self._core.get, name)
        if found is None:
            raise self._missing(name)
        return blocking_face(found)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the array or group of a name, or ``default``."""
        found = self._drive(self._core.get, name)
        return default if found is None else blocking_face(found)

    def get_array(self, path: str) -> Array:
        """Return the array of a name.

        Raises
        ------
        NodeNotFoundError
            If there is none, or a group.
        """
        return Array(self._drive(self._core.get_array, path))

    def get_group(self, path: str) -> Group:
        """Return the group of a name.

        Raises
        ------
        NodeNotFoundError
            If there is none, or an array.
        """
        return Group(self._drive(self._core.get_group, path))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._drive(self._core.contains, name)

    def __setitem__(self, name: str, value: Any) -> None:
        options = loaded_data_here(data_options(value, self._core.format.version))
        self._drive(self._core.create_array, name, options, True)

    def __delitem__(self, name: str) -> None:
        if not self._drive(self._core.delete, name):
            raise self._missing(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True

    def keys(self) -> list[str]:
        """Return the names one level below, sorted.

        Raises
        ------
        UnsupportedOperationError
            If the store cannot list, and the group was not opened with consolidated metadata.
        """
        return self._drive(self._core.names)

    def values(self) -> list[Array | Group]:
        """Return the nodes one level below, sorted by name."""
        return [each for _, each in self.members()]

    def items(self) -> list[tuple[str, Array | Group]]:
        """Return the nodes one level below with their names, sorted."""
        return self.members()

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    def members(self, max_depth: int | None = 0) -> list[tuple[str, Array | Group]]:
        """Return the nodes below with their paths, sorted, each before those below it.

        Parameters
        ----------
        max_depth : int or None, default 0
            0 is one level, 1 is two; ``None`` is all.

        Raises
        ------
        MetadataError
            If one of them cannot be opened; `tree` says which ones cannot.
        """
        found = self._drive(self._core.members, max_depth)
        return [(name, blocking_face(each)) for name, each in found]

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of nodes below: see `members`."""
        return self._drive(self._core.count, max_depth)

    def arrays(self) -> list[tuple[str, Array]]:
        """Return the arrays one level below with their names, sorted."""
        return [(name, each) for name, each in self.members() if isinstance(each, Array)]

    def array_keys(self) -> list[str]:
        """Return the names of the arrays one level below, sorted."""
        return [name for name, _ in self.arrays()]

    def array_values(self) -> list[Array]:
        """Return the arrays one level below, sorted by name."""
        return [each for _, each in self.arrays()]

    def groups(self) -> list[tuple[str, Group]]:
        """Return the groups one level below with their names, sorted."""
        return [(name, each) for name, each in self.members() if isinstance(each, Group)]

    def group_keys(self) -> list[str]:
        """Return the names of the groups one level below, sorted."""
        return [name for name, _ in self.groups()]

    def group_values(self) -> list[Group]:
        """Return the groups one level below, sorted by name."""
        return [each for _, each in self.groups()]

    def create_array(
        self,
        name: str,
        *,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
        **options: Unpack[ArrayOptions],
    ) -> Array:
        """Create an array below this group, of its format: see `zarrstore.create_array`."""
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
        """Create a group below this group, of its format: see `zarrstore.create_group`."""
        return Group(self._drive(self._core.create_group, name, attributes, overwrite))

    def require_group(self, name: str, overwrite: bool = False) -> Group:
        """Return the group of a name; create it if it is missing.

        Parameters
        ----------
        name : str
        overwrite : bool, default False
            Whether to delete what is there.

        Raises
        ------
        TypeError
            If there is an array.
        """
        return Group(self._drive(self._core.require_group, name, overwrite))

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Return the groups of some names; create those that are missing."""
        return tuple([Group(core) for core in self._drive(self._core.require_groups, names)])

    def require_array(
        self,
        name: str,
        *,
        shape: int | Sequence[int],
        exact: bool = False,
        **options: Unpack[CreateOptions],
    ) -> Array:
        """Return the array of a name; create it if it is missing.

        Parameters
        ----------
        name : str
        shape : int or sequence of int
        exact : bool, default False
            Whether the dtype must be the same; else that of the array must be one that can be
            cast to it safely.
        **options
            As in `zarrstore.create_array`; but for ``dtype``, used only if it is created.

        Raises
        ------
        TypeError
            If there is an array of another shape or dtype, or a group.

        Examples
        --------
        >>> import zarrstore
        >>> group = zarrstore.open_group()
        >>> group.require_array("a", shape=3, dtype="int8")[0]
        np.int8(0)
        >>> group.require_array("a", shape=3, dtype="int16").dtype
        dtype('int8')
        """
        wanted = loaded_data_here({**options, "shape": shape})
        return Array(self._drive(self._core.require_array, name, wanted, exact))

    def _created(self, name: str, options: Any, overwrite: bool) -> Array:
        return Array(self._drive(self._core.create_array, name, options, overwrite))

    def empty(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> Array:
        """Create an array without values below this group: see `zarrstore.empty`."""
        return self._created(name, {**options, "shape": shape}, overwrite)

    def zeros(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> Array:
        """Create an array of zeros below this group: see `zarrstore.zeros`."""
        return self._created(name, {**options, "shape": shape, "fill_value": 0}, overwrite)

    def ones(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> Array:
        """Create an array of ones below this group: see `zarrstore.ones`."""
        return self._created(name, {**options, "shape": shape, "fill_value": 1}, overwrite)

    def full(
        self,
        *,
        name: str,
        shape: int | Sequence[int],
        fill_value: Any,
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> Array:
        """Create an array of a value below this group: see `zarrstore.full`."""
        return self._created(name, {**options, "shape": shape, "fill_value": fill_value}, overwrite)

    def empty_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> Array:
        """Create an array like another below this group: see `zarrstore.empty_like`."""
        return Array(self._drive(self._core.create_like, name, data, options, overwrite))

    def zeros_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> Array:
        """Create an array of zeros like another below this group: see `zarrstore.zeros_like`."""
        filled = {**options, "fill_value": 0}
        return Array(self._drive(self._core.create_like, name, data, filled, overwrite))

    def ones_like(
        self, *, name: str, data: Any, overwrite: bool = False, **options: Unpack[StorageOptions]
    ) -> Array:
        """Create an array of ones like another below this group: see `zarrstore.ones_like`."""
        filled = {**options, "fill_value": 1}
        return Array(self._drive(self._core.create_like, name, data, filled, overwrite))

    def full_like(
        self,
        *,
        name: str,
        data: Any,
        fill_value: Any = None,
        overwrite: bool = False,
        **options: Unpack[StorageOptions],
    ) -> Array:
        """Create an array of a value like another below this group: see `zarrstore.full_like`."""
        filled = options if fill_value is None else {**options, "fill_value": fill_value}
        return Array(self._drive(self._core.create_like, name, data, filled, overwrite))

    def move(
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
            self._drive(move_node, core.store, *paths, overwrite, callback)
        core.is_changed()

    def tree(self, level: int | None = None) -> Tree:
        """Return what is below, drawn as a tree; a notebook shows it as HTML.

        Parameters
        ----------
        level : int, optional
            The greatest depth: 0 draws the members of this group. All by default.
        """
        return self._drive(group_tree, self._core, level)

    def info_complete(self) -> Info:
        """Return what is known of the group, as a table, with the numbers of nodes below it."""
        listing = self._drive(group_listing, self._core)
        return group_info(group_facts(self._core), listing)

    def _repr_html_(self) -> str:
        try:
            level = 0 if self._core.consolidated is None else None
            return self.tree(level)._repr_html_()
        except UnsupportedOperationError:  # the store cannot list
            return group_html(group_facts(self._core))


@overload
def blocking_face(core: ArrayCore, *, owns_store: bool = ...) -> Array: ...
@overload
def blocking_face(core: GroupCore, *, owns_store: bool = ...) -> Group: ...
def blocking_face(core: ArrayCore | GroupCore, *, owns_store: bool = False) -> Array | Group:
    """Return the blocking face of a node."""
    if isinstance(core, ArrayCore):
        return Array(core, owns_store=owns_store)
    return Group(core, owns_store=owns_store)
