"""`MappingStore`: any mutable mapping as a store."""

from __future__ import annotations

import pickle
from collections import OrderedDict, UserDict

import numpy as np
import pytest

from zarrstore.abc import ABSENT, Capability, RangeByteRequest
from zarrstore.errors import UnsupportedOperationError
from zarrstore.stores.mapping import MappingStore


class Strict(UserDict):
    """A mapping that takes ``str`` and ``bytes`` only, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __setitem__(self, key, value) -> None:
        assert type(key) is str
        assert type(value) is bytes
        super().__setitem__(key, value)

    def __getitem__(self, key):
        self.asked.append(key)
        return super().__getitem__(key)


def test_through_the_mapping():
    mapping = Strict()
    store = MappingStore(mapping).sync
    store["a/b"] = np.array([1, 2], "u1")
    assert mapping.data == {"a/b": b"\1\2"}
    assert store.get("a/b", byte_range=RangeByteRequest(1, 2)) == b"\2"
    assert store.get("c") is None
    store.delete("c")
    store.delete_dir("a")
    assert mapping.data == {}


def test_asking_whether_a_key_exists_reads_nothing():
    mapping = Strict()
    mapping["a"] = b"1"
    assert MappingStore(mapping).sync.exists("a")
    assert mapping.asked == []


@pytest.mark.parametrize("value", [bytearray(b"\5"), memoryview(b"\5"), np.array(5, "u1")])
def test_values_of_other_kinds(value):
    store = MappingStore(OrderedDict(a=value)).sync
    assert store["a"] == b"\5"
    assert type(store.get("a")) is bytes
    assert store.getsize("a") == 1


@pytest.mark.parametrize("value", ["text", 5])
def test_what_is_no_value(value):
    with pytest.raises(TypeError, match="bytes-like"):
        MappingStore({"a": value}).sync.get("a")


def test_keys_that_are_none():
    mapping = {5: b"", "../a": b"", "a//b": b"", "a": b"1"}
    assert dict(MappingStore(mapping).sync) == {"a": b"1"}


def test_errors_of_the_mapping_come_through():
    class Broken(dict):
        def __getitem__(self, key):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        MappingStore(Broken()).sync.get("a")


def test_no_conditional_writes():
    store = MappingStore({}).sync
    assert Capability.COMPARE_AND_SWAP not in store.capabilities
    assert Capability.SHARED not in store.capabilities
    assert store.set("a", b"1") is None
    with pytest.raises(UnsupportedOperationError, match="one writer"):
        store.set("a", b"1", expect=ABSENT)


def test_identity_and_pickle():
    mapping = OrderedDict(a=b"1")
    store = MappingStore(mapping)
    assert store == MappingStore(mapping)
    assert store != MappingStore(OrderedDict(a=b"1"))
    assert pickle.loads(pickle.dumps(store)) == store
    assert "OrderedDict" in repr(store)
    with pytest.raises(TypeError, match="not list"):
        MappingStore([])
    with pytest.raises(TypeError, match="not mappingproxy"):
        MappingStore(type.__dict__)


def test_a_sync_store_is_a_mapping_too():
    inner = MappingStore({})
    outer = MappingStore(inner.sync)
    outer.sync["a"] = b"1"
    assert inner.sync["a"] == b"1"
