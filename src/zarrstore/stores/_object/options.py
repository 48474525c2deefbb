"""What obstore can open: its stores, schemes of URLs, options as fsspec names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from zarrstore.redaction import redact

__all__ = ["SCHEMES", "NotTranslatable", "Options", "checked_endpoint", "class_of", "is_obstore"]

SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https"})
"""The schemes of the URLs that obstore can open, as fsspec has them."""

_CLASSES = ("S3Store", "GCSStore", "AzureStore", "HTTPStore", "LocalStore", "MemoryStore")

_ONLY_FSSPEC = frozenset(
    {
        "asynchronous", "cache_regions", "default_block_size", "default_cache_type",
        "default_fill_cache", "listings_expiry_time", "loop", "max_concurrency", "max_paths",
        "skip_instance_cache", "use_listings_cache",
    }
)  # fmt: skip
"""How a filesystem keeps what it has read, and on which loop: no matter to a store."""


def is_obstore(value: object) -> bool:
    """Tell whether an object is a store of obstore, without importing that."""
    return class_of(value) is not None


def class_of(value: object) -> str | None:
    """Return the name of obstore's class that an object is of."""
    return next(
        (
            base.__name__
            for base in type(value).__mro__
            if base.__module__ == "obstore.store" and base.__name__ in _CLASSES
        ),
        None,
    )


class NotTranslatable(Exception):  # noqa: N818
    """Something that is asked for does not mean the same to obstore."""


def checked_endpoint(endpoint: str) -> str:
    """Return the address of a server if it is one.

    Raises
    ------
    NotTranslatable
        Otherwise; obstore would panic at the first request.
    """
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError:
        is_address = False
    if not is_address:
        raise NotTranslatable(f"the endpoint {redact(endpoint)!r}, which is no http(s):// address,")
    return endpoint


class Options:
    """The options of a filesystem that are not yet dealt with.

    Parameters
    ----------
    protocol : str
        Options below its name (``{"s3": {...}}``) stand for themselves.
    options : mapping
    """

    def __init__(self, protocol: str, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        rest = {**(rest.pop(protocol, None) or {}), **rest}
        self._rest = {name: value for name, value in rest.items() if name not in _ONLY_FSSPEC}

    def take(self, *names: str) -> Any:
        """Return the first of some options that is given, ``None`` if none is."""
        found = [self._rest.pop(name, None) for name in names]
        return next((value for value in found if value is not None), None)

    def put(self, name: str, value: Any) -> None:
        """Add an option under another name, unless it is given."""
        self._rest.setdefault(name, value)

    def end(self) -> None:
        """Raise `NotTranslatable` if there is one that nobody took."""
        for name, value in sorted(self._rest.items()):
            if value is not None:
                raise NotTranslatable(f"the option {name!r}")
