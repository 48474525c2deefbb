"""The page of the documentation that has the score."""

from __future__ import annotations

from pathlib import Path

from zarrstore_testing import registry

from mutants import FAULTS, TOPICS
from mutants.verdicts import recorded

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"

HEAD = """\
# Broken stores

The conformance kit is held against {count} stores that have one realistic fault each, such as are
found in stores that people write: the tests fail unless the kit finds every one of them, by the
behaviours named here, and passes the same stores without the fault. The last column says what the
tests of a store in zarr-python {version}, `zarr.testing.store.StoreTests`, make of the same stores,
which they are given through `to_zarr`: the first of their tests that fails, or nothing.

| | faults | found by the kit | found by `zarr.testing` |
| --- | --- | --- | --- |
| all | {count} | {count} | {theirs} |
| that can be seen through the methods of a zarr store | {seen} | {seen} | {theirs_seen} |

This page is written by `python -m mutants` in the directory `tests`; `python -m mutants --zarr`
runs zarr-python's tests as well. What a behaviour asks for is told [at the end](#the-behaviours).
"""


def page() -> str:
    """Return the page."""
    version, theirs = recorded()
    in_zarr = [name for name, fault in FAULTS.items() if fault.in_zarr]
    lines = [
        HEAD.format(
            version=version,
            count=len(FAULTS),
            theirs=sum(bool(theirs[name]) for name in FAULTS),
            seen=len(in_zarr),
            theirs_seen=sum(bool(theirs[name]) for name in in_zarr),
        )
    ]
    for topic in TOPICS:
        faults = [fault for fault in FAULTS.values() if fault.make.__module__ == topic.__name__]
        title = topic.__name__.rpartition(".")[2].replace("_", " ")
        lines += [f"## {title.capitalize()}", "", str(topic.__doc__), ""]
        lines += ["| fault | found by the kit | by `zarr.testing` |", "| --- | --- | --- |"]
        for fault in faults:
            ours = ", ".join(f"`{name}`" for name in registry if name in fault.found_by)
            first = theirs[fault.name][:1]
            lines.append(f"| {fault.words} | {ours} | {f'`{first[0]}`' if first else ''} |")
        lines.append("")
    used = {name for fault in FAULTS.values() for name in fault.found_by}
    lines += ["## The behaviours", "", "| behaviour | rule |", "| --- | --- |"]
    for name, behaviour in registry.items():
        if name in used:
            rule = behaviour.rule.replace("|", "\\|").replace("*", "\\*")
            lines.append(f"| `{name}` | {rule} |")
    return "\n".join(lines) + "\n"
