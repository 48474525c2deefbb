"""The store: subclass `BlockingStore` or `Store`, and write a few hooks.

A backend that blocks subclasses `BlockingStore` and writes plain functions; one that is
asynchronous subclasses `Store` and writes coroutines. ``_get``, ``_set``, ``_delete`` and
``_list`` are enough: ranges, batches, listing one level, deleting a prefix, the blocking face
and the mapping follow. Without one of them the store lacks that capability. The other hooks of
`zarrstore.readable`, `zarrstore.writable` and `zarrstore.listable` make it faster.

>>> class DictStore(BlockingStore):
...     def __init__(self):
...         self.data = {}
...     def _get(self, key):
...         return self.data.get(key)
...     def _set(self, key, value):
...         self.data[key] = value
...     def _delete(self, key):
...         self.data.pop(key, None)
...     def _list(self, prefix):
...         return [key for key in list(self.data) if key.startswith(prefix)]
>>> store = DictStore()
>>> store.sync["a/b"] = b"hello"
>>> store.sync.get("a/b", RangeByteRequest(0, 4)), list(store.sync.list_dir())
(b'hell', ['a'])
"""

from __future__ import annotations

import functools
import inspect
import os
import uuid
import weakref
from typing import Any, Self, TypeVar

from zarrstore.byte_range import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import NotShareableError, ReadOnlyError, StoreClosedError
from zarrstore.keys import check_key
from zarrstore.listable import Listable
from zarrstore.operations import ABSENT, Absent, Buffer, Capability, Stat, Version
from zarrstore.readable import Readable
from zarrstore.requests import frozen
from zarrstore.runtime import WORKERS, Home, io_loop_home
from zarrstore.sync import SyncStore
from zarrstore.writable import Writable

__all__ = [
    "ABSENT",
    "Absent",
    "BlockingStore",
    "Buffer",
    "Capability",
    "Listable",
    "OffsetByteRequest",
    "RangeByteRequest",
    "Readable",
    "Stat",
    "Store",
    "SuffixByteRequest",
    "Version",
    "Writable",
]

S = TypeVar("S", bound="Store")

_READ, _WRITE, _DELETE = Capability.READ.value, Capability.WRITE.value, Capability.DELETE.value


