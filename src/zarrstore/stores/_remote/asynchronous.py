"""Any asynchronous filesystem: Google Cloud Storage, Azure, references, WebDAV ..."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from zarrstore.byte_range import ByteRequest, RangeByteRequest, resolve
from zarrstore.errors import UnsupportedOperationError
from zarrstore.operations import Stat
from zarrstore.stores._remote.base import Files, part_of, stat_of

__all__ = ["AsyncFiles"]


class AsyncFiles(Files):
    """Any filesystem that runs on an event loop, through what all of them have."""

    def path(self, key: str) -> str:
        if "?versionid=" in key.lower():
            # several take the rest for the version of another object
            raise UnsupportedOperationError(
                f"{self.report.url} cannot have a key {key!r}, whose end its filesystem takes "
                "for a version; use another key",
                store=self.report.url,
                key=key,
            )
        return super().path(key)

    async def get(self, key: str) -> bytes | None:
        with self.report.unless_missing("read", key):
            return bytes(await self.fs._cat_file(self.path(key)))
        return None

    async def get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        with self.report.unless_missing("read", key):
            return await self._part(key, byte_range)
        return None

    async def _part(self, key: str, byte_range: ByteRequest) -> bytes | None:
        wanted = byte_range if isinstance(byte_range, RangeByteRequest) else None
        if wanted is not None and wanted.start < wanted.end:
            # one request is enough if there are as many bytes as were asked for
            data = await self._read(key, wanted.start, wanted.end)
            if data is not None and len(data) == wanted.end - wanted.start:
                return data
        data = None
        start = stop = 0
        for _ in range(3):  # a value that is overwritten meanwhile may have another size
            there = await self.stat(key)
            if there is None:
                return None
            start, stop = resolve(byte_range, there.size)
            if start == stop:
                return b""
            data = bytes(await self.fs._cat_file(self.path(key), start=start, end=stop))
            if len(data) == stop - start:
                return data
            if len(data) == there.size:  # the range was ignored
                return part_of(byte_range, data, 0, there.size)
        raise self.report.corrupt(
            key, f"asked for bytes {start} to {stop}, got {len(data or b'')}; read it again"
        )

    async def _read(self, key: str, start: int, stop: int) -> bytes | None:
        try:
            return bytes(await self.fs._cat_file(self.path(key), start=start, end=stop))
        except Exception as error:
            # many raise when the start is past the end: the size will tell
            if self.report.is_missing(error) or isinstance(error, PermissionError):
                raise
            return None

    async def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            path = self.path(key)
            self._forget(path)
            info = await self.fs._info(path)
            if info.get("size") is None and info.get("type") == "file":
                info = {**info, "size": len(await self.fs._cat_file(path))}
            return stat_of(info)
        return None

    async def set(self, key: str, value: bytes) -> None:
        with self.report.during("write", key):
            await self.fs._pipe_file(self.path(key), value)

    async def delete(self, key: str) -> None:
        with self.report.unless_missing("delete", key):
            await self.fs._rm_file(self.path(key))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        from fsspec.asyn import AsyncFileSystem

        with self.report.unless_missing("list", prefix):
            if type(self.fs)._find is AsyncFileSystem._find:
                async for key in self._walk(prefix):
                    yield key
                return
            path = self._directory(prefix)
            self._forget(path)
            for name in await self.fs._find(path):
                found = self.key_of(name)
                if found is not None and found.startswith(prefix):
                    yield found

    async def _walk(self, prefix: str) -> AsyncIterator[str]:
        pending = [prefix]
        while pending:
            directory = pending.pop()
            with self.report.unless_missing("list", directory):
                for key, is_file in await self._entries(directory):
                    if is_file:
                        yield key
                    else:
                        pending.append(key + "/")

    def names(self, prefix: str) -> Any:
        return self._children(prefix)

    async def _children(self, prefix: str) -> AsyncIterator[str]:
        with self.report.unless_missing("list", prefix):
            # a key may be a prefix as well
            for name in {key[len(prefix) :] for key, _ in await self._entries(prefix)}:
                yield name

    async def _entries(self, prefix: str) -> list[tuple[str, bool]]:
        """Return the key of each file and directory one level below, and whether it is a file."""
        path = self._directory(prefix)
        self._forget(path)
        entries = []
        for info in await self.fs._ls(path, detail=True):
            key = self.key_of(info["name"].rstrip("/"))
            if key and key.startswith(prefix) and "/" not in key[len(prefix) :]:
                entries.append((key, info["type"] != "directory"))
        return entries

    def _directory(self, prefix: str) -> str:
        return f"{self.root}/{prefix}".rstrip("/") if self.root else prefix.rstrip("/")

    def _forget(self, path: str) -> None:
        """Drop what the filesystem remembers of a listing, which others may have changed."""
        if getattr(self.fs, "dircache", None):
            self.fs.invalidate_cache(path)
            self.fs.invalidate_cache(self.fs._parent(path))
