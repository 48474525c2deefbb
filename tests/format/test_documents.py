"""Metadata documents: what others write, what is hostile, and what attributes may hold."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import example, given
from hypothesis import strategies as st

import zarrstore
from zarrstore.format.documents import (
    decode,
    dumps,
    from_json,
    parse,
    plain_attributes,
    to_json,
)

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


NODE = {name: json.dumps(value) for name, value in ARRAY.items()}
INLINE = '{"kind": "inline", "must_understand": false, "metadata": {%s}}'
MEMBERS = {
    "zarr_format": ["3", "3.0", "true", "2"],
    "node_type": ['"array"', '"group"', '"other"', "null"],
    "shape": ["[4]", "[4.0]", "[-1]", "[9223372036854775808]", "[]"],
    "data_type": ['"float32"', '{"name": "float32"}', '{"name": "float32", "configuration": {}}'],
    "fill_value": ["0", "0.0", '"NaN"', "NaN", "1e400", "[1, 2]"],
    "codecs": [
        '["bytes"]',
        '[{"name": "bytes", "name": "gzip"}]',
        '[{"name": "bytes", "must_understand": true}]',
        '[{"name": "bytes", "more": 1}]',
    ],
    "attributes": [
        "{}",
        '{"a": "x: \\u003a", "b": {"a:": 1}}',
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        "3",
    ],
    "dimension_names": ["null", '["x"]', "[null]", "[1]"],
    "storage_transformers": ["[]", '["x"]'],
    "extra": ["{}", '{"must_understand": false}'],
    "consolidated_metadata": ["null", "3", INLINE % "", INLINE % '"a": 1, "a": 2'],
    "mine": ['{"must_understand": false, "b": 1}', "1"],
}


@given(
    st.dictionaries(st.sampled_from(sorted(MEMBERS)), st.integers(0, 4), max_size=3),
    st.sets(st.sampled_from(sorted(NODE)), max_size=1),
    st.lists(st.sampled_from(sorted(NODE)), max_size=1),
)
@example({"node_type": 1}, set(NODE) - {"zarr_format", "node_type"}, [])
@example({"node_type": 1, "consolidated_metadata": 2}, set(NODE) - {"zarr_format", "node_type"}, [])
def test_documents_read_in_one_go_are_as_those_that_are_checked_bit_by_bit(
    changes: dict[str, int], left_out: set[str], twice: list[str]
) -> None:
    there = {name: text for name, text in NODE.items() if name not in left_out}
    there |= {name: MEMBERS[name][number % len(MEMBERS[name])] for name, number in changes.items()}
    members = [*there.items(), *((name, NODE[name]) for name in twice)]
    data = ("{" + ", ".join(f'"{name}": {text}' for name, text in members) + "}").encode()

    def outcome(*, is_one_go: bool) -> object:
        try:
            if is_one_go:
                return to_json(decode(data, "zarr.json", "here"))
            return to_json(from_json(parse(data, "zarr.json", "here"), "zarr.json", "here"))
        except zarrstore.MetadataError as error:
            return str(error)

    one_go, bit_by_bit = outcome(is_one_go=True), outcome(is_one_go=False)
    if "stands twice" in str(bit_by_bit) and "stands twice" in str(one_go):
        return  # one that is within what is consolidated is found as soon as that is used
    assert repr(one_go) == repr(bit_by_bit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=3), inner),
    max_leaves=8,
)


@given(JSON)
@example({"a": [math.nan, -math.inf, None, {}, [], 2**200, "\x7f\u2028", 1e22, -0.0]})
def test_what_is_written_reads_as_it_was(value: Any) -> None:
    text = dumps({"value": value}).decode()
    assert repr(json.loads(text)) == repr({"value": value})
    assert text.startswith('{\n  "value": ')
