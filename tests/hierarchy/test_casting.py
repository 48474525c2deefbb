"""What is assigned becomes what numpy makes of it, or is refused before anything is written."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import zarrstore
from zarrstore.hierarchy.casting import broadcast, cast_elements

NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
TEXT = np.dtypes.StringDType()


def outcome(assign: Any) -> tuple[type[Exception] | None, list[tuple[type[Warning], str]]]:
    """Return the error and the warnings of an assignment."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            assign()
        except Exception as error:
            return type(error), []
    return None, [(each.category, str(each.message)) for each in caught]


def check_as_numpy(value: Any, dtype: Any, shape: tuple[int, ...] = (3,)) -> None:
    """Assign to our array and to numpy's: the same elements, warnings and errors."""
    expected = np.zeros(shape, dtype)
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, shape=shape, dtype=dtype, chunks=2, fill_value=None)
    before = dict(data)
    wanted = outcome(lambda: expected.__setitem__(..., value))
    assert outcome(lambda: array.__setitem__(..., value)) == wanted
    if wanted[0] is not None:
        assert data == before
    else:
        np.testing.assert_array_equal(array[...], expected, strict=True)


VALUES = {
    "int8": np.array([-1, 0, 127], "i1"),
    "int64": np.array([-(2**40), 300, 70_000]),
    "uint64": np.array([2**63, 1, 2], "u8"),
    "big endian": np.array([1, 2, 3], ">i4"),
    "fractions": np.array([1.5, -2.5, 0.0]),
    "not a number": np.array([np.nan, 1, 2]),
    "infinite": np.array([np.inf, -np.inf, 1]),
    "large": np.array([1e300, -1e300, 1e30]),
    "complex": np.array([1 + 2j, 0, 3]),
    "truth": np.array([True, False, True]),
    "list": [1, 2, 3],
    "list of floats": [1.5, 2.5, -1.0],
    "mixed list": [True, 2, 3.5],
    "integer": 7,
    "negative": -1,
    "too large": 2**70,
    "float": 2.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "complex number": 1j,
    "numpy scalar": np.float32(1.5),
    "numpy integer": np.int64(300),
    "numpy nan": np.float64("nan"),
    "one": [5],
    "text": "a",
    "digits": "12",
    "array of digits": np.array(["1", "2", "3"]),
    "none": None,
    "object": object(),
    "objects": np.array([1, 2.5, True], object),
    "other objects": np.array([1, "a", None], object),
    "ragged": [[1], [2, 3], [4]],
    "too many": [1, 2, 3, 4],
    "a row too many": np.ones((2, 3)),
    "empty": [],
    "dates": np.array(["2020", "2021", "NaT"], "M8[s]"),
    "durations": np.array([1, 2, 3], "m8[ms]"),
}


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_numbers_are_cast_as_numpy_casts_them(value: Any, dtype: str) -> None:
    check_as_numpy(value, dtype)


@pytest.mark.parametrize("dtype", ["M8[s]", "M8[ns]", "m8[ms]", "M8[D]"])
@pytest.mark.parametrize(
    "value",
    [
        np.array(["2020-01-01T01:02:03.5", "1969-12-31T23", "NaT"], "M8[ms]"),
        np.array(["2020-01-01", "1969-12-31", "NaT"], "M8[D]"),
        np.array([1, -2, "NaT"], "m8[h]"),
        np.datetime64("2020-05-06", "D"),
        "2020-01-01",
        ["2020-01-01", "NaT", "1999"],
        5,
        np.arange(3),
        np.arange(3.0),
        None,
        "never",
    ],
    ids=repr,
)
def test_times_are_cast_as_numpy_casts_them(value: Any, dtype: str) -> None:
    check_as_numpy(value, dtype)


@given(
    data=st.data(),
    given_dtype=st.sampled_from(NUMBERS),
    dtype=st.sampled_from(NUMBERS),
    shape=st_numpy.array_shapes(max_dims=2, max_side=5),
)
@settings(max_examples=150, deadline=None)
def test_arrays_of_any_numbers(
    data: st.DataObject, given_dtype: str, dtype: str, shape: tuple[int, ...]
) -> None:
    value = data.draw(st_numpy.arrays(given_dtype, shape))
    check_as_numpy(value, dtype, shape)


