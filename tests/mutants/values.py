"""What is read is not what was written."""

from __future__ import annotations

import hashlib

from mutants.base import Sound, found_by
from mutants.ranges import span
from zarrstore.abc import Stat


@found_by("overwriting_replaces")
class NoTruncation(Sound):
    def _set(self, key, value):
        return super()._set(key, value + self.data.get(key, b"")[len(value) :])


@found_by("input_is_copied")
class KeepsTheCallersBuffer(Sound):
    _takes_views = True

    def _get(self, key):
        value = self.data.get(key)
        return None if value is None else bytes(value)


@found_by("buffers_are_stable")
class OneBufferForAll(Sound):
    def _get(self, key):
        if (value := self.data.get(key)) is None:
            return None
        self.__dict__.setdefault("buffer", bytearray(2_000_000))[: len(value)] = value
        return memoryview(self.buffer).toreadonly()[: len(value)]


@found_by("stat_knows_the_size")
class StatOfAnotherVersion(Sound):
    def _stat(self, key):
        value = self.data.get(key)
        return None if value is None else Stat(len(value), hashlib.sha256(value).hexdigest())


@found_by("getsize_is_in_bytes")
class SizeInItems(Sound):
    def _stat(self, key):
        stat = super()._stat(key)
        return stat and Stat(stat.size // 8, stat.version)


@found_by("set_many_writes_all")
class FirstHundredOnly(Sound):
    def _set_many(self, items):
        for key, value in list(items)[:100]:
            self._set(key, value)


@found_by("get_many_keeps_the_order")
class ManyWithoutRepeats(Sound):
    def _get_many(self, requests):
        return [
            None if (value := self.data.get(key)) is None else value[slice(*span(part, value))]
            for key, part in dict.fromkeys(requests)
        ]


@found_by("get_into_a_small_buffer")
class ReturnsWhatFits(Sound):
    def _get_into(self, key, buffer, byte_range):
        value = self.data.get(key)
        if value is None:
            return None
        start, stop = span(byte_range, value)
        count = min(stop - start, buffer.nbytes)
        buffer[:count] = value[start : start + count]
        return count


@found_by("overwriting_replaces")
class AppendsInsteadOfReplacing(Sound):
    def _set(self, key, value):
        return super()._set(key, self.data.get(key, b"") + value)


@found_by("big_values_are_whole")
class CutsBigValues(Sound):
    def _set(self, key, value):
        return super()._set(key, value[: 1 << 20])


@found_by("buffers_are_stable")
class SharesWhatItHolds(Sound):
    def _get(self, key):
        value = self.data.get(key)
        return None if value is None else memoryview(value).toreadonly()[: self.sizes[key]]

    def _stat(self, key):
        stat = super()._stat(key)
        return stat and Stat(self.sizes[key], stat.version)

    def _set(self, key, value):
        held = self.data.get(key, bytearray())
        held = held if len(held) >= len(value) else bytearray(len(value))
        held[: len(value)] = value
        self.__dict__.setdefault("sizes", {})[key] = len(value)
        return super()._set(key, held)


@found_by("values_of_every_kind", "overwriting_replaces")
class EmptyIsMissing(Sound):
    def _get(self, key):
        return self.data.get(key) or None


@found_by("buffers_are_read_only", in_zarr=False)
class GivesBuffersThatChange(Sound):
    async def get(self, key, byte_range=None):
        value = await super().get(key, byte_range)
        return None if value is None else bytearray(value)


@found_by("wrong_values_raise")
class TakesText(Sound):
    async def set(self, key, value, *, expect=None):
        value = value.encode() if isinstance(value, str) else value
        return await super().set(key, value, expect=expect)


@found_by("wrong_values_raise", in_zarr=False)
class CopiesStridedBuffers(Sound):
    async def set(self, key, value, *, expect=None):
        if isinstance(value, memoryview):
            value = value.tobytes()
        return await super().set(key, value, expect=expect)


@found_by("version_changes_with_the_value", "version_is_honoured", in_zarr=False)
class VersionStays(Sound):
    def _set(self, key, value):
        with self.lock:
            self.data[key] = value
            return self.versions.setdefault(key, "1")


@found_by("set_returns_a_version", in_zarr=False)
class ReturnsTrueForAVersion(Sound):
    def _set(self, key, value):
        super()._set(key, value)
        return True


@found_by("overwriting_replaces", "writes_are_seen_at_once")
class WritesBehind(Sound):
    def _set(self, key, value):
        with self.lock:
            waiting = self.__dict__.setdefault("waiting", [])
            waiting.append((key, value))
            if len(waiting) > 1 or key not in self.data:
                for each in waiting:
                    super()._set(*each)
                waiting.clear()


@found_by("values_of_every_kind")
class StripsTrailingZeros(Sound):
    def _set(self, key, value):
        return super()._set(key, value.rstrip(b"\0"))


@found_by("values_of_every_kind")
class KeepsText(Sound):
    def _set(self, key, value):
        return super()._set(key, value.decode(errors="replace").encode())


@found_by("set_many_writes_all")
class FirstOfAKeyCounts(Sound):
    async def set_many(self, items):
        await super().set_many(dict(reversed(list(dict_items(items)))))


def dict_items(items):
    return items.items() if hasattr(items, "items") else items
