"""Byte ranges: what is asked of a value, and how it is answered at its edges.

A request is clamped to what exists: past the end is cut, a start at or past the end, a zero
length and a suffix of 0 give ``b""``, a suffix longer than the value gives all of it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ByteRequest",
    "OffsetByteRequest",
    "RangeByteRequest",
    "SuffixByteRequest",
    "coalesce",
    "is_byte_request",
    "resolve",
]


def _count(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of 0 or more, not {value!r}")
    return number


@dataclass(frozen=True, slots=True)
class RangeByteRequest:
    """The bytes from ``start`` up to, not including, ``end``.

    Raises
    ------
    ValueError
        If either is negative or not an integer, or ``end < start``.

    Examples
    --------
    >>> resolve(RangeByteRequest(2, 100), size=5)
    (2, 5)
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if type(self.start) is type(self.end) is int and 0 <= self.start <= self.end:
            return  # as it mostly is, and there may be thousands
        object.__setattr__(self, "start", _count("start", self.start))
        object.__setattr__(self, "end", _count("end", self.end))
        if self.end < self.start:
            raise ValueError(f"end must not be below start: start={self.start}, end={self.end}")


@dataclass(frozen=True, slots=True)
class OffsetByteRequest:
    """The bytes from ``offset`` to the end of the value.

    Examples
    --------
    >>> resolve(OffsetByteRequest(2), size=5)
    (2, 5)
    """

    offset: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", _count("offset", self.offset))


@dataclass(frozen=True, slots=True)
class SuffixByteRequest:
    """The last ``suffix`` bytes of the value.

    Examples
    --------
    >>> resolve(SuffixByteRequest(2), size=5)
    (3, 5)
    """

    suffix: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "suffix", _count("suffix", self.suffix))


ByteRequest: TypeAlias = RangeByteRequest | OffsetByteRequest | SuffixByteRequest
_KINDS = (RangeByteRequest, OffsetByteRequest, SuffixByteRequest)


def is_byte_request(value: object) -> bool:
    """Tell whether a value is one of the three kinds of request."""
    return isinstance(value, _KINDS)


def resolve(request: ByteRequest, size: int) -> tuple[int, int]:
    """Return the half-open range ``(start, stop)`` that answers a request on ``size`` bytes.

    Always ``0 <= start <= stop <= size``.
    """
    if isinstance(request, RangeByteRequest):
        if request.end <= size:
            return request.start, request.end
        start, stop = request.start, request.end
    elif isinstance(request, OffsetByteRequest):
        start, stop = request.offset, size
    elif isinstance(request, SuffixByteRequest):
        start, stop = max(0, size - request.suffix), size
    else:
        raise TypeError(
            "a byte range is a RangeByteRequest, OffsetByteRequest or SuffixByteRequest, "
            f"not {type(request).__name__}"
        )
    start = min(start, size)
    return start, max(start, min(stop, size))


def coalesce(
    ranges: Sequence[RangeByteRequest], *, max_gap: int = 64 * 1024, max_size: int = 16 * 2**20
) -> list[tuple[RangeByteRequest, list[int]]]:
    """Group near ranges so that each group is read in one request.

    Parameters
    ----------
    ranges : sequence of RangeByteRequest
        In any order; they may overlap.
    max_gap : int
        Two ranges at most this many bytes apart are read together.
    max_size : int
        A group grows no longer than this many bytes, unless one range alone is longer.

    Returns
    -------
    list of (RangeByteRequest, list of int)
        The range to read, and the indices of the requests that lie in it.

    Examples
    --------
    >>> coalesce([RangeByteRequest(8, 9), RangeByteRequest(0, 4)], max_gap=4)
    [(RangeByteRequest(start=0, end=9), [1, 0])]
    """
    groups: list[tuple[RangeByteRequest, list[int]]] = []
    for index in sorted(range(len(ranges)), key=lambda i: ranges[i].start):
        wanted = ranges[index]
        if groups:
            span, members = groups[-1]
            end = max(span.end, wanted.end)
            if wanted.start - span.end <= max_gap and end - span.start <= max_size:
                members.append(index)
                groups[-1] = RangeByteRequest(span.start, end), members
                continue
        groups.append((wanted, [index]))
    return groups
