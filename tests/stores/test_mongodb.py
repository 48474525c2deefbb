"""`MongoDBStore` on a real server: layout, failures, what pymongo is asked."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bson.raw_bson import RawBSONDocument
from daemons import Proxy, Secantus
from zarrstore_testing import StoreTests

import zarrstore
from zarrstore.abc import ABSENT, OffsetByteRequest, RangeByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    ConflictError,
    CorruptDataError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.stores.mongodb import MongoDBStore

pytest_plugins = ["database_servers"]

LARGEST = 2**24 - 2**12
PATIENT = {"host": "127.0.0.1", "socketTimeoutMS": 60_000, "serverSelectionTimeoutMS": 60_000}
"""The machine may be busy."""
COMMANDS = ["find", "getMore", "aggregate", "update", "insert", "delete", "createIndexes"]


@contextmanager
def failing_commands(server: Secantus, code: int, *commands: str) -> Iterator[None]:
    """Have the server answer commands with an error."""
    data = {"failCommands": list(commands or COMMANDS), "errorCode": code}
    with server.client() as client:
        fail = {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data}
        client.admin.command(fail)
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


class TestMongoDBStore(StoreTests):
    examples = 6
    many_keys = 1100
    max_value_size = LARGEST

    @pytest.fixture(autouse=True)
    def _server(self, secantus: Secantus, fresh: str) -> None:
        self.server, self.name, self.count = secantus, fresh, 0

    def make_store(self) -> MongoDBStore:
        self.count += 1
        return MongoDBStore("kit", f"{self.name}{self.count}", port=self.server.port, **PATIENT)

    @contextmanager
    def failing(self, store: Any) -> Iterator[None]:
        with failing_commands(self.server, 8):
            yield


@pytest.fixture
def make(secantus: Secantus, fresh: str) -> Iterator[Callable[..., MongoDBStore]]:
    made = []

    def store(collection: str = fresh, **options: Any) -> MongoDBStore:
        made.append(
            MongoDBStore("tests", collection, **{"port": secantus.port, **PATIENT, **options})
        )
        return made[-1]

    yield store
    for each in made:
        each.sync.close()


@pytest.fixture
def collection(secantus: Secantus, fresh: str) -> Iterator[Any]:
    with secantus.client() as client:
        yield client["tests"][fresh]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Secantus]:
    with Secantus(tmp_path) as server:
        yield server


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_layout_of_zarr_2(make, collection):
    store = make().sync
    collection.insert_one({"key": "old/.zarray", "value": b"{}"})
    assert dict(store) == {"old/.zarray": b"{}"}
    assert "key_1" not in collection.index_information()  # nothing was written yet
    store["new/0.0"] = b"12345"
    found = collection.find_one({"key": "new/0.0"})
    assert set(found) == {"_id", "key", "value", "version"}
    assert type(found["value"]) is bytes
    assert found["value"] == b"12345"
    assert collection.index_information()["key_1"]["unique"]
    assert store.getsize_prefix() == 7
    collection.insert_one({"other": "document", "key": 7})
    store.clear()
    assert [document["key"] for document in collection.find({})] == [7]


def test_conditional_writes_beside_zarr_2(make, collection):
    store = make().sync

    def written_by_zarr_2(value: bytes) -> str:
        document = {"key": "a", "value": value}
        collection.replace_one({"key": "a"}, document, upsert=True)
        return store.stat("a").version

    old = written_by_zarr_2(b"1")
    assert store.get_versioned("a", []).version == old
    new = written_by_zarr_2(b"2")
    with pytest.raises(ConflictError) as caught:
        store.set("a", b"3", expect=old)
    assert caught.value.found == new
    version = store.set("a", b"3", expect=new)
    assert store.stat("a").version == version
    written_by_zarr_2(b"3")
    with pytest.raises(ConflictError):
        store.set("a", b"4", expect=version)
    assert not store.set_if_not_exists("a", b"4")
    assert store["a"] == b"3"


def test_versions_are_of_writes_and_not_of_bytes(make):
    store = make().sync
    first = store.set("a", b"1")
    assert store.set("a", b"1") != first
    with pytest.raises(ConflictError):
        store.set("a", b"2", expect=first)


def test_keys_of_old_data_that_are_there_twice(make, collection):
    collection.insert_many([{"key": "a", "value": b"1"}, {"key": "a", "value": b"2"}])
    store = make().sync
    assert list(store.list()) == ["a"]
    for write in (
        lambda: store.set("b", b"1"),
        lambda: store.set_if_not_exists("b", b"1"),
        lambda: store.set("b", b"1", expect=ABSENT),
    ):
        with pytest.raises(BackendError, match="two documents have one key; delete one"):
            write()
    store.delete("a")
    assert store.get("a") is None
    store["a"] = b"3"
    assert dict(store) == {"a": b"3"}


def test_an_index_that_is_not_unique(make, collection):
    collection.create_index("key")
    with pytest.raises(BackendError, match="drop the index of its keys that is not unique"):
        make().sync.set("a", b"1")


def test_values_that_are_no_bytes(make, collection):
    collection.insert_one({"key": "a", "value": "text"})
    store = make().sync
    for read in (
        lambda: store["a"],
        lambda: store.get_many(["a"]),
        lambda: store.get_versioned("a", []),
        lambda: store.stat("a"),
        lambda: store.set("a", b"1", expect="1"),
    ):
        with pytest.raises(CorruptDataError, match="str for a value"):
            read()


def test_the_largest_value(make):
    store = make().sync
    key = "k" * 1024
    store[key] = bytes(LARGEST)
    assert len(store[key]) == LARGEST
    for write in (
        lambda: store.set(key, bytes(LARGEST + 1)),
        lambda: store.set("new", bytes(LARGEST + 1), expect=ABSENT),
        lambda: store.set_many({"new": bytes(LARGEST + 1)}),
    ):
        with pytest.raises(UnsupportedOperationError, match="16 MiB at most; write smaller chunks"):
            write()
    assert list(store.list()) == [key]
    assert len(store[key]) == LARGEST


def test_no_key_is_a_query(make):
    store = make().sync
    keys = [
        "$gt",
        "{'$ne': 1}",
        "a.b",
        ".*",
        "^",
        "$where/x",
        "a/b",
        "a0",
        "a",
        "é/☃",
        "a/\U0001f600",
    ]
    store.set_many((key, key.encode()) for key in keys)
    assert dict(store) == {key: key.encode() for key in keys}
    assert store.get_many(["$gt", "$ne", "*"]) == [b"$gt", None, None]
    assert sorted(store.list_prefix("a")) == ["a/b", "a/\U0001f600"]
    assert list(store.list_prefix(".*")) == []
    assert list(store.list_prefix("$where")) == ["$where/x"]
    store.delete_dir("a")
    assert sorted(store.list()) == sorted({*keys} - {"a/b", "a/\U0001f600"})
    store.delete("$gt")
    assert "a" in store


def test_options_that_change_what_documents_are(make):
    store = make(document_class=RawBSONDocument, tz_aware=True).sync
    store["a"] = b"1"
    assert store["a"] == b"1"


def test_arrays(make, secantus, fresh):
    store = make()
    values = np.arange(100 * 100).reshape(100, 100)
    zarrstore.create_array(store, name="a", data=values, chunks=(10, 10), shards=(50, 50))
    assert (zarrstore.open_array(store, path="a")[3:77, 5:99] == values[3:77, 5:99]).all()
    group = zarrstore.open(f"mongodb://127.0.0.1:{secantus.port}/tests/{fresh}")
    array = group["a"]
    array[5] = 7
    assert (array[4:7, 0] == [400, 7, 600]).all()
    group.store.sync.close()


def test_urls(monkeypatch):
    def opened(url: str, **options: Any) -> MongoDBStore:
        return zarrstore.open_store(url, storage_options=options or None)

    assert MongoDBStore(host="h").url == "mongodb://h:27017/mongodb_zarr/zarr_collection"
    assert MongoDBStore(host=["a:1", "b:2"]).url.startswith("mongodb://a:1,b:2/mongodb_zarr")
    with pytest.raises(TypeError, match="host is a str"):
        MongoDBStore(host=5)
    for url in (
        "mongodb://h/db/data",
        "mongodb://me:secret%21@h:1,i:2/db/a%20b?replicaSet=r&socketTimeoutMS=9",
        "mongodb://me:secret%21@h/db/data?authSource=admin",
    ):
        store = opened(url)
        assert store == opened(url) == pickle.loads(pickle.dumps(store))
        assert store != opened(url, appname="other")
        assert "secret" not in repr(store)
    assert opened("mongodb://me:secret@h:1,i:2/db/a%20b").url == "mongodb://h:1,i:2/db/a b"
    for wrong in (
        "mongodb://h",
        "mongodb://h/db",
        "mongodb://h/db/a/b",
        "mongodb://h/db//",
        "mongodb://h:port/db/a",
        "mongodb://h/d%20b/a",
        "mongodb://me:secret@h@i/db/a",
    ):
        with pytest.raises(StoreURLError, match="cannot open 'mongodb://") as caught:
            opened(wrong)
        assert "secret" not in str(caught.value)
    with pytest.raises(StoreURLError, match="Unknown option: socketTimeout"):
        opened("mongodb://h/db/a", socketTimeout=1)
    with pytest.raises(ValueError, match="Unknown option: timeout"):
        MongoDBStore(host="h", timeout=1)
    with pytest.raises(ValueError, match="no failure would be told"):
        MongoDBStore(host="mongodb://h/?w=0")
    with pytest.raises(ValueError, match="cannot contain"):
        MongoDBStore("a.b", host="h")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StoreURLError, match="not installed"):
        opened("mongodb://h/db/a")


def test_options_of_a_url_come_before_our_defaults():
    with MongoDBStore(host="mongodb://h/?socketTimeoutMS=9000").sync as store:
        options = store.store._client.collection.database.client.options.pool_options
        assert (options.socket_timeout, options.connect_timeout) == (9, 10)


def test_wrong_password(tmp_path):
    with Secantus(tmp_path) as server:
        with server.client() as client:
            client.admin.command(
                "createUser", "me", pwd="topsecret", roles=[{"role": "root", "db": "admin"}]
            )
        server.arguments += ["--auth"]
        with server.down():
            pass
        url = f"mongodb://me:%s@127.0.0.1:{server.port}/db/a?authSource=admin"
        with zarrstore.open_store(url % "nosecret").sync as store, within(8):
            for call in (lambda: store.get("a"), lambda: store.set("a", b"1")):
                with pytest.raises(AccessDeniedError, match="check the credentials") as caught:
                    call()
                assert "nosecret" not in f"{caught.value} {caught.value.__cause__!r}"
        with zarrstore.open_store(url % "topsecret").sync as store:
            store["a"] = b"1"
            assert store["a"] == b"1"


def test_a_server_that_is_down(own, make):
    store = make(port=own.port, serverSelectionTimeoutMS=500).sync
    store["a"] = b"1"
    with own.down():
        for call in (
            lambda: store.get("a"),
            lambda: store.get_many(["a", "b"]),
            lambda: store.stat("a"),
            lambda: list(store.list()),
            lambda: store.set("a", b"new"),
            lambda: store.set_many({"a": b"new"}),
            lambda: store.set_if_not_exists("c", b"new"),
            lambda: store.delete("a"),
            lambda: store.clear(),
        ):
            with within(5), pytest.raises(BackendError, match="check the server's addr") as caught:
                call()
            assert caught.value.store == store.url
    assert (store["a"], store.get("c"), list(store)) == (b"1", None, ["a"])
    assert store.set_if_not_exists("c", b"1")


def test_a_server_that_hangs(own, make):
    store = make(port=own.port, socketTimeoutMS=200, serverSelectionTimeoutMS=500).sync
    store["a"] = b"1"
    with own.hung():
        for call in (lambda: store.get("a"), lambda: list(store.list()), lambda: store.stat("a")):
            with within(3), pytest.raises(BackendError, match=r"in time|check the server"):
                call()
    assert store["a"] == b"1"


def test_a_server_that_is_full_or_refuses(make, secantus):
    store = make().sync
    store["a"] = b"1"
    writes = [
        lambda: store.set("a", b"new"),
        lambda: store.set("b", b"new", expect=ABSENT),
        lambda: store.set_many({"a": b"new", "c": b"new"}),
    ]
    for code, error, match in (
        (14031, BackendError, "the server's disk is full"),
        (13, AccessDeniedError, "check the credentials"),
        (10107, AccessDeniedError, "write to its primary"),
    ):
        with failing_commands(secantus, code, "update", "insert"):
            for write in writes:
                with pytest.raises(error, match=match):
                    write()
    assert dict(store) == {"a": b"1"}


def test_connections_that_are_dropped_midway(secantus, make):
    value = bytes(range(256)) * 4000
    with Proxy(secantus.port) as proxy:
        store = make(port=proxy.port, serverSelectionTimeoutMS=1000).sync
        straight = make().sync
        store["a"] = value
        proxy.drop_answers(50_000)
        assert store["a"] == value
        for write in (
            lambda: store.set("a", value[::-1]),
            lambda: store.set_many({"a": value[::-1]}),
            lambda: store.set("b", value, expect=ABSENT),
        ):
            proxy.drop_requests(50_000)
            with within(5), pytest.raises(BackendError, match="cannot write"):
                write()
            assert dict(straight) == {"a": value}
        store["a"] = value[::-1]
        assert straight["a"] == value[::-1]
        assert store.get("a", RangeByteRequest(0, 3)) == value[::-1][:3]
        assert store.get("a", OffsetByteRequest(len(value) - 2)) == value[::-1][-2:]


def test_stores_of_one_server_share_a_client(make):
    first, second = make("first"), make("second")
    first.sync["a"] = second.sync["a"] = b"1"
    client = first._client.collection.database.client
    assert second._client.collection.database.client is client
    first.sync.close()
    assert second.sync["a"] == b"1"
    second.sync.close()
    with make("second").sync as store:
        assert store.store._client.collection.database.client is not client
