"""The ``vlen-utf8`` and ``vlen-bytes`` codecs: elements of no fixed size, each after its length.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/vlen-utf8 and
https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/vlen-bytes: the number of
elements, then for each its length in bytes and its bytes; numbers are 32-bit, little endian.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numcodecs import vlen

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import LARGEST_VARIABLE_CHUNK, ArrayBytesCodec, ChunkSpec, take
from zarrstore.operations import Buffer

__all__ = ["VlenBytes", "VlenUtf8", "elements_of"]

_NUMBER = 4


class _Vlen(ArrayBytesCodec):
    """What both codecs share; the loop over elements is numcodecs'."""

    _vlen: ClassVar[Any]

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        take(configuration, cls.name)
        return cls()

    def configuration(self) -> dict[str, Any]:
        return {}

    def fitted(self, spec: ChunkSpec) -> Self:
        if spec.data_type.serializer != self.name:
            raise MetadataError(
                f"codecs: {self.name} cannot encode {spec.data_type.name}; use "
                f"{spec.data_type.serializer!r}"
            )
        return self

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> bytes:  # noqa: ARG002
        elements = np.ascontiguousarray(chunk).reshape(-1).astype(object, copy=False)
        elements = np.require(elements, requirements="W")  # numcodecs takes no read-only array
        encoded: bytes = self._vlen.encode(self._checked(elements))
        if len(encoded) > LARGEST_VARIABLE_CHUNK:
            raise ValueError(
                f"a chunk has {LARGEST_VARIABLE_CHUNK} bytes at most, and this one "
                f"{len(encoded)}; use smaller chunks"
            )
        return encoded

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        elements = elements_of(data, self.name, self._vlen, spec.size)
        content = len(data) - _NUMBER * (1 + spec.size)
        if self._size(elements) != content:
            raise CorruptDataError(
                f"{self.name} data has {content} bytes in elements, which are "
                f"{self._size(elements)} bytes long"
            )
        return elements.astype(spec.dtype, copy=False).reshape(spec.shape)

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None

    @abstractmethod
    def _checked(self, elements: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return elements that are all of the type that is encoded."""

    @abstractmethod
    def _size(self, elements: np.ndarray[Any, Any]) -> int:
        """Return the size of all elements, in bytes."""


class VlenUtf8(_Vlen):
    """Store strings as UTF-8, each after its length.

    Examples
    --------
    >>> VlenUtf8().to_dict()
    {'name': 'vlen-utf8'}
    """

    name = "vlen-utf8"
    _vlen = vlen.VLenUTF8()

    def _checked(self, elements: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if set(map(type, elements)) != {str}:
            _check_each(elements, str, "a string array holds str")
        return elements

    def _size(self, elements: np.ndarray[Any, Any]) -> int:
        size = sum(map(len, elements))
        return size if all(map(str.isascii, elements)) else sum(len(e.encode()) for e in elements)


class VlenBytes(_Vlen):
    """Store byte strings, each after its length.

    Examples
    --------
    >>> VlenBytes().to_dict()
    {'name': 'vlen-bytes'}
    """

    name = "vlen-bytes"
    _vlen = vlen.VLenBytes()

    def _checked(self, elements: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if set(map(type, elements)) == {bytes}:
            return elements
        _check_each(elements, bytes | bytearray | memoryview, "an array of bytes holds bytes")
        plain = np.empty_like(elements)
        plain[:] = [bytes(element) for element in elements]
        return plain

    def _size(self, elements: np.ndarray[Any, Any]) -> int:
        return sum(map(len, elements))


def _check_each(elements: Iterable[Any], wanted: Any, rule: str) -> None:
    for element in elements:
        if not isinstance(element, wanted):
            raise TypeError(
                f"{rule}, not {element!r} ({type(element).__name__}); there is no missing value"
            )


def elements_of(data: Buffer, codec: str, decoder: Any, size: int) -> np.ndarray[Any, Any]:
    """Return the elements of vlen data, a flat array of objects.

    Parameters
    ----------
    data : bytes-like
    codec : str
        Its name, for messages.
    decoder : numcodecs.abc.Codec
        Of the vlen family; it checks every length against what is left of the data.
    size : int
        The number of elements there must be.

    Raises
    ------
    CorruptDataError
    """
    if len(data) < _NUMBER * (1 + size):
        raise CorruptDataError(
            f"{codec} data has {len(data)} bytes, too few for {size} elements: truncated?"
        )
    found = int.from_bytes(data[:_NUMBER], "little")
    if found != size:
        raise CorruptDataError(f"{codec} data has {found} elements where {size} are expected")
    try:
        elements: np.ndarray[Any, Any] = decoder.decode(data)
    except (ValueError, TypeError) as error:
        raise CorruptDataError(
            f"{codec} data of {len(data)} bytes cannot be decoded: {error}"
        ) from error
    return elements
