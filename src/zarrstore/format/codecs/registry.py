"""Codecs by their name in metadata."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.documents import extension

__all__ = ["codec_from_dict", "codec_of", "codecs_of"]

_MODULES = {
    "blosc": "Blosc",
    "bytes": "Bytes",
    "crc32c": "Crc32c",
    "gzip": "Gzip",
    "zstd": "Zstd",
}


def codec_from_dict(name: str, configuration: Mapping[str, Any]) -> Codec:
    """Return the codec of a metadata document; its module is imported now, if it was not.

    Raises
    ------
    MetadataError
        If there is no codec of that name, or its configuration is not valid.
    """
    if name not in _MODULES:
        raise MetadataError(f"codecs: unknown codec {name!r}; known are {', '.join(_MODULES)}")
    module = importlib.import_module(f"zarrstore.format.codecs.{name}")
    codec_class: type[Codec] = getattr(module, _MODULES[name])
    return codec_class.from_configuration(configuration)


def codec_of(given: Any) -> Codec:
    """Return a codec from one of ours, a name, a document, or a codec of zarr-python.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> codec_of({"name": "gzip", "configuration": {"level": 1}})
    Gzip(level=1)
    """
    if isinstance(given, Codec):
        return given
    if isinstance(given, str):
        return codec_from_dict(given, {}) if given != "bytes" else Bytes()
    if not isinstance(given, Mapping) and hasattr(given, "to_dict"):
        given = given.to_dict()
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return codec_from_dict(given["name"], given.get("configuration") or {})
    raise TypeError(
        f"a codec is a Codec, a name, or {{'name': ..., 'configuration': {{...}}}}, not {given!r}"
    )


def codecs_of(members: Iterable[Any]) -> list[Codec]:
    """Return the codecs of a ``codecs`` member of a metadata document."""
    return [
        codec_from_dict(named.name, named.configuration) for named in map(extension, members)
    ]
