"""What is assigned to an array, as elements of its data type: as numpy's ``a[...] = value``.

Whatever may warn or fail is done for the whole value before anything is written. What cannot,
such as integers into floats, is left to the chunks, so that no second copy is in memory.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["broadcast", "cast_elements", "check_bytes", "fits_into", "is_silent"]

NDArray: TypeAlias = np.ndarray[Any, Any]
DType: TypeAlias = np.dtype[Any]

_OBJECT = np.dtype(object)
_WITHOUT_LIMIT: dict[str, DType] = {"U": np.dtype("U"), "S": np.dtype("S")}


def cast_elements(value: Any, dtype: DType, *, is_element: bool = False) -> NDArray:
    """Return a value as an array of a dtype, or of one that becomes it silently, chunk by chunk.

    Warnings and errors are numpy's own, but that what would be cut to fit is an error: text,
    bytes and raw bits of more than the dtype's length.

    Parameters
    ----------
    value : array-like
    dtype : numpy.dtype
    is_element : bool, default False
        Whether one element is assigned, so that what looks like many may be one object.

    Raises
    ------
    ValueError
        If text or bytes are too long, or the value is ragged, or cannot be parsed.
    TypeError
        If something is of a type that cannot be cast; ``None`` for text.
    OverflowError
        If a Python integer is out of range.

    Examples
    --------
    >>> cast_elements([1.5, 2], np.dtype("int8"))
    array([1, 2], dtype=int8)
    >>> cast_elements("long", np.dtype("U3"))
    Traceback (most recent call last):
        ...
    ValueError: text of 4 characters does not fit into <U3, which has room for 3
    """
    if isinstance(value, np.ndarray) and is_silent(value.dtype, dtype):
        return value
    if dtype.kind in "US":
        return _text(value, dtype)
    if dtype.kind == "T":
        _refuse_none(value)
    elif dtype.kind == "O":
        return _objects(value, is_element)
    elif dtype.kind == "V" and not _is_number(dtype):
        return _records(value, dtype)
    return _assigned(value, dtype)


def broadcast(array: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Return an array broadcast to a shape, as numpy does in an assignment.

    Raises
    ------
    ValueError
    """
    if array.shape == shape:
        return array
    full = array
    while full.ndim > len(shape) and full.shape[0] == 1:
        full = full[0]
    try:
        return np.broadcast_to(full, shape)
    except ValueError:
        raise ValueError(
            f"could not broadcast a value of shape {array.shape} into the selection's shape {shape}"
        ) from None


def fits_into(dtype: DType, out: DType) -> bool:
    """Tell whether elements may be read into an array of another dtype: no kind is lost."""
    return dtype == out or bool(np.can_cast(dtype, out, "same_kind"))


def is_silent(given: DType, dtype: DType) -> bool:
    """Tell whether numpy casts all elements of a dtype without a word."""
    if given == dtype:
        return True
    if given.kind in "biu" and dtype.kind in "biu":
        return True
    return given.kind in "biufc" and dtype.kind in "fc" and bool(np.can_cast(given, dtype, "safe"))


def _is_number(dtype: DType) -> bool:
    """Tell a number that is not numpy's own, such as bfloat16, from bytes and records."""
    return not issubclass(dtype.type, np.void)


def _assigned(value: Any, dtype: DType) -> NDArray:
    if not isinstance(value, np.ndarray | np.generic):
        return np.asarray(value, dtype)
    made = np.empty(value.shape, dtype)
    made[...] = value
    return made


def _refuse_none(value: Any) -> None:
    array = value if isinstance(value, np.ndarray) else np.asarray(value, _OBJECT)
    if array.dtype.kind == "O" and any(item is None for item in array.flat):
        raise TypeError("None is no text; there is no missing value: write an empty string")


def _text(value: Any, dtype: DType) -> NDArray:
    if isinstance(value, np.ndarray) and value.dtype.kind == "T":
        value = value.astype(object)  # numpy has no way to find the longest
    _refuse_none(value)
    natural = np.asarray(value, _WITHOUT_LIMIT[dtype.kind])
    if natural.dtype.itemsize > dtype.itemsize:
        _check_lengths(np.strings.str_len(natural), dtype)
    return natural.astype(dtype, copy=False)


def _check_lengths(lengths: Any, dtype: DType) -> None:
    room = dtype.itemsize // (4 if dtype.kind == "U" else 1)
    longest = int(np.max(lengths, initial=0))
    if longest > room:
        what = "text of {} characters" if dtype.kind == "U" else "a value of {} bytes"
        raise ValueError(
            f"{what.format(longest)} does not fit into {dtype.str}, which has room for {room}"
        )


def _objects(value: Any, is_element: bool) -> NDArray:
    if is_element and not isinstance(value, np.ndarray):
        made = np.empty((), object)
        made[()] = value
        return made
    return np.asarray(bytes(value) if isinstance(value, bytearray | memoryview) else value, object)


def check_bytes(elements: NDArray) -> None:
    """Raise `TypeError` unless all elements are bytes.

    Examples
    --------
    >>> check_bytes(np.array([b"a", "b"], object))
    Traceback (most recent call last):
        ...
    TypeError: an array of bytes holds bytes, not 'b' (str); there is no missing value
    """
    for item in elements.flat:
        if not isinstance(item, bytes | bytearray | memoryview):
            raise TypeError(
                f"an array of bytes holds bytes, not {item!r} ({type(item).__name__}); there is "
                "no missing value"
            )


def _records(value: Any, dtype: DType) -> NDArray:
    """Return records, or raw bits, of which nothing is cut."""
    if dtype.names is None:
        if not isinstance(value, np.ndarray | np.generic):
            value = np.asarray(value)
        if value.dtype.kind in "SV" and value.dtype.itemsize > dtype.itemsize:
            _check_lengths(value.dtype.itemsize, dtype)
        return _assigned(value, dtype)
    roomy = _roomy(dtype)
    if roomy != dtype:
        has_fields = isinstance(value, np.ndarray | np.generic) and value.dtype.names is not None
        _check_fields(value if has_fields else _assigned(value, roomy), dtype)
    return _assigned(value, dtype)


def _roomy(dtype: DType) -> DType:
    """Return a dtype with objects for text, which numpy does not cut."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((_roomy(base), shape))
    if dtype.names is not None:
        return np.dtype([(name, _roomy(dtype[name])) for name in dtype.names])
    return np.dtype(object) if dtype.kind in "US" else dtype


def _check_fields(value: Any, dtype: DType) -> None:
    """Raise `ValueError` if a text in a record does not fit; fields are taken in their order."""
    for given, name in zip(value.dtype.names, dtype.names or (), strict=False):
        base = dtype[name].base
        if base.names is not None and value[given].dtype.names is not None:
            _check_fields(value[given], base)
        elif base.kind in "US":
            _text(value[given], base)
