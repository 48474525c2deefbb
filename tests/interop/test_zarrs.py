"""Arrays in both directions with zarrs, the implementation in Rust, by way of zarr-python.

zarrs says of what it does not support that it does not, in a warning, which is an error here; so
nothing below is done by zarr-python in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numcodecs
import pytest
import zarr
from interop.values import check_both_ways, codec

pytestmark = [
    pytest.mark.filterwarnings("ignore:The data type"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs"),
    pytest.mark.filterwarnings("ignore:The codec"),
]
# of the rest of what is in Zarr it takes no other data type, no F order, no native big endian
DTYPES = ["bool", "i1", "<i2", "<i4", "<i8", "u1", "<u4", "<u8", "<f2", "<f4", "<f8", "<c8"]
TIMES = ["<M8[ns]", "<m8[s]"]
TEXT = ["string", "bytes"]


OPTIONS: list[dict[str, Any]] = [
    {"compressors": None},
    {"compressors": [codec("zstd", level=1, checksum=True), {"name": "crc32c"}]},
    {"compressors": codec("blosc", cname="lz4", clevel=5, shuffle="shuffle")},
    {"compressors": codec("blosc", cname="zstd", clevel=5, shuffle="bitshuffle")},
    {"compressors": codec("gzip", level=1)},
    {"compressors": codec("numcodecs.zlib", level=1)},
    {"compressors": codec("numcodecs.bz2", level=1)},
    {"chunks": (2, 3), "shards": (4, 6)},
    {"chunks": (1, 3), "shards": {"shape": (4, 3), "index_location": "start"}},
    {"filters": codec("transpose", order=[1, 0])},
]


@pytest.fixture(autouse=True)
def zarrs() -> Iterator[None]:
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        yield


@pytest.mark.parametrize("dtype", [*DTYPES, *TIMES, *TEXT])
def test_zarr_v3(tmp_path: Path, dtype: str) -> None:
    for number, options in enumerate(OPTIONS):
        # text that is transposed goes to zarr-python all the same, of which 3.1 does that wrongly
        if dtype not in TEXT or "filters" not in options:
            check_both_ways(tmp_path / str(number), dtype, (7, 5), **{"chunks": (4, 3), **options})


@pytest.mark.parametrize(
    "compressor",
    [
        None,
        numcodecs.Zstd(1),
        numcodecs.Blosc("lz4"),
        numcodecs.GZip(1),
        numcodecs.Zlib(1),
        numcodecs.BZ2(1),
    ],
    ids=str,
)
def test_zarr_v2(tmp_path: Path, compressor: Any) -> None:
    for dtype in (*DTYPES, "string"):
        check_both_ways(
            tmp_path / dtype, dtype, (7, 5), chunks=(4, 3), compressors=compressor, zarr_format=2
        )


@pytest.mark.parametrize(
    ("shape", "chunks"), [((), ()), ((5,), (2,)), ((2, 3, 2, 3), (1, 2, 2, 2))], ids=str
)
def test_shapes_and_keys(tmp_path: Path, shape: Any, chunks: Any) -> None:
    for number, (name, separator) in enumerate([("default", "."), ("v2", "."), ("v2", "/")]):
        encoding = {"name": name, "separator": separator}
        check_both_ways(
            tmp_path / str(number), "<i2", shape, chunks=chunks, chunk_key_encoding=encoding
        )
