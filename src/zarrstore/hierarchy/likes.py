"""The options of an array that is to be like another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np

from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.chunk_grids import ChunkGrid, RegularGrid
from zarrstore.format.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.n5 import N5Block
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.documents import METADATA_KEY, extension, from_json
from zarrstore.format.documents_v2 import (
    ARRAY_KEY,
    ATTRIBUTES_KEY,
    ArrayDocumentV2,
    from_json_v2,
)
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.faces import Face
from zarrstore.hierarchy.formats import AnyArrayDocument
from zarrstore.hierarchy.options import ArrayOptions

__all__ = [
    "codec_v3",
    "converted_options",
    "data_options",
    "like_options",
    "merged_options",
    "without_n5",
]

DIMENSIONS_ATTRIBUTE = "_ARRAY_DIMENSIONS"
"""Where xarray keeps the names of dimensions in Zarr v2."""


def like_options(a: Any, given: Mapping[str, Any]) -> ArrayOptions:
    """Return the options of an array that is like another, but for what is given.

    Parameters
    ----------
    a : array-like
        An array in a store, ours or zarr-python's, of which all is taken but the attributes;
        one of dask or h5py, or of numpy, of which shape, dtype and chunks are taken.
    given : mapping
        Options that are given by a user. In another ``zarr_format`` the codecs are the defaults.
    """
    document = _document_of(a)
    if document is not None:
        document = without_n5(document)
        spec = compile_spec(document)
        version = given.get("zarr_format") or document.zarr_format
        options = {**_shape_options(document, spec), "zarr_format": version}
        if version == document.zarr_format:
            options |= _own_options(document, spec)
    else:
        shaped = a if hasattr(a, "shape") and hasattr(a, "dtype") else np.asarray(a)
        options = {"shape": tuple(shaped.shape), "dtype": shaped.dtype}
        chunks = _chunks_of(shaped)
        if chunks is not None:
            options["chunks"] = chunks
    return merged_options(options, given)


def data_options(data: Any, zarr_format: int | None = None, **given: Any) -> ArrayOptions:
    """Return the options of an array that is to hold some data."""
    if zarr_format is not None:
        given["zarr_format"] = zarr_format
    options = like_options(data, given)
    options.pop("shape", None)
    options["data"] = data
    return options


def converted_options(
    document: AnyArrayDocument, spec: ArraySpec, *, zarr_format: int
) -> ArrayOptions:
    """Return the options of a copy in some format, with the same codecs and attributes.

    Parameters
    ----------
    document : AnyArrayDocument
    spec : ArraySpec
        The document, compiled.
    zarr_format : int
    """
    options = {**_shape_options(document, spec), "zarr_format": zarr_format}
    attributes = dict(document.attributes)
    if zarr_format == document.zarr_format:
        options |= _own_options(document, spec)
    elif isinstance(document, ArrayDocumentV2):
        names = attributes.get(DIMENSIONS_ATTRIBUTE)
        if _are_names(names, len(spec.shape)):
            options["dimension_names"] = attributes.pop(DIMENSIONS_ATTRIBUTE)
        options |= _codec_options([codec_v3(codec) for codec in spec.codecs])
        if not isinstance(options["serializer"], Bytes) and not spec.data_type.is_variable:
            options["serializer"] = "auto"  # of several byte orders
    else:
        names = document.dimension_names
        if names is not None and _are_names(list(names), len(spec.shape)):
            attributes.setdefault(DIMENSIONS_ATTRIBUTE, list(names))
        options |= _options_v2(spec)
    options["attributes"] = attributes
    return cast("ArrayOptions", options)


def without_n5(document: AnyArrayDocument) -> AnyArrayDocument:
    """Return the document of an array as it would be, were it not in an N5 container."""
    compressor = getattr(document, "compressor", None)
    if compressor is None or compressor.get("id") != N5Block.name:
        return document
    return msgspec.structs.replace(document, compressor=compressor.get("compressor_config"))


def _are_names(names: Any, ndim: int) -> bool:
    return (
        isinstance(names, list)
        and len(names) == ndim
        and all(isinstance(name, str) for name in names)
    )


_REPLACES = {
    "shape": ("dimension_names",),
    "codecs": ("filters", "serializer", "compressors"),
    "compressor": ("compressors",),
    "compressors": ("compressor",),
    "chunk_key_encoding": ("dimension_separator",),
    "dimension_separator": ("chunk_key_encoding",),
}


def merged_options(options: Mapping[str, Any], given: Mapping[str, Any]) -> ArrayOptions:
    """Return options with those that are given in the place of theirs, and of what they replace.

    New chunks are not put into the old shards; for another dtype the codecs from elements to
    elements and the fill value are the defaults.
    """
    left_out = {other for name in given for other in _REPLACES.get(name, ())}
    if "chunks" in given and "shards" not in given:
        left_out.add("shards")
    if "dtype" in given:
        left_out |= {"filters", "serializer", "fill_value"}
    if "shape" in given and len(np.atleast_1d(given["shape"])) != len(options["shape"]):
        left_out |= {"chunks", "shards", "filters"}
    kept = {name: value for name, value in options.items() if name not in left_out}
    return cast("ArrayOptions", {**kept, **given})


def _document_of(a: Any) -> AnyArrayDocument | None:
    """Return the metadata of an array in a store, ours or zarr-python's."""
    if isinstance(a, Face):
        core = a._core
        if not isinstance(core, ArrayCore):
            raise TypeError(f"{core.url} is a group, and an array is needed")
        document: AnyArrayDocument = core.document
        return document
    metadata: Any = getattr(a, "metadata", None)
    if not hasattr(metadata, "to_dict") or not hasattr(a, "store_path"):
        return None
    raw = dict(metadata.to_dict())
    place = str(a.store_path)
    if raw.get("zarr_format") == 2:
        attributes = raw.pop("attributes", {})
        members = {ARRAY_KEY: raw, ATTRIBUTES_KEY: attributes}
        return cast("AnyArrayDocument", from_json_v2(members, "", place))
    return cast("AnyArrayDocument", from_json(raw, METADATA_KEY, place))


