"""Making arrays and groups in a store, and migrating arrays of Zarr v1, as zarr 2 does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numcodecs.registry import get_codec

from zarrstore.errors import MetadataError, NodeExistsError
from zarrstore.format.array_spec import compile_spec
from zarrstore.format.documents import dumps, parse
from zarrstore.format.documents_v2 import (
    ARRAY_KEY,
    ATTRIBUTES_KEY,
    ArrayDocumentV2,
    from_json_v2,
    to_json_v2,
)
from zarrstore.hierarchy.opening import create_array, create_group
from zarrstore.registry import StoreLike
from zarrstore.v2.functions import contains_array, normalize_store_arg
from zarrstore.v2.store import DimensionSeparator, V2Store, normalize_path

__all__ = [
    "ContainsArrayError",
    "ContainsGroupError",
    "init_array",
    "init_group",
    "migrate_1to2",
]

_DEFAULT = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
_V1_METADATA = "meta"
_V1_ATTRIBUTES = "attrs"
_FIRST_ARGUMENT = {"lz4": "acceleration", "lzma": "format"}
"""What the one option of a compressor is called that is not its level."""


class ContainsArrayError(NodeExistsError, ValueError):
    """There is already an array at the path."""


class ContainsGroupError(NodeExistsError, ValueError):
    """There is already a group at the path."""


@contextmanager
def _told_by_kind(face: V2Store, path: str | bytes | None) -> Iterator[None]:
    """Raise what zarr 2 raises of a node that exists, which is a ValueError."""
    try:
        yield
    except NodeExistsError as error:
        cls = ContainsArrayError if contains_array(face, path) else ContainsGroupError
        raise cls(str(error), store=error.store, key=error.key) from error


def init_array(
    store: StoreLike,
    shape: int | Sequence[int],
    chunks: bool | int | Sequence[int | None] = True,
    dtype: Any = None,
    compressor: Any = "default",
    fill_value: Any = None,
    order: Literal["C", "F"] = "C",
    overwrite: bool = False,
    path: str | bytes | None = None,
    chunk_store: StoreLike = None,
    filters: Sequence[Any] | None = None,
    object_codec: Any = None,
    dimension_separator: DimensionSeparator | None = None,
) -> None:
    """Write the metadata of an array of Zarr v2, and the groups above it that are missing.

    Parameters
    ----------
    store
        Any store or mapping.
    shape : int or sequence of int
    chunks : bool, int or sequence of int, default True
        ``True`` for chunks of about 1 MiB, ``False`` for one chunk. ``None`` or -1 is the whole
        length, as it is along the dimensions that are left out at the end.
    dtype : optional
        float64 by default.
    compressor : optional
        By default Blosc with lz4; ``None`` or ``"none"`` for none. An array without dimensions
        has none.
    fill_value : optional
        ``None`` is stored as such.
    order : {"C", "F"}, default "C"
    overwrite : bool, default False
        Whether to delete what is at the path, in ``chunk_store`` too.
    path : str, optional
        The root by default.
    chunk_store : optional
        Where the chunks are to be, if not in ``store``.
    filters : sequence, optional
    object_codec : optional
        What makes bytes of objects: the first of the filters.
    dimension_separator : {".", "/"}, optional
        By default that of the store, or ``"."``.

    Raises
    ------
    ContainsArrayError, ContainsGroupError
        If there is one, and not ``overwrite``.
    TypeError, ValueError, MetadataError
        If an option is not valid.

    Examples
    --------
    >>> store = {}
    >>> init_array(store, shape=100, chunks=10, dtype="i1", path="foo")
    >>> sorted(store)
    ['.zgroup', 'foo/.zarray']
    """
    face = normalize_store_arg(store)
    base = np.dtype(dtype)  # None is float64
    lengths = (*((shape,) if isinstance(shape, int | np.integer) else shape), *base.shape)
    with _told_by_kind(face, path):
        create_array(
            face,
            name=normalize_path(path) or None,
            shape=lengths,
            dtype=base.base,
            chunks=_chunks(chunks, len(lengths)),
            compressor=_compressor(compressor, lengths),
            fill_value=fill_value,
            order=order,
            overwrite=overwrite,
            filters=[*([] if object_codec is None else [object_codec]), *(filters or ())] or None,
            dimension_separator=dimension_separator or face.dimension_separator,
            zarr_format=2,
        )
    _empty(chunk_store, path, overwrite)


def _chunks(given: Any, ndim: int) -> Any:
    if isinstance(given, bool):
        return "auto" if given else False
    if isinstance(given, int | np.integer):
        return given
    lengths = [-1 if length is None else length for length in given]
    return [*lengths, *[-1] * (ndim - len(lengths))]


def _compressor(given: Any, lengths: Sequence[int]) -> Any:
    if not lengths or given is None or (isinstance(given, str) and given == "none"):
        return None
    return _DEFAULT if isinstance(given, str) and given == "default" else given


def _empty(chunk_store: StoreLike, path: str | bytes | None, overwrite: bool) -> None:
    if overwrite and chunk_store is not None:
        normalize_store_arg(chunk_store).rmdir(normalize_path(path))


def init_group(
    store: StoreLike,
    overwrite: bool = False,
    path: str | bytes | None = None,
    chunk_store: StoreLike = None,
) -> None:
    """Write the metadata of a group of Zarr v2, and the groups above it that are missing.

    Parameters
    ----------
    store
        Any store or mapping.
    overwrite : bool, default False
        Whether to delete what is at the path, in ``chunk_store`` too.
    path : str, optional
        The root by default.
    chunk_store : optional

    Raises
    ------
    ContainsArrayError, ContainsGroupError
        If there is one, and not ``overwrite``.

    Examples
    --------
    >>> store = {}
    >>> init_group(store, path="a/b")
    >>> sorted(store)
    ['.zgroup', 'a/.zgroup', 'a/b/.zgroup']
    """
    face = normalize_store_arg(store)
    with _told_by_kind(face, path):
        create_group(
            face,
            path=normalize_path(path),
            overwrite=overwrite,
            zarr_format=2,
        )
    _empty(chunk_store, path, overwrite)


def migrate_1to2(store: StoreLike) -> None:
    """Make an array of Zarr v2 of one of Zarr v1, which lies at the root; its chunks stay.

    The new metadata is written before the old is deleted.

    Raises
    ------
    KeyNotFoundError
        If there is no array of Zarr v1.
    MetadataError
        If its metadata is not valid, or its compressor unknown.

    Examples
    --------
    >>> store = {"attrs": b"{}", "meta": b'''{"shape": [4], "chunks": [2], "dtype": "<i4",
    ...     "compression": "zlib", "compression_opts": 1, "fill_value": 0, "order": "C",
    ...     "zarr_format": 1}'''}
    >>> migrate_1to2(store)
    >>> import zarrstore
    >>> zarrstore.open_array(store, mode="r")
    <Array memory://... shape=(4,) dtype=int32>
    """
    face = normalize_store_arg(store)
    raw = parse(face[_V1_METADATA], _V1_METADATA, face.url)
    if not isinstance(raw, dict) or raw.get("zarr_format", 1) != 1:
        raise MetadataError(f"{_V1_METADATA!r} in {face.url} is no metadata of Zarr v1")
    compressor = _v1_compressor(raw.pop("compression", None), raw.pop("compression_opts", None))
    raw |= {"zarr_format": 2, "filters": None, "compressor": compressor}
    attributes = face.get(_V1_ATTRIBUTES)
    found = {ARRAY_KEY: raw}
    if attributes is not None:
        found[ATTRIBUTES_KEY] = parse(attributes, _V1_ATTRIBUTES, face.url)
    document = from_json_v2(found, "", face.url)
    assert isinstance(document, ArrayDocumentV2)
    compile_spec(document)
    for key, value in reversed([*({ATTRIBUTES_KEY: {}} | to_json_v2(document)).items()]):
        face[key] = dumps(value)
    face.delitems([_V1_METADATA, _V1_ATTRIBUTES])


def _v1_compressor(name: Any, options: Any) -> dict[str, Any] | None:
    """Return the document of a compressor from its name and options in Zarr v1."""
    if name in (None, "none"):
        return None
    if isinstance(options, Mapping):
        given = dict(options)
    else:
        given = {} if options is None else {_FIRST_ARGUMENT.get(name, "level"): options}
    try:
        config: dict[str, Any] = get_codec({**given, "id": name}).get_config()
    except (TypeError, ValueError) as error:
        raise MetadataError(f"compression {name!r} with {options!r}: {error}") from error
    return config
