"""Data types of Zarr v3 as numpy dtypes, and their fill values in JSON.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/data-types/index.html.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from zarrstore.errors import MetadataError

__all__ = [
    "DTYPES",
    "data_type_name",
    "decode_fill_value",
    "dtype_of",
    "encode_fill_value",
    "fill_value_of",
]

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    )
}
_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dtype_of(name: object) -> np.dtype[Any]:
    """Return the numpy dtype, in native byte order, of a data type's name.

    Raises
    ------
    MetadataError
        If there is none of that name.

    Examples
    --------
    >>> dtype_of("float32")
    dtype('float32')
    """
    found = DTYPES.get(name) if isinstance(name, str) else None
    if found is None:
        raise MetadataError(f"data_type: unknown data type {name!r}; known are {', '.join(DTYPES)}")
    return found


def data_type_name(dtype: Any) -> str:
    """Return the Zarr name of anything that numpy takes for a dtype.

    Raises
    ------
    TypeError
        If Zarr has no fixed-size numeric type for it.

    Examples
    --------
    >>> data_type_name(">f4"), data_type_name(int)
    ('float32', 'int64')
    """
    name: str = np.dtype(dtype).name
    if name not in DTYPES:
        raise TypeError(f"dtype {name} cannot be stored; supported are {', '.join(DTYPES)}")
    return name


def fill_value_of(given: Any, dtype: np.dtype[Any]) -> Any:
    """Return what a user gives as a fill value as a numpy scalar of the data type.

    Takes numbers, and what stands in a metadata document (``"NaN"``, ``"0x7fc00000"`` ...).
    Floats are rounded.

    Raises
    ------
    MetadataError
        If it is not a value of the data type.

    Examples
    --------
    >>> fill_value_of(0.5, np.dtype("float32")), fill_value_of("-Infinity", np.dtype("float64"))
    (np.float32(0.5), np.float64(-inf))
    """
    if isinstance(given, str | list | tuple):
        return decode_fill_value(given, dtype)
    value = np.asarray(given)
    if value.ndim == 0 and value.dtype.kind in "biufc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is lost in the cast is looked for below
            scalar = value.astype(dtype)[()]
            same = bool(scalar == value) or bool(scalar != scalar and value != value)
            if not same and dtype.kind in "fc" and (value.dtype.kind != "c" or dtype.kind == "c"):
                same = bool(np.isfinite(scalar))
        if same:
            return scalar
    raise MetadataError(f"fill_value: {given!r} is not a value of data type {dtype.name}")


def encode_fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the JSON form of a fill value.

    Examples
    --------
    >>> encode_fill_value(np.float32("nan"), np.dtype("float32"))
    'NaN'
    >>> encode_fill_value(1 - 2j, np.dtype("complex64"))
    [1.0, -2.0]
    """
    scalar = dtype.type(value)
    if dtype.kind == "b":
        return bool(scalar)
    if dtype.kind in "iu":
        return int(scalar)
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return [_encode_float(part.type(x), part) for x in (scalar.real, scalar.imag)]
    return _encode_float(scalar, dtype)


def _encode_float(scalar: Any, dtype: np.dtype[Any]) -> float | str:
    number = float(scalar)
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if not math.isnan(number):
        return number
    bits = int(np.asarray(scalar, dtype).view(f"u{dtype.itemsize}"))
    usual = int(np.asarray(math.nan, dtype).view(f"u{dtype.itemsize}"))
    return "NaN" if bits == usual else f"0x{bits:0{2 * dtype.itemsize}x}"


def decode_fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the numpy scalar of a fill value in JSON.

    Raises
    ------
    MetadataError
        If it is not a value of the data type.

    Examples
    --------
    >>> float(decode_fill_value("0x7fc00000", np.dtype("float32")))
    nan
    """
    decode: Callable[[Any, np.dtype[Any]], Any] | None = {
        "b": _decode_bool,
        "i": _decode_int,
        "u": _decode_int,
        "f": _decode_float,
        "c": _decode_complex,
    }.get(dtype.kind)
    scalar = None if decode is None else decode(value, dtype)
    if scalar is None:
        raise MetadataError(f"fill_value: {value!r} is not a value of data type {dtype.name}")
    return scalar


def _decode_bool(value: Any, dtype: np.dtype[Any]) -> Any:
    return dtype.type(value) if isinstance(value, bool) else None


def _decode_int(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    limits = np.iinfo(dtype)
    return dtype.type(value) if limits.min <= value <= limits.max else None


def _decode_float(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            with np.errstate(over="ignore"):
                return dtype.type(value)
        except OverflowError:  # an integer beyond any float
            return None
    if not isinstance(value, str):
        return None
    if value in _NAMED_FLOATS:
        return dtype.type(_NAMED_FLOATS[value])
    if re.fullmatch(rf"0x[0-9a-fA-F]{{{2 * dtype.itemsize}}}", value):
        return np.array(int(value, 16), f"u{dtype.itemsize}").view(dtype)[()]
    return None


def _decode_complex(value: Any, dtype: np.dtype[Any]) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    part = np.dtype(f"f{dtype.itemsize // 2}")
    parts = [_decode_float(x, part) for x in value]
    if None in parts:
        return None
    return np.array(parts, part).view(dtype)[0]
