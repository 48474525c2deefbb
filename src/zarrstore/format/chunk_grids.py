"""Chunk grids, and the keys of their chunks.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html#chunk-grids, and for the
rectilinear grid
https://github.com/zarr-developers/zarr-extensions/tree/main/chunk-grids/rectilinear.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

from zarrstore.errors import MetadataError
from zarrstore.format.dimensions import Dimension, RectilinearDimension, RegularDimension, Runs

__all__ = [
    "ChunkGrid",
    "ChunkKeys",
    "RectilinearGrid",
    "RegularGrid",
    "chunk_grid",
    "guess_chunks",
]

ChunkLengths: TypeAlias = tuple[int | Runs, ...]
"""For each dimension the length of every chunk, or of each one."""


class ChunkGrid(ABC):
    """How an array is cut into chunks: each dimension by itself."""

    __slots__ = ()

    name: ClassVar[str]
    """In metadata documents."""
    shape: tuple[int, ...]
    """Of the array, in elements."""
    dimensions: tuple[Dimension, ...]

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """The number of chunks along each dimension."""
        return tuple([dimension.count for dimension in self.dimensions])

    @property
    def max_chunk_shape(self) -> tuple[int, ...]:
        """The longest chunk along each dimension; where the grid is regular, every chunk."""
        return tuple([dimension.longest for dimension in self.dimensions])

    @property
    def is_regular(self) -> bool:
        """Whether all chunks are stored with one shape."""
        return all(dimension.shortest == dimension.longest for dimension in self.dimensions)

    def chunk_shape_at(self, coords: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of a chunk as it is stored, which may reach beyond the array."""
        return tuple([d.length_of(i) for d, i in zip(self.dimensions, coords, strict=True)])

    @abstractmethod
    def with_shape(self, shape: Sequence[int]) -> ChunkGrid:
        """Return the grid of the array once it is resized; chunks stay where they are."""

    @abstractmethod
    def to_configuration(self) -> dict[str, Any]:
        """Return the grid's ``configuration`` in a metadata document."""


