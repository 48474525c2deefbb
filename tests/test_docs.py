"""Every fenced block of README.md and docs is executed, in order, one namespace a file."""

from __future__ import annotations

import re
import shutil
import traceback
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "console", "text", "json", "toml"}
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\n`]*)$")


def blocks(text: str) -> list[tuple[str, int, str]]:
    """Return (language, line of its first line, content) of every fenced block."""
    found = []
    opened: re.Match[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, start, content = fence, number + 1, []
        elif fence and fence["fence"].startswith(opened["fence"]) and not fence["language"]:
            found.append((opened["language"].strip(), start, "\n".join(content)))
            opened = None
        else:
            content.append(line.removeprefix(opened["indent"]))
    assert opened is None, f"the block opened at line {start - 1} is not closed"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks(page.read_text())
    if any("examples" in content for _, _, content in found):
        shutil.copytree(ROOT / "examples", tmp_path / "examples")
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for language, start, content in found:
        place = f"{page.relative_to(ROOT)}:{start}"
        assert language in LANGUAGES, f"{place}: a block of {language!r}, not of {LANGUAGES}"
        if language != "python":
            continue
        code = compile("\n" * (start - 1) + content, str(page), "exec")
        try:
            exec(code, namespace)
        except Exception as error:
            lines = [
                f.lineno
                for f in traceback.extract_tb(error.__traceback__)
                if f.filename == str(page)
            ]
            pytest.fail(f"{page.relative_to(ROOT)}:{lines[-1] if lines else start}: {error!r}")


def test_the_blocks_of_a_page():
    text = "a\n```python\nx = 1\n```\n\n   ~~~ json\n   {}\n   ~~~\n````text\n```\n````\n"
    assert blocks(text) == [("python", 3, "x = 1"), ("json", 7, "{}"), ("text", 10, "```")]
    with pytest.raises(AssertionError, match="not closed"):
        blocks("```python\n")
