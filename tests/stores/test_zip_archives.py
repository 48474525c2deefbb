"""Archives that others made, damaged or lied in, and archives inside other stores."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zarrstore.abc import (
    OffsetByteRequest,
    RangeByteRequest,
    Stat,
    Store,
    SuffixByteRequest,
)
from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.errors import (
    CorruptDataError,
    ReadOnlyError,
    UnsupportedOperationError,
    ZarrStoreError,
)
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.zip import ZipStore

VALUES = {"zarr.json": b'{"a": 1}' * 50, "c/0": random.Random(1).randbytes(5000), "c/é": b""}


def archive(values: dict[str, bytes] = VALUES, method: int = 0, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        out.comment = comment
        for key, value in values.items():
            out.writestr(key, value)
    return file.getvalue()


def over(data: bytes, **options: Any) -> ZipStore:
    return ZipStore(io.BytesIO(data), mode="r", **options)


def patched(data: bytes, *changes: tuple[int, str, int]) -> bytes:
    out = bytearray(data)
    for offset, kind, value in changes:
        struct.pack_into("<" + kind, out, offset, value)
    return bytes(out)


class Unseekable(io.RawIOBase):
    """Makes zipfile write data descriptors."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)


def streamed() -> bytes:
    file = Unseekable()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for key, value in VALUES.items():
            out.writestr(key, value)
    return b"".join(file.parts)


