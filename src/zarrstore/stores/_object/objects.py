"""The keys of a store as the objects of one store of obstore, below one path. All of it blocks."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias, TypeVar

from zarrstore.byte_range import ByteRequest, OffsetByteRequest, RangeByteRequest, resolve
from zarrstore.errors import BackendError, ConflictError, UnsupportedOperationError
from zarrstore.operations import Absent, Buffer, Capability, Stat, Version
from zarrstore.stores._object.report import ObjectsReport, status_of
from zarrstore.stores._report import looks_like_html

__all__ = [
    "AzureObjects",
    "GoogleObjects",
    "HTTPObjects",
    "LocalObjects",
    "MemoryObjects",
    "Meta",
    "Objects",
]

T = TypeVar("T")

_MULTIPART_FROM = 256 * 2**20
_PART = 32 * 2**20
_PAGE = 1000
_BROKE_OFF = "request or response body error"
_PAUSES = (0.1, 0.3, 1.0)
_NO_HEAD = (405, 501)
_GENERATION = re.compile("[1-9][0-9]{0,18}")
_NOT_XML = frozenset("\ufffe\uffff")
_REFUSALS = ("PermissionDeniedError", "UnauthenticatedError")

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
    takes_views: ClassVar[bool] = True
    """Whether a value has been copied, or sent, when it is written."""
    _bucket_is_known = False

    def __init__(self, store: Any, prefix: str, report: ObjectsReport) -> None:
        import obstore

        self._api: Any = obstore
        self._store = store
        self._top = prefix
        self.report = report

    def get(self, key: str) -> memoryview | None:
        with self.report.unless_missing("read", key):
            return self._steady(self._whole, key)
        return None

    def _whole(self, key: str) -> memoryview:
        answer = self._api.get(self._store, self._top + key)
        return self._accepted(key, answer, answer.bytes())

    def _accepted(self, key: str, answer: Any, body: Any) -> memoryview:  # noqa: ARG002
        """Return the body of an answer, or raise if it is no value."""
        return memoryview(body)

    def get_range(self, key: str, byte_range: ByteRequest) -> memoryview | bytes | None:
        with self.report.unless_missing("read", key):
            return self._steady(self._part, key, byte_range)
        return None

    def _steady(self, attempt: Callable[..., T], *args: Any) -> T:
        """Read again where an answer broke off, which obstore does not."""
        for pause in _PAUSES:
            try:
                return attempt(*args)
            except self._api.exceptions.GenericError as error:
                if _BROKE_OFF not in str(error):
                    raise
            time.sleep(pause)
        return attempt(*args)

    def _part(self, key: str, byte_range: ByteRequest) -> memoryview | bytes | None:
        first: Exception | None = None
        if not isinstance(byte_range, RangeByteRequest) or byte_range.start < byte_range.end:
            try:
                part = self._asked(key, byte_range)
            except (self._api.exceptions.BaseError, NotImplementedError) as error:
                if self.report.is_missing(error) or _is_final(error):
                    raise
                first = error  # a start past the end is an error: the size will tell
            else:
                if part is not None:
                    return part
        return self._part_by_size(key, byte_range, first)

    def _asked(self, key: str, byte_range: ByteRequest) -> memoryview | None:
        """Ask for a range as it is; ``None`` if the answer may not be all there is."""
        path = self._top + key
        if isinstance(byte_range, RangeByteRequest):
            # a full answer needs no further proof: obstore has checked where it begins
            data = self._api.get_range(
                self._store, path, start=byte_range.start, end=byte_range.end
            )
            found = memoryview(data)
            return found if len(found) == byte_range.end - byte_range.start else None
        if isinstance(byte_range, OffsetByteRequest):
            wanted = {"offset": byte_range.offset}
        else:
            wanted = {"suffix": byte_range.suffix}
        answer = self._api.get(self._store, path, options={"range": wanted})
        found = memoryview(answer.bytes())
        start, stop = resolve(byte_range, answer.meta["size"])
        return found if answer.range == (start, stop) and len(found) == stop - start else None

    def _part_by_size(
        self, key: str, byte_range: ByteRequest, first: Exception | None
    ) -> memoryview | bytes:
        """Ask for what there is of a range, by the size of the value."""
        start = stop = 0
        found = memoryview(b"")
        for _ in range(3):  # a value that is overwritten meanwhile may have another size
            start, stop = resolve(byte_range, self._stat(key).size)
            if start == stop:
                return b""
            if first is not None and isinstance(byte_range, RangeByteRequest):
                raise first  # it had nothing to do with the end
            found = memoryview(
                self._api.get_range(self._store, self._top + key, start=start, end=stop)
            )
            if len(found) == stop - start:
                return found
        raise self.report.corrupt(
            key, f"asked for bytes {start} to {stop}, got {len(found)}; read it again"
        )

    def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            return self._stat(key)
        return None

    def _stat(self, key: str) -> Stat:
        try:
            return self._stat_of(self._api.head(self._store, self._top + key))
        except FileNotFoundError as error:
            if not self._bucket_is_known and self.report.is_missing(error):
                self._check_bucket(key)
            raise

    def _check_bucket(self, key: str) -> None:
        """Raise if the bucket is missing, not the key: the answer to HEAD cannot tell."""
        try:
            self._api.get(self._store, self._top + key)
        except FileNotFoundError as error:
            if not self.report.is_missing(error):
                raise
        self._bucket_is_known = True

    def _stat_of(self, meta: Meta) -> Stat:
        modified = meta["last_modified"]
        if modified is not None and not modified.timestamp():
            modified = None  # what obstore says if it does not know
        return Stat(meta["size"], self._version(meta), modified)

    def _version(self, result: Meta) -> Version | None:
        version: Version | None = result.get(self.version_field)
        return version

    def set(self, key: str, value: Buffer) -> Version | None:
        with self.report.during("write", key):
            result = self._api.put(
                self._store,
                self._top + key,
                value,
                use_multipart=len(value) >= _MULTIPART_FROM,
                chunk_size=_PART,
            )
            version = self._version(result)
        if version is not None:
            return version
        there = self.stat(key)
        return there.version if there else None

    def set_if(self, key: str, value: Buffer, expect: Any, conflict: Conflict) -> Version | None:
        errors = self._api.exceptions
        mode = "create" if isinstance(expect, Absent) else {self.version_field: expect}
        with self.report.during("write", key):
            try:
                result = self._api.put(
                    self._store, self._top + key, value, mode=mode, use_multipart=False
                )
                return self._version(result)
            except (errors.AlreadyExistsError, errors.PreconditionError):
                pass
            except FileNotFoundError as error:
                if mode == "create" or not self.report.is_missing(error):
                    raise
        there = self.stat(key)
        raise conflict(key, expect, None if there is None else there.version)

    def delete(self, key: str) -> None:
        with self.report.unless_missing("delete", key):
            self._api.delete(self._store, self._top + key)

    def pages(self, prefix: str) -> Iterator[list[Meta]]:
        """Yield what is below a prefix in pages, paths cut to keys."""
        start = len(self._top)
        path = (self._top + prefix).rstrip("/") or None
        with self.report.during("list", prefix):
            for page in self._api.list(self._store, path, chunk_size=_PAGE):
                for meta in page:
                    meta["path"] = meta["path"][start:]
                yield page

    def names(self, prefix: str) -> list[str]:
        base = self._top + prefix
        with self.report.during("list", prefix):
            found = self._api.list_with_delimiter(self._store, base.rstrip("/") or None)
        paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        # a key may be a prefix as well
        names = dict.fromkeys(path[len(base) :] for path in paths if path.startswith(base))
        return [name for name in names if name]

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete keys in as few requests as the backend has for it."""
        paths = [self._top + key for key in keys]
        with self.report.during("delete", keys[0]):
            try:
                self._api.delete(self._store, paths)
            except Exception as error:
                if not self.report.is_missing(error):
                    raise
                # others deleted one of them meanwhile, and the rest may not have been tried
                for key in keys:
                    self.delete(key)


