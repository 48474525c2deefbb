"""`ObjectStore` over S3: a real server (SeaweedFS), and moto, which checks credentials."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import zarrstore
from zarrstore import aio
from zarrstore.abc import ABSENT, Capability, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    ConflictError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.stores._object.options import NotTranslatable, Options
from zarrstore.stores._object.s3 import S3Options, S3Settings, region_of_bucket
from zarrstore.stores.object import ObjectStore
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the machine is configured with out of the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def make(bucket: Bucket, prefix: str = "", **options: Any) -> ObjectStore:
    url = f"{bucket.url}/{prefix}" if prefix else bucket.url
    return ObjectStore.from_url(url, {**bucket.storage_options, **options})


async def test_what_foreign_clients_see(s3_bucket: Bucket) -> None:
    keys = ["a b", "p%20q", "%2F", "a+b", "h#h", "q?q", "*", "it's&<>", "caf\u00e9", "cafe\u0301"]
    async with make(s3_bucket, "top") as store:
        await store.set_many((key, key.encode()) for key in keys)
        client = s3_bucket.server.client()
        found = client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]
        assert sorted(item["Key"] for item in found) == sorted(f"top/{key}" for key in keys)
        async with RemoteStore.from_url(store.url, s3_bucket.storage_options) as other:
            assert await other.get_many(keys) == [key.encode() for key in keys]
        client.put_object(Bucket=s3_bucket.name, Key="top/\U0001f600/x", Body=b"1")
        assert await store.get("\U0001f600/x") == b"1"
        client.close()


async def test_markers_of_directories_are_no_keys(s3_bucket: Bucket) -> None:
    client = s3_bucket.server.client()
    for key, body in [
        ("top/marker/", b""),
        ("top/empty", b""),
        ("top/both", b""),
        ("top/both/", b""),
        ("top/full", b"1"),
        ("top/full/", b""),
        ("top/k", b"1"),
    ]:
        client.put_object(Bucket=s3_bucket.name, Key=key, Body=body)
    async with make(s3_bucket, "top") as store:
        assert sorted([key async for key in store.list()]) == ["both", "empty", "full", "k"]
        await store.clear()
        assert await store.is_empty()
        client.put_object(Bucket=s3_bucket.name, Key="top/a//b", Body=b"")
        with pytest.raises(UnsupportedOperationError, match="empty path segment"):
            [key async for key in store.list()]
    client.close()


async def test_many_keys_are_listed_and_deleted_in_pages(seaweed_bucket: Bucket) -> None:
    async with make(seaweed_bucket, "top") as store:
        await store.set_each((f"many/{number:04}", b"xy") for number in range(1050))
        await store.set("many/sub/1", b"x")
        await store.set("many2", b"")
        keys = [key async for key in store.list_prefix("many")]
        assert len(keys) == len(set(keys)) == 1051
        assert len([name async for name in store.list_dir("many")]) == 1051
        assert await store.getsize_prefix("many") == 2 * 1050 + 1
        listing = store.list_prefix("many")
        assert (await anext(listing)).startswith("many/")
        await listing.aclose()
        await store.delete_dir("many")
        assert [key async for key in store.list()] == ["many2"]
        assert await store.is_empty("many")


async def test_ranges(seaweed_bucket: Bucket, s3_bucket: Bucket) -> None:
    for bucket in (seaweed_bucket, s3_bucket):
        async with make(bucket) as store:
            await store.set("k", b"hello")
            await store.set("empty", b"")
            for request, right in [
                (RangeByteRequest(1, 3), b"el"),
                (RangeByteRequest(1, 99), b"ello"),
                (RangeByteRequest(5, 6), b""),
                (RangeByteRequest(2, 2), b""),
                (SuffixByteRequest(2), b"lo"),
                (SuffixByteRequest(99), b"hello"),
                (SuffixByteRequest(0), b""),
            ]:
                assert await store.get("k", request) == right, request
                assert await store.get("missing", request) is None
                assert await store.get("empty", request) == b""


def test_one_of_many_racing_writers_wins(seaweed_bucket: Bucket) -> None:
    store = make(seaweed_bucket)
    assert Capability.COMPARE_AND_SWAP in store.capabilities
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.sync.set_if_not_exists("k", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert store.sync["k"] == b"%d" % won.index(True)
    first = store.sync.stat("k").version
    second = store.sync.set("k", b"new", expect=first)
    with pytest.raises(ConflictError) as caught:
        store.sync.set("k", b"newer", expect=first)
    assert caught.value.found == second
    store.sync.delete("k")
    with pytest.raises(ConflictError) as caught:
        store.sync.set("k", b"newest", expect=second)
    assert caught.value.found is None
    assert store.sync.get("k") is None
    assert store.sync.set("k", b"1", expect=ABSENT)
    store.sync.close()


def test_arrays_on_a_real_server(seaweed_bucket: Bucket) -> None:
    import zarr

    store = zarrstore.open_store(
        seaweed_bucket.url, storage_options=seaweed_bucket.storage_options, engine="obstore"
    )
    values = np.random.default_rng(0).integers(0, 9, (60, 70), "int16")
    made = zarrstore.create_array(store, name="a/b", data=values, chunks=(7, 8))
    sharded = zarrstore.create_array(
        store, name="s", data=values, chunks=(5, 7), shards=(20, 35), compressors="zstd"
    )
    values[10:50, 3:60] *= 2
    made[10:50, 3:60] = sharded[10:50, 3:60] = values[10:50, 3:60]
    for array in (made, sharded):
        np.testing.assert_array_equal(array[...], values)
        np.testing.assert_array_equal(array[33, ::-2], values[33, ::-2])
    assert zarrstore.open_group(store).tree() is not None
    theirs = zarr.open_group(
        seaweed_bucket.url, mode="r", storage_options=seaweed_bucket.storage_options
    )
    np.testing.assert_array_equal(theirs["a/b"][...], values)
    np.testing.assert_array_equal(theirs["s"][...], values)
    log = zarrstore.create_array(store, name="log", shape=0, dtype="int64", chunks=10)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append([number]), range(30)))
    log.refresh()
    assert sorted(log[...]) == list(range(30))
    store.sync.close()


async def test_a_wrong_secret_is_denied_and_shown_nowhere(strict_s3_bucket: Bucket) -> None:
    bucket = strict_s3_bucket
    async with make(bucket) as store:
        await store.set("k", b"1")
        assert await store.get("k") == b"1"
        assert await store.get("missing") is None
    async with make(bucket, secret="a-wrong-secret") as store:
        for doing in (
            lambda: store.get("k"),
            lambda: store.get("k", RangeByteRequest(0, 1)),
            lambda: store.get_each(["k"], print),
            lambda: store.stat("k"),
            lambda: store.set("k", b""),
            lambda: store.set("k", b"", expect=ABSENT),
            lambda: store.delete("k"),
            lambda: store.is_empty(),
        ):
            with pytest.raises(AccessDeniedError, match="credentials") as caught:
                await doing()
            assert bucket.storage_options["key"] not in f"{caught.value} {caught.value.__cause__}"
    wrong = {**bucket.storage_options, "secret": "a-wrong-secret"}
    async with ObjectStore.from_url(bucket.url, wrong, forbidden_is_missing=True) as store:
        assert await store.get("k") is None
        with pytest.raises(AccessDeniedError):
            await store.set("k", b"")
    assert "a-wrong-secret" not in repr(store)


async def test_a_missing_bucket_is_not_a_missing_key(s3_bucket: Bucket) -> None:
    async with ObjectStore.from_url("s3://no-such-bucket/x", s3_bucket.storage_options) as store:
        for doing in (
            lambda: store.get("k"),
            lambda: store.stat("k"),
            lambda: store.exists("k"),
            lambda: store.set("k", b""),
            lambda: store.delete("k"),
            lambda: store.is_empty(),
        ):
            with pytest.raises(BackendError, match="bucket"):
                await doing()


async def test_a_dead_server_is_an_error_soon(s3_bucket: Bucket) -> None:
    from servers import free_port

    started = time.monotonic()
    async with make(s3_bucket, endpoint_url=f"http://127.0.0.1:{free_port()}") as store:
        with pytest.raises(BackendError, match="that it is running"):
            await store.get("k")
    assert time.monotonic() - started < 10


def write_profiles(path: Path, bucket: Bucket) -> None:
    options = bucket.storage_options
    (path / "config").write_text(
        f"[profile found]\nendpoint_url = {options['endpoint_url']}\nregion = eu-west-3\n"
        "[profile virtual]\ns3 =\n  addressing_style = virtual\n"
    )
    (path / "credentials").write_text(
        f"[found]\naws_access_key_id = {options['key']}\n"
        f"aws_secret_access_key = {options['secret']}\n"
    )


async def test_a_profile_has_the_credentials_and_the_endpoint(
    strict_s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profiles(tmp_path, strict_s3_bucket)
    for options, environment in [
        ({"profile": "found"}, {}),
        ({}, {"AWS_PROFILE": "found"}),
        (
            {"client_kwargs": {"region_name": "us-east-1"}},
            {
                "AWS_ENDPOINT_URL": strict_s3_bucket.storage_options["endpoint_url"],
                "AWS_ACCESS_KEY_ID": strict_s3_bucket.storage_options["key"],
                "AWS_SECRET_ACCESS_KEY": strict_s3_bucket.storage_options["secret"],
            },
        ),
    ]:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            for store in (
                await aio.open_store(strict_s3_bucket.url, storage_options=options),
                await aio.open_store(
                    strict_s3_bucket.url, storage_options=options, engine="fsspec"
                ),
            ):
                await store.set("k", b"1")
                assert await store.get("k") == b"1"
                await store.close()
            assert isinstance(store, RemoteStore)


async def test_a_token_of_the_environment_does_not_go_with_given_keys(
    strict_s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    async with make(strict_s3_bucket) as store:
        await store.set("k", b"1")
        assert await store.get("k") == b"1"
        copy = pickle.loads(pickle.dumps(store))
        assert copy == store
        assert await copy.get("k") == b"1"


async def test_without_credentials_it_says_so(s3_bucket: Bucket) -> None:
    options = {"endpoint_url": s3_bucket.storage_options["endpoint_url"]}
    async with ObjectStore.from_url(s3_bucket.url, options) as store:
        with pytest.raises(AccessDeniedError, match=r"no AWS credentials.*anon=True"):
            await store.get("k")


async def test_anonymous(s3_bucket: Bucket) -> None:
    client = s3_bucket.server.client()
    client.put_object(Bucket=s3_bucket.name, Key="k", Body=b"1", ACL="public-read")
    client.close()
    options = {"anon": True, "client_kwargs": {"endpoint_url": s3_bucket.server.endpoint}}
    async with ObjectStore.from_url(s3_bucket.url, options) as store:
        assert await store.get("k") == b"1"


def settings(**options: Any) -> S3Settings:
    return S3Options(Options("s3", options)).settings()


def test_options_mean_what_they_mean_to_s3fs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings().endpoint is None
    assert settings().region == "us-east-1"
    assert settings(s3={"anon": True}).anonymous
    assert settings(requester_pays=True).config()[0]["request_payer"] is True
    assert settings(use_listings_cache=False, default_block_size=1, anon=None) is not None
    found = settings(
        username="me",
        password="geheim",
        client_kwargs={"aws_session_token": "t", "endpoint_url": "http://h:1", "region_name": "x"},
    )
    assert (found.endpoint, found.region) == ("http://h:1", "x")
    credentials = found.credentials()
    assert (credentials["access_key_id"], credentials["token"]) == ("me", "t")
    assert "geheim" not in repr(found)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    assert settings().config()[0]["endpoint"] == "https://s3.cn-north-1.amazonaws.com.cn"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://of-s3:1")
    assert settings().endpoint == "http://of-s3:1"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert settings().endpoint is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"config_kwargs": {"s3": {"addressing_style": "virtual"}}}, "'config_kwargs'"),
        ({"client_kwargs": {"verify": False}}, r"client_kwargs\['verify'\]"),
        ({"version_aware": True}, "'version_aware'"),
        ({"s3_additional_kwargs": {"ACL": "x"}}, "'s3_additional_kwargs'"),
        ({"key": "alone"}, "'key' alone"),
        ({"use_ssl": False}, "use_ssl"),
        ({"profile": "missing"}, "missing"),
        ({"profile": "virtual"}, "addressing_style"),
    ],
)
def test_what_cannot_be_translated_is_left_to_fsspec(
    s3_bucket: Bucket, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    write_profiles(tmp_path, s3_bucket)
    with pytest.raises(NotTranslatable, match=says):
        settings(**options)
    with pytest.raises(StoreURLError, match=says):
        zarrstore.open_store("s3://bucket/x", storage_options=options, engine="obstore").sync.stat(
            "k"
        )
    store = zarrstore.open_store("s3://bucket/x", storage_options=options)
    assert isinstance(store, RemoteStore)


def test_what_fsspec_is_configured_with_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    monkeypatch.setitem(conf, "s3", {"version_aware": True})
    assert isinstance(zarrstore.open_store("s3://bucket/x"), RemoteStore)
    monkeypatch.setitem(conf, "s3", {"anon": True})
    assert isinstance(zarrstore.open_store("s3://bucket/x"), ObjectStore)


@pytest.fixture
def says_region() -> Iterator[str]:
    from aiohttp import web
    from servers import AppThread

    async def redirect(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            return web.Response(status=403, headers={"x-amz-bucket-region": "eu-north-1"})
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("HEAD", "/{bucket}", redirect)
    with AppThread(app) as thread:
        yield f"http://127.0.0.1:{thread.port}"


def test_the_region_of_a_bucket_is_asked_for(says_region: str) -> None:
    from servers import free_port

    assert region_of_bucket("elsewhere", "us-east-1", says_region) == "eu-north-1"
    assert region_of_bucket("unknown", "us-east-1", says_region) == "us-east-1"
    dead = f"http://127.0.0.1:{free_port()}"
    assert region_of_bucket("elsewhere", "us-east-1", dead) == "us-east-1"
