"""`StoreTests`: the contract as a class of pytest tests."""

from __future__ import annotations

from zarrstore.abc import Store
from zarrstore_testing.behaviour import MANY_KEYS, RANDOM_EXAMPLES, TIMEOUT
from zarrstore_testing.contract import registry
from zarrstore_testing.running import make_test

__all__ = ["StoreTests"]


class StoreTests:
    """Check a store: subclass this in a test module, and write `make_store`.

    One test a behaviour, under plain pytest. None is ever skipped: where a store lacks a
    capability, the test checks that it says so.

    Attributes
    ----------
    many_keys, examples, timeout
        See `Options`.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> class TestMemoryStore(StoreTests):
    ...     def make_store(self):
    ...         return MemoryStore()
    >>> TestMemoryStore().test_get_missing_is_none()
    """

    many_keys: int = MANY_KEYS
    examples: int = RANDOM_EXAMPLES
    timeout: float | None = TIMEOUT

    def make_store(self) -> Store:
        """Return a new, empty, writable store: other data than any returned before."""
        raise NotImplementedError(f"{type(self).__name__} needs a method make_store")


for _behaviour in registry.values():
    setattr(StoreTests, f"test_{_behaviour.name}", make_test(_behaviour))
