"""What stores over a network share: errors told in our words without credentials, retries."""

from __future__ import annotations

import asyncio
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, ClassVar, TypeAlias, TypeGuard, TypeVar

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    UnsupportedOperationError,
    ZarrStoreError,
)
from zarrstore.redaction import redact

__all__ = [
    "DENIED",
    "During",
    "Entry",
    "Report",
    "Retry",
    "left_out",
    "looks_like_html",
    "retried",
    "secrets_of",
]

T = TypeVar("T")

Entry: TypeAlias = tuple[type[BackendError | UnsupportedOperationError], str]
"""The class of ours for an exception, and what to do."""

_ATTEMPTS = 4
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_UNKNOWN: Entry = (BackendError, "")
DENIED = "check the credentials, and that they may do this"
_SECRET_NAME = re.compile(
    r"secret|passw|pwd|token|^key$|_key$|key_id$|sas|credential|auth|signature|connection_string",
    re.IGNORECASE,
)

_HTML_START = re.compile(
    rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE
)


class Report(ABC):
    """Turns what a backend raises into our errors, by one table, without credentials.

    Parameters
    ----------
    url : str
        The store's URL, redacted.
    secrets : iterable of str
        Texts that no message may show.
    forbidden_is_missing : bool
        Whether "forbidden", on reading, means that there is no such key.
    """

    errors: ClassVar[Mapping[str, Entry]]
    """By the name of an exception's class, or of a base of it."""

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
            self.clean(f"cannot {action} {key!r} in {self.url}: {why}; {DENIED}"),
            store=self.url,
            key=key,
        )

    def corrupt(self, key: str, why: str) -> CorruptDataError:
        """Make the error of bytes that are not what was asked for."""
        return CorruptDataError(
            self.clean(f"wrong answer for {key!r} in {self.url}: {why}"), store=self.url, key=key
        )

    def translated(self, error: Exception, action: str, key: str) -> ZarrStoreError:
        """Return the error of ours for an exception of the backend."""
        error = self.behind(error)
        if isinstance(error, ZarrStoreError):
            return error
        cls, advice = self.entry(error)
        message = f"cannot {action} {key!r} in {self.url}: {self.said(error)}"
        message = self.clean(f"{message}; {advice}" if advice else message)
        if issubclass(cls, BackendError):
            return cls(message, store=self.url, key=key, errno=self.number(error))
        return cls(message, store=self.url, key=key)

    def entry(self, error: Exception) -> Entry:
        """Return the class of ours for an exception, and what to do."""
        names = (base.__name__ for base in type(error).__mro__)
        return next((self.errors[name] for name in names if name in self.errors), _UNKNOWN)

    def behind(self, error: Exception) -> Exception:
        """Return what an exception really is, where a backend wraps one in another."""
        return error

    def said(self, error: Exception) -> str:
        """Return what an exception says."""
        return str(error) or type(error).__name__

    def number(self, error: Exception) -> int | None:
        """Return the operating system's number of an exception."""
        number = getattr(error, "errno", None)
        return number if isinstance(number, int) else None

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

    def is_failure(self, error: BaseException | None) -> TypeGuard[Exception]:
        """Tell whether an exception is to be translated: one that ends the program is not."""
        return isinstance(error, Exception)

    @abstractmethod
    def is_missing(self, error: Exception) -> bool:
        """Tell whether an exception says that there is no such key, and nothing else."""


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
        if not self._report.is_failure(error) or isinstance(error, ZarrStoreError):
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
    """Make up to 4 attempts at something that may be done twice."""
    delay = _FIRST_DELAY
    for number in range(1, _ATTEMPTS + 1):
        try:
            return await attempt()
        except Retry as again:
            error, after = again.error, again.after
        if number == _ATTEMPTS:
            break
        jitter = random.uniform(0.5, 1.0)  # noqa: S311  clients must not come back in step
        await asyncio.sleep(min(_LONGEST_DELAY, max(after, delay * jitter)))
        delay *= 3
    raise error


def secrets_of(name: str, value: Any) -> Iterator[str]:
    """Yield the credentials among the options of a backend, which no message may show."""
    if hasattr(value, "secrets"):
        yield from value.secrets()
    elif isinstance(value, dict):
        for key, item in value.items():
            inherited = name if _SECRET_NAME.search(name) else str(key)
            yield from secrets_of(inherited, item)
    elif isinstance(value, list | tuple):
        # the fields of a named tuple (aiohttp.BasicAuth) have names of their own
        names = getattr(value, "_fields", None) or [name] * len(value)
        for key, item in zip(names, value, strict=True):
            yield from secrets_of(key, item)
    elif isinstance(value, str) and len(value) > 3 and _SECRET_NAME.search(name):
        yield value


def left_out(*_: Any, **__: Any) -> Any:
    """Stand for a hook that a kind of filesystem leaves to the operation."""
    return NotImplemented


def looks_like_html(body: bytes | memoryview) -> bool:
    """Tell whether a value is a web page by its first words."""
    return _HTML_START.match(body) is not None
