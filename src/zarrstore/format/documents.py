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
    "METADATA_KEY",
    "ArrayDocument",
    "Document",
    "Extension",
    "GroupDocument",
    "decode",
    "encode",
    "extension",
    "plain_attributes",
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
    try:
        raw = _parsed(data)
        if not isinstance(raw, dict):
            raise MetadataError(f"the document is {type(raw).__name__}, not an object")
        node_type = raw.get("node_type")
        if raw.get("zarr_format") != 3 or node_type not in ("array", "group"):
            raise MetadataError(
                "zarr_format must be 3 and node_type 'array' or 'group'; found "
                f"{raw.get('zarr_format')!r} and {node_type!r}"
            )
        known = _KNOWN[node_type]
        extra = {name: raw.pop(name) for name in list(raw) if name not in known}
        for name, value in extra.items():
            if name != "consolidated_metadata" and not (
                isinstance(value, dict) and value.get("must_understand") is False
            ):
                raise MetadataError(f"{name}: a member that is not known here must be understood")
        document: Document = msgspec.convert({**raw, "extra": extra}, _CLASSES[node_type])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MetadataError) as error:
        raise MetadataError(
            f"{key!r} in {store} is not a valid Zarr v3 document: {error}", store=store, key=key
        ) from error
    return document


def _parsed(data: Buffer) -> Any:
    """Parse JSON, and the ``NaN`` and ``Infinity`` that zarr-python writes into attributes."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        try:
            return json.loads(str(data, "utf-8"))
        except ValueError:
            pass
        raise


def encode(document: Document) -> bytes:
    """Return a metadata document as indented JSON.

    Its attributes are as `plain_attributes` returns them. Those that are not a number are
    written as zarr-python writes them: ``NaN``, ``Infinity``.
    """
    raw = msgspec.to_builtins(document)
    extra = raw.pop("extra", {})
    raw.setdefault("attributes", {})
    return json.dumps({**raw, **extra}, indent=2, ensure_ascii=False).encode()


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
