from __future__ import annotations

import json
import math
import pickle
import reprlib
from typing import Any

import msgspec
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr_metadata.model import read_array_metadata_v2

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.bytes import NullTerminatedBytes, VariableLengthBytes
from zarrstore.format.data_types.numbers import NUMBERS, Number
from zarrstore.format.data_types.raw import RawBits, RawBytes
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.data_types.strings import FixedLengthUTF32, String
from zarrstore.format.data_types.struct import Struct, SubArray
from zarrstore.format.data_types.times import DateTime64, TimeDelta64
from zarrstore.format.data_types.v2 import (
    Object,
    data_type_from_v2,
    data_type_to_v2,
    decode_fill_value_v2,
    encode_fill_value_v2,
)

NAN, INF = math.nan, math.inf


def bits(value: Any, dtype: np.dtype[Any]) -> Any:
    return value if dtype.kind in "OT" or value is None else np.array([value], dtype).tobytes()


PARAMETERS = {"vlen-array": {"dtype": "<i4"}}


def document(dtype: Any, fill_value: Any, object_codec: str | None) -> dict[str, Any]:
    return {
        "zarr_format": 2,
        "shape": [3],
        "chunks": [2],
        "dtype": dtype,
        "compressor": None,
        "filters": None
        if object_codec is None
        else [{"id": object_codec, **PARAMETERS.get(object_codec, {})}],
        "fill_value": fill_value,
        "order": "C",
    }


S5, U3, V8 = np.dtype("S5"), np.dtype("U3"), np.dtype("V8")
RECORD = [["a", ">i4"], ["b", "<f8"], ["c", "|S3"]]
NESTED = [["a", "<i4", [2, 3]], ["b", [["x", "<U2"], ["y", ">M8[s]", [2]]]]]
PADDED = [["a", "|i1"], ["", "|V7"], ["b", "<f8"]]
ZEROS = np.zeros(1, [("a", "i4", (2, 3)), ("b", [("x", "U2"), ("y", "M8[s]", 2)])])[0]


