"""What is given to a saver as a numpy array, and that as one of another dtype, without loss.

An array in a store casts what is assigned as numpy does, which cuts fractions off and wraps
numbers around. What a saver is given must come back as it was.
"""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import numpy as np

from zarrstore.format.data_types.registry import data_type_for
from zarrstore.hierarchy.casting import cast_elements
from zarrstore.hierarchy.faces import loaded_here

__all__ = ["as_values", "without_loss"]

NDArray: TypeAlias = np.ndarray[Any, Any]
DType: TypeAlias = np.dtype[Any]

_TEXT: DType = np.dtypes.StringDType()
_EXACT = 2**53
"""The integers up to here are numbers of float64."""

_PLAIN = frozenset({bool, int, float, complex, str, bytes})
"""What a list of these has is looked at by numpy alone."""

_OBJECTS = (
    "data is of {what}, which no data type holds; save numbers, text, bytes or numpy's times, all "
    "of one kind, in an array of one shape. Other times are saved with dtype='datetime64[us]' or "
    "'timedelta64[us]', records with dtype=[(name, dtype), ...], and what is iterated as a list"
)
_TIMES = {"M": (datetime.date, np.datetime64), "m": (datetime.timedelta, np.timedelta64)}
"""By kinds of dtypes: what is saved as them, and what of numpy it becomes."""


def as_values(data: Any, dtype: Any = None) -> NDArray:
    """Return data as a numpy array, of a dtype if that is given.

    Text in lists becomes text of variable length, bytes become objects.

    Parameters
    ----------
    data : array-like
        What loads itself, such as an array in a store or of dask, is loaded.
    dtype : optional
        Anything that an array can be created with. Floating-point numbers may be rounded to it.

    Raises
    ------
    TypeError
        If data is ragged, masked, or of objects that are no text or bytes.
    ValueError
        If something would be lost in the dtype.

    Examples
    --------
    >>> as_values([[1, 2], [3, 4]], "int8")
    array([[1, 2],
           [3, 4]], dtype=int8)
    >>> as_values([[1, 2], [3]])
    Traceback (most recent call last):
        ...
    TypeError: data is ragged: its parts differ in shape; pad them to one shape, or save each by \
itself
    """
    data = _computed(data)
    if _is_masked(data):
        raise TypeError(
            "data is masked, and the mask would not be saved: give data.filled(value), or save "
            "data.data and data.mask each by itself"
        )
    data = loaded_here(data)
    wanted = None if dtype is None else data_type_for(dtype).dtype
    if wanted is not None and wanted.names is not None:
        values = _records(data, wanted)
    elif isinstance(data, np.ndarray | np.generic):
        values = _of_array(np.asarray(data), wanted)
    else:
        values = _of_objects(data, wanted)
    return values if wanted is None else without_loss(values, wanted, rounds=True)


def _computed(data: Any) -> Any:
    """Return data with what is of dask computed, of which numpy would leave a mask out."""
    if isinstance(data, list | tuple) and not _PLAIN.issuperset(map(type, data)):
        made = [_computed(item) for item in data]
        return data if all(map(operator.is_, made, data)) else made
    return data.compute() if hasattr(data, "__dask_graph__") else data


def _is_masked(data: Any) -> bool:
    """Tell whether a masked array, or one in a list, hides something."""
    if isinstance(data, list | tuple):
        return not _PLAIN.issuperset(map(type, data)) and any(map(_is_masked, data))
    # of records the mask is one of fields
    return isinstance(data, np.ma.MaskedArray) and b"\1" in np.ma.getmaskarray(data).tobytes()


def _of_array(array: NDArray, wanted: DType | None) -> NDArray:
    if array.dtype.kind != "O":
        return array
    if wanted is not None and wanted.kind in _TIMES:
        return _times(array, wanted)
    if _all(array, str):
        return array.astype(_TEXT)
    if _all(array, bytes | bytearray | memoryview):
        return array
    raise TypeError(_OBJECTS.format(what="objects"))


