from __future__ import annotations

import os
import pickle
import sqlite3
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from stores.databases import AS_NOBODY, COUNT, let_others_enter, run, start
from zarrstore_testing import StoreTests
from zarrstore_testing.faults import kill_at

import zarrstore
from zarrstore.abc import ABSENT, RangeByteRequest, Store
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    ConflictError,
    CorruptDataError,
    NotShareableError,
    StoreURLError,
)
from zarrstore.stores.sqlite import SQLiteStore


class TestSQLiteStore(StoreTests):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.count = 0

    def make_store(self) -> SQLiteStore:
        self.count += 1
        return SQLiteStore(self.folder / f"{self.count}.db", timeout=0.2)

    @contextmanager
    def failing(self, store: Store) -> Iterator[None]:
        """Let every statement fail."""
        opened: Any = store
        with closing(sqlite3.connect(opened.path, isolation_level=None)) as other:
            other.execute("ALTER TABLE zarr RENAME COLUMN k TO moved")
            yield
            other.execute("ALTER TABLE zarr RENAME COLUMN moved TO k")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.db"


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement).fetchall()


def test_the_table_is_that_of_zarr_2(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        sync["a/b"] = b"1"
        sync.set_many({"a/c": b"2", "d": bytearray(b"3")})
    assert rows(path, "SELECT sql FROM sqlite_master WHERE type = 'table'") == [
        ("CREATE TABLE zarr(k TEXT PRIMARY KEY, v BLOB)",)
    ]
    found = rows(path, "SELECT k, v FROM zarr ORDER BY k")
    assert found == [("a/b", b"1"), ("a/c", b"2"), ("d", b"3")]
    assert [file.name for file in path.parent.iterdir()] == ["data.db"]


def test_what_zarr_2_wrote_opens(path: Path) -> None:
    rows(path, "CREATE TABLE zarr(k TEXT PRIMARY KEY, v BLOB)")
    rows(path, "REPLACE INTO zarr VALUES ('.zgroup', CAST('{}' AS BLOB)), ('a/0.0', x'0102')")
    rows(path, "INSERT INTO zarr VALUES (x'00', x'00'), ('/no//key', x''), ('null', NULL)")
    with SQLiteStore(path).sync as sync:
        assert sorted(sync.list()) == [".zgroup", "a/0.0", "null"]
        assert sync[".zgroup"] == b"{}"
        assert sync.get("a/0.0", RangeByteRequest(1, 5)) == b"\x02"
        assert sync.get("null") == b""
        assert sync.get_many(["null", "a/0.0", "x"]) == [b"", b"\x01\x02", None]
        assert sync.get("null", RangeByteRequest(0, 3)) == b""


def test_text_that_others_wrote_has_the_size_of_its_bytes(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        sync["a"] = b""
    rows(path, "UPDATE zarr SET v = 'ünï' WHERE k = 'a'")
    text = "ünï".encode()
    with SQLiteStore(path).sync as sync:
        assert (sync["a"], sync.getsize("a"), sync.getsize_prefix("")) == (text, 5, 5)
        assert sync.get("a", RangeByteRequest(0, 9)) == text


def test_versions_notice_other_writers_of_the_table(path: Path) -> None:
    sync = SQLiteStore(path).sync
    for first in ("set", "set_many"):
        for statement in (
            "REPLACE INTO zarr VALUES ('n', x'01')",
            "DELETE FROM zarr WHERE k = 'n'; INSERT INTO zarr VALUES ('n', x'01')",
        ):
            sync.clear()
            if first == "set":
                for key in ("m", "n"):
                    sync.set(key, b"0")
            else:
                sync.set_many({"m": b"0", "n": b"0"})
            version = sync.stat("n").version
            for part in statement.split(";"):
                rows(path, part)
            with pytest.raises(ConflictError):
                sync.set("n", b"2", expect=version)
            assert sync["n"] == b"\x01"
    sync.close()


def test_a_version_does_not_come_back(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        seen = set()
        for _ in range(20):
            seen.add(sync.set("n", b"same"))
            sync.delete("n")
            seen.add(sync.set("n", b"same", expect=ABSENT))
        assert len(seen) == 40


def test_processes_lose_no_count(path: Path) -> None:
    sync = SQLiteStore(path).sync
    sync["n"] = b"0"
    code = f"import sys, zarrstore; store = zarrstore.SQLiteStore(sys.argv[1]).sync; {COUNT}"
    code = code.replace("; \n", "\n")
    processes = [start(code, path) for _ in range(3)]
    for process in processes:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert sync["n"] == b"120"
    sync.close()


def test_prefixes_are_no_patterns(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        keys = ["a_b/1", "aXb/1", "a%/1", "a0", "a/1", "a.b", "A/1"]
        sync.set_many(dict.fromkeys(keys, b"12"))
        assert list(sync.list_prefix("a_b")) == ["a_b/1"]
        assert sync.getsize_prefix("a%") == 2
        sync.delete_dir("a_b")
        sync.delete_dir("a")
        assert sorted(sync) == sorted(["aXb/1", "a%/1", "a0", "a.b", "A/1"])
        assert sorted(sync.list_dir()) == ["A", "a%", "a.b", "a0", "aXb"]


def test_one_level_is_listed_without_the_keys_below(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    page = SQLiteStore._page

    def counted(self: SQLiteStore, *args: Any) -> list[str]:
        found = page(self, *args)
        read.append(len(found))
        return found

    with SQLiteStore(path).sync as sync:
        sync.set_many({f"a/{node}/{leaf}": b"" for node in range(20) for leaf in range(300)})
        sync.set_many({f"b/{leaf:03}": b"" for leaf in range(500)})
        monkeypatch.setattr(SQLiteStore, "_page", counted)
        assert sorted(sync.list_dir("a"), key=int) == [str(node) for node in range(20)]
        assert sum(read) < 100
        read.clear()
        assert len(list(sync.list_dir("b"))) == 500
        assert len(read) < 12


def test_a_missing_database_is_empty_and_not_made(path: Path) -> None:
    for store in (SQLiteStore(path), SQLiteStore(path, read_only=True)):
        sync = store.sync
        assert sync.get("a") is None
        assert sync.get_many(["a"]) == [None]
        assert list(sync.list()) == list(sync.list_dir()) == []
        assert sync.getsize_prefix() == 0
        assert sync.is_empty()
        sync.close()
    with SQLiteStore(path).sync as sync:
        sync.delete("a")
        sync.delete_dir("a")
        sync.clear()
    assert not path.exists()
    with SQLiteStore(path.parent / "none" / "x.db").sync as sync:
        assert sync.get("a") is None
        with pytest.raises(BackendError, match="a directory that is there") as caught:
            sync["a"] = b"1"
        assert caught.value.key == "a"
        assert str(path.parent) in str(caught.value)
    with SQLiteStore(path.parent).sync as sync, pytest.raises(BackendError):
        sync.get("a")


def test_a_database_of_others_is_not_spoiled(path: Path) -> None:
    rows(path, "CREATE TABLE mine (x)")
    with SQLiteStore(path).sync as sync:
        assert sync.get("a") is None
        assert list(sync) == []
        sync["a"] = b"1"
        assert sync["a"] == b"1"
    assert rows(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1") == [
        ("mine",),
        ("zarr",),
    ]


@pytest.mark.parametrize("wal", [True, False])
def test_a_locked_database(path: Path, wal: bool) -> None:
    sync = SQLiteStore(path, timeout=0.05, wal=wal).sync
    sync["a"] = b"1"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE zarr SET v = x'02'")
        for change in (
            lambda: sync.set("a", b"3"),
            lambda: sync.set("b", b"3", expect=ABSENT),
            lambda: sync.set_many({"a": b"3"}),
            lambda: sync.delete("a"),
            lambda: sync.clear(),
        ):
            with pytest.raises(BackendError, match="another process has locked it") as caught:
                change()
            assert caught.value.store == sync.url
            assert isinstance(caught.value.__cause__, sqlite3.Error)
        if wal:
            assert sync["a"] == b"1", "readers do not wait"
        other.execute("ROLLBACK")
    assert sync["a"] == b"1"
    sync["a"] = b"4"
    assert sync["a"] == b"4"
    sync.close()


def test_a_writer_waits_for_another(path: Path) -> None:
    sync = SQLiteStore(path).sync
    sync["a"] = b"1"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")

        def release() -> None:
            time.sleep(0.2)
            other.execute("COMMIT")

        thread = threading.Thread(target=release)
        thread.start()
        sync["a"] = b"2"
        thread.join()
    sync.close()


def test_damaged_databases(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        sync.set_many({f"a/{number}": os.urandom(5000) for number in range(200)})
    whole = path.read_bytes()
    damaged = {
        "no database": b"x" * 5000,
        "a cut one": whole[:20_000],
        "rubbish in it": whole[:8192] + b"\xff" * 600_000 + whole[608_192:],
    }
    for name, content in damaged.items():
        path.write_bytes(content)
        with SQLiteStore(path).sync as sync:
            with pytest.raises(CorruptDataError) as caught:
                sync.get_many([f"a/{number}" for number in range(200)])
            assert str(path) in str(caught.value), name
            with pytest.raises(CorruptDataError):
                sync.set_many({f"b/{number}": b"" for number in range(3000)})
        assert path.read_bytes()[:100] == content[:100]
    path.write_bytes(whole)
    with SQLiteStore(path).sync as sync:
        assert len(sync["a/7"]) == 5000


def test_a_value_that_is_too_large(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        sync["a"] = b"old"
        with pytest.raises(BackendError, match="smaller chunks") as caught:
            sync["a"] = memoryview(bytes(1_000_000_001))
        assert caught.value.key == "a"
        with pytest.raises(BackendError, match="smaller chunks"):
            sync.set_many({"b": b"1", "a": memoryview(bytes(2**31))})
        assert dict(sync) == {"a": b"old"}
        sync["a"] = b"new"
        assert sync["a"] == b"new"


def test_a_full_disk(path: Path) -> None:
    """A limit on the size of files fails a write in its midst, as a full disk does."""
    with SQLiteStore(path).sync as sync:
        sync["a"] = b"old"
    run(
        """
        import resource, signal, sys, zarrstore
        from zarrstore.errors import BackendError
        store = zarrstore.SQLiteStore(sys.argv[1]).sync
        store["a"] = b"old"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        for write in (lambda: store.set("a", bytes(200_000)),
                      lambda: store.set("b", bytes(200_000), expect=zarrstore.ABSENT),
                      lambda: store.set_many({str(n): bytes(9000) for n in range(100)})):
            try:
                write()
            except BackendError as error:
                assert sys.argv[1] in str(error), error
            else:
                raise AssertionError
            assert store["a"] == b"old" and list(store) == ["a"]
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store["a"] = bytes(200_000)
        store.close()
        """,
        path,
    )
    with SQLiteStore(path).sync as sync:
        assert dict(sync) == {"a": bytes(200_000)}


def test_without_permission(tmp_path: Path) -> None:
    let_others_enter(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "data.db"
    with SQLiteStore(path).sync as sync:
        sync["a/k"] = b"precious"
    code = """
    def denied(call):
        try:
            found = call()
        except BackendError as error:
            assert sys.argv[1] in str(error)
        else:
            raise AssertionError(found)
    for read_only in (False, True):
        store = SQLiteStore(sys.argv[1], read_only=read_only).sync
        if sys.argv[2] == "hidden":
            denied(lambda: store.get("a/k"))
            denied(lambda: store.exists("a/k"))
            denied(lambda: list(store))
        else:
            assert store["a/k"] == b"precious" and list(store) == ["a/k"]
            assert store.get("a/k", RangeByteRequest(0, 3)) == b"pre"
        if not read_only:
            if sys.argv[2] != "hidden":
                store.delete("no")
            denied(lambda: store.set("a/k", b"2"))
            denied(lambda: store.delete("a/k") if sys.argv[2] != "hidden" else store.clear())
        store.close()
    """
    path.chmod(0o444)
    for mode, name in ((0o555, "readable"), (0o000, "hidden")):
        folder.chmod(mode)
        try:
            run(AS_NOBODY + textwrap.dedent(code), path, name)
        finally:
            folder.chmod(0o755)
    assert sorted(file.name for file in folder.iterdir()) == ["data.db"]


def test_a_file_that_cannot_be_written(path: Path) -> None:
    with SQLiteStore(path).sync as sync:
        sync["a"] = b"1"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    let_others_enter(path.parent)
    path.chmod(0o444)
    run(
        AS_NOBODY
        + """
store = SQLiteStore(sys.argv[1]).sync
assert store["a"] == b"1"
try:
    store["a"] = b"2"
except AccessDeniedError as error:
    assert isinstance(error, PermissionError) and "owner and mode" in str(error)
else:
    raise AssertionError
""",
        path,
    )


def test_killed_in_the_midst_of_a_write(path: Path) -> None:
    code = """
        import sys, zarrstore
        store = zarrstore.SQLiteStore(sys.argv[1]).sync
        store.set_many({f"a/{number}": b"n" * 20_000 for number in range(30)})
        store.set("a/0", b"m" * 50_000)
        store.close()
    """
    ends = set()
    for when in (1, 2, 5, 40, 90, 150, 200):
        for file in path.parent.iterdir():
            file.unlink()
        with SQLiteStore(path).sync as sync:
            sync.set_many({f"a/{number}": b"o" * 20_000 for number in range(30)})
        kill_at(code, "pwrite64", when, arguments=[str(path)])
        with SQLiteStore(path).sync as sync:
            found = dict(sync)
        assert len(found) == 30
        kinds = {(value[:1], len(value)) for value in found.values()}
        assert kinds <= {(b"o", 20_000), (b"n", 20_000), (b"m", 50_000)}
        assert len({kind for kind in kinds if kind[0] != b"m"}) == 1, "all of a batch, or nothing"
        ends.add(frozenset(kinds))
    assert len(ends) > 1


def test_a_database_that_is_deleted(path: Path) -> None:
    sync = SQLiteStore(path).sync
    sync["a"] = b"1"
    pid = os.fork()  # closes the connections
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    path.unlink()
    assert sync.get("a") is None
    sync["b"] = b"2"
    assert dict(sync) == {"b": b"2"}
    sync.close()


@pytest.mark.parametrize("wal", [True, False])
def test_a_database_that_is_deleted_while_it_is_open(path: Path, wal: bool) -> None:
    """What is written afterwards is in the file that has the name."""
    sync = SQLiteStore(path, wal=wal).sync
    sync["a"] = b"1"
    assert sync["a"] == b"1"
    for file in path.parent.glob("data.db*"):
        file.unlink()
    sync["b"] = b"2"
    with SQLiteStore(path).sync as other:
        assert dict(other) == {"b": b"2"}
    assert sync.get("a") is None
    sync.close()


def test_a_database_that_is_replaced_while_it_is_read(path: Path) -> None:
    for name, value in ((path.name, b"old"), ("new.db", b"new")):
        with SQLiteStore(path.parent / name).sync as writer:
            writer["a"] = value
    sync = SQLiteStore(path, read_only=True).sync
    assert sync["a"] == b"old"
    (path.parent / "new.db").rename(path)
    time.sleep(0.02)
    assert sync["a"] == b"new"
    sync.close()


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("timeout", "soon", TypeError),
        ("timeout", None, TypeError),
        ("timeout", float("nan"), ValueError),
        ("timeout", -1, ValueError),
        ("durable", "no", TypeError),
        ("wal", None, TypeError),
        ("nothing", 1, TypeError),
    ],
)
def test_an_option_that_is_wrong_is_named(
    path: Path, option: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=option):
        zarrstore.open_store(f"sqlite://{path}", storage_options={option: value})


def test_forks(path: Path) -> None:
    """No connection goes through a fork: the child and its parent write on."""
    store = SQLiteStore(path)
    sync = store.sync
    sync["a"] = b"1"
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                sync[f"child/{number}"] = b"c"
                status = 0 if sync["a"] == b"1" else 2
                sync.close()
            finally:
                os._exit(status)
        sync[f"parent/{number}"] = b"p"
        assert os.waitpid(pid, 0)[1] == 0
    assert len(sync) == 7
    sync.close()
    with SQLiteStore(path).sync as again:
        assert len(again) == 7


def test_a_fork_within_an_operation(path: Path) -> None:
    """A connection that is in use goes through it: the child says so, and touches nothing."""
    store = SQLiteStore(path)
    store.sync["a"] = b"1"

    def fork(parts: Any, size: int) -> Any:
        pid = os.fork()
        if pid == 0:
            try:
                SQLiteStore(path).sync.set("a", b"2")
            except NotShareableError:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        return []

    assert store.sync.get_versioned("a", [RangeByteRequest(0, 1)], fork).parts == [b"1"]
    store.sync["a"] = b"3"
    store.sync.close()


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (
        "sqlite://x.db", f"sqlite://{tmp_path}/x.db", f"sqlite:///{tmp_path}/x.db"
    ):  # fmt: skip
        store = zarrstore.open_store(url, storage_options={"timeout": 1, "durable": True})
        assert isinstance(store, SQLiteStore)
        assert store.url == f"sqlite://{tmp_path}/x.db"
        assert store == zarrstore.open_store(store.url) == pickle.loads(pickle.dumps(store))
        store.sync[f"{len(url)}"] = b"1"
        store.sync.close()
    for url, message in {
        "sqlite:///x.db": "a relative path has two slashes: 'sqlite://x.db'",
        "sqlite:///no/such/x.db": "has no folder '/no/such'",
        "sqlite://": "names no file",
        "sqlite://x.db?timeout=1": "storage_options",
        "sqlite:x.db": "did you mean 'sqlite://x.db'",
    }.items():
        with pytest.raises(StoreURLError, match=message.replace("?", ".")):
            zarrstore.open_store(url)
    with pytest.raises(TypeError):
        zarrstore.open_store("sqlite://x.db", storage_options={"no": 1})
    with pytest.raises(ValueError, match="MemoryStore"):
        SQLiteStore(":memory:")
    (tmp_path / "named.zarr").write_bytes((tmp_path / "x.db").read_bytes())
    found = zarrstore.open_store("named.zarr")
    assert isinstance(found, SQLiteStore)
    assert len(found.sync) == 3
    found.sync.close()


def test_many_at_once(path: Path) -> None:
    with SQLiteStore(path, durable=True).sync as sync:
        values = {f"é {number}": os.urandom(number * 50) for number in range(400)}
        sync.set_each(values.items())
        asked = [*reversed(values), "none", "é 7", "é 7"]
        assert sync.get_many(asked) == [values.get(key) for key in asked]
        mixed = [("é 9", RangeByteRequest(1, 3)), "é 3", ("none", RangeByteRequest(0, 1))]
        assert sync.get_many(mixed) == [values["é 9"][1:3], values["é 3"], None]

        def items() -> Iterator[tuple[str, bytes]]:
            yield "before", b"1"
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError):
            sync.set_each(items())
        assert sync["before"] == b"1"


def test_a_missing_directory_is_no_permission(path: Path) -> None:
    assert issubclass(AccessDeniedError, BackendError)
    (path.parent / "file").write_bytes(b"")
    with SQLiteStore(path.parent / "file" / "x.db").sync as sync:
        assert sync.get("a") is None
