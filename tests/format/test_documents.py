"""Metadata documents: what others write, what is hostile, and what attributes may hold."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import zarr

import zarrstore
from zarrstore.format.documents import plain_attributes

ARRAY: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "attributes": {},
}
BLOSC = {"name": "blosc", "configuration": {"shuffle": []}}


def opened(change: dict[str, Any]) -> zarrstore.Array:
    return zarrstore.open_array({"zarr.json": json.dumps({**ARRAY, **change}).encode()}, mode="r")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"node_type": ["array"]}, "node_type"),
        ({"node_type": {}}, "node_type"),
        ({"data_type": {"name": "float32", "configuration": {"a": 1}}}, "data_type.configuration"),
        ({"chunk_key_encoding": {"name": "default", "separator": "."}}, "separator"),
        (
            {"chunk_key_encoding": {"name": "default", "configuration": {"separator": ""}}},
            "separator: '' is not",
        ),
        ({"codecs": [{**ARRAY["codecs"][0], "endian": "big"}]}, "endian"),
        ({"codecs": [*ARRAY["codecs"], BLOSC]}, "blosc.shuffle"),
        ({"codecs": [*ARRAY["codecs"], {"name": "x"}]}, "unknown codec"),
        ({"fill_value": 10**400}, "fill_value"),
        (
            {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2**63]}}},
            "below 2",
        ),
    ],
)
def test_what_is_not_understood_is_an_error_and_never_ignored(
    change: dict[str, Any], says: str
) -> None:
    with pytest.raises(zarrstore.MetadataError, match=says):
        opened(change)


def test_only_the_chunks_that_are_needed_are_planned() -> None:
    """However many there are: nothing is allocated or counted for the others."""
    huge = {"name": "regular", "configuration": {"chunk_shape": [2**62]}}
    for change in (
        {"shape": [2**62]},
        {"chunk_grid": huge},
        {"shape": [2**62], "chunk_grid": huge},
    ):
        array = opened(change)
        assert array[1:3].tolist() == [0, 0]
        assert array[-1] == 0
    sides = {"name": "regular", "configuration": {"chunk_shape": [1] * 64}}
    array = opened({"shape": [2] * 64, "chunk_grid": sides})
    assert array[(1,) * 64] == 0
    assert array.nchunks == 2**64


def test_attributes_that_are_not_a_number_are_zarr_pythons() -> None:
    data: dict[str, Any] = {}
    given = {"a": math.nan, "b": [math.inf, -math.inf], "c": 10**30}
    zarr.create_array(data, shape=(2,), dtype="i4", attributes=given)
    stored = {key: value.to_bytes() for key, value in data.items()}
    array = zarrstore.open_array(stored)
    assert math.isnan(array.attrs["a"])
    assert array.attrs["b"] == [math.inf, -math.inf]
    array.attrs["d"] = math.nan
    again = zarrstore.open_array(stored).attrs
    assert math.isnan(again["a"])
    assert math.isnan(again["d"])
    assert again["c"] == 10**30
    assert b'"a": NaN' in stored["zarr.json"]


def test_attributes_are_as_they_will_be_read_again() -> None:
    given = {
        "number": np.int64(3),
        "half": np.float32(0.5),
        "flags": np.array([1, 2], "u1"),
        "pair": (1, None),
        "text": np.str_("é"),
        "true": np.bool_(True),
        "deep": {"a": [{"b": np.int8(1)}]},
    }
    plain = plain_attributes(given)
    assert plain == json.loads(json.dumps(plain))
    group = zarrstore.open_group()
    group.attrs.update(given)
    assert group.attrs.asdict() == zarrstore.open_group(group.store).attrs.asdict() == plain
    values = [1]
    group.attrs["values"] = values
    values.append(2)
    group.attrs["values"].append(3)
    group.attrs.asdict()["values"].append(4)
    assert group.attrs["values"] == [1]


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        {1, 2},
        pytest.param(object(), id="object()"),
        {1: 2},
        {"a": {None: 1}},
        "\ud800",
        {"\ud800": 1},
        np.datetime64("2020"),
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused_before_anything_is_written(value: Any) -> None:
    data: dict[str, Any] = {}
    group = zarrstore.open_group(data)
    before = dict(data)
    with pytest.raises(TypeError, match=r"attributes\['a'\]"):
        group.attrs["a"] = value
    with pytest.raises(TypeError, match=r"attributes\['a'\]"):
        group.create_group("b", attributes={"a": value})
    with pytest.raises(TypeError, match="must be a str"):
        group.attrs[1] = 2  # type: ignore[index]
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="hold themselves"):
        group.attrs["a"] = loop
    assert data == before
    assert dict(group.attrs) == {}
