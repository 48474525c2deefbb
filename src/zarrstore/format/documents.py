"""Metadata documents of Zarr v3 as typed structs.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html#metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.operations import Buffer

__all__ = [
    "MAX_DIMENSIONS",
    "METADATA_KEY",
    "ArrayDocument",
    "Document",
    "Extension",
    "GroupDocument",
    "Length",
    "decode",
    "dumps",
    "encode",
    "extension",
    "from_json",
    "invalid",
    "parse",
    "plain_attributes",
    "to_json",
]

METADATA_KEY = "zarr.json"
MAX_DIMENSIONS = 64

Length = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Extension(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A named extension point: a codec, a chunk grid, a chunk key encoding."""

    name: str
    configuration: dict[str, Any] = {}
    must_understand: bool = True


Named = str | Extension


class ArrayDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The ``zarr.json`` of an array."""

    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: Annotated[tuple[Length, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    data_type: Named
    chunk_grid: Named
    chunk_key_encoding: Named
    fill_value: Any
    codecs: tuple[Named, ...]
    attributes: dict[str, Any] = {}
    dimension_names: tuple[str | None, ...] | None = None
    storage_transformers: tuple[Named, ...] = ()
    extra: dict[str, Any] = {}
    """Members that are not understood and need not be; kept as they are."""


class GroupDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The ``zarr.json`` of a group."""

    zarr_format: Literal[3]
    node_type: Literal["group"]
    attributes: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    """Members that are not understood and need not be; kept as they are."""


Document = ArrayDocument | GroupDocument
T = TypeVar("T", ArrayDocument, GroupDocument)

_KNOWN = {
    "array": frozenset(ArrayDocument.__struct_fields__) - {"extra"},
    "group": frozenset(GroupDocument.__struct_fields__) - {"extra"},
}
_CLASSES: dict[str, type[Document]] = {"array": ArrayDocument, "group": GroupDocument}


def extension(named: Named) -> Extension:
    """Return an extension given by its name alone as one with an empty configuration."""
    return Extension(name=named) if isinstance(named, str) else named


def decode(data: Buffer, key: str, store: str) -> Document:
    """Read a metadata document.

    Parameters
    ----------
    data : bytes-like
    key, store : str
        Where it comes from, for messages.

    Raises
    ------
    MetadataError
        If it is not JSON, or not a valid document; the message has the path of the field.
    """
    return from_json(parse(data, key, store), key, store)


def from_json(raw: Any, key: str, store: str) -> Document:
    """Return the metadata document of parsed JSON: see `decode`."""
    try:
        return _document(raw)
    except (msgspec.MsgspecError, MetadataError) as error:
        raise invalid(key, store, 3, error) from error


def _document(raw: Any) -> Document:
    if not isinstance(raw, dict):
        raise MetadataError(f"the document is {type(raw).__name__}, not an object")
    node_type = raw.get("node_type")
    if raw.get("zarr_format") != 3 or node_type not in ("array", "group"):
        raise MetadataError(
            "zarr_format must be 3 and node_type 'array' or 'group'; found "
            f"{raw.get('zarr_format')!r} and {node_type!r}"
        )
    unknown = raw.keys() - _KNOWN[node_type]
    if not unknown:
        return msgspec.convert(raw, _CLASSES[node_type])
    known = {name: value for name, value in raw.items() if name not in unknown}
    extra = {name: value for name, value in raw.items() if name in unknown}
    for name, value in extra.items():
        if name != "consolidated_metadata" and not (
            isinstance(value, dict) and value.get("must_understand") is False
        ):
            raise MetadataError(f"{name}: a member that is not known here must be understood")
    return msgspec.convert({**known, "extra": extra}, _CLASSES[node_type])


def parse(data: Buffer, key: str, store: str) -> Any:
    """Parse the JSON of a metadata document, ``NaN`` and ``Infinity`` included.

    zarr-python writes these into attributes, and into the fill values of Zarr v2.

    Raises
    ------
    MetadataError
        If it is not JSON, or a name stands twice in an object.
    """
    try:
        try:
            raw = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            return _parse_slowly(data, error)
        # a name that stood twice is gone, and so is the colon behind it
        same = b"\\u003" not in bytes(data) and (
            msgspec.json.encode(raw).count(b":") == bytes(data).count(b":")
        )
        return raw if same else _parse_slowly(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MetadataError) as error:
        raise invalid(key, store, 3 if key.endswith(METADATA_KEY) else 2, error) from error


def _parse_slowly(data: Buffer, refused: msgspec.DecodeError | None = None) -> Any:
    try:
        return json.loads(str(data, "utf-8"), object_pairs_hook=_object)
    except MetadataError:
        raise
    except ValueError as error:
        raise refused or MetadataError(str(error)) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise MetadataError(f"{twice}: the name stands twice in one object")
    return found


def invalid(key: str, store: str, version: int, error: Exception) -> MetadataError:
    """Make the error of a document that is not valid."""
    return MetadataError(
        f"{key!r} in {store} is not a valid Zarr v{version} document: {error}",
        store=store,
        key=key,
    )


def encode(document: Document) -> bytes:
    """Return a metadata document as indented JSON.

    Its attributes are as `plain_attributes` returns them. Those that are not a number are
    written as zarr-python writes them: ``NaN``, ``Infinity``.
    """
    return dumps(to_json(document))


def to_json(document: Document) -> dict[str, Any]:
    """Return a metadata document as values of JSON."""
    raw: dict[str, Any] = msgspec.to_builtins(document)
    extra = raw.pop("extra", {})
    raw.setdefault("attributes", {})
    for codec in raw.get("codecs", ()):
        if isinstance(codec, dict) and codec["name"].startswith("numcodecs."):
            codec.setdefault("configuration", {})  # without, zarr-python refuses it
    return {**raw, **extra}


def dumps(value: Any) -> bytes:
    """Return values of JSON as indented text."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of attributes as they will be read again: plain values of JSON.

    Numbers and arrays of numpy become plain numbers and lists.

    Raises
    ------
    TypeError
        If there is something that JSON cannot hold; the message says where.

    Examples
    --------
    >>> plain_attributes({"range": (0, np.int16(3)), "scale": np.float32(0.5)})
    {'range': [0, 3], 'scale': 0.5}
    """
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes are a mapping, not {type(attributes).__name__}")
    try:
        plain: dict[str, Any] = _plain(attributes, "attributes")
    except RecursionError:
        raise TypeError("attributes are nested too deeply, or hold themselves") from None
    return plain


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        _check_text(value, place)
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{place}: the name {name!r} must be a str, as in JSON")
            _check_text(name, place)
        return {str(name): _plain(item, f"{place}[{name!r}]") for name, item in value.items()}
    raise TypeError(
        f"{place} is a {type(value).__name__}, and must be what JSON can hold: a number, str, "
        "bool, None, list or dict"
    )


def _check_text(text: str, place: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise TypeError(f"{place}: {text!r} cannot be written as UTF-8") from None
