"""Making arrays, as coroutines: see `zarrstore.aio`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import AsyncArray
from zarrstore.hierarchy.opening_aio import node
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


async def create(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[CreateOptions],
) -> AsyncArray:
    """Create an array of a shape: see `zarrstore.create`."""
    return node(
        await functions.create_array(
            store, path, overwrite, storage_options, progress, {**options, "shape": shape}
        )
    )


async def empty(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array without values: see `zarrstore.empty`."""
    return node(
        await functions.create_array(
            store, path, overwrite, storage_options, None, {**options, "shape": shape}
        )
    )


async def full(
    shape: int | Sequence[int],
    fill_value: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of a value: see `zarrstore.full`."""
    return node(
        await functions.create_array(
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": fill_value},
        )
    )


async def ones(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of ones: see `zarrstore.ones`."""
    return node(
        await functions.create_array(
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": 1},
        )
    )


async def zeros(
    shape: int | Sequence[int],
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of zeros: see `zarrstore.zeros`."""
    return node(
        await functions.create_array(
            store,
            path,
            overwrite,
            storage_options,
            None,
            {**options, "shape": shape, "fill_value": 0},
        )
    )


async def empty_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array without values, like another: see `zarrstore.empty_like`."""
    return node(await functions.create_like(a, store, path, overwrite, storage_options, options))


async def full_like(
    a: Any,
    fill_value: Any = None,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of a value, like another: see `zarrstore.full_like`."""
    return node(
        await functions.create_like(
            a,
            store,
            path,
            overwrite,
            storage_options,
            options if fill_value is None else {**options, "fill_value": fill_value},
        )
    )


async def ones_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of ones like another: see `zarrstore.ones_like`."""
    return node(
        await functions.create_like(
            a, store, path, overwrite, storage_options, {**options, "fill_value": 1}
        )
    )


async def zeros_like(
    a: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[StorageOptions],
) -> AsyncArray:
    """Create an array of zeros like another: see `zarrstore.zeros_like`."""
    return node(
        await functions.create_like(
            a, store, path, overwrite, storage_options, {**options, "fill_value": 0}
        )
    )


async def array(
    data: Any,
    *,
    store: StoreLike = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> AsyncArray:
    """Create an array of some data: see `zarrstore.array`."""
    return node(
        await functions.array(data, store, path, overwrite, storage_options, progress, options)
    )
