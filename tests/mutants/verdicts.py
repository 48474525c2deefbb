"""What zarr-python's own tests of a store say of the same faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import zarr

RECORD = Path(__file__).with_name("zarr_verdicts.json")
CASES = Path(__file__).with_name("zarr_cases.py")


def zarr_verdicts(names: Iterable[str]) -> dict[str, list[str]]:
    """Return which of zarr-python's tests fail on each store."""
    chosen = list(names)
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(CASES), "--noconftest", "-p", "no:asyncio",
             "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=ignore", "-q",
             "--import-mode=importlib", f"--junitxml={report}"],
            cwd=directory,
            env={
                **os.environ,
                "MUTANTS": ",".join(chosen),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            capture_output=True,
            text=True,
            timeout=1800,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stdout + done.stderr
        cases = ET.parse(report).getroot().iter("testcase")
        found: dict[str, set[str]] = {name: set() for name in chosen}
        ran = dict.fromkeys(chosen, 0)
        for case in cases:
            name = case.attrib["classname"].rpartition(".Test")[2]
            ran[name] += 1
            if case.find("failure") is not None or case.find("error") is not None:
                found[name].add(case.attrib["name"].partition("[")[0])
    assert all(ran.values()), ran
    return {name: sorted(failed) for name, failed in found.items()}


def record(names: Iterable[str]) -> None:
    """Run zarr-python's tests on every store, and keep what they say."""
    verdicts = {"zarr": zarr.__version__, "failed": zarr_verdicts(names)}
    RECORD.write_text(json.dumps(verdicts, indent=1) + "\n")


def recorded() -> tuple[str, dict[str, list[str]]]:
    """Return the version of zarr-python, and which of its tests failed on each store."""
    found = json.loads(RECORD.read_text())
    return found["zarr"], found["failed"]
