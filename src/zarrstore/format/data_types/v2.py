"""The dtypes and fill values of Zarr v2.

Follows https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html#data-type-encoding, and what
zarr-python has written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import (
    LARGEST_ITEM,
    DataType,
    from_base64,
    not_a_value,
    scalar_of,
    shown,
    to_base64,
)
from zarrstore.format.data_types.bytes import VariableLengthBytes
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.data_types.strings import String
from zarrstore.format.data_types.struct import MAX_DEPTH, Struct, SubArray

__all__ = [
    "Object",
    "data_type_from_v2",
    "data_type_to_v2",
    "decode_fill_value_v2",
    "encode_fill_value_v2",
]

_TYPE = re.compile(r"(?P<order>[<>|])(?P<kind>[biufcmMSUVO])(?P<size>\d{0,10})(?P<unit>\[.+\])?")
_STORED_AS_OBJECTS = {("S", "vlen-bytes"), ("U", "vlen-utf8")}
"""As zarr-python 3.0 stored text and bytes of fixed size, or of size 0 for any."""


@dataclass(frozen=True)
class Object(DataType):
    """Objects of Python, of which the codec makes bytes: in Zarr v2 only.

    Parameters
    ----------
    serializer : str
        The id of the codec among the filters, such as ``json2``.
    """

    serializer: str
    name = "object"
    is_variable = True

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:  # noqa: ARG003
        raise _no_object()

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:  # noqa: ARG003
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object)

    def to_metadata(self) -> str | dict[str, Any]:
        raise _no_object()

    def default_fill_value(self) -> Any:
        return None

    def cast_fill_value(self, given: Any) -> Any:
        return given

    def encode_fill_value(self, value: Any) -> Any:
        return value

    def decode_fill_value(self, value: Any) -> Any:
        return value


def _no_object() -> MetadataError:
    return MetadataError(
        "data_type: objects have no form in Zarr v3; use dtype='string' or dtype='bytes'"
    )


def data_type_from_v2(
    dtype: Any, object_codec: str | None = None
) -> tuple[DataType, np.dtype[Any]]:
    """Return the data type of a ``dtype`` in a ``.zarray``, and the dtype of stored elements.

    Parameters
    ----------
    dtype : str or list
        As in the document: ``"<f4"``, or ``[["a", "<f4"], ["b", "|S3", [2]]]``.
    object_codec : str, optional
        The id of the filter that makes bytes of objects, if there is one: ``vlen-utf8`` is text,
        ``vlen-bytes`` bytes, any other an `Object`.

    Returns
    -------
    data_type : DataType
        Its dtype has the native byte order.
    stored : numpy dtype
        Of the elements in a chunk, each field in its own byte order.

    Raises
    ------
    MetadataError
        If it is not valid, or of a kind that is not supported.

    Examples
    --------
    >>> data_type_from_v2(">f4")
    (Number(name='float32'), dtype('>f4'))
    >>> data_type_from_v2("|O", "vlen-utf8")
    (String(), dtype('O'))
    """
    if isinstance(dtype, str):
        return _from_string(dtype, object_codec)
    data_type, stored = _from_fields(dtype, 1)
    return data_type, stored


def _from_string(text: str, object_codec: str | None) -> tuple[DataType, np.dtype[Any]]:
    found = _TYPE.fullmatch(text)
    if found is None:
        raise MetadataError(f"dtype: {shown(text)} is not a type such as '<f4' or '|S10'")
    kind, size = found["kind"], found["size"]
    if kind == "O" or (kind, object_codec) in _STORED_AS_OBJECTS:
        if object_codec is None:
            raise MetadataError(
                f"dtype: {shown(text)} needs a filter that makes bytes of objects, such as "
                "'vlen-utf8'"
            )
        return _of_objects(object_codec), np.dtype(object)
    length = int(size or 0) * (4 if kind == "U" else 1)
    if not 1 <= length <= LARGEST_ITEM:
        raise MetadataError(f"dtype: {shown(text)} has {length} bytes; 1 to {LARGEST_ITEM} can be")
    if found["order"] == "|" and not (kind in "bSV" or (kind in "iu" and length == 1)):
        raise MetadataError(f"dtype: {shown(text)} needs a byte order, '<' or '>' for '|'")
    try:
        stored = np.dtype(text)
        return data_type_for(stored), stored
    except (TypeError, ValueError) as error:
        raise MetadataError(f"dtype: {shown(text)} is not supported: {error}") from error


def _of_objects(object_codec: str) -> DataType:
    if object_codec == String.serializer:
        return String()
    return VariableLengthBytes() if object_codec == "vlen-bytes" else Object(object_codec)


def _from_fields(given: Any, depth: int) -> tuple[Struct, np.dtype[Any]]:
    if not isinstance(given, list | tuple):
        raise MetadataError(f"dtype: must be a str or a list of fields, not {shown(given)}")
    if depth > MAX_DEPTH:
        raise MetadataError(f"dtype: nested more than {MAX_DEPTH} deep")
    fields: list[tuple[str, DataType]] = []
    stored: list[Any] = []
    for index, field in enumerate(given):
        fits = isinstance(field, list | tuple) and len(field) in (2, 3)
        if not fits or not isinstance(field[0], str):
            raise MetadataError(
                f"dtype[{index}]: must be [name, dtype] or [name, dtype, shape], not {shown(field)}"
            )
        name = field[0] or f"f{index}"  # numpy's name for what it writes without: padding
        try:
            of, stored_as = _of_field(field[1], depth)
            shape = _shape(field[2]) if len(field) == 3 else ()
            if shape:
                of = SubArray(of, shape)
                assert of.dtype  # so that one that is too large is found now
        except MetadataError as error:
            raise MetadataError(f"dtype[{index}]{str(error).removeprefix('dtype')}") from error
        fields.append((name, of))
        stored.append((name, stored_as, shape))
    try:
        return Struct(tuple(fields)), np.dtype(stored)
    except MetadataError as error:
        inner = str(error).removeprefix("data_type.configuration.fields")
        raise MetadataError(f"dtype{inner}") from error


def _of_field(given: Any, depth: int) -> tuple[DataType, np.dtype[Any]]:
    if not isinstance(given, str):
        return _from_fields(given, depth + 1)
    if given[1:2] == "O":
        raise MetadataError("dtype: a field cannot hold objects")
    return _from_string(given, None)


def _shape(given: Any) -> tuple[int, ...]:
    shape = tuple(given) if isinstance(given, list | tuple) else (given,)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in shape)
    if not whole or len(shape) > 32:
        raise MetadataError(f"dtype: {shown(given)} is not a shape, of lengths 1 and more")
    return shape


def data_type_to_v2(data_type: DataType, byte_order: Literal["<", ">"] = "<") -> str | list[Any]:
    """Return the ``dtype`` of a ``.zarray``.

    Raises
    ------
    MetadataError
        If the data type has no form in Zarr v2.

    Examples
    --------
    >>> data_type_to_v2(data_type_for([("a", "f4"), ("b", "M8[ns]")]), ">")
    [['a', '>f4'], ['b', '>M8[ns]']]
    """
    if data_type.is_variable:
        if isinstance(data_type, String | VariableLengthBytes | Object):
            return "|O"
    elif isinstance(data_type, Struct):
        fields: list[Any] = []
        for name, of in data_type.fields:
            if isinstance(of, SubArray):
                fields.append([name, data_type_to_v2(of.item, byte_order), list(of.shape)])
            else:
                fields.append([name, data_type_to_v2(of, byte_order)])
        return fields
    else:
        dtype = data_type.dtype.newbyteorder(byte_order)
        text = dtype.str
        if dtype.kind in "mM" and "[" not in text and np.datetime_data(dtype)[1] != 1:
            text += f"[{np.datetime_data(dtype)[1]}generic]"  # numpy leaves it out
        if np.dtype(text) == dtype:
            return text
    raise MetadataError(f"data_type: {data_type.name} has no form in Zarr v2; use zarr_format=3")


def encode_fill_value_v2(data_type: DataType, value: Any, stored: np.dtype[Any]) -> Any:
    """Return the JSON form of a scalar, or of ``None``, in Zarr v2.

    Parameters
    ----------
    data_type : DataType
    value : object
        A scalar of the data type, or ``None`` for none.
    stored : numpy dtype
        Of the elements in a chunk.

    Examples
    --------
    >>> encode_fill_value_v2(data_type_for("f4"), np.float32("inf"), np.dtype(">f4"))
    'Infinity'
    """
    if value is None:
        return None
    kind = data_type.dtype.kind
    if kind == "V":
        return to_base64(np.asarray(value, data_type.dtype).astype(stored).tobytes())
    encoded = data_type.encode_fill_value(value)
    if kind == "f":
        return _named(encoded)
    if kind == "c":
        return [_named(part) for part in encoded]
    if kind in "mM" and encoded == "NaT":
        return -(2**63)
    return encoded


def _named(number: float | str) -> float | str:
    """Return a number that is not one, of any bits, by its only name in Zarr v2."""
    return "NaN" if isinstance(number, str) and number.startswith("0x") else number


def decode_fill_value_v2(data_type: DataType, value: Any, stored: np.dtype[Any]) -> Any:
    """Return the scalar of a fill value in JSON in Zarr v2, or ``None`` if there is none.

    Takes what zarr-python has written, such as 0 for any data type.

    Parameters
    ----------
    data_type : DataType
    value : object
        As in the document.
    stored : numpy dtype
        Of the elements in a chunk.

    Raises
    ------
    MetadataError
        If it is not a value of the data type.

    Examples
    --------
    >>> decode_fill_value_v2(data_type_for("S3"), "YWI=", np.dtype("S3"))
    np.bytes_(b'ab')
    """
    if value is None or isinstance(data_type, Object):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kind = data_type.dtype.kind
    if number and value == 0 and kind in "OSTUV":
        return data_type.default_fill_value()
    if number and kind == "b" and value in (0, 1):
        return np.bool_(value)
    if number and kind == "c":
        return data_type.decode_fill_value([value, 0])
    if number and kind == "T":
        return str(value)
    if isinstance(value, str) and kind in "mM":
        return data_type.cast_fill_value(value)
    if isinstance(value, str) and kind in "SO" and from_base64(value) is None:
        return data_type.cast_fill_value(value)  # as it was before it was base64
    if kind != "V":
        return data_type.decode_fill_value(value)
    data = from_base64(value)
    if data is None or len(data) != stored.itemsize:
        raise not_a_value(value, f"of {stored.itemsize} bytes, in base64")
    return scalar_of(np.frombuffer(data, stored).astype(data_type.dtype))
