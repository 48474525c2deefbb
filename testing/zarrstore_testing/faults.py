"""Faults on demand: stores that are slow, fail, hang or cut off, and writers that are killed.

Each store stands on another one and does what that does, until its fault comes; they can stand on
each other.

>>> from zarrstore.stores.memory import MemoryStore
>>> store = FailingStore(MemoryStore({"a": b"1"}), every=2)
>>> store.sync.get("a")
b'1'
>>> store.sync.get("a")
Traceback (most recent call last):
    ...
zarrstore.errors.BackendError: the 2nd operation fails, as it was told to: get of 'a'
"""

from __future__ import annotations

from zarrstore_testing.faulty import (
    FailingStore,
    FaultyStore,
    ReorderingStore,
    StallingStore,
    TruncatingStore,
)
from zarrstore_testing.killing import Killed, kill_at

__all__ = [
    "FailingStore",
    "FaultyStore",
    "Killed",
    "ReorderingStore",
    "StallingStore",
    "TruncatingStore",
    "kill_at",
]
