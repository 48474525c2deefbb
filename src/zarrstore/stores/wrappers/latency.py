"""`LatencyStore`: a store that answers as late as a remote one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from zarrstore.abc import Store
from zarrstore.runtime import CALLER, WORKERS, io_loop_home, limits
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["LatencyStore"]


class LatencyStore(WrapperStore):
    """Delay each request to a store, to see how code would fare on a remote one.

    It runs on the I/O loop, as remote stores do, and counts as one request each time.

    Parameters
    ----------
    store : Store
    get_latency : float, default 0.01
        Seconds before a read, a question or a page of 1,000 listed keys.
    set_latency : float, default 0.01
        Seconds before a write or a deletion.
    read_only : bool, default False

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> slow = LatencyStore(MemoryStore({"a": b"1", "b": b"2"}), get_latency=0.001)
    >>> slow.sync.get_many(["a", "b"])
    [b'1', b'2']
    """

    def __init__(
        self,
        store: Store,
        get_latency: float = 0.01,
        set_latency: float = 0.01,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, read_only=read_only)
        for name, seconds in (("get_latency", get_latency), ("set_latency", set_latency)):
            if seconds < 0:
                raise ValueError(f"{name} must be 0 seconds or more, not {seconds!r}")
        self._get_latency = get_latency
        self._set_latency = set_latency
        if store._home in (CALLER, WORKERS):
            self._home = io_loop_home

    def _location(self) -> dict[str, Any]:
        return {
            "store": self._inner,
            "get_latency": self._get_latency,
            "set_latency": self._set_latency,
        }

    async def _hook(self, name: str, *args: Any) -> Any:
        if name in ("_get_many", "_set_many", "_get_each", "_get_each_into", "_set_each"):
            return NotImplemented  # one by one: each waits for itself
        writes = name.startswith(("_set", "_delete"))
        async with limits.request():
            await asyncio.sleep(self._set_latency if writes else self._get_latency)
        return await super()._hook(name, *args)

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return self._delayed(self._inner.list_prefix(prefix))

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._delayed(self._inner.list_dir(prefix))

    async def _delayed(self, keys: AsyncIterator[str]) -> AsyncIterator[str]:
        count = 0
        async for key in keys:
            if count % 1000 == 0:
                await asyncio.sleep(self._get_latency)
            count += 1
            yield key
        if count == 0:
            await asyncio.sleep(self._get_latency)
