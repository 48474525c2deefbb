"""Byte ranges to ask of a value of 1,024 bytes, and what they ask for."""

from __future__ import annotations

from zarrstore.abc import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

RANGES = [
    RangeByteRequest(10, 20),
    RangeByteRequest(1000, 5000),
    RangeByteRequest(5000, 6000),
    OffsetByteRequest(1020),
    OffsetByteRequest(9999),
    SuffixByteRequest(5),
    SuffixByteRequest(9999),
]


def part(value: bytes, request: object) -> bytes:
    if isinstance(request, RangeByteRequest):
        return value[request.start : request.end]
    if isinstance(request, OffsetByteRequest):
        return value[request.offset :]
    assert isinstance(request, SuffixByteRequest)
    return value[-request.suffix :]
