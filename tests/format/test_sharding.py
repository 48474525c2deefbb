"""The ``sharding_indexed`` codec: the bytes of shards, corrupt shards, and those of others."""

from __future__ import annotations

import itertools
import json
import random
import struct
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrstore
from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.chunk_parts import changed, place, shard_layout
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed, ShardLayout
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.codecs.zstd import Zstd
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.indexing import ChunkPart, basic_selection

ABSENT = 2**64 - 1
INDEX_CODECS: list[list[Any]] = [
    [Bytes()],
    [Bytes(), Crc32c()],
    [Bytes("big")],
    [Bytes("big"), Crc32c()],
]


def spec_of(shape: tuple[int, ...], dtype: Any = "i4", fill_value: Any = 0) -> ChunkSpec:
    data_type = data_type_for(np.dtype(dtype))
    return ChunkSpec(shape, data_type, np.array(fill_value, dtype)[()])


def layout_of(codec: ShardingIndexed, spec: ChunkSpec) -> ShardLayout:
    found = shard_layout(CodecPipeline([codec], spec))
    assert found is not None
    return found


def entries_of(shard: bytes, codec: ShardingIndexed, count: int) -> list[tuple[int, int]]:
    """Read the index of a shard as the specification has it, with nothing of the package."""
    has_checksum = len(codec.index_codecs) == 2
    size = 16 * count + 4 * has_checksum
    index = shard[:size] if codec.index_location == "start" else shard[-size:]
    if has_checksum:
        assert struct.unpack("<I", index[-4:])[0] == google_crc32c.value(index[:-4])
        index = index[:-4]
    order = ">" if codec.index_codecs[0].endian == "big" else "<"
    numbers = struct.unpack(f"{order}{2 * count}Q", index)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def shard_of(entries: list[tuple[int, int]], body: bytes, codec: ShardingIndexed) -> bytes:
    """Write a shard with any index."""
    order = ">" if codec.index_codecs[0].endian == "big" else "<"
    index = struct.pack(f"{order}{2 * len(entries)}Q", *itertools.chain(*entries))
    if len(codec.index_codecs) == 2:
        index += struct.pack("<I", google_crc32c.value(index))
    return index + body if codec.index_location == "start" else body + index


def whole(shape: tuple[int, ...]) -> tuple[Any, ChunkPart]:
    selection = basic_selection((slice(None),) * len(shape), shape)
    region = tuple(slice(0, length, 1) for length in shape) or (...,)
    return selection, ChunkPart((0,) * len(shape), region, region, True, True)


def written(codec: ShardingIndexed, spec: ChunkSpec, chunk: Any, empty: bool = False) -> Any:
    selection, part = whole(spec.shape)
    return changed(CodecPipeline([codec], spec), None, part, selection, chunk, empty)


def read(codec: ShardingIndexed, spec: ChunkSpec, shard: Any) -> np.ndarray[Any, Any]:
    selection, part = whole(spec.shape)
    out = np.empty(spec.shape, spec.dtype)
    place(CodecPipeline([codec], spec), shard, part, selection, out)
    return out


@st.composite
def shards(draw: st.DrawFn) -> tuple[ShardingIndexed, ChunkSpec, np.ndarray[Any, Any]]:
    ndim = draw(st.integers(0, 4))
    inner = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    shape = tuple(length * draw(st.integers(1, 3)) for length in inner)
    dtype = draw(st.sampled_from(["i4", "u1", "f8", ">i2", "c16", "bool", "S3", "U2", "M8[s]"]))
    dtype = np.dtype(dtype).newbyteorder("=")
    codecs: list[Any] = (
        [Transpose(draw(st.permutations(range(ndim))))] if draw(st.booleans()) else []
    )
    codecs.append(Bytes(draw(st.sampled_from(["little", "big"]))))
    codecs += draw(st.sampled_from([[], [Zstd()], [Gzip()], [Blosc()], [Crc32c()]]))
    location = draw(st.sampled_from(["start", "end"]))
    codec = ShardingIndexed(inner, codecs, draw(st.sampled_from(INDEX_CODECS)), location)
    numbers = draw(st.lists(st.integers(0, 2), min_size=1, max_size=8))
    chunk = np.resize(np.array(numbers), shape).astype(dtype)
    return codec, spec_of(shape, dtype, np.zeros((), dtype)[()]), chunk


