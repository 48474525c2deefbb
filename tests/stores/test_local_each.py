"""`get_each` and `set_each` of `LocalStore`: links, leftovers, errors, threads, forks."""

from __future__ import annotations

import errno
import functools
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from zarrstore_testing.faults import kill_at

from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    InvalidKeyError,
    UnsupportedOperationError,
)
from zarrstore.stores._files import is_temporary, temporary_name
from zarrstore.stores.local import LocalStore

HEADER = """
import os, sys, signal, resource, threading
from zarrstore.errors import *
from zarrstore.stores.local import LocalStore
store = LocalStore(sys.argv[1]).sync
def read(keys):
    found = []
    store.get_each(keys, lambda index, value: found.append(None if value is None else bytes(value)))
    return found
"""


def run(code: str, *args: object, status: int = 0) -> str:
    script = HEADER + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, args)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def tree(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def read(store: LocalStore, keys: Iterable[str]) -> list[bytes | None]:
    found: list[bytes | None] = []

    def receive(index: int, value: Any) -> None:
        assert index == len(found)
        found.append(None if value is None else bytes(value))

    store.sync.get_each(keys, receive)
    return found


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


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


class TestValues:
    @pytest.mark.parametrize("size", [0, 1, 4095, 2**18 - 1, 2**18, 2**18 + 1, 9 * 2**20])
    def test_of_every_size(self, store, size):
        values = {f"a/{n}": bytes([n]) * size for n in range(3)} | {"small": b"s", "empty": b""}
        store.sync.set_each(values.items())
        assert dict(store.sync) == values
        keys = ["small", "a/0", "missing", "a/1", "empty", "a/2", "small", "a/0"]
        assert read(store, keys) == [values.get(key) for key in keys]

    def test_small_after_large(self, store):
        """Each is where it was read to until it is received, however the room for it grows."""
        sizes = [10, 2**18, 300_000, 5, 2**20, 9 * 2**20, 7, 2**18, 2**23, 0, 3]
        values = {f"{n}": bytes([n]) * size for n, size in enumerate(sizes)}
        store.sync.set_each(values.items())
        for keys in (list(values), list(values)[::-1], list(values) * 2):
            assert read(store, keys) == [values[key] for key in keys]

    def test_many_directories_in_any_order(self, store):
        keys = [f"{n % 3}/{n % 5}/{n}" for n in range(200)] + [f"x{n}" for n in range(10)]
        store.sync.set_each((key, key.encode()) for key in keys)
        assert read(store, keys[::-1]) == [key.encode() for key in keys[::-1]]
        assert sorted(store.sync) == sorted(keys)

    def test_one_buffer_for_all(self, store):
        buffer = bytearray(4)

        def items() -> Iterator[tuple[str, Any]]:
            for number in range(100):
                buffer[:] = number.to_bytes(4, "little")
                yield f"c/{number}", memoryview(buffer)

        store.sync.set_each(items())
        expected = [number.to_bytes(4, "little") for number in range(100)]
        assert read(store, [f"c/{number}" for number in range(100)]) == expected

    def test_versions_differ(self, store):
        versions = set()
        for _ in range(100):
            store.sync.set_each([("a", b"same")])
            versions.add(store.sync.stat("a").version)
        assert len(versions) == 100

    def test_a_missing_root(self, store):
        assert read(store, ["a", "a/b"]) == [None, None]
        store.sync.set_each([])
        assert not store.root.exists()
        store.sync.set_each([("a/b", b"1")])
        assert read(store, ["a", "a/b"]) == [None, b"1"]

    def test_long_names(self, store):
        long = "x" * 256
        assert read(store, [long, f"a/{long}", f"{long}/a"]) == [None] * 3
        for key in (long, f"a/{long}", f"{long}/a"):
            with pytest.raises(BackendError, match="shorter key"):
                store.sync.set_each([(key, b"1")])
        assert tree(store.root) == []


class TestWhatIsNoValue:
    def test_fifos_sockets_directories_and_temporary_files(self, store):
        store.sync["a/k"] = b"1"
        root = store.root
        os.mkfifo(root / "a" / "fifo")
        name = temporary_name()
        (root / "a" / name).write_bytes(b"half")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(root / "a" / "socket"))
        keys = ["a/k", "a/fifo", "a", f"a/{name}", "a/socket", "a/k/b", "a/k"]
        assert read(store, keys) == [b"1", None, None, None, None, None, b"1"]
        with pytest.raises(UnsupportedOperationError, match="temporary"):
            store.sync.set_each([("a/new", b"1"), (f"a/{name}", b"2"), ("a/after", b"3")])
        assert read(store, ["a/new", "a/after"]) == [b"1", None]

    def test_a_key_where_a_directory_is(self, store):
        store.sync["a/b"] = b"1"
        with pytest.raises(BackendError, match="directory") as caught:
            store.sync.set_each([("a", b"2")])
        assert caught.value.errno == errno.EISDIR
        with pytest.raises(BackendError, match="file") as caught:
            store.sync.set_each([("a/b/c", b"2")])
        assert caught.value.errno == errno.ENOTDIR
        assert tree(store.root) == ["a", "a/b"]

    @pytest.mark.parametrize("key", ["../k", "/etc/passwd", "a/../../k", "a\\b", "", "a//b", "."])
    def test_keys_that_lead_out(self, store, key):
        (store.root.parent / "k").write_bytes(b"secret")
        store.sync["a"] = b"1"
        received: list[int] = []
        with pytest.raises(InvalidKeyError):
            store.sync.get_each(["a", key, "a"], lambda index, _: received.append(index))
        assert received in ([], [0])
        with pytest.raises(InvalidKeyError):
            store.sync.set_each([("b", b"1"), (key, b"2"), ("c", b"3")])
        assert dict(store.sync) == {"a": b"1", "b": b"1"}
        assert (store.root.parent / "k").read_bytes() == b"secret"


