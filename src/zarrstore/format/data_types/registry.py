"""Data types by their name in metadata, and by numpy dtype."""

from __future__ import annotations

import functools
import importlib
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import DataType, shown
from zarrstore.format.data_types.numbers import NUMBERS, Number
from zarrstore.format.plugins import Plugins

__all__ = ["data_type_for", "data_type_of"]

_plugins: Plugins[DataType] = Plugins(
    "zarrstore.data_types", "data_type", (DataType,), "subclass of DataType"
)

_MODULES = {
    "bytes": "bytes.VariableLengthBytes",
    "fixed_length_utf32": "strings.FixedLengthUTF32",
    "null_terminated_bytes": "bytes.NullTerminatedBytes",
    "numpy.datetime64": "times.DateTime64",
    "numpy.timedelta64": "times.TimeDelta64",
    "raw_bytes": "raw.RawBytes",
    "string": "strings.String",
    "struct": "struct.Struct",
    "structured": "struct.Struct",
    "variable_length_bytes": "bytes.VariableLengthBytes",
}
_RAW_BITS = re.compile(r"r\d+")
_KINDS = {
    "M": "times.DateTime64",
    "S": "bytes.NullTerminatedBytes",
    "T": "strings.String",
    "U": "strings.FixedLengthUTF32",
    "V": "raw.RawBytes",
    "m": "times.TimeDelta64",
}
"""By the kind of the numpy dtype."""

_OTHER_NAMES = {str: "string", bytes: "bytes", "str": "string"}
_ADVICE = {
    "O": "it does not say what the objects are: give dtype='string' for str, dtype='bytes' for "
    "bytes",
    "S": "it has no length: give one, such as 'S12', or dtype='bytes' for bytes of any length",
    "U": "it has no length: give one, such as 'U12', or dtype='string' for text of any length",
    "V": "it has no length: give one, such as 'V12'",
    "T": "nothing can stand for missing text: give StringDType() without na_object",
}


def data_type_of(name: str, configuration: Mapping[str, Any]) -> DataType:
    """Return the data type of a metadata document; its module is imported now, if it was not.

    Raises
    ------
    MetadataError
        If there is none of that name, or its configuration is not valid.

    Examples
    --------
    >>> data_type_of("fixed_length_utf32", {"length_bytes": 20}).dtype
    dtype('<U5')
    """
    if name in NUMBERS:
        return Number.from_metadata(name, configuration)
    path = "raw.RawBits" if _RAW_BITS.fullmatch(name) else _MODULES.get(name)
    if path is not None:
        return _built_in(path).from_metadata(name, configuration)
    if name not in _plugins.points:
        raise MetadataError(f"data_type: unknown data type {shown(name)}; known are {_known()}")
    return _plugins.make(name, "from_metadata", name, configuration)


def data_type_for(given: Any) -> DataType:
    """Return the data type for what a user gives.

    Parameters
    ----------
    given : object
        Anything that numpy takes for a dtype; ``str`` or ``bytes`` for elements of any length; a
        data type's name in metadata, or all of it there; a data type, ours or zarr-python's.

    Raises
    ------
    TypeError
        If there is none.
    MetadataError
        If it is metadata that is not valid.

    Examples
    --------
    >>> data_type_for(">f4"), data_type_for(str), data_type_for("M8[ns]")
    (Number(name='float32'), String(), DateTime64(unit='ns', scale_factor=1))
    >>> data_type_for({"name": "numpy.timedelta64",
    ...                "configuration": {"unit": "s", "scale_factor": 10}}).dtype
    dtype('<m8[10s]')
    """
    if isinstance(given, str):
        return _of_text(given)
    return given if isinstance(given, DataType) else _of_object(given)


@functools.lru_cache
def _of_text(given: str) -> DataType:
    return _of_object(given)


def _of_object(given: Any) -> DataType:
    if callable(getattr(given, "to_native_dtype", None)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a data type has no specification
            given = given.to_json(zarr_format=3)
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        configuration = given.get("configuration", {})
        known = {"name", "configuration", "must_understand"}
        if set(given) <= known and isinstance(configuration, Mapping):
            return data_type_of(given["name"], configuration)
    if isinstance(given, type | str):
        given = _OTHER_NAMES.get(given, given)
    if isinstance(given, str) and (given in _MODULES or _RAW_BITS.fullmatch(given)):
        return data_type_of(given, {})
    if isinstance(given, list):  # as in JSON; numpy wants tuples
        given = [tuple(field) if isinstance(field, list) else field for field in given]
    try:
        dtype = np.dtype(given)
    except (TypeError, ValueError) as error:
        if isinstance(given, str) and given in _plugins.points:
            return data_type_of(given, {})
        raise TypeError(
            f"{shown(given)} is no dtype; give a numpy dtype, or the name of a data type: "
            f"{_known()}"
        ) from error
    return _of_dtype(dtype)


def _of_dtype(dtype: np.dtype[Any]) -> DataType:
    path = "struct.Struct" if dtype.names is not None else _KINDS.get(dtype.kind)
    cls = Number if path is None else _built_in(path)
    found = cls.from_dtype(dtype)
    if found is not None:
        return found
    broken: Exception | None = None
    for name in _plugins.points:
        try:
            found = _plugins.load(name).from_dtype(dtype)
        except Exception as error:  # noqa: BLE001
            broken = error
        if found is not None:
            return found
    has_advice = dtype.kind in "OT" or dtype.itemsize == 0
    advice = _ADVICE.get(dtype.kind) if has_advice else None
    raise TypeError(
        f"dtype {dtype} cannot be stored: {advice or f'supported are {_known()}'}"
    ) from broken


@functools.cache
def _built_in(path: str) -> type[DataType]:
    module, _, name = path.partition(".")
    cls: type[DataType] = getattr(
        importlib.import_module(f"zarrstore.format.data_types.{module}"), name
    )
    return cls


def _known() -> str:
    return ", ".join(_names())


def _names() -> Iterator[str]:
    yield from NUMBERS
    yield "r8, r16 ..."
    yield from sorted({*_MODULES, *_plugins.points})
