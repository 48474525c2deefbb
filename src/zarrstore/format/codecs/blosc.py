"""The ``blosc`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/blosc/index.html and, for the
16-byte header, https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from numcodecs import blosc

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import (
    BytesBytesCodec,
    ChunkSpec,
    Pieces,
    decoded_size_differs,
    joined,
    split,
    take,
)
from zarrstore.format.codecs.blosc_library import compress
from zarrstore.format.codecs.blosc_stacks import StackFormat, decode_stack
from zarrstore.operations import Buffer

__all__ = ["Blosc"]

# chunks are spread over threads here: the library's own would only get in the way of these
blosc.use_threads = False

_COMPRESSORS = ("lz4", "lz4hc", "blosclz", "snappy", "zlib", "zstd")
_SHUFFLES = {
    "noshuffle": blosc.NOSHUFFLE,
    "shuffle": blosc.SHUFFLE,
    "bitshuffle": blosc.BITSHUFFLE,
}
_LARGEST_TYPESIZE = 255
_LARGEST_RATIO = 2**17
"""Bytes that one byte can become, at most: Zstandard's largest block has three bytes."""
_WORTH_DECODING_IN_PLACE = 2**20
"""Bytes below which it takes the library longer to decode into a buffer than to a new one."""
_LEAST_TO_STACK, _MOST_TO_STACK = 2**10, 2**17
"""Bytes of chunks of which many in one call are quicker than a call for each."""
_HEADER = struct.Struct("<BBBBIII")


