"""An array put in the place of another, by savers and by dask, broken off at every step."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

import zarrstore
from zarrstore import MemoryStore
from zarrstore.dask import results, to_zarr
from zarrstore.hierarchy import chunk_uses
from zarrstore.hierarchy.chunk_namings import choose, next_namings
from zarrstore.hierarchy.chunk_uses import CLAIM_NAME, NOTE_NAME, Use
from zarrstore.hierarchy.processes import this_process
from zarrstore.savers import ZarrSaver
from zarrstore.stores.wrappers.base import WrapperStore

SHAPES = {"two": (4, 4), "one": (5,), "none": (), "empty": (0, 3)}


class Killed(BaseException):
    """Nothing is done after this."""


class Dying(WrapperStore):
    """Does so many changes; after that nothing, as if the process had been killed."""

    left = 10**9

    def _live(self) -> None:
        if self.left < 0:
            raise Killed

    async def _hook(self, name: str, *args: Any) -> Any:
        self._live()
        if name.startswith(("_set", "_delete")):
            if name in ("_set_each", "_set_many"):
                for key, value in list(args[0]):
                    await self._hook("_set", key, value)
                return None
            self.left -= 1
            self._live()
        return await super()._hook(name, *args)


def saved(store: zarrstore.Store, mark: int, shape: tuple[int, ...], **options: Any) -> None:
    ZarrSaver(store, "", "overwrite").save(np.full(shape, mark), **options)


def written(store: zarrstore.Store, mark: int, shape: tuple[int, ...], **options: Any) -> None:
    chunks = options.get("chunks", (2,) * len(shape))
    source = da.full(shape, mark, chunks=chunks, dtype="int64")
    to_zarr(source, store, mode="w", scheduler="sync", **options)


def check(store: zarrstore.Store, marks: dict[int, tuple[int, ...]]) -> int | None:
    """Return the mark of the array that is there and must be whole, ``None`` if there is none."""
    try:
        array = zarrstore.open_array(store, mode="r")
    except zarrstore.NodeNotFoundError:
        return None
    for mark, shape in marks.items():
        if array.shape == shape and (array[...] == mark).all():
            return mark
    raise AssertionError((array, array[...]))


def made(data: dict[str, Any], version: int | None, shape: tuple[int, ...]) -> None:
    if version is not None:
        chunks = (2,) * len(shape)
        zarrstore.create_array(
            MemoryStore(data), data=np.full(shape, 1), chunks=chunks, zarr_format=version
        )


@pytest.mark.parametrize("write", [saved, written])
@pytest.mark.parametrize(
    ("old", "first", "new", "second", "options"),
    [
        (None, "two", 3, "two", {"chunks": (2, 2)}),
        (3, "two", 3, "one", {"chunks": (2,)}),
        (3, "one", 3, "two", {"chunks": (1, 2), "shards": (2, 4)}),
        (3, "none", 3, "none", {}),
        (3, "two", 3, "empty", {}),
        (3, "empty", 3, "two", {"chunks": (2, 2)}),
        (2, "two", 3, "two", {"chunks": (2, 2)}),
        (2, "two", 2, "two", {"chunks": (2, 2)}),
        (2, "one", 2, "two", {"chunks": (2, 2)}),
    ],
)
def test_killed_at_each_step(write, old, first, new, second, options, monkeypatch):
    monkeypatch.setattr(chunk_uses, "has_ended", lambda process: process is not None)
    shapes = {1: SHAPES[first], 2: SHAPES[second], 3: SHAPES["two"]}
    seen = set()
    for left in range(60):
        data: dict[str, Any] = {}
        made(data, old, shapes[1])
        dying = Dying(MemoryStore(data))
        dying.left = left
        try:
            write(dying, 2, shapes[2], zarr_format=new, **options)
        except Killed:
            is_whole = False
        else:
            is_whole = True
        seen.add(check(MemoryStore(data), shapes))
        again = (saved, written)[left % 2]
        if new == 2 and again is saved and write is written:
            data.pop(NOTE_NAME, None)  # it refuses to write where tasks may be at work
        again(MemoryStore(data), 3, shapes[3], zarr_format=new, chunks=(1, 2))
        assert check(MemoryStore(data), shapes) == 3
        if is_whole:
            break
    assert is_whole
    assert seen == {None if old is None else 1, 2}


def begun(store: Any, mark: int, **options: Any) -> Any:
    source = da.full((4, 4), mark, chunks=2, dtype="int64")
    return to_zarr(source, store, mode="w", compute=False, **options)


MARKS = dict.fromkeys(range(10), (4, 4))


@pytest.mark.parametrize("old", [None, 2, 3])
@pytest.mark.parametrize("options", [{}, {"zarr_format": 2}, {"chunk_key_encoding": "v2"}])
def test_of_writes_that_began_the_last_one_is_there(old, options):
    data: dict[str, Any] = {}
    made(data, old, (4, 4))
    store = MemoryStore(data)
    tasks = [begun(store, mark, **options) for mark in (2, 3, 4)]
    for task in tasks[:2]:
        with pytest.raises(zarrstore.ConflictError, match="another began in its place"):
            task.compute(scheduler="sync")
    assert check(store, MARKS) == (None if old is None else 1)
    tasks[2].compute(scheduler="sync").verify()
    assert check(store, MARKS) == 4
    for task in tasks:
        with pytest.raises(zarrstore.ConflictError, match="cannot go on"):
            task.compute(scheduler="sync")
    assert check(store, MARKS) == 4
    assert sum(name.startswith(("c", "0", "1")) for name in data) == 4


def test_a_write_of_dask_while_savers_overwrite():
    store = MemoryStore()
    for between in range(1, 5):
        task = begun(store, 5)
        for mark in range(1, 1 + between):
            saved(store, mark, (4, 4), chunks=2)
            assert check(store, MARKS) == mark
        done = []
        try:
            done.append(task.compute(scheduler="sync"))
        except zarrstore.NodeExistsError:
            assert between == 1  # there was none when it began
        assert check(store, MARKS) == (5 if done else between)
        saved(store, 6, (4, 4), chunks=2)
        saved(store, 7, (4, 4), chunks=2)
        for result in done:
            result.tidy_up()
        assert check(store, MARKS) == 7


def test_an_array_that_grew_since_is_replaced_whole():
    made(data := {}, 3, (4, 4))
    store = MemoryStore(data)
    task = begun(store, 2)
    array = zarrstore.open_array(store)
    array.append(np.full((3, 4), 9))
    array.attrs["late"] = 1
    task.compute(scheduler="sync")
    assert check(store, MARKS) == 2
    assert not zarrstore.open_array(store).attrs
    with pytest.raises(zarrstore.ConflictError, match="ended"):
        task.compute(scheduler="sync")


def test_finished_twice():
    made(data := {}, 3, (4, 4))
    store = MemoryStore(data)
    task = begun(store, 2)
    dask.compute(task, scheduler="sync")
    zarrstore.open_array(store).resize((6, 4))
    dask.compute(task, scheduler="sync")
    assert zarrstore.open_array(store).shape == (6, 4)
    other = {"data": np.full((4, 4), 9.5), "chunk_key_encoding": {"name": "v2"}}
    task = begun(store, 3, chunk_key_encoding="v2")
    note = data[NOTE_NAME]
    zarrstore.create_array(store, **other, overwrite=True)
    data[NOTE_NAME] = note  # what comes without asking is not taken for one's own
    with pytest.raises(zarrstore.ConflictError, match="the same names"):
        task.compute(scheduler="sync")


def test_a_result_is_tidied_up_when_others_use_the_old_names():
    made(data := {}, 3, (4, 4))
    store = MemoryStore(data)
    (result,) = dask.compute(begun(store, 2), scheduler="sync")
    for mark in (3, 4, 5):
        saved(store, mark, (4, 4), chunks=2)
        result.tidy_up()
        assert check(store, MARKS) == mark
    assert NOTE_NAME not in data


@pytest.mark.parametrize("format", [2, 3])
def test_chunks_that_another_write_may_have_changed_are_read_back(format, monkeypatch):
    """Only where there are no other names for them: a third write, or one of Zarr v2."""
    made(data := {}, format, (4, 4))
    store = MemoryStore(data)
    begun(store, 2)
    begun(store, 3)
    last = begun(store, 4)
    name = last._targets[0].core.spec.keys.key((0, 0))
    run_graph = results.run_graph

    def disturbed(*args: Any, **how: Any) -> Any:
        done = run_graph(*args, **how)
        data[name] = b"of another"
        return done

    monkeypatch.setattr(results, "run_graph", disturbed)
    with pytest.raises(zarrstore.ConflictError, match="not what was written"):
        last.compute(scheduler="sync")
    assert check(store, MARKS) == 1


def replaced_again_and_again(path: str, number: int, ready: Any) -> None:
    ready.wait()
    conflicts = 0
    for time in range(6):
        try:
            mark = 10 * number + time
            written(zarrstore.open_store(path), mark, (4, 4), attributes={"mark": mark})
        except zarrstore.ConflictError:
            conflicts += 1
    sys.exit(conflicts)


def test_processes_that_replace_one_array(tmp_path):
    path = str(tmp_path / "x.zarr")
    zarrstore.create_array(path, data=np.full((4, 4), 1), chunks=2)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(3)
    processes = [
        context.Process(target=replaced_again_and_again, args=(path, number, ready))
        for number in (1, 2)
    ]
    for process in processes:
        process.start()
    ready.wait()
    marks = dict.fromkeys([1, *range(10, 30)], (4, 4))
    while any(process.is_alive() for process in processes):
        first = zarrstore.open_array(path, mode="r")
        values = first[:]
        if zarrstore.open_array(path, mode="r").metadata == first.metadata:
            assert (values == values[0, 0]).all()  # else it was replaced just now
    for process in processes:
        process.join(60)
        assert process.exitcode in range(7)
    assert min(process.exitcode for process in processes) < 6
    assert check(zarrstore.open_store(path), marks) in marks
    written(zarrstore.open_store(path), 1, (4, 4))
    assert check(zarrstore.open_store(path), marks) == 1


class Without(WrapperStore):
    """A store that cannot do everything."""

    lacks = zarrstore.Capability(0)

    @property
    def capabilities(self) -> zarrstore.Capability:
        return super().capabilities & ~self.lacks


ALL = zarrstore.Capability
SWAP = ALL.COMPARE_AND_SWAP | ALL.CREATE_EXCLUSIVE


@pytest.mark.parametrize("write", [saved, written])
@pytest.mark.parametrize(
    "lacks", [SWAP, ALL.COMPARE_AND_SWAP, ALL.DELETE, ALL.LIST, SWAP | ALL.LIST]
)
def test_stores_that_lack_something(write, lacks):
    data: dict[str, Any] = {}
    store = Without(MemoryStore(data))
    store.lacks = lacks
    cannot_replace = lacks is ALL.DELETE or (write is saved and ALL.LIST in lacks)
    for mark in (1, 2, 3, 4):
        if mark == 2 and cannot_replace:
            before = dict(data)
            with pytest.raises(zarrstore.UnsupportedOperationError):
                write(store, mark, (4, 4), chunks=(2, 2))
            assert data == before
            break
        write(store, mark, (4, 4), chunks=(2, 2))
        assert check(store, MARKS) == mark
    with pytest.raises(zarrstore.ReadOnlyError):
        write(store.with_read_only(), 5, (4, 4), chunks=(2, 2))


@pytest.mark.parametrize("write", [saved, written])
def test_nothing_below_is_deleted(write):
    data: dict[str, Any] = {}
    zarrstore.create_array(MemoryStore(data), name="below/0", data=[1])
    del data["zarr.json"], data["below/zarr.json"]
    before = dict(data)
    with pytest.raises(zarrstore.NodeExistsError, match="arrays or groups below"):
        write(MemoryStore(data), 1, (4, 4))
    assert {**data, CLAIM_NAME: b""} == {**before, CLAIM_NAME: b""}


@pytest.mark.parametrize("write", [saved, written])
def test_stores_that_need_the_metadata_first(write, tmp_path):
    with pytest.raises(zarrstore.UnsupportedOperationError, match="create the array first"):
        write(zarrstore.open_store(tmp_path / "x.n5"), 1, (4, 4))


def test_namings():
    assert list(next_namings(3, 2, None)) == ["c/", "c.", "0."]
    assert list(next_namings(3, 0, "c/")) == ["0"]
    assert list(next_namings(3, 1, "0/")) == ["c/", "c."]
    assert list(next_namings(2, 2, "0")) == ["0."]
    assert list(next_namings(2, 2, "c.")) == ["0.", "0/"]
    assert choose(["c/", "c."], ["c/"]) == "c."
    assert choose(["c/", "c.", "0."], [], ["c/", "0.", "c."]) == "c/"
    assert choose(["0/"], ["0"]) is None


def test_what_is_left_is_forgotten_after_a_day():
    taken = Use(using=["c."]).taken_over()
    assert Use([], *taken).still_left == ["c."]
    assert Use([], ["c."], taken[1] - 25 * 3600).still_left == []
    assert Use([], *taken).taken_over() == taken
    assert Use(["c/"], process=this_process()).now == ["c/"]
    gone = {**(this_process() or {}), "started": "another"}
    assert Use(["c/"], process=gone).now == ([] if this_process() else ["c/"])
