"""`ObjectStore`: S3, Google Cloud, Azure and HTTP through obstore, quicker for small chunks."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self

import anyio

from zarrstore.abc import Store
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import NotShareableError, StoreURLError
from zarrstore.fan_out import map_bounded
from zarrstore.keys import check_prefix
from zarrstore.readable import Receive
from zarrstore.redaction import join_url, redact
from zarrstore.stores._object.engine import check_engine
from zarrstore.stores._object.objects import Meta, Objects
from zarrstore.stores._object.options import SCHEMES, NotTranslatable
from zarrstore.stores._object.report import ObjectsReport
from zarrstore.stores._object.sources import Given, Source, source_of_url
from zarrstore.stores._object.threads import in_thread, one_by_one

__all__ = ["ObjectStore"]

_FEW = 8


class ObjectStore(Store):
    """Keep each value in an object of a bucket, below one path, by way of obstore.

    Parameters
    ----------
    store : obstore.store.S3Store, GCSStore, AzureStore, HTTPStore, LocalStore or MemoryStore
        With its own prefix, credentials and retries; it stays the caller's.
    prefix : str, default ""
        A path in it that is put before every key.
    read_only : bool, default False
    forbidden_is_missing : bool, default False
        Whether "forbidden" on reading means that there is no such key, as public buckets answer
        that do not let you list them. Otherwise it raises `AccessDeniedError`.

    Notes
    -----
    Needs the package obstore (``pip install 'zarrstore[obstore]'``), the binding of the Rust crate
    object_store. It is imported at the first use.

    What is answered is checked: a part that is short raises `CorruptDataError` or `BackendError`.
    Writes are atomic. Conditional writes: all but HTTP, which is read only and cannot be listed;
    local files can be created exclusively, and not compared and swapped.

    obstore's threads do not survive a fork: in a forked child whose parent used obstore every
    operation raises `UnsupportedOperationError`. Keys with control characters are refused.

    Examples
    --------
    >>> from obstore.store import MemoryStore
    >>> store = ObjectStore(MemoryStore(), prefix="data.zarr")
    >>> store.sync["a/b"] = b"hello"
    >>> store.sync["a/b"], list(store.sync.list_dir())
    (b'hello', ['a'])
    """

    _waits_in_threads = True

    def __init__(
        self,
        store: Any,
        *,
        prefix: str = "",
        read_only: bool = False,
        forbidden_is_missing: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        # a source is what a pickle holds
        self._source: Source = store if isinstance(store, Source) else Given(store)
        self._prefix = check_prefix(prefix)
        self._forbidden_is_missing = forbidden_is_missing
        self._url = join_url(self._source.url, self._prefix.rstrip("/"))
        self._capabilities = self._source.kind.capabilities
        self._takes_views = self._source.kind.takes_views
        self._pid = os.getpid()
        self._made: tuple[int, Objects] | None = None
        self._making: dict[int, anyio.Lock] = {}

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
        *,
        forbidden_is_missing: bool = False,
    ) -> Self:
        """Open an ``s3://``, ``gs://``, ``az://`` or ``http(s)://`` URL, without I/O.

        Parameters
        ----------
        url : str
        storage_options : mapping, optional
            Named as fsspec's filesystems name them. S3: ``key``, ``secret``, ``token``, ``anon``,
            ``profile``, ``endpoint_url``, ``requester_pays``, and of ``client_kwargs``
            ``endpoint_url`` and ``region_name``; what is not given is found as boto3 finds it, in
            the environment and in profiles. Google Cloud: ``token`` (``"anon"`` or a file's
            path), ``endpoint_url``. Azure: ``account_name``, ``account_key``, ``sas_token``,
            ``connection_string``, ``anon``. HTTP: ``headers``.
        read_only : bool, default False
        forbidden_is_missing : bool, default False

        Raises
        ------
        StoreURLError
            If the URL or an option means nothing to obstore, or that is not installed.

        Examples
        --------
        >>> ObjectStore.from_url("s3://bucket/data.zarr", {"anon": True})
        ObjectStore('s3://bucket/data.zarr')
        """
        if url.partition("://")[0].lower() not in SCHEMES:
            raise StoreURLError(
                f"obstore does not open {redact(url)!r}; known schemes are "
                f"{', '.join(sorted(SCHEMES))}",
                store=redact(url),
            )
        if not _is_installed():
            raise StoreURLError(
                f"to open {redact(url)!r} by way of obstore needs a package that is not installed: "
                "pip install 'zarrstore[obstore]'",
                store=redact(url),
            )
        try:
            source = source_of_url(url, storage_options or {})
        except NotTranslatable as reason:
            raise _not_translatable(redact(url), reason) from reason
        return cls(source, read_only=read_only, forbidden_is_missing=forbidden_is_missing)

    @classmethod
    def from_url_if_alike(
        cls, url: str, storage_options: Mapping[str, Any], read_only: bool = False
    ) -> Self | None:
        """Open a URL if obstore is installed, and opens it as fsspec would; else ``None``."""
        if not _is_installed():
            return None
        try:
            return cls(source_of_url(url, storage_options, alike=True), read_only=read_only)
        except NotTranslatable:
            return None

    @property
    def url(self) -> str:
        return self._url

    def _location(self) -> dict[str, Any] | None:
        if not self._source.shareable:
            return None
        return {
            "store": self._source,
            "prefix": self._prefix,
            "forbidden_is_missing": self._forbidden_is_missing,
        }

    def _identity(self) -> object:
        return self._source, self._prefix, self._forbidden_is_missing

    async def _objects(self) -> Objects:
        """Return what does the work, made once in each process."""
        made = self._made
        if made is None or made[0] != os.getpid():
            async with self._making.setdefault(os.getpid(), anyio.Lock()):
                made = self._made
                if made is None or made[0] != os.getpid():
                    self._made = made = os.getpid(), await self._open()
        return made[1]

    async def _open(self) -> Objects:
        report = ObjectsReport(self._url, self._source.secrets(), self._forbidden_is_missing)
        if os.getpid() != self._pid and not self._source.shareable:
            raise NotShareableError(
                f"{self._url} lives in process {self._pid} and cannot be used in a forked one",
                store=self._url,
            )
        with report.during("open", self._prefix):
            await check_engine(self._url)
            return await in_thread(self._make, report)
        raise AssertionError

    def _make(self, report: ObjectsReport) -> Objects:
        try:
            store = self._source.make()
        except NotTranslatable as reason:  # of a profile
            raise _not_translatable(self._url, reason) from reason
        return self._source.kind(store, self._prefix, report)

    def _close(self) -> None:
        self._made = None

    async def _get(self, key: str) -> Any:
        return await in_thread((await self._objects()).get, key)

    async def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return await in_thread((await self._objects()).get_range, key, byte_range)

    async def _get_each(self, keys: Iterable[str], receive: Receive) -> None:
        objects = await self._objects()
        await one_by_one(
            enumerate(keys),
            lambda place: (place[0], objects.get(place[1])),
            lambda found: receive(*found),
        )

    async def _stat(self, key: str) -> Any:
        return await in_thread((await self._objects()).stat, key)

    async def _set(self, key: str, value: Any) -> Any:
        return await in_thread((await self._objects()).set, key, value, to_its_end=True)

    async def _set_if(self, key: str, value: Any, expect: Any) -> Any:
        set_if = (await self._objects()).set_if
        return await in_thread(set_if, key, value, expect, self._conflict, to_its_end=True)

    async def _set_each(self, items: Iterable[tuple[str, Any]]) -> None:
        objects = await self._objects()
        await one_by_one(items, lambda item: objects.set(*item))

    async def _delete(self, key: str) -> None:
        await in_thread((await self._objects()).delete, key, to_its_end=True)

    async def _pages(self, prefix: str) -> AsyncIterator[list[Meta]]:
        pages = (await self._objects()).pages(prefix)
        while (page := await in_thread(next, pages, None)) is not None:
            yield page

    async def _list(self, prefix: str) -> AsyncIterator[str]:
        empty: set[str] = set()
        async for page in self._pages(prefix):
            for meta in page:
                if meta["size"] or not self._source.kind.has_markers:
                    yield meta["path"]
            # the marker of a directory is there, too, without the "/" at the end of its name
            fresh = {meta["path"] for meta in page if not meta["size"]} - empty
            if self._source.kind.has_markers and fresh:
                empty |= fresh
                names = list(fresh)
                for name, there in zip(names, await map_bounded(self._stat, names), strict=True):
                    if there is not None and not there.size:
                        yield name

    def _list_dir(self, prefix: str) -> Any:
        return self._names(prefix) if self._source.kind.lists_one_level else NotImplemented

    async def _names(self, prefix: str) -> Any:
        return await in_thread((await self._objects()).names, prefix)

    async def _delete_dir(self, prefix: str) -> None:
        objects = await self._objects()
        pages = [[meta["path"] for meta in page] async for page in self._pages(prefix)]
        await map_bounded(
            lambda keys: in_thread(objects.delete_many, keys, to_its_end=True), pages, limit=_FEW
        )

    async def _getsize_prefix(self, prefix: str) -> int:
        return sum([meta["size"] async for page in self._pages(prefix) for meta in page])


def _is_installed() -> bool:
    return "obstore" in sys.modules or importlib.util.find_spec("obstore") is not None


def _not_translatable(url: str, reason: NotTranslatable) -> StoreURLError:
    return StoreURLError(
        f"obstore cannot open {url!r}: {reason} is not known to mean the same to it; use "
        "engine='fsspec', or give a store of obstore that is made as you want it",
        store=url,
    )
