from __future__ import annotations

import dbm
import importlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from stores.databases import AS_NOBODY, let_others_enter, run, start
from zarrstore_testing import StoreTests

import zarrstore
from zarrstore.abc import Capability, Store
from zarrstore.errors import (
    BackendError,
    CorruptDataError,
    NotShareableError,
    StoreURLError,
)
from zarrstore.stores._dbm import FLAVOURS
from zarrstore.stores.dbm import DBMStore


def is_there(flavour: str) -> bool:
    try:
        importlib.import_module(f"dbm.{flavour}")
    except ImportError:
        return False
    return True


HERE = [flavour for flavour in FLAVOURS if is_there(flavour)]


@pytest.fixture(params=HERE)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestDBMStore(StoreTests):
    many_keys = 300

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, flavour: str) -> None:
        self.folder = tmp_path
        self.flavour = flavour
        self.count = 0

    def make_store(self) -> DBMStore:
        self.count += 1
        return DBMStore(self.folder / f"{self.count}.dbm", open=self.flavour)

    def reopen(self, store: Store) -> DBMStore:
        opened: Any = store
        return DBMStore(opened.path, open=self.flavour)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.dbm"


def test_the_layout_is_that_of_zarr_2(path: Path, flavour: str) -> None:
    opened = importlib.import_module(f"dbm.{flavour}").open
    with DBMStore(path, open=opened).sync as sync:
        sync["a/b"] = b"1"
        sync["é"] = b"2"
    with opened(str(path), "c") as database:
        assert {bytes(key): database[key] for key in database.keys()} == {  # noqa: SIM118
            b"a/b": b"1",
            "é".encode(): b"2",
        }
        database[b"c"] = b"3"
        database[b"\xff"] = b"no key"
    with DBMStore(path, "r").sync as sync:  # finds the flavour by itself
        assert dict(sync) == {"a/b": b"1", "é": b"2", "c": b"3"}
        assert sync.read_only


def test_flags(path: Path, flavour: str) -> None:
    for flag in ("r", "c"):
        with DBMStore(path, flag, open=flavour).sync as sync:
            assert sync.get("a") is None
            assert list(sync) == []
        assert list(path.parent.iterdir()) == []
    with DBMStore(path, "w", open=flavour).sync as sync, pytest.raises(BackendError):
        sync.get("a")
    with DBMStore(path, "n", open=flavour).sync as sync:
        sync["a"] = b"1"
        assert sync["a"] == b"1"
        sync["b"] = b"2"
        assert sorted(sync) == ["a", "b"]
    with DBMStore(path, "w", open=flavour).sync as sync:
        assert sorted(sync) == ["a", "b"]
    with DBMStore(path, "n", open=flavour).sync as sync:
        assert list(sync) == []
    for wrong in ("", "x"):
        with pytest.raises(ValueError, match="flag is"):
            DBMStore(path, wrong)
    with pytest.raises(ValueError, match="read_only"):
        DBMStore(path, "n", read_only=True)
    for option, value in {"flag": 5, "mode": "rw", "open": 5, "write_lock": "no"}.items():
        with pytest.raises(TypeError, match=f"^{option} is "):
            zarrstore.open_store(f"dbm://{path}", storage_options={option: value})
    with pytest.raises(ValueError, match="open is one of"):
        DBMStore(path, open="oracle")


def test_one_process_at_a_time_writes(path: Path, flavour: str) -> None:
    sync = DBMStore(path, open=flavour).sync
    sync["a"] = b"1"
    sync.flush()
    code = """
        import sys, zarrstore
        from zarrstore.errors import BackendError
        for flag in ("c", "r"):
            store = zarrstore.DBMStore(sys.argv[1], flag, open=sys.argv[2]).sync
            for call in (lambda: store.get("a"), lambda: list(store)):
                try:
                    found = call()
                except BackendError as error:
                    assert "another process has it open" in str(error), error
                else:
                    raise AssertionError(found)
        print("ready", flush=True)
        sys.stdin.readline()
        assert store["a"] == b"2"
    """
    other = start(code, path, flavour)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n", other.communicate()
    sync["a"] = b"2"
    sync.close()
    _, error = other.communicate("\n", timeout=60)
    assert other.returncode == 0, error


def test_stores_of_one_process_share_the_database(path: Path, flavour: str) -> None:
    first, second = DBMStore(path, open=flavour), DBMStore(path, open=flavour)
    reader = DBMStore(path, "r", open=flavour)
    first.sync["a"] = b"1"
    assert second.sync["a"] == b"1"
    assert reader.sync["a"] == b"1"
    second.sync["b"] = b"2"
    first.sync.close()
    assert sorted(reader.sync) == ["a", "b"]
    second.sync.close()
    reader.sync.close()


def test_pickles_and_forks(path: Path, flavour: str) -> None:
    store = DBMStore(path, open=flavour)
    store.sync["a"] = b"1"
    assert Capability.SHARED not in store.capabilities
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            store.sync.get("a")
        except NotShareableError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    store.sync["b"] = b"2"
    store.sync.close()
    reader = DBMStore(path, "r", open=flavour)
    assert Capability.SHARED in reader.capabilities
    copy = pickle.loads(pickle.dumps(reader))
    assert dict(copy.sync) == {"a": b"1", "b": b"2"}
    copy.sync.close()
    reader.sync.close()


