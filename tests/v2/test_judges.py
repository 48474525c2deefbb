"""zarr 2.18.7 judges: its own suite of stores passes over every store of `zarrstore.v2`."""

from __future__ import annotations

import re
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


OTHERWISE = {
    r"TestDictStore\..*": "it is not deprecated, and so does not warn",
    r"test_deprecated_listdir_nosotre": "any mapping can be listed",
    r"Test.*\.test_listing_keys_(no_)?slash": "of a method of zarr 2's own",
    r"TestFSStore\.test_dimension_separator": "of a method of zarr 2's own",
    r"TestN5FSStore\.test_dimension_separator": "no warning",
    r"Test.*FSStore\.test_complex": "what is written through a cache is kept in it at once",
    r"TestN5.*\.test_del_zarr_meta_key.*": "attributes.json itself is not written",
    r"TestN5.*\.test_chunk_nesting": "a path of numbers is no key where there is no array",
    r"TestZipStore\.test_pop(item)?": "keys can be deleted",
    r"TestZipStore\.test_permissions": "no key ends with /",
    r"TestZipStore\.test_store_and_retrieve_ndarray": "the one before left its file open",
    r"TestLRUStoreCache\.test_cache_(values_no_max_size|keys)": "other requests to the store below",
    r"TestConsolidatedMetadataStore\.test_read_write": "documents are those of nodes",
    r"test_(coverage_rename|getsize)": "values are buffers",
    r"test_getsize_non_implemented": "an object is no store",
    r"test_get_hierarchy_metadata_v2": "a class is no mapping",
}
"""What zarr 2 tests of itself that is not so here, and why."""


def test_all_tests_of_zarr_2s_storage(tmp_path: Path) -> None:
    found = zarr2.outcomes(HERE / "judge_all.py", tmp_path)
    failed = {name for name, ended in found.items() if ended == "failed"}
    passed = [name for name, ended in found.items() if ended == "passed"]
    unexpected = {name for name in failed if not any(re.fullmatch(r, name) for r in OTHERWISE)}
    assert unexpected == set()
    for pattern in OTHERWISE:
        assert any(re.fullmatch(pattern, name) for name in failed), f"{pattern} passes"
    assert len(passed) > 500
