"""What a codec is."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.data_types.base import DataType
from zarrstore.operations import Buffer

__all__ = [
    "LARGEST_VARIABLE_CHUNK",
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "BytesBytesCodec",
    "ChunkSpec",
    "Codec",
    "Pieces",
    "decoded_size_differs",
    "joined",
    "split",
    "take",
]

Pieces: TypeAlias = tuple[list[Buffer], list[int]]
"""Encoded chunks that lie one after the other once they are joined, and the size of each.

Each chunk has as many pieces as every other.
"""

LARGEST_VARIABLE_CHUNK = 2**31 - 1
"""Bytes that a chunk of elements of no fixed size may have once it is decompressed."""


@dataclass(frozen=True)
class ChunkSpec:
    """What a codec knows of a chunk.

    Parameters
    ----------
    shape : tuple of int
    data_type : DataType
    fill_value : object
        A scalar of the data type.
    """

    shape: tuple[int, ...]
    data_type: DataType
    fill_value: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements in memory."""
        return self.data_type.dtype

    @functools.cached_property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @functools.cached_property
    def nbytes(self) -> int:
        """Bytes of all elements in memory; of the references to them where they are objects."""
        return self.size * self.dtype.itemsize

    def is_fill(self, chunk: np.ndarray[Any, Any]) -> bool:
        """Tell whether every element is the fill value, bit for bit (so -0.0 is not 0.0)."""
        if self.data_type.is_variable:
            return bool((chunk == self.fill_value).all())
        # most chunks that are not empty show it in their first element
        if chunk[self._first].tobytes() != self._fill_bytes:
            return False
        bits = chunk.reshape(-1).view(self._unit)
        return bool((bits.reshape(-1, self._fill_bits.size) == self._fill_bits).all())

    def begins_with_fill(self, chunks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Tell of chunks, stacked along a first dimension, whose first element is the fill value.

        Only these can be empty: see `is_fill`.
        """
        firsts = chunks.reshape(len(chunks), -1)[:, 0]
        if self.data_type.is_variable:
            return np.asarray(firsts == self.fill_value, bool)
        bits = np.ascontiguousarray(firsts).view(self._unit).reshape(len(chunks), -1)
        same: np.ndarray[Any, Any] = (bits == self._fill_bits).all(axis=1)
        return same

    def has_fill(self, elements: np.ndarray[Any, Any]) -> bool:
        """Tell whether any element is the fill value, of a data type of fixed size."""
        bits = np.ascontiguousarray(elements).reshape(-1).view(self._unit)
        same = bits.reshape(-1, self._fill_bits.size) == self._fill_bits
        return bool(same.all(axis=1).any())

    @functools.cached_property
    def _unit(self) -> np.dtype[Any]:
        return np.dtype(f"u{math.gcd(self.dtype.itemsize, 8)}")

    @functools.cached_property
    def _first(self) -> tuple[Any, ...]:
        # with this an array is found; a scalar of numpy's has less than its dtype where it is text
        return (*(0,) * len(self.shape), ...)

    @functools.cached_property
    def _fill_bytes(self) -> bytes:
        return self._fill_bits.tobytes()

    @functools.cached_property
    def _fill_bits(self) -> np.ndarray[Any, Any]:
        return np.array([self.fill_value], self.dtype).view(self._unit)


class Codec(ABC):
    """A codec of Zarr v3: its name, its configuration in metadata.

    Immutable, and usable from many threads at once. A package registers its own by an entry
    point of the group ``zarrstore.codecs``: the name in metadata, and the class, which is one
    of `ArrayArrayCodec`, `ArrayBytesCodec` and `BytesBytesCodec`.
    """

    name: str
    """In metadata."""

    @classmethod
    @abstractmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Codec:
        """Make a codec from its configuration in a metadata document.

        Raises
        ------
        MetadataError
            If a member is unknown, missing or out of range.
        """

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """Return the configuration as it stands in a metadata document."""

    def fitted(self, spec: ChunkSpec) -> Codec:  # noqa: ARG002
        """Return this codec with what it leaves to the array filled in.

        Called with what the codec will be given when an array is created, and when it is opened.

        Raises
        ------
        MetadataError
            If the codec cannot encode such chunks.
        """
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as it stands in a metadata document."""
        configuration = self.configuration()
        document: dict[str, Any] = {"name": self.name}
        if configuration or self.name.startswith("numcodecs."):  # without, zarr-python refuses it
            document["configuration"] = configuration
        return document

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.configuration().items())
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Codec):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(repr(self))


