"""`ZipStore`: a zip file as zarr 2 knows it."""

from __future__ import annotations

import os
import zipfile
from typing import Any, Literal

from zarrstore.stores import zip as archives
from zarrstore.v2.store import DimensionSeparator, V2Store

__all__ = ["ZipStore"]


class ZipStore(V2Store):
    """A store in a zip file, one entry a key.

    Parameters
    ----------
    path : path-like
        Made absolute now.
    compression : int, default zipfile.ZIP_STORED
        The method for new entries, a constant of `zipfile`.
    allowZip64 : bool, default True
        Kept for what calls with it: archives are ZIP64 where they have to be.
    mode : {"a", "r", "w", "x"}, default "a"
        ``r``: read only, the file must exist; ``a``: made if missing; ``w``: begins empty;
        ``x``: must not exist.
    dimension_separator : {".", "/"}, optional

    Notes
    -----
    ``close`` or ``flush`` puts a whole new archive in the place of the old one: what is not
    closed is not there, and a killed writer leaves what was there before. Keys may be written
    again and deleted; what they had before takes no space.

    Safe to use in several threads; one process writes at a time.

    Examples
    --------
    >>> with ZipStore("data.zip", mode="w") as store:
    ...     store["a/b"] = b"hello"
    >>> ZipStore("data.zip", mode="r")["a/b"]
    b'hello'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        compression: int = zipfile.ZIP_STORED,
        allowZip64: bool = True,  # noqa: N803
        mode: Literal["a", "r", "w", "x"] = "a",
        dimension_separator: DimensionSeparator | None = None,
    ) -> None:
        store = archives.ZipStore(os.fspath(path), mode, compression=compression)
        self.path = str(store.path)
        self.compression = compression
        self.allowZip64 = allowZip64
        self.mode = mode
        super().__init__(store, dimension_separator=dimension_separator)

    def __reduce__(self) -> tuple[Any, ...]:
        """Put what was written into the archive, which the pickle opens."""
        store: Any = self._below
        if not store._closed:
            self.flush()
        mode = "r" if self.mode == "r" else "a"  # what there is is not to be emptied
        arguments = (self.path, self.compression, self.allowZip64, mode, self._dimension_separator)
        return type(self), arguments

    def flush(self) -> None:
        """Put what was written so far into the archive, which stays open."""
        store: Any = self._below
        if not self.read_only:
            self._drive(store.flush)
