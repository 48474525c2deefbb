"""Saving, copying, moving and deleting arrays and groups, blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.copying_stores import CopyReport, IfExists
from zarrstore.hierarchy.group import Group
from zarrstore.hierarchy.opening import node, run
from zarrstore.hierarchy.options import AccessMode, DataOptions
from zarrstore.hierarchy.tree import Tree
from zarrstore.registry import StoreLike

__all__ = [
    "copy",
    "copy_store",
    "delete",
    "load",
    "move",
    "save",
    "save_array",
    "save_group",
    "tree",
]


def save_array(
    store: StoreLike,
    arr: Any,
    *,
    path: str | None = None,
    mode: AccessMode = "a",
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> None:
    """Save an array, as `numpy.save` does.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    arr : array-like
    path : str, optional
        In the store; the root by default.
    mode : {"a", "w"}, default "a"
        ``w`` is ``overwrite=True``.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    progress : callable or bool, optional
    **options
        As in `create_array`.

    Raises
    ------
    NodeExistsError
        If there is an array or group, and not ``overwrite``.

    Examples
    --------
    >>> save_array("memory://saved", [1, 2])
    >>> load("memory://saved")
    array([1, 2])
    """
    run(
        functions.save_array,
        store,
        arr,
        path,
        overwrite or mode == "w",
        storage_options,
        progress,
        options,
    )


def save_group(
    store: StoreLike,
    *args: Any,
    zarr_format: Literal[2, 3] | None = None,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save several arrays in a group, as `numpy.savez` does; what was at the path is deleted.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    *args : array-like
        Named ``arr_0``, ``arr_1`` ...
    zarr_format : {2, 3}, optional
        By default that of the group above, or 3.
    path : str, optional
        In the store; the root by default.
    storage_options : mapping, optional
        For the backend of a URL.
    **kwargs : array-like
        With their names.

    Raises
    ------
    TypeError
        If a data type cannot be stored; nothing was deleted.

    Examples
    --------
    >>> save_group("memory://several", [1, 2], mask=[True])
    >>> load("memory://several")
    {'arr_0': array([1, 2]), 'mask': array([ True])}
    """
    run(functions.save_group, store, args, kwargs, path, zarr_format, storage_options)


