"""Stores here as stores of zarr-python: what its own tests do not ask."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.storage
from blockbuster import BlockBuster
from interop.zarr_stores import MAKERS, TableStore, let_theirs_block, make_store
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import BufferPrototype, cpu, default_buffer_prototype

import zarrstore
from zarrstore.interop.zarr import (
    BlockingStoreAdapter,
    StoreAdapter,
    ZarrPythonStore,
    from_zarr,
    to_zarr,
)
from zarrstore.runtime import LoopHome

pytest_plugins = ["servers", "database_servers"]

PROTOTYPE = default_buffer_prototype()


def buffer(value: bytes) -> Any:
    return PROTOTYPE.buffer.from_bytes(value)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", MAKERS)
def test_arrays_and_groups_both_ways(
    name: str, zarr_format: Any, request: pytest.FixtureRequest
) -> None:
    store = make_store(name, request)
    adapted = to_zarr(store)
    values = np.arange(35, dtype="int32").reshape(5, 7)
    theirs = zarr.create_group(adapted, zarr_format=zarr_format, attributes={"by": "zarr"})
    theirs.create_array("a/b", shape=values.shape, dtype=values.dtype, chunks=(2, 3))[...] = values
    ours = zarrstore.open_group(store, mode="r+")
    assert dict(ours.attrs) == {"by": "zarr"}
    np.testing.assert_array_equal(ours["a/b"][...], values)
    ours.create_array("c/d", data=values + 1, chunks=(4, 4))
    ours["a/b"][1:3, ::2] = 7
    values[1:3, ::2] = 7
    again = zarr.open_group(adapted, mode="r")
    np.testing.assert_array_equal(again["a/b"][...], values)
    np.testing.assert_array_equal(again["a/b"].oindex[[4, 0], 1:5], values[[4, 0], 1:5])
    assert again["c/d"][1, 1] == 9
    assert sorted(again.group_keys()) == ["a", "c"]
    del zarr.open_group(adapted, mode="r+")["a"]
    assert [key for key in store.sync.list() if key.startswith("a/")] == []
    assert adapted.supports_deletes
    adapted.close()


@pytest.mark.parametrize("name", ["memory", "local", "zip", "table", "s3"])
def test_shards(name: str, request: pytest.FixtureRequest) -> None:
    adapted = to_zarr(make_store(name, request))
    values = np.arange(4096, dtype="int16").reshape(64, 64)
    array = zarr.create_array(
        adapted, name="a", shape=(64, 64), dtype="int16", chunks=(4, 4), shards=(32, 32)
    )
    array[...] = values
    paths = ["zarr.core.codec_pipeline.BatchedCodecPipeline"]
    if hasattr(zarr.core.codec_pipeline, "FusedCodecPipeline"):
        paths.append("zarr.core.codec_pipeline.FusedCodecPipeline")
    for path in paths:
        with zarr.config.set({"codec_pipeline.path": path}):
            array = zarr.open_array(adapted, path="a", mode="r+")
            np.testing.assert_array_equal(array[...], values)
            np.testing.assert_array_equal(array[3:9, 30:35], values[3:9, 30:35])
            np.testing.assert_array_equal(array.vindex[[1, 60], [2, 3]], values[[1, 60], [2, 3]])
            array[2:40, 5] = values[2:40, 5] = -1
            np.testing.assert_array_equal(array[...], values)
    adapted.close()


@pytest.mark.parametrize("name", ["memory", "local", "zip", "s3"])
def test_ranges_are_clamped(name: str, request: pytest.FixtureRequest) -> None:
    adapted = to_zarr(make_store(name, request))
    cases: list[tuple[Any, bytes]] = [
        (RangeByteRequest(1, 3), b"el"),
        (RangeByteRequest(3, 99), b"lo"),
        (RangeByteRequest(9, 99), b""),
        (RangeByteRequest(2, 2), b""),
        (OffsetByteRequest(4), b"o"),
        (OffsetByteRequest(9), b""),
        (SuffixByteRequest(2), b"lo"),
        (SuffixByteRequest(99), b"hello"),
        (SuffixByteRequest(0), b""),
        (None, b"hello"),
    ]

    async def main() -> None:
        await adapted.set("k", buffer(b"hello"))
        for byte_range, expected in cases:
            found = await adapted.get("k", PROTOTYPE, byte_range)
            assert found is not None
            assert found.to_bytes() == expected
            assert await adapted.get("missing", PROTOTYPE, byte_range) is None
        found_all = await adapted.get_partial_values(
            PROTOTYPE, ((key, each) for each, _ in cases for key in ("k", "missing"))
        )
        assert [None if f is None else f.to_bytes() for f in found_all] == [
            expected for _, value in cases for expected in (value, None)
        ]
        with pytest.raises(TypeError, match="Unexpected byte_range, got"):
            await adapted.get_partial_values(PROTOTYPE, [("k", (1, 2))])  # type: ignore[list-item]

    asyncio.run(main())
    adapted.close()


class OtherBuffer(cpu.Buffer):
    """A kind of buffer of one's own."""


