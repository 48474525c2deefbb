"""`LevelledStore`: what is the same for stores in directories, or in dicts in dicts."""

from __future__ import annotations

import errno
from typing import Any, ClassVar

from zarrstore.errors import BackendError, KeyNotFoundError
from zarrstore.v2.store import V2Store

__all__ = ["LevelledStore"]


class LevelledStore(V2Store):
    """A store in which a key cannot be a prefix of another."""

    _closes: ClassVar[bool] = False

    def __setitem__(self, key: str, value: Any) -> None:
        """Write a value, in the place of what is below its path if there is anything."""
        try:
            super().__setitem__(key, value)
        except BackendError as error:
            if error.errno == errno.EISDIR:
                self.delete_dir(key)
                super().__setitem__(key, value)
            elif error.errno in (errno.ENOTDIR, errno.EEXIST):
                raise KeyNotFoundError(str(error), store=self.url, key=key) from error
            else:
                raise

    def _missing(self, path: str) -> KeyNotFoundError:
        """Make the error of a path that is to be moved, and is not there."""
        return KeyNotFoundError(
            f"there is nothing at {path!r} in {self.url} to rename", store=self.url, key=path
        )

    def __delitem__(self, key: str) -> None:
        """Delete a key, or all that is below a path."""
        try:
            super().__delitem__(key)
        except KeyNotFoundError:
            if self.is_empty(key):
                raise
            self.delete_dir(key)
