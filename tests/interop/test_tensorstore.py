"""Arrays of Zarr v3 and v2, in both directions with tensorstore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
from interop.values import check_documents, check_same, codec, first_half, values_of

import zarrstore

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
DTYPES_V2 = [
    "|b1", "|i1", "<i2", ">i4", "<i8", "|u1", ">u2", "<u4", ">u8",
    "<f2", ">f2", "<f4", ">f8", "<c8", ">c16",
]  # fmt: skip


def theirs(path: Path, driver: str, **options: Any) -> Any:
    kvstore = {"driver": "file", "path": str(path)}
    return tensorstore.open({"driver": driver, "kvstore": kvstore, **options}).result()


def check_both_ways(
    path: Path, driver: str, dtype: str, metadata: dict[str, Any], **options: Any
) -> None:
    """Write one half with one of them, read it with the other; then the whole, the other way."""
    shape = tuple(metadata["shape"])
    values, half = values_of(dtype, shape), first_half(shape)
    there = theirs(path / "theirs", driver, metadata=metadata, create=True)
    there[half].write(values[half]).result()
    ours = zarrstore.open_array(path / "theirs")
    check_same(ours[...], there.read().result())
    ours[...] = values
    check_same(theirs(path / "theirs", driver).read().result(), values)

    ours = zarrstore.create_array(path / "ours", shape=shape, dtype=dtype, **options)
    ours[half] = values[half]
    check_documents(path / "ours")
    there = theirs(path / "ours", driver)
    check_same(there.read().result(), ours[...])
    there.write(values).result()
    check_same(zarrstore.open_array(path / "ours")[...], values)


def check_v3(
    path: Path, dtype: str, shape: Any, chunks: Any, codecs: list[Any], **more: Any
) -> None:
    zero: Any = {"b": False, "c": [0, 0]}.get(np.dtype(dtype).kind, 0)
    options = {"fill_value": zero, **more}
    metadata = {
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": codec("regular", chunk_shape=chunks),
        "codecs": codecs,
        **options,
    }
    check_both_ways(path, "zarr3", dtype, metadata, chunks=chunks, codecs=codecs, **options)


def bytes_codec(dtype: str, endian: str = "little") -> dict[str, Any]:
    return codec("bytes", endian=endian) if np.dtype(dtype).itemsize > 1 else {"name": "bytes"}


LITTLE, CRC32C = codec("bytes", endian="little"), {"name": "crc32c"}
COMPRESSORS = {
    "none": [],
    "zstd": [codec("zstd", level=1)],
    "lz4": [codec("blosc", cname="lz4", clevel=5, shuffle="shuffle")],
    "blosc zstd": [codec("blosc", cname="zstd", clevel=1, shuffle="bitshuffle")],
    "blosc zlib": [codec("blosc", cname="zlib", clevel=1, shuffle="noshuffle")],
    "gzip, crc32c": [codec("gzip", level=3), CRC32C],
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_codecs(tmp_path: Path, dtype: str) -> None:
    for name, compressors in COMPRESSORS.items():
        endian = "big" if name in ("zstd", "none") else "little"
        serializer = bytes_codec(dtype, endian)
        check_v3(tmp_path / name, dtype, (7, 5), (4, 3), [serializer, *compressors])
    order = codec("transpose", order=[2, 0, 1])
    check_v3(tmp_path / "order", dtype, (7, 5, 3), (4, 3, 2), [order, bytes_codec(dtype)])


INDEX_CODECS: list[list[Any]] = [
    [LITTLE, CRC32C],
    [LITTLE],
    [codec("bytes", endian="big"), CRC32C],
    [codec("transpose", order=[2, 0, 1]), LITTLE],
]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
@pytest.mark.parametrize("index_codecs", INDEX_CODECS, ids=[0, 1, 2, 3])
@pytest.mark.parametrize("location", ["start", "end"])
def test_shards(tmp_path: Path, dtype: str, index_codecs: Any, location: str) -> None:
    inside = [codec("transpose", order=[1, 0]), bytes_codec(dtype), codec("gzip", level=1)]
    for inner, outer in (((2, 3), (4, 6)), ((1, 5), (7, 5))):
        shards = codec(
            "sharding_indexed",
            chunk_shape=inner,
            codecs=inside if inner[0] == 2 else [bytes_codec(dtype)],
            index_codecs=index_codecs,
            index_location=location,
        )
        check_v3(tmp_path / str(inner[0]), dtype, (7, 5), outer, [shards])
        nested = codec(
            "sharding_indexed", chunk_shape=outer, codecs=[shards], index_codecs=[LITTLE]
        )
        twice = [2 * length for length in outer]
        check_v3(tmp_path / f"nested {inner[0]}", dtype, (15, 13), twice, [nested])


KEYS = [
    codec("default", separator="."), codec("default", separator="/"), {"name": "default"},
    codec("v2", separator="."), codec("v2", separator="/"), {"name": "v2"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((), ()), ((5,), (2,)), ((2, 3, 2, 3), (1, 2, 2, 2))],
    ids=str,
)
def test_shapes_and_keys(tmp_path: Path, shape: Any, chunks: Any) -> None:
    for number, keys in enumerate(KEYS):
        path = tmp_path / str(number)
        check_v3(path, "int16", shape, chunks, [LITTLE], chunk_key_encoding=keys)
    for separator in ("dot", "slash"):
        keys = {"dimension_separator": {"dot": ".", "slash": "/"}[separator]}
        check_v2(tmp_path / separator, ">i4", shape, chunks, None, **keys)


@pytest.mark.parametrize(
    ("dtype", "fills"),
    [
        ("bool", [True]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [2**64 - 1]),
        ("float16", ["NaN", "Infinity", -0.0]),
        ("float32", ["NaN", "-Infinity", -0.0, "0x7fc00123", 0.1]),
        ("float64", ["NaN", "Infinity", -0.0, 5e-324]),
        ("complex64", [["NaN", 1.0], [-0.0, "-Infinity"]]),
    ],
)
def test_fill_values(tmp_path: Path, dtype: str, fills: list[Any]) -> None:
    stored = np.dtype(dtype).newbyteorder(">").str
    for number, fill in enumerate(fills):
        path = tmp_path / str(number)
        check_v3(path / "v3", dtype, (7,), (4,), [bytes_codec(dtype)], fill_value=fill)
        if not str(fill).startswith("0x"):  # which NaN it is, Zarr v2 does not say
            check_v2(path / "v2", stored, (7,), (4,), None, fill_value=fill)


def check_v2(path: Path, dtype: str, shape: Any, chunks: Any, compressor: Any, **more: Any) -> None:
    options = {"compressor": compressor, "filters": None, "fill_value": None, **more}
    metadata = {"shape": shape, "chunks": chunks, "dtype": dtype, "order": "C", **options}
    check_both_ways(path, "zarr", dtype, metadata, chunks=chunks, zarr_format=2, **options)


@pytest.mark.parametrize("dtype", DTYPES_V2)
def test_zarr_v2(tmp_path: Path, dtype: str) -> None:
    compressors: list[Any] = [
        None,
        {"id": "zstd", "level": 1},
        {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
        {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": -1, "blocksize": 0},
        {"id": "zlib", "level": 1},
        {"id": "gzip", "level": 1},
        {"id": "bz2", "level": 1},
    ]
    for number, compressor in enumerate(compressors):
        order = "CF"[number % 2]
        check_v2(tmp_path / str(number), dtype, (7, 5), (4, 3), compressor, order=order)


# no text: tensorstore hands it over as elements of no size
RECORD = np.dtype([("a", ">i4"), ("b", "<f8"), ("m", "<u2", (2, 3))])


def test_records(tmp_path: Path) -> None:
    values = np.frombuffer(np.random.default_rng(0).bytes(35 * RECORD.itemsize), RECORD)
    values = values.reshape(7, 5)
    options: dict[str, Any] = {"chunks": (4, 3), "order": "F", "zarr_format": 2}
    zarrstore.create_array(tmp_path / "ours", data=values, **options)
    metadata = {
        "shape": [7, 5],
        "chunks": [4, 3],
        "dtype": [["a", ">i4"], ["b", "<f8"], ["m", "<u2", [2, 3]]],
        "compressor": {"id": "zlib", "level": 1},
        "order": "F",
        "filters": None,
        "fill_value": None,
    }
    for name in RECORD.names or ():
        check_same(theirs(tmp_path / "ours", "zarr", field=name).read().result(), values[name])
        there = theirs(
            tmp_path / "theirs", "zarr", metadata=metadata, field=name, open=True, create=True
        )
        there.write(values[name]).result()
    check_same(zarrstore.open_array(tmp_path / "theirs")[...], values)
