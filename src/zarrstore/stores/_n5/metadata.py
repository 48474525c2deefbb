"""The documents of Zarr v2 from an ``attributes.json`` of N5, and the other way round.

As zarr-python 2 has them: what either wrote, the other reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zarrstore.errors import MetadataError
from zarrstore.operations import Buffer

__all__ = [
    "ARRAY",
    "ATTRIBUTES",
    "DOCUMENTS",
    "GROUP",
    "KEYWORDS",
    "USER",
    "Dataset",
    "array_to_n5",
    "array_to_zarr",
    "dataset_of",
    "documents",
    "dumps",
    "group_to_n5",
    "parsed",
    "with_user_attributes",
]

ATTRIBUTES = "attributes.json"
ARRAY, GROUP, USER = ".zarray", ".zgroup", ".zattrs"
DOCUMENTS = (ARRAY, GROUP, USER)

Members = dict[str, Any]

_VERSION = "2.0.0"
_OF_DATASET = ("dataType", "dimensions", "blockSize", "compression")
_OLD_COMPRESSION = "compressionType"
KEYWORDS = ("n5", *_OF_DATASET)
"""Members of ``attributes.json`` that are no attributes of the user."""

_CODES = {
    **{
        f"{kind}int{8 * size}": f"{kind or 'i'}{size}"
        for size in (1, 2, 4, 8)
        for kind in ("", "u")
    },
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "complex64": "c8",
    "complex128": "c16",
    "bool": "b1",
}
_NAMES = {code: name for name, code in _CODES.items()}
_XZ, _XZ_CHECKS = 1, (-1, 4)
_WRAPPER = "n5_wrapper"


class Dataset(NamedTuple):
    """What is needed of a dataset to tell its blocks; shapes in C order."""

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    itemsize: int
    is_raw: bool


def parsed(data: Buffer, place: str) -> Members:
    """Return the object that some JSON holds.

    Raises
    ------
    MetadataError
    """
    try:
        found = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{place} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise MetadataError(f"{place} is {type(found).__name__}, not an object")
    return found


def dumps(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON."""
    return json.dumps(document, indent=4).encode()


def _lengths(attributes: Mapping[str, Any], name: str, least: int) -> tuple[int, ...]:
    found = attributes.get(name)
    if not isinstance(found, list) or not all(
        type(each) is int and least <= each < 2**63 for each in found
    ):
        raise MetadataError(f"{name} is a list of integers of {least} or more, not {found!r}")
    return tuple(found[::-1])


def dataset_of(attributes: Mapping[str, Any] | None) -> Dataset | None:
    """Return what there is of a dataset in the attributes of a node, ``None`` if it is none.

    Raises
    ------
    MetadataError
        If they are those of a dataset, and not valid.
    """
    if attributes is None or "dimensions" not in attributes:
        return None
    shape = _lengths(attributes, "dimensions", 0)
    block_shape = _lengths(attributes, "blockSize", 1)
    if len(shape) != len(block_shape):
        raise MetadataError(f"blockSize has {len(block_shape)} lengths for {len(shape)} dimensions")
    code = _code_of(attributes)
    is_raw = _compressor(attributes) is None
    return Dataset(shape, block_shape, int(code[1:]), is_raw)


def _code_of(attributes: Mapping[str, Any]) -> str:
    name = attributes.get("dataType")
    if not isinstance(name, str) or name not in _CODES:
        raise MetadataError(f"dataType is one of {', '.join(_CODES)}, not {name!r}")
    return _CODES[name]


