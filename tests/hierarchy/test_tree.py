"""The tree of a group."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import zarr
from hierarchy.markup import Markup, array_facts, group_facts

from zarrstore.errors import MetadataError
from zarrstore.hierarchy.facts import NodeFacts
from zarrstore.hierarchy.tree import Tree

NODES: list[tuple[int, str, NodeFacts]] = [
    (0, "a", group_facts()),
    (1, "b", array_facts((3,), (3,), dtype="int8")),
    (1, "c", group_facts()),
    (2, "d", array_facts((13, 7), (5, 5), dtype="int32")),
    (0, "e", MetadataError("codecs: unknown codec 'new'")),
    (0, "f", array_facts((), (), dtype="float64")),
]
TREE = """\
/
├── a
│   ├── b (3,) int8
│   └── c
│       └── d (13, 7) int32
├── e (cannot be opened: codecs: unknown codec 'new')
└── f () float64"""


def test_a_tree() -> None:
    tree = Tree(group_facts(), NODES)
    assert tree == TREE
    assert str(tree) == repr(tree) == f"{tree}" == TREE
    assert "b (3,) int8" in tree
    assert Tree(group_facts(name="/x"), []) == "/x"


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_down_to_a_level(level: int) -> None:
    expected = [
        line
        for line, depth in zip(TREE.splitlines(), (-1, 0, 1, 1, 2, 0, 0), strict=True)
        if depth <= level
    ]
    assert str(Tree(group_facts(), NODES, level)).splitlines() == expected


def test_groups_at_the_last_level_are_not_said_to_be_empty() -> None:
    text = Markup(Tree(group_facts(), NODES, level=0)._repr_html_()).text
    assert "a/ …" in text
    assert "empty" not in text
    assert "c/ 1 array" in Markup(Tree(group_facts(), NODES)._repr_html_()).text


@pytest.mark.parametrize("level", [None, 0, 1, 2])
def test_it_is_the_tree_that_zarr_draws(level: int | None) -> None:
    root = zarr.create_group({})
    nodes: list[tuple[int, str, NodeFacts]] = []
    for depth, path in ((0, "a"), (1, "a/x"), (1, "a/y"), (2, "a/y/z"), (0, "b"), (0, "c")):
        name = path.rpartition("/")[2]
        if name in "xzc":
            root.create_array(path, shape=(4, 2), dtype="int16")
            nodes.append((depth, name, array_facts((4, 2), (4, 2))))
        else:
            root.create_group(path)
            nodes.append((depth, name, group_facts()))
    assert Tree(group_facts(), nodes, level) == str(root.tree(level=level)).rstrip("\n")


def test_a_cause_is_said_rather_than_its_error() -> None:
    error = MetadataError("'e/zarr.json' is not valid")
    error.__cause__ = ValueError("codecs: missing")
    assert Tree(group_facts(), [(0, "e", error)]) == "/\n└── e (cannot be opened: codecs: missing)"


def test_what_does_not_print_is_escaped() -> None:
    nodes = [(0, "a\x1b[31m", group_facts()), (0, "b", MetadataError("two\nlines"))]
    tree = Tree(group_facts(), nodes)
    assert tree.splitlines()[1:] == [
        "├── 'a\\x1b[31m'",
        "└── b (cannot be opened: two\\nlines)",
    ]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_is_a_tree(copied: Any) -> None:
    tree = copied(Tree(group_facts(), NODES[:4]))
    assert type(tree) is Tree
    assert "├── b (3,) int8" in tree
    assert Markup(tree._repr_html_()).count("svg") == 2
