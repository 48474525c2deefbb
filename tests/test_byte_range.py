"""Byte ranges against the slicing of bytes, and what `coalesce` promises."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrstore.byte_range import (
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
    coalesce,
    is_byte_request,
    resolve,
)

NUMBERS = st.integers(0, 40)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: RangeByteRequest(*sorted(pair)))
REQUESTS = st.one_of(
    RANGES, st.builds(OffsetByteRequest, NUMBERS), st.builds(SuffixByteRequest, NUMBERS)
)


def sliced(value: bytes, request) -> bytes:
    if isinstance(request, RangeByteRequest):
        return value[request.start : request.end]
    if isinstance(request, OffsetByteRequest):
        return value[request.offset :]
    return value[max(0, len(value) - request.suffix) :]


@given(REQUESTS, st.binary(max_size=40))
def test_resolve(request, value):
    start, stop = resolve(request, len(value))
    assert 0 <= start <= stop <= len(value)
    assert value[start:stop] == sliced(value, request)


def test_resolve_of_something_else():
    with pytest.raises(TypeError, match="not tuple"):
        resolve((0, 1), 5)
    assert not is_byte_request((0, 1))
    assert is_byte_request(SuffixByteRequest(0))


@pytest.mark.parametrize("value", [-1, 1.0, "1", None, True, False])
@pytest.mark.parametrize("kind", [OffsetByteRequest, SuffixByteRequest])
def test_wrong_numbers(kind, value):
    with pytest.raises(ValueError, match="must be an integer of 0 or more"):
        kind(value)
    with pytest.raises(ValueError, match="must be an integer of 0 or more"):
        RangeByteRequest(value, 5)
    with pytest.raises(ValueError, match="must be an integer of 0 or more"):
        RangeByteRequest(0, value)


def test_end_below_start():
    with pytest.raises(ValueError, match="end must not be below start"):
        RangeByteRequest(2, 1)


def test_values():
    class Index:
        def __index__(self) -> int:
            return 3

    assert RangeByteRequest(Index(), Index()) == RangeByteRequest(3, 3)
    assert type(OffsetByteRequest(Index()).offset) is int
    assert len({RangeByteRequest(1, 2), RangeByteRequest(1, 2), OffsetByteRequest(1)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        OffsetByteRequest(1).offset = 2


@given(st.lists(RANGES, max_size=12), st.integers(0, 10), st.integers(0, 30))
def test_coalesce(ranges, max_gap, max_size):
    groups = coalesce(ranges, max_gap=max_gap, max_size=max_size)
    members = [index for _, indices in groups for index in indices]
    assert sorted(members) == list(range(len(ranges)))
    for span, indices in groups:
        parts = sorted((ranges[index] for index in indices), key=lambda part: part.start)
        assert all(span.start <= part.start and part.end <= span.end for part in parts)
        assert span.start == parts[0].start
        assert span.end == max(part.end for part in parts)
        if len(indices) > 1:
            assert span.end - span.start <= max_size
        end = parts[0].end
        for part in parts[1:]:
            assert part.start - end <= max_gap
            end = max(end, part.end)


def test_coalesce_joins_what_is_near_and_only_that():
    ranges = [RangeByteRequest(0, 2), RangeByteRequest(4, 6), RangeByteRequest(10, 11)]
    assert [members for _, members in coalesce(ranges, max_gap=2)] == [[0, 1], [2]]
    assert [members for _, members in coalesce(ranges, max_gap=4)] == [[0, 1, 2]]
    assert [members for _, members in coalesce(ranges, max_gap=4, max_size=6)] == [[0, 1], [2]]
    assert coalesce([]) == []
