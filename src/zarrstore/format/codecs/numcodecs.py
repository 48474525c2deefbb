"""Codecs of numcodecs by their name, and from objects of numcodecs.

In Zarr v3 their names begin with ``numcodecs.``; in Zarr v2 a codec is a document with an
``id``, which is the name without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import Codec

__all__ = [
    "PREFIX",
    "codec_class",
    "codec_of_object",
    "is_numcodecs_object",
    "known_id",
    "numcodecs_codec",
]

PREFIX = "numcodecs."

_CLASSES = {
    "adler32": "numcodecs_checksums.Adler32",
    "astype": "numcodecs_arrays.AsType",
    "bitround": "numcodecs_arrays.BitRound",
    "blosc": "numcodecs_bytes.NumcodecsBlosc",
    "bz2": "numcodecs_bytes.Bz2",
    "crc32": "numcodecs_checksums.Crc32",
    "crc32c": "numcodecs_checksums.NumcodecsCrc32c",
    "delta": "numcodecs_arrays.Delta",
    "fixedscaleoffset": "numcodecs_arrays.FixedScaleOffset",
    "fletcher32": "numcodecs_checksums.Fletcher32",
    "gzip": "numcodecs_bytes.NumcodecsGzip",
    "jenkins_lookup3": "numcodecs_checksums.JenkinsLookup3",
    "lz4": "numcodecs_bytes.Lz4",
    "lzma": "numcodecs_bytes.Lzma",
    "packbits": "numcodecs_arrays.PackBits",
    "pcodec": "numcodecs_arrays.PCodec",
    "quantize": "numcodecs_arrays.Quantize",
    "shuffle": "numcodecs_bytes.Shuffle",
    "zfpy": "numcodecs_arrays.Zfpy",
    "zlib": "numcodecs_bytes.Zlib",
    "zstd": "numcodecs_bytes.NumcodecsZstd",
}


def codec_class(path: str) -> Any:
    """Return a class by its module among the codecs and its name; imported now, if it was not.

    Examples
    --------
    >>> codec_class("gzip.Gzip")
    <class 'zarrstore.format.codecs.gzip.Gzip'>
    """
    module_name, class_name = path.split(".")
    return getattr(importlib.import_module(f"zarrstore.format.codecs.{module_name}"), class_name)


def known_id(id: object) -> bool:
    """Tell whether there is a codec for an id of numcodecs."""
    return isinstance(id, str) and id in _CLASSES


def numcodecs_codec(id: str, configuration: Mapping[str, Any]) -> Codec:
    """Return a codec by its id in numcodecs; its module is imported now, if it was not.

    Raises
    ------
    MetadataError
        If there is none, or its configuration is not valid.

    Examples
    --------
    >>> numcodecs_codec("bz2", {"level": 3}).to_dict()
    {'name': 'numcodecs.bz2', 'configuration': {'level': 3}}
    """
    if id == "pickle":
        raise MetadataError(
            "codecs: numcodecs.pickle is never used: unpickling runs whatever the data says"
        )
    if id not in _CLASSES:
        raise MetadataError(
            f"codecs: unknown codec {PREFIX + id!r}; known are "
            f"{', '.join(PREFIX + known for known in sorted(_CLASSES))}"
        )
    try:
        codec: Codec = codec_class(_CLASSES[id]).from_configuration(configuration)
        return codec
    except TypeError as error:
        raise MetadataError(f"codecs: {PREFIX}{id}: {error}") from error


def is_numcodecs_object(given: Any) -> bool:
    """Tell whether an object is a codec of numcodecs."""
    return isinstance(getattr(given, "codec_id", None), str) and hasattr(given, "get_config")


def codec_of_object(given: Any) -> Codec:
    """Return the codec of Zarr v3 that does what a codec of numcodecs does.

    It is one of the specification's own where there is one, which is more widely read.

    Raises
    ------
    MetadataError
        If there is none.

    Examples
    --------
    >>> import numcodecs
    >>> codec_of_object(numcodecs.Zstd(level=3)), codec_of_object(numcodecs.Delta("i4")).name
    (Zstd(level=3, checksum=False), 'numcodecs.delta')
    """
    configuration = given.get_config()
    id = configuration.pop("id")
    codec: Codec
    if id == "blosc":
        shuffle = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}.get(configuration["shuffle"])
        codec = codec_class("blosc.Blosc")(
            configuration["cname"],
            configuration["clevel"],
            shuffle,
            configuration.get("typesize"),
            configuration["blocksize"],
        )
    elif id == "zstd":
        checksum = configuration.get("checksum", False)
        codec = codec_class("zstd.Zstd")(min(configuration["level"], 22), checksum)
    elif id == "gzip":
        codec = codec_class("gzip.Gzip")(configuration["level"])
    elif id == "crc32c" and configuration.get("location", "end") == "end":
        codec = codec_class("crc32c.Crc32c")()
    elif id in ("vlen-utf8", "vlen-bytes"):
        codec = codec_class("vlen.VlenUtf8" if id == "vlen-utf8" else "vlen.VlenBytes")()
    else:
        codec = numcodecs_codec(id, configuration)
    return codec
