"""The exceptions of obstore in our words."""

from __future__ import annotations

import errno
import re
from typing import TypeGuard

from zarrstore.errors import AccessDeniedError, BackendError, UnsupportedOperationError
from zarrstore.stores._report import DENIED, Entry, Report

__all__ = ["ObjectsReport", "status_of"]

_CREDENTIALS = "check the credentials (anon=True in storage_options for public data)"
_ANOTHER_KEY = "obstore cannot have such a key; use another, or engine='fsspec'"
_UNREACHABLE = "the server cannot be reached; check its address, and that it is running"
_REGION = "the bucket is in another region; name it: client_kwargs={'region_name': ...}"
_MISSING_STATUS = (404, 410)
_MISSING_NUMBERS = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_NUMBER = re.compile(r"\(os error (\d+)\)\Z")
_NO_BUCKET = re.compile(r"<Code>(NoSuchBucket|ContainerNotFound)</Code>")
_MARKS: tuple[tuple[str, str], ...] = (
    ("error sending request", _UNREACHABLE),
    ("Received redirect without LOCATION", _REGION),
)

_ERRORS: dict[str, Entry] = {
    "PermissionDeniedError": (AccessDeniedError, DENIED),
    "UnauthenticatedError": (AccessDeniedError, _CREDENTIALS),
    "PermissionError": (AccessDeniedError, DENIED),
    "InvalidPathError": (UnsupportedOperationError, _ANOTHER_KEY),
    "ValueError": (UnsupportedOperationError, _ANOTHER_KEY),
    "TypeError": (UnsupportedOperationError, _ANOTHER_KEY),
    "NotSupportedError": (UnsupportedOperationError, "the server cannot do it"),
    "NotImplementedError": (UnsupportedOperationError, "obstore cannot do it"),
    "FileNotFoundError": (BackendError, "check that the bucket or directory exists"),
    "BaseError": (BackendError, ""),
    "PanicException": (BackendError, "obstore panicked; check how its store was made"),
}


class ObjectsReport(Report):
    """The report on a store of obstore."""

    errors = _ERRORS

    def entry(self, error: Exception) -> Entry:
        cls, advice = super().entry(error)
        text = str(error)
        if cls is BackendError:
            if status_of(error) in (401, 403):
                return AccessDeniedError, DENIED
            advice = next((says for mark, says in _MARKS if mark in text), advice)
        return cls, advice

    def is_failure(self, error: BaseException | None) -> TypeGuard[Exception]:
        # a panic of Rust is none of Python's exceptions, and ends no program
        return super().is_failure(error) or type(error).__name__ == "PanicException"

    def said(self, error: Exception) -> str:
        return _first_part(error)

    def number(self, error: Exception) -> int | None:
        found = _NUMBER.search(_first_part(error))
        return int(found[1]) if found else super().number(error)

    def is_missing(self, error: Exception) -> bool:
        if self.number(error) in _MISSING_NUMBERS:
            return True
        status = status_of(error)
        if self.forbidden_is_missing and status == 403:
            return True
        if not isinstance(error, FileNotFoundError) or _NO_BUCKET.search(str(error)):
            return False
        # other refusals (405 to a HEAD request) come as the same exception
        return status is None or status in _MISSING_STATUS


def status_of(error: Exception) -> int | None:
    """Return the HTTP status that an exception is about."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _first_part(error: Exception) -> str:
    """Return what an exception says, without the dump of the structures behind it."""
    return str(error).partition("\n\nDebug source:")[0].strip() or type(error).__name__
