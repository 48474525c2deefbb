"""The rules for keys and prefixes, in one place.

A key is a ``str`` of 1 to 1024 UTF-8 bytes whose segments are separated by ``/``. No segment
is empty, ``.`` or ``..``; no NUL, no backslash, no lone surrogate. Keys are compared as they
are: case-sensitive, without Unicode normalisation or percent-decoding.

A prefix is ``""`` (the root) or the path of a node. ``"a/b"`` and ``"a/b/"`` mean the same:
every key under that node, never ``a/bc`` and never the key ``a/b`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from zarrstore.errors import InvalidKeyError

__all__ = [
    "MAX_KEY_BYTES",
    "check_key",
    "check_keys",
    "check_prefix",
    "is_key",
    "join",
    "legal_keys",
]

MAX_KEY_BYTES = 1024
_SURELY_SHORT = MAX_KEY_BYTES // 4

# possessive: a segment that does not fit will not fit if it is shorter
_SEGMENT = r"(?!\.\.?+(?:/|\Z))[^/\\\x00\ud800-\udfff]++"
# matches what is no path of segments: of a key there is then no match to be made
_mismatch = re.compile(rf"(?!{_SEGMENT}(?:/{_SEGMENT})*+\Z)").match


def is_key(key: str) -> bool:
    """Tell whether a string is a legal key.

    Examples
    --------
    >>> is_key("a/c/0/0"), is_key("a/../b"), is_key("/a")
    (True, False, False)
    """
    return _mismatch(key) is None and (
        len(key) <= _SURELY_SHORT or len(key.encode()) <= MAX_KEY_BYTES
    )


def check_key(key: str) -> str:
    """Return a key unchanged if it is legal.

    Raises
    ------
    InvalidKeyError
        If it is not, or is not a ``str``; the message says which rule it breaks.

    Examples
    --------
    >>> check_key("a/zarr.json")
    'a/zarr.json'
    """
    # as `is_key`, without the call: this runs before every operation
    if (
        isinstance(key, str)
        and _mismatch(key) is None
        and (len(key) <= _SURELY_SHORT or len(key.encode()) <= MAX_KEY_BYTES)
    ):
        return key
    raise InvalidKeyError(f"invalid key {_shown(key)}: {_fault(key, 'key')}", key=_name(key))


def check_keys(keys: Collection[str]) -> None:
    """Raise `InvalidKeyError` for the first of many keys that is not legal.

    Examples
    --------
    >>> check_keys(["a/b", "c"])
    """
    if not _surely_legal(keys):
        for key in keys:
            check_key(key)


def legal_keys(keys: list[str]) -> list[str]:
    """Return those of many strings that are legal keys.

    Examples
    --------
    >>> legal_keys(["a/b", "/c", ".zgroup"])
    ['a/b', '.zgroup']
    """
    return keys if _surely_legal(keys) else [key for key in keys if is_key(key)]


_RARE = ("//", "/.", "\\")


def _surely_legal(keys: Collection[str]) -> bool:
    """Tell whether all of many keys are plain ones, looking at them as one string.

    This takes a fifth of the time of the one after the other, and most keys are plain.
    """
    try:
        text = "/" + "/\0/".join(keys) + "/"  # so that each segment is between two slashes
    except TypeError:
        return False
    return (
        text.isascii()
        and not any(rare in text for rare in _RARE)
        and text.count("\0") == len(keys) - 1
        and _is_short_between_nuls(text)
    )


def _is_short_between_nuls(text: str) -> bool:
    """Tell whether no part is too long, in a look for many parts: faster than one at each."""
    at = 0
    while len(text) - at > _SURELY_SHORT:
        at = text.rfind("\0", at, at + _SURELY_SHORT) + 1
        if at == 0:
            return False
    return True


def check_prefix(prefix: str) -> str:
    """Return a legal prefix in its one form: ``""``, or a path that ends with ``/``.

    Raises
    ------
    InvalidKeyError
        If it is not legal; the message says which rule it breaks.

    Examples
    --------
    >>> check_prefix("a/b"), check_prefix("a/b/"), check_prefix("")
    ('a/b/', 'a/b/', '')
    """
    if isinstance(prefix, str):
        if not prefix:
            return ""
        path = prefix[:-1] if prefix[-1] == "/" else prefix
        if is_key(path):
            return path + "/"
    fault = _fault(prefix, "prefix")
    raise InvalidKeyError(f"invalid prefix {_shown(prefix)}: {fault}", key=_name(prefix))


def join(path: str, name: str) -> str:
    """Join a node path (``""`` is the root) and a name below it.

    Examples
    --------
    >>> join("", "zarr.json"), join("a/b", "zarr.json")
    ('zarr.json', 'a/b/zarr.json')
    """
    return f"{path}/{name}" if path else name


def _shown(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def _name(key: object) -> str | None:
    return key if isinstance(key, str) else None


def _fault(key: object, kind: str) -> str:
    if not isinstance(key, str):
        return f"a {kind} is a str, not {type(key).__name__}"
    if not key:
        return "a key has at least one character"
    if "\x00" in key:
        return f"a {kind} has no NUL character"
    if "\\" in key:
        return f"a {kind} has no backslash; separate segments with '/'"
    if re.search("[\ud800-\udfff]", key):
        return f"a {kind} has no lone surrogate: it must be encodable as UTF-8"
    if key[0] == "/":
        return f"a {kind} does not start with '/': it is relative to the store's root"
    if key[-1] == "/" and kind == "key":
        return "a key does not end with '/'"
    segments = (key.removesuffix("/") if kind == "prefix" else key).split("/")
    if "" in segments:
        return "a segment between two '/' is not empty"
    if "." in segments or ".." in segments:
        return "a segment is not '.' or '..'"
    return f"a {kind} has at most {MAX_KEY_BYTES} bytes in UTF-8"
