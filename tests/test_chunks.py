"""The chunk engine: what runs at once, on stores that block and stores that do not."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrstore
from zarrstore import limits
from zarrstore.compute import cores


class CountingStore(zarrstore.Store):
    """A slow asynchronous store that knows how many requests were in flight at most."""

    seconds = 0.002

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}
        self.now = self.most = 0

    async def _request(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1

    async def _get(self, key: str) -> bytes | None:
        await self._request()
        return self.data.get(key)

    async def _set(self, key: str, value: bytes) -> None:
        await self._request()
        self.data[key] = value

    async def _delete(self, key: str) -> None:
        await self._request()
        self.data.pop(key, None)

    async def _list(self, prefix: str) -> Any:
        for key in list(self.data):
            if key.startswith(prefix):
                yield key


@pytest.fixture(autouse=True)
def usual_limits() -> Iterator[None]:
    requests, nbytes = limits.requests, limits.nbytes
    yield
    limits.requests, limits.nbytes = requests, nbytes


def test_requests_in_flight_are_bounded_for_the_process() -> None:
    store = CountingStore()
    array = zarrstore.create_array(store, data=np.arange(400), chunks=2)
    assert 64 <= store.most <= limits.requests
    limits.requests = 7
    store.most = 0
    threads = [threading.Thread(target=lambda: array[...]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4 <= store.most <= 7


def test_the_memory_of_chunks_in_flight_is_bounded() -> None:
    store = CountingStore()
    array = zarrstore.create_array(store, data=np.arange(1000), chunks=10)
    limits.nbytes = 5 * 80
    for move in (lambda: array[...], lambda: array.write(..., 7)):
        store.most = 0
        move()
        assert 3 <= store.most <= 5
    limits.nbytes = 1  # a chunk that is larger goes alone
    store.most = 0
    np.testing.assert_array_equal(array[:40], np.full(40, 7))
    assert store.most == 1
    with pytest.raises(ValueError, match="nbytes must be 1 or more"):
        limits.nbytes = 0


def test_an_error_ends_everything_and_is_the_first() -> None:
    class Failing(CountingStore):
        async def _set(self, key: str, value: bytes) -> None:
            await super()._set(key, value)
            if key == "c/150":
                raise zarrstore.BackendError("the disk is full", key=key)

    store = Failing()
    array = zarrstore.create_array(store, shape=2000, chunks=1, dtype="i4")
    with pytest.raises(zarrstore.BackendError, match="disk is full"):
        array[...] = 1
    written = len(store.data)
    assert store.now == 0
    time.sleep(0.02)
    assert len(store.data) == written < 1500


class SlowBlockingStore(zarrstore.BlockingStore):
    """A store that keeps each thread waiting."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}
        self.seconds = seconds
        self.now = self.most = 0
        self.threads: set[int] = set()
        self._counting = threading.Lock()

    def _get(self, key: str) -> bytes | None:
        with self._counting:
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        with self._counting:
            self.now -= 1
        return self.data.get(key)

    def _set(self, key: str, value: bytes) -> None:
        self.data[key] = value


def test_a_blocking_store_that_waits_is_read_by_several_threads() -> None:
    store = SlowBlockingStore(0.003)
    array = zarrstore.create_array(store, data=np.arange(100), chunks=1)
    store.threads.clear()
    np.testing.assert_array_equal(array[...], np.arange(100))
    assert store.most > 1
    assert len(store.threads) > 1


def test_small_work_stays_in_the_thread_of_the_caller() -> None:
    store = SlowBlockingStore(0)
    array = zarrstore.create_array(store, data=np.arange(8), chunks=2)
    for _ in range(5):  # a busy machine makes long work of it at times
        store.threads.clear()
        np.testing.assert_array_equal(array[...], np.arange(8))
        if store.threads == {threading.get_ident()}:
            break
    else:
        pytest.fail(f"{len(store.threads)} threads each time")


