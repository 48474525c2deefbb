"""How a dimension of an array is cut into chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Dimension", "Positions", "RectilinearDimension", "RegularDimension", "Runs"]

Positions: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Of elements, or of chunks, as integers of the type `numpy.intp`."""
Runs: TypeAlias = tuple[tuple[int, int], ...]
"""Chunk lengths along a dimension, each with how often it follows itself."""


class Dimension(ABC):
    """How one dimension of an array is cut into chunks; only those within the array count."""

    __slots__ = ()

    length: int
    """Of the array, in elements."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of chunks."""

    @property
    @abstractmethod
    def shortest(self) -> int:
        """The length of the shortest chunk; 1 where there is none."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """The length of the longest chunk; 1 where there is none."""

    @abstractmethod
    def chunk_at(self, position: int) -> tuple[int, int, int]:
        """Return the chunk that has an element: its index, first element and length."""

    @abstractmethod
    def start_of(self, index: int) -> int:
        """Return the first element of a chunk."""

    @abstractmethod
    def length_of(self, index: int) -> int:
        """Return the length of a chunk as it is stored, which may reach beyond the array."""

    def extent_of(self, index: int) -> int:
        """Return how many elements of a chunk are within the array."""
        return min(self.length_of(index), self.length - self.start_of(index))

    @abstractmethod
    def starts(self, first: int, stop: int) -> Sequence[int]:
        """Return the first element of each chunk from ``first`` to before ``stop``."""

    @abstractmethod
    def indices_of(self, positions: Positions) -> Positions:
        """Return the index of the chunk that has each element."""

    @abstractmethod
    def starts_of(self, indices: Positions) -> Positions:
        """Return the first element of each chunk."""

    @abstractmethod
    def lengths_of(self, indices: Positions) -> Positions:
        """Return the length of each chunk as it is stored."""

    def extents_of(self, indices: Positions) -> Positions:
        """Return how many elements of each chunk are within the array."""
        found: Positions = self.length - self.starts_of(indices)
        return np.minimum(self.lengths_of(indices), found)


@dataclass(frozen=True, slots=True)
class RegularDimension(Dimension):
    """Cut into chunks of one length; the last one may reach beyond the array.

    Examples
    --------
    >>> RegularDimension(10, 4).chunk_at(9)
    (2, 8, 4)
    """

    length: int
    chunk: int

    @property
    def count(self) -> int:
        return -(-self.length // self.chunk)

    @property
    def shortest(self) -> int:
        return self.chunk

    @property
    def longest(self) -> int:
        return self.chunk

    def chunk_at(self, position: int) -> tuple[int, int, int]:
        chunk = self.chunk
        index = position // chunk
        return index, index * chunk, chunk

    def start_of(self, index: int) -> int:
        return index * self.chunk

    def length_of(self, index: int) -> int:  # noqa: ARG002
        return self.chunk

    def starts(self, first: int, stop: int) -> Sequence[int]:
        return range(first * self.chunk, stop * self.chunk, self.chunk)

    def indices_of(self, positions: Positions) -> Positions:
        return positions // self.chunk

    def starts_of(self, indices: Positions) -> Positions:
        return indices * self.chunk

    def lengths_of(self, indices: Positions) -> Positions:
        return np.full(len(indices), self.chunk, np.intp)


@dataclass(frozen=True, slots=True)
class RectilinearDimension(Dimension):
    """Cut into chunks of several lengths, which may go on beyond the array.

    A run takes the same memory whatever its number of chunks.

    Examples
    --------
    >>> RectilinearDimension(10, ((1, 2), (5, 2))).chunk_at(9)
    (3, 7, 5)
    """

    length: int
    runs: Runs
    count: int = field(init=False, compare=False)
    shortest: int = field(init=False, compare=False)
    longest: int = field(init=False, compare=False)
    _lengths: list[int] = field(init=False, compare=False, repr=False)
    """Of the chunks in each run that begins within the array."""
    _firsts: list[int] = field(init=False, compare=False, repr=False)
    """The index of the first chunk of each of those runs."""
    _starts: list[int] = field(init=False, compare=False, repr=False)
    """Its first element."""
    _table: Positions = field(init=False, compare=False, repr=False)
    """The same three, for many positions at once."""

    def __post_init__(self) -> None:
        lengths: list[int] = []
        firsts: list[int] = []
        starts: list[int] = []
        first = start = 0
        for length, repeats in self.runs:
            if start >= self.length:
                break
            lengths.append(length)
            firsts.append(first)
            starts.append(start)
            first += repeats
            start += length * repeats
        put = object.__setattr__
        put(self, "_lengths", lengths)
        put(self, "_firsts", firsts)
        put(self, "_starts", starts)
        put(self, "_table", np.array([lengths, firsts, starts], np.intp))
        put(self, "count", self.chunk_at(self.length - 1)[0] + 1 if self.length else 0)
        put(self, "shortest", min(lengths, default=1))
        put(self, "longest", max(lengths, default=1))

    def chunk_at(self, position: int) -> tuple[int, int, int]:
        run = bisect_right(self._starts, position) - 1
        length, start = self._lengths[run], self._starts[run]
        number = (position - start) // length
        return self._firsts[run] + number, start + number * length, length

    def start_of(self, index: int) -> int:
        run = bisect_right(self._firsts, index) - 1
        return self._starts[run] + (index - self._firsts[run]) * self._lengths[run]

    def length_of(self, index: int) -> int:
        return self._lengths[bisect_right(self._firsts, index) - 1]

    def starts(self, first: int, stop: int) -> Sequence[int]:
        starts: list[int] = self.starts_of(np.arange(first, stop)).tolist()
        return starts

    def indices_of(self, positions: Positions) -> Positions:
        lengths, firsts, starts = self._table
        runs = np.searchsorted(starts, positions, side="right") - 1
        found: Positions = firsts[runs] + (positions - starts[runs]) // lengths[runs]
        return found

    def starts_of(self, indices: Positions) -> Positions:
        lengths, firsts, starts = self._table
        runs = np.searchsorted(firsts, indices, side="right") - 1
        found: Positions = starts[runs] + (indices - firsts[runs]) * lengths[runs]
        return found

    def lengths_of(self, indices: Positions) -> Positions:
        lengths, firsts, _ = self._table
        found: Positions = lengths[np.searchsorted(firsts, indices, side="right") - 1]
        return found