class TestLinks:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        secret = tmp_path / "outside" / "sub"
        secret.mkdir(parents=True)
        (secret / "k").write_bytes(b"secret")
        (secret.parent / "k").write_bytes(b"secret")
        return secret.parent

    def test_a_link_to_a_file(self, store, outside):
        store.sync["a/k"] = b"inside"
        (store.root / "a" / "link").symlink_to(outside / "k")
        assert read(store, ["a/k", "a/link"]) == [b"inside", None]
        store.sync.set_each([("a/link", b"new")])
        assert (outside / "k").read_bytes() == b"secret"
        assert read(store, ["a/link"]) == [b"new"]

    @pytest.mark.parametrize("key", ["link/k", "link/sub/k", "a/link/sub/k", "link/new/below/k"])
    def test_a_link_on_the_way(self, store, outside, key):
        store.sync["a/k"] = b"inside"
        (store.root / key.partition("link")[0] / "link").symlink_to(outside)
        assert read(store, ["a/k", key, "a/k"]) == [b"inside", None, b"inside"]
        with pytest.raises(BackendError, match="link"):
            store.sync.set_each([("a/new", b"1"), (key, b"x")])
        assert tree(outside) == ["k", "sub", "sub/k"]
        assert (outside / "sub" / "k").read_bytes() == b"secret"
        assert read(store, ["a/new"]) == [b"1"]

    def test_the_root_is_a_link(self, store, tmp_path):
        store.sync["x/y"] = b"1"
        (tmp_path / "link").symlink_to(store.root)
        linked = LocalStore(tmp_path / "link")
        linked.sync.set_each([("x/z", b"2"), ("w", b"3")])
        assert read(linked, ["x/y", "x/z", "w"]) == [b"1", b"2", b"3"]
        assert read(store, ["x/y", "x/z", "w"]) == [b"1", b"2", b"3"]

    def test_a_link_put_in_place_of_a_directory_meanwhile(self, store, outside, tmp_path):
        store.sync.set_each([("a/k", b"inside"), ("a/sub/k", b"inside")])

        def swap() -> Iterator[str]:
            yield "a/k"
            (store.root / "a").rename(tmp_path / "moved")
            (store.root / "a").symlink_to(outside)
            yield "a/sub/k"
            yield "a/k"
            yield "b/k"
            yield "a/k"

        found = read(store, swap())
        assert b"secret" not in found
        assert found[-1] is None


