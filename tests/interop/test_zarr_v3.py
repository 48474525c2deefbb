"""Arrays of Zarr v3, in both directions with zarr-python."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from interop.values import (
    NAMES_STRUCT,
    NESTED,
    NUMBERS,
    OTHERS,
    RECORD,
    check_both_ways,
    check_same,
    check_theirs_in_ours,
    codec,
    values_of,
)

import zarrstore

# what zarr-python says of codecs and data types that are in no specification
pytestmark = [
    pytest.mark.filterwarnings("ignore:The data type"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs"),
    pytest.mark.filterwarnings("ignore:The codec"),
]


LITTLE = codec("bytes", endian="little")
CRC32C = {"name": "crc32c"}


def shards_in_shards(*codecs: Any) -> dict[str, Any]:
    """Return shards of 4 x 4 in which there are shards of 2 x 2, of single elements."""
    inner = codec("sharding_indexed", chunk_shape=[1, 1], codecs=codecs, index_codecs=[LITTLE])
    return codec(
        "sharding_indexed",
        chunk_shape=[2, 2],
        codecs=[inner],
        index_codecs=[codec("bytes", endian="big"), CRC32C],
        index_location="start",
    )


OPTIONS: dict[str, Any] = {
    "none": {"compressors": None},
    "zstd, crc32c": {"compressors": [codec("zstd", level=1, checksum=True), CRC32C]},
    "blosc": {"compressors": codec("blosc", cname="lz4", clevel=1, shuffle="shuffle")},
    "transpose": {"filters": codec("transpose", order=[1, 0])},
    "shards": {"chunks": (2, 3), "shards": (4, 6)},
    "shards, index first": {
        "chunks": (1, 3),
        "shards": {"shape": (4, 3), "index_location": "start"},
        "compressors": [codec("gzip", level=1), CRC32C],
        "filters": codec("transpose", order=[1, 0]),
    },
}


def options_for(dtype: Any) -> dict[str, Any]:
    """Leave out what zarr-python 3.1 cannot do with a data type."""
    if NAMES_STRUCT:
        return OPTIONS
    # transposed text is written as if it were not transposed, and no shards of raw bytes are
    without = "filters" if dtype in ("string", "bytes") else "shards"
    affected = dtype in ("string", "bytes") or np.dtype(dtype).kind == "V"
    return {name: each for name, each in OPTIONS.items() if not affected or without not in each}


@pytest.mark.parametrize("dtype", [*NUMBERS, *OTHERS], ids=str)
def test_data_types(tmp_path: Path, dtype: Any) -> None:
    for name, each in options_for(dtype).items():
        check_both_ways(tmp_path / name, dtype, (7, 5), **{"chunks": (4, 3), **each})


# zarr-python 3.1 reads no records that are named "struct", and has none in others
@pytest.mark.parametrize("dtype", [RECORD, NESTED] if NAMES_STRUCT else [RECORD], ids=len)
def test_records(tmp_path: Path, dtype: Any) -> None:
    check = check_both_ways if NAMES_STRUCT else check_theirs_in_ours
    for name, each in options_for(dtype).items():
        check(tmp_path / name, dtype, (7, 5), **{"chunks": (4, 3), **each})


@pytest.mark.parametrize("dtype", ["<f4", "u1"])
def test_shards_in_shards(tmp_path: Path, dtype: Any) -> None:
    serializer = shards_in_shards(LITTLE if dtype != "u1" else {"name": "bytes"}, CRC32C)
    check_both_ways(tmp_path, dtype, (7, 5), chunks=(4, 4), serializer=serializer, compressors=None)


KEYS = [("default", "/"), ("default", "."), ("v2", "."), ("v2", "/")]


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((), ()),
        ((5,), (2,)),
        ((3, 4, 5), (2, 2, 5)),
        ((2, 3, 2, 3), (1, 2, 2, 2)),
        ((0, 4), (1, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [">i4", "string"])
def test_shapes_and_keys(tmp_path: Path, dtype: Any, shape: Any, chunks: Any) -> None:
    for number, (name, separator) in enumerate(KEYS):
        encoding = {"name": name, "separator": separator}
        check_both_ways(
            tmp_path / str(number), dtype, shape, chunks=chunks, chunk_key_encoding=encoding
        )


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(st.lists(st.integers(0, 7), min_size=0, max_size=4).map(tuple))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    options: dict[str, Any] = {"shape": shape, "chunks": chunks}
    if shape and draw(st.booleans()):
        times = [draw(st.integers(1, 3)) for _ in shape]
        sides = tuple(c * n for c, n in zip(chunks, times, strict=True))
        location = draw(st.sampled_from(["start", "end"]))
        options["shards"] = {"shape": sides, "index_location": location}
    order = draw(st.permutations(range(len(shape))))
    if draw(st.booleans()):
        options["filters"] = codec("transpose", order=order)
    name, separator = draw(st.sampled_from(KEYS))
    options["chunk_key_encoding"] = {"name": name, "separator": separator}
    compressors = draw(st.sampled_from(["none", "zstd, crc32c", "blosc"]))
    options["compressors"] = OPTIONS[compressors]["compressors"]
    endian = draw(st.sampled_from(["little", "big"]))
    options["serializer"] = codec("bytes", endian=endian)
    return options


@settings(max_examples=30, deadline=None)
@given(layouts(), st.sampled_from(["<i2", "<f4", "<c16"]), st.data())
def test_any_layout(options: dict[str, Any], dtype: str, data: st.DataObject) -> None:
    shape = options["shape"]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        pair: list[Any] = [
            zarr.create_array(path / "theirs", dtype=dtype, fill_value=1, **options),
            zarrstore.create_array(path / "ours", dtype=dtype, fill_value=1, **options),
        ]
        others: list[Any] = [zarrstore.open_array(path / "theirs"), zarr.open_array(path / "ours")]
        expected = np.full(shape, 1, dtype)
        for arrays in (pair, others):
            ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
            selection = tuple(slice(*pair) for pair in ends) or ...
            new = values_of(dtype, expected[selection].shape)
            expected[selection] = new
            for array in arrays:
                array[selection] = new
            for array in (*pair, *others):
                check_same(array[...], expected)


if "rectilinear_chunks" in zarr.config.get("array"):  # not before zarr-python 3.2

    @pytest.mark.filterwarnings("ignore:.*rectilinear")
    @pytest.mark.parametrize(
        ("chunks", "shards"),
        [
            ([[3, 4], [5]], None),
            ([[1, 2, 4], [2, 2, 1]], None),
            ([[7], [1] * 5], None),
            ((1, 1), [[3, 4], [5]]),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("dtype", ["<f8", "string"])
    def test_chunks_of_several_shapes(tmp_path: Path, dtype: Any, chunks: Any, shards: Any) -> None:
        with zarr.config.set({"array.rectilinear_chunks": True}):
            check_both_ways(tmp_path, dtype, (7, 5), chunks=chunks, shards=shards)
