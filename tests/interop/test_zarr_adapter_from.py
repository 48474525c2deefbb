"""Stores of zarr-python as stores here: the whole contract, as far as they let it be kept."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
import zarr.storage
from blockbuster import BlockBuster
from interop.zarr_stores import let_theirs_block
from zarrstore_testing import StoreTests

import zarrstore
from zarrstore.abc import Capability, Store
from zarrstore.interop.zarr import from_zarr, to_zarr


@pytest.fixture(autouse=True)
def blocks_where_that_is_the_test(blockbuster: BlockBuster) -> None:
    """Let their stores block where they do."""
    let_theirs_block(blockbuster)


class TestTheirMemory(StoreTests):
    def make_store(self) -> Store:
        return from_zarr(zarr.storage.MemoryStore())


class TestOursInTheirWrapper(StoreTests):
    def make_store(self) -> Store:
        ours = zarrstore.MappingStore(OrderedDict())
        return from_zarr(zarr.storage.WrapperStore(to_zarr(ours)))


MAKERS: dict[str, Callable[[Path], zarr.storage.StoreLike]] = {
    "local": lambda folder: zarr.storage.LocalStore(folder),
    "memory": lambda _: zarr.storage.MemoryStore(),
    "zip": lambda folder: zarr.storage.ZipStore(folder / "a.zip", mode="w"),
    "fsspec": lambda _: zarr.storage.FsspecStore.from_url(f"memory://{uuid.uuid4().hex}"),
}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", MAKERS)
def test_arrays(name: str, zarr_format: int, tmp_path: Path) -> None:
    theirs = MAKERS[name](tmp_path)
    store = zarrstore.open_store(theirs)
    values = np.arange(35).reshape(5, 7)
    array = zarrstore.create_array(
        store, name="a", data=values, chunks=(2, 3), zarr_format=zarr_format
    )
    np.testing.assert_array_equal(array[1:4, 2:], values[1:4, 2:])
    np.testing.assert_array_equal(zarr.open_array(theirs, path="a", mode="r+")[...], values)
    assert Capability.CREATE_EXCLUSIVE not in store.capabilities
    assert (Capability.DELETE in store.capabilities) == (name != "zip")
    store.sync.close()


def test_errors_are_ours(tmp_path: Path) -> None:
    class Refuses(zarr.storage.MemoryStore):
        async def get(self, *args: object, **kwargs: object) -> None:
            raise PermissionError("no, https://me:secret@host/a")

        async def exists(self, key: str) -> bool:
            raise RuntimeError("broken")

    sync = from_zarr(Refuses()).sync
    with pytest.raises(zarrstore.AccessDeniedError, match="cannot read 'k' in memory://") as caught:
        sync.get("k")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, PermissionError)
    with pytest.raises(zarrstore.BackendError, match=r"cannot look up 'k' in .*: broken"):
        sync.exists("k")
    with pytest.raises(zarrstore.InvalidKeyError):
        sync.get("../k")
    read_only = from_zarr(zarr.storage.LocalStore(tmp_path, read_only=True))
    with pytest.raises(zarrstore.ReadOnlyError):
        read_only.sync.set("k", b"1")


def test_an_answer_of_the_wrong_length_is_refused() -> None:
    class Short(zarr.storage.MemoryStore):
        async def get(self, key, prototype=None, byte_range=None):  # type: ignore[no-untyped-def]
            found = await super().get(key, prototype, byte_range)
            return found[:1] if byte_range is not None else found

    store = from_zarr(Short())
    store.sync["k"] = b"hello"
    with pytest.raises(zarrstore.CorruptDataError, match="1 bytes, where 3 were asked for"):
        store.sync.get("k", zarrstore.RangeByteRequest(1, 4))
