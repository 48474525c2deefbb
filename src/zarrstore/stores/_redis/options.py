"""How a server is named: by the options of redis-py, and by a URL."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from zarrstore.stores._arguments import checked_number, checked_seconds

__all__ = ["checked_options", "options_of", "url_of"]

_OURS = {"connection_pool", "decode_responses", "encoding", "retry", "single_connection_client"}


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the place they leave out; raise unless redis-py takes them."""
    try:
        from redis import Redis
    except ImportError as error:
        raise ImportError(
            "RedisStore needs a package that is not installed: pip install 'zarrstore[redis]'"
        ) from error
    known = set(inspect.signature(Redis).parameters) - _OURS
    if unknown := sorted(set(options) - known):
        raise TypeError(
            f"RedisStore takes no option {', '.join(unknown)}; known are prefix, read_only and "
            f"{', '.join(sorted(known))}"
        )
    is_unix = options.get("unix_socket_path")
    place = {"db": 0} if is_unix else {"host": "localhost", "port": 6379, "db": 0}
    checked = {**place, **options}
    if not isinstance(checked.get("host", ""), str):
        raise TypeError(f"host is a str, not {checked['host']!r}")
    for name in {"port", "db"} & set(checked):
        value = checked[name]
        is_text = isinstance(value, str) and value.isdecimal()  # of an environment variable
        checked[name] = checked_number(name, int(value) if is_text else value)
    for name in ("socket_timeout", "socket_connect_timeout"):
        if checked.get(name) is not None:
            checked[name] = checked_seconds(name, checked[name])
    return checked


def options_of(url: str) -> dict[str, Any]:
    """Return the options that a URL stands for, ``prefix`` among them.

    Raises
    ------
    ValueError
        If it is no URL of a database.
    """
    from redis import connection

    parse_url: Any = connection.parse_url
    scheme, _, rest = url.partition("://")
    parts = urlsplit(url)
    is_unix = scheme == "redis+unix"
    if not is_unix and not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError(
            f"its path is the number of a database, not {parts.path!r}; give ?prefix= for a path"
        )
    options: dict[str, Any] = parse_url(f"unix://{rest}" if is_unix else url)
    options.pop("connection_class", None)
    if is_unix:
        options["unix_socket_path"] = options.pop("path", "")
    if scheme == "rediss":
        options["ssl"] = True
    if "prefix" in (query := parse_qs(parts.query, keep_blank_values=True)):
        options["prefix"] = query["prefix"][0]
    return options


def url_of(prefix: str, options: Mapping[str, Any]) -> str:
    """Return a URL without credentials that `options_of` understands."""
    query = f"prefix={quote(prefix, safe='/')}"
    if path := options.get("unix_socket_path"):
        return f"redis+unix://{quote(path)}?db={options['db']}&{query}"
    scheme = "rediss" if options.get("ssl") else "redis"
    host = f"[{options['host']}]" if ":" in options["host"] else options["host"]
    return f"{scheme}://{host}:{options['port']}/{options['db']}?{query}"
