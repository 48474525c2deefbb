"""zarr 2's own suite over the stores of `zarrstore.v2`; `test_judges.py` runs it."""

from __future__ import annotations

import atexit
import dbm.dumb
import os
import shutil
import tempfile
import uuid
from contextlib import suppress
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient
from zarr.tests import test_storage
from zarr.tests.test_storage import StoreTests, dimension_separator_fixture, skip_if_nested_chunks

from zarrstore import v2

__all__ = ["dimension_separator_fixture"]


def new(suffix: str = "") -> str:
    """Return a path at which there is nothing."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, True)
    return os.path.join(folder, "store" + suffix)


def of_n5(suite: type) -> dict[str, Any]:
    """Return what zarr 2's suite asks of its own N5 stores otherwise than of others."""
    return {
        name: test
        for name, test in vars(suite).items()
        if name.startswith("test_") and hasattr(StoreTests, name)
    }


class TestV2Store(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.as_v2(new(), **kwargs)


class TestKVStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        skip_if_nested_chunks(**kwargs)  # it takes no separator, as in zarr 2
        return v2.KVStore({})


class TestMemoryStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.MemoryStore(**kwargs)


class TestDictStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.DictStore(**kwargs)


class TestDirectoryStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.DirectoryStore(new(), **kwargs)


class TestDirectoryStoreOfLowerKeys(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.DirectoryStore(new(), normalize_keys=True, **kwargs)


class TestNestedDirectoryStore(StoreTests):
    test_init_array = test_storage.TestNestedDirectoryStore.test_init_array  # one separator only

    def create_store(self, **kwargs: Any) -> Any:
        return v2.NestedDirectoryStore(new(), **kwargs)


class TestTempStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.TempStore(**kwargs)


class TestLRUStoreCache(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        skip_if_nested_chunks(**kwargs)  # it takes no separator, as in zarr 2
        return v2.LRUStoreCache({}, max_size=2**27)


class TestFSStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.FSStore(new(), **kwargs)


class TestFSStoreInMemory(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.FSStore(f"memory:/{new()}", **kwargs)


class TestZipStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.ZipStore(new(".zip"), mode="w", **kwargs)


class TestRedisStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        port = int(os.environ["JUDGED_REDIS"])
        return v2.RedisStore(f"judge-{uuid.uuid4().hex}", port=port, **kwargs)


class TestMongoDBStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        port = int(os.environ["JUDGED_MONGODB"])
        return v2.MongoDBStore(
            "judge", f"judge-{uuid.uuid4().hex}", host="127.0.0.1", port=port, **kwargs
        )


class TestABSStore(StoreTests):
    def create_store(self, prefix: str = "", **kwargs: Any) -> Any:
        client = ContainerClient.from_connection_string(os.environ["JUDGED_AZURE"], "judge")
        with suppress(ResourceExistsError):
            client.create_container()
        return v2.ABSStore(prefix=f"{prefix}/{uuid.uuid4().hex}", client=client, **kwargs)


class TestDBMStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.DBMStore(new(".dbm"), flag="n", **kwargs)


class TestDBMStoreDumb(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.DBMStore(new(".dumbdbm"), flag="n", open=dbm.dumb.open, **kwargs)


class TestLMDBStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.LMDBStore(new(".lmdb"), **kwargs)


class TestN5Store(StoreTests):
    locals().update(of_n5(test_storage.TestN5Store))

    def create_store(self) -> Any:
        return v2.N5Store(new(".n5"))


class TestN5FSStore(StoreTests):
    locals().update(of_n5(test_storage.TestN5FSStore))

    def create_store(self) -> Any:
        return v2.N5FSStore(new(".n5"))


class TestSQLiteStore(StoreTests):
    def create_store(self, **kwargs: Any) -> Any:
        return v2.SQLiteStore(new(".db"), **kwargs)


class TestSQLiteStoreInMemory(StoreTests):
    test_pickle = test_storage.TestSQLiteStoreInMemory.test_pickle  # which it refuses

    def create_store(self, **kwargs: Any) -> Any:
        return v2.SQLiteStore(":memory:", **kwargs)
