from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from zarrstore_testing.faults import kill_at

from zarrstore.abc import (
    ABSENT,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarrstore.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    InvalidKeyError,
    KeyNotFoundError,
    NotShareableError,
    ReadOnlyError,
    StoreClosedError,
)
from zarrstore.operations import Capability
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.zip import ZipStore

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
TEXT = b"0123456789" * 2000


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return sorted(file.namelist())


def run(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.zip"


@pytest.fixture(params=METHODS, ids=["stored", "deflated", "bzip2", "lzma"])
def method(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_written_and_read_back_before_and_after_close(path: Path, method: int) -> None:
    values = {"zarr.json": b"{}", "a/c/0": TEXT, "a/c/é ☃+%": os.urandom(300), "empty": b""}
    with ZipStore(path, compression=method).sync as sync:
        for key, value in values.items():
            sync[key] = value
        assert dict(sync) == values
        assert [file.name for file in path.parent.iterdir()] != [path.name]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert names(path) == sorted(values)
    assert dict(ZipStore(path, mode="r").sync) == values


RANGES: list[tuple[Any, int, int]] = [
    (RangeByteRequest(0, 0), 0, 0),
    (RangeByteRequest(2, 5), 2, 5),
    (RangeByteRequest(19_998, 10**9), 19_998, 20_000),
    (RangeByteRequest(20_000, 20_001), 0, 0),
    (RangeByteRequest(0, 10**9), 0, 20_000),
    (OffsetByteRequest(19_990), 19_990, 20_000),
    (OffsetByteRequest(20_000), 0, 0),
    (SuffixByteRequest(0), 0, 0),
    (SuffixByteRequest(7), 19_993, 20_000),
    (SuffixByteRequest(10**9), 0, 20_000),
]


@pytest.mark.parametrize("reopened", [False, True])
def test_byte_ranges(path: Path, method: int, reopened: bool) -> None:
    store = ZipStore(path, compression=method)
    store.sync["k"] = TEXT
    if reopened:
        store.sync.close()
        store = ZipStore(path, mode="r")
    for request, start, stop in RANGES:
        assert store.sync.get("k", request) == TEXT[start:stop]
        assert store.sync.get("none", byte_range=request) is None
        buffer = bytearray(20_000)
        assert store.sync.get_into("k", buffer, request) == stop - start
        assert buffer[: stop - start] == TEXT[start:stop]
    asked = [request for request, _, _ in RANGES]
    wanted = [TEXT[start:stop] for _, start, stop in RANGES]
    assert store.sync.get_ranges("k", asked) == wanted
    assert store.sync.get_ranges("none", asked) is None
    assert store.sync.get_into("k", bytearray(10)) == 20_000
    assert store.sync.get_into("none", bytearray(10)) is None
    store.sync.close()


def test_missing_archives_and_keys(path: Path, tmp_path: Path) -> None:
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError, match="mode='a' creates"):
            ZipStore(path, mode=mode).sync.get("a")  # type: ignore[arg-type]
    with ZipStore(path).sync as sync:
        assert sync.get("a") is None
        assert sync.stat("a") is None
        assert not sync.exists("a")
        assert sync.is_empty()
        sync.delete("a")
        sync.delete_dir("a")
        with pytest.raises(KeyNotFoundError):
            sync.getsize("a")
    assert not path.exists(), "nothing changed, so nothing is written"
    with pytest.raises(BackendError, match="not a file"):
        ZipStore(tmp_path).sync.get("a")


def test_modes(path: Path) -> None:
    with ZipStore(path, mode="x").sync as sync:
        sync["a"] = b"1"
    with pytest.raises(FileExistsError, match="mode='a'"):
        ZipStore(path, mode="w-").sync["a"] = b"2"
    with ZipStore(path, mode="w").sync as sync:
        assert list(sync) == []
        assert names(path) == ["a"], "what is there stays until the store is closed"
    assert names(path) == []
    with ZipStore(path, mode="r+").sync as sync:
        sync["b"] = b"1"
    before = path.stat()
    with ZipStore(path).sync as sync:
        assert sync["b"] == b"1"
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    ZipStore(path, mode="w").sync.close()
    assert names(path) == []


def test_arguments_are_checked_at_once(path: Path) -> None:
    for bad in (
        lambda: ZipStore(path, mode="q"),  # type: ignore[arg-type]
        lambda: ZipStore(path, mode="w", read_only=True),
        lambda: ZipStore(path, compression=77),
        lambda: ZipStore("a\x00b"),
        lambda: ZipStore(path, max_value_size=-1),
    ):
        with pytest.raises(ValueError, match=r"mode|compression|NUL|max_value_size"):
            bad()
    with open(os.devnull, "rb") as file, pytest.raises(ValueError, match="needs a writable"):
        ZipStore(file, mode="a")
    for wrong in (7, b"data.zip", None, MemoryStore()):
        with pytest.raises(TypeError):
            ZipStore(wrong)  # type: ignore[arg-type]


def test_relative_paths_are_resolved_when_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = ZipStore("data.zip")
    monkeypatch.chdir("/")
    with store.sync as sync:
        sync["a"] = b"1"
    assert store.path == tmp_path / "data.zip"
    assert store.url == f"file://{tmp_path}/data.zip|zip:"
    assert names(tmp_path / "data.zip") == ["a"]


def test_listing_keeps_siblings_apart(path: Path) -> None:
    keys = ["a", "a/b", "a/b/c", "a-b/x", "ab/c", "a/bc", "a0", "é/1", "z/1/2/3"]
    with ZipStore(path).sync as sync:
        sync.set_many((key, key.encode()) for key in keys)
        assert sorted(sync) == sorted(keys)
        assert sorted(sync.list_prefix("a")) == ["a/b", "a/b/c", "a/bc"]
        assert sorted(sync.list_prefix("a/b")) == ["a/b/c"]
        assert sorted(sync.list_dir()) == ["a", "a-b", "a0", "ab", "z", "é"]
        assert list(sync.list_dir("a")) == ["b", "bc"]
        assert list(sync.list_dir("a/b/c")) == []
        assert sync.getsize_prefix("a") == 3 + 5 + 4
        assert sync.is_empty("a/b/c")
        assert not sync.is_empty("a/b")
        sync.delete_dir("a/b")
        sync.delete("z")
        assert sorted(sync.list_prefix("a")) == ["a/b", "a/bc"]
        sync.clear()
        assert list(sync) == []
        sync["b"] = b"2"
        assert list(sync.list_dir()) == ["b"]


def test_overwritten_and_deleted_entries_leave_no_trace(path: Path) -> None:
    with ZipStore(path).sync as sync:
        for number in range(20):
            sync["a"] = bytes([number]) * 10_000
        sync["b"] = b"2"
    assert path.stat().st_size < 12_000
    with ZipStore(path).sync as sync:
        sync.delete("a")
    assert names(path) == ["b"]
    assert path.stat().st_size < 300


def test_flush_publishes_and_goes_on(path: Path) -> None:
    store = ZipStore(path)
    store.sync["a"] = b"1"
    version = store.sync.stat("a").version  # type: ignore[union-attr]
    store.sync.flush()
    assert names(path) == ["a"]
    assert os.listdir(path.parent) == [path.name]
    store.sync["a/b"] = b"2"
    assert store.sync["a"] == b"1"
    store.sync.set("a", b"3", expect=version)
    anyio.run(store.flush)
    assert names(path) == ["a", "a/b"]
    with pytest.raises(ReadOnlyError):
        store.with_read_only().sync.flush()
    store.sync.close()
    with pytest.raises(StoreClosedError):
        store.sync.flush()


def test_views_see_writes_and_do_not_close(path: Path) -> None:
    store = ZipStore(path)
    view = store.with_read_only()
    store.sync["a"] = b"1"
    assert view.sync["a"] == b"1"
    view.sync.close()
    store.sync["a"] = b"2"
    assert store.with_read_only().sync["a"] == b"2"
    store.sync.close()
    with pytest.raises(StoreClosedError):
        view.sync.get("a")


def test_read_only_refuses_every_change(path: Path) -> None:
    ZipStore(path, mode="w").sync.close()
    for store in (ZipStore(path, mode="r"), ZipStore(path, read_only=True)):
        assert store.read_only
        assert Capability.WRITE not in store.capabilities
        for change in (
            lambda sync: sync.set("a", b""),
            lambda sync: sync.set_if_not_exists("a", b""),
            lambda sync: sync.set_many([]),
            lambda sync: sync.delete("a"),
            lambda sync: sync.delete_dir("a"),
            lambda sync: sync.clear(),
        ):
            with pytest.raises(ReadOnlyError):
                change(store.sync)


def test_illegal_keys_do_no_io(path: Path) -> None:
    store = ZipStore(path, mode="r")
    for key in ("", "/a", "a/", "a//b", "../a", "a\\b", "a\0"):
        with pytest.raises(InvalidKeyError):
            store.sync.get(key)


def test_conditional_writes(path: Path) -> None:
    with ZipStore(path).sync as sync:
        first = sync.set("a", b"1", expect=ABSENT)
        with pytest.raises(ConflictError):
            sync.set("a", b"2", expect=ABSENT)
        second = sync.set("a", b"1", expect=first)
        assert second != first
        with pytest.raises(ConflictError):
            sync.set("a", b"3", expect=first)
        assert sync["a"] == b"1"
    with ZipStore(path).sync as sync:
        stat = sync.stat("a")
        assert stat is not None
        assert stat.modified is not None
        assert stat.modified.tzinfo is not None
        with ThreadPoolExecutor(8) as pool:

            def swap(number: int) -> bool:
                try:
                    sync.set("a", bytes([number]), expect=stat.version)
                except ConflictError:
                    return False
                return True

            assert sum(pool.map(swap, range(32))) == 1
            assert sum(pool.map(lambda n: sync.set_if_not_exists("new", b""), range(32))) == 1


def test_many_threads_read_and_write_one_archive(path: Path, method: int) -> None:
    values = {f"g/{n}": random.Random(n).randbytes(n * 700) + TEXT[:n] for n in range(100)}
    with ZipStore(path, compression=method).sync as sync, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: sync.set(*item), values.items()))
        assert dict(zip(values, pool.map(sync.__getitem__, values), strict=True)) == values
    sync = ZipStore(path, mode="r").sync
    with ThreadPoolExecutor(8) as pool:
        keys = list(values) * 3
        assert list(pool.map(sync.get, keys)) == [values[key] for key in keys]


