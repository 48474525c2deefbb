"""The table of stores and behaviours: what it says is so."""

from __future__ import annotations

import pytest
import zarr
from mutants.matrix import COLUMNS, OPTIONS, OURS, PAGE, page, recorded
from zarrstore_testing import check_store, registry

RECORDED = recorded()
# what the adapter cannot mend: empty directories that stay and are listed, temporary files that are
# listed, directories taken for keys, errors for "missing", stores that cannot be pickled
DEVIATIONS: dict[str, set[str]] = {
    "zarr: MemoryStore": set(),
    "zarr: LocalStore": {
        "clear_empties",
        "delete_dir_deletes_below",
        "killed_writer_leaves_whole_values",
        "listings_at_once",
        "long_keys_are_whole",
        "partial_writes_are_not_listed",
        "prefix_goes_with_its_last_key",
    },
    "zarr: ZipStore": {
        "stat_reads_no_value",
    },
    "zarr: ObjectStore, obstore memory": {
        "fork_works_or_raises",
        "killed_writer_leaves_whole_values",
        "pickle_opens_the_same_data_elsewhere",
        "pickle_opens_the_same_data_here",
        "reopened_store_has_the_same_data",
    },
    "zarr: ObjectStore, obstore local": {
        "clear_empties",
        "delete_dir_deletes_below",
        "exists_is_true_for_keys",
        "fork_works_or_raises",
        "get_each_into_fills_buffers",
        "get_each_keeps_the_order",
        "get_missing_is_none",
        "getsize_is_in_bytes",
        "key_and_prefix_of_one_name",
        "long_keys_are_whole",
        "prefix_goes_with_its_last_key",
        "ranges_of_a_missing_key",
        "stat_knows_the_size",
        "url_characters_are_ordinary",
    },
    "zarr: FsspecStore, memory": {
        "delete_dir_leaves_siblings",
        "directory_is_not_a_key",
        "exists_is_true_for_keys",
        "getsize_is_in_bytes",
        "key_and_prefix_of_one_name",
        "mapping_deletes",
        "mapping_get_and_contains",
        "prefix_is_not_a_pattern",
        "random_operations_match_a_dict",
        "ranges_of_a_missing_key",
        "wildcards_are_ordinary",
    },
}
# these do not fail each time
RACES = {
    "killed_writer_leaves_whole_values",
    "listings_at_once",
    "partial_writes_are_not_listed",
    "random_operations_match_a_dict",
}


def failed(name: str) -> set[str]:
    found = RECORDED["found"][name]
    return {behaviour for behaviour, status in found.items() if status == "failed"}


def test_the_page_is_what_the_command_writes():
    assert PAGE.read_text() == page(), "run `python -m mutants.matrix` in the directory tests"
    assert set(RECORDED["found"]) == set(COLUMNS)
    assert all(set(found) == set(registry) for found in RECORDED["found"].values())


def test_no_store_here_fails():
    assert {name: failed(f"zarrstore: {name}") for name in OURS} == {name: set() for name in OURS}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_what_it_says_of_zarr_python_is_so(name):
    assert failed(name) - RACES == DEVIATIONS[name] - RACES
    if zarr.__version__ == RECORDED["versions"]["zarr"]:
        chosen = sorted(DEVIATIONS[name] - RACES)
        report = check_store(COLUMNS[name], options=OPTIONS, behaviours=chosen)
        assert [result.name for result in report.failures] == chosen, str(report)
