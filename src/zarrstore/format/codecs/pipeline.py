"""A list of codecs as one pair of functions: a chunk to bytes, bytes to a chunk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import (
    ArrayArrayCodec,
    ArrayBytesCodec,
    BytesBytesCodec,
    ChunkSpec,
    Codec,
    Pieces,
    joined,
)
from zarrstore.format.codecs.bytes import Bytes, flat_bytes
from zarrstore.format.codecs.scratch import Scratch
from zarrstore.operations import Buffer

__all__ = ["CodecPipeline"]


_scratch = Scratch()
_encoded_scratch = Scratch()


class CodecPipeline:
    """The codecs of an array, compiled for chunks of one shape and data type.

    Parameters
    ----------
    codecs : iterable of Codec
        Any from elements to elements, one from elements to bytes, any from bytes to bytes.
    spec : ChunkSpec
        Of the chunks that are encoded.

    Raises
    ------
    MetadataError
        If the codecs are not in that order, or cannot encode such chunks.

    Notes
    -----
    Usable from many threads at once.
    """

    def __init__(self, codecs: Iterable[Codec], spec: ChunkSpec) -> None:
        self.spec = spec
        self.shape = spec.shape
        self.dtype = spec.dtype
        self.nbytes = spec.nbytes
        self._array_codecs: list[tuple[ArrayArrayCodec, ChunkSpec]] = []
        self._bytes_codecs: list[BytesBytesCodec] = []
        serializer: ArrayBytesCodec | None = None
        fitted: list[Codec] = []
        for given in codecs:
            codec = given.fitted(spec)
            fitted.append(codec)
            if isinstance(codec, BytesBytesCodec) and serializer is not None:
                self._bytes_codecs.append(codec)
            elif isinstance(codec, ArrayBytesCodec) and serializer is None:
                serializer = codec
            elif isinstance(codec, ArrayArrayCodec) and serializer is None:
                self._array_codecs.append((codec, spec))
                spec = codec.encoded_spec(spec)
            else:
                raise MetadataError(
                    f"codecs: {codec.name!r} cannot stand there: codecs from elements to "
                    "elements come first, then one from elements to bytes (such as 'bytes'), "
                    "then those from bytes to bytes"
                )
        if serializer is None:
            raise MetadataError("codecs: there is none from elements to bytes, such as 'bytes'")
        self.codecs = tuple(fitted)
        self.serializer = serializer
        self._stored_spec = spec
        self._stored_dtype: np.dtype[Any] | None = None
        """Of the stored elements where they are the chunk's own in C order; else ``None``."""
        if isinstance(serializer, Bytes):
            dtype = serializer.stored_dtype(spec.dtype)
            self._stored_dtype = None if self._array_codecs else dtype
        # a dtype is equal to None if it is float64
        self._native = self._stored_dtype is not None and self._stored_dtype == self.dtype
        self._sizes = self._decoded_sizes()
        self.is_raw = self._native and not self._bytes_codecs
        """Whether a stored chunk is the memory of the chunk itself."""
        self.decodes_many = self._stored_dtype is not None and any(
            codec.decodes_many for codec in self._bytes_codecs
        )
        """Whether `decode_many` is quicker than decoding one after the other."""
        self.encodes_many = any(codec.encodes_many for codec in self._bytes_codecs)
        """Whether `encode_many` is quicker than encoding one after the other."""

    def _decoded_sizes(self) -> list[tuple[BytesBytesCodec, int | None, int]]:
        """Return the codecs in decoding order, each with the size it must decode to, or a bound."""
        known = self.serializer.encoded_size(self._stored_spec)
        bound = self.serializer.largest_encoded_size(self._stored_spec)
        sizes: list[tuple[BytesBytesCodec, int | None, int]] = []
        for codec in self._bytes_codecs:
            sizes.append((codec, known, bound))
            known = None if known is None else codec.encoded_size(known)
            bound = codec.largest_encoded_size(bound)
        self.encoded_size = known
        """Bytes of an encoded chunk, where that does not vary; else ``None``."""
        self.largest_encoded_size = bound
        """Bytes that an encoded chunk has at most."""
        return sizes[::-1]

    def encode_many(self, chunks: Sequence[np.ndarray[Any, Any]]) -> list[Buffer]:
        """Return the bytes of chunks, each of the pipeline's shape and C-contiguous.

        Without compression they may be views of the chunks.
        """
        if self._native:
            data: list[Buffer] = [flat_bytes(chunk).data for chunk in chunks]
        else:
            data = [self._serialized(chunk) for chunk in chunks]
        for codec in self._bytes_codecs:
            data = codec.encode_many(data)
        return data

    def encode_stack(self, chunks: np.ndarray[Any, Any]) -> list[Buffer]:
        """Return the bytes of chunks that lie in a row in an array: see `encode_many`."""
        return joined(self.encode_pieces(chunks))

    def encode_pieces(self, chunks: np.ndarray[Any, Any]) -> Pieces:
        """Return the bytes of chunks that lie in a row in an array, to be joined."""
        count = len(chunks)
        if not self._native or not self._bytes_codecs or count == 0:
            data = self.encode_many([chunks[number, ...] for number in range(count)])
            return data, list(map(len, data))
        first, *others = self._bytes_codecs
        pieces = first.encode_stack(flat_bytes(chunks).data, count)
        if others:
            data = joined(pieces)
            for codec in others:
                data = codec.encode_many(data)
            return data, list(map(len, data))
        return pieces

    def _serialized(self, chunk: np.ndarray[Any, Any]) -> Buffer:
        for codec, spec in self._array_codecs:
            chunk = codec.encode(chunk, spec)
        return self.serializer.encode(chunk, self._stored_spec)

    def encode(self, chunk: np.ndarray[Any, Any]) -> Buffer:
        """Return the bytes of one chunk: see `encode_many`."""
        data = flat_bytes(chunk).data if self._native else self._serialized(chunk)
        for codec in self._bytes_codecs:
            data = codec.encode(data)
        return data

    def decode_into(self, data: Buffer, out: np.ndarray[Any, Any]) -> None:
        """Decode the bytes of a chunk into an array of the chunk's shape, C-contiguous.

        Raises
        ------
        CorruptDataError
        """
        if self._stored_dtype is None:
            out[...] = self.decode(data)
            return
        target = flat_bytes(out).data
        for codec, size, limit in self._sizes[:-1]:
            data = codec.decode(data, size, limit)
        if self._sizes:
            self._sizes[-1][0].decode_into(data, target)
        elif len(data) == target.nbytes:
            target[:] = data
        else:
            raise self._wrong_size(data)
        if not self._native:
            out.byteswap(inplace=True)

    def _wrong_size(self, data: Buffer) -> CorruptDataError:
        return CorruptDataError(f"the chunk has {len(data)} bytes where {self.nbytes} are expected")

    def decode(self, data: Buffer) -> np.ndarray[Any, Any]:
        """Return the chunk of some bytes, read-only if it is a view of them.

        Raises
        ------
        CorruptDataError
        """
        for codec, size, limit in self._sizes:
            data = codec.decode(data, size, limit)
        return self._deserialized(data)

    def decode_many(self, data: Sequence[Buffer]) -> list[np.ndarray[Any, Any]]:
        """Return the chunks of some bytes: see `decode`."""
        for codec, size, limit in self._sizes:
            data = codec.decode_many(data, size, limit)
        return [self._deserialized(chunk) for chunk in data]

    def decode_stack(self, data: Sequence[Buffer], out: np.ndarray[Any, Any]) -> None:
        """Decode the bytes of chunks into an array, one after the other; it is C-contiguous.

        Raises
        ------
        CorruptDataError
        """
        if self._stored_dtype is None or not self._sizes or not data:
            for number, chunk in enumerate(data):
                self.decode_into(chunk, out[number, ...])
            return
        for codec, size, limit in self._sizes[:-1]:
            data = codec.decode_many(data, size, limit)
        self._sizes[-1][0].decode_stack(data, flat_bytes(out).data)
        if not self._native:
            out.byteswap(inplace=True)

    def _deserialized(self, data: Buffer) -> np.ndarray[Any, Any]:
        if self._stored_dtype is not None:
            if len(data) != self.nbytes:
                raise self._wrong_size(data)
            return np.frombuffer(data, self._stored_dtype).reshape(self.shape)
        chunk = self.serializer.decode(data, self._stored_spec)
        for codec, spec in reversed(self._array_codecs):
            chunk = codec.decode(chunk, spec)
        return chunk

    def encoded_rooms(self, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return room for encoded chunks, a row of bytes for each.

        The next call in this thread may give the same room again.
        """
        size = self.largest_encoded_size
        return _encoded_scratch.of(count * size).reshape(count, size)

    def room(self, count: int, *, lasting: bool) -> np.ndarray[Any, Any]:
        """Return room for chunks, as an array with one more dimension than they have.

        Parameters
        ----------
        count : int
        lasting : bool
            If false, the next call in this thread may give the same room again.
        """
        shape = (count, *self.shape)
        if lasting or self.spec.data_type.is_variable:
            return np.empty(shape, self.dtype)
        return _scratch.of(count * self.nbytes).view(self.dtype).reshape(shape)
