"""`Tree`: the nodes of a group, drawn as a tree of lines, or as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Self

from zarrstore.hierarchy.facts import ArrayFacts, GroupFacts, Listing, NodeFacts, printable
from zarrstore.hierarchy.html_group import group_html

__all__ = ["Tree"]


class Tree(str):
    """The nodes of a group, drawn as a tree of lines; a notebook shows it as HTML.

    It is the text, so it can be printed, written and compared.

    Parameters
    ----------
    group : GroupFacts
    nodes : sequence of (int, str, NodeFacts)
        Each before those below it: depth (0 for a member), name, node.
    level : int, optional
        The greatest depth to draw: 0 draws the members of the group, and nothing below them.

    Examples
    --------
    >>> root = GroupFacts(name="/", url="memory://x", store="MemoryStore", zarr_format=3)
    >>> nodes = [(0, "a", root), (1, "b", ValueError("codecs: ...")), (0, "c", root)]
    >>> Tree(root, nodes)
    /
    ├── a
    │   └── b (cannot be opened: codecs: ...)
    └── c
    >>> print(Tree(root, nodes, level=0))
    /
    ├── a
    └── c
    """

    __slots__ = ("_group", "_nodes")

    _group: GroupFacts
    _nodes: Listing

    def __new__(cls, group: GroupFacts, nodes: Listing, level: int | None = None) -> Self:
        if level is not None:
            nodes = list(_down_to(level, nodes))
        tree = super().__new__(cls, _drawn(group.name, nodes))
        tree._group, tree._nodes = group, nodes
        return tree

    def __reduce__(self) -> tuple[type[Tree], tuple[GroupFacts, Listing]]:
        return Tree, (self._group, self._nodes)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return group_html(self._group, self._nodes)


def _down_to(level: int, nodes: Listing) -> Iterator[tuple[int, str, NodeFacts]]:
    for depth, name, node in nodes:
        if depth == level and isinstance(node, GroupFacts):
            yield depth, name, replace(node, listed=False)
        elif depth <= level:
            yield depth, name, node


def _drawn(root: str, nodes: Listing) -> str:
    lines: list[str] = []
    open_below: set[int] = set()
    for depth, name, node in reversed(nodes):
        bars = "".join("│   " if level in open_below else "    " for level in range(depth))
        elbow = "├── " if depth in open_below else "└── "
        open_below = {level for level in open_below if level < depth} | {depth}
        shown = name if name.isprintable() else repr(name)
        lines.append(f"{bars}{elbow}{shown}{printable(_beside(node))}")
    return "\n".join([root, *reversed(lines)])


def _beside(node: NodeFacts) -> str:
    if isinstance(node, ArrayFacts):
        return f" {node.shape} {node.dtype}"
    if isinstance(node, Exception):
        return f" (cannot be opened: {node.__cause__ or node})"
    return ""
