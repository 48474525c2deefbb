"""Chunk grids against lists of lengths, and their documents against other readers of Zarr."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr_metadata.v3.chunk_grid.rectilinear import canonical_dim_spec

from zarrstore.errors import MetadataError
from zarrstore.format.chunk_grids import (
    ChunkGrid,
    ChunkKeys,
    RectilinearGrid,
    RegularGrid,
    chunk_grid,
    guess_chunks,
)

RUNS = st.lists(
    st.integers(1, 6) | st.tuples(st.integers(1, 6), st.integers(1, 5)).map(list), max_size=6
)


def spelt_out(given: Any, length: int) -> list[int]:
    """Return the length of each chunk that begins within the array."""
    if isinstance(given, int):
        return [given] * -(-length // given)
    lengths = []
    for item in given:
        lengths += [item] if isinstance(item, int) else [item[0]] * item[1]
    starts = itertools.accumulate(lengths, initial=0)
    return [chunk for chunk, start in zip(lengths, starts, strict=False) if start < length]


@st.composite
def dimensions(draw: st.DrawFn) -> tuple[int, Any]:
    if draw(st.booleans()):
        return draw(st.integers(0, 30)), draw(st.integers(1, 12))
    given_lengths = draw(RUNS)
    return draw(st.integers(0, sum(spelt_out(given_lengths, 2**62)))), given_lengths


@given(st.lists(dimensions(), max_size=3))
@settings(max_examples=200, deadline=None)
def test_what_a_grid_says_of_its_chunks(pairs: list[tuple[int, Any]]) -> None:
    shape = tuple(length for length, _ in pairs)
    given_lengths = tuple(given for _, given in pairs)
    grid: ChunkGrid = RectilinearGrid(shape, given_lengths)
    expected = [spelt_out(given, length) for length, given in pairs]
    assert grid.grid_shape == tuple(map(len, expected))
    for coords in np.ndindex(*grid.grid_shape):
        wanted = tuple(lengths[at] for lengths, at in zip(expected, coords, strict=True))
        assert grid.chunk_shape_at(coords) == wanted
    if all(shape):
        assert grid.max_chunk_shape == tuple(map(max, expected))
        assert grid.is_regular == all(len(set(lengths)) == 1 for lengths in expected)
    for dimension, lengths, length in zip(grid.dimensions, expected, shape, strict=True):
        starts = list(itertools.accumulate(lengths, initial=0))[:-1]
        owners = [at for at, chunk in enumerate(lengths) for _ in range(chunk)][:length]
        extents = [min(c, length - s) for c, s in zip(lengths, starts, strict=True)]
        everything = np.arange(len(lengths))
        assert list(dimension.starts(0, len(lengths))) == starts
        assert list(dimension.starts(1, len(lengths))) == starts[1:]
        assert [dimension.start_of(at) for at in range(len(lengths))] == starts
        assert dimension.starts_of(everything).tolist() == starts
        assert [dimension.length_of(at) for at in range(len(lengths))] == lengths
        assert dimension.lengths_of(everything).tolist() == lengths
        assert [dimension.extent_of(at) for at in range(len(lengths))] == extents
        assert dimension.extents_of(everything).tolist() == extents
        assert dimension.indices_of(np.arange(length)).tolist() == owners
        assert [dimension.chunk_at(at) for at in range(length)] == [
            (at, starts[at], lengths[at]) for at in owners
        ]


@given(st.lists(dimensions(), max_size=3), st.data())
@settings(max_examples=100, deadline=None)
def test_documents_and_resizing(pairs: list[tuple[int, Any]], data: st.DataObject) -> None:
    shape = tuple(length for length, _ in pairs)
    grid = RectilinearGrid(shape, tuple(given for _, given in pairs))
    configuration = json.loads(json.dumps(grid.to_configuration()))
    assert chunk_grid(shape, "rectilinear", configuration) == grid
    for (_, given_lengths), written in zip(pairs, configuration["chunk_shapes"], strict=True):
        assert written == plain(canonical_dim_spec(as_tuples(given_lengths)))
    resized = grid.with_shape([data.draw(st.integers(0, 60)) for _ in shape])
    for old, new in zip(grid.dimensions, resized.dimensions, strict=True):
        kept = min(old.count, new.count)
        assert [new.length_of(at) for at in range(kept)] == [
            old.length_of(at) for at in range(kept)
        ]
    # what was cut off comes back as it was
    assert resized.with_shape(shape).grid_shape == grid.grid_shape
    assert pickle.loads(pickle.dumps(resized)) == resized


def as_tuples(given_lengths: Any) -> Any:
    if isinstance(given_lengths, int):
        return given_lengths
    return tuple(item if isinstance(item, int) else tuple(item) for item in given_lengths)


def plain(document: Any) -> Any:
    return json.loads(json.dumps(document))


if "rectilinear_chunks" in zarr.config.get("array"):  # not before zarr-python 3.2

    @pytest.mark.parametrize(
        ("shape", "chunks"),
        [
            ((7, 5), ([2, 2, 3], [4, 1])),
            ((7, 5), ([1, 1, 1, 4], [5])),
            ((6, 5), ([2, 4], 3)),
        ],
    )
    def test_zarr_pythons_grids_are_ours(shape: tuple[int, ...], chunks: Any) -> None:
        store: dict[str, Any] = {}
        data = np.arange(np.prod(shape), dtype="u1").reshape(shape)
        with zarr.config.set({"array.rectilinear_chunks": True}):
            written = zarr.create_array(
                store, shape=shape, chunks=chunks, dtype="u1", compressors=None
            )
            written[...] = data
        document = json.loads(store["zarr.json"].to_bytes())
        configuration = document["chunk_grid"]["configuration"]
        grid = chunk_grid(shape, document["chunk_grid"]["name"], configuration)
        assert grid == RectilinearGrid(shape, chunks)
        assert grid.to_configuration() == configuration
        assert sum(key.startswith("c/") for key in store) == np.prod(grid.grid_shape)
        for coords in np.ndindex(*grid.grid_shape):
            stored = np.frombuffer(store[ChunkKeys().key(coords)].to_bytes(), "u1")
            chunk = stored.reshape(grid.chunk_shape_at(coords))
            starts = [d.start_of(at) for d, at in zip(grid.dimensions, coords, strict=True)]
            inside = data[tuple(slice(s, s + n) for s, n in zip(starts, chunk.shape, strict=True))]
            np.testing.assert_array_equal(chunk[tuple(map(slice, inside.shape))], inside)
        resized = written.metadata.chunk_grid.update_shape(shape, (20, 3)).to_dict()
        assert plain(resized["configuration"]) == grid.with_shape((20, 3)).to_configuration()


def test_a_dimension_that_grows_gets_one_more_chunk() -> None:
    grid = RectilinearGrid((6, 6), (4, [1, 2, 3])).with_shape((9, 9))
    assert grid.to_configuration()["chunk_shapes"] == [4, [1, 2, [3, 2]]]
    assert grid.with_shape((2, 2)).grid_shape == (1, 2)
    assert RegularGrid((6,), (4,)).with_shape((9,)) == RegularGrid((9,), (4,))
    assert RectilinearGrid((0,), ([],)).with_shape((3,)).grid_shape == (1,)


def test_regular_grids() -> None:
    grid = chunk_grid((5, 6), "regular", {"chunk_shape": [2, 3]})
    assert grid == RegularGrid((5, 6), (2, 3))
    assert grid.to_configuration() == {"chunk_shape": [2, 3]}
    assert grid.name == "regular"
    assert grid.is_regular
    assert grid.grid_shape == (3, 2)
    assert grid.max_chunk_shape == grid.chunk_shape_at((2, 1)) == (2, 3)
    with pytest.raises(ValueError, match="zip"):
        RegularGrid((5, 6), (2,))


def test_runs_take_no_memory() -> None:
    huge = 2**62
    configuration = {"kind": "inline", "chunk_shapes": [[[1, huge]], [[huge, huge], 3], 1]}
    grid = chunk_grid((huge, huge + 1, huge), "rectilinear", configuration)
    assert grid.grid_shape == (huge, 2, huge)
    assert grid.dimensions[0].chunk_at(huge - 1) == (huge - 1, huge - 1, 1)
    assert grid.dimensions[1].indices_of(np.array([huge - 1, huge])).tolist() == [0, 1]
    assert grid.to_configuration() == configuration


PATH = r"chunk_grid\.configuration\.chunk_shapes"


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([[2, 0]], PATH + r"\[0\]\[1\]: an integer of 1 or more and below 2\*\*63 .* not 0"),
        ([[2, -1, 9]], PATH + r"\[0\]\[1\]: .* not -1"),
        ([[2, 2.0]], PATH + r"\[0\]\[1\]: .* not 2\.0"),
        ([[2, True]], PATH + r"\[0\]\[1\]: .* not True"),
        ([[2, "3"]], PATH + r"\[0\]\[1\]: .* not '3'"),
        ([[2, None]], PATH + r"\[0\]\[1\]: .* not None"),
        ([[[2, 0]]], PATH + r"\[0\]\[0\]\[1\]: .* not 0"),
        ([[[0, 2]]], PATH + r"\[0\]\[0\]\[0\]: .* not 0"),
        ([[[2]]], PATH + r"\[0\]\[0\]: a pair \[length, repeats\] is expected, not 1 items"),
        ([[[2, 2, 2]]], PATH + r"\[0\]\[0\]: a pair"),
        ([[[[2, 2], 2]]], PATH + r"\[0\]\[0\]\[0\]: "),
        ([[2**63]], "below 2"),
        ([[[2, 2**63]]], "below 2"),
        ([0], PATH + r"\[0\]: .* not 0"),
        ([True], PATH + r"\[0\]: .* not True"),
        ([4.0], PATH + r"\[0\]: an integer or a list of them is expected, not float"),
        (["4"], PATH + r"\[0\]: .* not str"),
        ([{"2": 2}], PATH + r"\[0\]: .* not dict"),
        ([[2, 1]], PATH + r"\[0\]: the chunks end at 3, before the array's length 4"),
        ([[]], PATH + r"\[0\]: the chunks end at 0, before the array's length 4"),
        ([4, 4], PATH + r": 2 lengths for 1 dimensions"),
        ([], PATH + r": 0 lengths for 1 dimensions"),
        (4, PATH + r": a list is expected, not int"),
        ("4", PATH + r": a list is expected, not str"),
    ],
)
def test_what_is_no_rectilinear_grid(shapes: Any, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        chunk_grid((4,), "rectilinear", {"kind": "inline", "chunk_shapes": shapes})


@pytest.mark.parametrize(
    ("name", "configuration", "says"),
    [
        ("regular", {}, r"chunk_grid.configuration.chunk_shape is missing"),
        ("regular", {"chunk_shape": [2], "x": 1}, r"chunk_grid\.configuration\.x: unknown"),
        ("regular", {"chunk_shape": [0]}, r"chunk_shape\[0\]: an integer of 1 or more"),
        ("regular", {"chunk_shape": [[4]]}, r"chunk_shape\[0\]: an integer is expected"),
        ("regular", {"chunk_shape": [2, 2]}, "2 lengths for 1 dimensions"),
        ("regular", {"chunk_shape": 2}, r"chunk_shape: a list is expected, not int"),
        ("rectilinear", {"chunk_shapes": [4]}, r"chunk_grid.configuration.kind is missing"),
        ("rectilinear", {"kind": "inline"}, r"chunk_grid.configuration.chunk_shapes is missing"),
        ("rectilinear", {"kind": "x", "chunk_shapes": [4]}, r"kind: 'inline' is expected, not 'x'"),
        ("hexagons", {}, "unknown chunk grid 'hexagons'; use 'regular' or 'rectilinear'"),
    ],
)
def test_what_is_no_grid(name: str, configuration: Any, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        chunk_grid((4,), name, configuration)


@pytest.mark.parametrize("name", ["default", "v2"])
@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("ndim", [0, 1, 2, 5])
def test_keys_are_zarr_pythons_and_are_read_back(name: str, separator: str, ndim: int) -> None:
    keys = ChunkKeys(name, separator)
    metadata: Any = zarr.create_array(
        {},
        shape=(100,) * ndim,
        chunks=(1,) * ndim,
        dtype="i1",
        chunk_key_encoding={"name": name, "configuration": {"separator": separator}},
    ).metadata
    theirs = metadata.chunk_key_encoding
    for coords in ((0,) * ndim, tuple(range(8, 8 + ndim))):
        key = keys.key(coords)
        assert key == theirs.encode_chunk_key(coords)
        assert key.startswith(keys.prefix) or not ndim
        assert keys.chunk_coords(key, ndim) == coords
        assert keys.chunk_coords(key, ndim + 2) is None
    assert pickle.loads(pickle.dumps(keys)) == keys
    assert hash(keys) == hash(ChunkKeys(name, separator))


@pytest.mark.parametrize(
    "key",
    [
        "zarr.json",
        "c",
        "",
        "0/1",
        "c/0",
        "c/0/1/2",
        "c/00/1",
        "c/+0/1",
        "c/-1/1",
        "c/0_0/1",
        "c/ 0/1",
        "c/\N{ARABIC-INDIC DIGIT ZERO}/1",
        "c/0/" + "1" * 5000,
        "c/a/1",
        "c.0.1",
        "c/0/1/",
        "/c/0/1",
    ],
)
def test_keys_of_no_chunk(key: str) -> None:
    assert ChunkKeys("default", "/").chunk_coords(key, 2) is None
    assert ChunkKeys("v2", ".").chunk_coords(key, 2) is None


@given(st.lists(st.integers(0, 10**7), max_size=4).map(tuple), st.integers(0, 32))
def test_guessed_chunks_are_near_the_target(shape: tuple[int, ...], itemsize: int) -> None:
    chunks = guess_chunks(shape, itemsize)
    size = itemsize * np.prod([float(length) for length in chunks])
    whole = itemsize * np.prod([float(max(1, length)) for length in shape])
    assert all(1 <= c <= max(1, n) for c, n in zip(chunks, shape, strict=True))
    assert size <= max(2**20, itemsize)
    assert chunks == tuple(max(1, n) for n in shape) if whole <= 2**20 else size >= 2**18
