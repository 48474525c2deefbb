from __future__ import annotations

from typing import Any

from mutants import FAULTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many of the stores with a fault the kit has found."""
    ended: dict[str, set[str]] = {}
    for status in ("passed", "failed"):
        ended[status] = {
            report.nodeid
            for report in terminalreporter.stats.get(status, ())
            if "test_mutants.py::test_a_fault_is_found[" in report.nodeid
        }
    if killed := ended["passed"]:
        asked = len(killed | ended["failed"])
        rest = f" (of {len(FAULTS)} in all)" if asked < len(FAULTS) else ""
        terminalreporter.write_line(f"{len(killed)} of {asked} mutants killed{rest}")