class ArrayArrayCodec(Codec):
    """A codec from elements to elements, of another order, shape or data type perhaps."""

    @abstractmethod
    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """Return what chunks become.

        Raises
        ------
        MetadataError
            If the codec cannot encode such chunks.
        """

    @abstractmethod
    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the encoded chunk, of any memory order; a view of the chunk is fine."""

    @abstractmethod
    def decode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the chunk that was encoded; ``spec`` is of the decoded chunk.

        Raises
        ------
        CorruptDataError
        """


class ArrayBytesCodec(Codec):
    """A codec from elements to bytes."""

    @abstractmethod
    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:
        """Return the bytes of a chunk, whose memory order may be any."""

    @abstractmethod
    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        """Return the chunk of some bytes; it may be a read-only view of them.

        Raises
        ------
        CorruptDataError
            If the bytes are not those of a chunk. No more than a chunk is ever allocated.
        """

    @abstractmethod
    def encoded_size(self, spec: ChunkSpec) -> int | None:
        """Return the encoded size of every chunk, in bytes, where it does not vary."""

    def largest_encoded_size(self, spec: ChunkSpec) -> int:
        """Return a bound on the encoded size, in bytes."""
        size = self.encoded_size(spec)
        return LARGEST_VARIABLE_CHUNK if size is None else size


class BytesBytesCodec(Codec):
    """A codec from bytes to bytes: a compressor or a checksum."""

    @abstractmethod
    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes."""

    encodes_many = False
    """Whether `encode_many` is quicker than an `encode` for each."""

    def encode_many(self, data: Sequence[Buffer]) -> list[Buffer]:
        """Return the encoded bytes of several chunks."""
        return [self.encode(chunk) for chunk in data]

    def encode_stack(self, data: memoryview, count: int) -> Pieces:
        """Return the encoded bytes of chunks of one size, which lie one after the other."""
        encoded = self.encode_many(split(data, count))
        return encoded, list(map(len, encoded))

    @abstractmethod
    def decode(self, data: Buffer, size: int | None, limit: int) -> Buffer:
        """Return the decoded bytes.

        Parameters
        ----------
        data : bytes-like
        size : int or None
            What the decoded size must be, in bytes, where it is known.
        limit : int
            What the decoded size may be at most: never is more than that allocated.

        Raises
        ------
        CorruptDataError
            If the data is truncated, altered, or of another size.
        """

    decodes_many = False
    """Whether `decode_many` is quicker than a `decode` for each."""

    def decode_many(self, data: Sequence[Buffer], size: int | None, limit: int) -> list[Buffer]:
        """Return the decoded bytes of several chunks: see `decode`."""
        return [self.decode(chunk, size, limit) for chunk in data]

    def decode_stack(self, data: Sequence[Buffer], out: memoryview) -> None:
        """Decode chunks of one size into a flat buffer, one after the other."""
        size = len(out) // len(data)
        decoded = self.decode_many(data, size, size)
        for number, chunk in enumerate(decoded):
            out[number * size : (number + 1) * size] = chunk

    def decode_into(self, data: Buffer, out: memoryview) -> None:
        """Decode into a flat buffer that has just the size of the decoded data."""
        out[:] = self.decode(data, out.nbytes, out.nbytes)

    def encoded_size(self, size: int) -> int | None:  # noqa: ARG002
        """Return the encoded size of ``size`` bytes where it depends on nothing else."""
        return None

    @abstractmethod
    def largest_encoded_size(self, size: int) -> int:
        """Return a bound on the encoded size of ``size`` bytes."""


def split(data: memoryview, count: int) -> list[Buffer]:
    """Return parts of one size of a flat buffer that is not empty."""
    size = len(data) // count
    return [data[at : at + size] for at in range(0, len(data), size)]


def joined(encoded: Pieces) -> list[Buffer]:
    """Return the bytes of each encoded chunk."""
    pieces, sizes = encoded
    count = len(pieces) // max(1, len(sizes))
    if count == 1:
        return pieces
    return [b"".join(pieces[at : at + count]) for at in range(0, len(pieces), count)]


def take(configuration: Mapping[str, Any], codec: str, *known: str) -> Mapping[str, Any]:
    """Return a configuration whose members are all known."""
    unknown = sorted(set(configuration) - set(known))
    if unknown:
        raise MetadataError(
            f"codecs: {codec} has no configuration {', '.join(unknown)}; "
            f"known are {', '.join(known) or 'none'}"
        )
    return configuration


def decoded_size_differs(codec: str, expected: int, found: object) -> CorruptDataError:
    """Make the error of data that decodes to another size than the chunk's."""
    return CorruptDataError(f"{codec} data decodes to {found} bytes where {expected} are expected")
