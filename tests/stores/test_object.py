"""`ObjectStore` over obstore's own memory and local files: what does not need a server."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pytest
from obstore.store import HTTPStore, LocalStore, MemoryStore, S3Store

import zarrstore
from zarrstore.abc import ABSENT, Capability, RangeByteRequest, Store, SuffixByteRequest
from zarrstore.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    NotShareableError,
    UnsupportedOperationError,
)
from zarrstore.stores.object import ObjectStore

pytestmark = pytest.mark.anyio


def test_a_store_of_obstore_is_recognised() -> None:
    memory = MemoryStore()
    store = zarrstore.open_store(memory)
    assert isinstance(store, ObjectStore)
    store.sync["a/b"] = b"1"
    assert bytes(obstore.get(memory, "a/b").bytes()) == b"1"
    view = zarrstore.open_store(memory, mode="r")
    assert view.read_only
    assert view.sync["a/b"] == b"1"
    with pytest.raises(TypeError, match="a store of obstore"):
        zarrstore.open_store(object())
    with pytest.raises(TypeError, match="from_url"):
        ObjectStore("s3://bucket")
    with pytest.raises(TypeError, match="storage_options"):
        zarrstore.open_store(memory, storage_options={"anon": True})


def test_nothing_imports_obstore_before_it_is_needed() -> None:
    code = """
        import sys, zarrstore
        zarrstore.open_store({})
        zarrstore.ObjectStore
        assert "obstore" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


def test_a_prefix_stands_before_every_key(tmp_path: Path) -> None:
    inner = LocalStore(tmp_path)
    store = ObjectStore(inner, prefix="a/b")
    store.sync["c/d"] = b"1"
    assert (tmp_path / "a/b/c/d").read_bytes() == b"1"
    (tmp_path / "outside").write_bytes(b"")
    assert list(store.sync.list()) == ["c/d"]
    assert list(store.sync.list_dir()) == ["c"]
    assert store.url == f"file://{tmp_path}/a/b"
    store.sync.clear()
    assert (tmp_path / "outside").is_file()


def test_local_files_have_the_names_of_their_keys(tmp_path: Path) -> None:
    keys = ["a b", "p%20q", "%2F", "h#h", "q?q", "*", "caf\u00e9", "cafe\u0301", "\U0001f600", "~x"]
    store = ObjectStore(LocalStore(tmp_path))
    for key in keys:
        store.sync[key] = key.encode()
    assert sorted(os.listdir(tmp_path)) == sorted(keys)
    assert sorted(store.sync.list()) == sorted(keys)
    assert all(store.sync[key] == key.encode() for key in keys)


@pytest.mark.parametrize("key", ["a\nb", "\x01", "a/\x7f"])
def test_keys_that_obstore_cannot_have_are_refused(key: str) -> None:
    store = ObjectStore(MemoryStore())
    for doing in (
        lambda: store.sync.set(key, b"1"),
        lambda: store.sync.get(key),
        lambda: store.sync.get(key, RangeByteRequest(0, 1)),
        lambda: store.sync.stat(key),
        lambda: store.sync.set(key, b"1", expect=ABSENT),
        lambda: store.sync.delete(key),
        lambda: store.sync.set_each([(key, b"1")]),
    ):
        with pytest.raises(UnsupportedOperationError, match="use another"):
            doing()
    assert list(store.sync.list()) == []


async def test_local_files_are_created_exclusively_and_not_swapped(tmp_path: Path) -> None:
    store = ObjectStore(LocalStore(tmp_path))
    assert Capability.CREATE_EXCLUSIVE in store.capabilities
    assert Capability.COMPARE_AND_SWAP not in store.capabilities
    version = await store.set("a/b", b"1", expect=ABSENT)
    with pytest.raises(ConflictError) as caught:
        await store.set("a/b", b"2", expect=ABSENT)
    assert caught.value.found == version
    await store.delete("a/b")
    assert (tmp_path / "a").is_dir()  # obstore leaves it
    await store.set("a", b"in its place", expect=ABSENT)
    assert await store.get("a") == b"in its place"
    assert await store.get("a/b") is None
    assert await store.stat("a/b") is None
    await store.delete("a/b")
    with pytest.raises(BackendError) as failed:
        await store.set("a/b", b"1")
    assert failed.value.errno is not None