class TestErrors:
    @pytest.mark.parametrize("error", [OSError, BackendError, KeyError, KeyboardInterrupt])
    @pytest.mark.parametrize("at", [0, 3, 9])
    def test_of_who_receives(self, store, error, at):
        """It is raised, and nothing is received after it: not one value twice, or as another."""
        store.sync.set_each((f"{n}", bytes([n]) * 100_000) for n in range(10))
        received: list[tuple[int, int]] = []
        raised: list[int] = []

        def receive(index: int, value: Any) -> None:
            if index == at and not raised:
                raised.append(index)
                raise error("mine")
            received.append((index, value[0]))

        before = open_descriptors()
        with pytest.raises(error, match="mine"):
            store.sync.get_each([f"{n}" for n in range(10)], receive)
        assert received == [(n, n) for n in range(at)]
        assert open_descriptors() == before
        assert read(store, ["9", "0"]) == [b"\x09" * 100_000, b"\x00" * 100_000]

    @pytest.mark.parametrize("error", [OSError, FileNotFoundError, ValueError, KeyboardInterrupt])
    def test_of_who_gives(self, store, error):
        store.sync["a"] = b"1"

        def keys() -> Iterator[str]:
            yield "a"
            raise error("mine")

        def items() -> Iterator[tuple[str, bytes]]:
            yield "b/c", b"2"
            raise error("mine")

        before = open_descriptors()
        with pytest.raises(error, match="mine"):
            store.sync.get_each(keys(), lambda *_: None)
        with pytest.raises(error, match="mine"):
            store.sync.set_each(items())
        assert open_descriptors() == before
        assert dict(store.sync) == {"a": b"1", "b/c": b"2"}

    def test_a_full_disk(self, store):
        """A limit on the size of files cuts a write short, then fails it, as a full disk does."""
        store.sync["a/k"] = b"old"
        run(
            """
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            for key in ("a/k", "new/k"):
                try:
                    store.set_each([("a/b", b"1"), (key, bytes(20_000)), ("never", b"1")])
                except BackendError as error:
                    assert "smaller chunks" in str(error) and error.key == key
                    assert isinstance(error.__cause__, OSError)
                else:
                    raise AssertionError
            """,
            store.root,
        )
        assert tree(store.root) == ["a", "a/b", "a/k"]
        assert read(store, ["a/k"]) == [b"old"]

    def test_too_many_open_files(self, store):
        store.sync["a/k"] = b"1"
        run(
            """
            read(["a/k"])
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            files = []
            try:
                while True:
                    files.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            for room in range(2):
                for call in (lambda: read(["a/k"]), lambda: store.set_each([("a/n", b"1")])):
                    try:
                        call()
                    except BackendError as error:
                        assert "open files" in str(error), error
                    else:
                        assert room
                os.close(files.pop())
            for file in files:
                os.close(file)
            assert read(["a/k"]) == [b"1"]
            """,
            store.root,
        )
        assert [name for name in tree(store.root) if is_temporary(name)] == []

    def test_no_permission(self, store):
        store.sync["a/k"] = b"1"
        for parent in (store.root, *store.root.parents):
            if parent != Path("/tmp") and parent.stat().st_uid == os.geteuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        code = """
            if os.geteuid() == 0:
                os.setuid(65534)
            for call in (lambda: read(["a/k"]), lambda: store.set_each([("a/n", b"1")])):
                try:
                    call()
                except AccessDeniedError as error:
                    assert "permission" in str(error)
                else:
                    raise AssertionError
            """
        (store.root / "a").chmod(0)
        try:
            run(code, store.root)
        finally:
            (store.root / "a").chmod(0o755)
        assert issubclass(AccessDeniedError, PermissionError)
        assert tree(store.root) == ["a", "a/k"]


