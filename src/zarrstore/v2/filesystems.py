"""`FSStore`: any filesystem of fsspec, as zarr 2 knows it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zarrstore.abc import Store
from zarrstore.keys import join
from zarrstore.stores.remote import RemoteStore
from zarrstore.v2.keys import LowerKeys
from zarrstore.v2.levels import LevelledStore
from zarrstore.v2.store import DimensionSeparator, normalize_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from fsspec.mapping import FSMap

__all__ = ["FSStore"]


class FSStore(LevelledStore):
    """A store on any filesystem that fsspec knows: S3, HTTP, local files, caches ...

    Parameters
    ----------
    url : str
        With a protocol, chains included; a path if ``fs`` is given.
    normalize_keys : bool, default False
        Whether keys are made lower case.
    key_separator : {".", "/"}, optional
        The same as ``dimension_separator``, and before it.
    mode : str, default "w"
        ``"r"`` for read only.
    exceptions : tuple of exceptions, optional
        With ``PermissionError`` among them "forbidden" on reading means that there is no such
        key. What else fails is never taken for a key that is not there.
    dimension_separator : {".", "/"}, optional
        With ``"/"`` the keys of chunks (``"0.0"``) are those of files in directories
        (``"0/0"``).
    fs : fsspec.AbstractFileSystem, optional
    check : bool, default False
        Whether to make sure that the root can be written, now.
    create : bool, default False
        Whether to make the root, now.
    missing_exceptions : sequence of exceptions, optional
        As ``exceptions``.
    **storage_options
        Of the filesystem, if ``fs`` is not given.

    Raises
    ------
    StoreURLError
        If the protocol is unknown, or its package is not installed.
    ValueError
        If both ``fs`` and options are given.

    Examples
    --------
    >>> store = FSStore("memory://fsstore-example", mode="w")
    >>> store.setitems({"a/b": b"hello", "c": b"1"})
    >>> store.getitems(["a/b", "d"]), store.listdir()
    ({'a/b': b'hello'}, ['a', 'c'])
    >>> store.clear()
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        normalize_keys: bool = False,
        key_separator: DimensionSeparator | None = None,
        mode: str = "w",
        exceptions: Iterable[type[Exception]] = (),
        dimension_separator: DimensionSeparator | None = None,
        fs: AbstractFileSystem | None = None,
        check: bool = False,
        create: bool = False,
        missing_exceptions: Iterable[type[Exception]] | None = None,
        **storage_options: Any,
    ) -> None:
        exceptions = tuple(exceptions)
        forbidden = PermissionError in (*exceptions, *(missing_exceptions or ()))
        options: dict[str, Any] = {
            "read_only": mode == "r",
            "forbidden_is_missing": forbidden,
        }
        if fs is None:
            remote = RemoteStore.from_url(os.fspath(url), storage_options or None, **options)
        elif storage_options:
            raise ValueError("give fs or the options of a filesystem, not both")
        else:
            remote = RemoteStore(fs, os.fspath(url), **options)
        self.normalize_keys = normalize_keys
        self.mode = mode
        self.exceptions = exceptions
        self._remote = remote
        separator = key_separator or dimension_separator
        self.key_separator = separator or "."
        super().__init__(self._layers(remote), dimension_separator=separator)
        if check or create:
            _ = self._mapper(check=check, create=create)

    def _layers(self, store: Store) -> Store:
        """Return what shows the files under other keys, or itself."""
        return LowerKeys(store) if self.normalize_keys else store

    @property
    def fs(self) -> AbstractFileSystem:
        """The filesystem."""
        return self._remote.fs

    @property
    def path(self) -> str:
        """The path of the root in the filesystem."""
        return self._remote.path

    @property
    def map(self) -> FSMap:
        """The root as a mapping of fsspec."""
        return self._mapper()

    def _mapper(self, **options: Any) -> FSMap:
        mapper: FSMap = self.fs.get_mapper(self.path, **options)
        return mapper

    def dir_path(self, path: str | None = None) -> str:
        """Return where a path is in the filesystem."""
        return join(self.path.rstrip("/"), normalize_path(path)).rstrip("/")
