"""`update`: no change is lost, to threads, tasks or processes; what fails leaves all as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrstore
from zarrstore import aio, updating
from zarrstore.abc import BlockingStore, Capability, Store
from zarrstore.errors import ConflictError
from zarrstore.runtime import drive_inline
from zarrstore.stores.local import LocalStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.remote import RemoteStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.logging import LoggingStore
from zarrstore.stores.wrappers.prefix import PrefixStore
from zarrstore.stores.zip import ZipStore
from zarrstore.updating import update


class Plain(BlockingStore):
    """A store without versions, in which threads take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}

    def _get(self, key: str) -> bytes | None:
        time.sleep(0)
        return self.data.get(key)

    def _set(self, key: str, value: bytes) -> None:
        time.sleep(0)
        self.data[key] = value

    def _delete(self, key: str) -> None:
        self.data.pop(key, None)


class AsyncPlain(Store):
    """The same, asynchronous."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}

    async def _get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.data.get(key)

    async def _set(self, key: str, value: bytes) -> None:
        await asyncio.sleep(0)
        self.data[key] = value

    async def _delete(self, key: str) -> None:
        self.data.pop(key, None)


STORES: dict[str, Callable[[Path], Store]] = {
    "local": LocalStore,
    "memory": lambda _: MemoryStore(),
    "mapping": lambda _: MappingStore({}),
    "zip": lambda path: ZipStore(path / "x.zip"),
    "prefix": lambda _: PrefixStore(MappingStore({}), "a/b"),
    "logging": lambda path: LoggingStore(LocalStore(path)),
    "latency": lambda _: LatencyStore(MemoryStore(), 0, 0),
    "latency-plain": lambda _: LatencyStore(Plain(), 0, 0),
    "plain": lambda _: Plain(),
    "async-plain": lambda _: AsyncPlain(),
    "fsspec": lambda _: RemoteStore.from_url(f"memory://{uuid.uuid4()}"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = STORES[request.param](tmp_path / "root")
    yield store
    store.sync.close()


def in_threads(*functions: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def call(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]


def at_home(store: Store, *args: Any) -> None:
    store._home.drive(update, store, *args)


async def increment(old: Any) -> bytes:
    return str(int(bytes(old or b"0")) + 1).encode()


def test_no_increment_of_a_thread_is_lost(store: Store) -> None:
    def work() -> None:
        for _ in range(10):
            at_home(store, "n", increment)

    in_threads(*[work] * 8)
    assert store.sync["n"] == b"80"


@pytest.mark.parametrize("shards", [None, 800])
def test_no_element_of_a_thread_is_lost(store: Store, shards: int | None) -> None:
    chunks = 800 if shards is None else 100
    array = zarrstore.create_array(store, shape=800, chunks=chunks, shards=shards, dtype="i4")

    def work(row: int) -> None:
        for number in range(20):
            at = 100 * row + 5 * number
            array[at : at + 5] = at + 1

    in_threads(*[lambda row=row: work(row) for row in range(8)])
    np.testing.assert_array_equal(array[...], np.repeat(np.arange(0, 800, 5) + 1, 5))


@pytest.mark.parametrize("shards", [None, 200])
def test_no_element_of_a_task_is_lost(store: Store, shards: int | None) -> None:
    chunks = 200 if shards is None else 50

    async def main() -> Any:
        array = await aio.create_array(store, shape=200, chunks=chunks, shards=shards, dtype="i4")
        await asyncio.gather(*[array.write(number, number + 1) for number in range(200)])
        return await array.read()

    np.testing.assert_array_equal(asyncio.run(main()), np.arange(200) + 1)


@pytest.mark.parametrize("shards", [None, 400])
def test_no_element_of_a_process_is_lost(tmp_path: Path, shards: int | None) -> None:
    chunks = 400 if shards is None else 100
    array = zarrstore.create_array(tmp_path, shape=400, chunks=chunks, shards=shards, dtype="i4")
    code = """
        import sys, zarrstore
        array, row = zarrstore.open_array(sys.argv[1]), int(sys.argv[2])
        for number in range(20):
            array[100 * row + 5 * number : 100 * row + 5 * number + 5] = number + 1
    """
    running = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(row)])
        for row in range(4)
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    np.testing.assert_array_equal(array[...], np.tile(np.repeat(np.arange(20) + 1, 5), 4))


def test_who_uses_a_store_and_who_a_part_of_it_take_turns() -> None:
    """Two threads over one mapping, one of them through wrappers."""
    inner = Plain()
    array = zarrstore.create_array(inner, name="a", shape=800, chunks=800, dtype="i4")
    wrapped = LoggingStore(PrefixStore(LoggingStore(PrefixStore(inner, "a")), ""))
    other = zarrstore.open_array(wrapped)

    def work(row: int) -> None:
        for number in range(50):
            (array, other)[row % 2][100 * row + number] = number + 1

    in_threads(*[lambda row=row: work(row) for row in range(8)])
    expected = np.pad(np.tile(np.arange(50) + 1, (8, 1)), ((0, 0), (0, 50))).reshape(-1)
    np.testing.assert_array_equal(array[...], expected)


def test_missing_stays_missing_and_none_deletes() -> None:
    for store in (Plain(), MemoryStore()):

        async def nothing(old: Any) -> None:
            assert old is None

        at_home(store, "a", nothing)
        assert "a" not in store.sync
    store = Plain()
    store.sync["a"] = b"1"

    async def gone(old: Any) -> None:
        assert old == b"1"

    at_home(store, "a", gone)
    assert "a" not in store.sync


def test_an_error_of_the_change_leaves_all_as_it_was(store: Store) -> None:
    store.sync["n"] = b"7"

    async def fail(_: Any) -> bytes:
        raise KeyError("mine")

    for _ in range(2):  # the second finds no lock held
        with pytest.raises(KeyError, match="mine"):
            at_home(store, "n", fail)
    at_home(store, "n", increment)
    assert store.sync["n"] == b"8"


def test_a_change_is_made_again_on_top_of_the_other() -> None:
    store = MemoryStore({"n": b"1"})
    seen: list[Any] = []

    async def slow(old: Any) -> bytes:
        seen.append(old)
        if len(seen) < 4:
            store.sync["n"] = b"%d" % (10 * len(seen))
        return bytes(old) + b"!"

    at_home(store, "n", slow)
    assert seen == [b"1", b"10", b"20", b"30"]
    assert store.sync["n"] == b"30!"


def test_a_key_that_comes_and_goes_meanwhile() -> None:
    store = MemoryStore()
    seen: list[Any] = []

    async def change(old: Any) -> bytes:
        seen.append(old)
        if len(seen) == 1:
            store.sync["n"] = b"created"
        elif len(seen) == 2:
            store.sync.delete("n")
        return b"mine"

    at_home(store, "n", change)
    assert seen == [None, b"created", None]
    assert store.sync["n"] == b"mine"


def test_too_many_conflicts_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updating, "_ATTEMPTS", 5)
    store = MemoryStore()
    count = 0

    async def disturbed(_: Any) -> bytes:
        nonlocal count
        count += 1
        store.sync["n"] = b"other"
        return b"mine"

    with pytest.raises(ConflictError, match="changed by others 5 times in a row; try again") as no:
        at_home(store, "n", disturbed)
    assert count == 5
    assert no.value.key == "n"
    assert store.sync["n"] == b"other"


@pytest.mark.parametrize("make", [AsyncPlain, lambda: LatencyStore(MemoryStore(), 0, 0)])
def test_a_cancelled_change_leaves_all_as_it_was(make: Callable[[], Store]) -> None:
    store = make()
    store.sync["n"] = b"1"

    async def main() -> None:
        began = threading.Event()

        async def endless(_: Any) -> bytes:
            began.set()
            await asyncio.sleep(60)
            return b"never"

        first = asyncio.ensure_future(store._home.run(update, store, "n", endless))
        while not began.is_set():
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(store._home.run(update, store, "n", increment))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.wait_for(second, 5)

    asyncio.run(main())
    assert store.sync["n"] == b"2"


def test_who_waits_for_its_turn_can_be_cancelled() -> None:
    store = AsyncPlain()

    async def main() -> None:
        began, go_on = threading.Event(), threading.Event()

        async def slow(old: Any) -> bytes:
            began.set()
            while not go_on.is_set():
                await asyncio.sleep(0.001)
            return await increment(old)

        first = asyncio.ensure_future(store._home.run(update, store, "n", slow))
        while not began.is_set():
            await asyncio.sleep(0.001)
        others = [
            asyncio.ensure_future(store._home.run(update, store, "n", increment)) for _ in range(4)
        ]
        await asyncio.sleep(0.01)
        for other in others[:2]:
            other.cancel()
        # they end while the first still has its turn
        found = await asyncio.gather(*others[:2], return_exceptions=True)
        assert [type(each) for each in found] == [asyncio.CancelledError] * 2
        go_on.set()
        await asyncio.gather(first, *others[2:])

    asyncio.run(main())
    assert store.sync["n"] == b"3"


def test_another_key_does_not_wait() -> None:
    store = Plain()

    async def outer(_: Any) -> bytes:
        in_threads(lambda: at_home(store, "b", increment))
        return b"1"

    at_home(store, "a", outer)
    assert store.data == {"a": b"1", "b": b"1"}


def test_capabilities_decide() -> None:
    assert Capability.COMPARE_AND_SWAP not in Plain().capabilities
    assert Capability.COMPARE_AND_SWAP in MemoryStore().capabilities
    assert drive_inline(update, MemoryStore(), "n", increment) is None


def test_a_fork_while_a_turn_is_held(tmp_path: Path) -> None:
    code = """
        import os, sys, threading, warnings
        warnings.simplefilter("ignore")
        from collections import UserDict
        from zarrstore.abc import BlockingStore
        from zarrstore.updating import update
        class Plain(BlockingStore):
            def __init__(self):
                self.data = {}
            def _get(self, key):
                return self.data.get(key)
            def _set(self, key, value):
                self.data[key] = value
        store = Plain()
        held, release = threading.Event(), threading.Event()
        async def slow(old):
            held.set()
            release.wait()
            return b"slow"
        async def quick(old):
            return (old or b"") + b"quick"
        thread = threading.Thread(target=lambda: store._home.drive(update, store, "n", slow))
        thread.start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            store._home.drive(update, store, "n", quick)
            os._exit(store.data != {"n": b"quick"})
        status = os.waitpid(pid, 0)[1]
        release.set()
        thread.join()
        store._home.drive(update, store, "n", quick)
        print(status, store.data)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "0 {'n': b'slowquick'}\n", done.stderr
