"""The kit finds what is wrong: stores with one realistic fault each."""

from __future__ import annotations

import pytest
from kit.broken_stores import FAULTS, Sound
from zarrstore_testing import check_store

from zarrstore.abc import Store


def test_a_sound_store_passes():
    report = check_store(Sound)
    assert report.ok, "\n\n".join(result.details for result in report.failures)


@pytest.mark.parametrize("broken", FAULTS, ids=lambda cls: cls.__name__)
def test_a_fault_is_found(broken: type[Store]):
    expected = FAULTS[broken]
    report = check_store(broken, behaviours=sorted(expected))
    assert {result.name for result in report.failures} == expected, str(report)
    for result in report.failures:
        assert result.behaviour.rule in result.details
        assert result.reason
