"""The options of arrays that are made of what is saved."""

from __future__ import annotations

from typing import Any, cast

from zarrstore.hierarchy.options import ArrayOptions
from zarrstore.savers.base import NDArray

__all__ = ["options_for"]


def options_for(values: NDArray, options: ArrayOptions, version: int) -> ArrayOptions:
    """Return the options of an array that is created for values in a version of the format."""
    given: Any = dict(options)
    if version == 3 and "compressor" in given:
        if "compressors" in given:
            raise ValueError("compressor and compressors are the same; give one of them")
        given["compressors"] = given.pop("compressor")
    if given.get("dtype") is None:
        given["dtype"] = "bytes" if values.dtype.kind == "O" else values.dtype
    return cast("ArrayOptions", given)