def test_reads_go_on_while_the_archive_is_replaced(path: Path) -> None:
    store = ZipStore(path)
    store.sync["a"] = TEXT * 20
    store.sync.flush()
    done = threading.Event()

    def read() -> int:
        count = 0
        while not done.is_set():
            assert store.sync["a"] == TEXT * 20
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for number in range(20):
            store.sync["b"] = bytes([number]) * 1000
            store.sync.flush()
        done.set()
        assert all(reader.result() for reader in readers)
    store.sync.close()


@pytest.mark.anyio
async def test_async_use(path: Path) -> None:
    async with ZipStore(path) as store:
        await store.set("a/b", np.arange(4, dtype="u1"))
        assert await store.get("a/b", SuffixByteRequest(2)) == b"\x02\x03"
        assert [key async for key in store.list()] == ["a/b"]
        async for _ in store.list():
            break
    with pytest.raises(StoreClosedError):
        await store.get("a/b")


class Machine(RuleBasedStateMachine):
    keys = st.sampled_from(["a", "a/b", "a/c", "a-b", "b/c/d", "é"])
    values = st.binary(max_size=50)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "data.zip"
        self.model: dict[str, bytes] = {}
        self.store = ZipStore(self.path)

    @rule(key=keys, value=values)
    def write(self, key: str, value: bytes) -> None:
        self.store.sync[key] = self.model[key] = value

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.store.sync.delete(key)
        self.model.pop(key, None)

    @rule(prefix=st.sampled_from(["", "a", "b", "a/b"]))
    def delete_dir(self, prefix: str) -> None:
        self.store.sync.delete_dir(prefix)
        below = prefix and prefix + "/"
        self.model = {key: self.model[key] for key in self.model if not key.startswith(below)}

    @rule()
    def flush(self) -> None:
        self.store.sync.flush()

    @rule(method=st.sampled_from(METHODS))
    def reopen(self, method: int) -> None:
        self.store.sync.close()
        assert len(os.listdir(self.folder.name)) <= 1
        if self.path.exists():
            assert names(self.path) == sorted(self.model)
        self.store = ZipStore(self.path, compression=method)

    @invariant()
    def same(self) -> None:
        assert dict(self.store.sync) == self.model
        names_below = {key[2:].split("/")[0] for key in self.model if key.startswith("a/")}
        assert sorted(self.store.sync.list_dir("a")) == sorted(names_below)

    def teardown(self) -> None:
        self.store.sync.close()
        self.folder.cleanup()


