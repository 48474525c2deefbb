"""Text, of a fixed size and of any.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/fixed_length_utf32
and https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/string.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import (
    LARGEST_ITEM,
    DataType,
    check_whole,
    not_a_value,
    shown,
    take_members,
)

__all__ = ["FixedLengthUTF32", "String"]

_CHARACTER = 4


@dataclass(frozen=True)
class FixedLengthUTF32(DataType):
    """Text of up to a number of characters, numpy's ``U``.

    Parameters
    ----------
    length : int
        In characters, 1 or more.

    Examples
    --------
    >>> FixedLengthUTF32(3).to_metadata()
    {'name': 'fixed_length_utf32', 'configuration': {'length_bytes': 12}}
    """

    length: int
    name = "fixed_length_utf32"

    def __post_init__(self) -> None:
        check_whole(self.length, "length_bytes", 1, LARGEST_ITEM // _CHARACTER)

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        (given,) = take_members(configuration, name, "length_bytes")
        size = check_whole(given, "length_bytes", _CHARACTER, LARGEST_ITEM)
        if size % _CHARACTER:
            raise MetadataError(
                f"data_type.configuration.length_bytes: must be a multiple of 4, not {size}"
            )
        return cls(size // _CHARACTER)

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        return cls(dtype.itemsize // _CHARACTER) if dtype.kind == "U" and dtype.itemsize else None

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"U{self.length}")

    def configuration(self) -> dict[str, Any]:
        return {"length_bytes": self.length * _CHARACTER}

    def default_fill_value(self) -> Any:
        return np.str_("")

    def cast_fill_value(self, given: Any) -> Any:
        return self.decode_fill_value(given.rstrip("\0") if isinstance(given, str) else given)

    def encode_fill_value(self, value: Any) -> Any:
        return str(value)

    def decode_fill_value(self, value: Any) -> Any:
        text = _text(value, self.name)
        if len(text) > self.length:
            raise MetadataError(
                f"fill_value: {shown(text)} has {len(text)} characters; {self.length} at most"
            )
        return np.str_(text.rstrip("\0"))


@dataclass(frozen=True)
class String(DataType):
    """Text of any length, numpy's ``StringDType()``.

    Examples
    --------
    >>> String().to_metadata()
    'string'
    """

    name = "string"
    is_variable = True
    serializer = "vlen-utf8"

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        take_members(configuration, name)
        return cls()

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        # one that has a value for what is missing has no form in Zarr
        fits = isinstance(dtype, np.dtypes.StringDType) and not hasattr(dtype, "na_object")
        return cls() if fits else None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtypes.StringDType()

    def default_fill_value(self) -> Any:
        return ""

    def cast_fill_value(self, given: Any) -> Any:
        return self.decode_fill_value(given)

    def encode_fill_value(self, value: Any) -> Any:
        return str(value)

    def decode_fill_value(self, value: Any) -> Any:
        return _text(value, self.name)


def _text(value: Any, data_type: str) -> str:
    if not isinstance(value, str):
        raise not_a_value(value, data_type)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MetadataError(f"fill_value: {shown(value)} cannot be written as UTF-8") from None
    return str(value)
