"""Codecs of numcodecs from bytes to bytes, as ``numcodecs.zlib`` and the like.

Names and configurations are those of https://numcodecs.readthedocs.io, and of
https://github.com/zarr-developers/zarr-extensions/tree/main/codecs. What is encoded here is read
by numcodecs, and the other way round.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

from numcodecs import blosc, lz4
from numcodecs import shuffle as shuffling

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import BytesBytesCodec, ChunkSpec, decoded_size_differs, take
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.streams import decode_streams
from zarrstore.format.codecs.zstd import Zstd
from zarrstore.operations import Buffer

__all__ = [
    "Bz2",
    "Lz4",
    "Lzma",
    "NumcodecsBlosc",
    "NumcodecsBytes",
    "NumcodecsGzip",
    "NumcodecsZstd",
    "Shuffle",
    "Zlib",
    "integer",
]

_LARGEST_INT = 2**31 - 1


def integer(codec: str, field: str, value: Any, least: int, most: int) -> int:
    """Return an integer of a configuration.

    Raises
    ------
    MetadataError
        If it is none, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MetadataError(f"codecs: {codec}.{field} is from {least} to {most}, not {value!r}")
    return value


class NumcodecsBytes(BytesBytesCodec):
    """A codec whose configuration is its attributes."""

    members: ClassVar[tuple[str, ...]] = ("level",)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        return cls(**take(configuration, cls.name, *cls.members))

    def configuration(self) -> dict[str, Any]:
        return {member: getattr(self, member) for member in self.members}


class Zlib(NumcodecsBytes):
    """Compress with zlib.

    Parameters
    ----------
    level : int, default 1
        From 0 (stored) to 9 (smallest); -1 is the library's default.

    Examples
    --------
    >>> Zlib(level=4).to_dict()
    {'name': 'numcodecs.zlib', 'configuration': {'level': 4}}
    """

    name = "numcodecs.zlib"

    def __init__(self, level: int = 1) -> None:
        self.level = integer(self.name, "level", level, -1, 9)

    def encode(self, data: Buffer) -> bytes:
        return zlib.compress(data, self.level)

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        return decode_streams(
            self.name, zlib.decompressobj, (zlib.error,), data, size, limit, several=False
        )

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 8) + 1024


class Bz2(NumcodecsBytes):
    """Compress with bzip2.

    Parameters
    ----------
    level : int, default 1
        From 1 to 9: hundreds of kilobytes that are compressed together.

    Examples
    --------
    >>> Bz2().to_dict()
    {'name': 'numcodecs.bz2', 'configuration': {'level': 1}}
    """

    name = "numcodecs.bz2"

    def __init__(self, level: int = 1) -> None:
        self.level = integer(self.name, "level", level, 1, 9)

    def encode(self, data: Buffer) -> bytes:
        return bz2.compress(data, self.level)

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        errors = (OSError, EOFError, ValueError)
        return decode_streams(self.name, bz2.BZ2Decompressor, errors, data, size, limit)

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 6) + 1024


