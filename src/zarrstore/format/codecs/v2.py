"""The filters, compressor and memory order of a Zarr v2 array as codecs, and codecs as these.

Follows https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html#arrays and what zarr-python 2
does: the chunk, in its order and byte order, goes through each filter, then the compressor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ArrayBytesCodec, ChunkSpec, Codec
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes, flat_bytes
from zarrstore.format.codecs.numcodecs import (
    PREFIX,
    codec_class,
    is_numcodecs_object,
    known_id,
    numcodecs_codec,
)
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.operations import Buffer

__all__ = ["DEFAULT_COMPRESSOR", "object_codec_of", "v2_codecs", "v2_members"]

Member = Mapping[str, Any]

DEFAULT_COMPRESSOR = {"id": "zstd", "level": 1}

_OBJECT_CODECS = {
    "categorize": "v2_objects.Categorize",
    "json2": "v2_objects.Json2",
    "msgpack2": "v2_objects.MsgPack2",
    "pickle": "v2_objects.Pickle",
    "vlen-array": "v2_objects.VlenArray",
    "vlen-bytes": "vlen.VlenBytes",
    "vlen-utf8": "vlen.VlenUtf8",
}
_WITHOUT_CONFIGURATION = ("json2", "msgpack2", "vlen-bytes", "vlen-utf8")
_IN_BOTH = ("crc32c", "gzip", "vlen-bytes", "vlen-utf8", "zstd")
_SHUFFLES = {None: -1, "noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


def object_codec_of(filters: Iterable[Member] | None) -> str | None:
    """Return the id of the filter that makes something else of objects, if there is one.

    Examples
    --------
    >>> object_codec_of([{"id": "vlen-utf8"}])
    'vlen-utf8'
    """
    ids = (member.get("id") for member in filters or ())
    return next((id for id in ids if id in _OBJECT_CODECS), None)


def v2_codecs(
    filters: Iterable[Member] | None,
    compressor: Member | None,
    order: str,
    stored_dtype: np.dtype[Any],
    data_type: DataType,
    *,
    ndim: int = 2,
    allow_pickle: bool = False,
) -> list[Codec]:
    """Return the codecs of an array of Zarr v2.

    Parameters
    ----------
    filters : iterable of mapping, or None
    compressor : mapping or None
        As in the document: an ``id``, and a configuration.
    order : {"C", "F"}
        Of the elements in a stored chunk.
    stored_dtype : numpy dtype
        Of the elements in a stored chunk, each field in its own byte order.
    data_type : DataType
        Of the array.
    ndim : int, default 2
        The number of dimensions; with one or none, the orders are the same.
    allow_pickle : bool, default False
        Whether objects may be unpickled, which runs whatever the data says.

    Raises
    ------
    MetadataError
        If a codec is not known, is not valid, or cannot stand where it does.

    Examples
    --------
    >>> from zarrstore.format.data_types.registry import data_type_for
    >>> v2_codecs(None, {"id": "zstd", "level": 3}, "C", np.dtype(">f4"), data_type_for("f4"))
    [Bytes(endian='big'), NumcodecsZstd(level=3)]
    """
    if order not in ("C", "F"):
        raise MetadataError(f"order: {order!r} is not 'C' or 'F'")
    chain = _Chain(stored_dtype, data_type, allow_pickle=allow_pickle)
    if order == "F" and ndim > 1:
        chain.codecs.append(Transpose("F"))
    for index, member in enumerate(filters or ()):
        chain.add(member, f"filters[{index}]")
    if compressor is not None:
        chain.add(compressor, "compressor")
    chain.serialize("filters")
    return chain.codecs


class _Chain:
    """Codecs, with what the last of them gives."""

    def __init__(
        self, stored_dtype: np.dtype[Any], data_type: DataType, *, allow_pickle: bool
    ) -> None:
        self.codecs: list[Codec] = []
        self._dtype = stored_dtype
        self._data_type = data_type
        self._allow_pickle = allow_pickle
        self._bytes_from: str | None = None

    def add(self, member: Member, place: str) -> None:
        id = member.get("id") if isinstance(member, Mapping) else None
        if not isinstance(id, str):
            raise MetadataError(f"{place}: a codec has an 'id', which is a string; found {member}")
        configuration = {name: value for name, value in member.items() if name != "id"}
        try:
            codec = self._codec(id, configuration)
        except MetadataError as error:
            raise MetadataError(f"{place}: {str(error).removeprefix('codecs: ')}") from error
        if not isinstance(codec, ArrayArrayCodec | ArrayBytesCodec):
            had_elements = self._bytes_from is None
            self.serialize(place)
            codec = codec if had_elements else _for_bytes(codec)
        elif self._bytes_from is not None:
            raise MetadataError(
                f"{place}: {id!r} takes elements, and {self._bytes_from!r} before it gives bytes"
            )
        elif isinstance(codec, ArrayArrayCodec):
            codec = self._reading(codec, place)
        else:
            if hasattr(codec, "reading"):
                codec = codec.reading(self._dtype)
            elif not self._dtype.hasobject and self._dtype != self._data_type.dtype:
                raise MetadataError(
                    f"{place}: {id!r} takes elements in native byte order, not {self._dtype.str!r}"
                )
            self._bytes_from = id
        self.codecs.append(codec)
        if self._bytes_from is not None:
            self._bytes_from = id

    def _codec(self, id: str, configuration: Member) -> Codec:
        if id == "pickle" and not self._allow_pickle:
            raise MetadataError(
                "'pickle' is refused: unpickling runs whatever the data says. If you trust who "
                "wrote it, allow it with allow_pickle=True"
            )
        if id in _OBJECT_CODECS:
            try:
                made: Codec = codec_class(_OBJECT_CODECS[id]).from_configuration(configuration)
                return made
            except TypeError as error:
                raise MetadataError(f"{id}: {error}") from error
        if id == "n5_wrapper":
            block: Codec = codec_class("n5.N5Block").from_configuration(configuration)
            return block
        if known_id(id):
            return numcodecs_codec(id, configuration)
        other = "OtherElements" if self._bytes_from is None else "OtherBytes"
        found: Codec = codec_class(f"v2_objects.{other}").from_configuration(
            {**configuration, "id": id}
        )
        return found

    def _reading(self, codec: Any, place: str) -> Codec:
        """Return a filter for what it is given."""
        if codec.filled_in is not None and codec.configuration().get(codec.filled_in) is None:
            codec = type(codec)(**codec.configuration(), **{codec.filled_in: self._dtype.str})
        reading: Codec = codec.reading(self._dtype)
        self._dtype = codec.encoded_dtype(self._dtype)
        try:
            self._data_type = data_type_for(self._dtype)
        except TypeError as error:
            raise MetadataError(f"{place}: {error}") from error
        return reading

    def serialize(self, place: str) -> None:
        """Add the codec from elements to bytes, if there is none yet."""
        if self._bytes_from is not None:
            return
        if self._dtype.hasobject:
            raise MetadataError(
                f"{place}: objects need a filter that makes bytes of them first: one of "
                f"{', '.join(_OBJECT_CODECS)}"
            )
        self.codecs.append(_serializer(self._dtype, self._data_type.dtype))
        self._bytes_from = "bytes"


def _for_bytes(codec: Codec) -> Codec:
    """Return a codec for bytes that have no elements any more."""
    if isinstance(codec, Blosc):
        codec.typesize = codec.typesize or 1
        codec.shuffle = codec.shuffle or "bitshuffle"
    return codec


def _serializer(stored: np.dtype[Any], dtype: np.dtype[Any]) -> Codec:
    if stored == dtype.newbyteorder("<"):
        return Bytes("little" if dtype.newbyteorder() != dtype else None)
    return Bytes("big") if stored == dtype.newbyteorder(">") else _StoredBytes(stored)


class _StoredBytes(ArrayBytesCodec):
    """The elements in C order, each field in its own byte order."""

    name = "v2-bytes"

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> _StoredBytes:
        return cls(np.dtype(configuration["dtype"]))

    def configuration(self) -> dict[str, Any]:
        return {"dtype": self._dtype.descr}

    def fitted(self, spec: ChunkSpec) -> _StoredBytes:
        if self._dtype.itemsize != spec.dtype.itemsize:
            raise MetadataError(
                f"dtype: {self._dtype} has {self._dtype.itemsize} bytes, and {spec.dtype} "
                f"{spec.dtype.itemsize}"
            )
        return self

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> Buffer:  # noqa: ARG002
        return flat_bytes(np.ascontiguousarray(chunk, self._dtype)).data

    def decode(self, data: Buffer, spec: ChunkSpec) -> np.ndarray[Any, Any]:
        Bytes.check_size(data, spec)
        return np.frombuffer(data, self._dtype).reshape(spec.shape)

    def encoded_size(self, spec: ChunkSpec) -> int:
        return spec.nbytes


def v2_members(
    filters: Any,
    compressor: Any,
    data_type: DataType,
    stored_dtype: np.dtype[Any] | None = None,
) -> tuple[list[dict[str, Any]] | None, dict[str, Any] | None]:
    """Return the filters and the compressor of a Zarr v2 array to create.

    Parameters
    ----------
    filters : object
        Codecs in any form: of numcodecs, documents with an ``id``, or what Zarr v3 takes;
        ``None`` or ``"auto"`` for none. For strings and objects, what makes bytes of them is
        added if it is not there.
    compressor : object
        One in any of these forms, ``None`` for none, or ``"auto"``.
    data_type : DataType
    stored_dtype : numpy dtype, optional
        Of the elements in a stored chunk, for filters that do not say; by default the data
        type's own, in native byte order.

    Raises
    ------
    MetadataError
        If a codec has no form in Zarr v2.
    TypeError
        If it is no codec.

    Examples
    --------
    >>> v2_members(None, {"name": "gzip", "configuration": {"level": 1}}, data_type_for(str))
    ([{'id': 'vlen-utf8'}], {'id': 'gzip', 'level': 1})
    """
    members: list[dict[str, Any]] = []
    dtype = data_type.dtype if stored_dtype is None else stored_dtype
    for given in _several(filters):
        member, dtype = _member(given, dtype, "filters")
        members.append(member)
    if data_type.is_variable and object_codec_of(members) is None:
        if data_type.serializer not in _WITHOUT_CONFIGURATION:
            raise MetadataError(
                f"filters: {data_type.serializer!r} must be among them, with its configuration"
            )
        members.insert(0, {"id": data_type.serializer})
    if isinstance(compressor, str) and compressor == "auto":
        return members or None, dict(DEFAULT_COMPRESSOR)
    compressors = _several(compressor)
    if len(compressors) > 1:
        raise MetadataError(
            f"compressor: Zarr v2 has one, not {len(compressors)}; the others can be filters"
        )
    return members or None, _member(compressors[0], dtype, "compressor")[0] if compressors else None


def _several(given: Any) -> tuple[Any, ...]:
    if given is None or (isinstance(given, str) and given == "auto"):
        return ()
    several = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    return tuple(given) if several else (given,)


def _member(given: Any, dtype: np.dtype[Any], place: str) -> tuple[dict[str, Any], np.dtype[Any]]:
    """Return the document of a codec, and the dtype of what it gives."""
    if isinstance(given, Mapping) and isinstance(given.get("id"), str):
        return dict(given), dtype
    if is_numcodecs_object(given):
        return given.get_config(), dtype
    if isinstance(given, str) and given in _WITHOUT_CONFIGURATION:
        return {"id": given}, dtype
    if isinstance(given, str) and given not in (*_IN_BOTH, "blosc") and known_id(given):
        given = PREFIX + given
    codec: Any = codec_of(given)
    filled_in = getattr(codec, "filled_in", None)
    if filled_in is not None and codec.configuration().get(filled_in) is None:
        codec = type(codec)(**codec.configuration(), **{filled_in: dtype.str})
    dtype = codec.encoded_dtype(dtype) if hasattr(codec, "encoded_dtype") else dtype
    return _document(codec, dtype, place), dtype


def _document(codec: Codec, dtype: np.dtype[Any], place: str) -> dict[str, Any]:
    configuration = codec.configuration()
    if codec.name.startswith(PREFIX):
        if configuration.get("elementsize", 0) is None:
            configuration["elementsize"] = dtype.itemsize
        return {"id": codec.name.removeprefix(PREFIX), **configuration}
    if isinstance(codec, Blosc):
        del configuration["typesize"]
        return {"id": "blosc", **configuration, "shuffle": _SHUFFLES[codec.shuffle]}
    if codec.name == "zstd" and not configuration["checksum"]:
        del configuration["checksum"]  # older versions of numcodecs do not know the member
    if codec.name in _IN_BOTH:
        return {"id": codec.name, **configuration}
    raise MetadataError(f"{place}: {codec.name!r} has no form in Zarr v2; use zarr_format=3")
