"""Codecs of elements: transpose, scale_offset, cast_value, and those of no fixed size."""

from __future__ import annotations

import json
import math
import struct
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cast_value_rs
import numpy as np
import pytest
import zarr
from codec_helpers import (
    check_damage,
    check_refused_cheaply,
    check_round_trip,
    pipeline_of,
    pipeline_of_document,
    read_by_zarr,
    same,
    spec_of,
    written_by_zarr,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from numcodecs.vlen import VLenBytes, VLenUTF8

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.cast_value import CastValue
from zarrstore.format.codecs.casting import ROUNDING, CastError, cast_values
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.registry import codec_from_dict, codec_of
from zarrstore.format.codecs.scale_offset import ScaleOffset
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.codecs.vlen import VlenBytes, VlenUtf8
from zarrstore.format.codecs.zstd import Zstd

STRINGS = np.dtypes.StringDType()
NUMBERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
INTEGERS = NUMBERS[:8]


@given(
    shape=st.lists(st.integers(1, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(["u1", "i2", "f8", "c16", "M8[ns]", "U3"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_transpose(shape: tuple[int, ...], dtype: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    values = np.arange(math.prod(shape)).reshape(shape).astype(np.dtype(dtype))
    pipeline = pipeline_of([Transpose(order), Bytes()], shape, dtype)
    stored = check_round_trip(pipeline, values)
    assert stored == values.transpose(order).tobytes()


def test_transpose_between_versions(tmp_path: Path) -> None:
    values = np.arange(60, dtype="f8").reshape(3, 4, 5)
    codecs = zarr.codecs.TransposeCodec(order=(2, 0, 1))
    metadata, data = written_by_zarr(tmp_path, values, filters=codecs, compressors=None)
    pipeline = pipeline_of_document(metadata, values.shape)
    assert same(pipeline.decode(data), values)
    assert bytes(pipeline.encode(values)) == data
    assert codec_of(codecs) == Transpose((2, 0, 1))


def test_transpose_orders_with_names() -> None:
    assert Transpose("F").fitted(spec_of((2, 3, 4), "f4")) == Transpose((2, 1, 0))
    assert Transpose("C").fitted(spec_of((2, 3, 4), "f4")) == Transpose((0, 1, 2))
    assert codec_from_dict("transpose", {"order": "F"}) == Transpose("F")


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((0, 0), "each of 0 to 1 once"),
        ((1, 2), "each of 0 to 1 once"),
        ((0, -1), "each of 0 to 1 once"),
        ("K", "a list of integers"),
        (1, "a list of integers"),
        ((0, 1.5), "a list of integers"),
        ((True, False), "a list of integers"),
    ],
)
def test_transpose_orders_that_are_none(order: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=f"transpose.order .*{message}"):
        codec_from_dict("transpose", {"order": order})


def test_transpose_that_does_not_fit() -> None:
    with pytest.raises(MetadataError, match="3 dimensions, and the chunks have 2"):
        pipeline_of([Transpose((2, 1, 0)), Bytes()], (2, 3), "f4")
    with pytest.raises(MetadataError, match=r"transpose\.order is missing"):
        codec_from_dict("transpose", {})
    with pytest.raises(MetadataError, match="no configuration axes"):
        codec_from_dict("transpose", {"order": [0], "axes": 1})


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


@given(values=st_np.arrays(object, st_np.array_shapes(max_dims=3, max_side=4), elements=TEXT))
@settings(deadline=None, max_examples=60)
def test_vlen_utf8(values: np.ndarray[Any, Any]) -> None:
    pipeline = pipeline_of([VlenUtf8()], values.shape, str)
    data = check_round_trip(pipeline, values.astype(STRINGS))
    assert data == bytes(VLenUTF8().encode(values))
    assert bytes(pipeline.encode(values)) == data
    assert pipeline.decode(data).dtype == STRINGS
    for damaged in (data[:-1], data + b"\0", b""):
        with pytest.raises(CorruptDataError):
            pipeline.decode(damaged)


@given(
    values=st_np.arrays(
        object, st_np.array_shapes(max_dims=3, max_side=4), elements=st.binary(max_size=6)
    )
)
@settings(deadline=None, max_examples=60)
def test_vlen_bytes(values: np.ndarray[Any, Any]) -> None:
    pipeline = pipeline_of([VlenBytes()], values.shape, bytes)
    data = check_round_trip(pipeline, values)
    assert data == bytes(VLenBytes().encode(values))


@pytest.mark.parametrize("compressor", [None, Zstd(1), Blosc("lz4"), Gzip(1)], ids=repr)
def test_damaged_strings(compressor: Any) -> None:
    values = np.array([["abc", ""], ["é", "日本" * 9]], STRINGS)
    codecs = [VlenUtf8()] if compressor is None else [VlenUtf8(), compressor]
    pipeline = pipeline_of(codecs, values.shape, str)
    check_damage(pipeline, check_round_trip(pipeline, values))


def test_strings_that_lie() -> None:
    pipeline = pipeline_of([VlenUtf8()], (2,), str)
    for data, message in [
        (struct.pack("<III", 3, 0, 0), "3 elements where 2 are expected"),
        (struct.pack("<I", 2**32 - 1) + bytes(8), "elements where 2 are expected"),
        (struct.pack("<III", 2, 2**32 - 1, 0), "cannot be decoded"),
        (struct.pack("<III", 2, 0, 1), "cannot be decoded"),
        (struct.pack("<III", 2, 0, 2) + b"\xff\xfe", "cannot be decoded.*utf-8"),
        (struct.pack("<III", 2, 0, 1) + b"ab", "has 2 bytes in elements, which are 1"),
        (b"\2\0\0", "too few for 2 elements"),
    ]:
        with pytest.raises(CorruptDataError, match=message):
            pipeline.decode(data)


@pytest.mark.parametrize("compressor", [Zstd(), Blosc("lz4"), Blosc("zstd")], ids=repr)
def test_compressed_strings_that_lie(compressor: Any) -> None:
    pipeline = pipeline_of([VlenUtf8(), compressor], (4,), str)
    data = bytearray(pipeline.encode(np.array(["a", "b", "c", "d"], STRINGS)))
    if isinstance(compressor, Blosc):
        struct.pack_into("<I", data, 4, 2**31 - 17)
    else:
        # a header of eight bytes for the size of the content, and the block as it was
        data = bytearray(data[:4] + b"\xe0" + struct.pack("<Q", 2**31 - 17) + data[6:])
    check_refused_cheaply(pipeline, bytes(data[:-1]))
    check_refused_cheaply(pipeline, bytes(data))


@pytest.mark.parametrize("element", [None, 1, math.nan, b"x"])
def test_what_is_no_string(element: Any) -> None:
    with pytest.raises(TypeError, match="a string array holds str, not"):
        pipeline_of([VlenUtf8()], (2,), str).encode(np.array(["a", element], object))


@pytest.mark.parametrize("element", [None, 1, "x"])
def test_what_is_no_bytes(element: Any) -> None:
    with pytest.raises(TypeError, match="holds bytes, not"):
        pipeline_of([VlenBytes()], (2,), bytes).encode(np.array([b"a", element], object))


def test_bytes_of_other_types() -> None:
    values = np.array([b"a", bytearray(b"b"), memoryview(b"c")], object)
    pipeline = pipeline_of([VlenBytes()], (3,), bytes)
    assert pipeline.decode(pipeline.encode(values)).tolist() == [b"a", b"b", b"c"]


def test_strings_in_another_order() -> None:
    values = np.array([["a", "bb"], ["ccc", "é"], ["", "f"]], STRINGS)
    pipeline = pipeline_of([Transpose((1, 0)), VlenUtf8()], (3, 2), str)
    data = check_round_trip(pipeline, values)
    assert data == bytes(VLenUTF8().encode(values.T.astype(object).copy()))


@pytest.mark.parametrize(("codec", "dtype"), [(VlenUtf8(), "f4"), (VlenBytes(), str)])
def test_strings_of_the_wrong_codec(codec: Any, dtype: Any) -> None:
    with pytest.raises(MetadataError, match=f"codecs: {codec.name} cannot encode .*; use"):
        pipeline_of([codec], (2,), dtype)


@pytest.mark.parametrize("values", [np.array([["a", "é"], ["", "x" * 300]], STRINGS)])
def test_strings_between_versions(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    metadata, data = written_by_zarr(tmp_path, values, compressors=None)
    pipeline = pipeline_of_document(metadata, values.shape)
    assert same(pipeline.decode(data), values)
    assert bytes(pipeline.encode(values)) == data
    (tmp_path / "c/0/0").write_bytes(bytes(pipeline.encode(values[::-1].copy())))
    assert same(read_by_zarr(tmp_path), values[::-1])


def test_a_million_strings_take_no_time() -> None:
    values = np.array([f"item {number}" for number in range(200_000)], STRINGS)
    pipeline = pipeline_of([VlenUtf8()], values.shape, str)
    started = time.perf_counter()
    assert same(pipeline.decode(pipeline.encode(values))[-9:], values[-9:])
    assert time.perf_counter() - started < 2


@given(
    values=st.sampled_from(INTEGERS).flatmap(
        lambda dtype: st_np.arrays(dtype, st.integers(0, 5).map(lambda n: (n + 1,)))
    ),
    data=st.data(),
)
@settings(deadline=None, max_examples=120)
def test_scale_offset_of_integers(values: np.ndarray[Any, Any], data: st.DataObject) -> None:
    limits = np.iinfo(values.dtype)
    inside = st.integers(limits.min, limits.max)
    near = st.sampled_from(values.tolist())
    offset = data.draw(near | inside | st.just(0))
    scale = data.draw((st.integers(-3, 3) | inside).filter(lambda n: n and n >= limits.min))
    codec = ScaleOffset(offset, scale)
    spec = ChunkSpec(values.shape, spec_of((1,), values.dtype).data_type, values.dtype.type(offset))
    shifted = [value - offset for value in values.tolist()]
    scaled = [value * scale for value in shifted]
    fits = all(limits.min <= value <= limits.max for value in shifted + scaled)
    if not fits:
        with pytest.raises(ValueError, match="out of the range"):
            codec.encode(values, spec)
        return
    stored = codec.fitted(spec).encode(values, spec)
    assert stored.dtype == values.dtype
    assert stored.tolist() == scaled
    assert codec.decode(stored, spec).tolist() == values.tolist()


def test_scale_offset_of_floats() -> None:
    values = np.array([273.15, 280, np.nan, np.inf, -0.0], "f4")
    codec = ScaleOffset(np.float32(273.15), 100)
    pipeline = pipeline_of([codec, Bytes()], (5,), "f4")
    stored = (values - np.float32(273.15)) * np.float32(100)
    assert bytes(pipeline.encode(values)) == stored.tobytes()
    restored = stored / np.float32(100) + np.float32(273.15)
    np.testing.assert_array_equal(pipeline.decode(stored.tobytes()), restored)
    assert json.dumps(codec.to_dict())


def test_scale_offset_of_complex_numbers() -> None:
    codec = ScaleOffset(1 + 2j, scale=2)
    pipeline = pipeline_of([codec, Bytes()], (2,), "c8")
    check_round_trip(pipeline, np.array([1 + 1j, 3], "c8"))
    assert codec.configuration()["offset"] == [1.0, 2.0]


def test_scale_offset_in_metadata() -> None:
    assert ScaleOffset().to_dict() == {"name": "scale_offset"}
    assert codec_of("scale_offset") == ScaleOffset()
    document = {"name": "scale_offset", "configuration": {"offset": 5, "scale": 0.1}}
    assert codec_of(document).to_dict() == document


@pytest.mark.parametrize(
    ("configuration", "dtype", "message"),
    [
        ({"scale": 0}, "i4", "scale must not be 0"),
        ({"scale": 0.5}, "i4", "scale: 0.5 is not a value of data type int32"),
        ({"offset": -1}, "u1", "offset: -1 is not a value of data type uint8"),
        ({"offset": "x"}, "f4", "offset: 'x' is not a value"),
        ({"offset": None}, "f4", "offset is null"),
        ({"offset": 1}, "M8[s]", "is for numbers, and the elements are numpy.datetime64"),
        ({"offset": 1}, str, "is for numbers, and the elements are string"),
        ({"offset": 1}, "u1", "of the fill value: .* gives -1, which is out of the range"),
        ({"factor": 1}, "f4", "no configuration factor"),
    ],
)
def test_scale_offset_that_is_not_valid(configuration: Any, dtype: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=f"codecs: scale_offset.*{message}"):
        pipeline_of([codec_from_dict("scale_offset", configuration), Bytes()], (2,), dtype)


def test_scale_offset_of_damaged_data() -> None:
    pipeline = pipeline_of([ScaleOffset(0, 5), Bytes()], (2,), "i2")
    with pytest.raises(CorruptDataError, match="no multiples of its scale"):
        pipeline.decode(np.array([5, 6], "i2").tobytes())
    pipeline = pipeline_of([ScaleOffset(-100), Bytes()], (2,), "i1")
    with pytest.raises(CorruptDataError, match="gives -200"):
        pipeline.decode(np.array([-100, 0], "i1").tobytes())


def _rounded(number: Fraction, rounding: str) -> int:
    below = math.floor(number)
    rest = number - below
    if rest == 0 or rounding == "towards-negative":
        return below
    if rounding == "towards-positive":
        return below + 1
    if rounding == "towards-zero":
        return below if number > 0 else below + 1
    if rest != Fraction(1, 2):
        return below + (rest > Fraction(1, 2))
    if rounding == "nearest-even":
        return below + below % 2
    return below + 1 if number > 0 else below


def _cast_exactly(value: Any, dtype: np.dtype[Any], rounding: str, rule: str | None) -> Any:
    """Return a number as the specification has it, computed with fractions, or ``None``."""
    if isinstance(value, float) and not math.isfinite(value):
        return value if dtype.kind == "f" else None
    number = Fraction(value)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        whole = _rounded(number, rounding)
        if limits.min <= whole <= limits.max or rule is None:
            return whole if limits.min <= whole <= limits.max else None
        if rule == "clamp":
            return limits.min if whole < 0 else limits.max
        return (whole - limits.min) % 2 ** (8 * dtype.itemsize) + limits.min
    if number == 0:
        return math.copysign(0.0, value)
    shape = np.finfo(dtype)
    exponent = max(shape.minexp, math.frexp(abs(value))[1] - 2)
    while abs(number) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - shape.nmant)
    result = _rounded(number / step, rounding) * step
    if abs(result) <= Fraction(float(shape.max)):
        return math.copysign(float(result), number)
    return None if rule is None else math.copysign(math.inf, number)


def _numbers(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    if dtype.kind == "f":
        width: Any = 8 * dtype.itemsize
        near = [0.5, 1.5, 2.5, 6e-8, 3e-8, 65504, 65519, 65520, 65535, 2.0**31, 2.0**63, 2.0**64]
        some = [sign * number for number in near for sign in (1, -1)]
        edges = [float(dtype.type(n)) for n in some if abs(n) <= float(np.finfo(dtype).max)]
        return st.floats(width=width) | st.floats(-300, 300, width=width) | st.sampled_from(edges)
    limits = np.iinfo(dtype)
    powers = st.builds(lambda n, m: 2**n + m, st.integers(0, 64), st.integers(-2, 2))
    some = powers | powers.map(lambda n: -n) | st.integers(limits.min, limits.max)
    return some.filter(lambda n: limits.min <= n <= limits.max)


@given(
    dtypes=st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2, unique=True),
    rounding=st.sampled_from(ROUNDING),
    rule=st.sampled_from([None, "clamp", "wrap"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=200)
def test_casts(dtypes: list[str], rounding: str, rule: str | None, data: st.DataObject) -> None:
    source, target = map(np.dtype, dtypes)
    rule = None if rule == "wrap" and target.kind == "f" else rule
    values = data.draw(st_np.arrays(source, 3, elements=_numbers(source)))
    expected = [_cast_exactly(value, target, rounding, rule) for value in values.tolist()]
    options: Any = {"rounding_mode": rounding, "out_of_range_mode": rule}
    if None in expected:
        with pytest.raises(CastError):
            cast_values(values, target, rounding, rule)
        with pytest.raises(ValueError, match=r"."):
            cast_value_rs.cast_array(values, target_dtype=target, **options)
        return
    found = cast_values(values, target, rounding, rule)
    assert found.dtype == target
    assert repr(found.tolist()) == repr(expected)
    by_others = cast_value_rs.cast_array(values, target_dtype=target, **options)
    assert repr(found.tolist()) == repr(by_others.tolist())


def test_the_casts_of_the_specification() -> None:
    for number, dtype, expected in [
        (128.0, "i1", -128),
        (32768, "i2", -32768),
        (32769, "i2", -32767),
        (-32769, "i2", 32767),
    ]:
        codec = CastValue(dtype, out_of_range="wrap")
        assert codec.encode(np.array([number]), spec_of((1,), np.array(number).dtype)) == expected


def test_a_scalar_map() -> None:
    maps: Any = {
        "encode": [["NaN", 0], ["+Infinity", 255], [0, 7], [0, 8], [1e9, 3]],
        "decode": [[0, "NaN"], [255, "Infinity"], [7, 0]],
    }
    codec = CastValue("uint8", scalar_map=maps)
    spec = spec_of((6,), "f8")
    values = np.array([np.nan, np.inf, 0, -0.0, 1e9, 5])
    stored = codec.fitted(spec).encode(values, spec)
    assert stored.tolist() == [0, 255, 7, 7, 3, 5]
    np.testing.assert_array_equal(codec.decode(stored, spec), [np.nan, np.inf, 0, 0, 3, 5])
    assert codec_of(json.loads(json.dumps(codec.to_dict()))) == codec


def test_scalar_maps_as_python_has_them() -> None:
    codec = CastValue("uint8", scalar_map={"encode": {np.nan: 0, -np.inf: np.uint8(1)}})
    assert codec.configuration()["scalar_map"] == {"encode": [["NaN", 0], ["-Infinity", 1]]}


def test_scale_and_cast_in_a_pipeline() -> None:
    values = np.array([[271.0, 273.15], [300.01, 290.5]], "f8")
    codecs = [ScaleOffset(250, 100), CastValue("uint16"), Bytes(), Zstd()]
    fill = ChunkSpec((2, 2), spec_of((1,), "f8").data_type, np.float64(250))
    pipeline = type(pipeline_of(codecs[2:], (2, 2), "f8"))(codecs, fill)
    np.testing.assert_allclose(pipeline.decode(pipeline.encode(values)), values, atol=0.005)
    assert pipeline.codecs[2] == Bytes("little")


@pytest.mark.parametrize(
    ("configuration", "dtype", "message"),
    [
        ({}, "f4", "data_type is missing"),
        ({"data_type": "bool"}, "f4", "data_type is an integer or a float, not 'bool'"),
        ({"data_type": "complex64"}, "f4", "data_type is an integer or a float"),
        ({"data_type": 3}, "f4", "data_type is a name"),
        ({"data_type": "int8"}, "bool", "is for integers and floats"),
        ({"data_type": "int8"}, "M8[s]", "is for integers and floats"),
        ({"data_type": "int8", "rounding": "up"}, "f4", "rounding is one of"),
        ({"data_type": "int8", "out_of_range": "error"}, "f4", "out_of_range is one of"),
        ({"data_type": "float32", "out_of_range": "wrap"}, "f8", "which is for integers"),
        ({"data_type": "int8", "scalar_map": [1]}, "f4", "scalar_map has 'encode' and 'decode'"),
        ({"data_type": "int8", "scalar_map": {"encode": [1]}}, "f4", "is a list of pairs"),
        (
            {"data_type": "int8", "scalar_map": {"encode": [["NaN", "NaN"]]}},
            "f4",
            "scalar_map.encode: 'NaN' is not a value of data type int8",
        ),
        (
            {"data_type": "int8", "scalar_map": {"decode": [[300, 1]]}},
            "f4",
            "scalar_map.decode: 300 is not a value of data type int8",
        ),
        ({"data_type": "int8", "to": 1}, "f4", "no configuration to"),
    ],
)
def test_cast_value_that_is_not_valid(configuration: Any, dtype: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=f"codecs: cast_value.*{message}"):
        pipeline_of([codec_from_dict("cast_value", configuration), Bytes()], (2,), dtype)


def test_a_fill_value_must_be_cast_both_ways() -> None:
    nan = ChunkSpec((2,), spec_of((1,), "f4").data_type, np.float32("nan"))
    with pytest.raises(MetadataError, match=r"of the fill value.*nan has no value of int8"):
        CastValue("int8").encoded_spec(nan)
    codec = CastValue("int8", scalar_map={"encode": [["NaN", -128]], "decode": [[-128, "NaN"]]})
    assert codec.encoded_spec(nan).fill_value == -128
    large = ChunkSpec((2,), spec_of((1,), "i1").data_type, np.int8(-1))
    with pytest.raises(MetadataError, match="of the fill value"):
        CastValue("uint8").encoded_spec(large)


def test_a_cast_that_cannot_be() -> None:
    pipeline = pipeline_of([CastValue("int8"), Bytes(None)], (2,), "f4")
    with pytest.raises(ValueError, match=r"300.0 is out of the range of int8; set out_of_range"):
        pipeline.encode(np.array([1, 300], "f4"))
    with pytest.raises(ValueError, match="nan has no value of int8; map it"):
        pipeline.encode(np.array([1, np.nan], "f4"))
    pipeline = pipeline_of([CastValue("int16"), Bytes()], (2,), "u1")
    with pytest.raises(CorruptDataError, match="from int16 to uint8: -1 is out of the range"):
        pipeline.decode(np.array([1, -1], "i2").tobytes())