def save(
    store: StoreLike,
    *args: Any,
    zarr_format: Literal[2, 3] | None = None,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save one array by `save_array`, or several by `save_group`.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    *args : array-like
    zarr_format : {2, 3}, optional
        By default that of the group above, or 3.
    path : str, optional
        In the store; the root by default.
    storage_options : mapping, optional
        For the backend of a URL.
    **kwargs : array-like
        With their names.

    Examples
    --------
    >>> save("memory://one", [1, 2])
    >>> load("memory://one")
    array([1, 2])
    """
    run(functions.save, store, args, kwargs, path, zarr_format, storage_options)


def load(
    store: StoreLike,
    path: str | None = None,
    zarr_format: Literal[2, 3] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Return an array as a numpy array, or a group as a dict of them.

    A group below is a dict in the dict.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    path : str, optional
        In the store; the root by default.
    zarr_format : {2, 3}, optional
        Only of that format.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError
        If there is no array or group.

    Examples
    --------
    >>> from zarrstore import ones
    >>> load(ones(3, dtype="int8"))
    array([1, 1, 1], dtype=int8)
    """
    return run(functions.load, store, path, zarr_format, storage_options)


def tree(
    store: StoreLike,
    level: int | None = None,
    *,
    path: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Tree:
    """Return what is below a group, drawn as a tree: see `Group.tree`.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    level : int, optional
        The greatest depth: 0 draws the members of the group.
    path : str, optional
        In the store; the root by default.
    storage_options : mapping, optional
        For the backend of a URL.

    Examples
    --------
    >>> from zarrstore import zeros
    >>> data = {}
    >>> a = zeros((2, 2), store=data, path="a/b")
    >>> tree(data)
    /
    └── a
        └── b (2, 2) float64
    """
    return run(functions.tree, store, level, path, storage_options)


def copy(
    source: StoreLike,
    dest: StoreLike,
    *,
    source_path: str | None = None,
    dest_path: str | None = None,
    overwrite: bool = False,
    verify: bool = True,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[DataOptions],
) -> Array | Group:
    """Copy an array, or a group with all below it, within a store or to another one.

    Chunks are copied as they are stored, several at a time, and not decoded; where ``options``
    ask for something else, the values are read and written, about 64 MiB at a time. The
    metadata of an array is written after its chunks, and that of a group after its members: a
    copy that was not finished is not found.

    Parameters
    ----------
    source, dest : object
        Whatever `open_store` accepts, or an array or group.
    source_path, dest_path : str, optional
        What is copied, and what the copy is to be; the root, or the node itself, by default.
    overwrite : bool, default False
        Whether to delete what is at the destination, and below it, before.
    verify : bool, default True
        Whether to read back what was written, and compare it.
    progress : callable or bool, optional
        Called with the number of chunks (or blocks of values) done and of all; ``True`` shows a
        bar.
    storage_options : mapping, optional
        For the backends of URLs.
    **options
        As in `create_array`, for all arrays: other ``chunks``, ``shards``, ``compressors`` ...;
        ``zarr_format`` is by default that of the group above the destination, or the source's.
        Codecs are taken over to the other format where it has them.

    Returns
    -------
    Array or Group
        The copy.

    Raises
    ------
    NodeNotFoundError
        If there is nothing to copy.
    NodeExistsError
        If there is something at the destination, and not ``overwrite``; nothing was changed.
    ValueError
        If one of the two is the other, or below it; nothing was changed.
    CorruptDataError
        If what is read back is not what was written.

    Notes
    -----
    In Zarr v2 the names of dimensions are in the attribute ``_ARRAY_DIMENSIONS``, as xarray has
    it. Consolidated metadata is not copied: `consolidate_metadata` makes it anew.

    Examples
    --------
    >>> from zarrstore import ones
    >>> source = ones((4, 4), chunks=(2, 2), dtype="int8")
    >>> copy(source, "memory://copied", dest_path="a", chunks=(4, 4), zarr_format=2).chunks
    (4, 4)
    """
    return node(
        run(
            functions.copy,
            source,
            dest,
            source_path,
            dest_path,
            overwrite,
            verify,
            progress,
            storage_options,
            options,
        )
    )


def copy_store(
    source: StoreLike,
    dest: StoreLike,
    *,
    source_path: str | None = None,
    dest_path: str | None = None,
    includes: Sequence[str] = (),
    excludes: Sequence[str] = (),
    if_exists: IfExists = "raise",
    verify: bool = True,
    dry_run: bool = False,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
) -> CopyReport:
    """Copy all keys of a store, or those below a path, to another store of any kind.

    The bytes are copied as they are, whatever they are. What is there already with the same
    value is left as it is, so that a copy that was broken off goes on where it ended. Metadata is
    written last, that of the root at the very end: what is not complete does not open. (Into an
    `N5Store` it is written first, as only that tells where chunks lie.)

    Parameters
    ----------
    source, dest : object
        Whatever `open_store` accepts, or a group. Stores that are opened here are closed, too.
    source_path, dest_path : str, optional
        Paths in the stores; the roots by default.
    includes, excludes : sequence of str, optional
        Regular expressions: a key below ``source_path`` is copied if one of ``includes`` is
        found in it (all are by default) and none of ``excludes`` is.
    if_exists : {"raise", "replace", "skip"}, default "raise"
        What becomes of a key that is at the destination with another value.
    verify : bool, default True
        Whether values are read back and compared. Without it, a chunk that is there already is
        taken to be the same if its size is; metadata is compared all the same.
    dry_run : bool, default False
        Whether only to say what would be done; nothing is written.
    progress : callable or bool, optional
        Called with the number of bytes done and of all; ``True`` shows a bar.
    storage_options : mapping, optional
        For the backends of URLs.

    Returns
    -------
    CopyReport
        How many keys were copied, unchanged, and skipped; how many bytes were written.

    Raises
    ------
    ConflictError
        If a key is there with another value, and ``if_exists`` is ``"raise"``. That key is not
        changed; others may have been copied.
    CorruptDataError
        If what is read back is not what was written.
    NodeNotFoundError
        If there is no key to copy from: the store or path is not there, or empty.
    KeyNotFoundError
        If a key was deleted from the source meanwhile.
    ValueError
        If one of the two places is the other, or below it, or a pattern is no regular expression;
        nothing was changed.

    Notes
    -----
    A few batches of 4 MiB, or single values, are in memory at a time, twice if they are verified.
    Nobody may change the source meanwhile. A zip file is written when it is closed: a copy to one
    goes on after an error, and begins again if its process was killed. What no store has for a
    key, such as ``a//b`` in a dict, is not seen. `copy` changes chunks, codecs and the version of
    the format.

    Examples
    --------
    >>> old = {"a/.zarray": b"{}", "a/0": b"1234", ".zgroup": b"{}"}
    >>> report = copy_store(old, "memory://copied-store", excludes=["zgroup"])
    >>> print(report)
    2 copied (6 B), 0 unchanged, 0 skipped
    >>> print(copy_store(old, "memory://copied-store"))
    1 copied (2 B), 2 unchanged, 0 skipped
    """
    return run(
        functions.copy_store,
        source,
        dest,
        source_path,
        dest_path,
        progress,
        storage_options,
        includes=includes,
        excludes=excludes,
        if_exists=if_exists,
        verify=verify,
        dry_run=dry_run,
    )


def move(
    store: StoreLike,
    source: str,
    dest: str,
    *,
    overwrite: bool = False,
    progress: Any = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Array | Group:
    """Move an array, or a group with all below it, to another path of its store.

    It is copied, read back and compared, and only then deleted.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or a group.
    source, dest : str
        Paths in the store.
    overwrite : bool, default False
        Whether to delete what is at the destination before.
    progress : callable or bool, optional
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError, NodeExistsError, ValueError, CorruptDataError
        As `copy`; nothing was deleted from the source.

    Examples
    --------
    >>> from zarrstore import zeros
    >>> data = {}
    >>> a = zeros(3, store=data, path="a")
    >>> move(data, "a", "b/c")
    <Array memory://.../b/c shape=(3,) dtype=float64>
    """
    return node(run(functions.move, store, source, dest, overwrite, progress, storage_options))


def delete(
    store: StoreLike,
    path: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Delete an array, or a group with all below it.

    Parameters
    ----------
    store : object
        Whatever `open_store` accepts, or an array or group.
    path : str, optional
        In the store; the root by default.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    NodeNotFoundError
        If there is none.

    Examples
    --------
    >>> from zarrstore import zeros
    >>> data = {}
    >>> a = zeros(3, store=data, path="a")
    >>> delete(data, "a")
    >>> list(data)
    ['zarr.json']
    """
    run(functions.delete, store, path, storage_options)
