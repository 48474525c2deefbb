"""Wrappers forward everything: what each changes, and that it changes nothing else."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import pickle
import time
from pathlib import Path

import pytest

from zarrstore import listable, operations, readable, writable
from zarrstore.abc import ABSENT, RangeByteRequest, Store
from zarrstore.errors import ConflictError, InvalidKeyError, ReadOnlyError, StoreClosedError
from zarrstore.listable import Listable
from zarrstore.stores import wrappers
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.base import WrapperStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.logging import LoggingStore
from zarrstore.stores.wrappers.prefix import PrefixStore


def hooks() -> dict[str, inspect.Signature]:
    """Every hook of a store: abstract, or ``NotImplemented`` by default."""
    found = {}
    sources = [inspect.getsource(module) for module in (readable, writable, listable)]
    for node in ast.walk(ast.parse("\n".join(sources))):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("_"):
            continue
        last = node.body[-1]
        optional = isinstance(last, ast.Return) and ast.unparse(last) == "return NotImplemented"
        if optional or getattr(getattr(Listable, node.name, None), "__isabstractmethod__", False):
            found[node.name] = inspect.signature(getattr(Listable, node.name))
    return found


def wrapper_classes() -> list[type[WrapperStore]]:
    import importlib
    import pkgutil

    for module in pkgutil.iter_modules(wrappers.__path__):
        importlib.import_module(f"{wrappers.__name__}.{module.name}")
    found, pending = [], [WrapperStore]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith("zarrstore."):
            found.append(cls)
    return found


def test_the_hooks_are_found():
    assert len(hooks()) >= 16
    assert {"_get", "_get_into", "_set_if", "_is_empty", "_getsize_prefix"} <= set(hooks())


@pytest.mark.parametrize("name", hooks())
def test_a_wrapper_forwards_every_hook(name):
    assert name in vars(WrapperStore), f"WrapperStore inherits the default of {name}"
    ours = inspect.signature(getattr(WrapperStore, name))
    assert list(ours.parameters) == list(hooks()[name].parameters)


@pytest.mark.parametrize("name", hooks())
def test_a_prefix_store_translates_every_hook(name):
    """Every hook takes a key, a prefix, or several: none may reach the store as it came."""
    takes = set(hooks()[name].parameters) & {"key", "keys", "prefix", "requests", "items"}
    assert takes
    assert name in vars(PrefixStore), f"PrefixStore passes {name} on with the key it was given"


@pytest.mark.parametrize("cls", wrapper_classes())
def test_a_wrapper_inherits_no_default_of_a_store(cls):
    for name in hooks():
        owner = next(base for base in cls.__mro__ if name in vars(base))
        assert issubclass(owner, WrapperStore), f"{cls.__name__}.{name} is that of {owner}"


class Recorder(Store):
    """A store with every hook, which notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []


def _recording(name: str):
    results = {
        "_get_ranges": [b""],
        "_get_versioned": ([b""], 1, "1"),
        "_get_many": [b"", b""],
        "_get_into": 0,
        "_is_empty": True,
    }

    async def hook(self, *args):
        self.asked.append(name)
        return results.get(name, 5 if name == "_getsize_prefix" else b"")

    async def listing(self, prefix):
        self.asked.append(name)
        yield "p/a" if name == "_list" else "a"

    async def stat(self, key):
        self.asked.append(name)
        return operations.Stat(1)

    if name == "_stat":
        return stat
    return listing if name.startswith("_list") else hook


for _name in hooks():
    setattr(Recorder, _name, _recording(_name))
Recorder.__abstractmethods__ = frozenset()

CALLS = {
    "_get": lambda s: s.get("a"),
    "_get_range": lambda s: s.get("a", byte_range=RangeByteRequest(0, 1)),
    "_get_ranges": lambda s: s.get_ranges("a", [RangeByteRequest(0, 1)]),
    "_get_versioned": lambda s: s.get_versioned("a", [RangeByteRequest(0, 1)]),
    "_get_many": lambda s: s.get_many(["a", "b"]),
    "_get_into": lambda s: s.get_into("a", bytearray(1)),
    "_get_each": lambda s: s.get_each(["a"], lambda index, value: None),
    "_get_each_into": lambda s: s.get_each_into(["a"], [bytearray(1)]),
    "_stat": lambda s: s.stat("a"),
    "_exists": lambda s: s.exists("a"),
    "_set": lambda s: s.set("a", b""),
    "_set_if": lambda s: s.set("a", b"", expect=ABSENT),
    "_set_many": lambda s: s.set_many([("a", b"")]),
    "_set_each": lambda s: s.set_each([("a", b"")]),
    "_delete": lambda s: s.delete("a"),
    "_delete_dir": lambda s: s.delete_dir("a"),
    "_list": lambda s: list(s.list()),
    "_list_dir": lambda s: list(s.list_dir()),
    "_is_empty": lambda s: s.is_empty(),
    "_getsize_prefix": lambda s: s.getsize_prefix(),
}


