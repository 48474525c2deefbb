"""The functions of the module: against zarr-python's of the same names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs

import zarrstore
from zarrstore import aio


class Dask:
    """An array of another library, as `dask.array.Array` says what it is."""

    def __init__(self, values: Any, chunks: tuple[tuple[int, ...], ...]) -> None:
        self.values = np.asarray(values)
        self.shape = self.values.shape
        self.dtype = self.values.dtype
        self.chunks = chunks

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_filled_arrays(zarr_format: Any) -> None:
    options: Any = {"dtype": "i2", "chunks": 2, "zarr_format": zarr_format}
    for made, value in (
        (zarrstore.zeros(5, **options), 0),
        (zarrstore.ones((5,), **options), 1),
        (zarrstore.empty([5], **options), 0),
        (zarrstore.full(5, 7, **options), 7),
        (zarrstore.create(5, fill_value=3, **options), 3),
    ):
        assert made[:].tolist() == [value] * 5
        assert (made.chunks, made.zarr_format) == ((2,), zarr_format)
        assert len(list(made.store.sync)) == 1
    assert zarrstore.create(3, data=[1, 2, 3])[:].tolist() == [1, 2, 3]
    assert zarrstore.full(2, np.nan)[:].tolist() != zarrstore.zeros(2)[:].tolist()


def test_where_they_are_made(tmp_path: Path) -> None:
    array = zarrstore.zeros((2, 3), store=tmp_path, path="a/b", attributes={"x": 1})
    assert array.path == "a/b"
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.ones(3, store=tmp_path, path="a/b")
    assert zarrstore.ones(3, store=tmp_path, path="a/b", overwrite=True)[0] == 1
    assert zarr.open_array(str(tmp_path), path="a/b", mode="r")[...].tolist() == [1, 1, 1]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_likes_of_our_own(zarr_format: Any) -> None:
    options: Any = {"compressors": "gzip", "zarr_format": zarr_format}
    if zarr_format == 3:
        options |= {"shards": (4, 4), "dimension_names": ["y", "x"]}
    else:
        options |= {"order": "F", "dimension_separator": "/"}
    array = zarrstore.create_array(
        {}, shape=(8, 8), dtype=">i2", chunks=(2, 2), fill_value=4, attributes={"x": 1}, **options
    )
    like = zarrstore.empty_like(array)
    before = array.metadata
    before.attributes = {}
    assert like.metadata == before
    assert zarrstore.zeros_like(array)[0, 0] == 0
    assert zarrstore.ones_like(array)[0, 0] == 1
    assert zarrstore.full_like(array)[0, 0] == 4
    assert zarrstore.full_like(array, 9)[0, 0] == 9
    other = zarrstore.empty_like(array, zarr_format=5 - zarr_format)
    assert (other.chunks, other.zarr_format, other.fill_value) == ((2, 2), 5 - zarr_format, 4)
    assert zarrstore.empty_like(array, chunks=(8, 1)).chunks == (8, 1)
    assert zarrstore.empty_like(array, dtype="f4").dtype == "f4"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_likes_of_zarr_python(zarr_format: Any) -> None:
    theirs = zarr.create_array(
        {}, shape=(8, 8), dtype="i2", chunks=(2, 4), fill_value=4, zarr_format=zarr_format
    )
    theirs[...] = np.arange(64).reshape(8, 8)
    like = zarrstore.empty_like(theirs)
    assert (like.chunks, like.dtype, like.fill_value) == ((2, 4), "i2", 4)
    assert like.zarr_format == zarr_format
    copied = zarrstore.array(theirs)
    assert copied[...].tolist() == theirs[...].tolist()
    assert copied.chunks == (2, 4)


def test_likes_of_others() -> None:
    values = np.arange(21).reshape(7, 3)
    for chunks, expected in (
        (((3, 3, 1), (3,)), ((3, 3, 1), (3,))),
        (((3, 4), (3,)), ((3, 4), (3,))),
    ):
        made = zarrstore.array(Dask(values, chunks))
        assert made.read_chunk_sizes == expected
        assert made[...].tolist() == values.tolist()
    assert zarrstore.array(Dask(values, ((3, 3, 1), (3,)))).chunks == (3, 3)
    assert zarrstore.zeros_like(values).shape == (7, 3)
    assert zarrstore.zeros_like([[1, 2]]).dtype == "i8"
    assert zarrstore.array(["a", "bb"])[...].tolist() == ["a", "bb"]
    assert zarrstore.array(values, chunks=(2, 2), dtype="f4").chunks == (2, 2)
    with pytest.raises(TypeError, match="is a group"):
        zarrstore.zeros_like(zarrstore.create_group())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_saving_and_loading(tmp_path: Path, zarr_format: Any) -> None:
    a, b = np.arange(6).reshape(2, 3), np.array([True])
    zarrstore.save_array(tmp_path / "one", a, zarr_format=zarr_format, chunks=(1, 3))
    assert zarrstore.load(tmp_path / "one").tolist() == a.tolist()
    assert zarr.load(str(tmp_path / "one")).tolist() == a.tolist()
    with pytest.raises(zarrstore.NodeExistsError):
        zarrstore.save_array(tmp_path / "one", b)
    for options in ({"overwrite": True}, {"mode": "w"}):
        zarrstore.save_array(tmp_path / "one", b, **options)  # type: ignore[arg-type]
        assert zarrstore.load(tmp_path / "one").tolist() == [True]
    zarrstore.save_group(tmp_path / "many", a, b, zarr_format=zarr_format, named=a)
    found = zarrstore.load(tmp_path / "many")
    assert {name: each.tolist() for name, each in found.items()} == {
        "arr_0": a.tolist(), "arr_1": [True], "named": a.tolist(),
    }  # fmt: skip
    assert isinstance(found["arr_0"], np.ndarray)
    theirs = zarr.open_group(str(tmp_path / "many"), mode="r")
    assert sorted(theirs.keys()) == ["arr_0", "arr_1", "named"]
    assert theirs.metadata.zarr_format == zarr_format
    zarrstore.save(tmp_path / "many", only=b)
    assert list(zarrstore.load(tmp_path / "many")) == ["only"]
    zarrstore.save(tmp_path / "single.zip", a)
    assert zarrstore.load(tmp_path / "single.zip").tolist() == a.tolist()
    zarr.save_group(str(tmp_path / "theirs"), a, x=b)
    assert sorted(zarrstore.load(tmp_path / "theirs")) == ["arr_0", "x"]
    assert zarrstore.load(tmp_path / "theirs", "x").tolist() == [True]


def test_what_cannot_be_saved_deletes_nothing() -> None:
    data: dict[str, Any] = {}
    zarrstore.save(data, a=[1])
    before = dict(data)
    with pytest.raises(TypeError):
        zarrstore.save_group(data, [1], b=np.array([object()]))
    with pytest.raises(ValueError, match="at least one"):
        zarrstore.save(data)
    with pytest.raises(ValueError, match="the name of two"):
        zarrstore.save_group(data, [1], arr_0=[2])
    with pytest.raises(ValueError, match="no path of a node"):
        zarrstore.save_group(data, **{"zarr.json": [2]})
    assert data == before


def test_loading_groups_in_groups() -> None:
    data: dict[str, Any] = {}
    group = zarrstore.create_group(data)
    group["a/b/c"] = [1, 2]
    group["d"] = 3
    found = zarrstore.load(data)
    assert found["a"]["b"]["c"].tolist() == [1, 2]
    assert found["d"] == 3
    assert zarrstore.load(group["a"]).keys() == {"b"}
    for format in (2,):
        with pytest.raises(zarrstore.NodeNotFoundError):
            zarrstore.load(data, zarr_format=format)  # type: ignore[arg-type]
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.load({}, "x")


def test_trees(tmp_path: Path) -> None:
    zarrstore.zeros(3, store=tmp_path, path="a/b")
    assert str(zarrstore.tree(tmp_path)) == "/\n└── a\n    └── b (3,) float64"
    assert str(zarrstore.tree(tmp_path, 0)) == "/\n└── a"
    assert str(zarrstore.tree(tmp_path, path="a")) == "/a\n└── b (3,) float64"
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.tree({})


def test_as_coroutines(tmp_path: Path) -> None:
    async def main() -> None:
        late = zarrstore.LatencyStore(zarrstore.MemoryStore(), 0.001, 0.001)
        for store in (late, tmp_path / "x", {}):
            array = await aio.ones((2, 2), store=store, path="a", dtype="i1")
            assert (await array.read()).tolist() == [[1, 1], [1, 1]]
            assert (await aio.zeros(2)).shape == (await aio.empty(2)).shape == (2,)
            assert (await (await aio.full(2, 3)).read(0)) == 3
            like = await aio.full_like(array, 5, store=store, path="b")
            assert (await like.read((0, 0))) == 5
            assert (await (await aio.zeros_like(array)).read((0, 0))) == 0
            assert (await (await aio.ones_like([3])).read(0)) == 1
            assert (await aio.empty_like(array)).dtype == "i1"
            again = await aio.array(array, store=store, path="c")
            assert (await again.read()).tolist() == [[1, 1], [1, 1]]
            assert (await aio.create(3, store=store, path="d")).path == "d"
            await aio.save(store, [1, 2], path="g", x=[3])
            await aio.save_array(store, [4], path="h")
            await aio.save_group(store, [4], path="i")
            found = await aio.load(store, "g")
            assert {name: each.tolist() for name, each in found.items()} == {
                "arr_0": [1, 2], "x": [3],
            }  # fmt: skip
            assert "arr_0 (2,) int64" in str(await aio.tree(store, path="g"))
            assert (await aio.open_store(store, mode="r")).read_only

    asyncio.run(main())
