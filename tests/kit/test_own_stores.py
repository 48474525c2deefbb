"""Every store of the package keeps the whole contract: no exceptions."""

from __future__ import annotations

import doctest
import io
import json
import pickle
import re
import tempfile
import uuid
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import obstore.store
import pytest
from blockbuster import BlockBuster
from zarrstore_testing import StoreTests

import zarrstore.abc
from zarrstore.abc import Store
from zarrstore.hierarchy.formats import CONSOLIDATED_KEY, V2, V3
from zarrstore.keys import MAX_KEY_BYTES
from zarrstore.stores.local import LocalStore, TempStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.object import ObjectStore
from zarrstore.stores.remote import RemoteStore
from zarrstore.stores.wrappers.cache import CacheStore
from zarrstore.stores.wrappers.consolidated import ConsolidatedStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.logging import LoggingStore
from zarrstore.stores.wrappers.n5 import N5Store
from zarrstore.stores.wrappers.nested import NestedStore
from zarrstore.stores.wrappers.prefix import PrefixStore
from zarrstore.stores.zip import ZipStore

if TYPE_CHECKING:
    from google_storage import GoogleStorage
    from servers import Bucket

pytest_plugins = ["servers"]

CHUNK = re.compile(r"\d+(\.\d+)+")
"""A name that has a meaning where chunks are in nested directories."""


@pytest.fixture(autouse=True)
def blocks_where_that_is_the_test(blockbuster: BlockBuster) -> None:
    """Let the kit call a blocking face under a running loop, as a notebook does."""
    for function in blockbuster.functions.values():
        function.can_block_in("zarrstore_testing/loops.py", "cell")


def example_store() -> Store:
    """Return a store of the class that the docstring of `zarrstore.abc` writes."""
    names = dict(vars(zarrstore.abc))
    exec(doctest.DocTestParser().get_examples(zarrstore.abc.__doc__)[0].source, names)
    store: Store = names["DictStore"]()
    return store


class InDirectory(StoreTests):
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def new_directory(self) -> str:
        return tempfile.mkdtemp(dir=self.path)


class TestDictStore(StoreTests):
    def make_store(self) -> Store:
        return example_store()


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


class TestCacheStore(StoreTests):
    def make_store(self) -> Store:
        return CacheStore(MemoryStore())


class TestCacheStoreOnDisk(InDirectory):
    def make_store(self) -> Store:
        cache = LocalStore(self.new_directory())
        return CacheStore(LocalStore(self.new_directory()), cache=cache, max_bytes=100_000)


class TestCacheStoreOverLatency(StoreTests):
    many_keys = 300
    examples = 5

    def make_store(self) -> Store:
        return CacheStore(LatencyStore(MemoryStore(), 0.001, 0.001))


class TestConsolidatedStore(StoreTests):
    """Beside the documents: what is below a prefix that has none."""

    def allows_key(self, key: str) -> bool:
        documents = {*V2.names, *V3.names, CONSOLIDATED_KEY}
        return key.rpartition("/")[2] not in documents and len(f"d/{key}".encode()) <= MAX_KEY_BYTES

    def make_store(self) -> Store:
        group = {".zgroup": {"zarr_format": 2}}
        document = json.dumps({"zarr_consolidated_format": 1, "metadata": group}).encode()
        store = ConsolidatedStore(MemoryStore({CONSOLIDATED_KEY: document}))
        assert store.sync.exists(".zgroup")  # the documents are read by now
        return PrefixStore(store, "d")


class TestN5Store(StoreTests):
    """Beside the documents, which hold what N5 can say and nothing else, and the blocks."""

    def allows_key(self, key: str) -> bool:
        name = key.rpartition("/")[2]
        documents = {*V2.names, *V3.names, "attributes.json"}
        return name not in documents and not CHUNK.fullmatch(name)

    def make_store(self) -> Store:
        return N5Store(MemoryStore())


class TestNestedStore(StoreTests):
    def make_store(self) -> Store:
        return NestedStore(MemoryStore())


class TestTempStore(InDirectory):
    """As other processes see it: a pickle of one, which leaves the directory on `close`."""

    def make_store(self) -> Store:
        store: Store = pickle.loads(pickle.dumps(TempStore(dir=self.new_directory())))
        return store


class TestZipStore(InDirectory):
    def make_store(self) -> Store:
        return ZipStore(f"{self.new_directory()}/x.zip")


class TestZipStoreOverFileObject(StoreTests):
    def make_store(self) -> Store:
        return ZipStore(io.BytesIO(), mode="w", compression=zipfile.ZIP_DEFLATED)


class TestPrefixStoreOverZip(InDirectory):
    def make_store(self) -> Store:
        return PrefixStore(ZipStore(f"{self.new_directory()}/x.zip"), "a")


class TestRemoteStoreOnMemory(StoreTests):
    def make_store(self) -> Store:
        return RemoteStore.from_url(f"memory://{uuid.uuid4()}")


class TestRemoteStoreOnFiles(InDirectory):
    def make_store(self) -> Store:
        return RemoteStore.from_url(f"file://{self.new_directory()}")


class TestRemoteStoreOnS3(StoreTests):
    many_keys = 1050
    examples = 5

    @pytest.fixture(autouse=True)
    def bucket(self, s3_bucket: Bucket) -> None:
        self.s3 = s3_bucket

    def make_store(self) -> Store:
        url = f"{self.s3.url}/{uuid.uuid4()}"
        return RemoteStore.from_url(url, self.s3.storage_options)


class TestObjectStoreOnMemory(StoreTests):
    def make_store(self) -> Store:
        return ObjectStore(obstore.store.MemoryStore(), prefix="a/b")


class TestObjectStoreOnFiles(InDirectory):
    def make_store(self) -> Store:
        return ObjectStore(obstore.store.LocalStore(self.new_directory()))


class TestObjectStoreOnS3(StoreTests):
    many_keys = 1050
    examples = 5

    @pytest.fixture(autouse=True)
    def bucket(self, s3_bucket: Bucket) -> None:
        self.s3 = s3_bucket

    def make_store(self) -> Store:
        url = f"{self.s3.url}/{uuid.uuid4()}"
        return ObjectStore.from_url(url, self.s3.storage_options)


class TestObjectStoreOnGoogleCloud(StoreTests):
    many_keys = 60
    examples = 2

    @pytest.fixture(autouse=True)
    def bucket(self, google_storage: GoogleStorage) -> None:
        self.google = google_storage

    def make_store(self) -> Store:
        options = {"token": "anon", "endpoint_url": self.google.url}
        return ObjectStore.from_url(f"gs://bucket/{uuid.uuid4()}", options)


class TestPrefixStoreOverObjectStore(StoreTests):
    def make_store(self) -> Store:
        return PrefixStore(ObjectStore(obstore.store.MemoryStore()), "a")


class TestStackedWrappers(InDirectory):
    def make_store(self) -> Store:
        return LoggingStore(PrefixStore(LocalStore(self.new_directory()), "a/b"))
