"""Writing: which values there are, and that a write is whole or not at all."""

from __future__ import annotations

import array
import threading
import time
from typing import Any

from zarrstore.abc import Capability, OffsetByteRequest, Store
from zarrstore.errors import ZarrStoreError
from zarrstore_testing.behaviour import Failed, NotApplicable, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import BlockingFace, Face, drive
from zarrstore_testing.log import shown


def _values() -> list[Any]:
    """Return values of every kind that is C-contiguous."""
    raw = bytes(range(96))
    doubles = array.array("d", [1.5, -2.5, 3.25])
    kinds: list[Any] = [
        raw, b"", b"\x00", b"\x00" * 1000, bytearray(raw), bytearray(), memoryview(raw),
        memoryview(bytearray(raw)), memoryview(raw)[10:50], memoryview(b""), doubles,
        memoryview(doubles), memoryview(raw).cast("i"), memoryview(raw).cast("B", (8, 12)),
        memoryview(raw).cast("d", (3, 4)), array.array("H"), memoryview(raw).cast("B", (96,)),
    ]  # fmt: skip
    try:
        import numpy as np
    except ImportError:
        return kinds
    kinds += [
        np.arange(12, dtype="i4"),
        np.arange(12, dtype=">f8").reshape(3, 4),
        np.array(7, "u2"),
        np.zeros((0, 3)),
        np.zeros((3, 0), "i1"),
        np.arange(20, dtype="u1")[5:10],
        np.array([True, False]),
        np.array([1 + 2j]),
        np.frombuffer(raw, "u1"),
    ]
    return kinds


def _wrong_values() -> list[Any]:
    wrong: list[Any] = [
        "text", None, 1, 1.5, [1, 2], (1,), {"a": 1}, object(), iter(b"12"),
        memoryview(b"123456")[::2], memoryview(b"123456")[::-1],
    ]  # fmt: skip
    try:
        import numpy as np
    except ImportError:
        return wrong
    return [*wrong, np.arange(12).reshape(3, 4).T, np.arange(12)[::2]]


def _bytes(value: Any) -> bytes:
    return memoryview(value).tobytes()


@behaviour("set takes any C-contiguous buffer, of whatever shape and item size, or none")
async def values_of_every_kind(face: Face) -> None:
    for number, value in enumerate(_values()):
        await face.set(f"v/{number}", value)
        await face.gives(_bytes(value), "get", f"v/{number}")
        await face.gives(len(_bytes(value)), "getsize", f"v/{number}")
    await face.set_many([(f"m/{number}", value) for number, value in enumerate(_values())])
    for number, value in enumerate(_values()):
        await face.gives(_bytes(value), "get", f"m/{number}")
    if face.can(Capability.CREATE_EXCLUSIVE):
        for number, value in enumerate(_values()):
            await face.gives(True, "set_if_not_exists", f"n/{number}", value)
            await face.gives(_bytes(value), "get", f"n/{number}")


@behaviour("anything else is a TypeError: str, None, numbers, buffers that are not contiguous")
async def wrong_values_raise(face: Face) -> None:
    await face.set("old", b"old")
    for value in _wrong_values():
        for key in ("old", "new"):
            await face.raises(TypeError, "set", key, value)
            await face.raises(TypeError, "set_many", {"other": b"1", key: value})
            if face.can(Capability.CREATE_EXCLUSIVE):
                await face.raises(TypeError, "set_if_not_exists", key, value)
    await face.gives(b"old", "get", "old")
    await face.gives(False, "exists", "new")
    await face.gives(False, "exists", "other")


@behaviour("the caller may reuse its buffer at once: a store keeps a copy")
async def input_is_copied(face: Face) -> None:
    for size in (6, face.size(300_000)):
        buffer = bytearray(b"o" * size)
        old = bytes(buffer)
        keys = [f"set{size}", f"view{size}", f"many{size}", f"viewed{size}"]
        face.log.bind(buffer, "buffer", f"bytearray(b'o' * {size})")
        await face.set(keys[0], buffer)
        await face.set(keys[1], memoryview(buffer))
        await face.set_many([(keys[2], buffer), (keys[3], memoryview(buffer))])
        if face.can(Capability.CREATE_EXCLUSIVE):
            await face.set_if_not_exists(f"new{size}", buffer)
            keys.append(f"new{size}")
        buffer[:] = b"x" * size
        face.log.statement(f"{face.log.name_of(buffer)}[:] = b'x' * {size}")
        for key in keys:
            await face.gives(old, "get", key)
            await face.gives(old[1:], "get", key, OffsetByteRequest(1))


@behaviour(
    "a value is replaced by another, longer or shorter, and nothing of the old is left",
    rewrites=True,
)
async def overwriting_replaces(face: Face) -> None:
    for value in (
        b"0123456789",
        b"abc",
        b"",
        b"x" * face.size(100_000),
        b"y" * face.size(70_000),
        b"z",
    ):
        await face.set("a/b", value)
        await face.gives(value, "get", "a/b")
        await face.gives(len(value), "getsize", "a/b")
        await face.gives(value[2:], "get", "a/b", OffsetByteRequest(2))
    if face.can(Capability.LIST):
        await face.lists(["a/b"], "list")
        await face.gives(1, "getsize_prefix", "")


@behaviour("a value of several MiB is kept whole")
async def big_values_are_whole(face: Face) -> None:
    value = ((b"0123456789abcdef" * 65_536 + b"tail") * 5)[: face.size(10_000_000)]
    await face.set("big", value)
    found = await face.get("big")
    if found != value:
        raise Failed(f"{len(value)} bytes were written, and read as other {len(found or b'')}")
    await face.gives(value[-10:], "get", "big", OffsetByteRequest(len(value) - 10))


