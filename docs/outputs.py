"""What the blocks of ``notebooks.md`` show, put below them when the site is built."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from typing import Any

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n<!-- (?P<output>\w+) -->\n)?", re.MULTILINE | re.DOTALL
)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str | None:
    """Execute the blocks of the page, and add their outputs; called by mkdocs."""
    if page.file.src_uri != "notebooks.md":
        return None
    namespace: dict[str, Any] = {}

    def with_output(found: re.Match[str]) -> str:
        printed, value = executed(found["code"], namespace)
        block = f"```python\n{found['code']}```\n"
        if found["output"] == "printed":
            return f"{block}\n```text\n{printed.rstrip()}\n```\n"
        return f"{block}\n{value._repr_html_()}\n" if found["output"] == "shown" else block

    return BLOCK.sub(with_output, markdown)


def executed(code: str, namespace: dict[str, Any]) -> tuple[str, Any]:
    """Execute a block; return what it prints, and the value of its last line if it has one."""
    *first, last = ast.parse(code).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if not isinstance(last, ast.Expr):
            exec(code, namespace)  # noqa: S102
            return printed.getvalue(), None
        exec(compile(ast.Module(first, []), "", "exec"), namespace)  # noqa: S102
        value = eval(compile(ast.Expression(last.value), "", "eval"), namespace)  # noqa: S307
    return printed.getvalue(), value
