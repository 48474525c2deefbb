"""Arrays as HTML, for notebooks: no scripts, nothing loaded, readable without the style."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from zarrstore.hierarchy.drawing import CHUNK_COLOR, SHARD_COLOR, drawing, drawing_notes
from zarrstore.hierarchy.facts import (
    ArrayFacts,
    GroupFacts,
    Pieces,
    human_size,
    pieces_text,
    printable,
)

__all__ = [
    "array_facts_html",
    "array_html",
    "attributes_html",
    "dim_html",
    "format_html",
    "head_html",
    "page_html",
    "table_html",
    "text_html",
]

_MOST_ATTRIBUTES = 100
_LONGEST_ATTRIBUTE = 500

# What the pages of notebooks and of documentation say of tables and lists is not meant for these.
_STYLE = f"""<style>
.zarrstore-repr{{font-size:13px;line-height:1.5;color:inherit;overflow-wrap:anywhere}}
.zarrstore-repr .zs-head{{margin:0 0 4px;font-size:14px}}
.zarrstore-repr .zs-array+.zs-head{{margin-top:14px}}
.zarrstore-repr .zs-dim{{opacity:.65;font-weight:normal}}
.zarrstore-repr .zs-array{{display:flex;flex-wrap:wrap;gap:12px 40px;align-items:flex-start}}
.zarrstore-repr .zs-facts{{flex:0 1 auto;min-width:0;max-width:36em}}
.zarrstore-repr .zs-drawing{{flex:none;max-width:100%}}
.zarrstore-repr svg{{display:block;max-width:100%;height:auto;overflow:visible}}
.zarrstore-repr table{{margin:0!important;border:0!important;border-collapse:collapse!important;\
width:auto!important;table-layout:auto;background:none!important}}
.zarrstore-repr tr{{background:none!important;border:0!important}}
.zarrstore-repr tr>*{{padding:1px 0!important;border:0!important;background:none!important;\
text-align:left!important;vertical-align:top!important;white-space:normal!important;\
max-width:none!important;color:inherit!important;font-size:13px!important;line-height:1.5!important}}
.zarrstore-repr tr>th{{padding-right:16px!important;font-weight:normal!important;opacity:.65;\
white-space:nowrap!important}}
.zarrstore-repr .zs-swatch{{display:inline-block;width:.7em;height:.7em;margin-right:.4em;\
border-radius:2px;opacity:.7}}
.zarrstore-repr .zs-chunk{{background:{CHUNK_COLOR}}}
.zarrstore-repr .zs-shard{{background:{SHARD_COLOR};opacity:.5}}
.zarrstore-repr .zs-note{{font-size:11px;opacity:.65;margin-top:4px;max-width:24em}}
.zarrstore-repr .zs-error{{color:#d1493f}}
.zarrstore-repr summary{{cursor:pointer;display:list-item;margin:0}}
.zarrstore-repr summary>b{{word-break:break-all}}
.zarrstore-repr details{{margin:0!important}}
.zarrstore-repr details table{{margin-left:1.05em!important}}
.zarrstore-repr ul{{margin:0!important;padding:0 0 0 18px!important;font-size:13px}}
.zarrstore-repr ul.zs-root{{padding:0!important;margin-top:4px!important}}
.zarrstore-repr li{{list-style:none!important;margin:0!important;padding:0!important;\
line-height:1.5!important}}
.zarrstore-repr li>.zs-leaf{{padding-left:1.05em}}
.zarrstore-repr li>details>.zs-array{{margin:4px 0 10px;padding-left:18px}}
.zarrstore-repr .zs-array>.zs-facts>table{{margin:0!important}}
</style>"""


def array_html(facts: ArrayFacts) -> str:
    """Return what is told of an array as HTML: a table beside a drawing of its chunk grid.

    Examples
    --------
    >>> html = array_html(
    ...     ArrayFacts(
    ...         name="/<a>", url="memory://x/a", store="MemoryStore", zarr_format=3, shape=(4, 6),
    ...         dtype="int8", fill_value="0", chunks=(2, 3), serializer="bytes", nbytes=24,
    ...     )
    ... )
    >>> "/&lt;a&gt;" in html, html.count("<svg"), "<script" in html
    (True, 1, False)
    """
    return page_html(
        head_html(facts.name, f"{facts.kind} in {facts.store}") + array_facts_html(facts, draw=True)
    )


def page_html(content: str) -> str:
    return f'{_STYLE}<div class="zarrstore-repr">{content}</div>'


def head_html(name: str, said: str) -> str:
    return f'<div class="zs-head"><b>{text_html(name)}</b> {dim_html(said)}</div>'


def text_html(text: str) -> str:
    return escape(printable(text))


def dim_html(text: str) -> str:
    return f'<span class="zs-dim">{text_html(text)}</span>'


def table_html(rows: Iterable[tuple[str, str]]) -> str:
    """Return labels, and values that are HTML already, as a table."""
    lines = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in rows)
    return f"<table><tbody>{lines}</tbody></table>"


def array_facts_html(facts: ArrayFacts, *, draw: bool) -> str:
    parts = f'<div class="zs-facts">{table_html(_array_rows(facts))}</div>'
    if draw:
        notes = "".join(
            f'<div class="zs-note">{text_html(note)}</div>' for note in drawing_notes(facts)
        )
        parts += f'<div class="zs-drawing">{drawing(facts)}{notes}</div>'
    return f'<div class="zs-array">{parts}</div>'


def _array_rows(facts: ArrayFacts) -> Iterator[tuple[str, str]]:
    yield "Shape", text_html(str(facts.shape))
    if facts.dimension_names is not None:
        yield (
            "Dimensions",
            text_html(", ".join(name or "(no name)" for name in facts.dimension_names)),
        )
    yield "Data type", text_html(facts.dtype)
    yield "Fill value", text_html(facts.fill_value)
    if facts.shards is not None and facts.nshards is not None:
        yield _pieces(facts, "shard", facts.shards, facts.nshards)
    yield _pieces(facts, "chunk", facts.chunks, facts.nchunks)
    yield "Size", _size(facts)
    codecs = [*facts.filters, *filter(None, [facts.serializer]), *facts.compressors]
    yield "Codecs", text_html(", ".join(codecs)) if codecs else dim_html("none")
    yield "URL", text_html(facts.url)
    yield "Format", format_html(facts)
    if facts.attributes:
        yield "Attributes", attributes_html(facts.attributes)


def _pieces(
    facts: ArrayFacts, unit: str, lengths: tuple[Pieces, ...], count: int
) -> tuple[str, str]:
    said = f"{count:,} {unit}{'' if count == 1 else 's'}"
    nbytes = facts.nbytes_of(lengths)
    if nbytes is not None:
        varying = any(isinstance(pieces, tuple) for pieces in lengths)
        said += f" of {'at most ' if varying else ''}{human_size(nbytes)}"
    is_stored = unit == "shard" or facts.shards is None
    if is_stored and facts.nchunks_initialized is not None:
        said += f", {facts.nchunks_initialized:,} stored"
    swatch = f'<span class="zs-swatch zs-{unit}"></span>'
    return (
        f"{unit.capitalize()}s",
        f"{swatch}{text_html(pieces_text(lengths))} {_more(said)}",
    )


def _more(said: str) -> str:
    return dim_html(f"\N{MIDDLE DOT} {said}")


def _size(facts: ArrayFacts) -> str:
    said = "of varying length" if facts.nbytes is None else human_size(facts.nbytes)
    if facts.nbytes_stored is None:
        return said
    stored = f"{human_size(facts.nbytes_stored)} stored"
    if facts.nbytes is not None and facts.nbytes_stored:
        stored += f", ratio {facts.nbytes / facts.nbytes_stored:.1f}"
    return f"{said} {_more(stored)}"


def format_html(facts: ArrayFacts | GroupFacts) -> str:
    said = f"Zarr v{facts.zarr_format}"
    if isinstance(facts, ArrayFacts) and facts.order != "C":
        said += f", order {facts.order}"
    return text_html(f"{said}, read-only" if facts.read_only else said)


def attributes_html(attributes: Mapping[str, Any]) -> str:
    rows = [
        (text_html(name), text_html(_value(value)))
        for name, value in list(attributes.items())[:_MOST_ATTRIBUTES]
    ]
    count = len(attributes)
    more = dim_html(f"and {count - len(rows):,} more") if count > len(rows) else ""
    said = f"{count:,} attribute{'' if count == 1 else 's'}"
    return f"<details><summary>{said}</summary>{table_html(rows)}{more}</details>"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    long = len(text) > _LONGEST_ATTRIBUTE
    return f"{text[:_LONGEST_ATTRIBUTE]}… ({len(text):,} characters)" if long else text
