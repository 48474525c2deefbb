"""The keys of a store as the objects of one store of obstore, below one path."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias, TypeVar

import anyio.to_thread

from zarrstore.byte_range import ByteRequest, OffsetByteRequest, RangeByteRequest, resolve
from zarrstore.errors import BackendError, ConflictError
from zarrstore.fan_out import map_bounded
from zarrstore.operations import Absent, Capability, Stat, Version
from zarrstore.stores._object.report import ObjectsReport, status_of
from zarrstore.stores._report import Retry, looks_like_html, retried

__all__ = [
    "GoogleObjects",
    "HTTPObjects",
    "LocalObjects",
    "MemoryObjects",
    "Objects",
]

T = TypeVar("T")

_MULTIPART_FROM = 256 * 2**20
_PART = 32 * 2**20
_PAGE = 1000
_FEW = 8
_BROKE_OFF = "request or response body error"
_NO_HEAD = (405, 501)

Meta: TypeAlias = dict[str, Any]
Conflict: TypeAlias = Callable[[str, Any, Version | None], Exception]


class Objects:
    """Any store of obstore: S3, Google Cloud, Azure, memory.

    Parameters
    ----------
    store : obstore.store.ObjectStore
    prefix : str
        ``""``, or a path that ends with ``/``.
    report : ObjectsReport
    """

    capabilities: ClassVar[Capability] = (
        Capability.READ
        | Capability.WRITE
        | Capability.DELETE
        | Capability.LIST
        | Capability.CREATE_EXCLUSIVE
        | Capability.COMPARE_AND_SWAP
    )
    version_field: ClassVar[str] = "e_tag"
    has_markers: ClassVar[bool] = True
    """Whether other programs mark an empty directory by an object whose key ends with ``/``."""
    lists_one_level: ClassVar[bool] = True

    def __init__(self, store: Any, prefix: str, report: ObjectsReport) -> None:
        import obstore

        self._api: Any = obstore
        self._store = store
        self._top = prefix
        self.report = report

    async def get(self, key: str) -> memoryview | None:
        with self.report.unless_missing("read", key):
            return await self._steady(lambda: self._whole(key))
        return None

    async def _whole(self, key: str) -> memoryview:
        answer = await self._api.get_async(self._store, self._top + key)
        return memoryview(await answer.bytes_async())

    async def get_range(self, key: str, byte_range: ByteRequest) -> memoryview | bytes | None:
        with self.report.unless_missing("read", key):
            return await self._steady(lambda: self._part(key, byte_range))
        return None

    async def _steady(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Read again where an answer broke off, which obstore does not."""
        try:
            return await attempt()
        except self._api.exceptions.GenericError as error:
            if _BROKE_OFF not in str(error):
                raise

        async def again() -> T:
            try:
                return await attempt()
            except self._api.exceptions.GenericError as error:
                raise Retry(error) from error

        return await retried(again)

    async def _part(self, key: str, byte_range: ByteRequest) -> memoryview | bytes | None:
        first: Exception | None = None
        if not isinstance(byte_range, RangeByteRequest) or byte_range.start < byte_range.end:
            try:
                part = await self._asked(key, byte_range)
            except (self._api.exceptions.BaseError, NotImplementedError) as error:
                if self.report.is_missing(error) or _is_final(error):
                    raise
                first = error  # a start past the end is an error: the size will tell
            else:
                if part is not None:
                    return part
        return await self._part_by_size(key, byte_range, first)

    async def _asked(self, key: str, byte_range: ByteRequest) -> memoryview | None:
        """Ask for a range as it is; ``None`` if the answer may not be all there is."""
        path = self._top + key
        if isinstance(byte_range, RangeByteRequest):
            # one step, where `get_async` takes two; a full answer needs no further proof
            data = await self._api.get_range_async(
                self._store, path, start=byte_range.start, end=byte_range.end
            )
            found = memoryview(data)
            return found if len(found) == byte_range.end - byte_range.start else None
        if isinstance(byte_range, OffsetByteRequest):
            wanted = {"offset": byte_range.offset}
        else:
            wanted = {"suffix": byte_range.suffix}
        answer = await self._api.get_async(self._store, path, options={"range": wanted})
        found = memoryview(await answer.bytes_async())
        start, stop = resolve(byte_range, answer.meta["size"])
        return found if answer.range == (start, stop) and len(found) == stop - start else None

    async def _part_by_size(
        self, key: str, byte_range: ByteRequest, first: Exception | None
    ) -> memoryview | bytes | None:
        """Ask for what there is of a range, by the size of the value."""
        start = stop = 0
        found = memoryview(b"")
        for _ in range(3):  # a value that is overwritten meanwhile may have another size
            there = await self._stat(key)
            if there is None:
                return None
            start, stop = resolve(byte_range, there.size)
            if start == stop:
                return b""
            if first is not None and isinstance(byte_range, RangeByteRequest):
                raise first  # it had nothing to do with the end
            data = await self._api.get_range_async(
                self._store, self._top + key, start=start, end=stop
            )
            found = memoryview(data)
            if len(found) == stop - start:
                return found
        raise self.report.corrupt(
            key, f"asked for bytes {start} to {stop}, got {len(found)}; read it again"
        )

    async def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            return await self._stat(key)
        return None

    async def _stat(self, key: str) -> Stat | None:
        return self._stat_of(await self._api.head_async(self._store, self._top + key))

    def _stat_of(self, meta: Meta) -> Stat:
        modified = meta["last_modified"]
        if modified is not None and not modified.timestamp():
            modified = None  # what obstore says if it does not know
        return Stat(meta["size"], self._version(meta), modified)

    def _version(self, result: Meta) -> Version | None:
        version: Version | None = result.get(self.version_field)
        return version

    async def set(self, key: str, value: bytes) -> Version | None:
        with self.report.during("write", key):
            result = await self._api.put_async(
                self._store,
                self._top + key,
                value,
                use_multipart=len(value) >= _MULTIPART_FROM,
                chunk_size=_PART,
            )
            version = self._version(result)
        if version is not None:
            return version
        there = await self.stat(key)
        return there.version if there else None

    async def set_if(self, key: str, value: bytes, expect: Any, conflict: Conflict) -> Any:
        errors = self._api.exceptions
        mode = "create" if isinstance(expect, Absent) else {self.version_field: expect}
        with self.report.during("write", key):
            try:
                result = await self._api.put_async(
                    self._store, self._top + key, value, mode=mode, use_multipart=False
                )
                return self._version(result)
            except (errors.AlreadyExistsError, errors.PreconditionError):
                pass
            except FileNotFoundError as error:
                if mode == "create" or not self.report.is_missing(error):
                    raise
        there = await self.stat(key)
        raise conflict(key, expect, None if there is None else there.version)

    async def delete(self, key: str) -> None:
        with self.report.unless_missing("delete", key):
            await self._api.delete_async(self._store, self._top + key)

    async def _pages(self, prefix: str) -> AsyncIterator[list[Meta]]:
        """Yield what is below a prefix in pages, paths cut to keys."""
        start = len(self._top)
        path = (self._top + prefix).rstrip("/") or None
        async for page in self._api.list(self._store, path, chunk_size=_PAGE):
            for meta in page:
                meta["path"] = meta["path"][start:]
            yield page

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        empty: set[str] = set()
        with self.report.during("list", prefix):
            async for page in self._pages(prefix):
                for meta in page:
                    if meta["size"] or not self.has_markers:
                        yield meta["path"]
                fresh = {meta["path"] for meta in page if not meta["size"]} - empty
                if self.has_markers and fresh:
                    empty |= fresh
                    for key in await self._not_markers(list(fresh)):
                        yield key

    async def _not_markers(self, keys: list[str]) -> list[str]:
        """Return the keys of empty objects that are there.

        A marker of a directory is listed, too: without the ``/`` at the end of its name.
        """
        stats = await map_bounded(self.stat, keys, limit=_FEW)
        return [key for key, there in zip(keys, stats, strict=True) if there and not there.size]

    async def names(self, prefix: str) -> AsyncIterator[str]:
        base = self._top + prefix
        with self.report.during("list", prefix):
            found = await self._api.list_with_delimiter_async(self._store, base.rstrip("/") or None)
        paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        # a key may be a prefix as well
        for name in dict.fromkeys(path[len(base) :] for path in paths if path.startswith(base)):
            if name:
                yield name

    async def getsize_prefix(self, prefix: str) -> int:
        with self.report.during("list", prefix):
            return sum([meta["size"] async for page in self._pages(prefix) for meta in page])
        raise AssertionError

    async def delete_dir(self, prefix: str) -> None:
        with self.report.during("delete", prefix):
            pages = [[meta["path"] for meta in page] async for page in self._pages(prefix)]
            await map_bounded(self._delete_page, pages, limit=_FEW)

    async def _delete_page(self, keys: Sequence[str]) -> None:
        paths = [self._top + key for key in keys]
        try:
            await self._api.delete_async(self._store, paths)
        except Exception as error:
            if not self.report.is_missing(error):
                raise
            # others deleted one of them meanwhile, and the rest may not have been tried
            await map_bounded(self.delete, keys)


