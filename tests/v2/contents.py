"""Arrays that are written by zarr 2 and here, and read by the other."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
from azure.storage.blob import ContainerClient

import zarrstore

__all__ = ["Cases", "expected", "fill", "made", "read", "shown", "values"]

Cases = dict[str, tuple[str, dict[str, Any], str]]
"""By name: a class, its arguments, which arrays it is to hold."""


def values(kind: str) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return arrays and the options they are stored with, by path.

    ``kind`` is ``"all"``, ``"numbers"``, or ``"buffers"`` for what needs no copy to be one.
    """
    grid = np.arange(35).reshape(7, 5)
    found: dict[str, tuple[Any, dict[str, Any]]] = {
        "numbers": (grid.astype("<i4"), {"chunks": (4, 3)}),
        "deep/er/bytes": (grid.astype("u1"), {"chunks": (7, 2), "compressor": numcodecs.GZip(1)}),
        "cube": (np.arange(60.0).reshape(3, 4, 5), {"chunks": (2, 2, 2), "compressor": None}),
    }
    if kind == "numbers":
        return found
    if kind == "all":
        found |= {
            "fortran": (grid.astype(">f8"), {"chunks": (4, 3), "order": "F", "compressor": None}),
            "times": (grid[0].astype("M8[s]"), {"chunks": 2, "compressor": None}),
        }
    return found | {
        "slashes": (grid.astype("<f4"), {"chunks": (3, 2), "dimension_separator": "/"}),
        "flags": (grid[1] % 2 == 0, {"chunks": 3, "filters": [numcodecs.PackBits()]}),
        "scalar": (np.array(7, "<i8"), {}),
        "words": (np.array(["ä", "bc", ""]), {"chunks": 2}),
        "texts": (
            np.array(["Ada", "", "Grace"], object),
            {"chunks": 2, "object_codec": numcodecs.VLenUTF8()},
        ),
    }


def made(module: Any, cls: str, arguments: dict[str, Any], mode: str) -> Any:
    """Return a store of a class of a module, opened for writing (``"w"``) or for reading."""
    if cls == "ZipStore":
        arguments = {**arguments, "mode": mode}
    if cls == "ABSStore":
        text, container, prefix = arguments["client"]
        client = ContainerClient.from_connection_string(text, container)
        arguments = {"client": client, "prefix": prefix}
    return getattr(module, cls)(**arguments)


def shown(array: Any) -> str:
    """Return what there is in an array, in words that are the same on both sides."""
    data = array[...]
    kind = "text" if array.dtype.kind in "OT" else array.dtype.newbyteorder("<").str
    return repr((array.shape, kind, data.tolist()))


def expected(kind: str) -> dict[str, str]:
    """Return what is read if everything is right."""
    return {path: shown(data) for path, (data, _) in values(kind).items()}


def fill(store: Any, kind: str) -> None:
    """Write everything with this package."""
    group = zarrstore.create_group(store, zarr_format=2, attributes={"title": "here"})
    for path, (data, given) in values(kind).items():
        options = {**given}
        filters = [*options.pop("filters", []), options.pop("object_codec", None)]
        group.create_array(
            path,
            shape=data.shape,
            dtype=data.dtype,
            filters=[each for each in filters if each is not None] or None,
            attributes={"path": path},
            **options,
        )[...] = data


def read(store: Any, kind: str) -> dict[str, str]:
    """Return what this package reads of everything."""
    group = zarrstore.open_group(store, mode="r")
    assert group.attrs["title"]
    assert all(group[path].attrs["path"] == path for path in values(kind))
    return {path: shown(group[path]) for path in values(kind)}
