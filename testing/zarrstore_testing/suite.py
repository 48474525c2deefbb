"""`StoreTests`: the contract as a class of tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from zarrstore.abc import Store
from zarrstore_testing.behaviour import Behaviour
from zarrstore_testing.contract import registry
from zarrstore_testing.options import Options
from zarrstore_testing.running import run_behaviour

__all__ = ["StoreTests"]

_DEFAULTS = Options()


class StoreTests:
    """Check a store: subclass this in a test module, and write `make_store`.

    One test a behaviour, under plain pytest, and, with ``unittest.TestCase`` as another base
    class, under unittest. None is ever skipped: where a store lacks a capability, the test checks
    that it says so. What else an author may say of the store is what `Options` are: write the
    methods, and set the attributes, that are to differ.

    Attributes
    ----------
    many_keys, examples, timeout, max_value_size, append_only
        See `Options`.

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> class TestMemoryStore(StoreTests):
    ...     def make_store(self):
    ...         return MemoryStore()
    >>> TestMemoryStore().test_get_missing_is_none()
    """

    many_keys: int = _DEFAULTS.many_keys
    examples: int = _DEFAULTS.examples
    timeout: float | None = _DEFAULTS.timeout
    max_value_size: int | None = None
    append_only: bool = False

    def make_store(self) -> Store:
        """Return a new, empty, writable store: other data than any returned before."""
        if type(self).seed is StoreTests.seed:
            raise NotImplementedError(f"{type(self).__name__} needs a method make_store")
        return self.seed({})

    def allows_key(self, key: str) -> bool:
        """Tell whether the store takes a key; see `Options`."""
        raise NotImplementedError(key)

    def seed(self, values: dict[str, bytes]) -> Store:
        """Return a store that cannot be written, and holds these values; see `Options`."""
        raise NotImplementedError(values)

    def reopen(self, store: Store) -> Store:
        """Return another store over the same data, opened anew; see `Options`."""
        raise NotImplementedError(store)

    def failing(self, store: Store) -> AbstractContextManager[object]:
        """Return a context manager in which the backend of a store fails; see `Options`."""
        raise NotImplementedError(store)

    def options(self) -> Options:
        """Return what the attributes and methods of this class say."""
        given: dict[str, Any] = {}
        for field in dataclasses.fields(Options):
            function = getattr(StoreTests, field.name)
            if not callable(function) or getattr(type(self), field.name) is not function:
                given[field.name] = getattr(self, field.name)
        return Options(**given)


def _test(behaviour: Behaviour) -> Callable[[StoreTests], None]:
    """Return the test method of a behaviour."""

    def test(self: StoreTests) -> None:
        run_behaviour(behaviour, self.make_store, self.options())

    test.__name__ = f"test_{behaviour.name}"
    test.__qualname__ = f"StoreTests.{test.__name__}"
    test.__doc__ = f"{behaviour.rule[:1].upper()}{behaviour.rule[1:]}."
    return test


for _behaviour in registry.values():
    setattr(StoreTests, f"test_{_behaviour.name}", _test(_behaviour))
