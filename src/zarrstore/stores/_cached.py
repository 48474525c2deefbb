"""What a `CacheStore` holds: values and facts by key, the one used longest ago dropped first."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from zarrstore.abc import Store
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.operations import Version
from zarrstore.stores._turns import Turns

__all__ = ["MISS", "CacheState", "CacheStatistics", "Cached", "Fact", "Part", "Reading", "What"]


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a `CacheStore` has done so far, in this process.

    Examples
    --------
    >>> CacheStatistics(hits=3, misses=1).hit_rate
    0.75
    """

    hits: int = 0
    """Reads of values, or of parts of values, that needed no request."""
    misses: int = 0
    """Reads of values, or of parts, that did."""
    evictions: int = 0
    """Values and parts that were dropped to make room for others."""
    nbytes: int = 0
    """Bytes that are held now."""
    failures: int = 0
    """Times that the store that holds the cache failed: the value was read all the same."""

    @property
    def hit_rate(self) -> float:
        """The share of the reads that needed no request; 0 before the first."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one state of a value."""

    version: Version | None
    byte_range: ByteRequest


Fact: TypeAlias = Literal[
    "missing", "there", "stat", "version", "_list", "_list_dir", "_is_empty", "_getsize_prefix"
]
"""What is known of a key, or of what is below a prefix."""

What: TypeAlias = ByteRequest | Part | Fact | None
"""A part of a value, or what is known of it; ``None`` for all of it."""

Place: TypeAlias = tuple[str, What]

MISS: Any = object()
"""Stands for what is not held."""

_MOST_FACTS = 2**20
"""Names in listings, missing keys and so on: about 100 MB."""