@given(case=shards(), write_empty_chunks=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_bytes_of_a_shard(case: Any, write_empty_chunks: bool) -> None:
    codec, spec, chunk = case
    shard = written(codec, spec, chunk, write_empty_chunks)
    layout = layout_of(codec, spec)
    inner = ChunkSpec(codec.chunk_shape, spec.data_type, spec.fill_value)
    pipeline = CodecPipeline(codec.codecs, inner)
    if shard is None:
        assert (chunk == spec.fill_value).all()
        shard = layout.joined([None] * layout.count)
    shard = bytes(shard)
    entries = entries_of(shard, codec, layout.count)
    for (first, size), region in zip(entries, layout.regions, strict=True):
        if first == ABSENT:
            assert size == ABSENT
            assert not write_empty_chunks
            assert (chunk[region] == spec.fill_value).all()
        else:
            np.testing.assert_array_equal(
                pipeline.decode(shard[first : first + size]), chunk[region]
            )
            assert write_empty_chunks or not (chunk[region] == spec.fill_value).all()
    there = sorted((first, size) for first, size in entries if first != ABSENT)
    sizes = [size for _, size in there]
    start = layout.index_size if codec.index_location == "start" else 0
    assert [first for first, _ in there] == [start + sum(sizes[:n]) for n in range(len(there))]
    assert len(shard) == sum(sizes) + layout.index_size
    np.testing.assert_array_equal(read(codec, spec, shard), chunk, strict=True)
    np.testing.assert_array_equal(codec.decode(shard, spec), chunk, strict=True)
    again = CodecPipeline([codec], spec).encode(np.ascontiguousarray(chunk).reshape(spec.shape))
    np.testing.assert_array_equal(read(codec, spec, again), chunk, strict=True)


@pytest.mark.parametrize("fill_value", [np.nan, -0.0, 0.0, np.inf])
@pytest.mark.parametrize("codecs", [[Bytes()], [Bytes(), Zstd()]])
def test_what_is_empty_is_so_bit_for_bit(fill_value: float, codecs: list[Any]) -> None:
    spec = spec_of((4, 4), "f8", fill_value)
    codec = ShardingIndexed((2, 2), codecs)
    chunk = np.full((4, 4), fill_value)
    assert written(codec, spec, chunk) is None
    chunk[0, 0] = 1
    chunk[2, 0] = np.float64(np.nan) if fill_value == 0 else 0.0
    chunk[0, 3] = -fill_value if fill_value == 0 else fill_value
    shard = bytes(written(codec, spec, chunk))
    there = [first != ABSENT for first, _ in entries_of(shard, codec, 4)]
    assert there == [True, fill_value == 0, True, False]
    assert read(codec, spec, shard).tobytes() == chunk.tobytes()


def test_nested_shards_leave_out_at_each_level() -> None:
    spec = spec_of((8, 8))
    inner = ShardingIndexed((2, 2), [Bytes()], index_location="start")
    codec = ShardingIndexed((4, 4), [inner])
    chunk = np.zeros((8, 8), "i4")
    chunk[5, 6] = 1
    shard = bytes(written(codec, spec, chunk))
    assert len(shard) == (16 + 4 * 16 + 4) + 4 * 16 + 4
    entries = entries_of(shard, codec, 4)
    assert [first for first, _ in entries] == [ABSENT] * 3 + [0]
    nested = shard[: entries[3][1]]
    assert [first for first, _ in entries_of(nested, inner, 4)] == [ABSENT, 68, ABSENT, ABSENT]
    np.testing.assert_array_equal(read(codec, spec, shard), chunk)
    selection = basic_selection((slice(1, 7), slice(3, 8)), (8, 8))
    (part,) = selection.parts(layout_of(ShardingIndexed((8, 8), [Bytes()]), spec).grid)
    out = np.empty((6, 5), "i4")
    place(CodecPipeline([codec], spec), shard, part, selection, out)
    np.testing.assert_array_equal(out, chunk[1:7, 3:8])


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("seed", range(4))
def test_inner_chunks_anywhere_in_the_shard(location: Any, seed: int) -> None:
    """In any order, with bytes of nobody between them."""
    codec = ShardingIndexed((2,), [Bytes()], index_location=location)
    spec = spec_of((8,))
    chunk = np.arange(1, 9, dtype="i4")
    start = 68 if location == "start" else 0
    order = [0, 1, 2, 3]
    body = b""
    entries = [(ABSENT, ABSENT)] * 4
    if seed:
        random.Random(seed).shuffle(order)
    for gap, number in enumerate(order):
        body += b"?" * (8 if seed == 0 and gap == 0 else gap % 3 * (seed > 1))
        entries[number] = start + len(body), 8
        body += chunk[2 * number : 2 * number + 2].tobytes()
    shard = shard_of(entries, body + b"??" * (seed > 2), codec)
    np.testing.assert_array_equal(read(codec, spec, shard), chunk)
    np.testing.assert_array_equal(codec.decode(shard, spec), chunk)


BODY = np.arange(1, 9, dtype="<i4").tobytes()
WRONG_ENTRIES: dict[str, tuple[int, int]] = {
    "past the end": (10**6, 8),
    "at the end": (32, 8),
    "of a start that wraps around": (ABSENT - 3, 8),
    "of a size that wraps around": (8, ABSENT - 7),
    "over another": (4, 8),
    "the same as another": (0, 8),
    "in the index": (40, 8),
    "partly in the index": (28, 8),
    "without a start": (ABSENT, 8),
    "without a size": (8, ABSENT),
    "of 1 TiB": (8, 2**40),
    "of 2 GiB": (8, 2**31),
    "empty": (8, 0),
    "too short": (8, 4),
    "too long": (8, 12),
}


def wrong_shard(codec: ShardingIndexed, wrong: tuple[int, int]) -> bytes:
    """Return a shard of four inner chunks, of which the second has a wrong entry."""
    size = 64 + 4 * (len(codec.index_codecs) == 2)
    start = size if codec.index_location == "start" else 0
    first = wrong[0]
    if first in (28, 40):
        first -= start  # the index lies before the first chunk, not behind the last
    if first < ABSENT - start:
        first += start
    entries = [(start, 8), (first, wrong[1]), (start + 16, 8), (start + 24, 8)]
    return shard_of(entries, BODY, codec)


@pytest.mark.parametrize("wrong", WRONG_ENTRIES.values(), ids=WRONG_ENTRIES)
@pytest.mark.parametrize("index_codecs", INDEX_CODECS[:2], ids=["bytes", "crc32c"])
@pytest.mark.parametrize("location", ["start", "end"])
def test_wrong_entries_are_refused(
    wrong: tuple[int, int], index_codecs: list[Any], location: Any
) -> None:
    codec = ShardingIndexed((2,), [Bytes()], index_codecs, location)
    spec = spec_of((8,))
    shard = wrong_shard(codec, wrong)
    tracemalloc.start()
    try:
        for function in (lambda: read(codec, spec, shard), lambda: codec.decode(shard, spec)):
            with pytest.raises(CorruptDataError, match=r"inner chunk \([012],\)"):
                function()
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_entries_that_may_stand() -> None:
    """Chunks without bytes lie nowhere, so they lie over nothing."""
    layout = layout_of(ShardingIndexed((2,), [Bytes(), Zstd()]), spec_of((8,)))
    shard = shard_of([(0, 0), (0, 0), (0, 9), (9, 0)], b"x" * 9, ShardingIndexed((2,)))
    assert layout.index_of(shard).spans() == [(0, 0), (0, 0), (0, 9), (9, 9)]


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("codecs", [[Bytes()], [Bytes(), Zstd()], [ShardingIndexed((1,))]])
def test_a_shard_cut_at_every_length(location: Any, codecs: list[Any]) -> None:
    codec = ShardingIndexed((2,), codecs, index_location=location)
    spec = spec_of((8,))
    shard = bytes(written(codec, spec, np.arange(1, 9, dtype="i4")))
    for size in range(len(shard)):
        with pytest.raises(CorruptDataError):
            read(codec, spec, shard[:size])
        with pytest.raises(CorruptDataError):
            read(codec, spec, shard[-size:] if size else b"")
    for more in (shard + b"x", b"x" + shard):
        wrong = location == "end" if more[0:1] != b"x" else location == "start"
        if wrong:
            with pytest.raises(CorruptDataError):
                read(codec, spec, more)


@pytest.mark.parametrize("location", ["start", "end"])
def test_every_flipped_bit_of_an_index_is_found(location: Any) -> None:
    codec = ShardingIndexed((2,), [Bytes(), Crc32c()], index_location=location)
    spec = spec_of((8,))
    shard = bytearray(written(codec, spec, np.arange(1, 9, dtype="i4")))
    for bit in range(8 * len(shard)):
        shard[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptDataError):
            read(codec, spec, bytes(shard))
        shard[bit // 8] ^= 1 << bit % 8
    np.testing.assert_array_equal(read(codec, spec, bytes(shard)), np.arange(1, 9))


DOCUMENT: dict[str, Any] = {
    "chunk_shape": [2, 2],
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"chunk_shape": [2]}, "has 1 lengths for 2 dimensions"),
        ({"chunk_shape": [2, 3]}, r"\[2, 3\] does not divide the shard's shape \[4, 4\]"),
        ({"chunk_shape": [2, 8]}, "does not divide"),
        ({"chunk_shape": [2, 0]}, "lengths of 1 or more"),
        ({"chunk_shape": [2, -2]}, "lengths of 1 or more"),
        ({"chunk_shape": [2, True]}, "lengths of 1 or more"),
        ({"chunk_shape": [2, 2.0]}, "lengths of 1 or more"),
        ({"chunk_shape": [2, 2**70]}, "lengths of 1 or more"),
        ({"chunk_shape": 2}, "is a list, not 2"),
        ({"chunk_shape": None}, "is a list, not None"),
        ({"codecs": None}, "sharding_indexed.codecs is a list"),
        ({"codecs": ["gzip"]}, "cannot stand there|from elements to bytes"),
        ({"codecs": [{"name": "nothing"}]}, "sharding_indexed.codecs: .*nothing"),
        ({"index_codecs": [*DOCUMENT["index_codecs"], {"name": "gzip"}]}, "index"),
        ({"index_codecs": ["crc32c"]}, "from elements to bytes|cannot stand there"),
        ({"index_location": "middle"}, "'start' or 'end', not 'middle'"),
        ({"index_place": "end"}, "index_place"),
    ],
)
def test_wrong_configurations(members: dict[str, Any], says: str) -> None:
    configuration = DOCUMENT | members
    with pytest.raises(MetadataError, match=says):
        CodecPipeline([ShardingIndexed.from_configuration(configuration)], spec_of((4, 4)))


