"""The documentation: its site builds, its links lead somewhere, no public name is left out."""

from __future__ import annotations

import inspect
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import zarrstore_testing

import zarrstore
from zarrstore import aio, savers, serializers, v2

ROOT = Path(__file__).parents[1]
LOADED = {"img", "link", "script"}
PACKAGES = (zarrstore, aio, savers, serializers, v2, zarrstore_testing)


class Page(HTMLParser):
    """The anchors of a page, and what it links to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append((tag, value))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pages = {path.resolve(): Page(path.read_text()) for path in directory.rglob("*.html")}
    assert len(pages) > 20
    return directory.resolve(), pages


def test_links_lead_somewhere(site):
    directory, pages = site
    broken = []
    for path, page in pages.items():
        for tag, target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if tag in LOADED and parts.scheme != "data":
                    broken.append(f"{path.name} loads {target}")
                continue
            name = unquote(parts.path)
            base = directory if name.startswith("/") else path.parent
            there = (base / name.lstrip("/")).resolve() if name else path
            there = there / "index.html" if there.is_dir() else there
            anchors = pages[there].anchors if there in pages else set()
            if not there.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append(f"{path.relative_to(directory)} -> {target}")
    assert broken == []


def test_every_exported_name_has_an_entry(site):
    _, pages = site
    anchors = set().union(*(page.anchors for page in pages.values()))
    others = [package for package in PACKAGES if package is not v2]
    names = {name for package in others for name in package.__all__} - {"aio", "v2", "__version__"}
    for name in names:
        assert anchors & {f"{package.__name__}.{name}" for package in others}, name
    assert {f"zarrstore.v2.{name}" for name in v2.__all__} <= anchors


def exported_classes_and_functions():
    found = {}
    for package in PACKAGES:
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{package.__name__}.{name}"] = value
    return found


def test_every_public_member_has_a_docstring():
    bare = []
    for name, value in exported_classes_and_functions().items():
        if not inspect.getdoc(value):
            bare.append(name)
        for member in dir(value) if inspect.isclass(value) else ():
            found = inspect.getattr_static(value, member)
            function = getattr(found, "__func__", found)
            is_own = str(getattr(function, "__module__", "")).startswith("zarrstore")
            if member.startswith("_") or not (is_own or isinstance(found, property)):
                continue
            if not inspect.getdoc(found):
                bare.append(f"{name}.{member}")
    assert bare == []
