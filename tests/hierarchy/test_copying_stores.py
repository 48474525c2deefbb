"""Copying all keys of a store to another one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrstore
from zarrstore import CopyReport, aio, copy_store
from zarrstore.abc import BlockingStore

VALUES = {
    "zarr.json": b"{}",
    "a/.zarray": b"[]",
    "a/0": bytes(3000),
    "a/1": b"",
    "ab": b"1",
    "é/b c/%2F": b"x" * 70,
}
SIZE = sum(map(len, VALUES.values()))


def late() -> zarrstore.Store:
    return zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.0002, 0.0002)


class Recorded(BlockingStore):
    """A store that knows the order of writing, and can fail, or keep something else."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.written: list[str] = []
        self.fails_at = ""
        self.damages = ""

    def _get(self, key: str) -> bytes | None:
        return self.data.get(key)

    def _set(self, key: str, value: bytes) -> None:
        if key == self.fails_at:
            raise OSError("the disk is full")
        self.written.append(key)
        self.data[key] = b"?" if key == self.damages else value

    def _list(self, prefix: str) -> Any:
        return [key for key in self.data if key.startswith(prefix)]


@pytest.mark.parametrize(
    ("source", "dest"), [*itertools.product([late, zarrstore.MemoryStore], repeat=2)]
)
def test_everything_is_copied(
    source: Callable[[], zarrstore.Store], dest: Callable[[], zarrstore.Store]
) -> None:
    here, there = source(), dest()
    here.sync.set_many(VALUES)
    seen: list[tuple[int, int]] = []
    report = copy_store(here, there, progress=lambda done, total: seen.append((done, total)))
    assert report == CopyReport(copied=len(VALUES), nbytes=SIZE)
    assert dict(there.sync) == VALUES
    assert seen[-1] == (SIZE, SIZE)
    assert copy_store(here, there) == CopyReport(unchanged=len(VALUES))


def test_as_a_coroutine() -> None:
    there: dict[str, bytes] = {}
    report = asyncio.run(aio.copy_store(dict(VALUES), there, dest_path="x"))
    assert report.copied == len(VALUES)
    assert there == {f"x/{key}": value for key, value in VALUES.items()}


def test_paths_and_patterns() -> None:
    there: dict[str, bytes] = {}
    copy_store(dict(VALUES), there, source_path="a", dest_path="b", includes=[r"\d"])
    assert set(there) == {"b/0", "b/1"}
    there.clear()
    copy_store(dict(VALUES), there, excludes=["^a/", "zarr"])
    assert set(there) == {"ab", "é/b c/%2F"}


@pytest.mark.parametrize("as_zarr", [True, False])
def test_an_n5_container_is_copied(as_zarr: bool, tmp_path: Path) -> None:
    data = np.arange(24).reshape(4, 6)
    group = zarrstore.open_group(tmp_path / "x.n5", attributes={"of": "a fly"})
    group.create_array("a/b", data=data, chunks=(2, 2), attributes={"in": "nm"})
    files = [zarrstore.LocalStore(tmp_path / name) for name in ("x.n5", "y.n5")]
    source, dest = map(zarrstore.N5Store, files) if as_zarr else files
    report = copy_store(source, dest)
    assert copy_store(source, dest).unchanged == report.copied
    assert copy_store(source, dest, verify=False).unchanged == report.copied
    copied = zarrstore.open_group(tmp_path / "y.n5", mode="r")
    assert dict(copied.attrs) == {"of": "a fly"}
    assert dict(copied["a/b"].attrs) == {"in": "nm"}
    np.testing.assert_array_equal(copied["a/b"][...], data)


def test_the_metadata_of_n5_is_written_last() -> None:
    there = Recorded()
    copy_store({"attributes.json": b"{}", "b/attributes.json": b"{}", "b/c/0/0": b"1"}, there)
    assert there.written == ["b/c/0/0", "b/attributes.json", "attributes.json"]


def test_metadata_is_compared_if_nothing_is_read_back() -> None:
    there = {"zarr.json": b"[]"}
    with pytest.raises(zarrstore.ConflictError):
        copy_store(dict(VALUES), there, verify=False)


