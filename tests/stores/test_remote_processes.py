"""`RemoteStore` in other processes, on other loops, cancelled, closed, and forgotten."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fsspec.implementations.zip import ZipFileSystem

from zarrstore.errors import BackendError, NotShareableError
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import Bucket, FileServer, MisbehavingServer

pytest_plugins = ["servers"]

_FORKS = "ignore:This process:DeprecationWarning"  # which is what these scripts are about
CHILD = """
    import os, pickle, sys, time
    store = pickle.loads(bytes.fromhex(sys.argv[1]))
    assert store.sync["k"] == b"value", store.sync.get("k")
    pid = os.fork()
    if pid == 0:
        try:
            started = time.monotonic()
            assert store.sync["k"] == b"value"
            assert store.sync.stat("k").size == 5
            if "write" in sys.argv:
                store.sync["from-child"] = b"1"
            store.sync.close()
            assert time.monotonic() - started < 8
            sys.exit(0)  # through the finalizers of whatever the parent had open
        except Exception:
            import traceback
            traceback.print_exc()
            os._exit(1)
    started = time.monotonic()
    assert os.waitpid(pid, 0)[1] == 0
    assert time.monotonic() - started < 10
    assert store.sync["k"] == b"value"
    if "write" in sys.argv:
        assert store.sync["from-child"] == b"1"
    if "close" in sys.argv:
        store.sync.close()
"""


def run_python(code: str, *arguments: str) -> None:
    """Run a script in a process of its own, with warnings as errors; it must not hang."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", _FORKS, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


@pytest.mark.parametrize("closing", ["close", ""])
def test_pickled_to_a_process_that_forks(
    s3_bucket: Bucket, http_server: FileServer, tmp_path: Path, closing: str
) -> None:
    http_server.put("data/k", b"value")
    stores = [
        (RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options), "write"),
        (RemoteStore.from_url(f"file://{tmp_path}/data"), "write"),
        (RemoteStore.from_url(f"{http_server.url}/data"), ""),
    ]
    for store, write in stores:
        if write:
            store.sync["k"] = b"value"
        run_python(CHILD, pickle.dumps(store).hex(), write, closing)
        store.sync.close()


def work_in_child(store: RemoteStore, results: Any) -> None:
    try:
        results.put(store.sync.get("k"))
    except Exception as error:
        results.put(error)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_workers_read_through_the_callers_filesystem(s3_bucket: Bucket) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(**s3_bucket.storage_options)
    store = RemoteStore(fs, s3_bucket.name)
    store.sync["k"] = b"value"
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=work_in_child, args=(store, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=120) for _ in workers] == [b"value"] * 3
    for worker in workers:
        worker.join(20)
    results.close()
    results.join_thread()
    assert store.sync["k"] == b"value"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_memory_of_one_process_is_never_copied_silently() -> None:
    store = RemoteStore.from_url("memory://of-one-process")
    store.sync["k"] = b"1"
    assert pickle.loads(pickle.dumps(store)) is store
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    worker = context.Process(target=work_in_child, args=(store, results))
    worker.start()
    assert isinstance(results.get(timeout=120), NotShareableError)
    worker.join(20)
    results.close()
    results.join_thread()
    code = f"import pickle; pickle.loads({pickle.dumps(store)!r})"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert b"NotShareableError" in done.stderr
    store.sync.clear()


