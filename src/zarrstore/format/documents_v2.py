"""Metadata documents of Zarr v2 as typed structs.

A node has two: ``.zarray`` or ``.zgroup``, and ``.zattrs``, which may be missing. Here they are
one, as in Zarr v3. Follows https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from zarrstore.errors import MetadataError
from zarrstore.format.documents import MAX_DIMENSIONS, Length, invalid

__all__ = [
    "ARRAY_KEY",
    "ATTRIBUTES_KEY",
    "GROUP_KEY",
    "ArrayDocumentV2",
    "DocumentV2",
    "GroupDocumentV2",
    "from_json_v2",
    "to_json_v2",
]

ARRAY_KEY = ".zarray"
GROUP_KEY = ".zgroup"
ATTRIBUTES_KEY = ".zattrs"

ChunkLength = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Members = dict[str, Any]


class ArrayDocumentV2(msgspec.Struct, kw_only=True):
    """The ``.zarray`` of an array, and its attributes."""

    node_type: ClassVar[Literal["array"]] = "array"
    dimension_names: ClassVar[None] = None
    """Zarr v2 has none."""

    zarr_format: Literal[2]
    shape: Annotated[tuple[Length, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    chunks: Annotated[tuple[ChunkLength, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    dtype: str | list[Any]
    """A numpy type string, or a list of the fields of a structured type."""
    compressor: Members | None
    fill_value: Any
    """``None`` leaves it to the reader."""
    order: Literal["C", "F"]
    filters: tuple[Members, ...] | None = None
    dimension_separator: Literal[".", "/"] = "."
    attributes: Members = {}
    extra: Members = {}
    """Members that are not known here; kept as they are."""

    def __post_init__(self) -> None:
        if len(self.chunks) != len(self.shape):
            raise ValueError(
                f"chunks has {len(self.chunks)} lengths for {len(self.shape)} dimensions"
            )


class GroupDocumentV2(msgspec.Struct, kw_only=True):
    """The ``.zgroup`` of a group, and its attributes."""

    node_type: ClassVar[Literal["group"]] = "group"

    zarr_format: Literal[2]
    attributes: Members = {}
    extra: Members = {}
    """Members that are not known here; kept as they are."""


DocumentV2 = ArrayDocumentV2 | GroupDocumentV2

_CLASSES: dict[str, type[DocumentV2]] = {ARRAY_KEY: ArrayDocumentV2, GROUP_KEY: GroupDocumentV2}
_KNOWN = {
    key: frozenset(cls.__struct_fields__) - {"attributes", "extra"} for key, cls in _CLASSES.items()
}


def from_json_v2(found: Mapping[str, Any], path: str, store: str) -> DocumentV2 | None:
    """Return the document of a node from its parsed JSON, ``None`` if it is no node.

    Parameters
    ----------
    found : mapping
        What there is of ``.zarray``, ``.zgroup`` and ``.zattrs``.
    path, store : str
        Of the node, for messages.

    Raises
    ------
    MetadataError
        If it is not valid; the message has the path of the field.

    Examples
    --------
    >>> from_json_v2({".zgroup": {"zarr_format": 2}, ".zattrs": {"a": 1}}, "", "memory://x")
    GroupDocumentV2(zarr_format=2, attributes={'a': 1}, extra={})
    """
    name = next((name for name in _CLASSES if name in found), None)
    if name is None:
        return None
    document = name
    try:
        raw = found[name]
        if not isinstance(raw, dict):
            raise MetadataError(f"the document is {type(raw).__name__}, not an object")
        known = {member: value for member, value in raw.items() if member in _KNOWN[name]}
        extra = {member: value for member, value in raw.items() if member not in known}
        made = msgspec.convert({**known, "extra": extra}, _CLASSES[name])
        document = ATTRIBUTES_KEY
        attributes = found.get(ATTRIBUTES_KEY, {})
        if not isinstance(attributes, dict):
            raise MetadataError(f"attributes are {type(attributes).__name__}, not an object")
    except (msgspec.MsgspecError, MetadataError) as error:
        key = f"{path}/{document}" if path else document
        raise invalid(key, store, 2, error) from error
    made.attributes = attributes
    return made


def to_json_v2(document: DocumentV2) -> dict[str, dict[str, Any]]:
    """Return the documents of a node by their names, as values of JSON.

    ``.zattrs`` is there if there are attributes.
    """
    raw: dict[str, Any] = msgspec.to_builtins(document)
    extra = raw.pop("extra")
    attributes = raw.pop("attributes")
    name = ARRAY_KEY if isinstance(document, ArrayDocumentV2) else GROUP_KEY
    if name == ARRAY_KEY:
        raw["filters"] = raw["filters"] or None  # an empty list is not what the format says
    files = {name: {**raw, **extra}}
    return {**files, ATTRIBUTES_KEY: attributes} if attributes else files
