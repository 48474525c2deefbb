"""Reading: values, many values, into a buffer, and what is known of a value."""

from __future__ import annotations

import array
from datetime import datetime
from typing import Any

from zarrstore.abc import Capability, OffsetByteRequest, RangeByteRequest, Stat, SuffixByteRequest
from zarrstore.errors import KeyNotFoundError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.log import shown


def check_frozen(what: str, value: Any) -> None:
    """Fail unless a value that was read is bytes, or a read-only view of bytes."""
    if isinstance(value, bytes):
        return
    if not isinstance(value, memoryview):
        raise Failed(f"{what} should return bytes or a memoryview, not {type(value).__name__}")
    if not value.readonly:
        raise Failed(f"{what} returned a buffer that its caller can change")
    if value.format != "B" or value.ndim != 1:
        raise Failed(f"{what} returned a memoryview that is not one of plain bytes")


@behaviour("get of a missing key is None", reads_only=True)
async def get_missing_is_none(face: Face) -> None:
    await face.gives(None, "get", "missing")
    await face.seed({"a/b": b"1"})
    for key in ("a/c", "b", "a/b/c", "a/bb", "a/B", "ab"):
        await face.gives(None, "get", key)


@behaviour("a directory is not a key: get, exists and stat say that it is missing", reads_only=True)
async def directory_is_not_a_key(face: Face) -> None:
    await face.seed({"a/b/c": b"1"})
    for path in ("a", "a/b"):
        await face.gives(None, "get", path)
        await face.gives(False, "exists", path)
        await face.gives(None, "stat", path)
        await face.gives([None], "get_many", [path])
        await face.gives(None, "get_into", path, bytearray(4))
        await face.gives(None, "get_ranges", path, [RangeByteRequest(0, 1)])
        await face.raises(KeyNotFoundError, "getsize", path)


@behaviour("what is read is read-only bytes, by whichever method", reads_only=True)
async def buffers_are_read_only(face: Face) -> None:
    for key, value in (("small", b"12345"), ("empty", b""), ("big", bytes(face.size(200_000)))):
        await face.seed({key: value})
        check_frozen("get()", await face.get(key))
        check_frozen("get() of a range", await face.get(key, OffsetByteRequest(1)))
        check_frozen("get() of a suffix", await face.get(key, SuffixByteRequest(2)))
        for part in await face.get_ranges(key, [RangeByteRequest(0, 3), RangeByteRequest(1, 2)]):
            check_frozen("get_ranges()", part)
        for part in await face.get_many([key, (key, RangeByteRequest(0, 3))]):
            check_frozen("get_many()", part)


@behaviour("what was read does not change when the key is overwritten or deleted", rewrites=True)
async def buffers_are_stable(face: Face) -> None:
    for size in (5, face.size(100_000)):
        old, new = b"o" * size, b"n" * size
        await face.set("a", old)
        read = [await face.get("a"), *await face.get_many(["a"])]
        parts = [
            await face.get("a", OffsetByteRequest(1)),
            await face.get("a", SuffixByteRequest(4)),
        ]
        parts += await face.get_ranges("a", [RangeByteRequest(1, 3)])
        before = [bytes(part) for part in parts]
        await face.set("a", new)
        if any(value != old for value in read) or [bytes(part) for part in parts] != before:
            raise Failed("a value that had been read changed when its key was overwritten")
        again = [await face.get("a"), *await face.get_many(["a"])]
        again += [
            await face.get("a", OffsetByteRequest(1)),
            await face.get("a", SuffixByteRequest(4)),
        ]
        again += await face.get_ranges("a", [RangeByteRequest(1, 3)])
        if any(value != old for value in read) or [bytes(part) for part in parts] != before:
            raise Failed("a value that had been read changed when another was read")
        read = [await face.get("a")]
        await face.set("a", b"")
        if face.can(Capability.DELETE):
            await face.delete("a")
        if any(value != new for value in read):
            raise Failed("a value that had been read changed when its key was deleted")


@behaviour(
    "get_many answers in the order asked; a key may repeat, a missing one is None", reads_only=True
)
async def get_many_keeps_the_order(face: Face) -> None:
    keys = [f"k/{number}" for number in range(50)]
    await face.seed({key: key.encode() for key in keys})
    asked = ["k/7", "missing", "k/0", "k/7", "k", *reversed(keys), "k/0"]
    found = [key.encode() if key in keys else None for key in asked]
    await face.gives(found, "get_many", asked)
    await face.gives(found, "get_many", iter(asked))
    await face.gives([], "get_many", [])
    await face.gives([None, None], "get_many", ["x", "x"])


@behaviour("get_many takes keys, and keys with a byte range, of the same key too", reads_only=True)
async def get_many_takes_ranges(face: Face) -> None:
    await face.seed([("a", b"0123456789"), ("b", b"abc")])
    requests = [
        ("a", RangeByteRequest(2, 4)),
        "a",
        ("b", None),
        ("a", SuffixByteRequest(3)),
        ("missing", OffsetByteRequest(1)),
        ("b", OffsetByteRequest(9)),
        ("a", RangeByteRequest(2, 4)),
    ]
    wanted = [b"23", b"0123456789", b"abc", b"789", None, b"", b"23"]
    await face.gives(wanted, "get_many", requests)


