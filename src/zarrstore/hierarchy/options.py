"""What an array is created with."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
from msgspec import convert

from zarrstore.format.array_spec import ArraySpec, chunk_keys, compile_spec
from zarrstore.format.chunk_grids import guess_chunks
from zarrstore.format.codecs.base import ArrayArrayCodec, ChunkSpec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.documents import (
    MAX_DIMENSIONS,
    ArrayDocument,
    Extension,
    plain_attributes,
)

__all__ = ["AccessMode", "ArrayOptions", "array_document"]

AccessMode = Literal["r", "r+", "a", "w", "w-"]
"""``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w`` overwrite;
``w-`` fail if it exists."""


class ArrayOptions(TypedDict, total=False):
    """The options of an array that is created, as in zarr-python 3."""

    shape: int | Sequence[int]
    """In elements; the shape of ``data`` if that is given."""
    dtype: Any
    """Anything that numpy takes for a dtype; the dtype of ``data``, or float64."""
    data: Any
    """An array to write into the new one at once."""
    chunks: int | Sequence[int] | Literal["auto"] | bool
    """The shape of a chunk; ``"auto"`` (the default) makes chunks of about 1 MiB, ``False``
    one chunk; -1 is the whole length."""
    filters: Any
    """Codecs from elements to elements, such as ``transpose``; none by default."""
    compressors: Any
    """A codec, several, or ``None``; ``"auto"`` (the default) is ``zstd`` of level 1."""
    serializer: Any
    """The codec from elements to bytes; ``bytes``, little endian, by default."""
    fill_value: Any
    """What a missing chunk reads as; 0 by default."""
    attributes: Mapping[str, Any]
    """Anything that JSON can hold."""
    dimension_names: Sequence[str | None]
    chunk_key_encoding: Any
    """``"default"`` (``c/0/0``), ``"v2"`` (``0.0``), or a document with a separator."""
    write_empty_chunks: bool
    """Whether chunks that hold only the fill value are stored; ``False`` by default."""
    zarr_format: Literal[3]


_NAMES = frozenset(ArrayOptions.__annotations__)


def array_document(options: ArrayOptions) -> tuple[ArrayDocument, ArraySpec]:
    """Return the metadata of an array to create, which is valid.

    Raises
    ------
    TypeError
        If an option is unknown, or ``shape`` is missing, or the dtype cannot be stored.
    MetadataError, ValueError
        If an option is out of range.
    """
    unknown = sorted(set(options) - _NAMES)
    if unknown:
        raise TypeError(
            f"unknown options {', '.join(unknown)}; known are {', '.join(sorted(_NAMES))}"
        )
    if options.get("zarr_format", 3) != 3:
        raise ValueError(f"zarr_format must be 3, not {options['zarr_format']!r}")
    data = options.get("data")
    shape, given_dtype = options.get("shape"), options.get("dtype")
    if data is not None:
        data = np.asarray(data)
        shape = data.shape if shape is None else shape
        given_dtype = data.dtype if given_dtype is None else given_dtype
    if shape is None:
        raise TypeError("shape is missing: give shape=, or data=")
    shape = _lengths("shape", shape, 0)
    data_type = data_type_for("float64" if given_dtype is None else given_dtype)
    given_fill = options.get("fill_value")
    if given_fill is None:
        fill_value = data_type.default_fill_value()
    else:
        fill_value = data_type.cast_fill_value(given_fill)
    chunk_shape = _chunk_shape(options, shape, data_type.dtype.itemsize)
    spec = ChunkSpec(chunk_shape, data_type, fill_value)
    document = ArrayDocument(
        zarr_format=3,
        node_type="array",
        shape=shape,
        data_type=convert(data_type.to_metadata(), str | Extension),
        chunk_grid=_named("regular", chunk_shape=chunk_shape),
        chunk_key_encoding=_chunk_keys(options.get("chunk_key_encoding", "default")),
        fill_value=data_type.encode_fill_value(fill_value),
        codecs=tuple(
            _named(codec.name, **codec.configuration()) for codec in _codecs(options, spec)
        ),
        attributes=plain_attributes(options.get("attributes") or {}),
        dimension_names=_dimension_names(options.get("dimension_names")),
    )
    return document, compile_spec(document)


def _named(name: str, **configuration: Any) -> Extension:
    return Extension(name=name, configuration=configuration)


def _lengths(name: str, value: Any, least: int) -> tuple[int, ...]:
    try:
        items = tuple(value) if _is_sequence(value) else (value,)
        if any(isinstance(item, bool) for item in items):
            raise TypeError
        lengths = tuple(operator.index(item) for item in items)
    except TypeError:
        raise TypeError(f"{name} is an integer or a sequence of integers, not {value!r}") from None
    for length in lengths:
        if length < least:
            raise ValueError(f"{name} must be {least} or more along each dimension, not {length}")
        if length >= 2**63:
            raise ValueError(f"{name} must be below 2**63 along each dimension, not {length}")
    if len(lengths) > MAX_DIMENSIONS:
        raise ValueError(f"{name} has {len(lengths)} dimensions; {MAX_DIMENSIONS} at most")
    return lengths


def _is_sequence(value: Any) -> bool:
    """Tell a sequence of lengths from one length, which numpy may hold in an array."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _chunk_shape(options: ArrayOptions, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    given = options.get("chunks", "auto")
    if given is True or given is None or (isinstance(given, str) and given == "auto"):
        return guess_chunks(shape, itemsize)
    if given is False:
        return tuple(max(1, length) for length in shape)
    if isinstance(given, str):
        raise ValueError(f"chunks is a shape, 'auto' or False, not {given!r}")
    lengths = _lengths("chunks", given, -1)
    if not _is_sequence(given):
        lengths *= len(shape)
    if len(lengths) != len(shape):
        raise ValueError(f"chunks has {len(lengths)} lengths for {len(shape)} dimensions")
    if 0 in lengths:
        raise ValueError("chunks must be 1 or more along each dimension, or -1 for the whole")
    return tuple(
        max(1, length) if chunk == -1 else chunk
        for chunk, length in zip(lengths, shape, strict=True)
    )


