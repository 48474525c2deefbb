"""What every kind of filesystem shares: paths, errors, retries, checks of what was answered."""

from __future__ import annotations

import asyncio
import errno
import random
import re
import weakref
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    UnsupportedOperationError,
    ZarrStoreError,
)
from zarrstore.operations import Capability, Stat
from zarrstore.redaction import redact

__all__ = [
    "ATTEMPTS",
    "Files",
    "Report",
    "Retry",
    "content_range",
    "left_out",
    "part_of",
    "retried",
    "stat_of",
]

T = TypeVar("T")

ATTEMPTS = 4
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

_DENIED = "check the credentials, and that they may do this"
_TIMEOUT = "the server did not answer in time; try again, or raise the filesystem's timeout"
_UNREACHABLE = "the server cannot be reached; check its address, and that it is running"
_ERRORS: dict[str, tuple[type[BackendError | UnsupportedOperationError], str]] = {
    "PermissionError": (AccessDeniedError, _DENIED),
    "NoCredentialsError": (
        AccessDeniedError,
        "pass credentials in storage_options, or anon=True for public data",
    ),
    "PartialCredentialsError": (AccessDeniedError, _DENIED),
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


class Report:
    """Turns what a filesystem raises into our errors, by one table, without credentials.

    Parameters
    ----------
    url : str
        The store's URL, redacted.
    secrets : iterable of str
        Texts that no message may show.
    forbidden_is_missing : bool
        Whether "forbidden", on reading, means that there is no such key.
    """

    def __init__(
        self, url: str, secrets: Iterable[str] = (), forbidden_is_missing: bool = False
    ) -> None:
        self.url = url
        self.forbidden_is_missing = forbidden_is_missing
        self._secrets = sorted(secrets, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return a text without credentials."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return redact(text)

    def during(self, action: str, key: str) -> During:
        """Translate what the block raises."""
        return During(self, action, key, missing=False)

    def unless_missing(self, action: str, key: str) -> During:
        """Translate what the block raises; when that says "no such key", just leave it."""
        return During(self, action, key, missing=True)

    def failed(self, action: str, key: str, why: str) -> BackendError:
        """Make the error of an answer that is no use."""
        return BackendError(
            self.clean(f"cannot {action} {key!r} in {self.url}: {why}"), store=self.url, key=key
        )

    def denied(self, action: str, key: str, why: str) -> AccessDeniedError:
        return AccessDeniedError(
            self.clean(f"cannot {action} {key!r} in {self.url}: {why}; {_DENIED}"),
            store=self.url,
            key=key,
        )

    def corrupt(self, key: str, why: str) -> CorruptDataError:
        """Make the error of bytes that are not what was asked for."""
        return CorruptDataError(
            self.clean(f"wrong answer for {key!r} in {self.url}: {why}"), store=self.url, key=key
        )

    def translated(self, error: Exception, action: str, key: str) -> ZarrStoreError:
        """Return the error of ours for an exception of the filesystem."""
        error = _at_the_bottom(error)
        if isinstance(error, ZarrStoreError):
            return error
        if _status(error) in _DENIED_STATUS:
            cls, advice = _ERRORS["PermissionError"]
        else:
            names = (base.__name__ for base in type(error).__mro__)
            cls, advice = next(
                (_ERRORS[name] for name in names if name in _ERRORS), (BackendError, "")
            )
        said = str(error) or type(error).__name__
        message = f"cannot {action} {key!r} in {self.url}: {said}"
        message = self.clean(f"{message}; {advice}" if advice else message)
        if issubclass(cls, BackendError):
            number = getattr(error, "errno", None)
            number = number if isinstance(number, int) else None
            return cls(message, store=self.url, key=key, errno=number)
        return cls(message, store=self.url, key=key)

    def shown(self, error: BaseException | None) -> BaseException | None:
        """Return an exception that can be chained: itself, or a likeness without credentials."""
        if error is None:
            return None
        cause = error.__cause__ or error.__context__
        safe = self.shown(cause)
        text = f"{error}\n{error!r}"
        if safe is cause and self.clean(text) == text:
            return error
        likeness = BackendError(self.clean(f"{type(error).__name__}: {error}"), store=self.url)
        likeness.__cause__ = safe
        return likeness.with_traceback(error.__traceback__)

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


class During:
    """The context manager of `Report.during` and `Report.unless_missing`."""

    __slots__ = ("_action", "_key", "_missing", "_report")

    def __init__(self, report: Report, action: str, key: str, missing: bool) -> None:
        self._report = report
        self._action = action
        self._key = key
        self._missing = missing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, ZarrStoreError):
            return False
        if self._missing and self._report.is_missing(error):
            return True
        ours = self._report.translated(error, self._action, self._key)
        try:
            raise ours from self._report.shown(error)
        finally:
            ours.__context__ = None  # it would show what was cleaned away


class Retry(Exception):  # noqa: N818
    """An attempt failed in a way that another may not; ``error`` is raised after the last."""

    def __init__(self, error: Exception, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make up to `ATTEMPTS` attempts at something that may be done twice."""
    delay = _FIRST_DELAY
    for number in range(1, ATTEMPTS + 1):
        try:
            return await attempt()
        except Retry as again:
            error, after = again.error, again.after
        if number == ATTEMPTS:
            break
        jitter = random.uniform(0.5, 1.0)  # noqa: S311  clients must not come back in step
        await asyncio.sleep(min(_LONGEST_DELAY, max(after, delay * jitter)))
        delay *= 3
    raise error


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


def left_out(*_: Any, **__: Any) -> Any:
    """Stand for a hook that a kind of filesystem leaves to the operation."""
    return NotImplemented


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