def test_the_prototype_is_honoured() -> None:
    other = BufferPrototype(buffer=OtherBuffer, nd_buffer=cpu.NDBuffer)
    adapted = to_zarr({"k": b"hello"})
    assert isinstance(adapted, BlockingStoreAdapter)

    async def main() -> list[Any]:
        many = await adapted.get_partial_values(other, [("k", None)])
        return [await adapted.get("k", other), *many]

    found = [*asyncio.run(main()), adapted.get_sync("k", prototype=other)]
    found += [value for _, value in adapted.get_ranges_sync("k", [None], prototype=other)]
    assert {type(each) for each in found} == {OtherBuffer}


def test_what_is_no_buffer_is_refused() -> None:
    adapted = to_zarr()
    for value in (b"hello", "hello", None, 1):
        with pytest.raises(TypeError, match="Buffer of zarr-python"):
            asyncio.run(adapted.set("k", value))


def test_a_set_leaves_the_callers_buffer(tmp_path: Path) -> None:
    for adapted in (to_zarr(), to_zarr(tmp_path)):
        memory = np.frombuffer(bytearray(b"before"), dtype="B")
        asyncio.run(adapted.set("k", cpu.Buffer(memory)))
        memory[:] = 0
        found = asyncio.run(adapted.get("k", PROTOTYPE))
        assert found is not None
        assert found.to_bytes() == b"before"


def test_which_adapter(s3_bucket: Any) -> None:
    """That with the blocking methods, unless they would wait for another loop."""
    remote = zarrstore.open_store(s3_bucket.url, storage_options=s3_bucket.storage_options)
    assert isinstance(remote._home, LoopHome)
    adapted = to_zarr(remote)
    assert type(adapted) is StoreAdapter
    assert not hasattr(adapted, "get_sync")
    assert type(to_zarr()) is BlockingStoreAdapter
    adapted.close()


def test_back_and_forth_unwraps(tmp_path: Path) -> None:
    ours = zarrstore.LocalStore(tmp_path)
    assert from_zarr(to_zarr(ours)) is ours
    assert zarrstore.open_store(to_zarr(ours)) == ours
    theirs = zarr.storage.LocalStore(tmp_path)
    assert to_zarr(from_zarr(theirs)) is theirs
    assert to_zarr(theirs) is theirs
    assert to_zarr(zarrstore.open_store(theirs)) is theirs
    view = to_zarr(from_zarr(theirs).with_read_only())
    assert isinstance(view, zarr.storage.LocalStore)
    assert view.read_only
    assert to_zarr(theirs, read_only=True).read_only
    with pytest.raises(TypeError, match="not dict"):
        from_zarr({})  # type: ignore[arg-type]


def test_a_group_is_the_store_below_it() -> None:
    group = zarrstore.create_group().create_group("a")
    zarr.create_array(to_zarr(group), name="b", shape=3, dtype="int8")[:] = 5
    assert group["b"][:].tolist() == [5, 5, 5]


def test_a_forked_child_may_use_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, zarr; from zarrstore.interop.zarr import to_zarr\n"
        "array = zarr.create_array(to_zarr(sys.argv[1]), shape=40, chunks=5, dtype='int8')\n"
        "array[:] = 1\n"
        "if os.fork() == 0:\n"
        "    array[:20] = 2\n"
        "    os._exit(int(array[:].sum()))\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), array[:].sum())"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["60", "60"], done.stderr


