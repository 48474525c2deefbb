from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.numbers import NUMBERS, decode_number, encode_number
from zarrstore.format.data_types.registry import data_type_for, data_type_of

DTYPES = {name: np.dtype(name) for name in NUMBERS}


@given(st.data(), st.sampled_from(sorted(DTYPES)))
def test_fill_values_round_trip_bit_for_bit(data: st.DataObject, name: str) -> None:
    dtype = DTYPES[name]
    bits = data.draw(st_numpy.arrays(f"u{min(dtype.itemsize, 8)}", dtype.itemsize // 8 or 1))
    value = bits.view(dtype)[0] if dtype.kind != "b" else np.bool_(bits[0] % 2)
    document = msgspec.json.decode(msgspec.json.encode(encode_number(value, dtype)))
    again = decode_number(document, dtype)
    assert again.dtype == dtype
    if dtype.kind == "c":
        for part in ("real", "imag"):
            a, b = getattr(value, part), getattr(again, part)
            assert (np.isnan(a) and np.isnan(b)) or a.tobytes() == b.tobytes()
    else:
        assert again.tobytes() == value.tobytes() or (np.isnan(value) and name == "float16")


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
        (None, "float64"),
        ([0], "complex64"),
        (0, "complex64"),
        (["x", 0], "complex64"),
    ],
)
def test_fill_values_of_another_type_are_refused(value: Any, name: str) -> None:
    with pytest.raises(MetadataError, match=f"fill_value: .* is not a value of data type {name}"):
        decode_number(value, DTYPES[name])


def test_named_floats() -> None:
    assert math.isnan(decode_number("NaN", DTYPES["float64"]))
    assert decode_number("-Infinity", DTYPES["float16"]) == -math.inf
    assert decode_number(3, DTYPES["float32"]) == 3.0


def test_names() -> None:
    assert data_type_for(np.dtype(">i2")).name == "int16"
    with pytest.raises(TypeError, match="cannot be stored; supported are bool"):
        data_type_for("U3")
    with pytest.raises(MetadataError, match="unknown data type 'int7'"):
        data_type_of("int7", {})
