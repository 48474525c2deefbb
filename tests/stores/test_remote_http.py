"""`RemoteStore` over HTTP: what good servers give, and what bad ones must not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import aiohttp
import pytest
from byte_ranges import RANGES, part
from fsspec.implementations.http import HTTPFileSystem

from zarrstore.abc import RangeByteRequest, SuffixByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    UnsupportedOperationError,
    ZarrStoreError,
)
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import FileServer, MisbehavingServer

pytest_plugins = ["servers"]
pytestmark = pytest.mark.anyio


def test_no_misbehaviour_gives_wrong_bytes(misbehaving_http_server: MisbehavingServer) -> None:
    server = misbehaving_http_server
    options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=0.5)}}

    def check(name: str) -> None:
        store = RemoteStore.from_url(server.at(name), options)
        for request in (None, *RANGES[:1], *RANGES[2:3], *RANGES[5:6]):
            try:
                value = store.sync.get("k", request)
            except (BackendError, CorruptDataError):
                continue
            right = server.value if request is None else part(server.value, request)
            assert value == right or (value is None and name == "not_found"), (name, request)
        store.sync.close()

    with ThreadPoolExecutor(len(server.misbehaviours)) as pool:
        list(pool.map(check, server.misbehaviours))


@pytest.mark.parametrize(
    "name", ["honest", "ignores_range", "unknown_size", "bare_416", "no_head", "busy_twice"]
)
async def test_ranges_from_servers_that_are_odd_but_right(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    server = misbehaving_http_server
    async with RemoteStore.from_url(server.at(name)) as store:
        for request in RANGES:
            assert await store.get("k", request) == part(server.value, request), request
        assert await store.get("k", RangeByteRequest(3, 3)) == b""
        assert await store.get("k") == server.value
        assert await store.getsize("k") == len(server.value)


@pytest.mark.parametrize("name", ["short_part", "smaller_part", "other_part", "no_content_range"])
async def test_a_part_that_is_not_what_was_asked_is_corrupt(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    async with RemoteStore.from_url(misbehaving_http_server.at(name)) as store:
        with pytest.raises(CorruptDataError, match="'k'"):
            await store.get("k", RangeByteRequest(10, 20))


async def test_a_range_refused_though_it_is_there(
    misbehaving_http_server: MisbehavingServer,
) -> None:
    async with RemoteStore.from_url(misbehaving_http_server.at("unsatisfiable")) as store:
        with pytest.raises(CorruptDataError, match="416"):
            await store.get("k", RangeByteRequest(10, 20))
        assert await store.get("k", RangeByteRequest(5000, 5001)) == b""


async def test_stored_bytes_are_asked_for_and_compressed_ones_refused(
    misbehaving_http_server: MisbehavingServer,
) -> None:
    server = misbehaving_http_server
    async with RemoteStore.from_url(server.at("compressed")) as store:
        for request in (None, RangeByteRequest(0, 10)):
            with pytest.raises(CorruptDataError, match="Content-Encoding 'gzip'"):
                await store.get("k", request)
        with pytest.raises(CorruptDataError):
            await store.getsize("k")
    assert {headers["Accept-Encoding"] for headers in server.headers} == {"identity"}


async def test_a_web_page_is_no_value(misbehaving_http_server: MisbehavingServer) -> None:
    async with RemoteStore.from_url(misbehaving_http_server.at("web_page")) as store:
        for request in (None, RangeByteRequest(0, 10)):
            with pytest.raises(BackendError, match="web page"):
                await store.get("zarr.json", request)
        assert (await store.get("index.html") or b"").startswith(b"<!DOCTYPE")


@pytest.mark.parametrize("name", ["busy_twice", "cut_twice"])
async def test_what_passes_is_tried_again(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    server = misbehaving_http_server
    async with RemoteStore.from_url(server.at(name)) as store:
        assert await store.get("k") == server.value
    assert server.counts[name] == 3


@pytest.mark.parametrize(("name", "says"), [("always_busy", "503"), ("truncated", "try again")])
async def test_what_does_not_pass_is_an_error_after_a_few_attempts(
    misbehaving_http_server: MisbehavingServer, name: str, says: str
) -> None:
    server = misbehaving_http_server
    started = time.monotonic()
    async with RemoteStore.from_url(server.at(name)) as store:
        with pytest.raises(BackendError, match=says):
            await store.get("k")
    assert server.counts[name] == 4
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["forbidden", "unauthorized"])
async def test_forbidden_is_not_missing_unless_it_is_said_to_be(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    url = misbehaving_http_server.at(name)
    async with RemoteStore.from_url(url) as store:
        for reading in (
            lambda: store.get("k"),
            lambda: store.get("k", RangeByteRequest(0, 1)),
            lambda: store.exists("k"),
            lambda: store.getsize("k"),
        ):
            with pytest.raises(AccessDeniedError, match="credentials"):
                await reading()
    async with RemoteStore.from_url(url, forbidden_is_missing=True) as store:
        if name == "unauthorized":
            with pytest.raises(AccessDeniedError):
                await store.get("k")
        else:
            assert await store.get("k") is None
            assert not await store.exists("k")


async def test_a_server_that_hangs_times_out(misbehaving_http_server: MisbehavingServer) -> None:
    options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=0.2)}}
    async with RemoteStore.from_url(misbehaving_http_server.at("hanging"), options) as store:
        with pytest.raises(BackendError, match="raise the filesystem's timeout"):
            await store.get("k")
    assert misbehaving_http_server.counts["hanging"] == 1


async def test_a_dead_server_is_an_error_soon(http_server: FileServer) -> None:
    from servers import free_port

    started = time.monotonic()
    async with RemoteStore.from_url(f"http://127.0.0.1:{free_port()}/x") as store:
        for reading in (store.get, store.exists):
            with pytest.raises(BackendError, match="that it is running"):
                await reading("k")
    assert time.monotonic() - started < 10


async def test_a_dead_server_behind_a_cache_is_not_missing() -> None:
    from servers import free_port

    async with RemoteStore.from_url(f"simplecache::http://127.0.0.1:{free_port()}/x") as store:
        for reading in (store.get, store.exists):
            with pytest.raises(BackendError):
                await reading("k")


async def test_one_request_for_each_reading(http_server: FileServer) -> None:
    http_server.put("k", b"0123456789")
    async with RemoteStore.from_url(http_server.url) as store:
        await store.get("k")
        await store.get("k", RangeByteRequest(2, 4))
        await store.get("k", SuffixByteRequest(2))
        await store.stat("k")
        await store.exists("nope")
    assert [method for method, _ in http_server.requests] == ["GET"] * 3 + ["HEAD"] * 2


async def test_a_query_belongs_behind_every_key(http_server: FileServer) -> None:
    http_server.put("data/a b?c", b"1")
    url = f"{http_server.url}/data?X-Amz-Signature=geheim&part=1"
    async with RemoteStore.from_url(url) as store:
        assert await store.get("a b?c") == b"1"
        assert [key async for key in store.list()] == ["a b?c"]
        assert "geheim" not in repr(store)
        assert store.url.endswith("/data?X-Amz-Signature=***&part=1")


async def test_a_server_without_index_pages_says_that_it_cannot_list(
    http_server: FileServer,
) -> None:
    http_server.put("data/a/k", b"1")
    http_server.index = False
    async with RemoteStore.from_url(f"{http_server.url}/data") as store:
        assert await store.get("a/k") == b"1"
        for prefix in ("", "a"):
            with pytest.raises(UnsupportedOperationError, match="consolidated"):
                [key async for key in store.list_prefix(prefix)]


async def test_headers_and_sessions_of_the_filesystem_are_used(
    misbehaving_http_server: MisbehavingServer,
) -> None:
    server = misbehaving_http_server
    fs = HTTPFileSystem(headers={"X-Who": "me"}, skip_instance_cache=True)
    async with RemoteStore(fs, server.at("honest")) as store:
        assert await store.get("k", RangeByteRequest(0, 1)) == server.value[:1]
    assert server.headers[-1]["X-Who"] == "me"
    assert server.headers[-1]["Range"] == "bytes=0-0"
    assert not fs._session.closed  # the caller's own
    store = RemoteStore.from_url(server.at("honest"))
    await store.get("k")
    session = store.fs._session
    await store.close()
    assert session.closed


async def test_every_error_is_ours(misbehaving_http_server: MisbehavingServer) -> None:
    async with RemoteStore.from_url(misbehaving_http_server.at("not_found")) as store:
        assert await store.get("k") is None
        assert await store.stat("k") is None
        with pytest.raises(ZarrStoreError):
            [key async for key in store.list()]
