"""S3, through the requests of s3fs itself: its answers are checked, its listings never cached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from zarrstore.byte_range import ByteRequest, OffsetByteRequest, RangeByteRequest
from zarrstore.errors import UnsupportedOperationError
from zarrstore.fan_out import map_bounded
from zarrstore.operations import Absent, Capability, Stat, Version
from zarrstore.stores._remote.base import Files, content_range, part_of, stat_of
from zarrstore.stores._report import Report, Retry, retried

__all__ = ["S3Files"]

_MULTIPART_FROM = 256 * 2**20
_CONFLICTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class S3Files(Files):
    """Objects of an S3 bucket below a prefix."""

    capabilities = Files.capabilities | Capability.CREATE_EXCLUSIVE | Capability.COMPARE_AND_SWAP

    def __init__(self, fs: Any, root: str, report: Report) -> None:
        super().__init__(fs, root, report)
        self._bucket, below, _ = fs.split_path(self.root)
        self._top = f"{below}/" if below else ""

    async def _call(self, method: str, **arguments: Any) -> Any:
        if self.fs._s3 is None:
            # a task of its own: making a client reads files, which is s3fs's business
            await asyncio.ensure_future(self.fs.set_session())
        return await self.fs._call_s3(method, Bucket=self._bucket, **arguments)

    async def get(self, key: str) -> bytes | None:
        with self.report.unless_missing("read", key):
            return (await retried(lambda: self._read(key)))[0]
        return None

    async def _read(self, key: str, **arguments: Any) -> tuple[bytes, Any]:
        try:
            answer = await self._call("get_object", Key=self._top + key, **arguments)
        except FileNotFoundError as error:
            self._check_bucket(error)
            raise
        try:
            async with answer["Body"] as stream:
                body = await stream.read()
        except Exception as error:
            if isinstance(error, TimeoutError):
                raise
            raise Retry(error) from error
        length = answer.get("ContentLength")
        if length is not None and length != len(body):
            raise Retry(self.report.corrupt(key, f"the server sent {len(body)} of {length} bytes"))
        return body, answer

    async def get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        if isinstance(byte_range, RangeByteRequest):
            header = f"bytes={byte_range.start}-{byte_range.end - 1}"
            empty = byte_range.start == byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            header, empty = f"bytes={byte_range.offset}-", False
        else:
            header, empty = f"bytes=-{byte_range.suffix}", not byte_range.suffix
        with self.report.unless_missing("read", key):
            if empty:
                return None if await self.stat(key) is None else b""
            return await retried(lambda: self._part(key, byte_range, header))
        return None

    async def _part(self, key: str, byte_range: ByteRequest, header: str) -> bytes | None:
        try:
            body, answer = await self._read(key, Range=header)
        except OSError as error:
            if _code(error) not in ("InvalidRange", "416"):
                raise
            there = await self.stat(key)
            if there is None:
                return None
            if part_of(byte_range, b"", 0, there.size) is None:
                raise Retry(error) from error
            return b""
        said = answer.get("ContentRange")
        start, stop, size = content_range(said) or (0, len(body), len(body))
        part = None
        if size is not None and len(body) == stop - start:
            part = part_of(byte_range, body, start, size)
        if part is None:
            raise Retry(
                self.report.corrupt(
                    key, f"asked for {byte_range}, got {len(body)} bytes as {said!r}"
                )
            )
        return part

    async def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            answer = await self._call("head_object", Key=self._top + key)
            return stat_of({**answer, "size": answer["ContentLength"]})
        return None

    async def set(self, key: str, value: bytes) -> Version | None:
        path = f"{self.root}/{key}"
        with self.report.during("write", key):
            if len(value) < _MULTIPART_FROM or "?versionId=" in key:
                answer = await self._call("put_object", Key=self._top + key, Body=value)
                return _version(answer)
            await self.fs._pipe_file(path, value)
        there = await self.stat(key)
        return there.version if there else None

    async def set_if(
        self, key: str, value: bytes, expect: Any, conflict: Callable[..., Exception]
    ) -> Version | None:
        absent = isinstance(expect, Absent)
        condition = {"IfNoneMatch": "*"} if absent else {"IfMatch": expect}
        with self.report.during("write", key):
            await self._check_conditions(key, next(iter(condition)))
            try:
                answer = await self._call(
                    "put_object", Key=self._top + key, Body=value, **condition
                )
                return _version(answer)
            except OSError as error:
                missing = not absent and isinstance(error, FileNotFoundError)
                if not missing and _code(error) not in _CONFLICTS:
                    raise
                self._check_bucket(error)
        there = await self.stat(key)
        raise conflict(key, expect, None if there is None else there.version)

    async def _check_conditions(self, key: str, name: str) -> None:
        """Raise if the client library is too old: it would leave the condition out."""
        if self.fs._s3 is None:
            await asyncio.ensure_future(self.fs.set_session())
        client = await self.fs.get_s3(self._bucket)
        if name not in client.meta.service_model.operation_model("PutObject").input_shape.members:
            raise UnsupportedOperationError(
                f"this version of botocore does not know {name}, which conditional writes to "
                f"{self.report.url} need; upgrade s3fs and aiobotocore",
                store=self.report.url,
                key=key,
            )

    async def delete(self, key: str) -> None:
        with self.report.unless_missing("delete", key):
            try:
                await self._call("delete_object", Key=self._top + key)
            except FileNotFoundError as error:
                self._check_bucket(error)
                raise

    async def _pages(self, prefix: str, delimiter: str = "") -> AsyncIterator[Any]:
        arguments: dict[str, Any] = {"Prefix": self._top + prefix, "Delimiter": delimiter}
        while True:
            page = await self._call("list_objects_v2", **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        with self.report.during("list", prefix):
            async for page in self._pages(prefix):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):  # a marker of an empty directory
                        yield item["Key"][len(self._top) :]

    def names(self, prefix: str) -> Any:
        return self._children(prefix)

    async def _children(self, prefix: str) -> AsyncIterator[str]:
        start = len(self._top) + len(prefix)
        seen: set[str] = set()
        with self.report.during("list", prefix):
            async for page in self._pages(prefix, "/"):
                names = [item["Prefix"][start:-1] for item in page.get("CommonPrefixes", ())]
                names += [item["Key"][start:] for item in page.get("Contents", ())]
                for name in names:
                    # a key may be a prefix as well
                    if name and not name.endswith("/") and name not in seen:
                        seen.add(name)
                        yield name

    async def getsize_prefix(self, prefix: str) -> int:
        size = 0
        with self.report.during("list", prefix):
            async for page in self._pages(prefix):
                size += sum(item["Size"] for item in page.get("Contents", ()))
        return size

    async def delete_dir(self, prefix: str) -> None:
        with self.report.during("delete", prefix):
            batches = [
                [{"Key": item["Key"]} for item in page["Contents"]]
                async for page in self._pages(prefix)
                if page.get("Contents")
            ]
            await map_bounded(lambda batch: self._delete_batch(prefix, batch), batches, limit=8)

    async def _delete_batch(self, prefix: str, batch: list[dict[str, str]]) -> None:
        answer = await self._call("delete_objects", Delete={"Objects": batch, "Quiet": True})
        for failed in answer.get("Errors", ()):
            code, said = failed.get("Code", ""), failed.get("Message", "")
            make = self.report.denied if code == "AccessDenied" else self.report.failed
            raise make("delete", str(failed.get("Key", prefix)), f"{code} {said}".strip())

    def _check_bucket(self, error: BaseException) -> None:
        if _code(error) == "NoSuchBucket":
            raise self.report.failed(
                "use", self._bucket, "there is no such bucket; check its name, or create it"
            ) from error

    @staticmethod
    async def closed(fs: Any) -> None:
        if fs._s3 is not None:
            await fs._s3creator.__aexit__(None, None, None)


def _version(answer: Any) -> Version | None:
    tag = answer.get("ETag")
    return None if tag is None else str(tag)


def _code(error: BaseException) -> str:
    """Return the S3 error code behind an exception of s3fs."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""
