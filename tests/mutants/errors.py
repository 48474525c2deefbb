"""Errors of the backend that are taken for "missing", or for done."""

from __future__ import annotations

import contextlib

from zarrstore_testing import Options

from mutants.base import Sound, found_by
from zarrstore.abc import Stat


class Disk(dict):
    """A dict that can fail as a disk or a network does."""

    fails = False

    def ask(self):
        if self.fails:
            raise OSError(5, "Input/output error")
        return self


class OnDisk(Sound):
    """A sound store on something that can fail."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.data = Disk()

    def _get(self, key):
        return self.data.ask().get(key)

    def _stat(self, key):
        self.data.ask()
        return super()._stat(key)

    def _set(self, key, value):
        self.data.ask()
        return super()._set(key, value)

    def _delete(self, key):
        self.data.ask()
        super()._delete(key)

    def _list(self, prefix):
        self.data.ask()
        return super()._list(prefix)


@contextlib.contextmanager
def failing(store):
    store.data.fails = True
    try:
        yield
    finally:
        store.data.fails = False


WITH_FAILURES = Options(failing=failing)


def found_when_it_fails(cls):
    return found_by("errors_are_not_missing", options=WITH_FAILURES, in_zarr=False)(cls)


def not_done_when_it_fails(cls):
    return found_by("failed_changes_are_told", options=WITH_FAILURES, in_zarr=False)(cls)


@found_when_it_fails
class ErrorIsMissing(OnDisk):
    def _get(self, key):
        try:
            return super()._get(key)
        except OSError:
            return None


@found_when_it_fails
class ErrorIsEmpty(OnDisk):
    def _get(self, key):
        try:
            return super()._get(key)
        except OSError:
            return b""


@found_when_it_fails
class ErrorIsNotThere(OnDisk):
    def _exists(self, key):
        try:
            return super()._stat(key) is not None
        except OSError:
            return False


@found_when_it_fails
class ErrorIsAnEmptyListing(OnDisk):
    def _list(self, prefix):
        with contextlib.suppress(OSError):
            yield from super()._list(prefix)


@found_when_it_fails
class ErrorIsAnEmptyDirectory(OnDisk):
    def _list_dir(self, prefix):
        try:
            return {key[len(prefix) :].partition("/")[0] for key in super()._list(prefix)}
        except OSError:
            return []


@found_when_it_fails
class ErrorsAmongManyAreNone(OnDisk):
    async def get_many(self, requests):
        try:
            return await super().get_many(requests)
        except OSError:
            return [None for _ in requests]


@found_when_it_fails
class ErrorIsSizeZero(OnDisk):
    def _stat(self, key):
        try:
            return super()._stat(key)
        except OSError:
            return Stat(0)


@found_when_it_fails
class ErrorOfAPartIsMissing(OnDisk):
    def _get_range(self, key, byte_range):
        with contextlib.suppress(OSError):
            value = self._get(key)
            if value is not None:
                start = getattr(byte_range, "start", getattr(byte_range, "offset", 0))
                return value[start : getattr(byte_range, "end", None)]
        return None


@not_done_when_it_fails
class FailedWriteIsSilent(OnDisk):
    def _set(self, key, value):
        with contextlib.suppress(OSError):
            return super()._set(key, value)


@not_done_when_it_fails
class FailedDeletionIsSilent(OnDisk):
    def _delete(self, key):
        with contextlib.suppress(OSError):
            super()._delete(key)


@not_done_when_it_fails
class FailedWriteLosesTheOld(OnDisk):
    def _set(self, key, value):
        if self.data.fails:
            dict.pop(self.data, key, None)
        return super()._set(key, value)


@not_done_when_it_fails
class FailedCreateIsAConflict(OnDisk):
    def _set_if(self, key, value, expect):
        if self.data.fails:
            raise self._conflict(key, expect, None)
        return super()._set_if(key, value, expect)
