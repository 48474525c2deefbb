"""zarr 2.18.7, which cannot be installed beside zarr 3: in an environment of its own.

The environment is made when it is first asked for, and kept in the user's cache folder. This
package is on its path, as it is here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cache_folder import made_once

__all__ = ["ROOT", "environment", "judge", "outcomes", "run"]

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
    command = [python, "-c", "import sys; print(sys.version, sys.base_prefix)"]
    version = subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def make(folder: Path) -> None:
        subprocess.run([python, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "-qq", *wanted]
        subprocess.run(install, check=True, stdout=sys.stderr)

    return made_once("zarr-2", make, version, *wanted) / "bin" / "python"


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


def outcomes(file: Path, folder: Path, **variables: str) -> dict[str, str]:
    """Run a test file by the pytest of that environment.

    Returns
    -------
    dict
        By ``Class.test``, or ``test``, whether it ``"passed"``, ``"failed"`` or was ``"skipped"``.
    """
    report = folder / "report.xml"
    options = ["-c", os.devnull, "--rootdir", str(folder), "--noconftest", "-q"]
    done = _started(
        "-m", "pytest", *options, "-p", "no:cacheprovider", "--import-mode=importlib",
        f"--junitxml={report}", str(file), cwd=folder, **variables,
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    print(done.stdout)
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        cls = case.get("classname", "").rpartition(".")[2]
        bad = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        name = f"{cls}.{case.get('name')}" if cls.startswith("Test") else str(case.get("name"))
        found[name] = "failed" if bad else "skipped" if skipped else "passed"
    return found


def judge(file: Path, folder: Path, **variables: str) -> dict[str, dict[str, int]]:
    """Run a test file there; return by class how many tests passed, failed and were skipped."""
    counts: dict[str, dict[str, int]] = {}
    for name, ended in outcomes(file, folder, **variables).items():
        none = {"passed": 0, "failed": 0, "skipped": 0}
        counts.setdefault(name.partition(".")[0], none)[ended] += 1
    return counts