def _of_objects(data: Any, wanted: DType | None) -> NDArray:
    try:
        values = np.asarray(data)
    except OverflowError as error:
        raise ValueError(f"data has times that are too far apart for one unit: {error}") from error
    except ValueError:
        raise TypeError(
            "data is ragged: its parts differ in shape; pad them to one shape, or save each by "
            "itself"
        ) from None
    if values.dtype.kind in _TIMES:
        _check_times(data, values.dtype)
    if values.dtype.kind in "US":
        return _text(data, values.dtype.kind, wanted)
    if values.dtype.kind == "O":
        if wanted is not None and wanted.kind in _TIMES:
            return _times(values, wanted)
        kinds = sorted({_kind(item) for item in values.flat})
        raise TypeError(_OBJECTS.format(what=", ".join(kinds) or "objects"))
    if values.dtype.kind in "fc" and (np.abs(values) >= _EXACT).any():
        given = np.asarray(data, object)
        if _all(given, int | np.integer) and min(given.flat) >= 0:
            return given.astype(np.uint64)
        if any(map(_is_rounded, given.flat, values.flat)):
            raise TypeError(
                "data mixes fractions with integers of more than 53 bits, which would be "
                "rounded; give dtype= to choose"
            )
    return values


def _kind(item: Any) -> str:
    name = type(item).__name__
    return "int of more than 64 bits" if name == "int" and not -(2**63) <= item < 2**64 else name


def _is_rounded(given: Any, number: Any) -> bool:
    return isinstance(given, int | np.integer) and int(given) != number.item()


def _check_times(data: Any, dtype: DType) -> None:
    """Raise `ValueError` if a time of a list is lost in the unit that numpy takes for all."""
    if isinstance(data, list | tuple):
        for item in data:
            _check_times(item, dtype)
    elif getattr(data, "dtype", dtype) != dtype:
        without_loss(np.asarray(data), dtype)


def _times(items: NDArray, dtype: DType) -> NDArray:
    """Return times of the standard library, of numpy or pandas, without loss, as one dtype."""
    scalars = [_time(item, dtype) for item in items.flat]
    made = np.empty(len(scalars), dtype)
    for given in {scalar.dtype for scalar in scalars}:
        at = [number for number, scalar in enumerate(scalars) if scalar.dtype == given]
        made[at] = without_loss(np.array([scalars[number] for number in at], given), dtype)
    return made.reshape(items.shape)


def _time(item: Any, dtype: DType) -> Any:
    known, of_numpy = _TIMES[dtype.kind]
    if item is None or item != item:
        return of_numpy("NaT", "D")
    if getattr(item, "tzinfo", None) is not None:
        raise TypeError(
            f"{item!r} has a time zone, which numpy's times have not; save what "
            ".astimezone(datetime.UTC).replace(tzinfo=None) makes of it"
        )
    if hasattr(item, "to_numpy"):
        item = item.to_numpy()  # of pandas, in nanoseconds perhaps
    elif isinstance(item, known):
        item = of_numpy(item)
    if not isinstance(item, of_numpy):
        raise TypeError(f"{item!r} cannot be saved as {dtype}")
    return item


def _text(data: Any, kind: str, wanted: DType | None) -> NDArray:
    """Return a list of text or of bytes, of which numpy would cut what is NUL at the end."""
    items = np.asarray(data, object)
    if kind == "S" and _all(items, bytes):
        return items
    if not _all(items, str):
        kinds = ", ".join(sorted({type(item).__name__ for item in items.flat}))
        raise TypeError(_OBJECTS.format(what=kinds))
    if wanted is not None and wanted.kind == "M":
        return np.asarray(data, "M8")  # of the unit that keeps all of it
    return items.astype(_TEXT)


def _all(items: NDArray, kind: Any) -> bool:
    return bool(items.size) and all(isinstance(item, kind) for item in items.flat)


def _records(data: Any, dtype: DType) -> NDArray:
    """Return records: each field of what is given as one of a dtype."""
    names = dtype.names or ()
    if not isinstance(data, np.ndarray | np.generic):
        data = np.array(data, [(name, object) for name in names])
    if data.dtype.names is None:
        raise TypeError(f"{data.dtype} cannot be saved as records of {', '.join(names)}")
    if any(data.dtype[name].kind != "O" for name in data.dtype.names):
        return np.asarray(data)
    made = np.empty(data.shape, dtype)
    for name in names:
        _set_field(made, name, as_values(data[name].tolist(), dtype[name].base))
    return made


def _set_field(records: NDArray, name: str, values: NDArray) -> None:
    if values.shape != records[name].shape:
        raise ValueError(
            f"field {name!r} is of shape {values.shape[records.ndim :]}, where "
            f"{records[name].shape[records.ndim :]} is needed"
        )
    records[name] = values


