from __future__ import annotations

import datetime
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr_metadata.model import read_array_metadata_v3

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.bytes import NullTerminatedBytes, VariableLengthBytes
from zarrstore.format.data_types.numbers import NUMBERS, Number
from zarrstore.format.data_types.raw import RawBits, RawBytes
from zarrstore.format.data_types.registry import data_type_for, data_type_of
from zarrstore.format.data_types.strings import FixedLengthUTF32, String
from zarrstore.format.data_types.struct import Struct, SubArray
from zarrstore.format.data_types.times import DateTime64, TimeDelta64

pytestmark = [
    # what zarr-python says of data types that it has made up
    pytest.mark.filterwarnings("ignore:The data type"),
    # what numpy says where zarr-python makes a duration without a unit
    pytest.mark.filterwarnings("ignore:The 'generic' unit for NumPy timedelta"),
]

UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"]

numbers = st.sampled_from(NUMBERS).map(Number)
lengths = st.integers(1, 9)
times = st.builds(
    lambda cls, unit, factor: cls(unit, factor),
    st.sampled_from([DateTime64, TimeDelta64]),
    st.sampled_from(UNITS),
    st.sampled_from([1, 2, 25, 2**31 - 1]),
)
fixed = st.one_of(
    numbers,
    lengths.map(RawBytes),
    lengths.map(lambda n: RawBits(f"r{8 * n}")),
    lengths.map(NullTerminatedBytes),
    lengths.map(FixedLengthUTF32),
    times,
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def structs(fields: st.SearchStrategy[DataType]) -> st.SearchStrategy[DataType]:
    members = st.dictionaries(names, fields, min_size=1, max_size=3)
    return st.builds(
        lambda of, name: Struct(tuple(of.items()), name),
        members,
        st.sampled_from(["struct", "structured"]),
    )


any_fixed = st.recursive(fixed, structs, max_leaves=4)
variable = st.sampled_from(
    [String(), VariableLengthBytes(), VariableLengthBytes("variable_length_bytes")]
)


class Scalar:
    """A scalar that shows its bytes: numpy cannot write every time."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(getattr(self.value, "tobytes", lambda: self.value)())


def scalars(data_type: DataType) -> st.SearchStrategy[Scalar]:
    """Draw any bits that an element can have."""
    dtype = data_type.dtype
    if isinstance(data_type, Struct):
        each = st.tuples(*(scalars(of) for _, of in data_type.fields))
        return each.map(lambda values: Scalar(record(dtype, [of.value for of in values])))
    if dtype.kind == "T":
        return st.text().map(Scalar)
    if dtype.kind == "O":
        return st.binary().map(Scalar)
    if dtype.kind == "U":
        texts = st.text(max_size=data_type.length)
        return texts.map(lambda text: Scalar(np.array(text, dtype)[()]))
    if dtype.kind == "b":
        return st.booleans().map(np.bool_).map(Scalar)
    drawn = st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize)
    return drawn.map(lambda data: Scalar(np.frombuffer(data, dtype)[0]))


def record(dtype: np.dtype[Any], values: list[Any]) -> np.void:
    found = np.zeros(1, dtype)
    for name, value in zip(dtype.names, values, strict=True):
        found[name][...] = np.asarray(value)
    return found[0]


def bits(value: Any, dtype: np.dtype[Any]) -> Any:
    return value if dtype.kind in "OT" else np.array([value], dtype).tobytes()


def through_json(value: Any) -> Any:
    encoded = json.dumps(value).encode()
    decoded = msgspec.json.decode(encoded)
    assert json.loads(encoded) == decoded or "nan" in str(decoded).lower()
    return decoded


def document(data_type: Any, fill_value: Any, serializer: str = "bytes") -> dict[str, Any]:
    codec: dict[str, Any] = {"name": serializer}
    if serializer == "bytes":
        codec["configuration"] = {"endian": "little"}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [3],
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": [codec],
        "attributes": {},
    }


def read_again(metadata: Any) -> DataType:
    metadata = through_json(metadata)
    if isinstance(metadata, str):
        return data_type_of(metadata, {})
    return data_type_of(metadata["name"], metadata["configuration"])


@given(st.data())
@settings(max_examples=300)
def test_data_types_and_scalars_round_trip_bit_for_bit(data: st.DataObject) -> None:
    data_type = data.draw(st.one_of(any_fixed, variable))
    assert read_again(data_type.to_metadata()) == data_type
    value = data.draw(scalars(data_type)).value
    again = data_type.decode_fill_value(through_json(data_type.encode_fill_value(value)))
    assert bits(again, data_type.dtype) == bits(value, data_type.dtype)
    cast = data_type.cast_fill_value(value)
    assert bits(cast, data_type.dtype) == bits(value, data_type.dtype)
    assert type(again) is type(cast)
    for other in (data_type.cast_fill_value(again), data_type.default_fill_value()):
        assert np.array([other], data_type.dtype).dtype == data_type.dtype


@given(st.data())
def test_documents_pass_the_strict_models(data: st.DataObject) -> None:
    data_type = data.draw(st.one_of(any_fixed, variable))
    fill_value = data_type.encode_fill_value(data.draw(scalars(data_type)).value)
    metadata = data_type.to_metadata()
    made = document(through_json(metadata), through_json(fill_value), data_type.serializer)
    assert read_array_metadata_v3(made).problems == ()


def test_the_strict_models_read_data_types_and_fill_values() -> None:
    times = DateTime64("s").to_metadata()
    assert read_array_metadata_v3(document(times, "x")).problems
    assert read_array_metadata_v3(document("r16", [1])).problems


def zarr_knows(metadata: Any) -> bool:
    """Tell whether the zarr-python here knows a data type, whose names grew from 3.1 on."""
    contents = zarr.dtype.data_type_registry.contents
    if isinstance(metadata, str):
        return metadata in contents or metadata == "bytes"
    if metadata["name"] not in contents:
        return False
    if "struct" not in contents and metadata["configuration"].get("unit") == "generic":
        return False
    fields = metadata["configuration"].get("fields", [])
    types = [field["data_type"] if isinstance(field, dict) else field[1] for field in fields]
    if metadata["name"] == "structured" and "struct" not in contents:
        return False  # the fill value as an object came later
    return all(map(zarr_knows, types))


@given(st.data())
@settings(max_examples=200)
def test_zarr_reads_ours(data: st.DataObject) -> None:
    data_type = data.draw(st.one_of(any_fixed, variable))
    metadata = through_json(data_type.to_metadata())
    if not zarr_knows(metadata):
        return
    value = without_payload(data.draw(scalars(data_type)).value, data_type.dtype)
    fill_value = through_json(data_type.encode_fill_value(value))
    theirs = ArrayV3Metadata.from_dict(document(metadata, fill_value, data_type.serializer))
    assert theirs.data_type.to_native_dtype() == data_type.dtype
    assert bits(theirs.fill_value, data_type.dtype) == bits(value, data_type.dtype)


def without_payload(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a scalar without what zarr-python loses: the bits of what is not a number."""
    if dtype.names is not None:
        return record(
            dtype, tuple(without_payload(value[name], dtype[name]) for name in dtype.names)
        )
    if dtype.kind == "f" and np.isnan(value):
        return dtype.type(math.nan)
    if dtype.kind == "c":
        parts = np.array([value]).view(f"f{dtype.itemsize // 2}")
        parts[np.isnan(parts)] = math.nan
        return parts.view(dtype)[0]
    return value


OF_ZARR: list[tuple[Any, list[Any]]] = [
    ("bool", [True, False]),
    ("int8", [-128, 127]),
    ("uint64", [0, 2**64 - 1]),
    (">i4", [-5]),
    ("float16", [1.5, math.nan, math.inf, -math.inf, -0.0]),
    ("float32", [0.1, math.nan, -math.inf, 1e-45]),
    (">f8", [0.1, math.nan, 1e300]),
    ("complex64", [1 - 2j, complex(math.nan, math.inf)]),
    ("complex128", [complex(-0.0, 1e300)]),
    ("S5", [b"", b"ab", b"\xff\0x"]),
    ("U3", ["", "ab", "é𝄞x"]),
    (">U2", ["ab"]),
    ("V3", [b"\0\1\2"]),
    ("M8[ns]", ["NaT", 0, -1, np.datetime64("2020-01-02T03:04:05.678901234")]),
    ("M8[25us]", [5]),
    ("m8[D]", ["NaT", 12]),
    (np.dtype([("a", "<i4"), ("b", "S3"), ("c", "M8[s]")]), [(1, b"x", 5)]),
    (np.dtype([("a", "u1"), ("b", [("x", "U2"), ("y", "f8")])]), [(1, ("é", math.nan))]),
    (str, ["", "é𝄞\n", "0"]),
    ("variable_length_bytes", [b"", b"\0ab\0"]),
]


@pytest.mark.parametrize(("dtype", "fills"), OF_ZARR, ids=lambda given: str(given)[:40])
def test_ours_reads_what_zarr_writes(dtype: Any, fills: list[Any]) -> None:
    for fill in [None, *fills]:
        data: dict[str, Any] = {}
        given = dtype
        if dtype == "variable_length_bytes":
            given = zarr.dtype.VariableLengthBytes()
        zarr.create_array(data, shape=(3,), dtype=given, fill_value=fill)
        theirs = zarr.open_array(data, mode="r")
        written = json.loads(data["zarr.json"].to_bytes())
        ours = read_again(written["data_type"])
        assert ours.is_variable or ours.dtype == data_type_for(theirs.dtype).dtype
        decoded = ours.decode_fill_value(written["fill_value"])
        expected = theirs[:].astype(ours.dtype)[0]
        assert bits(decoded, ours.dtype) == bits(expected, ours.dtype)
        if fill is None and ours.name != "structured":  # whose text was "0" at first
            default = ours.default_fill_value()
            assert bits(default, ours.dtype) == bits(expected, ours.dtype)
        elif fill is not None:
            cast = ours.cast_fill_value(fill)
            assert bits(cast, ours.dtype) == bits(expected, ours.dtype)
        assert data_type_for(theirs.metadata.data_type) == ours


@pytest.mark.parametrize(
    ("metadata", "written", "value"),
    [
        ("bytes", [97, 98], b"ab"),  # zarr-python 3.0
        ("bytes", [], b""),
        ("string", "0", "0"),
        ("r16", "AQI=", np.void(b"\1\2")),  # tensorstore
        ({"name": "raw_bytes", "configuration": {"length_bytes": 2}}, [1, 2], np.void(b"\1\2")),
        ("float32", "0xffc00001", np.array(0xFFC00001, "u4").view("f4")[()]),
        ("float32", "-Infinity", np.float32(-math.inf)),
        ("complex64", ["NaN", "0x80000000"], np.complex64(complex(math.nan, -0.0))),
        ("int8", 3.0, np.int8(3)),
        (DateTime64("s").to_metadata(), -(2**63), np.datetime64("NaT", "s")),
    ],
)
def test_other_forms_of_fill_values(metadata: Any, written: Any, value: Any) -> None:
    data_type = read_again(metadata)
    found = data_type.decode_fill_value(written)
    assert bits(found, data_type.dtype) == bits(value, data_type.dtype)


def test_records_as_zarr_wrote_them_at_first() -> None:
    configuration = {"fields": [["a", "int16"], ["b", "float32"]]}
    structured = data_type_of("structured", configuration)
    value = structured.decode_fill_value("AQAAAMB/")
    assert value["a"] == 1
    assert math.isnan(value["b"])
    assert structured.to_metadata() == {"name": "structured", "configuration": configuration}
    assert structured.encode_fill_value(value) == {"a": 1, "b": "NaN"}
    assert structured != data_type_for(structured.dtype)
    assert structured.dtype == data_type_for(structured.dtype).dtype


def test_tensorstore_reads_records() -> None:
    of = data_type_for([("a", "i2"), ("b", "f4"), ("c", "c8")])
    value = of.cast_fill_value((3, math.nan, complex(1, math.inf)))
    made = document(of.to_metadata(), of.encode_fill_value(value))
    context = tensorstore.Context()
    store = tensorstore.KvStore.open({"driver": "memory"}, context=context).result()
    store.write(b"zarr.json", json.dumps(made).encode()).result()
    for name, field in [("a", "i2"), ("b", "f4"), ("c", "c8")]:
        spec = {"driver": "zarr3", "field": name, "kvstore": {"driver": "memory"}}
        theirs = tensorstore.open(spec, context=context).result()
        assert theirs.fill_value.tobytes() == np.asarray(value[name], field).tobytes()


NESTED: Any = "int8"
for _ in range(33):
    NESTED = {
        "name": "struct",
        "configuration": {"fields": [{"name": "a", "data_type": NESTED}]},
    }
FAR: Any = "int8"
for _ in range(5000):
    FAR = {"name": "struct", "configuration": {"fields": [["a", FAR]]}}


@pytest.mark.parametrize(
    ("name", "configuration", "says"),
    [
        ("int7", {}, "data_type: unknown data type 'int7'; known are bool, int8, .*, string"),
        ("int8", {"a": 1}, "data_type.configuration: 'int8' has no 'a'; known are none"),
        ("string", {"a": 1}, "'string' has no 'a'"),
        ("r0", {}, "must be 'r' and a number of bits that is a multiple of 8"),
        ("r12", {}, "'r12' must be"),
        ("r016", {}, "'r016' must be"),
        ("r" + "8" * 5000, {}, "must be 'r'"),
        ("r17179869184", {}, "up to 17179869176"),
        ("raw_bytes", {}, r"data_type.configuration.length_bytes: missing; 'raw_bytes' needs it"),
        ("raw_bytes", {"length_bytes": 0}, "length_bytes: must be an integer from 1 to 2147483647"),
        ("raw_bytes", {"length_bytes": True}, "length_bytes: .* not True"),
        ("raw_bytes", {"length_bytes": 2.0}, r"length_bytes: .* not 2\.0"),
        ("null_terminated_bytes", {"length_bytes": 2**31}, "length_bytes: .* not 2147483648"),
        ("null_terminated_bytes", {"length": 3}, "has no 'length'; known are 'length_bytes'"),
        ("fixed_length_utf32", {"length_bytes": 6}, "length_bytes: must be a multiple of 4, not 6"),
        ("fixed_length_utf32", {"length_bytes": "4"}, "length_bytes: .* not '4'"),
        ("numpy.datetime64", {"unit": "s"}, "scale_factor: missing"),
        ("numpy.datetime64", {"unit": "x", "scale_factor": 1}, "unit: 'x' is not one of Y, M"),
        ("numpy.datetime64", {"unit": ["s"], "scale_factor": 1}, "unit: "),
        ("numpy.timedelta64", {"unit": "s", "scale_factor": 2**31}, "scale_factor: must be"),
        ("struct", {}, "fields: missing"),
        ("struct", {"fields": []}, "fields: a record has one field at least"),
        ("struct", {"fields": "ab"}, "fields: must be a list"),
        ("struct", {"fields": [3]}, r"fields\[0\]: must be {'name': ..., 'data_type': ...}, not 3"),
        ("struct", {"fields": [["", "int8"]]}, r"fields\[0\]: a name is a str, not empty, not ''"),
        ("struct", {"fields": [[3, "int8"]]}, r"fields\[0\]: a name is a str"),
        ("struct", {"fields": [["a", "int8"]] * 2}, r"fields\[1\]: the name 'a' is there twice"),
        ("struct", {"fields": [["a", "string"]]}, r"fields\[0\]: .* 'string' have no fixed size"),
        ("struct", {"fields": [["a", 3]]}, r"fields\[0\].data_type: must be a name or"),
        ("struct", {"fields": [["a", {"name": "int8", "x": 1}]]}, r"\[0\].data_type: must be"),
        (
            "struct",
            {"fields": [["a", "int8"], ["b", {"name": "raw_bytes", "configuration": {}}]]},
            r"fields\[1\].data_type.configuration.length_bytes: missing",
        ),
        (
            "struct",
            {
                "fields": [
                    [n, {"name": "raw_bytes", "configuration": {"length_bytes": 2**31 - 1}}]
                    for n in "ab"
                ]
            },
            "a record of 4294967294 bytes; 1 to 2147483647 can be",
        ),
        ("struct", NESTED["configuration"], "nested more than 32 deep"),
        ("structured", FAR["configuration"], "nested more than 32 deep"),
        ("struct", {"fields": FAR}, "must be a list of fields"),
        ("struct", {"fields": [["a", [FAR]]]}, "must be a name or"),
        ("raw_bytes", {"length_bytes": FAR}, "length_bytes: must be"),
    ],
)
def test_configurations_that_are_refused(
    name: str, configuration: dict[str, Any], says: str
) -> None:
    with pytest.raises(MetadataError, match=says) as raised:
        data_type_of(name, configuration)
    assert str(raised.value).startswith("data_type")


def test_units_of_microseconds_have_two_spellings_more() -> None:
    for unit in ("\u03bcs", "\u00b5s"):
        found = data_type_of("numpy.datetime64", {"unit": unit, "scale_factor": 1})
        assert found == DateTime64("us")


FIELDS: Any = [("a", "i1"), ("b", [("x", "U2"), ("y", "M8[s]")])]
RECORD = data_type_for(FIELDS)
ZERO = RECORD.default_fill_value()
DAY = np.datetime64("2020-01-01")


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("f4", "NaN", np.float32(math.nan)),
        ("i2", np.float64(3), np.int16(3)),
        ("M8[s]", DAY, np.datetime64("2020-01-01T00:00:00")),
        ("M8[D]", np.datetime64("2020-01-01T00:00:00", "ns"), DAY),
        ("M8[D]", "2020-01-01", DAY),
        ("M8[D]", datetime.date(2020, 1, 1), DAY),
        ("M8[us]", datetime.datetime(2020, 1, 1), np.datetime64("2020-01-01", "us")),  # noqa: DTZ001
        ("M8[s]", np.int8(3), np.datetime64(3, "s")),
        ("M8[s]", np.array(DAY), np.datetime64("2020-01-01", "s")),
        ("m8[s]", datetime.timedelta(minutes=1), np.timedelta64(60, "s")),
        ("m8[2s]", np.timedelta64(4, "s"), np.timedelta64(2, "2s")),
        ("m8[2s]", np.timedelta64("NaT", "D"), np.timedelta64("NaT", "2s")),
        ("S3", "ab", np.bytes_(b"ab")),
        ("S3", bytearray(b"ab\0\0\0"), np.bytes_(b"ab")),
        ("U3", "ab", np.str_("ab")),
        ("V3", b"ab", np.void(b"ab\0")),
        ("V3", 0, np.void(b"\0\0\0")),
        ("V3", np.void(b"abc"), np.void(b"abc")),
        ("V3", [1, 2, 3], np.void(b"\1\2\3")),
        ("string", np.str_("ab"), "ab"),
        ("bytes", "é", b"\xc3\xa9"),
        pytest.param("bytes", memoryview(b"ab"), b"ab", id="bytes-memoryview"),
        (FIELDS, 0, ZERO),
        (FIELDS, ZERO, ZERO),
        (FIELDS, np.array(ZERO), ZERO),
        (FIELDS, (0, ("", 0)), ZERO),
        (FIELDS, [0, {"y": 0, "x": ""}], ZERO),
        (FIELDS, {"a": 0, "b": ("", np.datetime64(0, "s"))}, ZERO),
        (FIELDS, "A" * 22 + "==", None),
        ([("a", "i1", (2,))], [[1, 2]], np.array([([1, 2],)], [("a", "i1", (2,))])[0]),
        ([("a", "i1", (2,))], {"a": 3}, np.array([([3, 3],)], [("a", "i1", (2,))])[0]),
    ],
    ids=repr,
)
def test_fill_values_that_a_user_gives(dtype: Any, given: Any, expected: Any) -> None:
    data_type = data_type_for(dtype)
    if expected is None:
        with pytest.raises(MetadataError, match="has 16 bytes; a record has 17"):
            data_type.cast_fill_value(given)
        return
    found = data_type.cast_fill_value(given)
    assert bits(found, data_type.dtype) == bits(expected, data_type.dtype)
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("dtype", "given", "says"),
    [
        ("M8[D]", np.datetime64("2020-01-01T01"), "is not a value of data type datetime64"),
        ("M8[ns]", np.datetime64("2900-01-01"), "is not a value"),
        ("M8[s]", np.timedelta64(1, "s"), "is not a value"),
        ("M8[s]", True, "is not a value"),
        ("M8[s]", 1.5, "is not a value"),
        ("M8[s]", 2**63, "is not a value"),
        ("M8[s]", "yesterday", "is not a value"),
        ("M8[s]", "2020-01-01T00:00Z", "has a time zone; give the time in UTC"),
        ("M8[s]", "2020-01-01T00:00+01:00", "has a time zone"),
        ("M8[s]", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "has a time zone"),
        ("m8[D]", np.timedelta64(1, "M"), "is not a value of data type timedelta64"),
        ("m8[s]", DAY, "is not a value"),
        ("m8[s]", "5", "is not a value"),
        ("S3", "é", "is not a value"),
        ("S3", b"abcd", "b'abcd' has 4 bytes; 3 at most"),
        ("S3", 0, "is not a value of data type null_terminated_bytes"),
        ("U3", "abcd", "'abcd' has 4 characters; 3 at most"),
        ("U3", "\ud800", "cannot be written as UTF-8"),
        ("U3", b"a", "is not a value"),
        ("V3", b"abcd", "is not a value of data type raw_bytes, of 3 bytes"),
        ("V3", 1, "is not a value"),
        ("V3", [256, 0, 0], "is not a value"),
        ("r24", [0, 0], "is not a value of data type r24, of 3 bytes"),
        ("string", 0, "is not a value of data type string"),
        ("string", "\ud800", "cannot be written as UTF-8"),
        ("bytes", 0, "is not a value of data type bytes"),
        ("bytes", "\ud800", "is not a value"),
        (FIELDS, 1, "is not a value"),
        (FIELDS, (1,), "has 1 values for 2 fields"),
        (FIELDS, {"a": 1}, r"fill_value.b: missing; every field needs a value"),
        (FIELDS, {"a": 1, "b": ("", 0), "c": 1}, r"no field 'c'; there are \['a', 'b'\]"),
        (FIELDS, (300, ("", 0)), r"fill_value.a: 300 is not a value of data type int8"),
        (FIELDS, (3, ("abc", 0)), r"fill_value.b.x: 'abc' has 3 characters; 2 at most"),
        ([("a", "i1", (2,))], [[1, 2, 3]], "is not a value"),
        ([("a", "i1", (2,))], [[1, 300]], "300.* is not a value"),
    ],
    ids=repr,
)
def test_fill_values_that_are_no_values(dtype: Any, given: Any, says: str) -> None:
    with pytest.raises(MetadataError, match=says) as raised:
        data_type_for(dtype).cast_fill_value(given)
    assert str(raised.value).startswith("fill_value")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (256, "uint8"),
        (-1, "uint8"),
        (True, "int8"),
        (1, "bool"),
        (1.5, "int8"),
        ("NaN", "int8"),
        ("nan", "float32"),
        ("0x7fc0", "float32"),
        ("0x7fc00000", "float64"),
        (10**400, "float64"),
        (None, "float64"),
        ([0], "complex64"),
        (0, "complex64"),
        (["x", 0], "complex64"),
        ("AQI", "raw"),
        ("A===", "raw"),
        ("AQ==", "raw"),
        (None, "raw"),
        ("é", "bytes"),
        ([256], "bytes"),
        (None, "bytes"),
        (0, "string"),
        (None, "string"),
        ("AAAAAA==", "S"),
        ([1], "S"),
        (1.0, "time"),
        ("2020", "time"),
        (None, "time"),
        ({}, "record"),
        (None, "record"),
        ({"x": "", "y": 0, "z": 0}, "record"),
        ({"x": "", "y": "2020"}, "record"),
    ],
)
def test_fill_values_in_metadata_of_another_type_are_refused(value: Any, name: str) -> None:
    others = {
        "raw": RawBytes(2),
        "S": NullTerminatedBytes(3),
        "time": DateTime64("s"),
        "record": Struct((("x", FixedLengthUTF32(1)), ("y", TimeDelta64("s")))),
    }
    data_type = others.get(name) or data_type_for(name)
    with pytest.raises(MetadataError, match="fill_value"):
        data_type.decode_fill_value(value)