def _shape_options(document: AnyArrayDocument, spec: ArraySpec) -> dict[str, Any]:
    """Return what is the same in both formats."""
    sharding = _sharding(spec)
    return {
        "shape": spec.shape,
        "dtype": spec.data_type,
        "fill_value": None if document.fill_value is None else spec.fill_value,
        "chunks": _lengths(spec.grid) if sharding is None else sharding.chunk_shape,
    }


def _own_options(document: AnyArrayDocument, spec: ArraySpec) -> dict[str, Any]:
    """Return what else there is in the document's own format."""
    if isinstance(document, ArrayDocumentV2):
        return {
            "dtype": _dtype_v2(document.dtype),
            "filters": document.filters,
            "compressor": document.compressor,
            "order": document.order,
            "dimension_separator": document.dimension_separator,
        }
    options = _codec_options(_codecs(spec))
    sharding = _sharding(spec)
    if sharding is not None:
        options["shards"] = {
            "shape": _lengths(spec.grid),
            "index_location": sharding.index_location,
        }
    keys = extension(document.chunk_key_encoding)
    options["chunk_key_encoding"] = {"name": keys.name, **keys.configuration}
    options["dimension_names"] = document.dimension_names
    return options


def _dtype_v2(dtype: Any) -> Any:
    """Return a dtype of a document as numpy takes it, in its byte order."""
    if isinstance(dtype, str):
        return dtype
    return [(name, _dtype_v2(of), *map(_shape, shape)) for name, of, *shape in dtype]


def _shape(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _sharding(spec: ArraySpec) -> ShardingIndexed | None:
    return spec.codecs[0] if isinstance(spec.codecs[0], ShardingIndexed) else None


def _codecs(spec: ArraySpec) -> Sequence[Codec]:
    """Return the codecs of chunks: of those in shards, where there are shards."""
    sharding = _sharding(spec)
    return spec.codecs if sharding is None else sharding.codecs


def _codec_options(codecs: Sequence[Codec]) -> dict[str, Any]:
    (serializer,) = [codec for codec in codecs if isinstance(codec, ArrayBytesCodec)]
    return {
        "filters": [codec for codec in codecs if isinstance(codec, ArrayArrayCodec)],
        "serializer": serializer,
        "compressors": [codec for codec in codecs if isinstance(codec, BytesBytesCodec)],
    }


_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def codec_v3(codec: Codec) -> Codec:
    """Return a codec of Zarr v2 as the one of Zarr v3 that has the same data, if there is one."""
    configuration = codec.configuration()
    if codec.name == "numcodecs.gzip":
        return codec_of({"name": "gzip", "configuration": configuration})
    if codec.name == "numcodecs.zstd":
        checksum = configuration.get("checksum", False)
        return codec_of({"name": "zstd", "configuration": {**configuration, "checksum": checksum}})
    if codec.name == "numcodecs.blosc":
        shuffle = _SHUFFLES.get(configuration.pop("shuffle", -1))
        if shuffle is not None:
            configuration["shuffle"] = shuffle
        return codec_of({"name": "blosc", "configuration": configuration})
    return codec


def _options_v2(spec: ArraySpec) -> dict[str, Any]:
    """Return what else there is in Zarr v2 for an array of Zarr v3."""
    options = _codec_options(_codecs(spec))
    serializer = options.pop("serializer")
    filters = options["filters"]
    reverses = Transpose(tuple(reversed(range(len(spec.shape)))))
    if filters and filters[0] == reverses:
        options |= {"filters": filters[1:], "order": "F"}
    if isinstance(serializer, Bytes) and serializer.endian == "big":
        options["dtype"] = spec.dtype.newbyteorder(">")
    return options


def _lengths(grid: ChunkGrid) -> Any:
    """Return the option for a grid."""
    if isinstance(grid, RegularGrid):
        return grid.chunk_shape
    # those that reach beyond the array are cut off there
    return [
        each.longest
        if each.shortest == each.longest
        else each.extents_of(np.arange(each.count)).tolist()
        for each in grid.dimensions
    ]


def _chunks_of(a: Any) -> Any:
    """Return the chunks of an array of another library, ``None`` if it has none."""
    chunks = getattr(a, "chunks", None)
    if not isinstance(chunks, tuple) or len(chunks) != len(a.shape):
        return None
    if not any(isinstance(each, Sequence) for each in chunks):
        return chunks if all(chunks) else None
    # of dask, which says the length of each chunk: the last may be shorter
    if all(_is_regular(each) for each in chunks):
        return tuple(each[0] for each in chunks)
    return [list(each) for each in chunks]


def _is_regular(lengths: Sequence[int]) -> bool:
    return (
        bool(lengths)
        and lengths[0] >= 1
        and all(length == lengths[0] for length in lengths[:-1])
        and lengths[-1] <= lengths[0]
    )
