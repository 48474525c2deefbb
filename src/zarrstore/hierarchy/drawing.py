"""The chunk grid of an array, drawn as SVG."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from zarrstore.hierarchy.facts import ArrayFacts, Pieces, cuts, pieces_text, printable

__all__ = ["CHUNK_COLOR", "SHARD_COLOR", "drawing", "drawing_notes"]

CHUNK_COLOR = "#e07b39"
SHARD_COLOR = "#3f88c5"

MOST_LINES = 30
"""Lines along a dimension; of more, one in a few is drawn."""

_LEAST_GAP = 4.0
_LEAST_CHUNK = 4.0
_LONGEST = {1: (220.0, 34.0), 2: (200.0, 150.0), 3: (160.0, 120.0)}
"""Pixels across and down of the drawing, for each number of dimensions."""
_SHORTEST = 34.0
_SHORTEST_AWAY = 60.0
_EMPTY = 24.0
_LONGEST_ELEMENT = 24.0
_RECEDING = (0.5, -0.4)
"""What a pixel of the dimension that goes away from the reader is, across and down."""
_FONT = 11
_LONGEST_NAME = 20
_TIMES = " \N{MULTIPLICATION SIGN} "

_LINE_STYLES = {
    "chunk": 'stroke-width="0.6" stroke-opacity="0.6"',
    "few": 'stroke-width="0.6" stroke-opacity="0.3"',
    "shard": 'stroke-width="1.6" stroke-opacity="0.85"',
}

_Vector: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class _Axis:
    """A dimension that is drawn; places along it are parts of its length, from 0 to 1."""

    name: str
    length: int
    pixels: float
    chunk_lines: Sequence[float] = ()
    shard_lines: Sequence[float] = ()
    chunk_step: int = 1
    shard_step: int = 1
    chunk_end: float = 1.0
    shard_end: float = 1.0


_FLAT = _Axis("", 0, _LONGEST[1][1])
"""The other side of the bar that a single dimension is."""


def drawing(facts: ArrayFacts) -> str:
    """Return the chunk grid of an array as an SVG element: its last three dimensions at most."""
    if not facts.shape:
        scalar = _Face((0, 0), (_SHORTEST, 0), (0, _SHORTEST), _FLAT, _FLAT)
        return _svg([scalar], list(_drawn([scalar], facts)), [], facts)
    axes = _axes(facts)
    across = axes[-1]
    down = axes[-2] if len(axes) > 1 else _FLAT
    away = axes[-3] if len(axes) > 2 else None
    width, height = (across.pixels, 0.0), (0.0, down.pixels)
    faces = [_Face((0.0, 0.0), width, height, across, down)]
    labels = [_Label(across, across.pixels / 2, down.pixels + 15, "middle")]
    if down is not _FLAT:
        labels.append(_Label(down, -8, down.pixels / 2 + 4, "end"))
    if away is not None:
        depth = (away.pixels * _RECEDING[0], away.pixels * _RECEDING[1])
        faces.append(_Face((0.0, 0.0), width, depth, across, away))
        faces.append(_Face(width, depth, height, away, down, across))
        right, middle = across.pixels + depth[0] / 2, down.pixels + depth[1] / 2
        labels.append(_Label(away, right + 6, middle + 11, "start"))
    if 0 in facts.shape:
        shapes = [_polygon(f.origin, f.u, f.v, ' stroke-dasharray="4 3"') for f in faces]
    else:
        shapes = list(_drawn(faces, facts))
    return _svg(faces, shapes, labels, facts)


def drawing_notes(facts: ArrayFacts) -> list[str]:
    """Return what is to be said below the drawing: what it leaves out."""
    notes = []
    leading = max(0, len(facts.shape) - 3)
    if leading:
        pieces = _TIMES.join(
            f"{_name(facts, at) or f'dimension {at}'} {facts.shape[at]:,}" for at in range(leading)
        )
        chunks = pieces_text(facts.chunks[:leading])
        notes.append(f"The last 3 dimensions, of {pieces} in chunks of {chunks}")
    if 0 in facts.shape:
        return notes
    left_out: dict[str, list[str]] = {}
    for at, axis in enumerate(_axes(facts), leading):
        for unit, step in (("chunk", axis.chunk_step), ("shard", axis.shard_step)):
            if step != 1:
                said = f"1 {unit} line in {step:,} is drawn" if step else f"No {unit} lines"
                left_out.setdefault(said, []).append(axis.name or f"dimension {at}")
    for said, names in left_out.items():
        everywhere = len(names) == len(facts.shape)
        notes.append(said if everywhere else f"{said} along {' and '.join(names)}")
    return notes


def _name(facts: ArrayFacts, at: int) -> str:
    return printable(facts.dimension_names[at] or "") if facts.dimension_names else ""


def _axes(facts: ArrayFacts) -> list[_Axis]:
    if not facts.shape:
        return []
    first = max(0, len(facts.shape) - 3)
    shape = facts.shape[first:]
    widest, highest = _LONGEST[len(shape)]
    pixels = _pixels(shape, widest, highest)
    axes = []
    for at, (length, size) in enumerate(zip(shape, pixels, strict=True), first):
        shards = None if facts.shards is None else facts.shards[at]
        is_away = len(shape) == 3 and at == first
        room = size * -_RECEDING[1] if is_away else size
        axes.append(_axis(_name(facts, at), length, size, room, facts.chunks[at], shards))
    return axes


def _pixels(shape: tuple[int, ...], widest: float, highest: float) -> list[float]:
    """Return the lengths in pixels, to scale unless one is too short to be seen."""
    limits = [widest] if len(shape) == 1 else [*[highest] * (len(shape) - 1), widest]
    scale = _LONGEST_ELEMENT
    for limit, length in zip(limits, shape, strict=True):
        scale = min(scale, limit / max(1, length))
    least = [_SHORTEST_AWAY, _SHORTEST, _SHORTEST][-len(shape) :]
    return [
        max(shortest, length * scale) if length else _EMPTY
        for shortest, length in zip(least, shape, strict=True)
    ]


def _axis(
    name: str, length: int, pixels: float, room: float, chunks: Pieces, shards: Pieces | None
) -> _Axis:
    if not length:
        return _Axis(name, length, pixels)
    most = max(1, min(MOST_LINES, int(room / _LEAST_GAP)))
    chunk_cuts = cuts(length, chunks)
    shard_cuts: Sequence[int] = () if shards is None else cuts(length, shards)
    shard_step = -(-len(shard_cuts) // most) or 1
    chunk_step = -(-len(chunk_cuts) // most) or 1
    if shards is not None and chunk_step > 1:
        chunk_step = _step_within(shards, chunks, chunk_step) if shard_step == 1 else 0
    drawn_shards = shard_cuts[shard_step - 1 :: shard_step]
    drawn_chunks = chunk_cuts[chunk_step - 1 :: chunk_step] if chunk_step else ()
    least = min(1.0, _LEAST_CHUNK / pixels)
    return _Axis(
        name,
        length,
        pixels,
        [cut / length for cut in sorted(set(drawn_chunks) - set(drawn_shards))],
        [cut / length for cut in drawn_shards],
        chunk_step,
        shard_step,
        max(least, (chunk_cuts[0] if chunk_cuts else length) / length),
        max(least, (shard_cuts[0] if shard_cuts else length) / length),
    )


def _step_within(shards: Pieces, chunks: Pieces, least: int) -> int:
    """Return how many chunk lines to step at a time so that shard lines are met; 0 for none."""
    if not isinstance(shards, int) or not isinstance(chunks, int) or not chunks or shards % chunks:
        return 0
    inner = shards // chunks
    parts = (parts for parts in range(inner // least, 1, -1) if inner % parts == 0)
    return inner // next(parts, inner + 1)


@dataclass(frozen=True)
class _Face:
    """A side of what is drawn: a corner, and the way along its two axes."""

    origin: _Vector
    u: _Vector
    v: _Vector
    across: _Axis
    down: _Axis
    beside: _Axis | None = None
    """The dimension at whose far end the side is: the first chunk may not reach it."""


def _drawn(faces: list[_Face], facts: ArrayFacts) -> Iterator[str]:
    for face, light in zip(faces, (0.06, 0.02, 0.12), strict=False):
        yield _polygon(face.origin, face.u, face.v, f' fill="currentColor" fill-opacity="{light}"')
    for face in faces:
        if facts.shards is not None and (face.beside is None or face.beside.shard_end == 1):
            yield _first(face, face.across.shard_end, face.down.shard_end, SHARD_COLOR, 0.35)
    for face in faces:
        if face.beside is None or face.beside.chunk_end == 1:
            yield _first(face, face.across.chunk_end, face.down.chunk_end, CHUNK_COLOR, 0.65)
    yield from _lines(faces)
    for face in faces:
        yield _polygon(face.origin, face.u, face.v, ' stroke-linejoin="round"')


def _lines(faces: list[_Face]) -> Iterator[str]:
    paths = {"chunk": "", "few": "", "shard": ""}
    for face in faces:
        for axis, along, over in ((face.across, face.u, face.v), (face.down, face.v, face.u)):
            kind = "chunk" if axis.chunk_step == 1 else "few"
            paths[kind] += _line(face.origin, along, over, axis.chunk_lines)
            paths["shard"] += _line(face.origin, along, over, axis.shard_lines)
    for kind, path in paths.items():
        if path:
            yield f'<path class="zs-{kind}-lines" d="{path}" {_LINE_STYLES[kind]}/>'


def _first(face: _Face, across: float, down: float, color: str, opacity: float) -> str:
    u = (face.u[0] * across, face.u[1] * across)
    v = (face.v[0] * down, face.v[1] * down)
    return _polygon(face.origin, u, v, f' stroke="none" fill="{color}" fill-opacity="{opacity}"')


def _polygon(origin: _Vector, u: _Vector, v: _Vector, more: str = "") -> str:
    steps = f"l{_xy(u)}l{_xy(v)}l{_xy((-u[0], -u[1]))}z"
    return f'<path d="M{_xy(origin)}{steps}"{more}/>'


def _line(origin: _Vector, along: _Vector, over: _Vector, places: Sequence[float]) -> str:
    return "".join(f"M{_xy(_at(origin, along, place))}l{_xy(over)}" for place in places)


def _at(origin: _Vector, along: _Vector, place: float) -> _Vector:
    return origin[0] + along[0] * place, origin[1] + along[1] * place


def _xy(vector: _Vector) -> str:
    return " ".join(f"{round(part, 1) + 0.0:g}" for part in vector)  # without a minus before zero


@dataclass(frozen=True)
class _Label:
    """The name and length of a dimension, at a place."""

    axis: _Axis
    x: float
    y: float
    anchor: str

    @property
    def name(self) -> str:
        """The name, cut if it is long."""
        name = self.axis.name
        return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"

    @property
    def length(self) -> str:
        """The length, as text."""
        return f"{self.axis.length:,}"

    @property
    def extent(self) -> tuple[float, float]:
        """Where the text begins and ends, about."""
        wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in self.name)
        letters = len(self.name) + wide + len(self.length) + (1 if self.name else 0)
        width = letters * _FONT * 0.6
        left = self.x - width * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]
        return left, left + width

    def __str__(self) -> str:
        name = f'<tspan fill-opacity="0.65">{escape(self.name)}</tspan> ' if self.name else ""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" text-anchor="{self.anchor}"'
        return f"<text {place}>{name}{self.length}</text>"


def _svg(faces: list[_Face], shapes: list[str], labels: list[_Label], facts: ArrayFacts) -> str:
    corners = [
        (
            face.origin[0] + u * face.u[0] + v * face.v[0],
            face.origin[1] + u * face.u[1] + v * face.v[1],
        )
        for face in faces
        for u in (0, 1)
        for v in (0, 1)
    ]
    places = [x for x, _ in corners] + [x for label in labels for x in label.extent]
    left, right = min(places) - 2, max(places) + 2
    top = min(y for _, y in corners) - 2
    bottom = max([y for _, y in corners] + [label.y + 4 for label in labels]) + 2
    width, height = math.ceil(right - left), math.ceil(bottom - top)
    said = escape(_said(facts))
    return (
        f'<svg class="zs-grid" role="img" aria-label="{said}" xmlns="http://www.w3.org/2000/svg"'
        f' width="{width}" height="{height}" viewBox="{left:.1f} {top:.1f} {width} {height}"'
        f' fill="none" stroke="currentColor"><title>{said}</title>{"".join(shapes)}'
        f'<g stroke="none" fill="currentColor" font-size="{_FONT}">{" ".join(map(str, labels))}</g>'
        "</svg>"
    )


def _said(facts: ArrayFacts) -> str:
    if not facts.shape:
        return "A single value"
    sides = (f"{_name(facts, at)} {length}".strip() for at, length in enumerate(facts.shape))
    said = f"{_TIMES.join(sides)} in chunks of {pieces_text(facts.chunks)}"
    return said if facts.shards is None else f"{said} in shards of {pieces_text(facts.shards)}"
