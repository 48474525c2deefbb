"""Facts to tell of, and what is in HTML that tells of them."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import Any

from zarrstore.hierarchy.facts import ArrayFacts, GroupFacts


def array_facts(shape: tuple[int, ...] = (4, 6), chunks: Any = (2, 3), **more: Any) -> ArrayFacts:
    facts: dict[str, Any] = {
        "name": "/a",
        "url": "memory://x/a",
        "store": "MemoryStore",
        "zarr_format": 3,
        "shape": shape,
        "dtype": "int16",
        "fill_value": "0",
        "chunks": chunks,
        "serializer": "bytes",
        "nbytes": 2 * math.prod(shape),
    }
    return ArrayFacts(**{**facts, **more})


def group_facts(**more: Any) -> GroupFacts:
    facts: dict[str, Any] = {
        "name": "/",
        "url": "memory://x",
        "store": "MemoryStore",
        "zarr_format": 3,
    }
    return GroupFacts(**{**facts, **more})


class Markup(HTMLParser):
    """The elements, attributes and text of HTML; every element is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        """What is read, without the style."""
        return "".join(data for tag, data in self.texts if tag != "style")

    def count(self, tag: str) -> int:
        """Return how many elements of a kind there are."""
        return sum(found == tag for found, _ in self.elements)

    def rows(self) -> dict[str, str]:
        """Return the first table: labels and values."""
        rows: dict[str, str] = {}
        for tag, data in self.texts:
            if tag == "th":
                label = data
                rows[label] = ""
            elif rows and tag in ("td", "span", "summary"):
                rows[label] += data
        return rows
