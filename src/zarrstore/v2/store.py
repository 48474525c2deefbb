"""`V2Store`: what every class of `zarrstore.v2` shares, and `as_v2`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias, cast

from zarrstore.abc import Capability, Store
from zarrstore.errors import InvalidKeyError, UnsupportedOperationError
from zarrstore.fan_out import map_bounded
from zarrstore.keys import join
from zarrstore.listable import Listable
from zarrstore.registry import StoreLike, make_store
from zarrstore.stores.wrappers.nested import NestedStore
from zarrstore.sync import SyncStore
from zarrstore.v2.keys import ARRAY_KEY

__all__ = ["DimensionSeparator", "V2Store", "as_v2", "checked_move", "normalize_path", "restored"]

DimensionSeparator: TypeAlias = Literal[".", "/"]

_WRITERS_MODULE = "zarr._storage.store"
_METADATA_MODULE = "zarr.meta"


def normalize_path(path: str | bytes | None = None) -> str:
    """Return the path of a node or key without needless slashes; ``""`` is the root.

    Raises
    ------
    InvalidKeyError
        If a segment is ``.`` or ``..``.

    Examples
    --------
    >>> normalize_path("/a//b/"), normalize_path(None)
    ('a/b', '')
    """
    text = path.decode("ascii") if isinstance(path, bytes) else str(path or "")
    segments = [segment for segment in text.replace("\\", "/").split("/") if segment]
    if "." in segments or ".." in segments:
        raise InvalidKeyError(f"invalid path {path!r}: a segment is not '.' or '..'", key=text)
    return "/".join(segments)


class V2Store(SyncStore):
    """A store as zarr 2 knows it: a mutable mapping with a few methods more.

    Parameters
    ----------
    store : Store
        What does the work. Opening this mapping with `zarrstore.open_store`, or giving it to
        any function here, uses that store itself.
    dimension_separator : {".", "/"}, optional
        What zarr 2, and `init_array`, put between the numbers in the key of a chunk of an array
        that does not say.

    Notes
    -----
    It has the blocking methods of a store, too: see `SyncStore`. As a mapping, ``in`` is false
    for what cannot be a key; anything else that is done with one raises `InvalidKeyError`, which
    is a ``ValueError``. The pickle opens the same data, and keeps ``dimension_separator``.

    To zarr 2 it is a store of its own kind, which it uses without a wrapper: it reads and
    writes many chunks at a time.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> store = V2Store(MemoryStore())
    >>> store["a/b"] = b"hello"
    >>> store.listdir(), store.getsize("a"), "a/b" in store
    (['a'], 5, True)
    >>> store.rename("a", "c")
    >>> dict(store)
    {'c/b': b'hello'}
    """

    _closes: ClassVar[bool] = True
    """Whether ``close()`` releases anything; otherwise the store can be used after it."""

    def __init__(
        self, store: Store, *, dimension_separator: DimensionSeparator | None = None
    ) -> None:
        super().__init__(store)
        if dimension_separator not in (None, ".", "/"):
            raise ValueError(f"dimension_separator is '.' or '/', not {dimension_separator!r}")
        self._dimension_separator = dimension_separator

    @property
    def dimension_separator(self) -> DimensionSeparator | None:
        """What stands between the numbers in the key of a chunk, if that is set."""
        return self._dimension_separator

    @property
    def store(self) -> Listable:
        """What a function of this package uses in the place of this mapping.

        With ``dimension_separator="/"`` it has that for the arrays that do not say, too.
        """
        return NestedStore(self._below) if self._dimension_separator == "/" else self._store

    @property
    def _below(self) -> Store:
        """The store that this mapping is a face of."""
        return cast("Store", self._store)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self._store, self.__dict__)

    @property
    def _store_version(self) -> int:
        """Read by zarr 2 before it looks whether this is one of its stores."""
        base = _of_zarr2(_WRITERS_MODULE, "BaseStore")
        if base is not None:
            base.register(V2Store)
        return 2

    @property
    def _metadata_class(self) -> Any:
        """Read by zarr 2, to which it belongs."""
        found = _of_zarr2(_METADATA_MODULE, "Metadata2")
        if found is None:
            raise AttributeError("_metadata_class is for zarr 2, which is not imported")
        return found

    def is_readable(self) -> bool:
        """Tell whether values can be read; always true."""
        return Capability.READ in self.capabilities

    def is_writeable(self) -> bool:
        """Tell whether values can be written."""
        return Capability.WRITE in self.capabilities

    def is_erasable(self) -> bool:
        """Tell whether keys can be deleted."""
        return Capability.DELETE in self.capabilities

    def is_listable(self) -> bool:
        """Tell whether keys can be listed."""
        return Capability.LIST in self.capabilities

    def __contains__(self, key: object) -> bool:
        try:
            return super().__contains__(key)
        except InvalidKeyError:
            return False

    def _contiguous(self, value: Any) -> Any:
        return _buffer(value)

    def getitems(
        self, keys: Iterable[str], *, contexts: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the values of those keys that are there, read at once.

        Parameters
        ----------
        keys : iterable of str
        contexts : mapping, optional
            Given by zarr 2; not used.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> V2Store(MemoryStore({"a": b"1"})).getitems(["a", "b"])
        {'a': b'1'}
        """
        del contexts
        wanted = list(keys)
        found = zip(wanted, self.get_many(wanted), strict=True)
        return {key: value for key, value in found if value is not None}

    def setitems(self, values: Mapping[str, Any]) -> None:
        """Write many values at once."""
        self.set_many([(key, _buffer(value)) for key, value in values.items()])

    def delitems(self, keys: Iterable[str]) -> None:
        """Delete many keys at once; those that are not there are passed over."""
        self._drive(_delete, self._store, list(keys))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write many values at once, from mappings, pairs or keywords."""
        self.setitems(dict(*args, **kwargs))

    def listdir(self, path: str | None = None) -> list[str]:
        """Return the names one level below a path, sorted; none if there is nothing there.

        Of an array whose chunks lie in directories, ``dimension_separator="/"``, the keys of
        the chunks (``"0/0"``) stand in the place of those directories.
        """
        start = normalize_path(path)
        names = sorted(self.list_dir(start))
        if self._dimension_separator != "/" or ARRAY_KEY not in names:
            return names
        found: list[str] = []
        for name in names:
            place = join(start, name)
            below = [key[len(place) :] for key in self.list_prefix(place)]
            found += [name + rest for rest in below] if name.isdecimal() and below else [name]
        return sorted(found)

    def rmdir(self, path: str | None = None) -> None:
        """Delete every key below a path, by default all. A key of that name stays."""
        self.delete_dir(normalize_path(path))

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move every key below a path, and one of that name, to another path.

        Values are copied, then deleted: a reader meanwhile may see both.

        Raises
        ------
        InvalidKeyError
            If a path is not legal, or the root, or the new one is below the old one.
        """
        source, target = checked_move(src_path, dst_path)
        self._drive(_move, self._store, source, target)

    def getsize(self, path: str | None = None) -> int:
        """Return the size of a value in bytes, or of the values right below a path together.

        Not of what is deeper, as in zarr 2: `getsize_prefix` counts all. 0 if there is nothing.
        """
        return self._drive(_size, self._store, normalize_path(path))

    def close(self) -> None:
        """Release what the store holds."""
        if self._closes:
            super().close()

    def __enter__(self) -> Self:
        return self


