"""What a store is: equality, hash, repr, and errors that say where they come from."""

from __future__ import annotations

import asyncio

from zarrstore.abc import Capability, Store
from zarrstore.errors import KeyNotFoundError, StoreClosedError
from zarrstore.redaction import redact
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case


@behaviour("stores are equal if they are of one kind, over the same data, equally read-only")
def equality_is_of_the_data(case: Case, store: Store) -> None:
    other = case.make()
    view, again = store.with_read_only(), store.with_read_only()
    for what, left, right, equal in (
        ("a store and itself", store, store, True),
        ("a store and another with its own data", store, other, False),
        ("two read-only views of a store", view, again, True),
        ("a store and its read-only view", store, view, False),
        ("a store and a writable view of it", store, view.with_read_only(False), True),
        ("a store and None", store, None, False),
        ("a store and its URL", store, store.url, False),
    ):
        if (left == right) is not equal or (left != right) is equal:
            raise Failed(f"{what} should be {'equal' if equal else 'different'}")
        if equal and hash(left) != hash(right):
            raise Failed(f"{what} are equal, and their hashes are different")
    before = hash(store)
    store.sync["a"] = b"1"
    if hash(store) != before or store != store.with_read_only().with_read_only(False):
        raise Failed("the hash of a store changed with what it holds")
    if len({store: 1, view: 2, again: 3, other: 4}) != 3:
        raise Failed("a store, its view and another store should be three keys of a dict")


@behaviour(
    "repr and URL name the store, on one line, with secrets redacted, closed or not",
    reads_only=True,
)
def repr_has_no_secrets(_: Case, store: Store) -> None:
    for kind in (store, store.with_read_only()):
        for what, text in (("repr(store)", repr(kind)), ("store.url", kind.url)):
            if not isinstance(text, str) or not text or "\n" in text:
                raise Failed(f"{what} should be one line of text, and is {text!r}")
            if redact(text) != text:
                raise Failed(f"{what} shows a password, a token or a signature")
        if type(kind).__name__ not in repr(kind):
            raise Failed(f"repr(store) should name {type(kind).__name__}, and is {kind!r}")
    if repr(store.sync) == "" or redact(repr(store.sync)) != repr(store.sync):
        raise Failed("repr(store.sync) shows a password, a token or a signature")
    store.sync.close()
    repr(store)


@behaviour(
    "an error has the store's URL and the key, as fields and in its message", reads_only=True
)
def errors_name_store_and_key(_: Case, store: Store) -> None:
    try:
        store.sync.getsize("no/such/key")
    except KeyNotFoundError as error:
        if error.key != "no/such/key" or "no/such/key" not in str(error):
            raise Failed(f"the error should name the key 'no/such/key': {error}") from error
        if error.store != store.url or store.url not in str(error):
            raise Failed(f"the error should name the store {store.url}: {error}") from error
    else:
        raise Failed("getsize of a missing key raised nothing")
    store.sync.close()
    try:
        store.sync.get("a")
    except StoreClosedError as error:
        if store.url not in str(error):
            raise Failed(f"the error should name the store {store.url}: {error}") from error
    else:
        raise Failed("get on a closed store raised nothing")


@behaviour("capabilities are a set of flags, the same each time", reads_only=True)
def capabilities_are_stable(case: Case, store: Store) -> None:
    found = store.capabilities
    if not isinstance(found, Capability):
        raise Failed(f"capabilities should be a Capability, and are {found!r}")
    store = case.with_values(store, {"a": b"1"})
    if Capability.WRITE in found:
        store.sync["b"] = b"1"
    if store.capabilities != found or store.sync.capabilities != found:
        raise Failed("the capabilities of a store changed with its use")


@behaviour("the blocking and the asynchronous methods reach the same data, in turn", rewrites=True)
def sync_and_async_share_data(_: Case, store: Store) -> None:
    store.sync["a/b"] = b"from sync"

    async def change() -> bytes:
        found = bytes(await store.get("a/b") or b"")
        await store.set("a/b", b"from async")
        return found

    if asyncio.run(change()) != b"from sync":
        raise Failed("what the blocking face wrote was not what the asynchronous one read")
    if store.sync["a/b"] != b"from async":
        raise Failed("what the asynchronous face wrote was not what the blocking one read")
