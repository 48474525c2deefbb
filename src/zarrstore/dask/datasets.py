"""`aligned`: datasets of xarray whose blocks line up with the chunks they are to be written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dask.array as da
import numpy as np

from zarrstore.dask.checks import check_source
from zarrstore.dask.plan import StorePlan
from zarrstore.dask.writing import planned_new
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed

__all__ = ["aligned"]


def aligned(
    dataset: Any, encoding: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Any, dict[str, dict[str, Any]], StorePlan]:
    """Return a dataset of xarray that its ``to_zarr`` writes without losing an element.

    Parameters
    ----------
    dataset : xarray.Dataset
    encoding : mapping, optional
        As for ``Dataset.to_zarr``: of each variable ``chunks`` and ``shards``, which may be
        ``"auto"``; by default what the variables' own encoding says, or their blocks.

    Returns
    -------
    dataset : xarray.Dataset
        With blocks of dask cut and joined where chunks, or shards, end.
    encoding : dict
        With the chunks and shards that were planned for; give it to ``to_zarr``.
    plan : StorePlan
        Of the variables that are dask arrays, as their blocks were.

    Raises
    ------
    ValueError
        If chunk sizes are unknown, or chunks and shards do not fit.
    """
    made = {name: dict(given) for name, given in (encoding or {}).items()}
    changed: dict[Any, Any] = {}
    plans = []
    for name, variable in dataset.variables.items():
        if not isinstance(variable.data, da.Array):
            continue
        check_source(variable.data)
        given = {**variable.encoding, **made.get(name, {})}
        plan, spec = planned_new(variable.data, given.get("chunks"), given.get("shards"))
        if not isinstance(spec.grid, RegularGrid):
            raise ValueError(f"xarray writes chunks of one shape, and those of {name!r} differ")
        shape = spec.grid.chunk_shape
        sharding = spec.codecs[0]
        made.setdefault(name, {})
        if isinstance(sharding, ShardingIndexed):
            made[name] |= {"chunks": sharding.chunk_shape, "shards": shape}
        else:
            made[name]["chunks"] = shape
            made[name].pop("shards", None)
        plans.append(plan)
        if plan.how != "aligned":
            lengths = tuple([tuple(np.diff(bounds).tolist()) for bounds in plan.bounds])
            changed[name] = variable.copy(data=variable.data.rechunk(lengths))
    coords = {name: new for name, new in changed.items() if name in dataset.coords}
    others = {name: new for name, new in changed.items() if name not in coords}
    return dataset.assign_coords(coords).assign(others), made, StorePlan(plans)
