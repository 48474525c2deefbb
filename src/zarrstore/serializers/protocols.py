"""Where a serializer puts things: what is found in ``protocols``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from zarrstore.errors import ZarrStoreError

__all__ = [
    "FILE_PROTOCOL",
    "S3_PROTOCOL",
    "MissingProtocolError",
    "file_protocol",
    "has",
    "opened",
    "remove_file",
    "s3_protocol",
]

FILE_PROTOCOL = "file_protocol"
"""The key of an object with ``open(name, mode)`` and ``remove(name)``."""

S3_PROTOCOL = "s3 protocol"
"""The key of a dict with ``client``, a filesystem such as `s3fs.S3FileSystem`, and ``folder``."""

_INSTEAD = (
    f"protocols has {FILE_PROTOCOL!r}, an object with open(name, mode) and remove(name), or "
    f"{S3_PROTOCOL!r}, a dict with 'client', a filesystem such as s3fs.S3FileSystem, and 'folder'"
)


class MissingProtocolError(ZarrStoreError, KeyError):
    """What is needed to write or read an object is not among the protocols."""


def file_protocol(protocols: Mapping[str, Any]) -> Any:
    """Return what opens and removes files.

    Raises
    ------
    MissingProtocolError
    TypeError
        If it cannot open files.
    """
    opener = _found(protocols, FILE_PROTOCOL)
    if not callable(getattr(opener, "open", None)):
        raise TypeError(
            f"{FILE_PROTOCOL!r} is an object with open(name, mode), and "
            f"{type(opener).__name__} has none"
        )
    return opener


@contextmanager
def opened(opener: Any, name: str, mode: str) -> Iterator[Any]:
    """Open a file, or what makes one in a ``with``, such as an `fsspec.core.OpenFile`."""
    file = opener.open(name, mode)
    with file if hasattr(file, "__enter__") else closing(file) as entered:
        yield entered


def remove_file(opener: Any, name: str) -> None:
    """Delete a file, by ``remove``, or by ``rm`` as fsspec calls it."""
    remove = getattr(opener, "remove", None) or getattr(opener, "rm", None)
    if remove is None:
        raise TypeError(f"{type(opener).__name__} has no remove(name): {_INSTEAD}")
    remove(name)


def s3_protocol(protocols: Mapping[str, Any]) -> tuple[Any, str]:
    """Return a filesystem, and the folder in it.

    Raises
    ------
    MissingProtocolError
        Also if one of the two is not in the dict.
    TypeError
    """
    found = _found(protocols, S3_PROTOCOL)
    if not isinstance(found, Mapping):
        raise TypeError(f"{S3_PROTOCOL!r} is a dict, not {type(found).__name__}: {_INSTEAD}")
    for name in ("client", "folder"):
        if name not in found:
            raise MissingProtocolError(f"{name!r} is not in {S3_PROTOCOL!r}: {_INSTEAD}", key=name)
    folder = found["folder"]
    if not isinstance(folder, str):
        raise TypeError(f"'folder' is a str such as 'bucket/folder', not {type(folder).__name__}")
    return found["client"], folder


def has(protocols: Mapping[str, Any], name: str) -> bool:
    """Tell whether there is a protocol."""
    _check(protocols)
    return protocols.get(name) is not None


def _found(protocols: Mapping[str, Any], name: str) -> Any:
    if not has(protocols, name):
        raise MissingProtocolError(
            f"{name!r} is not among {sorted(map(str, protocols))}: {_INSTEAD}", key=name
        )
    return protocols[name]


def _check(protocols: Any) -> None:
    if not isinstance(protocols, Mapping):
        raise TypeError(f"protocols is a dict, not {type(protocols).__name__}: {_INSTEAD}")
