"""`ZarrSaver` in one process: what is saved, where, and what is refused."""

from __future__ import annotations

import pickle
import threading
from collections import UserDict
from pathlib import Path

import numcodecs
import numpy as np
import pytest
from upath import UPath

import zarrstore
from zarrstore.errors import NodeExistsError, UnsupportedOperationError
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME
from zarrstore.savers import ZarrSaver, _claims
from zarrstore.savers._appending import chunks_for_appending


def load(place, path="dataset"):
    return zarrstore.load(place, path=path)


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "data.zarr")


PLACES = {
    "path": lambda folder: folder / "a.zarr",
    "string": lambda folder: str(folder / "b.zarr"),
    "file URL": lambda folder: f"file://{folder}/c.zarr",
    "zip": lambda folder: str(folder / "d.zip"),
    "memory": lambda folder: f"memory:/{folder}",
    "dict": lambda folder: {},
    "mapping": lambda folder: UserDict(),
    "store": lambda folder: zarrstore.MemoryStore(),
    "UPath": lambda folder: UPath(f"memory://{folder}/e"),
    "group": lambda folder: zarrstore.open_group(folder / "f.zarr").create_group("below"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_everything_that_can_be_opened(kind, tmp_path):
    place = PLACES[kind](tmp_path)
    for _ in range(2):
        ZarrSaver(place, "a/b").save([[1, 2]])
        ZarrSaver(place, "c", "overwrite").save([1.5, 2.5])
    ZarrSaver(place, "a/b", "update").save([3, 4], indices=0)
    assert load(place, "a/b").tolist() == [[3, 4], [1, 2]]
    assert load(place, "c").tolist() == [1.5, 2.5]


def test_none_is_a_store_of_its_own():
    saver = ZarrSaver(None)
    saver.save([1])
    saver.save([2])
    assert load(saver.file_path).tolist() == [1, 2]


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    savers = [ZarrSaver("x.zarr"), ZarrSaver(Path("x.zarr"))]
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    for saver in savers:
        saver.save([1])
    assert load(tmp_path / "x.zarr").tolist() == [1, 1]


def test_pickled(place):
    saver = pickle.loads(pickle.dumps(ZarrSaver(place, "a", "overwrite")))
    saver.save([1])
    assert load(place, "a").tolist() == [1]


@pytest.mark.parametrize("place", ["s3:/bucket/x", "memory:x", "nothing://x", ""])
def test_no_url(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(zarrstore.StoreURLError):
        ZarrSaver(place).save([1])
    assert list(tmp_path.iterdir()) == []


def test_a_zip_file_that_another_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(_claims, "_PATIENCE", 0.1)
    with zarrstore.ZipStore(tmp_path / "x.zip").sync as other:
        other["k"] = b"1"
        with pytest.raises(zarrstore.ConflictError):
            ZarrSaver(tmp_path / "x.zip", approach="overwrite").save([1])
    ZarrSaver(tmp_path / "x.zip", approach="overwrite").save([1])
    assert load(tmp_path / "x.zip").tolist() == [1]


@pytest.mark.parametrize("name", ["zarr.json", "a/.zarray", "a//b", "../a"])
def test_no_name_of_an_array(name):
    with pytest.raises(ValueError, match=r"no path of a node|invalid"):
        ZarrSaver({}, name)


def test_at_the_root(place):
    for approach in ("append", "overwrite", "overwrite", "append"):
        ZarrSaver(place, "", approach).save([1])
    assert load(place, "").tolist() == [1, 1]


class TestAppend:
    def test_shapes(self, place):
        saver = ZarrSaver(place)
        saver.save(np.zeros((2, 3)))
        saver.save(np.ones((0, 3)))
        saver.save([[2, 2, 2]])
        assert load(place).tolist() == [[0] * 3, [0] * 3, [2] * 3]
        for bad in ([1, 2, 3], [[1, 2]], [[[1, 2, 3]]]):
            with pytest.raises(ValueError, match="all other lengths must be equal"):
                saver.save(bad)
        assert load(place).shape == (3, 3)

    def test_results_one_by_one(self, place):
        saver = ZarrSaver(place)
        for number in range(5):
            saver.save(number / 2)
        assert load(place).tolist() == [0, 0.5, 1, 1.5, 2]

    def test_the_first_is_empty(self, place):
        saver = ZarrSaver(place)
        saver.save(np.empty((0, 4), "f4"))
        saver.save(np.ones((2, 4), "f4"))
        assert load(place).shape == (2, 4)

    def test_text_of_any_length(self, place):
        for text in (["a"], np.array(["bb", "ccc"]), "a long text\0"):
            ZarrSaver(place).save(text)
        assert load(place).tolist() == ["a", "bb", "ccc", "a long text\0"]
        for data in ([b"a"], [b"longer\0"]):
            ZarrSaver(place, "bytes").save(data)
        assert load(place, "bytes").tolist() == [b"a", b"longer\0"]

    def test_text_of_fixed_length_is_not_cut(self, place):
        ZarrSaver(place).save(["abc"], dtype="U3")
        ZarrSaver(place).save(["ab"])
        for _ in range(2):
            with pytest.raises(ValueError, match="room for 3"):
                ZarrSaver(place).save(["abcd"])
        zarrstore.create_array(place, name="old", data=np.array([b"ab"]))
        with pytest.raises(ValueError, match="room for 2"):
            ZarrSaver(place, "old").save([b"abc"])
        assert load(place).tolist() == ["abc", "ab"]

    def test_numbers_are_not_narrowed(self, place):
        saver = ZarrSaver(place)
        saver.save(np.array([1, 2], "i2"))
        saver.save([3, 4.0])
        for bad in ([0.5], [2**15], [np.nan]):
            with pytest.raises(ValueError, match="lose"):
                saver.save(bad)
        for bad in (["5"], [1j], [np.datetime64("2024-02-29")]):
            with pytest.raises(TypeError, match=r"kind|imaginary"):
                saver.save(bad)
        assert load(place).tolist() == [1, 2, 3, 4]
        single = ZarrSaver(place, "single")
        single.save([0.1], dtype="float32")
        single.save([0.1], dtype="float32")
        with pytest.raises(ValueError, match="give dtype="):
            single.save([0.1])

    def test_times_keep_their_unit(self, place):
        saver = ZarrSaver(place)
        saver.save([np.datetime64("2024-02-29T12:00:00"), np.datetime64("NaT", "s")])
        saver.save([np.datetime64("2024-02-29")])
        with pytest.raises(ValueError, match="lose"):
            saver.save([np.datetime64("2024-02-29T12:00:00.5")])
        assert load(place).dtype == "datetime64[s]"

    def test_chunks_do_not_depend_on_the_first_batch(self, place):
        for name, first in (("a", 1), ("b", 5000)):
            ZarrSaver(place, name).save(np.zeros((first, 128)))
            array = zarrstore.open_array(place, path=name)
            assert (array.shape, array.chunks) == ((first, 128), (1024, 128))
        assert chunks_for_appending((1, 0, 3), 4) == (87381, 1, 3)
        assert chunks_for_appending((7,), 8) == (2**17,)

    @pytest.mark.parametrize(
        ("options", "chunks", "shards"),
        [
            ({"chunks": 10}, (10, 10), None),
            ({"chunks": (10, 2)}, (10, 2), None),
            ({"chunks": -1}, (3, 2), None),
            ({"chunks": (10, 2), "shards": (100, 2)}, (10, 2), (100, 2)),
            ({"shards": "auto"}, (2**16, 2), (2**22, 2)),
            ({"chunks": (10, 2), "shards": "auto"}, (10, 2), (10 * 2**18, 2)),
        ],
    )
    def test_chunks_as_given(self, place, options, chunks, shards):
        for _ in range(3):
            ZarrSaver(place).save(np.ones((3, 2)), **options)
        array = zarrstore.open_array(place, path="dataset")
        assert (array.chunks, array.shards) == (chunks, shards)
        assert array.shape == (9, 2)
        assert (array[:] == 1).all()

    def test_chunks_of_several_lengths(self, place):
        for _ in range(3):
            ZarrSaver(place).save(np.ones((3, 2)), chunks=[[2, 1], 2])
        assert (load(place) == np.ones((9, 2))).all()

    @pytest.mark.parametrize("version", [2, 3])
    def test_options(self, place, version):
        for _ in range(2):
            ZarrSaver(place, "").save(
                [1],
                compressor=numcodecs.GZip(1),
                zarr_format=version,
                dtype="int8",
                attributes={"unit": "m"},
                fill_value=7,
            )
        array = zarrstore.open_array(place)
        assert (array.dtype, array.attrs, array.fill_value) == ("int8", {"unit": "m"}, 7)
        assert "gzip" in array.compressors[0].name
        assert array.metadata.zarr_format == version
        assert array[:].tolist() == [1, 1]

    @pytest.mark.parametrize("approach", ["append", "overwrite"])
    def test_options_that_are_wrong(self, place, approach):
        saver = ZarrSaver(place, approach=approach)
        for name in ("shape", "write_data"):
            with pytest.raises(TypeError, match="is what is saved"):
                saver.save([1], **{name: 1})
        with pytest.raises(TypeError, match="unknown options chunk;"):
            saver.save([1], chunk=1)
        with pytest.raises(ValueError, match="zarr_format"):
            saver.save([1], zarr_format=4)
        with pytest.raises(ValueError, match="dimensions"):
            saver.save([1], chunks=(1, 1))
        assert zarrstore.open_group(place).keys() == []

    def test_a_group_is_no_array(self, place):
        zarrstore.create_array(place, name="group/a", data=[1])
        for approach in ("append", "overwrite"):
            with pytest.raises(NodeExistsError, match="is a group"):
                ZarrSaver(place, "group", approach).save([1])
            with pytest.raises(NodeExistsError, match="has nothing below it"):
                ZarrSaver(place, "group/a/b", approach).save([1])
        assert load(place, "group/a").tolist() == [1]

    def test_no_dimensions(self, place):
        zarrstore.create_array(place, name="a", data=1)
        with pytest.raises(ValueError, match="no dimensions"):
            ZarrSaver(place, "a").save(2)

    def test_an_array_replaced_by_one_of_another_dtype_meanwhile(self, place):
        old = ZarrSaver(place)
        old.save([1])
        held = zarrstore.open_array(place, path="dataset")
        zarrstore.create_array(place, name="dataset", data=["x"], dtype="U1", overwrite=True)
        with pytest.raises(zarrstore.ConflictError, match="replaced"):
            held.append([2])
        assert load(place).tolist() == ["x"]


class TestUpdate:
    @pytest.fixture
    def saver(self, place):
        ZarrSaver(place).save(np.zeros((5, 2), "i4"))
        return ZarrSaver(place, approach="update")

    @pytest.mark.parametrize(
        ("indices", "data"),
        [
            (0, [1, 2]),
            (-1, 7),
            (np.int64(2), [1, 2]),
            ([0, 3], [[1, 2], [3, 4]]),
            ([3, 0], [[1, 2], [3, 4]]),
            (np.array([4, 1]), 9),
            (slice(1, 3), [[1, 2], [3, 4]]),
            (slice(None), 3),
            (slice(4, None, -2), [[1, 1], [2, 2], [3, 3]]),
            ((0, 1), 5),
            ((slice(0, 2), 1), [5, 6]),
            (([0, 2], [1, 0]), [5, 6]),
            (..., 4.0),
            (np.array([True, False, True, False, False]), 1),
            ([], np.empty((0, 2))),
            ([], []),
            (np.array([]), []),
            (slice(2, 2), np.empty((0, 2))),
            ((), 8),
        ],
    )
    def test_indices(self, place, saver, indices, data):
        expected = np.zeros((5, 2), "i4")
        at = indices
        if isinstance(indices, np.ndarray | list) and not len(indices):
            at = slice(0, 0)
        expected[at] = np.reshape(data, (0, 2)) if np.size(data) == 0 else data
        saver.save(data, indices=indices)
        assert np.array_equal(load(place), expected)

    def test_without_loss(self, place, saver):
        for bad in ([0.5, 1], 2**40):
            with pytest.raises(ValueError, match="lose"):
                saver.save(bad, indices=0)
        with pytest.raises(TypeError, match="kind"):
            saver.save("a", indices=0)
        with pytest.raises(ValueError, match="broadcast"):
            saver.save([1, 2, 3], indices=0)
        with pytest.raises(ValueError, match="broadcast"):
            saver.save(np.ones((3, 2)), indices=slice(3, 6))  # which ends at 5
        with pytest.raises(IndexError):
            saver.save([1, 2], indices=5)
        assert not load(place).any()

    def test_missing(self, place):
        with pytest.raises(FileNotFoundError, match="no array at"):
            ZarrSaver(place, approach="update").save([1], indices=0)
        zarrstore.open_group(place).create_group("group")
        with pytest.raises(FileNotFoundError, match="is a group"):
            ZarrSaver(place, "group", "update").save([1], indices=0)

    def test_makes_nothing(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            ZarrSaver(tmp_path / "new.zarr", approach="update").save([1], indices=0)
        with pytest.raises(FileNotFoundError):
            ZarrSaver(tmp_path / "new.zip", approach="update").save([1], indices=0)
        assert list(tmp_path.iterdir()) == []


class TestOverwrite:
    def test_by_arrays_of_any_shape(self, place):
        random = np.random.default_rng(1)
        shapes = [(3,), (4, 5), (), (2, 3, 4), (0,), (0, 3), (), (7,), (5, 5)]
        store = zarrstore.open_store(place)
        saver = ZarrSaver(place, approach="overwrite")
        for number in range(60):
            shape = shapes[number % 9] if number % 2 else shapes[random.integers(9)]
            values = random.normal(size=shape)
            shards = number % 3 == 0 and shape == (4, 5)
            options = {"chunks": (2, 1), "shards": (4, 3)} if shards else {}
            saver.save(values, attributes={"number": number}, **options)
            array = zarrstore.open_array(store, path="dataset")
            assert np.array_equal(array[...], values)
            assert (array.shape, array.attrs) == (shape, {"number": number})

    def test_readers_keep_the_array_that_they_opened(self, place):
        saver = ZarrSaver(place, approach="overwrite")
        saver.save(np.ones((4, 4)), chunks=1)
        reader = zarrstore.open_array(place, path="dataset", mode="r")
        saver.save(np.full((2, 2), 2.0), chunks=1)
        assert (reader[:] == 1).all()

    def test_takes_no_more_room_than_two(self, place):
        saver = ZarrSaver(place, approach="overwrite")
        for _ in range(7):
            saver.save(np.ones(100), chunks=1)
        keys = list(zarrstore.open_store(place).sync.list_prefix("dataset"))
        assert len(keys) == 200 + 2

    @pytest.mark.parametrize("separator", [".", "/"])
    @pytest.mark.parametrize("shape", [(), (3,), (3, 3)])
    def test_an_array_of_v2(self, place, shape, separator):
        zarrstore.create_array(
            place, data=np.ones(shape), chunks=1, zarr_format=2, dimension_separator=separator
        )
        if len(shape) < 2:
            with pytest.raises(UnsupportedOperationError, match=r"one name only.*Zarr v2"):
                ZarrSaver(place, "", "overwrite").save(np.zeros(shape), zarr_format=2)
        reader = zarrstore.open_array(place, mode="r")
        ZarrSaver(place, "", "overwrite").save(np.full(shape, 2.0))
        assert (reader[...] == 1).all()
        assert (load(place, "") == 2).all()
        assert zarrstore.open_array(place).metadata.zarr_format == 3
        with pytest.raises(FileNotFoundError):
            zarrstore.open_array(place, mode="r", zarr_format=2)
        for number in range(4):
            ZarrSaver(place, "", "overwrite").save(np.full(shape, number))
            assert (load(place, "") == number).all()

    def test_an_array_of_v2_by_one_of_v2(self, place):
        saver = ZarrSaver(place, "", "overwrite")
        for number in range(4):
            if number:
                reader = zarrstore.open_array(place, mode="r")
            saver.save(np.full((4, 2 + number), number), chunks=1, zarr_format=2)
            assert (load(place, "") == number).all()
            assert not number or (reader[:] == number - 1).all()
        with pytest.raises(UnsupportedOperationError, match="attributes at a key of their own"):
            saver.save(np.zeros((2, 2)), zarr_format=2, attributes={"a": 1})
        saver.save(np.zeros((2, 2)), attributes={"a": 1})
        with pytest.raises(UnsupportedOperationError, match="v3 is not overwritten by one of"):
            saver.save(np.ones((2, 2)), zarr_format=2)
        assert not load(place, "").any()

    def test_v2_while_another_may_still_write(self, place, monkeypatch):
        saver = ZarrSaver(place, "", "overwrite")
        saver.save(np.zeros((2, 2)), zarr_format=2)
        store = zarrstore.open_store(place)
        halted = _claims.Claim(store.sync, CLAIM_NAME)
        halted.acquire()
        halted.use(["0/"])
        monkeypatch.setattr(_claims, "_PATIENCE", 0.0)
        for _ in range(2):
            with pytest.raises(zarrstore.ConflictError, match=r"delete the key '\.overwriting'"):
                saver.save(np.ones((2, 2)), zarr_format=2)
        store.sync.delete(CLAIM_NAME)
        saver.save(np.ones((2, 2)), zarr_format=2)
        assert load(place, "").all()

    def test_metadata_of_v2_that_a_killed_process_left(self, place):
        zarrstore.create_array(place, data=[1, 2], zarr_format=2)
        store = zarrstore.open_store(place).sync
        left = store[".zarray"]
        ZarrSaver(place, "", "overwrite").save([3])
        store[".zarray"] = left
        ZarrSaver(place, "", "overwrite").save([4])
        assert ".zarray" not in store
        assert load(place, "").tolist() == [4]

    @pytest.mark.parametrize("name", ["default", "v2"])
    @pytest.mark.parametrize("separator", [".", "/"])
    def test_arrays_that_others_made(self, place, name, separator):
        keys = {"name": name, "separator": separator}
        zarrstore.create_array(place, data=np.ones((3, 3)), chunks=1, chunk_key_encoding=keys)
        reader = zarrstore.open_array(place, mode="r")
        ZarrSaver(place, "", "overwrite").save([1, 2])
        assert (reader[...] == 1).all()
        assert load(place, "").tolist() == [1, 2]

    def test_the_first_may_be_of_v2(self, place):
        ZarrSaver(place, "a", "overwrite").save([1, 2], zarr_format=2)
        assert load(place, "a").tolist() == [1, 2]

    def test_what_is_refused_changes_nothing(self, place):
        saver = ZarrSaver(place, approach="overwrite")
        saver.save([1, 2])
        before = dict(zarrstore.open_store(place).sync)
        bad = [
            ([[1], [1, 2]], {}),
            ([1], {"chunks": (1, 1)}),
            (["long"], {"dtype": "U3"}),
            ([1], {"codecs": "none such"}),
            ([1], {"chunk_key_encoding": "v2"}),
            ([1], {"dimension_separator": "/"}),
        ]
        for data, options in bad:
            with pytest.raises((TypeError, ValueError)):
                saver.save(data, **options)
        after = dict(zarrstore.open_store(place).sync)
        claim = f"dataset/{CLAIM_NAME}"
        assert {**after, claim: b""} == {**before, claim: b""}
        for data, options in bad:
            with pytest.raises((TypeError, ValueError)):
                ZarrSaver(place, "other", "overwrite").save(data, **options)
        zarrstore.open_group(place).create_group("group")
        for name in ("group", "dataset/below"):
            with pytest.raises(NodeExistsError):
                ZarrSaver(place, name, "overwrite").save([1])
        new = set(zarrstore.open_store(place).sync) - set(before)
        assert new == {"group/zarr.json"}
        saver.save([3])  # at once: nothing is held
        assert load(place).tolist() == [3]

    def test_does_not_delete_what_is_below(self, place):
        store = zarrstore.open_store(place)
        zarrstore.create_array(place, name="a/c/0", data=[1])
        store.sync.delete("a/zarr.json")
        store.sync.delete("a/c/zarr.json")
        with pytest.raises(NodeExistsError, match="arrays or groups below"):
            ZarrSaver(place, "a", "overwrite").save([1])
        assert load(place, "a/c/0").tolist() == [1]

    def test_then_appended_and_updated(self, place):
        for _ in range(4):
            ZarrSaver(place, approach="overwrite").save([1, 2], chunks=1)
            ZarrSaver(place).save([3])
            ZarrSaver(place, approach="update").save(0, indices=0)
            assert load(place).tolist() == [0, 2, 3]

    def test_many_threads(self, place):
        def overwrite(number):
            for time in range(5):
                mark = 10 * number + time
                ZarrSaver(place, approach="overwrite").save(
                    np.full(20, mark), chunks=1, attributes={"mark": mark}
                )

        def read():
            array = zarrstore.open_array(place, path="dataset", mode="r")
            mark, values = array.attrs["mark"], array[:]
            if not (values == mark).all():  # it was overwritten twice while it was read
                assert zarrstore.open_array(place, path="dataset").attrs["mark"] != mark

        overwrite(1)
        threads = [threading.Thread(target=overwrite, args=[number]) for number in range(2, 6)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            read()
        assert len(set(load(place).tolist())) == 1

    def test_where_there_is_no_compare_and_swap(self):
        place = UserDict()

        def overwrite(number):
            for _ in range(5):
                ZarrSaver(place, approach="overwrite").save(np.full(20, number), chunks=1)

        threads = [threading.Thread(target=overwrite, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(load(place).tolist())) == 1
        assert not any(CLAIM_NAME in key for key in place)


class TestClaims:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(_claims, "_PATIENCE", 0.4)
        monkeypatch.setattr(_claims, "_BEAT", 0.05)

    def test_one_who_is_slow_is_waited_for(self, place):
        store = zarrstore.open_store(place)
        with _claims.claimed(store, "dataset"):
            saver = ZarrSaver(place, approach="overwrite")
            waiting = threading.Thread(target=saver.save, args=[[1]])
            waiting.start()
            waiting.join(1)
            assert waiting.is_alive()
        waiting.join(10)
        assert load(place).tolist() == [1]

    def test_one_who_was_killed_is_not(self, place):
        ZarrSaver(place, approach="overwrite").save([1, 1, 1], chunks=1)
        store = zarrstore.open_store(place)
        killed = _claims.Claim(store.sync, f"dataset/{CLAIM_NAME}")
        killed.acquire()
        killed.use(["c."])
        store.sync["dataset/c.2"] = b"not written to the end"
        ZarrSaver(place, approach="overwrite").save([2, 2, 2], chunks=1)
        assert load(place).tolist() == [2, 2, 2]
        assert "dataset/0" in store.sync  # not where the other may go on writing
        assert "dataset/c.2" not in store.sync

    def test_one_who_was_only_halted(self, place):
        saver = ZarrSaver(place, approach="overwrite")
        saver.save([1, 1])
        store = zarrstore.open_store(place)
        halted = _claims.Claim(store.sync, f"dataset/{CLAIM_NAME}")
        halted.acquire()
        saver.save([2, 2])
        with pytest.raises(zarrstore.ConflictError):
            halted.use(["c."])
        halted.release()
        assert load(place).tolist() == [2, 2]
        saver.save([3, 3])
        assert load(place).tolist() == [3, 3]

    def test_nonsense_at_its_key(self, place):
        saver = ZarrSaver(place, approach="overwrite")
        saver.save([1, 1])
        for nonsense in (b"", b"{", b"[]", b"\xff"):
            zarrstore.open_store(place).sync[f"dataset/{CLAIM_NAME}"] = nonsense
            saver.save([2])
            assert load(place).tolist() == [2]
