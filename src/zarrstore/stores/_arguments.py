"""Checks of what options are, which name the option: it may come from ``storage_options``."""

from __future__ import annotations

import math
import operator
from typing import Any

__all__ = ["checked_flag", "checked_number", "checked_seconds"]


def checked_flag(name: str, value: Any) -> bool:
    """Return an option that is true or false: ``"no"`` is neither.

    Raises
    ------
    TypeError

    Examples
    --------
    >>> checked_flag("durable", True)
    True
    """
    try:
        if value in (0, 1):
            return bool(value)
    except ValueError:  # an array
        pass
    raise TypeError(f"{name} is True or False, not {value!r}")


def checked_number(name: str, value: Any, least: int = 0) -> int:
    """Return an option that is a whole number.

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> checked_number("port", 6379)
    6379
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} is {least} or more, not {number}")
    return number


def checked_seconds(name: str, value: Any) -> float:
    """Return an option that is a time in seconds.

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> checked_seconds("timeout", 30)
    30.0
    """
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{name} is a finite number of seconds, 0 or more, not {value!r}")
    return seconds
