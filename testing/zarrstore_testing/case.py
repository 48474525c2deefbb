"""`Case`: the stores of one check."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from zarrstore.abc import Store
from zarrstore_testing.behaviour import Failed, Options
from zarrstore_testing.faces import AsyncioFace, BlockingFace
from zarrstore_testing.log import Log

__all__ = ["Case"]


class Case:
    """The stores of one check, which are closed at its end."""

    def __init__(self, make_store: Callable[[], Store], options: Options) -> None:
        self._make_store = make_store
        self._made: list[Store] = []
        self.options = options
        self.log = Log()

    def make(self) -> Store:
        """Return another new, empty store."""
        store = self._make_store()
        if not isinstance(store, Store):
            raise TypeError(f"make_store returned {store!r}, which is not a zarrstore.abc.Store")
        self._made.append(store)
        return store

    def sync(self, store: Store) -> BlockingFace:
        """Return the blocking face of a store."""
        return BlockingFace(store, self.log)

    def asyncio(self, store: Store) -> AsyncioFace:
        """Return the asynchronous face of a store, for use under asyncio."""
        return AsyncioFace(store, self.log)

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
