"""Chunk grids, and the keys of their chunks.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html#chunk-grids.
"""

from __future__ import annotations

from dataclasses import dataclass

from zarrstore.errors import MetadataError

__all__ = ["ChunkKeys", "RegularGrid", "guess_chunks"]


@dataclass(frozen=True, slots=True)
class RegularGrid:
    """A grid of equal chunks; those at the upper edges reach beyond the array.

    Parameters
    ----------
    shape : tuple of int
        Of the array, in elements.
    chunk_shape : tuple of int
        Of each chunk, in elements; every length 1 or more.
    """

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """The number of chunks along each dimension."""
        return tuple(
            -(-length // chunk) for length, chunk in zip(self.shape, self.chunk_shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """A chunk key encoding: ``default`` (``c/0/1``) or ``v2`` (``0.1``).

    Examples
    --------
    >>> ChunkKeys("default", "/").key((0, 1)), ChunkKeys("v2", ".").key((0, 1))
    ('c/0/1', '0.1')
    """

    name: str = "default"
    separator: str = "/"

    def __post_init__(self) -> None:
        if self.name not in ("default", "v2"):
            raise MetadataError(f"chunk_key_encoding.name: {self.name!r} is not 'default' or 'v2'")
        if self.separator not in ("/", "."):
            raise MetadataError(
                f"chunk_key_encoding.configuration.separator: {self.separator!r} is not '/' or '.'"
            )

    def key(self, index: tuple[int, ...]) -> str:
        """Return the key of a chunk, relative to its array."""
        if self.name == "default":
            return self.separator.join(("c", *map(str, index)))
        return self.separator.join(map(str, index)) or "0"

    @property
    def prefix(self) -> str:
        """What every key starts with, before its first index."""
        return f"c{self.separator}" if self.name == "default" else ""


_TARGET_BYTES = 2**20


def guess_chunks(
    shape: tuple[int, ...], itemsize: int, target: int = _TARGET_BYTES
) -> tuple[int, ...]:
    """Return a chunk shape of about ``target`` bytes: the longest length is halved until it fits.

    Examples
    --------
    >>> guess_chunks((4000, 4000), 8)
    (250, 500)
    """
    chunks = [max(1, length) for length in shape]
    size = itemsize
    for length in chunks:
        size *= length
    while size > target and max(chunks) > 1:
        longest = chunks.index(max(chunks))
        size //= chunks[longest]
        chunks[longest] = -(-chunks[longest] // 2)
        size *= chunks[longest]
    return tuple(chunks)
