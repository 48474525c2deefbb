"""`LoggingStore`: every operation in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from zarrstore.abc import Store
from zarrstore.redaction import redact
from zarrstore.stores.wrappers.base import WrapperStore

__all__ = ["LoggingStore"]


class LoggingStore(WrapperStore):
    """Log each operation that reaches a store, with its arguments and duration.

    Values are logged as their size, never as their content.

    Parameters
    ----------
    store : Store
    logger : logging.Logger or str, default "zarrstore"
    level : int, default logging.DEBUG
    read_only : bool, default False

    Examples
    --------
    >>> import logging
    >>> from zarrstore.stores.memory import MemoryStore
    >>> store = LoggingStore(MemoryStore(), logging.getLogger("zarrstore.example"))
    >>> _ = store.sync.set("a", b"1")
    """

    def __init__(
        self,
        store: Store,
        logger: logging.Logger | str = "zarrstore",
        level: int = logging.DEBUG,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, read_only=read_only)
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._level = level

    def _location(self) -> dict[str, Any]:
        return {"store": self._inner, "logger": self._logger.name, "level": self._level}

    async def _hook(self, name: str, *args: Any) -> Any:
        started = time.perf_counter()
        try:
            result = await super()._hook(name, *args)
        except BaseException as error:
            self._log(name, args, f"raised {type(error).__name__}", started)
            raise
        self._log(name, args, _shown(result), started)
        return result

    def _list(self, prefix: str) -> AsyncIterator[str]:
        return self._logged("_list", prefix, self._inner.list_prefix(prefix))

    def _list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._logged("_list_dir", prefix, self._inner.list_dir(prefix))

    async def _logged(self, name: str, prefix: str, keys: AsyncIterator[str]) -> AsyncIterator[str]:
        started = time.perf_counter()
        count = 0
        try:
            async for key in keys:
                count += 1
                yield key
        finally:
            self._log(name, (prefix,), f"{count} names", started)

    def _log(self, name: str, args: tuple[Any, ...], outcome: str, started: float) -> None:
        if self._logger.isEnabledFor(self._level):
            shown = ", ".join(_shown(arg) for arg in args)
            elapsed = (time.perf_counter() - started) * 1e3
            self._logger.log(
                self._level,
                "%s %s(%s) -> %s in %.2f ms",
                self.url,
                name.lstrip("_"),
                redact(shown),
                outcome,
                elapsed,
            )


def _shown(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return f"{memoryview(value).nbytes} bytes"
    if isinstance(value, list | tuple) and len(value) > 4:
        return f"{len(value)} items"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_shown(item) for item in value)}]"
    return repr(value)
