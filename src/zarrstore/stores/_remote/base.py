"""What every kind of filesystem shares: paths, errors, retries, checks of what was answered."""

from __future__ import annotations

import errno
import re
import weakref
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import AccessDeniedError, BackendError, UnsupportedOperationError
from zarrstore.operations import Capability, Stat
from zarrstore.stores._report import DENIED, Entry, Report, left_out

__all__ = ["Files", "FilesReport", "content_range", "part_of", "stat_of"]

_TIMEOUT = "the server did not answer in time; try again, or raise the filesystem's timeout"
_UNREACHABLE = "the server cannot be reached; check its address, and that it is running"
_ERRORS: dict[str, Entry] = {
    "PermissionError": (AccessDeniedError, DENIED),
    "NoCredentialsError": (
        AccessDeniedError,
        "pass credentials in storage_options, or anon=True for public data",
    ),
    "PartialCredentialsError": (AccessDeniedError, DENIED),
    "ServerTimeoutError": (BackendError, _TIMEOUT),
    "ConnectTimeoutError": (BackendError, _UNREACHABLE),
    "ReadTimeoutError": (BackendError, _TIMEOUT),
    "TimeoutError": (BackendError, _TIMEOUT),
    "ClientConnectionError": (BackendError, _UNREACHABLE),
    "EndpointConnectionError": (BackendError, _UNREACHABLE),
    "HTTPClientError": (BackendError, _UNREACHABLE),
    "ConnectionError": (BackendError, _UNREACHABLE),
    "ClientPayloadError": (BackendError, "the answer broke off; try again"),
    "NotADirectoryError": (
        BackendError,
        "a part of the path is a file: a key here cannot be a prefix as well",
    ),
    "FileExistsError": (
        BackendError,
        "a part of the path is a file: a key here cannot be a prefix as well",
    ),
    "IsADirectoryError": (
        BackendError,
        "there is a directory of that name: a key here cannot be a prefix as well",
    ),
    "FileNotFoundError": (BackendError, "check that the bucket or directory exists"),
    "NotImplementedError": (
        UnsupportedOperationError,
        "this filesystem cannot do it; copy the data to one that can",
    ),
}
_DENIED_STATUS = (401, 403, 407)
_MISSING_STATUS = (404, 410)


class FilesReport(Report):
    """The report on an fsspec filesystem."""

    errors = _ERRORS

    def entry(self, error: Exception) -> Entry:
        if _status(error) in _DENIED_STATUS:
            return _ERRORS["PermissionError"]
        return super().entry(error)

    def behind(self, error: Exception) -> Exception:
        return _at_the_bottom(error)

    def is_missing(self, error: Exception) -> bool:
        """Tell whether an exception says that there is no such key, and nothing else."""
        if _at_the_bottom(error) is not error:
            return self.is_missing(_at_the_bottom(error))
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return True
        status = _status(error)
        if self.forbidden_is_missing and (status == 403 or isinstance(error, PermissionError)):
            return True
        return status in _MISSING_STATUS or getattr(error, "errno", None) == errno.ENAMETOOLONG


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _at_the_bottom(error: Exception) -> Exception:
    """Return what is behind a "not found" that some filesystems make of any failure."""
    cause = error.__cause__
    if (
        isinstance(error, FileNotFoundError)
        and isinstance(cause, Exception)
        and not isinstance(cause, LookupError | FileNotFoundError)
        and not hasattr(cause, "response")  # of S3, whose codes s3fs has told apart
        and _status(cause) not in _MISSING_STATUS
    ):
        return cause
    return error


_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*", re.IGNORECASE)


def content_range(text: str | None) -> tuple[int, int, int | None] | None:
    """Return ``(start, stop, size)`` of a ``Content-Range``; ``None`` if it is none.

    ``size`` is ``None`` if the server does not know it. ``bytes */9`` is ``(0, 0, 9)``.
    """
    found = _CONTENT_RANGE.fullmatch(text or "")
    if found is None:
        return None
    size = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return 0, 0, size
    start, stop = int(found[1]), int(found[2]) + 1
    if stop <= start or (size is not None and stop > size):
        return None
    return start, stop, size


def part_of(request: ByteRequest, body: bytes, start: int, size: int) -> bytes | None:
    """Return the part that was asked for out of a body that has the bytes from ``start`` on.

    ``None`` if it is not all there.
    """
    first, stop = resolve(request, size)
    if first == stop:
        return b""
    if start <= first and stop <= start + len(body):
        return body if len(body) == stop - first else body[first - start : stop - start]
    return None


def stat_of(info: dict[str, Any]) -> Stat | None:
    """Make a `Stat` of what a filesystem says of a path; ``None`` unless that is a file."""
    if info.get("type", "file") != "file" or info.get("size") is None:
        return None
    version = info.get("ETag") or info.get("etag") or None
    return Stat(int(info["size"]), None if version is None else str(version), _time(info))


def _time(info: dict[str, Any]) -> datetime | None:
    names = ("LastModified", "last_modified", "Last-Modified", "mtime", "modified", "updated")
    value = next((info[name] for name in names if info.get(name)), None)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            value = _parsed(value)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


class Files:
    """The keys of a store as the files of one filesystem below one path.

    A subclass writes the hooks of `zarrstore.operations`, as coroutines or as plain functions:
    ``get``, ``set`` ... without their underscore, ``keys`` for ``_list`` and ``names`` for
    ``_list_dir``.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    root : str
        A path in it, without its protocol.
    report : Report
    """

    capabilities: ClassVar[Capability] = (
        Capability.READ | Capability.WRITE | Capability.DELETE | Capability.LIST
    )

    retire: weakref.finalize[..., Files] | None = None
    """Closes the filesystem in the end, where it is not the caller's."""

    def __init__(self, fs: Any, root: str, report: Report) -> None:
        self.fs = fs
        self.report = report
        self.root = root.rstrip("/")

    def path(self, key: str) -> str:
        """Return the filesystem's path of a key, or raise if it would be another's."""
        path = f"{self.root}/{key}" if self.root else key
        if not self.fs._strip_protocol(path).endswith(key):
            raise UnsupportedOperationError(
                f"{self.report.url} cannot have a key {key!r}, which its filesystem takes for "
                "another; use another key",
                store=self.report.url,
                key=key,
            )
        return path

    def key_of(self, name: str) -> str | None:
        """Return the key of a path that the filesystem listed; ``None`` if it is not below us."""
        for path in (name, self.fs._strip_protocol(name)):
            path, root = path.lstrip("/"), self.root.lstrip("/")
            if not root:
                return str(path)
            if path.startswith(root + "/"):
                return str(path[len(root) + 1 :])
        return None

    get = get_range = stat = left_out
    set = set_if = delete = left_out
    keys = names = delete_dir = getsize_prefix = left_out

    @staticmethod
    async def closed(fs: Any) -> None:
        """Close what an asynchronous filesystem holds open, on its loop."""
