"""`ObjectStore` over HTTP: what bad servers answer is refused, never taken for a value."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from byte_ranges import RANGES, part
from obstore.store import HTTPStore

from zarrstore import aio
from zarrstore.abc import Capability, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    CorruptDataError,
    UnsupportedOperationError,
    ZarrStoreError,
)
from zarrstore.stores.object import ObjectStore

if TYPE_CHECKING:
    from servers import FileServer, MisbehavingServer

pytest_plugins = ["servers"]
pytestmark = pytest.mark.anyio


def impatient(url: str) -> ObjectStore:
    second = timedelta(seconds=1)
    return ObjectStore(
        HTTPStore(
            url,
            client_options={"allow_http": True, "timeout": "0.5s"},
            retry_config={"max_retries": 2, "retry_timeout": 5 * second},
        )
    )


def test_no_misbehaviour_gives_wrong_bytes(misbehaving_http_server: MisbehavingServer) -> None:
    server = misbehaving_http_server

    def check(name: str) -> None:
        store = impatient(server.at(name))
        for request in (None, *RANGES):
            try:
                value = store.sync.get("k", request)
            except ZarrStoreError:
                continue
            right = server.value if request is None else part(server.value, request)
            assert value == right or (value is None and name == "not_found"), (name, request)
        found = []
        try:
            store.sync.get_each(["k"], lambda index, value: found.append(value))
        except ZarrStoreError:
            pass
        else:
            assert found == [server.value] or (found == [None] and name == "not_found")
        store.sync.close()

    with ThreadPoolExecutor(len(server.misbehaviours)) as pool:
        list(pool.map(check, server.misbehaviours))


@pytest.mark.parametrize("name", ["honest", "ignores_range", "bare_416", "no_head", "busy_twice"])
async def test_ranges_from_servers_that_are_odd_but_right(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    server = misbehaving_http_server
    async with ObjectStore.from_url(server.at(name)) as store:
        for request in RANGES:
            assert await store.get("k", request) == part(server.value, request), request
        assert await store.get("k", RangeByteRequest(3, 3)) == b""
        assert await store.get("k") == server.value
        assert await store.getsize("k") == len(server.value)


@pytest.mark.parametrize("name", ["short_part", "smaller_part", "other_part", "no_content_range"])
async def test_a_part_that_is_not_what_was_asked_is_an_error(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    async with ObjectStore.from_url(misbehaving_http_server.at(name)) as store:
        for request in (RangeByteRequest(10, 20), SuffixByteRequest(5)):
            with pytest.raises((CorruptDataError, BackendError), match="'k'"):
                await store.get("k", request)


async def test_compressed_answers_are_refused(misbehaving_http_server: MisbehavingServer) -> None:
    server = misbehaving_http_server
    async with ObjectStore.from_url(server.at("compressed")) as store:
        for request in (None, RangeByteRequest(0, 10)):
            with pytest.raises(CorruptDataError, match="Content-Encoding 'gzip'"):
                await store.get("k", request)
        with pytest.raises(CorruptDataError):
            await store.getsize("k")
    assert {headers["Accept-Encoding"] for headers in server.headers} == {"identity"}


async def test_a_web_page_is_no_value(misbehaving_http_server: MisbehavingServer) -> None:
    async with ObjectStore.from_url(misbehaving_http_server.at("web_page")) as store:
        for request in (None, RangeByteRequest(0, 10)):
            with pytest.raises(BackendError, match="web page"):
                await store.get("zarr.json", request)
        assert bytes(await store.get("index.html") or b"").startswith(b"<!DOCTYPE")


@pytest.mark.parametrize("name", ["busy_twice", "cut_twice"])
async def test_what_passes_is_tried_again(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    server = misbehaving_http_server
    async with ObjectStore.from_url(server.at(name)) as store:
        assert await store.get("k") == server.value
    assert server.counts[name] == 3


@pytest.mark.parametrize(("name", "says"), [("always_busy", "503"), ("truncated", "body error")])
async def test_what_does_not_pass_is_an_error_soon(
    misbehaving_http_server: MisbehavingServer, name: str, says: str
) -> None:
    started = time.monotonic()
    async with ObjectStore.from_url(misbehaving_http_server.at(name)) as store:
        with pytest.raises(BackendError, match=says):
            await store.get("k")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("name", ["forbidden", "unauthorized"])
async def test_forbidden_is_not_missing_unless_it_is_said_to_be(
    misbehaving_http_server: MisbehavingServer, name: str
) -> None:
    url = misbehaving_http_server.at(name)
    async with ObjectStore.from_url(url) as store:
        for reading in (
            lambda: store.get("k"),
            lambda: store.get("k", RangeByteRequest(0, 1)),
            lambda: store.exists("k"),
            lambda: store.getsize("k"),
        ):
            with pytest.raises(AccessDeniedError, match="credentials"):
                await reading()
    async with ObjectStore.from_url(url, forbidden_is_missing=True) as store:
        if name == "unauthorized":
            with pytest.raises(AccessDeniedError):
                await store.get("k")
        else:
            assert await store.get("k") is None
            assert not await store.exists("k")


async def test_a_server_without_head_is_not_a_missing_key(
    misbehaving_http_server: MisbehavingServer,
) -> None:
    async with ObjectStore.from_url(misbehaving_http_server.at("no_head")) as store:
        assert await store.exists("k")
    async with ObjectStore.from_url(misbehaving_http_server.at("not_found")) as store:
        assert await store.get("k") is None
        assert await store.stat("k") is None


async def test_keys_are_quoted(http_server: FileServer) -> None:
    keys = ["a b", "p%20q", "a+b", "h#h", "q?q", "caf\u00e9", "a/b", "~x", "a&b=c"]
    for key in keys:
        http_server.put(f"data/{key}", key.encode())
    async with ObjectStore.from_url(f"{http_server.url}/data") as store:
        assert await store.get_many(keys) == [key.encode() for key in keys]


async def test_it_is_read_only_and_cannot_be_listed(http_server: FileServer) -> None:
    http_server.put("data/k", b"1")
    store = await aio.open_store(f"{http_server.url}/data", mode="r", engine="obstore")
    assert isinstance(store, ObjectStore)
    assert store.capabilities == Capability.READ | Capability.SHARED
    assert await store.get("k") == b"1"
    with pytest.raises(UnsupportedOperationError):
        store.list()
    with pytest.raises(UnsupportedOperationError):
        await ObjectStore.from_url(http_server.url).set("k", b"2")
    await store.close()


async def test_headers_are_sent(misbehaving_http_server: MisbehavingServer) -> None:
    server = misbehaving_http_server
    options = {"headers": {"X-Who": "me"}}
    async with ObjectStore.from_url(server.at("honest"), options) as store:
        assert await store.get("k", RangeByteRequest(0, 1)) == server.value[:1]
    assert server.headers[-1]["x-who"] == "me"
