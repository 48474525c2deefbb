"""What an array may be created with; what is accepted can be opened again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from zarr.codecs import BloscCodec
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
        ({"shape": (3, 4), "chunks": ([2, 1], [4])}, TypeError, "chunks is an integer or"),
        ({"shape": (3,), "chunks": ((2, 1),)}, TypeError, "chunks is an integer or"),
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