def test_a_record_is_fixed() -> None:
    for value in (RECORD.default_fill_value(), RECORD.cast_fill_value((1, ("a", 0)))):
        with pytest.raises(ValueError, match="read-only"):
            value["a"] = 3
        assert hash(value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.dtype(">i2"), Number("int16")),
        (int, Number("int64")),
        (bool, Number("bool")),
        (np.float16, Number("float16")),
        ("c8", Number("complex64")),
        ("float32", Number("float32")),
        (Number("int8"), Number("int8")),
        (str, String()),
        ("str", String()),
        ("string", String()),
        (np.dtypes.StringDType(), String()),
        (np.dtypes.StringDType(coerce=False), String()),
        (bytes, VariableLengthBytes()),
        ("bytes", VariableLengthBytes()),
        ("variable_length_bytes", VariableLengthBytes("variable_length_bytes")),
        ("S5", NullTerminatedBytes(5)),
        (">U3", FixedLengthUTF32(3)),
        ("V8", RawBytes(8)),
        ("r64", RawBits("r64")),
        ("M8", DateTime64("generic")),
        ("datetime64[ns]", DateTime64("ns")),
        ("m8[7D]", TimeDelta64("D", 7)),
        ({"name": "int8"}, Number("int8")),
        (DateTime64("s").to_metadata(), DateTime64("s")),
        ("i4,u1", Struct((("f0", Number("int32")), ("f1", Number("uint8"))))),
        ([["a", "i4"]], Struct((("a", Number("int32")),))),
        (np.dtype([("a", "i1"), ("b", "f8")], align=True), data_type_for("i1,f8")),
        (
            np.dtype({"names": ["a", "b"], "formats": ["i4", "u1"], "offsets": [4, 0]}),
            data_type_for([("a", "i4"), ("b", "u1")]),
        ),
    ],
    ids=repr,
)
def test_dtypes(given: Any, expected: DataType) -> None:
    found = data_type_for(given)
    if getattr(given, "isalignedstruct", False):
        assert [field.dtype for _, field in found.fields] == ["i1", "f8"]
    else:
        assert found == expected
    assert found.dtype.isnative


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (object, "give dtype='string' for str, dtype='bytes' for bytes"),
        ("O", "does not say what the objects are"),
        ([("a", "O")], "does not say what the objects are"),
        ("U", "no length: give one, such as 'U12', or dtype='string'"),
        (np.str_, "no length"),
        ("S", "no length: give one, such as 'S12', or dtype='bytes'"),
        ("V", "no length: give one, such as 'V12'"),
        (np.dtypes.StringDType(na_object=None), r"StringDType\(\) without na_object"),
        (np.longdouble, "cannot be stored: supported are bool, int8"),
        (ml_dtypes.bfloat16, "bfloat16 cannot be stored"),
        (ml_dtypes.int4, "int4 cannot be stored"),
        (("i4", (2,)), "cannot be stored"),
        ([(("title", "a"), "i4")], "the field 'a' has a title; leave it out"),
        ("nope", "'nope' is no dtype; give a numpy dtype, or the name of a data type: bool"),
        (3.5, "3.5 is no dtype"),
        ({"a": 1}, "is no dtype"),
    ],
    ids=repr,
)
def test_what_has_no_data_type(given: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        data_type_for(given)


def test_metadata_given_as_a_dtype_is_checked() -> None:
    with pytest.raises(MetadataError, match="unit: missing"):
        data_type_for("numpy.datetime64")
    with pytest.raises(MetadataError, match="unknown data type 'nope'"):
        data_type_for({"name": "nope"})


def test_a_field_that_holds_an_array_has_no_form_in_v3() -> None:
    found = data_type_for([("a", "i4", (2, 3))])
    assert found == Struct((("a", SubArray(Number("int32"), (2, 3))),))
    assert found.dtype == np.dtype([("a", "i4", (2, 3))])
    with pytest.raises(MetadataError, match="no form in Zarr v3; use zarr_format=2"):
        found.to_metadata()


@given(st.one_of(any_fixed, variable), st.one_of(any_fixed, variable))
def test_equal_means_equal_in_metadata(one: DataType, other: DataType) -> None:
    assert (one == other) is (one.to_metadata() == other.to_metadata())
    assert one.dtype is not None
    for again in (pickle.loads(pickle.dumps(one)), read_again(one.to_metadata())):
        assert again == one
        assert hash(again) == hash(one)
        assert again.dtype == one.dtype
    with pytest.raises(AttributeError):
        one.name = "x"


def test_which_vary_in_size() -> None:
    assert [t.is_variable for t in (String(), VariableLengthBytes(), RECORD)] == [True, True, False]
    assert String().serializer == "vlen-utf8"
    assert VariableLengthBytes().serializer == "vlen-bytes"
    assert RECORD.serializer == "bytes"


ENTRY_POINTS = """
[zarrstore.data_types]
acme.celsius = acme_types:Celsius
acme.picky = acme_types:Picky
acme.missing = acme_types:Missing
acme.absent = acme_absent:Absent
acme.number = acme_types:NUMBER
acme.twice = acme_types:Celsius
int8 = acme_types:Picky
"""

ACME = """
import functools

import ml_dtypes
import numpy as np

from zarrstore.format.data_types.numbers import Number

NUMBER = 3


class Celsius(Number):
    @classmethod
    def from_metadata(cls, name, configuration):
        return cls(name)

    @classmethod
    def from_dtype(cls, dtype):
        return cls("acme.celsius") if dtype == ml_dtypes.bfloat16 else None

    @functools.cached_property
    def dtype(self):
        return np.dtype(ml_dtypes.bfloat16)


class Picky(Number):
    @classmethod
    def from_metadata(cls, name, configuration):
        return cls(configuration["missing"])

    @classmethod
    def from_dtype(cls, dtype):
        raise RuntimeError("never asked")
"""

ASKS = """
import sys

import ml_dtypes
import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.registry import data_type_for, data_type_of

assert data_type_of("int8", {}).dtype == "i1"
assert data_type_for("f4").dtype == "f4"
ours = [name for name in sys.modules if name.startswith("zarrstore.format.data_types.")]
assert sorted(name.rpartition(".")[2] for name in ours) == ["base", "numbers", "registry"], ours
assert "acme_types" not in sys.modules
celsius = data_type_of("acme.celsius", {})
assert data_type_for("acme.celsius") == data_type_for({"name": "acme.celsius"}) == celsius
assert data_type_for(ml_dtypes.bfloat16) == celsius
fields = {"fields": [{"name": "a", "data_type": "acme.celsius"}]}
assert data_type_of("struct", fields).dtype["a"] == ml_dtypes.bfloat16
for name in sys.argv[1:]:
    try:
        data_type_of(name, {})
    except MetadataError as error:
        print(f"{error} | {error.__cause__!r}")
try:
    data_type_for("c32")
except TypeError as error:
    print(f"{error} | {error.__cause__!r}")
"""


def test_data_types_of_other_packages(tmp_path: Path) -> None:
    for name, points in [("acme", ENTRY_POINTS), ("other", "[zarrstore.data_types]\n")]:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if name == "other":
            points += "acme.twice = acme_types:Picky\n"
        (info / "entry_points.txt").write_text(points)
    (tmp_path / "acme_types.py").write_text(ACME)
    names = ["picky", "missing", "absent", "number", "twice", "unknown"]
    asked = [sys.executable, "-c", ASKS, *(f"acme.{name}" for name in names)]
    done = subprocess.run(
        asked, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    picky, missing, absent, number, twice, unknown, no_dtype = done.stdout.splitlines()
    assert "Picky cannot make 'acme.picky': KeyError('missing') | KeyError('missing')" in picky
    assert "'acme.missing' is registered as acme_types:Missing, which cannot be loaded" in missing
    assert "| AttributeError(" in missing
    assert "No module named 'acme_absent'" in absent
    assert "acme_types:NUMBER, which is no subclass of DataType | None" in number
    assert "registered as acme_types:Celsius and as acme_types:Picky; uninstall one" in twice
    assert "unknown data type 'acme.unknown'" in unknown
    assert "acme.celsius" in unknown
    assert "complex256 cannot be stored" in no_dtype
    assert "| None" not in no_dtype