@behaviour(
    "get_into reads into the caller's buffer and returns the size; None if missing", reads_only=True
)
async def get_into_fills_a_buffer(face: Face) -> None:
    value = bytes(range(48))
    await face.seed({"a": value})
    await face.seed({"empty": b""})
    targets: list[Any] = [bytearray(48), memoryview(bytearray(48)), array.array("d", [0.0] * 6)]
    targets.append(memoryview(bytearray(48)).cast("B", (6, 8)))
    targets.append(memoryview(bytearray(50))[1:49])
    try:
        import numpy as np
    except ImportError:
        pass
    else:
        targets += [np.zeros((2, 3), "f8"), np.zeros(48, "u1"), np.zeros((3, 16), ">u1")]
    for target in targets:
        await face.gives(48, "get_into", "a", target)
        if memoryview(target).tobytes() != value:
            raise Failed(f"get_into left {memoryview(target).tobytes()!r} in {target!r}")
    longer = bytearray(b"\xee" * 60)
    await face.gives(48, "get_into", "a", longer)
    if longer != value + b"\xee" * 12:
        raise Failed(f"get_into wrote past the value in a longer buffer: {bytes(longer)!r}")
    await face.gives(0, "get_into", "empty", bytearray(3))
    await face.gives(0, "get_into", "empty", bytearray())
    await face.gives(None, "get_into", "missing", bytearray(3))
    big = (bytes(range(253)) * 4145)[: face.size(1 << 20)]
    await face.seed({"big": big})
    target = bytearray(len(big))
    await face.gives(len(big), "get_into", "big", target)
    if target != big:
        raise Failed("get_into read a big value wrongly")


@behaviour(
    "get_into returns the size that there is, where the buffer is too small for it", reads_only=True
)
async def get_into_a_small_buffer(face: Face) -> None:
    await face.seed({"a": bytes(range(100))})
    for size in (0, 1, 99):
        frame = bytearray(b"\xee" * (size + 40))
        await face.gives(100, "get_into", "a", memoryview(frame)[:size])
        if frame[size:] != b"\xee" * 40:
            raise Failed("get_into wrote past the end of the buffer")
    await face.gives(50, "get_into", "a", bytearray(10), OffsetByteRequest(50))
    await face.gives(10, "get_into", "a", bytearray(10), SuffixByteRequest(10))


@behaviour(
    "get_into raises TypeError for a buffer that is read-only or not contiguous", reads_only=True
)
async def get_into_wants_a_writable_buffer(face: Face) -> None:
    await face.seed({"a": b"1234"})
    wrong: list[Any] = [b"1234", memoryview(b"1234"), memoryview(bytearray(8))[::2], "1234", None]
    for buffer in wrong:
        for key in ("a", "missing"):
            await face.raises(TypeError, "get_into", key, buffer)


@behaviour("exists is True for a key, False for anything else", reads_only=True)
async def exists_is_true_for_keys(face: Face) -> None:
    await face.seed({"a/b": b"1"})
    await face.seed({"empty": b""})
    for key, there in (("a/b", True), ("empty", True), ("a", False), ("a/b/c", False)):
        await face.gives(there, "exists", key)
    for key in ("b", "a/", "empt")[::2]:
        await face.gives(False, "exists", key)


@behaviour("stat gives size, version and time of a value; None if it is missing")
async def stat_knows_the_size(face: Face) -> None:
    for key, value in (("a/b", b"12345"), ("empty", b""), ("big", bytes(face.size(100_000)))):
        version = await face.set(key, value)
        found = await face.stat(key)
        if not isinstance(found, Stat):
            raise Failed(f"stat({key!r}) should return a Stat, and returned {found!r}")
        if found.size != len(value):
            raise Failed(f"stat({key!r}) gives the size {found.size!r}, not {len(value)}")
        if found.version is not None and not isinstance(found.version, str):
            raise Failed(f"a version is a str or None, not {found.version!r}")
        if version is not None and found.version != version:
            raise Failed(f"set returned version {version!r}, and stat gives {found.version!r}")
        modified = found.modified
        if modified is not None and (not isinstance(modified, datetime) or modified.tzinfo is None):
            raise Failed(f"modified is an aware datetime or None, not {modified!r}")
        if await face.stat(key) != found:
            raise Failed(f"stat({key!r}) changed, and the value did not")
    await face.gives(None, "stat", "missing")
    await face.gives(None, "stat", "a/b/c")


@behaviour(
    "a version names one state: it changes with every write, even of the same size", rewrites=True
)
async def version_changes_with_the_value(face: Face) -> None:
    seen = []
    for number in range(10):
        version = await face.set("a", b"%d" % number)
        stat = await face.stat("a")
        if stat.version != version and version is not None:
            raise Failed(f"set returned version {version!r}, and stat gives {stat.version!r}")
        seen.append(stat.version)
    if seen[0] is not None and len(set(seen)) != len(seen):
        raise Failed(f"10 writes had only {len(set(seen))} versions: {shown(seen)}")


@behaviour(
    "getsize is the size in bytes; of a missing key it raises KeyNotFoundError", reads_only=True
)
async def getsize_is_in_bytes(face: Face) -> None:
    await face.seed({"a/b": array.array("d", [1.0, 2.0]).tobytes()})
    await face.seed({"empty": b""})
    await face.gives(16, "getsize", "a/b")
    await face.gives(0, "getsize", "empty")
    for key in ("missing", "a", "a/b/c"):
        error = await face.raises(KeyNotFoundError, "getsize", key)
        if not isinstance(error, KeyError) or not isinstance(error, FileNotFoundError):
            raise Failed("KeyNotFoundError should be a KeyError and a FileNotFoundError")
        if error.key != key or key not in str(error) or error.store is None:
            raise Failed(f"the error should name the store and the key {key!r}: {error}")
