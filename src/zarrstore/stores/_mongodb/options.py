"""How a server is named: by the options of pymongo, and by a URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from zarrstore.stores._report import secrets_of

__all__ = ["options_of", "secrets_in", "server_of", "with_defaults"]

_DEFAULTS = {
    # asked again at once after a failure, and a thread less
    "serverMonitoringMode": "poll",
    "connectTimeoutMS": 10_000,
    "serverSelectionTimeoutMS": 10_000,
    "socketTimeoutMS": 10_000,
    "waitQueueTimeoutMS": 10_000,
}


def options_of(url: str) -> dict[str, Any]:
    """Return the options that a URL stands for, ``database`` and ``collection`` among them.

    Raises
    ------
    ValueError
        If it names no collection.
    """
    path = urlsplit(url).path
    names = path.strip("/").split("/")
    if len(names) != 2 or not all(names):
        raise ValueError("its path is /database/collection")
    database, collection = map(unquote, names)
    # the database stays: it is where MongoDB looks for the user
    return {
        "database": database,
        "collection": collection,
        "host": url.replace(path, f"/{names[0]}", 1),
    }


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with our defaults, which must not override those of a URI."""
    given = {name.lower() for name in options}
    if uri := _uri_of(options):
        given |= {name.lower() for name, _ in parse_qsl(uri.query)}
    defaults = {name: value for name, value in _DEFAULTS.items() if name.lower() not in given}
    return {"connect": False, **defaults, **options}


def server_of(options: Mapping[str, Any]) -> str:
    """Return the URL of the server that options name, without credentials."""
    if uri := _uri_of(options):
        return f"{uri.scheme}://{uri.netloc.rpartition('@')[2]}"
    host = options.get("host") or "localhost"
    if not isinstance(host, str):
        if not isinstance(host, list | tuple) or not all(isinstance(each, str) for each in host):
            raise TypeError(f"host is a str, or a list of them, not {host!r}")
        return f"mongodb://{','.join(host)}"
    return f"mongodb://{host}:{options.get('port') or 27017}"


def secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no message may show."""
    yield from secrets_of("", dict(options))
    if uri := _uri_of(options):
        password = uri.netloc.rpartition("@")[0].partition(":")[2]
        yield from secrets_of("password", [password, unquote(password)])


def _uri_of(options: Mapping[str, Any]) -> Any:
    """Return the parts of the URI among options; ``None`` if there is only a host's name."""
    host = options.get("host")
    return urlsplit(host) if isinstance(host, str) and "://" in host else None
