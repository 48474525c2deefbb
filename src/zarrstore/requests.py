"""Checks of what reading is asked for, and of what hooks return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zarrstore.byte_range import ByteRequest, is_byte_request, resolve
from zarrstore.operations import Buffer

__all__ = [
    "check_byte_range",
    "checked_ranges",
    "frozen",
    "pair_of",
    "part_of",
    "writable_view",
]


def frozen(value: Any) -> Buffer | None:
    """Return what a hook read as something that nobody can change."""
    if value is None or type(value) is bytes:
        return value
    if type(value) is memoryview and value.readonly and value.format == "B" and value.ndim == 1:
        return value
    return memoryview(value).tobytes()  # bytes() takes a number, or an array of one, for a length


def check_byte_range(byte_range: object) -> None:
    if not is_byte_request(byte_range):
        raise TypeError(
            "a byte range is a RangeByteRequest, OffsetByteRequest or SuffixByteRequest, "
            f"not {byte_range!r}"
        )


def checked_ranges(byte_ranges: Iterable[ByteRequest]) -> list[ByteRequest]:
    requests = list(byte_ranges)
    for request in requests:
        check_byte_range(request)
    return requests


def pair_of(item: object) -> tuple[str, ByteRequest | None]:
    if isinstance(item, tuple) and len(item) == 2:
        return item
    raise TypeError(f"a request is a key or a (key, byte range) pair, not {item!r}")


def part_of(value: Buffer, byte_range: ByteRequest) -> Buffer:
    start, stop = resolve(byte_range, len(value))
    return value[start:stop]


def writable_view(buffer: Any) -> memoryview:
    if (
        type(buffer) is memoryview
        and buffer.format == "B"
        and buffer.ndim == 1
        and buffer.c_contiguous
        and not buffer.readonly
    ):
        return buffer
    try:
        view = memoryview(buffer)
    except (TypeError, ValueError):
        view = None
    if view is None or view.readonly or not view.c_contiguous:
        raise TypeError(
            "get_into needs a writable, C-contiguous buffer (bytearray, memoryview, numpy "
            f"array), not {type(buffer).__name__}"
            + ("" if view is None else " that is read-only or has another memory order")
        )
    return view.cast("B") if view.nbytes else memoryview(bytearray())
