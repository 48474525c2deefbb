"""The codecs of an array that is created, from what a user gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zarrstore.format.codecs.base import ArrayArrayCodec, ChunkSpec, Codec
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed
from zarrstore.hierarchy.chunk_options import Layout, is_auto

__all__ = ["codecs_v3", "several"]

_DEFAULT_COMPRESSOR = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
_PARTS = ("filters", "serializer", "compressors")


def codecs_v3(options: Mapping[str, Any], layout: Layout, spec: ChunkSpec) -> list[Codec]:
    """Return the codecs of an array of Zarr v3, each fitted to what it is given.

    Parameters
    ----------
    options : mapping
        ``filters``, ``serializer`` and ``compressors``, or all of them as ``codecs``.
    layout : Layout
    spec : ChunkSpec
        Of what the first codec is given; where there are shards, of a chunk in them.

    Raises
    ------
    TypeError, ValueError, MetadataError
        If something is no codec, or a codec cannot encode such chunks.
    """
    if options.get("codecs") is not None:
        both = [name for name in _PARTS if not _is_left_out(options, name)]
        if both:
            raise ValueError(f"codecs has all of them: give it, or {', '.join(both)}")
        given = several(options["codecs"])
    else:
        given = (
            *several(None if _is_left_out(options, "filters") else options["filters"]),
            _serializer(options, spec),
            *several(_compressors(options)),
        )
    codecs: list[Codec] = []
    for each in given:
        codec = codec_of(_unsettled(each)).fitted(spec)
        if isinstance(codec, ArrayArrayCodec):
            spec = codec.encoded_spec(spec)
        codecs.append(codec)
    if layout.inner is None:
        return codecs
    location: Any = layout.index_location
    return [ShardingIndexed(layout.inner, codecs, index_location=location)]


def _is_left_out(options: Mapping[str, Any], name: str) -> bool:
    return name not in options or is_auto(options[name])


def _serializer(options: Mapping[str, Any], spec: ChunkSpec) -> Any:
    given = options.get("serializer")
    if given is None or is_auto(given):
        return Bytes() if spec.data_type.serializer == "bytes" else spec.data_type.serializer
    return given


def _compressors(options: Mapping[str, Any]) -> Any:
    return _DEFAULT_COMPRESSOR if _is_left_out(options, "compressors") else options["compressors"]


def several(given: Any) -> tuple[Any, ...]:
    """Return what is given for one or several codecs as several."""
    if given is None:
        return ()
    is_several = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    return tuple(given) if is_several else (given,)


def _unsettled(codec: Any) -> Any:
    """Leave open in a codec of zarr-python what it would itself fill in from the array."""
    open_names = getattr(codec, "_tunable_attrs", None)
    if not open_names or not hasattr(codec, "to_dict"):
        return codec
    document = codec.to_dict()
    configuration = document.get("configuration") or {}
    return {
        "name": document["name"],
        "configuration": {k: None if k in open_names else v for k, v in configuration.items()},
    }