def test_like_a_dict() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def test_file_objects(tmp_path: Path, method: int) -> None:
    files: list[Any] = [  # closed below, each
        io.BytesIO(),
        tempfile.SpooledTemporaryFile(),  # noqa: SIM115
        open(tmp_path / "x.zip", "w+b"),  # noqa: SIM115
        tempfile.NamedTemporaryFile(),  # noqa: SIM115
        open(tmp_path / "y.zip", "w+b", buffering=0),  # noqa: SIM115
    ]
    for file in files:
        with file:
            with ZipStore(file, compression=method).sync as sync:
                sync["a"] = TEXT
                sync["b"] = b"2"
                sync.flush()
                sync["c"] = b"3"
                assert sync["a"] == TEXT
            with ZipStore(file, compression=method).sync as sync:
                del sync["a"]
                sync["d"] = b"4"
                assert sync["b"] == b"2"
            assert dict(ZipStore(file, mode="r").sync) == {"b": b"2", "c": b"3", "d": b"4"}
            with zipfile.ZipFile(file) as other:
                assert other.testzip() is None
                assert sorted(other.namelist()) == ["b", "c", "d"]
            assert not file.closed


def test_write_only_and_read_only_file_objects(path: Path) -> None:
    with open(path, "wb") as file, ZipStore(file, mode="w").sync as sync:
        sync["a"] = b"1"
        assert sync["a"] == b"1"
    with open(path, "rb") as file:
        store = ZipStore(file)
        assert store.read_only
        assert store.sync["a"] == b"1"
    closed = io.BytesIO(path.read_bytes())
    store = ZipStore(closed, mode="r")
    assert "a" in store.sync
    closed.close()
    with pytest.raises(BackendError, match="keep the file object open"):
        store.sync.get("a")


