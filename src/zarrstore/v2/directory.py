"""Stores in directories: `DirectoryStore`, `NestedDirectoryStore`, `TempStore`."""

from __future__ import annotations

import os

from zarrstore.abc import Store
from zarrstore.errors import InvalidKeyError, StoreURLError
from zarrstore.stores import local
from zarrstore.stores._files import raise_backend_error
from zarrstore.v2.keys import LowerKeys
from zarrstore.v2.levels import LevelledStore
from zarrstore.v2.store import DimensionSeparator, V2Store, checked_move, normalize_path

__all__ = ["DirectoryStore", "NestedDirectoryStore", "TempStore"]


class DirectoryStore(LevelledStore):
    """A store in a directory, one file a key.

    Parameters
    ----------
    path : path-like
        The directory; made absolute now, created by the first write.
    normalize_keys : bool, default False
        Whether keys are made lower case, so that ``"FOO"`` and ``"foo"`` are one.
    dimension_separator : {".", "/"}, optional

    Raises
    ------
    StoreURLError
        If there is a file at the path.

    Notes
    -----
    A write replaces the file as a whole. Safe to use in several threads and processes, and after
    ``close()``. A key cannot be a prefix of another: a value takes the place of the directory of
    its name.

    Examples
    --------
    >>> store = DirectoryStore("data.zarr")
    >>> store["a/b"] = b"hello"
    >>> import os
    >>> os.listdir("data.zarr/a"), store.getsize("a/b")
    (['b'], 5)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: DimensionSeparator | None = None,
    ) -> None:
        self._open(local.LocalStore(path), normalize_keys, dimension_separator)

    def _open(
        self,
        store: local.LocalStore,
        normalize_keys: bool,
        dimension_separator: DimensionSeparator | None,
    ) -> None:
        self.path = str(store.root)
        self.normalize_keys = normalize_keys
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise StoreURLError(f"{self.path!r} is a file: a DirectoryStore is a directory")
        V2Store.__init__(self, self._layers(store), dimension_separator=dimension_separator)

    def _layers(self, store: Store) -> Store:
        """Return what shows a directory's files under other keys, or itself."""
        return LowerKeys(store) if self.normalize_keys else store

    def dir_path(self, path: str | None = None) -> str:
        """Return where the directory of a path is."""
        return os.path.join(self.path, *normalize_path(path).split("/")).rstrip(os.sep)

    def rename(self, src_path: str, dst_path: str) -> None:
        """Move a directory or file at once, however much is in it.

        Raises
        ------
        InvalidKeyError
            If a path is not legal, or the root, or the new one is below the old one; or if a
            symbolic link below the root is on the way.
        KeyNotFoundError
            If there is nothing to move.
        BackendError
            If there is something at the new path.
        """
        source, target = checked_move(src_path, dst_path)
        if self.normalize_keys:
            source, target = source.lower(), target.lower()
        for path in (source, target):
            above = os.path.dirname(self.dir_path(path))
            root = os.path.realpath(self.path)
            if os.path.realpath(above) != os.path.normpath(os.path.join(root, path, "..")):
                raise InvalidKeyError(
                    f"a symbolic link is on the way to {path!r} in {self.url}",
                    store=self.url,
                    key=path,
                )
        if not os.path.lexists(self.dir_path(source)):
            raise self._missing(source)
        try:
            os.renames(self.dir_path(source), self.dir_path(target))
        except OSError as error:
            raise_backend_error(error, "rename", self.url, source)


class NestedDirectoryStore(DirectoryStore):
    """A store in a directory, with the chunks of an array in directories for each dimension.

    Parameters
    ----------
    path : path-like
    normalize_keys : bool, default False
        As in `DirectoryStore`.
    dimension_separator : {"/"}

    Raises
    ------
    ValueError
        If ``dimension_separator`` is another.

    Examples
    --------
    >>> store = NestedDirectoryStore("nested.zarr")
    >>> from zarrstore.v2 import init_array
    >>> init_array(store, shape=(2, 2), chunks=(1, 1))
    >>> store["0/1"] = b"chunk"
    >>> store.listdir()
    ['.zarray', '0/1']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        normalize_keys: bool = False,
        dimension_separator: DimensionSeparator | None = "/",
    ) -> None:
        if dimension_separator not in (None, "/"):
            raise ValueError("NestedDirectoryStore has dimension_separator '/', and no other")
        super().__init__(path, normalize_keys, "/")


class TempStore(DirectoryStore):
    """A store in a new temporary directory, which is removed when its process ends.

    Parameters
    ----------
    suffix, prefix : str
        What the name of the directory ends and begins with.
    dir : path-like, optional
        The directory to make it in; by default the one for temporary files.
    normalize_keys : bool, default False
    dimension_separator : {".", "/"}, optional
        As in `DirectoryStore`.

    Examples
    --------
    >>> store = TempStore()
    >>> store["a"] = b"hello"
    >>> import os
    >>> os.listdir(store.path)
    ['a']
    """

    def __init__(
        self,
        suffix: str = "",
        prefix: str = "zarr",
        dir: str | os.PathLike[str] | None = None,
        normalize_keys: bool = False,
        dimension_separator: DimensionSeparator | None = None,
    ) -> None:
        self._open(local.TempStore(suffix, prefix, dir), normalize_keys, dimension_separator)
