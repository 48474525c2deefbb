"""Byte strings, of a fixed size and of any.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/null_terminated_bytes
and https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/bytes.
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
    from_base64,
    not_a_value,
    shown,
    take_members,
    to_base64,
)

__all__ = ["NullTerminatedBytes", "VariableLengthBytes"]


@dataclass(frozen=True)
class NullTerminatedBytes(DataType):
    """Byte strings of a fixed size, numpy's ``S``: null bytes at the end are padding.

    Parameters
    ----------
    length : int
        In bytes, 1 or more.

    Examples
    --------
    >>> NullTerminatedBytes(3).to_metadata()
    {'name': 'null_terminated_bytes', 'configuration': {'length_bytes': 3}}
    """

    length: int
    name = "null_terminated_bytes"

    def __post_init__(self) -> None:
        check_whole(self.length, "length_bytes", 1, LARGEST_ITEM)

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        return cls(*take_members(configuration, name, "length_bytes"))

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        return cls(dtype.itemsize) if dtype.kind == "S" and dtype.itemsize else None

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"S{self.length}")

    def configuration(self) -> dict[str, Any]:
        return {"length_bytes": self.length}

    def default_fill_value(self) -> Any:
        return np.bytes_(b"")

    def cast_fill_value(self, given: Any) -> Any:
        """Return bytes, or text in ASCII, as a scalar."""
        if isinstance(given, str) and given.isascii():
            given = given.encode()
        if not isinstance(given, bytes | bytearray | memoryview):
            raise not_a_value(given, self.name)
        return self._scalar(bytes(given).rstrip(b"\0"))

    def encode_fill_value(self, value: Any) -> Any:
        return to_base64(bytes(value))

    def decode_fill_value(self, value: Any) -> Any:
        data = from_base64(value)
        if data is None:
            raise not_a_value(value, self.name)
        return self._scalar(data)

    def _scalar(self, data: bytes) -> Any:
        if len(data) > self.length:
            raise MetadataError(
                f"fill_value: {shown(data)} has {len(data)} bytes; {self.length} at most"
            )
        return np.bytes_(data.rstrip(b"\0"))


@dataclass(frozen=True)
class VariableLengthBytes(DataType):
    """Byte strings of any length: objects in memory, each a ``bytes``.

    Parameters
    ----------
    name : str
        ``bytes``, or ``variable_length_bytes`` as zarr-python writes it.

    Examples
    --------
    >>> VariableLengthBytes().to_metadata()
    'bytes'
    """

    name: str = "bytes"
    is_variable = True
    serializer = "vlen-bytes"

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        take_members(configuration, name)
        return cls(name)

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:  # noqa: ARG003
        return None  # objects may be anything

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object)

    def default_fill_value(self) -> Any:
        return b""

    def cast_fill_value(self, given: Any) -> Any:
        """Return bytes, or text that becomes UTF-8, as a scalar."""
        if isinstance(given, str):
            try:
                return given.encode()
            except UnicodeEncodeError:
                raise not_a_value(given, self.name) from None
        if not isinstance(given, bytes | bytearray | memoryview):
            raise not_a_value(given, self.name)
        return bytes(given)

    def encode_fill_value(self, value: Any) -> Any:
        return to_base64(value)

    def decode_fill_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple) and all(
            isinstance(item, int) and 0 <= item <= 255 for item in value
        ):
            return bytes(value)
        data = from_base64(value)
        if data is None:
            raise not_a_value(value, self.name)
        return data
