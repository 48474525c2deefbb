"""Numbers of fixed size.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/data-types/index.html.
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from zarrstore.format.data_types.base import DataType, not_a_value, take_members

__all__ = ["NUMBERS", "Number", "cast_number", "decode_number", "encode_number"]

_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


NUMBERS = (
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


_NAMES = {np.dtype(name): name for name in NUMBERS}
"""Quicker than ``dtype.name``, which numpy composes anew each time."""


@dataclass(frozen=True)
class Number(DataType):
    """A number of fixed size; the names are numpy's.

    Parameters
    ----------
    name : str
        One of `NUMBERS`.

    Examples
    --------
    >>> Number("float32").dtype
    dtype('float32')
    """

    name: str

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        take_members(configuration, name)
        return cls(name)

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        name = _NAMES.get(dtype.newbyteorder("=")) if dtype.kind in "biufc" else None
        return None if name is None else cls(name)

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name)

    def default_fill_value(self) -> Any:
        return self.dtype.type(0)

    def cast_fill_value(self, given: Any) -> Any:
        return cast_number(given, self.dtype)

    def encode_fill_value(self, value: Any) -> Any:
        return encode_number(value, self.dtype)

    def decode_fill_value(self, value: Any) -> Any:
        return decode_number(value, self.dtype)


def cast_number(given: Any, dtype: np.dtype[Any]) -> Any:
    """Return what a user gives as a fill value as a numpy scalar of the data type.

    Takes numbers, and what stands in a metadata document (``"NaN"``, ``"0x7fc00000"`` ...).
    Floats are rounded.

    Raises
    ------
    MetadataError
        If it is not a value of the data type.

    Examples
    --------
    >>> cast_number(0.5, np.dtype("float32")), cast_number("-Infinity", np.dtype("float64"))
    (np.float32(0.5), np.float64(-inf))
    """
    if isinstance(given, str | list | tuple):
        return decode_number(given, dtype)
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
    raise not_a_value(given, dtype.name)


def encode_number(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the JSON form of a fill value.

    Examples
    --------
    >>> encode_number(np.float32("nan"), np.dtype("float32"))
    'NaN'
    >>> encode_number(1 - 2j, np.dtype("complex64"))
    [1.0, -2.0]
    """
    # an array, not dtype.type(value), which alters the bits of a NaN
    scalar = np.asarray(value, dtype)
    if dtype.kind == "b":
        return bool(scalar)
    if dtype.kind in "iu":
        return int(scalar)
    if dtype.kind == "c":
        return [_encode_float(part) for part in scalar.reshape(1).view(f"f{dtype.itemsize // 2}")]
    return _encode_float(scalar[()])


def _encode_float(scalar: Any) -> float | str:
    number = float(scalar)
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if not math.isnan(number):
        return number
    size = scalar.dtype.itemsize
    bits = int(scalar.view(f"u{size}"))
    usual = int(np.array(math.nan, scalar.dtype).view(f"u{size}"))
    return "NaN" if bits == usual else f"0x{bits:0{2 * size}x}"


def decode_number(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return the numpy scalar of a fill value in JSON.

    Raises
    ------
    MetadataError
        If it is not a value of the data type.

    Examples
    --------
    >>> float(decode_number("0x7fc00000", np.dtype("float32")))
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
        raise not_a_value(value, dtype.name)
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
