"""Arrays and groups as HTML, and the drawing of a chunk grid."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hierarchy.markup import Markup, array_facts, group_facts
from hypothesis import given, settings
from hypothesis import strategies as st

from zarrstore.errors import MetadataError
from zarrstore.hierarchy.drawing import MOST_LINES, drawing, drawing_notes
from zarrstore.hierarchy.facts import ArrayFacts, cuts
from zarrstore.hierarchy.html import array_html
from zarrstore.hierarchy.html_group import group_html

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {"style", "div", "b", "span", "table", "tbody", "tr", "th", "td", "details", "summary"}
TAGS |= {"ul", "li", "svg", "title", "path", "g", "text", "tspan"}
ATTRIBUTES = {"class", "open", "role", "aria-label", "xmlns", "width", "height", "viewbox", "fill"}
ATTRIBUTES |= {"stroke", "stroke-width", "stroke-opacity", "stroke-linejoin", "fill-opacity", "d"}
ATTRIBUTES |= {"stroke-dasharray", "font-size", "x", "y", "text-anchor"}


def lines(facts: ArrayFacts, kind: str) -> list[tuple[float, float, float, float]]:
    """Return where the lines of a kind begin, and the way they go."""
    svg = ElementTree.fromstring(drawing(facts))
    found = [path for path in svg.iter(f"{SVG}path") if path.get("class") == f"zs-{kind}-lines"]
    if not found:
        return []
    number = r"(-?[\d.]+)"
    steps = re.findall(rf"M{number} {number}l{number} {number}", found[0].attrib["d"])
    return [(float(x), float(y), float(dx), float(dy)) for x, y, dx, dy in steps]


def width_of(facts: ArrayFacts, kind: str) -> float:
    svg = ElementTree.fromstring(drawing(facts))
    path = next(path for path in svg.iter(f"{SVG}path") if path.get("class") == f"zs-{kind}-lines")
    return float(path.attrib["stroke-width"])


def upright(found: list[tuple[float, float, float, float]]) -> list[float]:
    return [x for x, _, dx, _ in found if dx == 0]


@pytest.mark.parametrize(
    ("shape", "chunks", "count"),
    [
        ((), (), 0),
        ((100,), (30,), 3),
        ((100,), (100,), 0),
        ((100,), (25,), 3),
        ((40, 60), (10, 20), 3 + 2),
        ((1, 1), (1, 1), 0),
        ((8, 8, 8), (2, 4, 8), 2 * (3 + 1 + 0)),
        ((5, 8, 8, 8), (1, 2, 4, 8), 2 * (3 + 1 + 0)),
        ((0, 10), (5, 5), 0),
        ((10, 0), (5, 5), 0),
        ((100, 60), ((10, 20, 5, 65), (20, 30, 10)), 3 + 2),
    ],
)
def test_a_line_where_chunks_meet(shape: Any, chunks: Any, count: int) -> None:
    assert len(lines(array_facts(shape, chunks), "chunk")) == count


def test_lines_are_to_scale_and_the_last_chunk_is_cut() -> None:
    places = upright(lines(array_facts((60, 100), (60, 30)), "chunk"))
    assert places == pytest.approx([60, 120, 180])  # of 200 pixels
    ragged = array_facts((60, 100), (60, (10, 50, 35, 5)))
    assert upright(lines(ragged, "chunk")) == pytest.approx([20, 120, 190])


def test_lines_of_shards_are_thicker() -> None:
    facts = array_facts((1000, 1000), (100, 100), shards=(500, 500))
    assert len(lines(facts, "shard")) == 2
    assert len(lines(facts, "chunk")) == 2 * 8
    assert width_of(facts, "shard") > 2 * width_of(facts, "chunk")


def test_of_many_chunks_some_lines_are_drawn_and_it_is_said() -> None:
    facts = array_facts((10**6, 10**6), (1000, 1000), dimension_names=("y", "x"))
    drawn = lines(facts, "few")
    assert lines(facts, "chunk") == []
    assert len(drawn) == 2 * len(upright(drawn))
    assert 20 < len(upright(drawn)) <= MOST_LINES
    assert drawing_notes(facts) == ["1 chunk line in 34 is drawn"]
    one = array_facts((10**6, 10), (1000, 5), dimension_names=("y", None))
    assert drawing_notes(one) == ["1 chunk line in 34 is drawn along y"]
    assert len(lines(one, "few")) <= MOST_LINES
    assert len(lines(one, "chunk")) == 1


def test_of_many_chunks_in_shards_those_that_meet_the_shards() -> None:
    facts = array_facts((10**5,), (100,), shards=(10**4,))
    assert len(lines(facts, "shard")) == 9
    assert drawing_notes(facts) == ["1 chunk line in 50 is drawn"]
    assert len(lines(facts, "few")) == 10
    many = array_facts((10**6,), (10,), shards=(1000,))
    assert drawing_notes(many) == ["No chunk lines", "1 shard line in 34 is drawn"]
    prime = array_facts((10 * (10**9 + 7),), (1,), shards=(10**9 + 7,))
    assert drawing_notes(prime) == ["No chunk lines"]


def test_dimensions_that_are_not_drawn_are_listed() -> None:
    facts = array_facts(
        (12, 1000, 4, 6, 8), (1, 10, 2, 3, 4), dimension_names=("month", None, "z", "y", "x")
    )
    (note,) = drawing_notes(facts)
    assert note.startswith("The last 3 dimensions, of month 12 ")
    assert note.endswith(" dimension 1 1,000 in chunks of (1, 10)")
    assert "".join(Markup(drawing(facts)).text).endswith("x 8 y 6 z 4")


def test_what_is_said_of_a_drawing() -> None:
    facts = array_facts((365, 10), (30, 5), dimension_names=("time", None), shards=(60, 10))
    svg = ElementTree.fromstring(drawing(facts))
    said = "time 365 \N{MULTIPLICATION SIGN} 10 in chunks of (30, 5) in shards of (60, 10)"
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == said
    assert [title.text for title in svg.iter(f"{SVG}title")] == [said]
    assert (
        ElementTree.fromstring(drawing(array_facts((), ()))).get("aria-label") == "A single value"
    )


def test_a_long_name_is_cut_in_the_drawing_only() -> None:
    facts = array_facts((4,), (2,), dimension_names=("n" * 50,))
    texts = [data for tag, data in Markup(drawing(facts)).texts if tag == "tspan"]
    assert texts == ["n" * 19 + "…"]
    assert Markup(array_html(facts)).rows()["Dimensions"] == "n" * 50


sides = st.integers(0, 10**12)


@st.composite
def grids(draw: st.DrawFn) -> ArrayFacts:
    shape = tuple(draw(st.lists(sides | st.integers(0, 20), max_size=5)))
    chunks: list[Any] = []
    for length in shape:
        if 0 < length < 10**4 and draw(st.booleans()):
            parts = sorted(draw(st.sets(st.integers(1, length), max_size=40)) | {length})
            chunks.append(tuple(b - a for a, b in pairwise([0, *parts])))
        else:
            chunks.append(draw(st.integers(1, max(1, length))))
    shards = None
    if draw(st.booleans()):
        shards = tuple(c * draw(st.integers(1, 50)) if isinstance(c, int) else c for c in chunks)
    return array_facts(shape, tuple(chunks), shards=shards)


@given(grids())
@settings(max_examples=150, deadline=None)
def test_any_grid_is_drawn_within_its_frame(facts: ArrayFacts) -> None:
    svg = ElementTree.fromstring(drawing(facts))
    left, top, width, height = map(float, svg.attrib["viewBox"].split())
    assert width < 400
    assert height < 260
    for kind in ("chunk", "few", "shard"):
        found = lines(facts, kind)
        assert len(found) <= 2 * 3 * MOST_LINES
        for x, y, dx, dy in found:
            assert left <= min(x, x + dx) <= max(x, x + dx) <= left + width
            assert top <= min(y, y + dy) <= max(y, y + dy) <= top + height
    drawing_notes(facts)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 3))
def test_cuts_of_any_lengths(lengths: list[int], beyond: int) -> None:
    length = sum(lengths)
    expected = np.cumsum(lengths)[:-1].tolist()
    assert list(cuts(length, (*lengths, *[1] * beyond))) == expected
    assert list(cuts(length, lengths[0])) == list(range(lengths[0], length, lengths[0]))


def test_the_facts_of_an_array() -> None:
    facts = array_facts(
        (1000, 1000),
        (100, 100),
        shards=(500, 500),
        dimension_names=("y", None),
        compressors=("zstd(level=1)",),
        filters=("delta",),
        nbytes_stored=1000,
        nchunks_initialized=3,
        read_only=True,
        order="F",
        attributes={"title": "Test card"},
    )
    rows = Markup(array_html(facts)).rows()
    assert rows == {
        "Shape": "(1000, 1000)",
        "Dimensions": "y, (no name)",
        "Data type": "int16",
        "Fill value": "0",
        "Shards": "(500, 500) · 4 shards of 488.3 KiB, 3 stored",
        "Chunks": "(100, 100) · 100 chunks of 19.5 KiB",
        "Size": "1.9 MiB · 1000 B stored, ratio 2000.0",
        "Codecs": "delta, bytes, zstd(level=1)",
        "URL": "memory://x/a",
        "Format": "Zarr v3, order F, read-only",
        "Attributes": "1 attribute",
        "title": "Test card",
    }


def test_facts_that_are_not_known_or_nothing() -> None:
    rows = Markup(array_html(array_facts((3,), ((1, 2),), nbytes=None, serializer=None))).rows()
    assert rows["Chunks"] == "((1, 2),) · 2 chunks"
    assert rows["Size"] == "of varying length"
    assert rows["Codecs"] == "none"
    assert (
        Markup(array_html(array_facts((3,), ((1, 2),))))
        .rows()["Chunks"]
        .endswith("2 chunks of at most 4 B")
    )
    assert Markup(array_html(array_facts((0,), (5,)))).rows()["Chunks"] == "(5,) · 0 chunks"
    assert Markup(array_html(array_facts((), ()))).rows()["Chunks"] == "() · 1 chunk of 2 B"


def test_many_and_long_attributes() -> None:
    attributes = {f"a{number}": number for number in range(150)} | {"a0": "v" * 10_000}
    html = array_html(array_facts(attributes=attributes))
    assert "150 attributes" in html
    assert "and 50 more" in html
    assert "v… (10,000 characters)" in html
    assert len(html) < 20_000


hostile = st.text(max_size=20) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</style><img src=x>",
        '"><b onload="x',
        "a\x1b[31m",
        "\u202ea",
        "&lt;",
    ]
)


@given(hostile, hostile, hostile)
@settings(max_examples=100, deadline=None)
def test_anything_that_people_can_name_is_escaped(name: str, key: str, value: str) -> None:
    facts = array_facts(
        name=name, url=value, dtype=key, fill_value=value, dimension_names=(key, value),
        compressors=(value,), store=key, attributes={key: value, "list": [value]},
    )  # fmt: skip
    group = group_facts(name=value, attributes={value: {key: name}})
    nodes = [(0, name, group), (1, key, facts), (0, value, MetadataError(name))]
    for html in (array_html(facts), group_html(group, nodes), group_html(group)):
        found = Markup(html)
        assert {tag for tag, _ in found.elements} <= TAGS
        assert {attribute for _, given in found.elements for attribute in given} <= ATTRIBUTES
        assert "".join(found.text.split("\n")).isprintable()
        html.encode()


def test_the_style_is_its_own_and_loads_nothing() -> None:
    html = array_html(array_facts())
    (style,) = (data for tag, data in Markup(html).texts if tag == "style")
    selectors = re.findall(r"([^{}]+)\{", style)
    assert selectors
    assert all(
        part.strip().startswith(".zarrstore-repr")
        for selector in selectors
        for part in selector.split(",")
    )
    assert not re.search(r"url\(|@import|http", style)
    assert not re.search(r"\bid=", html)


def test_a_group_is_a_tree_that_opens() -> None:
    nodes = [
        (0, "a", group_facts(attributes={"site": "north"})),
        (1, "b", array_facts()),
        (0, "bad", MetadataError("codecs: <unknown>")),
        (0, "empty", group_facts()),
        (0, "later", group_facts(listed=False)),
    ]
    found = Markup(group_html(group_facts(attributes={"title": "x"}), nodes))
    assert "Group in MemoryStore: 3 groups, 1 array, 1 that cannot be opened" in found.text
    for text in ("a/ 1 array", "b (4, 6) int16, chunks (2, 3)", "empty/ empty", "later/ …"):
        assert text in found.text
    assert "bad cannot be opened: codecs: <unknown>" in found.text
    assert found.count("svg") == 1
    assert found.count("details") == 4  # attributes twice, a, b
    assert sum("open" in given for tag, given in found.elements if tag == "details") == 1


def test_a_group_that_was_not_listed_and_an_empty_one() -> None:
    assert "Group in MemoryStore" in group_html(group_facts())
    assert "<ul" not in group_html(group_facts())
    assert "Group in MemoryStore: empty" in group_html(group_facts(), [])


def test_of_a_large_group_some_nodes_are_shown_and_some_are_drawn() -> None:
    nodes = [(0, f"a{number}", array_facts()) for number in range(3000)]
    found = Markup(group_html(group_facts(), nodes))
    assert found.count("li") == 501
    assert "and 2,500 more" in found.text
    assert found.count("svg") == 50
    nodes = [(0, "a", group_facts())] + [(depth + 1, name, node) for depth, name, node in nodes]
    nodes += [(0, "b", group_facts()), (1, "c", array_facts())]
    found = Markup(group_html(group_facts(), nodes))
    assert "c (4, 6)" in found.text  # what is below the first hides not the second
    assert "2 groups, 3,001 arrays" in found.text
    assert re.search(r"and 2,[89]\d\d more", found.text)


def test_a_deep_group() -> None:
    nodes = [(depth, f"g{depth}", group_facts()) for depth in range(5000)]
    found = Markup(group_html(group_facts(), nodes))
    assert "and 4,500 more" in found.text


def test_only_the_first_groups_of_many_are_open() -> None:
    nodes: list[Any] = []
    for name in "abcdef":
        nodes.append((0, name, group_facts()))
        nodes += [(1, f"x{number}", array_facts()) for number in range(10)]
    found = Markup(group_html(group_facts(), nodes))
    assert sum("open" in given for tag, given in found.elements if tag == "details") == 2