def test_pickle(path: Path) -> None:
    writable = ZipStore(path)
    writable.sync["a"] = b"1"
    assert Capability.SHARED not in writable.capabilities
    assert pickle.loads(pickle.dumps(writable)) is writable
    blob = pickle.dumps(writable)
    code = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1]))"
    assert "NotShareableError" in run(code, blob.hex()).stderr
    writable.sync.close()
    store = ZipStore(path, mode="r")
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert hash(again) == hash(store)
    assert again is not store
    assert again.sync["a"] == b"1"
    assert Capability.SHARED in store.capabilities
    assert store != writable
    code = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).sync['a'])"
    assert run(code, pickle.dumps(store).hex()).stdout == "b'1'\n"


def _in_child(store: ZipStore, answers: Any) -> None:
    answers.put(store.sync["old"])
    answers.put(store.sync["new"])
    for change in (lambda: store.sync.set("x", b""), lambda: store.sync.delete("old")):
        try:
            change()
        except NotShareableError:
            answers.put("refused")
    store.sync.close()


def test_a_forked_child_reads_and_never_writes(path: Path) -> None:
    with ZipStore(path).sync as sync:
        sync["old"] = TEXT
    store = ZipStore(path)
    store.sync["new"] = b"2"
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = fork.Process(target=_in_child, args=(store, answers))
        child.start()
    assert [answers.get(timeout=120) for _ in range(4)] == [TEXT, b"2", "refused", "refused"]
    child.join(10)
    assert child.exitcode == 0
    assert names(path) == ["old"]
    store.sync.close()
    assert names(path) == ["new", "old"]


