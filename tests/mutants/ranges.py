"""The edges of byte ranges."""

from __future__ import annotations

from mutants.base import Sound, found_by
from zarrstore.byte_range import RangeByteRequest, SuffixByteRequest, resolve


@found_by("range_is_clamped")
class PadsRanges(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(byte_range, RangeByteRequest):
            size = min(byte_range.end - byte_range.start, 10**6)
            return value[byte_range.start : byte_range.end].ljust(size, b"\0")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("suffix_is_the_end")
class SuffixOfZeroIsAll(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(byte_range, SuffixByteRequest):
            return value[-byte_range.suffix :]
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("range_past_the_end_is_empty", "offset_is_the_rest")
class RaisesPastTheEnd(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        if getattr(byte_range, "start", getattr(byte_range, "offset", 0)) > len(value):
            raise OSError("416 Range Not Satisfiable")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("ranges_of_a_missing_key")
class RangeOfMissingIsEmpty(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key, b"")
        start, stop = resolve(byte_range, len(value))
        return value[start:stop]


@found_by("ranges_keep_their_order")
class RangesInFileOrder(Sound):
    def _get_ranges(self, key, byte_ranges):
        value = self.data.get(key)
        if value is None:
            return None
        spans = sorted(resolve(request, len(value)) for request in byte_ranges)
        return [value[start:stop] for start, stop in spans]


def span(part, value):
    return (0, len(value)) if part is None else resolve(part, len(value))


def _cut(self, key, byte_range, part):
    """Answer as it should be, but where ``part`` gives something else."""
    value = self.data.get(key)
    if value is None:
        return None
    start, stop = resolve(byte_range, len(value))
    other = part(value, byte_range)
    return value[start:stop] if other is None else other


@found_by("range_inside")
class EndIsInclusive(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            if isinstance(request, RangeByteRequest) and request.start < request.end:
                return value[request.start : request.end + 1]
            return None

        return _cut(self, key, byte_range, part)


@found_by("suffix_is_the_end")
class LongSuffixIsEmpty(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            long = isinstance(request, SuffixByteRequest) and request.suffix > len(value)
            return b"" if long else None

        return _cut(self, key, byte_range, part)


@found_by("suffix_is_the_end")
class SuffixIsAnOffset(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            return value[request.suffix :] if isinstance(request, SuffixByteRequest) else None

        return _cut(self, key, byte_range, part)


@found_by("range_past_the_end_is_empty", "offset_is_the_rest")
class RaisesAtTheEnd(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            if getattr(request, "start", getattr(request, "offset", -1)) == len(value) > 0:
                raise OSError("416 Range Not Satisfiable")

        return _cut(self, key, byte_range, part)


@found_by("range_of_zero_length_is_empty")
class ZeroLengthIsAll(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            return value if getattr(request, "end", -1) == getattr(request, "start", 0) else None

        return _cut(self, key, byte_range, part)


@found_by("offset_is_the_rest")
class OffsetIsALength(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            return value[: request.offset] if hasattr(request, "offset") else None

        return _cut(self, key, byte_range, part)


@found_by("ranges_of_an_empty_value")
class EmptyValueHasNoRanges(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            if not value:
                raise OSError("416 Range Not Satisfiable")

        return _cut(self, key, byte_range, part)


@found_by("range_is_clamped", "suffix_is_the_end")
class CountsIn32Bits(Sound):
    def _get_range(self, key, byte_range):
        def part(value, request):
            end = getattr(request, "end", getattr(request, "suffix", 0))
            return b"" if end >= 1 << 32 and not getattr(request, "start", 0) else None

        return _cut(self, key, byte_range, part)


@found_by("ranges_of_a_missing_key", "ranges_may_be_none", in_zarr=False)
class RangesOfMissingAreAList(Sound):
    async def get_ranges(self, key, byte_ranges):
        requests = list(byte_ranges)
        return await super().get_ranges(key, requests) or [b""] * len(requests)


@found_by("range_inside", "get_many_takes_ranges")
class ManyForgetsRanges(Sound):
    def _get_many(self, requests):
        return [self.data.get(key) for key, _ in requests]


@found_by("ranges_of_a_missing_key", "get_many_keeps_the_order")
class ManyLeavesOutTheMissing(Sound):
    def _get_many(self, requests):
        found = [(self.data.get(key), part) for key, part in requests]
        return [value[slice(*span(part, value))] for value, part in found if value is not None]


@found_by("range_inside", "get_into_fills_a_buffer", in_zarr=False)
class IntoClearsTheRest(Sound):
    def _get_into(self, key, buffer, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        start, stop = span(byte_range, value)
        if stop - start <= buffer.nbytes:
            buffer[:] = value[start:stop].ljust(buffer.nbytes, b"\0")
        return stop - start


@found_by("ranges_of_a_missing_key", "get_into_fills_a_buffer", in_zarr=False)
class IntoOfMissingIsZero(Sound):
    def _get_into(self, key, buffer, byte_range):
        value = self.data.get(key, b"")
        start, stop = span(byte_range, value)
        if stop - start <= buffer.nbytes:
            buffer[: stop - start] = value[start:stop]
        return stop - start


@found_by("range_inside", "get_into_a_small_buffer", in_zarr=False)
class IntoIgnoresTheRange(Sound):
    def _get_into(self, key, buffer, byte_range):
        value = self.data.get(key)
        if value is not None:
            buffer[: len(value)] = value[: buffer.nbytes]
        return None if value is None else len(value)


@found_by("ranges_keep_their_order")
class OverlapsAreCutOff(Sound):
    def _get_ranges(self, key, byte_ranges):
        value = self.data.get(key)
        if value is None:
            return None
        parts, done = [], 0
        for request in byte_ranges:
            start, stop = resolve(request, len(value))
            parts.append(value[max(start, done if start < done < stop else 0) : stop])
            done = stop
        return parts


@found_by("wrong_ranges_raise", in_zarr=False)
class TakesPairsForRanges(Sound):
    async def get_ranges(self, key, byte_ranges):
        return await super().get_ranges(
            key,
            [RangeByteRequest(*each) if isinstance(each, tuple) else each for each in byte_ranges],
        )