def test_views() -> None:
    store = zarrstore.MemoryStore({"k": b"1"})
    adapted = to_zarr(store)
    view = adapted.with_read_only(True)
    with pytest.raises(ValueError, match="read-only mode"):
        asyncio.run(view.delete("k"))
    for call in (view.clear(), view.delete_dir(""), view.set_if_not_exists("k", buffer(b"2"))):
        with pytest.raises(ValueError, match="read-only mode"):
            asyncio.run(call)
    view.close()
    view.close()
    assert asyncio.run(adapted.exists("k"))
    given = to_zarr(store, read_only=True)
    given.close()
    assert asyncio.run(adapted.exists("k"))
    assert to_zarr(store, read_only=True).with_read_only(False) == adapted
    adapted.close()
    with pytest.raises(zarrstore.StoreClosedError):
        asyncio.run(adapted.exists("k"))
    opened_so = zarrstore.MemoryStore(read_only=True)
    with pytest.raises(zarrstore.ReadOnlyError):
        to_zarr(opened_so, read_only=False)
    assert to_zarr(opened_so).read_only


def test_closing_closes_what_was_opened(tmp_path: Path) -> None:
    with to_zarr(tmp_path / "x.zip") as store:
        zarr.create_array(store, shape=3, dtype="int8")[:] = 5
    assert zarrstore.open_array(tmp_path / "x.zip", mode="r")[:].tolist() == [5, 5, 5]
    with zarr.storage.ZipStore(tmp_path / "x.zip", mode="r") as theirs:
        assert zarr.open_array(theirs, mode="r")[:].tolist() == [5, 5, 5]


def close_for_good(adapted: Any) -> None:
    """Close what an unpickled view is a view of, as well."""
    store = from_zarr(adapted)
    (store._view_of or store).sync.close()


def test_equality_and_pickles(tmp_path: Path) -> None:
    adapted = to_zarr(TableStore(str(tmp_path / "pairs")))
    zarr.create_array(adapted, shape=3, dtype="int8")[:] = 5
    for given in (adapted, adapted.with_read_only(True), to_zarr(tmp_path), to_zarr()):
        again = pickle.loads(pickle.dumps(given))
        assert again == given
        assert hash(again) == hash(given)
        assert again.read_only == given.read_only
        close_for_good(again)
    assert adapted != adapted.with_read_only(True)
    assert adapted != to_zarr(tmp_path)
    assert adapted != zarr.storage.LocalStore(tmp_path)
    array = pickle.loads(pickle.dumps(zarr.open_array(adapted, mode="r")))
    assert array[:].tolist() == [5, 5, 5]
    close_for_good(array.store)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(to_zarr()), capture_output=True
    )
    assert b"NotShareableError" in done.stderr
    adapted.close()


def test_set_if_not_exists_is_atomic(tmp_path: Path) -> None:
    adapted = to_zarr(tmp_path)

    async def main() -> Any:
        values = [buffer(b"%d" % number) for number in range(20)]
        await asyncio.gather(*(adapted.set_if_not_exists("k", value) for value in values))
        first = await adapted.get("k", PROTOTYPE)
        await adapted.set_if_not_exists("k", buffer(b"other"))
        return first, await adapted.get("k", PROTOTYPE)

    first, last = asyncio.run(main())
    assert first == last


def test_without_some_capabilities() -> None:
    class Squares(zarrstore.BlockingStore):
        def _get(self, key: str) -> bytes | None:
            return str(int(key) ** 2).encode() if key.isdecimal() else None

    adapted = to_zarr(Squares())
    can = adapted.supports_writes, adapted.supports_deletes, adapted.supports_listing
    assert can == (False, False, False)
    assert asyncio.run(adapted.get("12", PROTOTYPE)).to_bytes() == b"144"
    with pytest.raises(NotImplementedError, match="does not support set"):
        asyncio.run(adapted.set("1", buffer(b"1")))


