"""zarr 2.18.7, which cannot be installed beside zarr 3: in an environment of its own.

The environment is made when it is first asked for, and kept in the user's cache folder; one
process makes it, and others wait. This package is on its path, as it is here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["ROOT", "environment", "judge", "run"]

ROOT = Path(__file__).parents[1]
ZARR = ("zarr==2.18.7", "numcodecs<0.16", "numpy<2.3")
_JUDGES = ("pytest", "lmdb", "pymongo", "redis", "obstore", "azure-storage-blob")


def _dependencies() -> list[str]:
    """Return what this package needs, but for what zarr 2 says itself."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        found = tomllib.load(file)["project"]["dependencies"]
    return [each for each in found if not each.startswith(("numcodecs", "numpy"))]


def environment(packages: Sequence[str] = (), python: str = sys.executable) -> Path:
    """Return the interpreter of an environment with zarr 2 and some packages more."""
    wanted = [*ZARR, *packages]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zarrstore-tests"
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version, sys.base_prefix)"],
        capture_output=True,
        check=True,
    ).stdout
    digest = hashlib.sha256(version + " ".join(wanted).encode()).hexdigest()[:12]
    there = cache / f"zarr-2-{digest}"
    interpreter = there / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(there.with_suffix(".lock")):
        if not (there / "complete").exists():
            print(f"Installing {' '.join(wanted)} in {there}", file=sys.stderr)
            try:
                subprocess.run([python, "-m", "venv", "--clear", there], check=True)
                command = [interpreter, "-m", "pip", "install", "-qq", *wanted]
                subprocess.run(command, check=True, stdout=sys.stderr)
            except BaseException:
                shutil.rmtree(there, ignore_errors=True)
                raise
            (there / "complete").touch()
    return interpreter


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out for a while."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _started(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    python = environment([*_dependencies(), *_JUDGES])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [python, "-W", "ignore::FutureWarning", *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


def run(file: Path, function: str, *arguments: Any, cwd: Path) -> Any:
    """Call a function of a file where zarr 2 is; arguments and result are what JSON can hold."""
    script = (
        "import json, runpy, sys; file, function, arguments = sys.argv[1:]; "
        "result = runpy.run_path(file)[function](*json.loads(arguments)); "
        "print('\\n' + json.dumps(result))"
    )
    done = _started("-c", script, str(file), function, json.dumps(arguments), cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.rstrip().rpartition("\n")[2])


def judge(file: Path, folder: Path, **variables: str) -> dict[str, dict[str, int]]:
    """Run a test file by the pytest of that environment.

    Returns
    -------
    dict
        By class, how many of its items passed, failed and were skipped.
    """
    report = folder / "report.xml"
    options = [
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    done = _started(
        "-m", "pytest", *options, "--import-mode=importlib", f"--junitxml={report}", str(file),
        cwd=folder, **variables,
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    print(done.stdout)
    counts: dict[str, dict[str, int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "").rpartition(".")[2]
        bad = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        ended = "failed" if bad else "skipped" if skipped else "passed"
        found = counts.setdefault(name, {"passed": 0, "failed": 0, "skipped": 0})
        found[ended] += 1
    return counts
