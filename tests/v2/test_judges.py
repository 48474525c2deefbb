"""zarr 2.18.7 judges: its own suite of stores passes over every store of `zarrstore.v2`."""

from __future__ import annotations

from pathlib import Path

import zarr2

HERE = Path(__file__).parent


def test_the_suite_of_zarr_2(tmp_path: Path) -> None:
    counts = zarr2.judge(HERE / "judge_stores.py", tmp_path)
    print(counts)
    assert counts
