"""Opening and creating, blocking. `zarrstore.aio` has the same as coroutines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from zarrstore.abc import Store
from zarrstore.hierarchy import core
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.faces import loaded_data_here
from zarrstore.hierarchy.group import Group, blocking_face
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.hierarchy.progress import reporting
from zarrstore.registry import StoreLike, make_store
from zarrstore.sync import SyncStore

__all__ = [
    "create_array",
    "create_group",
    "open",
    "open_array",
    "open_group",
    "open_store",
    "store_for",
]


def store_for(
    store: StoreLike, mode: AccessMode, storage_options: Mapping[str, Any] | None
) -> tuple[Store, bool]:
    """Return the store for a mode, and whether it was made here rather than given."""
    core.check_mode(mode)
    made = make_store(store, read_only=mode == "r", storage_options=storage_options)
    return made, not isinstance(store, Store | SyncStore)


def open_store(
    store: StoreLike = None,
    *,
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a store from a string, a path, a dict, or another object.

    Parameters
    ----------
    store : optional
        A path or ``file://`` URL (a directory, or a ``.zip`` file), ``memory://name``, a URL of
        any fsspec scheme (``s3://``, ``gs://``, ``az://``, ``https://`` ..., ``::`` chains), a
        pipeline such as ``s3://bucket/x.zip|zip:inner/``; ``None`` for a new `MemoryStore`; a
        dict or any mutable mapping; an ``FSMap``, a ``UPath``, or a tuple ``(fsspec filesystem,
        path)``; a `Store`.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        ``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w`` delete
        what is there; ``w-`` fail if anything is there.
    storage_options : mapping, optional
        For the backend of a URL, such as ``{"anon": True}``.

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
    made, _ = store_for(store, mode, storage_options)
    made._home.drive(core.prepare_store, made, mode)
    return made


def create_array(
    store: StoreLike = None,
    *,
    name: str = "",
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[ArrayOptions],
) -> Array:
    """Create an array, and the groups above it that are missing.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts.
    name : str, default ""
        The path in the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    progress : callable or bool, optional
        For writing ``data``: called with the number of chunks done and of all; ``True`` shows
        a bar.
    **options
        ``shape`` and ``dtype``, or ``data``; ``chunks``, ``compressors``, ``serializer``,
        ``fill_value``, ``attributes``, ``dimension_names``, ``chunk_key_encoding``,
        ``write_empty_chunks``: see `ArrayOptions`.

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
    options = loaded_data_here(options)
    made, owns = store_for(store, "a", storage_options)
    with reporting(progress, f"writing /{core.node_path(name)}") as callback:
        node = made._home.drive(
            core.create_array, made, core.node_path(name), options, overwrite, callback
        )
    return blocking_face(node, owns_store=owns)


def create_group(
    store: StoreLike = None,
    *,
    path: str = "",
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Create a group, and the groups above it that are missing.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts.
    path : str, default ""
        In the store; the root by default.
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
    made, owns = store_for(store, "a", storage_options)
    path = core.node_path(path)
    node = made._home.drive(core.create_group, made, path, attributes, overwrite)
    return blocking_face(node, owns_store=owns)


def open_array(
    store: StoreLike = None,
    *,
    path: str = "",
    mode: AccessMode = "a",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> Array:
    """Open an array; create it where the mode allows and the options give its shape.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts.
    path : str, default ""
        In the store; the root by default.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        ``r`` read only, must exist; ``r+`` must exist; ``a`` create if missing; ``w``
        overwrite; ``w-`` fail if it exists.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        See `create_array`; used only if the array is created.

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
    options = loaded_data_here(options)
    made, owns = store_for(store, mode, storage_options)
    node = made._home.drive(core.open_array, made, core.node_path(path), mode, options)
    return blocking_face(node, owns_store=owns)


def open_group(
    store: StoreLike = None,
    *,
    path: str = "",
    mode: AccessMode = "a",
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Open a group; create it where the mode allows.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts.
    path : str, default ""
        In the store; the root by default.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        As in `open_array`.
    attributes : mapping, optional
        Used only if the group is created.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError
        If there is no group, and it is not to be created.

    Examples
    --------
    >>> open_group("memory://g")
    <Group memory://g>
    """
    made, owns = store_for(store, mode, storage_options)
    path = core.node_path(path)
    node = made._home.drive(core.open_group, made, path, mode, attributes)
    return blocking_face(node, owns_store=owns)


def open(
    store: StoreLike = None,
    mode: AccessMode = "a",
    *,
    path: str = "",
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ArrayOptions],
) -> Array | Group:
    """Open the array or group at a path.

    Where there is none, and the mode allows, an array is created if ``shape`` or ``data`` is
    given, otherwise a group.

    Parameters
    ----------
    store : optional
        Whatever `open_store` accepts.
    mode : {"a", "r", "r+", "w", "w-"}, default "a"
        As in `open_array`.
    path : str, default ""
        In the store; the root by default.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        See `create_array`; used only if something is created.

    Raises
    ------
    NodeNotFoundError
        If there is nothing, and nothing is to be created.

    Examples
    --------
    >>> open({})
    <Group memory://...>
    """
    options = loaded_data_here(options)
    made, owns = store_for(store, mode, storage_options)
    node = made._home.drive(core.open_any, made, core.node_path(path), mode, options)
    return blocking_face(node, owns_store=owns)