def test_a_child_may_open_what_its_parent_did_not(path: Path, flavour: str) -> None:
    store = DBMStore(path, open=flavour)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            store.sync["a"] = b"1"
            store.sync.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.sync["a"] == b"1"
    store.sync.close()


def test_flavours_that_are_not_here(path: Path) -> None:
    for flavour in set(FLAVOURS) - set(HERE):
        with pytest.raises(ImportError, match=f"this Python has no dbm.{flavour}"):
            DBMStore(path, open=flavour)
        with pytest.raises(StoreURLError, match=f"this Python has no dbm.{flavour}"):
            zarrstore.open_store(f"dbm://x?flavour={flavour}")


def test_a_child_that_ends_spoils_nothing(path: Path, flavour: str) -> None:
    """Its interpreter lets go of what it has, and must not write or unlock it."""
    out = run(
        """
        import os, sys, zarrstore
        store = zarrstore.DBMStore(sys.argv[1], open=sys.argv[2]).sync
        store["a"] = b"1"
        pid = os.fork()
        if pid == 0:
            sys.exit()
        os.waitpid(pid, 0)
        store["b"] = b"2"
        store.close()
        print(sorted(zarrstore.DBMStore(sys.argv[1], "r").sync))
        """,
        path,
        flavour,
    )
    assert out == "['a', 'b']\n"


def test_damaged_and_other_files(path: Path) -> None:
    path.write_bytes(b"x" * 100)
    with DBMStore(path).sync as sync:
        with pytest.raises(CorruptDataError, match="another kind") as caught:
            sync.get("a")
        assert caught.value.store == sync.url
        with pytest.raises(CorruptDataError):
            sync["a"] = b"1"
    assert path.read_bytes() == b"x" * 100
    other = path.parent / "other"
    with DBMStore(other, open="dumb").sync as sync:
        sync["a"] = b"1"
    index = path.parent / "other.dir"
    index.write_text(index.read_text() + "'rubbish\n")
    with DBMStore(other).sync as sync, pytest.raises(CorruptDataError, match="damaged"):
        sync.get("a")


def test_without_permission(path: Path, flavour: str) -> None:
    with DBMStore(path, open=flavour).sync as sync:
        sync["a"] = b"1"
    folder = path.parent
    let_others_enter(folder)
    code = """
store = DBMStore(sys.argv[1], open=sys.argv[2]).sync
try:
    store["a"] = b"2"
except BackendError as error:
    assert sys.argv[1] in str(error), error
else:
    raise AssertionError
"""
    for file in folder.iterdir():
        file.chmod(0o000)
    modules = f"import dbm.dumb, dbm.{flavour}, fcntl"
    run(modules + AS_NOBODY + code, path, flavour)
    for file in folder.iterdir():
        file.chmod(0o644)
    with DBMStore(path).sync as sync:
        assert sync["a"] == b"1"


def test_a_limit_on_the_size_of_files(path: Path, flavour: str) -> None:
    with DBMStore(path, open=flavour).sync as sync:
        sync["a"] = b"old"
        sync["b"] = b"beside"
    run(
        """
        import resource, signal, sys, zarrstore
        from zarrstore.errors import BackendError, CorruptDataError
        store = zarrstore.DBMStore(sys.argv[1], open=sys.argv[2]).sync
        assert store["a"] == b"old"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            store["a"] = bytes(300_000)
        except BackendError as error:
            assert sys.argv[1] in str(error), error
        else:
            raise AssertionError
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        if sys.argv[2] == "gnu":  # gdbm has to be mended then, and must not seem to be empty
            for call in (lambda: store.get("b"), lambda: list(store), lambda: store.set("a", b"")):
                try:
                    found = call()
                except CorruptDataError as error:
                    assert "gdbmtool" in str(error), error
                else:
                    raise AssertionError(found)
            sys.exit()
        assert store["a"] == b"old" and store["b"] == b"beside"
        store["a"] = bytes(300_000)
        store.close()
        """,
        path,
        flavour,
    )
    with DBMStore(path).sync as sync:
        if flavour == "gnu":
            with pytest.raises(CorruptDataError, match="gdbmtool"):
                sync.exists("b")
        else:
            assert dict(sync) == {"a": bytes(300_000), "b": b"beside"}


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flavour: str) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (f"dbm://x?flavour={flavour}", f"dbm://{tmp_path}/x"):
        store = zarrstore.open_store(url)
        assert isinstance(store, DBMStore)
        assert store.url == f"dbm://{tmp_path}/x"
        store.sync["a"] = b"1"
        store.sync.close()
    assert dbm.whichdb("x") == f"dbm.{flavour}"
    for url in ("dbm://", "dbm://x?flavour=oracle", "dbm://x?a=1", "dbm:///no/such/x", "dbm:x"):
        with pytest.raises(StoreURLError):
            zarrstore.open_store(url)
