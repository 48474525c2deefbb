"""Elements of some bytes that have no meaning here.

``r*`` follows https://zarr-specs.readthedocs.io/en/latest/v3/data-types/index.html; zarr-python
writes the same elements as ``raw_bytes``.
"""

from __future__ import annotations

import functools
import re
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
    scalar_of,
    shown,
    take_members,
    to_base64,
)

__all__ = ["RAW_BITS", "RawBits", "RawBytes"]

RAW_BITS = re.compile(r"r([1-9][0-9]{0,11})")
"""The names of raw bits, such as ``r16``."""


class _Raw(DataType):
    """Bytes of a fixed number, whatever they are called in metadata."""

    def default_fill_value(self) -> Any:
        return self._scalar(b"")

    def cast_fill_value(self, given: Any) -> Any:
        if isinstance(given, str | list | tuple):
            return self.decode_fill_value(given)
        if isinstance(given, int | np.integer) and not isinstance(given, bool) and given == 0:
            return self.default_fill_value()
        plain = isinstance(given, bytes | bytearray | memoryview | np.void)
        data = bytes(given) if plain else None
        if data is None or len(data) > self.dtype.itemsize:
            raise not_a_value(given, self._described)
        return self._scalar(data)

    def decode_fill_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            whole = all(isinstance(item, int) and 0 <= item <= 255 for item in value)
            data = bytes(value) if whole else None
        else:
            data = from_base64(value)
        if data is None or len(data) != self.dtype.itemsize:
            raise not_a_value(value, self._described)
        return self._scalar(data)

    @property
    def _described(self) -> str:
        return f"{self.name}, of {self.dtype.itemsize} bytes"

    def _scalar(self, data: bytes) -> Any:
        return scalar_of(np.array(data, self.dtype))


@dataclass(frozen=True)
class RawBits(_Raw):
    """Raw bits, ``r*``: a number of bits that is a multiple of 8.

    Parameters
    ----------
    name : str
        ``r8``, ``r16``, ``r24`` ...

    Raises
    ------
    MetadataError
        If it is not such a name.

    Examples
    --------
    >>> RawBits("r16").dtype
    dtype('V2')
    """

    name: str

    def __post_init__(self) -> None:
        found = RAW_BITS.fullmatch(self.name)
        bits = 0 if found is None else int(found[1])
        if bits == 0 or bits % 8 or bits // 8 > LARGEST_ITEM:
            raise MetadataError(
                f"data_type: {shown(self.name)} must be 'r' and a number of bits that is a "
                f"multiple of 8, up to {8 * LARGEST_ITEM}"
            )

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"V{int(self.name[1:]) // 8}")

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        take_members(configuration, name)
        return cls(name)

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:  # noqa: ARG003
        return None  # RawBytes, which more libraries read

    def encode_fill_value(self, value: Any) -> Any:
        return list(bytes(value))


@dataclass(frozen=True)
class RawBytes(_Raw):
    """Raw bytes as zarr-python names them; the data type of numpy's ``V``.

    Parameters
    ----------
    length : int
        In bytes, 1 or more.

    Examples
    --------
    >>> RawBytes(2).to_metadata()
    {'name': 'raw_bytes', 'configuration': {'length_bytes': 2}}
    """

    length: int
    name = "raw_bytes"

    def __post_init__(self) -> None:
        check_whole(self.length, "length_bytes", 1, LARGEST_ITEM)

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        return cls(*take_members(configuration, name, "length_bytes"))

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        # dtypes of other packages may have the kind "V" too
        plain = type(dtype) is np.dtypes.VoidDType and dtype.names is None
        plain = plain and dtype.subdtype is None and dtype.itemsize > 0
        return cls(dtype.itemsize) if plain else None

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"V{self.length}")

    def configuration(self) -> dict[str, Any]:
        return {"length_bytes": self.length}

    def encode_fill_value(self, value: Any) -> Any:
        return to_base64(bytes(value))