class Lzma(NumcodecsBytes):
    """Compress with LZMA.

    Parameters
    ----------
    format : int, default 1
        ``lzma.FORMAT_XZ``, ``FORMAT_ALONE`` (2) or ``FORMAT_RAW`` (3).
    check : int, default -1
        An integrity check of the standard library's `lzma`; -1 is the format's own.
    preset : int, optional
        From 0 (fastest) to 9 (smallest).
    filters : list of dict, optional
        A chain of filters of the standard library's `lzma`, in place of a preset.

    Examples
    --------
    >>> Lzma(preset=2).configuration()
    {'format': 1, 'check': -1, 'preset': 2, 'filters': None}
    """

    name = "numcodecs.lzma"
    members = ("format", "check", "preset", "filters")
    _largest_memory = 2**30

    def __init__(
        self,
        format: int = lzma.FORMAT_XZ,
        check: int = -1,
        preset: int | None = None,
        filters: list[Any] | None = None,
    ) -> None:
        self.format = integer(self.name, "format", format, lzma.FORMAT_XZ, lzma.FORMAT_RAW)
        self.check = integer(self.name, "check", check, -1, lzma.CHECK_ID_MAX)
        self.preset = preset
        self.filters = filters
        if preset is not None:
            integer(self.name, "preset", preset, 0, 9 | lzma.PRESET_EXTREME)
        try:
            lzma.LZMACompressor(self.format, self.check, preset, cast("Any", filters))
        except (lzma.LZMAError, ValueError, TypeError, KeyError) as error:
            raise MetadataError(f"codecs: {self.name}: {error}") from error

    def encode(self, data: Buffer) -> bytes:
        filters = cast("Any", self.filters)
        return lzma.compress(data, self.format, self.check, self.preset, filters)

    def decode(self, data: Buffer, size: int | None, limit: int) -> bytes:
        errors = (lzma.LZMAError, EOFError, ValueError)
        several = self.format == lzma.FORMAT_XZ
        return decode_streams(
            self.name, self._decompressor, errors, data, size, limit, several=several
        )

    def _decompressor(self) -> lzma.LZMADecompressor:
        if self.format == lzma.FORMAT_RAW:
            return lzma.LZMADecompressor(self.format, filters=cast("Any", self.filters))
        # the data says how large its dictionary is
        return lzma.LZMADecompressor(self.format, memlimit=self._largest_memory)

    def largest_encoded_size(self, size: int) -> int:
        return size + (size >> 4) + 4096


class Lz4(NumcodecsBytes):
    """Compress with LZ4, its block format after the size of the content.

    Parameters
    ----------
    acceleration : int, default 1
        The larger, the faster, and the less compressed.

    Examples
    --------
    >>> Lz4().to_dict()
    {'name': 'numcodecs.lz4', 'configuration': {'acceleration': 1}}
    """

    name = "numcodecs.lz4"
    members = ("acceleration",)
    _header = struct.Struct("<I")
    _largest_ratio = 255
    """Bytes that one byte of a block can become, at most."""

    def __init__(self, acceleration: int = 1) -> None:
        self.acceleration = integer(
            self.name, "acceleration", acceleration, -_LARGEST_INT, _LARGEST_INT
        )

    def encode(self, data: Buffer) -> Buffer:
        encoded: bytes = lz4.compress(data, self.acceleration)
        return encoded

    def decode(self, data: Buffer, size: int | None, limit: int) -> Buffer:
        decoded = bytearray(self._decoded_size(data, size, limit))
        self.decode_into(data, memoryview(decoded))
        return memoryview(decoded).toreadonly()

    def decode_into(self, data: Buffer, out: memoryview) -> None:
        if not self._decoded_size(data, out.nbytes, out.nbytes):
            return
        try:
            lz4.decompress(data, out)
        except (RuntimeError, ValueError) as error:
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot be decoded: {error}"
            ) from error

    def _decoded_size(self, data: Buffer, size: int | None, limit: int) -> int:
        if len(data) < self._header.size + 1:
            raise CorruptDataError(f"{self.name} data has {len(data)} bytes, too few for a header")
        (decoded,) = self._header.unpack_from(data)
        if decoded > limit or (size is not None and decoded != size):
            raise decoded_size_differs(self.name, limit if size is None else size, decoded)
        if decoded > self._largest_ratio * len(data):
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot have {decoded} bytes of content"
            )
        return int(decoded)

    def largest_encoded_size(self, size: int) -> int:
        return size + size // 255 + 32


