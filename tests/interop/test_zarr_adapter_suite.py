"""zarr-python's own tests of a store, over every store here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from interop.zarr_stores import DIRECTORIES, MAKERS, make_store
from zarr.core.buffer import Buffer, cpu
from zarr.testing.stateful import MAX_BINARY_SIZE, ZarrStoreStateMachine
from zarr.testing.store import StoreTests
from zarr.testing.strategies import keys as zarr_keys

from zarrstore.interop.zarr import BlockingStoreAdapter, StoreAdapter, to_zarr

pytest_plugins = ["servers", "database_servers"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def what_blocks_by_its_nature(blockbuster: BlockBuster) -> None:
    """Let the plain methods of zarr-python be called on an event loop, as its tests do."""
    for function in blockbuster.functions.values():
        for name in ("close", "get_sync", "set_sync", "delete_sync"):
            function.can_block_in("zarrstore/interop/_zarr_adapter.py", name)


# the fixture has anyio run the coroutine fixtures, for tests that are no coroutines too
@pytest.mark.anyio
@pytest.mark.usefixtures("anyio_backend")
class Suite(StoreTests[StoreAdapter, cpu.Buffer]):
    """zarr-python's tests, with what they ask for."""

    buffer_cls = cpu.Buffer
    name: str

    @pytest.fixture
    def store_kwargs(self, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
        store = make_store(self.name, request)
        yield {"store": store}
        store.sync.close()

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

    def test_store_supports_deletes(self, store: StoreAdapter) -> None:
        assert store.supports_deletes


def _suite(name: str, adapter: type[StoreAdapter]) -> type[Suite]:
    words = "".join(word.title() for word in name.split())
    return type(f"Test{words}", (Suite,), {"name": name, "store_cls": adapter})


for _name in MAKERS:
    _adapter = StoreAdapter if _name in ("s3", "latency") else BlockingStoreAdapter
    _class = _suite(_name, _adapter)
    globals()[_class.__name__] = _class


class DirectoryMachine(ZarrStoreStateMachine):
    """Over a file system, where a key cannot be a prefix as well."""

    @rule(key=zarr_keys(), data=st.binary(max_size=MAX_BINARY_SIZE))
    def set(self, key: str, data: bytes) -> None:
        for other in self.model:
            assume(not other.startswith(f"{key}/") and not key.startswith(f"{other}/"))
        super().set(key, data)


@pytest.mark.parametrize("name", MAKERS)
def test_machine(name: str, request: pytest.FixtureRequest) -> None:
    store = to_zarr(make_store(name, request))
    machine = DirectoryMachine if name in DIRECTORIES else ZarrStoreStateMachine
    is_slow = name in ("s3", "mongodb", "latency")
    run_state_machine_as_test(
        lambda: machine(store),
        settings=settings(
            max_examples=4 if is_slow else 15,
            stateful_step_count=15 if is_slow else 30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    store.close()
