"""`Listing`: an iterator over keys that comes in batches from wherever its store runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from types import CoroutineType
from typing import Any

from zarrstore.keys import legal_keys
from zarrstore.runtime import Home, LoopHome

__all__ = ["Listing"]

_LARGEST_BATCH = 1024


class Listing(AsyncIterator[str]):
    """Asynchronous iterator over keys or names.

    Batches double in length from one key on, so that the first key comes at once and a long
    listing costs few hops. What is not a legal key is left out: it could not be asked for.

    Parameters
    ----------
    home : Home
        Where the source is iterated.
    hook : callable
        Returns an iterable or an async iterator of keys; called there, at the first batch.
    keys_below : (callable, str), optional
        Used if the hook returns ``NotImplemented``: a hook that yields keys, and the prefix
        whose names one level below it are wanted.
    """

    def __init__(
        self,
        home: Home,
        hook: Callable[[], Any],
        *,
        keys_below: tuple[Callable[[], Any], str] | None = None,
    ) -> None:
        self._home = home
        self._call = hook
        self._keys_below = keys_below
        self._source: Any = None
        self._prefix: str | None = None
        self._names: set[str] = set()
        self._size = 1
        self._ready: Iterator[str] = iter(())
        self._done = False
        self._pid = os.getpid()

    def __aiter__(self) -> Listing:
        return self

    async def __anext__(self) -> str:
        while (key := next(self._ready, None)) is None:
            if not (batch := await self.next_batch()):
                raise StopAsyncIteration
            self._ready = iter(batch)
        return key

    async def next_batch(self) -> list[str]:
        """Return some more keys; an empty list at the end."""
        while not self._done:
            if batch := await self._home.run(self._fetch):
                return batch
        return []

    async def _fetch(self) -> list[str]:
        if self._source is None:
            self._source = await self._started()
        size, self._size = self._size, min(2 * self._size, _LARGEST_BATCH)
        batch: list[str] = []
        if hasattr(self._source, "__anext__"):
            async for key in self._source:
                batch.append(key)
                if len(batch) == size:
                    break
        else:
            batch = list(islice(self._source, size))
        self._done = len(batch) < size
        if self._prefix is not None:
            return self._new_names(batch)
        return legal_keys(batch)

    async def _started(self) -> Any:
        source = self._call()
        if source is NotImplemented and self._keys_below is not None:
            hook, self._prefix = self._keys_below
            source = hook()
        if type(source) is CoroutineType:
            source = await source
        return source if hasattr(source, "__anext__") else iter(source)

    def _new_names(self, keys: list[str]) -> list[str]:
        start = len(self._prefix or "")
        fresh = dict.fromkeys(key[start:].partition("/")[0] for key in legal_keys(keys))
        names = [name for name in fresh if name not in self._names]
        self._names.update(names)
        return names

    async def aclose(self) -> None:
        """End the iteration and release what it holds."""
        self._done = True
        self._ready = iter(())
        if self._source is None:
            return
        await self._home.run(self._release)

    async def _release(self) -> None:
        source, self._source = self._source, iter(())
        if hasattr(source, "aclose"):
            await source.aclose()
        elif hasattr(source, "close"):
            source.close()

    def close(self) -> None:
        """End the iteration from blocking code, or from a finaliser on the I/O loop itself."""
        if isinstance(self._home, LoopHome) and self._home.here():
            self._home.call_soon(self.aclose)
        else:
            self._home.drive(self.aclose)

    def __del__(self) -> None:
        # a blocking source is a plain generator, which its own deletion closes; one that came
        # through a fork belongs to the parent's loop
        source = self._source
        if self._done or not hasattr(source, "aclose") or self._pid != os.getpid():
            return
        if isinstance(self._home, LoopHome):
            self._home.call_soon(source.aclose)
        else:
            self._home.drive(source.aclose)
