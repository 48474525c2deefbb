"""Arrays: against numpy, on stores that block and stores that do not."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import zarrstore
from zarrstore import aio

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
COMPRESSORS: list[Any] = [
    None,
    "auto",
    "gzip",
    "crc32c",
    {"name": "blosc", "configuration": {"cname": "lz4"}},
    [{"name": "zstd", "configuration": {"level": 3}}, "crc32c"],
]


@pytest.fixture(params=["memory", "local", "latency", "zip"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[zarrstore.Store]:
    makes: dict[str, Callable[[], zarrstore.Store]] = {
        "memory": zarrstore.MemoryStore,
        "local": lambda: zarrstore.LocalStore(tmp_path / "x"),
        "latency": lambda: zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.001, 0.001),
        "zip": lambda: zarrstore.open_store(tmp_path / "x.zip"),
    }
    store = makes[request.param]()
    yield store
    store.sync.close()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressors", COMPRESSORS, ids=repr)
def test_every_type_and_codec(store: zarrstore.Store, dtype: str, compressors: Any) -> None:
    values = np.random.default_rng(0).integers(0, 2, (13, 7)).astype(dtype)
    array = zarrstore.create_array(store, data=values, chunks=(4, 3), compressors=compressors)
    again = zarrstore.open_array(store, mode="r")
    np.testing.assert_array_equal(again[...], values)
    assert again.dtype == values.dtype
    assert again.codecs == array.codecs


@st.composite
def arrays_and_writes(draw: st.DrawFn) -> tuple[Any, ...]:
    shape = draw(st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=10))
    chunks = tuple(draw(st.integers(1, 6)) for _ in shape)
    fill = draw(st.integers(-2, 2))
    writes = []
    for _ in range(draw(st.integers(1, 4))):
        if shape:
            selection = draw(st_numpy.basic_indices(shape, allow_newaxis=False))
        else:
            selection = draw(st.sampled_from([(), ...]))
        writes.append((selection, draw(st.integers(-2, 2)), draw(st.booleans())))
    return shape, chunks, fill, writes


@pytest.mark.parametrize("late", [False, True])
@given(case=arrays_and_writes(), separator=st.sampled_from("/."), big=st.booleans())
@settings(max_examples=60, deadline=None)
def test_reads_and_writes_are_numpys(
    late: bool, case: tuple[Any, ...], separator: str, big: bool
) -> None:
    shape, chunks, fill, writes = case
    data: dict[str, Any] = {}
    store: zarrstore.Store = zarrstore.MemoryStore(data)
    if late:
        store = zarrstore.LatencyStore(store, 0, 0)
    array = zarrstore.create_array(
        store,
        shape=shape,
        dtype="int32",
        chunks=chunks,
        fill_value=fill,
        serializer={"name": "bytes", "configuration": {"endian": "big" if big else "little"}},
        chunk_key_encoding={"name": "default", "separator": separator},
    )
    expected = np.full(shape, fill, "int32")
    np.testing.assert_array_equal(array[...], expected)
    for selection, value, whole in writes:
        given_value = np.full(expected[selection].shape, value, "int32") if whole else value
        expected[selection] = given_value
        array[selection] = given_value
        np.testing.assert_array_equal(array[selection], expected[selection])
        assert type(array[selection]) is type(expected[selection])
    np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(zarrstore.open_array(data, mode="r")[...], expected)
    array[...] = fill
    assert set(data) == {"zarr.json"}


def test_big_and_strided_writes(store: zarrstore.Store) -> None:
    values = np.arange(300 * 200, dtype="f4").reshape(300, 200)
    array = zarrstore.create_array(store, shape=(200, 300), dtype="f4", chunks=(64, 64))
    array[...] = values.T
    np.testing.assert_array_equal(array[...], values.T)
    out = np.zeros((200, 300), "f8")
    assert array.read(out=out) is out
    np.testing.assert_array_equal(out, values.T)
    flipped = np.empty((300, 200), "f4").T
    array.read(out=flipped)
    np.testing.assert_array_equal(flipped, values.T)


def test_missing_chunks_are_the_fill_value_and_empty_ones_are_not_stored() -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, shape=(4, 4), chunks=(2, 2), dtype="f8", fill_value=-0.0)
    array[...] = -0.0
    assert set(data) == {"zarr.json"}
    array[:2] = 0.0
    assert set(data) == {"zarr.json", "c/0/0", "c/0/1"}
    array[:2] = -0.0
    assert set(data) == {"zarr.json"}
    assert np.signbit(array[0, 0])
    data.clear()
    stored = zarrstore.create_array(
        data, name="b", shape=2, chunks=1, fill_value=np.nan, write_empty_chunks=True
    )
    stored[...] = np.nan
    assert {"b/c/0", "b/c/1"} <= set(data)
    assert np.isnan(stored[:]).all()
    for dtype in ("U3", "S3", "string", [("a", "U3"), ("b", "i1")]):
        text: dict[str, Any] = {}
        zarrstore.create_array(
            text, data=np.zeros(4, dtype if dtype != "string" else "T"), chunks=2
        )
        assert set(text) == {"zarr.json"}


def test_a_whole_chunk_is_written_without_reading_it() -> None:
    asked: list[str] = []

    class Asking(zarrstore.MemoryStore):
        def _get(self, key: str) -> Any:
            asked.append(key)
            return super()._get(key)

    array = zarrstore.create_array(Asking(), shape=(5, 5), chunks=(2, 2), dtype="i4")
    asked.clear()
    array[...] = 1
    array[4:, 4:] = 2  # all that the chunk has inside the array
    array[0:2] = 3
    assert asked == []
    array[0, 0] = 4
    assert asked == ["c/0/0"]


def test_facts_and_repr(tmp_path: Path) -> None:
    array = zarrstore.create_array(
        tmp_path / "data.zarr",
        name="a/b",
        shape=(5, 4),
        dtype=">f4",
        chunks=(2, -1),
        dimension_names=("y", None),
        attributes={"units": "m"},
        chunk_key_encoding="v2",
    )
    assert repr(array) == f"<Array file://{tmp_path}/data.zarr/a/b shape=(5, 4) dtype=float32>"
    assert (array.shape, array.chunks, array.cdata_shape) == ((5, 4), (2, 4), (3, 1))
    assert (array.ndim, array.size, array.itemsize, array.nbytes) == (2, 20, 4, 80)
    assert (array.nchunks, len(array), array.fill_value) == (3, 5, 0)
    assert (array.path, array.name, array.basename) == ("a/b", "/a/b", "b")
    assert array.dimension_names == ("y", None)
    assert dict(array.attrs) == {"units": "m"}
    array[...] = 1
    assert (tmp_path / "data.zarr/a/b/2.0").exists()
    assert json.loads((tmp_path / "data.zarr/a/zarr.json").read_text())["node_type"] == "group"
    again = zarrstore.open(tmp_path / "data.zarr/a/b", mode="r")
    assert repr(again).startswith(f"<Array file://{tmp_path}/data.zarr/a/b ")
    np.testing.assert_array_equal(np.asarray(again), np.ones((5, 4), "f4"))
    assert np.asarray(again, dtype="i2").dtype == "i2"
    with pytest.raises(ValueError, match="copied"):
        np.array(again, copy=False)


def test_attributes_are_stored_at_once_and_merged_with_those_of_others() -> None:
    data: dict[str, Any] = {}
    first = zarrstore.create_array(data, shape=1, dtype="i1", attributes={"a": 1})
    second = zarrstore.open_array(data)
    first.attrs["b"] = [1, {"c": None}]
    second.attrs["d"] = 2
    assert zarrstore.open_array(data).attrs.asdict() == {"a": 1, "b": [1, {"c": None}], "d": 2}
    del second.attrs["a"]
    assert "a" not in zarrstore.open_array(data).attrs
    second.attrs.put({"e": 5})
    assert len(zarrstore.open_array(data).attrs) == 1
    with pytest.raises(TypeError, match="what JSON can hold"):
        first.attrs["f"] = object()
    assert zarrstore.open_array(data).attrs.asdict() == {"e": 5}
    with pytest.raises(zarrstore.ReadOnlyError):
        zarrstore.open_array(data, mode="r").attrs["f"] = 1


def test_modes(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    for mode in ("r", "r+", "a"):
        with pytest.raises(zarrstore.NodeNotFoundError, match="no array at file://"):
            zarrstore.open_array(path, mode=mode)  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()
    array = zarrstore.open_array(path, shape=3, dtype="i4")
    array[:] = 1
    with pytest.raises(zarrstore.NodeExistsError, match="already an array or group"):
        zarrstore.open_array(path, mode="w-", shape=3)
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.create_array(path, shape=3)
    assert zarrstore.open_array(path, shape=99)[0] == 1
    with pytest.raises(zarrstore.ReadOnlyError, match=r"mode 'r\+' or 'a'"):
        zarrstore.open_array(path, mode="r")[0] = 2
    zarrstore.open_array(path, mode="r+")[0] = 2
    assert zarrstore.open_array(path)[:].tolist() == [2, 1, 1]
    with pytest.raises(TypeError, match="shape is missing"):
        zarrstore.open_array(path, mode="w")
    assert zarrstore.open_array(path)[:].tolist() == [2, 1, 1]
    assert zarrstore.open_array(path, mode="w", shape=2, dtype="i1")[:].tolist() == [0, 0]
    with pytest.raises(zarrstore.NodeNotFoundError, match="is an array, not a group"):
        zarrstore.open_group(path)
    with pytest.raises(ValueError, match="mode is one of"):
        zarrstore.open_array(path, mode="rw")  # type: ignore[arg-type]


def test_open_finds_out_what_is_there() -> None:
    data: dict[str, Any] = {}
    assert isinstance(zarrstore.open(data), zarrstore.Group)
    assert isinstance(zarrstore.open(data, path="a", shape=2), zarrstore.Array)
    assert isinstance(zarrstore.open(data, "r", path="a"), zarrstore.Array)
    assert isinstance(zarrstore.open(data, "r"), zarrstore.Group)
    with pytest.raises(zarrstore.NodeNotFoundError, match="no array or group"):
        zarrstore.open(data, "r", path="b")
    with pytest.raises(zarrstore.NodeNotFoundError, match="is a group, not an array"):
        zarrstore.open_array(data)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, TypeError, "shape is missing"),
        ({"shape": -1}, ValueError, "shape must be 0 or more"),
        ({"shape": 1.5}, TypeError, "shape is an integer or a sequence"),
        ({"shape": 3, "chunks": 0}, ValueError, "chunks must be 1 or more"),
        ({"shape": 3, "chunks": (1, 1)}, ValueError, "chunks has 2 lengths for 1 dimensions"),
        ({"shape": 3, "chunks": "big"}, ValueError, "chunks is a shape, 'auto' or False"),
        ({"shape": 3, "dtype": "nothing"}, TypeError, "nothing"),
        ({"shape": 3, "fill_value": "x"}, ValueError, "x"),
        ({"shape": 3, "compressors": "lz77"}, ValueError, "unknown codec 'lz77'"),
        ({"shape": 3, "compressors": 5}, TypeError, "a codec is"),
        ({"shape": 3, "serializer": "gzip"}, ValueError, "'gzip' cannot stand there"),
        ({"shape": 3, "dimension_names": ("a", "b")}, ValueError, "2 names for 1 dimensions"),
        ({"shape": 3, "chunk_key_encoding": "v3"}, ValueError, "not 'default' or 'v2'"),
        ({"shape": 3, "chunk_key_encoding": 3}, TypeError, "chunk_key_encoding is"),
        ({"shape": 3, "attributes": {"a": object()}}, TypeError, "what JSON can hold"),
        ({"shape": 3, "zarr_format": 4}, ValueError, "zarr_format is 2, 3 or None"),
        ({"shape": 3, "colour": "red"}, TypeError, "unknown options colour; known are"),
        ({"shape": 3, "data": [1, 2]}, ValueError, "could not broadcast"),
        ({"data": [object()]}, TypeError, "cannot be stored"),
    ],
)
def test_options_that_are_not_valid_change_nothing(
    options: Any, error: type[Exception], says: str
) -> None:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, data=[1, 2, 3])
    before = dict(data)
    with pytest.raises(error, match=says):
        zarrstore.create_array(data, overwrite=True, **options)
    if "data" not in options or "shape" not in options:
        assert data == before


def test_values_that_do_not_fit_change_nothing() -> None:
    data: dict[str, Any] = {}
    array = zarrstore.create_array(data, data=np.arange(6, dtype="u1").reshape(2, 3))
    before = dict(data)
    for value, error in (
        (np.zeros((3, 2)), ValueError),
        ([[1], [2, 3]], ValueError),
        ("text", ValueError),
        (np.array(["a"]), ValueError),
        (300, OverflowError),
        (object(), TypeError),
    ):
        with pytest.raises(error):
            array[...] = value
    with pytest.raises(IndexError):
        array[2] = 1
    assert data == before


def test_nodes_below_an_array_are_refused() -> None:
    data: dict[str, Any] = {}
    zarrstore.create_array(data, name="a", shape=1)
    with pytest.raises(zarrstore.NodeExistsError, match="is an array, which has nothing below"):
        zarrstore.create_array(data, name="a/b", shape=1)


DAMAGE: list[tuple[str, Any, str]] = [
    ("not JSON", b"{", "truncated|Input data"),
    ("not an object", b"[1]", "not an object"),
    ("nothing", b"", "truncated"),
    ("not UTF-8", b'{"a": "\xff"}', "UTF-8|utf-8"),
    ("another format", {"zarr_format": 2}, "zarr_format must be 3"),
    ("negative", {"shape": [-1]}, r"shape"),
    ("too large", {"shape": [2**70]}, r"shape"),
    ("a truth value", {"shape": [True]}, r"shape"),
    ("70 dimensions", {"shape": [1] * 70}, r"shape"),
    (
        "chunk of 0",
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0]}}},
        "1 or",
    ),
    (
        "other chunks",
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 1]}}},
        "2 l",
    ),
    ("unknown grid", {"chunk_grid": {"name": "hexagons"}}, "unknown chunk grid 'hexagons'"),
    ("unknown keys", {"chunk_key_encoding": "v9"}, "not 'default' or 'v2'"),
    ("unknown type", {"data_type": "int7"}, "unknown data type 'int7'"),
    ("fill value", {"fill_value": "x"}, "fill_value"),
    ("no codecs", {"codecs": []}, "none from elements to bytes"),
    ("unknown codec", {"codecs": ["bytes", "lz77"]}, "unknown codec 'lz77'"),
    ("unknown member", {"colour": {"name": "red"}}, "colour"),
    ("transformers", {"storage_transformers": ["x"]}, "storage_transformers"),
    ("attributes", {"attributes": 3}, "attributes"),
    ("deep", b'{"attributes":' + b'{"a":' * 100_000, "zarr.json"),
    ("long", b'{"shape": [' + b"9" * 5_000 + b"]}", "zarr.json"),
]


@pytest.mark.parametrize(("change", "says"), [d[1:] for d in DAMAGE], ids=[d[0] for d in DAMAGE])
def test_broken_metadata(change: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x" / "zarr.json"
    zarrstore.create_array(tmp_path / "x", data=[1, 2, 3])
    whole = path.read_bytes()
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        path.write_text(json.dumps({**json.loads(whole), **change}))
    with pytest.raises(zarrstore.MetadataError, match=says) as caught:
        zarrstore.open_array(tmp_path / "x")
    assert "'zarr.json' in file://" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    path.write_bytes(whole)
    assert zarrstore.open_array(tmp_path / "x")[:].tolist() == [1, 2, 3]


def test_members_that_need_not_be_understood_are_kept(tmp_path: Path) -> None:
    zarrstore.create_array(tmp_path, data=[1])
    path = tmp_path / "zarr.json"
    note = {"must_understand": False, "text": "hello"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "note": note}))
    zarrstore.open_array(tmp_path).attrs["a"] = 1
    assert json.loads(path.read_text())["note"] == note


@pytest.mark.parametrize("compressors", COMPRESSORS, ids=repr)
def test_a_truncated_chunk_names_its_key(store: zarrstore.Store, compressors: Any) -> None:
    values = np.random.default_rng(0).integers(0, 255, (8, 8), "u1")
    array = zarrstore.create_array(
        store, name="a", data=values, chunks=(4, 4), compressors=compressors
    )
    whole = store.sync["a/c/1/0"]
    for damaged in (whole[:-1], whole[: len(whole) // 2], b""):
        store.sync["a/c/1/0"] = damaged
        with pytest.raises(zarrstore.CorruptDataError, match=r"'a/c/1/0'.*codecs: bytes") as caught:
            _ = array[...]
        assert caught.value.key == "a/c/1/0"
        with pytest.raises(zarrstore.CorruptDataError):
            array[5, 1] = 0
        assert store.sync["a/c/1/0"] == damaged
    np.testing.assert_array_equal(array[:4], values[:4])
    array[4:, :4] = values[4:, :4]
    np.testing.assert_array_equal(array[...], values)


def test_progress_counts_the_chunks(store: zarrstore.Store) -> None:
    seen: list[tuple[int, int]] = []
    array = zarrstore.create_array(
        store,
        data=np.arange(100),
        chunks=10,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(set(seen))
    assert seen[-1] == (10, 10)
    seen.clear()
    array.read(slice(5, 25), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(set(seen))
    assert seen[-1] == (3, 3)
    array.write(0, 1, progress=False)


def test_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    zarrstore.create_array({}, name="a", data=np.arange(100), chunks=10, progress=True)
    assert "writing /a" in capsys.readouterr().out


def test_attributes_changed_by_many_threads_are_all_kept(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    zarrstore.create_array(tmp_path, shape=1)

    def change(number: int) -> None:
        zarrstore.open_array(tmp_path).attrs[f"a{number}"] = number

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(40)))
    assert len(zarrstore.open_array(tmp_path).attrs) == 40


def test_pickled_arrays_open_again(tmp_path: Path) -> None:
    array = zarrstore.create_array(tmp_path, name="a", data=np.arange(5))
    again = pickle.loads(pickle.dumps(array))
    assert again == array
    assert again[2:].tolist() == [2, 3, 4]
    group = zarrstore.open_group(tmp_path)
    assert pickle.loads(pickle.dumps(group)).keys() == ["a"]


def test_closing_a_node_closes_the_store_it_opened(tmp_path: Path) -> None:
    with zarrstore.create_array(tmp_path / "x.zip", data=[1, 2, 3]) as array:
        assert array[:].tolist() == [1, 2, 3]
    with zarrstore.open_array(tmp_path / "x.zip", mode="r") as array:
        assert array[:].tolist() == [1, 2, 3]
    with pytest.raises(zarrstore.StoreClosedError):
        _ = array[:]
    store = zarrstore.MemoryStore()
    with zarrstore.create_array(store, shape=1):
        pass
    assert store.sync.exists("zarr.json")


@pytest.mark.anyio
async def test_the_asynchronous_face(store: zarrstore.Store) -> None:
    group = await aio.open_group(store, attributes={"title": "x"})
    values = np.arange(100).reshape(10, 10)
    array = await group.create_array("a/b", data=values, chunks=(3, 4))
    np.testing.assert_array_equal(await array.read((slice(None, None, -1), 3)), values[::-1, 3])
    await array.write((slice(0, 2), ...), 7)
    assert (await array.read((0, 0))) == 7
    await array.update_attributes({"units": "m"})
    assert array.attrs == {"units": "m"}
    assert group.attrs == {"title": "x"}
    assert await group.keys() == ["a"]
    assert await group.contains("a/b")
    again = await group.getitem("a/b")
    assert isinstance(again, zarrstore.AsyncArray)
    assert repr(again).startswith("<AsyncArray ")
    with pytest.raises(zarrstore.KeyNotFoundError):
        await group.getitem("nothing")
    assert await group.get("nothing", 3) == 3
    assert "b (10, 10) int64" in await group.tree()
    await group.delitem("a")
    assert await group.members() == []
    with pytest.raises(zarrstore.NodeNotFoundError):
        await aio.open_array(store, mode="r")
    assert isinstance(await aio.open(store, "r"), zarrstore.AsyncGroup)
    async with await aio.create_group(store, path="c") as child:
        assert child.name == "/c"


def test_one_array_from_several_loops(store: zarrstore.Store) -> None:
    array = asyncio.run(aio.create_array(store, data=np.arange(50), chunks=7))
    for _ in range(2):
        assert asyncio.run(array.read(slice(40, None))).tolist() == list(range(40, 50))


@pytest.mark.anyio
async def test_a_cancelled_read_leaves_the_buffer_alone() -> None:
    import anyio

    store = zarrstore.MemoryStore()
    array = await aio.create_array(store, data=np.ones(100_000, "u1"), chunks=10)
    slow = await aio.open_array(zarrstore.LatencyStore(store, 0.002, 0.002))
    out = np.zeros(100_000, "u1")
    with anyio.move_on_after(0.05):
        await slow.read(out=out)
    there = out.copy()
    await anyio.sleep(0.05)
    np.testing.assert_array_equal(out, there)
    assert not there.all()
    assert (await array.read()).all()
