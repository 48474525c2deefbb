"""URLs for people to read: joined, and without credentials."""

from __future__ import annotations

import re

__all__ = ["join_url", "redact"]

_USERINFO = re.compile(
    # the first form is a password with a bare "/" or "@" in it, as some cloud secrets have; a
    # path with "@" in it is taken for more of the password: better too much hidden than too little
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)"
    r"(?:[^/\s?#@:]*:(?!\d+/)[^\s?#'\"]*|[^/\s?#]*)@"
)
_SECRET = re.compile(
    r"(?P<name>[?&;][^=&;#\s'\"]*(?:sig|signature|token|key|keyid|secret|password|passwd|pwd"
    r"|credential|credentials|auth|sas|apikey)=)(?P<value>[^&;#\s'\"|]*)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return a text with the passwords, tokens and signatures of its URLs replaced by ``***``.

    Examples
    --------
    >>> redact("https://me:pw@host/a?X-Amz-Signature=abc&part=1")
    'https://***@host/a?X-Amz-Signature=***&part=1'
    """
    text = _USERINFO.sub(lambda found: f"{found['scheme']}***@", text)
    return _SECRET.sub(lambda found: f"{found['name']}***", text)


def join_url(url: str, path: str) -> str:
    """Join a store's URL and the path of a node or key in it.

    Examples
    --------
    >>> join_url("memory://x", "a/b"), join_url("file:///x.zip|zip:", "a")
    ('memory://x/a/b', 'file:///x.zip|zip:a')
    """
    if not path:
        return url
    return url + path if url.endswith(("/", ":")) else f"{url}/{path}"
