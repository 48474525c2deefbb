"""`RemoteStore` over S3."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest
import s3fs

from zarrstore.abc import ABSENT, Capability, RangeByteRequest
from zarrstore.errors import AccessDeniedError, BackendError, ConflictError
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]
pytestmark = pytest.mark.anyio


async def test_conditional_writes(s3_bucket: Bucket) -> None:
    async with RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options) as store:
        assert Capability.COMPARE_AND_SWAP in store.capabilities
        first = await store.set("k", b"1", expect=ABSENT)
        assert first is not None
        assert first == (await store.stat("k")).version
        with pytest.raises(ConflictError) as caught:
            await store.set("k", b"2", expect=ABSENT)
        assert caught.value.found == first
        assert not await store.set_if_not_exists("k", b"2")
        second = await store.set("k", b"2", expect=first)
        with pytest.raises(ConflictError) as caught:
            await store.set("k", b"3", expect=first)
        assert caught.value.found == second
        assert await store.get("k") == b"2"
        await store.delete("k")
        with pytest.raises(ConflictError) as caught:
            await store.set("k", b"3", expect=second)
        assert caught.value.found is None
        assert await store.get("k") is None


def test_one_of_many_racing_writers_wins(s3_bucket: Bucket) -> None:
    store = RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.sync.set_if_not_exists("k", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert store.sync["k"] == b"%d" % won.index(True)
    store.sync.close()


async def test_many_keys_are_listed_and_deleted_in_pages(s3_bucket: Bucket) -> None:
    options = {**s3_bucket.storage_options, "s3_additional_kwargs": {"MaxKeys": 7}}
    async with RemoteStore.from_url(f"{s3_bucket.url}/top", options) as store:
        await store.set_many((f"many/{number:02}", b"xy") for number in range(30))
        await store.set("many/sub/1", b"x")
        await store.set("many/sub", b"a key that is a prefix as well")
        await store.set("many2", b"")
        client = s3_bucket.server.client()
        await anyio.to_thread.run_sync(
            lambda: client.put_object(Bucket=s3_bucket.name, Key="top/many/marker/", Body=b"")
        )
        client.close()
        keys = [key async for key in store.list_prefix("many")]
        assert len(keys) == len(set(keys)) == 32
        names = [name async for name in store.list_dir("many")]
        assert sorted(names) == [*(f"{n:02}" for n in range(30)), "marker", "sub"]
        assert await store.getsize_prefix("many") == 60 + 1 + 30
        listing = store.list_prefix("many")
        assert (await anext(listing)).startswith("many/")
        await listing.aclose()
        await store.delete_dir("many")
        assert [key async for key in store.list()] == ["many2"]
        assert await store.is_empty("many")


async def test_a_wrong_secret_is_denied_and_shown_nowhere(strict_s3_bucket: Bucket) -> None:
    bucket = strict_s3_bucket
    async with RemoteStore.from_url(bucket.url, bucket.storage_options) as store:
        await store.set("k", b"1")
        assert await store.get("k") == b"1"
        assert await store.get("missing") is None
    options = {**bucket.storage_options, "secret": "a-wrong-secret"}
    async with RemoteStore.from_url(bucket.url, options) as store:
        for doing in (
            lambda: store.get("k"),
            lambda: store.get("k", RangeByteRequest(0, 1)),
            lambda: store.stat("k"),
            lambda: store.set("k", b""),
            lambda: store.delete("k"),
            lambda: store.is_empty(),
        ):
            with pytest.raises(AccessDeniedError, match="credentials") as caught:
                await doing()
            assert "a-wrong-secret" not in str(caught.value)
    async with RemoteStore.from_url(bucket.url, options, forbidden_is_missing=True) as store:
        assert await store.get("k") is None
        with pytest.raises(AccessDeniedError):
            await store.set("k", b"")


async def test_a_missing_bucket_is_not_a_missing_key(s3_bucket: Bucket) -> None:
    url = "s3://no-such-bucket-here/x"
    async with RemoteStore.from_url(url, s3_bucket.storage_options) as store:
        for doing in (
            lambda: store.get("k"),
            lambda: store.set("k", b""),
            lambda: store.is_empty(),
        ):
            with pytest.raises(BackendError, match="bucket"):
                await doing()


async def test_a_dead_server_is_an_error_soon(s3_bucket: Bucket) -> None:
    from servers import free_port

    options = {**s3_bucket.storage_options, "endpoint_url": f"http://127.0.0.1:{free_port()}"}
    started = time.monotonic()
    async with RemoteStore.from_url(s3_bucket.url, options) as store:
        with pytest.raises(BackendError, match="that it is running"):
            await store.get("k")
    assert time.monotonic() - started < 10


def test_a_filesystem_of_another_loop_is_made_anew(s3_bucket: Bucket) -> None:
    async def foreign() -> s3fs.S3FileSystem:
        return s3fs.S3FileSystem(**s3_bucket.storage_options, asynchronous=True)

    store = RemoteStore(asyncio.run(foreign()), s3_bucket.name)
    store.sync["k"] = b"1"
    assert store.sync["k"] == b"1"
    assert not store.fs.asynchronous
    store.sync.close()


async def test_the_callers_filesystem_stays_open(s3_bucket: Bucket) -> None:
    fs = s3fs.S3FileSystem(**s3_bucket.storage_options)
    async with RemoteStore(fs, s3_bucket.name) as store:
        assert store.fs is fs
        await store.set("k", b"1")
    async with RemoteStore(fs, s3_bucket.name) as store:
        assert await store.get("k") == b"1"


async def test_chains(s3_bucket: Bucket) -> None:
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a/zarr.json", "{}")
    async with RemoteStore.from_url(s3_bucket.url, s3_bucket.storage_options) as store:
        await store.set("data.zip", archive.getvalue())
        await store.set("plain/k", b"cached")
    options = {"s3": s3_bucket.storage_options}
    async with RemoteStore.from_url(f"zip::{s3_bucket.url}/data.zip", options) as store:
        assert await store.get("a/zarr.json") == b"{}"
        assert [key async for key in store.list()] == ["a/zarr.json"]
    async with RemoteStore.from_url(f"zip://a::{s3_bucket.url}/data.zip", options) as store:
        assert await store.get("zarr.json") == b"{}"
        assert [name async for name in store.list_dir()] == ["zarr.json"]
    async with RemoteStore.from_url(f"simplecache::{s3_bucket.url}/plain", options) as store:
        assert await store.get("k", RangeByteRequest(0, 3)) == b"cac"
        assert [key async for key in store.list()] == ["k"]