def _codecs(options: ArrayOptions, spec: ChunkSpec) -> list[Codec]:
    """Return the codecs of an array, each fitted to what it is given."""
    filters = options.get("filters", "auto")
    if isinstance(filters, str) and filters == "auto":
        filters = None
    serializer = options.get("serializer", "auto")
    if serializer is None or (isinstance(serializer, str) and serializer == "auto"):
        serializer = Bytes() if spec.data_type.serializer == "bytes" else spec.data_type.serializer
    compressors = options.get("compressors", "auto")
    if isinstance(compressors, str) and compressors == "auto":
        compressors = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
    codecs = []
    for given in (*_several(filters), serializer, *_several(compressors)):
        codec = codec_of(_unsettled(given)).fitted(spec)
        if isinstance(codec, ArrayArrayCodec):
            spec = codec.encoded_spec(spec)
        codecs.append(codec)
    return codecs


def _several(given: Any) -> tuple[Any, ...]:
    """Return what is given for one or several codecs as several."""
    if given is None:
        return ()
    several = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    return tuple(given) if several else (given,)


def _unsettled(codec: Any) -> Any:
    """Leave out of a codec of zarr-python what it would itself fill in from the array."""
    open_names = getattr(codec, "_tunable_attrs", None)
    if not open_names or not hasattr(codec, "to_dict"):
        return codec
    document = codec.to_dict()
    configuration = document.get("configuration") or {}
    return {
        "name": document["name"],
        "configuration": {k: v for k, v in configuration.items() if k not in open_names},
    }


def _chunk_keys(given: Any) -> Extension:
    if hasattr(given, "to_dict"):  # zarr-python's
        given = given.to_dict()
    document = {"name": given} if isinstance(given, str) else given
    if not isinstance(document, Mapping) or not isinstance(document.get("name"), str):
        raise TypeError(
            "chunk_key_encoding is 'default', 'v2' or {'name': ..., 'configuration': "
            f"{{'separator': ...}}}}, not {given!r}"
        )
    configuration = {key: value for key, value in document.items() if key != "name"}
    inner = configuration.get("configuration")
    if isinstance(inner, Mapping):
        del configuration["configuration"]
        configuration.update(inner)
    keys = chunk_keys(_named(document["name"], **configuration))
    return _named(keys.name, separator=keys.separator)


def _dimension_names(given: Sequence[str | None] | None) -> tuple[str | None, ...] | None:
    if given is None:
        return None
    names = None if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    if names is None or not all(name is None or isinstance(name, str) for name in names):
        raise TypeError(f"dimension_names are a str or None for each dimension, not {given!r}")
    return names
