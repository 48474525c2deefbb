"""Where coroutines run: inline, worker threads, I/O loops; limits, cancellation, forks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.to_thread
import pytest
import trio

from zarrstore.abc import BlockingStore, Store
from zarrstore.fan_out import map_bounded
from zarrstore.runtime import (
    CALLER,
    WORKERS,
    ForkSafeLock,
    LoopHome,
    PerProcess,
    drive_inline,
    io_loop_home,
    is_inline,
    limits,
)

HOMES = {"caller": CALLER, "workers": WORKERS, "loop": io_loop_home}


@pytest.fixture(params=list(HOMES))
def home(request):
    return HOMES[request.param]


@contextmanager
def requests_limit(number: int):
    before = limits.requests
    limits.requests = number
    try:
        yield
    finally:
        limits.requests = before


@contextmanager
def own_loop():
    """A second I/O loop, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield LoopHome(lambda: loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def ctrl_c():
    """Handle SIGINT as an interactive Python does; background jobs begin with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def script(code: str, *options: str) -> str:
    header = "import asyncio, os, threading, time\nfrom zarrstore import fan_out, runtime\n"
    done = subprocess.run(
        [sys.executable, *options, "-c", header + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


async def add(a: int, *, b: int) -> tuple[int, str]:
    return a + b, threading.current_thread().name


async def fail() -> None:
    raise KeyError("as it was")


@asynccontextmanager
async def cancelled_once(began: threading.Event):
    """Cancel what runs inside as soon as it has begun, however busy the machine is."""

    async def cancel() -> None:
        assert await anyio.to_thread.run_sync(began.wait, 30)
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with anyio.CancelScope() as scope:
            yield scope


class TestHomes:
    def test_from_blocking_code(self, home):
        result, thread = home.drive(add, 1, b=2)
        assert result == 3
        assert (thread == "zarrstore-io") == (home is io_loop_home)
        with pytest.raises(KeyError, match="as it was"):
            home.drive(fail)

    @pytest.mark.anyio
    async def test_from_async_code(self, home):
        result, thread = await home.run(add, 1, b=2)
        assert result == 3
        name = {CALLER: threading.current_thread().name, WORKERS: "zarrstore-worker"}
        assert thread.startswith(name.get(home, "zarrstore-io"))
        with pytest.raises(KeyError, match="as it was"):
            await home.run(fail)

    @pytest.mark.anyio
    async def test_from_a_thread_of_an_async_program(self, home):
        assert (await anyio.to_thread.run_sync(lambda: home.drive(add, 1, b=2)))[0] == 3

    def test_here(self, home):
        async def where() -> bool:
            return home.here()

        assert not home.here()
        assert home.drive(where)

    def test_one_event_loop_after_another(self, home):
        for _ in range(2):
            assert asyncio.run(home.run(add, 1, b=2))[0] == 3
            assert trio.run(lambda: home.run(add, 1, b=2))[0] == 3

    def test_many_threads(self, home):
        results: list[int] = []

        def work() -> None:
            results.extend([home.drive(add, n, b=0)[0] for n in range(50)])

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == sorted(list(range(50)) * 8)

    @pytest.mark.anyio
    @pytest.mark.parametrize("name", ["workers", "loop"])
    async def test_context_variables_come_along(self, name):
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
        variable.set(7)

        async def read() -> int:
            return variable.get()

        assert await HOMES[name].run(read) == 7

    def test_without_any_event_loop(self):
        coroutine = WORKERS.run(add, 1, b=2)
        with pytest.raises(RuntimeError, match=r"store\.sync"):
            coroutine.send(None)

    def test_system_exit_in_a_task_does_not_end_the_loop(self):
        async def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            io_loop_home.drive(leave)
        assert io_loop_home.drive(add, 1, b=2)[0] == 3

    def test_a_task_that_cancels_itself(self):
        async def cancel() -> None:
            raise asyncio.CancelledError

        with pytest.raises(concurrent.futures.CancelledError):
            io_loop_home.drive(cancel)


class TestInline:
    def test_suspension_is_an_error(self):
        closed = []

        async def suspends() -> None:
            try:
                await asyncio.sleep(0)
            finally:
                closed.append(True)

        with pytest.raises(RuntimeError, match=r"suspends suspended .* BlockingStore"):
            drive_inline(suspends)
        assert closed == [True]
        assert not is_inline()

    def test_nested_and_reset_after_errors(self):
        async def inner() -> bool:
            return is_inline()

        async def outer() -> tuple[bool, bool]:
            with pytest.raises(KeyError):
                drive_inline(fail)
            return drive_inline(inner), is_inline()

        assert drive_inline(outer) == (True, True)
        assert not is_inline()

    def test_a_blocking_store_that_awaits(self):
        with pytest.raises(TypeError, match=r"Wrong._get is .* must subclass Store"):

            class Wrong(BlockingStore):
                async def _get(self, key):
                    await asyncio.sleep(0)

        with pytest.raises(TypeError, match=r"WrongToo._list is .* must subclass Store"):

            class WrongToo(BlockingStore):
                async def _list(self, prefix):
                    yield prefix

    def test_a_coroutine_that_suspends(self):
        with pytest.raises(RuntimeError, match="must subclass Store"):
            drive_inline(asyncio.sleep, 0)

    def test_a_blocking_call_on_the_io_loop(self):
        async def wrong() -> None:
            io_loop_home.drive(add, 1, b=2)

        with pytest.raises(RuntimeError, match="await the store's method"):
            io_loop_home.drive(wrong)


class TestCancellation:
    @pytest.mark.anyio
    @pytest.mark.parametrize("cleanup", [0, 0.05])
    async def test_the_task_has_ended_before_the_caller_goes_on(self, cleanup):
        buffer = bytearray(1)
        log: list[str] = []
        began = threading.Event()

        async def fill() -> None:
            began.set()
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(cleanup)
                buffer[0] += 1
                log.append("ended")

        async with cancelled_once(began) as scope:
            try:
                await io_loop_home.run(fill)
            finally:
                log.append("caller")
        assert scope.cancelled_caught
        assert log == ["ended", "caller"]
        buffer[:] = b"\0"
        await anyio.sleep(0.02)
        assert buffer == b"\0"

    @pytest.mark.anyio
    async def test_a_worker_thread_has_ended_too(self):
        log: list[str] = []
        began = threading.Event()

        async def block() -> None:
            began.set()
            time.sleep(0.1)
            log.append("ended")

        async with cancelled_once(began) as scope:
            try:
                await WORKERS.run(block)
            finally:
                log.append("caller")
        assert scope.cancelled_caught
        assert log == ["ended", "caller"]

    @pytest.mark.anyio
    async def test_cancelled_before_it_began(self):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await io_loop_home.run(asyncio.sleep, 30)
        assert scope.cancelled_caught

    async def _cancelled_twice(self) -> list[str]:
        log: list[str] = []
        began = threading.Event()

        async def stubborn() -> None:
            began.set()
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.1)
                log.append("ended")

        task = asyncio.ensure_future(io_loop_home.run(stubborn))
        assert await asyncio.to_thread(began.wait, 30)
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [*log, "caller"]

    def test_cancelled_twice(self):
        assert asyncio.run(self._cancelled_twice()) == ["ended", "caller"]

    def test_waiting_for_a_cancelled_task_does_not_spin(self):
        """anyio cancels again at every turn of the loop, unless what it cancels is shielded."""

        async def stubborn() -> None:
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.1)

        async def main() -> None:
            with anyio.move_on_after(0.01):
                await io_loop_home.run(stubborn)

        before = time.process_time()
        asyncio.run(main())
        assert time.process_time() - before < 0.08

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_in_a_blocking_call(self):
        ended = threading.Event()

        async def long() -> None:
            try:
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.05)
                ended.set()

        with pytest.raises(KeyboardInterrupt):
            io_loop_home.drive(long)
        assert ended.is_set()

    def test_cancelling_a_set_of_a_store_leaves_old_or_new(self):
        class Slow(Store):
            def __init__(self) -> None:
                self.data = {"a": b"old"}
                self.began = threading.Event()
                self.ended = False

            async def _get(self, key):
                return self.data.get(key)

            async def _set(self, key, value):
                self.began.set()
                try:
                    await asyncio.sleep(30)
                finally:
                    self.ended = True
                self.data[key] = value

        async def main() -> None:
            store = Slow()
            async with cancelled_once(store.began) as scope:
                await store.set("a", b"new")
            assert scope.cancelled_caught
            assert store.ended
            assert store.data == {"a": b"old"}

        asyncio.run(main())
        trio.run(main)


class TestMapBounded:
    @pytest.mark.parametrize("name", ["workers", "loop"])
    def test_order_and_bound(self, name):
        now, most = 0, 0
        lock = threading.Lock()
        three = threading.Barrier(3, timeout=30)

        async def square(n: int) -> int:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            if name == "workers" and 20 <= n < 23:
                three.wait()  # for the threads that help, on a busy machine
            if name == "loop":
                await asyncio.sleep(0.001)
            else:
                time.sleep(0.001)
            with lock:
                now -= 1
            return n * n

        result = HOMES[name].drive(map_bounded, square, range(40), limit=3)
        assert result == [n * n for n in range(40)]
        assert most == 3

    @pytest.mark.parametrize("name", ["workers", "loop"])
    def test_the_first_error_is_raised_and_nothing_goes_on(self, name):
        begun: list[int] = []
        running = 0
        lock = threading.Lock()

        async def work(n: int) -> None:
            nonlocal running
            with lock:
                begun.append(n)
                running += 1
            try:
                if name == "loop":
                    await asyncio.sleep(0.001 if n == 10 else 0.003)
                else:
                    time.sleep(0.003)
                if n == 10:
                    raise KeyError("first")
                if n > 10:
                    await asyncio.sleep(0) if name == "loop" else time.sleep(0.02)
            finally:
                with lock:
                    running -= 1
            if n == 11:
                raise ValueError("second")

        with pytest.raises(KeyError, match="first"):
            HOMES[name].drive(map_bounded, work, range(1000), limit=4)
        assert running == 0
        number = len(begun)
        assert number < 100
        time.sleep(0.03)
        assert len(begun) == number

    def test_none_one_and_a_wrong_limit(self, home):
        async def same(n: int) -> int:
            return n

        assert home.drive(map_bounded, same, []) == []
        assert home.drive(map_bounded, same, iter([1])) == [1]
        for limit in (0, -1):
            with pytest.raises(ValueError, match="limit must be 1 or more"):
                home.drive(map_bounded, same, [1, 2], limit=limit)

    def test_small_work_stays_in_the_callers_thread(self):
        async def name(_: int) -> str:
            return threading.current_thread().name

        for _ in range(5):  # a busy machine makes long work of it at times
            names = set(drive_inline(map_bounded, name, range(20)))
            if names == {threading.current_thread().name}:
                break
        else:
            pytest.fail(f"each time in {names}")

    def test_longer_work_gets_help(self):
        two = threading.Barrier(2, timeout=30)

        async def name(n: int) -> str:
            time.sleep(0.005)
            if n in (10, 11):
                two.wait()
            return threading.current_thread().name

        assert len(set(drive_inline(map_bounded, name, range(20)))) > 1

    def test_nested_with_two_threads(self):
        out = script("""
            runtime.limits.threads = 2
            async def leaf(n):
                time.sleep(0.002)
                return n
            async def branch(n):
                return sum(await fan_out.map_bounded(leaf, range(4)))
            async def tree(n):
                return sum(await fan_out.map_bounded(branch, range(4)))
            print(runtime.drive_inline(fan_out.map_bounded, tree, range(4)))
            async def main():
                return await asyncio.gather(
                    *[runtime.WORKERS.run(tree, 0) for _ in range(6)]
                )
            print(asyncio.run(main()))
            try:
                runtime.limits.threads = 3
            except RuntimeError as error:
                print(error)
        """)
        assert out == (
            "[24, 24, 24, 24]\n[24, 24, 24, 24, 24, 24]\n"
            "limits.threads is set before the first worker thread starts\n"
        )

    @pytest.mark.usefixtures("ctrl_c")
    def test_ctrl_c_ends_the_helpers(self):
        done: list[int] = []

        async def work(n: int) -> None:
            if n == 5:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.003)
            done.append(n)

        with pytest.raises(KeyboardInterrupt):
            drive_inline(map_bounded, work, range(500))
        number = len(done)
        assert number < 400
        time.sleep(0.02)
        assert len(done) == number


class TestLimits:
    @staticmethod
    def _store(log):
        class Counting(Store):
            def __init__(self, home=io_loop_home) -> None:
                self._home = home

            async def _get(self, key):
                log.append(1)
                await asyncio.sleep(0.005)
                log.append(-1)
                return b""

        return Counting

    @staticmethod
    def _most(log) -> int:
        most = now = 0
        for change in log:
            now += change
            most = max(most, now)
        return most

    def test_across_two_loops(self):
        log: list[int] = []
        counting = self._store(log)
        with own_loop() as home, requests_limit(3):
            threads = [
                threading.Thread(target=counting(at).sync.get_many, args=(["a"] * 20,))
                for at in (io_loop_home, home)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(log) == 80
        assert self._most(log) == 3

    def test_resized_while_waiting(self):
        log: list[int] = []
        store = self._store(log)()
        with requests_limit(1):

            async def gather() -> None:
                await asyncio.gather(*[store.get("a") for _ in range(200)])

            thread = threading.Thread(target=asyncio.run, args=(gather(),))
            thread.start()
            while len(log) < 5:
                time.sleep(0.001)
            assert self._most(log) == 1
            limits.requests = 10
            while self._most(log) < 10 and thread.is_alive():
                time.sleep(0.001)
            limits.requests = 2
            thread.join()
        assert self._most(log) == 10

    def test_the_slots_of_cancelled_requests_are_free(self):
        log: list[int] = []
        store = self._store(log)()

        async def main() -> None:
            for wait in (0, 0.001, 0.004, 0.008):
                with anyio.move_on_after(wait):
                    async with anyio.create_task_group() as group:
                        for _ in range(10):
                            group.start_soon(store.get, "a")

        with requests_limit(2):
            asyncio.run(main())
            trio.run(main)
            assert limits._requests._taken == 0
            assert not limits._requests._waiting
            assert len(store.sync.get_many(["a"] * 5)) == 5

    def test_a_hook_that_asks_its_own_store(self):
        class Asking(Store):
            async def _get(self, key):
                await asyncio.sleep(0)
                return b"1"

            async def _exists(self, key):
                return (await self.get_many([key, key]))[0] is not None

        async def many() -> list[bool]:
            return await asyncio.gather(*[Asking().exists("a") for _ in range(5)])

        with requests_limit(1):
            assert asyncio.run(asyncio.wait_for(many(), 5)) == [True] * 5
            assert limits._requests._taken == 0

    def test_wrong_numbers(self):
        with pytest.raises(ValueError, match="requests must be 1 or more"):
            limits.requests = 0


class TestPerProcess:
    def test_made_once_and_discarded_once(self):
        made: list[object] = []
        discarded: list[object] = []

        def make() -> object:
            time.sleep(0.01)
            made.append(object())
            return made[-1]

        value = PerProcess(make, discarded.append)
        value.close()
        assert discarded == []
        found: list[object] = []
        threads = [threading.Thread(target=lambda: found.append(value.get())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert found == made * 8
        value.close()
        value.close()
        assert discarded == made
        assert value.get() is made[1]

    def test_a_failed_make_is_tried_again(self):
        results = iter([OSError("down"), 5])

        def make() -> int:
            result = next(results)
            if isinstance(result, Exception):
                raise result
            return result

        value = PerProcess(make)
        with pytest.raises(OSError, match="down"):
            value.get()
        assert value.get() == 5
        value.close()

    def test_a_lock_may_be_taken_again_by_its_holder(self):
        lock = ForkSafeLock()
        with lock, lock:
            pass


FORK = """
    import warnings
    warnings.simplefilter("ignore")  # newer Pythons warn of any fork beside threads

    async def add(a, b):
        await asyncio.sleep(0.001)
        return a + b

    def inline(a, b):
        async def call():
            time.sleep(0.003)
            return a + b
        return call

    def check():
        assert runtime.io_loop_home.drive(add, 1, 2) == 3
        assert asyncio.run(runtime.io_loop_home.run(add, 1, 2)) == 3
        assert asyncio.run(runtime.WORKERS.run(inline(1, 2))) == 3
        assert runtime.drive_inline(fan_out.map_bounded, lambda n: inline(n, 1)(), range(6))[5] == 6

    def fork():
        pid = os.fork()
        if pid:
            for _ in range(3000):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    assert status == 0, status
                    return
                time.sleep(0.01)
            os.kill(pid, 9)
            raise AssertionError("the child hangs")
        try:
            check()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
"""


class TestFork:
    def test_with_loop_and_threads_running(self):
        script(
            FORK
            + """
    check()
    fork()
    check()
    fork()
"""
        )

    def test_with_work_under_way_and_requests_taken(self):
        script(
            FORK
            + """
    runtime.limits.requests = 1
    async def hold():
        async with runtime.limits.request():
            await asyncio.sleep(0.3)
    threads = [threading.Thread(target=runtime.io_loop_home.drive, args=(hold,)) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: asyncio.run(
        runtime.WORKERS.run(inline(1, 1)))))
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    async def ask():
        async with runtime.limits.request():
            return 1
    plain = check
    def check():
        plain()
        assert runtime.io_loop_home.drive(ask) == 1
    fork()
    for thread in threads:
        thread.join()
    check()