def test_the_index_may_be_left_at_the_end() -> None:
    codec = ShardingIndexed.from_configuration(DOCUMENT)
    assert codec.to_dict()["configuration"] == {**DOCUMENT, "index_location": "end"}
    assert ShardingIndexed((2, 2)) == ShardingIndexed([2, 2], index_location="end")


def test_an_enormous_grid_of_inner_chunks_allocates_nothing() -> None:
    data: dict[str, Any] = {}
    codec = ShardingIndexed((1,), [Bytes()])
    array = zarrstore.create_array(data, shape=2**40, chunks=2**40, dtype="u1", codecs=[codec])
    data["c/0"] = b"x" * 100
    tracemalloc.start()
    try:
        for selection in (7, slice(10, 2**39, 2**37)):
            with pytest.raises(CorruptDataError, match="too few for its index"):
                _ = array[selection]
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def named(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


LITTLE, BIG = named("bytes", endian="little"), named("bytes", endian="big")
CHECKSUM = {"name": "crc32c"}
BLOSC = named("blosc", cname="lz4", clevel=5, shuffle="shuffle", typesize=4, blocksize=0)


def sharded(
    chunk_shape: tuple[int, ...], *codecs: Any, location: str = "end", index: Any = None
) -> dict[str, Any]:
    return named(
        "sharding_indexed",
        chunk_shape=list(chunk_shape),
        codecs=list(codecs),
        index_codecs=index or [LITTLE, CHECKSUM],
        index_location=location,
    )


PEERS_CODECS: dict[str, list[Any]] = {
    "plain": [sharded((2, 3), LITTLE)],
    "index at the start": [sharded((2, 3), LITTLE, location="start")],
    "index without a checksum": [sharded((2, 3), LITTLE, index=[LITTLE])],
    "index in big endian": [sharded((2, 3), LITTLE, index=[BIG, CHECKSUM])],
    "elements in big endian": [sharded((2, 3), BIG, CHECKSUM)],
    "zstd": [sharded((2, 3), LITTLE, named("zstd", level=1, checksum=False))],
    "gzip": [sharded((2, 3), LITTLE, named("gzip", level=1))],
    "blosc": [sharded((2, 3), LITTLE, BLOSC)],
    "transpose": [sharded((2, 3), named("transpose", order=[1, 0]), LITTLE)],
    "nested": [sharded((4, 6), sharded((2, 3), LITTLE, named("gzip", level=1)))],
    "nested, index at the start": [
        sharded((4, 6), sharded((2, 3), LITTLE, location="start"), location="start")
    ],
    "one inner chunk": [sharded((8, 12), LITTLE)],
    "compressed as a whole": [sharded((2, 3), LITTLE), named("gzip", level=1)],
    "transposed as a whole": [named("transpose", order=[1, 0]), sharded((4, 4), LITTLE)],
}


def open_as_tensorstore(path: Path) -> Any:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    return tensorstore.open(spec).result()


def open_as_zarr(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that partial reads are off
        return zarr.open_array(path, mode="r+")


@pytest.mark.parametrize("codecs", PEERS_CODECS.values(), ids=PEERS_CODECS)
@pytest.mark.parametrize("peer", ["zarr", "zarrs", "tensorstore"])
def test_shards_of_others_and_ours_for_others(
    tmp_path: Path, peer: str, codecs: Any, request: pytest.FixtureRequest
) -> None:
    if peer == "zarrs":
        config = zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
        request.addfinalizer(lambda: config.__exit__(None, None, None))
    if peer == "tensorstore" and len(codecs) == 2 and codecs[1]["name"] == "gzip":
        codecs = codecs[:1]  # it takes no codec after this one
    array = zarrstore.create_array(
        tmp_path, shape=(20, 30), chunks=(8, 12), dtype="i4", codecs=codecs
    )
    other = open_as_tensorstore(tmp_path) if peer == "tensorstore" else open_as_zarr(tmp_path)
    expected = np.arange(600, dtype="i4").reshape(20, 30)
    expected[:9] = 0
    array[...] = expected
    array[3:5, 4:20] = expected[3:5, 4:20] = 7
    np.testing.assert_array_equal(other[...], expected)
    other[11:17, 5:25] = expected[11:17, 5:25] = 9
    other[0:8, 0:12] = expected[0:8, 0:12] = 5
    np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(array[12, ::3], expected[12, ::3])
    np.testing.assert_array_equal(
        array[[13, 0, 19], [13, 1, 29]], expected[[13, 0, 19], [13, 1, 29]]
    )
    array[10:14, 3:5] = expected[10:14, 3:5] = 0
    np.testing.assert_array_equal(other[...], expected)


@pytest.mark.parametrize("dtype", ["bool", "u1", "f2", "c8", "str"])
def test_data_types_of_others(tmp_path: Path, dtype: str) -> None:
    shape = (5, 7)
    expected: Any = np.arange(35).reshape(shape) % 3
    if dtype == "str":
        expected = np.array(["", "a", "b\u00e9" * 9], object)[expected]
    else:
        expected = expected.astype(dtype)
    options: dict[str, Any] = {"chunks": (2, 2), "shards": (4, 4), "dtype": dtype}
    ours = zarrstore.create_array(tmp_path / "ours", shape=shape, **options)
    ours[...] = expected
    np.testing.assert_array_equal(open_as_zarr(tmp_path / "ours")[...], expected)
    theirs = zarr.create_array(tmp_path / "theirs", shape=shape, **options)
    theirs[...] = expected
    found = zarrstore.open_array(tmp_path / "theirs")
    np.testing.assert_array_equal(found[...], expected)
    np.testing.assert_array_equal(found[3:5, 1], expected[3:5, 1])
    codecs = [
        json.loads((tmp_path / name / "zarr.json").read_text()) for name in ("ours", "theirs")
    ]
    assert {each["codecs"][0]["name"] for each in codecs} == {"sharding_indexed"}
