from __future__ import annotations

import gc
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import lmdb
import pytest
from stores.databases import AS_NOBODY, COUNT, let_others_enter, run, start
from zarrstore_testing import StoreTests
from zarrstore_testing.faults import kill_at

import zarrstore
from zarrstore.abc import ABSENT, OffsetByteRequest, RangeByteRequest
from zarrstore.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    NotShareableError,
    StoreURLError,
)
from zarrstore.stores.lmdb import LMDBStore


class TestLMDBStore(StoreTests):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.count = 0

    def make_store(self) -> LMDBStore:
        self.count += 1
        return LMDBStore(self.folder / f"{self.count}.lmdb")

    def allows_key(self, key: str) -> bool:
        return len(key.encode()) <= 511

    @contextmanager
    def failing(self, store: Any) -> Iterator[None]:
        """Let every transaction fail."""
        environment = store._environment
        env, environment.env = environment.env, _Failing()
        yield
        environment.env = env


class _Failing:
    def begin(self, *_: Any, **__: Any) -> Any:
        raise lmdb.DiskError("the disk failed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.lmdb"


def entries(path: Path, **options: Any) -> dict[bytes, bytes]:
    with closing(lmdb.open(str(path), **options)) as env, env.begin() as transaction:
        return dict(transaction.cursor())


def test_the_layout_is_that_of_zarr_2(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync["a/b"] = b"1"
        sync.set_many({"é": b"2", "d": bytearray(b"3")})
        assert entries_while_open(sync) == 3
    assert sorted(file.name for file in path.iterdir()) == ["data.mdb", "lock.mdb"]
    assert entries(path) == {b"a/b": b"1", "é".encode(): b"2", b"d": b"3"}


def entries_while_open(sync: Any) -> int:
    return len(list(sync))


def test_what_zarr_2_wrote_opens(path: Path) -> None:
    """Made with the options that zarr 2 gives to lmdb.open."""
    options = {"map_size": 2**40, "meminit": False, "writemap": True, "metasync": False}
    with (
        closing(lmdb.open(str(path), sync=False, map_async=False, **options)) as env,
        env.begin(write=True) as transaction,
    ):
        for key, value in ((b".zgroup", b"{}"), (b"a/0.0", b"\1\2"), (b"\xff", b""), (b"/a", b"")):
            transaction.put(key, value)
    with LMDBStore(path).sync as sync:
        assert sorted(sync) == [".zgroup", "a/0.0"]
        assert sync["a/0.0"] == b"\1\2"
        sync["a/0.1"] = b"3"
    with LMDBStore(path, read_only=True).sync as sync:
        assert sync["a/0.1"] == b"3"


@pytest.mark.parametrize("subdir", [True, False])
def test_a_folder_or_a_file(path: Path, subdir: bool) -> None:
    with LMDBStore(path, subdir=subdir).sync as sync:
        sync["a"] = b"1"
    assert path.is_dir() is subdir
    with LMDBStore(path).sync as sync:  # finds out by itself
        assert sync["a"] == b"1"


def test_long_keys(path: Path) -> None:
    key = "k" * 511
    with LMDBStore(path).sync as sync:
        sync[key] = b"1"
        long = key + "k"
        for write in (
            lambda: sync.set(long, b"1"),
            lambda: sync.set(long, b"1", expect=ABSENT),
            lambda: sync.set_many({"a": b"1", long: b"1"}),
        ):
            with pytest.raises(BackendError, match="keys of 511 bytes, and this one has 512"):
                write()
        assert sync.get(long) is None
        assert sync.stat(long) is None
        assert not sync.exists(long)
        assert sync.get_many([long, key]) == [None, b"1"]
        assert sync.get_many([(long, OffsetByteRequest(0)), key]) == [None, b"1"]
        sync.delete(long)
        assert list(sync.list_prefix(long)) == []
        sync.delete_dir(long)
        assert sync.getsize_prefix(long) == 0
        assert list(sync) == [key]


def test_the_map_grows(path: Path) -> None:
    """In this process, and where another process has grown it."""
    sync = LMDBStore(path, map_size=2**16).sync
    sync["a"] = b"1"
    code = """
        import sys, zarrstore
        store = zarrstore.LMDBStore(sys.argv[1], map_size=2**16).sync
        assert store["a"] == b"1"
        print("ready", flush=True)
        sys.stdin.readline()
        assert len(store["big"]) == 3_000_000
        store["theirs"] = bytes(6_000_000)
    """
    other = start(code, path)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    threads = [
        threading.Thread(target=lambda n=number: [sync.get("a") for _ in range(2000)])
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    sync["big"] = bytes(3_000_000)
    sync.set_many({f"many/{number}": bytes(1000) for number in range(500)})
    for thread in threads:
        thread.join()
    _, error = other.communicate("\n", timeout=60)
    assert other.returncode == 0, error
    assert len(sync["theirs"]) == 6_000_000
    sync["more"] = bytes(12_000_000)
    assert sync["a"] == b"1"
    assert len(list(sync.list_prefix("many"))) == 500
    sync.close()


def test_one_environment_for_all_stores_of_a_path(path: Path) -> None:
    """LMDB's locks do not bear that a process opens a file twice."""
    first, second = LMDBStore(path), LMDBStore(path)
    first.sync["a"] = b"1"
    copy = pickle.loads(pickle.dumps(second))
    copy.sync["b"] = b"2"
    first.sync.close()
    assert second.sync["b"] == b"2"
    second.sync.close()
    assert dict(copy.sync) == {"a": b"1", "b": b"2"}
    del copy, first, second
    gc.collect()
    assert entries(path) == {b"a": b"1", b"b": b"2"}, "nobody has it open"


def test_opened_by_others_in_this_process(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync["a"] = b"1"
    store = LMDBStore(path).sync
    with (
        closing(lmdb.open(str(path))),
        pytest.raises(BackendError, match=r"opened it by lmdb.open") as caught,
    ):
        store.get("a")
    assert caught.value.store == store.url
    assert store["a"] == b"1"
    store.close()


def test_a_missing_database_is_empty_and_not_made(path: Path) -> None:
    for read_only in (False, True):
        with LMDBStore(path, read_only=read_only).sync as sync:
            assert sync.get("a") is None
            assert sync.get_many(["a"]) == [None]
            assert list(sync) == list(sync.list_dir()) == []
            assert sync.is_empty()
            if not read_only:
                sync.delete("a")
                sync.clear()
    assert not path.exists()
    with LMDBStore(path / "none" / "x").sync as sync:
        with pytest.raises(BackendError) as caught:
            sync["a"] = b"1"
        assert str(path) in str(caught.value)


def test_read_only_first_then_written(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync["a"] = b"1"
    reader = LMDBStore(path, read_only=True).sync
    assert reader["a"] == b"1"
    with LMDBStore(path).sync as writer:
        writer["a"] = b"2"
        assert reader["a"] == b"2"
    assert reader["a"] == b"2"
    reader.close()


def test_damaged_databases(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync.set_many({f"a/{number}": os.urandom(5000) for number in range(100)})
    file = path / "data.mdb"
    with file.open("rb") as opened:
        whole = opened.read(2_000_000)  # the file seems to have a terabyte
    for content in (b"x" * 20_000, whole[:20_000], b"", whole[:4096]):
        file.write_bytes(content)
        with LMDBStore(path).sync as sync:
            if content:
                with pytest.raises(CorruptDataError) as caught:
                    sync.get("a/7")
                assert str(path) in str(caught.value)
                with pytest.raises(CorruptDataError):
                    sync.set("a", b"1")
            else:
                assert sync.get("a/7") is None
    file.write_bytes(whole)
    with LMDBStore(path).sync as sync:
        assert len(sync["a/7"]) == 5000


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed before LMDB's map is written to, which would end the process."""
    sync = LMDBStore(path).sync
    sync["a"] = b"old"
    free = os.statvfs(path.parent)
    full = os.statvfs_result((*free[:4], 3, *free[5:]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: full)
        sync.store._environment._look_at = 0  # type: ignore[attr-defined]
        for write in (
            lambda: sync.set("a", b"new"),
            lambda: sync.set("b", b"new", expect=ABSENT),
            lambda: sync.set_many({"a": b"new"}),
        ):
            with pytest.raises(BackendError, match="disk is full") as caught:
                write()
            assert caught.value.store == sync.url
        assert sync["a"] == b"old"
        sync.delete("none")
        with pytest.raises(BackendError, match="disk is full"):
            sync.delete("a")
    sync["a"] = b"new"
    assert dict(sync) == {"a": b"new"}
    sync.close()


def test_a_limit_on_the_size_of_files(path: Path) -> None:
    run(
        """
        import resource, signal, sys, zarrstore
        from zarrstore.errors import BackendError
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        store = zarrstore.LMDBStore(sys.argv[1]).sync
        try:
            store["a"] = b"1"
        except BackendError as error:
            assert sys.argv[1] in str(error), error
        else:
            raise AssertionError
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store["a"] = b"2"
        store.close()
        """,
        path,
    )
    with LMDBStore(path).sync as sync:
        assert sync["a"] == b"2"


def test_without_permission(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync["a/k"] = b"precious"
    let_others_enter(path.parent)
    code = """
def denied(call):
    try:
        found = call()
    except AccessDeniedError as error:
        assert sys.argv[1] in str(error) and "owner and mode" in str(error)
    else:
        raise AssertionError(found)
for read_only in (False, True):
    store = LMDBStore(sys.argv[1], read_only=read_only).sync
    if sys.argv[2] == "hidden":
        denied(lambda: store.get("a/k"))
        denied(lambda: list(store))
    else:
        assert store["a/k"] == b"precious" and list(store) == ["a/k"]
    if not read_only:
        denied(lambda: store.set("a/k", b"2"))
    store.close()
"""
    for file in path.iterdir():
        file.chmod(0o444)
    for mode, name in ((0o555, "readable"), (0o000, "hidden")):
        path.chmod(mode)
        try:
            run(AS_NOBODY + code, path, name)
        finally:
            path.chmod(0o755)


def test_processes_lose_no_count(path: Path) -> None:
    with LMDBStore(path).sync as sync:
        sync["n"] = b"0"
        code = f"import sys, zarrstore\nstore = zarrstore.LMDBStore(sys.argv[1]).sync\n{COUNT}"
        processes = [start(code, path) for _ in range(3)]
        for process in processes:
            _, error = process.communicate(timeout=120)
            assert process.returncode == 0, error
        assert sync["n"] == b"120"


def test_killed_in_the_midst_of_a_write(path: Path) -> None:
    code = """
        import sys, zarrstore
        store = zarrstore.LMDBStore(sys.argv[1], durable=True).sync
        for value in (b"n", b"m"):
            store.set_many({f"a/{number}": value * 20_000 for number in range(30)})
    """
    with LMDBStore(path).sync as sync:
        sync.set_many({f"a/{number}": b"o" * 20_000 for number in range(30)})
    ends = set()
    for when in (1, 2, 3, 4):
        kill_at(code, "msync", when, arguments=[str(path)])
        with LMDBStore(path).sync as sync:
            found = dict(sync)
            ends.add(next(iter(found.values()))[:1])
        assert len(found) == 30
        assert len(set(found.values())) == 1, "all of a batch, or nothing"
        assert len(found["a/0"]) == 20_000
    assert ends & {b"n", b"m"}


def test_forks(path: Path) -> None:
    sync = LMDBStore(path).sync
    sync["a"] = b"1"

    def child(index: int, _: Any, status: int = 7) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                sync["child"] = b"c"
                assert sync["a"] == b"1"
                sync.close()
                os._exit(0)
            except NotShareableError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status

    child(0, None, 0)
    sync.get_each(["a"], child)  # in the midst of a transaction, which the child must not touch
    sync["parent"] = b"p"
    assert sorted(sync) == ["a", "child", "parent"]
    sync.close()


def test_forks_while_a_thread_makes_stores(path: Path) -> None:
    """The child meets environments that were made while the fork was prepared."""
    path.mkdir()
    ended = threading.Event()
    raised: list[Any] = []

    def make() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with LMDBStore(path / str(number % 20), map_size=2**20).sync as sync:
                sync["a"] = b"1"

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(25):
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                for number in range(20):
                    with suppress(NotShareableError, BackendError):
                        LMDBStore(path / str(number), map_size=2**20).sync.get("a")
                os._exit(0)
            raised.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    finally:
        ended.set()
        thread.join()
    assert set(raised) == {0}


def test_a_database_that_is_deleted_while_it_is_open(path: Path) -> None:
    """What is written afterwards is in the file that has the name."""
    sync = LMDBStore(path).sync
    sync["a"] = b"1"
    shutil.rmtree(path)
    time.sleep(0.02)
    sync["b"] = b"2"
    assert (path / "data.mdb").exists()
    assert dict(sync) == {"b": b"2"}
    shutil.rmtree(path)
    with LMDBStore(path).sync as other:
        assert other.get("b") is None
    time.sleep(0.02)
    sync.delete("b")
    sync["c"] = b"3"
    sync.close()
    with LMDBStore(path).sync as other:
        assert dict(other) == {"c": b"3"}


def test_killed_readers_leave_their_places(path: Path) -> None:
    with closing(lmdb.open(str(path), max_readers=4)) as other, other.begin(write=True) as writer:
        writer.put(b"a", b"1")
    code = """
    import lmdb, sys, time
    reader = lmdb.open(sys.argv[1], max_readers=4).begin()
    print(reader.get(b"a"), flush=True)
    time.sleep(100)
    """
    readers = [start(code, path)]
    for _ in range(2):
        assert readers[-1].stdout is not None
        assert readers[-1].stdout.readline() == "b'1'\n"
        readers.append(start(code, path))
    assert readers[-1].stdout.readline() == "b'1'\n"  # type: ignore[union-attr]
    sync = LMDBStore(path).sync
    assert sync["a"] == b"1"
    for reader in readers:
        reader.kill()
        reader.communicate()
    found: list[Any] = []
    sync.get_each(["a"], lambda _, value: found.append((bytes(value), sync["a"])))  # two at once
    assert found == [(b"1", b"1")]
    sync.close()


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("map_size", "big", TypeError),
        ("map_size", 1e9, TypeError),
        ("map_size", 0, ValueError),
        ("durable", "no", TypeError),
        ("subdir", "yes", TypeError),
    ],
)
def test_an_option_that_is_wrong_is_named(
    path: Path, option: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=option):
        zarrstore.open_store(f"lmdb://{path}", storage_options={option: value})


def test_values_are_read_where_they_are(path: Path) -> None:
    kept: list[Any] = []
    with LMDBStore(path).sync as sync:
        sync["a"] = bytes(10_000)
        sync.get_each(["a", "b"], lambda _, value: kept.append(value))
        with pytest.raises(ValueError, match="released"):
            len(kept[0])
        assert kept[1] is None
        buffer = bytearray(4)
        assert sync.get_into("a", buffer, RangeByteRequest(0, 4)) == 4
        with pytest.raises(ConflictError):
            sync.set("a", b"1", expect=ABSENT)


def test_errors_of_the_receiver_are_its_own(path: Path) -> None:
    def receive(_: int, __: Any) -> None:
        raise OSError("mine")

    with LMDBStore(path).sync as sync:
        sync["a"] = b"1"
        with pytest.raises(OSError, match="mine") as caught:
            sync.get_each(["a"], receive)
        assert type(caught.value) is OSError


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("lmdb://x", f"lmdb://{tmp_path}/x"):
        store = zarrstore.open_store(url, storage_options={"durable": True})
        assert isinstance(store, LMDBStore)
        assert store.url == f"lmdb://{tmp_path}/x"
        store.sync["a"] = b"1"
        store.sync.close()
    for url in ("lmdb:///no/such/x", "lmdb://", "lmdb://x?a=1", "lmdb:x"):
        with pytest.raises(StoreURLError):
            zarrstore.open_store(url)


def test_the_package_is_named_where_it_is_missing() -> None:
    run(
        """
        import sys
        sys.modules["lmdb"] = None
        import zarrstore
        for opened in (lambda: zarrstore.open_store("lmdb://x"), lambda: zarrstore.LMDBStore):
            try:
                opened()
            except (ImportError, zarrstore.StoreURLError) as error:
                assert "pip install 'zarrstore[lmdb]'" in str(error)
            else:
                raise AssertionError
        """
    )
