"""`Info`: what is told of an array or group, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from zarrstore.hierarchy.facts import (
    ArrayFacts,
    GroupFacts,
    Listing,
    pieces_text,
    printable,
    sized,
)
from zarrstore.hierarchy.html import array_html
from zarrstore.hierarchy.html_group import group_html

__all__ = ["Info", "array_info", "group_info"]


class Info:
    """What is told of an array or group: prints as lines of a label and a value.

    Made by ``array.info`` and ``group.info``. A notebook shows it as HTML.
    """

    def __init__(self, rows: list[tuple[str, str]], html: str) -> None:
        self._rows = rows
        self._html = html

    def __repr__(self) -> str:
        width = max(len(label) for label, _ in self._rows)
        return "\n".join(f"{label:<{width}} : {printable(value)}" for label, value in self._rows)

    def _repr_html_(self) -> str:
        return self._html


def array_info(facts: ArrayFacts) -> Info:
    """Return what is told of an array.

    Examples
    --------
    >>> array_info(
    ...     ArrayFacts(
    ...         name="/a", url="memory://x/a", store="MemoryStore", zarr_format=3, shape=(1000,),
    ...         dtype="int16", fill_value="0", chunks=(100,), serializer="bytes", nbytes=2000,
    ...     )
    ... )
    Name        : /a
    Type        : Array
    Zarr format : 3
    Data type   : int16
    Fill value  : 0
    Shape       : (1000,)
    Chunk shape : (100,)
    Order       : C
    Read-only   : False
    Store type  : MemoryStore
    URL         : memory://x/a
    Filters     : ()
    Serializer  : bytes
    Compressors : ()
    No. bytes   : 2.0 KiB (2000)
    No. chunks  : 10
    """
    return Info(list(_array_rows(facts)), array_html(facts))


def group_info(facts: GroupFacts, nodes: Listing | None = None) -> Info:
    """Return what is told of a group, and of the nodes below it if they are given.

    Examples
    --------
    >>> group_info(GroupFacts(name="/", url="memory://x", store="MemoryStore", zarr_format=3), [])
    Name        : /
    Type        : Group
    Zarr format : 3
    Read-only   : False
    Store type  : MemoryStore
    URL         : memory://x
    No. members : 0
    No. arrays  : 0
    No. groups  : 0
    """
    return Info(list(_group_rows(facts, nodes)), group_html(facts, nodes))


def _array_rows(facts: ArrayFacts) -> Iterator[tuple[str, str]]:
    yield "Name", facts.name
    yield "Type", facts.kind
    yield "Zarr format", str(facts.zarr_format)
    yield "Data type", facts.dtype
    yield "Fill value", facts.fill_value
    yield "Shape", str(facts.shape)
    if facts.dimension_names is not None:
        yield "Dimensions", str(facts.dimension_names)
    if facts.shards is not None:
        yield "Shard shape", pieces_text(facts.shards)
    yield "Chunk shape", pieces_text(facts.chunks)
    yield "Order", facts.order
    yield "Read-only", str(facts.read_only)
    yield "Store type", facts.store
    yield "URL", facts.url
    yield "Filters", _codecs(facts.filters)
    if facts.serializer is not None:
        yield "Serializer", facts.serializer
    yield "Compressors", _codecs(facts.compressors)
    if facts.nbytes is not None:
        yield "No. bytes", sized(facts.nbytes)
    if facts.nbytes_stored is not None:
        yield "No. bytes stored", sized(facts.nbytes_stored)
        if facts.nbytes is not None and facts.nbytes_stored:
            yield "Storage ratio", f"{facts.nbytes / facts.nbytes_stored:.1f}"
    yield "No. chunks", str(facts.nchunks)
    unit = "chunks"
    if facts.nshards is not None:
        unit = "shards"
        yield "No. shards", str(facts.nshards)
    if facts.nchunks_initialized is not None:
        yield f"No. {unit} stored", str(facts.nchunks_initialized)


def _group_rows(facts: GroupFacts, nodes: Listing | None) -> Iterator[tuple[str, str]]:
    yield "Name", facts.name
    yield "Type", facts.kind
    yield "Zarr format", str(facts.zarr_format)
    yield "Read-only", str(facts.read_only)
    yield "Store type", facts.store
    yield "URL", facts.url
    if nodes is not None:
        kinds = Counter(type(node) for _, _, node in nodes)
        yield "No. members", str(len(nodes))
        yield "No. arrays", str(kinds[ArrayFacts])
        yield "No. groups", str(kinds[GroupFacts])


def _codecs(codecs: tuple[str, ...]) -> str:
    return f"({', '.join(codecs)}{',' if len(codecs) == 1 else ''})"
