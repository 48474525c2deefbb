"""What the operations of a store have in common: their vocabulary, their checks, their hooks.

The public operations stand in `zarrstore.readable`, `zarrstore.writable` and
`zarrstore.listable`, once. Each checks its arguments and the state of the store, then calls
*hooks*, the methods with a leading underscore, which are all that a backend writes. An optional
hook that a backend leaves out returns ``NotImplemented``, and the operation then does its work
with the required ones.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, Flag, auto
from types import CoroutineType
from typing import Any, Concatenate, Final, Literal, NamedTuple, ParamSpec, TypeAlias, TypeVar

from zarrstore.byte_range import ByteRequest
from zarrstore.errors import ReadOnlyError, UnsupportedOperationError
from zarrstore.runtime import Home, limits

__all__ = [
    "ABSENT",
    "Absent",
    "Buffer",
    "Capability",
    "MaybeAwaitable",
    "Operations",
    "Receive",
    "Request",
    "Stat",
    "Then",
    "Version",
    "Versioned",
    "operation",
]

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="Operations")

Buffer: TypeAlias = bytes | memoryview
"""What a value is read as: ``bytes``, or a read-only memoryview of bytes."""

Version: TypeAlias = str
"""Names one state of a value; compare for equality only."""

Request: TypeAlias = str | tuple[str, ByteRequest | None]
"""A key, or a key with a byte range."""

MaybeAwaitable: TypeAlias = T | Awaitable[T]
"""What a hook returns: a plain value where it blocks, an awaitable where it is async."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "ABSENT"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT
"""``set(key, value, expect=ABSENT)``: write only if there is no such key."""


class Capability(Flag):
    """What a store can do; what is not there raises `UnsupportedOperationError`.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> Capability.COMPARE_AND_SWAP in MemoryStore().capabilities
    True
    """

    READ = auto()
    """``get`` and what else reads; every store has it."""
    WRITE = auto()
    """``set`` and ``set_many``."""
    DELETE = auto()
    """``delete``, ``delete_dir`` and ``clear``."""
    LIST = auto()
    """``list``, ``list_prefix``, ``list_dir``, ``is_empty`` and ``getsize_prefix``."""
    CREATE_EXCLUSIVE = auto()
    """``set(..., expect=ABSENT)`` and ``set_if_not_exists``."""
    COMPARE_AND_SWAP = auto()
    """``set(..., expect=version)``."""
    SHARED = auto()
    """Other processes can open the same data: the store can be pickled."""


_CHANGES = (
    Capability.WRITE | Capability.DELETE | Capability.CREATE_EXCLUSIVE | Capability.COMPARE_AND_SWAP
)


