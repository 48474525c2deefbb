"""Making arrays, blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.opening import node, run
from zarrstore.hierarchy.options import CreateOptions, DataOptions, StorageOptions
from zarrstore.registry import StoreLike

__all__ = [
    "array",
    "create",
    "empty",
    "empty_like",
    "full",
    "full_like",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def create(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[CreateOptions],
) -> Array:
    """Create an array of a shape: `create_array` with zarr-python 2's order of parameters.

    Parameters
    ----------
    shape : int or sequence of int
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    progress : callable or bool, optional
        For writing ``data``.
    **options
        As in `create_array`.

    Examples
    --------
    >>> create((2, 3), dtype="int8").nbytes
    6
    """
    return node(
        run(
            functions.create_array,
            store,
            path,
            overwrite,
            storage_options,
            progress,
            {**options, "shape": shape},
        )
    )


def empty(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array that reads as its data type's default, such as 0, where nothing is written.

    Parameters
    ----------
    shape : int or sequence of int
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> empty(3, dtype="int8")[:]
    array([0, 0, 0], dtype=int8)
    """
    return node(
        run(
            functions.create_array,
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape},
        )
    )


def full(
    shape: int | Sequence[int],
    fill_value: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array that reads as a value where nothing is written. No chunk is stored.

    Parameters
    ----------
    shape : int or sequence of int
    fill_value : object
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> full(3, 7, dtype="int8")[:]
    array([7, 7, 7], dtype=int8)
    """
    return node(
        run(
            functions.create_array,
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": fill_value},
        )
    )


def ones(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array of ones. No chunk is stored.

    Parameters
    ----------
    shape : int or sequence of int
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> ones(3, dtype="int8")[:]
    array([1, 1, 1], dtype=int8)
    """
    return node(
        run(
            functions.create_array,
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": 1},
        )
    )


def zeros(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array of zeros. No chunk is stored.

    Parameters
    ----------
    shape : int or sequence of int
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> zeros(3, dtype="int8")[:]
    array([0, 0, 0], dtype=int8)
    """
    return node(
        run(
            functions.create_array,
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": 0},
        )
    )


def empty_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array like another, without its values.

    Parameters
    ----------
    a : array-like
        An array in a store, of which all is taken but the attributes; one of numpy, dask or
        another library, of which shape, dtype and chunks are taken.
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`; in the place of those of the other array.

    Examples
    --------
    >>> empty_like(ones((4, 4), chunks=(2, 2), dtype="int8")).chunks
    (2, 2)
    """
    return node(run(functions.create_like, a, store, path, overwrite, storage_options, options))


def full_like(
    a: Any,
    fill_value: Any = None,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array like another, that reads as a value where nothing is written.

    Parameters
    ----------
    a : array-like
        An array in a store, of which all is taken but the attributes; one of numpy, dask or
        another library, of which shape, dtype and chunks are taken.
    fill_value : object, optional
        That of the other array by default.
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> full_like([1, 2], 7)[:]
    array([7, 7])
    """
    return node(
        run(
            functions.create_like,
            a,
            store,
            path,
            overwrite,
            storage_options,
            options if fill_value is None else {**options, "fill_value": fill_value},
        )
    )


def ones_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array of ones like another.

    Parameters
    ----------
    a : array-like
        An array in a store, of which all is taken but the attributes; one of numpy, dask or
        another library, of which shape, dtype and chunks are taken.
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> ones_like([5, 6])[:]
    array([1, 1])
    """
    return node(
        run(
            functions.create_like,
            a,
            store,
            path,
            overwrite,
            storage_options,
            {**options, "fill_value": 1},
        )
    )


def zeros_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> Array:
    """Create an array of zeros like another.

    Parameters
    ----------
    a : array-like
        An array in a store, of which all is taken but the attributes; one of numpy, dask or
        another library, of which shape, dtype and chunks are taken.
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    **options
        As in `create_array`.

    Examples
    --------
    >>> zeros_like([5, 6])[:]
    array([0, 0])
    """
    return node(
        run(
            functions.create_like,
            a,
            store,
            path,
            overwrite,
            storage_options,
            {**options, "fill_value": 0},
        )
    )


def array(
    data: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Array:
    """Create an array of some data, with the data's chunks if it has some.

    Parameters
    ----------
    data : array-like
        Of numpy, in a store, of dask ...; it is loaded into memory.
    store : optional
        Whatever `open_store` accepts, or a group; a new `MemoryStore` by default.
    path : str, optional
        In the store; the root by default.
    overwrite : bool, default False
        Whether to delete what is at that path.
    storage_options : mapping, optional
        For the backend of a URL.
    progress : callable or bool, optional
    **options
        As in `create_array`.

    Examples
    --------
    >>> array([1, 2, 3])[1:]
    array([2, 3])
    """
    return node(
        run(functions.array, data, store, path, overwrite, storage_options, progress, options)
    )
