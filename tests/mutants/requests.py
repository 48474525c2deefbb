"""Stores that ask their backend for more than they need."""

from __future__ import annotations

from mutants.base import Sound, found_by
from zarrstore.abc import Stat


@found_by("stat_reads_no_value", in_zarr=False)
class StatReadsTheValue(Sound):
    def _stat(self, key):
        value = self._get(key)
        return None if value is None else Stat(len(value), self.versions[key])


@found_by("stat_reads_no_value", in_zarr=False)
class StatCopiesTheValue(Sound):
    def _stat(self, key):
        value = self.data.get(key)
        return None if value is None else Stat(len(bytearray(value)), self.versions[key])


@found_by("stat_reads_no_value", in_zarr=False)
class ExistsReadsTheValue(Sound):
    def _exists(self, key):
        return self._get(key) is not None


@found_by("listing_asks_for_no_key", in_zarr=False)
class ListingAsksForEachKey(Sound):
    def _list(self, prefix):
        return [key for key in super()._list(prefix) if self._stat(key)]


@found_by("listing_asks_for_no_key", in_zarr=False)
class ListingReadsEachKey(Sound):
    def _list(self, prefix):
        return [key for key in super()._list(prefix) if self._get(key) is not None]


@found_by("listing_asks_for_no_key", in_zarr=False)
class ChildrenAreAskedFor(Sound):
    def _list_dir(self, prefix):
        names = {key[len(prefix) :].partition("/")[0] for key in super()._list(prefix)}
        return [name for name in names if self._stat(prefix + name) or name]


@found_by("is_empty_stops_at_the_first", in_zarr=False)
class EmptyListsAll(Sound):
    def _list(self, prefix):
        yield from super()._list(prefix)

    def _is_empty(self, prefix):
        return not sum(1 for _ in self._list(prefix))


@found_by("getsize_prefix_reads_no_value", in_zarr=False)
class SizeReadsEachValue(Sound):
    def _getsize_prefix(self, prefix):
        return sum(len(self._get(key) or b"") for key in self._list(prefix))


@found_by("near_ranges_are_one_read", in_zarr=False)
class EachRangeIsARead(Sound):
    def _get_range(self, key, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        size = len(value)
        start = getattr(byte_range, "start", getattr(byte_range, "offset", None))
        if start is None:
            return value[max(0, size - byte_range.suffix) :]
        return value[start : getattr(byte_range, "end", size)]

    def _get_ranges(self, key, byte_ranges):
        parts = [self._get_range(key, each) for each in byte_ranges]
        return None if None in parts else parts
