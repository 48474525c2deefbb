"""`ObjectStore` on Google Cloud's interface, and what it makes of the options of Azure."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

import zarrstore
from zarrstore.abc import ABSENT, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import (
    AccessDeniedError,
    BackendError,
    ConflictError,
    StoreURLError,
    UnsupportedOperationError,
)
from zarrstore.stores._object.objects import AzureObjects
from zarrstore.stores._object.report import ObjectsReport
from zarrstore.stores._object.sources import source_of_url
from zarrstore.stores.object import ObjectStore

if TYPE_CHECKING:
    from google_storage import GoogleStorage

pytest_plugins = ["servers"]


@pytest.fixture(autouse=True)
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)


def opened(server: GoogleStorage, url: str = "gs://bucket/x") -> ObjectStore:
    options = {"token": "anon", "endpoint_url": server.url}
    return ObjectStore.from_url(url, options)


def test_versions_are_generations(google_storage: GoogleStorage) -> None:
    store = opened(google_storage).sync
    first = store.set("k", b"1")
    second = store.set("k", b"1")  # the same ETag
    assert first != second
    stat = store.stat("k")
    assert stat is not None
    assert stat.version == second
    for stale in (first, "0", "no-such-version", "9" * 30, "-1"):
        for key in ("k", "missing"):
            with pytest.raises(ConflictError):
                store.set(key, b"2", expect=stale)
    assert store.set("k", b"3", expect=second) == store.stat("k").version  # type: ignore[union-attr]
    with pytest.raises(ConflictError):
        store.set("k", b"4", expect=ABSENT)
    assert list(store) == ["k"]
    assert store["k"] == b"3"


def test_pages_and_odd_names(google_storage: GoogleStorage) -> None:
    store = opened(google_storage, "gs://bucket/a b+c%20\u00e9").sync
    names = ["x y", "p+q", "%2F", "caf\u00e9", "\U0001f600", "a&b=c", "q?r#s", "<>"]
    keys = [f"{name}/k" for name in names] + [f"n/{number}" for number in range(1100)]
    store.set_many((key, key.encode()) for key in keys)
    assert sorted(store) == sorted(keys)
    assert sorted(store.list_dir()) == sorted([*names, "n"])
    assert [store[f"{name}/k"] for name in names] == [f"{name}/k".encode() for name in names]
    assert {name.rpartition("/")[0] for name in google_storage.objects} == {
        f"a b+c%20\u00e9/{name}" for name in (*names, "n")
    }
    store.delete_dir("n")
    assert sorted(store) == sorted(f"{name}/k" for name in names)


def test_a_server_that_ignores_suffix_ranges(google_storage: GoogleStorage) -> None:
    google_storage.ignores_suffixes = True
    store = opened(google_storage).sync
    store["k"] = b"0123456789"
    requests = [SuffixByteRequest(3), SuffixByteRequest(99), OffsetByteRequest(8)]
    assert [store.get("k", asked) for asked in requests] == [b"789", b"0123456789", b"89"]
    assert store.get_ranges("k", [SuffixByteRequest(1), RangeByteRequest(0, 1)]) == [b"9", b"0"]
    assert store.get("missing", SuffixByteRequest(3)) is None


def test_anonymous_writes_look_for_no_credentials(google_storage: GoogleStorage) -> None:
    store = opened(google_storage).sync
    store["k"] = b"1"
    assert store["k"] == b"1"
    assert google_storage.tokens == {"", "Bearer anonymous"}  # none where it reads
    google_storage.denies = True
    for doing in (lambda: store.get("k"), lambda: store.set("k", b"2"), lambda: store.delete("k")):
        with pytest.raises(AccessDeniedError):
            doing()


def test_the_environment_names_an_emulator(
    google_storage: GoogleStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in (google_storage.url, google_storage.url.removeprefix("http://")):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", said)
        store = zarrstore.open_store("gs://bucket/x", engine="obstore").sync
        store["k"] = said.encode()
        assert google_storage.objects["x/k"].value == said.encode()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    assert "base_url" not in source_of_url("gs://bucket/x", {}).make().config


def test_a_missing_bucket_is_not_a_missing_key(google_storage: GoogleStorage) -> None:
    store = opened(google_storage, "gs://nobucket/x").sync
    for doing in (
        lambda: store.get("k"),
        lambda: store.get("k", SuffixByteRequest(1)),
        lambda: store.stat("k"),
        lambda: store.exists("k"),
        lambda: store.delete("k"),
        lambda: store.set("k", b"1"),
        lambda: store.is_empty(""),
    ):
        with pytest.raises(BackendError, match="NoSuchBucket"):
            doing()


KEY = "c2VjcmV0LWtleS1vZi1henVyZQ=="


@pytest.mark.parametrize(
    ("url", "said", "endpoint"),
    [
        ("az://box/x", f"AccountName=me;AccountKey={KEY}", None),
        ("az://box/x", f"AccountName=me;AccountKey={KEY};EndpointSuffix=core.windows.net;", None),
        (
            "az://box/x",
            f"AccountName=me;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/me/;",
            "http://127.0.0.1:10000/me",
        ),
        (
            "az://box/x",
            f"accountname=me; AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "https://me.blob.core.chinacloudapi.cn",
        ),
        (
            "abfs://box@me.dfs.core.usgovcloudapi.net/x",
            f"AccountName=me;AccountKey={KEY}",
            "https://me.blob.core.usgovcloudapi.net",
        ),
    ],
)
def test_a_connection_string_of_azure(url: str, said: str, endpoint: str | None) -> None:
    source = source_of_url(url, {"connection_string": said})
    wanted = {"account_name": "me", "account_key": KEY, "container_name": "box"}
    config = dict(source.make().config)
    assert config == (wanted | {"endpoint": endpoint} if endpoint else wanted)
    assert KEY in source.secrets()
    store = zarrstore.open_store(url, storage_options={"connection_string": said})
    assert isinstance(store, ObjectStore)
    assert KEY not in f"{store!r} {source!r}"


def test_a_connection_string_that_says_nothing() -> None:
    with pytest.raises(StoreURLError, match="'connection_string' without AccountName") as caught:
        ObjectStore.from_url("az://box/x", {"connection_string": f"AccountKey={KEY}"})
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_keys_that_azure_could_not_list_are_refused() -> None:
    from obstore.store import MemoryStore

    objects = AzureObjects(MemoryStore(), "", ObjectsReport("az://box/x"))
    for key in ("a/\uffff", "\ufffe"):
        with pytest.raises(UnsupportedOperationError, match="XML"):
            objects.set(key, b"1")
        with pytest.raises(UnsupportedOperationError, match="XML"):
            objects.set_if(key, b"1", ABSENT, RuntimeError)
    objects.set("a/\ufffd", b"1")