class TestAtOnce:
    def test_a_directory_is_deleted_all_the_time(self, store):
        stop = threading.Event()

        def delete() -> None:
            while not stop.wait(0.001):
                store.sync.delete_dir("a")

        def write() -> None:
            try:
                for _ in range(60):
                    store.sync.set_each((f"a/b/{n}", b"1") for n in range(10))
                    assert set(read(store, [f"a/b/{n}" for n in range(10)])) <= {b"1", None}
            finally:
                stop.set()

        in_threads(delete, write)
        store.sync.set_each([("a/b/last", b"1")])
        assert read(store, ["a/b/last"]) == [b"1"]
        assert [name for name in tree(store.root) if is_temporary(name)] == []

    def test_readers_see_whole_values(self, store):
        keys = [f"c/{n}" for n in range(5)]
        stop = threading.Event()
        store.sync.set_each((key, b"\x00" * 50_000) for key in keys)

        def write() -> None:
            try:
                for k in range(1, 60):
                    store.sync.set_each((key, bytes([k]) * (50_000 + k)) for key in keys)
            finally:
                stop.set()

        def reading() -> None:
            while not stop.is_set():
                for value in read(store, keys):
                    assert value is not None
                    assert value == value[:1] * (50_000 + value[0])

        in_threads(write, reading, reading)

    def test_threads_do_not_share_their_room(self, store):
        keys = [f"{t}/{n}" for t in range(4) for n in range(50)]
        store.sync.set_each((key, key.encode() * 100) for key in keys)

        def reading(offset: int) -> None:
            mine = keys[offset:] + keys[:offset]
            for _ in range(10):
                assert read(store, mine) == [key.encode() * 100 for key in mine]

        in_threads(*[lambda offset=offset: reading(offset) for offset in (0, 50, 100, 150)])

    def test_one_operation_within_another(self, store, tmp_path):
        """Keys may come from anywhere: from another store, read in the same way."""
        other = LocalStore(tmp_path / "other")
        store.sync.set_each((f"{n}", bytes([n]) * 1000) for n in range(5))
        other.sync.set_each((f"{n}", b"%d" % n) for n in range(5))

        def keys() -> Iterator[str]:
            for n in range(5):
                (name,) = read(other, [str(n)])
                yield name.decode()

        assert read(store, keys()) == [bytes([n]) * 1000 for n in range(5)]

    def test_after_a_fork(self, store):
        store.sync["a/k"] = b"1"
        out = run(
            """
            import warnings
            warnings.simplefilter("ignore")
            store.set_each([("a/0", b"0")])
            pids = []
            for child in range(4):
                pid = os.fork()
                if pid == 0:
                    store.set_each((f"a/{child}-{n}", b"%d" % n) for n in range(50))
                    found = read([f"a/{child}-{n}" for n in range(50)])
                    os._exit(found != [b"%d" % n for n in range(50)])
                pids.append(pid)
            store.set_each((f"a/p{n}", b"p") for n in range(50))
            print([os.waitpid(pid, 0)[1] for pid in pids], len(store))
            """,
            store.root,
        )
        assert out == "[0, 0, 0, 0] 252\n"
        assert [name for name in tree(store.root) if is_temporary(name)] == []

    @pytest.mark.parametrize(("call", "when"), [("?renameat", 3), ("?utimensat,?utimes", 3)])
    def test_a_killed_writer(self, store, call, when):
        store.sync["a/k"] = b"old"
        code = """
            store.set_each([("a/0", b"0"), ("a/1", b"1"), ("a/k", b"new"), ("a/2", b"2")])
        """
        code = HEADER + textwrap.dedent(code)
        assert kill_at(code, call, when, arguments=[str(store.root)]).killed
        assert dict(store.sync) == {"a/0": b"0", "a/1": b"1", "a/k": b"old"}
        assert len([name for name in tree(store.root) if is_temporary(name)]) == 1
        store.sync.delete_dir("a")
        assert tree(store.root) == []

    def test_no_descriptor_is_left_open(self, store):
        read(store, ["x"])
        before = open_descriptors()
        store.sync.set_each((f"{n % 4}/{n}", b"1") for n in range(40))
        read(store, [f"{n % 4}/{n}" for n in range(50)])
        assert open_descriptors() == before

    def test_durable_writes_reach_the_disk_in_order(self, tmp_path, monkeypatch):
        log: list[str] = []

        def name(path: str) -> str:
            found = os.path.relpath(path, tmp_path)
            return "temporary" if is_temporary(found) else found

        def fsync(descriptor: int, real: Any = os.fsync) -> None:
            real(descriptor)
            log.append(f"fsync {name(os.readlink(f'/proc/self/fd/{descriptor}'))}")

        def rename(source: str, target: str, real: Any = os.rename, **where: int) -> None:
            real(source, target, **where)
            log.append(f"rename {os.path.basename(target)}")

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        monkeypatch.setattr(os, "replace", functools.partial(rename, real=os.replace))
        store = LocalStore(tmp_path / "root", durable=True).sync
        store.set_each([("a/k", b"1"), ("a/m", b"2")])
        assert log[:2] == ["fsync .", "fsync root"]
        write = ["fsync temporary", "rename k", "fsync root/a"]
        assert log[2:] == [*write, "fsync temporary", "rename m", "fsync root/a"]


