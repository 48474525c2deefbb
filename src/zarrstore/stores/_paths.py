"""What stores in a local file share: the path that is given, or that a URL names."""

from __future__ import annotations

import os

from zarrstore.errors import StoreURLError

__all__ = ["absolute", "checked_path", "path_of_url", "plain_path_of_url"]


def absolute(path: str) -> str:
    """Return a path made absolute, as it is now.

    >>> absolute("/data/../x")
    '/x'
    """
    # abspath asks for the working directory even if that does not matter, on an event loop too
    return os.path.normpath(path) if os.path.isabs(path) else os.path.abspath(path)


def checked_path(path: str | os.PathLike[str]) -> str:
    """Return a path made absolute.

    Raises
    ------
    TypeError, ValueError
        If it is no path.
    """
    given = os.fspath(path)
    if not isinstance(given, str):
        raise TypeError(f"path is a str or a path, not {type(path).__name__}")
    if not given or "\x00" in given:
        raise ValueError(f"path is empty, or has a NUL character: {given!r}")
    return absolute(given)


def plain_path_of_url(url: str) -> str:
    """Return the path of a URL of a local database that has no query.

    Raises
    ------
    StoreURLError
        As `path_of_url`, or if there is a query.

    Examples
    --------
    >>> plain_path_of_url("lmdb://data/x")
    'data/x'
    """
    path, query = path_of_url(url)
    if query:
        raise StoreURLError(f"{url!r} has a query; give storage_options instead", store=url)
    return path


def path_of_url(url: str) -> tuple[str, str]:
    """Return the path and the query of a URL of a local database.

    As in ``file://``, the path is what stands after ``scheme://``: with two slashes it is
    relative, with three absolute.

    Raises
    ------
    StoreURLError
        If there is no path, or one that was probably meant to be relative.

    Examples
    --------
    >>> path_of_url("dbm://data/x?flavour=gnu")
    ('data/x', 'flavour=gnu')
    >>> path_of_url("sqlite:////tmp/x.db")
    ('/tmp/x.db', '')
    """
    scheme, _, rest = url.partition("://")
    path, _, query = rest.partition("?")
    if not path.strip("/"):
        raise StoreURLError(
            f"{url!r} names no file: use '{scheme}://x' for one in this directory, "
            f"'{scheme}:///folder/x' for an absolute path",
            store=url,
        )
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        parent = os.path.dirname(path)
        is_root = os.path.dirname(parent) == parent
        if not os.path.lexists(path) and (is_root or not os.path.isdir(parent)):
            reason = "is not made in the root directory" if is_root else f"has no folder {parent!r}"
            raise StoreURLError(
                f"{url!r} is the absolute path {path!r}, which {reason}; a relative path has two "
                f"slashes: '{scheme}:/{path}'",
                store=url,
            )
    return path, query