@pytest.mark.parametrize(
    ("dtype", "fits", "too_long"),
    [
        ("U3", ["abc", "", "é"], "abcd"),
        ("U3", np.array(["abc", "d", "e"], "U9"), np.array(["abcd", "d", "e"])),
        ("U3", np.array(["abc", "d", "e"], TEXT), np.array(["abcd", "d", "e"], TEXT)),
        ("U3", [1, 22, 333], [1, 22, 4444]),
        ("U3", 1.5, 1.25),
        ("U3", np.array([b"abc", b"d", b"e"]), np.array([b"abcd", b"d", b"e"])),
        ("U3", np.array(["abc", 1, 2.5], object), np.array(["abcd", 1, 2.5], object)),
        ("S3", [b"abc", "d", b""], [b"abcd", b"", b""]),
        ("S3", np.array([b"abc", b"d", b"e"], "S9"), b"abcd"),
        ("V3", b"abc", b"abcd"),
        ("V3", np.array([b"abc"] * 3, "V3"), np.array([b"abcd"] * 3, "V4")),
    ],
)
def test_what_is_too_long_is_refused_and_not_cut(dtype: str, fits: Any, too_long: Any) -> None:
    data: dict[str, Any] = {}
    expected = np.zeros(3, dtype)
    array = zarrstore.create_array(data, shape=3, dtype=dtype, chunks=2)
    expected[...] = fits
    array[...] = fits
    np.testing.assert_array_equal(array[...], expected, strict=True)
    before = dict(data)
    with pytest.raises(ValueError, match=r"does not fit into .*, which has room for 3"):
        array[...] = too_long
    with pytest.raises(ValueError, match="does not fit"):
        array.append(np.resize(too_long, 3))
    assert data == before


RECORD = np.dtype([("n", "i2"), ("in", [("s", "S2"), ("t", "U3")])])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ((1, (b"ab", "abc")), None),
        ([(1, (b"ab", "abc")), (2, (b"", "")), (3, ("c", "d"))], None),
        (0, None),
        (
            np.array([(1.5, ("ab", "c"))] * 3, [("a", "f8"), ("b", [("c", "U5"), ("d", "U5")])]),
            None,
        ),
        ((1, (b"abc", "abc")), ValueError),
        ([(1, (b"ab", "abcd"))] * 3, ValueError),
        (
            np.array([(1, ("abc", "c"))] * 3, [("a", "f8"), ("b", [("c", "U5"), ("d", "U5")])]),
            ValueError,
        ),
        ((1, (b"ab",)), ValueError),
        ((2**20, (b"ab", "abc")), OverflowError),
    ],
)
def test_records(value: Any, error: type[Exception] | None) -> None:
    data: dict[str, Any] = {}
    expected = np.zeros(3, RECORD)
    array = zarrstore.create_array(data, shape=3, dtype=RECORD, chunks=2)
    before = dict(data)
    if error is not None:
        with pytest.raises(error):
            array[...] = value
        assert data == before
        return
    expected[...] = value
    array[...] = value
    np.testing.assert_array_equal(array[...], expected)
    array[1] = expected[0]
    assert array[1] == expected[0]


@pytest.mark.parametrize(
    "value",
    ["é", ["a", "", "long " * 100], np.array(["a", "b", "c"]), [1, 2.5, "x"], np.arange(3), 1.5],
    ids=repr,
)
def test_text_of_any_length(value: Any) -> None:
    check_as_numpy(value, TEXT)


@pytest.mark.parametrize("dtype", [TEXT, "U9", "S9"])
@pytest.mark.parametrize("value", [None, ["a", None, "b"], np.array(["a", None, "b"], object)])
def test_nothing_is_no_text(value: Any, dtype: Any) -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, shape=3, dtype=dtype, chunks=2)
    before = dict(data)
    with pytest.raises(TypeError, match="None is no text"):
        array[...] = value
    assert data == before


