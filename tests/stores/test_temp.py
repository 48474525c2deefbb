"""`TempStore`: the directory goes with the process that made it, and with nothing else."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import zarrstore
from zarrstore.errors import BackendError, StoreClosedError
from zarrstore.stores.local import LocalStore, TempStore


def test_the_directory_goes_on_close(tmp_path):
    store = TempStore(".zarr", "test-", tmp_path)
    (root,) = tmp_path.iterdir()
    assert store.root == root
    assert root.name.startswith("test-")
    assert root.name.endswith(".zarr")
    store.sync["a/b"] = b"1"
    assert (root / "a" / "b").read_bytes() == b"1"
    store.sync.close()
    assert not root.exists()
    store.sync.close()
    with pytest.raises(StoreClosedError):
        store.sync.get("a/b")


def test_two_have_two_directories():
    with TempStore().sync as one, TempStore().sync as other:
        assert one != other
        one["a"] = b"1"
        assert list(other) == []


def test_an_array_in_one():
    store = TempStore()
    zarrstore.create_array(store, name="a", data=[1, 2, 3])
    assert zarrstore.open_array(store.root, path="a")[:].tolist() == [1, 2, 3]
    store.sync.close()


def test_a_pickle_is_the_same_data_and_leaves_it_there():
    with TempStore(durable=True).sync as sync:
        store = sync.store
        sync["a"] = b"1"
        again = pickle.loads(pickle.dumps(store))
        assert again == store
        assert (type(again), again.durable, again.sync["a"]) == (TempStore, True, b"1")
        again.sync.close()
        view = pickle.loads(pickle.dumps(store.with_read_only()))
        assert (view.read_only, view.sync["a"]) == (True, b"1")
        view.sync.close()
        store.with_read_only().sync.close()
        assert sync["a"] == b"1"


def test_a_relative_directory_is_resolved_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = TempStore(dir=".")
    monkeypatch.chdir("/")
    store.sync["a"] = b"1"
    assert list(tmp_path.glob("zarr*/a"))
    store.sync.close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(BackendError, match="No such file") as caught:
        TempStore(dir=tmp_path / "none")
    assert caught.value.store == f"file://{tmp_path / 'none'}"


CODE = """
import os, sys, pickle, signal
from zarrstore.stores.local import TempStore
store = TempStore(dir=sys.argv[1])
store.sync["a"] = b"1"
print(store.root, flush=True)
"""


def run(code: str, directory: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", CODE + code, str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return Path(done.stdout.strip())


def test_it_goes_when_the_process_ends(tmp_path):
    assert not run("", tmp_path).exists()


def test_not_when_a_forked_child_ends_or_closes(tmp_path):
    fork = """
if os.fork() == 0:
    store.sync.close()
    sys.exit()
os.wait()
assert store.sync["a"] == b"1"
"""
    assert not run(fork, tmp_path).exists()


def test_not_when_the_process_is_killed(tmp_path):
    root = run("os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    assert (root / "a").is_file()


def test_not_when_a_process_that_opened_a_pickle_ends():
    with TempStore().sync as sync:
        sync["a"] = b"1"
        code = (
            "import pickle, sys; store = pickle.load(sys.stdin.buffer); "
            "assert store.sync['a'] == b'1'; store.sync['b'] = b'2'; store.sync.close()"
        )
        subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(sync.store), check=True, timeout=60
        )
        assert sync["b"] == b"2"
        assert LocalStore(sync.store.root).sync["a"] == b"1"
