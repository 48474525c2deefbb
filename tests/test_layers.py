"""The floors of the house: who may import whom, how long a module may be, what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"zarrstore": ROOT / "src", "zarrstore_testing": ROOT / "testing"}

FLOORS = [
    ("errors", "keys", "byte_range", "redaction"),
    (
        "forks",
        "budgets",
        "runtime",
        "fan_out",
        "listing",
        "operations",
        "requests",
        "readable",
        "writable",
        "listable",
        "sync",
        "abc",
    ),
    ("stores",),
    ("registry",),
    ("format",),
    ("chunks", "compute", "hierarchy", "moving", "shards", "streams", "updating"),
]
TOP = len(FLOORS)
MAY_IMPORT_ASYNCIO = (
    "zarrstore.runtime",
    "zarrstore.budgets",
    "zarrstore.fan_out",
    "zarrstore.compute",
    "zarrstore.interop",
    "zarrstore.stores.remote",
    "zarrstore.stores._remote",
    "zarrstore.stores._report",
    "zarrstore.stores._object",
    "zarrstore.stores.wrappers.latency",
    "zarrstore_testing",
)


@cache
def modules() -> dict[str, tuple[Path, ast.Module]]:
    found = {}
    for package, folder in SOURCES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path, ast.parse(path.read_text(), str(path))
    return found


@cache
def imports(name: str) -> list[tuple[str, int, bool]]:
    """Return (module, line, whether it stands within a function) of every import."""
    path, parsed = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    local = {
        id(node)
        for function in ast.walk(parsed)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            below = [f"{base}.{alias.name}" for alias in node.names]
            targets = [target if target in modules() else base for target in below]
        else:
            continue
        found += [(target, node.lineno, id(node) in local) for target in dict.fromkeys(targets)]
    return found


def ours(name: str) -> list[tuple[str, int, bool]]:
    return [found for found in imports(name) if found[0].partition(".")[0] in SOURCES]


def floor(name: str) -> int:
    package, _, rest = name.partition(".")
    if package == "zarrstore_testing":
        return TOP
    for number, names in enumerate(FLOORS):
        if rest.partition(".")[0] in names:
            return number
    return TOP


def place(name: str) -> str:
    return str(modules()[name][0].relative_to(ROOT))


@pytest.mark.parametrize("name", modules())
def test_imports_only_from_below(name):
    for target, line, _ in ours(name):
        assert target in modules(), f"{place(name)}:{line} imports {target}, which is not there"
        if target == "zarrstore" and floor(name) == TOP:
            continue
        assert floor(target) <= floor(name), f"{place(name)}:{line} imports {target}, from above"


@pytest.mark.parametrize("name", [name for name in modules() if ".stores." in name])
def test_no_store_imports_another(name):
    """Private helpers may be shared; a wrapper stands on ``wrappers.base``."""
    for target, line, _ in ours(name):
        if not target.startswith("zarrstore.stores."):
            continue
        rest = target.removeprefix("zarrstore.stores.")
        shared = rest.startswith("_") or rest == "wrappers.base"
        assert shared, f"{place(name)}:{line}: a store imports another, {target}"


@pytest.mark.parametrize("name", [n for n in modules() if n.startswith("zarrstore_testing")])
def test_the_kit_uses_the_lower_floors_only(name):
    for target, line, _ in ours(name):
        if target.startswith("zarrstore."):
            assert floor(target) <= 3, f"{place(name)}:{line} imports {target}"
        else:
            assert target != "zarrstore", f"{place(name)}:{line} imports all of zarrstore"


def test_no_cycles():
    graph = {name: {t for t, _, _ in ours(name) if t in modules()} - {name} for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a cycle of imports: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("name", modules())
def test_our_own_modules_are_imported_at_the_top(name):
    if name == "zarrstore":  # its __getattr__ loads what is asked for
        return
    for target, line, local in ours(name):
        assert not local, f"{place(name)}:{line} imports {target} within a function"


@pytest.mark.parametrize("name", modules())
def test_length(name):
    path, _ = modules()[name]
    lines = path.read_text().count("\n")
    assert lines < 500, f"{place(name)} has {lines} lines"


@pytest.mark.parametrize("name", modules())
def test_asyncio(name):
    if name.startswith(MAY_IMPORT_ASYNCIO):
        return
    for target, line, _ in imports(name):
        assert target.partition(".")[0] != "asyncio", f"{place(name)}:{line} imports asyncio"


@pytest.mark.parametrize("statement", ["import zarrstore", "import zarrstore.abc"])
def test_what_an_import_loads(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"numpy", "fsspec", "asyncio", "anyio", "numcodecs", "trio", "logging", "concurrent"}
    assert not loaded & heavy