@dataclass(frozen=True, slots=True)
class RegularGrid(ChunkGrid):
    """A grid of equal chunks; those at the upper edges reach beyond the array.

    Parameters
    ----------
    shape : tuple of int
        Of the array, in elements.
    chunk_shape : tuple of int
        Of each chunk, in elements; every length 1 or more.

    Examples
    --------
    >>> RegularGrid((5, 6), (2, 3)).grid_shape
    (3, 2)
    """

    name: ClassVar[str] = "regular"
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    dimensions: tuple[Dimension, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pairs = zip(self.shape, self.chunk_shape, strict=True)
        object.__setattr__(self, "dimensions", tuple([RegularDimension(*pair) for pair in pairs]))

    @property
    def max_chunk_shape(self) -> tuple[int, ...]:
        """The shape of every chunk."""
        return self.chunk_shape

    @property
    def is_regular(self) -> bool:
        """``True``."""
        return True

    def chunk_shape_at(self, coords: Sequence[int]) -> tuple[int, ...]:  # noqa: ARG002
        """Return `chunk_shape`."""
        return self.chunk_shape

    def with_shape(self, shape: Sequence[int]) -> RegularGrid:
        """Return the grid of the array once it is resized."""
        return RegularGrid(tuple(shape), self.chunk_shape)

    def to_configuration(self) -> dict[str, Any]:
        """Return the grid's ``configuration`` in a metadata document."""
        return {"chunk_shape": list(self.chunk_shape)}


@dataclass(frozen=True, slots=True)
class RectilinearGrid(ChunkGrid):
    """A grid whose chunks differ in length along each dimension.

    Follows
    https://github.com/zarr-developers/zarr-extensions/tree/main/chunk-grids/rectilinear.

    Parameters
    ----------
    shape : tuple of int
        Of the array, in elements.
    chunk_lengths : sequence
        For each dimension the length of every chunk, as an integer, or of each chunk, as a
        sequence of integers and ``[length, repeats]`` pairs whose sum is the array's length or
        more. Kept with all of a sequence as pairs.

    Raises
    ------
    MetadataError
        If a length or a number of repeats is not 1 or more, or the chunks do not cover the array.

    Examples
    --------
    >>> grid = RectilinearGrid((6, 6), (4, [1, 2, 2, 1]))
    >>> grid.grid_shape, grid.chunk_shape_at((1, 2))
    ((2, 4), (4, 2))
    >>> grid.to_configuration()
    {'kind': 'inline', 'chunk_shapes': [4, [1, [2, 2], 1]]}
    """

    name: ClassVar[str] = "rectilinear"
    shape: tuple[int, ...]
    chunk_lengths: tuple[Any, ...]
    dimensions: tuple[Dimension, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        normalised = _chunk_lengths(self.chunk_lengths, self.shape, "chunk_lengths")
        object.__setattr__(self, "chunk_lengths", normalised)
        dimensions = tuple(
            [
                RegularDimension(length, given)
                if isinstance(given, int)
                else RectilinearDimension(length, given)
                for length, given in zip(self.shape, normalised, strict=True)
            ]
        )
        object.__setattr__(self, "dimensions", dimensions)

    def with_shape(self, shape: Sequence[int]) -> RectilinearGrid:
        """Return the grid of the array once it is resized.

        Where the chunks end before the new length, one more is appended that reaches it; none
        is taken away.
        """
        pairs = zip(self.chunk_lengths, shape, strict=True)
        return RectilinearGrid(tuple(shape), tuple([_reaching(*pair) for pair in pairs]))

    def to_configuration(self) -> dict[str, Any]:
        """Return the grid's ``configuration``, with equal lengths in a row as a pair."""
        chunk_shapes = [
            given
            if isinstance(given, int)
            else [length if repeats == 1 else [length, repeats] for length, repeats in given]
            for given in self.chunk_lengths
        ]
        return {"kind": "inline", "chunk_shapes": chunk_shapes}


def _chunk_lengths(given: Any, shape: Sequence[int], path: str) -> ChunkLengths:
    """Return chunk lengths as integers and runs, checked."""
    if not isinstance(given, list | tuple):
        raise MetadataError(f"{path}: a list is expected, not {type(given).__name__}")
    if len(given) != len(shape):
        raise MetadataError(f"{path}: {len(given)} lengths for {len(shape)} dimensions")
    checked = zip(given, shape, strict=True)
    return tuple([_runs(*pair, f"{path}[{axis}]") for axis, pair in enumerate(checked)])


def _runs(given: Any, length: int, path: str) -> int | Runs:
    if isinstance(given, int):
        return _positive(given, path)
    if not isinstance(given, list | tuple):
        raise MetadataError(
            f"{path}: an integer or a list of them is expected, not {type(given).__name__}"
        )
    pairs = [_run(item, f"{path}[{at}]") for at, item in enumerate(given)]
    runs = tuple(
        (chunk, sum(repeats for _, repeats in group))
        for chunk, group in groupby(pairs, key=lambda pair: pair[0])
    )
    end = _sum(runs)
    if end < length:
        raise MetadataError(f"{path}: the chunks end at {end}, before the array's length {length}")
    return runs


def _run(item: Any, path: str) -> tuple[int, int]:
    if not isinstance(item, list | tuple):
        return _positive(item, path), 1
    if len(item) != 2:
        raise MetadataError(f"{path}: a pair [length, repeats] is expected, not {len(item)} items")
    return _positive(item[0], f"{path}[0]"), _positive(item[1], f"{path}[1]")


def _positive(number: Any, path: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number < 2**63:
        raise MetadataError(
            f"{path}: an integer of 1 or more and below 2**63 is expected, not {number!r}"
        )
    return number


def _reaching(given: int | Runs, length: int) -> int | Runs:
    if isinstance(given, int) or length <= _sum(given):
        return given
    return (*given, (length - _sum(given), 1))


def _sum(runs: Runs) -> int:
    return sum(chunk * repeats for chunk, repeats in runs)


def chunk_grid(
    shape: tuple[int, ...], name: str, configuration: Mapping[str, Any]
) -> RegularGrid | RectilinearGrid:
    """Return the grid that a metadata document's ``chunk_grid`` describes.

    Parameters
    ----------
    shape : tuple of int
        Of the array, in elements.
    name : str
    configuration : mapping

    Raises
    ------
    MetadataError
        If the grid is unknown or its configuration is not valid; the message has the field.

    Examples
    --------
    >>> chunk_grid((4,), "rectilinear", {"kind": "inline", "chunk_shapes": [[1, 3]]}).grid_shape
    (2,)
    """
    path = "chunk_grid.configuration"
    if name == "regular":
        lengths = _members(configuration, "chunk_shape")["chunk_shape"]
        checked = _chunk_lengths(lengths, shape, f"{path}.chunk_shape")
        for axis, length in enumerate(checked):
            if not isinstance(length, int):
                raise MetadataError(f"{path}.chunk_shape[{axis}]: an integer is expected")
        return RegularGrid(shape, tuple(lengths))
    if name == "rectilinear":
        members = _members(configuration, "kind", "chunk_shapes")
        if members["kind"] != "inline":
            raise MetadataError(f"{path}.kind: 'inline' is expected, not {members['kind']!r}")
        return RectilinearGrid(
            shape, _chunk_lengths(members["chunk_shapes"], shape, f"{path}.chunk_shapes")
        )
    raise MetadataError(
        f"chunk_grid.name: unknown chunk grid {name!r}; use 'regular' or 'rectilinear'"
    )


def _members(configuration: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if name not in configuration:
            raise MetadataError(f"chunk_grid.configuration.{name} is missing")
    for name in configuration:
        if name not in names:
            raise MetadataError(f"chunk_grid.configuration.{name}: unknown; use {', '.join(names)}")
    return configuration


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
    _templates: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By the number of dimensions: formatting takes half the time of joining."""

    def __post_init__(self) -> None:
        if self.name not in ("default", "v2"):
            raise MetadataError(f"chunk_key_encoding.name: {self.name!r} is not 'default' or 'v2'")
        if self.separator not in ("/", "."):
            raise MetadataError(
                f"chunk_key_encoding.configuration.separator: {self.separator!r} is not '/' or '.'"
            )

    def key(self, index: tuple[int, ...]) -> str:
        """Return the key of a chunk, relative to its array."""
        try:
            return self._templates[len(index)] % index
        except KeyError:
            start = ["c"] if self.name == "default" else []
            template = self.separator.join(start + ["%d"] * len(index)) or "0"
            self._templates[len(index)] = template
            return template % index

    def chunk_coords(self, key: str, ndim: int) -> tuple[int, ...] | None:
        """Return the chunk that has a key, relative to its array; ``None`` for other keys.

        Parameters
        ----------
        key : str
        ndim : int
            The number of the array's dimensions.

        Examples
        --------
        >>> ChunkKeys().chunk_coords("c/0/12", 2), ChunkKeys().chunk_coords("zarr.json", 2)
        ((0, 12), None)
        """
        try:
            numbers = key.removeprefix(self.prefix).split(self.separator) if ndim else []
            coords = tuple([int(number) for number in numbers])
        except ValueError:
            return None
        if len(coords) != ndim or min(coords, default=0) < 0:
            return None
        # what int() takes but is not written so, as "01", does not come back
        return coords if self.key(coords) == key else None

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
