"""Codecs: round trips, and what they say to bytes that are not theirs."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib
from typing import Any

import numcodecs.zstd
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.codecs.zstd import Zstd
from zarrstore.format.data_types.registry import data_type_for

CODECS = [
    Crc32c(),
    Gzip(1),
    Zstd(1),
    Zstd(-5, checksum=True),
    Blosc("lz4", 5, "shuffle", 4),
    Blosc("zstd", 1, "bitshuffle", 2),
    Blosc("blosclz", 9, "noshuffle", 1),
    Blosc("zlib", 1, "shuffle", 8),
    Blosc("lz4hc", 1, "shuffle", 300, blocksize=256),
]


def _pipeline(*codecs: Any, shape: tuple[int, ...] = (5, 7), dtype: str = "f4") -> CodecPipeline:
    endian: Any = None if np.dtype(dtype).itemsize == 1 else "little"
    return CodecPipeline([Bytes(endian), *codecs], spec_of(shape, dtype))


def spec_of(shape: tuple[int, ...], dtype: str) -> ChunkSpec:
    data_type = data_type_for(dtype)
    return ChunkSpec(shape, data_type, data_type.default_fill_value())


@given(
    codecs=st.lists(st.sampled_from(CODECS), max_size=3),
    endian=st.sampled_from(["little", "big"]),
    dtype=st.sampled_from(["i2", "u8", "f4", "c16"]),
    seed=st.integers(0, 100),
)
@settings(deadline=None)
def test_round_trip(codecs: list[Any], endian: Any, dtype: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 9, (5, 7)).astype(dtype)
    pipeline = CodecPipeline([Bytes(endian), *codecs], spec_of((5, 7), dtype))
    data = bytes(pipeline.encode(values))
    np.testing.assert_array_equal(pipeline.decode(data), values)
    out = np.empty_like(values)
    pipeline.decode_into(data, out)
    np.testing.assert_array_equal(out, values)
    for damaged in (data[:-1], data + b"x", b""):
        with pytest.raises(CorruptDataError):
            pipeline.decode(damaged)
        with pytest.raises(CorruptDataError):
            pipeline.decode_into(damaged, out)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_documents_round_trip(codec: Any) -> None:
    assert codec_of(codec.to_dict()) == codec
    assert hash(codec_of(codec.to_dict())) == hash(codec)


@pytest.mark.parametrize("codec", [Gzip(1), Zstd(1), Blosc("lz4", 5, "shuffle", 4)], ids=repr)
@pytest.mark.parametrize("size", [0, 1, 139, 141, 1000])
def test_data_of_another_size_is_refused(codec: Any, size: int) -> None:
    data = codec.encode(bytes(size))
    with pytest.raises(CorruptDataError, match="140"):
        _pipeline(codec).decode(data)
    with pytest.raises(CorruptDataError, match="140"):
        _pipeline(codec).decode_into(data, np.empty((5, 7), "f4"))


@pytest.mark.parametrize(
    "bomb",
    [
        zstandard.ZstdCompressor().compress(bytes(2**26)),
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**26)),
        numcodecs.zstd.compress(bytes(2**26)),
    ],
)
def test_a_zstd_bomb_allocates_no_more_than_the_chunk(bomb: bytes) -> None:
    _refuses_cheaply(_pipeline(Zstd()), bomb)
    _refuses_cheaply(_pipeline(Gzip(), Zstd()), bomb)


def test_a_gzip_bomb_allocates_no_more_than_the_chunk() -> None:
    _refuses_cheaply(_pipeline(Gzip()), gzip.compress(bytes(2**26)))
    _refuses_cheaply(_pipeline(Gzip()), gzip.compress(b"") * 3 + gzip.compress(bytes(2**26)))


def _refuses_cheaply(pipeline: CodecPipeline, bomb: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(CorruptDataError):
        pipeline.decode(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_blosc_headers_that_lie() -> None:
    values = np.random.default_rng(0).integers(0, 2**31, (5, 7)).astype("f4")
    pipeline = _pipeline(Blosc("lz4", 5, "shuffle", 4))
    data = bytes(pipeline.encode(values))
    header = bytearray(data)
    struct.pack_into("<I", header, 4, 200_000_000)
    with pytest.raises(CorruptDataError, match="200000000"):
        pipeline.decode(bytes(header))
    with pytest.raises(CorruptDataError, match="truncated"):
        pipeline.decode(data[: len(data) // 2])
    with pytest.raises(CorruptDataError, match="too few for a header"):
        pipeline.decode(data[:15])
    claim = struct.pack("<BBBBIII", 2, 1, 0, 1, 200_000_000, 200_000_000, 16)
    with pytest.raises(CorruptDataError, match="200000000"):
        pipeline.decode(claim)


def test_zstd_frames_without_a_size_and_several_frames() -> None:
    values = np.arange(35, dtype="f4").reshape(5, 7)
    raw = values.tobytes()
    silent = zstandard.ZstdCompressor(write_content_size=False)
    for data in (
        silent.compress(raw),
        silent.compress(raw[:50]) + silent.compress(raw[50:]),
        numcodecs.zstd.compress(raw[:50]) + numcodecs.zstd.compress(raw[50:]),
    ):
        np.testing.assert_array_equal(_pipeline(Zstd()).decode(data), values)
    with pytest.raises(CorruptDataError):
        _pipeline(Zstd()).decode(silent.compress(raw)[:-3])
    with pytest.raises(CorruptDataError):
        _pipeline(Zstd()).decode(b"not zstd at all")


def test_gzip_members_and_damage() -> None:
    values = np.arange(35, dtype="f4").reshape(5, 7)
    raw = values.tobytes()
    data = gzip.compress(raw[:50]) + gzip.compress(raw[50:])
    np.testing.assert_array_equal(_pipeline(Gzip()).decode(data), values)
    whole = bytearray(gzip.compress(raw))
    whole[-6] ^= 1
    with pytest.raises(CorruptDataError, match="cannot be decoded"):
        _pipeline(Gzip()).decode(bytes(whole))
    with pytest.raises(CorruptDataError):
        _pipeline(Gzip()).decode(zlib.compress(raw))


def test_crc32c_finds_one_wrong_bit() -> None:
    pipeline = _pipeline(Crc32c())
    data = bytearray(pipeline.encode(np.ones((5, 7), "f4")))
    data[3] ^= 1
    with pytest.raises(CorruptDataError, match="checksum does not match"):
        pipeline.decode(bytes(data))
    with pytest.raises(CorruptDataError, match="too few"):
        pipeline.decode(b"abc")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"name": "nothing"}, "unknown codec 'nothing'; known are blosc"),
        ({"name": "gzip", "configuration": {"level": 10}}, "gzip.level is from 0 to 9, not 10"),
        ({"name": "gzip", "configuration": {"level": True}}, "gzip.level"),
        ({"name": "gzip", "configuration": {"speed": 1}}, "no configuration speed; known are lev"),
        ({"name": "zstd", "configuration": {"level": 23}}, "zstd.level"),
        ({"name": "zstd", "configuration": {"checksum": 1}}, "zstd.checksum"),
        ({"name": "blosc", "configuration": {"cname": "x"}}, "blosc.cname"),
        ({"name": "blosc", "configuration": {"shuffle": 1}}, "blosc.shuffle"),
        ({"name": "blosc", "configuration": {"clevel": 10}}, "blosc.clevel"),
        ({"name": "blosc", "configuration": {"typesize": 0}}, "blosc.typesize"),
        ({"name": "bytes", "configuration": {"endian": "middle"}}, "bytes.endian"),
        ({"name": "crc32c", "configuration": {"a": 1}}, "crc32c has no configuration a"),
    ],
)
def test_configurations_that_are_not_valid(document: dict[str, Any], says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        codec_of(document)


def test_codecs_in_another_order() -> None:
    with pytest.raises(MetadataError, match="'gzip' cannot stand there"):
        CodecPipeline([Gzip(), Bytes()], spec_of((1,), "f4"))
    with pytest.raises(MetadataError, match="'bytes' cannot stand there"):
        CodecPipeline([Bytes(), Bytes()], spec_of((1,), "f4"))
    with pytest.raises(MetadataError, match="none from elements to bytes"):
        CodecPipeline([], spec_of((1,), "f4"))
    with pytest.raises(MetadataError, match="endian is missing"):
        CodecPipeline([Bytes(None)], spec_of((1,), "f4"))
    with pytest.raises(TypeError, match="a codec is a Codec"):
        codec_of(3)


@pytest.mark.parametrize("codecs", [[Zstd(1)], [Zstd(1, checksum=True)], [Gzip(1), Zstd(1)]])
@pytest.mark.parametrize("values", [np.zeros, np.ones, np.random.default_rng(0).random])
def test_many_chunks_at_once(codecs: list[Any], values: Any) -> None:
    shape = (30_000, 7)  # several blocks a frame
    chunks = [values(shape).astype("f4") for _ in range(3)]
    pipeline = _pipeline(*codecs, shape=shape)
    encoded = [bytes(data) for data in pipeline.encode_many(chunks)]
    assert encoded == [bytes(pipeline.encode(chunk)) for chunk in chunks]
    for one, many in zip(chunks, pipeline.decode_many(encoded), strict=True):
        np.testing.assert_array_equal(one, many)
    for damaged in (encoded[1][:-1], encoded[1] + b"x", encoded[1] + encoded[1], b""):
        with pytest.raises(CorruptDataError):
            pipeline.decode_many([encoded[0], damaged, encoded[2]])
