"""What a saver is given comes back as it was, or is refused."""

from __future__ import annotations

import datetime

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrstore
from zarrstore.savers.values import as_values, without_loss

MOMENT = datetime.datetime(2024, 2, 29, 12, microsecond=5)  # noqa: DTZ001
T = np.dtypes.StringDType()
NUMBERS = ["?", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, 2.5], "float64"),
        ([[True], [False]], "bool"),
        (3, "int64"),
        ((1, 2), "int64"),
        ([np.arange(2), np.arange(2)], "int64"),
        ([np.float32(1)], "float32"),
        ([], "float64"),
        (np.array(["a", "bb"]), "<U2"),
        (np.ma.array([1, 2], mask=[0, 0]), "int64"),
        ([np.datetime64("2024-02-29")], "datetime64[D]"),
        ([2**64 - 1, 12], "uint64"),
        ([[np.uint64(2**63 + 1)], [3]], "uint64"),
    ],
)
def test_becomes_an_array(data, dtype):
    values = as_values(data)
    assert type(values) is np.ndarray
    assert values.dtype == dtype
    assert np.array_equal(values, np.asarray(data, dtype))


def test_text_and_bytes_in_lists_keep_what_numpy_cuts():
    assert as_values(["a\0", "bb"]).tolist() == ["a\0", "bb"]
    assert as_values(["a"]).dtype == T
    assert as_values([[b"a\0"], [b""]]).tolist() == [[b"a\0"], [b""]]
    assert as_values(np.array(["a", "bb"], object)).dtype == T
    assert as_values("text").dtype == T


def test_what_loads_itself():
    stored = zarrstore.create_array({}, data=[1, 2])
    assert as_values(stored).tolist() == [1, 2]
    assert as_values([stored, stored]).tolist() == [[1, 2], [1, 2]]
    assert as_values(da.arange(3, chunks=1)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1, 2], [3]], "ragged: .* pad"),
        ([np.zeros(2), np.zeros(3)], "ragged"),
        ([1, "a"], "int, str"),
        (["a", b"a"], "of bytes, str"),
        (["a", None], "NoneType"),
        ([None], "NoneType"),
        ({"a": 1}, "dict"),
        (object(), "object"),
        (np.array([1, None]), "objects"),
        ([2**70], "more than 64 bits"),
        ([1.5, 2**53 + 1], "more than 53 bits"),
        ([2**64 - 1, -1], "more than 53 bits"),
        (np.ma.array([1, 2], mask=[0, 1]), "masked.*filled"),
        ([np.ma.array([1, 2], mask=[0, 1])], "masked"),
        ([1.0, np.ma.masked], "masked"),
        (da.ma.masked_equal(da.arange(3, chunks=1), 2), "masked"),
        ([da.ma.masked_equal(da.arange(3, chunks=1), 2)], "masked"),
        (
            np.ma.array([(1, 2)], [("a", "i2"), ("b", "i2")], mask=[(0, 1)]),
            "masked",
        ),
        ([MOMENT], "datetime, .*dtype='datetime64"),
        ((number for number in (1, 2)), "generator, .* as a list"),
    ],
)
def test_is_refused(data, message):
    with pytest.raises(TypeError, match=message):
        as_values(data)


def test_dtype():
    assert as_values([1.1], "float32").dtype == "float32"  # rounded, as was asked
    assert as_values([1.0, 2.0], "int8").dtype == "int8"
    assert as_values(["ab"], "U3").dtype == "<U3"
    assert as_values([b"ab"], "S3").dtype == "S3"
    assert as_values(["2024-02-29"], "datetime64[s]") == np.datetime64("2024-02-29", "s")
    assert as_values([MOMENT], "datetime64[us]")[0] == np.datetime64(MOMENT, "us")
    for data, dtype in [
        ([1.5], "int8"),
        ([300], "uint8"),
        ([1e300], "float32"),
        (["long"], "U3"),
        ([complex("inf+1e300j")], "c8"),
    ]:
        with pytest.raises(ValueError, match=r"lose|fit"):
            as_values(data, dtype)
    for missing in (None, np.nan):
        text = np.array(["a", missing], np.dtypes.StringDType(na_object=missing))
        assert as_values(text[:1], "string").dtype == T
        for dtype in ("string", "U4"):
            with pytest.raises(TypeError, match="text is missing"):
                as_values(text, dtype)
    with pytest.raises(ValueError, match="NUL"):
        as_values([b"a\0"], "S4")
    with pytest.raises(ValueError, match="NUL"):
        as_values(["a\0"], "U4")
    for data, dtype in [(["1"], "int8"), ([1], "U3"), ([1j], "float64"), (["1"], "timedelta64[s]")]:
        with pytest.raises(TypeError):
            as_values(data, dtype)