@behaviour("a value as large as the store takes is kept whole, one that is larger is refused")
async def too_big_values_are_refused(face: Face) -> None:
    limit = face.options.max_value_size
    if limit is None:
        raise NotApplicable("the kit is told of no largest value (max_value_size)")
    value = bytes(index % 251 for index in range(256)) * (limit // 256 + 1)
    await face.set("a/b", value[:limit])
    await face.gives(value[:limit], "get", "a/b")
    await face.raises(ZarrStoreError, "set", "c", value[: limit + 1])
    await face.gives(None, "get", "c")
    await face.gives(False, "exists", "c")
    await face.raises(ZarrStoreError, "set_many", {"c": value[: limit + 1]})
    await face.gives(None, "get", "c")


@behaviour("set returns the new version, or None if the backend has none")
async def set_returns_a_version(face: Face) -> None:
    version = await face.set("a", b"1")
    if version is not None and not isinstance(version, str):
        raise Failed(f"set should return a str or None, and returned {version!r}")
    if face.can(Capability.COMPARE_AND_SWAP):
        stat = await face.stat("a")
        if stat is None or stat.version is None:
            raise Failed("a store with conditional writes should give versions, in stat at least")


@behaviour(
    "set_many writes every item, of a mapping or of pairs; the last of a key counts", rewrites=True
)
async def set_many_writes_all(face: Face) -> None:
    await face.set_many([])
    await face.set_many({})
    items = {f"m/{number}": b"%d" % number for number in range(120)}
    await face.set_many(items)
    await face.gives(list(items.values()), "get_many", list(items))
    await face.set_many([("m/0", b"first"), ("x", b"1"), ("m/0", b"last")])
    await face.gives([b"last", b"1"], "get_many", ["m/0", "x"])
    await face.set_many((f"g/{number}", b"g") for number in range(3))
    await face.gives([b"g"] * 3, "get_many", ["g/0", "g/1", "g/2"])


@behaviour("a write is seen by every later read, by all methods", rewrites=True)
async def writes_are_seen_at_once(face: Face) -> None:
    for number in range(20):
        value = b"%d" % number * (number + 1)
        await face.set("a/b", value)
        await face.gives(value, "get", "a/b")
        await face.gives(True, "exists", "a/b")
        await face.gives(len(value), "getsize", "a/b")
        await face.gives([value], "get_many", ["a/b"])
        if face.can(Capability.LIST):
            await face.lists(["a/b"], "list")


def _of_sizes(case: Case, *sizes: int) -> list[bytes]:
    largest = case.options.size(max(sizes))
    return [bytes([97 + n]) * (size * largest // max(sizes)) for n, size in enumerate(sizes)]


def _check_whole(case: Case, store: Store, olds: list[bytes], read: Any) -> None:
    """Overwrite one key from this thread while others read it."""
    face = BlockingFace(store, case)
    drive(face.set("a/b", olds[0]))
    ended = threading.Event()
    faults: list[str] = []
    reads = [0] * 3

    def reader(index: int) -> None:
        try:
            while not ended.is_set():
                fault = read(store)
                reads[index] += 1
                if fault:
                    faults.append(fault)
                    return
        except Exception as error:  # noqa: BLE001 - it goes into the report
            faults.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=reader, args=(index,), daemon=True) for index in range(3)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.25
    written = 0
    try:
        while (time.monotonic() < until or written < 6 or min(reads) < 3) and not faults:
            written += 1
            store.sync.set("a/b", olds[written % len(olds)])
            if time.monotonic() > until + 10:
                break
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    case.log.add(f"{written} times set('a/b', ...) in one thread, reads in {len(threads)} others")
    if faults:
        raise Failed(f"a reader in another thread found, between two writes: {faults[0]}")


@behaviour(
    "set is atomic: a reader sees the old value or the new, never part, never nothing",
    rewrites=True,
)
def set_is_atomic_for_readers(case: Case, store: Store) -> None:
    olds = _of_sizes(case, 200_000, 130_000, 10)

    def read(store: Store) -> str | None:
        value = store.sync.get("a/b")
        if value is None:
            return "get() gave None, where there always was a value"
        if value not in olds:
            return f"get() gave {len(value)} bytes that were never written: {shown(value)}"
        return None

    _check_whole(case, store, olds, read)


@behaviour(
    "set is atomic for exists, stat and getsize too: never missing, never a partial size",
    rewrites=True,
)
def set_is_atomic_for_stat(case: Case, store: Store) -> None:
    olds = _of_sizes(case, 200_000, 130_000)
    sizes = [len(old) for old in olds]

    def read(store: Store) -> str | None:
        if not store.sync.exists("a/b"):
            return "exists() gave False, where there always was a value"
        stat = store.sync.stat("a/b")
        if stat is None or stat.size not in sizes:
            return f"stat() gave {stat!r}"
        size = store.sync.getsize("a/b")
        return None if size in sizes else f"getsize() gave {size}"

    _check_whole(case, store, olds, read)


@behaviour(
    "a file or entry that a write needs meanwhile is never listed", Capability.LIST, rewrites=True
)
def partial_writes_are_not_listed(case: Case, store: Store) -> None:
    olds = _of_sizes(case, 300_000, 200_000)

    def read(store: Store) -> str | None:
        keys = list(store.sync.list())
        if keys != ["a/b"]:
            return f"list() gave {shown(keys)}"
        names = list(store.sync.list_dir("a"))
        return None if names == ["b"] else f"list_dir('a') gave {shown(names)}"

    _check_whole(case, store, olds, read)
