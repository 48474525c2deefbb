"""Metadata documents of Zarr v3 as typed structs.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html#metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

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
    "Named",
    "Shape",
    "as_stored",
    "decode",
    "decode_consolidated",
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
Shape = Annotated[tuple[Length, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]


class Extension(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A named extension point: a codec, a chunk grid, a chunk key encoding."""

    name: str
    configuration: dict[str, Any] = {}
    must_understand: bool = True


Named: TypeAlias = str | Extension


class ArrayDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The ``zarr.json`` of an array."""

    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: Shape
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
    consolidated_metadata: msgspec.Raw | None = None
    """The JSON of what is known here of the nodes below it, as it is stored."""
    extra: dict[str, Any] = {}
    """Members that are not understood and need not be; kept as they are."""


Document = ArrayDocument | GroupDocument
S = TypeVar("S")

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
    stored = _quickly(_stored, data)
    if stored is None:
        return from_json(parse(data, key, store), key, store)
    return _document_of(stored)


def decode_consolidated(data: Buffer) -> dict[str, Document] | None:
    """Read the documents of all nodes below a group, by their paths.

    ``None`` if one of them cannot be read so: then each may be tried by `from_json`.
    """
    found = _quickly(_stored_below, data)
    if found is None:
        return None
    return {path: _document_of(stored) for path, stored in found.metadata.items()}


class _Stored(msgspec.Struct, tag_field="node_type", forbid_unknown_fields=True):
    """A document as it is stored, with those members only that are there."""

    zarr_format: Literal[3]
    attributes: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _StoredArray(_Stored, tag="array", kw_only=True):
    shape: Shape
    data_type: Named
    chunk_grid: Named
    chunk_key_encoding: Named
    fill_value: Any
    codecs: tuple[Named, ...]
    dimension_names: tuple[str | None, ...] | msgspec.UnsetType | None = msgspec.UNSET
    storage_transformers: tuple[Named, ...] | msgspec.UnsetType = msgspec.UNSET


class _StoredGroup(_Stored, tag="group"):
    consolidated_metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _StoredBelow(msgspec.Struct, forbid_unknown_fields=True):
    """The ``consolidated_metadata`` of a group."""

    kind: Literal["inline"]
    metadata: dict[str, _StoredArray | _StoredGroup]
    must_understand: bool | msgspec.UnsetType = msgspec.UNSET


_stored: Callable[[Buffer], _StoredArray | _StoredGroup]
_stored = msgspec.json.Decoder(_StoredArray | _StoredGroup).decode
_stored_below = msgspec.json.Decoder(_StoredBelow).decode
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _quickly(decode: Callable[[Buffer], S], data: Buffer) -> S | None:
    """Decode what is as most are, in one go; ``None`` if it is not, or not valid."""
    try:
        found = decode(data)
    except _FAULTS:
        return None
    return found if _has_all_names(found, data) else None


def _document_of(stored: _StoredArray | _StoredGroup) -> Document:
    attributes = {} if stored.attributes is msgspec.UNSET else stored.attributes
    if isinstance(stored, _StoredGroup):
        below = stored.consolidated_metadata
        return GroupDocument(
            zarr_format=3,
            node_type="group",
            attributes=attributes,
            consolidated_metadata=None if below is msgspec.UNSET else below,
        )
    names = stored.dimension_names
    transformers = stored.storage_transformers
    return ArrayDocument(
        zarr_format=3,
        node_type="array",
        shape=stored.shape,
        data_type=stored.data_type,
        chunk_grid=stored.chunk_grid,
        chunk_key_encoding=stored.chunk_key_encoding,
        fill_value=stored.fill_value,
        codecs=stored.codecs,
        attributes=attributes,
        dimension_names=None if names is msgspec.UNSET else names,
        storage_transformers=() if transformers is msgspec.UNSET else transformers,
    )


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
    known = {name: value for name, value in raw.items() if name not in unknown}
    extra = {name: value for name, value in raw.items() if name in unknown}
    for name, value in extra.items():
        if name != "consolidated_metadata" and not (
            isinstance(value, dict) and value.get("must_understand") is False
        ):
            raise MetadataError(f"{name}: a member that is not known here must be understood")
    below = known.pop("consolidated_metadata", msgspec.UNSET)
    document = msgspec.convert({**known, "extra": extra}, _CLASSES[node_type])
    if isinstance(document, GroupDocument) and below is not msgspec.UNSET:
        document.consolidated_metadata = as_stored(below)
    return document


def parse(data: Buffer, key: str, store: str) -> Any:
    """Parse the JSON of a metadata document, ``NaN`` and ``Infinity`` included.

    zarr-python writes these into attributes, and into the fill values of Zarr v2.

    Raises
    ------
    MetadataError
        If it is not JSON, or a name stands twice in an object.
    """
    try:
        return _parsed(data)
    except MetadataError as error:
        raise invalid(key, store, 3 if key.endswith(METADATA_KEY) else 2, error) from error


def _parsed(data: Buffer) -> Any:
    try:
        try:
            raw = _decode(data)
        except msgspec.DecodeError as error:
            return _parse_slowly(data, error)
        return raw if _has_all_names(raw, data) else _parse_slowly(data)
    except _FAULTS as error:
        raise MetadataError(str(error)) from error


def _has_all_names(found: Any, data: Buffer) -> bool:
    """Tell whether what was decoded has all the names that stand in the text, each once.

    ``False`` if it cannot be told. A name that stood twice is gone, and so is the colon behind it.
    """
    if memoryview(data).nbytes > _PIECE:
        return _has_all_of_many(found, data)
    text = bytes(data)
    if b"\\" in text and b"\\u003" in text:  # perhaps a colon
        return False
    return _encode(found).count(b":") == text.count(b":")


def _has_all_of_many(found: Any, data: Buffer) -> bool:
    """Do the same for a long text, without another copy of it."""
    if _count(data, "\\") and b"\\u003" in bytes(data):
        return False
    within = 0
    if isinstance(found, _StoredGroup) and found.consolidated_metadata is not msgspec.UNSET:
        within = _count(found.consolidated_metadata, ":")
        found = msgspec.structs.replace(found, consolidated_metadata=msgspec.Raw(b"0"))
    return within + _count(_encode(found), ":") == _count(data, ":")


def _count(text: Buffer, character: str) -> int:
    view = memoryview(text)
    pieces = (view[start : start + _PIECE] for start in range(0, view.nbytes, _PIECE))
    wanted = ord(character)
    return sum([int(np.count_nonzero(np.frombuffer(each, "u1") == wanted)) for each in pieces])


_PIECE = 2**16
"""Bytes from which numpy counts faster, and few enough to be near the processor."""


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
    below = None
    if isinstance(document, GroupDocument) and document.consolidated_metadata is not None:
        below = document.consolidated_metadata
        document = msgspec.structs.replace(document, consolidated_metadata=None)
    raw: dict[str, Any] = msgspec.to_builtins(document)
    extra = raw.pop("extra", {})
    raw.setdefault("attributes", {})
    if below is not None:
        try:
            raw["consolidated_metadata"] = _parsed(below)
        except MetadataError as error:
            raise MetadataError(f"consolidated_metadata: {error}") from error
    for codec in raw.get("codecs", ()):
        if isinstance(codec, dict) and codec["name"].startswith("numcodecs."):
            codec.setdefault("configuration", {})  # without, zarr-python refuses it
    return {**raw, **extra}


def dumps(value: Any) -> bytes:
    """Return values of JSON as indented text."""
    text = _compact(value)
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:  # it has a number that JSON has not
        return json.dumps(value, indent=2, ensure_ascii=False).encode()


def as_stored(value: Any) -> msgspec.Raw:
    """Return values of JSON as they stand in a document that was read."""
    return msgspec.Raw(_compact(value))


def _compact(value: Any) -> bytes:
    text = _encode(value)
    if b"null" not in text:
        return text
    # perhaps for a number that is none, which is to be written as zarr-python writes it
    return json.dumps(value, ensure_ascii=False).encode()


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
    if not isinstance(attributes, dict | Mapping):
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
    if isinstance(value, dict | Mapping):
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