def test_many_threads_use_one_array() -> None:
    array = zarrstore.create_array({}, shape=(64, 1000), chunks=(1, 100), dtype="i4")

    def fill(row: int) -> None:
        array[row] = np.arange(1000) + row
        np.testing.assert_array_equal(array[row], np.arange(1000) + row)

    threads = [threading.Thread(target=fill, args=(row,)) for row in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(array[...], np.arange(1000) + np.arange(64)[:, None])


LAYOUTS: dict[str, Any] = {
    "C": lambda values: values.copy(),
    "F": np.asfortranarray,
    "big endian": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "reversed": lambda values: values[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda values: np.repeat(np.repeat(values, 2, 0), 2, 1)[::2, ::2],
    "broadcast": lambda values: np.broadcast_to(values[:1], values.shape),
    "unaligned": lambda values: np.frombuffer(
        b"x" + values.tobytes(), values.dtype, offset=1
    ).reshape(values.shape),
    "read-only": lambda values: np.frombuffer(values.tobytes(), values.dtype).reshape(values.shape),
    "wider": lambda values: values.astype("i8"),
}
CODECS: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {},
    "crc32c": {"compressors": {"name": "crc32c"}},
    "big": {"serializer": {"name": "bytes", "configuration": {"endian": "big"}}},
    "transposed": {
        "filters": {"name": "transpose", "configuration": {"order": [1, 0]}},
        "compressors": None,
    },
    "shards": {"shards": (6, 8), "compressors": None},
    "transposed in shards": {
        "shards": (6, 8),
        "filters": {"name": "transpose", "configuration": {"order": [1, 0]}},
        "compressors": None,
    },
}
STORES: dict[str, Any] = {
    "memory": lambda _: zarrstore.MemoryStore(),
    "local": zarrstore.LocalStore,
    "loop": lambda _: zarrstore.LatencyStore(zarrstore.MemoryStore(), 0, 0),
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("codecs", CODECS)
def test_memory_of_any_layout(codecs: str, store: str, tmp_path: Path) -> None:
    """What is written, and what is read into, may lie in memory in any way."""
    array = zarrstore.create_array(
        STORES[store](tmp_path), shape=(17, 13), chunks=(1, 8), dtype="i4", **CODECS[codecs]
    )
    for layout in LAYOUTS:
        values = LAYOUTS[layout](np.arange(1, 222, dtype="i4").reshape(17, 13))
        expected = np.asarray(values, "i4").copy()
        array[...] = values
        np.testing.assert_array_equal(array[...], expected, layout)
        array[2:9, 3:11] = values[3:10, 2:10]
        expected[2:9, 3:11] = expected[3:10, 2:10].copy()
        np.testing.assert_array_equal(array[...], expected, layout)
        if layout in ("broadcast", "read-only", "unaligned"):
            continue
        out = LAYOUTS[layout](np.zeros((17, 13), "i4"))
        assert array.read(out=out) is out
        np.testing.assert_array_equal(out, expected, layout)
        array.read(np.s_[2:7, 12:2:-3], out=out[:5, :4])
        np.testing.assert_array_equal(out[:5, :4], expected[2:7, 12:2:-3], layout)


@pytest.mark.parametrize("store", STORES)
def test_memory_that_is_used_again_is_not_stored(store: str, tmp_path: Path) -> None:
    """Chunks at the edge are gathered in memory that the next one takes, on many threads too."""
    array = zarrstore.create_array(
        STORES[store](tmp_path),
        shape=(300, 13),
        chunks=(1, 8),
        dtype="i4",
        filters={"name": "transpose", "configuration": {"order": [1, 0]}},
        compressors=None,
    )
    values = np.arange(300 * 13).reshape(300, 13) + 1
    array[...] = values
    np.testing.assert_array_equal(array[...], values)
    array[:, 2:12] = -values[:, 2:12]
    values[:, 2:12] *= -1
    np.testing.assert_array_equal(array[...], values)


class Forgetful(zarrstore.BlockingStore):
    """A store that keeps metadata only."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}

    def _get(self, key: str) -> bytes | None:
        return self.data.get(key)

    def _set(self, key: str, value: bytes) -> None:
        if key.endswith("json"):
            self.data[key] = value

    def _delete(self, key: str) -> None:
        pass


class ForgetfulLater(zarrstore.Store):
    """The same, asynchronous."""

    def __init__(self) -> None:
        self.kept = Forgetful()

    async def _get(self, key: str) -> bytes | None:
        return self.kept._get(key)

    async def _set(self, key: str, value: bytes) -> None:
        self.kept._set(key, value)

    async def _delete(self, key: str) -> None:
        pass


@pytest.mark.parametrize(("cls", "count"), [(Forgetful, 100_000), (ForgetfulLater, 4_000)])
def test_memory_does_not_grow_with_the_number_of_chunks(cls: type, count: int) -> None:
    array = zarrstore.create_array(cls(), shape=count, chunks=1, dtype="i4")
    values = np.ones(count, "i4")
    array.read(slice(500), out=values[:500])  # what is made once
    array[:500] = 1
    tracemalloc.start()
    try:
        array.read(out=values)
        array[: count // 20] = values[: count // 20]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.5e6


class FailsError(Exception):
    pass


class FailingStore(zarrstore.MemoryStore):
    """A store whose nth operation of a kind fails."""

    fails_at = 10**9
    kind = ""
    count = 0

    def _check(self, kind: str) -> None:
        self.count += kind == self.kind
        if kind == self.kind and self.count == self.fails_at:
            raise FailsError(f"{kind} {self.count}")

    def _get(self, key: str) -> Any:
        self._check("get")
        return super()._get(key)

    def _set(self, key: str, value: Any) -> Any:
        self._check("set")
        return super()._set(key, value)

    def _set_if(self, key: str, value: Any, expect: Any) -> Any:
        self._check("set_if")
        return super()._set_if(key, value, expect)

    def _delete(self, key: str) -> Any:
        self._check("delete")
        return super()._delete(key)


@pytest.mark.parametrize("late", [False, True], ids=["inline", "loop"])
@pytest.mark.parametrize("kind", ["get", "set", "set_if", "delete"])
@pytest.mark.parametrize("shards", [None, 40])
def test_a_store_that_fails(late: bool, kind: str, shards: int | None) -> None:
    inner = FailingStore()
    store = zarrstore.LatencyStore(inner, 0, 0) if late else inner
    width = shards or 10
    array = zarrstore.create_array(
        store, shape=100 * width, chunks=10, shards=shards, dtype="i4", compressors=None
    )
    moves: dict[str, Any] = {
        "get": lambda: array[...],
        "set": lambda: array.write(..., 7),
        "set_if": lambda: array.write(slice(1, None, width), 7),
        "delete": lambda: array.write(..., 0),
    }
    threads = threading.active_count()
    for at in (1, 2, 17, 100):
        array[...] = np.arange(100 * width) + 1
        inner.kind, inner.count, inner.fails_at = kind, 0, at
        with pytest.raises(FailsError, match=f"{kind} {at}"):
            moves[kind]()
        inner.kind = ""
        moves[kind]()
        if kind == "set_if":
            assert (array[1::width] == 7).all()
            assert array[2] == 3
        elif kind == "delete":
            assert list(store.sync) == ["zarr.json"]
    assert threading.active_count() - threads <= limits.threads + cores() + 1


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("store", [*STORES, "waiting"])
def test_an_error_of_the_progress_callback(
    store: str, kind: type[BaseException], tmp_path: Path
) -> None:
    """It ends everything; the I/O loop and the threads are there for the next one."""
    made = SlowBlockingStore(0.001) if store == "waiting" else STORES[store](tmp_path)
    array = zarrstore.create_array(made, data=np.arange(200), chunks=1)

    def progress(done: int, total: int) -> None:
        if done >= 50:
            raise kind("mine")

    for move in (array.read, lambda **options: array.write(..., 3, **options)):
        with pytest.raises(kind, match="mine"):
            move(progress=progress)
        assert array[:3].shape == (3,)
    array[...] = 5
    assert (array[...] == 5).all()


def test_a_cancelled_read_ends_what_is_under_way() -> None:
    store = CountingStore()
    values = np.arange(4000)
    array = zarrstore.create_array(store, data=values, chunks=2)

    async def main() -> None:
        out = np.full(4000, -1)
        later = array.async_array
        store.seconds = 0.05  # so slow that even a busy machine is in time to cancel
        for seconds in (0, 0.001, 0.01, 0.02):
            task = asyncio.ensure_future(later.read(out=out))
            await asyncio.sleep(seconds)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert store.now == 0
            out[:] = -1
            await asyncio.sleep(0.01)
            assert (out == -1).all()  # nobody writes to it any more
        store.seconds = 0.002
        np.testing.assert_array_equal(await later.read(), values)

    asyncio.run(main())


def test_a_cancelled_read_of_a_store_that_blocks() -> None:
    store = SlowBlockingStore(0.02)
    array = zarrstore.create_array(store, data=np.arange(300), chunks=1)

    async def main() -> None:
        out = np.full(300, -1)
        task = asyncio.ensure_future(array.async_array.read(out=out))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        out[:] = -1
        await asyncio.sleep(0.01)
        assert (out == -1).all()

    asyncio.run(main())
    assert store.now == 0


@pytest.mark.parametrize("store", STORES)
def test_the_event_loop_goes_on(store: str, tmp_path: Path) -> None:
    """Reading, decoding and encoding all happen elsewhere."""

    values = np.random.default_rng(0).integers(0, 100, 4_000_000, dtype="u1")
    longest = 0.0

    async def main() -> Any:
        made = STORES[store](tmp_path)
        array = await zarrstore.aio.create_array(made, shape=values.shape, chunks=10**6, dtype="u1")
        ended = asyncio.Event()

        async def tick() -> None:
            nonlocal longest
            while not ended.is_set():
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - before)

        ticking = asyncio.ensure_future(tick())
        await array.write(..., values)
        found = await array.read()
        ended.set()
        await ticking
        return found

    np.testing.assert_array_equal(asyncio.run(main()), values)
    assert longest < 0.5  # machines that test are busy


def test_a_store_that_reads_an_array_of_another() -> None:
    """All worker threads wait for what is computed for them."""
    inner = zarrstore.create_array(
        zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.002, 0), data=np.arange(64), chunks=1
    )

    class Virtual(SlowBlockingStore):
        def _get(self, key: str) -> bytes | None:
            if not key.startswith("c/"):
                return super()._get(key)
            return np.asarray(inner[int(key[2:])]).tobytes()

    array = zarrstore.create_array(
        Virtual(0), shape=64, chunks=1, dtype=inner.dtype, compressors=None
    )

    async def main() -> list[Any]:
        reads = [array.async_array.read(number) for number in range(64)]
        return await asyncio.wait_for(asyncio.gather(*reads), 30)

    assert asyncio.run(main()) == list(range(64))


def test_arrays_are_used_in_worker_threads(tmp_path: Path) -> None:
    """As many at once as there are threads, each of which would like the help of others."""
    slow = SlowBlockingStore(0.001)
    arrays = [
        zarrstore.create_array(slow, data=np.arange(50), chunks=1),
        zarrstore.create_array(tmp_path, data=np.arange(50), chunks=1),
    ]

    async def main() -> list[Any]:
        return await asyncio.gather(*[arrays[n % 2].async_array.read() for n in range(40)])

    for found in asyncio.run(main()):
        np.testing.assert_array_equal(found, np.arange(50))