"""
        )

    def test_with_locks_held_by_other_threads(self):
        script(
            FORK
            + """
    lock, value = runtime.ForkSafeLock(), runtime.PerProcess(lambda: time.sleep(0.2) or os.getpid())
    def hold():
        with lock:
            time.sleep(0.3)
    def hold_all():
        with runtime._io_thread._lock, runtime.pool._lock, runtime.limits._requests._lock:
            time.sleep(0.3)
    threads = [threading.Thread(target=target) for target in (hold, hold_all, value.get)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    plain = check
    def check():
        with lock:
            assert value.get() == os.getpid()
        plain()
    fork()
    for thread in threads:
        thread.join()
    check()
"""
        )

    def test_fork_from_a_worker_thread_and_within_an_event_loop(self):
        script(
            FORK
            + """
    check()
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    async def call():
        pid = os.fork()
        if pid:
            return os.waitpid(pid, 0)[1]
        os._exit(0 if runtime.is_inline() is False else 1)
    assert asyncio.run(runtime.WORKERS.run(call)) == 0
    check()
"""
        )

    def test_values_of_the_parent_are_not_discarded_by_the_child(self):
        out = script(
            FORK
            + """
    value = runtime.PerProcess(os.getpid, lambda pid: print("closed", flush=True))
    value.get()
    def check():
        value.close()
        assert value.get() == os.getpid()
    fork()
    value.close()
"""
        )
        assert out == "closed\n"

    def test_a_listing_half_consumed_in_the_parent(self):
        script(
            FORK
            + """
    from zarrstore.abc import Store
    class Listed(Store):
        async def _get(self, key): ...
        async def _list(self, prefix):
            for n in range(10):
                await asyncio.sleep(0)
                yield str(n)
    keys = Listed().list()
    async def main():
        return await anext(keys)
    asyncio.run(main())
    def check():
        global keys
        del keys
        assert len(Listed().sync) == 10
    fork()
    check()
"""
        )


class TestEndOfTheProcess:
    def test_quiet_with_tasks_and_listings_under_way(self):
        assert (
            script("""
                from zarrstore.abc import Store
                class Listed(Store):
                    async def _get(self, key):
                        await asyncio.sleep(30)
                    async def _list(self, prefix):
                        for n in range(10):
                            yield str(n)
                store = Listed()
                keys = store.sync.list()
                print(next(keys))
                threading.Thread(target=store.sync.get, args=("a",), daemon=True).start()
                time.sleep(0.05)
            """)
            == "0\n"
        )

    def test_importing_starts_nothing(self):
        out = script("""
            import sys, zarrstore.abc, zarrstore.stores.memory
            zarrstore.stores.memory.MemoryStore().sync["a"] = b"1"
            print(threading.active_count())
        """)
        assert out == "1\n"


class TestListings:
    """Half-consumed listings of asynchronous stores release what they hold."""

    @staticmethod
    def _store():
        class Listed(Store):
            def __init__(self) -> None:
                self.opened = 0
                self.closed = threading.Event()

            async def _get(self, key):
                return b""

            async def _list(self, prefix):
                self.opened += 1
                try:
                    for n in range(100):
                        await asyncio.sleep(0)
                        yield f"d/{n}"
                finally:
                    await asyncio.sleep(0)
                    self.closed.set()

        return Listed()

    @pytest.mark.anyio
    async def test_dropped(self):
        store = self._store()
        async for _ in store.list():
            break
        gc.collect()
        assert await anyio.to_thread.run_sync(store.closed.wait, 5)

    @pytest.mark.anyio
    async def test_closed(self):
        store = self._store()
        listing = store.list_dir()
        assert await anext(listing) == "d"
        await listing.aclose()
        assert store.closed.is_set()
        assert [name async for name in listing] == []

    def test_dropped_by_blocking_code(self):
        store = self._store()
        keys = store.sync.list()
        next(keys)
        del keys
        gc.collect()
        assert store.closed.wait(5)

    def test_dropped_in_a_cycle_that_is_collected_on_the_io_loop(self):
        store = self._store()
        keys = store.sync.list()
        next(keys)
        cycle: list[object] = [keys]
        cycle.append(cycle)

        async def collect() -> None:
            gc.collect()

        gc.disable()
        try:
            del keys, cycle
            io_loop_home.drive(collect)
        finally:
            gc.enable()
        assert store.closed.wait(5)

    @pytest.mark.anyio
    async def test_never_started(self):
        store = self._store()
        store.list()
        listing = store.list()
        await listing.aclose()
        del listing
        gc.collect()
        assert store.opened == 0

    @pytest.mark.anyio
    async def test_an_async_generator_that_runs_inline(self):
        """trio warns of an async generator that is collected before its end."""
        closed = []

        class Inline(BlockingStore):
            _home = CALLER

            def _get(self, key):
                return b""

            def _list(self, prefix):
                return keys()

        async def keys():
            try:
                for n in range(100):
                    yield f"d/{n}"
            finally:
                closed.append(True)

        async for _ in Inline().list():
            break
        gc.collect()
        assert closed == [True]

    def test_an_error_of_the_source(self):
        class Broken(Store):
            async def _get(self, key):
                return b""

            async def _list(self, prefix):
                yield "a"
                raise OSError("gone")

        keys = Broken().sync.list()
        assert next(keys) == "a"
        with pytest.raises(OSError, match="gone"):
            list(keys)


@pytest.mark.anyio
async def test_hooks_may_use_anyio_whatever_loop_the_caller_runs():
    import contextvars

    import anyio

    said = contextvars.ContextVar("said", default="nothing")

    class Sleepy(Store):
        async def _get(self, key):
            await anyio.sleep(0)
            return said.get().encode()

    said.set("hello")
    assert await Sleepy().get("a") == b"hello"
