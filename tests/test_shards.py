"""Shards through arrays: any selection against numpy, parts of shards, changes meanwhile."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import zarrstore
from zarrstore import shards
from zarrstore.abc import BlockingStore, Stat, Store
from zarrstore.byte_range import resolve
from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.codecs.zstd import Zstd
from zarrstore.stores.local import LocalStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore

DTYPES: list[Any] = ["i4", "f8", "bool", "c16", "S3", "U2", "M8[s]", "i4,f8", str, "bytes"]
STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "local": LocalStore,
    "mapping": lambda _: MappingStore({}),
    "loop": lambda _: LatencyStore(MemoryStore(), 0, 0),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path / "root")


def values_of(numbers: Any, dtype: Any) -> Any:
    """Return elements of a data type, of which every other is its default."""
    if dtype is str:
        return np.array(["", "a", "b\u00e9" * 9], "T")[numbers]
    if dtype == "bytes":
        return np.array([b"", b"a", b"b" * 9], object)[numbers]
    if dtype == "i4,f8":
        return np.array([(0, 0.0), (0, 1.5), (2, 0.0)], dtype)[numbers]
    return numbers.astype(dtype) if dtype != "M8[s]" else numbers.astype("i8").astype(dtype)


@st.composite
def codecs(draw: st.DrawFn, ndim: int, dtype: Any) -> tuple[list[Any], tuple[int, ...]]:
    """Draw codecs with a sharding codec, perhaps in another, and the shape of a shard."""
    serializer: Any = {str: "vlen-utf8", "bytes": "vlen-bytes"}.get(dtype)
    serializer = serializer or Bytes(draw(st.sampled_from(["little", "big"])))
    compressors = st.sampled_from([[], [], [Zstd()], [Gzip()], [Blosc()], [Crc32c()]])
    orders = st.none() | st.permutations(range(ndim))
    order = draw(orders)
    chain = [*([Transpose(order)] if order else []), serializer, *draw(compressors)]
    shape = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        index = draw(st.sampled_from([None, [Bytes()], [Bytes("big"), Crc32c()]]))
        chain = [ShardingIndexed(shape, chain, index, draw(st.sampled_from(["start", "end"])))]
        shape = tuple(length * draw(st.integers(1, 3)) for length in shape)
    if draw(st.integers(0, 4)) == 0:  # then a shard is read and written as a whole
        chain = [*chain, *draw(compressors)]
    if draw(st.integers(0, 4)) == 0:
        axes = draw(st.permutations(range(ndim)))
        chain = [Transpose(axes), *chain]
        shape = tuple(shape[axes.index(axis)] for axis in range(ndim))
    return chain, shape


@st.composite
def selections(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[str, Any, Any]:
    """Draw a kind of selection, the selection, and what selects the same of a numpy array."""
    kind = draw(st.sampled_from(["basic", "oindex", "vindex", "mask"])) if shape else "basic"
    if kind == "basic" or 0 in shape:
        basic = draw(st_numpy.basic_indices(shape, allow_newaxis=False))
        return "basic", basic, basic
    if kind == "mask":
        mask = draw(st_numpy.arrays(bool, shape))
        return "basic", mask, mask
    along = [st.lists(st.integers(-length, length - 1), max_size=5) for length in shape]
    if kind == "vindex":
        points = draw(st.lists(st.tuples(*[st.integers(0, n - 1) for n in shape]), max_size=6))
        arrays = tuple(np.array(points, int).reshape(-1, len(shape)).T)
        return "vindex", arrays, arrays
    parts = [draw(st.slices(n) | each) for n, each in zip(shape, along, strict=True)]
    positions = [np.arange(n)[part] for n, part in zip(shape, parts, strict=True)]
    return "oindex", tuple(parts), np.ix_(*positions)


@pytest.mark.parametrize("kind", ["memory", "local", "loop"])
@given(data=st.data(), ndim=st.integers(0, 4), dtype=st.sampled_from(DTYPES))
@settings(max_examples=60, deadline=None)
def test_what_is_read_and_written_is_numpys(
    kind: str, data: st.DataObject, ndim: int, dtype: Any
) -> None:
    chain, shard = data.draw(codecs(ndim, dtype))
    shape = tuple(data.draw(st.integers(0, 2 * length + 1)) for length in shard)
    with tempfile.TemporaryDirectory() as directory:
        store = STORES[kind](Path(directory))
        array = zarrstore.create_array(
            store,
            shape=shape,
            chunks=shard,
            dtype="variable_length_bytes" if dtype == "bytes" else dtype,
            codecs=chain,
            fill_value=data.draw(st.sampled_from([np.nan, -0.0, 3.0])) if dtype == "f8" else None,
            write_empty_chunks=data.draw(st.booleans()),
        )
        expected = np.empty(shape, array.dtype)
        expected[...] = array.fill_value
        for _ in range(data.draw(st.integers(1, 3))):
            name, selection, index = data.draw(selections(shape))
            selected = np.empty(shape)[index].shape
            numbers = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
            value = values_of(np.resize(numbers, selected), dtype)
            expected[index] = value
            (array if name == "basic" else getattr(array, name))[selection] = value
            check_equal(array[...], expected)
            name, selection, index = data.draw(selections(shape))
            found = (array if name == "basic" else getattr(array, name))[selection]
            check_equal(found, expected[index])
        check_equal(zarrstore.open_array(store, mode="r")[...], expected)


def check_equal(found: Any, wanted: Any) -> None:
    """Compare bit for bit where elements have bits."""
    np.testing.assert_array_equal(found, wanted)
    if np.asarray(wanted).dtype.kind in "fc":
        np.testing.assert_array_equal(np.signbit(np.real(found)), np.signbit(np.real(wanted)))


def number_array(store: Store, location: str = "end", *codecs: Any) -> zarrstore.Array:
    """Return an array of one shard of 16 inner chunks of 2 elements, all of another value."""
    sharding = ShardingIndexed((2,), codecs or [Bytes()], index_location=location)
    array = zarrstore.create_array(
        store, shape=32, chunks=32, dtype="i4", codecs=[sharding], overwrite=True
    )
    array[...] = np.arange(1, 33)
    return array


def rewritten(shard: bytes, number: int, entry: tuple[int, int], location: str) -> bytes:
    """Return a shard with another entry in its index, and the checksum of that."""
    index, body = shard[-260:-4], shard[:-260]
    if location == "start":
        index, body = shard[:256], shard[260:]
    entries = bytearray(index)
    struct.pack_into("<QQ", entries, 16 * number, *entry)
    index = bytes(entries) + struct.pack("<I", google_crc32c.value(bytes(entries)))
    return index + body if location == "start" else body + index


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize(
    "entry",
    [(10**6, 8), (2**64 - 4, 8), (40, 2**64 - 40), (12, 8), (0, 4), (2**64 - 1, 8), (40, 2**50)],
)
def test_a_wrong_index_is_refused_whatever_is_read(
    store: Store, location: str, entry: tuple[int, int]
) -> None:
    array = number_array(store, location)
    shard = bytes(store.sync["c/0"])
    first = 260 if location == "start" else 0
    start = entry[0] + first if entry[0] < 2**63 else entry[0]
    store.sync["c/0"] = rewritten(shard, 5, (start, entry[1]), location)
    for selection in (slice(None), slice(10, 12), 11, slice(3, 15)):
        with pytest.raises(CorruptDataError, match=r"chunk 'c/0' .* inner chunk \(\d,\)") as no:
            _ = array[selection]
        assert no.value.key == "c/0"
    with pytest.raises(CorruptDataError, match="'c/0'"):
        array[0] = 1
    store.sync["c/0"] = shard
    np.testing.assert_array_equal(array[...], np.arange(1, 33))


def test_an_entry_that_points_into_the_index(tmp_path: Path) -> None:
    """Where the size of a shard is known, which costs a request elsewhere."""
    for store in (MemoryStore(), LocalStore(tmp_path), MappingStore({})):
        array = number_array(store)
        store.sync["c/0"] = rewritten(bytes(store.sync["c/0"]), 15, (124, 8), "end")
        for selection in (31, slice(None), 0):
            with pytest.raises(CorruptDataError, match=r"inner chunk \(15,\) lies outside"):
                _ = array[selection]


@pytest.mark.parametrize("location", ["start", "end"])
def test_a_shard_cut_short(store: Store, location: str) -> None:
    array = number_array(store, location, Bytes(), Zstd())
    shard = bytes(store.sync["c/0"])
    for size in (0, 1, 100, 259, 260, len(shard) - 261, len(shard) - 1):
        store.sync["c/0"] = shard[:size]
        for selection in (31, slice(28, 32), slice(None)):
            with pytest.raises(CorruptDataError, match="'c/0'"):
                _ = array[selection]


def test_one_damaged_inner_chunk(store: Store) -> None:
    """It is named, and the others are there."""
    array = number_array(store, "end", Bytes(), Crc32c())
    shard = bytearray(store.sync["c/0"])
    shard[12 * 5 + 1] ^= 1
    store.sync["c/0"] = bytes(shard)
    for selection in (slice(None), 10, slice(8, 14)):
        with pytest.raises(CorruptDataError, match=r"'c/0' .* inner chunk \(5,\)"):
            _ = array[selection]
    np.testing.assert_array_equal(array[:10], np.arange(1, 11))
    array[20] = 7
    assert array[20] == 7
    array[10:12] = [1, 2]
    np.testing.assert_array_equal(array[8:14], [9, 10, 1, 2, 13, 14])


class Watched(BlockingStore):
    """A store with versions that notes what is read, and may be changed meanwhile."""

    has_versions = True

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, bytes] = {}
        self.reads: list[Any] = []
        self.before_range: Callable[[], object] = lambda: None
        self.count = 0

    def _get(self, key: str) -> bytes | None:
        self.reads.append("all")
        return self.data.get(key)

    def _get_range(self, key: str, byte_range: Any) -> bytes | None:
        self.before_range()
        value = self.data.get(key)
        if value is None:
            return None
        start, stop = resolve(byte_range, len(value))
        self.reads.append((start, stop))
        return value[start:stop]

    def _stat(self, key: str) -> Stat | None:
        value = self.data.get(key)
        version = str(hash(value)) if self.has_versions else None
        return None if value is None else Stat(len(value), version)

    def _set(self, key: str, value: bytes) -> None:
        self.data[key] = value

    def _delete(self, key: str) -> None:
        self.data.pop(key, None)

    def _list(self, prefix: str) -> list[str]:
        return [key for key in self.data if key.startswith(prefix)]


def test_a_part_is_read_without_the_rest() -> None:
    store = Watched()
    array = number_array(store)
    store.reads.clear()
    assert array[5] == 6
    assert store.reads == [(128, 388), (16, 24)]
    store.reads.clear()
    assert array[4:8].tolist() == [5, 6, 7, 8]
    assert store.reads == [(16, 32)]  # the index is known, and what is near is read at once
    store.reads.clear()
    assert array[:30].tolist() == list(range(1, 31))
    assert store.reads == ["all"]
    array[6:8] = 0
    store.reads.clear()
    assert array[6:8].tolist() == [0, 0]
    assert array[5] == 6
    assert (120, 380) in store.reads  # another index, as the shard is another


def test_without_versions_the_index_is_read_each_time() -> None:
    store = Watched()
    store.has_versions = False
    array = number_array(store)
    store.reads.clear()
    assert (array[5], array[5]) == (6, 6)
    assert store.reads == [(128, 388), (16, 24)] * 2


def test_a_shard_that_is_replaced_all_the_time_is_read_as_a_whole() -> None:
    store = Watched()
    array = number_array(store)

    def replace() -> None:
        store.count += 1
        array[...] = np.full(32, store.count % 1000 + 1)

    store.before_range = replace
    found = array[3:11]
    assert (found == store.count % 1000 + 1).all()
    assert store.reads[-1] == "all"
    store.before_range = lambda: store.data.pop("c/0", None)
    assert array[3] == 0


def test_a_shard_replaced_between_its_index_and_its_chunks() -> None:
    """On a store that is asynchronous: what does not fit together is read again."""
    inner = MemoryStore()
    array = number_array(LatencyStore(inner, 0, 0), "end", Bytes(), Crc32c())
    old = inner.sync["c/0"]
    array[...] = [*[0] * 6, 1, 99, *range(9, 33)]
    new = inner.sync["c/0"]
    assert len(new) < len(old)

    class Replacing(LatencyStore):
        async def _get_range(self, key: str, byte_range: Any) -> Any:
            found = await super()._get_range(key, byte_range)
            inner.sync["c/0"] = new
            return found

    seen = zarrstore.open_array(Replacing(inner, 0, 0))
    for selection in (31, slice(30, 32), [7, 31]):
        inner.sync["c/0"] = old
        np.testing.assert_array_equal(seen[selection], array[selection])


def test_a_recreated_array_has_no_old_index(store: Store, tmp_path: Path) -> None:
    other = store if not isinstance(store, LocalStore) else LocalStore(store.root)
    for location in ("end", "start", "end"):
        for codecs in ([Bytes()], [Bytes(), Zstd()], [Bytes("big"), Crc32c()]):
            array = number_array(other, location, *codecs)
            seen = zarrstore.open_array(store)
            assert (seen[5], seen[30]) == (6, 31)
            array[4:6] = 9
            assert (seen[5], seen[30]) == (9, 31)
            store.sync.delete("c/0")
            assert (seen[5], array[5]) == (0, 0)
            store.sync.delete_dir("")
            assert store.sync.is_empty("")


def test_a_recreated_array_may_have_more_inner_chunks(store: Store) -> None:
    for length in (8, 2, 16, 1):
        array = zarrstore.create_array(
            store, shape=32, chunks=length, shards=32, dtype="i4", overwrite=True
        )
        array[...] = np.arange(1, 33)
        assert (array[31], array[0]) == (32, 1)


def test_changes_of_another_process_are_seen(tmp_path: Path) -> None:
    array = number_array(LocalStore(tmp_path))
    code = f"import zarrstore; a = zarrstore.open_array({str(tmp_path)!r}); "
    assert array[5] == 6
    for change, found in (("a[5] = 60", 60), ("a.store.sync.delete('c/0')", 0), ("a[4] = 1", 0)):
        subprocess.run([sys.executable, "-c", code + change], check=True)
        assert array[5] == found


def test_the_indexes_that_are_kept_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards._Indexes, "_LARGEST", 40)
    store = MemoryStore()
    array = zarrstore.create_array(store, shape=320, chunks=2, shards=32, dtype="i4")
    array[...] = np.arange(320)
    for _ in range(3):
        for number in range(0, 320, 7):
            assert array[number] == number
    kept = shards._indexes_of(store)
    assert len(kept._kept) == 2
    assert kept._size == 32
    del kept
    number = id(store)
    assert number in shards._by_store
    del array, store
    until = time.monotonic() + 30
    while number in shards._by_store and time.monotonic() < until:
        time.sleep(0.01)  # a worker thread may be about to let go of it
    assert number not in shards._by_store


CONSISTENT = [np.s_[3:40:11, 5], np.s_[10:12], np.s_[:, 17], np.s_[:60]]


@pytest.mark.parametrize("process", [False, True], ids=["thread", "process"])
def test_a_reader_sees_one_state_of_a_shard(tmp_path: Path, process: bool) -> None:
    array = zarrstore.create_array(
        tmp_path, shape=(64, 64), chunks=(8, 8), shards=(64, 64), dtype="i4", compressors=None
    )
    array[...] = 1
    code = f"""
        import time, zarrstore
        array = zarrstore.open_array({str(tmp_path)!r})
        until = time.monotonic() + 0.8
        number = 0
        while time.monotonic() < until:
            number = number % 1000 + 1
            array[...] = number
    """
    stop = threading.Event()
    faults: list[Any] = []
    reads = [0] * len(CONSISTENT)

    def read(index: int) -> None:
        mine = zarrstore.open_array(tmp_path) if index % 2 else array
        while not stop.is_set() and not faults:
            try:
                found = np.unique(mine[CONSISTENT[index]])
            except Exception as error:
                faults.append(error)
                return
            reads[index] += 1
            if len(found) != 1:
                faults.append(found)

    readers = [threading.Thread(target=read, args=(index,)) for index in range(len(CONSISTENT))]
    for reader in readers:
        reader.start()
    if process:
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
        assert done.returncode == 0
    else:
        exec(textwrap.dedent(code), {})
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert min(reads) > 3


def test_after_a_fork(tmp_path: Path) -> None:
    """The index is in memory, and another thread looks into it just then."""
    code = f"""
        import os, threading, warnings, zarrstore, numpy as np
        warnings.simplefilter("ignore")
        array = zarrstore.create_array(
            {str(tmp_path)!r}, shape=64, chunks=2, shards=64, dtype="i4"
        )
        array[...] = np.arange(64)
        stop = threading.Event()
        def read():
            while not stop.is_set():
                array[9]
        thread = threading.Thread(target=read)
        thread.start()
        found = []
        for child in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(int(array[7] + array[60] != 67))
            found.append(os.waitpid(pid, 0)[1])
        stop.set()
        thread.join()
        print(sum(found))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "0\n", done.stderr


