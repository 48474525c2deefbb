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