def _is_final(error: Exception) -> bool:
    """Tell whether an exception has nothing to do with the range that was asked for."""
    return type(error).__name__ in _REFUSALS or _BROKE_OFF in str(error)


class MemoryObjects(Objects):
    """The objects of obstore's own memory, which keeps the buffers that it is given."""

    has_markers = False
    takes_views = False
    _bucket_is_known = True


class LocalObjects(Objects):
    """Local files. obstore can create one exclusively, and not compare and swap."""

    capabilities = Objects.capabilities & ~Capability.COMPARE_AND_SWAP
    has_markers = False
    lists_one_level = False  # with directories that have no files
    _bucket_is_known = True

    def set(self, key: str, value: Buffer) -> Version | None:
        try:
            return super().set(key, value)
        except BackendError as error:
            if error.errno != errno.EISDIR:
                raise
        self._remove_empty_directories(key)
        return super().set(key, value)

    def set_if(self, key: str, value: Buffer, expect: Any, conflict: Conflict) -> Version | None:
        try:
            return super().set_if(key, value, expect, conflict)
        except ConflictError as error:
            if error.found is not None:
                raise
        self._remove_empty_directories(key)
        return super().set_if(key, value, expect, conflict)

    def _remove_empty_directories(self, key: str) -> None:
        """Make room for a key whose name is that of a prefix without keys."""
        path = os.path.join(self._store.prefix or "/", *(self._top + key).split("/"))
        for directory, _, _ in os.walk(path, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)


