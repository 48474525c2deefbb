"""A failure as a script that fails in the same way."""

from __future__ import annotations

import inspect
import os
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

import zarrstore.errors
from zarrstore_testing.literals import NotLiteralError, literal

__all__ = ["Source", "script", "source_of"]

_ABC = ("ABSENT", "OffsetByteRequest", "RangeByteRequest", "Stat", "SuffixByteRequest")
_MODULES = {
    "array.": "import array",
    "asyncio.": "import asyncio",
    "contextlib.": "import contextlib",
    "np.": "import numpy as np",
    "trio.": "import trio",
    "Path(": "from pathlib import Path",
    "sys.": "import sys",
}


class Source:
    """How code makes the store under test.

    Parameters
    ----------
    lines : list of str
        What has to come first.
    expression : str
        A callable that returns a new store.
    """

    def __init__(self, lines: list[str], expression: str) -> None:
        self.lines = lines
        self.expression = expression


def source_of(function: Callable[..., Any]) -> Source:
    """Return how code gets at a function that makes a store."""
    given = getattr(function, "source", None)
    if isinstance(given, Source):
        return given
    owner = getattr(function, "__self__", None)
    if owner is not None and not inspect.ismodule(owner) and not inspect.isclass(owner):
        found = _of_method(owner, function.__name__)
    else:
        found = _importable(function)
    if found is not None:
        return found
    code = getattr(function, "__code__", None)
    place = f" in {code.co_filename}, line {code.co_firstlineno}" if code is not None else ""
    message = f"put here what makes the store{place}"
    return Source(
        ["def make_store():", f"    raise NotImplementedError({message!r})"], "make_store"
    )


def _importable(thing: Any) -> Source | None:
    """Return the import of something that stands at the top of a module."""
    name = getattr(thing, "__qualname__", "")
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None or not name.isidentifier() or getattr(module, name, None) is not thing:
        return None
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    if module.__name__ == "__main__":
        lines = ["import runpy", f"{name} = runpy.run_path({os.path.abspath(file)!r})[{name!r}]"]
        return Source(lines, name)
    root = os.path.abspath(file)
    for _ in module.__name__.split("."):
        root = os.path.dirname(root)
    if os.path.basename(file) == "__init__.py":
        root = os.path.dirname(root)
    lines = [f"sys.path.insert(0, {root!r})", f"from {module.__name__} import {name}"]
    return Source(lines[1:] if "site-packages" in root else lines, name)


def _of_method(owner: object, name: str) -> Source | None:
    """Return the code of an object of a class that can be imported, with what it was given."""
    source = _importable(type(owner))
    if source is None:
        return None
    lines = [*source.lines, f"made = {source.expression}()"]
    for attribute, value in vars(owner).items():
        if attribute.startswith("_"):
            continue
        try:
            code = _plain(value)
        except NotLiteralError:
            return None
        lines.append(f"made.{attribute} = {code}")
    return Source(lines, f"made.{name}")


def _plain(value: object) -> str:
    return f"Path({str(value)!r})" if isinstance(value, pathlib.Path) else literal(value)


def script(
    behaviour: str,
    face: str,
    sources: dict[str, Source],
    calls: list[str] | None,
) -> str:
    """Return a script that fails as a behaviour did over one face of a store.

    Parameters
    ----------
    behaviour : str
    face : str
        ``"asyncio"``, ``"trio"`` or ``"sync"``; empty for a behaviour that has none.
    sources : dict
        What makes a store, ``make_store`` for one, and how code gets at it.
    calls : list of str or None
        The calls, the last of which fails; without them the check itself is called.
    """
    used = sources
    if calls is not None:
        text = "\n".join(calls)
        used = {name: each for name, each in sources.items() if f"{name}(" in text}
    lines: list[str] = []
    for name, source in used.items():
        lines += source.lines
        if source.expression != name:
            lines.append(f"{name} = {source.expression}")
    if calls is None:
        names = [name for name in sources if name != "make_store"]
        options = f", options=Options({', '.join(f'{n}={n}' for n in names)})" if names else ""
        lines += [
            f"report = check_store(make_store, behaviours=[{behaviour!r}]{options})",
            "assert report.ok, report.failures[0].reason",
        ]
    elif face in ("asyncio", "trio"):
        lines += ["", "async def main():", *(f"    {line}" for line in calls), ""]
        lines.append("asyncio.run(main())" if face == "asyncio" else "trio.run(main)")
    else:
        lines += calls
    return "\n".join([*_imports("\n".join(lines)), "", *lines])


def _imports(code: str) -> list[str]:
    found = [
        line
        for start, line in _MODULES.items()
        if re.search(rf"(?<![\w.]){re.escape(start)}", code)
    ]
    if names := [name for name in _ABC if re.search(rf"\b{name}\b", code)]:
        found.append(f"from zarrstore.abc import {', '.join(names)}")
    errors = sorted(set(re.findall(r"(?:suppress\(|except \(?|, )(\w+Error)\b", code)))
    if errors := [name for name in errors if hasattr(zarrstore.errors, name)]:
        found.append(f"from zarrstore.errors import {', '.join(errors)}")
    if "check_store(" in code:
        names = ["Options", "check_store"] if "Options(" in code else ["check_store"]
        found.append(f"from zarrstore_testing import {', '.join(names)}")
    return found