@functools.cache
def _without_changes(found: Capability) -> Capability:
    """Return what is left of some capabilities if nothing may be changed."""
    return found & ~_CHANGES  # each store asks anew, and an operator of enum takes a while


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a value without reading it.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> MemoryStore({"a": b"hello"}).sync.stat("a").size
    5
    """

    size: int
    """In bytes."""
    version: Version | None = None
    """``None`` if the backend has none."""
    modified: datetime | None = None
    """The time of the last write, aware, or ``None`` if the backend keeps none."""


Receive: TypeAlias = Callable[[int, Buffer | None], object]
"""Called with the position of a key and its value, or ``None``."""

Then: TypeAlias = Callable[[list[Buffer], int], Iterable[ByteRequest]]
"""Called with parts of a value and its size in bytes; returns what else to read of it."""


class Versioned(NamedTuple):
    """Parts of one state of a value."""

    parts: list[Buffer]
    size: int
    """Of the whole value, in bytes."""
    version: Version | None
    """``None`` if the store has none."""


def operation(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a coroutine method run in the home of its store, wherever it is awaited."""

    @functools.wraps(method)
    def at_home(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        # no coroutine of its own around that of the method: there may be thousands of calls
        home = self._home
        if home.here():
            return method(self, *args, **kwargs)
        return home.run(method, self, *args, **kwargs)

    return at_home


class Operations(ABC):
    """What the three kinds of operation share: checks, and the way to the hooks."""

    _home: Home
    _takes_views = False
    """Whether ``_set`` may be given a memoryview of the caller's buffer, which it must not keep.
    By default it gets ``bytes``."""

    _waits_in_threads = False
    """Whether ``_get_each`` and ``_set_each`` are coroutines that wait in a thread of their own,
    so that much is moved quicker by several of them than by a coroutine for each value."""

    _delete_tells = False
    """Whether ``_delete`` is a plain function that returns if there was such a key, so that a
    mapping need not ask before."""
    _foreign_format: Literal[2] | None = None
    """The version of Zarr as which a store shows data of another format; ``None`` for others."""

    _documents_first = False
    """Whether the document of an array has to be there before its chunks are written."""

    _read_only = False
    _closed = False
    _view_of: Operations | None = None
    _capabilities: Capability | None = None
    _possible: int | None = None
    """The capabilities as bits, once they are asked for."""
    _allowed = 0
    """What may be done without a further look, as bits: nothing before the first, once the store
    is closed, and in a view, which closes with what it views."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The store's URL, credentials redacted."""

    @property
    def read_only(self) -> bool:
        """Whether every change raises `ReadOnlyError`."""
        return self._read_only

    @property
    def capabilities(self) -> Capability:
        """What this store can do."""
        target = self._view_of or self
        found = target._capabilities
        if found is None:
            found = target._capabilities = target._capabilities_of_hooks()
        return _without_changes(found) if self._read_only else found

    @abstractmethod
    def _capabilities_of_hooks(self) -> Capability:
        """Return what the class wrote hooks for."""

    async def _hook(self, name: str, *args: Any) -> Any:
        """Call a hook, on the store itself if this is a view of it."""
        result = getattr(self._view_of or self, name)(*args)
        if type(result) is CoroutineType:
            try:
                async with limits.request():
                    return await result
            finally:
                result.close()  # cancelled while it waited for its turn, it never began
        return result

    @abstractmethod
    async def close(self) -> None:
        """Release what the store holds."""

    @abstractmethod
    def _check_open(self) -> None:
        """Raise `StoreClosedError` if the store is closed."""

    def _require(self, capability: Capability, what: str, instead: str, key: str = "") -> None:
        """Raise unless the store is open and can do something, whatever the arguments."""
        # _value_ and plain attributes: this runs before every operation
        if capability._value_ & self._allowed:
            return
        self._check_open()
        if self._possible is None:
            self._possible = self.capabilities.value
        if self._view_of is None:
            self._allowed = self._possible
            if self._closed:  # meanwhile
                self._allowed = 0
        if capability._value_ & self._possible:
            return
        if self._read_only and capability in _CHANGES:
            raise ReadOnlyError(
                f"{what} needs a writable store, and {self.url} is read-only; "
                "open it without read_only (or mode='r')",
                store=self.url,
                key=key,
            )
        if capability not in self.capabilities:
            raise UnsupportedOperationError(
                f"{type(self).__name__} {self.url} does not support {what}; {instead}",
                store=self.url,
                key=key,
            )

    def _read_back(self, key: str, value: Buffer) -> Buffer:  # noqa: ARG002
        """Return what a value that is written to a key is read as: of a foreign format, another."""
        return value

    def _value(self, value: Any) -> Buffer:
        """Return a value as bytes (or a flat view of them), or raise `TypeError`."""
        if type(value) is bytes:
            return value
        try:
            view = memoryview(value)
        except (TypeError, ValueError):
            view = None
        objects = getattr(getattr(value, "dtype", None), "hasobject", False)
        if view is None or objects or not view.c_contiguous:
            raise TypeError(
                "a value is a C-contiguous bytes-like object (bytes, bytearray, memoryview, "
                f"numpy array), not {type(value).__name__}"
                + (" of objects, whose addresses mean nothing elsewhere" if objects else "")
                + ("" if view is None or objects else " with another memory order; copy it first")
            )
        if self._takes_views and view.nbytes:
            return view.cast("B")
        return view.tobytes()