def test_a_child_that_outlives_its_parent_does_not_hold_the_lock(path: Path) -> None:
    result = run(
        """
        import os, signal, sys, time
        from zarrstore.stores.zip import ZipStore
        store = ZipStore(sys.argv[1])
        store.sync["a"] = b"1"
        sys.stdout.flush()
        if os.fork() == 0:
            os.close(1), os.close(2)
            time.sleep(5)
            sys.exit()  # its finalizers run
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
    )
    assert result.returncode == -signal.SIGKILL
    with ZipStore(path).sync as sync:
        assert list(sync) == []
        sync["b"] = b"2"
    assert os.listdir(path.parent) == [path.name]


def test_one_writer_at_a_time(path: Path) -> None:
    first, second = ZipStore(path), ZipStore(path)
    assert second.sync.is_empty()
    first.sync["a"] = b"1"
    with pytest.raises(ConflictError, match="being written by another store"):
        second.sync["b"] = b"2"
    result = run(
        "import sys; from zarrstore.stores.zip import ZipStore\n"
        "ZipStore(sys.argv[1]).sync['c'] = b''",
        path,
    )
    assert "ConflictError" in result.stderr
    first.sync.close()
    second.sync["b"] = b"2"
    assert dict(second.sync) == {"a": b"1", "b": b"2"}, "what came meanwhile is kept"
    second.sync.close()
    assert names(path) == ["a", "b"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_change_by_another_program_is_not_overwritten(path: Path, existing: bool) -> None:
    if existing:
        with ZipStore(path).sync as sync:
            sync["old"] = b"0"
    store = ZipStore(path)
    store.sync["mine"] = b"1"
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("theirs", b"2")
    with pytest.raises(ConflictError, match="unsaved") as caught:
        store.sync.close()
    assert names(path) == (["old", "theirs"] if existing else ["theirs"])
    (kept,) = path.parent.glob("*.unsaved-*.zip")
    assert str(kept) in str(caught.value)
    assert names(kept) == ["mine"]
    store.sync.close()


WRITER = """
import os, resource, signal, sys
from zarrstore.stores.zip import ZipStore
store = ZipStore(sys.argv[1])
for n in range(20):
    store.sync[f"new/{n}"] = bytes(50_000)
"""


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("call", ["kill", "?rename,?renameat,?link,?linkat", "?ftruncate"])
def test_a_killed_writer_leaves_what_was_there(path: Path, existing: bool, call: str) -> None:
    if existing:
        with ZipStore(path).sync as sync:
            sync["old"] = b"0"
    code = f"{WRITER}os.kill(os.getpid(), 0)  # all is written, nothing closed\nstore.sync.close()"
    result = kill_at(code, call, arguments=[str(path)])
    assert result.killed, result
    assert path.exists() == existing
    if existing:
        assert names(path) == ["old"]
    with ZipStore(path).sync as sync:
        sync["next"] = b"1"
    assert names(path) == (["next", "old"] if existing else ["next"])
    assert os.listdir(path.parent) == [path.name], "what a killed writer left goes with the next"


def test_a_full_disk_is_told_and_closing_again_loses_nothing(path: Path) -> None:
    with ZipStore(path).sync as sync:
        sync["old"] = bytes(400_000)
    result = run(
        WRITER
        + """
from zarrstore.errors import BackendError
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before = Path(sys.argv[1]).read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (1_100_000, resource.RLIM_INFINITY))
try:
    store.sync["too much"] = bytes(500_000)
