"""The right to overwrite an array, which one process or thread at a time has.

It is a key beside the chunks of the array, changed on the condition that it is as it was read.
Its holder changes it every other second; who finds it unchanged for longer than any holder that
lives would leave it takes it over, and does so at once if the holder is known to have ended.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from zarrstore.abc import ABSENT, Absent, Stat, Store, Version
from zarrstore.errors import ConflictError, ZarrStoreError
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME, Use
from zarrstore.hierarchy.processes import this_process
from zarrstore.keys import join
from zarrstore.redaction import join_url
from zarrstore.runtime import pause
from zarrstore.sync import SyncStore
from zarrstore.updating import Expect

__all__ = ["Claim", "claimed", "until_released"]

_BEAT = 2.0
_PATIENCE = 15.0
_LOOK = 0.05


class _Held(Use):
    """What is stored at the key."""

    owner: str | None = None
    beats: int = 0


def _parsed(stored: Any) -> _Held:
    try:
        return msgspec.json.decode(stored, type=_Held)
    except msgspec.MsgspecError:
        return _Held(owner="unknown")


class _Watch:
    """What is seen of a claim, again and again."""

    def __init__(self) -> None:
        self.held = _Held()
        self.expect: Expect = ABSENT
        """What the next to hold it changes it on condition of."""
        self._since = time.monotonic()

    def see(self, stat: Stat | None, stored: Any) -> None:
        """Note what is known of the key, and what was stored there then or later."""
        expect: Expect = ABSENT if stat is None else stat.version
        if expect != self.expect:
            self.expect, self._since = expect, time.monotonic()
        if stat is None:
            self.held = _Held()
        elif stored is None:
            self.held = _Held(owner="unknown")
        else:
            self.held = _parsed(stored)

    @property
    def waited(self) -> float:
        """Seconds for which it has not changed."""
        return time.monotonic() - self._since

    @property
    def has_ended(self) -> bool:
        """Whether who holds it, or held it, is known to write nothing any more."""
        return self.held.owner is None or self.held.has_ended

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it, or nobody alive."""
        return self.has_ended or self.waited > _PATIENCE


@dataclass
class Claim:
    """A claim that is held."""

    _store: SyncStore
    key: str
    left: Sequence[str] = ()
    """The namings of chunks that may be written by one who held it, and was not seen to end."""
    ended: Sequence[str] = ()
    """Those that were being written by one who ended before it was released."""
    _owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    _held: _Held = field(default_factory=_Held)
    _version: Version | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def is_held(self, stored: Any) -> bool:
        """Tell whether what is stored at the key says that it is held by this one."""
        return stored is not None and _parsed(stored).owner == self._owner

    def use(self, namings: Sequence[str]) -> None:
        """Note what is used under the claim, for others to leave it alone.

        Raises
        ------
        ConflictError
            If another has taken it over.
        """
        with self._lock:
            self._held.using = list(namings)
            try:
                self._write(self._version)
            except ConflictError as error:
                raise self.taken_over() from error

    def taken_over(self) -> ConflictError:
        """Return the error of one whose claim another has by now."""
        return ConflictError(
            f"the array of {join_url(self._store.url, self.key)} was not overwritten: this process "
            "was halted for so long that another took its turn; save again",
            store=self._store.url,
            key=self.key,
        )

    def _write(self, expect: Version | Absent | None) -> None:
        self._held.beats += 1
        self._version = self._store.set(self.key, msgspec.json.encode(self._held), expect=expect)

    def acquire(self) -> None:
        """Wait until nobody holds it, or nobody alive.

        Raises
        ------
        ConflictError
            If the store refuses all that is written, as does a zip file that another writes.
        """
        watch = _Watch()
        while True:
            stat = self._store.stat(self.key)
            watch.see(stat, None if stat is None else self._store.get(self.key))
            if watch.is_free:
                before = watch.held
                self.ended, self.left, left_at = before.using, before.still_left, before.left_at
                if not watch.has_ended:
                    self.left, left_at = before.taken_over()
                self._held = _Held([], list(self.left), left_at, this_process(), self._owner)
                try:
                    self._write(watch.expect)
                except ConflictError:
                    if watch.waited > 2 * _PATIENCE:  # nobody has it: the store is not written to
                        raise
                else:
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
            self._held.owner, self._held.using = None, []
            self._write(self._version)


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


async def until_released(store: Store, path: str) -> Use:
    """Wait until nobody holds the claim on the array at a path, or nobody alive."""
    key, watch = join(path, CLAIM_NAME), _Watch()
    while True:
        stat = await store.stat(key)
        watch.see(stat, None if stat is None else await store.get(key))
        if watch.is_free:
            return watch.held
        await pause(_LOOK)