class Shuffle(NumcodecsBytes):
    """Put the first bytes of all elements first, then the second ones: they compress better.

    Parameters
    ----------
    elementsize : int, optional
        Bytes of an element; filled in from the array's data type.

    Examples
    --------
    >>> Shuffle(2).encode(b"aAbBcC").tobytes()
    b'abcABC'
    """

    name = "numcodecs.shuffle"
    members = ("elementsize",)

    def __init__(self, elementsize: int | None = None) -> None:
        if elementsize is not None:
            integer(self.name, "elementsize", elementsize, 0, _LARGEST_INT)
        self.elementsize = elementsize

    def fitted(self, spec: ChunkSpec) -> Shuffle:
        if self.elementsize is not None:
            return self
        return Shuffle(1 if spec.data_type.is_variable else spec.dtype.itemsize)

    def encode(self, data: Buffer) -> memoryview:
        if len(data) % (self.elementsize or 1):
            raise ValueError(
                f"{self.name} takes elements of {self.elementsize} bytes, and the chunk has "
                f"{len(data)} bytes"
            )
        return memoryview(shuffling.Shuffle(self.elementsize or 1).encode(data))

    def decode(self, data: Buffer, size: int | None, limit: int) -> Buffer:
        expected = limit if size is None else size
        if len(data) > limit or (size is not None and len(data) != size):
            raise decoded_size_differs(self.name, expected, len(data))
        if len(data) % (self.elementsize or 1):
            raise CorruptDataError(
                f"{self.name} data has {len(data)} bytes, no multiple of {self.elementsize}"
            )
        return memoryview(shuffling.Shuffle(self.elementsize or 1).decode(data))

    def encoded_size(self, size: int) -> int:
        return size

    def largest_encoded_size(self, size: int) -> int:
        return size


class NumcodecsGzip(Gzip):
    """Compress with gzip; `Gzip` does the same.

    Parameters
    ----------
    level : int, default 1
        From 0 (stored) to 9 (smallest); -1 is the library's default.
    """

    name = "numcodecs.gzip"

    def __init__(self, level: int = 1) -> None:
        self.level = integer(self.name, "level", level, -1, 9)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> NumcodecsGzip:
        return cls(**take(configuration, cls.name, "level"))


class NumcodecsZstd(Zstd):
    """Compress with Zstandard; `Zstd` does the same.

    Parameters
    ----------
    level : int, default 0
        Up to 22 (smallest); 0 is the library's default, and a larger number is 22.
    checksum : bool, default False
    """

    name = "numcodecs.zstd"

    def __init__(self, level: int = 0, checksum: bool = False) -> None:
        super().__init__(min(level, 22) if isinstance(level, int) else level, checksum)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> NumcodecsZstd:
        return cls(**take(configuration, cls.name, "level", "checksum"))

    def configuration(self) -> dict[str, Any]:
        # older versions of numcodecs do not know the member
        return {"level": self.level, **({"checksum": True} if self.checksum else {})}


class NumcodecsBlosc(Blosc):
    """Compress with Blosc; `Blosc` does the same.

    Parameters
    ----------
    cname : str, default "lz4"
    clevel : int, default 5
    shuffle : int, default 1
        0 none, 1 bytes, 2 bits; -1 bits for elements of one byte, else bytes.
    blocksize : int, default 0
    typesize : int, optional
        Filled in from the array's data type.

    Examples
    --------
    >>> NumcodecsBlosc(shuffle=-1).configuration()["shuffle"]
    -1
    """

    name = "numcodecs.blosc"
    _shuffles: ClassVar[dict[int, str | None]] = {
        blosc.AUTOSHUFFLE: None,
        blosc.NOSHUFFLE: "noshuffle",
        blosc.SHUFFLE: "shuffle",
        blosc.BITSHUFFLE: "bitshuffle",
    }

    def __init__(
        self,
        cname: str = "lz4",
        clevel: int = 5,
        shuffle: int = blosc.SHUFFLE,
        blocksize: int = 0,
        typesize: int | None = None,
    ) -> None:
        if not isinstance(shuffle, int) or shuffle not in self._shuffles:
            raise MetadataError(f"codecs: {self.name}.shuffle is from -1 to 2, not {shuffle!r}")
        self.number = int(shuffle)
        super().__init__(cname, clevel, self._shuffles[self.number], typesize, blocksize)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> NumcodecsBlosc:
        names = ("cname", "clevel", "shuffle", "blocksize", "typesize")
        return cls(**take(configuration, cls.name, *names))

    def configuration(self) -> dict[str, Any]:
        return {
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": self.number,
            "blocksize": self.blocksize,
        }

    def fitted(self, spec: ChunkSpec) -> Blosc:
        fitted = super().fitted(spec)
        named = NumcodecsBlosc(self.cname, self.clevel, self.number, self.blocksize)
        named.typesize, named.shuffle = fitted.typesize, fitted.shuffle
        return named
