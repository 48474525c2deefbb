"""Dask arrays in Zarr: a group of an array of the elements, and one of the mask.

The chunks are the blocks, so that each task writes chunks of its own, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import dask.array as da
import numpy as np

from zarrstore.abc import Store
from zarrstore.errors import (
    CorruptDataError,
    KeyNotFoundError,
    MetadataError,
    NodeNotFoundError,
)
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.documents import METADATA_KEY
from zarrstore.hierarchy.array import Array
from zarrstore.hierarchy.opening import create_group, open_group
from zarrstore.registry import make_store
from zarrstore.serializers._blocks import Source, Target, is_computed_here, lazy, write_blocks
from zarrstore.serializers._layout import Layout, layout_of

__all__ = ["read_folder", "remove_folder", "write_folder"]

NDArray: TypeAlias = np.ndarray[Any, Any]

_ATTRIBUTE = "zarrstore.serializers"


def write_folder(array: da.Array, client: Any, folder: str, name: str) -> None:
    """Write a dask array to a folder of its own; what makes it complete comes last."""
    layout = layout_of(array)
    with _changed(client, folder, name) as store:
        try:
            group = create_group(store)
            # every block is a key, so that one that is lost is not read as the fill value
            options: dict[str, Any] = {
                "shape": layout.shape,
                "chunks": layout.grid,
                "write_empty_chunks": True,
            }
            arrays = {
                name: group.create_array(name, dtype=_stored(dtype), **options)
                for name, dtype in layout.stored.items()
            }
            target = _Target(layout, arrays, is_elsewhere=not is_computed_here(array))
            fill_value = write_blocks(array, target, anywhere=True)
            group.update_attributes({_ATTRIBUTE: layout.to_document(fill_value)})
        except BaseException:
            with suppress(Exception):
                _clear(store)
            raise


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
    arrays = {name: group.get_array(name) for name in layout.stored}
    return lazy(_Source(layout, fill_value, arrays))


def remove_folder(client: Any, folder: str, name: str) -> None:
    """Delete the folder of a dask array.

    Raises
    ------
    NodeNotFoundError
        If there is none.
    """
    with _changed(client, folder, name) as store:
        if store.sync.is_empty(""):
            raise NodeNotFoundError(f"no dask array at {store.url}", store=store.url)
        _clear(store)


def _clear(store: Store) -> None:
    """Delete a group: its metadata first, which shows tasks elsewhere that they are late."""
    store.sync.delete(METADATA_KEY)
    store.sync.clear()


def _store(client: Any, folder: str, name: str) -> Store:
    return make_store((client, _path(folder, name)))


def _path(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


@contextmanager
def _changed(client: Any, folder: str, name: str) -> Iterator[Store]:
    """Open a folder to change it; the client lists it anew from then on."""
    store = _store(client, folder, name)
    try:
        yield store
    finally:
        store.sync.close()
        client.invalidate_cache(_path(folder, name))


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what elements are stored as: their bytes, where Zarr v3 does not keep the dtype."""
    with suppress(TypeError, MetadataError):
        data_type = data_type_for(dtype)
        data_type.to_metadata()
        if dtype.names is None or data_type.dtype == dtype:
            return dtype
    return np.dtype(f"V{dtype.itemsize}")


def _key(array: Array, block: tuple[int, ...]) -> str:
    return "/".join([array.path, "c", *map(str, block)])


class _Target(Target):
    """Arrays whose chunks are the blocks.

    Parameters
    ----------
    layout : Layout
    arrays : mapping
    is_elsewhere : bool
        Whether tasks may go on in other processes after the write was broken off. They take back
        what they wrote then.
    """

    def __init__(
        self, layout: Layout, arrays: Mapping[str, Array], *, is_elsewhere: bool = False
    ) -> None:
        self.layout = layout
        self._arrays = arrays
        self._is_elsewhere = is_elsewhere

    def write(self, name: str, region: tuple[slice, ...], values: NDArray) -> None:
        """Write a block, which is a chunk."""
        array = self._arrays[name]
        if array.dtype.kind == "V" and values.dtype != array.dtype:
            values = np.frombuffer(values.tobytes(), array.dtype).reshape(values.shape)
        array[region] = values
        store = array.store.sync
        if self._is_elsewhere and not store.exists(METADATA_KEY):
            for block, _ in self.layout.touched(region):
                store.delete(_key(array, block))
            raise RuntimeError("this write was broken off")


class _Source(Source):
    """Arrays in a store."""

    def __init__(self, layout: Layout, fill_value: Any, arrays: Mapping[str, Array]) -> None:
        super().__init__(layout, fill_value)
        self._arrays = arrays

    def read(self, box: tuple[slice, ...]) -> list[NDArray]:
        """Return a part of each array.

        Raises
        ------
        KeyNotFoundError
            If a block is lost.
        """
        found = []
        for name, dtype in self.layout.stored.items():
            array = self._arrays[name]
            part = np.asarray(array[box], array.dtype)
            if part.size:
                self._check_there(array, box, part)
            if part.dtype.kind == "V" and part.dtype != dtype:
                part = np.frombuffer(bytearray(part.tobytes()), dtype).reshape(part.shape)
            found.append(part)
        return found

    def _check_there(self, array: Array, box: tuple[slice, ...], part: NDArray) -> None:
        """Tell what is full of the fill value from what is not there."""
        data_type = data_type_for(part.dtype)
        for block, at in self.layout.touched(box):
            inside: Any = (*at, ...)
            found, key = part[inside], _key(array, block)
            is_fill = ChunkSpec(found.shape, data_type, array.fill_value).is_fill(found)
            if is_fill and not array.store.sync.exists(key):
                raise KeyNotFoundError(
                    f"{array.store.url} has lost {key}: the dask array was removed, perhaps",
                    store=array.store.url,
                    key=key,
                )
