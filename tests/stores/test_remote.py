"""The contract, on every kind of filesystem that `RemoteStore` tells apart."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from zarrstore.abc import (
    ABSENT,
    Capability,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
)
from zarrstore.errors import (
    BackendError,
    InvalidKeyError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreClosedError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.runtime import WORKERS
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import Bucket, FileServer

pytest_plugins = ["servers"]
pytestmark = pytest.mark.anyio

ODD_KEYS = [
    "space and +/100%",
    "100%25",
    "what?/is#this",
    "q?versionId=3",
    "emoji 🎉/é",
    "*[x]",
    "{a,b}",
    "~tilde/~",
    "a::b",
    "memory/x",
    "c:/d",
    "..a/...",
    ".hidden/.zattrs",
    "UPPER/upper",
    "a'b\"c<d>&e",
]


class Place:
    """Somewhere to write, and a way to open it."""

    has_any_key = True

    def __init__(self, open_: Callable[..., RemoteStore], fill: Any = None) -> None:
        self.open = open_
        self._fill = fill

    def fill(self, values: dict[str, bytes]) -> None:
        if self._fill is not None:
            self._fill(values)
        else:
            self.open().sync.update(values)


@pytest.fixture
def memory_place() -> Iterator[Place]:
    yield Place(lambda **options: RemoteStore.from_url("memory://remote test", **options))
    MemoryFileSystem.store.clear()


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    url = f"file://{tmp_path}/data #1"
    return Place(lambda **options: RemoteStore.from_url(url, **options))


@pytest.fixture
def s3_place(s3_bucket: Bucket) -> Place:
    url = f"{s3_bucket.url}/some where"
    return Place(lambda **o: RemoteStore.from_url(url, s3_bucket.storage_options, **o))


@pytest.fixture
def generic_place(s3_bucket: Bucket) -> Place:
    """S3 behind another asynchronous filesystem, which gets the ways that all of them have."""

    def open_(**options: Any) -> RemoteStore:
        s3 = fsspec.filesystem("s3", **s3_bucket.storage_options)
        s3.connect()  # reads files, which is not for an event loop
        return RemoteStore(DirFileSystem(s3_bucket.name, s3), "below", **options)

    place = Place(open_)
    place.has_any_key = False
    return place


@pytest.fixture
def directory_place() -> Iterator[Place]:
    """A directory of a filesystem that blocks, which fsspec makes look like an asynchronous one."""
    yield Place(lambda **options: RemoteStore.from_url("dir::memory://shown", **options))
    MemoryFileSystem.store.clear()


@pytest.fixture
def http_place(http_server: FileServer) -> Place:
    def fill(values: dict[str, bytes]) -> None:
        for key, value in values.items():
            http_server.put(f"data/{key}", value)

    return Place(lambda **o: RemoteStore.from_url(f"{http_server.url}/data", **o), fill)


@pytest.fixture
def zip_place(tmp_path: Path) -> Place:
    path = tmp_path / "data.zip"

    def fill(values: dict[str, bytes]) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for key, value in values.items():
                archive.writestr(key, value)

    return Place(lambda **o: RemoteStore.from_url(f"zip::file://{path}", **o), fill)


@pytest.fixture
def cached_place(http_server: FileServer, tmp_path: Path) -> Place:
    def fill(values: dict[str, bytes]) -> None:
        for key, value in values.items():
            http_server.put(f"data/{key}", value)

    http_server.index = False  # else the cache takes an index page for a value
    url = f"simplecache::{http_server.url}/data"
    options = {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
    return Place(lambda **o: RemoteStore.from_url(url, options, **o), fill)


WRITABLE = ["memory_place", "file_place", "s3_place", "generic_place", "directory_place"]
LISTABLE = [*WRITABLE, "http_place", "zip_place"]
READABLE = [*LISTABLE, "cached_place"]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


readable = pytest.mark.parametrize("place", READABLE, indirect=True)
listable = pytest.mark.parametrize("place", LISTABLE, indirect=True)
writable = pytest.mark.parametrize("place", WRITABLE, indirect=True)


@contextlib.asynccontextmanager
async def filled(place: Place, values: dict[str, bytes], **options: Any) -> Any:
    await asyncio_or_trio_thread(place.fill, values)
    async with place.open(**options) as store:
        yield store


async def asyncio_or_trio_thread(function: Callable[..., Any], *args: Any) -> Any:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function, *args)


@readable
async def test_get_gives_the_value_and_none_for_what_is_missing(place: Place) -> None:
    async with filled(place, {"a/b": b"hello", "empty": b"", "large": b"x" * 300_000}) as store:
        assert await store.get("a/b") == b"hello"
        assert await store.get("empty") == b""
        assert await store.get("large") == b"x" * 300_000
        assert await store.get("a/c") is None
        assert await store.get("no/such/key") is None
        assert await store.get("a") is None
        assert await store.get_many(["a/b", "x", ("a/b", RangeByteRequest(1, 2))]) == [
            b"hello",
            None,
            b"e",
        ]


@readable
async def test_ranges_are_clamped_to_what_exists(place: Place) -> None:
    value = bytes(range(10))
    async with filled(place, {"k": value, "empty": b"", "dir/k": b"1"}) as store:
        for request, expected in [
            (RangeByteRequest(2, 5), value[2:5]),
            (RangeByteRequest(0, 10), value),
            (RangeByteRequest(8, 100), value[8:]),
            (RangeByteRequest(10, 11), b""),
            (RangeByteRequest(50, 60), b""),
            (RangeByteRequest(3, 3), b""),
            (OffsetByteRequest(0), value),
            (OffsetByteRequest(7), value[7:]),
            (OffsetByteRequest(10), b""),
            (OffsetByteRequest(11), b""),
            (SuffixByteRequest(3), value[7:]),
            (SuffixByteRequest(10), value),
            (SuffixByteRequest(99), value),
            (SuffixByteRequest(0), b""),
        ]:
            assert await store.get("k", request) == expected, request
            assert await store.get("empty", request) == b"", request
            assert await store.get("missing", request) is None, request
            assert await store.get("dir", request) is None, request
        ranges = [RangeByteRequest(8, 20), SuffixByteRequest(1), RangeByteRequest(0, 2)]
        assert await store.get_ranges("k", ranges) == [value[8:], value[9:], value[:2]]
        assert await store.get_ranges("missing", ranges) is None


@readable
async def test_stat_tells_the_size_without_reading(place: Place) -> None:
    async with filled(place, {"a/b": b"hello", "empty": b""}) as store:
        stat = await store.stat("a/b")
        assert stat.size == await store.getsize("a/b") == 5
        if stat.modified is not None:
            age = datetime.now(UTC) - stat.modified
            assert abs(age) < timedelta(minutes=5)
        assert (await store.stat("empty")).size == 0
        assert await store.exists("a/b")
        for missing in ("a", "a/bc", "x/y"):
            assert await store.stat(missing) is None
            assert not await store.exists(missing)
        with pytest.raises(KeyNotFoundError):
            await store.getsize("a")


@readable
async def test_keys_are_what_they_are(place: Place) -> None:
    keys = [key for key in ODD_KEYS if key != "q?versionId=3" or place.has_any_key]
    values = {key: key.encode() for key in keys}
    async with filled(place, values) as store:
        for key, value in values.items():
            assert await store.get(key) == value, key
            assert await store.get(key, SuffixByteRequest(3)) == value[-3:], key
            assert (await store.stat(key)).size == len(value), key
        for key in ("space and ", "100%", "what", "*", "upper/upper", "/a", "a/../b"):
            if key.startswith("/") or ".." in key:
                with pytest.raises(InvalidKeyError):
                    await store.get(key)
            else:
                assert await store.get(key) is None, key
        if Capability.LIST in store.capabilities:
            assert sorted([key async for key in store.list()]) == sorted(values)
            names = {key.split("/")[0] for key in values}
            assert sorted([name async for name in store.list_dir()]) == sorted(names)


@listable
async def test_listing_keeps_to_the_prefix(place: Place) -> None:
    values = {"a/b/1": b"1", "a/b/c/2": b"22", "a/bc/3": b"3", "a/b2": b"4", "top": b"5"}
    async with filled(place, values) as store:
        assert sorted([key async for key in store.list()]) == sorted(values)
        for prefix in ("a/b", "a/b/"):
            assert sorted([k async for k in store.list_prefix(prefix)]) == ["a/b/1", "a/b/c/2"]
            assert sorted([n async for n in store.list_dir(prefix)]) == ["1", "c"]
        assert sorted([n async for n in store.list_dir()]) == ["a", "top"]
        assert sorted([n async for n in store.list_dir("a")]) == ["b", "b2", "bc"]
        for missing in ("x", "a/b/1", "top", "a/b/c/2/3"):
            assert [key async for key in store.list_prefix(missing)] == []
            assert [name async for name in store.list_dir(missing)] == []
            assert await store.is_empty(missing)
        assert not await store.is_empty()
        assert not await store.is_empty("a/b")
        assert await store.getsize_prefix("a/b") == 3
        assert await store.getsize_prefix() == 6


@writable
async def test_listing_shows_what_others_wrote_meanwhile(place: Place) -> None:
    async with place.open() as store, place.open() as other:
        await store.set("a/1", b"1")
        assert [key async for key in store.list()] == ["a/1"]
        assert [name async for name in store.list_dir("a")] == ["1"]
        await other.set("a/2", b"2")
        assert sorted([key async for key in store.list()]) == ["a/1", "a/2"]
        assert sorted([name async for name in store.list_dir("a")]) == ["1", "2"]
        await other.set("a/2", b"longer")
        assert await store.getsize("a/2") == 6
        await other.delete_dir("a")
        assert [key async for key in store.list()] == []
        assert [name async for name in store.list_dir()] == []
        assert await store.is_empty()
        assert not await store.exists("a/1")


@writable
async def test_set_replaces_and_takes_any_buffer(place: Place) -> None:
    async with place.open() as store:
        await store.set("k", b"long value")
        await store.set("k", bytearray(b"short"))
        assert await store.get("k") == b"short"
        buffer = bytearray(b"mine")
        await store.set("k", memoryview(buffer))
        buffer[:] = b"XXXX"
        assert await store.get("k") == b"mine"
        await store.set_many({"m/1": b"1", "m/2": b"2"}.items())
        assert await store.get_many(["m/1", "m/2"]) == [b"1", b"2"]
        with pytest.raises(TypeError):
            await store.set("k", "text")


@writable
async def test_delete_is_idempotent_and_never_takes_a_sibling(place: Place) -> None:
    async with place.open() as store:
        await store.set_many(dict.fromkeys(["a/b/1", "a/b/2", "a/bc", "a/b2/1"], b"x").items())
        await store.delete("a/b")
        await store.delete("a")
        await store.delete("nothing")
        assert sorted([key async for key in store.list()]) == ["a/b/1", "a/b/2", "a/b2/1", "a/bc"]
        await store.delete("a/b/1")
        await store.delete("a/b/1")
        assert await store.get("a/b/1") is None
        await store.delete_dir("a/b")
        await store.delete_dir("a/b")
        assert sorted([key async for key in store.list()]) == ["a/b2/1", "a/bc"]
        assert sorted([name async for name in store.list_dir("a")]) == ["b2", "bc"]
        await store.clear()
        assert await store.is_empty()
        assert [name async for name in store.list_dir()] == []


@writable
async def test_read_only_and_closed(place: Place) -> None:
    store = place.open(read_only=True)
    for change in (
        lambda: store.set("a", b""),
        lambda: store.delete("a"),
        lambda: store.delete_dir(""),
        lambda: store.clear(),
        lambda: store.set_if_not_exists("a", b""),
    ):
        with pytest.raises(ReadOnlyError):
            await change()
    assert await store.get("a") is None
    await store.close()
    await store.close()
    with pytest.raises(StoreClosedError):
        await store.get("a")


@writable
async def test_a_view_shares_the_data_and_does_not_close_it(place: Place) -> None:
    async with place.open() as store:
        await store.set("a", b"1")
        view = store.with_read_only()
        assert await view.get("a") == b"1"
        await view.close()
        assert await store.get("a") == b"1"


@writable
def test_many_threads_and_loops_at_once(place: Place) -> None:
    store = place.open()
    store.sync.set("k", b"value")

    async def read() -> list[Any]:
        return await asyncio.gather(*(store.get("k") for _ in range(5)))

    def work(number: int) -> None:
        store.sync.set(f"t/{number}", b"x" * number)
        assert asyncio.run(read()) == [b"value"] * 5
        assert asyncio.run(read()) == [b"value"] * 5
        assert store.sync.get(f"t/{number}") == b"x" * number

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
    assert len(list(store.sync.list_prefix("t"))) == 12
    store.sync.close()


@writable
def test_readers_see_the_old_value_or_the_new(place: Place) -> None:
    store = place.open()
    values = [bytes([number]) * 200_000 for number in range(4)]
    store.sync.set("k", values[0])
    seen: list[bytes | None] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(store.sync.get("k"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        store.sync.set("k", values[number % 4])
    done.set()
    reader.join()
    assert seen
    assert all(value in values for value in seen)
    store.sync.close()


@pytest.mark.parametrize("place", ["memory_place", "file_place", "generic_place"], indirect=True)
async def test_conditional_writes_are_refused_where_there_are_none(place: Place) -> None:
    async with place.open() as store:
        assert Capability.CREATE_EXCLUSIVE not in store.capabilities
        with pytest.raises(UnsupportedOperationError, match="exists"):
            await store.set("a", b"", expect=ABSENT)


@pytest.mark.parametrize("place", ["http_place", "zip_place", "cached_place"], indirect=True)
async def test_what_cannot_be_written_says_so(place: Place) -> None:
    async with filled(place, {"a": b"1"}) as store:
        with pytest.raises(UnsupportedOperationError, match="does not support set"):
            await store.set("a", b"")
        with pytest.raises(UnsupportedOperationError):
            await store.delete("a")


async def test_a_key_that_would_be_another_is_refused(generic_place: Place) -> None:
    async with generic_place.open() as store:
        with pytest.raises(UnsupportedOperationError, match="another key"):
            await store.set("q?versionId=3", b"")
        assert await store.is_empty()


async def test_local_writes_leave_no_temporary_files(tmp_path: Path) -> None:
    async with RemoteStore.from_url(f"file://{tmp_path}") as store:
        await store.set("a/b", b"1")
        with pytest.raises(BackendError, match="directory of that name"):
            await store.set("a", b"2")
        with pytest.raises(BackendError, match="cannot be a prefix"):
            await store.set("a/b/c", b"2")
        (tmp_path / "a" / ".zarrstore-0123456789abcdef.partial").write_bytes(b"left behind")
        assert [key async for key in store.list()] == ["a/b"]
        assert [name async for name in store.list_dir("a")] == ["b"]
        assert await store.get("a/.zarrstore-0123456789abcdef.partial") is None
        assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
            ".zarrstore-0123456789abcdef.partial",
            "b",
        ]
        (tmp_path / "empty" / "below").mkdir(parents=True)
        assert [name async for name in store.list_dir()] == ["a"]


def test_relative_paths_are_made_absolute_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stores = [RemoteStore.from_url("file://data"), RemoteStore(LocalFileSystem(), "data")]
    monkeypatch.chdir("/")
    for store in stores:
        store.sync["k"] = b"1"
    assert (tmp_path / "data" / "k").read_bytes() == b"1"
    assert stores[0] == stores[1]
    assert stores[0].url == f"file://{tmp_path}/data"


def test_from_mapper_and_upath_open_the_same_place(tmp_path: Path) -> None:
    from upath import UPath

    mapper = fsspec.get_mapper(f"file://{tmp_path}/data")
    mapper["a"] = b"1" if tmp_path.joinpath("data").mkdir() is None else b""
    store = RemoteStore.from_mapper(mapper)
    assert store.sync["a"] == b"1"
    assert store == RemoteStore.from_upath(UPath(f"file://{tmp_path}/data"))
    assert RemoteStore.from_mapper(mapper, read_only=True).read_only


def test_what_is_no_filesystem_is_refused() -> None:
    with pytest.raises(TypeError, match="from_url"):
        RemoteStore("s3://bucket")  # type: ignore[arg-type]
    with pytest.raises(StoreURLError, match="'nope'"):
        RemoteStore.from_url("nope://x")
    with pytest.raises(StoreURLError, match=r"zarrstore\[gcs\]"):
        RemoteStore.from_url("gs://bucket/x")


def test_url_and_equality() -> None:
    store = RemoteStore.from_url("memory://a/b")
    assert store.url == "memory://a/b"
    assert repr(store) == "RemoteStore('memory://a/b')"
    assert store == RemoteStore(MemoryFileSystem(), "/a/b")
    assert store != RemoteStore.from_url("memory://a")
    assert store != RemoteStore.from_url("memory://a/b", read_only=True)
    assert hash(store) == hash(RemoteStore.from_url("memory://a/b"))
    s3 = RemoteStore.from_url("s3://b/x", {"key": "k", "secret": "s"})
    assert s3 == RemoteStore.from_url("s3://b/x", {"key": "k", "secret": "s"})
    assert s3 != RemoteStore.from_url("s3://b/x", {"key": "k", "secret": "t"})


@pytest.mark.parametrize("chain", ["", "simplecache::"])
def test_a_directory_of_a_filesystem_is_asynchronous_where_that_one_is(
    chain: str, tmp_path: Path
) -> None:
    """And what is written is in that directory, not in one of its name below it."""
    store = RemoteStore.from_url(f"dir::{chain}file://{tmp_path}/a")
    store.sync["b"] = b"1"
    assert (tmp_path / "a" / "b").read_bytes() == b"1"
    for shown in (
        DirFileSystem(str(tmp_path / "a")),
        DirFileSystem(path=str(tmp_path / "a"), fs=fsspec.filesystem("file")),
        DirFileSystem(str(tmp_path / "a"), target_protocol="file"),
    ):
        assert RemoteStore(shown).sync["b"] == b"1"
        assert RemoteStore(shown)._home is WORKERS
    remote = RemoteStore.from_url("dir::http://example.org/a")
    assert remote._home is not WORKERS
    assert RemoteStore(DirFileSystem("a", target_protocol="http"))._home is remote._home
