"""What a data type is."""

from __future__ import annotations

import base64
import binascii
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from zarrstore.errors import MetadataError

__all__ = [
    "LARGEST_ITEM",
    "DataType",
    "check_whole",
    "from_base64",
    "not_a_value",
    "scalar_of",
    "shown",
    "take_members",
    "to_base64",
]

LARGEST_ITEM = 2**31 - 1
"""Bytes that an element of fixed size may have; numpy's own limit."""

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 80


class DataType(ABC):
    """A data type of Zarr v3: its name, its elements in memory, its fill values in metadata.

    Immutable, hashable, and equal to another of the same metadata. A package registers its own
    by an entry point of the group ``zarrstore.data_types``: the name in metadata, and the class.
    """

    name: str
    """In metadata."""

    is_variable: ClassVar[bool] = False
    """Whether elements have no fixed size: they are objects or strings in memory."""

    serializer: str = "bytes"
    """The name of the codec from elements to bytes, where none is given."""

    @classmethod
    @abstractmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        """Make a data type from its name and configuration in a metadata document.

        Raises
        ------
        MetadataError
            If a member is unknown, missing or out of range.
        """

    @classmethod
    @abstractmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        """Return the data type of a numpy dtype, or ``None`` if it is not of this kind."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Of the elements in memory, in native byte order."""

    def configuration(self) -> dict[str, Any]:
        """Return the configuration as it stands in a metadata document."""
        return {}

    def to_metadata(self) -> str | dict[str, Any]:
        """Return the data type as it stands in a metadata document."""
        configuration = self.configuration()
        return {"name": self.name, "configuration": configuration} if configuration else self.name

    @abstractmethod
    def default_fill_value(self) -> Any:
        """Return what a missing chunk reads as where nothing else is asked for."""

    @abstractmethod
    def cast_fill_value(self, given: Any) -> Any:
        """Return what a user gives as a fill value as a scalar of this data type.

        Raises
        ------
        MetadataError
            If it is not a value of the data type.
        """

    @abstractmethod
    def encode_fill_value(self, value: Any) -> Any:
        """Return the JSON form of a scalar."""

    @abstractmethod
    def decode_fill_value(self, value: Any) -> Any:
        """Return the scalar of a fill value in JSON.

        Raises
        ------
        MetadataError
            If it is not a value of the data type.
        """


def shown(value: object) -> str:
    """Return a value as it stands in a message: not all of one that is long or deep."""
    return _SHORT.repr(value)


def not_a_value(value: object, data_type: str) -> MetadataError:
    """Make the error of a fill value that is not a value of its data type."""
    return MetadataError(f"fill_value: {shown(value)} is not a value of data type {data_type}")


def take_members(configuration: Mapping[str, Any], name: str, *known: str) -> list[Any]:
    """Return the members of a data type's configuration, all of which must be there."""
    unknown = sorted(map(str, set(configuration) - set(known)))
    if unknown:
        raise MetadataError(
            f"data_type.configuration: {name!r} has no {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(map(repr, known)) or 'none'}"
        )
    for member in known:
        if member not in configuration:
            raise MetadataError(f"data_type.configuration.{member}: missing; {name!r} needs it")
    return [configuration[member] for member in known]


def check_whole(value: Any, member: str, least: int, largest: int) -> int:
    """Return a member of a configuration that must be an integer within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= largest:
        raise MetadataError(
            f"data_type.configuration.{member}: must be an integer from {least} to {largest}, "
            f"not {shown(value)}"
        )
    return value


def scalar_of(array: np.ndarray[Any, Any]) -> Any:
    """Return the one element of an array, which numpy may keep a view of, so that it is fixed."""
    array.flags.writeable = False
    return array.reshape(1)[0]


def to_base64(data: bytes) -> str:
    """Return bytes as they stand in JSON."""
    return base64.b64encode(data).decode()


def from_base64(value: Any) -> bytes | None:
    """Return the bytes of a string in JSON, or ``None`` if it is not base64."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