def test_metadata_is_written_last() -> None:
    there = Recorded()
    copy_store(dict(VALUES), there)
    assert there.written[-2:] == ["a/.zarray", "zarr.json"]


def test_a_copy_that_failed_does_not_open_and_goes_on(tmp_path: Path) -> None:
    here, there = zarrstore.MemoryStore(), Recorded()
    values = np.arange(10_000)
    zarrstore.create_array(here, data=values, chunks=100, compressors=None)
    there.fails_at = "c/57"
    with pytest.raises(OSError, match="disk is full"):
        copy_store(here, there)
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.open(there, mode="r")
    before = len(there.data)
    there.fails_at = ""
    report = copy_store(here, there)
    assert before > 0
    assert (report.unchanged, report.copied) == (before, 101 - before)
    np.testing.assert_array_equal(zarrstore.open_array(there)[...], values)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("other", [b"2", b"222"])
def test_what_is_there_with_another_value(other: bytes, verify: bool) -> None:
    there = {"ab": other}
    if verify or len(other) != 1:
        with pytest.raises(zarrstore.ConflictError, match=r"'replace' or 'skip'") as caught:
            copy_store(dict(VALUES), there, verify=verify)
        assert caught.value.key == "ab"
        assert there["ab"] == other
        report = copy_store(dict(VALUES), there, if_exists="skip", verify=verify)
        assert report.skipped == 1
    else:  # of the same size: it is taken for the same
        assert copy_store(dict(VALUES), there, verify=False).unchanged == 1
    assert there == {**VALUES, "ab": other}
    copy_store(dict(VALUES), there, if_exists="replace")
    assert there == VALUES


def test_a_dry_run_writes_nothing() -> None:
    there = {"ab": b"1"}
    assert copy_store(dict(VALUES), there, dry_run=True) == CopyReport(
        copied=len(VALUES) - 1, unchanged=1, nbytes=SIZE - 1
    )
    assert there == {"ab": b"1"}


def test_what_is_read_back_otherwise_is_damaged() -> None:
    there = Recorded()
    there.damages = "a/0"
    with pytest.raises(zarrstore.CorruptDataError, match="'a/0'"):
        copy_store(dict(VALUES), there)
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.open(there, mode="r")


def test_what_is_deleted_meanwhile_is_an_error() -> None:
    class Vanishes(zarrstore.WrapperStore):
        async def _get_many(self, requests: Any) -> Any:
            await self.store.delete("a/0")
            return await super()._get_many(requests)

    with pytest.raises(zarrstore.KeyNotFoundError, match="Copy again"):
        copy_store(Vanishes(zarrstore.MemoryStore(dict(VALUES))), {})


def test_bad_input() -> None:
    here = zarrstore.MemoryStore(dict(VALUES))
    with pytest.raises(ValueError, match="below it"):
        copy_store(here, here)
    with pytest.raises(ValueError, match="below it"):
        copy_store(here, here, source_path="a", dest_path="a/b")
    with pytest.raises(ValueError, match="if_exists is one of raise, replace, skip"):
        copy_store(here, {}, if_exists="maybe")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of regular expressions, not 'a'"):
        copy_store(here, {}, includes="a")
    with pytest.raises(ValueError, match=r"excludes: '\(' is no regular expression: missing \)"):
        copy_store(here, {}, excludes=["("])
    with pytest.raises(zarrstore.ReadOnlyError):
        copy_store(here, zarrstore.MemoryStore(read_only=True))
    with pytest.raises(zarrstore.NodeNotFoundError, match="nothing to copy"):
        copy_store({}, {})


def test_to_a_zip_file_and_back(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    copy_store(dict(VALUES), archive)
    back: dict[str, bytes] = {}
    copy_store(archive, back)
    assert back == VALUES


def test_large_values_are_copied_one_by_one() -> None:
    values = {f"c/{number}": bytes([number]) * (3 << 20) for number in range(5)}
    there: dict[str, bytes] = {}
    assert copy_store(values, there).nbytes == 15 << 20
    assert there == values
