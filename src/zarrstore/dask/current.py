"""Whether an array is still the one that was opened: its chunks may be elsewhere by now."""

from __future__ import annotations

from typing import Any

from zarrstore.errors import ConflictError
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.nodes import not_found

__all__ = ["check_current", "difference"]


def difference(stored: ArraySpec, spec: ArraySpec) -> str | None:
    """Return what of how chunks are stored differs; ``None`` where they can be read as before.

    An array may have got another shape.
    """
    for name in ("keys", "data_type", "codecs"):
        if getattr(stored, name) != getattr(spec, name):
            return name
    return None if _cut(stored) == _cut(spec) else "chunks"


def _cut(spec: ArraySpec) -> Any:
    grid = spec.grid
    return grid.chunk_shape if isinstance(grid, RegularGrid) else len(grid.dimensions)


async def check_current(core: ArrayCore, *, shape: bool = False) -> None:
    """Raise `ConflictError` if another array has taken the place of one since it was opened.

    Without its chunks it would read as fill values, and what is written to it would be lost.

    Parameters
    ----------
    core : ArrayCore
    shape : bool, default False
        Whether the shape must be the same, too.

    Raises
    ------
    NodeNotFoundError
        If there is no array any more.
    """
    stored = await core.format.read(core.store, core.path)
    if stored == core.document:
        return
    if stored is None or stored.node_type != "array":
        raise not_found(core.store, core.path, "array")
    spec = compile_spec(stored)
    what = difference(spec, core.spec)
    if what is None and shape and spec.shape != core.spec.shape:
        what = "shape"
    if what is not None:
        raise ConflictError(
            f"the array at {core.url} was replaced or changed since it was opened (it has other "
            f"{what}): open it again, and make again what was made of it",
            store=core.store.url,
            key=core.path,
        )
