"""Data types by their name in metadata, and by numpy dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.numbers import NUMBERS, Number

__all__ = ["data_type_for", "data_type_of"]

_CLASSES: dict[str, type[DataType]] = dict.fromkeys(NUMBERS, Number)


def data_type_of(name: str, configuration: Mapping[str, Any]) -> DataType:
    """Return the data type of a metadata document.

    Raises
    ------
    MetadataError
        If there is none of that name, or its configuration is not valid.

    Examples
    --------
    >>> data_type_of("float32", {}).dtype
    dtype('float32')
    """
    found = _CLASSES.get(name)
    if found is None:
        raise MetadataError(
            f"data_type: unknown data type {name!r}; known are {', '.join(_CLASSES)}"
        )
    return found.from_metadata(name, configuration)


def data_type_for(given: Any) -> DataType:
    """Return the data type for anything that numpy takes for a dtype, or for one of ours.

    Raises
    ------
    TypeError
        If there is none.

    Examples
    --------
    >>> data_type_for(">f4").name, data_type_for(int).name
    ('float32', 'int64')
    """
    if isinstance(given, DataType):
        return given
    dtype = np.dtype(given)
    for cls in dict.fromkeys(_CLASSES.values()):
        found = cls.from_dtype(dtype)
        if found is not None:
            return found
    raise TypeError(f"dtype {dtype} cannot be stored; supported are {', '.join(_CLASSES)}")
