"""Stores that leave something open at each call."""

from __future__ import annotations

import asyncio
import os
import threading

from mutants.base import Sound, SoundAsync, found_by


class Holding(Sound):
    """Closes, in the end, all that it opened."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.held = []

    def hold(self):
        self.held.append(os.open(os.devnull, os.O_RDONLY))

    def _close(self):
        while self.held:
            os.close(self.held.pop())


@found_by("nothing_is_left_open", in_zarr=False)
class ReadsLeaveAFileOpen(Holding):
    def _get(self, key):
        self.hold()
        return super()._get(key)


@found_by("nothing_is_left_open", in_zarr=False)
class MissesLeaveAFileOpen(Holding):
    def _get(self, key):
        value = super()._get(key)
        if value is None:
            self.hold()
        return value


@found_by("nothing_is_left_open", in_zarr=False)
class WritesLeaveAFileOpen(Holding):
    def _set(self, key, value):
        self.hold()
        return super()._set(key, value)


@found_by("nothing_is_left_open", in_zarr=False)
class ConflictsLeaveAFileOpen(Holding):
    def _set_if(self, key, value, expect):
        self.hold()
        version = super()._set_if(key, value, expect)
        os.close(self.held.pop())
        return version


@found_by("nothing_is_left_open", in_zarr=False)
class ListingsLeaveAFileOpen(Holding):
    def _list(self, prefix):
        self.hold()
        return super()._list(prefix)


@found_by("nothing_is_left_open", in_zarr=False)
class BrokenListingsLeaveAFileOpen(Holding):
    def _list(self, prefix):
        self.hold()
        yield from super()._list(prefix)
        os.close(self.held.pop())


@found_by("nothing_is_left_open", in_zarr=False)
class WritesLeaveAThread(Holding):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.ended = threading.Event()

    def _set(self, key, value):
        threading.Thread(target=self.ended.wait, daemon=True).start()
        return super()._set(key, value)

    def _close(self):
        self.ended.set()


@found_by("nothing_is_left_open", in_zarr=False)
class ReadsLeaveATask(SoundAsync):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.tasks = []

    async def _get(self, key):
        self.tasks.append(asyncio.ensure_future(asyncio.sleep(3600)))
        return await super()._get(key)

    async def _close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@found_by("close_releases_everything", in_zarr=False)
class CloseLeavesAFileOpen(Holding):
    def _set(self, key, value):
        if not self.held:
            self.hold()
        return super()._set(key, value)

    def _close(self):
        pass


@found_by("close_releases_everything", in_zarr=False)
class CloseLeavesAThread(Sound):
    def _set(self, key, value):
        if "thread" not in self.__dict__:
            self.thread = threading.Thread(target=threading.Event().wait, daemon=True)
            self.thread.start()
        return super()._set(key, value)


@found_by("close_releases_everything", in_zarr=False)
class NeverUsedIsNeverClosed(Holding):
    """Opens at once, and closes only what was used."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.hold()

    def _close(self):
        if self.data:
            super()._close()