@pytest.mark.parametrize("wrap", [WrapperStore, LoggingStore, lambda s: PrefixStore(s, "p")])
@pytest.mark.parametrize("name", CALLS)
def test_each_operation_reaches_the_hook_of_its_own(wrap, name):
    """Asking the size of a value through a wrapper never reads it, and so on."""
    inner = Recorder()
    CALLS[name](wrap(inner).sync)
    assert inner.asked == [name]


def test_every_hook_is_called_by_the_test_above():
    assert set(CALLS) == set(hooks())


@pytest.fixture(params=["memory", "local"])
def inner(request, tmp_path):
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "root")


class TestPrefix:
    KEYS = ("a/b/k", "a/b/c/k", "a/bc", "a/b-", "a/bd/k", "b/k", "k", "A/b/k")

    @pytest.fixture
    def store(self, inner):
        inner.sync.set_many([(key, key.encode()) for key in self.KEYS])
        return PrefixStore(inner, "a/b")

    def test_no_sibling_is_seen_or_touched(self, inner, store):
        sync = store.sync
        assert dict(sync) == {"k": b"a/b/k", "c/k": b"a/b/c/k"}
        assert sorted(sync.list_dir()) == ["c", "k"]
        assert list(sync.list_prefix("c")) == ["c/k"]
        assert sync.get("c") is None
        assert sync.getsize_prefix() == 12
        sync["new/k"] = b"1"
        assert inner.sync["a/b/new/k"] == b"1"
        sync.clear()
        assert sync.is_empty()
        assert sorted(inner.sync.list()) == sorted(set(self.KEYS) - {"a/b/k", "a/b/c/k"})

    @pytest.mark.parametrize("key", ["../bc", "/k", "../../k", "c/../../bc"])
    def test_no_way_out(self, store, key):
        with pytest.raises(InvalidKeyError):
            store.sync.get(key)
        with pytest.raises(InvalidKeyError):
            store.sync.delete_dir(key)

    def test_versions_and_conflicts(self, store):
        version = store.sync.stat("k").version
        store.sync.set("k", b"2", expect=version)
        with pytest.raises(ConflictError):
            store.sync.set("k", b"3", expect=version)
        assert not store.sync.set_if_not_exists("k", b"3")

    def test_keys_that_are_too_long_together(self, store):
        with pytest.raises(InvalidKeyError, match="1024"):
            store.sync["x" * 1022] = b""
        with pytest.raises(InvalidKeyError, match="1024"):
            store.sync.get("x" * 1022)
        assert store.sync.get("/".join(["x" * 100] * 10)) is None

    def test_prefix_of_a_prefix_and_none(self, inner, store):
        assert dict(PrefixStore(store, "c").sync) == {"k": b"a/b/c/k"}
        assert sorted(PrefixStore(inner, "").sync) == sorted(self.KEYS)
        assert PrefixStore(inner, "a/b/") == store
        assert PrefixStore(inner, "a/b/").prefix == "a/b/"
        assert store.url == f"{inner.url}/a/b"
        with pytest.raises(InvalidKeyError):
            PrefixStore(inner, "../a")

    @pytest.mark.anyio
    async def test_listing_broken_off(self, store):
        async for _ in store.list():
            break
        assert sorted([key async for key in store.list()]) == ["c/k", "k"]