def documents(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what there is of the documents of Zarr v2, by their names; each as it is, or how.

    The array's is `array_to_zarr` of the same attributes, which may not be valid.
    """
    if attributes is None:
        return {}
    found: Members = {}
    user = {name: value for name, value in attributes.items() if name not in KEYWORDS}
    if "dimensions" in attributes:
        found[ARRAY] = None
        if "compression" not in attributes:
            user.pop(_OLD_COMPRESSION, None)
    else:
        found[GROUP] = {"zarr_format": 2}
    if user:
        found[USER] = user
    return found


def array_to_zarr(attributes: Mapping[str, Any]) -> Members:
    """Return the ``.zarray`` of a dataset.

    Raises
    ------
    MetadataError
        If its attributes are not valid.
    """
    dataset = dataset_of(attributes)
    if dataset is None:
        raise MetadataError("there are no dimensions")
    code = _code_of(attributes)
    dtype = ("|" if dataset.itemsize == 1 else "<") + code
    chunks = list(dataset.block_shape)
    return {
        "zarr_format": 2,
        "shape": list(dataset.shape),
        "chunks": chunks,
        "dtype": dtype,
        "compressor": {
            "id": _WRAPPER,
            "compressor_config": _compressor(attributes),
            "dtype": dtype,
            "chunk_shape": chunks,
        },
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": ".",
    }


def group_to_n5(there: Mapping[str, Any] | None) -> Members:
    """Return the attributes of a node that becomes a group.

    Raises
    ------
    MetadataError
        If it is a dataset.
    """
    if there is not None and "dimensions" in there:
        raise MetadataError("there is a dataset already; delete it first")
    return {**(there or {}), "n5": _VERSION}


def with_user_attributes(there: Mapping[str, Any] | None, user: Mapping[str, Any]) -> Members:
    """Return the attributes of a node with others of the user.

    Raises
    ------
    MetadataError
        If one has a name that N5 has taken.
    """
    if taken := sorted(set(KEYWORDS) & set(user)):
        raise MetadataError(
            f"an attribute cannot be called {', '.join(taken)} in an N5 container, where that is "
            "what describes the dataset"
        )
    if there is None:
        return dict(user)
    kept = (*KEYWORDS, _OLD_COMPRESSION) if "compression" not in there else KEYWORDS
    return {**{name: value for name, value in there.items() if name in kept}, **user}


def array_to_n5(
    document: Mapping[str, Any], there: Mapping[str, Any] | None, is_root: bool
) -> Members:
    """Return the attributes of a node that becomes a dataset.

    Parameters
    ----------
    document : mapping
        A ``.zarray``.
    there : mapping or None
        The attributes that there are.
    is_root : bool

    Raises
    ------
    MetadataError
        If N5 has no such arrays.
    """
    dtype = document.get("dtype")
    code = dtype.lstrip("<>|=") if isinstance(dtype, str) else None
    if code not in _NAMES:
        raise MetadataError(f"dtype: N5 has {', '.join(_CODES)}, not {dtype!r}")
    if document.get("fill_value") not in (0, None):
        raise MetadataError(
            f"fill_value: N5 knows only 0, not {document['fill_value']!r}; leave it out"
        )
    if document.get("order", "C") != "C":
        raise MetadataError("order: N5 has only 'C'")
    if document.get("filters"):
        raise MetadataError("filters: N5 has none; give a compressor alone")
    attributes = {**(there or {})}
    if is_root:
        attributes["n5"] = _VERSION
    for name, member in (("dimensions", "shape"), ("blockSize", "chunks")):
        attributes[name] = _reversed(document, member)
    attributes["dataType"] = _NAMES[code]
    compressor = document.get("compressor")
    if isinstance(compressor, Mapping) and compressor.get("id") == _WRAPPER:
        compressor = compressor.get("compressor_config")
    if not _is_already(compressor, attributes):
        attributes["compression"] = _compression(compressor)
    dataset_of(attributes)
    return attributes


def _reversed(document: Mapping[str, Any], member: str) -> Any:
    found = document.get(member)
    return list(found)[::-1] if isinstance(found, Sequence) else found


def _is_already(compressor: Any, attributes: Mapping[str, Any]) -> bool:
    """Tell whether a compressor is what the attributes say, who may say more of it."""
    if not {"compression", _OLD_COMPRESSION} & set(attributes):
        return False
    try:
        return bool(_compressor(attributes) == compressor)
    except MetadataError:
        return False


def _compressor(attributes: Mapping[str, Any]) -> Members | None:
    """Return the compressor of a dataset as numcodecs has it, ``None`` for none."""
    given = attributes.get("compression")
    if given is None and _OLD_COMPRESSION in attributes:  # before N5 1.1
        given = {"type": attributes[_OLD_COMPRESSION]}
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(kind, str):
        raise MetadataError(f"compression is an object with a 'type', not {given!r}")
    if kind == "raw":
        return None
    if kind == "gzip":
        kind = "zlib" if given.get("useZlib") else "gzip"
        return {"id": kind, "level": given.get("level", -1)}
    if kind == "bzip2":
        return {"id": "bz2", "level": given.get("blockSize", 9)}
    if kind == "lz4" and "blockSize" in given:
        raise MetadataError(
            "compression: lz4 with a blockSize is in the framing of lz4-java, which is not known "
            "here"
        )
    if kind == "xz":
        preset = given.get("preset", 6)
        return {"id": "lzma", "format": _XZ, "check": -1, "preset": preset, "filters": None}
    names = _MEMBERS.get(kind)
    if names is None:
        names = {name: None for name in given if name not in ("type", "id")}
    members = {name: given.get(name, default) for name, default in names.items()}
    return {"id": kind, **{name: value for name, value in members.items() if value is not _LEFT}}


_LEFT = object()
_MEMBERS: dict[str, Mapping[str, Any]] = {
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
    "lz4": {"acceleration": 1},
    "lzma": {"format": _XZ, "check": -1, "preset": None, "filters": None},
    "zstd": {"level": 3, "checksum": _LEFT},
}


def _compression(compressor: Any) -> Members:
    """Return the compression of a dataset from a compressor of numcodecs."""
    if compressor is None:
        return {"type": "raw"}
    id = compressor.get("id") if isinstance(compressor, Mapping) else None
    if not isinstance(id, str):
        raise MetadataError(f"compressor is an object with an 'id', or null, not {compressor!r}")
    members = {name: value for name, value in compressor.items() if name != "id"}
    if id in ("gzip", "zlib"):
        return {"type": "gzip", "level": members.get("level", 1), "useZlib": id == "zlib"}
    if id == "bz2":
        return {"type": "bzip2", "blockSize": members.get("level", 1)}
    if id == "lzma":
        is_xz = members.get("format", _XZ) == _XZ and members.get("check", -1) in _XZ_CHECKS
        preset = members.get("preset")
        preset = 6 if preset is None else preset
        if is_xz and not members.get("filters"):
            return {"type": "xz", "preset": preset}
        return {"type": "lzma", **_MEMBERS["lzma"], **members, "preset": preset}
    return {"type": id, **members}
