"""`RemoteStore`: any fsspec filesystem: S3, HTTP, Google Cloud, Azure, FTP, caches, archives."""

from __future__ import annotations

import os
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self

from zarrstore.abc import Store
from zarrstore.byte_range import ByteRequest
from zarrstore.errors import NotShareableError
from zarrstore.runtime import WORKERS, Home, LoopHome, PerProcess
from zarrstore.stores._remote import blocking
from zarrstore.stores._remote.asynchronous import AsyncFiles
from zarrstore.stores._remote.base import Files, FilesReport
from zarrstore.stores._remote.http import HTTPFiles
from zarrstore.stores._remote.recipe import Recipe
from zarrstore.stores._remote.s3 import S3Files

if TYPE_CHECKING:
    import asyncio

    from fsspec import AbstractFileSystem
    from fsspec.mapping import FSMap

__all__ = ["RemoteStore"]


class RemoteStore(Store):
    """Keep each value in a file of an fsspec filesystem, below one path.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        The caller's own: never closed by the store. One made with ``asynchronous=True`` belongs
        to another event loop, so a new one is made with the same arguments.
    path : str, default ""
        The directory (bucket and prefix, whole URL for HTTP) that holds the keys.
    read_only : bool, default False
    forbidden_is_missing : bool, default False
        Whether "forbidden" on reading means that there is no such key, as public buckets answer
        that do not let you list them. Otherwise it raises `AccessDeniedError`.

    Notes
    -----
    Asynchronous filesystems run on fsspec's own I/O loop, where their sessions live, whoever
    calls; others block, and run in the caller's thread or in a worker. In a forked child, and
    where a pickle is opened, the filesystem is made anew from its arguments; one that holds an
    open file, or memory of this process, raises `NotShareableError` there.

    What is answered is checked: an answer that is short, compressed or of another range raises
    `CorruptDataError` or `BackendError`. Transient failures of reads over HTTP are tried again.

    Writes are atomic on object stores, on local files and in memory; on other filesystems
    (FTP ...) as far as their ``pipe_file`` is. Conditional writes: S3 only, if the server keeps
    to ``If-Match`` and ``If-None-Match``.

    Examples
    --------
    >>> store = RemoteStore.from_url("memory://remote-store-example")
    >>> store.sync["a/b"] = b"hello"
    >>> store, store.sync["a/b"]
    (RemoteStore('memory://remote-store-example'), b'hello')
    >>> store.sync.clear()
    """

    def __init__(
        self,
        fs: AbstractFileSystem | Recipe,
        path: str = "",
        *,
        read_only: bool = False,
        forbidden_is_missing: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        self._pid = os.getpid()
        if isinstance(fs, Recipe):
            self._recipe, self._given = fs, None
        else:
            self._recipe, self._given = _accepted(fs)
        chained = self._recipe.chain is not None and not path
        self._path = "" if chained else self._recipe.cls._strip_protocol(os.fspath(path))
        self._forbidden_is_missing = forbidden_is_missing
        self._url = self._recipe.url(self._path)
        self._kind = _kind(self._recipe)
        self._home: Home = _FSSPEC_LOOP if self._recipe.is_async else WORKERS
        self._capabilities = self._kind.capabilities
        self._process = PerProcess(self._open, self._discard)
        self._closing: Any = None

    @classmethod
    def from_url(
        cls,
        url: str,
        storage_options: dict[str, Any] | None = None,
        read_only: bool = False,
        *,
        forbidden_is_missing: bool = False,
    ) -> Self:
        """Open a URL that fsspec knows, chains such as ``zip::s3://bucket/a.zip`` included.

        Nothing is connected before the first use, and what is connected ``close()`` ends.

        Parameters
        ----------
        url : str
        storage_options : dict, optional
            Arguments of the filesystem: credentials, endpoint, timeouts.
        read_only : bool, default False
        forbidden_is_missing : bool, default False

        Raises
        ------
        StoreURLError
            If the protocol is unknown, or its package is not installed.

        Examples
        --------
        >>> RemoteStore.from_url("https://me:secret@example.org/data.zarr")
        RemoteStore('https://***@example.org/data.zarr')
        """
        recipe, path = Recipe.of_url(os.fspath(url), storage_options or {})
        return cls(recipe, path, read_only=read_only, forbidden_is_missing=forbidden_is_missing)

    @classmethod
    def from_mapper(cls, mapper: FSMap, *, read_only: bool = False) -> Self:
        """Open what an fsspec mapping (``fs.get_mapper(path)``) shows.

        Examples
        --------
        >>> import fsspec
        >>> RemoteStore.from_mapper(fsspec.get_mapper("memory://a"))
        RemoteStore('memory://a')
        """
        return cls(mapper.fs, mapper.root, read_only=read_only)

    @classmethod
    def from_upath(cls, path: Any, *, read_only: bool = False) -> Self:
        """Open a ``UPath`` of universal_pathlib: anything with ``fs`` and ``path``."""
        return cls(path.fs, path.path, read_only=read_only)

    @property
    def fs(self) -> AbstractFileSystem:
        """The filesystem, as this process uses it."""
        target: Any = self._view_of or self
        fs: AbstractFileSystem = target._process.get().fs
        return fs

    @property
    def path(self) -> str:
        """The path in the filesystem that holds the keys."""
        return self._path

    @property
    def url(self) -> str:
        return self._url

    def _location(self) -> dict[str, Any] | None:
        if not self._recipe.is_shareable:
            return None
        return {
            "fs": self._recipe,
            "path": self._path,
            "forbidden_is_missing": self._forbidden_is_missing,
        }

    def _identity(self) -> object:
        return self._recipe, self._path, self._forbidden_is_missing

    def _open(self) -> Files:
        """Make what does the work, once in each process."""
        report = FilesReport(self._url, self._recipe.secrets(), self._forbidden_is_missing)
        if os.getpid() != self._pid and not self._recipe.is_shareable:
            raise NotShareableError(
                f"{self._url} lives in process {self._pid} and cannot be used in a forked one: "
                "its filesystem holds memory or an open file; open it by its URL there",
                store=self._url,
            )
        if self._given is not None and os.getpid() == self._pid:
            files = self._kind(self._given, self._path, report)
            _in_use.add(files)
            return files
        with report.during("open", self._path):
            fs, path = self._recipe.make()
        files = self._kind(fs, self._path or path, report)
        _in_use.add(files)
        if self._recipe.is_async:
            # not left to the filesystem's own finalizer, which blocks whatever loop it runs on
            files.retire = weakref.finalize(files, _retire, fs, files.closed, os.getpid())
            files.retire.atexit = False
        return files

    def _discard(self, files: Files) -> None:
        if files.retire is not None and files.retire.detach():
            self._closing = _end(files.fs, files.closed)

    def _close(self) -> Any:
        self._process.close()
        closing, self._closing = self._closing, None
        return closing

    def _get(self, key: str) -> Any:
        return self._process.get().get(key)

    def _get_range(self, key: str, byte_range: ByteRequest) -> Any:
        return self._process.get().get_range(key, byte_range)

    def _stat(self, key: str) -> Any:
        return self._process.get().stat(key)

    def _set(self, key: str, value: Any) -> Any:
        return self._process.get().set(key, value)

    def _set_if(self, key: str, value: Any, expect: Any) -> Any:
        return self._process.get().set_if(key, value, expect, self._conflict)

    def _delete(self, key: str) -> Any:
        return self._process.get().delete(key)

    def _list(self, prefix: str) -> Any:
        return self._process.get().keys(prefix)

    def _list_dir(self, prefix: str) -> Any:
        return self._process.get().names(prefix)

    def _delete_dir(self, prefix: str) -> Any:
        return self._process.get().delete_dir(prefix)

    def _getsize_prefix(self, prefix: str) -> Any:
        return self._process.get().getsize_prefix(prefix)


def _fsspec_loop() -> asyncio.AbstractEventLoop:
    from fsspec.asyn import get_loop

    loop: asyncio.AbstractEventLoop = get_loop()
    return loop


_FSSPEC_LOOP = LoopHome(_fsspec_loop)


_in_use: weakref.WeakSet[Files] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """Keep the child from closing connections whose selector it shares with its parent."""
    for files in list(_in_use):
        session = getattr(files.fs, "_session", None)
        connector = getattr(session, "connector", None)
        if session is not None and connector is not None:
            session.detach()
            connector._closed = True  # its deletion would take the parent's sockets away
            _of_parents.append(connector)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


async def _end(fs: Any, closed: Callable[[Any], Awaitable[None]]) -> None:
    """Close a filesystem on its own loop, and let go of it there."""
    try:
        if vars(fs):
            await closed(fs)
    finally:
        # it refers to itself: without this it would be collected at any time, on any thread
        vars(fs).clear()


_of_parents: list[Any] = []


def _retire(fs: Any, closed: Callable[[Any], Awaitable[None]], pid: int) -> None:
    """Close a filesystem that nobody closed, without waiting for it."""
    if pid == os.getpid():
        _FSSPEC_LOOP.call_soon(lambda: _end(fs, closed))
    else:
        _of_parents.append(fs)  # its loop is in another process: never to be touched again


def _accepted(fs: Any) -> tuple[Recipe, Any]:
    """Return the recipe of a caller's filesystem, and itself unless it is of another loop."""
    from fsspec import AbstractFileSystem

    if not isinstance(fs, AbstractFileSystem):
        raise TypeError(
            f"fs is an fsspec filesystem, not {type(fs).__name__}; RemoteStore.from_url takes a "
            "URL, from_mapper an FSMap and from_upath a UPath"
        )
    recipe = Recipe.of(fs)
    if recipe.is_async and (fs.asynchronous or getattr(fs, "_loop", None) is not _fsspec_loop()):
        return recipe, None
    return recipe, fs


def _kind(recipe: Recipe) -> type[Files]:
    """Choose the class that does the work for a filesystem."""
    from fsspec.archive import AbstractArchiveFileSystem

    kinds: dict[str, type[Files]]
    if recipe.is_async:
        kinds = {"s3": S3Files, "http": HTTPFiles}
        return kinds.get(recipe.protocol, AsyncFiles)
    if issubclass(recipe.cls, AbstractArchiveFileSystem):
        return blocking.ArchiveFiles
    if recipe.is_over_http:
        return blocking.URLFiles
    kinds = {"memory": blocking.MemoryFiles, "file": blocking.LocalFiles}
    return kinds.get(recipe.protocol, blocking.BlockingFiles)
