"""Filesystems that block: memory, local files, archives, FTP, caches over others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from zarrstore.byte_range import ByteRequest, resolve
from zarrstore.operations import Capability, Stat
from zarrstore.stores._files import is_temporary, refuse_temporary, temporary_name
from zarrstore.stores._remote.base import Files, stat_of
from zarrstore.stores._report import left_out

__all__ = ["ArchiveFiles", "BlockingFiles", "LocalFiles", "MemoryFiles", "URLFiles"]


class BlockingFiles(Files):
    """Any filesystem that blocks."""

    def get(self, key: str) -> bytes | None:
        with self.report.unless_missing("read", key):
            return bytes(self.fs.cat_file(self.path(key)))
        return None

    def get_range(self, key: str, byte_range: ByteRequest) -> bytes | None:
        with self.report.unless_missing("read", key):
            return self._part(key, byte_range)
        return None

    def _part(self, key: str, byte_range: ByteRequest) -> bytes | None:
        data = b""
        start = stop = 0
        for _ in range(3):  # a value that is overwritten meanwhile may have another size
            there = self.stat(key)
            if there is None:
                return None
            start, stop = resolve(byte_range, there.size)
            if start == stop:
                return b""
            data = bytes(self.fs.cat_file(self.path(key), start=start, end=stop))
            if len(data) == stop - start:
                return data
        raise self.report.corrupt(
            key, f"asked for bytes {start} to {stop}, got {len(data)} bytes; read it again"
        )

    def stat(self, key: str) -> Stat | None:
        with self.report.unless_missing("look up", key):
            path = self.path(key)
            self._forget(path)
            info = self.fs.info(path)
            if info.get("size") is None and info.get("type") == "file":
                info = {**info, "size": len(self.fs.cat_file(path))}
            return stat_of(info)
        return None

    def set(self, key: str, value: bytes) -> None:
        path = self.path(key)
        with self.report.during("write", key):
            try:
                self.fs.pipe_file(path, value)
            except FileNotFoundError:
                self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                self.fs.pipe_file(path, value)

    def delete(self, key: str) -> None:
        with self.report.unless_missing("delete", key):
            path = self.path(key)
            if self.fs.isfile(path):
                self.fs.rm_file(path)

    def keys(self, prefix: str) -> Iterator[str]:
        with self.report.unless_missing("list", prefix):
            yield from self._walk(prefix)

    def names(self, prefix: str) -> Any:
        return self._children(prefix)

    def _children(self, prefix: str) -> Iterator[str]:
        with self.report.unless_missing("list", prefix):
            for key, is_file in self._entries(prefix):
                if is_file or next(self._walk(key + "/"), None) is not None:
                    yield key[len(prefix) :]

    def _walk(self, prefix: str) -> Iterator[str]:
        pending = [prefix]
        while pending:
            directory = pending.pop()
            with self.report.unless_missing("list", directory):
                for key, is_file in self._entries(directory):
                    if is_file:
                        yield key
                    else:
                        pending.append(key + "/")

    def _entries(self, prefix: str) -> Iterator[tuple[str, bool]]:
        """Yield the key of each file and directory one level below, and whether it is a file."""
        path = f"{self.root}/{prefix}".rstrip("/") if self.root else prefix.rstrip("/")
        self._forget(path)
        for info in self.fs.ls(path, detail=True):
            key = self.key_of(info["name"].rstrip("/"))
            if key is None or not key.startswith(prefix) or "/" in key[len(prefix) :]:
                continue
            if info["type"] in ("file", "directory"):
                yield key, info["type"] == "file"

    def _forget(self, path: str) -> None:
        """Drop what the filesystem remembers of a listing, which others may have changed."""
        if getattr(self.fs, "dircache", None):
            self.fs.invalidate_cache(path)
            self.fs.invalidate_cache(self.fs._parent(path))


class MemoryFiles(BlockingFiles):
    """fsspec's own dict of this process."""

    def path(self, key: str) -> str:
        return f"{self.root}/{key}"

    def stat(self, key: str) -> Stat | None:
        # info() scans all files, and takes a key that is a prefix as well for a directory
        file = self.fs.store.get(self.path(key))
        return None if file is None else Stat(file.getbuffer().nbytes, None, file.modified)

    def delete(self, key: str) -> None:
        self.fs.store.pop(self.path(key), None)

    def keys(self, prefix: str) -> Iterator[str]:
        start = self.path(prefix)
        for path in tuple(self.fs.store):
            if path.startswith(start):
                yield path[len(self.root) + 1 :]

    names = left_out


class ArchiveFiles(BlockingFiles):
    """Zip and tar archives, read as they were when they were opened."""

    capabilities = Capability.READ | Capability.LIST

    def keys(self, prefix: str) -> Iterator[str]:
        with self.report.during("list", prefix):
            # ls() goes through the whole archive for every directory
            self.fs._get_dirs()
            for name, info in tuple(self.fs.dir_cache.items()):
                key = self.key_of(name)
                if key is not None and key.startswith(prefix) and info["type"] == "file":
                    yield key

    names = left_out


class URLFiles(BlockingFiles):
    """A cache over HTTP, whose paths are whole URLs."""

    capabilities = Capability.READ

    def path(self, key: str) -> str:
        base, mark, query = self.root.partition("?")
        return f"{base.rstrip('/')}/{quote(key, safe='/')}{mark}{query}"

    def get(self, key: str) -> bytes | None:
        value = super().get(key)
        if value is None:
            self.stat(key)  # raises if "not found" was said of a server that is down
        return value


class LocalFiles(BlockingFiles):
    """Local files, written beside their place and renamed."""

    def path(self, key: str) -> str:
        return f"{self.root}/{key}"

    def get(self, key: str) -> bytes | None:
        return None if is_temporary(key) else super().get(key)

    def stat(self, key: str) -> Stat | None:
        return None if is_temporary(key) else super().stat(key)

    def set(self, key: str, value: bytes) -> None:
        path = self.path(key)
        directory = path.rpartition("/")[0]
        temporary = f"{directory}/{temporary_name()}"
        refuse_temporary(key, self.report.url)
        with self.report.during("write", key):
            try:
                self._write(temporary, directory, value)
                os.replace(temporary, path)
            except BaseException:
                if os.path.lexists(temporary):
                    os.unlink(temporary)
                raise

    def _write(self, temporary: str, directory: str, value: bytes) -> None:
        for attempt in range(100):
            try:
                self.fs.pipe_file(temporary, value)
            except FileNotFoundError:
                # a delete may have removed the directory since it was made
                if attempt == 99:
                    raise
                self.fs.makedirs(directory, exist_ok=True)
            else:
                return

    def delete(self, key: str) -> None:
        if is_temporary(key):
            return
        super().delete(key)
        directory = os.path.dirname(self.path(key))
        while len(directory) > len(self.root):
            try:
                os.rmdir(directory)
            except OSError:
                return
            directory = os.path.dirname(directory)

    def _entries(self, prefix: str) -> Iterator[tuple[str, bool]]:
        for key, is_file in super()._entries(prefix):
            if not is_temporary(key):
                yield key, is_file
