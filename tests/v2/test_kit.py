"""The conformance kit over the stores that only `zarrstore.v2` has."""

from __future__ import annotations

import pytest
from zarrstore_testing import check_store, registry

from zarrstore import MemoryStore
from zarrstore.v2.keys import LowerKeys

ABOUT_CASE = {
    "case_is_kept",
    "get_missing_is_none",
    "percent_is_not_decoded",
    "prefix_is_compared_as_it_is",
    "prefix_is_not_a_pattern",
    "random_operations_match_a_dict",
    "slash_is_no_other_character",
    "sql_is_ordinary",
    "unicode_is_not_normalised",
    "usual_keys_round_trip",
}
"""The behaviours that use keys which have capitals."""


@pytest.mark.parametrize("name", sorted(registry.keys() - ABOUT_CASE))
def test_lower_keys(name: str) -> None:
    report = check_store(lambda: LowerKeys(MemoryStore()), behaviours=[name])
    assert report.ok, report.failures
