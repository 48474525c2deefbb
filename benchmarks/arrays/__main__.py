"""Run what is asked for, print a table for each part, and keep the figures."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.arrays.page import RESULTS, write_page
from benchmarks.arrays.parts import PARTS
from benchmarks.arrays.session import Session
from benchmarks.arrays.tables import facts_line, table, title

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def chosen(codec: str | None, chunk: str | None, operation: str | None) -> Callable[..., bool]:
    """Return which cells are wanted: those whose labels begin with what is given."""

    def is_wanted(labels: dict[str, str]) -> bool:
        given = {"codec": codec, "chunk": chunk, "operation": operation}
        return all(
            not wanted or labels.get(name, wanted).replace(" ", "").startswith(wanted)
            for name, wanted in given.items()
        )

    return is_wanted


@app.command()
def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(PARTS)}")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="measurements of each figure")] = 7,
    folder: Annotated[Path | None, typer.Option(help="where to write; a tmpfs if any")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="only this one, and ours")] = None,
    codec: Annotated[str | None, typer.Option(help="none, blosc, zstd")] = None,
    chunk: Annotated[str | None, typer.Option(help="16KiB, 256KiB, 4MiB")] = None,
    operation: Annotated[str | None, typer.Option(help="write, read, ...")] = None,
    side: Annotated[int, typer.Option(help="length of the array, a multiple of 1024")] = 4096,
    flat: Annotated[bool, typer.Option(help="one dimension instead of two, in 'local'")] = False,
    quick: Annotated[bool, typer.Option(help="little data: to see that it works")] = False,
    results: Annotated[Path | None, typer.Option("--json", help="keep the figures here")] = None,
    docs: Annotated[bool, typer.Option(help="write them to docs/performance.md")] = False,
) -> None:
    """Time arrays in zarrstore and its peers, in turns; peers that are missing are left out."""
    unknown = set(parts or ()) - set(PARTS)
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not of {', '.join(PARTS)}")
    if side % 1024 or side <= 0:
        raise typer.BadParameter(f"--side must be a multiple of 1024, not {side}")
    if flat and parts != ["local"]:
        raise typer.BadParameter("--flat is for the part 'local' alone")
    if docs and (flat or quick):
        raise typer.BadParameter("--docs takes neither --flat nor --quick")
    base = folder or (Path("/dev/shm") if os.path.isdir("/dev/shm") else None)
    session = Session(
        Path(tempfile.mkdtemp(prefix="zarrstore-benchmark-", dir=base)),
        rounds,
        1024 if quick else side,
        quick,
        wanted=chosen(codec, chunk, operation),
        is_flat=flat,
    )
    kept = results or (RESULTS if docs else None)
    try:
        session.load(peer or [])
        for name, reason in session.missing.items():
            print(f"{name} is left out: {reason}")
        print(f"{facts_line(session.facts())}\n")
        for part in parts or PARTS:
            cells = session.run(title(part), PARTS[part][1](session))
            if not cells:
                continue
            print(f"## {title(part)}\n\n{table(part, cells)}\n", flush=True)
            if kept:
                # a part is replaced as a whole: what stands side by side was measured so
                found = {"facts": session.facts(), "cells": [asdict(cell) for cell in cells]}
                before = json.loads(kept.read_text()) if kept.exists() else {}
                kept.write_text(json.dumps(before | {part: found}, indent=1) + "\n")
    finally:
        session.close()
    if docs:
        write_page(results or RESULTS)


if __name__ == "__main__":
    app()
