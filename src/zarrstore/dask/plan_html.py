"""Plans as HTML, for notebooks: the blocks of a dask array drawn over the chunks they go to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from zarrstore.dask.axes import Axis
from zarrstore.hierarchy.drawing import CHUNK_COLOR, SHARD_COLOR
from zarrstore.hierarchy.html import dim_html, head_html, page_html, table_html, text_html

__all__ = ["plan_html"]

_CONFLICT_COLOR = "#d1493f"
_PIXELS = 240.0
_FLAT = 40.0
_FEW = 8
"""Units and blocks along a dimension that are drawn; of more, the first."""
_MOST_LINES = 64


class Drawable(Protocol):
    """What is told of the plan of one array."""

    @property
    def axes(self) -> tuple[Axis, ...]: ...
    @property
    def unit(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def nblocks(self) -> int: ...
    @property
    def conflicts(self) -> int: ...
    def rows(self) -> Iterator[tuple[str, str]]: ...


def plan_html(plans: Iterable[Drawable]) -> str:
    """Return plans as HTML: for each a table beside a drawing."""
    return page_html("".join([_one(plan) for plan in plans]))


def _one(plan: Drawable) -> str:
    facts = table_html([(text_html(name), text_html(said)) for name, said in plan.rows()])
    drawn = _drawing(plan)
    return (
        head_html(plan.title, "plan of a write")
        + f'<div class="zs-array"><div class="zs-facts">{facts}</div>'
        + f'<div class="zs-drawing">{drawn}</div></div>'
    )


def _drawing(plan: Drawable) -> str:
    axes = _drawn(plan.axes)
    if not plan.nblocks or not axes:
        return ""
    across = axes[-1]
    down = axes[0] if len(axes) == 2 else None
    width = _shown(across)
    height = _shown(down) if down is not None else 1
    scale_x = _PIXELS / width
    scale_y = _FLAT if down is None else min(_PIXELS / height, max(scale_x, _FLAT / height))
    size = _PIXELS, scale_y * height
    shapes = list(_conflicts(across, down, width, height, scale_x, scale_y))
    for kind in ("parts", "bounds"):
        lines = [f"M{x * scale_x:.1f} 0v{size[1]:.1f}" for x in _lines(across, kind, width)]
        if down is not None:
            lines += [f"M0 {y * scale_y:.1f}h{size[0]:.1f}" for y in _lines(down, kind, height)]
        style = (
            f'stroke="{CHUNK_COLOR}" stroke-width="2"'
            if kind == "parts"
            else f'stroke="{SHARD_COLOR}" stroke-width="1.2" stroke-dasharray="5 3"'
        )
        shapes.append(f'<path class="zs-{kind}" d="{"".join(lines)}" {style}/>')
    frame = f"M0 0h{size[0]:.1f}v{size[1]:.1f}h{-size[0]:.1f}z"
    shapes.append(f'<path d="{frame}" stroke="{CHUNK_COLOR}" stroke-width="2"/>')
    said = text_html(f"Blocks over {plan.unit}s")
    box = f"-2 -2 {size[0] + 4:.0f} {size[1] + 4:.0f}"
    svg = (
        f'<svg class="zs-plan" role="img" aria-label="{said}" xmlns="http://www.w3.org/2000/svg" '
        f'width="{size[0] + 4:.0f}" height="{size[1] + 4:.0f}" viewBox="{box}" fill="none">'
        f"<title>{said}</title>{''.join(shapes)}</svg>"
    )
    return svg + _legend(plan, axes, [height, width] if down is not None else [width])


def _drawn(axes: Sequence[Axis]) -> list[Axis]:
    """Return the dimensions to draw, two at most: first those along which units are shared, then
    those that are cut, and of these the last."""
    long = [axis for axis in axes if axis.span.count > 1]

    def tells(axis: Axis) -> tuple[bool, bool]:
        return bool(axis.shared(axis.bounds).any()), max(len(axis.parts), len(axis.bounds)) > 2

    chosen = sorted(long, key=tells)[-2:]
    return [axis for axis in long if axis in chosen]


def _shown(axis: Axis) -> int:
    """Return how many elements are drawn: some units and some blocks, from the beginning."""
    ends = [int(each[min(_FEW, len(each) - 1)]) for each in (axis.parts, axis.bounds)]
    return min(axis.span.count, max(ends))


def _lines(axis: Axis, kind: str, stop: int) -> list[int]:
    places = getattr(axis, kind)
    places = places[: int(np.searchsorted(places, stop, side="right"))]
    step = -(-len(places) // _MOST_LINES) or 1
    found: list[int] = places[::step].tolist()
    return found if found and found[-1] == stop else [*found, stop]


def _conflicts(
    across: Axis, down: Axis | None, width: int, height: int, scale_x: float, scale_y: float
) -> Iterator[str]:
    """Yield bands over the units that have elements of several blocks."""
    style = f'stroke="none" fill="{_CONFLICT_COLOR}" fill-opacity="0.28"'
    paths = [
        f"M{start * scale_x:.1f} 0h{(stop - start) * scale_x:.1f}v{height * scale_y:.1f}"
        f"h{(start - stop) * scale_x:.1f}z"
        for start, stop in _bands(across, width)
    ]
    if down is not None:
        paths += [
            f"M0 {start * scale_y:.1f}h{width * scale_x:.1f}v{(stop - start) * scale_y:.1f}"
            f"h{-width * scale_x:.1f}z"
            for start, stop in _bands(down, height)
        ]
    if paths:
        yield f'<path class="zs-conflicts" d="{"".join(paths)}" {style}/>'


def _bands(axis: Axis, stop: int) -> list[tuple[int, int]]:
    shared: Any = np.flatnonzero(axis.shared(axis.bounds))[:_MOST_LINES]
    pairs = zip(axis.parts[shared].tolist(), axis.parts[shared + 1].tolist(), strict=True)
    return [(start, min(end, stop)) for start, end in pairs if start < stop]


def _legend(plan: Drawable, axes: Sequence[Axis], shown: Sequence[int]) -> str:
    entries = [(CHUNK_COLOR, f"{plan.unit}s"), (SHARD_COLOR, "blocks")]
    if plan.conflicts:
        entries.append((_CONFLICT_COLOR, f"{plan.unit}s of several blocks"))
    swatches = " ".join(
        [
            f'<span class="zs-swatch" style="background:{color}"></span>{text_html(said)}'
            for color, said in entries
        ]
    )
    notes = []
    if len(plan.axes) > len(axes):
        drawn = " and ".join([str(plan.axes.index(axis)) for axis in axes])
        name = "dimension" if len(axes) == 1 else "dimensions"
        notes.append(f"{name} {drawn} of {len(plan.axes)}")
    if any(stop < axis.span.count for stop, axis in zip(shown, axes, strict=True)):
        firsts = " \N{MULTIPLICATION SIGN} ".join([f"{stop:,}" for stop in shown])
        notes.append(f"the first {firsts} elements")
    more = f"<br>{dim_html('; '.join(notes))}" if notes else ""
    return f'<div class="zs-note">{swatches}{more}</div>'
