"""`RedisStore` on a real server: layout, failures, what redis-py is asked."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from daemons import Proxy, Valkey
from seaweed import free_port
from zarrstore_testing import StoreTests

import zarrstore
from zarrstore.abc import ABSENT, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.stores.redis import RedisStore

pytest_plugins = ["database_servers"]

PATIENT = {"host": "127.0.0.1", "socket_timeout": 60, "socket_connect_timeout": 60}
"""The machine may be busy."""


class TestRedisStore(StoreTests):
    examples = 10

    @pytest.fixture(autouse=True)
    def _server(self, valkey: Valkey, fresh: str) -> None:
        self.server, self.name, self.count = valkey, fresh, 0

    def make_store(self) -> RedisStore:
        self.count += 1
        return RedisStore(f"{self.name}{self.count}", port=self.server.port, **PATIENT)

    @contextmanager
    def failing(self, store: Any) -> Iterator[None]:
        with self.server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "default", "-@all", "+acl")
            try:
                yield
            finally:
                admin.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.fixture
def make(valkey: Valkey, fresh: str) -> Iterator[Callable[..., RedisStore]]:
    made = []

    def store(prefix: str = fresh, **options: Any) -> RedisStore:
        made.append(RedisStore(prefix, **{"port": valkey.port, **PATIENT, **options}))
        return made[-1]

    yield store
    for each in made:
        each.sync.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_layout_of_zarr_2(make, valkey, fresh):
    store = make().sync
    with valkey.client() as client:
        client[f"{fresh}:old/.zarray"] = b"{}"
        client[f"{fresh}x:other"] = b"1"
        store["new/0.0"] = b"12345"
        assert client[f"{fresh}:new/0.0"] == b"12345"
        assert dict(store) == {"old/.zarray": b"{}", "new/0.0": b"12345"}
        store.clear()
        assert client.keys(f"{fresh}*") == [f"{fresh}x:other".encode()]


def test_names_that_a_scan_takes_for_patterns(make, valkey):
    prefixes = ["[ab]*?", "a\\", "a", "aa", "é☃", "p:q", ""]
    stores = [make(f"{prefix}/patterns").sync for prefix in prefixes]
    keys = ["*", "[ab]/x", "a/x", "b/x", "?", "^", "é/☃"]
    for store in stores:
        store.set_many((key, key.encode()) for key in keys)
    stores[0].delete_dir("[ab]")
    assert sorted(stores[0].list()) == sorted({*keys} - {"[ab]/x"})
    assert list(stores[0].list_prefix("[ab]")) == []
    for store in stores[1:]:
        assert sorted(store.list()) == sorted(keys)
        assert list(store.list_prefix("é")) == ["é/☃"]
        assert list(store.list_dir("[ab]")) == ["x"]


def test_names_that_are_no_keys_are_not_listed(make, valkey, fresh):
    store = make().sync
    with valkey.client() as client:
        client[f"{fresh}:".encode() + b"\xff\xfe"] = b"1"
        client[f"{fresh}:/a"] = b"1"
    store["a"] = b"1"
    assert list(store.list()) == ["a"]
    store.clear()
    with valkey.client() as client:
        assert not client.keys(f"{fresh}*")


def test_what_is_no_string_is_an_error(make, valkey, fresh):
    store = make().sync
    with valkey.client() as client:
        client.rpush(f"{fresh}:a", "1")
    reads = [
        lambda: store["a"],
        lambda: store.get("a", RangeByteRequest(0, 1)),
        lambda: store.get_ranges("a", [SuffixByteRequest(1)]),
        lambda: store.get_many(["b", "a"]),
        lambda: store.get_many(["b", ("a", OffsetByteRequest(1))]),
        lambda: store.stat("a"),
        lambda: store.getsize_prefix(),
        lambda: store.set("a", b"1", expect="1"),
    ]
    for read in reads:
        with pytest.raises(BackendError, match="WRONGTYPE"):
            read()


def test_far_ranges(make):
    store = make().sync
    store["a"] = b"12345"
    store["empty"] = b""
    far = 2**70
    asked = [
        RangeByteRequest(2, far),
        RangeByteRequest(far, 2 * far),
        OffsetByteRequest(far),
        SuffixByteRequest(far),
    ]
    assert store.get_ranges("a", asked) == [b"345", b"", b"", b"12345"]
    assert store.get_many([("a", each) for each in asked]) == [b"345", b"", b"", b"12345"]
    assert store.get_many([("empty", each) for each in asked]) == [b""] * 4
    assert store.get_many([("missing", each) for each in asked]) == [None] * 4
    assert [store.get("a", each) for each in asked] == [b"345", b"", b"", b"12345"]


def test_parts_of_one_state(make):
    store = make().sync
    other = make().sync
    store["a"] = b"2abcdef"

    def then(parts: Any, size: int) -> list[RangeByteRequest]:
        calls.append(size)
        if len(calls) == 1:
            other["a"] = b"3ABCDEFG"
        return [RangeByteRequest(1, 1 + int(bytes(parts[0])))]

    calls: list[int] = []
    found = store.get_versioned("a", [RangeByteRequest(0, 1)], then)
    assert (found.parts, found.size, calls) == ([b"3", b"ABC"], 8, [7, 8])
    assert found.version == store.stat("a").version == other.stat("a").version
    with pytest.raises(zarrstore.ConflictError, match="all the time"):
        store.get_versioned(
            "a", [OffsetByteRequest(0)], lambda parts, _: other.set("a", bytes(parts[0]) * 2) or []
        )
    assert store.get_versioned("missing", [], lambda *_: []) is None


def test_arrays(make, valkey, fresh):
    store = make()
    values = np.arange(100 * 100).reshape(100, 100)
    zarrstore.create_array(store, name="a", data=values, chunks=(10, 10), shards=(50, 50))
    assert (zarrstore.open_array(store, path="a")[3:77, 5:99] == values[3:77, 5:99]).all()
    url = f"redis://127.0.0.1:{valkey.port}/0?prefix={fresh}"
    array = zarrstore.open(url)["a"]
    array[5] = 7
    assert (array[4:7, 0] == [400, 7, 600]).all()
    array.store.sync.close()


def test_urls(monkeypatch):
    def opened(url: str, **options: Any) -> RedisStore:
        return zarrstore.open_store(url, storage_options=options or None)

    assert opened("redis://h").url == "redis://h:6379/0?prefix=zarr"
    assert opened("redis://h:1/3?prefix=a%20b/c&socket_timeout=9").url == (
        "redis://h:1/3?prefix=a%20b/c"
    )
    assert opened("redis://h?prefix=").url == "redis://h:6379/0?prefix="
    assert RedisStore.from_url("redis://[::1]:7/1").url == "redis://[::1]:7/1?prefix=zarr"
    assert opened("rediss://me:secret@h/1").url == "rediss://h:6379/1?prefix=zarr"
    assert opened("redis+unix:///a/b.sock?db=2").url == "redis+unix:///a/b.sock?db=2&prefix=zarr"
    for url in ("redis://h:1/3?prefix=a", "rediss://h/1", "redis+unix:///a/b.sock?db=2"):
        store = opened(url, password="secret")
        assert opened(store.url, password="secret") == store == pickle.loads(pickle.dumps(store))
        assert store != opened(url, password="other")
        assert "secret" not in repr(store)
    for wrong in ("redis://h/data.zarr", "redis://h/0/1", "redis://h?prefx=a", "redis://h?db=x"):
        with pytest.raises(StoreURLError, match="cannot open 'redis://h"):
            opened(wrong)
    with pytest.raises(StoreURLError, match="socket_timeou"):
        opened("redis://h", socket_timeou=1)
    for wrong in ({"decode_responses": True}, {"connection_pool": None}, {"prefx": "a"}):
        with pytest.raises(TypeError, match=f"no option {next(iter(wrong))}; known are"):
            RedisStore(**wrong)
    with pytest.raises(TypeError, match="prefix is a str"):
        RedisStore(b"zarr")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StoreURLError, match="not installed"):
        opened("redis://h")


def test_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    url = f"redis+unix://{path}?prefix=p"
    with Valkey(unixsocket=path), zarrstore.open_store(url).sync as store:
        store["a"] = b"1"
        assert dict(store) == {"a": b"1"}


def test_wrong_password(own):
    with own.client() as admin:
        admin.config_set("requirepass", "topsecret")
    url = f"redis://:%s@127.0.0.1:{own.port}"
    for wrong in ("nosecret", ""):
        with zarrstore.open_store(url % wrong).sync as store, within(5):
            with pytest.raises(AccessDeniedError, match="credentials") as caught:
                store.get("a")
            assert "nosecret" not in f"{caught.value} {caught.value.__cause__!r}"
    with zarrstore.open_store(url % "topsecret").sync as store:
        store["a"] = b"1"
        assert store["a"] == b"1"


def _all_fail(store: Any, error: type[Exception], match: str, seconds: float) -> None:
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
        with within(seconds), pytest.raises(error, match=match) as caught:
            call()
        assert caught.value.store == store.url


def test_a_server_that_is_down(own, make):
    store = make(port=own.port).sync
    store["a"] = b"1"
    with own.down():
        _all_fail(store, BackendError, "check the server's address", 5)
    assert (store["a"], store.get("c"), list(store)) == (b"1", None, ["a"])
    with own.down():
        pass
    assert store.set_if_not_exists("c", b"1")  # the connection it has is of before


def test_a_server_that_hangs(own, make):
    store = make(port=own.port, socket_timeout=0.2, socket_connect_timeout=0.2).sync
    store["a"] = b"1"
    with own.hung():
        for call in (lambda: store.get("a"), lambda: list(store.list()), lambda: store.stat("a")):
            with within(2), pytest.raises(BackendError, match="did not answer in time"):
                call()
    assert store["a"] == b"1"


def test_a_server_that_is_full(own, make):
    store = make(port=own.port).sync
    store["a"] = b"1"
    with own.client() as admin:
        version = store.stat("a").version
        admin.config_set("maxmemory", "1")
        for call in (
            lambda: store.set("a", b"new"),
            lambda: store.set("a", b"new", expect=version),
            lambda: store.set("b", b"new", expect=ABSENT),
            lambda: store.set_many({"a": b"new"}),
        ):
            with pytest.raises(BackendError, match="the server is full; free"):
                call()
        assert dict(store) == {"a": b"1"}
        assert store.stat("a").version == version
        store.delete("missing")
        admin.config_set("maxmemory", "0")
    store["a"] = b"new"
    assert store["a"] == b"new"


def test_a_replica(own, make):
    with own.client() as admin:
        admin.config_set("repl-diskless-sync-delay", "0")
    with Valkey() as replica, replica.client() as admin:
        primary = make(port=own.port).sync
        primary["a"] = b"1"
        admin.replicaof("127.0.0.1", own.port)
        store = make(port=replica.port).sync
        limit = time.monotonic() + 30
        while store.get("a") is None:
            assert time.monotonic() < limit
            time.sleep(0.05)
        version = store.stat("a").version
        for call in (
            lambda: store.set("a", b"2"),
            lambda: store.set("a", b"2", expect=version),
            lambda: store.set_if_not_exists("b", b"2"),
            lambda: store.delete("a"),
            lambda: store.delete_dir(""),
        ):
            with pytest.raises(AccessDeniedError, match="write to its primary"):
                call()
        assert dict(store) == {"a": b"1"}
        admin.replicaof("NO", "ONE")
        store["a"] = b"2"


def test_a_part_of_a_cluster(make):
    with Valkey(**{"cluster-enabled": "yes", "cluster-port": str(free_port())}) as node:
        store = make(port=node.port).sync
        for call in (lambda: store.get("a"), lambda: store.set("a", b"1")):
            with pytest.raises(UnsupportedOperationError, match="cluster"):
                call()


def test_connections_that_are_dropped_midway(valkey, make):
    value = bytes(range(256)) * 4000
    with Proxy(valkey.port) as proxy:
        store = make(port=proxy.port).sync
        straight = make().sync
        store["a"] = value
        proxy.drop_answers(1000)
        assert store["a"] == value
        proxy.drop_requests(1000)
        store["a"] = value[::-1]
        assert straight["a"] == value[::-1]
        proxy.drop_answers(1000)
        assert store.get_many(["a", "b"]) == [value[::-1], None]
        proxy.drop_requests(1000)
        store.set_many({"b": value, "c": value})
        assert straight.get_many("bc") == [value, value]
        proxy.drop_answers(*[2000] * 40)
        with within(5), pytest.raises(BackendError, match="cannot read 'a' in redis"):
            store.get("a")
        proxy.drop_answers()
        assert store["a"] == value[::-1]


def test_a_conditional_write_is_not_made_twice(valkey, make):
    with Proxy(valkey.port) as proxy:
        store = make(port=proxy.port).sync
        straight = make().sync
        store.set("x", b"1", expect=ABSENT)
        store.set("x", b"2", expect=store.stat("x").version)
        proxy.drop_answers(0)
        with pytest.raises(BackendError):  # it cannot be told; a second attempt would find its own
            store.set_if_not_exists("a", b"1")
        assert straight["a"] == b"1"
        version = store.stat("a").version
        assert not store.set_if_not_exists("a", b"2")  # connected again
        proxy.drop_answers(0)
        with pytest.raises(BackendError):
            store.set("a", b"2", expect=version)
        assert store["a"] == b"2"
        assert not store.set_if_not_exists("a", b"3")


def test_an_answer_that_was_not_waited_for_is_nobody_elses(make, valkey, monkeypatch):
    """Ctrl-C after a command was sent, and before its answer is there."""
    sync = make().sync
    sync["a"], sync["b"] = b"a", b"b"
    send = redis.Connection.send_command

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> None:
        send(self, *args, **kwargs)
        raise KeyboardInterrupt

    with valkey.client() as admin:
        admin.execute_command("CLIENT", "PAUSE", 300, "ALL")
        with monkeypatch.context() as patch:
            patch.setattr(redis.Connection, "send_command", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sync.get("a")
        assert sync["b"] == b"b"


@pytest.mark.parametrize(
    ("option", "value"),
    [("port", "abc"), ("port", None), ("host", None), ("db", "x"), ("socket_timeout", "5")],
)
def test_an_option_of_a_wrong_type_is_named(option, value):
    with pytest.raises(TypeError, match=f"^{option} is a "):
        RedisStore(**{option: value})


def test_scripts_that_the_server_forgot(make, valkey):
    store = make().sync
    store["a"] = b"1"
    with valkey.client() as client:
        client.script_flush()
        version = store.stat("a").version
        client.script_flush()
        store.set("a", b"2", expect=version)
    assert store["a"] == b"2"


def test_more_threads_than_redis_py_has_connections(make):
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    store = make().sync
    store["a"] = b"1"
    together = Barrier(150)

    def read(_: int) -> bytes:
        together.wait(30)
        return store["a"]

    with ThreadPoolExecutor(150) as threads:
        assert set(threads.map(read, range(150))) == {b"1"}
