"""The examples run, and check what they do by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import zarr2

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, *arguments: object, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    said = run("many_writers.py", tmp_path / "shared.zarr", cwd=tmp_path)
    assert said.endswith("nothing was lost\n")


def make_lmdb(path: str) -> None:
    """Make a database, where zarr is zarr 2."""
    import numpy as np
    import zarr

    with zarr.LMDBStore(path) as store:
        root = zarr.group(store)
        root.create_dataset("a/ramp", data=np.arange(1001), chunks=100)
        root.create_dataset("ones", data=np.ones((20, 30)), chunks=(10, 10))


def test_an_lmdb_database_of_zarr_2_moves_to_a_bucket(tmp_path: Path, s3_bucket: Bucket) -> None:
    zarr2.run(Path(__file__), "make_lmdb", str(tmp_path / "old.lmdb"), cwd=tmp_path)
    options = s3_bucket.storage_options
    variables = {
        "AWS_ENDPOINT_URL": options["endpoint_url"],
        "AWS_ACCESS_KEY_ID": options["key"],
        "AWS_SECRET_ACCESS_KEY": options["secret"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    dest = f"{s3_bucket.url}/folder/new.zip"
    for _ in range(2):
        said = run("lmdb_to_s3.py", tmp_path / "old.lmdb", dest, cwd=tmp_path, **variables)
        assert "a/ramp: 500.000 on average" in said
        assert "ones: 1.000 on average" in said
    assert "0 copied (0 B), " in said


def test_a_dask_graph_to_s3(tmp_path: Path) -> None:
    said = run("dask_to_s3.py", cwd=tmp_path, PYTHONWARNINGS="ignore")
    assert "each chunk is written by one" in said
    assert said.endswith("nothing was lost\n")