async def test_what_is_written_may_be_changed_at_once() -> None:
    store = ObjectStore(MemoryStore())
    buffer = bytearray(b"hello")
    await store.set("k", buffer)
    buffer[0] = 0
    assert await store.get("k") == b"hello"
    value = np.arange(4, dtype="u1")
    await store.set_each((key, value) for key in "ab")
    value[:] = 0
    assert await store.get("b") == bytes(range(4))


def test_a_given_store_is_pickled_with_its_settings(tmp_path: Path) -> None:
    store = ObjectStore(LocalStore(tmp_path), prefix="x")
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store
    assert hash(copy) == hash(store)
    copy.sync["k"] = b"1"
    assert store.sync["k"] == b"1"
    assert store != ObjectStore(LocalStore(tmp_path))
    bucket = S3Store("bucket", prefix="p", access_key_id="AKIA", secret_access_key="geheim")
    store = ObjectStore(bucket, prefix="x")
    assert repr(store) == "ObjectStore('s3://bucket/p/x')"
    assert pickle.loads(pickle.dumps(store)) == store
    assert Capability.SHARED in store.capabilities
    assert ObjectStore(HTTPStore("https://example.org/a")).url == "https://example.org/a"


def test_memory_and_what_cannot_be_pickled_stay_in_one_process() -> None:
    def credentials() -> Any:
        raise LookupError

    for inner in (MemoryStore(), S3Store("bucket", credential_provider=credentials)):
        store = ObjectStore(inner)
        assert Capability.SHARED not in store.capabilities
        assert pickle.loads(pickle.dumps(store)) == store
        code = f"import pickle; pickle.loads({pickle.dumps(store)!r})"
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        assert NotShareableError.__name__.encode() in done.stderr


FORK = """
    import os, sys, time, warnings
    warnings.simplefilter("ignore")
    import zarrstore
    from obstore.store import LocalStore, MemoryStore
    inner = MemoryStore() if "memory" in sys.argv else LocalStore(sys.argv[1])
    store = zarrstore.ObjectStore(inner)
    if "used" in sys.argv:
        store.sync["k"] = b"1"
    if "by-others" in sys.argv:
        inner.put("k", b"1")
    pid = os.fork()
    if pid == 0:
        for name in "ab":
            started = time.monotonic()
            try:
                store.sync[name] = b"2"
                said = "worked"
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            print(said, flush=True)
            assert time.monotonic() - started < 2.5
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    store.sync["c"] = b"3"
    print("parent works")
"""


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("used", "UnsupportedOperationError"),
        ("by-others", "UnsupportedOperationError"),
        ("unused", "worked"),
        ("memory", "NotShareableError"),
    ],
)
def test_after_a_fork_it_works_or_raises(tmp_path: Path, how: str, says: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FORK), str(tmp_path), how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    first, second, parent = done.stdout.splitlines()
    assert first.startswith(says)
    assert second.startswith(says)
    assert parent == "parent works"
    if says == "UnsupportedOperationError":
        assert "forkserver" in first
        assert "fsspec" in first


def array(store: Store, **options: Any) -> zarrstore.Array:
    given: dict[str, Any] = {"shape": (30, 40), "chunks": (4, 7), "dtype": "int32"}
    return zarrstore.create_array(store, **{**given, **options})


@pytest.mark.parametrize("codecs", [["bytes"], ["bytes", "zstd"]])
def test_arrays_move_their_chunks_in_threads(codecs: list[str]) -> None:
    store = ObjectStore(MemoryStore())
    made = array(store, codecs=codecs, fill_value=7)
    values = np.arange(1200, dtype="int32").reshape(30, 40)
    told: list[tuple[int, int]] = []
    made[...] = values
    np.testing.assert_array_equal(made[...], values)
    made[1:29, 1:39] = values[1:29, 1:39] * 2  # whole chunks and parts of others
    values[1:29, 1:39] *= 2
    np.testing.assert_array_equal(made[:, ::-3], values[:, ::-3])
    made[8:12] = 7
    values[8:12] = 7
    assert not any(key.startswith("c/2/") for key in store.sync.list())
    np.testing.assert_array_equal(made[...], values)
    made.read(..., progress=lambda done, total: told.append((done, total)))
    assert sorted(told) == [(done, 48) for done in range(1, 49)]


