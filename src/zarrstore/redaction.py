"""Keeping credentials out of reprs, messages and logs."""

from __future__ import annotations

import re

__all__ = ["redact"]

_USERINFO = re.compile(
    # the second form is a password with a bare "/" in it, as some cloud secrets have
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)"
    r"(?:[^/\s?#]*|[^/\s?#@:]*:(?!\d+/)[^\s?#'\"]*)@"
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
