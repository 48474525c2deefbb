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
    values_of,
    zarr_dtype,
)

import zarrstore

# what zarr-python says of codecs and data types that are in no specification
pytestmark = [
    pytest.mark.filterwarnings("ignore:The data type"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs"),
    pytest.mark.filterwarnings("ignore:The codec"),
]


def codec(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration}


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
    "gzip": {"compressors": codec("gzip", level=1)},
    "lz4": {"compressors": codec("numcodecs.lz4", acceleration=1)},
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
        ((3,), (8,)),
        ((3, 4, 5), (2, 2, 5)),
        ((2, 3, 2, 3), (1, 2, 2, 2)),
        ((0, 4), (1, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [">i4", "<U3", "string"])
def test_shapes_and_keys(tmp_path: Path, dtype: Any, shape: Any, chunks: Any) -> None:
    for number, (name, separator) in enumerate(KEYS):
        encoding = {"name": name, "separator": separator}
        check_both_ways(
            tmp_path / str(number), dtype, shape, chunks=chunks, chunk_key_encoding=encoding
        )


NAN = float("nan")
FILLS: list[tuple[Any, list[Any]]] = [
    ("bool", [True]),
    ("i1", [-128]),
    ("<i8", [-(2**63), 2**63 - 1]),
    ("<u8", [2**64 - 1]),
    ("<f2", [NAN, -np.inf, -0.0, np.uint16(0x7E01).view("f2")]),
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
    ("u2", [codec("transpose", order=[1, 0]), codec("numcodecs.delta", dtype="<u2")]),
    ("f8", [codec("numcodecs.fixedscaleoffset", offset=0, scale=10, dtype="<f8", astype="<i4")]),
    ("f4", [codec("numcodecs.quantize", digits=2, dtype="<f4")]),
    ("f4", [codec("numcodecs.bitround", keepbits=7)]),
    ("f8", [codec("numcodecs.astype", encode_dtype="<f4", decode_dtype="<f8")]),
    ("bool", [codec("numcodecs.packbits")]),
]
if "scale_offset" in zarr.config.get("codecs") or hasattr(zarr.codecs, "ScaleOffset"):
    FILTERS += [
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


@pytest.mark.parametrize(
    "compressor",
    [
        codec("numcodecs.bz2", level=1),
        codec("numcodecs.zlib", level=1),
        codec("numcodecs.lzma", preset=1),
        codec("numcodecs.zstd", level=1),
        codec("numcodecs.blosc", cname="zstd", clevel=1, shuffle=2, blocksize=0),
        codec("numcodecs.gzip", level=1),
        codec("numcodecs.shuffle", elementsize=4),
        *(codec(f"numcodecs.{name}") for name in ("crc32", "adler32", "fletcher32", "jenkins_lookup3")),
        *(codec("blosc", cname=c, clevel=1, shuffle="bitshuffle", typesize=4) for c in ("lz4hc", "blosclz", "zlib", "zstd")),
        codec("blosc", cname="lz4", clevel=1, shuffle="noshuffle", typesize=4, blocksize=256),
        codec("zstd", level=-3, checksum=False),
    ],
    ids=str,
)  # fmt: skip
def test_compressors_and_checksums(tmp_path: Path, compressor: Any) -> None:
    check_both_ways(tmp_path, "<i4", (40, 30), chunks=(24, 20), compressors=compressor)


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
    compressors = draw(st.sampled_from(["none", "zstd, crc32c", "blosc", "gzip"]))
    options["compressors"] = OPTIONS[compressors]["compressors"]
    endian = draw(st.sampled_from(["little", "big"]))
    options["serializer"] = codec("bytes", endian=endian)
    return options


@settings(max_examples=40)
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
            ((2, 1), [[2, 4, 2], [1, 4]]),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("dtype", ["<f8", "string"])
    def test_chunks_of_several_shapes(tmp_path: Path, dtype: Any, chunks: Any, shards: Any) -> None:
        with zarr.config.set({"array.rectilinear_chunks": True}):
            check_both_ways(tmp_path, dtype, (7, 5), chunks=chunks, shards=shards)
