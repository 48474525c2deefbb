"""What a codec is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.operations import Buffer

__all__ = ["BytesCodec", "Codec", "decoded_size_differs", "take"]


class Codec(ABC):
    """A codec of Zarr v3: its name, its configuration in metadata.

    Immutable, and usable from many threads at once.
    """

    name: ClassVar[str]

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

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as it stands in a metadata document."""
        configuration = self.configuration()
        document: dict[str, Any] = {"name": self.name}
        if configuration:
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


class BytesCodec(Codec):
    """A codec from bytes to bytes: a compressor or a checksum."""

    @abstractmethod
    def encode(self, data: Buffer) -> Buffer:
        """Return the encoded bytes."""

    def encode_many(self, data: Sequence[Buffer]) -> list[Buffer]:
        """Return the encoded bytes of several chunks."""
        return [self.encode(chunk) for chunk in data]

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

    def decode_into(self, data: Buffer, out: memoryview) -> None:
        """Decode into a flat buffer that has just the size of the decoded data."""
        out[:] = self.decode(data, out.nbytes, out.nbytes)

    @abstractmethod
    def encoded_size(self, size: int) -> int | None:
        """Return the encoded size of ``size`` bytes where it depends on nothing else."""

    @abstractmethod
    def largest_encoded_size(self, size: int) -> int:
        """Return a bound on the encoded size of ``size`` bytes."""


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
