from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

# a busy machine is slow, and no test is the worse for it
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

_FINALIZERS = ("fsspec/implementations/http.py", "s3fs/core.py")


def pytest_collection_finish() -> None:
    """Leave modules and thousands of collected tests out of every collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which the package blocks an event loop."""
    with blockbuster_ctx("zarrstore") as blocker:
        for function in blocker.functions.values():
            for file in _FINALIZERS:
                # of filesystems that a test has made itself, collected at any time
                function.can_block_in(file, "close_session")
        yield blocker