def test_a_corrupt_chunk_is_named_whichever_thread_met_it() -> None:
    store = ObjectStore(MemoryStore())
    made = array(store, codecs=["bytes"])
    made[...] = 1
    store.sync["c/5/3"] = b"short"
    with pytest.raises(CorruptDataError, match="c/5/3"):
        made[...]


def test_fields_of_records() -> None:
    made = array(ObjectStore(MemoryStore()), dtype=[("a", "i4"), ("b", "f8")], shape=100, chunks=9)
    made["a", ...] = np.arange(100)
    made["b", ...] = 0.5
    assert made[98].tolist() == (98, 0.5)


def test_a_store_that_fails_fails_the_array(tmp_path: Path) -> None:
    made = array(ObjectStore(LocalStore(tmp_path)))
    (tmp_path / "c").write_bytes(b"a file where a directory should be")
    with pytest.raises(BackendError, match="cannot write 'c/"):
        made[...] = 1


class Slow(ObjectStore):
    """One whose blocking calls take a while."""

    async def _objects(self) -> Any:
        objects = await super()._objects()
        if "get" not in vars(objects):
            vars(objects).update(get=slowly(objects.get), set=slowly(objects.set))
        return objects


def slowly(call: Callable[..., Any]) -> Callable[..., Any]:
    def slow(*given: Any) -> Any:
        time.sleep(0.05)
        return call(*given)

    return slow


@pytest.mark.parametrize("prefix", ["", "a/b"])
async def test_many_wait_at_once_where_each_takes_long(prefix: str) -> None:
    store: Store = Slow(MemoryStore())
    store = zarrstore.PrefixStore(store, prefix) if prefix else store
    made = await zarrstore.aio.create_array(store, shape=500, chunks=1, dtype="int8")
    started = time.monotonic()
    await made.write(..., np.ones(500, "int8"))
    assert (await made.read(...)).all()
    assert time.monotonic() - started < 0.05 * 1000 / 10


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_read_leaves_the_buffer_alone(anyio_backend: str) -> None:
    store = Slow(MemoryStore())
    made = await zarrstore.aio.create_array(store, shape=4000, chunks=1, dtype="int8")
    await made.write(slice(0, 40), np.ones(40, "int8"))
    out = np.full(4000, 5, "int8")
    task = asyncio.ensure_future(made.read(..., out=out))
    await asyncio.sleep(0.12)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = out.copy()
    await asyncio.sleep(0.15)
    np.testing.assert_array_equal(out, left)
    assert 5 in out


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_is_written_after_a_cancelled_write(anyio_backend: str) -> None:
    store = Slow(MemoryStore())
    made = await zarrstore.aio.create_array(store, shape=4000, chunks=1, dtype="int8")
    task = asyncio.ensure_future(made.write(..., np.ones(4000, "int8")))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    there = sorted([key async for key in store.list()])
    await asyncio.sleep(0.15)
    assert sorted([key async for key in store.list()]) == there
    assert len(there) < 4000


async def test_ranges_and_versions_of_memory() -> None:
    store = ObjectStore(MemoryStore())
    first = await store.set("k", b"hello")
    stat = await store.stat("k")
    assert stat is not None
    assert (stat.size, stat.version) == (5, first)
    assert stat.modified is not None
    requests = [RangeByteRequest(3, 99), SuffixByteRequest(2), RangeByteRequest(9, 12)]
    assert await store.get_ranges("k", requests) == [b"lo", b"lo", b""]
    second = await store.set("k", b"2", expect=first)
    with pytest.raises(ConflictError) as caught:
        await store.set("k", b"3", expect=first)
    assert caught.value.found == second
    await store.delete("k")
    with pytest.raises(ConflictError):
        await store.set("k", b"3", expect=second)