def test_an_open_file_is_not_shareable(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("k", b"1")
    with path.open("rb") as file:
        store = RemoteStore(ZipFileSystem(file))
        assert store.sync["k"] == b"1"
        assert store._location() is None
        store.fs.close()


def test_pickle_keeps_the_place_and_shows_no_credentials(s3_bucket: Bucket) -> None:
    store = RemoteStore.from_url(
        s3_bucket.url, s3_bucket.storage_options, forbidden_is_missing=True
    )
    again = pickle.loads(pickle.dumps(store.with_read_only()))
    assert again == store.with_read_only()
    assert again.read_only
    again = pickle.loads(pickle.dumps(store))
    again.sync["k"] = b"1"
    assert store.sync["k"] == b"1"
    secret = s3_bucket.storage_options["secret"]
    assert secret not in repr(again)
    assert secret not in repr(again._location())
    store.sync.close()
    again.sync.close()


def test_two_event_loops_in_a_row_and_trio(http_server: FileServer) -> None:
    http_server.put("k", b"value")
    store = RemoteStore.from_url(http_server.url)

    async def read() -> list[Any]:
        return await store.get_many(["k"] * 50)

    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(read, backend=backend) == [b"value"] * 50
    store.sync.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_ends_the_request(
    misbehaving_http_server: MisbehavingServer, backend: str
) -> None:
    store = RemoteStore.from_url(misbehaving_http_server.at("hanging"))

    async def read() -> None:
        with anyio.move_on_after(0.3) as scope:
            await store.get("k")
        assert scope.cancelled_caught

    started = time.monotonic()
    anyio.run(read, backend=backend)
    store.sync.close()
    assert time.monotonic() - started < 10


def test_a_cancelled_set_leaves_the_old_value_or_the_new(s3_bucket: Bucket) -> None:
    store = RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options)
    old, new = b"a" * 1_000_000, b"b" * 1_000_000
    for delay in (0.0, 0.002, 0.01, 0.05):
        store.sync["k"] = old

        async def write(delay: float = delay) -> None:
            with anyio.move_on_after(delay):
                await store.set("k", new)

        asyncio.run(write())
        assert store.sync["k"] in (old, new)
    store.sync.close()


def test_closing_ends_the_sessions_and_nothing_is_left_behind(
    s3_bucket: Bucket, http_server: FileServer
) -> None:
    http_server.put("k", b"value")
    for store in (
        RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options),
        RemoteStore.from_url(http_server.url),
    ):
        store.sync.get("k")
        store.sync.close()
        forgotten = pickle.loads(pickle.dumps(store))
        forgotten.sync.get("k")
        del store, forgotten
        gc.collect()  # an unclosed session would warn here


@pytest.mark.parametrize("closing", ["store.sync.close()", "pass"])
def test_the_interpreter_ends_cleanly(http_server: FileServer, closing: str) -> None:
    http_server.put("k", b"value")
    code = f"""
        from zarrstore.stores.remote import RemoteStore
        store = RemoteStore.from_url({http_server.url!r})
        assert store.sync["k"] == b"value"
        {closing}
    """
    run_python(code)


def test_closing_one_store_leaves_another_alone(s3_bucket: Bucket) -> None:
    first = RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options)
    second = RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options)
    first.sync["k"] = b"1"
    assert second.sync["k"] == b"1"
    first.sync.close()
    assert second.sync["k"] == b"1"
    second.sync.close()


def chain(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def test_credentials_are_in_no_error_of_the_chain(
    misbehaving_http_server: MisbehavingServer,
) -> None:
    import traceback

    for url in (
        misbehaving_http_server.at("truncated").replace("//", "//user:password@") + "/x",
        "http://127.0.0.1:9/data?X-Amz-Signature=password&x=1",
        "s3://bucket/x",
        "ftp://user:password@127.0.0.1:9/x",
    ):
        options = {
            "s3": {"key": "user", "secret": "password", "endpoint_url": "http://password:9"}
        }.get(url[:2], {})
        store = RemoteStore.from_url(url, options)
        assert "password" not in repr(store)
        assert "password" not in store.url
        with pytest.raises(BackendError) as caught:
            store.sync.get("k")
        for error in chain(caught.value):
            assert "password" not in f"{error} {error!r}", url
        assert "password" not in "".join(traceback.format_exception(caught.value))
        assert len(chain(caught.value)) > 1
        store.sync.close()


def test_hooks_run_off_the_callers_thread_where_they_block(tmp_path: Path) -> None:
    store = RemoteStore.from_url(f"file://{tmp_path}")
    store.sync["k"] = b"1"
    seen: list[threading.Thread] = []
    read = store.fs.cat_file
    store.fs.cat_file = lambda *a, **k: seen.append(threading.current_thread()) or read(*a, **k)
    assert asyncio.run(store.get("k")) == b"1"
    assert store.sync["k"] == b"1"
    assert seen[0] is not threading.main_thread()
    assert seen[1] is threading.main_thread()
