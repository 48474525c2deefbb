"""What an array is created with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
from msgspec import convert

from zarrstore.format.array_spec import chunk_keys
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.documents import ArrayDocument, Extension, Named, plain_attributes
from zarrstore.hierarchy.chunk_options import Layout, is_auto, layout_of, lengths_of
from zarrstore.hierarchy.codec_options import codecs_v3

__all__ = [
    "AccessMode",
    "ArrayOptions",
    "Config",
    "CreateOptions",
    "DataOptions",
    "StorageOptions",
    "check_names",
    "config_of",
    "document_v3",
    "dtype_of",
    "fill_value_of",
    "named",
    "refuse",
    "shape_of",
]

AccessMode = Literal["r", "r+", "a", "w", "w-"]
"""``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w`` overwrite;
``w-`` fail if it exists."""


class StorageOptions(TypedDict, total=False):
    """How an array that is created is stored."""

    dtype: Any
    """Anything that numpy takes for a dtype, or the name of a data type; the dtype of ``data``,
    or float64."""
    chunks: Any
    """The shape of a chunk; ``"auto"`` (the default) makes chunks of about 1 MiB, ``False``
    one chunk; -1 is the whole length. The length of each chunk, in a list for each dimension,
    where they differ: ``[[3, 4], [5]]`` (Zarr v3)."""
    shards: Any
    """The shape of a shard, which holds many chunks in one value, a multiple of ``chunks``;
    ``"auto"`` makes shards of at most 64 MiB; none by default (Zarr v3)."""
    filters: Any
    """Codecs from elements to elements, such as ``transpose``; of Zarr v2 any of numcodecs. None
    by default."""
    compressors: Any
    """A codec, several (Zarr v3), or ``None``; ``"auto"`` (the default) is ``zstd`` of level 1."""
    compressor: Any
    """The same, by its name in Zarr v2."""
    serializer: Any
    """The codec from elements to bytes; ``bytes``, little endian, by default (Zarr v3)."""
    codecs: Any
    """All codecs at once, in the place of filters, serializer and compressors (Zarr v3)."""
    order: Literal["C", "F"] | None
    """The order of elements in a chunk (Zarr v2). Zarr v3 stores C order, but for the codec
    ``transpose``; there it changes nothing."""
    attributes: Mapping[str, Any] | None
    """Anything that JSON can hold."""
    dimension_names: Sequence[str | None] | None
    """One for each dimension, or ``None`` in its place (Zarr v3)."""
    chunk_key_encoding: Any
    """``"default"`` (``c/0/0``), ``"v2"`` (``0.0``), or a document with a separator."""
    dimension_separator: Literal[".", "/"] | None
    """What separates the numbers in the key of a chunk (Zarr v2); ``"."`` by default."""
    write_empty_chunks: bool | None
    """Whether chunks that hold only the fill value are stored; ``False`` by default."""
    config: Mapping[str, Any] | None
    """``write_empty_chunks`` and ``order`` in one, as in zarr-python."""
    zarr_format: Literal[2, 3] | None
    """By default that of the group above, or 3."""


class DataOptions(StorageOptions, total=False):
    """The options of an array whose data is given."""

    fill_value: Any
    """What a missing chunk reads as; by default 0, or what is like it. In Zarr v2 ``None`` is
    stored, and reads as the default."""


class CreateOptions(DataOptions, total=False):
    """The options of an array whose shape is given."""

    data: Any
    """An array to write into the new one at once."""
    write_data: bool
    """Whether ``data`` is written, rather than only its shape and dtype taken; ``True``."""


class ArrayOptions(CreateOptions, total=False):
    """The options of an array that is created, as in zarr-python 3."""

    shape: int | Sequence[int]
    """In elements; the shape of ``data`` if that is given."""


_NAMES = frozenset(ArrayOptions.__annotations__)


@dataclass(frozen=True)
class Config:
    """How an array is written, which is stored nowhere."""

    write_empty_chunks: bool = False


def config_of(options: ArrayOptions) -> Config:
    """Return how an array is to be written.

    Raises
    ------
    TypeError, ValueError
        If ``config`` is no mapping, or has a member that is unknown.
    """
    given = options.get("config")
    if given is None:
        return Config(bool(options.get("write_empty_chunks")))
    if not isinstance(given, Mapping):
        raise TypeError(f"config is a mapping, not {type(given).__name__}")
    unknown = sorted(set(given) - {"order", "write_empty_chunks"})
    if unknown:
        raise ValueError(
            f"config has no {', '.join(unknown)}; known are 'order' and 'write_empty_chunks'"
        )
    write = options.get("write_empty_chunks")
    return Config(bool(given.get("write_empty_chunks", False) if write is None else write))


def shape_of(options: ArrayOptions) -> tuple[int, ...]:
    """Return the shape of an array to create.

    Raises
    ------
    TypeError
        If there is none.
    """
    shape = options.get("shape")
    if shape is None and options.get("data") is not None:
        shape = np.shape(options["data"])
    if shape is None:
        raise TypeError("shape is missing: give shape=, or data=")
    return lengths_of("shape", shape, 0)


def dtype_of(options: ArrayOptions) -> Any:
    """Return what is given for the dtype of an array to create."""
    given = options.get("dtype")
    if given is None and options.get("data") is not None:
        given = np.asarray(options["data"]).dtype
    return "float64" if given is None else given


def check_names(options: ArrayOptions) -> None:
    """Raise `TypeError` if there is an option that is unknown."""
    unknown = options.keys() - _NAMES
    if unknown:
        raise TypeError(
            f"unknown options {', '.join(sorted(unknown))}; known are {', '.join(sorted(_NAMES))}"
        )
    order = options.get("order")
    if order not in ("C", "F", None):
        raise ValueError(f"order is 'C' or 'F', not {order!r}")


def refuse(options: ArrayOptions, names: Mapping[str, str], zarr_format: int) -> None:
    """Raise `ValueError` if an option is given that the format does not have."""
    for name, instead in names.items():
        given = options.get(name)
        if given is not None and not is_auto(given):
            raise ValueError(f"Zarr v{zarr_format} has no {name}; {instead}")


_NOT_IN_V3 = {
    "compressor": "use compressors=",
    "dimension_separator": "use chunk_key_encoding={'name': 'default', 'separator': ...}",
}


def document_v3(options: ArrayOptions) -> ArrayDocument:
    """Return the metadata of an array of Zarr v3 to create.

    Raises
    ------
    TypeError
        If an option is unknown, or ``shape`` is missing, or the dtype cannot be stored.
    MetadataError, ValueError
        If an option is out of range.
    """
    check_names(options)
    refuse(options, _NOT_IN_V3, 3)
    shape = shape_of(options)
    data_type = data_type_for(dtype_of(options))
    fill_value = fill_value_of(options, data_type)
    layout = layout_of(
        shape, data_type.dtype.itemsize, options.get("chunks", "auto"), options.get("shards")
    )
    spec = ChunkSpec(layout.chunk_shape, data_type, fill_value)
    return ArrayDocument(
        zarr_format=3,
        node_type="array",
        shape=shape,
        data_type=_data_type(data_type),
        chunk_grid=_chunk_grid(layout),
        chunk_key_encoding=_chunk_keys(options.get("chunk_key_encoding")),
        fill_value=data_type.encode_fill_value(fill_value),
        codecs=tuple(
            [
                Extension(name=codec.name, configuration=codec.configuration())
                for codec in codecs_v3(options, layout, spec)
            ]
        ),
        attributes=plain_attributes(options.get("attributes") or {}),
        dimension_names=_dimension_names(options.get("dimension_names")),
    )


def fill_value_of(options: ArrayOptions, data_type: DataType) -> Any:
    """Return the fill value that is given, or the default."""
    given = options.get("fill_value")
    return data_type.default_fill_value() if given is None else data_type.cast_fill_value(given)


def _data_type(data_type: DataType) -> Named:
    metadata = data_type.to_metadata()
    return metadata if isinstance(metadata, str) else convert(metadata, Extension)


def _chunk_grid(layout: Layout) -> Extension:
    grid = layout.grid
    if isinstance(grid, RegularGrid):
        return Extension(name="regular", configuration={"chunk_shape": list(grid.chunk_shape)})
    return Extension(name="rectilinear", configuration=grid.to_configuration())


def _chunk_keys(given: Any) -> Extension:
    if given is None:
        return Extension(name="default", configuration={"separator": "/"})
    keys = chunk_keys(named("chunk_key_encoding", given))
    return Extension(name=keys.name, configuration={"separator": keys.separator})


def named(option: str, given: Any) -> Extension:
    """Return what is given for a chunk key encoding as it stands in metadata."""
    if hasattr(given, "to_dict"):  # zarr-python's
        given = given.to_dict()
    if isinstance(given, tuple) and len(given) == 2:
        given = {"name": given[0], "separator": given[1]}
    document = {"name": given} if isinstance(given, str) else given
    if not isinstance(document, Mapping) or not isinstance(document.get("name"), str):
        raise TypeError(
            f"{option} is 'default', 'v2' or {{'name': ..., 'configuration': "
            f"{{'separator': ...}}}}, not {given!r}"
        )
    configuration = {key: value for key, value in document.items() if key != "name"}
    inner = configuration.get("configuration")
    if isinstance(inner, Mapping):
        del configuration["configuration"]
        configuration.update(inner)
    return Extension(name=document["name"], configuration=configuration)


def _dimension_names(given: Any) -> tuple[str | None, ...] | None:
    if given is None:
        return None
    names = None if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    if names is None or not all(name is None or isinstance(name, str) for name in names):
        raise TypeError(f"dimension_names are a str or None for each dimension, not {given!r}")
    return names
