"""`ObjectStore` over Azure Blob Storage: an emulator of it."""

from __future__ import annotations

import pickle
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import zarrstore
from zarrstore import (
    ABSENT,
    AccessDeniedError,
    ConflictError,
    ObjectStore,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from azurite import Azurite

pytest_plugins = ["azurite"]


@pytest.fixture
def store(azurite: Azurite) -> Any:
    url = f"az://{azurite.container()}/{uuid.uuid4().hex}"
    options = {"connection_string": azurite.connection_string}
    return ObjectStore.from_url(url, options)


def test_values_and_listings(store: ObjectStore) -> None:
    sync = store.sync
    sync.set_many({"a/b": b"hello", "a/c d": b"", "ä": b"1"}.items())
    assert dict(sync) == {"a/b": b"hello", "a/c d": b"", "ä": b"1"}
    assert sorted(sync.list_dir()) == ["a", "ä"]
    for request, part in (
        (RangeByteRequest(1, 3), b"el"),
        (OffsetByteRequest(3), b"lo"),
        (SuffixByteRequest(2), b"lo"),
        (SuffixByteRequest(9), b"hello"),
        (OffsetByteRequest(9), b""),
    ):
        assert sync.get("a/b", request) == part
        assert sync.get("x", request) is None
    sync.delete("x")  # which the server calls an error
    sync.delete_dir("a")
    assert list(sync) == ["ä"]
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.sync["ä"] == b"1"


def test_conditional_writes(store: ObjectStore) -> None:
    first = store.sync.set("a", b"1", expect=ABSENT)
    with pytest.raises(ConflictError):
        store.sync.set("a", b"2", expect=ABSENT)
    second = store.sync.set("a", b"3", expect=first)
    with pytest.raises(ConflictError):
        store.sync.set("a", b"4", expect=first)
    assert store.sync.stat("a").version == second  # type: ignore[union-attr]
    assert store.sync["a"] == b"3"


def test_arrays(store: ObjectStore) -> None:
    zarrstore.create_array(store, data=[[1, 2], [3, 4]], chunks=(1, 2), name="a")
    assert zarrstore.open_array(store, path="a", mode="r")[1].tolist() == [3, 4]


@pytest.mark.parametrize("key", ["a/\uffff", "\ufffe"])
def test_keys_that_no_listing_can_name(store: ObjectStore, key: str) -> None:
    with pytest.raises(UnsupportedOperationError, match="XML"):
        store.sync.set(key, b"1")
    assert list(store.sync) == []


def test_a_wrong_key(azurite: Azurite) -> None:
    text = azurite.connection_string.replace("AccountKey=E", "AccountKey=F")
    url = f"az://{azurite.container()}/x"
    store = ObjectStore.from_url(url, {"connection_string": text})
    with pytest.raises(AccessDeniedError) as caught:
        store.sync["a"] = b"1"
    assert text.partition("AccountKey=")[2][:20] not in str(caught.value)
    assert text not in repr(store)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UseDevelopmentStorage=true", {"use_emulator": True}),
        (
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a2V5==;EndpointSuffix=x.org",
            {
                "account_name": "me",
                "account_key": "a2V5==",
                "endpoint": "https://me.blob.x.org",
            },
        ),
        (
            "BlobEndpoint=https://h/me/;SharedAccessSignature=sv=1&sig=a%3D;QueueEndpoint=https://q",
            {"endpoint": "https://h/me", "sas_key": "sv=1&sig=a%3D"},
        ),
    ],
)
def test_connection_strings(text: str, expected: dict[str, Any]) -> None:
    store = ObjectStore.from_url("az://box/x", {"connection_string": text})
    source: Any = store._source
    assert source._config == expected
