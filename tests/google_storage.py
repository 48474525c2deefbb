"""Google Cloud Storage's XML API over a dict, for the tests: what obstore asks of it.

Generations, preconditions, ranges and pages are as Google documents them
(https://cloud.google.com/storage/docs/xml-api/reference-headers). No server that can be installed
here has this interface.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from xml.sax.saxutils import escape

from aiohttp import web

__all__ = ["GoogleStorage"]


@dataclass(frozen=True)
class _Object:
    value: bytes
    generation: int
    modified: datetime

    @property
    def e_tag(self) -> str:
        return f'"{hashlib.md5(self.value, usedforsecurity=False).hexdigest()}"'

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": self.e_tag,
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": "1",
            "Last-Modified": format_datetime(self.modified, usegmt=True),
        }


@dataclass
class GoogleStorage:
    """One bucket, named ``bucket``. Equal values have equal ETags, and other generations."""

    url: str = ""
    ignores_suffixes: bool = False
    """Whether a suffix range is answered with the whole value, as some emulators do."""
    denies: bool = False
    objects: dict[str, _Object] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    """What came as credentials."""
    _generations: count[int] = field(default_factory=lambda: count(1700000000000000))

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("GET", "/bucket", self._list)
        app.router.add_route("*", "/bucket/{key:.+}", self._object)
        app.router.add_route("*", "/{other:.*}", self._no_bucket)
        return app

    async def _no_bucket(self, request: web.Request) -> web.Response:
        return _error(404, "NoSuchBucket", "The specified bucket does not exist.")

    async def _object(self, request: web.Request) -> web.StreamResponse:
        self.tokens.add(request.headers.get("Authorization", ""))
        if self.denies:
            return _error(403, "AccessDenied", "Access denied.")
        body = await request.read()
        key = request.match_info["key"]
        found = self.objects.get(key)
        expected = request.headers.get("x-goog-if-generation-match")
        if expected is not None and not expected.isdecimal():
            return _error(400, "InvalidArgument", "A generation is a number.")
        if expected is not None and int(expected) != (found.generation if found else 0):
            return _error(412, "PreconditionFailed", "A precondition did not hold.")
        if request.method == "PUT":
            self.objects[key] = found = _Object(body, next(self._generations), datetime.now(UTC))
            return web.Response(headers=found.headers)
        if found is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        if request.method == "DELETE":
            del self.objects[key]
            return web.Response(status=204)
        return self._answer(request, found)

    def _answer(self, request: web.Request, found: _Object) -> web.Response:
        size = len(found.value)
        asked = request.headers.get("Range", "")
        if not asked or (self.ignores_suffixes and asked.startswith("bytes=-")):
            length = {"Content-Length": str(size)}  # which aiohttp omits for HEAD and no bytes
            return web.Response(body=found.value, headers={**found.headers, **length})
        start, stop, _ = request.http_range.indices(size)
        if start >= stop:
            return _error(416, "InvalidRange", "The requested range cannot be satisfied.")
        said = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        return web.Response(
            status=206, body=found.value[start:stop], headers={**found.headers, **said}
        )

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token", query.get("start-after", ""))
        most = int(query.get("max-keys", "1000"))
        entries: dict[str, str] = {}  # the last key of each -> its XML
        seen = ""
        truncated = False
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= after:
                continue
            name, more, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            group = prefix + name + delimiter if more else ""
            if group and (group == seen or (after and after.startswith(group))):
                continue
            if len(entries) == most:
                truncated = True
                break
            seen = group
            entries[key] = _common(group) if group else _contents(key, self.objects[key])
        last = next(reversed(entries), "")
        following = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>"
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://doc.s3.amazonaws.com/2006-03-01"><Name>bucket</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(entries)}</KeyCount>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{following if truncated else ''}"
            f"{''.join(entries.values())}</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")


def _common(prefix: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>"


def _contents(key: str, found: _Object) -> str:
    modified = found.modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"<Contents><Key>{escape(key)}</Key><Generation>{found.generation}</Generation>"
        f"<LastModified>{modified}</LastModified><ETag>{escape(found.e_tag)}</ETag>"
        f"<Size>{len(found.value)}</Size></Contents>"
    )


def _error(status: int, code: str, message: str) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
