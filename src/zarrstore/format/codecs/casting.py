"""Numbers of one data type as numbers of another, with the rules of ``cast_value``.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/cast_value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["OUT_OF_RANGE", "ROUNDING", "CastError", "cast_values"]

Array = np.ndarray[Any, Any]

ROUNDING = (
    "nearest-even",
    "towards-zero",
    "towards-positive",
    "towards-negative",
    "nearest-away",
)
OUT_OF_RANGE = ("clamp", "wrap")


class CastError(Exception):
    """A number cannot be cast."""


def cast_values(
    values: Array, dtype: np.dtype[Any], rounding: str, out_of_range: str | None
) -> Array:
    """Return integers or floats as another such type, rounded and then brought into its range.

    Infinities and NaN become themselves, and an error where the type has none.

    Raises
    ------
    CastError
        If a number is out of range and no rule says what becomes of it.

    Examples
    --------
    >>> cast_values(np.array([1.5, 2.5, 300]), np.dtype("uint8"), "nearest-even", "clamp")
    array([  2,   2, 255], dtype=uint8)
    """
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"):  # what is lost is looked for, not warned of
        if dtype.kind == "f":
            if values.dtype.kind == "f":
                return _float_to_float(values, dtype, rounding, out_of_range)
            return _int_to_float(values, dtype, rounding, out_of_range)
        if values.dtype.kind == "f":
            return _float_to_int(values, dtype, rounding, out_of_range)
        return _int_to_int(values, dtype, out_of_range)


def _out_of_range(values: Array, outside: Array, dtype: np.dtype[Any]) -> CastError:
    return CastError(
        f"{values[outside].flat[0]} is out of the range of {dtype.name}; set out_of_range to "
        "'clamp' or 'wrap', or map it with scalar_map"
    )


def _int_to_int(values: Array, dtype: np.dtype[Any], out_of_range: str | None) -> Array:
    cast = values.astype(dtype)
    if out_of_range == "wrap":
        return cast
    limits = np.iinfo(dtype)
    below, above = values < limits.min, values > limits.max
    if out_of_range == "clamp":
        cast[below] = limits.min
        cast[above] = limits.max
    elif below.any() or above.any():
        raise _out_of_range(values, below | above, dtype)
    return cast


def _float_to_int(
    values: Array, dtype: np.dtype[Any], rounding: str, out_of_range: str | None
) -> Array:
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)].flat[0]
        raise CastError(f"{wrong} has no value of {dtype.name}; map it with scalar_map")
    rounded = _integral(values, rounding)
    limits = np.iinfo(dtype)
    # powers of two, which floats hold, where the largest integers have too many digits
    below, above = rounded < float(limits.min), rounded >= float(limits.max + 1)
    if not (below.any() or above.any()):
        return rounded.astype(dtype)
    if out_of_range == "wrap":
        return _wrapped(rounded, dtype)
    if out_of_range == "clamp":
        rounded[below | above] = 0
        cast = rounded.astype(dtype)
        cast[below] = limits.min
        cast[above] = limits.max
        return cast
    raise _out_of_range(values, below | above, dtype)


def _integral(values: Array, rounding: str) -> Array:
    """Return floats rounded to integers, as a new array."""
    if rounding == "nearest-even":
        return np.rint(values)
    if rounding == "towards-zero":
        return np.trunc(values)
    if rounding == "towards-positive":
        return np.ceil(values)
    if rounding == "towards-negative":
        return np.floor(values)
    whole: Array = np.trunc(values)
    away: Array = np.where(np.abs(values - whole) >= 0.5, np.sign(values), 0)
    rounded: Array = whole + away.astype(values.dtype)
    return rounded


def _wrapped(rounded: Array, dtype: np.dtype[Any]) -> Array:
    """Return integral floats modulo the number of values of an integer type."""
    bits = 8 * dtype.itemsize
    size = np.fmod(np.abs(rounded.astype(np.float64)), 2.0**bits).astype(np.uint64)
    size[rounded < 0] = 0 - size[rounded < 0]
    return size.astype(dtype)


def _float_to_float(
    values: Array, dtype: np.dtype[Any], rounding: str, out_of_range: str | None
) -> Array:
    cast = values.astype(dtype)
    if values.dtype.itemsize < dtype.itemsize:
        return cast
    finite = np.isfinite(values)
    outside = finite & np.isinf(cast)
    if rounding != "nearest-even":
        # numpy rounds to nearest even, which is one step from the wanted value at most
        inside = finite & ~outside
        cast[inside] = _stepped(values[inside], cast[inside], rounding)
        largest = np.finfo(dtype).max
        if rounding != "nearest-away":
            # a value within the last step of the largest is in range if it is rounded that way
            near = outside & (np.abs(values) < _beyond(dtype))
            away = (rounding == "towards-positive") == (values > 0)
            kept = near if rounding == "towards-zero" else near & ~away
            cast[kept] = np.copysign(largest, values[kept])
        outside = finite & np.isinf(cast)
    if out_of_range is None and outside.any():
        raise _out_of_range(values, outside, dtype)
    return cast


def _beyond(dtype: np.dtype[Any]) -> float:
    """Return the number after the largest of a float type, were its exponents not to end."""
    return float(2.0 ** np.finfo(dtype).maxexp)


def _stepped(values: Array, cast: Array, rounding: str) -> Array:
    """Return finite numbers that are rounded to nearest even, rounded otherwise."""
    back = cast.astype(values.dtype)
    up, down = (np.nextafter(cast, cast.dtype.type(limit)) for limit in (np.inf, -np.inf))
    if rounding == "nearest-away":
        other = np.where(values > 0, up, down)
        tie = np.abs(other.astype(values.dtype) - values) == np.abs(values - back)
        further = np.abs(values) > np.abs(back)
        return np.where(tie & further, other, cast)
    if rounding == "towards-positive":
        return np.where(back < values, up, cast)
    if rounding == "towards-negative":
        return np.where(back > values, down, cast)
    return np.where(np.abs(back) > np.abs(values), np.where(values > 0, down, up), cast)


def _int_to_float(
    values: Array, dtype: np.dtype[Any], rounding: str, out_of_range: str | None
) -> Array:
    """Return integers as floats: their leading bits, and one more in the last place or not."""
    largest = 2 ** (np.finfo(dtype).nmant + 1)
    if -largest <= int(values.min(initial=0)) and int(values.max(initial=0)) <= largest:
        return values.astype(dtype)  # all of their bits are kept
    negative = values < 0
    size = values.astype(np.uint64)
    size[negative] = 0 - size[negative]
    lost = np.maximum(_bit_length(size) - (np.finfo(dtype).nmant + 1), 0).astype(np.uint64)
    step = np.uint64(1) << lost
    rest = size & (step - np.uint64(1))
    kept = size - rest
    up = _rounds_up(rest, step, kept, negative, rounding)
    # both are exact: what is kept has no more bits than the float, and the step has one
    exact = kept.astype(np.float64) + np.where(up, step, 0).astype(np.float64)
    exact[negative] *= -1
    cast: Array = exact.astype(dtype)
    outside = np.isinf(cast)
    if out_of_range is None and outside.any():
        raise _out_of_range(values, outside, dtype)
    return cast


def _bit_length(values: Array) -> Array:
    high = values >> np.uint64(11)  # the largest integers have more bits than a float
    length: Array = np.where(
        high > 0, np.frexp(high.astype(np.float64))[1] + 11, np.frexp(values.astype(np.float64))[1]
    )
    return length.astype(np.int64)


def _rounds_up(rest: Array, step: Array, kept: Array, negative: Array, rounding: str) -> Array:
    if rounding == "towards-zero":
        return np.zeros(rest.shape, bool)
    if rounding == "towards-positive":
        return np.where(negative, False, rest > 0)
    if rounding == "towards-negative":
        return np.where(negative, rest > 0, False)
    half = step >> np.uint64(1)
    tie_goes_up = rest > 0 if rounding == "nearest-away" else kept & step > 0
    up: Array = (rest > half) | ((rest == half) & (rest > 0) & tie_goes_up)
    return up