def shard_tables(shard: bytes, count: int) -> list[int]:
    """Return the sizes of inner chunks; 0 where one is left out."""
    numbers = struct.unpack(f"<{2 * count}Q", shard[-16 * count - 4 : -4])
    return [0 if size == 2**64 - 1 else size for size in numbers[1::2]]


def test_what_is_stored(store: Store) -> None:
    array = zarrstore.create_array(
        store, shape=(5, 7), chunks=2, shards=4, dtype="i4", compressors=None
    )
    array[...] = 0
    assert sorted(store.sync.list()) == ["zarr.json"]
    array[2, 3] = 1
    assert sorted(store.sync.list()) == ["c/0/0", "zarr.json"]
    assert shard_tables(store.sync["c/0/0"], 4) == [0, 0, 0, 16]
    array[...] = 3  # beyond the array's shape nothing is stored
    assert shard_tables(store.sync["c/1/1"], 4) == [16, 16, 0, 0]
    array[4:, 4:] = 0
    assert (array[4:, 4:] == 0).all()
    array[...] = 0
    assert sorted(store.sync.list()) == ["zarr.json"]
    array.with_config({"write_empty_chunks": True})[:4, :4] = 0
    assert shard_tables(store.sync["c/0/0"], 4) == [16] * 4


def test_a_part_that_is_changed_leaves_the_others_as_they_are(store: Store) -> None:
    array = number_array(store, "end", Bytes(), Gzip(1))
    shard = bytes(store.sync["c/0"])
    marked = bytearray(shard)
    (first,) = struct.unpack_from("<Q", shard, len(shard) - 260 + 16 * 9)
    marked[first + 4] = 77  # the time in the header of gzip, which nobody looks at
    store.sync["c/0"] = bytes(marked)
    array[4:6] = 0
    array[30] = 5
    found = bytes(store.sync["c/0"])
    at, size = struct.unpack_from("<QQ", found, len(found) - 260 + 16 * 9)
    assert found[at : at + size] == bytes(marked)[first : first + size]
    expected = np.arange(1, 33)
    expected[4:6] = 0
    expected[30] = 5
    np.testing.assert_array_equal(array[...], expected)


def test_inner_chunks_that_become_empty_are_left_out_of_a_shard_that_is_changed() -> None:
    data: dict[str, bytes] = {}
    array = zarrstore.create_array(
        data, shape=10_000, chunks=10, shards=10_000, dtype="f8", compressors=None
    )
    array[0] = 1
    size = len(data["c/0"])
    array[1:9_990] = 0
    assert len(data["c/0"]) == size
    array[0] = 0  # never deleted: another may be changing it
    assert array[:].sum() == 0
