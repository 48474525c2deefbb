"""Many small chunks of one size in one call of Blosc, which hands the interpreter over once.

A chunk of one block is a header, the place of its block, and the block: a stream for each byte
of an element where the compressor splits blocks, else one. Each stream stands for itself. So the
streams of many chunks are made, or read, as the blocks of one large buffer, which the library
takes for one chunk.

Follows https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numcodecs import blosc

from zarrstore.format.codecs.base import Pieces, split
from zarrstore.format.codecs.blosc_library import compress
from zarrstore.format.codecs.scratch import Scratch
from zarrstore.operations import Buffer

__all__ = ["StackFormat", "decode_stack"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_HEADER = np.dtype(
    [
        ("versions", "u1", 2),
        ("flags", "u1"),
        ("typesize", "u1"),
        ("size", "<u4"),
        ("block_size", "<u4"),
        ("encoded_size", "<u4"),
        ("block_at", "<i4"),
    ]
)
"""And where the first block is."""
_PREFIX = _HEADER.itemsize
_WITHOUT_BLOCK = 16
_SHUFFLED, _AS_IT_IS, _BITS_SHUFFLED, _NOT_SPLIT = 1, 2, 4, 16
_MOST_STREAMS = 16
"""Larger elements are not split."""
_LEAST_IN_A_STREAM = 128
_INT32 = np.dtype("<i4")
_ENCODED_TOGETHER = 2**20
"""Bytes that the processor has near."""
_UNSIGNED = {2: "<u2", 4: "<u4", 8: "<u8"}
_streams = Scratch()
_shifted = Scratch()
_joined = Scratch()


class StackFormat:
    """How chunks of one size are encoded together.

    Parameters
    ----------
    sample : bytes
        An encoded chunk of that size.
    cname : str
    clevel : int
    """

    def __init__(self, sample: bytes, cname: str, clevel: int) -> None:
        self._prefix = np.frombuffer(sample, _HEADER, 1)
        (header,) = self._prefix
        self.size = int(header["size"])
        flags, self._typesize = int(header["flags"]), int(header["typesize"])
        self._options = cname.encode(), clevel
        self._streams = _streams_of(header)
        self._stream = self.size // self._streams
        self._is_shuffled = bool(flags & _SHUFFLED) and self._typesize > 1
        # streams are blocks of larger elements, which are not split again
        sizes = range(_LEAST_IN_A_STREAM // 4, _MOST_STREAMS, -1)
        self._element = next((size for size in sizes if self._stream % size == 0), 0)
        self.fits = (
            header["block_size"] == self.size
            and header["block_at"] == _PREFIX
            and not flags & (_AS_IT_IS | _BITS_SHUFFLED | _NOT_SPLIT)
            and self._element > 0
        )
        """Whether they can be."""

    def encode(self, data: memoryview) -> Pieces | None:
        """Return the encoded chunks that lie one after the other; ``None`` if that fails.

        Each is two pieces.
        """
        together = max(1, _ENCODED_TOGETHER // self.size) * self.size
        pieces: list[Buffer] = []
        sizes: list[int] = []
        for first in range(0, len(data), together):
            some = self._encode(data[first : first + together])
            if some is None:
                return None
            pieces += some[0]
            sizes += some[1]
        return pieces, sizes

    def _encode(self, data: memoryview) -> Pieces | None:
        count, streams = len(data) // self.size, self._streams
        blocks = self._shuffled(data, count) if self._is_shuffled else data
        cname, clevel = self._options
        encoded = compress(
            blocks, cname, clevel, blosc.NOSHUFFLE, self._stream, typesize=self._element
        )
        (header,) = np.frombuffer(encoded, _HEADER, 1)
        if header["flags"] & _AS_IT_IS or header["block_size"] != self._stream:
            return None
        places = np.frombuffer(encoded, _INT32, len(data) // self._stream, _WITHOUT_BLOCK)
        ends = places + 4 + _int32_at(np.frombuffer(encoded, np.uint8), places)
        if (ends[:-1] != places[1:]).any():  # several threads made them
            return None
        return self._separated(data, encoded, places[::streams], ends[streams - 1 :: streams])

    def _shuffled(self, data: memoryview, count: int) -> NDArray:
        """Return the first bytes of all elements of a chunk, their second bytes, and so on."""
        streams = _streams.of(len(data)).reshape(count, self._typesize, self._stream)
        if self._typesize not in _UNSIGNED:
            elements = np.frombuffer(data, np.uint8).reshape(count, self._stream, -1)
            streams[...] = elements.transpose(0, 2, 1)
            return streams
        # to shift numbers is quicker than to pick bytes
        numbers = np.frombuffer(data, _UNSIGNED[self._typesize]).reshape(count, self._stream)
        streams[:, 0] = numbers
        shifted = _shifted.of(len(data)).view(numbers.dtype).reshape(numbers.shape)
        for number in range(1, self._typesize):
            numbers = np.right_shift(numbers, 8, out=shifted)
            streams[:, number] = numbers
        return streams

    def _separated(
        self, data: memoryview, encoded: bytes, starts: NDArray, ends: NDArray
    ) -> Pieces:
        """Return a header and a block for each chunk."""
        headers = np.repeat(self._prefix, len(starts))
        headers["encoded_size"] = ends - starts + _PREFIX
        # a chunk that does not get smaller is kept as it is
        larger = headers["encoded_size"] > self.size + blosc.MAX_OVERHEAD
        headers["flags"][larger] |= _AS_IT_IS
        headers["encoded_size"][larger] = self.size + _WITHOUT_BLOCK
        prefixes, blocks = memoryview(headers.tobytes()), memoryview(encoded)
        pieces: list[Buffer] = [b""] * (2 * len(starts))
        pieces[::2] = split(prefixes, len(starts))
        pieces[1::2] = map(blocks.__getitem__, map(slice, starts.tolist(), ends.tolist()))
        for number in np.flatnonzero(larger).tolist():
            pieces[2 * number] = pieces[2 * number][:_WITHOUT_BLOCK]
            pieces[2 * number + 1] = bytes(data[number * self.size : (number + 1) * self.size])
        return pieces, headers["encoded_size"].tolist()


def decode_stack(data: Sequence[Buffer], out: memoryview) -> bool:
    """Decode chunks of one size one after the other into a buffer; tell whether that worked.

    What is unusual does not, so that what is damaged is left to who tells why.
    """
    count = len(data)
    size = len(out) // count
    sizes: NDArray = np.fromiter(map(len, data), np.int64, count)
    prefix = _WITHOUT_BLOCK + 4 * count
    ends = np.cumsum(sizes) + prefix
    total = int(ends[-1])
    if sizes.min() < _PREFIX or total > blosc.MAX_BUFFERSIZE or len(out) > blosc.MAX_BUFFERSIZE:
        return False
    starts = ends - sizes
    flat = _joined.of(total)
    view = flat.data
    for chunk, start, end in zip(data, starts.tolist(), ends.tolist(), strict=True):
        view[start:end] = chunk
    headers = flat[starts[:, np.newaxis] + np.arange(_PREFIX)].view(_HEADER)[:, 0]
    plain = (headers["flags"] & _AS_IT_IS).astype(bool)
    encoded = np.flatnonzero(~plain)
    if len(encoded) == 0:
        return False
    one = int(encoded[0])
    kinds = headers.view(np.uint8).reshape(count, _PREFIX)[:, :4].copy()
    kinds[:, 2] &= ~np.uint8(_AS_IT_IS)
    if (
        (kinds != kinds[0]).any()
        or (headers["encoded_size"] != sizes).any()
        or (headers["size"] != size).any()
        or (headers["block_size"] != size).any()
        or (sizes[plain] != size + _WITHOUT_BLOCK).any()
    ):
        return False
    among = ~plain if plain.any() else slice(None)
    places = headers["block_at"][among] + starts[among]
    if not _are_sound(flat, places, starts[among] + _PREFIX, ends[among], headers[one]):
        return False
    blocks = flat[_WITHOUT_BLOCK:prefix].view(_INT32)
    blocks[...] = places[0]  # something, for those that are copied over it
    blocks[among] = places
    whole = headers[one : one + 1].copy()
    whole["size"], whole["encoded_size"] = len(out), total
    flat[:_WITHOUT_BLOCK] = whole.view(np.uint8)[:_WITHOUT_BLOCK]
    try:
        blosc.decompress(flat, out)
    except (RuntimeError, ValueError):
        return False
    for number in np.flatnonzero(plain).tolist():
        out[number * size : (number + 1) * size] = data[number][_WITHOUT_BLOCK:]
    return True


def _are_sound(flat: NDArray, places: NDArray, firsts: NDArray, ends: NDArray, header: Any) -> bool:
    """Tell whether the streams of each block lie within its chunk."""
    if (places < firsts).any():
        return False
    for _ in range(_streams_of(header)):
        if (places > ends - 4).any():
            return False
        lengths = _int32_at(flat, places)
        if lengths.min() < 0:
            return False
        places = places + 4 + lengths
    return not (places > ends).any()


def _streams_of(header: Any) -> int:
    """Return how many streams a block has."""
    typesize = int(header["typesize"])
    if header["flags"] & _NOT_SPLIT or not 1 <= typesize <= _MOST_STREAMS:
        return 1
    return typesize if header["block_size"] // typesize >= _LEAST_IN_A_STREAM else 1


def _int32_at(flat: NDArray, places: NDArray) -> NDArray:
    """Return the numbers of four bytes that begin at some places."""
    found: NDArray = flat[places[:, np.newaxis] + np.arange(4)].view(_INT32)[:, 0]
    return found
