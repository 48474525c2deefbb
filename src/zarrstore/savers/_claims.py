"""The right to overwrite an array, which one process or thread at a time has.

It is a key beside the chunks of the array, changed on the condition that it is as it was read.
Its holder changes it every other second; who finds it unchanged for longer than any holder that
lives would leave it takes it over.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from zarrstore.abc import ABSENT, Absent, Store, Version
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.keys import join
from zarrstore.sync import SyncStore

__all__ = ["CLAIM_NAME", "Claim", "claimed"]

CLAIM_NAME = ".overwriting"
"""Of the key in an array."""

_BEAT = 2.0
_PATIENCE = 15.0
_LOOK = 0.05


@dataclass
class Claim:
    """A claim that is held."""

    _store: SyncStore
    key: str
    abandoned: str | None = None
    """What the one was using who did not release it, if it was taken over."""
    _owner: str | None = field(default_factory=lambda: uuid.uuid4().hex)
    _using: str | None = None
    _beats: int = 0
    _version: Version | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def is_held(self, stored: Any) -> bool:
        """Tell whether what is stored at the key says that it is held by this one."""
        return stored is not None and _parsed(stored).get("owner") == self._owner

    def use(self, name: str) -> None:
        """Note what is used under the claim, for who may take it over.

        Raises
        ------
        ConflictError
            If another has.
        """
        with self._lock:
            self._using = name
            self._write(self._version)

    def _write(self, expect: Version | Absent | None) -> None:
        self._beats += 1
        content = {"owner": self._owner, "using": self._using, "beats": self._beats}
        self._version = self._store.set(self.key, json.dumps(content).encode(), expect=expect)

    def acquire(self) -> None:
        """Wait until nobody holds it, or nobody alive.

        Raises
        ------
        ConflictError
            If the store refuses all that is written, as does a zip file that another writes.
        """
        seen: Version | None = None
        since = time.monotonic()
        while True:
            stat = self._store.stat(self.key)
            stored = None if stat is None else self._store.get(self.key)
            held = {} if stored is None else _parsed(stored)
            is_free = stat is None or (stored is not None and held.get("owner") is None)
            version = None if stat is None else stat.version
            now = time.monotonic()
            if version != seen:
                seen, since = version, now
            if is_free or now - since > _PATIENCE:
                try:
                    self._write(ABSENT if version is None else version)
                except ConflictError:
                    if now - since > 2 * _PATIENCE:  # nobody has it: the store is not written to
                        raise
                else:
                    self.abandoned = None if is_free else held.get("using")
                    return
            time.sleep(_LOOK)

    def keep(self) -> None:
        """Show that the holder lives, again and again until it ends: in a thread of its own."""
        while not self._ended.wait(_BEAT):
            with self._lock:
                try:
                    self._write(self._version)
                except ConflictError:
                    return
                except (ZarrStoreError, OSError):
                    continue  # the next time, perhaps

    def release(self) -> None:
        """Let others have it; it stays theirs if one of them took it over."""
        self._ended.set()
        # what cannot be released ends by itself, and the array is as it should be
        with self._lock, suppress(ZarrStoreError, OSError):
            self._owner = self._using = None
            self._write(self._version)


def _parsed(stored: Any) -> dict[str, Any]:
    try:
        content = json.loads(bytes(stored))
    except ValueError:
        return {"owner": "unknown"}
    return content if isinstance(content, dict) else {"owner": "unknown"}


@contextmanager
def claimed(store: Store, path: str) -> Iterator[Claim]:
    """Hold the claim on the array at a path, in a store that has compare-and-swap."""
    claim = Claim(store.sync, join(path, CLAIM_NAME))
    claim.acquire()
    beating = threading.Thread(target=claim.keep, name="zarrstore-overwriting", daemon=True)
    beating.start()
    try:
        yield claim
    finally:
        claim.release()
        beating.join()
