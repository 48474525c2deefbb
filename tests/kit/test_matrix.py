"""The table of stores and behaviours: what it says is so."""

from __future__ import annotations

from mutants.matrix import COLUMNS, OURS, PAGE, page, recorded
from zarrstore_testing import registry

RECORDED = recorded()


def failed(name: str) -> dict[str, str]:
    found = RECORDED["found"][name]
    return {each: reason for each, (status, reason) in found.items() if status == "failed"}


def test_the_page_is_what_the_command_writes():
    assert PAGE.read_text() == page(), "run `python -m mutants.matrix` in the directory tests"
    assert set(RECORDED["found"]) == set(COLUMNS)
    assert all(set(found) == set(registry) for found in RECORDED["found"].values())


def test_no_store_here_fails():
    assert not [
        (name, failed(f"zarrstore: {name}")) for name in OURS if failed(f"zarrstore: {name}")
    ]