@pytest.mark.parametrize(
    ("dtype", "object_codec", "fill_value", "data_type", "value"),
    [
        # as zarr-python 2.18 writes them
        ("<i4", None, None, Number("int32"), None),
        (">i4", None, 5, Number("int32"), np.int32(5)),
        ("|b1", None, False, Number("bool"), np.False_),
        ("|u1", None, 255, Number("uint8"), np.uint8(255)),
        ("<f4", None, "NaN", Number("float32"), np.float32(NAN)),
        (">f8", None, "-Infinity", Number("float64"), np.float64(-INF)),
        ("<f2", None, 0.5, Number("float16"), np.float16(0.5)),
        ("<c8", None, [1.0, "NaN"], Number("complex64"), np.complex64(complex(1, NAN))),
        ("<c16", None, [1.0, -2.0], Number("complex128"), np.complex128(1 - 2j)),
        ("|S5", None, "YWI=", NullTerminatedBytes(5), np.bytes_(b"ab")),
        ("|S5", None, "", NullTerminatedBytes(5), np.bytes_(b"")),
        ("<U3", None, "ab", FixedLengthUTF32(3), np.str_("ab")),
        (">U3", None, "", FixedLengthUTF32(3), np.str_("")),
        ("|V4", None, "YWJjZA==", RawBytes(4), np.void(b"abcd")),
        ("<M8[ns]", None, -(2**63), DateTime64("ns"), np.datetime64("NaT", "ns")),
        ("<M8[s]", None, 1577836800, DateTime64("s"), np.datetime64("2020-01-01", "s")),
        ("<m8[25us]", None, 5, TimeDelta64("us", 25), np.timedelta64(5, "25us")),
        ("|O", "vlen-utf8", None, String(), None),
        ("|O", "vlen-utf8", 0, String(), ""),
        ("|O", "vlen-utf8", "x", String(), "x"),
        ("|O", "vlen-bytes", 0, VariableLengthBytes(), b""),
        ("|O", "vlen-bytes", "", VariableLengthBytes(), b""),
        ("|O", "vlen-bytes", "x", VariableLengthBytes(), b"x"),
        ("|O", "json2", {"a": 1}, Object("json2"), {"a": 1}),
        ("|O", "pickle", 0, Object("pickle"), 0),
        ("|O", "vlen-array", None, Object("vlen-array"), None),
        (
            RECORD,
            None,
            "AAAAAQAAAAAAAABAeAAA",
            data_type_for([("a", "i4"), ("b", "f8"), ("c", "S3")]),
            np.array([(1, 2.0, b"x")], [("a", "i4"), ("b", "f8"), ("c", "S3")])[0],
        ),
        (NESTED, None, "AAAA" * 16, data_type_for(ZEROS.dtype), ZEROS),
        (
            PADDED,
            None,
            "AQAAAAAAAAAAAAAAAAAAQA==",
            data_type_for([("a", "i1"), ("f1", "V7"), ("b", "f8")]),
            np.array([(1, b"", 2.0)], [("a", "i1"), ("f1", "V7"), ("b", "f8")])[0],
        ),
        # as others have written them
        ("<i4", None, 1.0, Number("int32"), np.int32(1)),
        ("|b1", None, 0, Number("bool"), np.False_),
        ("<c8", None, 1.0, Number("complex64"), np.complex64(1)),
        ("|S5", None, 0, NullTerminatedBytes(5), np.bytes_(b"")),
        ("|S5", None, "ab!", NullTerminatedBytes(5), np.bytes_(b"ab!")),
        ("<U3", None, 0, FixedLengthUTF32(3), np.str_("")),
        ("|V4", None, 0, RawBytes(4), np.void(b"\0\0\0\0")),
        ([["a", "<i4"]], None, 0, data_type_for([("a", "i4")]), np.zeros(1, [("a", "i4")])[0]),
        ("<M8[s]", None, "NaT", DateTime64("s"), np.datetime64("NaT", "s")),
        ("<M8[s]", None, "1970-01-01T00:00:05", DateTime64("s"), np.datetime64(5, "s")),
        ("<i1", None, 3, Number("int8"), np.int8(3)),
        ("<M8[\u03bcs]", None, 3, DateTime64("us"), np.datetime64(3, "us")),
        ("|S0", "vlen-bytes", "YWI=", VariableLengthBytes(), b"ab"),
        ("<U0", "vlen-utf8", "ab", String(), "ab"),
        ("|S5", "vlen-bytes", "YWI=", VariableLengthBytes(), b"ab"),
        (">U3", "vlen-utf8", None, String(), None),
        ("|S5", "vlen-utf8", "YWI=", NullTerminatedBytes(5), np.bytes_(b"ab")),
        ("<U3", "categorize", "ab", FixedLengthUTF32(3), np.str_("ab")),
        ("|O", "vlen-utf8", 1, String(), "1"),
    ],
)
def test_what_is_in_documents(
    dtype: Any, object_codec: str | None, fill_value: Any, data_type: DataType, value: Any
) -> None:
    found, stored = data_type_from_v2(dtype, object_codec)
    assert found == data_type
    if not data_type.is_variable:
        as_lists = isinstance(dtype, list)
        assert stored == (dtype_of(dtype) if as_lists else np.dtype(dtype.replace("\u03bc", "u")))
    decoded = decode_fill_value_v2(found, fill_value, stored)
    assert bits(decoded, found.dtype) == bits(value, found.dtype)
    assert type(decoded) is type(value)
    encoded = encode_fill_value_v2(found, decoded, stored)
    again = decode_fill_value_v2(found, json.loads(json.dumps(encoded)), stored)
    assert bits(again, found.dtype) == bits(value, found.dtype)
    written = data_type_to_v2(found)
    assert data_type_from_v2(written, object_codec)[0] == found
    filters = object_codec if data_type.is_variable else None
    assert read_array_metadata_v2(document(written, encoded, filters)).problems == ()


def dtype_of(fields: list[Any]) -> np.dtype[Any]:
    """Return the dtype that zarr-python 2 makes of records in a document."""

    def tuples(of: Any) -> Any:
        return (
            [(f[0], tuples(f[1]), *map(tuple, f[2:])) for f in of] if isinstance(of, list) else of
        )

    return np.dtype(tuples(fields))


