"""Copying all keys of a store to another one, of any kind; what was broken off goes on."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from zarrstore.abc import Capability, Store
from zarrstore.chunks import Progress
from zarrstore.errors import ConflictError, CorruptDataError, KeyNotFoundError, NodeNotFoundError
from zarrstore.fan_out import each_bounded, map_bounded
from zarrstore.hierarchy.copying import check_apart
from zarrstore.hierarchy.facts import human_size
from zarrstore.hierarchy.formats import RESERVED_NAMES
from zarrstore.redaction import join_url
from zarrstore.runtime import is_inline, limits

__all__ = ["CopyReport", "IfExists", "copy_keys"]

IfExists: TypeAlias = Literal["raise", "replace", "skip"]
"""What becomes of a key that is there already, with another value."""

_BATCH_BYTES = 2**22
_BATCH_KEYS = 256
_METADATA = RESERVED_NAMES | {"attributes.json"}
"""Names of what makes a node be found, in Zarr and in N5."""


@dataclass(frozen=True)
class CopyReport:
    """What `copy_store` did; or would do, with ``dry_run``.

    Parameters
    ----------
    copied : int
        Keys that were written.
    unchanged : int
        Keys that were there already, with the same value.
    skipped : int
        Keys that were there with another value, and stay.
    nbytes : int
        Bytes that were written.
    """

    copied: int = 0
    unchanged: int = 0
    skipped: int = 0
    nbytes: int = 0

    def __str__(self) -> str:
        return (
            f"{self.copied:,} copied ({human_size(self.nbytes)}), {self.unchanged:,} unchanged, "
            f"{self.skipped:,} skipped"
        )


async def copy_keys(
    source: Store,
    source_path: str,
    dest: Store,
    dest_path: str,
    *,
    includes: Sequence[str] = (),
    excludes: Sequence[str] = (),
    if_exists: IfExists = "raise",
    verify: bool = True,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy the keys below a path of a store to another: see `zarrstore.copy_store`.

    Parameters
    ----------
    source, dest : Store
    source_path, dest_path : str
    includes, excludes : sequence of str
        Regular expressions.
    if_exists : {"raise", "replace", "skip"}
    verify, dry_run : bool
    progress : callable, optional
        Called with bytes.
    """
    if if_exists not in get_args(IfExists):
        raise ValueError(f"if_exists is one of {', '.join(get_args(IfExists))}, not {if_exists!r}")
    wanted, unwanted = _compiled("includes", includes), _compiled("excludes", excludes)
    check_apart(source, source_path, dest, dest_path)
    job = _Job(source, _prefix(source_path), dest, _prefix(dest_path), if_exists, verify, dry_run)
    names = [key[len(job.source_prefix) :] async for key in source.list_prefix(source_path)]
    if not names:
        raise NodeNotFoundError(
            f"there is nothing to copy: no key in {join_url(source.url, source_path)}",
            store=source.url,
            key=source_path,
        )
    chosen = [name for name in names if _is_chosen(name, wanted, unwanted)]
    await job.run(sorted(chosen), progress)
    return CopyReport(**job.counts)


def _prefix(path: str) -> str:
    return f"{path}/" if path else ""


def _compiled(name: str, patterns: Sequence[str]) -> list[re.Pattern[str]]:
    if isinstance(patterns, str):
        raise TypeError(f"{name} is a list of regular expressions, not {patterns!r}")
    found = []
    for pattern in patterns:
        try:
            found.append(re.compile(pattern))
        except re.error as error:
            message = f"{name}: {pattern!r} is no regular expression: {error}"
            raise ValueError(message) from error
    return found


def _is_chosen(
    name: str, includes: Sequence[re.Pattern[str]], excludes: Sequence[re.Pattern[str]]
) -> bool:
    if includes and not any(pattern.search(name) for pattern in includes):
        return False
    return not any(pattern.search(name) for pattern in excludes)


def _phase(name: str) -> int:
    """Return when a key is written: what is not complete must not open as if it were."""
    path, _, last = name.rpartition("/")
    if last not in _METADATA:
        return 0
    return 1 if path else 2


