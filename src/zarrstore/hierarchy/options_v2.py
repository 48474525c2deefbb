"""The metadata of an array of Zarr v2 that is created, from what a user gives."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.v2 import object_codec_of, v2_members
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.numbers import Number
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.data_types.v2 import (
    data_type_from_v2,
    data_type_to_v2,
    encode_fill_value_v2,
)
from zarrstore.format.documents import ArrayDocument, plain_attributes
from zarrstore.format.documents_v2 import ArrayDocumentV2
from zarrstore.hierarchy.chunk_options import layout_of
from zarrstore.hierarchy.options import (
    ArrayOptions,
    check_names,
    document_v3,
    dtype_of,
    fill_value_of,
    named,
    refuse,
    shape_of,
)

__all__ = ["array_document", "document_v2"]

_NOT_IN_V2 = {
    "serializer": "the dtype says how elements become bytes",
    "shards": "give chunks=, or zarr_format=3",
    "codecs": "give filters= and compressor=",
    "dimension_names": "xarray keeps them in the attribute _ARRAY_DIMENSIONS",
}


def array_document(options: ArrayOptions, version: int) -> ArrayDocument | ArrayDocumentV2:
    """Return the metadata of an array to create, of a version of the format.

    Raises
    ------
    TypeError
        If an option is unknown, or ``shape`` is missing, or the dtype cannot be stored.
    MetadataError, ValueError
        If an option is out of range, or of the other version.
    """
    return document_v3(options) if version == 3 else document_v2(options)


def document_v2(options: ArrayOptions) -> ArrayDocumentV2:
    """Return the metadata of an array of Zarr v2 to create: see `array_document`."""
    check_names(options)
    refuse(options, _NOT_IN_V2, 2)
    shape = shape_of(options)
    data_type, dtype = _data_type(dtype_of(options), options.get("filters"))
    filters, compressor = v2_members(options.get("filters"), _compressor(options), data_type)
    _, stored = data_type_from_v2(dtype, object_codec_of(filters))
    layout = layout_of(shape, data_type.dtype.itemsize, options.get("chunks", "auto"), None)
    if not isinstance(layout.grid, RegularGrid):
        raise ValueError("Zarr v2 has chunks of one shape only; use zarr_format=3")
    has_none = "fill_value" in options and options["fill_value"] is None
    fill_value = None if has_none else fill_value_of(options, data_type)
    return ArrayDocumentV2(
        zarr_format=2,
        shape=shape,
        chunks=layout.grid.chunk_shape,
        dtype=dtype,
        compressor=compressor,
        fill_value=encode_fill_value_v2(data_type, fill_value, stored),
        order=options.get("order") or (options.get("config") or {}).get("order") or "C",
        filters=tuple(filters) if filters else None,
        dimension_separator=_separator(options),
        attributes=plain_attributes(options.get("attributes") or {}),
    )


def _data_type(given: Any, filters: Any) -> tuple[DataType, Any]:
    """Return the data type, and the ``dtype`` of the document."""
    if _is_object(given):
        members, _ = v2_members(filters, None, Number("int8"))
        object_codec = object_codec_of(members)
        if object_codec is None:
            raise TypeError(
                "dtype object needs a filter that makes bytes of objects, such as "
                "filters=[{'id': 'vlen-utf8'}]; or give dtype='string' or dtype='bytes'"
            )
        return data_type_from_v2("|O", object_codec)[0], "|O"
    data_type = data_type_for(given)
    return data_type, data_type_to_v2(data_type, _byte_order(given))


def _is_object(given: Any) -> bool:
    return given is object or given in ("O", "|O", "object") or given == np.dtype(object)


def _byte_order(given: Any) -> Literal["<", ">"]:
    """Return the byte order of a dtype, which Zarr v2 keeps; of the first field that has one."""
    try:
        dtype = np.dtype(given)
    except TypeError:
        return "<"
    while dtype.names is not None or dtype.subdtype is not None:
        if dtype.subdtype is not None:
            dtype = dtype.subdtype[0]
            continue
        fields = [dtype[name].base for name in dtype.names or ()]
        dtype = next((each for each in fields if each.byteorder != "|" or each.names), fields[0])
    if dtype.kind in "OT":
        return "<"
    return ">" if dtype.newbyteorder(">") == dtype and dtype.newbyteorder() != dtype else "<"


def _compressor(options: ArrayOptions) -> Any:
    if options.get("compressor") is not None and options.get("compressors") is not None:
        raise ValueError("compressor and compressors are the same in Zarr v2; give one of them")
    name: Any = "compressor" if "compressor" in options else "compressors"
    return options.get(name, "auto")


def _separator(options: ArrayOptions) -> Any:
    separator = options.get("dimension_separator")
    given = options.get("chunk_key_encoding")
    if given is not None:
        encoding = named("chunk_key_encoding", given)
        if encoding.name != "v2":
            raise ValueError(f"chunk_key_encoding must be 'v2' in Zarr v2, not {encoding.name!r}")
        from_encoding = encoding.configuration.get("separator", ".")
        if separator not in (None, from_encoding):
            raise ValueError("chunk_key_encoding and dimension_separator differ; give one of them")
        separator = from_encoding
    if separator not in (None, ".", "/"):
        raise ValueError(f"dimension_separator is '.' or '/', not {separator!r}")
    return separator or "."
