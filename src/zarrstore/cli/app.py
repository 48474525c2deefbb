"""The command ``zarrstore``, with its subcommands."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from zarrstore.errors import ZarrStoreError

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _zarrstore() -> None:
    """Zarr stores, from a shell."""


# its arguments and its help are the kit's, which is loaded only when it is asked for
@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def check(context: typer.Context) -> None:
    """Check a store against the whole contract: ``zarrstore check URL...``."""
    try:
        command = importlib.import_module("zarrstore_testing.command")
    except ImportError as error:
        message = f"{error}\nzarrstore check needs: pip install 'zarrstore[cli,testing]'"
        typer.echo(message, err=True)
        raise typer.Exit(2) from None
    command.app(context.args, prog_name="zarrstore check")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="a path or URL")],
    dest: Annotated[str, typer.Argument(help="a path or URL")],
    source_path: Annotated[str, typer.Option(help="copy what is below this path")] = "",
    dest_path: Annotated[str, typer.Option(help="to this path")] = "",
    include: Annotated[
        list[str] | None,
        typer.Option(help="only keys with this in them"),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="no keys with this in them")] = None,
    if_exists: Annotated[
        str, typer.Option(help="raise, replace, skip: for keys that have another value")
    ] = "raise",
    verify: Annotated[bool, typer.Option(help="read back what was written")] = True,
    dry_run: Annotated[bool, typer.Option(help="only say what would be done")] = False,
    progress: Annotated[bool, typer.Option(help="show a bar")] = True,
) -> None:
    """Copy all keys of a store to another, of any kind.

    Keys and values are copied as they are: zarrstore copy old.zarr s3://bucket/new.zarr. If it was
    broken off, run it again: it goes on where it ended; but a zip file is there only when it is
    complete, or was broken off by an error or Ctrl-C. INCLUDE and EXCLUDE are regular expressions,
    and can be given more than once.
    The exit code is 1 if that failed, 2 for wrong arguments, 130 after Ctrl-C.
    """
    copy_store = importlib.import_module("zarrstore").copy_store
    try:
        report = copy_store(
            source,
            dest,
            source_path=source_path,
            dest_path=dest_path,
            includes=include or (),
            excludes=exclude or (),
            if_exists=if_exists,
            verify=verify,
            dry_run=dry_run,
            progress=progress and not dry_run,
        )
    except (ZarrStoreError, ValueError, ImportError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"would be: {report}" if dry_run else str(report))


def main() -> None:
    """Run the command."""
    app(prog_name="zarrstore")
