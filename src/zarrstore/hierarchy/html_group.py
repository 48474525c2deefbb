"""Groups as HTML, for notebooks: a tree of nodes that open."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from zarrstore.hierarchy.facts import ArrayFacts, GroupFacts, Listing, NodeFacts, pieces_text
from zarrstore.hierarchy.html import (
    array_facts_html,
    attributes_html,
    dim_html,
    format_html,
    head_html,
    page_html,
    table_html,
    text_html,
)

__all__ = ["group_html"]

_MOST_NODES = 500
_FEWEST_MEMBERS = 20
_MOST_DRAWINGS = 50
_MOST_OPEN = 30
"""Groups are shown open as long as no more lines than these are seen at first."""

_ROOT = -1


def group_html(facts: GroupFacts, nodes: Listing | None = None) -> str:
    """Return a group as HTML: a tree of nodes that open.

    Parameters
    ----------
    facts : GroupFacts
    nodes : sequence of (int, str, NodeFacts), optional
        The nodes below, each before those below it: depth (0 for a member), name, node.
        None if they were not looked up.

    Examples
    --------
    >>> root = GroupFacts(name="/", url="memory://x", store="MemoryStore", zarr_format=3)
    >>> html = group_html(root, [(0, "a", root), (1, "b", ValueError("<bad>"))])
    >>> html.count("<details"), "cannot be opened: &lt;bad&gt;" in html
    (1, True)
    """
    said = f"{facts.kind} in {facts.store}"
    rows = [("URL", text_html(facts.url)), ("Format", format_html(facts))]
    if facts.attributes:
        rows.append(("Attributes", attributes_html(facts.attributes)))
    if nodes is None:
        return page_html(head_html(facts.name, said) + table_html(rows))
    said += f": {_counted(node for _, _, node in nodes)}"
    return page_html(head_html(facts.name, said) + table_html(rows) + _tree(nodes))


def _counted(nodes: Iterable[NodeFacts]) -> str:
    kinds = Counter(type(node) for node in nodes)
    groups, arrays = kinds.pop(GroupFacts, 0), kinds.pop(ArrayFacts, 0)
    said = [
        f"{count:,} {kind}{'' if count == 1 else 's'}"
        for count, kind in ((groups, "group"), (arrays, "array"))
        if count
    ]
    if failed := kinds.total():
        said.append(f"{failed:,} that cannot be opened")
    return ", ".join(said) or "empty"


def _tree(nodes: Listing) -> str:
    below = _children(nodes)
    shown = _shown(below)
    opened = _opened(below, shown)
    drawings = 0
    parts: list[str] = []
    pending: list[int | str] = _in_order(_ROOT, below, shown, "</ul>")
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        _, name, node = nodes[item]
        if isinstance(node, GroupFacts) and (below[item] or node.attributes):
            said = _counted(nodes[child][2] for child in below[item]) if node.listed else "…"
            is_open = " open" if item in opened else ""
            parts.append(f"<li><details{is_open}>{_summary(f'{name}/', said)}<ul>")
            if node.attributes:
                parts.append(f"<li>{attributes_html(node.attributes)}</li>")
            pending += _in_order(item, below, shown, "</ul></details></li>")
        elif isinstance(node, ArrayFacts):
            said = f"{node.shape} {node.dtype}, chunks {pieces_text(node.chunks)}"
            parts.append(f"<li><details>{_summary(name, said)}")
            parts.append(f"{array_facts_html(node, draw=drawings < _MOST_DRAWINGS)}</details></li>")
            drawings += 1
        else:
            parts.append(f'<li><div class="zs-leaf">{_leaf(name, node)}</div></li>')
    return f'<ul class="zs-root">{"".join(parts)}'


def _summary(name: str, said: str) -> str:
    return f"<summary><b>{text_html(name)}</b> {dim_html(said)}</summary>"


def _leaf(name: str, node: NodeFacts) -> str:
    if isinstance(node, GroupFacts):
        return f"<b>{text_html(name)}/</b> {dim_html('empty' if node.listed else '…')}"
    said = text_html(f"cannot be opened: {getattr(node, '__cause__', None) or node}")
    return f'<b>{text_html(name)}</b> <span class="zs-error">{said}</span>'


def _children(nodes: Listing) -> dict[int, list[int]]:
    """Return the places in the listing of the nodes right below each node."""
    below: dict[int, list[int]] = {_ROOT: []}
    above = [_ROOT]
    for at, (depth, _, _) in enumerate(nodes):
        del above[depth + 1 :]
        below[above[-1]].append(at)
        below[at] = []
        above.append(at)
    return below


def _shown(below: dict[int, list[int]]) -> set[int]:
    """Return the nodes that are shown: if there are too many the upper ones, some of each group."""
    shown: set[int] = set()
    most = _MOST_NODES
    if len(below) > _MOST_NODES:
        most = max(_FEWEST_MEMBERS, _MOST_NODES // sum(map(bool, below.values())))
    groups = deque([_ROOT])
    while groups and len(shown) < _MOST_NODES:
        children = below[groups.popleft()][: min(most, _MOST_NODES - len(shown))]
        shown.update(children)
        groups += children
    return shown


def _opened(below: dict[int, list[int]], shown: set[int]) -> set[int]:
    opened: set[int] = set()
    groups = deque(below[_ROOT])
    lines = len(groups)
    while groups:
        group = groups.popleft()
        lines += len(below[group])
        if lines > _MOST_OPEN:
            break
        opened.add(group)
        groups += below[group]
    return opened & shown


def _in_order(
    parent: int, below: dict[int, list[int]], shown: set[int], end: str
) -> list[int | str]:
    """Return what is to be written of the nodes right below one, the last first."""
    children = [child for child in below[parent] if child in shown]
    hidden = sum(1 + _size(child, below) for child in below[parent] if child not in shown)
    more = f'<li><div class="zs-leaf">{dim_html(f"and {hidden:,} more")}</div></li>'
    return [end, *([more] if hidden else []), *reversed(children)]


def _size(node: int, below: dict[int, list[int]]) -> int:
    """Return the number of nodes below one."""
    count = 0
    pending = [node]
    while pending:
        children = below[pending.pop()]
        count += len(children)
        pending += children
    return count
