"""Records of named fields, each of its own data type, one after the other without padding.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/struct, and for
reading https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/structured.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import (
    LARGEST_ITEM,
    DataType,
    from_base64,
    not_a_value,
    scalar_of,
    shown,
    take_members,
)
from zarrstore.format.data_types.registry import data_type_for, data_type_of

__all__ = ["MAX_DEPTH", "Struct", "SubArray"]

MAX_DEPTH = 32
"""Records within records, at most."""

_NAMES = ("struct", "structured")


@dataclass(frozen=True)
class Struct(DataType):
    """A record of named fields, numpy's structured dtype.

    Parameters
    ----------
    fields : tuple of (str, DataType)
        In order; their elements have a fixed size.
    name : {"struct", "structured"}
        The second is an older form, of which the fields are written as pairs.

    Raises
    ------
    MetadataError
        If there is no field, or a name is empty or there twice, or a field has no fixed size.

    Examples
    --------
    >>> from zarrstore.format.data_types.numbers import Number
    >>> Struct((("x", Number("int16")), ("y", Number("float32")))).dtype
    dtype([('x', '<i2'), ('y', '<f4')])
    """

    fields: tuple[tuple[str, DataType], ...]
    name: str = "struct"

    def __post_init__(self) -> None:
        where = "data_type.configuration.fields"
        if not self.fields:
            raise MetadataError(f"{where}: a record has one field at least")
        seen: set[str] = set()
        for index, (name, data_type) in enumerate(self.fields):
            if not isinstance(name, str) or not name:
                raise MetadataError(
                    f"{where}[{index}]: a name is a str, not empty, not {shown(name)}"
                )
            if name in seen:
                raise MetadataError(f"{where}[{index}]: the name {name!r} is there twice")
            seen.add(name)
            if data_type.is_variable:
                raise MetadataError(
                    f"{where}[{index}]: elements of {data_type.name!r} have no fixed size, which "
                    "those of a field must have"
                )
        size = sum(data_type.dtype.itemsize for _, data_type in self.fields)
        if not 1 <= size <= LARGEST_ITEM:
            raise MetadataError(f"{where}: a record of {size} bytes; 1 to {LARGEST_ITEM} can be")

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        return cls._parse(name, configuration, 1)

    @classmethod
    def _parse(cls, name: str, configuration: Mapping[str, Any], depth: int) -> Self:
        (given,) = take_members(configuration, name, "fields")
        where = "data_type.configuration.fields"
        if depth > MAX_DEPTH:
            raise MetadataError(f"{where}: nested more than {MAX_DEPTH} deep")
        if not isinstance(given, list | tuple):
            raise MetadataError(f"{where}: must be a list of fields, not {shown(given)}")
        fields = []
        for index, field in enumerate(given):
            place = f"{where}[{index}]"
            if isinstance(field, Mapping) and set(field) == {"name", "data_type"}:
                of = field["name"], field["data_type"]
            elif isinstance(field, list | tuple) and len(field) == 2:
                of = field[0], field[1]
            else:
                raise MetadataError(
                    f"{place}: must be {{'name': ..., 'data_type': ...}}, not {shown(field)}"
                )
            try:
                fields.append((of[0], cls._field(of[1], depth)))
            except MetadataError as error:
                inner = str(error).removeprefix("data_type")
                raise MetadataError(f"{place}.data_type{inner}") from error
        return cls(tuple(fields), name)

    @classmethod
    def _field(cls, given: Any, depth: int) -> DataType:
        if isinstance(given, str):
            return data_type_of(given, {})
        known = {"name", "configuration", "must_understand"}
        configuration = given.get("configuration", {}) if isinstance(given, Mapping) else None
        if (
            not isinstance(configuration, Mapping)
            or not isinstance(given.get("name"), str)
            or set(given) - known
        ):
            raise MetadataError(
                f"data_type: must be a name or {{'name': ..., 'configuration': {{...}}}}, "
                f"not {shown(given)}"
            )
        if given["name"] in _NAMES:
            return cls._parse(given["name"], configuration, depth + 1)
        return data_type_of(given["name"], configuration)

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        """Return the data type of a structured dtype, without its padding."""
        if dtype.names is None or dtype.fields is None:
            return None
        fields = []
        for name in dtype.names:
            of, _, *title = dtype.fields[name]
            if title:
                raise TypeError(
                    f"dtype {dtype} cannot be stored: the field {name!r} has a title; leave it out"
                )
            fields.append((name, data_type_for(of) if of.subdtype is None else SubArray.of(of)))
        return cls(tuple(fields))

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([(name, data_type.dtype) for name, data_type in self.fields])

    def configuration(self) -> dict[str, Any]:
        if self.name == "structured":
            return {"fields": [[name, of.to_metadata()] for name, of in self.fields]}
        return {
            "fields": [{"name": name, "data_type": of.to_metadata()} for name, of in self.fields]
        }

    def default_fill_value(self) -> Any:
        """Return a record of which all bytes are zero."""
        return scalar_of(np.zeros(1, self.dtype))

    def cast_fill_value(self, given: Any) -> Any:
        """Return values in order or by name as a scalar; 0 is a record of zeros."""
        if isinstance(given, np.ndarray) and given.ndim == 0:
            given = given[()]
        if isinstance(given, int) and not isinstance(given, bool) and given == 0:
            return self.default_fill_value()
        if isinstance(given, str):
            return self.decode_fill_value(given)
        if isinstance(given, np.void) and given.dtype.names is not None:
            given = {name: given[name] for name in given.dtype.names}
        elif isinstance(given, list | tuple):
            if len(given) != len(self.fields):
                raise MetadataError(
                    f"fill_value: {shown(given)} has {len(given)} values for {len(self.fields)} "
                    "fields"
                )
            given = dict(zip(dict(self.fields), given, strict=True))
        return self._of_fields(given, "cast_fill_value")

    def encode_fill_value(self, value: Any) -> Any:
        return {name: data_type.encode_fill_value(value[name]) for name, data_type in self.fields}

    def decode_fill_value(self, value: Any) -> Any:
        data = from_base64(value)
        if data is None:
            return self._of_fields(value, "decode_fill_value")
        if len(data) != self.dtype.itemsize:
            raise MetadataError(
                f"fill_value: {shown(value)} has {len(data)} bytes; a record has "
                f"{self.dtype.itemsize}"
            )
        stored = np.frombuffer(data, self.dtype.newbyteorder("<"))
        return scalar_of(stored.astype(self.dtype))

    def _of_fields(self, values: Any, method: str) -> Any:
        if not isinstance(values, Mapping):
            raise not_a_value(values, str(self.dtype))
        record = np.zeros(1, self.dtype)
        names = [name for name, _ in self.fields]
        unknown = [name for name in values if name not in names]
        if unknown:
            raise MetadataError(f"fill_value: no field {unknown[0]!r}; there are {names}")
        for name, data_type in self.fields:
            if name not in values:
                raise MetadataError(f"fill_value.{name}: missing; every field needs a value")
            try:
                value = getattr(data_type, method)(values[name])
            except MetadataError as error:
                inner = str(error).removeprefix("fill_value")
                raise MetadataError(f"fill_value.{name}{inner}") from error
            # as an array, since the bits of a NaN are altered on the way as a scalar
            record[name][...] = np.asarray(value)
        return scalar_of(record)


@dataclass(frozen=True)
class SubArray(DataType):
    """A field that holds an array of some shape, which Zarr v2 has and v3 has not.

    Parameters
    ----------
    item : DataType
    shape : tuple of int
    """

    item: DataType
    shape: tuple[int, ...]
    name = "sub-array"

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> Self:
        """Return the data type of a dtype that has a shape."""
        assert dtype.subdtype is not None
        return cls(data_type_for(dtype.subdtype[0]), dtype.shape)

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:  # noqa: ARG003
        raise _no_sub_array()

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        return None if dtype.subdtype is None else cls.of(dtype)

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        size = self.item.dtype.itemsize * math.prod(self.shape)
        if size > LARGEST_ITEM:
            raise MetadataError(f"dtype: a field of {size} bytes; {LARGEST_ITEM} at most")
        return np.dtype((self.item.dtype, self.shape))

    def to_metadata(self) -> str | dict[str, Any]:
        raise _no_sub_array()

    def default_fill_value(self) -> Any:
        return np.zeros(self.shape, self.item.dtype)

    def cast_fill_value(self, given: Any) -> Any:
        """Return an array of values, or one value for all, as an array of the shape."""
        try:
            values = np.broadcast_to(np.asarray(given), self.shape)
        except ValueError:
            raise not_a_value(given, str(self.dtype)) from None
        found = np.empty(self.shape, self.item.dtype)
        for index in np.ndindex(self.shape):
            found[index] = self.item.cast_fill_value(values[index])
        return found

    def encode_fill_value(self, value: Any) -> Any:  # noqa: ARG002
        raise _no_sub_array()

    def decode_fill_value(self, value: Any) -> Any:  # noqa: ARG002
        raise _no_sub_array()


def _no_sub_array() -> MetadataError:
    return MetadataError(
        "data_type: a field that holds an array has no form in Zarr v3; use zarr_format=2, or a "
        "field for each element"
    )