class Reading:
    """A read under way of a key or prefix, which a change of it makes worthless to keep."""

    __slots__ = ("is_current", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_current = True


class _Held:
    """Entries up to a size in all; the one that was used longest ago goes first."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.size = 0
        self.entries: OrderedDict[Place, tuple[Any, int, float]] = OrderedDict()

    def pop(self, place: Place) -> Any:
        found = self.entries.pop(place, None)
        if found is None:
            return MISS
        self.size -= found[1]
        return found[0]

    def oldest(self) -> Place | None:
        """Return what has to go, while it is too much."""
        if self.limit is None or self.size <= self.limit:
            return None
        return next(iter(self.entries))


class Cached:
    """Values and facts of the keys of a store, for any number of threads and tasks.

    Parameters
    ----------
    max_bytes : int or None
    max_age : float or None
        In seconds.
    collects : bool, default False
        Whether somebody takes the values that are dropped, by `take_dropped`.
    """

    def __init__(
        self, max_bytes: int | None, max_age: float | None, *, collects: bool = False
    ) -> None:
        self._lock = threading.Lock()
        self._max_age = max_age
        self._values = _Held(max_bytes)
        self._facts = _Held(_MOST_FACTS)
        self._of: dict[str, set[What]] = {}
        self._readings: dict[str, set[Reading]] = {}
        self.turns = Turns()
        self._hits = self._misses = self._evictions = self._failures = 0
        self._collects = collects
        self._dropped: list[Any] = []

    @property
    def statistics(self) -> CacheStatistics:
        with self._lock:
            return CacheStatistics(
                self._hits, self._misses, self._evictions, self._values.size, self._failures
            )

    def count(self, *, hits: int = 0, misses: int = 0, failures: int = 0) -> None:
        with self._lock:
            self._hits += hits
            self._misses += misses
            self._failures += failures

    def fits(self, size: int) -> bool:
        """Tell whether a value of a size can be held at all."""
        return self._values.limit is None or size <= self._values.limit

    def _held(self, what: What) -> _Held:
        return self._facts if isinstance(what, str) else self._values

    def get(self, key: str, what: What) -> Any:
        """Return a value or fact, `MISS` if it is not held or is too old."""
        with self._lock:
            return self._get(key, what)

    def _get(self, key: str, what: What) -> Any:
        entries = self._held(what).entries
        found = entries.get((key, what))
        if found is None:
            return MISS
        if self._max_age is not None and time.monotonic() >= found[2]:
            self._drop(key, what)
            return MISS
        entries.move_to_end((key, what))
        return found[0]

    def find(self, key: str, byte_range: ByteRequest | None) -> tuple[Any, ByteRequest | None]:
        """Return what answers a read, and which part of that; ``None`` for a missing key."""
        with self._lock:
            whole = self._get(key, None)
            if whole is not MISS:
                return whole, byte_range
            if byte_range is not None and (part := self._get(key, byte_range)) is not MISS:
                return part, None
            return (MISS if self._get(key, "missing") is MISS else None), None

    def is_there(self, key: str) -> bool | None:
        """Tell whether there is a key; ``None`` if that is not known."""
        with self._lock:
            for what in list(self._of.get(key, ())):
                if self._get(key, what) is not MISS:
                    return what != "missing"
            return None

    def begin(self, key: str) -> Reading:
        """Note that a read of a key or prefix begins, which has to be ended."""
        reading = Reading(key)
        with self._lock:
            self._readings.setdefault(key, set()).add(reading)
        return reading

    def end(self, reading: Reading) -> None:
        with self._lock:
            others = self._readings.get(reading.key)
            if others is not None:
                others.discard(reading)
                if not others:
                    del self._readings[reading.key]

    def keep(self, reading: Reading, what: What, value: Any, size: int) -> bool:
        """Hold what was read, unless a change came between; tell whether it is held."""
        key = reading.key
        with self._lock:
            if not reading.is_current:
                return False
            if what == "missing":
                self._drop_all(key)
            elif what is None:
                for part in [each for each in self._of.get(key, ()) if not isinstance(each, str)]:
                    self._drop(key, part)
            self._put(key, what, value, size)
            return True

    def keep_state(self, reading: Reading, what: Literal["stat", "version"], state: Any) -> bool:
        """Hold what tells of the state of a value, ``None`` for a missing key, as `keep` does.

        What was read before, or is being read, may be older, whether or not this is held: a
        change of it, written on the condition that the state is still this one, would take back
        what another wrote. So it is forgotten, unless it is known to be of the same state.
        """
        key = reading.key
        with self._lock:
            if state is None or self._get(key, what) != state:
                self._forget(key, but=reading)
            if not reading.is_current:
                return False
            self._put(key, "missing" if state is None else what, state, 1)
            return True

    def _put(self, key: str, what: What, value: Any, size: int) -> None:
        held = self._held(what)
        self._drop(key, what)
        until = 0.0 if self._max_age is None else time.monotonic() + self._max_age
        held.entries[key, what] = value, size, until
        held.size += size
        self._of.setdefault(key, set()).add(what)
        while (oldest := held.oldest()) is not None:
            self._drop(*oldest)
            self._evictions += held is self._values

    def _drop(self, key: str, what: What) -> None:
        value = self._held(what).pop((key, what))
        if value is MISS:
            return
        if self._collects and not isinstance(what, str):
            self._dropped.append(value)
        whats = self._of[key]
        whats.discard(what)
        if not whats:
            del self._of[key]

    def _drop_all(self, key: str) -> None:
        for what in list(self._of.get(key, ())):
            self._drop(key, what)

    def _forget(self, key: str, but: Reading | None = None) -> None:
        self._drop_all(key)
        for reading in self._readings.get(key, ()):
            reading.is_current &= reading is but

    def drop(self, key: str, what: What) -> None:
        """Forget one thing."""
        with self._lock:
            self._drop(key, what)

    def changed(self, keys: Iterable[str]) -> None:
        """Forget what is known of keys that were changed, and of what is below a prefix."""
        with self._lock:
            for key in keys:
                self._forget(key)
                self._forget_above(key)

    def _forget_above(self, path: str) -> None:
        self._forget("")
        end = path.find("/")
        while end != -1:
            self._forget(path[: end + 1])
            end = path.find("/", end + 1)

    def changed_below(self, prefix: str) -> None:
        """Forget what is known of all keys below a prefix, ``""`` or one that ends with ``/``."""
        with self._lock:
            for key in {*self._of, *self._readings}:
                if key.startswith(prefix):
                    self._forget(key)
            self._forget_above(prefix)

    def forget(self, concerns: Callable[[What], bool] | None = None) -> None:
        """Forget what is of some kind, or everything, and what is being read."""
        with self._lock:
            for key, whats in list(self._of.items()):
                for what in [each for each in whats if concerns is None or concerns(each)]:
                    self._drop(key, what)
            for readings in self._readings.values():
                for reading in readings:
                    reading.is_current = False

    def take_dropped(self) -> list[Any]:
        """Return the values that are held no more since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
            return dropped


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A value in another store."""

    name: str
    size: int


class CacheState:
    """What one process holds: values in memory, or where they are in another store."""

    def __init__(self, max_bytes: int | None, max_age: float | None, cache: Store | None) -> None:
        self.cached = Cached(max_bytes, max_age, collects=cache is not None)
        self._cache = cache
        self._folder = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._at_exit: Any = None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count what fails in the other store, whatever it is: it costs requests, and no read."""
        try:
            yield
        except Exception:  # noqa: BLE001 - a store of others may raise anything
            self.cached.count(failures=1)

    async def load(
        self, key: str, what: What, there: _Elsewhere, byte_range: ByteRequest | None
    ) -> Any:
        """Return a value from the other store, or `MISS` if it is there no more, or cut."""
        assert self._cache is not None
        start, stop = (0, there.size) if byte_range is None else resolve(byte_range, there.size)
        with self._counted():
            value = await self._cache.get(there.name, byte_range)
            if value is not None and len(value) == stop - start:
                return value
        self.cached.drop(key, what)
        return MISS

    async def keep(self, reading: Reading, what: What, value: bytes) -> None:
        """Keep a value that fits."""
        if self._cache is None:
            self.cached.keep(reading, what, value, len(value))
            return
        if not reading.is_current:
            return
        if self._at_exit is None:
            self._at_exit = functools.partial(_empty, self._cache, self._folder, os.getpid())
            atexit.register(self._at_exit)
        there = _Elsewhere(f"{self._folder}/{next(self._numbers)}", len(value))
        with self._counted():
            await self._cache.set(there.name, value)
            if not self.cached.keep(reading, what, there, there.size):
                await self._delete([there])
        await self.clean()

    async def clean(self) -> None:
        """Delete what made room."""
        if self._cache is not None:
            await self._delete(self.cached.take_dropped())

    async def _delete(self, values: Iterable[_Elsewhere]) -> None:
        assert self._cache is not None
        for each in values:
            with self._counted():
                await self._cache.delete(each.name)

    async def empty(self) -> None:
        """Delete all that was kept in the other store."""
        assert self._cache is not None
        if self._at_exit is not None:
            atexit.unregister(self._at_exit)
            with suppress(Exception):
                await self._cache.delete_dir(self._folder)


def _empty(cache: Store, folder: str, pid: int) -> None:
    if pid == os.getpid():
        with suppress(Exception):  # it may be closed by now, or its server gone
            cache.sync.delete_dir(folder)
