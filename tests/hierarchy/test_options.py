"""What an array may be created with; what is accepted can be opened again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec
from zarr.core.buffer import cpu
from zarr.core.chunk_key_encodings import V2ChunkKeyEncoding

import zarrstore


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (3, (3,)),
        (np.int64(3), (3,)),
        (np.array(3), (3,)),
        (np.array([3, 4]), (3, 4)),
        ([np.uint8(3)], (3,)),
        ((), ()),
    ],
)
def test_shapes(given: Any, shape: tuple[int, ...]) -> None:
    assert zarrstore.create_array({}, shape=given).shape == shape
    assert zarrstore.create_array({}, shape=shape, chunks=given).chunks == shape


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"shape": True}, TypeError, "shape is an integer"),
        ({"shape": 2**63}, ValueError, r"shape must be below 2\*\*63"),
        ({"shape": (1,) * 65}, ValueError, "65 dimensions; 64 at most"),
        (
            {"shape": (3, 4), "chunks": ([2, 2], [4])},
            ValueError,
            "add up to 4",
        ),
        ({"shape": (3, 4), "chunks": ([2, 1], [4, 0])}, ValueError, "1 or more"),
        ({"shape": (3,), "chunks": ((2, "a"),)}, TypeError, "chunks is an integer or"),
        ({"shape": (3,), "chunks": ((2, 1), 3)}, ValueError, "2 lengths for 1 dimensions"),
        ({"shape": 3, "chunks": "big"}, ValueError, "chunks is a shape, 'auto' or False"),
        ({"shape": (9,), "chunks": 2, "shards": 5}, ValueError, "multiples of chunks"),
        ({"shape": (9,), "chunks": [[4, 5]], "shards": 9}, ValueError, "all of one shape"),
        ({"shape": (9,), "chunks": 2, "shards": [[4, 5]]}, ValueError, "multiples of chunks"),
        ({"shape": (9,), "shards": {"x": 3}}, ValueError, "shards has 'shape'"),
        (
            {"shape": (9,), "chunks": 3, "shards": {"shape": 3, "index_location": "x"}},
            ValueError,
            "index_location",
        ),
        ({"shape": 3, "codecs": ["bytes"], "compressors": None}, ValueError, "codecs has all"),
        ({"shape": 3, "codecs": ["gzip"]}, ValueError, "codecs"),
        ({"shape": 3, "order": "K"}, ValueError, "order is 'C' or 'F'"),
        ({"shape": 3, "config": {"a": 1}}, ValueError, "config has no a"),
        ({"shape": 3, "config": 3}, TypeError, "config is a mapping"),
        ({"shape": 3, "zarr_format": 1}, ValueError, "zarr_format is 2, 3 or None"),
        ({"shape": 3, "chunks": 2**63}, ValueError, "chunks must be below"),
        ({"shape": 3, "dimension_names": "x"}, TypeError, "dimension_names are"),
        ({"shape": 3, "dimension_names": [3]}, TypeError, "dimension_names are"),
        ({"shape": 3, "dimension_names": 3}, TypeError, "dimension_names are"),
        ({"shape": 3, "attributes": 3}, TypeError, "attributes are a mapping"),
        (
            {"shape": 3, "chunk_key_encoding": {"name": "v2", "configuration": {"sep": "."}}},
            ValueError,
            "sep",
        ),
        (
            {"shape": 3, "chunk_key_encoding": {"name": "v2", "configuration": 3}},
            ValueError,
            "conf",
        ),
    ],
)
def test_what_could_not_be_opened_again_is_not_created(
    options: Any, error: type[Exception], says: str
) -> None:
    data: dict[str, Any] = {}
    with pytest.raises(error, match=says):
        zarrstore.create_array(data, **options)
    assert data == {}


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ("NaN", "f4", np.float32("nan")),
        ("0x7fc00001", "f4", np.array([0x7FC00001], "u4").view("f4")[0]),
        ("-Infinity", "f8", -np.inf),
        ([1, "NaN"], "c8", np.complex64(complex(1, np.nan))),
        (0.1, "f4", np.float32(0.1)),
        (np.float64(2), "i4", 2),
        (np.array(3), "u1", 3),
        (True, "bool", True),
        (np.inf, "f2", np.float16("inf")),
    ],
)
def test_fill_values(value: Any, dtype: str, expected: Any) -> None:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, shape=2, dtype=dtype, fill_value=value)
    found = zarrstore.open_array(data).fill_value
    assert found.tobytes() == np.asarray(expected, dtype).tobytes()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (300, "u1"),
        (-1, "u1"),
        (1.5, "i4"),
        (np.nan, "i4"),
        (2, "bool"),
        ("False", "bool"),
        ("3", "i4"),
        (b"3", "i4"),
        (1j, "f4"),
        (1e300, "f4"),
        (10**400, "f8"),
        (2**64, "u8"),
        ([3], "i4"),
        (np.datetime64("2020"), "i8"),
        (object(), "i4"),
    ],
)
def test_a_fill_value_that_would_be_another_is_refused(value: Any, dtype: str) -> None:
    data: dict[str, Any] = {}
    with pytest.raises(zarrstore.MetadataError, match="is not a value of data type"):
        zarrstore.create_array(data, shape=2, dtype=dtype, fill_value=value)
    assert data == {}


def test_what_a_codec_of_zarr_python_leaves_open_is_filled_in() -> None:
    """Its Blosc says a typesize of 1 before it has seen the array, which would not shuffle."""
    array = zarrstore.create_array(
        {},
        shape=3,
        dtype="f8",
        compressors=BloscCodec(cname="lz4"),
        chunk_key_encoding=V2ChunkKeyEncoding(),
    )
    (_, blosc) = array.codecs
    assert blosc.configuration() == {
        "typesize": 8,
        "cname": "lz4",
        "clevel": 5,
        "shuffle": "shuffle",
        "blocksize": 0,
    }
    array[:] = 1
    assert set(array.store.sync) == {"zarr.json", "0"}
    given = BloscCodec(cname="lz4", typesize=2, shuffle="noshuffle")
    (_, blosc) = zarrstore.create_array({}, shape=3, dtype="f8", compressors=given).codecs
    assert (blosc.typesize, blosc.shuffle) == (2, "noshuffle")


@pytest.mark.parametrize(
    ("shape", "options", "chunks", "shards"),
    [
        ((20, 20), {"chunks": (4, 4), "shards": (8, 20)}, (4, 4), (8, 20)),
        ((20, 20), {"chunks": (3, 4), "shards": -1}, (3, 4), (21, 20)),
        ((20, 20), {"chunks": 4, "shards": {"shape": (8, 8)}}, (4, 4), (8, 8)),
        ((20, 20), {"chunks": (4, 4), "shards": "auto"}, (4, 4), (32, 32)),
        ((4096, 4096), {"shards": (4096, 4096)}, (256, 512), (4096, 4096)),
        ((17, 19), {"shards": (17, 19)}, (17, 19), (17, 19)),
        ((), {"shards": ()}, (), ()),
        ((0, 3), {"shards": "auto", "chunks": 2}, (2, 2), (2, 4)),
    ],
)
def test_shards(shape: Any, options: Any, chunks: Any, shards: Any) -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, shape=shape, dtype="f8", **options)
    assert (array.chunks, array.shards) == (chunks, shards)
    again = zarrstore.open_array(data)
    assert (again.chunks, again.shards) == (chunks, shards)
    theirs = zarr.open_array({key: cpu.Buffer.from_bytes(bytes(v)) for key, v in data.items()})
    assert (theirs.chunks, theirs.shards) == (chunks, shards)


def test_shards_of_several_lengths() -> None:
    array = zarrstore.create_array({}, shape=(12, 3), shards=[[4, 8], [3]], dtype="i2")
    assert array.write_chunk_sizes == ((4, 8), (3,))
    assert array.chunks == (4, 3)
    array[...] = np.arange(36).reshape(12, 3)
    assert array[...].tolist() == np.arange(36).reshape(12, 3).tolist()


@pytest.mark.parametrize("chunks", [[[3, 4], [5]], [[3, 4], 2], [[7], [5]], ((1,) * 7, [2, 3])])
def test_chunks_of_several_lengths(chunks: Any) -> None:
    values = np.arange(35).reshape(7, 5)
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, data=values, chunks=chunks)
    assert array[...].tolist() == values.tolist()
    assert zarrstore.open_array(data)[2:5, 1:4].tolist() == values[2:5, 1:4].tolist()
    assert json.loads(bytes(data["zarr.json"]))["chunk_grid"]["name"] == "rectilinear"


def test_all_codecs_at_once() -> None:
    array = zarrstore.create_array({}, shape=4, codecs=["bytes", "crc32c"], chunks=2, shards=4)
    assert [codec.name for codec in array.codecs] == ["sharding_indexed"]
    assert [codec.name for codec in array.compressors] == ["crc32c"]


def test_what_is_stored_nowhere() -> None:
    for options in ({"write_empty_chunks": True}, {"config": {"write_empty_chunks": True}}):
        array = zarrstore.create_array({}, data=np.zeros(2), config={"order": "F"})
        assert set(array.store.sync) == {"zarr.json"}
        array = zarrstore.create_array({}, data=np.zeros(2), **options)  # type: ignore[arg-type]
        assert set(array.store.sync) == {"zarr.json", "c/0"}
        again = zarrstore.open_array(array, **options)  # type: ignore[arg-type]
        assert again.write_empty_chunks
        assert zarrstore.open(array, **options).write_empty_chunks  # type: ignore[union-attr,arg-type]
    array = zarrstore.create_array({}, data=np.ones(2), write_data=False)
    assert array[...].tolist() == [0, 0]
