"""The errors of zarrstore.

Every error has ``store`` (the store's URL, credentials redacted) and ``key`` where they
are known, and inherits the builtin exception that a caller would catch::

    ZarrStoreError
    ├── InvalidKeyError (ValueError)             a key or prefix breaks the key rules
    ├── KeyNotFoundError (KeyError, FileNotFoundError)
    ├── ReadOnlyError (PermissionError)          a change asked of a read-only store
    ├── ConflictError                            a conditional write lost
    ├── StoreClosedError (ValueError)            used after close()
    ├── UnsupportedOperationError (NotImplementedError)
    ├── NotShareableError                        data of one process asked for in another
    ├── StoreURLError (ValueError)               a URL that names no known store
    ├── BackendError (OSError)                   disk full, server down, too many open files
    │   └── AccessDeniedError (PermissionError)  forbidden, which is never "missing"
    ├── CorruptDataError                         stored bytes are not what they claim
    ├── MetadataError (ValueError)               a metadata document that breaks the spec
    ├── NodeNotFoundError (FileNotFoundError)    no array or group at a path
    └── NodeExistsError (FileExistsError)        an array or group is already there
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AccessDeniedError",
    "BackendError",
    "ConflictError",
    "CorruptDataError",
    "InvalidKeyError",
    "KeyNotFoundError",
    "MetadataError",
    "NodeExistsError",
    "NodeNotFoundError",
    "NotShareableError",
    "ReadOnlyError",
    "StoreClosedError",
    "StoreURLError",
    "UnsupportedOperationError",
    "ZarrStoreError",
]


def _rebuild(cls: type[ZarrStoreError], message: str, fields: dict[str, Any]) -> ZarrStoreError:
    return cls(message, **fields)


class ZarrStoreError(Exception):
    """The base of every error that zarrstore raises on purpose.

    Parameters
    ----------
    message : str
        What happened, what was expected and what to do.
    store : str, optional
        The URL of the store, credentials redacted.
    key : str, optional
        The key, prefix or node path concerned.

    Examples
    --------
    >>> from zarrstore.errors import KeyNotFoundError
    >>> try:
    ...     raise KeyNotFoundError("no key 'a'", store="memory://x", key="a")
    ... except KeyError as error:
    ...     print(error, error.key)
    no key 'a' a
    """

    store: str | None
    key: str | None

    def __init__(self, message: str, *, store: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.store = store
        self.key = key

    def __str__(self) -> str:
        return str(self.args[0])

    def _fields(self) -> dict[str, Any]:
        return {"store": self.store, "key": self.key}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args[0], self._fields())


class InvalidKeyError(ZarrStoreError, ValueError):
    """A key or prefix breaks the key rules; raised before any I/O."""


class KeyNotFoundError(ZarrStoreError, KeyError, FileNotFoundError):
    """A key that had to exist is missing."""


class ReadOnlyError(ZarrStoreError, PermissionError):
    """A change was asked of a read-only store; raised before any I/O."""


class ConflictError(ZarrStoreError):
    """A conditional write found another version, or a key that had to be absent.

    Nothing was written. ``expected`` and ``found`` are versions; ``None`` is "no key".
    """

    def __init__(
        self,
        message: str,
        *,
        store: str | None = None,
        key: str | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        super().__init__(message, store=store, key=key)
        self.expected = expected
        self.found = found

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "expected": self.expected, "found": self.found}


class StoreClosedError(ZarrStoreError, ValueError):
    """A store was used after ``close()``."""


class UnsupportedOperationError(ZarrStoreError, NotImplementedError):
    """The store cannot do this; the message says what to use instead."""


class NotShareableError(ZarrStoreError):
    """Data that lives in one process was asked for in another."""


class StoreURLError(ZarrStoreError, ValueError):
    """A URL names no store that is known here."""


class BackendError(ZarrStoreError, OSError):
    """The backend failed; its own exception is chained as ``__cause__``.

    ``errno`` is the operating system's number where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        store: str | None = None,
        key: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message, store=store, key=key)
        self.errno = errno

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "errno": self.errno}


class AccessDeniedError(BackendError, PermissionError):
    """The backend refused access. The key may exist: this is never taken for missing."""


class CorruptDataError(ZarrStoreError):
    """Stored bytes are not what they claim to be: truncated, altered or oversized."""


class MetadataError(ZarrStoreError, ValueError):
    """A metadata document is not valid; the message names the field."""


class NodeNotFoundError(ZarrStoreError, FileNotFoundError):
    """There is no array or group at the path."""


class NodeExistsError(ZarrStoreError, FileExistsError):
    """There is already an array or group at the path."""
