"""The blocking face: one method for each of the store's, and a mutable mapping."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import MutableMapping

import pytest

from zarrstore.abc import RangeByteRequest, Store
from zarrstore.errors import InvalidKeyError, KeyNotFoundError, ReadOnlyError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.sync import SyncStore


@pytest.fixture(params=["memory", "local", "async"])
def sync(request, tmp_path):
    return {
        "memory": MemoryStore,
        "local": lambda: LocalStore(tmp_path / "root"),
        "async": lambda: LatencyStore(MemoryStore(), 0, 0),
    }[request.param]().sync


def parameters(method) -> list[str]:
    return list(inspect.signature(method).parameters)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in dir(Store)
        if not name.startswith("_") and callable(getattr(Store, name)) and name != "with_read_only"
    ],
)
def test_there_is_a_blocking_method_with_the_same_parameters(name):
    ours, theirs = parameters(getattr(SyncStore, name)), parameters(getattr(Store, name))
    if name == "get":
        ours.remove("default")
    assert ours == theirs


def test_the_mapping(sync):
    assert isinstance(sync, MutableMapping)
    sync["a/b"] = b"1"
    sync.update({"a/c": b"2", "d": b"3"})
    assert sorted(sync) == sorted(sync.keys()) == ["a/b", "a/c", "d"]
    assert dict(sync) == {"a/b": b"1", "a/c": b"2", "d": b"3"}
    assert sorted(sync.values()) == [b"1", b"2", b"3"]
    assert len(sync) == 3
    assert "a/b" in sync
    assert "a" not in sync
    assert 5 not in sync
    assert sync.pop("d") == b"3"
    assert sync.pop("d", b"default") == b"default"
    assert sync.setdefault("d", b"4") == b"4"
    assert sync.get("x") is None
    assert sync.get("x", b"default") == b"default"
    assert sync.get("a/b", RangeByteRequest(0, 0)) == b""
    assert sync.get("x", b"default", byte_range=RangeByteRequest(0, 1)) == b"default"
    del sync["d"]
    for call in (lambda: sync["d"], lambda: sync.__delitem__("d"), lambda: sync.pop("d")):
        with pytest.raises(KeyNotFoundError, match="no key 'd'"):
            call()
    sync.clear()
    assert len(sync) == 0


def test_wrong_keys(sync):
    for call in (
        lambda: sync["../a"],
        lambda: sync.__setitem__("../a", b""),
        lambda: sync.__delitem__("../a"),
        lambda: "../a" in sync,
        lambda: sync.list_prefix("../a"),
        lambda: sync.list_dir("../a"),
    ):
        with pytest.raises(InvalidKeyError):
            call()


def test_values_are_bytes(sync):
    sync["a"] = memoryview(bytearray(b"1"))
    assert type(sync["a"]) is bytes


def test_the_store_behind(sync):
    assert sync == sync.store.sync
    assert hash(sync) == hash(sync.store.sync)
    assert sync != sync.store
    assert sync.url == sync.store.url
    assert sync.capabilities == sync.store.capabilities
    assert repr(sync) == f"{sync.store!r}.sync"
    assert pickle.loads(pickle.dumps(sync)) == sync
    view = sync.store.with_read_only().sync
    assert view.read_only
    assert not sync.read_only
    with pytest.raises(ReadOnlyError):
        view["a"] = b""


def test_a_listing_is_lazy_and_may_be_left(sync):
    sync.set_many([(f"d/{n}", b"") for n in range(3000)])
    for _ in sync.list():
        break
    assert len(set(sync.list())) == 3000
    assert next(sync.list_dir("d")).isdigit()


def test_the_context_closes(sync):
    with sync as entered:
        assert entered is sync
    with pytest.raises(ValueError, match="closed"):
        sync.get("a")
