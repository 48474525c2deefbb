"""What is to be written where: sources with their targets and regions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zarrstore.abc import Store
from zarrstore.dask.checks import check_source
from zarrstore.dask.current import check_current
from zarrstore.dask.staging import able_to_resume
from zarrstore.dask.targets import Target, check_can_replace, find_target
from zarrstore.errors import ReadOnlyError
from zarrstore.hierarchy import functions
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.options import AccessMode, ArrayOptions
from zarrstore.runtime import drive_inline

__all__ = ["Order", "listed", "orders_of", "target_at", "target_in"]


@dataclass(frozen=True)
class Order:
    """One dask array, and where it is to go."""

    source: Any
    target: Target
    region: Any
    mode: AccessMode
    token: str = ""
    """Of the dask array, if a write that was broken off goes on with the same one only."""


def target_at(
    store_like: Any,
    path: str,
    mode: AccessMode,
    options: ArrayOptions,
    resume: bool,
    storage_options: Mapping[str, Any] | None,
    region: Any = None,
) -> Target:
    """Return what is to be written at a path in a store; what cannot be is refused."""
    at = drive_inline(functions.place, store_like, path, "a", storage_options)
    if at.store.read_only:
        raise ReadOnlyError(
            f"{at.store.url} was opened read-only; open it with mode 'r+' or 'a' to write",
            store=at.store.url,
        )
    return at.store._home.drive(target_in, at.store, at.path, mode, options, resume, region)


async def target_in(
    store: Store,
    path: str,
    mode: AccessMode,
    options: ArrayOptions,
    resume: bool,
    region: Any = None,
) -> Target:
    """Return what is to be written at a path in a store that is open."""
    target = await find_target(store, path, mode, options, resume)
    check_can_replace(target)
    return await able_to_resume(target, region) if resume else target


def orders_of(
    sources: Any, targets: Any, regions: Any, *, writable: bool = True, resume: bool = False
) -> list[Order]:
    """Return what goes into arrays that are there, and may be written."""
    sources, targets = listed(sources), listed(targets)
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} sources for {len(targets)} targets: give as many of each")
    if regions is None or _is_region(regions):
        regions = [regions] * len(sources)
    if len(regions) != len(sources):
        raise ValueError(f"{len(regions)} regions for {len(sources)} sources: give as many, or one")
    orders = []
    for source, given, region in zip(sources, targets, regions, strict=True):
        check_source(source)
        target = _target(given, region, writable=writable, resume=resume)
        orders.append(Order(source, target, region, "r+"))
    return orders


def listed(given: Any) -> list[Any]:
    """Return several things as a list, and so one thing."""
    return list(given) if isinstance(given, list | tuple) else [given]


def _is_region(given: Any) -> bool:
    """Tell one region from one for each source."""
    if isinstance(given, tuple):
        return not any(isinstance(item, tuple) for item in given) and any(
            isinstance(item, slice | int | np.integer) or item is Ellipsis for item in given
        )
    return isinstance(given, slice | int | np.integer) or given is Ellipsis


def _target(given: Any, region: Any, *, writable: bool, resume: bool) -> Target:
    if isinstance(given, Array):
        core = given._core
        if writable:
            core._check_writable()
        drive = core.store._home.drive
        drive(partial(check_current, writes=True), core)
        target = Target(core, "update", number=uuid.uuid4().hex)
        return drive(able_to_resume, target, region) if resume else target
    if hasattr(given, "store_path"):  # of zarr-python
        return target_at(given.store, given.path, "r+", {}, resume, None, region)
    raise TypeError(
        f"a target is an array in a store, not {type(given).__name__}; to_zarr makes a new one, "
        "and zarrstore.open_array opens one that is there"
    )
