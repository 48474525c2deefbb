"""What a data type is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from zarrstore.errors import MetadataError

__all__ = ["DataType", "not_a_value"]


class DataType(ABC):
    """A data type of Zarr v3: its name, its elements in memory, its fill values in metadata.

    Immutable and hashable. A package registers its own by an entry point of the group
    ``zarrstore.data_types``: the name in metadata, and the class.
    """

    name: str
    """In metadata."""

    is_variable: ClassVar[bool] = False
    """Whether elements have no fixed size: they are objects or strings in memory."""

    serializer: ClassVar[str] = "bytes"
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


def not_a_value(value: object, data_type: str) -> MetadataError:
    """Make the error of a fill value that is not a value of its data type."""
    return MetadataError(f"fill_value: {value!r} is not a value of data type {data_type}")
