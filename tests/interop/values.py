"""What the tests of other implementations share: data types, values, strict comparison."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr_metadata.model import (
    read_array_metadata_v2,
    read_array_metadata_v3,
    read_group_metadata_v3,
)

import zarrstore

NUMBERS = [
    "bool", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8",
    "<f2", ">f4", "<f8", "<c8", ">c16",
]  # fmt: skip
OTHERS = ["S3", "<U4", ">U2", "V5", "<M8[ns]", ">M8[10us]", "M8[D]", "<m8[s]", "string", "bytes"]
RECORD: Any = [("a", "<i4"), ("b", "<f8"), ("c", "S3")]
NESTED: Any = [("a", "i1"), ("n", [("x", "<f4"), ("y", "U2")])]
NAMES_STRUCT = "struct" in zarr.dtype.data_type_registry.contents
"""Whether zarr-python has the data type ``struct``: from 3.2 on."""


def codec(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


def values_of(dtype: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return values of all bits where any are allowed: NaN of many kinds, -0.0, NaT."""
    rng = np.random.default_rng(7)
    count = math.prod(shape)
    if dtype == "string":
        texts = rng.choice(["", "a", "é€", "x\0y", "long" * 9], count)
        return np.array(texts, np.dtypes.StringDType()).reshape(shape)
    if dtype == "bytes":
        values = np.empty(count, object)
        values[:] = [rng.bytes(int(size)) for size in rng.integers(0, 6, count)]
        return values.reshape(shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind == "U":
        return np.array(rng.choice(["", "aé", "b", "\U0001f600"], count), dtype).reshape(shape)
    if dtype.names:
        record = np.zeros(shape, dtype)
        for name in dtype.names:
            record[name] = values_of(dtype[name], shape)
        return record
    return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).reshape(shape).copy()


def check_same(found: Any, expected: Any) -> None:
    """Look that arrays have the same shape and bits, in whatever byte order they are."""
    a, b = np.asarray(found), np.asarray(expected)
    assert a.shape == b.shape
    if a.dtype.kind in "OTU" or b.dtype.kind in "OTU":
        assert a.astype(object).tolist() == b.astype(object).tolist()
    elif b.dtype.names:
        assert a.dtype.names == b.dtype.names
        for name in b.dtype.names:
            check_same(a[name], b[name])
    else:
        assert a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
        native = b.dtype.newbyteorder("=")
        assert a.astype(native).tobytes() == b.astype(native).tobytes()


def check_documents(path: Path) -> None:
    """Look that the strict models take each document at and below a path."""
    readers: dict[str, Any] = {"array": read_array_metadata_v3, "group": read_group_metadata_v3}
    found = 0
    for file in path.rglob("zarr.json"):
        document = json.loads(file.read_text())
        assert readers[document["node_type"]](document).problems == ()
        found += 1
    for file in path.rglob(".zarray"):
        assert read_array_metadata_v2(json.loads(file.read_text())).problems == ()
        found += 1
    assert found


def first_half(shape: tuple[int, ...]) -> Any:
    return slice(0, -(-shape[0] // 2)) if shape else ...


def zarr_dtype(dtype: Any) -> Any:
    if dtype == "bytes":
        return zarr.dtype.VariableLengthBytes()
    return "string" if dtype == "string" else np.dtype(dtype)


def check_theirs_in_ours(path: Path, dtype: Any, shape: tuple[int, ...], **options: Any) -> None:
    """Let zarr-python write one half, read it here; write all here, read it there."""
    values, half = values_of(dtype, shape), first_half(shape)
    theirs = zarr.create_array(path, shape=shape, dtype=zarr_dtype(dtype), **options)
    theirs[half] = values[half]
    ours = zarrstore.open_array(path)
    check_same(ours[...], theirs[...])
    ours[...] = values
    check_same(zarr.open_array(path, mode="r")[...], values)
    check_same(zarrstore.open_array(path)[...], values)


def check_ours_in_theirs(path: Path, dtype: Any, shape: tuple[int, ...], **options: Any) -> None:
    """Write one half here, read it in zarr-python; write all there, read it here."""
    values, half = values_of(dtype, shape), first_half(shape)
    ours = zarrstore.create_array(path, shape=shape, dtype=dtype, **options)
    ours[half] = values[half]
    check_documents(path)
    theirs = zarr.open_array(path)
    check_same(theirs[...], ours[...])
    theirs[...] = values
    check_same(zarrstore.open_array(path, mode="r")[...], values)


def check_both_ways(path: Path, dtype: Any, shape: tuple[int, ...], **options: Any) -> None:
    check_theirs_in_ours(path / "theirs", dtype, shape, **options)
    check_ours_in_theirs(path / "ours", dtype, shape, **options)