class Store(Listable):
    """A key-value store: the base of every backend, and of every wrapper.

    A backend whose client is asynchronous subclasses this one and writes its hooks as
    coroutines; one that blocks subclasses `BlockingStore`.

    Parameters
    ----------
    read_only : bool, default False
        Whether every change raises `ReadOnlyError`. A subclass without parameters of its own
        need not call ``__init__``.

    Notes
    -----
    Usable from any thread, from asyncio and trio, from several event loops one after another or
    at once, and after a fork. Hooks that are coroutines run on one event loop that the package
    owns, whoever calls, so a client made in one of them serves every caller.

    Stores are equal if they have the same class, location and ``read_only``. A pickle opens the
    same location; of data that lives in one process it opens there only, and raises
    `NotShareableError` anywhere else.

    Examples
    --------
    >>> class Squares(Store):
    ...     async def _get(self, key):
    ...         return str(int(key) ** 2).encode() if key.isdecimal() else None
    >>> Squares().sync.get_many(["3", "12", "x"])
    [b'9', b'144', None]
    """

    _home: Home = io_loop_home

    def __init__(self, *, read_only: bool = False) -> None:
        self._read_only = read_only

    @property
    def url(self) -> str:
        """The store's URL, credentials redacted; for a store without one, a name."""
        return f"<{type(self).__name__} at {id(self._view_of or self):#x}>"

    @property
    def sync(self) -> SyncStore:
        """The blocking face of this store, which is a mutable mapping as well.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> sync = MemoryStore().sync
        >>> sync["a"] = b"1"
        >>> sync.get("a"), dict(sync)
        (b'1', {'a': b'1'})
        """
        return SyncStore(self)

    def _close(self) -> Any:
        """Release what the store holds. Called once; a coroutine where the store is async."""

    def _location(self) -> dict[str, Any] | None:
        """Return the arguments that open the same data in any process.

        ``None``, the default, says that the data lives in this process: the store compares by
        identity, and its pickle opens in this process only.
        """
        return None

    def _check_open(self) -> None:
        if self._closed or (self._view_of is not None and self._view_of._closed):
            raise StoreClosedError(
                f"{type(self).__name__} {self.url} is closed; open it again", store=self.url
            )

    async def close(self) -> None:
        """Release what the store holds. Closing again does nothing; any other use raises.

        Closing a view made by `with_read_only` does not close the store it views.
        """
        if self._closed:
            return
        self._closed = True
        self._allowed = 0
        if self._view_of is None:
            await self._home.run(self._close_now)

    async def _close_now(self) -> None:
        result = self._close()
        if result is not None:
            await result

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return a view of the same data that is read-only, or not.

        Closing a view does not close this store; a view of a closed store is closed.

        Parameters
        ----------
        read_only : bool, default True

        Raises
        ------
        ReadOnlyError
            If a writable view is asked of a store that was opened read-only.

        Examples
        --------
        >>> from zarrstore.stores.memory import MemoryStore
        >>> view = MemoryStore({"a": b"1"}).with_read_only()
        >>> view.read_only, view.sync["a"]
        (True, b'1')
        """
        self._check_open()
        target: Any = self._view_of or self
        if target._read_only and not read_only:
            raise ReadOnlyError(
                f"{self.url} was opened read-only; open it again without read_only",
                store=self.url,
            )
        view = type(self).__new__(type(self))
        view.__dict__.update(target.__dict__)
        view._view_of = target
        view._read_only = read_only
        view._possible, view._allowed = None, 0
        return view

    def __repr__(self) -> str:
        flag = ", read_only=True" if self._read_only else ""
        return f"{type(self).__name__}({self.url!r}{flag})"

    @property
    def capabilities(self) -> Capability:
        """What this store can do."""
        target: Any = self._view_of or self
        found = super().capabilities
        return found if target._location() is None else _and_shared(found)

    def _identity(self) -> object:
        target: Any = self._view_of or self
        location = target._location()
        return id(target) if location is None else _hashable(location)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Store)
        return self._read_only == other._read_only and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((type(self), self._read_only, self._identity()))

    def __reduce__(self) -> tuple[Any, ...]:
        target: Any = self._view_of or self
        location = target._location()
        if location is None:
            return _same_process, (*_register(target), self._read_only)
        return _reopen, (type(self), location, self._read_only, target._read_only)


_HOOKS = [
    name
    for name, member in inspect.getmembers(Store, inspect.isfunction)
    if name.startswith("_") and not name.startswith("__")
    if not (inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
]
"""What a subclass may write as a plain function or, of an asynchronous store, as a coroutine."""


class BlockingStore(Store):
    """A store whose hooks are plain functions that may block: files, databases, mappings.

    Parameters
    ----------
    read_only : bool, default False
        Whether every change raises `ReadOnlyError`.

    Notes
    -----
    From blocking code hooks are called straight in the caller's thread, from async code in a
    worker thread. Several threads may call them at once. What cannot go through a fork, such as
    a connection, is kept in a `zarrstore.runtime.PerProcess`.

    A subclass whose hooks are coroutine functions is a `TypeError` when it is defined.

    Examples
    --------
    >>> class Squares(BlockingStore):
    ...     def _get(self, key):
    ...         return str(int(key) ** 2).encode() if key.isdecimal() else None
    >>> squares = Squares().sync
    >>> squares["3"], squares.get("12", RangeByteRequest(0, 2)), squares.capabilities
    (b'9', b'14', <Capability.READ: 1>)
    """

    _home: Home = WORKERS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _HOOKS:
            hook = getattr(cls, name)
            if inspect.iscoroutinefunction(hook) or inspect.isasyncgenfunction(hook):
                raise TypeError(
                    f"{cls.__name__}.{name} is a coroutine function: "
                    "a store that awaits I/O must subclass Store, not BlockingStore"
                )

    def _get_plainly(self, key: str) -> Buffer | None:
        """Do what `get` does without coroutines: the hooks are plain functions."""
        target: Any = self
        if self._allowed & _READ:  # no need of `_reading`, and this is no view
            check_key(key)
        else:
            self._reading("get", key)
            target = self._view_of or self
        value = target._get(key)
        return value if type(value) is bytes else frozen(value)

    def _set_plainly(self, key: str, value: Any) -> Version | None:
        """Do what `set` does without coroutines: see `_get_plainly`."""
        target: Any = self
        if self._allowed & _WRITE:
            check_key(key)
        else:
            self._writing("set", key)
            target = self._view_of or self
        data = value if type(value) is bytes else self._value(value)
        version: Version | None = target._set(key, data)
        return version

    def _delete_plainly(self, key: str) -> bool | None:
        """Do what `delete` does without coroutines; return what the hook does."""
        target: Any = self
        if self._allowed & _DELETE:
            check_key(key)
        else:
            self._deleting(key)
            target = self._view_of or self
        found: bool | None = target._delete(key)
        return found


@functools.cache
def _and_shared(found: Capability) -> Capability:
    return found | Capability.SHARED


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted((key, _hashable(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _reopen(cls: type[Store], location: dict[str, Any], read_only: bool, base: bool) -> Store:
    store = cls(**location, read_only=base)
    return store if read_only == base else store.with_read_only(read_only)


_PROCESS = uuid.uuid4().hex
_here: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()


def _register(store: Store) -> tuple[int, int, str, str]:
    _here[id(store)] = store
    return id(store), os.getpid(), _PROCESS, repr(store)


def _same_process(key: int, pid: int, process: str, name: str, read_only: bool) -> Store:
    """Return the store that was pickled, if this is the process that pickled it."""
    store = _here.get(key) if (pid, process) == (os.getpid(), _PROCESS) else None
    if store is None:
        raise NotShareableError(
            f"{name} lives in one process (pid {pid}) and cannot be opened in another, or after "
            "it is gone; use a store that processes share, such as LocalStore",
            store=name,
        )
    return store if store._read_only == read_only else store.with_read_only(read_only)
