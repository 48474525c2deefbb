"""The examples run, and check what they do by themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_many_writers_lose_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "many_writers.py"), str(tmp_path / "shared.zarr")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("nothing was lost\n")


def test_a_dask_graph_to_s3():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(EXAMPLES / "dask_to_s3.py")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "each chunk is written by one" in done.stdout
    assert done.stdout.endswith("nothing was lost\n")