OF_ZARR: list[tuple[Any, list[Any]]] = [
    ("bool", [True]),
    ("|u1", [255]),
    (">i4", [-5]),
    ("<f4", [0.1, NAN, INF]),
    (">f8", [0.1, -INF]),
    ("<c8", [complex(1, NAN)]),
    ("S5", [b"ab"]),
    (">U3", ["é𝄞"]),
    ("V3", [b"abc"]),
    ("<M8[ns]", ["NaT", 5]),
    (">m8[25us]", [5]),
    (np.dtype([("a", ">i4"), ("b", "S3")]), [(1, b"x")]),
    (str, ["", "é"]),
]
if "struct" in zarr.dtype.data_type_registry.contents:  # from zarr-python 3.2 on within others
    OF_ZARR.append(
        (np.dtype([("a", "u1"), ("b", [("x", ">U2"), ("y", "<f8")])]), [(1, ("é", 2.5))])
    )


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize(("dtype", "fills"), OF_ZARR, ids=lambda given: str(given)[:40])
def test_zarr_agrees(dtype: Any, fills: list[Any]) -> None:
    for fill in [None, *fills]:
        data: dict[str, Any] = {}
        theirs = zarr.create_array(data, shape=(3,), dtype=dtype, fill_value=fill, zarr_format=2)
        written = json.loads(data[".zarray"].to_bytes())
        object_codec = (written["filters"] or [{}])[0].get("id")
        ours, stored = data_type_from_v2(written["dtype"], object_codec)
        assert ours.is_variable or stored == theirs.dtype
        value = decode_fill_value_v2(ours, written["fill_value"], stored)
        if fill is None:
            assert value is None
            continue
        expected = theirs[:].astype(ours.dtype)[0]
        assert bits(value, ours.dtype) == bits(expected, ours.dtype)
        order = ">" if ">" in str(written["dtype"]) else "<"
        for key, ours_written in [
            ("dtype", data_type_to_v2(ours, order)),
            ("fill_value", encode_fill_value_v2(ours, value, stored)),
        ]:
            data[".zarray"] = type(data[".zarray"]).from_bytes(
                json.dumps({**written, key: ours_written}).encode()
            )
            if key == "dtype" and ours.dtype.names is not None:
                continue  # the order of bytes may vary from field to field
            again = zarr.open_array(data, mode="r")
            assert again.dtype == theirs.dtype
            assert bits(again[:].astype(ours.dtype)[0], ours.dtype) == bits(value, ours.dtype)


lengths = st.integers(1, 5)
plain = st.one_of(
    st.sampled_from(NUMBERS).map(Number),
    lengths.map(RawBytes),
    lengths.map(NullTerminatedBytes),
    lengths.map(FixedLengthUTF32),
    st.builds(DateTime64, st.sampled_from(["generic", "ns", "W"]), st.sampled_from([1, 7])),
    st.builds(TimeDelta64, st.sampled_from(["generic", "as", "Y"]), st.sampled_from([1, 7])),
)
shapes = st.lists(lengths, min_size=1, max_size=2).map(tuple)


def structs(of: st.SearchStrategy[DataType]) -> st.SearchStrategy[DataType]:
    field = st.one_of(of, st.builds(SubArray, of, shapes))
    members = st.dictionaries(st.text("abc", min_size=1), field, min_size=1, max_size=3)
    return members.map(lambda fields: Struct(tuple(fields.items())))


@given(st.recursive(plain, structs, max_leaves=4), st.sampled_from("<>"), st.data())
def test_round_trips(data_type: DataType, order: Any, data: st.DataObject) -> None:
    written = msgspec.json.decode(msgspec.json.encode(data_type_to_v2(data_type, order)))
    found, stored = data_type_from_v2(written)
    assert found == data_type
    assert stored.newbyteorder("=") == data_type.dtype
    assert stored == data_type.dtype.newbyteorder(order)
    size = data_type.dtype.itemsize
    drawn = data.draw(st.binary(min_size=size, max_size=size))
    if data_type.dtype.kind in "bU" or any(kind in str(written) for kind in ("b1", "U")):
        drawn = bytes(size)  # not every byte is a value
    value = np.frombuffer(drawn, data_type.dtype)[0]
    encoded = msgspec.json.decode(msgspec.json.encode(encode_fill_value_v2(found, value, stored)))
    again = decode_fill_value_v2(found, encoded, stored)
    if data_type.dtype.kind in "fc":
        np.testing.assert_array_equal(again, value)
    else:
        assert bits(again, data_type.dtype) == bits(value, data_type.dtype)


