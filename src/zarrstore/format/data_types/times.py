"""Moments and durations, numpy's ``datetime64`` and ``timedelta64``.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/numpy.datetime64
and https://github.com/zarr-developers/zarr-extensions/tree/main/data-types/numpy.timedelta64.
"""

from __future__ import annotations

import datetime
import functools
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.data_types.base import (
    DataType,
    check_whole,
    not_a_value,
    shown,
    take_members,
)

__all__ = ["DateTime64", "TimeDelta64"]

_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic")
_MICROSECONDS = ("\u03bcs", "\u00b5s")  # with the Greek letter, and with the micro sign
_NOT_A_TIME = -(2**63)
_ZONE = re.compile(r"T.*(Z|z|[+-]\d\d:?\d\d)\s*\Z")


@dataclass(frozen=True)
class _Time(DataType):
    unit: str
    scale_factor: int = 1
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.unit in _MICROSECONDS:
            object.__setattr__(self, "unit", "us")
        if self.unit not in _UNITS:
            raise MetadataError(
                f"data_type.configuration.unit: {shown(self.unit)} is not one of "
                f"{', '.join(_UNITS)}"
            )
        check_whole(self.scale_factor, "scale_factor", 1, 2**31 - 1)

    @classmethod
    def from_metadata(cls, name: str, configuration: Mapping[str, Any]) -> Self:
        return cls(*take_members(configuration, name, "unit", "scale_factor"))

    @classmethod
    def from_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        return cls(*np.datetime_data(dtype)) if dtype.kind == cls.kind else None

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{self.kind}8[{self.scale_factor}{self.unit}]")

    def configuration(self) -> dict[str, Any]:
        return {"unit": self.unit, "scale_factor": self.scale_factor}

    def default_fill_value(self) -> Any:
        return self._scalar(_NOT_A_TIME)

    def cast_fill_value(self, given: Any) -> Any:
        """Return a count of units, ``"NaT"``, or a time as a scalar; nothing is rounded."""
        if isinstance(given, np.ndarray) and given.ndim == 0:
            given = given[()]
        if hasattr(given, "to_numpy"):  # pandas's times, which may have nanoseconds
            given = given.to_numpy()
        is_time = isinstance(given, np.datetime64 | np.timedelta64)
        if np.isnat(given) if is_time else isinstance(given, str) and given == "NaT":
            return self.default_fill_value()
        if isinstance(given, int | np.integer) and not is_time:  # numpy's durations are integers
            return self.decode_fill_value(given if isinstance(given, bool) else int(given))
        if getattr(given, "tzinfo", None) is not None or _has_zone(given):
            raise MetadataError(f"fill_value: {shown(given)} has a time zone; give the time in UTC")
        try:
            time = self._time(given)
            if time is not None and time.dtype == self.dtype:
                return time
            if time is not None and "generic" not in (self.unit, np.datetime_data(time.dtype)[0]):
                found = np.asarray(time).astype(self.dtype, casting="same_kind")
                if found.astype(time.dtype) == time:
                    return found[()]
        except (TypeError, ValueError, OverflowError):
            pass
        raise not_a_value(given, str(self.dtype))

    @abstractmethod
    def _time(self, given: Any) -> Any:
        """Return a time in a unit of its own, or ``None`` if it is not one of this kind."""

    def encode_fill_value(self, value: Any) -> Any:
        count = int(np.asarray(value, self.dtype).view("i8"))
        return "NaT" if count == _NOT_A_TIME else count

    def decode_fill_value(self, value: Any) -> Any:
        if value == "NaT":
            return self.default_fill_value()
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not -(2**63) <= value < 2**63:
            raise not_a_value(value, str(self.dtype))
        return self._scalar(value)

    def _scalar(self, count: int) -> Any:
        return np.array(count, "i8").view(self.dtype)[()]


@dataclass(frozen=True)
class DateTime64(_Time):
    """Moments, as a count of units since 1970 in UTC.

    Parameters
    ----------
    unit : str
        ``Y``, ``M``, ``W``, ``D``, ``h``, ``m``, ``s``, ``ms``, ``us``, ``ns``, ``ps``, ``fs``,
        ``as`` or ``generic``.
    scale_factor : int
        How many of these make one unit.

    Examples
    --------
    >>> DateTime64("s", 10).dtype
    dtype('<M8[10s]')
    """

    name = "numpy.datetime64"
    kind = "M"

    def _time(self, given: Any) -> Any:
        if isinstance(given, str | datetime.date):
            return np.datetime64(given)
        return given if isinstance(given, np.datetime64) else None


@dataclass(frozen=True)
class TimeDelta64(_Time):
    """Durations, as a count of units.

    Parameters
    ----------
    unit : str
        As in `DateTime64`.
    scale_factor : int
        How many of these make one unit.

    Examples
    --------
    >>> TimeDelta64("ms").to_metadata()
    {'name': 'numpy.timedelta64', 'configuration': {'unit': 'ms', 'scale_factor': 1}}
    """

    name = "numpy.timedelta64"
    kind = "m"

    def _time(self, given: Any) -> Any:
        if isinstance(given, datetime.timedelta):
            return np.timedelta64(given)
        return given if isinstance(given, np.timedelta64) else None


def _has_zone(given: Any) -> bool:
    return isinstance(given, str) and _ZONE.search(given) is not None