@dataclass
class _Job:
    """One copy of a store."""

    source: Store
    source_prefix: str
    dest: Store
    dest_prefix: str
    if_exists: IfExists
    verify: bool
    dry_run: bool
    counts: dict[str, int] = field(default_factory=lambda: asdict(CopyReport()))
    _counting: threading.Lock = field(default_factory=threading.Lock)

    async def run(self, names: Sequence[str], progress: Progress | None) -> None:
        there = await self._there(names)
        stats = await map_bounded(self._size, names)
        sizes = dict(zip(names, stats, strict=True))
        total, done = sum(stats), 0

        async def copy(batch: Sequence[str]) -> None:
            nonlocal done
            nbytes = sum(sizes[name] for name in batch)
            async with nullcontext() if is_inline() else limits.memory(2 * nbytes):
                await self._copy(batch, sizes, there)
            with self._counting:
                done += nbytes
                if progress is not None:
                    progress(done, total)

        # a store of a format in which metadata says where a chunk lies has to know it first
        for phase in (1, 2, 0) if self.dest._documents_first else (0, 1, 2):
            batches = list(_batches([name for name in names if _phase(name) == phase], sizes))
            await each_bounded(copy, batches, count=len(batches))

    async def _there(self, names: Sequence[str]) -> dict[str, int]:
        """Return the sizes of those keys that are at the destination already."""
        found: Iterable[str] = names
        if Capability.LIST in self.dest.capabilities:
            start = len(self.dest_prefix)
            listed = {key[start:] async for key in self.dest.list_prefix(self.dest_prefix)}
            found = [name for name in names if name in listed]
        found = list(found)

        async def size(name: str) -> int | None:
            stat = await self.dest.stat(self.dest_prefix + name)
            return None if stat is None else stat.size

        sizes = zip(found, await map_bounded(size, found), strict=True)
        return {name: size for name, size in sizes if size is not None}

    async def _size(self, name: str) -> int:
        return await self.source.getsize(self.source_prefix + name)

    async def _copy(
        self, names: Sequence[str], sizes: dict[str, int], there: dict[str, int]
    ) -> None:
        """Copy a batch of keys: those of which it does not know that they are there."""
        # metadata is small, and in a store of another format may be read as it was not written
        found = [name for name in names if name in there]
        same_size = [name for name in found if _phase(name) or there[name] == sizes[name]]
        compared = [name for name in same_size if self.verify or _phase(name)]
        known = set(same_size).difference(compared).union(await self._equal(compared))
        differing = [name for name in names if name in there and name not in known]
        if differing and self.if_exists == "raise":
            raise self._conflict(differing[0])
        left = known.union(differing) if self.if_exists == "skip" else known
        wanted = [name for name in names if name not in left]
        if wanted and not self.dry_run:
            await self._write(wanted)
        with self._counting:
            self.counts["copied"] += len(wanted)
            self.counts["nbytes"] += sum(sizes[name] for name in wanted)
            self.counts["unchanged"] += len(known)
            self.counts["skipped"] += len(left) - len(known)

    async def _write(self, wanted: Sequence[str]) -> None:
        values = await self._read(wanted)
        keys = [self.dest_prefix + name for name in wanted]
        await self.dest.set_many(zip(keys, values, strict=True))
        if self.verify:
            again = await self.dest.get_many(keys)
            for key, value, found in zip(keys, values, again, strict=True):
                if not self._is_written(key, value, found):
                    raise self._damaged(key)

    async def _equal(self, names: Sequence[str]) -> list[str]:
        """Return those names whose values are the same on both sides."""
        if not names:
            return []
        values = await self._read(names)
        keys = [self.dest_prefix + name for name in names]
        found = zip(names, keys, values, await self.dest.get_many(keys), strict=True)
        return [name for name, *there in found if self._is_written(*there)]

    def _is_written(self, key: str, value: Any, found: Any) -> bool:
        """Tell whether what the destination has at a key is a value that was written there."""
        if found is None:
            return False
        if memoryview(found) == memoryview(value):
            return True
        return bytes(found) == self.dest._read_back(key, bytes(value)) if _phase(key) else False

    async def _read(self, names: Sequence[str]) -> list[Any]:
        values = await self.source.get_many([self.source_prefix + name for name in names])
        for name, value in zip(names, values, strict=True):
            if value is None:
                key = self.source_prefix + name
                raise KeyNotFoundError(
                    f"{key!r} in {self.source.url} was deleted while it was copied; nothing may "
                    "change there meanwhile. Copy again: what is there already is left as it is",
                    store=self.source.url,
                    key=key,
                )
        return values

    def _conflict(self, name: str) -> ConflictError:
        key = self.dest_prefix + name
        return ConflictError(
            f"{join_url(self.dest.url, key)} has another value than "
            f"{join_url(self.source.url, self.source_prefix + name)}; it was not changed. Copy "
            "with if_exists='replace' or 'skip', or to another dest_path",
            store=self.dest.url,
            key=key,
        )

    def _damaged(self, key: str) -> CorruptDataError:
        return CorruptDataError(
            f"{key!r} in {self.dest.url} is read back as something else than was written, or was "
            "changed meanwhile; the copy is not finished",
            store=self.dest.url,
            key=key,
        )


def _batches(names: Sequence[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Yield names in batches of few bytes, or of one key."""
    batch: list[str] = []
    nbytes = 0
    for name in names:
        if batch and (nbytes + sizes[name] > _BATCH_BYTES or len(batch) == _BATCH_KEYS):
            yield batch
            batch, nbytes = [], 0
        batch.append(name)
        nbytes += sizes[name]
    if batch:
        yield batch
