"""Where the console script ``zarrstore`` begins."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command, or say what it needs."""
    if find_spec("typer") is None:
        raise SystemExit("the command zarrstore needs: pip install 'zarrstore[cli]'")
    importlib.import_module("zarrstore.cli.app").main()
