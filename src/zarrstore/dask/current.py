"""Whether an array is still the one that was opened: its chunks may be elsewhere by now."""

from __future__ import annotations

from typing import Any

from zarrstore.dask.notes import as_json, read_note
from zarrstore.errors import ConflictError
from zarrstore.format.array_spec import ArraySpec, compile_spec
from zarrstore.format.chunk_grids import RegularGrid
from zarrstore.hierarchy.array_core import ArrayCore
from zarrstore.hierarchy.chunk_namings import naming_of
from zarrstore.hierarchy.formats import AnyArrayDocument
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


async def check_current(core: ArrayCore, *, writes: bool = False) -> None:
    """Raise `ConflictError` if another array has taken the place of one since it was opened.

    Without its chunks it would read as fill values, and what is written to it would be lost.

    Parameters
    ----------
    core : ArrayCore
    writes : bool, default False
        Whether it is to be written, so that the shape must be the same, too. What is read may have
        been replaced, as long as its chunks are not deleted.

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
    if what is None and writes and spec.shape != core.spec.shape:
        what = "shape"
    if what is not None and (writes or not await _still_has_chunks(core, stored)):
        raise ConflictError(
            f"the array at {core.url} was replaced or changed since it was opened (it has other "
            f"{what}): open it again, and make again what was made of it",
            store=core.store.url,
            key=core.path,
        )


async def _still_has_chunks(core: ArrayCore, stored: AnyArrayDocument) -> bool:
    """Tell whether the write that has put another in its place has not begun to delete them."""
    note = await read_note(core.store, core.path)
    if note is None or note.document != as_json(stored) or not note.using:
        return False
    return naming_of(core.spec) not in note.using