OTHERS: dict[str, Callable[[], bytes]] = {
    "stored": archive,
    "deflated": lambda: archive(method=zipfile.ZIP_DEFLATED),
    "bzip2": lambda: archive(method=zipfile.ZIP_BZIP2),
    "lzma": lambda: archive(method=zipfile.ZIP_LZMA),
    "descriptors": streamed,
    "prepended": lambda: b"#!/bin/sh\nexit\n" * 9 + archive(),
    "comment": lambda: archive(comment=b"hello " * 100),
    "long comment": lambda: archive(comment=b"c" * 65_535),
    "empty": lambda: archive({}),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_archives_of_others_are_read_and_changed(tmp_path: Path, make: Callable[[], bytes]) -> None:
    data = make()
    values = {} if data == archive({}) else VALUES
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert dict(ZipStore(path, mode="r").sync) == values
    with ZipStore(path).sync as sync:
        assert dict(sync) == values
        sync["c/0"] = b"new"
        sync["d"] = b"4"
    wanted = {**values, "c/0": b"new", "d": b"4"}
    for _ in range(2):
        assert dict(ZipStore(path, mode="r").sync) == wanted
        with zipfile.ZipFile(path) as file, zipfile.ZipFile(io.BytesIO(data)) as old:
            assert file.testzip() is None
            assert sorted(file.namelist()) == sorted(wanted)
            assert file.comment == old.comment
        with ZipStore(path).sync as sync:
            sync["d"] = b"5"
        wanted["d"] = b"5"
    if data.startswith(b"#!"):
        assert path.read_bytes().startswith(b"#!/bin/sh")


def test_a_comment_that_looks_like_an_end() -> None:
    assert dict(over(archive(comment=b"PK\x05\x06" + bytes(40))).sync) == VALUES


@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_a_cut_archive_is_refused_and_left_alone(tmp_path: Path, comment: bytes) -> None:
    inner = archive({"inner": b"1"})
    whole = archive({**VALUES, "nested.zip": inner}, comment=comment)
    path = tmp_path / "x.zip"
    for length in [*range(1, len(whole), 97), *range(len(whole) - 400, len(whole))]:
        path.write_bytes(whole[:length])
        for mode in ("r", "a", "r+"):
            store = ZipStore(path, mode=mode)  # type: ignore[arg-type]
            with pytest.raises(CorruptDataError, match="it was left as it is"):
                store.sync.get("c/0")
            if mode != "r":
                with pytest.raises(CorruptDataError):
                    store.sync.set("c/0", b"")
            store.sync.close()
        assert path.read_bytes() == whole[:length]
    assert os.listdir(tmp_path) == [path.name]


def test_no_flipped_byte_gives_wrong_bytes() -> None:
    small = {"a": b"first value", "b/c": b"second" * 9, "d": bytes(300)}
    chance = random.Random(0)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        data = archive(small, method)
        for at in range(len(data)):
            damaged = bytearray(data)
            damaged[at] ^= 1 << chance.randrange(8)
            try:
                sync = over(bytes(damaged)).sync
                found = dict(sync)
            except (CorruptDataError, UnsupportedOperationError):
                continue
            # a name is all that a flipped bit can change unnoticed
            assert sorted(found.values()) == sorted(small.values()), at


def test_every_value_is_checked_by_its_crc() -> None:
    data = archive({"a": b"x" * 100})
    sync = over(data.replace(b"x" * 100, b"x" * 99 + b"y")).sync
    for read in (
        lambda: sync.get("a"),
        lambda: sync.get_into("a", bytearray(100)),
        lambda: sync.get("a", RangeByteRequest(0, 100)),
    ):
        with pytest.raises(CorruptDataError, match="CRC-32"):
            read()
    assert sync.get("a", RangeByteRequest(0, 3)) == b"xxx"


def test_unknown_methods_and_encryption_are_errors_not_missing(tmp_path: Path) -> None:
    data = archive({"a": b"1" * 20, "b": b"2"})
    start = data.index(b"PK\x01\x02")
    cases = {
        "method 99": patched(data, (8, "H", 99), (start + 10, "H", 99)),
        "encrypted": patched(data, (6, "H", 1), (start + 8, "H", 1)),
    }
    for what, changed in cases.items():
        sync = over(changed).sync
        assert sync.exists("a")
        assert sync.getsize("a") == 20
        for request in (None, RangeByteRequest(0, 1), SuffixByteRequest(0)):
            with pytest.raises(UnsupportedOperationError, match=what):
                sync.get("a", byte_range=request)
        with pytest.raises(UnsupportedOperationError, match=what):
            sync.get_into("a", bytearray(20))
        with pytest.raises(UnsupportedOperationError, match=what):
            sync.get_ranges("a", [RangeByteRequest(0, 1), RangeByteRequest(1, 2)])
        assert sync["b"] == b"2"
        path = tmp_path / "x.zip"
        path.write_bytes(changed)
        with ZipStore(path).sync as writing:
            writing["b"] = b"3"
        with pytest.raises(UnsupportedOperationError, match=what):
            ZipStore(path, mode="r").sync.get("a")


def test_a_bomb_allocates_no_more_than_it_declares() -> None:
    bomb = bytes(50_000_000)
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = archive({"a": bomb}, method)
        with pytest.raises(CorruptDataError, match="max_value_size"):
            over(data, max_value_size=10_000_000).sync.get("a")
        start = data.index(b"PK\x01\x02")
        lying = patched(data, (22, "L", 1000), (start + 24, "L", 1000))
        sync = over(lying).sync
        tracemalloc.start()
        with pytest.raises(CorruptDataError):
            sync.get("a")
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
        tracemalloc.stop()
    grown = patched(archive({"a": b"1" * 99}, 8), (22, "L", 2**31))
    start = grown.index(b"PK\x01\x02")
    with pytest.raises(CorruptDataError, match="cannot hold"):
        over(patched(grown, (start + 24, "L", 2**31))).sync.get("a")


@pytest.mark.parametrize(
    "name", ["../x", "/abs", "a/../b", "a//b", "a\\b", "a\0b", ".", "x" * 1100, "C:\\x"]
)
def test_names_that_are_no_keys_are_refused(name: str) -> None:
    good = "n" * len(name)
    data = archive({good: b"1"}).replace(good.encode(), name.encode())
    with pytest.raises(CorruptDataError, match="not a legal key"):
        over(data).sync.get("a")


def test_directories_are_ignored_and_of_duplicates_the_last_counts() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.mkdir("a")
        out.writestr("a/b", b"old")
        with pytest.warns(UserWarning, match="Duplicate"):
            out.writestr("a/b", b"new")
        out.writestr("./", b"")
    sync = ZipStore(file, mode="r").sync
    assert dict(sync) == {"a/b": b"new"}
    assert list(sync.list_dir()) == ["a"]


def test_lying_offsets_and_sizes() -> None:
    data = archive({"a": b"1" * 50, "b": b"2" * 50})
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    end = data.index(b"PK\x05\x06")
    lies = [
        patched(data, (second + 42, "L", 0)),  # two entries at one place
        patched(data, (second + 42, "L", 1)),
        patched(data, (second + 42, "L", first - 5)),
        patched(data, (second + 42, "L", 2**31)),
        patched(data, (first + 20, "LL"[0], 5000)),
        patched(data, (first + 24, "L", 49)),
        patched(data, (28, "H", 60_000)),  # the data would begin behind the end
        patched(data, (26, "H", 2)),
        patched(data, (30, "B", ord("c"))),  # another name in the local header
        patched(data, (8, "H", 8)),
        patched(data, (end + 10, "H", 3)),
        patched(data, (end + 12, "L", 10)),
        patched(data, (end + 12, "L", 2**31)),
        patched(data, (end + 16, "L", 2**31)),
        patched(data, (end + 16, "L", 0)),
        patched(data, (end + 4, "H", 1)),
    ]
    for number, lie in enumerate(lies):
        for read in (dict, lambda sync: sync.get("a", RangeByteRequest(1, 3)) or 1 / 0):
            if number in range(6, 10) or read is dict:
                with pytest.raises(CorruptDataError):
                    read(over(lie).sync)


def test_zip64_in_number_and_in_size(tmp_path: Path) -> None:
    many = tmp_path / "many.zip"
    with ZipStore(many).sync as sync:
        for number in range(66_000):
            sync[f"c/{number}"] = b"%d" % number
    with zipfile.ZipFile(many) as file:
        assert len(file.namelist()) == 66_000
        assert file.read("c/65999") == b"65999"
    sync = ZipStore(many, mode="r").sync
    assert sync["c/65999"] == b"65999"
    assert list(sync.list_dir()) == ["c"]

    far = tmp_path / "far.zip"
    with open(far, "wb") as sparse:
        sparse.truncate(5 * 2**30)  # a hole before the archive, as a program would be
        sparse.seek(5 * 2**30)
        with zipfile.ZipFile(sparse, "a") as file:
            file.writestr("a", b"1")
            with file.open("b", "w", force_zip64=True) as entry:
                entry.write(b"2")
    sync = ZipStore(far, mode="r").sync
    assert dict(sync) == {"a": b"1", "b": b"2"}
    assert sync.stat("a") is not None


def test_an_entry_beyond_4_gib_is_written_again() -> None:
    from zarrstore.stores._zip.entry import Entry
    from zarrstore.stores._zip.format import local_header
    from zarrstore.stores._zip.index import directory, read_index

    class Sparse:
        """An archive with a hole of 5 GiB before it."""

        url, near, hole = "sparse", True, 5 * 2**30

        def __init__(self, tail: bytes) -> None:
            self.tail, self.size = tail, self.hole + len(tail)

        def read(self, offset: int, length: int) -> bytes:
            before = bytes(max(0, min(self.hole - offset, length)))
            return before + self.tail[max(0, offset - self.hole) :][: length - len(before)]

    head, record = local_header("a", 0, 0, 0, 0, 0)
    entry = Entry("a", Sparse(b""), record, (0, 0, 0, 0, 0), Sparse.hole)  # type: ignore[arg-type]
    tail = head + directory([entry], Sparse.hole + len(head), b"")
    index = read_index(Sparse(tail))  # type: ignore[arg-type]
    assert index.entries["a"].header == Sparse.hole
    assert index.entries["a"].read(10) == b""
    again = directory(index.entries.values(), Sparse.hole + len(head), b"")
    assert head + again == tail
    index.entries["a"].header = 0
    assert len(directory(index.entries.values(), 100, b"")) < len(again)


def test_times_are_aware() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr(zipfile.ZipInfo("a", (2020, 6, 1, 12, 30, 20)), b"")
        out.writestr(zipfile.ZipInfo("b", (2020, 0, 0, 0, 0, 0)), b"")
    sync = ZipStore(file, mode="r").sync
    stat = sync.stat("a")
    assert stat is not None
    assert stat.modified == datetime(2020, 6, 1, 12, 30, 20).astimezone()
    assert sync.stat("b").modified is None  # type: ignore[union-attr]
    with ZipStore(file).sync as writing:
        writing["c"] = b""
    modified = ZipStore(file, mode="r").sync.stat("c").modified  # type: ignore[union-attr]
    assert modified is not None
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 5


class Remote(Store):
    """An asynchronous store that counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data
        self.asked: list[Any] = []

    async def _get(self, key: str) -> bytes | None:
        self.asked.append("all")
        await asyncio.sleep(0)
        return self.data if key == "x/data.zip" else None

    async def _get_range(self, key: str, byte_range: ByteRequest) -> bytes:
        start, stop = resolve(byte_range, len(self.data))
        self.asked.append((start, stop))
        await asyncio.sleep(0)
        return self.data[start:stop]

    async def _stat(self, key: str) -> Stat | None:
        self.asked.append("stat")
        return Stat(len(self.data)) if key == "x/data.zip" else None


LARGE = random.Random(2).randbytes(3_000_000)


def test_an_archive_in_another_store_is_read_in_place() -> None:
    values = {**VALUES, "large": LARGE, "text": b"0123456789" * 5000}
    file = io.BytesIO()
    with ZipStore(file, compression=zipfile.ZIP_DEFLATED).sync as sync:
        sync.set_many(values)
    remote = Remote(file.getvalue())
    sync = ZipStore.from_store(remote, "x/data.zip").sync
    assert sorted(sync) == sorted(values)
    (tail,) = [span for span in remote.asked if span != "stat"]
    assert remote.asked.count("stat") == 1
    assert tail[1] - tail[0] < 70_000
    for key, value in values.items():
        remote.asked.clear()
        assert sync[key] == value
        assert len(remote.asked) == 1
        assert remote.asked[0][1] - remote.asked[0][0] < len(value) + 1000
    for fresh in (False, True):
        for request in (RangeByteRequest(10, 20), OffsetByteRequest(2_999_990)):
            again = ZipStore.from_store(remote, "x/data.zip").sync if fresh else sync
            assert again.exists("large")
            remote.asked.clear()
            start, stop = resolve(request, len(LARGE))
            assert again.get("large", request) == LARGE[start:stop]
            assert sum(last - first for first, last in remote.asked) < 300
            assert len(remote.asked) <= (2 if fresh and start > 10 else 1)
    again = ZipStore.from_store(remote, "x/data.zip").sync
    parts = [(0, 10), (5, 5), (2_000_000, 2_000_010), (2_999_990, 3_000_000)]
    requests = [RangeByteRequest(*part) for part in parts]
    for _ in range(2):
        assert again.get_ranges("large", requests) == [LARGE[a:b] for a, b in parts]
        assert again.get_ranges("text", requests[:2]) == [b"0123456789", b""]
    remote.asked.clear()
    keys = [*VALUES, "text", "none", "text"]
    assert again.get_many(keys) == [values.get(key) for key in keys]
    assert len(remote.asked) <= 2
    remote.asked.clear()
    buffer = bytearray(3_000_000)
    assert sync.get_into("large", buffer) == len(LARGE)
    assert buffer == LARGE
    assert len(remote.asked) == 1
    with pytest.raises(ReadOnlyError):
        sync["a"] = b""


@pytest.mark.anyio
async def test_an_archive_in_another_store_from_a_loop() -> None:
    async with ZipStore.from_store(Remote(archive()), "x/data.zip") as store:
        assert await store.get_many(VALUES) == list(VALUES.values())


def test_an_archive_in_another_store_that_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no archive"):
        ZipStore.from_store(Remote(b""), "other").sync.get("a")
    remote = Remote(archive())
    sync = ZipStore.from_store(remote, "x/data.zip").sync
    assert sync.exists("c/0")
    remote.data = remote.data[:50]
    with pytest.raises(ZarrStoreError, match="ends early"):
        sync.get("c/0")
    with pytest.raises(TypeError):
        ZipStore.from_store(str(tmp_path), "a")  # type: ignore[arg-type]


def test_sharing_and_closing_an_archive_in_another_store(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(archive())
    folder = LocalStore(tmp_path)
    store = ZipStore.from_store(folder, "x.zip")
    assert store.url == f"file://{tmp_path}/x.zip|zip:"
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert hash(again) == hash(store)
    assert dict(again.sync) == VALUES
    store.sync.close()
    assert folder.sync.exists("x.zip")
    ZipStore.from_store(folder, "x.zip", close_store=True).sync.close()
    with pytest.raises(ZarrStoreError, match="closed"):
        folder.sync.exists("x.zip")
    memory = ZipStore.from_store(MemoryStore({"x.zip": archive()}), "x.zip")
    assert pickle.loads(pickle.dumps(memory)) is memory
