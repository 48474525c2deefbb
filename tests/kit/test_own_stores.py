"""Every store of the package keeps the whole contract: no exceptions."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from zarrstore_testing import StoreTests

from zarrstore.abc import BlockingStore, Store
from zarrstore.stores.local import LocalStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.logging import LoggingStore
from zarrstore.stores.wrappers.prefix import PrefixStore


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which the package blocks an event loop, except where that is the test."""
    with blockbuster_ctx("zarrstore") as blocker:
        for function in blocker.functions.values():
            function.can_block_in("zarrstore_testing/loops.py", "cell")
        yield blocker


class InDirectory(StoreTests):
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def new_directory(self) -> str:
        return tempfile.mkdtemp(dir=self.path)


class DictStore(BlockingStore):
    """The example of `zarrstore.abc`."""

    def __init__(self):
        self.data = {}

    def _get(self, key):
        return self.data.get(key)

    def _set(self, key, value):
        self.data[key] = value

    def _delete(self, key):
        self.data.pop(key, None)

    def _list(self, prefix):
        return [key for key in self.data if key.startswith(prefix)]


class TestDictStore(StoreTests):
    def make_store(self) -> Store:
        return DictStore()


class TestMemoryStore(StoreTests):
    def make_store(self) -> Store:
        return MemoryStore()


class TestLocalStore(InDirectory):
    def make_store(self) -> Store:
        return LocalStore(self.new_directory())


class TestMappingStoreOverDict(StoreTests):
    def make_store(self) -> Store:
        return MappingStore({})


class TestMappingStoreOverOrderedDict(StoreTests):
    def make_store(self) -> Store:
        return MappingStore(OrderedDict())


class TestPrefixStoreOverMemory(StoreTests):
    def make_store(self) -> Store:
        return PrefixStore(MemoryStore({"outside": b"", "pre": b"", "prefix/y": b""}), "pre/x")


class TestPrefixStoreOverLocal(InDirectory):
    def make_store(self) -> Store:
        return PrefixStore(LocalStore(self.new_directory()), "pre/x")


class TestLoggingStore(StoreTests):
    def make_store(self) -> Store:
        return LoggingStore(MemoryStore())


class TestLatencyStore(StoreTests):
    def make_store(self) -> Store:
        return LatencyStore(MemoryStore(), 0.001, 0.001)


class TestStackedWrappers(InDirectory):
    def make_store(self) -> Store:
        return LoggingStore(PrefixStore(LocalStore(self.new_directory()), "a/b"))
