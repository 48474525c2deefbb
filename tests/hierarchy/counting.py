"""A store that counts what it is asked."""

from __future__ import annotations

from typing import Any

import zarrstore

__all__ = ["Counting"]


class Counting(zarrstore.WrapperStore):
    """Note what reaches a store, by the names of hooks."""

    def __init__(self, store: zarrstore.Store, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self.calls: list[str] = []

    async def _hook(self, name: str, *args: Any) -> Any:
        (self._view_of or self).calls.append(name)  # type: ignore[attr-defined]
        return await super()._hook(name, *args)

    def _list_dir(self, prefix: str) -> Any:
        self.calls.append("_list_dir")
        return super()._list_dir(prefix)