def without_loss(values: NDArray, dtype: DType, *, rounds: bool = False) -> NDArray:
    """Return values as elements of a dtype that are the same numbers, text or times.

    Parameters
    ----------
    values : numpy.ndarray
    dtype : numpy.dtype
    rounds : bool, default False
        Whether floating-point numbers may be rounded to fewer bits.

    Raises
    ------
    TypeError
        If they are of another kind.
    ValueError
        If one of them is not in the dtype; text or bytes that are too long are not cut.

    Examples
    --------
    >>> without_loss(np.array([1.0, 2.0]), np.dtype("int8"))
    array([1, 2], dtype=int8)
    >>> without_loss(np.array([1.5]), np.dtype("int8"))
    Traceback (most recent call last):
        ...
    ValueError: values of float64 would lose something as int8; give dtype= when the array is \
created, or cast them before
    """
    given = values.dtype
    if given == dtype:
        return values
    if any(dtype.kind in kinds and given.kind in kinds for kinds in ("UT", "SO")):
        return _kept_text(values, dtype)
    if dtype.names is not None and given.names == dtype.names:
        made = np.empty(values.shape, dtype)
        for name in dtype.names:
            _set_field(made, name, without_loss(values[name], dtype[name].base, rounds=rounds))
        return made
    if not values.size and (given.kind == "f" or given.kind == dtype.kind):
        return np.empty(values.shape, dtype)  # an empty list is of float64
    if given.kind in "biufc" and dtype.kind in "biufc":
        return _number(values, dtype, rounds)
    if given.kind in "mM" and given.kind == dtype.kind:
        return _kept(values, dtype, lambda there: _same_times(there.astype(given), values))
    is_other = given.names is None and given.kind not in "biufcmMUSO"  # numpy renames fields
    if is_other and np.can_cast(given, dtype, "safe"):
        return values.astype(dtype)
    raise TypeError(
        f"values of {given} are of another kind than {dtype}; cast them before, or save them "
        "under another name"
    )


def _kept_text(values: NDArray, dtype: DType) -> NDArray:
    missing = getattr(values.dtype, "na_object", values)
    if missing is not values and any(item is missing or item != item for item in values.flat):
        raise TypeError("text is missing, which is not kept; fill it in, such as with ''")
    if dtype.kind in "US" and any(item[-1:] in ("\0", b"\0") for item in values.flat):
        raise ValueError(f"{dtype} has no NUL at the end; use dtype='string' or 'bytes'")
    return cast_elements(values, dtype)


def _number(values: NDArray, dtype: DType, rounds: bool) -> NDArray:
    given = values.dtype
    if given.kind == "c" and dtype.kind != "c":
        raise TypeError(f"values of {given} have an imaginary part, and {dtype} has none")
    if given.kind in "biu":
        if dtype.kind in "biu":
            return _kept(values, dtype, lambda there: there == values)
        return _kept(values, dtype, lambda there: _is_same_integer(values, there.real))
    if dtype.kind in "biu":
        return _kept(values, dtype, lambda there: _is_same_integer(there, values))
    is_same = _is_finite_as_before if rounds else _is_same_float
    if dtype.kind == "f":
        return _kept(values, dtype, lambda there: is_same(there, values))
    return _kept(
        values,
        dtype,
        lambda there: is_same(there.real, values.real) & is_same(there.imag, values.imag),
    )


def _is_finite_as_before(there: NDArray, values: NDArray) -> Any:
    return np.isfinite(there) | ~np.isfinite(values)


def _is_same_float(there: NDArray, values: NDArray) -> Any:
    return (there == values) | np.isnan(values)


def _is_same_integer(integers: NDArray, floats: NDArray) -> Any:
    """Tell where integers and floating-point numbers are equal, in all of their bits."""
    if integers.dtype.kind == "b":
        return integers == floats
    limits = np.iinfo(integers.dtype)
    # what is out of range becomes anything; the upper limit itself may be no number of floats
    inside = np.isfinite(floats) & (floats >= float(limits.min)) & (floats < float(limits.max) + 1)
    return (
        inside
        & (np.where(inside, floats, 0).astype(integers.dtype) == integers)
        & (floats == np.trunc(floats))
    )


def _same_times(there: NDArray, values: NDArray) -> Any:
    return (there == values) | (np.isnat(there) & np.isnat(values))


def _kept(values: NDArray, dtype: DType, is_same: Callable[[NDArray], Any]) -> NDArray:
    with np.errstate(all="ignore"):
        try:
            there = values.astype(dtype)
            is_kept = bool(np.all(is_same(there)))
        except OverflowError:  # of times, by some versions of numpy
            is_kept = False
    if not is_kept:
        _refuse(values.dtype, dtype)
    return there


def _refuse(given: DType, dtype: DType) -> NoReturn:
    raise ValueError(
        f"values of {given} would lose something as {dtype}; give dtype= when the array is "
        "created, or cast them before"
    )
