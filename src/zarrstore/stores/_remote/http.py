"""HTTP and HTTPS, through the filesystem's session: status and headers decide, not the body."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from zarrstore.byte_range import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    resolve,
)
from zarrstore.errors import UnsupportedOperationError
from zarrstore.operations import Capability, Stat
from zarrstore.stores._remote.base import Files, content_range, part_of
from zarrstore.stores._report import Report, Retry, looks_like_html, retried

__all__ = ["HTTPFiles"]

_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_INDEX_TITLE = re.compile(rb"<title>[^<]*(?:index of|directory listing)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class HTTPFiles(Files):
    """Files of a web server. Listed where the server gives index pages."""

    capabilities = Capability.READ | Capability.LIST

    def __init__(self, fs: Any, root: str, report: Report) -> None:
        super().__init__(fs, root, report)
        # a query (a signature, a token) belongs behind every key
        base, self._mark, self._query = str(fs.encode_url(root)).partition("?")
        self._base = base.partition("#")[0].rstrip("/")

    def path(self, key: str) -> str:
        return f"{self._base}/{quote(key, safe='/')}{self._mark}{self._query}"

    async def get(self, key: str) -> bytes | None:
        with self.report.unless_missing("read", key):
            answer = await self._ask("GET", key)
            return None if answer is None else self._whole(key, answer)
        return None

    async def get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        header = _range_header(byte_range)
        with self.report.unless_missing("read", key):
            if header is None:
                return None if await self.stat(key) is None else b""

            async def attempt() -> bytes | None:
                answer = await self._ask("GET", key, {"Range": header})
                return None if answer is None else await self._part(key, byte_range, answer)

            return await retried(attempt)
        return None

    async def _part(self, key: str, byte_range: ByteRequest, answer: _Answer) -> bytes | None:
        if answer.status == 200:
            whole = self._whole(key, answer)
            start, stop = resolve(byte_range, len(whole))
            return whole[start:stop]
        if answer.status == 416:
            return await self._past_the_end(key, byte_range, answer)
        said = answer.headers.get("Content-Range")
        found = content_range(said)
        if found is None:
            raise self.report.corrupt(key, f"a part came with no valid Content-Range ({said!r})")
        start, stop, size = found
        if size is None:
            there = await self.stat(key)
            if there is None:
                return None
            size = there.size
        is_whole = len(answer.body) == stop - start
        part = part_of(byte_range, answer.body, start, size) if is_whole else None
        if part is None:
            raise Retry(
                self.report.corrupt(
                    key,
                    f"asked for {byte_range}, got {len(answer.body)} bytes as "
                    f"Content-Range {said!r}",
                )
            )
        return part

    async def _past_the_end(
        self, key: str, byte_range: ByteRequest, answer: _Answer
    ) -> bytes | None:
        """Answer a request that the server calls unsatisfiable, if it says so rightly."""
        found = content_range(answer.headers.get("Content-Range"))
        size = found[2] if found is not None else None
        if size is None:
            there = await self.stat(key)
            if there is None:
                return None
            size = there.size
        start, stop = resolve(byte_range, size)
        if start == stop:
            return b""
        raise self.report.corrupt(
            key, f"the server refused a range that lies in its {size} bytes (status 416)"
        )

    def _whole(self, key: str, answer: _Answer) -> bytes:
        said = answer.headers.get("Content-Type", "")
        if (
            said.lower().startswith("text/html")
            and not key.lower().endswith((".html", ".htm"))
            and looks_like_html(answer.body)
        ):
            raise self.report.failed(
                "read",
                key,
                f"the server answered {answer.status} with a web page, not with the value; "
                "check the URL, and that no login or error page is in between",
            )
        return answer.body

    async def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            answer = await self._ask("HEAD", key)
            if answer is None:
                return None
            length = answer.headers.get("Content-Length")
            if answer.status == 200 and length is not None and length.isdigit():
                return _stat(int(length), answer)
            answer = await self._ask("GET", key, {"Range": "bytes=0-0"})
            if answer is None:
                return None
            found = content_range(answer.headers.get("Content-Range"))
            if answer.status != 200 and found is not None and found[2] is not None:
                return _stat(found[2], answer)
            if answer.status != 200:
                answer = await self._ask("GET", key)
            return None if answer is None else _stat(len(self._whole(key, answer)), answer)
        return None

    async def _ask(
        self, method: str, key: str, headers: Mapping[str, str] | None = None
    ) -> _Answer | None:
        """Return an answer with a status of 200, 206 or 416; ``None`` if there is no such key.

        A HEAD may also be answered by 405 or 501: the server has none.
        """
        url = self.path(key)
        answer = await retried(lambda: self._once(method, url, key, headers or {}))
        status = answer.status
        if status in (404, 410) or (status == 403 and self.report.forbidden_is_missing):
            return None
        if status in (401, 403, 407):
            raise self.report.denied("read", key, f"the server answered {status}")
        if method == "HEAD" and status in (405, 501):
            return answer
        ranged = headers is not None and "Range" in headers
        if status != 200 and not (ranged and status in (206, 416)):
            raise self.report.failed("read", key, f"the server answered {status}")
        if urlsplit(answer.url).path.endswith("/"):
            return None  # sent on to the index of a directory
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if status != 416 and encoding not in ("", "identity"):
            raise self.report.corrupt(
                key,
                f"the server sent Content-Encoding {encoding!r}, though only the stored bytes "
                "were accepted; switch off compression on the server",
            )
        return answer

    async def _once(self, method: str, url: str, key: str, headers: Mapping[str, str]) -> _Answer:
        import aiohttp
        import yarl

        session = await self.fs.set_session()
        options = dict(self.fs.kwargs)
        headers = {**options.pop("headers", {}), **headers, "Accept-Encoding": "identity"}
        options.setdefault("allow_redirects", True)
        try:
            async with session.request(
                method, yarl.URL(url, encoded=True), headers=headers, **options
            ) as response:
                body = b"" if method == "HEAD" else await response.read()
        except TimeoutError:
            raise
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise Retry(error) from error
        if response.status in _TRANSIENT:
            after = response.headers.get("Retry-After", "")
            raise Retry(
                self.report.failed(
                    "read", key, f"the server answered {response.status}; try again later"
                ),
                float(after) if after.isdigit() else 0.0,
            )
        return _Answer(response.status, response.headers, body, str(response.url))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        with self.report.during("list", prefix):
            pending = [prefix]
            while pending:
                directory = pending.pop()
                for name in await self._index(directory):
                    if name.endswith("/"):
                        pending.append(directory + name)
                    else:
                        yield directory + name

    def names(self, prefix: str) -> Any:
        return self._children(prefix)

    async def _children(self, prefix: str) -> AsyncIterator[str]:
        with self.report.during("list", prefix):
            for name in await self._index(prefix):
                yield name.rstrip("/")

    async def _index(self, prefix: str) -> list[str]:
        """Return the names on an index page; those of directories end with ``/``."""
        path = f"{self._base}/{quote(prefix, safe='/')}"
        url = f"{path}{self._mark}{self._query}"
        answer = await retried(lambda: self._once("GET", url, prefix, {}))
        if answer.status in (401, 403, 407) and prefix:
            raise self.report.denied("list", prefix, f"the server answered {answer.status}")
        if answer.status in (404, 410) and prefix:
            await self._index("")  # raises if there are no index pages at all
            return []
        if answer.status != 200 or not _INDEX_TITLE.search(answer.body):
            raise UnsupportedOperationError(
                f"{self.report.url} gives no index page for {prefix!r} (status "
                f"{answer.status}), so its keys cannot be listed; ask for the keys you know, or "
                "use consolidated metadata",
                store=self.report.url,
                key=prefix,
            )
        links = _Links()
        links.feed(answer.body.decode("utf-8", "replace"))
        names: dict[str, None] = {}
        top = urlsplit(answer.url).path
        for link in links.found:
            there = urlsplit(urljoin(answer.url, link))
            if there.netloc != urlsplit(answer.url).netloc or not there.path.startswith(top):
                continue
            name = there.path[len(top) :]
            if name and "/" not in name[:-1] and name != "/":
                names[unquote(name)] = None
        return list(names)

    @staticmethod
    async def closed(fs: Any) -> None:
        if fs._session is not None:
            await fs._session.close()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _range_header(byte_range: ByteRequest) -> str | None:
    """Return the header of a request; ``None`` if no byte is asked for."""
    if isinstance(byte_range, RangeByteRequest):
        if byte_range.start == byte_range.end:
            return None
        return f"bytes={byte_range.start}-{byte_range.end - 1}"
    if isinstance(byte_range, OffsetByteRequest):
        return f"bytes={byte_range.offset}-"
    return f"bytes=-{byte_range.suffix}" if byte_range.suffix else None


def _stat(size: int, answer: _Answer) -> Stat:
    try:
        modified: datetime | None = parsedate_to_datetime(answer.headers["Last-Modified"])
    except (KeyError, ValueError, TypeError):
        modified = None
    if modified is not None and modified.tzinfo is None:
        modified = modified.replace(tzinfo=UTC)
    return Stat(size, answer.headers.get("ETag"), modified)
