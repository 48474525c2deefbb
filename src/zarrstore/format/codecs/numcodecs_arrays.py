"""Codecs of numcodecs that take arrays, as ``numcodecs.delta`` and the like.

Names and configurations are those of https://numcodecs.readthedocs.io, and of
https://github.com/zarr-developers/zarr-extensions/tree/main/codecs. numcodecs does the work; here
it is given what it expects, and kept from believing what damaged data says of its own size.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self

import numcodecs
import numpy as np
from numcodecs.errors import UnknownCodecError

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ArrayBytesCodec, ChunkSpec, Codec, take
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.operations import Buffer

__all__ = [
    "AsType",
    "BitRound",
    "Delta",
    "Filter",
    "FixedScaleOffset",
    "PCodec",
    "PackBits",
    "Quantize",
    "Zfpy",
    "dtype_of",
    "in_dtype",
    "numcodec",
]

Array = np.ndarray[Any, Any]

_PACKAGES = {"msgpack2": "msgpack", "pcodec": "pcodec", "zfpy": "zfpy"}
"""What numcodecs needs for some codecs, by their names."""


def numcodec(name: str, configuration: Mapping[str, Any]) -> Any:
    """Return a codec of numcodecs.

    Raises
    ------
    MetadataError
        If there is none of the name, or it does not take the configuration.
    """
    try:
        return numcodecs.get_codec({**configuration, "id": name})
    except UnknownCodecError:
        needed = _PACKAGES.get(name)
        advice = f"; install the package {needed}" if needed else ""
        raise MetadataError(f"codecs: numcodecs has no codec {name!r}{advice}") from None
    except Exception as error:
        raise MetadataError(f"codecs: numcodecs.{name}: {error}") from error


def dtype_of(codec: str, member: str, given: Any) -> np.dtype[Any]:
    """Return the dtype of a configuration.

    Raises
    ------
    MetadataError
        If there is none of that name.
    """
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except (TypeError, ValueError) as error:
        raise MetadataError(f"codecs: {codec}.{member}: {given!r} is no dtype") from error
    if dtype.hasobject or not dtype.itemsize:
        raise MetadataError(f"codecs: {codec}.{member}: {given!r} has no size")
    return dtype


def in_dtype(elements: Array, dtype: np.dtype[Any]) -> Array:
    """Return the bytes of flat elements as another dtype, or elements in another byte order."""
    if elements.dtype.newbyteorder("=") == dtype.newbyteorder("="):
        return elements.astype(dtype, copy=False)
    return elements.view(dtype)


class Filter(ArrayArrayCodec):
    """What the filters of numcodecs share: they take the elements of a chunk in C order.

    A filter looks at the bytes of a chunk as elements of its own dtype: a time may be filtered
    as an integer.
    """

    members: ClassVar[tuple[str, ...]]
    filled_in: ClassVar[str | None] = None
    """The member that is the array's dtype where it is not given."""

    def __init__(self, **configuration: Any) -> None:
        self._configuration = self._checked(take(configuration, self.name, *self.members))
        self._source: np.dtype[Any] | None = None
        self._codec: Any = None
        if self.filled_in is None or self._configuration.get(self.filled_in) is not None:
            self._codec = numcodec(self.id(), self._configuration)

    @classmethod
    def id(cls) -> str:
        """Return the name in numcodecs."""
        return cls.name.removeprefix("numcodecs.")

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        return cls(**configuration)

    def configuration(self) -> dict[str, Any]:
        return dict(self._configuration)

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration whose dtypes are strings, without those that are missing."""
        checked = {}
        for member, value in given.items():
            is_dtype = member.endswith("type")
            if value is not None:
                checked[member] = dtype_of(self.name, member, value).str if is_dtype else value
        return checked

    def reading(self, source: np.dtype[Any]) -> Self:
        """Return this filter for chunks in a dtype, which may have another byte order."""
        changed = copy.copy(self)
        changed._source = source
        return changed

    def fitted(self, spec: ChunkSpec) -> Self:
        member = self.filled_in
        if spec.data_type.is_variable:
            raise MetadataError(f"codecs: {self.name} cannot encode {spec.data_type.name}")
        changed = self
        if member is not None and self._configuration.get(member) is None:
            changed = type(self)(**self._configuration, **{member: spec.dtype.str})
            changed._source = self._source
        changed._check(spec)
        return changed

    def _check(self, spec: ChunkSpec) -> None:
        """Look whether the filter takes such chunks."""
        dtype = self.decoded_dtype(self._source or spec.dtype)
        if spec.nbytes % dtype.itemsize:
            raise MetadataError(
                f"codecs: {self.name} takes elements of {dtype.itemsize} bytes ({dtype}), and a "
                f"chunk of {spec.data_type.name} has {spec.nbytes} bytes"
            )
        try:
            with np.errstate(all="ignore"):
                self._codec.decode(self._codec.encode(np.zeros(1, dtype)))
        except Exception as error:
            raise MetadataError(f"codecs: {self.name} of {dtype}: {error}") from error

    def decoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype that the filter takes a chunk for."""
        given = self._configuration.get("dtype")
        return source if given is None else np.dtype(given)

    def encoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of filtered elements."""
        given = self._configuration.get("astype")
        return self.decoded_dtype(source) if given is None else np.dtype(given)

    def _encoded_shape(self, spec: ChunkSpec) -> tuple[int, ...]:
        itemsize = self.decoded_dtype(self._source or spec.dtype).itemsize
        return spec.shape if itemsize == spec.dtype.itemsize else (spec.nbytes // itemsize,)

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        encoded = self.encoded_dtype(self._source or spec.dtype)
        try:
            data_type = data_type_for(encoded)
        except TypeError as error:
            raise MetadataError(f"codecs: {self.name}: {error}") from error
        fill_value = data_type.default_fill_value()
        with suppress(TypeError, ValueError), np.errstate(all="ignore"):
            # numcodecs knows no fill values, and zarr-python leaves them as they are
            fill_value = np.asarray(spec.fill_value).astype(data_type.dtype)[()]
        return ChunkSpec(self._encoded_shape(spec), data_type, fill_value)

    def encode(self, chunk: Array, spec: ChunkSpec) -> Array:
        source = self._source or spec.dtype
        elements = np.ascontiguousarray(chunk, source).reshape(-1)
        encoded = self._codec.encode(in_dtype(elements, self.decoded_dtype(source)))
        return _flat(encoded, self.encoded_dtype(source)).reshape(self._encoded_shape(spec))

    def decode(self, chunk: Array, spec: ChunkSpec) -> Array:
        source = self._source or spec.dtype
        elements = np.ascontiguousarray(chunk).reshape(-1)
        try:
            decoded = self._codec.decode(in_dtype(elements, self.encoded_dtype(source)))
            return in_dtype(_flat(decoded, self.decoded_dtype(source)), source).reshape(spec.shape)
        except ValueError as error:
            raise CorruptDataError(f"{self.name} data cannot be decoded: {error}") from error


def _flat(elements: Any, dtype: np.dtype[Any]) -> Array:
    return np.asarray(elements).reshape(-1).view(dtype)


class Delta(Filter):
    """Store the differences of adjacent elements.

    Parameters
    ----------
    dtype : str, optional
        Of the elements; filled in from the array's data type.
    astype : str, optional
        Of the differences; the same by default. What does not fit wraps around.

    Examples
    --------
    >>> Delta(dtype="<i4", astype="<i2").to_dict()["configuration"]
    {'dtype': '<i4', 'astype': '<i2'}
    """

    name = "numcodecs.delta"
    members = ("dtype", "astype")
    filled_in = "dtype"


class FixedScaleOffset(Filter):
    """Store ``(element - offset) * scale``, rounded; `ScaleOffset` and `CastValue` supersede it.

    Parameters
    ----------
    offset, scale : number
    dtype : str, optional
        Of the elements; filled in from the array's data type.
    astype : str, optional
        Of what is stored; the same by default.

    Examples
    --------
    >>> FixedScaleOffset(offset=10, scale=100, dtype="<f8", astype="<u2").name
    'numcodecs.fixedscaleoffset'
    """

    name = "numcodecs.fixedscaleoffset"
    members = ("offset", "scale", "dtype", "astype")
    filled_in = "dtype"


class Quantize(Filter):
    """Round floats to a number of decimal digits, which compresses better.

    Parameters
    ----------
    digits : int
    dtype : str, optional
        Of the elements; filled in from the array's data type.
    astype : str, optional
        Of what is stored; the same by default.

    Examples
    --------
    >>> Quantize(digits=2, dtype="<f4").to_dict()["configuration"]
    {'digits': 2, 'dtype': '<f4'}
    """

    name = "numcodecs.quantize"
    members = ("digits", "dtype", "astype")
    filled_in = "dtype"


class BitRound(Filter):
    """Round floats to a number of bits of the mantissa, which compresses better.

    Parameters
    ----------
    keepbits : int

    Examples
    --------
    >>> BitRound(keepbits=8).to_dict()["configuration"]
    {'keepbits': 8}
    """

    name = "numcodecs.bitround"
    members = ("keepbits",)

    def __init__(self, keepbits: int) -> None:
        super().__init__(keepbits=keepbits)

    def decoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:
        return source.newbyteorder("=")  # numcodecs knows no other


class AsType(Filter):
    """Store elements in another dtype; `CastValue` supersedes it.

    Parameters
    ----------
    encode_dtype : str
        Of what is stored.
    decode_dtype : str, optional
        Of the elements; filled in from the array's data type.

    Examples
    --------
    >>> AsType(encode_dtype="<f4", decode_dtype="<f8").name
    'numcodecs.astype'
    """

    name = "numcodecs.astype"
    members = ("encode_dtype", "decode_dtype")
    filled_in = "decode_dtype"

    def decoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:
        given = self._configuration.get("decode_dtype")
        return source if given is None else np.dtype(given)

    def encoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG002
        return np.dtype(str(self._configuration["encode_dtype"]))


class PackBits(Filter):
    """Store eight booleans in a byte.

    Examples
    --------
    >>> PackBits().to_dict()
    {'name': 'numcodecs.packbits', 'configuration': {}}
    """

    name = "numcodecs.packbits"
    members = ()

    def fitted(self, spec: ChunkSpec) -> Self:
        if spec.dtype.itemsize != 1:
            raise MetadataError(
                f"codecs: {self.name} is for booleans, and the elements are {spec.data_type.name}"
            )
        return super().fitted(spec)

    def decoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG002
        return np.dtype(bool)

    def encoded_dtype(self, source: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG002
        return np.dtype(np.uint8)

    def _encoded_shape(self, spec: ChunkSpec) -> tuple[int, ...]:
        return (1 + math.ceil(spec.size / 8),)

    def decode(self, chunk: Array, spec: ChunkSpec) -> Array:
        unused = int(chunk.reshape(-1)[0])
        if unused != -spec.size % 8:
            raise CorruptDataError(
                f"{self.name} data has {unused} unused bits where {-spec.size % 8} are expected"
            )
        return super().decode(chunk, spec)


class _Serializer(ArrayBytesCodec):
    """What the codecs from elements to bytes share."""

    def __init__(self, **configuration: Any) -> None:
        self._configuration = dict(configuration)
        self._codec = numcodec(self.id(), configuration)

    @classmethod
    def id(cls) -> str:
        """Return the name in numcodecs."""
        return cls.name.removeprefix("numcodecs.")

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        return cls(**configuration)

    def configuration(self) -> dict[str, Any]:
        return dict(self._configuration)

    def fitted(self, spec: ChunkSpec) -> Codec:
        if spec.data_type.is_variable:
            raise MetadataError(f"codecs: {self.name} cannot encode {spec.data_type.name}")
        one = np.zeros((1,) * len(spec.shape), spec.dtype)
        try:
            self._codec.encode(one)
        except Exception as error:
            raise MetadataError(
                f"codecs: {self.name} cannot encode chunks of {spec.data_type.name} in "
                f"{len(spec.shape)} dimensions: {error}"
            ) from error
        return self

    def encode(self, chunk: Array, spec: ChunkSpec) -> Buffer:
        encoded: bytes = self._codec.encode(np.ascontiguousarray(chunk, spec.dtype))
        return encoded

    def encoded_size(self, spec: ChunkSpec) -> None:  # noqa: ARG002
        return None

    def largest_encoded_size(self, spec: ChunkSpec) -> int:
        return 2 * spec.nbytes + 2**16


class PCodec(_Serializer):
    """Compress numbers with pcodec; the package of that name must be installed.

    Parameters
    ----------
    level : int, default 8
        From 0 (fastest) to 12 (smallest).
    **configuration
        See https://numcodecs.readthedocs.io/en/stable/compression/pcodec.html.
    """

    name = "numcodecs.pcodec"

    def decode(self, data: Buffer, spec: ChunkSpec) -> Array:
        pcodec = importlib.import_module("pcodec")
        elements = np.empty(spec.size, spec.dtype)
        try:
            progress = pcodec.standalone.simple_decompress_into(bytes(data), elements)
        except (RuntimeError, ValueError, TypeError) as error:
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot be decoded: {error}"
            ) from error
        if progress.n_processed != spec.size or not progress.finished:
            raise CorruptDataError(
                f"{self.name} data does not have the {spec.size} elements of the chunk"
            )
        return elements.reshape(spec.shape)


class Zfpy(_Serializer):
    """Compress numbers with zfp, with losses or without; zfpy must be installed.

    Parameters
    ----------
    **configuration
        ``mode``, and ``tolerance``, ``rate`` or ``precision``: see
        https://numcodecs.readthedocs.io/en/stable/compression/zfpy.html.
    """

    name = "numcodecs.zfpy"
    _block = 4
    _largest_header = 64
    _largest_block_bits = 2**15

    def decode(self, data: Buffer, spec: ChunkSpec) -> Array:
        zfpy = importlib.import_module("zfpy")
        # zfp reads on where truncated data ends, into what is not its own
        padded = bytes(data) + bytes(self._largest_header)
        try:
            header = zfpy.header(padded)
            self._check(header, spec)
            decoded: Array = zfpy.decompress_numpy(padded + bytes(self._most(header, spec)))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise CorruptDataError(
                f"{self.name} data of {len(data)} bytes cannot be decoded: {error}"
            ) from error
        return decoded.reshape(spec.shape)

    def _check(self, header: Mapping[str, Any], spec: ChunkSpec) -> None:
        lengths = tuple(header[name] for name in ("nx", "ny", "nz", "nw"))
        shape = tuple(length for length in lengths[::-1] if length)
        if shape != spec.shape or np.dtype(header["type"]) != spec.dtype:
            raise CorruptDataError(
                f"{self.name} data is of shape {shape} and {np.dtype(header['type'])}, and the "
                f"chunk of shape {spec.shape} and {spec.dtype}"
            )

    def _most(self, header: Mapping[str, Any], spec: ChunkSpec) -> int:
        """Return the bytes that zfp may read for a chunk."""
        expert = header["config"]["expert"]
        given = max(expert["minbits"], expert["maxbits"])
        if given > self._largest_block_bits:
            raise CorruptDataError(f"{self.name} data claims to have blocks of {given} bits")
        elements = self._block ** len(spec.shape)
        bits = max(given, 2 * elements * (8 * spec.dtype.itemsize + 2) + 64)
        blocks = math.prod(-(-length // self._block) for length in spec.shape)
        return int(blocks * bits // 8 + 64)