def _is_final(error: Exception) -> bool:
    """Tell whether an exception has nothing to do with the range that was asked for."""
    refusals = ("PermissionDeniedError", "UnauthenticatedError")
    return type(error).__name__ in refusals or _BROKE_OFF in str(error)


class MemoryObjects(Objects):
    """The objects of obstore's own memory."""

    has_markers = False


class LocalObjects(Objects):
    """Local files. obstore can create one exclusively, and not compare and swap."""

    capabilities = Objects.capabilities & ~Capability.COMPARE_AND_SWAP
    has_markers = False
    lists_one_level = False  # with directories that have no files

    async def set(self, key: str, value: bytes) -> Version | None:
        try:
            return await super().set(key, value)
        except BackendError as error:
            if error.errno != errno.EISDIR:
                raise
        await self._remove_empty_directories(key)
        return await super().set(key, value)

    async def set_if(self, key: str, value: bytes, expect: Any, conflict: Conflict) -> Any:
        try:
            return await super().set_if(key, value, expect, conflict)
        except ConflictError as error:
            if error.found is not None:
                raise
        await self._remove_empty_directories(key)
        return await super().set_if(key, value, expect, conflict)

    async def _remove_empty_directories(self, key: str) -> None:
        """Make room for a key whose name is that of a prefix without keys."""
        path = os.path.join(self._store.prefix or "/", *(self._top + key).split("/"))
        await anyio.to_thread.run_sync(_remove_empty_directories, path)


