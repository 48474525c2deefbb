"""``python -m zarrstore_testing URL``: check a store."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("typer") is None or find_spec("rich") is None:
    raise SystemExit("the command needs typer and rich: pip install 'zarrstore[cli,testing]'")

from zarrstore_testing.command import app

if __name__ == "__main__":
    app(prog_name="python -m zarrstore_testing")
