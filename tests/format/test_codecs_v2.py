"""Filters and compressors of Zarr v2: the same bytes as zarr-python's, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numcodecs
import numcodecs.checksum32
import numpy as np
import pytest
import zarr.codecs
from codec_helpers import (
    check_damage,
    check_refused_cheaply,
    check_round_trip,
    read_by_zarr,
    same,
    written_by_zarr,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import (
    BZ2,
    CRC32,
    JSON,
    LZ4,
    LZMA,
    AsType,
    BitRound,
    Blosc,
    Categorize,
    Delta,
    FixedScaleOffset,
    Fletcher32,
    GZip,
    MsgPack,
    PackBits,
    PCodec,
    Pickle,
    Quantize,
    Shuffle,
    VLenArray,
    VLenBytes,
    VLenUTF8,
    Zlib,
    Zstd,
)

import zarrstore.format.codecs.blosc
import zarrstore.format.codecs.zstd
from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.cast_value import CastValue
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.numcodecs import numcodecs_codec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.codecs.v2 import object_codec_of, v2_codecs, v2_members
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.data_types.v2 import data_type_from_v2

RECORDS = np.dtype([("a", "<i4"), ("b", ">f8"), ("c", "S3"), ("d", [("x", ">u2"), ("y", "u1")])])
BASE = np.cumsum(np.random.default_rng(0).integers(0, 9, (4, 6)), axis=1)
COMPRESSORS = [
    None,
    Zstd(3),
    Zstd(1, checksum=True),
    Blosc("lz4", 5, Blosc.SHUFFLE),
    Blosc("zstd", 3, Blosc.AUTOSHUFFLE),
    Blosc("zlib", 3, Blosc.BITSHUFFLE),
    Zlib(1),
    BZ2(1),
    LZMA(preset=1),
    LZ4(),
]
DTYPES = [
    "<i4",
    ">i4",
    "|u1",
    "<f8",
    ">f4",
    "|b1",
    "<M8[ns]",
    ">M8[s]",
    "|S3",
    "<U4",
    ">U2",
    "<c16",
]


def pipeline_of(metadata: dict[str, Any], shape: tuple[int, ...], **options: Any) -> CodecPipeline:
    filters = metadata["filters"]
    data_type, stored = data_type_from_v2(metadata["dtype"], object_codec_of(filters))
    codecs = v2_codecs(
        filters,
        metadata["compressor"],
        metadata["order"],
        stored,
        data_type,
        ndim=len(shape),
        **options,
    )
    return CodecPipeline(codecs, ChunkSpec(shape, data_type, data_type.default_fill_value()))


def values_of(dtype: str | np.dtype[Any]) -> np.ndarray[Any, Any]:
    dtype = np.dtype(dtype)
    if dtype.names:
        values = np.zeros(BASE.shape, dtype)
        values["a"], values["b"] = BASE, BASE / 3
        if dtype == RECORDS:
            values["c"], values["d"]["x"] = BASE.astype("S3"), BASE
        return values
    if dtype.kind == "b":
        return BASE % 2 == 0
    values = BASE / 3 if dtype.kind == "f" else BASE
    return values.astype(dtype.newbyteorder("=")).astype(dtype)


def metadata_of(values: np.ndarray[Any, Any], order: str, *codecs: Any) -> dict[str, Any]:
    """Return a document, whose last codec is the compressor."""
    *filters, compressor = [codec and codec.get_config() for codec in codecs]
    dtype = values.dtype.descr if values.dtype.names else values.dtype.str
    dtype = "|O" if values.dtype.kind in "OT" else json.loads(json.dumps(dtype))
    return {"dtype": dtype, "order": order, "filters": filters or None, "compressor": compressor}


def encoded_by_numcodecs(values: np.ndarray[Any, Any], order: Any, *codecs: Any) -> bytes:
    """Return what zarr-python 2 stores: each codec is given what the one before gave."""
    chunk: Any = values.astype(values.dtype, order=order)
    for codec in codecs:
        chunk = chunk if codec is None else codec.encode(chunk)
    return chunk.tobytes(order="A") if isinstance(chunk, np.ndarray) else bytes(chunk)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressor", COMPRESSORS, ids=repr)
@pytest.mark.parametrize("dtype", [*DTYPES, RECORDS], ids=str)
def test_elements(dtype: Any, compressor: Any, order: str) -> None:
    values = values_of(dtype)
    pipeline = pipeline_of(metadata_of(values, order, compressor), values.shape)
    data = check_round_trip(pipeline, values.astype(pipeline.dtype))
    assert data == encoded_by_numcodecs(values, order, compressor)


FILTERS: list[tuple[list[Any], str]] = [
    ([Delta("<i4")], "<i4"),
    ([Delta("<i4", "<i2")], "<i4"),
    ([Delta(">i4", ">i2")], ">i4"),
    ([Delta("<i8")], "<M8[ns]"),
    ([Delta(">i8")], ">M8[ns]"),
    ([FixedScaleOffset(1, 10, "<f8", "<i4")], "<f8"),
    ([FixedScaleOffset(1, 10, ">f8", ">u2"), Delta(">u2")], ">f8"),
    ([Quantize(2, "<f8", "<f4")], "<f8"),
    ([AsType("<f4", "<f8")], "<f8"),
    ([AsType(">i2", "<i4"), Delta(">i2")], "<i4"),
    ([BitRound(5)], "<f4"),
    ([PackBits()], "|b1"),
    ([Shuffle(4)], "<i4"),
    ([Delta("<i4"), Shuffle(4), Zlib(1)], "<i4"),
    ([CRC32()], "<i4"),
    ([Fletcher32()], ">i4"),
    ([Delta("<i4"), CRC32("end")], "<i4"),
    ([numcodecs.Base64()], "<i4"),
    ([Categorize(["3", "7", "12"], "<U4")], "<U4"),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressor", [None, Zstd(1), Blosc("lz4", 5, -1)], ids=repr)
@pytest.mark.parametrize(("filters", "dtype"), FILTERS, ids=str)
def test_filters(filters: list[Any], dtype: str, compressor: Any, order: str) -> None:
    values = values_of(dtype)
    pipeline = pipeline_of(metadata_of(values, order, *filters, compressor), values.shape)
    data = bytes(pipeline.encode(values.astype(pipeline.dtype)))
    if not (order == "F" and isinstance(filters[0], BitRound)):  # which numcodecs gives in C order
        assert data == encoded_by_numcodecs(values, order, *filters, compressor)
    decoded: Any = encoded_by_numcodecs(values, "C", *filters)
    for codec in reversed(filters):
        decoded = codec.decode(decoded)
    if isinstance(decoded, np.ndarray) and decoded.dtype != values.dtype:
        decoded = decoded.view(values.dtype)
    expected = np.frombuffer(decoded, values.dtype).reshape(values.shape)
    assert same(pipeline.decode(data), expected)


TEXT = np.array([f"é{number}" for number in range(24)], object).reshape(4, 6)
BINARY = np.array([b"\0" * (n % 5) + b"x" for n in range(24)], object).reshape(4, 6)
ARRAYS = np.empty(24, object)
ARRAYS[:] = [np.arange(n, dtype="i4") for n in range(24)]
THINGS = np.empty(24, object)
THINGS[:] = [[n, "a", {"b": [None, 1.5]}] if n % 2 else n for n in range(24)]
LABELS = np.array([["a", "b", "zz", "a", "", ""]] * 4, object)
OBJECTS = [
    (VLenUTF8(), TEXT),
    (VLenBytes(), BINARY),
    (VLenArray("<i4"), ARRAYS.reshape(4, 6)),
    (JSON(), THINGS.reshape(4, 6)),
    (JSON(), TEXT),
    (MsgPack(), THINGS.reshape(4, 6)),
    (Categorize(["a", "b"], "O", "u1"), LABELS),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("others", [[None], [Blosc()], [Shuffle(1), Blosc("zstd", 1, -1)]])
@pytest.mark.parametrize(("codec", "values"), OBJECTS, ids=str)
def test_objects(codec: Any, values: Any, others: list[Any], order: str) -> None:
    pipeline = pipeline_of(metadata_of(values, order, codec, *others), values.shape)
    data = bytes(pipeline.encode(values.astype(pipeline.dtype)))
    expected = np.where(values == "zz", "", values) if isinstance(codec, Categorize) else values
    assert same(pipeline.decode(data), expected)
    if order == "C" or not isinstance(codec, JSON | MsgPack):  # which zarr-python scrambles
        assert data == encoded_by_numcodecs(values, order, codec, *others)


def test_elements_as_json() -> None:
    for dtype in ("<i4", ">f8"):
        values = values_of(dtype)
        pipeline = pipeline_of(metadata_of(values, "C", JSON(), None), values.shape)
        data = check_round_trip(pipeline, values.astype(pipeline.dtype))
        assert data == encoded_by_numcodecs(values, "C", JSON())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("values", [np.array(5, "<i4"), np.arange(7, dtype=">u2")], ids=str)
def test_one_dimension_and_none(values: Any, order: str) -> None:
    pipeline = pipeline_of(metadata_of(values, order, Zstd(1)), values.shape)
    assert isinstance(pipeline.codecs[0], Bytes)
    check_round_trip(pipeline, values.astype(pipeline.dtype))


def test_plain_arrays_have_the_codecs_of_zarr_v3() -> None:
    for dtype, endian in [("<f4", "little"), (">f4", "big"), ("|u1", None)]:
        codecs = v2_codecs(None, None, "C", np.dtype(dtype), data_type_for(dtype))
        assert codecs == [Bytes(endian)]  # type: ignore[arg-type]
    for config, codec_class in [
        ({"id": "zstd", "level": 1}, zarrstore.format.codecs.zstd.Zstd),
        ({"id": "blosc", "cname": "lz4"}, zarrstore.format.codecs.blosc.Blosc),
    ]:
        found = v2_codecs(None, config, "C", np.dtype("<f4"), data_type_for("f4"))
        assert isinstance(found[1], codec_class)
        assert found[0] == Bytes("little")


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("<f8", {"compressors": Blosc("zstd", 3, -1), "order": "F"}),
        (">i4", {"compressors": None, "filters": [Delta(">i4")]}),
        ("<f4", {"compressors": PCodec(), "filters": None}),
        ("<f4", {"compressors": numcodecs.ZFPY(tolerance=1e-6), "filters": None}),
        (np.dtype([("a", "<i4"), ("b", ">f8")]), {"compressors": GZip(1)}),
    ],
)
def test_between_versions(tmp_path: Path, dtype: Any, options: Any) -> None:
    values = values_of(dtype)
    metadata, data = written_by_zarr(tmp_path, values, zarr_format=2, fill_value=None, **options)
    expected = read_by_zarr(tmp_path)
    pipeline = pipeline_of(metadata, values.shape)
    assert same(pipeline.decode(data), expected)
    (tmp_path / "0.0").write_bytes(bytes(pipeline.encode(values.astype(pipeline.dtype))))
    assert same(read_by_zarr(tmp_path), expected)


@given(
    dtype=st.sampled_from(["<i4", ">i4"]),
    filters=st.lists(
        st.sampled_from([Shuffle(4), Zlib(1), LZ4(), CRC32(), Fletcher32(), BZ2(1)]), max_size=3
    ),
    has_delta=st.booleans(),
    compressor=st.sampled_from(COMPRESSORS),
    order=st.sampled_from(["C", "F"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_chains(
    dtype: str, filters: list[Any], has_delta: bool, compressor: Any, order: str, seed: int
) -> None:
    if any(isinstance(codec, Shuffle) for codec in filters[1:]):
        filters = [codec for codec in filters if not isinstance(codec, Shuffle)]
    filters = [Delta(dtype)] * has_delta + filters
    values = np.random.default_rng(seed).integers(0, 99, (3, 5)).astype(dtype)
    pipeline = pipeline_of(metadata_of(values, order, *filters, compressor), values.shape)
    data = check_round_trip(pipeline, values.astype("i4"))
    assert data == encoded_by_numcodecs(values, order, *filters, compressor)


@pytest.mark.parametrize(
    ("codecs", "values"),
    [
        ([Delta("<i4"), Shuffle(4), LZ4()], values_of("<i4")),
        ([CRC32(), Blosc()], values_of(">i4")),
        ([VLenArray("<i4"), Zlib()], ARRAYS.reshape(4, 6)),
        ([JSON(), Zstd(1, checksum=True)], THINGS.reshape(4, 6)),
        ([MsgPack(), CRC32()], THINGS.reshape(4, 6)),
    ],
    ids=str,
)
def test_damage(codecs: list[Any], values: Any) -> None:
    pipeline = pipeline_of(metadata_of(values, "F", *codecs), values.shape)
    check_damage(pipeline, bytes(pipeline.encode(values.astype(pipeline.dtype))))


@pytest.mark.parametrize(
    "text",
    [
        '["a",1,"|O",[1000000000000]]',
        '["a","b","|O",[2,1000000000000]]',
        '["a","b","|O",[3]]',
        '["a","b","|O",2]',
        '["a","b","|O",[1,2]]',
        '{"a": 1}',
        '["a"]',
        "[" * 100_000,
        "\xff",
    ],
)
def test_json_that_lies(text: str) -> None:
    pipeline = pipeline_of(metadata_of(TEXT, "C", JSON(), None), (2,))
    check_refused_cheaply(pipeline, text.encode("latin-1"))


def test_arrays_that_lie() -> None:
    pipeline = pipeline_of(metadata_of(ARRAYS, "C", VLenArray("<i4"), None), (1,))
    for data in (b"\1\0\0\0\xfc\xff\xff\xff", b"\1\0\0\0\3\0\0\0abc", b"\2\0\0\0" + bytes(8)):
        check_refused_cheaply(pipeline, data)


def test_pickles_are_refused() -> None:
    metadata = metadata_of(THINGS, "C", Pickle(), None)
    with pytest.raises(MetadataError, match=r"filters\[0\]: 'pickle' is refused"):
        pipeline_of(metadata, (24,))
    pipeline = pipeline_of(metadata, (24,), allow_pickle=True)
    assert same(pipeline.decode(pipeline.encode(THINGS)), THINGS)
    with pytest.raises(CorruptDataError, match="pickle data of 3 bytes"):
        pipeline.decode(b"abc")


@pytest.mark.parametrize(
    ("filters", "compressor", "order", "dtype", "message"),
    [
        (None, None, "K", "<i4", "order: 'K' is not 'C' or 'F'"),
        (None, {"level": 1}, "C", "<i4", "compressor: a codec has an 'id'"),
        ([1], None, "C", "<i4", r"filters\[0\]: a codec has an 'id'"),
        (None, {"id": "nothing"}, "C", "<i4", "compressor: numcodecs has no codec 'nothing'$"),
        (None, {"id": "zlib", "level": 99}, "C", "<i4", "compressor: numcodecs.zlib.level is from"),
        (
            [{"id": "shuffle", "elementsize": 4}, {"id": "delta", "dtype": "<i4"}],
            None,
            "C",
            "<i4",
            r"filters\[1\]: 'delta' takes elements, and 'shuffle' before it gives bytes",
        ),
        (
            [{"id": "vlen-utf8"}, {"id": "json2"}],
            None,
            "C",
            "|O",
            r"filters\[1\]: 'json2' takes elements, and 'vlen-utf8' before it gives bytes",
        ),
        ([{"id": "vlen-array"}], None, "C", "|O", r"filters\[0\]: vlen-array: .*missing"),
        ([{"id": "zlib"}, {"id": "json2"}], None, "C", "|O", r"filters\[0\]: objects need"),
        ([{"id": "delta", "dtype": "<i4"}, {"id": "json2"}], None, "C", "|O", "cannot encode"),
        ([{"id": "categorize", "dtype": "|O"}], None, "C", "|O", "labels"),
        (None, {"id": "pcodec"}, "C", ">f4", "compressor: 'pcodec' takes elements in native byte"),
    ],
)
def test_what_is_not_valid(
    filters: Any, compressor: Any, order: str, dtype: str, message: str
) -> None:
    metadata = {"dtype": dtype, "order": order, "filters": filters, "compressor": compressor}
    if filters == [1]:
        with pytest.raises(MetadataError, match=message):
            v2_codecs(filters, None, "C", np.dtype("<i4"), data_type_for("i4"))
        return
    with pytest.raises(MetadataError, match=message):
        pipeline_of(metadata, (4, 6))


@pytest.mark.parametrize(
    ("filters", "compressor", "dtype", "expected"),
    [
        (None, None, "f4", (None, None)),
        ("auto", "auto", "f4", (None, {"id": "zstd", "level": 1})),
        (None, Zlib(3), "f4", (None, {"id": "zlib", "level": 3})),
        (None, {"id": "zlib", "level": 3}, "f4", (None, {"id": "zlib", "level": 3})),
        ("delta", "bz2", "f4", ([{"id": "delta", "dtype": "<f4"}], {"id": "bz2", "level": 1})),
        (["json2"], "zlib", str, ([{"id": "json2"}], {"id": "zlib", "level": 1})),
        (None, [{"id": "bz2", "level": 3}], "f4", (None, {"id": "bz2", "level": 3})),
        (None, "gzip", "f4", (None, {"id": "gzip", "level": 5})),
        (None, zarr.codecs.GzipCodec(level=2), "f4", (None, {"id": "gzip", "level": 2})),
        (
            None,
            zarrstore.format.codecs.zstd.Zstd(2, checksum=True),
            "f4",
            (None, {"id": "zstd", "level": 2, "checksum": True}),
        ),
        (
            None,
            zarrstore.format.codecs.blosc.Blosc("lz4", 5, None),
            "f4",
            (
                None,
                {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0},
            ),
        ),
        (
            [numcodecs_codec("delta", {}), numcodecs_codec("shuffle", {}), Crc32c()],
            numcodecs_codec("lz4", {}),
            "f8",
            (
                [
                    {"id": "delta", "dtype": "<f8"},
                    {"id": "shuffle", "elementsize": 8},
                    {"id": "crc32c"},
                ],
                {"id": "lz4", "acceleration": 1},
            ),
        ),
        (
            [numcodecs_codec("astype", {"encode_dtype": "<i2"}), numcodecs_codec("delta", {})],
            None,
            "f8",
            (
                [
                    {"id": "astype", "encode_dtype": "<i2", "decode_dtype": "<f8"},
                    {"id": "delta", "dtype": "<i2"},
                ],
                None,
            ),
        ),
        (None, None, str, ([{"id": "vlen-utf8"}], None)),
        ([CRC32()], None, bytes, ([{"id": "vlen-bytes"}, {"id": "crc32"}], None)),
        ([VLenUTF8()], None, str, ([{"id": "vlen-utf8"}], None)),
    ],
)
def test_members(filters: Any, compressor: Any, dtype: Any, expected: Any) -> None:
    data_type = data_type_for(dtype)
    found = v2_members(filters, compressor, data_type)
    assert found == expected
    assert json.loads(json.dumps(found)) == list(found)
    stored = np.dtype(object) if data_type.is_variable else data_type.dtype
    codecs = v2_codecs(*found, "C", stored, data_type)
    spec = ChunkSpec((4,), data_type, data_type.default_fill_value())
    assert CodecPipeline(codecs, spec).codecs


def test_a_filter_of_the_byte_order_of_the_store() -> None:
    data_type, stored = data_type_from_v2(">i4")
    filters, _ = v2_members([numcodecs_codec("delta", {})], None, data_type, stored)
    assert filters == [{"id": "delta", "dtype": ">i4"}]


@pytest.mark.parametrize(
    ("filters", "compressor", "message"),
    [
        (Transpose((1, 0)), None, "filters: 'transpose' has no form in Zarr v2"),
        ([CastValue("int8")], None, "filters: 'cast_value' has no form in Zarr v2"),
        (None, [Zlib(), Zlib()], "compressor: Zarr v2 has one, not 2"),
        (None, "nothing", "unknown codec 'nothing'"),
    ],
)
def test_members_that_are_none(filters: Any, compressor: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        v2_members(filters, compressor, data_type_for("f4"))
    with pytest.raises(TypeError, match="a codec is a Codec"):
        v2_members([3], None, data_type_for("f4"))
