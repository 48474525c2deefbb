"""zarr-python's own tests of a store, over stores with a fault each; run by `mutants.verdicts`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

from mutants import FAULTS, Fault, Sound, SoundAsync
from zarrstore.interop.zarr import StoreAdapter, to_zarr

SOUND = {cls.__name__: Fault(cls, frozenset()) for cls in (Sound, SoundAsync)}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# the fixture has anyio run the coroutine fixtures, for tests that are no coroutines too
@pytest.mark.anyio
@pytest.mark.usefixtures("anyio_backend")
class Suite(StoreTests[StoreAdapter, cpu.Buffer]):
    """zarr-python's tests, with what they ask for."""

    buffer_cls = cpu.Buffer
    fault: Fault

    @pytest.fixture
    def store_kwargs(self) -> dict[str, Any]:
        return {"store": self.fault.make()}

    async def set(self, store: StoreAdapter, key: str, value: Buffer) -> None:
        await store.store.set(key, value.to_bytes())

    async def get(self, store: StoreAdapter, key: str) -> Buffer:
        value = await store.store.get(key)
        assert value is not None
        return self.buffer_cls.from_bytes(value)

    def test_store_repr(self, store: StoreAdapter) -> None:
        assert str(store) == store.store.url
        assert repr(store) == f"{type(store).__name__}({store.store.url!r})"

    def test_store_supports_writes(self, store: StoreAdapter) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: StoreAdapter) -> None:
        assert store.supports_listing


for _name in os.environ["MUTANTS"].split(","):
    _fault = (FAULTS | SOUND)[_name]
    _adapter = type(to_zarr(_fault.make()))
    globals()[f"Test{_name}"] = type(
        f"Test{_name}", (Suite,), {"fault": _fault, "store_cls": _adapter}
    )
