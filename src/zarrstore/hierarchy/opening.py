"""Opening and creating, blocking. `zarrstore.aio` has the same as coroutines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from zarrstore.abc import Store
from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.functions import Opened
from zarrstore.hierarchy.group import Group, blocking_face
from zarrstore.hierarchy.group_core import GroupCore
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.registry import Engine, StoreLike
from zarrstore.runtime import drive_inline

__all__ = [
    "consolidate_metadata",
    "create_array",
    "create_group",
    "node",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_store",
    "run",
]

P = ParamSpec("P")
T = TypeVar("T")


def run(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one of `zarrstore.hierarchy.functions` in this thread."""
    return drive_inline(function, *args, **kwargs)


@overload
def node(opened: Opened[ArrayCore]) -> Array: ...
@overload
def node(opened: Opened[GroupCore]) -> Group: ...
@overload
def node(opened: Opened[ArrayCore | GroupCore]) -> Array | Group: ...
def node(opened: Opened[Any]) -> Array | Group:
    """Return the blocking face of a node."""
    face: Array | Group = blocking_face(opened.core, owns_store=opened.owns_store)
    return face


def open_store(
    store: StoreLike = None,
    *,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Store:
    """Open a store from a string, a path, a dict, or another object.

    Parameters
    ----------
    store : optional
        A path or ``file://`` URL (a directory, or a ``.zip`` file), ``memory://name``, a URL of
        any fsspec scheme (``s3://``, ``gs://``, ``az://``, ``https://`` ..., ``::`` chains), a
        pipeline such as ``s3://bucket/x.zip|zip:inner/``; ``None`` for a new `MemoryStore`; a
        dict or any mutable mapping; an ``FSMap``, a ``UPath``, or a tuple ``(fsspec filesystem,
        path)``; a store of obstore; a `Store`; a `Group`, for what is below it.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        ``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w`` delete
        what is there; ``w-`` fail if anything is there.
    storage_options : mapping, optional
        For the backend of a URL, such as ``{"anon": True}``.
    engine : {"obstore", "fsspec"}, optional
        What opens a URL of S3, Google Cloud, Azure or HTTP. By default what the environment
        variable ``ZARRSTORE_ENGINE`` names; else obstore if it is installed and the options mean
        the same to it, and fsspec if not.

    Returns
    -------
    Store
        Its methods are coroutines; ``store.sync`` has them blocking, as a mapping too.

    Raises
    ------
    StoreURLError
        If the URL has an unknown scheme, or one whose package is not installed.
    TypeError
        If nothing can be opened from the object; the message names what can.
    NodeNotFoundError, NodeExistsError
        If the mode needs data that is not there, or forbids data that is.

    Examples
    --------
    >>> store = open_store("memory://example")
    >>> store.sync["a"] = b"1"
    >>> open_store("memory://example", mode="r").sync["a"]
    b'1'
    """
    return run(functions.open_store, store, mode, storage_options, engine)


def create_array(
    store: StoreLike = None,
    *,
    name: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[ArrayOptions],
) -> Array:
    """Create an array, and the groups above it that are missing.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    name : str, optional
        The path in the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    progress : callable or bool, optional
        For writing ``data``: called with the number of chunks done and of all; ``True`` shows
        a bar.
    **options
        ``shape`` and ``dtype``, or ``data``; ``zarr_format`` (by default that of the group
        above, or 3), ``chunks``, ``shards``, ``compressors``, ``filters``, ``serializer``,
        ``fill_value``, ``attributes``, ``dimension_names``, ``chunk_key_encoding``,
        ``write_empty_chunks`` ...: see `ArrayOptions`.

    Raises
    ------
    NodeExistsError
        If there is an array or group, and not ``overwrite``; nothing was changed.
    TypeError, ValueError, MetadataError
        If an option is not valid; nothing was changed.

    Examples
    --------
    >>> array = create_array("memory://create", name="a/b", shape=(2, 3), dtype="float32")
    >>> array
    <Array memory://create/a/b shape=(2, 3) dtype=float32>
    """
    opened = run(functions.create_array, store, name, overwrite, storage_options, progress, options)
    return node(opened)


def create_group(
    store: StoreLike = None,
    *,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Create a group, and the groups above it that are missing.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    zarr_format : {2, 3}, optional
        By default that of the group above, or 3.
    attributes : mapping, optional
        Anything that JSON can hold.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeExistsError
        If there is an array or group, and not ``overwrite``; nothing was changed.

    Examples
    --------
    >>> create_group("memory://groups", path="a", attributes={"title": "x"}).attrs
    {'title': 'x'}
    """
    opened = run(
        functions.create_group, store, path, attributes, overwrite, zarr_format, storage_options
    )
    return node(opened)


def open_array(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> Array:
    """Open an array; create it where the mode allows and the options give its shape.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        ``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w``
        overwrite; ``w-`` fail if it exists.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        ``zarr_format``: only of that format; by default v3 is looked for, then v2.
        ``write_empty_chunks`` and ``config``: how it is written. Others as in `create_array`;
        used only if the array is created.

    Raises
    ------
    NodeNotFoundError
        If there is no array, and it is not to be created.
    MetadataError
        If its metadata is not valid.

    Examples
    --------
    >>> data = {}
    >>> array = open_array(data, shape=3, dtype="int8")
    >>> open_array(data, mode="r")[:]
    array([0, 0, 0], dtype=int8)
    """
    return node(run(functions.open_array, store, path, mode, storage_options, options))


def open_group(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    attributes: Mapping[str, Any] | None = None,
    zarr_format: Literal[2, 3] | None = None,
    use_consolidated: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Open a group; create it where the mode allows.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        As in `open_array`.
    attributes : mapping, optional
        Used only if the group is created.
    zarr_format : {2, 3}, optional
        Only of that format, or created in it; by default v3 is looked for, then v2.
    use_consolidated : bool, optional
        Whether members are looked up in consolidated metadata (see `consolidate_metadata`),
        which takes no request and may be out of date. ``True``: it must be there. ``None``, the
        default: if it is there and the mode is ``r``. (zarr-python uses it in any mode; here a
        group that may be written is always read as it is now.)
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError
        If there is no group, and it is not to be created.
    MetadataError
        If its metadata is not valid, or not consolidated and must be.

    Examples
    --------
    >>> open_group("memory://g")
    <Group memory://g>
    """
    opened = run(
        functions.open_group,
        store,
        path,
        mode,
        attributes,
        zarr_format,
        use_consolidated,
        storage_options,
    )
    return node(opened)


def open_consolidated(
    store: StoreLike = None,
    *,
    path: str | None = None,
    mode: AccessMode = "r",
    zarr_format: Literal[2, 3] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Open a group whose metadata is consolidated: `open_group` with ``use_consolidated=True``.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    mode : {"r", "r+", "a"}, default "r"
        In the other modes, too, members are as they were when the metadata was consolidated,
        until something is created, deleted or given attributes through the group.
    zarr_format : {2, 3}, optional
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError
        If there is no group.
    MetadataError
        If its metadata is not valid, or not consolidated.

    Examples
    --------
    >>> data = {}
    >>> array = create_array(data, name="a/b", shape=3)
    >>> group = consolidate_metadata(data)
    >>> open_consolidated(data)["a/b"]
    <Array memory://.../a/b shape=(3,) dtype=float64>
    """
    return open_group(
        store,
        path=path,
        mode=mode,
        zarr_format=zarr_format,
        use_consolidated=True,
        storage_options=storage_options,
    )


def consolidate_metadata(
    store: StoreLike = None,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Store the metadata of all nodes below a group with the group's own.

    The group, opened with mode ``r``, is then listed and its members opened without a request.
    What is created, deleted or changed afterwards is not seen there: consolidate again. Stores
    that cannot be listed, such as HTTP, need it.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    zarr_format : {2, 3}, optional
        Only a group of that format.
    storage_options : mapping, optional
        For the backend of a URL.

    Returns
    -------
    Group
        It looks members up in the store, as it is now. (In zarr-python it is the consolidated
        group.)

    Raises
    ------
    NodeNotFoundError
        If there is no group.
    MetadataError
        If a node below it is not valid; nothing was changed.

    Notes
    -----
    As zarr-python does: within ``zarr.json`` in Zarr v3, which is no part of the specification
    yet, and in ``.zmetadata`` in Zarr v2.

    Examples
    --------
    >>> data = {}
    >>> array = create_array(data, name="a/b", shape=3)
    >>> consolidate_metadata(data)
    <Group memory://...>
    >>> dict(open_group(data, mode="r").members(max_depth=None))
    {'a': <Group memory://.../a>, 'a/b': <Array memory://.../a/b shape=(3,) dtype=float64>}
    """
    return node(run(functions.consolidate_metadata, store, path, zarr_format, storage_options))


def open(
    store: StoreLike = None,
    mode: AccessMode = "a",
    *,
    path: str | None = None,
    use_consolidated: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> Array | Group:
    """Open the array or group at a path.

    Where there is none, and the mode allows, an array is created if ``shape`` or ``data`` is
    given, otherwise a group.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts, or a group.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        As in `open_array`.
    path : str, optional
        In the store; the root by default.
    use_consolidated : bool, optional
        As in `open_group`, if it is one.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `open_array`.

    Raises
    ------
    NodeNotFoundError
        If there is nothing, and nothing is to be created.

    Examples
    --------
    >>> open({})
    <Group memory://...>
    """
    return node(run(functions.open, store, mode, path, use_consolidated, storage_options, options))
