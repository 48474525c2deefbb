"""The plot of whole arrays in a directory: each library's time as a multiple of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.arrays.session import Cell
from benchmarks.arrays.tables import BARE, OURS

# the colours of Okabe and Ito, which the colour-blind can tell apart; the shapes do as well
STYLES = {
    "zarr": ("o", "#0072B2"),
    "zarr fused": ("P", "#56B4E9"),
    "zarrs": ("s", "#D55E00"),
    "tensorstore": ("D", "#009E73"),
    "zarr 2.18": ("^", "#CC79A7"),
    BARE: ("x", "#000000"),
}
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)


def draw(cells: list[Cell], path: Path) -> None:
    """Write the plot of the cells of the part ``local``."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "font.family": "sans-serif",
        "font.size": 10,
        "svg.fonttype": "none",
        "svg.hashsalt": "zarrstore",
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 4.8), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, operation in zip(panels, ("write", "read"), strict=True):
            panel(axes, operation, [one for one in cells if one.labels["operation"] == operation])
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
        figure.supxlabel(
            f"time as a multiple of {OURS}'s (log scale): left of the line is faster, right slower",
            fontsize=10,
        )
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def panel(axes: Any, operation: str, cells: list[Cell]) -> None:
    """Draw writing or reading: a row for each codec and chunk."""
    rows = [f"{cell.labels['codec']}, {cell.labels['chunk']}" for cell in cells]
    for name, (marker, colour) in STYLES.items():
        found = [
            (theirs / ours, row)
            for row, cell in enumerate(cells)
            if (ours := cell.best(OURS)) and (theirs := cell.best(name))
        ]
        if found:
            x, y = zip(*found, strict=True)
            axes.scatter(x, y, marker=marker, color=colour, label=name, s=34, zorder=3)
    axes.axvline(1, color="#444444", linewidth=1.5, label=OURS)
    axes.set_title(operation)
    axes.set_xscale("log", base=2)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in TICKS if low <= tick <= high])
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
