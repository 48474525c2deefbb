"""`ZarrSaver`: results saved to a Zarr array, in any store."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np

from zarrstore.abc import Store
from zarrstore.hierarchy import core, functions
from zarrstore.hierarchy.creating import node_path
from zarrstore.hierarchy.formats import check_format
from zarrstore.hierarchy.opening import run
from zarrstore.hierarchy.options import ArrayOptions, check_names
from zarrstore.keys import check_prefix
from zarrstore.registry import StoreLike, make_store
from zarrstore.savers._appending import append
from zarrstore.savers._overwriting import overwrite
from zarrstore.savers.base import Approach, NDArray, Saver
from zarrstore.savers.values import without_loss

__all__ = ["ZarrSaver"]

_OF_DATA = ("shape", "write_data")
_URL = re.compile(r"\Z|[A-Za-z][A-Za-z0-9+.-]*:|.*::")
_AT = "chunk_key_encoding", "dimension_separator"


class ZarrSaver(Saver):
    """Saves results to a Zarr array: appends them, replaces it, or updates a part of it.

    Parameters
    ----------
    file_path : object
        Whatever `zarrstore.open_store` accepts, or a group. A relative path is made absolute
        now. What is not a store already is opened for each `save`, and closed after it; in the
        place of ``None``, a new `MemoryStore`, the attribute is that store.
    dataset_name : str, default "dataset"
        The path of the array in the store; ``""`` is the root.
    approach : {"append", "overwrite", "update"}, default "append"
        ``append``: along the first dimension, after what others appended; ``overwrite``: a
        reader finds the old array or the new one, whole, at any time; ``update``: at
        ``indices``. Both of the former create the array if it is missing.
    storage_options : mapping, optional
        For the backend of a URL.

    Raises
    ------
    ValueError
        If the approach is unknown, or the name is no path of an array.

    Notes
    -----
    The options of `save` are those of `zarrstore.create_array`, ``compressor`` in Zarr v3 too.
    Where they do not say otherwise, chunks of an array that is appended to have about 1 MiB,
    whatever was saved first, and text has no fixed length.

    Examples
    --------
    >>> import zarrstore
    >>> saver = ZarrSaver("memory://zarr-saver", "run/scores")
    >>> saver.save([[1, 2], [3, 4]])
    >>> saver.save([[5, 6]])
    >>> ZarrSaver("memory://zarr-saver", "run/scores", "update").save([0, 0], indices=1)
    >>> zarrstore.load("memory://zarr-saver", path="run/scores").tolist()
    [[1, 2], [0, 0], [5, 6]]
    """

    def __init__(
        self,
        file_path: StoreLike,
        dataset_name: str = "dataset",
        approach: Approach = "append",
        *,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(_settled(file_path), dataset_name, approach)
        check_prefix(node_path(dataset_name))
        self.storage_options = storage_options

    def _append(self, values: NDArray, options: Mapping[str, Any]) -> None:
        self._at_place(append, values, _creating(options))

    def _overwrite(self, values: NDArray, options: Mapping[str, Any]) -> None:
        given = _creating(options)
        for name in _AT:
            if given.get(name) is not None:
                raise ValueError(
                    f"{name} cannot be chosen: an array is overwritten by one whose chunks have "
                    "other keys; leave it out"
                )
        self._at_place(overwrite, values, given)

    def _update(self, values: NDArray, indices: Any, options: Mapping[str, Any]) -> None:
        self._at_place(_update, values, indices, _creating(options))

    def _at_place(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function of a store and a path."""
        at = self._place()
        try:
            function(at.store, at.path, *args)
        finally:
            run(at.close)

    def _place(self) -> functions.Place:
        return run(functions.place, self.file_path, self.dataset_name, "a", self.storage_options)


def _settled(file_path: StoreLike) -> StoreLike:
    """Return what is opened, so that it is the same each time."""
    if file_path is None:
        return make_store(None)
    if isinstance(file_path, PurePath):  # a UPath may be one, and says itself what is absolute
        return file_path.absolute() if isinstance(file_path, Path) else file_path
    if isinstance(file_path, str) and not _URL.match(file_path):
        return os.path.abspath(os.path.expanduser(file_path))
    return file_path


def _creating(options: Mapping[str, Any]) -> ArrayOptions:
    """Return the options for an array, checked as far as they can be without its shape."""
    for name in _OF_DATA:
        if name in options:
            raise TypeError(f"{name} is what is saved; leave {name}= out")
    given = cast("ArrayOptions", dict(options))
    check_names(given)
    check_format(given.get("zarr_format"))
    return given


def _update(store: Store, path: str, values: NDArray, indices: Any, options: ArrayOptions) -> None:
    """Write values to a part of an array that is there."""
    store._home.drive(_written, store, path, values, indices, options)


async def _written(
    store: Store, path: str, values: NDArray, indices: Any, options: ArrayOptions
) -> None:
    array = await core.open_array(store, path, "r+", options)
    if isinstance(indices, np.ndarray) and not indices.size and indices.dtype.kind == "f":
        indices = indices.astype(np.intp)  # numpy's empty list
    elements = without_loss(values, array.spec.dtype)
    request = array.request(indices)
    if elements.size or math.prod(request.selection.shape):
        await array.write_request(request, elements)
