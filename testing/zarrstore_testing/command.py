"""The command that checks stores: ``python -m zarrstore_testing URL``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from zarrstore.errors import ZarrStoreError
from zarrstore.redaction import redact
from zarrstore_testing.contract import registry
from zarrstore_testing.options import Options
from zarrstore_testing.report import Report, Result, matrix
from zarrstore_testing.running import check_store
from zarrstore_testing.scratch import Scratch, ScratchError

__all__ = ["app"]

_STYLES = {"passed": "green", "failed": "bold red", "not applicable": "dim"}
_REFUSED = 2

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def check(
    urls: Annotated[
        list[str],
        typer.Argument(metavar="URL...", help="What open_store takes; '{}' stands for a number."),
    ],
    scratch: Annotated[
        str, typer.Option(help="The prefix to work below, where there is nothing yet.")
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what came of it to a file, as JSON.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write what came of it to a file, as Markdown.")
    ] = None,
    matrix_file: Annotated[
        Path | None,
        typer.Option("--matrix", help="Write a table of behaviours and stores, as Markdown."),
    ] = None,
    storage_options: Annotated[
        str, typer.Option(help="Options of the backend, as a JSON object.")
    ] = "{}",
    behaviour: Annotated[
        list[str] | None, typer.Option(help="Check this behaviour only; may be repeated.")
    ] = None,
    many_keys: Annotated[int, typer.Option(min=1, help="How many keys a long listing has.")] = 1500,
    examples: Annotated[int, typer.Option(min=1, help="How many random sequences are tried.")] = 20,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds after which a store hangs.")
    ] = 120.0,
    verbose: Annotated[bool, typer.Option(help="Show what passed, too.")] = False,
) -> None:
    """Check stores against the whole contract; leave them as they were found.

    Exits with 0 if all passed, with 1 if something failed, with 2 if a store could not be checked.
    """
    console = Console()
    if unknown := [name for name in behaviour or () if name not in registry]:
        raise typer.BadParameter(f"there is no behaviour {unknown[0]!r}", param_hint="--behaviour")
    backend = _object(storage_options)
    for name, path in (("json", json_file), ("markdown", markdown), ("matrix", matrix_file)):
        if path is not None and not path.parent.is_dir():
            hint = f"--{name}"
            raise typer.BadParameter(f"there is no directory {path.parent}", param_hint=hint)
    options = Options(many_keys=many_keys, examples=examples, timeout=timeout)
    try:
        reports = [
            _checked(url, scratch, backend, options, behaviour or list(registry), console)
            for url in urls
        ]
    except (ScratchError, ZarrStoreError, TypeError, ValueError) as error:
        console.print(f"[red]not checked:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(_REFUSED) from None
    for report in reports:
        _show(report, console, verbose)
    if json_file is not None:
        data: Any = [report.as_dict() for report in reports]
        json_file.write_text(json.dumps(data if len(data) > 1 else data[0], indent=1) + "\n")
    if markdown is not None:
        markdown.write_text("\n".join(report.markdown() for report in reports))
    if matrix_file is not None:
        matrix_file.write_text(matrix(reports))
    raise typer.Exit(0 if all(report.ok for report in reports) else 1)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter(
            "a JSON object is wanted, such as '{\"anon\": true}'", param_hint="--storage-options"
        )
    return found


def _checked(
    url: str,
    prefix: str,
    backend: dict[str, Any],
    options: Options,
    behaviours: Iterable[str],
    console: Console,
) -> Report:
    names = list(behaviours)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[last]}"),
    )  # fmt: skip
    with (
        Scratch(url, prefix, backend) as scratch,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task(escape(redact(url)), total=len(names), last="")

        def done(result: Result) -> None:
            scratch.clean()
            progress.update(task, advance=1, last=result.name)
            if result.status == "failed":
                progress.console.print(f"[bold red]FAIL[/] {result.name}: {escape(result.reason)}")

        report = check_store(scratch, options=options, behaviours=names, progress=done)
    return Report(redact(url), report.results)


def _show(report: Report, console: Console, verbose: bool) -> None:
    table = Table(title=escape(report.store), title_justify="left", box=None, pad_edge=False)
    for name in ("section", "behaviour", "", "reason"):
        table.add_column(name, overflow="fold")
    for result in report.results:
        if verbose or result.status == "failed":
            style = _STYLES[result.status]
            status = f"[{style}]{result.status}[/]"
            table.add_row(result.behaviour.section, result.name, status, escape(result.reason))
    if table.row_count:
        console.print(table)
    for result in report.failures:
        console.rule(result.name, style="red")
        console.print(result.details, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{escape(report.store)}: {report.counts}", highlight=False)
