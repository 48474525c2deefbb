"""The chunk engine: what runs at once, on stores that block and stores that do not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import zarrstore
from zarrstore import limits


class CountingStore(zarrstore.Store):
    """A slow asynchronous store that knows how many requests were in flight at most."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}
        self.now = self.most = 0

    async def _request(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.002)
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
    store.threads.clear()
    np.testing.assert_array_equal(array[...], np.arange(8))
    assert store.threads == {threading.get_ident()}


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