class Gate(zarrstore.BlockingStore):
    """Reads wait for a gate; what was read and written is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.reading = threading.Semaphore(0)
        self.written: list[str] = []
        self.threads: set[int] = set()

    def _get(self, key: str) -> bytes:
        self.threads.add(threading.get_ident())
        if key.startswith("wait"):
            self.reading.release()
            assert self.open.wait(20)
        if key == "fail":
            raise OSError("broken")
        return key.encode()

    def _set(self, key: str, value: bytes) -> None:
        self.written.append(key)


def test_calls_of_one_turn_go_together_and_do_not_wait_for_each_other() -> None:
    gate = Gate()
    adapted = to_zarr(gate)

    async def main() -> None:
        found = await asyncio.gather(*(adapted.get(str(n), PROTOTYPE) for n in range(50)))
        assert [each.to_bytes() for each in found] == [str(n).encode() for n in range(50)]
        waiting = asyncio.ensure_future(adapted.get("wait", PROTOTYPE))
        others = [adapted.get(str(n), PROTOTYPE) for n in range(50)]
        async with asyncio.timeout(10):
            await asyncio.gather(*others)
        assert not waiting.done()
        gate.open.set()
        await waiting
        results = await asyncio.gather(
            *(adapted.get(key, PROTOTYPE) for key in ("a", "fail", "b")), return_exceptions=True
        )
        assert isinstance(results[1], OSError)
        assert [each.to_bytes() for each in (results[0], results[2])] == [b"a", b"b"]

    asyncio.run(main())
    assert threading.get_ident() not in gate.threads


def test_slow_calls_are_made_at_once() -> None:
    class Slow(zarrstore.BlockingStore):
        def _get(self, key: str) -> bytes:
            time.sleep(0.05)
            return b""

    adapted = to_zarr(Slow())

    async def main() -> float:
        started = time.perf_counter()
        for _ in range(2):
            await asyncio.gather(*(adapted.get(str(n), PROTOTYPE) for n in range(8)))
        return time.perf_counter() - started

    assert asyncio.run(main()) < 0.5


def test_cancelled_calls() -> None:
    """One that has begun ends first; one that has not never begins."""
    gate = Gate()
    adapted = to_zarr(gate)

    async def main() -> None:
        begun = asyncio.ensure_future(adapted.get("wait", PROTOTYPE))
        while not await asyncio.to_thread(gate.reading.acquire, timeout=5):
            raise AssertionError("it did not begin")
        begun.cancel()
        await asyncio.sleep(0.05)
        assert not begun.done()
        begun.cancel()
        await asyncio.sleep(0.05)
        assert not begun.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await begun
        never = asyncio.ensure_future(adapted.set("never", buffer(b"1")))
        await asyncio.sleep(0)
        never.cancel()
        with pytest.raises(asyncio.CancelledError):
            await never
        await adapted.set("last", buffer(b"1"))

    asyncio.run(main())
    assert gate.written in (["last"], ["never", "last"])


def test_several_loops_at_once(tmp_path: Path) -> None:
    adapted = to_zarr(tmp_path)
    wrong: list[BaseException] = []

    async def work(name: str) -> None:
        for number in range(20):
            keys = [f"{name}/{number}/{each}" for each in range(10)]
            await asyncio.gather(*(adapted.set(key, buffer(key.encode())) for key in keys))
            found = await asyncio.gather(*(adapted.get(key, PROTOTYPE) for key in keys))
            assert [each.to_bytes() for each in found] == [key.encode() for key in keys]

    def run(name: str) -> None:
        try:
            for part in range(2):
                asyncio.run(work(f"{name}{part}"))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(list(from_zarr(adapted).sync.list())) == 4 * 2 * 20 * 10


def test_the_registry_imports_nothing() -> None:
    code = (
        "import sys, zarrstore; zarrstore.open_store({}); "
        "assert 'zarr' not in sys.modules and 'zarrstore.interop' not in sys.modules; "
        "import zarr, zarr.storage; "
        "print(type(zarrstore.open_store(zarr.storage.MemoryStore())).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ZarrPythonStore", done.stderr


def test_without_zarr_python_the_extra_is_named() -> None:
    code = "import sys; sys.modules['zarr'] = None; import zarrstore.interop.zarr"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'zarrstore[zarr]'" in done.stderr


def test_a_wrapper_of_theirs_around_ours(blockbuster: BlockBuster) -> None:
    let_theirs_block(blockbuster)
    store = zarrstore.MemoryStore()
    logged = zarr.storage.LoggingStore(to_zarr(store), log_level="ERROR")
    ours = zarrstore.open_store(logged)
    assert isinstance(ours, ZarrPythonStore)
    array = zarrstore.create_array(ours, data=np.arange(5), chunks=2)
    assert array[1:4].tolist() == [1, 2, 3]
    assert zarrstore.open_array(store, mode="r")[4] == 4
    assert ours.capabilities & zarrstore.Capability.SHARED == zarrstore.Capability(0)
    ours.sync.close()
