"""What makes bytes of objects in Zarr v2, and what numcodecs has from other packages.

Their formats are numcodecs': https://numcodecs.readthedocs.io/en/stable/other/index.html.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import pickle
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numcodecs import vlen

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import (
    LARGEST_VARIABLE_CHUNK,
    ArrayBytesCodec,
    BytesBytesCodec,
    ChunkSpec,
    decoded_size_differs,
)
from zarrstore.format.codecs.bytes import flat_bytes
from zarrstore.format.codecs.numcodecs_arrays import Filter, dtype_of, numcodec
from zarrstore.format.codecs.vlen import elements_of
from zarrstore.operations import Buffer

__all__ = ["Categorize", "Json2", "MsgPack2", "OtherBytes", "OtherElements", "Pickle", "VlenArray"]

Array = np.ndarray[Any, Any]


class _ObjectCodec(ArrayBytesCodec):
    """A codec of numcodecs from objects to bytes."""

    def __init__(self, **configuration: Any) -> None:
        self._configuration = dict(configuration)
        self._codec = numcodec(self.name, configuration)

        self._source: np.dtype[Any] | None = None

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        return cls(**configuration)

    def configuration(self) -> dict[str, Any]:
        return dict(self._configuration)

    def reading(self, source: np.dtype[Any]) -> Self:
        """Return this codec for chunks in a dtype, which may have another byte order."""
        changed = copy.copy(self)
        changed._source = source
        return changed

    def encode(self, chunk: Array, spec: ChunkSpec) -> Buffer:
        elements = np.ascontiguousarray(chunk, self._source or spec.dtype)
        encoded = memoryview(self._codec.encode(np.atleast_1d(elements))).cast("B")
        if len(encoded) > LARGEST_VARIABLE_CHUNK:
            raise ValueError(
                f"a chunk has {LARGEST_VARIABLE_CHUNK} bytes at most, and this one "
                f"{len(encoded)}; use smaller chunks"
            )
        return encoded

    def decode(self, data: Buffer, spec: ChunkSpec) -> Array:
        try:
            elements = self._elements(data, spec)
            if len(elements) != spec.size:
                raise CorruptDataError(
                    f"{self.name} data has {len(elements)} elements where {spec.size} are expected"
                )
            chunk = np.empty(spec.size, object)
            for index, element in enumerate(elements):
                chunk[index] = element  # one by one: lists among them are no dimensions
            return chunk.astype(spec.dtype, copy=False).reshape(spec.shape)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot be decoded: {error}"
            ) from error

    @abstractmethod
    def _elements(self, data: Buffer, spec: ChunkSpec) -> Any:
        """Return the elements in C order."""

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None


def _flattened(items: Any) -> list[Any]:
    """Return the elements of nested lists that are followed by a dtype and a shape."""
    if not isinstance(items, list) or len(items) < 2 or not isinstance(items[-1], list):
        raise ValueError("it is not a list that ends with a dtype and a shape")
    elements, shape = items[:-2], items[-1]
    for _ in shape[1:]:
        if not all(isinstance(row, list) for row in elements):
            raise ValueError(f"it has not the shape {shape} that it claims")
        elements = [element for row in elements for element in row]
    if math.prod(shape) != len(elements):
        raise ValueError(f"it has {len(elements)} elements and claims the shape {shape}")
    return elements


class Json2(_ObjectCodec):
    """Objects as JSON.

    Examples
    --------
    >>> Json2().to_dict()
    {'name': 'json2'}
    """

    name = "json2"

    def _elements(self, data: Buffer, spec: ChunkSpec) -> list[Any]:  # noqa: ARG002
        text = str(data, self._configuration.get("encoding", "utf-8"))
        return _flattened(json.loads(text, strict=self._configuration.get("strict", True)))


class MsgPack2(_ObjectCodec):
    """Objects as MessagePack; the package msgpack must be installed."""

    name = "msgpack2"

    def _elements(self, data: Buffer, spec: ChunkSpec) -> list[Any]:  # noqa: ARG002
        msgpack = importlib.import_module("msgpack")
        raw = self._configuration.get("raw", False)
        return _flattened(msgpack.unpackb(data, raw=raw, strict_map_key=False))


class VlenArray(_ObjectCodec):
    """Arrays of one dimension and any length, each after its size.

    Parameters
    ----------
    dtype : str
        Of the arrays.

    Examples
    --------
    >>> VlenArray(dtype="<i4").configuration()
    {'dtype': '<i4'}
    """

    name = "vlen-array"

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype_of(self.name, "dtype", dtype)
        super().__init__(dtype=self._dtype.str)

    def _elements(self, data: Buffer, spec: ChunkSpec) -> Array:
        return elements_of(data, self.name, vlen.VLenArray(self._dtype), spec.size)


class Pickle(_ObjectCodec):
    """Objects as Python pickles them. Reading runs whatever the data says.

    Parameters
    ----------
    protocol : int, optional
    """

    name = "pickle"

    def _elements(self, data: Buffer, spec: ChunkSpec) -> Any:  # noqa: ARG002
        try:
            found = pickle.loads(data)  # noqa: S301
        except Exception as error:
            raise CorruptDataError(
                f"pickle data of {len(data)} bytes cannot be decoded: {error}"
            ) from error
        return np.asarray(found).reshape(-1, order="A")


class Categorize(Filter):
    """Some strings as the numbers of their labels.

    Parameters
    ----------
    labels : list of str
    dtype : str
        Of the strings: objects, or of a fixed length.
    astype : str, default "u1"
        Of the numbers.

    Examples
    --------
    >>> Categorize(labels=["a", "b"], dtype="|O").name
    'categorize'
    """

    name = "categorize"
    members = ("labels", "dtype", "astype")

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**given, "astype": dtype_of(self.name, "astype", given.get("astype", "|u1")).str}

    def fitted(self, spec: ChunkSpec) -> Self:
        holds = self.decoded_dtype(spec.dtype)
        if spec.data_type.is_variable != holds.hasobject or spec.dtype.kind not in "UTO":
            raise MetadataError(
                f"codecs: categorize is for strings of dtype {holds}, and the elements are "
                f"{spec.data_type.name}"
            )
        return self

    def encode(self, chunk: Array, spec: ChunkSpec) -> Array:
        if not spec.data_type.is_variable:
            return super().encode(chunk, spec)
        elements = np.ascontiguousarray(chunk).reshape(-1).astype(object)
        return np.asarray(self._codec.encode(elements)).reshape(spec.shape)

    def decode(self, chunk: Array, spec: ChunkSpec) -> Array:
        if not spec.data_type.is_variable:
            return super().decode(chunk, spec)
        stored = chunk.reshape(-1).astype(self.encoded_dtype(spec.dtype), copy=False)
        elements = np.asarray(self._codec.decode(stored))
        return elements.astype(spec.dtype, copy=False).reshape(spec.shape)

    def _encoded_shape(self, spec: ChunkSpec) -> tuple[int, ...]:
        return spec.shape


def _buffer(given: Any) -> Buffer:
    """Return the memory of bytes, or of an array, as bytes."""
    if isinstance(given, np.ndarray):
        return flat_bytes(given.reshape(-1, order="A")).data
    return memoryview(given).cast("B")


class _Other:
    """A codec that another package has registered with numcodecs. It is trusted."""

    def __init__(self, id: str, configuration: Mapping[str, Any]) -> None:
        self.name = id
        self._configuration = dict(configuration)
        self._codec = numcodec(id, configuration)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        given = dict(configuration)
        return cls(given.pop("id"), given)

    def configuration(self) -> dict[str, Any]:
        return dict(self._configuration)

    def _decoded(self, data: Buffer) -> Any:
        try:
            return self._codec.decode(data)
        except Exception as error:
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot be decoded: {error}"
            ) from error


class OtherElements(_Other, ArrayBytesCodec):
    """A codec of another package that is given the elements."""

    _source: np.dtype[Any]

    def reading(self, source: np.dtype[Any]) -> Self:
        """Return this codec for chunks in a dtype, which may have another byte order."""
        changed = copy.copy(self)
        changed._source = source
        return changed

    def encode(self, chunk: Array, spec: ChunkSpec) -> Buffer:  # noqa: ARG002
        encoded = self._codec.encode(np.ascontiguousarray(chunk, self._source))
        return _buffer(encoded)

    def decode(self, data: Buffer, spec: ChunkSpec) -> Array:
        decoded = self._decoded(data)
        try:
            if not isinstance(decoded, np.ndarray):
                decoded = np.frombuffer(decoded, np.uint8)
            elements = np.ascontiguousarray(decoded.reshape(-1, order="A"))
            return elements.view(self._source).reshape(spec.shape)
        except (ValueError, TypeError) as error:
            raise CorruptDataError(
                f"{self.name} data does not decode to {spec.size} elements of {self._source}"
            ) from error

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None


class OtherBytes(_Other, BytesBytesCodec):
    """A codec of another package that is given bytes."""

    def encode(self, data: Buffer) -> Buffer:
        return _buffer(self._codec.encode(data))

    def decode(self, data: Buffer, size: int | None, limit: int) -> Buffer:
        decoded = _buffer(self._decoded(data))
        if len(decoded) > limit or (size is not None and len(decoded) != size):
            raise decoded_size_differs(self.name, limit if size is None else size, len(decoded))
        return decoded

    def largest_encoded_size(self, size: int) -> int:
        return 4 * size + 2**16
