"""Parts of one state of a value: `get_versioned`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from zarrstore.abc import BlockingStore, Stat, Store
from zarrstore.byte_range import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarrstore.errors import ConflictError, InvalidKeyError, StoreClosedError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.mapping import MappingStore
from zarrstore.stores.memory import MemoryStore
from zarrstore.stores.wrappers.latency import LatencyStore
from zarrstore.stores.wrappers.prefix import PrefixStore

FIRST = RangeByteRequest(0, 1)


def rest(parts: list[Any], size: int) -> list[Any]:
    assert size == 7
    return [RangeByteRequest(1, 1 + int(bytes(parts[0]))), SuffixByteRequest(1)]


@pytest.fixture(params=["memory", "local", "mapping", "loop", "prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Any] = {
        "memory": MemoryStore,
        "local": lambda: LocalStore(tmp_path / "root"),
        "mapping": lambda: MappingStore({}),
        "loop": lambda: LatencyStore(MemoryStore(), 0, 0),
        "prefix": lambda: PrefixStore(LocalStore(tmp_path / "root"), "a/b"),
    }
    made: Store = makers[request.param]()
    return made


def test_what_is_read_first_tells_what_else_to_read(store: Store) -> None:
    store.sync["k"] = b"3abcdef"
    found = store.sync.get_versioned("k", [FIRST], rest)
    assert found is not None
    assert found.parts == [b"3", b"abc", b"f"]
    assert found.size == 7
    stat = store.sync.stat("k")
    assert stat is not None
    assert found.version == stat.version
    assert store.sync.get_versioned("k", []) == ([], 7, stat.version)
    assert store.sync.get_versioned("k", [], lambda parts, size: []) == ([], 7, stat.version)
    assert store.sync.get_versioned("k", iter([OffsetByteRequest(5)])).parts == [b"ef"]
    assert store.sync.get_versioned("missing", [FIRST], rest) is None
    assert store.sync.get_versioned("missing", []) is None
    if stat.version is not None:
        store.sync["k"] = b"3abcdeg"
        assert store.sync.get_versioned("k", [FIRST]).version != stat.version


def test_what_is_refused(store: Store) -> None:
    store.sync["k"] = b"3abcdef"
    for wrong in ([(0, 1)], [None], [3]):
        with pytest.raises(TypeError, match="a byte range is"):
            store.sync.get_versioned("k", wrong)
    with pytest.raises(InvalidKeyError):
        store.sync.get_versioned("../k", [FIRST])
    with pytest.raises(ZeroDivisionError):
        store.sync.get_versioned("k", [FIRST], lambda parts, size: [1 // 0])
    store.sync.close()
    with pytest.raises(StoreClosedError):
        store.sync.get_versioned("k", [FIRST])


def test_the_async_face() -> None:
    import asyncio

    store = MemoryStore({"k": b"3abcdef"})
    assert asyncio.run(store.get_versioned("k", [FIRST], rest)).parts == [b"3", b"abc", b"f"]


class Changing(BlockingStore):
    """A store whose value is another each time that some of it is read, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.version = 0

    def _get(self, key: str) -> bytes | None:
        if self.times == 0:
            return None
        if self.version < self.times:
            self.version += 1
        return b"%d" % self.version * 3

    def _stat(self, key: str) -> Stat | None:
        return Stat(3, str(self.version)) if self.times else None


def test_a_value_that_is_replaced_meanwhile() -> None:
    """Parts of several states are never returned as if they were of one."""
    found = Changing(2).sync.get_versioned("k", [FIRST], lambda parts, size: [FIRST])
    assert found == ([b"2", b"2"], 3, "2")
    with pytest.raises(ConflictError, match=r"'k' .* replaced all the time"):
        Changing(9).sync.get_versioned("k", [FIRST], lambda parts, size: [FIRST])
    assert Changing(0).sync.get_versioned("k", [FIRST]) is None


def test_a_file_that_others_write_to(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.sync["k"] = b"3abcdef"

    def write(parts: list[Any], size: int) -> list[Any]:
        with open(tmp_path / "k", "r+b") as file:
            file.write(b"9xyz")
        os.utime(tmp_path / "k", ns=(1, 1))
        return [RangeByteRequest(1, 4)]

    with pytest.raises(ConflictError, match="is written to while it is read"):
        store.sync.get_versioned("k", [FIRST], write)

    def replace(parts: list[Any], size: int) -> list[Any]:
        LocalStore(tmp_path).sync["k"] = b"another value"
        return [RangeByteRequest(1, 4)]

    before = store.sync.stat("k")
    found = store.sync.get_versioned("k", [FIRST], replace)
    assert found is not None
    assert found.parts == [b"9", b"xyz"]
    assert before is not None
    assert found.version == before.version
