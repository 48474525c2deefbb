"""What is told of a group: as a tree, a table, and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence

from zarrstore.errors import MetadataError
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.array_properties import array_facts
from zarrstore.hierarchy.facts import GroupFacts, Listing, NodeFacts
from zarrstore.hierarchy.group_core import GroupCore, NodeOrError
from zarrstore.hierarchy.tree import Tree

__all__ = ["group_facts", "group_listing", "group_tree", "node_facts"]


def group_facts(core: GroupCore, kind: str = "Group") -> GroupFacts:
    """Return what is told of a group."""
    return GroupFacts(
        name=core.name,
        url=core.url,
        store=type(core.store).__name__,
        zarr_format=core.document.zarr_format,
        read_only=core.store.read_only,
        attributes=core.document.attributes,
        kind=kind,
    )


def node_facts(node: NodeOrError) -> NodeFacts:
    """Return what is told of a node, or the error of one that cannot be opened."""
    if isinstance(node, MetadataError):
        return node
    return array_facts(node) if isinstance(node, ArrayCore) else group_facts(node)


def _listing(nodes: Sequence[tuple[int, str, NodeOrError]]) -> Listing:
    return [(depth, name, node_facts(node)) for depth, name, node in nodes]


async def group_listing(core: GroupCore, level: int | None = None) -> Listing:
    """Return what is told of the nodes below a group, down to a depth: 0 is its members."""
    return _listing(await core.walk(level))


async def group_tree(core: GroupCore, level: int | None = None) -> Tree:
    """Return what is below a group, drawn as a tree."""
    return Tree(group_facts(core), await group_listing(core, level), level)
