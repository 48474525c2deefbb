"""The tables, what they must show, and where a peer is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import geometric_mean
from typing import Any

from benchmarks.arrays.parts import PARTS, PEERS
from benchmarks.arrays.session import UNITS, Cell

OURS = "zarrstore"
BARE = "bare loop"
MOST_OF_PEERS = 1
MOST_OF_BARE = 1.15
MEAN_TIMES_PEERS = 1.3
TIMES_ZARR = 10
MOST_OF_FEW = 1.1

Verdict = tuple[list[str], bool | None]
"""The columns after the figures, and whether all that could be judged was reached."""


def ratio(cell: Cell, names: Iterable[str]) -> float | None:
    """Return our time as a part of the least time of others."""
    ours = cell.best(OURS)
    theirs = [best for name in names if (best := cell.best(name)) is not None]
    return ours / min(theirs) if ours is not None and theirs else None


def judge_local(cell: Cell) -> Verdict:
    """At least as fast as the fastest peer, and near the bare loop."""
    peers, bare = ratio(cell, PEERS), ratio(cell, [BARE])
    reached = _both(_is_within(peers, MOST_OF_PEERS), _is_within(bare, MOST_OF_BARE))
    return [_ratio(peers), _ratio(bare)], reached


def judge_sharded(cell: Cell) -> Verdict:
    """At least as fast as the fastest peer; the whole, ten times as fast as zarr-python."""
    peers, zarr = ratio(cell, PEERS), ratio(cell, ["zarr"])
    times = None if zarr is None else 1 / zarr
    is_whole = cell.labels["operation"] in ("write", "read")
    ten_times = None if times is None or not is_whole else times >= TIMES_ZARR
    reached = _both(_is_within(peers, MOST_OF_PEERS), ten_times)
    return [_ratio(peers), "" if times is None else f"{times:.1f}"], reached


def judge_limit(cell: Cell) -> Verdict:
    """Within a fixed limit."""
    assert cell.must is not None
    limit = f"{cell.must * UNITS[cell.unit]:g} {cell.unit}"
    return [limit], _is_within(cell.best(OURS), cell.must)


def judge_many(cell: Cell) -> Verdict:
    """A chunk among many costs what it costs among few."""
    few, lots = map(cell.best, cell.names)
    ratio = lots / few if few and lots else None
    return [_ratio(ratio)], _is_within(ratio, MOST_OF_FEW)


def _is_within(value: float | None, most: float) -> bool | None:
    return None if value is None else value <= most


def _both(*reached: bool | None) -> bool | None:
    judged = [one for one in reached if one is not None]
    return all(judged) if judged else None


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


LIMIT = (["at most"], judge_limit)
JUDGES: dict[str, tuple[list[str], Callable[[Cell], Verdict]]] = {
    "local": (
        [f"to the fastest peer, ≤ {MOST_OF_PEERS}", f"to the bare loop, ≤ {MOST_OF_BARE}"],
        judge_local,
    ),
    "sharded": (
        [
            f"to the fastest peer, ≤ {MOST_OF_PEERS}",
            f"times as fast as zarr; write, read ≥ {TIMES_ZARR}",
        ],
        judge_sharded,
    ),
    "memory": LIMIT,
    "calls": LIMIT,
    "peak": LIMIT,
    "many": ([f"ratio, ≤ {MOST_OF_FEW}"], judge_many),
    "latency": LIMIT,
}


def table(part: str, cells: list[Cell]) -> str:
    """Return the table of a part, and in sentences what it comes to."""
    more, judge = JUDGES[part]
    labels = list(cells[0].labels)
    names = list(dict.fromkeys(name for cell in cells for name in cell.names))
    units = {cell.unit for cell in cells}
    header = [*labels, *names, *more, "reached"]
    if len(units) == 1:
        header[len(labels)] += f", {cells[0].unit}"
    rows = []
    for cell in cells:
        columns, reached = judge(cell)
        if names[0] not in cell.times:
            reached = False
        figures = [figure(cell, name, has_unit=len(units) > 1) for name in names]
        said = {True: "yes", False: "**no**", None: "-"}[reached]
        rows.append([*map(kept_whole, cell.labels.values()), *figures, *columns, said])
    paragraphs = [markdown(header, rows, len(labels)), *mean(part, cells)]
    if part != "many":
        paragraphs += faster_peers(part, cells)
    return "\n\n".join([*paragraphs, *failures(cells)])


def kept_whole(label: str) -> str:
    """Return a label that stays on one line in a narrow column, if it is short."""
    return label.replace(" ", "\N{NO-BREAK SPACE}") if len(label) <= 10 else label


def figure(cell: Cell, name: str, has_unit: bool) -> str:
    """Return what was measured of a candidate, with three digits that count."""
    best = cell.best(name)
    if best is None:
        return "-"
    value = best * UNITS[cell.unit]
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}" + (f" {cell.unit}" if has_unit else "")


def markdown(header: list[str], rows: list[list[str]], left: int) -> str:
    """Return a table; the columns from ``left`` on are numbers."""
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def padded(cells: list[str]) -> str:
        return line(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )

    rule = line(
        "-" * width if at < left else "-" * (width - 1) + ":" for at, width in enumerate(widths)
    )
    return "\n".join([padded(header), rule, *map(padded, rows)])


def mean(part: str, cells: list[Cell]) -> list[str]:
    """Return how many times as fast as the fastest peer of each row ours is, on average."""
    ratios = [found for cell in cells if (found := ratio(cell, PEERS)) is not None]
    if part not in ("local", "sharded") or not ratios:
        return []
    times = 1 / geometric_mean(ratios)
    text = f"Geometric mean: {times:.2f} times as fast as the fastest peer of each row"
    if part == "local":
        said = "reached" if times >= MEAN_TIMES_PEERS else "**not reached**"
        text += f" (at least {MEAN_TIMES_PEERS}: {said})"
    return [text + "."]


def faster_peers(part: str, cells: list[Cell]) -> list[str]:
    """Return in which rows another library is better than ours, which, and by how much."""
    word = "needs less" if part == "peak" else "is faster"
    rows = []
    compared = 0
    for cell in cells:
        ours = cell.best(OURS)
        theirs = {
            name: best
            for name in cell.names
            if name not in (OURS, BARE) and (best := cell.best(name)) is not None
        }
        least = min(theirs, key=theirs.__getitem__, default=None)
        if ours is None or least is None:
            continue
        compared += 1
        if theirs[least] >= ours:
            continue
        times = f", {ours / theirs[least]:.2f} times as fast" if theirs[least] > 0 else ""
        rows.append(f"{', '.join(cell.labels.values())} ({least}{'' if part == 'peak' else times})")
    if rows:
        return [f"Another library {word} in {len(rows)} of {compared} rows: {'; '.join(rows)}."]
    return [f"No other library {word} in any row."] if compared else []


def failures(cells: list[Cell]) -> list[str]:
    """Return which candidates failed, and with what."""
    said: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for name, message in cell.failed.items():
            said.setdefault((name, message), []).append(", ".join(cell.labels.values()))
    return [
        f"{name} failed ({'; '.join(where)}): `{message}`"
        for (name, message), where in said.items()
    ]


def facts_line(facts: dict[str, Any]) -> str:
    """Return what the figures depend on, in one line."""
    first = (
        f"Python {facts['python']}, {facts['cores']} cores, {facts['system']}, {facts['where']}; "
        f"best of {facts['rounds']} rounds; numpy {facts['numpy']}"
    )
    missing = [f"without {', '.join(facts['missing'])}"] if facts["missing"] else []
    flat = ["one dimension"] if facts["is_flat"] else []
    quick = ["--quick: these are no figures"] if facts["is_quick"] else []
    return "; ".join([", ".join([first, *facts["releases"]]), *missing, *flat, *quick])


def title(part: str) -> str:
    """Return the heading of a part."""
    return PARTS[part][0]