class TestAll:
    @pytest.fixture(params=["wrapper", "prefix", "logging", "latency"])
    def wrapped(self, request, inner):
        return {
            "wrapper": WrapperStore,
            "prefix": lambda store: PrefixStore(store, "p"),
            "logging": LoggingStore,
            "latency": lambda store: LatencyStore(store, 0.0001, 0.0001),
        }[request.param](inner)

    def test_read_only_stores_and_views(self, wrapped, inner):
        wrapped.sync["a"] = b"1"
        view = wrapped.with_read_only()
        with pytest.raises(ReadOnlyError):
            view.sync["a"] = b"2"
        assert view.sync["a"] == b"1"
        assert type(wrapped)(**{**wrapped._location(), "store": inner.with_read_only()}).read_only

    def test_closing_closes_the_store(self, wrapped, inner):
        view = wrapped.with_read_only()
        view.sync.close()
        assert wrapped.sync.get("a") is None
        wrapped.sync.close()
        wrapped.sync.close()
        for store in (wrapped, inner):
            with pytest.raises(StoreClosedError):
                store.sync.get("a")

    def test_pickle_and_equality(self, wrapped, inner):
        wrapped.sync["a"] = b"1"
        again = pickle.loads(pickle.dumps(wrapped))
        assert again == wrapped
        assert hash(again) == hash(wrapped)
        assert again.sync["a"] == b"1"
        assert again != inner
        assert again != wrapped.with_read_only()

    def test_the_errors_and_capabilities_are_those_of_the_store(self, wrapped, inner):
        assert wrapped.capabilities == inner.capabilities
        version = wrapped.sync.set("a", b"1")
        with pytest.raises(ConflictError):
            wrapped.sync.set("a", b"2", expect=version + "x")
        with pytest.raises(TypeError, match="not dict"):
            type(wrapped)({}, *(["p"] if isinstance(wrapped, PrefixStore) else []))

    def test_second_event_loop(self, wrapped):
        asyncio.run(wrapped.set("a", b"1"))
        assert asyncio.run(wrapped.get("a")) == b"1"
        assert wrapped.sync.get("a") == b"1"


class TestLogging:
    @pytest.fixture
    def log(self, caplog):
        caplog.set_level(logging.DEBUG, "zarrstore")
        return caplog

    def test_each_operation_one_line_and_no_value(self, log):
        store = LoggingStore(MemoryStore(name="test-logging")).sync
        secret = b"do-not-log-this"
        store["a"] = secret
        store["b"] = memoryview(bytearray(secret))
        assert store["a"] == secret
        store.set_many([("c", secret)])
        store.get_many(["a", "b", ("c", RangeByteRequest(0, 4))])
        store.get_into("a", bytearray(100))
        list(store.list())
        store.delete("a")
        lines = [record.getMessage() for record in log.records]
        assert len(lines) == 8
        assert not any("do-not" in line or "bytearray" in line for line in lines)
        assert all(line.startswith("memory://test-logging ") for line in lines)
        assert "set('a', 15 bytes) -> " in lines[0]
        assert "get('a') -> 15 bytes in " in lines[2]
        assert "list('') -> 3 names in " in lines[6]
        assert all(record.levelno == logging.DEBUG for record in log.records)

    def test_errors_level_and_logger(self, log):
        class Broken(MemoryStore):
            def _get(self, key):
                raise OSError("no")

        logger = logging.getLogger("zarrstore.test")
        with pytest.raises(OSError, match="no"):
            LoggingStore(Broken(), logger, logging.WARNING).sync.get("a")
        (record,) = log.records
        assert (record.name, record.levelno) == ("zarrstore.test", logging.WARNING)
        assert "get('a') -> raised OSError" in record.getMessage()

    def test_nothing_below_the_level(self, log):
        log.set_level(logging.INFO, "zarrstore")
        LoggingStore(MemoryStore()).sync["a"] = b"1"
        assert log.records == []

    def test_credentials(self, log):
        class Remote(MemoryStore):
            url = "https://***@host/data"

        LoggingStore(Remote()).sync.get("https:/u/x?sig=hush")
        assert "hush" not in log.text


class TestLatency:
    def test_many_at_once(self):
        store = LatencyStore(MemoryStore({"a": b"1"}), get_latency=0.05)
        started = time.perf_counter()
        assert store.sync.get_many(["a"] * 64) == [b"1"] * 64
        elapsed = time.perf_counter() - started
        assert 0.05 <= elapsed < 1.6  # 3.2 one after the other

    def test_one_after_the_other(self):
        store = LatencyStore(MemoryStore(), get_latency=0.0, set_latency=0.1)
        started = time.perf_counter()
        store.sync["a"] = b"1"
        store.sync.delete("a")
        assert time.perf_counter() - started >= 0.2
        started = time.perf_counter()
        for _ in range(5):
            store.sync.get("a")
        assert time.perf_counter() - started < 0.5

    def test_wrong_numbers(self):
        with pytest.raises(ValueError, match="get_latency must be 0 seconds or more"):
            LatencyStore(MemoryStore(), -1)

    @pytest.mark.anyio
    async def test_over_a_store_that_blocks(self, tmp_path: Path):
        store = LatencyStore(LocalStore(tmp_path), 0.001, 0.001)
        await store.set_many([(f"d/{n}", b"1") for n in range(10)])
        assert len([key async for key in store.list()]) == 10