class TestEachInto:
    """`get_each_into`: what is not a plain file that fits is read alone, which tells why."""

    @pytest.fixture
    def store(self, tmp_path):
        store = LocalStore(tmp_path / "root")
        store.sync.set_many({"d/a": b"12345", "d/b": b"", "d/c": b"x" * 5000, "top": b"7"})
        return store

    def test_links_leftovers_and_directories_are_no_keys(self, store, tmp_path):
        root = tmp_path / "root"
        (tmp_path / "outside").write_bytes(b"secret")
        (root / "d" / "link").symlink_to(tmp_path / "outside")
        (root / "d" / temporary_name()).write_bytes(b"left")
        (root / "linked").symlink_to(root / "d")
        os.mkfifo(root / "d" / "pipe")
        left = [f"d/{name}" for name in os.listdir(root / "d") if is_temporary(name)]
        keys = ["d/a", "d", "d/link", "d/pipe", *left, "linked/a", "d/b", "top/x", "top"]
        buffers = [bytearray(8) for _ in keys]
        sizes = store.sync.get_each_into(keys, buffers)
        assert sizes == [5, None, None, None, None, None, 0, None, 1]
        assert bytes(buffers[0]) == b"12345\0\0\0"
        assert not any(any(buffer) for buffer in buffers[1:-1])

    def test_a_pipe_keeps_what_is_in_it(self, store, tmp_path):
        path = tmp_path / "root" / "d" / "pipe"
        os.mkfifo(path)
        with open(path, "r+b", buffering=0) as pipe:
            pipe.write(b"waiting")
            assert store.sync.get_each_into(["d/pipe"], [bytearray(8)]) == [None]
            assert pipe.read(7) == b"waiting"

    def test_what_cannot_be_read_is_an_error(self, store, tmp_path, monkeypatch):
        def refuse(path, flags, mode=0o777, *, dir_fd=None):
            if "c" in os.path.basename(path) and not flags & os.O_DIRECTORY:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return opened(path, flags, mode, dir_fd=dir_fd)

        opened = os.open
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(AccessDeniedError, match=r"cannot read 'd/c'"):
            store.sync.get_each_into(["d/a", "d/c"], [bytearray(8), bytearray(8)])

    def test_no_descriptor_is_left_open(self, store):
        before = os.listdir("/proc/self/fd")
        for _ in range(20):
            store.sync.get_each_into(["d/a", "d/c", "no/no", "d"], [bytearray(4)] * 4)
            with pytest.raises(InvalidKeyError):
                store.sync.get_each_into(["d/a", "d/c", ".."], [bytearray(9)] * 3)
        assert os.listdir("/proc/self/fd") == before