def _remove_empty_directories(path: str) -> None:
    for directory, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)


class GoogleObjects(Objects):
    """Objects of Google Cloud Storage, whose versions are generations."""

    version_field = "version"


class HTTPObjects(Objects):
    """Files of a web server, read only: obstore lists them by WebDAV, which few servers have."""

    capabilities = Capability.READ
    has_markers = False

    async def _whole(self, key: str) -> memoryview:
        answer = await self._api.get_async(self._store, self._top + key)
        self._check(key, answer)
        body = memoryview(await answer.bytes_async())
        if _is_web_page(key, answer, body):
            raise self.report.failed(
                "read",
                key,
                "the server answered with a web page, not with the value; check the URL, and "
                "that no login or error page is in between",
            )
        return body

    async def _asked(self, key: str, byte_range: ByteRequest) -> memoryview | None:
        try:
            return await super()._asked(key, byte_range)
        except self._api.exceptions.NotSupportedError:  # the whole, whatever was asked for
            whole = await self._whole(key)
            start, stop = resolve(byte_range, len(whole))
            return whole[start:stop]

    async def _stat(self, key: str) -> Stat:
        path = self._top + key
        try:
            answer = await self._api.get_async(self._store, path, options={"head": True})
        except FileNotFoundError as error:
            if status_of(error) not in _NO_HEAD:
                raise
            answer = await self._api.get_async(self._store, path)
        self._check(key, answer)
        return self._stat_of(answer.meta)

    def _check(self, key: str, answer: Any) -> None:
        encoding = answer.attributes.get("Content-Encoding", "identity")
        if encoding not in ("", "identity"):
            raise self.report.corrupt(
                key, f"it came with Content-Encoding {encoding!r}, and the stored bytes are wanted"
            )


def _is_web_page(key: str, answer: Any, body: memoryview) -> bool:
    said = str(answer.attributes.get("Content-Type", ""))
    return (
        said.lower().startswith("text/html")
        and not key.lower().endswith((".html", ".htm"))
        and looks_like_html(body)
    )
