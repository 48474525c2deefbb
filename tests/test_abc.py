"""Stores of one's own in a few lines: what the base classes add, check and refuse."""

from __future__ import annotations

import asyncio
import pickle
import threading

import numpy as np
import pytest

from zarrstore.abc import (
    ABSENT,
    BlockingStore,
    Capability,
    OffsetByteRequest,
    RangeByteRequest,
    Stat,
    Store,
    SuffixByteRequest,
)
from zarrstore.errors import (
    InvalidKeyError,
    KeyNotFoundError,
    NotShareableError,
    ReadOnlyError,
    StoreClosedError,
    UnsupportedOperationError,
)


class Blocking(BlockingStore):
    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def _get(self, key):
        return self.data.get(key)

    def _set(self, key, value):
        self.data[key] = value

    def _delete(self, key):
        self.data.pop(key, None)

    def _list(self, prefix):
        return [key for key in self.data if key.startswith(prefix)]


class Async(Store):
    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    async def _get(self, key):
        await asyncio.sleep(0)
        return self.data.get(key)

    async def _set(self, key, value):
        await asyncio.sleep(0)
        self.data[key] = value

    async def _delete(self, key):
        self.data.pop(key, None)

    async def _list(self, prefix):
        for key in list(self.data):
            await asyncio.sleep(0)
            if key.startswith(prefix):
                yield key


class Bare(BlockingStore):
    """A store that can only be read."""

    def _get(self, key):
        return b"12345" if key == "a" else None


@pytest.fixture(params=[Blocking, Async])
def store(request):
    return request.param()


ALL = Capability.READ | Capability.WRITE | Capability.DELETE | Capability.LIST


def test_everything_through_the_blocking_face(store):
    sync = store.sync
    assert store.capabilities == ALL
    sync.set("a/b", bytearray(b"hello"))
    assert store.data == {"a/b": b"hello"}
    sync.set_many({"a/c": b"1", "d": np.arange(2, dtype="u1")}.items())
    assert sync.get("a/b", byte_range=SuffixByteRequest(2)) == b"lo"
    assert sync.get_ranges("a/b", [OffsetByteRequest(4), RangeByteRequest(0, 2)]) == [b"o", b"he"]
    assert sync.get_ranges("x", [OffsetByteRequest(4)]) is sync.get_ranges("x", []) is None
    assert sync.get_ranges("a/b", []) == []
    assert sync.get_many(["d", "x", ("a/c", None), "d"]) == [b"\0\1", None, b"1", b"\0\1"]
    into = bytearray(8)
    assert (sync.get_into("a/b", into), into[:5]) == (5, b"hello")
    assert sync.get_into("a/b", bytearray(2)) == 5
    assert sync.get_into("x", into) is None
    assert sync.stat("a/b") == Stat(5)
    assert sync.exists("d")
    assert not sync.exists("a")
    assert sync.getsize("d") == 2
    assert sync.getsize_prefix("a") == 6
    with pytest.raises(KeyNotFoundError):
        sync.getsize("x")
    assert sorted(sync.list()) == ["a/b", "a/c", "d"]
    assert sorted(sync.list_prefix("a/")) == ["a/b", "a/c"]
    assert sorted(sync.list_dir()) == ["a", "d"]
    sync.delete("d")
    sync.delete("d")
    sync.delete_dir("a")
    assert sync.is_empty()


@pytest.mark.anyio
async def test_everything_awaited(store):
    async with store:
        await store.set("a/b", b"hello")
        assert await store.get("a/b", RangeByteRequest(1, 99)) == b"ello"
        assert await store.get_many(["a/b", "x"]) == [b"hello", None]
        assert [key async for key in store.list()] == ["a/b"]
        assert [name async for name in store.list_dir()] == ["a"]
        assert await store.getsize_prefix() == 5
        await store.clear()
        assert await store.is_empty()
    with pytest.raises(StoreClosedError):
        await store.get("a")


def test_what_a_store_cannot_do(store):
    for expect in (ABSENT, "version"):
        with pytest.raises(UnsupportedOperationError, match="one writer"):
            store.sync.set("a", b"", expect=expect)
    with pytest.raises(UnsupportedOperationError, match="expect=ABSENT"):
        store.sync.set_if_not_exists("a", b"")
    bare = Bare()
    assert bare.capabilities == Capability.READ
    assert bare.sync["a"] == b"12345"
    for call in (
        lambda: bare.sync.set("a", b""),
        lambda: bare.sync.set_many([]),
        lambda: bare.sync.delete("a"),
        lambda: bare.sync.clear(),
        lambda: bare.sync.delete_dir("a"),
        lambda: list(bare.sync.list()),
        lambda: list(bare.sync.list_dir()),
        lambda: bare.sync.is_empty(),
        lambda: bare.sync.getsize_prefix(),
    ):
        with pytest.raises(UnsupportedOperationError, match=r"Bare .* does not support"):
            call()