class GoogleObjects(Objects):
    """Objects of Google Cloud Storage, whose versions are generations."""

    version_field = "version"

    def set_if(self, key: str, value: Buffer, expect: Any, conflict: Conflict) -> Version | None:
        if isinstance(expect, Absent) or _GENERATION.fullmatch(expect):
            return super().set_if(key, value, expect, conflict)
        # Google calls it a bad request, and takes 0 for "absent"
        there = self.stat(key)
        raise conflict(key, expect, None if there is None else there.version)


class AzureObjects(Objects):
    """Blobs of Azure, whose listings are XML as it is."""

    def set(self, key: str, value: Buffer) -> Version | None:
        self._check(key)
        return super().set(key, value)

    def set_if(self, key: str, value: Buffer, expect: Any, conflict: Conflict) -> Version | None:
        self._check(key)
        return super().set_if(key, value, expect, conflict)

    def _check(self, key: str) -> None:
        if not _NOT_XML.isdisjoint(key):
            raise UnsupportedOperationError(
                f"cannot write {key!r} in {self.report.url}: Azure could not list it, because XML "
                "has no U+FFFE and no U+FFFF; use another key",
                store=self.report.url,
                key=key,
            )


class HTTPObjects(Objects):
    """Files of a web server, read only: obstore lists them by WebDAV, which few servers have."""

    capabilities = Capability.READ
    has_markers = False

    def _accepted(self, key: str, answer: Any, body: Any) -> memoryview:
        self._check_encoding(key, answer)
        found = memoryview(body)
        said = str(answer.attributes.get("Content-Type", "")).lower()
        if (
            said.startswith("text/html")
            and not key.lower().endswith((".html", ".htm"))
            and looks_like_html(found)
        ):
            raise self.report.failed(
                "read",
                key,
                "the server answered with a web page, not with the value; check the URL, and "
                "that no login or error page is in between",
            )
        return found

    def _asked(self, key: str, byte_range: ByteRequest) -> memoryview | None:
        try:
            return super()._asked(key, byte_range)
        except self._api.exceptions.NotSupportedError:  # the whole, whatever was asked for
            whole = self._whole(key)
            start, stop = resolve(byte_range, len(whole))
            return whole[start:stop]

    def _stat(self, key: str) -> Stat:
        path = self._top + key
        try:
            answer = self._api.get(self._store, path, options={"head": True})
        except FileNotFoundError as error:
            if status_of(error) not in _NO_HEAD:
                raise
            answer = self._api.get(self._store, path)
        self._check_encoding(key, answer)
        return self._stat_of(answer.meta)

    def _check_encoding(self, key: str, answer: Any) -> None:
        encoding = answer.attributes.get("Content-Encoding", "identity")
        if encoding not in ("", "identity"):
            raise self.report.corrupt(
                key, f"it came with Content-Encoding {encoding!r}, and the stored bytes are wanted"
            )
