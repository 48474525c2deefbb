"""Conditional writes that are none."""

from __future__ import annotations

import time

from mutants.base import Sound, found_by
from zarrstore.abc import ABSENT
from zarrstore.errors import ConflictError


@found_by("one_creator_wins", "one_set_if_not_exists_wins", "one_swapper_wins")
class ChecksThenWrites(Sound):
    def _set_if(self, key, value, expect):
        stat = self._stat(key)
        found = stat and stat.version
        if found != (None if expect is ABSENT else expect):
            raise self._conflict(key, expect, found)
        return self._set(key, value)


@found_by("version_is_honoured", "stale_versions_conflict")
class AcceptsAnyVersion(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT:
                return super()._set_if(key, value, expect)
            return self._set(key, value)


@found_by("absent_is_honoured")
class EmptyIsAbsent(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT and not self.data.get(key):
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("version_after_delete")
class CountsFromOneAgain(Sound):
    def _set(self, key, value):
        with self.lock:
            self.data[key] = value
            self.versions[key] = str(int(self.versions.get(key, 0)) + 1)
            return self.versions[key]

    def _delete(self, key):
        with self.lock:
            self.data.pop(key, None)
            self.versions.pop(key, None)


@found_by("set_if_not_exists_tells", "absent_is_honoured")
class CreateOverwrites(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT:
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("set_if_not_exists_tells")
class SaysItWrote(Sound):
    async def set_if_not_exists(self, key, value):
        await super().set_if_not_exists(key, value)
        return True


@found_by("absent_is_honoured", "version_is_honoured", in_zarr=False)
class ConflictIsSilent(Sound):
    def _set_if(self, key, value, expect):
        try:
            return super()._set_if(key, value, expect)
        except ConflictError:
            return None


@found_by("stale_versions_conflict", "version_is_honoured", in_zarr=False)
class AcceptsOldVersions(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            known = expect is not ABSENT and key in self.data and expect.isdecimal()
            if known and int(expect) <= int(self.versions[key]):
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("version_after_delete", in_zarr=False)
class AcceptsTheVersionOfADeletedKey(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is not ABSENT and self.versions.get(key) == expect:
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("one_creator_wins", "one_set_if_not_exists_wins")
class CreatesInTwoSteps(Sound):
    def _set_if(self, key, value, expect):
        if expect is not ABSENT:
            return super()._set_if(key, value, expect)
        if self._stat(key) is not None:
            raise self._conflict(key, expect, None)
        return self._set(key, value)


@found_by("absent_after_delete")
class DeletedIsNotAbsent(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT and key in self.versions:
                raise self._conflict(key, expect, self.versions[key])
            return super()._set_if(key, value, expect)


@found_by("absent_is_honoured", in_zarr=False)
class RaisesFileExistsError(Sound):
    def _set_if(self, key, value, expect):
        try:
            return super()._set_if(key, value, expect)
        except ConflictError as error:
            raise FileExistsError(key) from error


@found_by("unknown_versions_conflict", in_zarr=False)
class MissingKeyHasAnyVersion(Sound):
    def _set_if(self, key, value, expect):
        with self.lock:
            if key not in self.data:
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("version_is_honoured", in_zarr=False)
class ConflictSaysNothing(Sound):
    def _set_if(self, key, value, expect):
        try:
            return super()._set_if(key, value, expect)
        except ConflictError as error:
            raise ConflictError(str(error), key=key) from None


@found_by("no_update_is_lost", in_zarr=False)
class ReturnsTheVersionOfALaterWrite(Sound):
    def _set_if(self, key, value, expect):
        super()._set_if(key, value, expect)
        time.sleep(0.0005)  # a second request
        stat = self._stat(key)
        return stat and stat.version
