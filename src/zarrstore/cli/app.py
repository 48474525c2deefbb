"""The command ``zarrstore``, with its subcommands."""

from __future__ import annotations

import importlib

import typer

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


def main() -> None:
    """Run the command."""
    app(prog_name="zarrstore")
