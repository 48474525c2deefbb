"""What is told of arrays and groups: plain values, and how they read as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

__all__ = [
    "ArrayFacts",
    "GroupFacts",
    "Listing",
    "NodeFacts",
    "Pieces",
    "cuts",
    "human_size",
    "pieces_text",
    "printable",
    "sized",
]

Pieces: TypeAlias = int | tuple[int, ...]
"""The lengths of the chunks along a dimension: one for all of them, or each."""

_LENGTHS_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class ArrayFacts:
    """What is told of an array.

    Parameters
    ----------
    name, url, store : str
        The path with a ``/`` before it, the URL without credentials, the name of the store's type.
    chunks, shards : tuple
        For each dimension the length of a chunk, or the lengths of all where they differ.
    filters, compressors : tuple of str
    serializer : str, optional
        Zarr v2 has none.
    nbytes : int, optional
        Of all elements in memory; unknown where their length varies.
    nbytes_stored, nchunks_initialized : int, optional
        Bytes in the store, and chunks that are there (shards, if there are any), if counted.
    """

    name: str
    url: str
    store: str
    zarr_format: int
    shape: tuple[int, ...]
    dtype: str
    fill_value: str
    chunks: tuple[Pieces, ...]
    shards: tuple[Pieces, ...] | None = None
    order: str = "C"
    filters: tuple[str, ...] = ()
    serializer: str | None = None
    compressors: tuple[str, ...] = ()
    nbytes: int | None = None
    nbytes_stored: int | None = None
    nchunks_initialized: int | None = None
    read_only: bool = False
    dimension_names: tuple[str | None, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "Array"

    @property
    def nchunks(self) -> int:
        """The number of chunks, stored or not."""
        return _count(self.shape, self.chunks)

    @property
    def nshards(self) -> int | None:
        """The number of shards, stored or not, if chunks are stored in shards."""
        return None if self.shards is None else _count(self.shape, self.shards)

    def nbytes_of(self, pieces: tuple[Pieces, ...]) -> int | None:
        """Return the bytes of a chunk or shard in memory, the largest where they differ."""
        size = math.prod(self.shape)
        if self.nbytes is None or not size:
            return None
        return self.nbytes // size * math.prod(map(_longest, pieces))


@dataclass(frozen=True, kw_only=True)
class GroupFacts:
    """What is told of a group; its members stand beside it in a `Listing`.

    Parameters
    ----------
    listed : bool
        Whether the nodes below were looked up; if not, there may be some.
    """

    name: str
    url: str
    store: str
    zarr_format: int
    read_only: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    listed: bool = True
    kind: str = "Group"


NodeFacts: TypeAlias = ArrayFacts | GroupFacts | Exception
"""In the place of a node that cannot be opened stands the error."""

Listing: TypeAlias = Sequence[tuple[int, str, NodeFacts]]
"""Nodes at any depth, each before those below it: depth (0 for a member), name, node."""


def cuts(length: int, pieces: Pieces) -> Sequence[int]:
    """Return where the chunks of a dimension meet, within the array.

    Examples
    --------
    >>> list(cuts(10, 4)), list(cuts(10, (3, 6, 1))), list(cuts(0, 4))
    ([4, 8], [3, 9], [])
    """
    if isinstance(pieces, int):
        step = max(1, pieces)
        return range(step, length, step)
    return [cut for cut in accumulate(pieces) if cut < length]


def _count(shape: tuple[int, ...], chunks: tuple[Pieces, ...]) -> int:
    if 0 in shape:
        return 0
    return math.prod(
        len(cuts(length, pieces)) + 1 for length, pieces in zip(shape, chunks, strict=True)
    )


def _longest(pieces: Pieces) -> int:
    return pieces if isinstance(pieces, int) else max(pieces, default=0)


def pieces_text(chunks: tuple[Pieces, ...]) -> str:
    """Return a chunk shape as text: many lengths of one dimension are elided.

    Examples
    --------
    >>> pieces_text((10,)), pieces_text(((3, 6, 1), 4)), pieces_text((tuple(range(1, 100)),))
    ('(10,)', '((3, 6, 1), 4)', '((1, 2, 3, 4, 5, ..., 99),)')
    """

    def parts() -> Iterator[str]:
        for pieces in chunks:
            if isinstance(pieces, tuple) and len(pieces) > _LENGTHS_SHOWN:
                first = ", ".join(map(str, pieces[: _LENGTHS_SHOWN - 1]))
                yield f"({first}, ..., {pieces[-1]})"
            else:
                yield str(pieces)

    texts = list(parts())
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def human_size(nbytes: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> human_size(0), human_size(1023), human_size(8_000_000), human_size(2**70)
    ('0 B', '1023 B', '7.6 MiB', '1024.0 EiB')
    """
    if nbytes < 1024:
        return f"{nbytes} B"
    units = iter(("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))
    scaled, unit = nbytes / 1024, next(units)
    while round(scaled, 1) >= 1024 and (larger := next(units, None)):
        scaled, unit = scaled / 1024, larger
    return f"{scaled:.1f} {unit}"


def sized(nbytes: int) -> str:
    """Return a number of bytes as people say it, and exactly.

    Examples
    --------
    >>> sized(8_000_000), sized(12)
    ('7.6 MiB (8000000)', '12 B')
    """
    return human_size(nbytes) if nbytes < 1024 else f"{human_size(nbytes)} ({nbytes})"


def printable(text: str) -> str:
    """Return a text with what does not print, or turns the writing around, escaped.

    Examples
    --------
    >>> printable("a\\x1b[31m"), printable("höhe")
    ('a\\\\x1b[31m', 'höhe')
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
