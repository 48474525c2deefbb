"""Write the figures that were kept into ``docs/performance.md``, with the plot beside it.

``python -m benchmarks.arrays.page [RESULTS]`` does it without measuring again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.arrays.parts import PARTS
from benchmarks.arrays.plot import draw
from benchmarks.arrays.session import Cell
from benchmarks.arrays.tables import facts_line, table, title

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
START, END = "<!-- figures: start -->", "<!-- figures: end -->"
PLOT_TEXT = (
    "Time of each library for each codec and size of chunk, as a multiple of zarrstore's; "
    "the figures are those of the table"
)


def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Replace what stands between the two marks of the page."""
    kept = json.loads(results.read_text())
    sections: list[str] = []
    line = ""
    for part in [part for part in PARTS if part in kept]:
        cells = [Cell(**cell) for cell in kept[part]["cells"]]
        sections.append(f"## {title(part)}")
        if facts_line(kept[part]["facts"]) != line:
            line = facts_line(kept[part]["facts"])
            sections.append(f"{line}.")
        if part == "local":
            plot = page.with_suffix(".svg")
            draw(cells, plot)
            sections.append(f"![{PLOT_TEXT}]({plot.name})")
        sections.append(table(part, cells))
    before, rest = page.read_text().split(START)
    after = rest.split(END)[1]
    page.write_text("\n\n".join([before + START, *sections, END + after]))


if __name__ == "__main__":
    write_page(*map(Path, sys.argv[1:2]))
