"""A list of codecs as one pair of functions: a chunk to bytes, bytes to a chunk."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import BytesCodec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.operations import Buffer

__all__ = ["CodecPipeline", "codec_from_dict", "codec_of"]

_MODULES = {
    "blosc": "Blosc",
    "bytes": "Bytes",
    "crc32c": "Crc32c",
    "gzip": "Gzip",
    "zstd": "Zstd",
}


def codec_from_dict(name: str, configuration: Mapping[str, Any]) -> Codec:
    """Return the codec of a metadata document; its module is imported now, if it was not.

    Raises
    ------
    MetadataError
        If there is no codec of that name, or its configuration is not valid.
    """
    if name not in _MODULES:
        raise MetadataError(f"codecs: unknown codec {name!r}; known are {', '.join(_MODULES)}")
    module = importlib.import_module(f"zarrstore.format.codecs.{name}")
    codec_class: type[Codec] = getattr(module, _MODULES[name])
    return codec_class.from_configuration(configuration)


def codec_of(given: Any) -> Codec:
    """Return a codec from one of ours, a name, a document, or a codec of zarr-python.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> codec_of({"name": "gzip", "configuration": {"level": 1}})
    Gzip(level=1)
    """
    if isinstance(given, Codec):
        return given
    if isinstance(given, str):
        return codec_from_dict(given, {}) if given != "bytes" else Bytes()
    if not isinstance(given, Mapping) and hasattr(given, "to_dict"):
        given = given.to_dict()
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return codec_from_dict(given["name"], given.get("configuration") or {})
    raise TypeError(
        f"a codec is a Codec, a name, or {{'name': ..., 'configuration': {{...}}}}, not {given!r}"
    )


class _Scratch(threading.local):
    """A buffer of this thread for chunks that are copied on at once."""

    def __init__(self) -> None:
        self.bytes = np.empty(0, np.uint8)

    def of(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        if self.bytes.nbytes < size:
            self.bytes = np.empty(size, np.uint8)
        return self.bytes[:size]


_LARGEST_SCRATCH = 2**26
_scratch = _Scratch()


class CodecPipeline:
    """The codecs of an array, compiled for chunks of one shape and data type.

    Parameters
    ----------
    codecs : iterable of Codec
        One from elements to bytes (``bytes``), then any from bytes to bytes.
    shape : tuple of int
        Of a chunk.
    dtype : numpy.dtype
        In native byte order.

    Raises
    ------
    MetadataError
        If the codecs are not in that order.

    Notes
    -----
    Usable from many threads at once.
    """

    def __init__(
        self, codecs: Iterable[Codec], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.codecs = tuple(codecs)
        if not self.codecs or not isinstance(self.codecs[0], Bytes):
            raise MetadataError("codecs: the first codec must be 'bytes' (elements to bytes)")
        for codec in self.codecs[1:]:
            if not isinstance(codec, BytesCodec):
                raise MetadataError(
                    f"codecs: {codec.name!r} cannot follow 'bytes': it does not take bytes"
                )
        self.shape = shape
        self.dtype = dtype
        self.stored_dtype = self.codecs[0].stored_dtype(dtype)
        self.nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        self._native = self.stored_dtype == dtype
        self._bytes_codecs = cast("tuple[BytesCodec, ...]", self.codecs[1:])
        self._sizes = self._decoded_sizes()

    @property
    def is_raw(self) -> bool:
        """Whether a stored chunk is the memory of the chunk itself."""
        return self._native and not self._bytes_codecs

    def _decoded_sizes(self) -> list[tuple[BytesCodec, int | None, int]]:
        """Return the codecs in decoding order, each with the size it must decode to, or a bound."""
        known: int | None = self.nbytes
        bound = self.nbytes
        sizes: list[tuple[BytesCodec, int | None, int]] = []
        for codec in self._bytes_codecs:
            sizes.append((codec, known, bound))
            known = None if known is None else codec.encoded_size(known)
            bound = codec.largest_encoded_size(bound)
        return sizes[::-1]

    def encode_many(self, chunks: Sequence[np.ndarray[Any, Any]]) -> list[Buffer]:
        """Return the bytes of chunks, each of the pipeline's shape and C-contiguous.

        Without compression they are views of the chunks.
        """
        if not self._native:
            chunks = [chunk.astype(self.stored_dtype) for chunk in chunks]
        data: list[Buffer] = [flat_bytes(chunk).data for chunk in chunks]
        for codec in self._bytes_codecs:
            data = codec.encode_many(data)
        return data

    def encode(self, chunk: np.ndarray[Any, Any]) -> Buffer:
        """Return the bytes of one chunk: see `encode_many`."""
        return self.encode_many([chunk])[0]

    def decode_into(self, data: Buffer, out: np.ndarray[Any, Any]) -> None:
        """Decode the bytes of a chunk into an array of the chunk's shape, C-contiguous.

        Raises
        ------
        CorruptDataError
        """
        target = flat_bytes(out).data
        for codec, size, limit in self._sizes[:-1]:
            data = codec.decode(data, size, limit)
        if self._sizes:
            self._sizes[-1][0].decode_into(data, target)
        elif len(data) == target.nbytes:
            target[:] = data
        else:
            raise CorruptDataError(
                f"the chunk has {len(data)} bytes where {self.nbytes} are expected"
            )
        if not self._native:
            out.byteswap(inplace=True)

    def decode(self, data: Buffer) -> np.ndarray[Any, Any]:
        """Return the chunk of some bytes, read-only if it is a view of them.

        Raises
        ------
        CorruptDataError
        """
        return self.decode_many([data])[0]

    @property
    def decodes_many(self) -> bool:
        """Whether `decode_many` is quicker than decoding one after the other."""
        return any(codec.decodes_many for codec in self._bytes_codecs)

    def decode_many(self, data: Sequence[Buffer]) -> list[np.ndarray[Any, Any]]:
        """Return the chunks of some bytes: see `decode`."""
        for codec, size, limit in self._sizes:
            data = codec.decode_many(data, size, limit)
        for chunk in data:
            if len(chunk) != self.nbytes:
                raise CorruptDataError(
                    f"the chunk has {len(chunk)} bytes where {self.nbytes} are expected"
                )
        return [np.frombuffer(chunk, self.stored_dtype).reshape(self.shape) for chunk in data]

    def room(self, count: int, *, lasting: bool) -> np.ndarray[Any, Any]:
        """Return room for chunks, as an array with one more dimension than they have.

        Parameters
        ----------
        count : int
        lasting : bool
            If false, the next call in this thread may give the same room again.
        """
        shape = (count, *self.shape)
        if lasting or count * self.nbytes > _LARGEST_SCRATCH:
            return np.empty(shape, self.dtype)
        return _scratch.of(count * self.nbytes).view(self.dtype).reshape(shape)


def flat_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the memory of a C-contiguous array as a flat array of bytes."""
    return array.reshape(-1).view(np.uint8)
