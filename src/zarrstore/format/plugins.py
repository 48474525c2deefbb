"""Codecs and data types of other packages, found by entry points."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from zarrstore.errors import MetadataError

__all__ = ["Plugins"]

T = TypeVar("T")


class Plugins(Generic[T]):
    """The classes that packages register under a group of entry points, by their names.

    They are looked for when they are first asked for, once in a process.

    Parameters
    ----------
    group : str
        Of entry points.
    member : str
        Of a metadata document, for messages.
    kinds : tuple of type
        A class is a subclass of one of these.
    described : str
        What ``kinds`` are, for messages.
    """

    def __init__(
        self, group: str, member: str, kinds: tuple[type[Any], ...], described: str
    ) -> None:
        self._group = group
        self._member = member
        self._kinds = kinds
        self._described = described
        self._loaded: dict[str, type[T]] = {}

    @functools.cached_property
    def points(self) -> dict[str, dict[str, EntryPoint]]:
        """The entry points by name, and by what they refer to."""
        found: dict[str, dict[str, EntryPoint]] = {}
        for point in entry_points(group=self._group):
            found.setdefault(point.name, {})[point.value] = point
        return found

    def load(self, name: str) -> type[T]:
        """Return the class of a name that is registered.

        Raises
        ------
        MetadataError
            If two packages register the name, or what one registers cannot be loaded or is of
            another kind.
        """
        loaded = self._loaded.get(name)
        if loaded is None:
            loaded = self._loaded[name] = self._load(name)
        return loaded

    def _load(self, name: str) -> type[T]:
        points = self.points[name]
        registered = f"{self._member}: {name!r} is registered as {' and as '.join(sorted(points))}"
        if len(points) > 1:
            raise MetadataError(f"{registered}; uninstall one of the packages")
        (point,) = points.values()
        try:
            loaded = point.load()
        except Exception as error:
            raise MetadataError(f"{registered}, which cannot be loaded: {error!r}") from error
        if not isinstance(loaded, type) or not issubclass(loaded, self._kinds):
            raise MetadataError(f"{registered}, which is no {self._described}")
        return loaded

    def make(self, name: str, constructor: str, *args: str | Mapping[str, Any]) -> T:
        """Call a constructor of the class of a name.

        Raises
        ------
        MetadataError
            As `load`, or if the constructor fails.
        """
        cls = self.load(name)
        try:
            made: T = getattr(cls, constructor)(*args)
            return made
        except MetadataError:
            raise
        except Exception as error:
            raise MetadataError(
                f"{self._member}: {cls.__name__} cannot make {name!r}: {error!r}"
            ) from error
