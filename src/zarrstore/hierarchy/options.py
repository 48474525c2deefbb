"""What an array is created with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.chunk_grids import ChunkKeys, guess_chunks
from zarrstore.format.codecs.base import Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.pipeline import codec_of
from zarrstore.format.data_types import data_type_name, dtype_of, encode_fill_value
from zarrstore.format.documents import ArrayDocument, Extension

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
    name = data_type_name("float64" if given_dtype is None else given_dtype)
    dtype = dtype_of(name)
    fill_value = options.get("fill_value")
    document = ArrayDocument(
        zarr_format=3,
        node_type="array",
        shape=shape,
        data_type=name,
        chunk_grid=_named("regular", chunk_shape=_chunk_shape(options, shape, dtype.itemsize)),
        chunk_key_encoding=_chunk_keys(options.get("chunk_key_encoding", "default")),
        fill_value=encode_fill_value(0 if fill_value is None else fill_value, dtype),
        codecs=tuple(
            _named(codec.name, **codec.configuration()) for codec in _codecs(options, dtype)
        ),
        attributes=dict(options.get("attributes") or {}),
        dimension_names=_dimension_names(options.get("dimension_names")),
    )
    return document, compile_spec(document)


def _named(name: str, **configuration: Any) -> Extension:
    return Extension(name=name, configuration=configuration)


def _lengths(name: str, value: Any, least: int) -> tuple[int, ...]:
    try:
        items = (value,) if np.ndim(value) == 0 else tuple(value)
        lengths = tuple(int(item.__index__()) for item in items)
    except (AttributeError, TypeError):
        raise TypeError(f"{name} is an integer or a sequence of integers, not {value!r}") from None
    for length in lengths:
        if length < least:
            raise ValueError(f"{name} must be {least} or more along each dimension, not {length}")
    return lengths


def _chunk_shape(options: ArrayOptions, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    given = options.get("chunks", "auto")
    if given is True or given is None or (isinstance(given, str) and given == "auto"):
        guessed: tuple[int, ...] = guess_chunks(shape, itemsize)
        return guessed
    if given is False:
        return tuple(max(1, length) for length in shape)
    if isinstance(given, str):
        raise ValueError(f"chunks is a shape, 'auto' or False, not {given!r}")
    lengths = _lengths("chunks", given, -1)
    if len(lengths) == 1 and np.ndim(given) == 0:
        lengths *= len(shape)
    if len(lengths) != len(shape):
        raise ValueError(f"chunks has {len(lengths)} lengths for {len(shape)} dimensions")
    if 0 in lengths:
        raise ValueError("chunks must be 1 or more along each dimension, or -1 for the whole")
    return tuple(
        max(1, length) if chunk == -1 else chunk
        for chunk, length in zip(lengths, shape, strict=True)
    )


def _codecs(options: ArrayOptions, dtype: np.dtype[Any]) -> list[Codec]:
    serializer = options.get("serializer", "auto")
    if serializer is None or (isinstance(serializer, str) and serializer == "auto"):
        serializer = Bytes(None if dtype.itemsize == 1 else "little")
    compressors = options.get("compressors", "auto")
    if isinstance(compressors, str) and compressors == "auto":
        compressors = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
    if compressors is None:
        compressors = ()
    several = isinstance(compressors, Iterable) and not isinstance(compressors, str | Mapping)
    codecs = [codec_of(given) for given in (compressors if several else [compressors])]
    filled = [
        codec.for_itemsize(dtype.itemsize) if hasattr(codec, "for_itemsize") else codec
        for codec in codecs
    ]
    return [codec_of(serializer), *filled]


def _chunk_keys(given: Any) -> Extension:
    if isinstance(given, str):
        given = {"name": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise TypeError(
            "chunk_key_encoding is 'default', 'v2' or {'name': ..., 'configuration': "
            f"{{'separator': ...}}}}, not {given!r}"
        )
    configuration = given.get("configuration") or {
        key: value for key, value in given.items() if key == "separator"
    }
    separator = configuration.get("separator") or ("/" if given["name"] == "default" else ".")
    keys = ChunkKeys(given["name"], separator)
    return _named(keys.name, separator=keys.separator)


def _dimension_names(given: Sequence[str | None] | None) -> tuple[str | None, ...] | None:
    return None if given is None else tuple(given)