DEEP: Any = "<i4"
for _ in range(5000):
    DEEP = [["a", DEEP]]


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        ("f4", "dtype: 'f4' is not a type such as '<f4'"),
        ("<f4\n", "is not a type"),
        ("<i4,<f8", "is not a type"),
        ("float64", "is not a type"),
        ("<i3", "'<i3' is not supported"),
        ("<f16", "'<f16' is not supported: dtype float128 cannot be stored"),
        ("|i4", "needs a byte order, '<' or '>' for '|'"),
        ("<f4[s]", "is not supported"),
        ("<M8[x]", "is not supported: Invalid datetime unit"),
        ("<M4[s]", "is not supported"),
        ("|S0", "'|S0' has 0 bytes; 1 to 2147483647 can be"),
        ("|S", "has 0 bytes"),
        ("|V2147483648", "has 2147483648 bytes"),
        ("<U536870912", "has 2147483648 bytes"),
        ("|O", "needs a filter that makes bytes of objects, such as 'vlen-utf8'"),
        (None, "must be a str or a list of fields, not None"),
        ({}, "must be a str or a list"),
        ([], "a record has one field at least"),
        ([["a"]], r"dtype\[0\]: must be \[name, dtype\] or \[name, dtype, shape\]"),
        ([[["t", "a"], "<i4"]], r"dtype\[0\]: must be \[name, dtype\]"),
        (["a"], r"dtype\[0\]: must be"),
        ([["a", "<i4"], ["a", "<i4"]], r"dtype\[1\]: the name 'a' is there twice"),
        ([["f1", "<i4"], ["", "<i4"]], r"dtype\[1\]: the name 'f1' is there twice"),
        ([["a", "|O"]], r"dtype\[0\]: a field cannot hold objects"),
        ([["a", "<i4"], ["b", [["c", "x"]]]], r"dtype\[1\]\[0\]: 'x' is not a type"),
        ([["a", "<i4", [0]]], r"dtype\[0\]: \[0\] is not a shape"),
        ([["a", "<i4", "x"]], r"dtype\[0\]: 'x' is not a shape"),
        ([["a", "<i4", [1] * 33]], "is not a shape"),
        ([["a", "<i4", [2**40]]], r"dtype\[0\]: a field of 4398046511104 bytes"),
        ([["a", "|V2147483647"], ["b", "|V1"]], "a record of 2147483648 bytes"),
        ([DEEP[0]] * 2, r"dtype\[0\]\[0\]\[0\].*: nested more than 32 deep"),
        ([[DEEP]], r"must be \[name, dtype\]"),
        (DEEP, "nested more than 32 deep"),
    ],
    ids=reprlib.repr,
)
def test_dtypes_that_are_refused(dtype: Any, says: str) -> None:
    with pytest.raises(MetadataError, match=says.replace("|", r"\|")) as raised:
        data_type_from_v2(dtype)
    assert str(raised.value).startswith("dtype")


@pytest.mark.parametrize(
    ("dtype", "object_codec", "fill_value"),
    [
        ("<i4", None, "x"),
        ("<i4", None, 2**31),
        ("<i4", None, True),
        ("|b1", None, 2),
        ("<f4", None, ""),
        ("|S2", None, "YWJj"),
        ("|S2", None, "é"),
        ("<U2", None, "abc"),
        ("<U2", None, 1),
        ("|V2", None, "YQ=="),
        ("|V2", None, 1),
        ([["a", "<i4"]], None, "AAA="),
        ([["a", "<i4"]], None, {"a": 0}),
        ("<M8[s]", None, "tomorrow"),
        ("<M8[s]", None, 1.5),
        ("|O", "vlen-utf8", [1]),
        ("|O", "vlen-bytes", 1),
    ],
)
def test_fill_values_that_are_no_values(
    dtype: Any, object_codec: str | None, fill_value: Any
) -> None:
    found, stored = data_type_from_v2(dtype, object_codec)
    with pytest.raises(MetadataError, match="fill_value"):
        decode_fill_value_v2(found, fill_value, stored)


def test_objects_are_of_v2_only() -> None:
    found, stored = data_type_from_v2("|O", "json2")
    assert found.is_variable
    assert found.serializer == "json2"
    assert found.dtype == stored == np.dtype(object)
    assert pickle.loads(pickle.dumps(found)) == found != Object("msgpack2")
    assert found.cast_fill_value({"a": 1}) == {"a": 1}
    assert found.default_fill_value() is None
    with pytest.raises(MetadataError, match="no form in Zarr v3; use dtype='string'"):
        found.to_metadata()


def test_what_has_no_form_in_v2() -> None:
    assert data_type_to_v2(RawBits("r16")) == "|V2"

    class Unknown(Number):
        @property
        def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)

    with pytest.raises(MetadataError, match="unknown has no form in Zarr v2; use zarr_format=3"):
        data_type_to_v2(Unknown("unknown"))
