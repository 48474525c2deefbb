"""Codecs of Zarr v3 in both directions with zarr-python, and fill values of v3 and v2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from interop.values import NAMES_STRUCT, check_both_ways, check_same, codec, zarr_dtype

import zarrstore

# what zarr-python says of codecs and data types that are in no specification
pytestmark = [
    pytest.mark.filterwarnings("ignore:The data type"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs"),
    pytest.mark.filterwarnings("ignore:The codec"),
]


NAN = float("nan")
FILLS: list[tuple[Any, list[Any]]] = [
    ("bool", [True]),
    ("i1", [-128]),
    ("<i8", [-(2**63), 2**63 - 1]),
    ("<u8", [2**64 - 1]),
    ("<f2", [NAN, -np.inf, -0.0]),
    ("<f4", [NAN, np.inf, -0.0, np.uint32(0x7FC00123).view("f4"), 0.1]),
    (">f8", [NAN, -np.inf, -0.0, np.uint64(0xFFF8000000000001).view("f8"), 5e-324]),
    ("<c8", [complex(NAN, -0.0), complex(1, np.inf)]),
    ("<c16", [complex(-np.inf, NAN)]),
    ("<M8[ns]", [np.datetime64("NaT", "ns"), np.datetime64("2020-01-01T00:00:00.5", "ns")]),
    ("<m8[25s]", [np.timedelta64("NaT", "s"), np.timedelta64(3, "25s")]),
    ("S3", [b"ab", b"", b"\xff\0a"]),
    ("<U2", ["é\U0001f600", ""]),
    ("V3", [np.void(b"a\0b")]),
    ("string", ["é\0x", ""]),
    ("bytes", [b"\0a\0", b""]),
]


@pytest.mark.filterwarnings("ignore:The 'generic' unit")  # numpy, of zarr-python's durations
@pytest.mark.parametrize(("dtype", "fills"), FILLS, ids=str)
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_fill_values(tmp_path: Path, dtype: Any, fills: list[Any], zarr_format: Any) -> None:
    """Which NaN it is, zarr-python does not write, nor is it kept in Zarr v2."""
    for number, fill in enumerate(fills):
        options = {"shape": (3,), "fill_value": fill, "zarr_format": zarr_format}
        path = tmp_path / str(number)
        zarr.create_array(path / "theirs", dtype=zarr_dtype(dtype), **options)
        zarrstore.create_array(path / "ours", dtype=dtype, **options)
        expected = np.empty(3, zarrstore.open_array(path / "ours").dtype)
        expected[:] = fill
        for side in ("theirs", "ours"):
            ours, theirs = zarrstore.open_array(path / side)[:], zarr.open_array(path / side)[:]
            check_same(ours, theirs)
            if (zarr_format, side) == (3, "ours") or expected.dtype.kind not in "fc":
                check_same(ours, expected)
            else:
                np.testing.assert_array_equal(ours, expected)
                is_nan = np.isnan(expected)
                check_same(ours[~is_nan], expected[~is_nan])


FILTERS: list[tuple[str, list[Any]]] = [
    ("i4", [codec("numcodecs.delta", dtype="<i4")]),
    ("f8", [codec("numcodecs.fixedscaleoffset", offset=0, scale=10, dtype="<f8", astype="<i4")]),
    ("f4", [codec("numcodecs.quantize", digits=2, dtype="<f4")]),
    ("f4", [codec("numcodecs.bitround", keepbits=7)]),
    ("f8", [codec("numcodecs.astype", encode_dtype="<f4", decode_dtype="<f8")]),
    ("bool", [codec("numcodecs.packbits")]),
]
if NAMES_STRUCT:
    # zarr-python 3.1 has no scale_offset, and does not read what it writes with the first of these
    FILTERS += [
        ("u2", [codec("transpose", order=[1, 0]), codec("numcodecs.delta", dtype="<u2")]),
        ("i4", [codec("scale_offset", offset=3, scale=2)]),
        ("f8", [codec("scale_offset", offset=0.5, scale=4)]),
    ]


@pytest.mark.parametrize(("dtype", "filters"), FILTERS, ids=lambda given: str(given)[:40])
def test_filters(tmp_path: Path, dtype: str, filters: list[Any]) -> None:
    values = (np.arange(35).reshape(7, 5) % 9).astype(dtype)
    options: dict[str, Any] = {"chunks": (4, 3), "filters": filters, "fill_value": 0}
    theirs = zarr.create_array(tmp_path / "a", shape=(7, 5), dtype=values.dtype, **options)
    theirs[:5] = values[:5]
    check_same(zarrstore.open_array(tmp_path / "a")[...], theirs[...])
    ours = zarrstore.create_array(tmp_path / "b", data=values, **options)
    check_same(zarr.open_array(tmp_path / "b")[...], ours[...])
    check_same(ours[:5], theirs[:5])


CHECKSUMS = ["crc32", "adler32", "fletcher32", "jenkins_lookup3"]
BLOSC = ["lz4hc", "blosclz", "zlib", "zstd"]


@pytest.mark.parametrize(
    "compressor",
    [
        codec("gzip", level=1),
        codec("numcodecs.lz4", acceleration=1),
        codec("numcodecs.bz2", level=1),
        codec("numcodecs.zlib", level=1),
        codec("numcodecs.lzma", preset=1),
        codec("numcodecs.zstd", level=1),
        codec("numcodecs.blosc", cname="zstd", clevel=1, shuffle=2, blocksize=0),
        codec("numcodecs.gzip", level=1),
        codec("numcodecs.shuffle", elementsize=4),
        *(codec(f"numcodecs.{name}") for name in CHECKSUMS),
        *(codec("blosc", cname=name, clevel=1, shuffle="bitshuffle") for name in BLOSC),
        codec("blosc", cname="lz4", clevel=1, shuffle="noshuffle", typesize=4, blocksize=256),
        codec("zstd", level=-3, checksum=False),
    ],
    ids=str,
)  # fmt: skip
def test_compressors_and_checksums(tmp_path: Path, compressor: Any) -> None:
    check_both_ways(tmp_path, "<i4", (40, 30), chunks=(24, 20), compressors=compressor)
