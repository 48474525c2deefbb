"""`Report`: what came of checking a store, as text, as Markdown and as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from zarrstore_testing.behaviour import Behaviour

__all__ = ["Report", "Result", "Status", "matrix"]

Status: TypeAlias = Literal["passed", "failed", "not applicable"]
MARKS: dict[str, str] = {"passed": "pass", "failed": "FAIL", "not applicable": "n/a "}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one behaviour.

    Attributes
    ----------
    behaviour : Behaviour
    status : {"passed", "failed", "not applicable"}
    reason : str
        Why, in one line.
    details : str
        Of a failure: the rule, the store, and the operations that led there.
    seconds : float
        How long it took.
    """

    behaviour: Behaviour
    status: Status
    reason: str
    details: str = field(default="", repr=False)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the behaviour."""
        return self.behaviour.name


@dataclass(frozen=True)
class Report:
    """What came of checking a store; ``str(report)`` is a table of it.

    ``report[name]`` is the result of one behaviour.

    Attributes
    ----------
    store : str
        The class of the store, with its module.
    results : tuple of Result
        One for each behaviour, in the order in which they were checked.
    """

    store: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that failed."""
        return tuple(result for result in self.results if result.status == "failed")

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        lines = []
        section = ""
        for result in self.results:
            if result.behaviour.section != section:
                section = result.behaviour.section
                lines.append(f"\n{section}")
            lines.append(f"  {MARKS[result.status]}  {result.name:<{width}}  {result.reason}")
        return "\n".join([self.store, *lines, "", self.counts])

    @property
    def counts(self) -> str:
        """How many behaviours passed, failed and did not apply, in words."""
        return ", ".join(
            f"{number} {status}"
            for status in MARKS
            if (number := sum(result.status == status for result in self.results))
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as data that JSON can carry."""
        return {
            "store": self.store,
            "ok": self.ok,
            "results": [
                {
                    "behaviour": result.name,
                    "section": result.behaviour.section,
                    "rule": result.behaviour.rule,
                    "status": result.status,
                    "reason": result.reason,
                    "details": result.details,
                    "seconds": round(result.seconds, 3),
                }
                for result in self.results
            ],
        }

    def markdown(self) -> str:
        """Return the report as a page of Markdown, the failures with the code that shows them."""
        lines = [f"# {_cell(self.store)}", "", f"{self.counts}.", ""]
        lines += ["| section | behaviour | | reason |", "| --- | --- | --- | --- |"]
        for result in self.results:
            mark = MARKS[result.status].strip()
            section = result.behaviour.section
            lines.append(f"| {section} | `{result.name}` | {mark} | {_cell(result.reason)} |")
        for result in self.failures:
            lines += ["", f"## {result.name}", "", "````text", result.details.rstrip(), "````"]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    shown = text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
    return " ".join(shown.split())


def matrix(reports: Iterable[Report]) -> str:
    """Return a table of Markdown: a row for each behaviour, a column for each store."""
    columns = list(reports)
    names = list(dict.fromkeys(result.name for each in columns for result in each.results))
    lines = [
        f"| behaviour | {' | '.join(_cell(each.store) for each in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    signs = {"passed": "yes", "failed": "**no**", "not applicable": "-"}
    for name in names:
        cells = []
        for each in columns:
            found = [signs[result.status] for result in each.results if result.name == name]
            cells.append(found[0] if found else "")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines.append(f"| failed | {' | '.join(str(len(each.failures)) for each in columns)} |")
    return "\n".join(lines) + "\n"
