"""zarr 2.18.7 judges: its own suite of stores passes over every store of `zarrstore.v2`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import zarr2

from zarrstore import v2

if TYPE_CHECKING:
    from azurite import Azurite
    from daemons import Secantus, Valkey

pytest_plugins = ["azurite", "database_servers"]

HERE = Path(__file__).parent
EXPECTED = {
    "TestKVStore": {"passed": 24, "failed": 0, "skipped": 1},
    "TestLRUStoreCache": {"passed": 24, "failed": 0, "skipped": 1},
    "TestN5FSStore": {"passed": 23, "failed": 0, "skipped": 0},
    "TestN5Store": {"passed": 23, "failed": 0, "skipped": 0},
    "TestNestedDirectoryStore": {"passed": 23, "failed": 0, "skipped": 0},
}
"""Where zarr 2's suite leaves something out, or has less of it for one class, as for its own."""
WITHOUT_SUITE = {"ConsolidatedMetadataStore"}
"""Read only."""


def test_the_suite_of_zarr_2(
    valkey: Valkey, secantus: Secantus, azurite: Azurite, tmp_path: Path
) -> None:
    counts = zarr2.judge(
        HERE / "judge_stores.py",
        tmp_path,
        JUDGED_REDIS=str(valkey.port),
        JUDGED_MONGODB=str(secantus.port),
        JUDGED_AZURE=azurite.connection_string,
    )
    usual = {"passed": 25, "failed": 0, "skipped": 0}
    assert counts == {name: EXPECTED.get(name, usual) for name in counts}
    classes = {name for name in v2.__all__ if name.endswith(("Store", "Cache"))}
    assert {f"Test{name}" for name in classes - WITHOUT_SUITE} <= set(counts)