def test_bytes_of_any_length() -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, shape=3, dtype="bytes", chunks=2)
    array[...] = [b"a", bytearray(b"bc"), b""]
    assert array[...].tolist() == [b"a", b"bc", b""]
    array[1] = bytearray(b"xyz")
    array[2] = np.bytes_(b"q")
    assert array[...].tolist() == [b"a", b"xyz", b"q"]
    before = dict(data)
    for value in ("text", [b"a", None, b"b"], 1, [b"a", b"b", 3]):
        with pytest.raises(TypeError, match="an array of bytes holds bytes"):
            array[...] = value
    assert data == before


@pytest.mark.parametrize(
    ("given_dtype", "out_dtype", "fits"),
    [
        ("i4", "i8", True),
        ("i4", "i2", True),
        ("i4", "f4", True),
        ("f8", "f4", True),
        ("f8", "c8", True),
        ("f8", "i8", False),
        ("c8", "f8", False),
        ("i4", "M8[s]", False),
        ("M8[s]", "M8[ms]", True),
        ("U3", "U5", True),
        ("U3", "i4", False),
        ("i4", ">i4", True),
    ],
)
def test_reading_into_another_dtype(given_dtype: str, out_dtype: str, fits: bool) -> None:
    values = np.arange(3).astype(given_dtype)
    array = zarrstore.create_array({}, data=values, chunks=2)
    out = np.zeros(3, out_dtype)
    if not fits:
        with pytest.raises(TypeError, match="cannot read"):
            array.read(out=out)
        assert (out == np.zeros(3, out_dtype)).all()
        return
    assert array.read(out=out) is out
    np.testing.assert_array_equal(out, values.astype(out_dtype), strict=True)


@pytest.mark.parametrize(
    ("out", "error", "says"),
    [
        ([0, 0, 0], TypeError, "numpy array, not list"),
        (np.zeros(4), ValueError, r"shape \(4,\), and the selection \(3,\)"),
        (np.zeros((1, 3)), ValueError, "shape"),
        (np.broadcast_to(np.zeros(1), (3,)), ValueError, "read-only"),
    ],
)
def test_memory_that_cannot_be_read_into(out: Any, error: type[Exception], says: str) -> None:
    array = zarrstore.create_array({}, data=[1, 2, 3])
    with pytest.raises(error, match=says):
        array.read(out=out)


@pytest.mark.parametrize("given_dtype", ["f8", "c16", "i4", "U3", "M8[s]"])
@pytest.mark.parametrize("dtype", ["f4", "i2", "U9", "?"])
def test_astype(given_dtype: str, dtype: str) -> None:
    values = np.array([1, 0, 3, 4]).astype(given_dtype)
    array = zarrstore.create_array({}, data=values, chunks=3, fill_value=None)
    view = array.astype(dtype)
    assert (view.shape, view.dtype, view.read_only) == ((4,), np.dtype(dtype), True)
    assert view != array
    results: list[Any] = []
    wanted = outcome(lambda: results.append(values.astype(dtype)))
    assert outcome(lambda: results.append(view[...])) == wanted
    if wanted[0] is None:
        np.testing.assert_array_equal(*results, strict=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert type(view[2]) is type(results[0][2])
            np.testing.assert_array_equal(view.oindex[[3, 0]], results[0][[3, 0]])
            np.testing.assert_array_equal(np.asarray(view), results[0])
    with pytest.raises(zarrstore.ReadOnlyError, match="astype"):
        view[0] = values[0]
    with pytest.raises(zarrstore.ReadOnlyError, match="astype"):
        view.resize(1)


def test_what_is_silent_is_not_copied() -> None:
    values = np.arange(6, dtype="i4")
    for dtype in ("i4", "i2", "f8", "u1", ">i4"):
        assert cast_elements(values, np.dtype(dtype)) is values
    assert broadcast(values, (2, 6)).strides == (0, 4)
    assert broadcast(values.reshape(1, 1, 6), (6,)).base is not None