class Blosc(BytesBytesCodec):
    """Compress with Blosc.

    Parameters
    ----------
    cname : {"zstd", "lz4", "lz4hc", "blosclz", "zlib", "snappy"}, default "zstd"
    clevel : int, default 5
        From 0 (no compression) to 9 (smallest).
    shuffle : {"noshuffle", "shuffle", "bitshuffle", None}, default "shuffle"
        What is put first: the first bytes of all elements, their first bits, or nothing;
        ``None`` is bits for elements of one byte, else bytes.
    typesize : int, optional
        Bytes of an element, for shuffling; filled in from the array's data type.
    blocksize : int, default 0
        Bytes of a block; 0 leaves it to the library.

    Examples
    --------
    >>> Blosc("lz4", clevel=1).configuration()["shuffle"]
    'shuffle'
    """

    name = "blosc"

    def __init__(
        self,
        cname: str = "zstd",
        clevel: int = 5,
        shuffle: str | None = "shuffle",
        typesize: int | None = None,
        blocksize: int = 0,
    ) -> None:
        if cname not in _COMPRESSORS:
            raise MetadataError(f"codecs: blosc.cname is one of {_COMPRESSORS}, not {cname!r}")
        if shuffle is not None and (not isinstance(shuffle, str) or shuffle not in _SHUFFLES):
            raise MetadataError(
                f"codecs: blosc.shuffle is one of {tuple(_SHUFFLES)}, not {shuffle!r}"
            )
        for field, value, least, most in (
            ("clevel", clevel, 0, 9),
            ("typesize", 1 if typesize is None else typesize, 1, 2**31 - 1),
            ("blocksize", blocksize, 0, 2**31 - 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise MetadataError(
                    f"codecs: blosc.{field} is from {least} to {most}, not {value!r}"
                )
        self.cname = cname
        self.clevel = clevel
        self.shuffle = shuffle
        self.typesize = typesize
        self.blocksize = blocksize
        self._stack_formats: dict[int, StackFormat] = {}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Blosc:
        names = ("cname", "clevel", "shuffle", "typesize", "blocksize")
        return cls(**take(configuration, cls.name, *names))

    def configuration(self) -> dict[str, Any]:
        given: dict[str, Any] = {
            "typesize": self.typesize or 1,
            "cname": self.cname,
            "clevel": self.clevel,
            "shuffle": self.shuffle or "shuffle",
            "blocksize": self.blocksize,
        }
        return given

    def fitted(self, spec: ChunkSpec) -> Blosc:
        if self.typesize is not None and self.shuffle is not None:
            return self
        itemsize = 1 if spec.data_type.is_variable else max(1, spec.dtype.itemsize)
        typesize = self.typesize or itemsize
        shuffle = self.shuffle or ("bitshuffle" if typesize == 1 else "shuffle")
        return Blosc(self.cname, self.clevel, shuffle, typesize, self.blocksize)

    def encode(self, data: Buffer) -> bytes:
        if len(data) > blosc.MAX_BUFFERSIZE:
            raise ValueError(
                f"blosc takes {blosc.MAX_BUFFERSIZE} bytes at most, and the chunk has "
                f"{len(data)}; use smaller chunks or another compressor"
            )
        return compress(
            data,
            self.cname.encode(),
            self.clevel,
            _SHUFFLES[self.shuffle or "shuffle"],
            self.blocksize,
            typesize=min(self.typesize or 1, _LARGEST_TYPESIZE),
        )

    encodes_many = True

    def encode_many(self, data: Sequence[Buffer]) -> list[Buffer]:
        if len(data) > 1 and self._stacks(len(data[0])) and len(set(map(len, data))) == 1:
            return joined(self.encode_stack(memoryview(b"".join(data)), len(data)))
        return super().encode_many(data)

    def encode_stack(self, data: memoryview, count: int) -> Pieces:
        size = len(data) // count
        encoded = None
        if count > 1 and self._stacks(size):
            encoded = self._stack_format(size).encode(data)
        if encoded is None:
            chunks: list[Buffer] = [self.encode(chunk) for chunk in split(data, count)]
            encoded = chunks, list(map(len, chunks))
        return encoded

    def _stacks(self, size: int) -> bool:
        """Tell whether chunks of a size are encoded together."""
        return (
            _LEAST_TO_STACK <= size <= _MOST_TO_STACK
            and self.blocksize == 0
            and self.cname != "blosclz"  # streams depend on the chunk that they are of
            and self.clevel > 0
            and self._stack_format(size).fits
        )

    def _stack_format(self, size: int) -> StackFormat:
        found = self._stack_formats.get(size)
        if found is None:
            sample = self.encode(bytes(size))
            found = self._stack_formats[size] = StackFormat(sample, self.cname, self.clevel)
        return found

    def decode(self, data: Buffer, size: int | None, limit: int) -> Buffer:
        self._check_sizes(data, size, limit)
        return self._decompress(data)

    decodes_many = True

    def decode_many(self, data: Sequence[Buffer], size: int | None, limit: int) -> list[Buffer]:
        if len(data) < 2 or not size or size > _MOST_TO_STACK:
            return super().decode_many(data, size, limit)
        room = memoryview(bytearray(len(data) * size))
        self.decode_stack(data, room)
        return split(room, len(data))

    def decode_stack(self, data: Sequence[Buffer], out: memoryview) -> None:
        if len(data) < 2 or not decode_stack(data, out):
            size = len(out) // len(data)
            for number, chunk in enumerate(data):
                self.decode_into(chunk, out[number * size : (number + 1) * size])

    def decode_into(self, data: Buffer, out: memoryview) -> None:
        self._check_sizes(data, out.nbytes, out.nbytes)
        if out.nbytes < _WORTH_DECODING_IN_PLACE:
            out[:] = self._decompress(data)
        else:
            self._decompress(data, out)

    def _check_sizes(self, data: Buffer, size: int | None, limit: int) -> None:
        """Raise unless the sizes that the header claims are sound.

        The library believes its header: one that lies makes it write past the end.
        """
        if len(data) < _HEADER.size:
            raise CorruptDataError(f"blosc data has {len(data)} bytes, too few for a header")
        *_, decoded_size, _, encoded_size = _HEADER.unpack_from(data)
        if encoded_size != len(data):
            raise CorruptDataError(
                f"blosc data claims to have {encoded_size} bytes, and has {len(data)}: truncated?"
            )
        if decoded_size > limit or (size is not None and decoded_size != size):
            raise decoded_size_differs(self.name, limit if size is None else size, decoded_size)
        if size is None and decoded_size > _LARGEST_RATIO * encoded_size:
            raise CorruptDataError(
                f"blosc data of {encoded_size} bytes cannot have {decoded_size} bytes of content"
            )

    def _decompress(self, data: Buffer, out: memoryview | None = None) -> bytes:
        try:
            decoded: bytes = blosc.decompress(data, out)
            return decoded
        except (RuntimeError, ValueError) as error:
            if not _HEADER.unpack_from(data)[4]:
                return b""  # which the library takes for a failure
            raise CorruptDataError(
                f"blosc data of {len(data)} bytes cannot be decoded: {error}"
            ) from error

    def largest_encoded_size(self, size: int) -> int:
        overhead: int = blosc.MAX_OVERHEAD
        return size + overhead