NANOSECOND = np.datetime64("2024-02-29T00:00:00.000000001")


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        ([MOMENT], "M8[us]", [MOMENT]),
        (np.array([[MOMENT]], object), "M8[ns]", [[MOMENT]]),
        ([datetime.date(2024, 2, 29), MOMENT], "M8[us]", ["2024-02-29", MOMENT]),
        ([datetime.date(2024, 2, 29), None], "M8[D]", ["2024-02-29", "NaT"]),
        ([datetime.timedelta(seconds=1)], "m8[s]", [1]),
        ([pd.Timestamp(NANOSECOND), pd.NaT], "M8[ns]", [NANOSECOND, "NaT"]),
        ([pd.Timedelta(1, "ns"), pd.NaT], "m8[ns]", [1, "NaT"]),
        ([NANOSECOND, MOMENT], "M8[ns]", [NANOSECOND, np.datetime64(MOMENT)]),
    ],
)
def test_times(data, dtype, expected):
    made = as_values(data, dtype)
    assert made.dtype == dtype
    assert np.array_equal(made, np.array(expected, dtype), equal_nan=True)


@pytest.mark.parametrize(
    ("data", "dtype", "error"),
    [
        ([MOMENT], "M8[s]", ValueError),
        ([NANOSECOND, MOMENT], "M8[us]", ValueError),
        (["2024-02-29T00:00:00.5"], "M8[s]", ValueError),
        ([datetime.date(9999, 1, 1)], "M8[ns]", ValueError),
        ([np.datetime64("9999-01-01"), NANOSECOND], None, ValueError),
        ([np.array(["9999-01-01"], "M8[D]"), np.array([NANOSECOND])], None, ValueError),
        ([MOMENT, 5_000_000], "M8[us]", TypeError),
        ([MOMENT], "m8[us]", TypeError),
        ([MOMENT.replace(tzinfo=datetime.UTC)], "M8[us]", TypeError),
        ([pd.Timestamp("2024-02-29", tz="UTC")], "M8[us]", TypeError),
    ],
)
def test_times_that_do_not_fit(data, dtype, error):
    with pytest.raises(error, match=r"lose|too far|cannot be saved|time zone"):
        as_values(data, dtype)


def test_records():
    dtype = [("name", "U3"), ("n", "i4"), ("xy", "f8", (2,))]
    made = as_values([("abc", 1, [1, 2]), ("d", 2.0, [3, 4])], dtype)
    assert made[["name", "n"]].tolist() == [("abc", 1), ("d", 2)]
    assert made["xy"].tolist() == [[1, 2], [3, 4]]
    for bad in [("abcd", 1, [1, 2]), ("a", 1.5, [1, 2]), ("a", 2**40, [1, 2])]:
        with pytest.raises(ValueError, match=r"fit|lose"):
            as_values([bad], dtype)
    wide = np.array([("abcd", 1)], [("name", "U9"), ("n", "i8")])
    with pytest.raises(ValueError, match="fit"):
        as_values(wide, [("name", "U3"), ("n", "i4")])
    for bad in ([("a", 1, 2), ("b", 3, 4)], [("a", 1, [1, 2, 3])]):
        with pytest.raises(ValueError, match="field 'xy' is of shape"):
            as_values(bad, dtype)
    with pytest.raises(ValueError, match="field 'x' is of shape"):
        without_loss(np.zeros(2, [("x", "i4")]), np.dtype([("x", "i4", (2,))]))
    pair = np.array([(1, 2)], [("a", "i4"), ("b", "i4")])
    with pytest.raises(TypeError, match="another kind"):
        without_loss(pair, np.dtype([("b", "i4"), ("a", "i4")]))
    fits = np.array([("abc", 1)], [("name", "U9"), ("n", "i8")])
    assert as_values(fits, [("name", "U3"), ("n", "i4")]).tolist() == [("abc", 1)]


INTEGERS = st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 300)
FLOATS = st.floats() | st.floats(width=16) | INTEGERS.map(float)


@given(st.one_of(INTEGERS, FLOATS), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS))
def test_numbers_are_the_same_or_refused(number, given_dtype, dtype):
    with np.errstate(all="ignore"):
        try:
            values = np.array([number]).astype(given_dtype)
        except OverflowError:
            return
    before = values[0].item()
    try:
        after = without_loss(values, np.dtype(dtype))[0].item()
    except (ValueError, TypeError):
        with np.errstate(all="ignore"):
            assert _lost(before, values, np.dtype(dtype))
        return
    assert after == before or (before != before and after != after)


def _lost(before, values, dtype):
    if values.dtype.kind == "c" and dtype.kind != "c":
        return True
    after = values.astype(dtype)[0].item()
    try:
        back = np.array([before]).astype(dtype)[0].item()
    except (OverflowError, ValueError):
        return True
    # out of range, an integer may become the same by chance: it is wrapped there and back
    return not (after == before == back and before == before) or abs(before) >= 2**63
