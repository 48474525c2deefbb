"""Byte ranges: what is answered at the edges of a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zarrstore.abc import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import Face
from zarrstore_testing.log import shown

VALUE = bytes(range(10))
_HUGE = 2**40


async def _answers(face: Face, value: bytes, cases: list[tuple[Any, bytes]]) -> None:
    """Ask for parts of one value in each of the ways there are."""
    await face.seed({"a/v": value})
    for request, wanted in cases:
        await face.gives(wanted, "get", "a/v", request)
        await face.gives([wanted], "get_ranges", "a/v", [request])
        await face.gives([wanted], "get_many", [("a/v", request)])
        buffer = bytearray(b"\xee" * (len(wanted) + 2))
        await face.gives(len(wanted), "get_into", "a/v", buffer, request)
        if buffer != wanted + b"\xee\xee":
            raise Failed(
                f"get_into('a/v', buffer, {shown(request)}) should have written {wanted!r} to the "
                f"start of the buffer and nothing after it, and left {bytes(buffer)!r}"
            )
    requests = [request for request, _ in cases]
    await face.gives([wanted for _, wanted in cases], "get_ranges", "a/v", requests)


@behaviour("RangeByteRequest(start, end) is half-open", reads_only=True)
async def range_inside(face: Face) -> None:
    spans = [(0, 1), (0, 10), (3, 7), (9, 10), (1, 9)]
    await _answers(face, VALUE, [(RangeByteRequest(i, j), VALUE[i:j]) for i, j in spans])


@behaviour("a range that ends past the end is clamped to what exists", reads_only=True)
async def range_is_clamped(face: Face) -> None:
    spans = [(0, 11), (5, 100), (9, 11), (0, _HUGE), (9, _HUGE)]
    await _answers(face, VALUE, [(RangeByteRequest(i, j), VALUE[i:]) for i, j in spans])


@behaviour("a range that starts at or past the end is b''", reads_only=True)
async def range_past_the_end_is_empty(face: Face) -> None:
    spans = [(10, 11), (10, _HUGE), (11, 20), (1000, 1001), (_HUGE, _HUGE + 1)]
    await _answers(face, VALUE, [(RangeByteRequest(i, j), b"") for i, j in spans])


@behaviour("a range of zero length is b'', wherever it is", reads_only=True)
async def range_of_zero_length_is_empty(face: Face) -> None:
    places = [0, 5, 9, 10, 11, _HUGE]
    await _answers(face, VALUE, [(RangeByteRequest(i, i), b"") for i in places])


@behaviour(
    "OffsetByteRequest(offset) is the rest of the value; b'' at or past the end", reads_only=True
)
async def offset_is_the_rest(face: Face) -> None:
    offsets = [0, 1, 9, 10, 11, _HUGE]
    await _answers(face, VALUE, [(OffsetByteRequest(i), VALUE[i:]) for i in offsets])


@behaviour(
    "SuffixByteRequest(n) is the last n bytes; 0 is b'', more than there are is all",
    reads_only=True,
)
async def suffix_is_the_end(face: Face) -> None:
    wanted = [(0, b""), (1, VALUE[-1:]), (9, VALUE[1:]), (10, VALUE), (11, VALUE), (_HUGE, VALUE)]
    await _answers(face, VALUE, [(SuffixByteRequest(n), part) for n, part in wanted])


@behaviour("any range of an empty value is b''", reads_only=True)
async def ranges_of_an_empty_value(face: Face) -> None:
    requests = [RangeByteRequest(0, 0), RangeByteRequest(0, 5), RangeByteRequest(3, 5)]
    others = [
        OffsetByteRequest(0),
        OffsetByteRequest(3),
        SuffixByteRequest(0),
        SuffixByteRequest(4),
    ]
    await _answers(face, b"", [(request, b"") for request in [*requests, *others]])


@behaviour("any range of a missing key is None", reads_only=True)
async def ranges_of_a_missing_key(face: Face) -> None:
    await face.seed({"a/other": VALUE})
    for request in (
        RangeByteRequest(0, 5),
        RangeByteRequest(0, 0),
        OffsetByteRequest(0),
        OffsetByteRequest(100),
        SuffixByteRequest(0),
        SuffixByteRequest(4),
    ):
        for key in ("a/missing", "missing", "a/other/below", "a"):
            await face.gives(None, "get", key, request)
            await face.gives(None, "get_ranges", key, [request, request])
            await face.gives([None], "get_many", [(key, request)])
            await face.gives(None, "get_into", key, bytearray(9), request)


@behaviour(
    "what is not a byte range raises TypeError from every method that takes one", reads_only=True
)
async def wrong_ranges_raise(face: Face) -> None:
    await face.seed({"a": VALUE})
    for wrong in ((0, 5), slice(0, 5), range(5), 5, "0-5"):
        await face.raises(TypeError, "get_ranges", "a", [wrong])
        await face.raises(TypeError, "get_many", [("a", wrong)])
        await face.raises(TypeError, "get_into", "a", bytearray(9), wrong)
    await face.raises(TypeError, "get_ranges", "a", [None])
    await face.raises(TypeError, "get_many", [1])


@behaviour(
    "a negative number, end < start or a non-integer raises ValueError, when it is built",
    reads_only=True,
)
def wrong_numbers_raise(_: Case, __: Store) -> None:
    wrong: list[tuple[Callable[..., object], tuple[Any, ...]]] = [
        (RangeByteRequest, (-1, 5)),
        (RangeByteRequest, (0, -1)),
        (RangeByteRequest, (5, 4)),
        (RangeByteRequest, (0.0, 5)),
        (RangeByteRequest, (0, "5")),
        (RangeByteRequest, (None, 5)),
        (RangeByteRequest, (0, None)),
    ]
    for number in (-1, 1.5, "1", None):
        wrong += [(OffsetByteRequest, (number,)), (SuffixByteRequest, (number,))]
    for kind, arguments in wrong:
        try:
            found = kind(*arguments)
        except ValueError:
            continue
        raise Failed(f"{found!r} should have raised ValueError")


@behaviour(
    "get_ranges answers in the order asked: overlapping, repeated, far apart, all kinds",
    reads_only=True,
)
async def ranges_keep_their_order(face: Face) -> None:
    value = (bytes(range(251)) * 1196)[: face.size(300_000)]
    await face.seed({"big": value})
    asked: list[tuple[Any, bytes]] = [
        (RangeByteRequest(290_000, 290_010), value[290_000:290_010]),
        (RangeByteRequest(0, 10), value[:10]),
        (RangeByteRequest(5, 15), value[5:15]),
        (SuffixByteRequest(7), value[-7:]),
        (RangeByteRequest(0, 10), value[:10]),
        (RangeByteRequest(299_995, 300_100), value[299_995:]),
        (OffsetByteRequest(299_990), value[299_990:]),
        (RangeByteRequest(400_000, 400_010), b""),
        (RangeByteRequest(70_000, 200_000), value[70_000:200_000]),
        (RangeByteRequest(100_000, 100_000), b""),
        (RangeByteRequest(150_000, 150_001), value[150_000:150_001]),
    ]
    await face.gives([part for _, part in asked], "get_ranges", "big", [r for r, _ in asked])
    many = [(RangeByteRequest(i, i + 3), value[i : i + 3]) for i in range(60_000, 0, -293)]
    await face.gives([part for _, part in many], "get_ranges", "big", [r for r, _ in many])


@behaviour(
    "get_ranges of no ranges is [], and None if the key is missing; any iterable will do",
    reads_only=True,
)
async def ranges_may_be_none(face: Face) -> None:
    await face.seed({"a": VALUE})
    await face.gives([], "get_ranges", "a", [])
    await face.gives(None, "get_ranges", "missing", [])
    await face.gives([VALUE[:2]], "get_ranges", "a", iter([RangeByteRequest(0, 2)]))
