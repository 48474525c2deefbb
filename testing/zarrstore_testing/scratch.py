"""`Scratch`: new, empty stores at a place that is left as it was found."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from zarrstore.abc import Capability, Store
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.redaction import redact
from zarrstore.registry import make_store
from zarrstore.stores.wrappers.prefix import PrefixStore
from zarrstore_testing.script import Source

__all__ = ["Scratch", "ScratchError"]

_NEEDED = Capability.WRITE | Capability.DELETE | Capability.LIST
_TRIES = 10


class ScratchError(Exception):
    """A place cannot be used to check a store there; the message says why, and what to do."""


class Scratch:
    """New, empty stores at a URL, each below a prefix of its own, which are emptied at the end.

    Parameters
    ----------
    url : str
        What `zarrstore.open_store` takes. With ``{}`` in it each store is at a place of its own,
        a number instead of the ``{}``: for a store that has one writer, such as a zip file.
    prefix : str, default ""
        Below which the stores are; there must be nothing yet.
    storage_options : mapping, optional
        Of the backend.

    Raises
    ------
    ScratchError
        On entering, if there is something already, or it could not be deleted at the end.

    Examples
    --------
    >>> with Scratch("memory://scratch", "tests/here") as scratch:
    ...     store = scratch()
    ...     store.sync["a"] = b"1"
    ...     sorted(make_store("memory://scratch").sync)[0].startswith("tests/here/")
    True
    >>> list(make_store("memory://scratch").sync)
    []
    """

    def __init__(
        self, url: str, prefix: str = "", storage_options: Mapping[str, Any] | None = None
    ) -> None:
        self.url = url
        self._prefix = prefix.strip("/")
        self._options = dict(storage_options or {})
        self._name = uuid.uuid4().hex[:8]
        self._base = "/".join(filter(None, (self._prefix, f"check-{self._name}")))
        self._numbers = itertools.count()
        self._places: list[str] = []
        self._new_paths: list[str] = []
        self._many = "{}" in url

    @property
    def source(self) -> Source:
        """How code makes a store here; its credentials are left out."""
        options = f", storage_options={_hidden(self._options)!r}" if self._options else ""
        place = redact(self.url.replace("{}", "again"))
        opened = f"zarrstore.open_store({place!r}{options})"
        if not self._many:
            opened = f"zarrstore.PrefixStore({opened}, {self._below('again')!r})"
        return Source(["import zarrstore"], f"lambda: {opened}")

    def _below(self, name: object) -> str:
        return f"{self._base}/{name}"

    def _open(self, url: str) -> Store:
        if (path := _local_path(url)) and not os.path.lexists(path) and path not in self._new_paths:
            self._new_paths.append(path)
        return make_store(url, storage_options=self._options or None)

    def __call__(self) -> Store:
        """Return a new, empty store."""
        number = next(self._numbers)
        if self._many:
            url = self.url.replace("{}", f"{self._name}-{number}")
            self._places.append(url)
            return self._open(url)
        self._places.append(self._below(number))
        return PrefixStore(self._open(self.url), self._places[-1])

    def __enter__(self) -> Self:
        is_ours = False
        try:
            store = self._open(self.url.replace("{}", self._name))
            try:
                self._check(store)
            finally:
                store.sync.close()
            is_ours = True
            if not self._many:
                self._check_writers()
                self.clean()
        except BaseException:
            if is_ours:
                self._clean_all()
            self._remove_paths()
            raise
        return self

    def _check(self, store: Store) -> None:
        if missing := _NEEDED & ~store.capabilities:
            names = ", ".join(str(each.name) for each in Capability if each in missing)
            raise ScratchError(
                f"{store.url} has no {names}, and what the check writes could not be deleted again;"
                " check such a store from Python, with check_store(seed=...) or StoreTests"
            )
        sync = store.sync
        if self._prefix and sync.exists(self._prefix):
            raise ScratchError(f"there is a key {self._prefix!r} in {store.url}")
        if not sync.is_empty(self._prefix):
            where = f"below {self._prefix!r} in {store.url}" if self._prefix else f"in {store.url}"
            raise ScratchError(
                f"there is something {where} already; give a prefix below which there is nothing: "
                "--scratch PREFIX"
            )

    def _check_writers(self) -> None:
        """Raise unless two stores can be written at a time."""
        first, second = self(), self()
        try:
            first.sync["a"] = b"1"
            second.sync["a"] = b"1"
        except ConflictError as error:
            raise ScratchError(
                f"{self.url} has one writer at a time, and the check needs two stores; put '{{}}' "
                "into the name, for a number, such as 'x-{}.zip'"
            ) from error
        finally:
            for store in (first, second):
                with contextlib.suppress(ZarrStoreError):
                    store.sync.close()

    def clean(self) -> None:
        """Delete what the stores have that were made so far."""
        if self._many:
            for url in self._places:
                path = _local_path(url)
                if path is None or os.path.lexists(path):
                    with self._open(url).sync as sync:
                        sync.clear()
            self._remove_paths()
        elif self._places:
            with self._open(self.url).sync as sync:
                for prefix in self._places:
                    sync.delete_dir(prefix)
        self._places.clear()

    def _remove_paths(self) -> None:
        for path in reversed(self._new_paths):
            with contextlib.suppress(OSError):
                if os.path.isdir(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)
        self._new_paths = [path for path in self._new_paths if os.path.lexists(path)]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clean_all()
        self._remove_paths()

    def _clean_all(self) -> None:
        # a check that was broken off may still be writing for a moment
        for number in range(_TRIES):
            self.clean()
            if self._many:
                return
            with self._open(self.url).sync as sync:
                sync.delete_dir(self._base)
                if sync.is_empty(self._base) and number:
                    return
            time.sleep(0.05)


def _hidden(value: Any) -> Any:
    """Return options without their texts, but for addresses: any other may be a secret."""
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, str):
        return redact(value) if "://" in value else "***"
    return value


def _local_path(url: str) -> str | None:
    """Return the path that a URL names on this machine, if it does."""
    first = url.partition("|")[0]
    if first.startswith("file://"):
        return first.removeprefix("file://").removeprefix("localhost")
    return None if "://" in first or "::" in first else os.path.expanduser(first)
