"""Dask arrays in Zarr: a group of an array of the elements, and one of the mask.

The chunks are the blocks, so that each task writes chunks of its own, whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import dask.array as da
import numpy as np

from zarrstore.abc import Store
from zarrstore.errors import CorruptDataError, MetadataError, NodeNotFoundError
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.opening import create_group, open_group
from zarrstore.registry import make_store
from zarrstore.serializers._blocks import Source, Target, lazy, write_blocks
from zarrstore.serializers._layout import Layout, layout_of

__all__ = ["read_folder", "remove_folder", "write_folder"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_ATTRIBUTE = "zarrstore.serializers"


def write_folder(array: da.Array, client: Any, folder: str, name: str) -> None:
    """Write a dask array to a folder of its own; what makes it complete comes last."""
    layout = layout_of(array)
    store = _store(client, folder, name)
    try:
        group = create_group(store)
        options: dict[str, Any] = {"shape": layout.shape, "chunks": layout.grid}
        arrays = {"data": group.create_array("data", dtype=_stored(layout), **options)}
        if layout.is_masked:
            arrays["mask"] = group.create_array("mask", dtype=bool, **options)
        fill_value = write_blocks(array, _Target(layout, arrays), anywhere=True)
        group.update_attributes({_ATTRIBUTE: layout.to_document(fill_value)})
    except BaseException:
        with suppress(Exception):
            store.sync.clear()
        raise
    finally:
        store.sync.close()


def read_folder(client: Any, folder: str, name: str) -> da.Array:
    """Return the dask array in a folder."""
    store = _store(client, folder, name)
    group = open_group(store, mode="r")
    document = group.attrs.get(_ATTRIBUTE)
    if document is None:
        raise CorruptDataError(
            f"{store.url} holds no whole dask array: writing it was broken off, perhaps",
            store=store.url,
        )
    layout, fill_value = Layout.from_document(document)
    names = ["data", "mask"] if layout.is_masked else ["data"]
    arrays = {name: group.get_array(name) for name in names}
    return lazy(_Source(layout, fill_value, arrays))


def remove_folder(client: Any, folder: str, name: str) -> None:
    """Delete the folder of a dask array.

    Raises
    ------
    NodeNotFoundError
        If there is none.
    """
    with _store(client, folder, name).sync as store:
        if store.is_empty(""):
            raise NodeNotFoundError(f"no dask array at {store.url}", store=store.url)
        store.clear()


def _store(client: Any, folder: str, name: str) -> Store:
    return make_store((client, f"{folder.rstrip('/')}/{name}" if folder else name))


def _stored(layout: Layout) -> np.dtype[Any]:
    """Return what elements are stored as: their bytes, where Zarr v3 has no name for the dtype."""
    dtype = layout.stored_dtype
    try:
        data_type_for(dtype).to_metadata()
    except (TypeError, MetadataError):
        return np.dtype(f"V{dtype.itemsize}")
    return dtype


class _Target(Target):
    """Arrays whose chunks are the blocks."""

    def __init__(self, layout: Layout, arrays: Mapping[str, Array]) -> None:
        self.layout = layout
        self._arrays = arrays

    def write(self, name: str, region: tuple[slice, ...], values: NDArray) -> None:
        """Write a block, which is a chunk."""
        stored = self._arrays[name].dtype
        if stored.kind == "V" and values.dtype != stored:
            values = np.frombuffer(values.tobytes(), stored).reshape(values.shape)
        self._arrays[name][region] = values


class _Source(Source):
    """Arrays in a store."""

    def __init__(self, layout: Layout, fill_value: Any, arrays: Mapping[str, Array]) -> None:
        super().__init__(layout, fill_value)
        self._arrays = arrays

    def read(self, names: Sequence[str], region: Any) -> list[NDArray]:
        """Return a part of some arrays."""
        found = [np.asarray(self._arrays[name][region]) for name in names]
        if found[0].dtype.kind == "V" and found[0].dtype != self.dtype:
            raw = bytearray(found[0].tobytes())
            found[0] = np.frombuffer(raw, self.dtype).reshape(found[0].shape)
        return found
