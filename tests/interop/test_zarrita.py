"""What zarrita.js, the implementation in JavaScript, has written is read: see make_zarrita.mjs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from interop.values import check_documents, check_same

import zarrstore

DATA = Path(__file__).parent.parent / "data" / "zarrita"
N = 2**57

# as in make_zarrita.mjs: what element number i is, and the fill value
TYPES: dict[str, tuple[Callable[[int], Any], Any]] = {
    "bool": (lambda i: i % 3 == 0, True),
    "int8": (lambda i: 7 * i - 119, -1),
    "int16": (lambda i: 1900 * i - 32000, 7),
    "int32": (lambda i: 1500000 * (i - 17), -8),
    "int64": (lambda i: N * (i - 17) + 1, 5),
    "uint8": (lambda i: 7 * i, 255),
    "uint16": (lambda i: 1900 * i, 1),
    "uint32": (lambda i: 120000000 * i, 0),
    "uint64": (lambda i: 2 * N * i + 3, 0),
    "float32": (lambda i: np.nan if i == 3 else i / 4 - 2, np.nan),
    "float64": (lambda i: -np.inf if i == 4 else i / 8, np.inf),
}
CODECS = ["big", "transposed", "gzip", "zstd", "lz4", "blosc_lz4", "blosc_zstd", "blosc_zlib"]


def expected(dtype: str, shape: tuple[int, int], width: int) -> np.ndarray[Any, Any]:
    """Return the values of an array of which only the first chunks, of this width, are stored."""
    element, fill_value = TYPES[dtype]
    values = np.full(shape, fill_value, dtype)
    stored = [
        [wrapped(element(row * shape[1] + column), dtype) for column in range(width)]
        for row in range(shape[0])
    ]
    values[:, :width] = np.array(stored, dtype)
    return values


def wrapped(number: Any, dtype: str) -> Any:
    """Return a number as an array of JavaScript keeps it: modulo its size."""
    kind, bits = np.dtype(dtype).kind, 8 * np.dtype(dtype).itemsize
    if kind not in "iu":
        return number
    number %= 2**bits
    return number - 2**bits if kind == "i" and number >= 2 ** (bits - 1) else number


@pytest.mark.parametrize("dtype", TYPES)
def test_data_types(dtype: str) -> None:
    array = zarrstore.open_array(DATA / "types" / dtype, mode="r")
    assert array.dtype == dtype
    np.testing.assert_array_equal(array[...], expected(dtype, (5, 7), 4))
    assert array.metadata.dimension_names == ("y", "x")


@pytest.mark.parametrize("name", CODECS)
def test_codecs(name: str) -> None:
    array = zarrstore.open_array(DATA / "codecs" / name, mode="r")
    values = expected("int32", (40, 30), 20)
    check_same(array[...], values)
    check_same(array[3:27, 19], values[3:27, 19])


def test_groups() -> None:
    group = zarrstore.open_group(DATA, mode="r")
    assert group.attrs.asdict() == {"written": "by zarrita.js", "list": [1, None, "é"]}
    assert group.keys() == ["codecs", "dots", "scalar", "types"]
    assert sorted(group["types"].array_keys()) == sorted(TYPES)
    check_same(group["dots"][...], expected("int16", (5, 7), 4))
    assert (DATA / "dots" / "c.0.0").exists()
    assert group["scalar"][()] == 2.5


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
def test_what_is_written_over_it_is_read_by_zarr_python(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "x")
    group = zarrstore.open_group(tmp_path / "x")
    for name in CODECS:
        array = group["codecs"][name]
        array[:] = np.arange(1200).reshape(40, 30)
        array.attrs["changed"] = True
        theirs: Any = zarr.open_array(tmp_path / "x" / "codecs" / name, mode="r")
        check_same(theirs[...], array[...])
    check_documents(tmp_path / "x")
