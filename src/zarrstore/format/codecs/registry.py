"""Codecs by their name in metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.numcodecs import (
    PREFIX,
    codec_class,
    codec_of_object,
    is_numcodecs_object,
    known_id,
    numcodecs_codec,
)
from zarrstore.format.documents import extension
from zarrstore.format.plugins import Plugins

__all__ = ["codec_from_dict", "codec_of", "codecs_of"]

_plugins: Plugins[Codec] = Plugins(
    "zarrstore.codecs",
    "codecs",
    (ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec),
    "ArrayArrayCodec, ArrayBytesCodec or BytesBytesCodec",
)

_CLASSES = {
    "blosc": "blosc.Blosc",
    "bytes": "bytes.Bytes",
    "cast_value": "cast_value.CastValue",
    "crc32c": "crc32c.Crc32c",
    "gzip": "gzip.Gzip",
    "scale_offset": "scale_offset.ScaleOffset",
    "sharding_indexed": "sharding_indexed.ShardingIndexed",
    "transpose": "transpose.Transpose",
    "vlen-bytes": "vlen.VlenBytes",
    "vlen-utf8": "vlen.VlenUtf8",
    "zstd": "zstd.Zstd",
}


def codec_from_dict(name: str, configuration: Mapping[str, Any]) -> Codec:
    """Return the codec of a metadata document; its module is imported now, if it was not.

    Raises
    ------
    MetadataError
        If there is no codec of that name, or its configuration is not valid.
    """
    path = _CLASSES.get(name)
    if path is not None:
        codec: Codec = codec_class(path).from_configuration(configuration)
        return codec
    if name in _plugins.points:
        return _plugins.make(name, "from_configuration", configuration)
    if name.startswith(PREFIX):
        return numcodecs_codec(name.removeprefix(PREFIX), configuration)
    known = [*_CLASSES, *_plugins.points, f"those of numcodecs ({PREFIX}...)"]
    raise MetadataError(f"codecs: unknown codec {name!r}; known are {', '.join(known)}")


def codec_of(given: Any) -> Codec:
    """Return a codec from one of ours, a name, a document, or one of zarr-python or numcodecs.

    Raises
    ------
    TypeError
        If it is none of these.
    MetadataError
        If there is no such codec, or its configuration is not valid.

    Examples
    --------
    >>> codec_of({"name": "gzip", "configuration": {"level": 1}})
    Gzip(level=1)
    """
    if isinstance(given, Codec):
        return given
    if isinstance(given, str):
        return codec_from_dict(given, {}) if given != "bytes" else Bytes()
    if is_numcodecs_object(given):
        return codec_of_object(given)
    if not isinstance(given, Mapping) and hasattr(given, "to_dict"):
        given = given.to_dict()
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return codec_from_dict(given["name"], given.get("configuration") or {})
    raise TypeError(
        "a codec is a Codec, one of numcodecs, a name, or {'name': ..., 'configuration': "
        f"{{...}}}}, not {given!r}"
    )


def codecs_of(members: Iterable[Any]) -> list[Codec]:
    """Return the codecs of a ``codecs`` member of a metadata document.

    One that is not known, and need not be understood, is left out: chunks are then decoded, and
    encoded, without it. That it can be ignored is what its document says; see
    https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html#extension-definition.
    """
    found = []
    for member in members:
        named = extension(member)
        if named.must_understand or _is_known(named.name):
            found.append(codec_from_dict(named.name, named.configuration))
    return found


def _is_known(name: str) -> bool:
    return (
        name in _CLASSES
        or name in _plugins.points
        or (name.startswith(PREFIX) and known_id(name.removeprefix(PREFIX)))
    )
