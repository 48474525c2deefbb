"""Arrays of Zarr v2, in both directions with zarr-python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from interop.values import (
    NAMES_STRUCT,
    NESTED,
    NUMBERS,
    OTHERS,
    RECORD,
    check_both_ways,
    check_documents,
    check_same,
    values_of,
)

import zarrstore

# what zarr-python says of its data type for bytes
pytestmark = pytest.mark.filterwarnings("ignore:The data type")

OPTIONS: list[dict[str, Any]] = [
    {"compressors": None, "order": "F"},
    {"compressors": numcodecs.Blosc("lz4"), "order": "F"},
    {"compressors": numcodecs.LZ4(), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    {"compressors": numcodecs.Zlib(1), "fill_value": None},
]
# zarr-python 3.1 has no records within records, and fills text in them with "0"
RECORDS = [RECORD, NESTED] if NAMES_STRUCT else [RECORD]
RECORD_OPTIONS = OPTIONS if NAMES_STRUCT else OPTIONS[:-1]


@pytest.mark.parametrize("dtype", [*NUMBERS, *OTHERS, *RECORDS], ids=str)
def test_data_types(tmp_path: Path, dtype: Any) -> None:
    for number, options in enumerate(RECORD_OPTIONS if dtype in RECORDS else OPTIONS):
        check_both_ways(
            tmp_path / str(number), dtype, (7, 5), chunks=(4, 3), zarr_format=2, **options
        )


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((), ()), ((5,), (2,)), ((3, 4, 5), (2, 2, 5)), ((2, 3, 2, 3), (1, 2, 2, 2)), ((0,), (1,))],
    ids=str,
)
@pytest.mark.parametrize("dtype", [">i4", "string"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_shapes_and_keys(tmp_path: Path, dtype: Any, shape: Any, chunks: Any, order: Any) -> None:
    for name, separator in (("dots", "."), ("slashes", "/")):
        check_both_ways(
            tmp_path / name,
            dtype,
            shape,
            chunks=chunks,
            order=order,
            chunk_key_encoding={"name": "v2", "separator": separator},
            zarr_format=2,
        )


@pytest.mark.parametrize(
    "compressor",
    [
        numcodecs.GZip(1),
        numcodecs.BZ2(1),
        numcodecs.LZMA(preset=1),
        numcodecs.Zstd(1),
        numcodecs.Zstd(-3, checksum=True),
        numcodecs.Blosc("zstd", 1, shuffle=2),
        numcodecs.Blosc("zlib", 1, shuffle=0, blocksize=256),
        numcodecs.Blosc("blosclz", 9, shuffle=-1),
    ],
    ids=str,
)
def test_compressors(tmp_path: Path, compressor: Any) -> None:
    check_both_ways(
        tmp_path, ">i4", (40, 30), chunks=(24, 20), compressors=compressor, zarr_format=2
    )


@pytest.mark.parametrize(
    ("filters", "dtype"),
    [
        ([numcodecs.Delta("<i4")], "<i4"),
        ([numcodecs.Delta(">u2"), numcodecs.Shuffle(2)], ">u2"),
        ([numcodecs.FixedScaleOffset(0, 10, "<f8", "<i4")], "<f8"),
        ([numcodecs.Quantize(2, "<f4")], "<f4"),
        ([numcodecs.BitRound(7)], "<f4"),
        ([numcodecs.AsType("<f4", "<f8")], "<f8"),
        ([numcodecs.PackBits()], "bool"),
        ([numcodecs.Shuffle(8), numcodecs.CRC32()], "<c16"),
        ([numcodecs.Adler32()], "S3"),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_filters(tmp_path: Path, filters: Any, dtype: str, order: Any) -> None:
    values = (np.arange(35).reshape(7, 5) % 2).astype(dtype)
    options: dict[str, Any] = {
        "chunks": (4, 3), "filters": filters, "order": order, "zarr_format": 2
    }  # fmt: skip
    theirs = zarr.create_array(tmp_path / "a", shape=(7, 5), dtype=values.dtype, **options)
    theirs[...] = values
    check_same(zarrstore.open_array(tmp_path / "a")[...], theirs[...])
    ours = zarrstore.create_array(tmp_path / "b", data=values, **options)
    check_documents(tmp_path / "b")
    check_same(zarr.open_array(tmp_path / "b")[...], ours[...])
    check_same(ours[...], values)


def test_text_of_fixed_size_that_is_stored_as_objects(tmp_path: Path) -> None:
    """Strings and bytes with their filter named, and objects that are these."""
    for name, given, dtype in [("vlen-utf8", "O", "string"), ("vlen-bytes", object, "bytes")]:
        path = tmp_path / name
        values = values_of(dtype, (7, 5))
        zarrstore.create_array(
            path, shape=(7, 5), dtype=given, filters=[{"id": name}], zarr_format=2
        )[...] = values
        check_same(zarr.open_array(path)[...], values)
