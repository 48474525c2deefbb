"""Which engine opens a URL."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import S3Store

import zarrstore
from zarrstore import aio
from zarrstore.byte_range import RangeByteRequest
from zarrstore.errors import BackendError, StoreURLError
from zarrstore.stores._object.sources import source_of_url
from zarrstore.stores.object import ObjectStore
from zarrstore.stores.remote import RemoteStore

if TYPE_CHECKING:
    from servers import FileServer

pytest_plugins = ["servers"]


@pytest.fixture(autouse=True)
def no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "ZARRSTORE_ENGINE", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")


@pytest.mark.parametrize(
    ("url", "options", "kind"),
    [
        ("s3://bucket/x", {}, ObjectStore),
        ("S3://bucket/x", {"anon": True}, ObjectStore),
        ("s3://bucket", {"key": "k", "secret": "s"}, ObjectStore),
        ("s3://bucket/x?versionId=1", {}, RemoteStore),
        ("s3://arn:aws:s3:eu:1:accesspoint/x", {}, RemoteStore),
        ("s3://me:geheim@bucket/x", {}, RemoteStore),
        ("http://host/x", {}, RemoteStore),
        ("https://host/x", {}, RemoteStore),
        ("simplecache::s3://bucket/x", {}, RemoteStore),
    ],
)
def test_the_default_is_obstore_where_that_means_the_same(
    url: str, options: dict[str, Any], kind: type
) -> None:
    store = zarrstore.open_store(url, storage_options=options)
    assert type(store) is kind
    assert repr(store).startswith(f"{kind.__name__}(")
    assert "geheim" not in repr(store)


@pytest.mark.parametrize(
    ("url", "options", "shown"),
    [
        ("gs://bucket/x", {"token": "anon"}, "gs://bucket/x"),
        ("az://box/x", {"account_name": "a", "account_key": "a2V5"}, "az://box/x"),
        ("abfs://box@a.dfs.core.windows.net/x", {"sas_token": "sv=1"}, "abfs://***@a.dfs.core."),
    ],
)
def test_other_clouds(url: str, options: dict[str, Any], shown: str) -> None:
    store = zarrstore.open_store(url, storage_options=options)
    assert isinstance(store, ObjectStore)
    assert store.url.startswith(shown)


def test_other_clouds_with_credentials_that_are_not_given_are_left_to_fsspec() -> None:
    for url, extra in (("gs://bucket/x", "gcs"), ("az://box/x", "azure")):
        with pytest.raises(StoreURLError, match=extra):  # its package is not installed here
            zarrstore.open_store(url)
        assert isinstance(zarrstore.open_store(url, engine="obstore"), ObjectStore)


def test_google_cloud_by_its_address(http_server: FileServer) -> None:
    http_server.put("bucket/x/k", b"hello")
    options = {"token": "anon", "endpoint_url": http_server.url}
    store = zarrstore.open_store("gs://bucket/x", storage_options=options)
    assert isinstance(store, ObjectStore)
    assert store.sync["k"] == b"hello"
    assert store.sync.get("k", RangeByteRequest(1, 99)) == b"ello"
    assert store.sync.get("missing") is None
    store.sync.close()


def test_azure_has_what_is_given() -> None:
    options = {"account_name": "me", "account_key": "a2V5"}
    made = source_of_url("az://box/x", options).make()
    assert dict(made.config) == {**options, "container_name": "box"}
    assert made.prefix == "x"
    made = source_of_url("abfs://box@me.dfs.core.windows.net", {"sas_token": "sv=1&sig=x"}).make()
    assert made.config["account_name"] == "me"
    assert made.config["sas_key"] == "sv=1&sig=x"


def test_an_engine_that_is_asked_for_opens_or_raises() -> None:
    assert isinstance(zarrstore.open_store("s3://b/x", engine="fsspec"), RemoteStore)
    store = asyncio.run(aio.open_store("http://h/x", engine="obstore"))
    assert isinstance(store, ObjectStore)
    for url, options, says in [
        ("s3://b/x", {"version_aware": True}, "'version_aware'"),
        ("gs://b/x", {"token": "browser"}, "'token'"),
        ("az://b/x", {"connection_string": "geheim"}, "'connection_string'"),
        ("https://h/x", {"client_kwargs": {}}, "'client_kwargs'"),
        ("ftp://h/x", {}, "known schemes are abfs"),
        ("simplecache::s3://b/x", {}, "known schemes"),
    ]:
        with pytest.raises(StoreURLError, match=says) as caught:
            zarrstore.open_store(url, engine="obstore", storage_options=options)
        assert "geheim" not in str(caught.value)
    for given in ("data.zarr", "memory://x", "file:///x", {}, None):
        with pytest.raises(TypeError, match="engine= goes with"):
            zarrstore.open_store(given, engine="obstore")
    with pytest.raises(TypeError, match="engine"):
        zarrstore.open_store(zarrstore.create_group(), engine="obstore")
    with pytest.raises(ValueError, match="'obstore', 'fsspec'"):
        zarrstore.open_store("s3://b/x", engine="rust")  # type: ignore[arg-type]


def test_the_environment_has_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZARRSTORE_ENGINE", "fsspec")
    assert isinstance(zarrstore.open_store("s3://b/x"), RemoteStore)
    assert isinstance(zarrstore.open_store("s3://b/x", engine="obstore"), ObjectStore)
    monkeypatch.setenv("ZARRSTORE_ENGINE", "obstore")
    assert isinstance(zarrstore.open_store("http://h/x"), ObjectStore)
    with pytest.raises(StoreURLError, match="version_aware"):
        zarrstore.open_store("s3://b/x", storage_options={"version_aware": True})
    assert isinstance(zarrstore.open_store("simplecache::memory://x"), RemoteStore)
    monkeypatch.setenv("ZARRSTORE_ENGINE", "rust")
    with pytest.raises(ValueError, match="ZARRSTORE_ENGINE='rust'"):
        zarrstore.open_store("s3://b/x")
    zarrstore.open_store({})


def test_without_obstore_everything_is_fsspecs(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.delitem(sys.modules, "obstore", raising=False)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "obstore" else find(name, *rest),
    )
    assert isinstance(zarrstore.open_store("s3://b/x"), RemoteStore)
    with pytest.raises(StoreURLError, match=r"zarrstore\[obstore\]"):
        zarrstore.open_store("s3://b/x", engine="obstore")


def test_pipelines_take_the_engine() -> None:
    archive = zarrstore.open_store("s3://b/x.zip|zip:a", engine="obstore")
    assert archive.url == "s3://b/x.zip|zip:a"


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9", "http://", "http://host:port", "file:///x"])
def test_an_endpoint_is_an_address(endpoint: str) -> None:
    for url in ("s3://bucket/x", "gs://bucket/x"):
        options = {"endpoint_url": endpoint, **({"token": "anon"} if url[0] == "g" else {})}
        with pytest.raises(StoreURLError, match=r"the endpoint .* no http\(s\):// address"):
            zarrstore.open_store(url, engine="obstore", storage_options=options)
    said = f"AccountName=me;AccountKey=a2V5;BlobEndpoint={endpoint}"
    with pytest.raises(StoreURLError, match="the endpoint"):
        zarrstore.open_store(
            "az://box/x", engine="obstore", storage_options={"connection_string": said}
        )


@pytest.mark.parametrize("path", ["a//b", "/a", "./a", "a/.."])
def test_prefixes_that_obstore_would_change_are_left_to_fsspec(path: str) -> None:
    url = f"s3://bucket/{path}"
    assert isinstance(zarrstore.open_store(url), RemoteStore)
    with pytest.raises(StoreURLError, match="an empty segment"):
        zarrstore.open_store(url, engine="obstore")


def test_a_panic_of_obstore_is_an_error_of_the_backend() -> None:
    made = S3Store(
        "bucket", endpoint="127.0.0.1:9", access_key_id="k", secret_access_key="geheim",
        region="us-east-1", client_options={"allow_http": True},
    )  # fmt: skip
    store = ObjectStore(made).sync
    for doing in (lambda: store.get("k"), lambda: store.set("k", b"1"), lambda: list(store)):
        with pytest.raises(BackendError, match="obstore panicked"):
            doing()
