"""`get_each` and `set_each`."""

from __future__ import annotations

from mutants.base import Sound, found_by


@found_by("get_each_keeps_the_order", in_zarr=False)
class EachWithoutTheMissing(Sound):
    def _get_each(self, keys, receive):
        for index, key in enumerate(keys):
            if key in self.data:
                receive(index, self.data[key])


@found_by("get_each_values_are_whole", in_zarr=False)
class EachInOneRoom(Sound):
    def _get_each(self, keys, receive):
        room = bytearray(4_000_000)
        found = []
        for key in keys:
            value = self.data.get(key)
            room[: len(value or b"")] = value or b""
            found.append(None if value is None else memoryview(room).toreadonly()[: len(value)])
        for index, value in enumerate(found):
            receive(index, value)


@found_by("get_each_passes_errors_on", in_zarr=False)
class EachTriesAgain(Sound):
    def _get_each(self, keys, receive):
        for index, key in enumerate(keys):
            try:
                receive(index, self.data.get(key))
            except OSError:
                receive(index, self._get(key))


@found_by("set_each_takes_one_at_a_time", "set_each_stops_at_an_error", in_zarr=False)
class EachTakesAllFirst(Sound):
    _takes_views = True

    def _set_each(self, items):
        for key, value in list(items):
            self._set(key, value)

    def _set(self, key, value):
        return super()._set(key, bytes(value))


@found_by("set_each_read_only_takes_nothing", in_zarr=False)
class EachAsksLate(Sound):
    async def set_each(self, items):
        for key, value in items:
            await self.set(key, value)


@found_by("set_each_writes_all", in_zarr=False)
class EachKeyOnce(Sound):
    def _set_each(self, items):
        written = set()
        for key, value in items:
            if key not in written:
                self._set(key, value)
            written.add(key)
