"""`Case`: the stores of one check."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from zarrstore.abc import Capability, Store
from zarrstore_testing.behaviour import Failed
from zarrstore_testing.log import Log
from zarrstore_testing.options import Options

__all__ = ["Case"]

_PATIENCE = 1.0
"""Seconds to wait for a store that is closed while it may hang."""


class Case:
    """The stores of one check, which are closed at its end, and what is known of them."""

    def __init__(self, make_store: Callable[[], Store], options: Options) -> None:
        self._make_store = make_store
        self._made: list[Store] = []
        self._broken_off = False
        self.options = options
        self.log = Log()

    def make(self) -> Store:
        """Return another new, empty store."""
        return self._new(self._make_store(), "make_store()", "make_store")

    def _new(self, store: Store, code: str, what: str) -> Store:
        if not isinstance(store, Store):
            raise TypeError(f"{what} returned {store!r}, which is not a zarrstore.abc.Store")
        if self._broken_off:
            store.sync.close()
            raise Failed("the check was broken off")
        self._made.append(store)
        self.log.bind(store, "store", code)
        return store

    def seeded(self, items: Mapping[str, bytes]) -> Store:
        """Return a new store that holds these values, and cannot be written."""
        if self.options.seed is None:
            raise Failed("the store cannot be written, and there is no way to seed one")
        return self._new(self.options.seed(dict(items)), f"seed({dict(items)!r})", "seed")

    def with_values(self, store: Store, items: Mapping[str, bytes]) -> Store:
        """Return a store that holds these values: this one, if it can be written."""
        if Capability.WRITE not in store.capabilities:
            return self.seeded(items)
        for key, value in items.items():
            store.sync.set(key, value)
        return store

    def reopen(self, store: Store) -> Store:
        """Return another store over the same data, opened anew."""
        assert self.options.reopen is not None
        return self._new(self.options.reopen(store), "reopen(store)", "reopen")

    def break_off(self) -> None:
        """Close the stores under a check that does not end, so that it changes nothing more."""
        self._broken_off = True
        closing = threading.Thread(target=self._close_all, args=(list(self._made),), daemon=True)
        closing.start()
        closing.join(_PATIENCE)

    @staticmethod
    def _close_all(stores: list[Store]) -> None:
        for store in stores:
            with contextlib.suppress(Exception):
                store.sync.close()

    def note(self, text: str) -> None:
        """Say something in the report of a behaviour that passed."""
        self.log.note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for store in self._made:
            try:
                store.sync.close()
            except Exception as failure:
                # what went wrong first matters more
                if error is None:
                    raise Failed(f"close() raised {type(failure).__name__}") from failure
        self._made.clear()
