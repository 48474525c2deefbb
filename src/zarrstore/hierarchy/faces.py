"""What the blocking and the asynchronous face of a node share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, Self, TypeVar

import numpy as np

from zarrstore.abc import Store
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.attributes import Attributes
from zarrstore.hierarchy.nodes import NodeCore
from zarrstore.hierarchy.options import ArrayOptions
from zarrstore.runtime import CALLER, WORKERS, Home, is_inline

__all__ = [
    "AsyncFace",
    "BlockingFace",
    "Face",
    "loaded",
    "loaded_data",
    "loaded_data_here",
    "loaded_here",
    "working_home",
]

T = TypeVar("T")
N = TypeVar("N", bound=NodeCore)


def working_home(store: Store) -> Home:
    """Return where to await work on a store that may keep a processor busy.

    A store that never blocks is used in the caller's thread; decoding for it is not.
    """
    return WORKERS if store._home is CALLER else store._home


class Face(Generic[N]):
    """A node as users see it, blocking or asynchronous."""

    def __init__(self, core: N, *, owns_store: bool = False) -> None:
        self._core = core
        self._owns_store = owns_store

    @property
    def store(self) -> Store:
        """The store that holds the node."""
        return self._core.store

    @property
    def path(self) -> str:
        """The path in the store, without ``/`` at its ends; ``""`` is the root."""
        return self._core.path

    @property
    def name(self) -> str:
        """The path with a ``/`` before it."""
        return self._core.name

    @property
    def basename(self) -> str:
        """The last segment of the path."""
        return self._core.path.rpartition("/")[2]

    @property
    def read_only(self) -> bool:
        """Whether writing raises `ReadOnlyError`."""
        return self._core.store.read_only

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Face) or type(other) is not type(self):
            return NotImplemented
        return self.store == other.store and self.path == other.path

    def __hash__(self) -> int:
        return hash((type(self), self.store, self.path))


class BlockingFace(Face[N]):
    """A node whose methods block."""

    def _drive(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        return self._core.store._home.drive(function, *args)

    @property
    def attrs(self) -> Attributes:
        """The attributes, as a mapping that writes through."""
        return Attributes(self._core, self._drive)

    def update_attributes(self, attributes: Mapping[str, Any]) -> Self:
        """Merge attributes into the stored ones, in one write; return this node."""
        self._drive(self._core.update_attributes, attributes)
        return self

    def close(self) -> None:
        """Close the store, if it was opened for this node; a store that was given stays open."""
        if self._owns_store:
            self._core.store.sync.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncFace(Face[N]):
    """A node whose methods are coroutines."""

    async def _run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        return await working_home(self._core.store).run(function, *args)

    @property
    def attrs(self) -> dict[str, Any]:
        """A copy of the attributes; `update_attributes` changes them."""
        return self._core.copy_of_attributes()

    async def update_attributes(self, attributes: Mapping[str, Any]) -> Self:
        """Merge attributes into the stored ones, in one write; return this node."""
        await self._run(self._core.update_attributes, attributes)
        return self

    async def close(self) -> None:
        """Close the store, if it was opened for this node; a store that was given stays open."""
        if self._owns_store:
            await self._core.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _is_lazy(value: Any) -> bool:
    """Tell whether numpy would have a value load itself: an array in a store, of dask ..."""
    return hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic)


def loaded_here(value: Any) -> Any:
    """Return a value that loads itself as a numpy array, in this thread; others as they are.

    Before the work on a store begins: on its I/O loop nothing could be loaded, and what is
    replaced could not be read any more.
    """
    return np.asarray(value) if _is_lazy(value) else value


async def loaded(value: Any) -> Any:
    """Return what `loaded_here` does, for a coroutine that must not be held up."""
    if is_inline():
        return loaded_here(value)
    if isinstance(value, Face) and isinstance(value._core, ArrayCore):
        return await working_home(value.store).run(value._core.read)
    if not _is_lazy(value):
        return value

    async def load() -> Any:
        return np.asarray(value)

    return await WORKERS.run(load)


def loaded_data_here(options: ArrayOptions) -> ArrayOptions:
    """Return options for an array with their ``data`` loaded."""
    return {**options, "data": loaded_here(options["data"])} if "data" in options else options


async def loaded_data(options: ArrayOptions) -> ArrayOptions:
    """Return what `loaded_data_here` does, for a coroutine."""
    return {**options, "data": await loaded(options["data"])} if "data" in options else options