def as_v2(
    store: StoreLike = None, *, dimension_separator: DimensionSeparator | None = None
) -> V2Store:
    """Return any store as zarr 2 knows it: a mutable mapping with ``listdir``, ``rmdir`` ...

    Parameters
    ----------
    store : optional
        Whatever `zarrstore.open_store` accepts.
    dimension_separator : {".", "/"}, optional

    Raises
    ------
    StoreURLError, TypeError
        As from `zarrstore.open_store`.

    Examples
    --------
    >>> import zarrstore
    >>> store = as_v2(zarrstore.MemoryStore())
    >>> zarrstore.create_array(store, name="a", shape=4, dtype="i4", zarr_format=2)
    <Array memory://.../a shape=(4,) dtype=int32>
    >>> sorted(store), store.listdir("a")
    (['.zgroup', 'a/.zarray'], ['.zarray'])
    """
    return V2Store(make_store(store), dimension_separator=dimension_separator)


def restored(cls: type[V2Store], store: Store, state: dict[str, Any]) -> V2Store:
    """Return what was pickled."""
    found = cls.__new__(cls)
    SyncStore.__init__(found, store)
    found.__dict__.update(state)
    return found


def _of_zarr2(module: str, name: str) -> Any:
    """Return what a module of zarr 2 has by a name, ``None`` if that is not imported."""
    return getattr(sys.modules.get(module), name, None)


def _buffer(value: Any) -> Any:
    """Return a value as something C-contiguous, which zarr 2 does not promise.

    Arrays may be in Fortran order, which is then the order of a chunk; numpy lends no buffer
    of times. What is no buffer at all is left to the store to refuse.
    """
    if type(value) is bytes:
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m"):
        value = value.view("i8")
    try:
        view = memoryview(value)
    except (TypeError, ValueError):
        return value
    if view.f_contiguous and not view.c_contiguous:
        return view.tobytes(order="F")
    return value


def checked_move(src_path: str, dst_path: str) -> tuple[str, str]:
    source, target = normalize_path(src_path), normalize_path(dst_path)
    if not source or not target:
        raise InvalidKeyError("the root cannot be moved, nor anything to it", key="")
    if f"{target}/".startswith(f"{source}/"):
        raise InvalidKeyError(f"{source!r} cannot be moved to itself or below itself", key=source)
    return source, target


async def _delete(store: Store, keys: Sequence[str]) -> None:
    await map_bounded(store.delete, keys)


async def _move(store: Store, source: str, target: str) -> None:
    if not {Capability.LIST, Capability.WRITE, Capability.DELETE} <= set(store.capabilities):
        raise UnsupportedOperationError(
            f"{store.url} cannot list, write and delete, which renaming needs", store=store.url
        )
    keys = [key async for key in store.list_prefix(source)]

    async def copy(key: str) -> None:
        value = await store.get(key)
        if value is not None:
            await store.set(target + key[len(source) :], value)

    await map_bounded(copy, [*keys, source])
    await map_bounded(store.delete, [*keys, source])


async def _size(store: Store, path: str) -> int:
    async def size(key: str) -> int:
        there = await store.stat(key)
        return 0 if there is None else there.size

    if path:
        there = await store.stat(path)
        if there is not None:
            return there.size
    names = [name async for name in store.list_dir(path)]
    return sum(await map_bounded(size, [join(path, name) for name in names]))
