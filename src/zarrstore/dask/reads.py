"""Whether a graph reads the arrays that it is to write; and when two arrays are one place."""

from __future__ import annotations

import functools
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from zarrstore.abc import Store
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.faces import Face
from zarrstore.redaction import join_url

__all__ = ["place_of", "targets_read"]

_ANYWHERE = "?"
"""The place of a store that may be anywhere."""

_LOCAL = re.compile(r"(?:logging-)*(?:(?:file|local|zip)://)?(?=[/\\]|[A-Za-z]:[/\\])")


def place_of(core: ArrayCore) -> str:
    """Return the place of an array: the same for arrays that hold the same chunks."""
    return _place(_joined(_url_of(core.store) or core.store.url, core.path))


def targets_read(graph: Mapping[Any, Any], targets: Iterable[ArrayCore]) -> set[str]:
    """Return the URLs of those arrays that a graph which is to write them may read.

    Found are arrays, groups and stores, and paths and URLs, in the arguments of tasks, in lazy
    arrays, and in what functions refer to. What a function opens by a name that it makes up is not.

    Parameters
    ----------
    graph : mapping
        Materialised: what reads is a value in it, or an argument of a task.
    targets : iterable of ArrayCore
    """
    wanted: dict[str, set[str]] = {}
    for core in targets:
        for name in (_ANYWHERE, *_with_parents(place_of(core))):
            wanted.setdefault(name, set()).add(core.url)
    found: set[str] = set()
    if wanted:
        look = _Look(frozenset(name.rpartition("/")[2] for name in wanted))
        for value in graph.values():
            for place in look.at(value):
                found |= wanted.get(place, set())
    return found


def _with_parents(place: str) -> Iterator[str]:
    """Yield a place, and those that it is in, without the root of all."""
    while place.partition("://")[2] if "://" in place else place.strip("/"):
        yield place
        place = place.rpartition("/")[0]


@functools.lru_cache(4096)
def _place(url: str) -> str:
    local = _LOCAL.match(url)
    if local:
        return os.path.realpath(url[local.end() :])
    return url.rstrip("/")


def _joined(url: str, path: str) -> str:
    return join_url(url, path) if path else url


def _url_of(store: Any) -> str | None:
    """Return the URL of a store, of zarr-python too; ``None`` if nobody knows it."""
    if isinstance(store, Store):
        inner = getattr(store, "zarr_store", None)
        return store.url if inner is None else _url_of(inner)
    inner = getattr(store, "store", None) or getattr(store, "_store", None)
    if isinstance(inner, Store) or hasattr(inner, "supports_writes"):
        return _url_of(inner)
    kind = type(store).__name__
    if kind == "FsspecStore":
        return str(store.fs.unstrip_protocol(store.path))
    return str(store) if kind in ("LocalStore", "MemoryStore", "ZipStore") else None


def _node_place(store: Any, path: str) -> str:
    url = _url_of(store)
    return _ANYWHERE if url is None else _place(_joined(url, path.strip("/")))


_OPAQUE = (
    *(bytes, int, float, slice, type, type(None), types.ModuleType),
    *(np.ndarray, np.generic, np.dtype),
)
_PARTS = ("func", "dsk", "args", "kwargs", "keywords", "value", "array", "data", "x", "_array")
"""Where tasks, partial functions and wrappers of lazy arrays keep what they are made of."""

_GLOBALS_OF = 2
"""So deep are functions followed to functions of other names."""


class _Look:
    """Looks for places in what tasks are made of; at each thing once."""

    def __init__(self, tails: frozenset[str]) -> None:
        self._tails = tails
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # an identity is of use only as long as the thing lives

    def at(self, value: Any, deep: int = _GLOBALS_OF) -> Iterator[str]:
        """Yield the places of what is part of a value."""
        if isinstance(value, str):
            if ("/" in value or value in self._tails) and "\0" not in value:
                yield _place(value if "://" in value else os.path.realpath(value))
            return
        if isinstance(value, _OPAQUE) or id(value) in self._seen:
            return
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, tuple | list | set | frozenset):
            for item in value:
                yield from self.at(item, deep)
            return
        self._seen.add(id(value))
        self._kept.append(value)
        place = _own_place(value)
        if place is not None:
            yield place
            return
        for part in _parts(value, deep):
            yield from self.at(part, deep - isinstance(value, types.FunctionType))


def _own_place(value: Any) -> str | None:
    """Return the place of a node, a store or a path; ``None`` if something is none of them."""
    if isinstance(value, Face):
        return _node_place(value.store, value.path)
    if isinstance(value, Store) or hasattr(type(value), "supports_writes"):
        return _node_place(value, "")
    if isinstance(value, os.PathLike):
        return _place(os.path.realpath(value))
    if hasattr(type(value), "store_path") or "store_path" in getattr(value, "__dict__", ()):
        return _node_place(value.store_path.store, value.store_path.path)  # of zarr-python
    return None


def _parts(value: Any, deep: int) -> list[Any]:
    """Return what a thing is made of: what is kept, not computed when asked for."""
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.BuiltinFunctionType):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        return list(_named(value)) if deep > 0 else []
    kept = getattr(value, "__dict__", None) or {}
    cls: Any = type(value)
    names = [*_slots_of(cls), *[name for name in _PARTS if name in kept]]
    return [getattr(value, name) for name in names if hasattr(value, name)]


@functools.lru_cache(1024)
def _slots_of(cls: Any) -> list[str]:
    slots = [vars(each).get("__slots__", ()) for each in cls.__mro__]
    names = {name for each in slots for name in ([each] if isinstance(each, str) else each)}
    return [name for name in _PARTS if name in names]


def _named(function: types.FunctionType) -> Iterator[Any]:
    """Yield what a function refers to: defaults, what it encloses, global names, constants."""
    yield from (function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        yield from [each for each in code.co_consts if isinstance(each, str)]
        known = function.__globals__
        yield from [known[name] for name in code.co_names if name in known]
