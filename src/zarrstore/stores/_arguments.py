"""Checks of what options are, which name the option: it may come from ``storage_options``."""

from __future__ import annotations

import importlib.util
import math
import operator
from typing import Any

from zarrstore.errors import StoreURLError

__all__ = ["check_installed", "checked_flag", "checked_number", "checked_seconds"]


def check_installed(package: str, extra: str, url: str) -> None:
    """Raise unless the package is there that a URL needs.

    Parameters
    ----------
    package : str
    extra : str
        Of this package, that installs it.
    url : str
        Credentials redacted.

    Raises
    ------
    StoreURLError
    """
    if importlib.util.find_spec(package) is None:
        raise StoreURLError(
            f"to open {url!r} needs a package that is not installed: "
            f"pip install 'zarrstore[{extra}]'",
            store=url,
        )


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
