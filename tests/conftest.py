from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from zarrstore.compute import cores
from zarrstore.hierarchy import array_core

# a busy machine is slow, and no test is the worse for it
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

_FINALIZERS = ("fsspec/implementations/http.py", "s3fs/core.py")


def pytest_collection_finish() -> None:
    """Leave modules and thousands of collected tests out of every collection of garbage."""
    gc.collect()
    gc.freeze()


class _Filled:
    """numpy, but that a new array holds no values that may be right by chance."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        array = np.empty(shape, dtype)
        if not array.dtype.hasobject and array.dtype.kind != "T" and array.size:
            array.reshape(-1).view(np.uint8)[...] = 0xA5
        return array


def pytest_xdist_auto_num_workers() -> int:
    """Start more processes than there are processors: tests wait for servers."""
    return -(-3 * cores() // 2)


@pytest.fixture(autouse=True, scope="session")
def results_begin_with_garbage() -> Iterator[None]:
    """Show what was not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_core, "np", _Filled())
        yield


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which the package blocks an event loop."""
    with blockbuster_ctx("zarrstore") as blocker:
        for function in blocker.functions.values():
            for file in _FINALIZERS:
                # of filesystems that a test has made itself, collected at any time
                function.can_block_in(file, "close_session")
            # where the kit calls a blocking face under a running loop, as a notebook does
            function.can_block_in("zarrstore_testing/loops.py", "cell")
        yield blocker
