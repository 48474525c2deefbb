"""The mapping: ``store.sync`` is a ``MutableMapping`` from keys to bytes."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from zarrstore.abc import Capability, RangeByteRequest, Store
from zarrstore.errors import InvalidKeyError, KeyNotFoundError, ReadOnlyError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.log import shown

LIST = Capability.LIST
BOTH = Capability.LIST | Capability.DELETE


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Failed(f"{what} should be {shown(wanted)}, and is {shown(found)}")


def _raises(kind: type[Exception], what: str, function: Callable[[], object]) -> None:
    try:
        found = function()
    except kind:
        return
    except Exception as error:
        raise Failed(f"{what} should raise {kind.__name__}, and raised {error!r}") from error
    raise Failed(f"{what} should raise {kind.__name__}, and gave {shown(found)}")


@behaviour("store.sync[key] gives bytes; a missing key raises KeyError", rewrites=True)
def mapping_reads_and_writes(_: Case, store: Store) -> None:
    sync = store.sync
    if not isinstance(sync, MutableMapping):
        raise Failed("store.sync should be a MutableMapping")
    sync["a/b"] = bytearray(b"hello")
    _same("sync['a/b']", sync["a/b"], b"hello")
    _same("type(sync['a/b'])", type(sync["a/b"]), bytes)
    _raises(KeyError, "sync['missing']", lambda: sync["missing"])
    _raises(KeyNotFoundError, "sync['a']", lambda: sync["a"])
    _raises(InvalidKeyError, "sync['a/../b']", lambda: sync["a/../b"])
    _raises(InvalidKeyError, "sync['../a'] = b''", lambda: sync.__setitem__("../a", b""))
    _raises(TypeError, "sync['a/b'] = 'text'", lambda: sync.__setitem__("a/b", "text"))
    _same("sync['a/b']", sync["a/b"], b"hello")


@behaviour("'in' and get do as a mapping's do")
def mapping_get_and_contains(_: Case, store: Store) -> None:
    sync = store.sync
    sync["a/b"] = b"hello"
    _same("'a/b' in sync", "a/b" in sync, True)
    _same("'a' in sync", "a" in sync, False)
    number: Any = 1
    _same("1 in sync", number in sync, False)
    _same("sync.get('missing')", sync.get("missing"), None)
    _same("sync.get('missing', 5)", sync.get("missing", 5), 5)
    _same("sync.get('a/b', 5)", sync.get("a/b", 5), b"hello")
    part = RangeByteRequest(1, 3)
    _same("sync.get('a/b', byte_range=...)", sync.get("a/b", byte_range=part), b"el")
    _same("sync.get('a/b', <range>)", sync.get("a/b", part), b"el")
    _same("sync.setdefault('a/b', b'x')", sync.setdefault("a/b", b"x"), b"hello")
    _same("sync.setdefault('c', b'x')", sync.setdefault("c", b"x"), b"x")
    _same("sync['c']", sync["c"], b"x")


@behaviour(
    "iteration, len, keys, values, items and update do as a mapping's do", LIST, rewrites=True
)
def mapping_iterates(_: Case, store: Store) -> None:
    sync = store.sync
    _same("len(sync)", len(sync), 0)
    _same("list(sync)", list(sync), [])
    wanted = {"a": b"1", "b/c": b"2", "b/d": b"3"}
    sync.update(wanted)
    _same("len(sync)", len(sync), 3)
    _same("sorted(sync)", sorted(sync), sorted(wanted))
    _same("dict(sync)", dict(sync), wanted)
    _same("sorted(sync.keys())", sorted(sync.keys()), sorted(wanted))
    _same("sorted(sync.values())", sorted(map(bytes, sync.values())), [b"1", b"2", b"3"])
    _same("dict(sync.items())", dict(sync.items()), wanted)
    _same("'b/c' in sync.keys()", "b/c" in sync.keys(), True)  # noqa: SIM118
    sync.update(a=b"new")
    _same("sync['a']", sync["a"], b"new")


@behaviour("del and pop of a missing key raise KeyError; pop, popitem and clear delete", BOTH)
def mapping_deletes(_: Case, store: Store) -> None:
    sync = store.sync
    sync.update({"a": b"1", "b/c": b"2", "d": b"3", "e": b"4"})
    del sync["a"]
    _same("'a' in sync", "a" in sync, False)
    _raises(KeyError, "del sync['a']", lambda: sync.__delitem__("a"))
    _raises(KeyError, "del sync['b']", lambda: sync.__delitem__("b"))
    _same("sync['b/c']", sync["b/c"], b"2")
    _raises(KeyError, "sync.pop('a')", lambda: sync.pop("a"))
    _same("sync.pop('a', 7)", sync.pop("a", 7), 7)
    _same("sync.pop('b/c')", sync.pop("b/c"), b"2")
    key, value = sync.popitem()
    _same("sync.popitem()", (key, value) in (("d", b"3"), ("e", b"4")), True)
    sync.clear()
    _same("list(sync)", list(sync), [])
    _raises(KeyError, "sync.popitem()", sync.popitem)


@behaviour("the mapping of a read-only view raises ReadOnlyError for every change", BOTH)
def mapping_is_read_only(_: Case, store: Store) -> None:
    store.sync["a"] = b"1"
    sync = store.with_read_only().sync
    _same("sync['a']", sync["a"], b"1")
    _raises(ReadOnlyError, "sync['a'] = b'2'", lambda: sync.__setitem__("a", b"2"))
    _raises(ReadOnlyError, "del sync['a']", lambda: sync.__delitem__("a"))
    _raises(ReadOnlyError, "sync.pop('a')", lambda: sync.pop("a"))
    _raises(ReadOnlyError, "sync.clear()", sync.clear)
    _raises(ReadOnlyError, "sync.update(a=b'2')", lambda: sync.update(a=b"2"))
    _raises(ReadOnlyError, "sync.setdefault('b', b'2')", lambda: sync.setdefault("b", b"2"))
    _same("dict(store.sync)", dict(store.sync), {"a": b"1"})


@behaviour("two mappings are equal if their stores are, and have what their stores have")
def mapping_is_its_stores_face(case: Case, store: Store) -> None:
    sync = store.sync
    _same("store.sync == store.sync", sync == store.sync, True)
    _same("hash(store.sync)", hash(sync), hash(store.sync))
    _same("store.sync == another.sync", sync == case.make().sync, False)
    _same("store.sync.store", sync.store, store)
    _same("store.sync.url", sync.url, store.url)
    _same("store.sync.read_only", sync.read_only, False)
    _same("store.sync.capabilities", sync.capabilities, store.capabilities)