@pytest.mark.parametrize(
    "value",
    [
        5,
        "text",
        None,
        [1],
        np.arange(6).reshape(2, 3).T,
        memoryview(b"abcd")[::2],
        np.array([None, "a"]),
        np.array([(1, None)], "i4,O"),
    ],
)
def test_values_that_are_none(store, value):
    with pytest.raises(TypeError, match="C-contiguous"):
        store.sync.set("a", value)
    with pytest.raises(TypeError, match="C-contiguous"):
        store.sync.set_many([("a", value)])
    assert store.data == {}


@pytest.mark.parametrize("buffer", [b"read only", "text", np.zeros((4, 4))[:, 1], None])
def test_buffers_that_cannot_be_read_into(store, buffer):
    with pytest.raises(TypeError, match="writable"):
        store.sync.get_into("a", buffer)


def test_ranges_and_requests_that_are_none(store):
    for call in (
        lambda: store.sync.get_ranges("a", [(0, 1)]),
        lambda: store.sync.get_many([("a", (0, 1))]),
        lambda: store.sync.get_many([5]),
        lambda: store.sync.get_into("a", bytearray(1), (0, 1)),
        lambda: store.sync.set("a", b"", expect=5),
    ):
        with pytest.raises(TypeError):
            call()


def test_no_hook_is_called_with_a_wrong_key(store):
    for call in (
        lambda: store.sync.get_many(["a", "../b"]),
        lambda: store.sync.set_many([("a", b""), ("/b", b"")]),
        lambda: list(store.sync.list_prefix("../a")),
    ):
        with pytest.raises(InvalidKeyError):
            call()
    assert store.data == {}


def test_read_only_views(store):
    store.sync["a"] = b"1"
    view = store.with_read_only()
    assert view.capabilities == Capability.READ | Capability.LIST
    assert view.read_only
    assert not store.read_only
    assert view != store
    for call in (
        lambda: view.sync.set("a", b""),
        lambda: view.sync.set_if_not_exists("a", b""),
        lambda: view.sync.set_many([("a", b"")]),
        lambda: view.sync.delete("a"),
        lambda: view.sync.delete_dir("a"),
        lambda: view.sync.clear(),
    ):
        with pytest.raises(ReadOnlyError, match="read-only"):
            call()
    assert not view.with_read_only(False).read_only
    store.sync["b"] = b"2"
    assert view.sync["b"] == b"2"
    store.sync.close()
    with pytest.raises(StoreClosedError):
        view.sync.get("a")


def test_a_view_of_a_read_only_store():
    class ReadOnly(Blocking):
        def __init__(self) -> None:
            super().__init__()
            Store.__init__(self, read_only=True)

    with pytest.raises(ReadOnlyError, match="open it again"):
        ReadOnly().with_read_only(False)


def test_closing(store):
    closed = []
    store._close = lambda: closed.append(1)
    for _ in range(3):
        store.sync.close()
    assert closed == [1]
    for call in (store.sync.exists, store.sync.delete, store.sync.list_dir):
        with pytest.raises(StoreClosedError, match="open it again"):
            list(call("a") or ())
    with pytest.raises(StoreClosedError):
        store.with_read_only()


def test_an_exception_is_not_swallowed(store):
    with pytest.raises(KeyError), store.sync:
        raise KeyError
    assert store._closed


def test_identity_and_pickle(store):
    assert store == store.with_read_only(False)
    assert store != type(store)()
    assert store != 5
    assert pickle.loads(pickle.dumps(store)) is store
    assert pickle.loads(pickle.dumps(store.with_read_only())).read_only
    assert type(store).__name__ in repr(store)
    assert "read_only=True" in repr(store.with_read_only())
    dumped = pickle.dumps(type(store)())
    with pytest.raises(NotShareableError, match="one process"):
        pickle.loads(dumped)


def test_identity_and_pickle_of_what_has_a_location():
    store, same = Located("x", [1]), Located("x", [1])
    assert store == same
    assert hash(store) == hash(same)
    assert store != Located("y", [1])
    assert Capability.SHARED in store.capabilities
    again = pickle.loads(pickle.dumps(store.with_read_only()))
    assert again == store.with_read_only()
    assert again.with_read_only(False) == store
    with pytest.raises(ReadOnlyError):
        pickle.loads(pickle.dumps(Located("x", [1], read_only=True))).with_read_only(False)


class Located(Bare):
    def __init__(self, place, options, *, read_only=False) -> None:
        super().__init__(read_only=read_only)
        self.place, self.options = place, options

    def _location(self):
        return {"place": self.place, "options": self.options}


def test_a_value_that_was_read_cannot_be_changed():
    class Kept(Bare):
        value = bytearray(b"12345")

        def _get(self, key):
            return self.value

    store = Kept()
    for read in (store.sync.get("a"), store.sync.get("a", byte_range=OffsetByteRequest(0))):
        Kept.value[0:1] = b"x"
        assert read == b"12345"
        Kept.value[0:1] = b"1"


def test_from_many_threads(store):
    def work(n: int) -> None:
        for i in range(30):
            store.sync[f"{n}/{i}"] = b"1"
            assert f"{n}/{i}" in store.sync

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.sync) == 180