except BackendError as error:
    print("set", error.errno, store.sync.get("too much"))
store.sync["little"] = b"1"
try:
    store.sync.close()
except BackendError as error:
    print("close", error.errno, "close the store again" in str(error))
print(Path(sys.argv[1]).read_bytes() == before)
print(sorted(os.listdir(Path(sys.argv[1]).parent))[1:])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.sync.close()
""",
        path,
    )
    assert result.stdout.splitlines() == [
        "set 27 None",
        "close 27 True",
        "True",
        "['data.zip']",
    ], result.stderr
    assert len(names(path)) == 22
    assert os.listdir(path.parent) == [path.name]


def test_a_store_that_nobody_closed_is_completed(path: Path) -> None:
    stores = [ZipStore(path)]
    stores[0].sync["a"] = b"1"
    with pytest.warns(ResourceWarning, match="not closed"):
        stores.clear()
    assert names(path) == ["a"]
    result = run(
        "import sys; from zarrstore.stores.zip import ZipStore\n"
        "store = ZipStore(sys.argv[1]); store.sync['b'] = b'2'; import warnings; "
        "warnings.simplefilter('always')",
        path,
    )
    assert "ResourceWarning" in result.stderr
    assert names(path) == ["a", "b"]
    assert os.listdir(path.parent) == [path.name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unused = ZipStore(path)
        assert unused.sync["a"] == b"1"
        del unused
        gc.collect()


def test_a_forgotten_store_that_cannot_be_completed_keeps_its_values(path: Path) -> None:
    with ZipStore(path).sync as sync:
        sync["old"] = b"0"
    result = run(
        """
        import errno, os, sys, warnings
        from zarrstore.stores.zip import ZipStore
        warnings.simplefilter("always")
        store = ZipStore(sys.argv[1])
        store.sync["new"] = b"1"
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")
        os.replace = full
        """,
        path,
    )
    assert "No space left" in result.stderr
    assert names(path) == ["old"]
    (kept,) = path.parent.glob("*.unsaved-*.zip")
    assert str(kept) in result.stderr
    assert names(kept) == ["new"]
    assert len(os.listdir(path.parent)) == 2


def test_an_archive_that_was_cut_meanwhile_is_not_overwritten(path: Path) -> None:
    with ZipStore(path).sync as sync:
        sync["old"] = TEXT
    store = ZipStore(path)
    assert store.sync.exists("old")
    cut = path.read_bytes()[:-9]
    path.write_bytes(cut)
    for _ in range(2):
        with pytest.raises(CorruptDataError):
            store.sync["new"] = b"1"
    store.sync.close()
    assert path.read_bytes() == cut
    assert os.listdir(path.parent) == [path.name]


def test_links_and_permissions_are_kept(tmp_path: Path, path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "r.zip"
    ZipStore(real, mode="w").sync.close()
    real.chmod(0o640)
    path.symlink_to(real)
    with ZipStore(path, durable=True).sync as sync:
        sync["a"] = b"1"
    assert path.is_symlink()
    assert names(real) == ["a"]
    assert real.stat().st_mode & 0o777 == 0o640


def test_zarr_python_reads_and_writes_the_same_archives(path: Path) -> None:
    with ZipStore(path).sync as sync:
        array = zarr.create_array(zarr.storage.MemoryStore(), shape=4, chunks=2, dtype="i4")
        array[:] = [1, 2, 3, 4]
        for key, value in array.store_path.store._store_dict.items():
            sync[key] = value.to_bytes()
    store = zarr.storage.ZipStore(path, mode="r")
    assert zarr.open_array(store, mode="r")[:].tolist() == [1, 2, 3, 4]
    store.close()
    store = zarr.storage.ZipStore(path, mode="w")
    zarr.create_array(store, shape=2, chunks=2, dtype="i4", fill_value=7)[:] = 5
    store.close()
    assert sorted(ZipStore(path, mode="r").sync) == ["c/0", "zarr.json"]
