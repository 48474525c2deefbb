"""Threads, tasks, event loops and forks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
import time
from urllib.parse import quote, unquote

import trio
from zarrstore_testing import Options

from mutants.base import Sound, SoundAsync, found_by
from zarrstore.abc import BlockingStore, Stat
from zarrstore.runtime import CALLER


@found_by("partial_writes_are_not_listed", "set_is_atomic_for_readers")
class TruncatesFirst(Sound):
    def _set(self, key, value):
        for size in (0, len(value) // 2):
            self.data[key] = value[:size]
            self.data[f"{key}.tmp"] = b""
            time.sleep(0)
            del self.data[f"{key}.tmp"]
        return super()._set(key, value)

    def _delete(self, key):
        self.data.pop(key, None)


@found_by("set_is_atomic_for_readers", "set_is_atomic_for_stat")
class DeletesFirst(Sound):
    def _set(self, key, value):
        self.data.pop(key, None)
        time.sleep(0)
        return super()._set(key, value)

    def _stat(self, key):
        value = self.data.get(key)
        return None if value is None else Stat(len(value), self.versions.get(key))


@found_by("event_loop_is_not_blocked")
class BlocksTheLoop(Sound):
    _home = CALLER

    def _get(self, key):
        time.sleep(0.03)
        return super()._get(key)


@found_by("event_loop_thread_does_no_io")
class ReadsFilesInTheLoop(Sound):
    _home = CALLER

    def _get(self, key):
        with open(os.devnull, "rb"):
            return super()._get(key)


@found_by("loops_one_after_another")
class BoundToOneLoop(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.loop = []

    async def set(self, key, value, *, expect=None):
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is not None and self.loop[:1] not in ([], [loop]):
            raise RuntimeError("attached to a different loop")
        self.loop.append(loop)
        return await super().set(key, value, expect=expect)


@found_by("threads_share_a_store")
class BoundToOneThread(Sound):
    def _set(self, key, value):
        if self.__dict__.setdefault("thread", threading.get_ident()) != threading.get_ident():
            raise RuntimeError("objects created in a thread can only be used in that thread")
        return super()._set(key, value)


@found_by("fork_works_or_raises")
class HangsAfterFork(Sound):
    def _get(self, key):
        if self.__dict__.setdefault("pid", os.getpid()) != os.getpid():
            threading.Event().wait()
        return super()._get(key)


@found_by("cancelled_set_is_whole")
class HalfWrittenWhenCancelled(SoundAsync):
    async def _set(self, key, value):
        self.data[key] = value[: len(value) // 2]
        await asyncio.sleep(0.0005)
        self.data[key] = value


@found_by("cancelled_set_is_whole", "set_is_atomic_for_readers")
class MissingWhileItIsWritten(SoundAsync):
    async def _set(self, key, value):
        self.data.pop(key, None)
        await asyncio.sleep(0.0005)
        self.data[key] = value


@found_by("cancelled_get_is_cancelled")
class OneCancelsAll(SoundAsync):
    """Two reads of one key at a time are one, and a cancellation of either is of both."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.pending = {}

    async def _get(self, key):
        if key not in self.pending:
            self.pending[key] = asyncio.ensure_future(self._read(key))
        try:
            return await self.pending[key]
        finally:
            self.pending.pop(key, None)

    async def _read(self, key):
        await asyncio.sleep(0.05)
        return self.data.get(key)


@found_by("cancelled_get_is_cancelled", in_zarr=False)
class CancelledIsMissing(SoundAsync):
    async def get(self, key, byte_range=None):
        try:
            return await super().get(key, byte_range)
        except asyncio.CancelledError:
            return None


@found_by("threads_share_a_store")
class LosesWritesOfOthers(Sound):
    def _set(self, key, value):
        data = dict(self.data)
        data[key] = value
        time.sleep(0.0005)
        self.versions[key] = self.count = str(int(self.count) + 1)
        self.data = data
        return self.versions[key]


@found_by("set_is_atomic_for_readers", in_zarr=False)
class TornFromTwoHalves(Sound):
    def _get(self, key):
        value = self.data.get(key)
        if value is None or len(value) < 1000:
            return value
        half = len(value) // 2
        first = value[:half]
        time.sleep(0)
        return first + self.data.get(key, b"")[half:]


@found_by("set_is_atomic_for_stat", in_zarr=False)
class SizeIsKnownLater(Sound):
    def _stat(self, key):
        size = self.__dict__.setdefault("sizes", {}).get(key)
        return None if key not in self.data else Stat(size, self.versions[key])

    def _set(self, key, value):
        sizes = self.__dict__.setdefault("sizes", {})
        for size in (len(value) // 2, len(value)):
            sizes[key] = size
            time.sleep(0)
        return super()._set(key, value)


@found_by("fork_works_or_raises")
class EmptyAfterAFork(Sound):
    def _get(self, key):
        if self.__dict__.setdefault("pid", os.getpid()) != os.getpid():
            return None
        return super()._get(key)


@found_by("sync_equals_async", in_zarr=False)
class SyncGivesArrays(Sound):
    async def exists(self, key):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return key in self.data or bool(self._list(f"{key}/"))
        return await super().exists(key)


@found_by("trio_needs_no_asyncio")
class NeedsAsyncio(Sound):
    async def get(self, key, byte_range=None):
        with contextlib.suppress(RuntimeError):
            trio.lowlevel.current_task()
            raise OSError("no running event loop")
        return await super().get(key, byte_range)


@found_by("tasks_share_a_store", options=Options(timeout=3))
class OneTaskAtATime(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.busy = threading.Lock()

    def _set(self, key, value):
        if not self.busy.acquire(blocking=False):
            raise RuntimeError("read() called while another coroutine is already waiting")
        try:
            time.sleep(0.001)
            return super()._set(key, value)
        finally:
            self.busy.release()


@found_by("killed_writer_leaves_whole_values")
class WritesInPlace(BlockingStore):
    """Files that are overwritten where they are."""

    def __init__(self, directory=None, *, read_only=False):
        super().__init__(read_only=read_only)
        self.directory = directory or tempfile.mkdtemp(prefix="mutant-")

    def _location(self):
        return {"directory": self.directory}

    def _path(self, key):
        return os.path.join(self.directory, quote(key, safe=""))

    def _get(self, key):
        try:
            with open(self._path(key), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _set(self, key, value):
        with open(self._path(key), "wb") as file:
            for start in range(0, len(value), 1 << 16):
                file.write(value[start : start + (1 << 16)])
                file.flush()
                time.sleep(0.0005)

    def _delete(self, key):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(key))

    def _list(self, prefix):
        keys = map(unquote, os.listdir(self.directory))
        return [key for key in keys if key.startswith(prefix)]

    def _close(self):
        if not os.listdir(self.directory):
            os.rmdir(self.directory)
