"""`DaskArraySerializer`: what comes back, in which process, and what is refused."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import fsspec
import numpy as np
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import zarrstore
from zarrstore.errors import CorruptDataError
from zarrstore.serializers import (
    FILE_PROTOCOL,
    S3_PROTOCOL,
    DaskArraySerializer,
    MissingProtocolError,
)
from zarrstore.serializers._layout import layout_of
from zarrstore.serializers._zarr import _Target

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]

T = np.dtypes.StringDType()
SERIALIZER = DaskArraySerializer()


class Files:
    """Files of a directory, and those of them that are open."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.opened: list[Any] = []

    def __reduce__(self):
        return Files, (self.directory,)

    def open(self, name: str, mode: str) -> Any:
        self.opened.append(open(os.path.join(self.directory, name), mode))  # noqa: SIM115
        return self.opened[-1]

    def remove(self, name: str) -> None:
        os.remove(os.path.join(self.directory, name))


class Stream:
    """No more of a file than can be read or written from begin to end."""

    def __init__(self, file: Any) -> None:
        self.read, self.write, self.close = file.read, file.write, file.close


class Piecemeal(io.RawIOBase):
    """A file that reads and writes fewer bytes at a time than it is asked for."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self.file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.file.readinto(memoryview(buffer)[:100])

    def write(self, data: Any) -> int:
        return self.file.write(data[:100])

    def close(self) -> None:
        self.file.close()
        super().close()


class PiecemealStream(Piecemeal):
    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.seekable = lambda: False
        self.seek = None


@pytest.fixture(params=["file", "s3", "fsspec file"])
def protocols(request, tmp_path):
    if request.param == "file":
        return {FILE_PROTOCOL: Files(str(tmp_path))}
    if request.param == "fsspec file":
        return {FILE_PROTOCOL: fsspec.filesystem("dir", path=str(tmp_path), target_protocol="file")}
    return {S3_PROTOCOL: {"client": fsspec.filesystem("file"), "folder": str(tmp_path)}}


def protocols_of(protocol, tmp_path):
    if protocol == FILE_PROTOCOL:
        return {protocol: Files(str(tmp_path))}
    return {protocol: {"client": fsspec.filesystem("file"), "folder": f"{tmp_path}/a/folder/"}}


def of(data, chunks=-1):
    return da.from_array(data, chunks=chunks)


ARRAYS = {
    "uniform": of(np.arange(10.0), 4),
    "of one block": of(np.arange(12.0).reshape(3, 4)),
    "of several lengths": of(np.arange(60).reshape(6, 10), ((1, 3, 2), (4, 6))),
    "a last block that is longer": of(np.arange(7), ((3, 4),)),
    "one dimension of several lengths": of(np.arange(60).reshape(6, 10), ((1, 3, 2), 5)),
    "blocks of length 0": of(np.arange(5), ((0, 2, 0, 3, 0),)),
    "no dimensions": of(np.array(5.5)),
    "no dimensions, text": of(np.array("xyz")),
    "no dimensions, text of variable length": of(np.array("x", T)),
    "no dimensions, masked": of(np.ma.array(3, mask=True)),
    "empty": da.zeros((0, 3), chunks=(1, 2)),
    "empty, of blocks": da.zeros((0, 3), chunks=((0, 0), (1, 2)), dtype="i2"),
    "empty text": of(np.array([], T)),
    "text": of(np.array(["a", "bcd", "é\U0001f600"]), 2),
    "bytes": of(np.array([b"a", b"bcd"]), 1),
    "text of variable length": of(np.array(["a", "b\0c\0", "", "é\U0001f600"], T), 2),
    "objects": of(np.array(["a", "b\0", ""], object), 1),
    "times": of(np.array(["2024-02-29", "NaT"], "M8[ns]"), 1),
    "spans": of(np.array([1, 2], "m8[25s]"), 1),
    "bool": of(np.array([True, False]), 1),
    "complex": of(np.array([1j, -0.0, np.nan]), 2),
    "half": of(np.array([1, -0.0, np.inf, np.nan], "f2"), 2),
    "zeros of both signs": of(np.array([-0.0, -0.0, 0.0, 0.0]), 2),
    "a dtype with metadata": of(np.zeros(3, np.dtype("f8", metadata={"unit": "m"})), 2),
    "big endian": of(np.array([1, 2], ">f8"), 1),
    "long double": of(np.array([1, 2], np.longdouble), 1),
    "records": of(np.array([("a", 1), ("b", 2)], [("n", "U3"), ("i", ">i2")]), 1),
    "records with arrays": of(np.zeros(3, [("n", "U3"), ("x", "f4", (2,))]), 2),
    "records with gaps": of(np.ones(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)), 2),
    "raw": of(np.array([b"ab", b"c\0"], "S2").view("V2"), 1),
    "masked": of(np.ma.array(np.arange(6.0), mask=[0, 1, 0, 0, 1, 1], fill_value=-7), 4),
    "masked, without a mask": of(np.ma.array(np.arange(6)), 4),
    "masked records": of(
        np.ma.array([(1, "a"), (2, "b")], [("i", "i4"), ("n", "U1")], mask=[(0, 1), (1, 0)]), 1
    ),
    "masked text": of(np.ma.array(["a", "b"], mask=[0, 1]), 1),
    "masked times": of(np.ma.array(np.array(["2024-02-29", "NaT"], "M8[s]"), mask=[0, 1]), 1),
}


def check_same(found: Any, expected: Any) -> None:
    assert isinstance(found, np.ma.MaskedArray) == isinstance(expected, np.ma.MaskedArray)
    if isinstance(expected, np.ma.MaskedArray):
        assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        assert str(found.fill_value) == str(expected.fill_value)
        found, expected = found.filled(), expected.filled()
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind in "OT":
        assert found.tolist() == expected.tolist()
    elif expected.dtype.names is None and expected.dtype != np.longdouble:
        assert found.tobytes() == expected.tobytes()
    else:
        assert (found == expected).all()


def check_again(array: da.Array, protocols: Any) -> da.Array:
    pid = SERIALIZER.pickle(array, protocols)
    again = SERIALIZER.unpickle(pid, protocols)
    assert isinstance(again, da.Array)
    assert (again.chunks, again.dtype) == (array.chunks, array.dtype)
    check_same(again.compute(), array.compute())
    return again


@pytest.mark.parametrize("name", ARRAYS)
def test_comes_back(name, protocols):
    again = check_again(ARRAYS[name], protocols)
    check_same(pickle.loads(pickle.dumps(again)).compute(), ARRAYS[name].compute())
    for opened in getattr(protocols.get(FILE_PROTOCOL), "opened", []):
        assert opened.closed


@pytest.mark.parametrize(
    "selection",
    [0, -1, slice(1, 4), slice(None, None, -2), (slice(4, 1, -1), 3), (0, 0), ([4, 0, 4],)],
)
@pytest.mark.parametrize("name", ["of several lengths", "blocks of length 0", "masked", "text"])
def test_parts_of_it(name, selection, protocols):
    array = ARRAYS[name]
    if isinstance(selection, tuple) and len(selection) > array.ndim:
        selection = selection[: array.ndim]
    if isinstance(selection, tuple) and isinstance(selection[0], list):
        selection = ([min(at, array.shape[0] - 1) for at in selection[0]],)
    pid = SERIALIZER.pickle(array, protocols)
    again = SERIALIZER.unpickle(pid, protocols)
    found, expected = again[selection].compute(), array[selection].compute()
    assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))


@settings(max_examples=40)
@given(st.data())
def test_chunks_of_every_kind(data):
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
    chunks = []
    for length in shape:
        cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=3)))
        chunks.append(tuple(b - a for a, b in itertools.pairwise([0, *cuts, length])))
    array = da.from_array(
        np.random.default_rng(0).integers(0, 99, shape), chunks=tuple(chunks) if shape else -1
    )
    assert array.chunks == tuple(chunks)
    protocol = data.draw(st.sampled_from([FILE_PROTOCOL, S3_PROTOCOL]))
    client = fsspec.filesystem("memory")
    given = {
        FILE_PROTOCOL: {FILE_PROTOCOL: client},
        S3_PROTOCOL: {S3_PROTOCOL: {"client": client, "folder": "chunks"}},
    }[protocol]
    pid = SERIALIZER.pickle(array, given)
    again = SERIALIZER.unpickle(pid, given)
    assert again.chunks == array.chunks
    assert np.array_equal(again.compute(), array.compute())
    SERIALIZER.remove(pid, given)


def test_zarr_has_a_chunk_for_each_block(tmp_path):
    protocols = {S3_PROTOCOL: {"client": fsspec.filesystem("file"), "folder": str(tmp_path)}}
    for name, chunks in [("uniform", (4,)), ("of several lengths", ((1, 3, 2), (4, 6)))]:
        pid = SERIALIZER.pickle(ARRAYS[name], protocols)
        stored = zarrstore.open_array(tmp_path / pid, path="data")
        if name == "uniform":
            assert stored.chunks == chunks
        else:
            assert stored.write_chunk_sizes == chunks
        assert np.array_equal(stored[...], ARRAYS[name].compute())


def test_a_file_takes_no_room_for_chunks_of_other_shapes(tmp_path):
    array = of(np.random.default_rng(0).random((41, 41, 41)), ((1, 40), (40, 1), 40))
    check_again(array, {FILE_PROTOCOL: Files(str(tmp_path))})
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 1.1 * array.nbytes


def test_each_block_is_computed_once(protocols):
    calls = []

    def count(block):
        calls.append(block.shape)
        return block

    array = da.ones((6, 4), chunks=((1, 5), 2)).map_blocks(count, meta=np.empty((0, 0)))
    SERIALIZER.pickle(array, protocols)
    assert sorted(calls) == [(1, 2), (1, 2), (5, 2), (5, 2)]


def test_is_lazy(protocols):
    pid = SERIALIZER.pickle(ARRAYS["uniform"], protocols)
    again = SERIALIZER.unpickle(pid, protocols)
    SERIALIZER.remove(pid, protocols)
    with pytest.raises(FileNotFoundError):
        SERIALIZER.unpickle(pid, protocols)
    with pytest.raises(FileNotFoundError):
        SERIALIZER.remove(pid, protocols)
    with pytest.raises(FileNotFoundError):
        again.compute()


def test_a_block_that_is_lost_is_not_full_of_zeros(tmp_path):
    protocols = {S3_PROTOCOL: {"client": fsspec.filesystem("file"), "folder": str(tmp_path)}}
    again = check_again(da.zeros((6, 4), chunks=((2, 0, 3, 1), 2)), protocols)
    (pid,) = [path.name for path in tmp_path.iterdir()]
    (tmp_path / pid / "data" / "c" / "1" / "0").unlink()
    assert not again[:2].compute().any()
    assert not again[:, 2:].compute().any()
    source = next(each for each in again.dask.values() if hasattr(each, "layout"))
    for part in (again[4:, 1].compute, lambda: source[1:6:4, ::-1]):
        with pytest.raises(zarrstore.KeyNotFoundError, match="has lost data/c/1/0"):
            part()


@pytest.mark.parametrize("kind", [Stream, Piecemeal, PiecemealStream, nullcontext])
def test_files_that_can_do_little(kind, tmp_path):
    class Openers(Files):
        def open(self, name, mode):
            return kind(super().open(name, mode))

    files = Openers(str(tmp_path))
    check_again(ARRAYS["of several lengths"], {FILE_PROTOCOL: files})
    if kind is not nullcontext:
        assert all(file.closed for file in files.opened)
    for file in files.opened:
        file.close()


def test_what_is_replaced_meanwhile_was_read_before(protocols):
    first = check_again(ARRAYS["uniform"], protocols)
    second = check_again(first + 1, protocols)  # its graph reads the first
    assert (second == first + 1).all().compute()


class Pickler(pickle.Pickler):
    def __init__(self, file, protocols):
        super().__init__(file)
        self._protocols = protocols

    def persistent_id(self, obj):
        if isinstance(obj, SERIALIZER.serializer_class):
            return type(SERIALIZER).__name__, SERIALIZER.pickle(obj, self._protocols)
        return None


class Unpickler(pickle.Unpickler):
    def __init__(self, file, protocols):
        super().__init__(file)
        self._protocols = protocols

    def persistent_load(self, pid):
        name, identifier = pid
        assert name == "DaskArraySerializer"
        return SERIALIZER.unpickle(identifier, self._protocols)


def test_in_a_pickler(protocols):
    file = io.BytesIO()
    state = {"step": 3, "fields": [ARRAYS["uniform"], ARRAYS["masked"]]}
    Pickler(file, protocols).dump(state)
    file.seek(0)
    again = Unpickler(file, protocols).load()
    assert again["step"] == 3
    for found, expected in zip(again["fields"], state["fields"], strict=True):
        check_same(found.compute(), expected.compute())


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("name", ["of several lengths", "masked", "no dimensions"])
def test_schedulers(scheduler, name, protocols):
    with dask.config.set(scheduler=scheduler):
        check_again(ARRAYS[name] + 0, protocols)


def test_a_scheduler_of_processes(tmp_path):
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as pool,
        dask.config.set(scheduler="processes", pool=pool),
    ):
        for protocol in (FILE_PROTOCOL, S3_PROTOCOL):
            check_again(ARRAYS["masked"] + 0, protocols_of(protocol, tmp_path))


def test_distributed(tmp_path):
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        persisted = (ARRAYS["of several lengths"] + 1).persist()  # which only the cluster has
        for protocol in (FILE_PROTOCOL, S3_PROTOCOL):
            check_again(persisted, protocols_of(protocol, tmp_path))


CHILD = """
    import pickle, sys
    array = pickle.loads(bytes.fromhex(sys.argv[1]))
    print(int(array.sum().compute()), array.chunks)
"""


def in_a_child(array: da.Array) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(CHILD), pickle.dumps(array).hex()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_in_another_process(tmp_path):
    files = fsspec.filesystem("dir", path=str(tmp_path), target_protocol="file")
    again = check_again(ARRAYS["of several lengths"], {FILE_PROTOCOL: files})
    assert in_a_child(again) == "1770 ((1, 3, 2), (4, 6))"


def test_on_s3(seaweed_bucket: Bucket) -> None:
    import s3fs

    bucket = seaweed_bucket
    client = s3fs.S3FileSystem(**bucket.storage_options)
    folders = [f"{bucket.name}/a/folder/", f"{bucket.url}/b"]
    check_again(ARRAYS["uniform"], {S3_PROTOCOL: {"client": client, "folder": folders[0]}})
    protocols = {S3_PROTOCOL: {"client": client, "folder": folders[1]}}
    for name in ("of several lengths", "masked", "text"):
        check_again(ARRAYS[name], protocols)
    assert len(client.ls(f"{bucket.name}/b")) == 3  # which the client remembers
    again = check_again(ARRAYS["of several lengths"], protocols)
    assert in_a_child(again) == "1770 ((1, 3, 2), (4, 6))"
    pids = [path.rpartition("/")[2] for path in client.ls(f"{bucket.name}/b")]
    assert len(pids) == 4
    for pid in pids:
        SERIALIZER.remove(pid, protocols)
    listed = bucket.server.client().list_objects_v2(Bucket=bucket.name, Prefix="b/")
    assert listed["KeyCount"] == 0
    with pytest.raises(FileNotFoundError):
        SERIALIZER.remove(pids[0], protocols)
    with pytest.raises(FileNotFoundError):
        SERIALIZER.unpickle(pids[0], protocols)


def left(protocols: Any, tmp_path: Any) -> list[str]:
    return [path.name for path in tmp_path.rglob("*") if path.is_file()]


def test_unknown_sizes(protocols, tmp_path):
    array = da.arange(10, chunks=5)
    unknown = array[array > 2]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        SERIALIZER.pickle(unknown, protocols)
    assert left(protocols, tmp_path) == []
    check_again(unknown.compute_chunk_sizes(), protocols)


def fail(block):
    raise RuntimeError("no such luck")


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (da.ones(4, chunks=2).map_blocks(fail, meta=np.empty(0)), RuntimeError),
        (of(np.array(["a", 1], object), 1), TypeError),
        (of(np.array(["a", None], object), 1), TypeError),
        (of(np.array([("a", 1)], [("n", "O"), ("i", "i2")])), TypeError),
        (of(np.array(["a", None], np.dtypes.StringDType(na_object=None)), 1), TypeError),
        # what is not as the dask array says
        (da.ones(4, chunks=2).map_blocks(lambda x: x + 0.5, dtype="i8"), TypeError),
        (of(np.array([2**53 + 1])).map_blocks(lambda x: x, dtype="f8"), TypeError),
        (of(np.array(["a\0"], object)).map_blocks(lambda x: x, dtype="U2"), TypeError),
        (da.ones(4, chunks=2).map_blocks(lambda x: x[1:], dtype="f8"), ValueError),
        (
            da.ones(4, chunks=2).map_blocks(
                lambda x: np.ma.array(x, mask=True), meta=np.empty((0,))
            ),
            TypeError,
        ),
    ],
)
def test_what_fails_leaves_nothing(array, error, protocols, tmp_path):
    with pytest.raises(error):
        SERIALIZER.pickle(array, protocols)
    assert left(protocols, tmp_path) == []


def test_tasks_elsewhere_that_are_late_leave_nothing(tmp_path):
    group = zarrstore.open_group(tmp_path)
    layout = layout_of(da.ones((4, 2), chunks=((1, 0, 3), 2)))
    options = {"shape": layout.shape, "chunks": layout.grid, "dtype": "f8"}
    target = _Target(layout, {"data": group.create_array("data", **options)}, is_elsewhere=True)
    target.write("data", layout.region((0, 0)), np.ones((1, 2)))
    (tmp_path / "zarr.json").unlink()
    with pytest.raises(RuntimeError, match="broken off"):
        target.write("data", layout.region((2, 0)), np.ones((3, 2)))
    assert [path.name for path in (tmp_path / "data" / "c").rglob("*/*")] == ["0"]


def test_a_full_disk(tmp_path):
    class Full(Files):
        def open(self, name, mode):
            super().open(name, mode).write(b"begin")
            raise OSError("disk full")

    files = Full(str(tmp_path))
    with pytest.raises(OSError, match="disk full"):
        SERIALIZER.pickle(ARRAYS["uniform"], {FILE_PROTOCOL: files})
    files.opened[0].close()
    assert left(files, tmp_path) == []


@pytest.mark.parametrize(
    "operation", ["pickle", "unpickle .hdf5", "unpickle .zarr", "remove .zarr"]
)
@pytest.mark.parametrize(
    ("protocols", "error"),
    [
        ({}, MissingProtocolError),
        ({"file": 1}, MissingProtocolError),
        ({FILE_PROTOCOL: None, S3_PROTOCOL: None}, MissingProtocolError),
        ({S3_PROTOCOL: {"folder": "x"}}, MissingProtocolError),
        ({S3_PROTOCOL: {"client": fsspec.filesystem("memory")}}, MissingProtocolError),
        (None, TypeError),
        ([FILE_PROTOCOL], TypeError),
    ],
)
def test_protocols_that_are_missing(operation, protocols, error):
    name, _, suffix = operation.partition(" ")
    subject = ARRAYS["uniform"] if name == "pickle" else f"dask-{'0' * 32}{suffix}"
    with pytest.raises(error, match=r"protocol") as caught:
        getattr(SERIALIZER, name)(subject, protocols)
    if error is MissingProtocolError:
        assert isinstance(caught.value, KeyError | zarrstore.ZarrStoreError)
        assert "object with open(name, mode)" in str(caught.value)


def test_protocols_that_are_something_else():
    for protocols, message in [
        ({FILE_PROTOCOL: "folder"}, "str has none"),
        ({S3_PROTOCOL: "bucket"}, "is a dict, not str"),
        ({S3_PROTOCOL: {"client": 1, "folder": 2}}, "'folder' is a str"),
        ({S3_PROTOCOL: {"client": 1, "folder": "a"}}, "filesystem"),
    ]:
        with pytest.raises(TypeError, match=message):
            SERIALIZER.pickle(ARRAYS["uniform"], protocols)


def test_both_protocols(tmp_path):
    memory = fsspec.filesystem("memory")
    files = {FILE_PROTOCOL: Files(str(tmp_path))}
    s3 = {S3_PROTOCOL: {"client": memory, "folder": "both"}}
    pid = SERIALIZER.pickle(ARRAYS["uniform"], files | s3)
    assert (tmp_path / pid).exists()
    other = SERIALIZER.pickle(ARRAYS["uniform"], s3)
    for each in (pid, other):
        assert SERIALIZER.unpickle(each, files | s3).sum().compute() == 45
    with pytest.raises(MissingProtocolError, match="'file_protocol' is not among"):
        SERIALIZER.unpickle(pid, s3)
    with pytest.raises(MissingProtocolError, match="'s3 protocol' is not among"):
        SERIALIZER.unpickle(other, files)


@pytest.mark.parametrize("pid", ["", "x", "../x.hdf5", f"../dask-{'0' * 32}.hdf5", None, 3, ("a",)])
def test_no_identifier(pid, protocols):
    for operation in (SERIALIZER.unpickle, SERIALIZER.remove):
        with pytest.raises(ValueError, match="no identifier"):
            operation(pid, protocols)


def test_no_dask_array(protocols):
    with pytest.raises(TypeError, match="not ndarray"):
        SERIALIZER.pickle(np.ones(3), protocols)
    assert SERIALIZER.serializer_class is da.Array


def test_what_is_not_whole(tmp_path):
    protocols = {S3_PROTOCOL: {"client": fsspec.filesystem("file"), "folder": str(tmp_path)}}
    pid = SERIALIZER.pickle(ARRAYS["uniform"], protocols)
    del zarrstore.open_group(tmp_path / pid).attrs["zarrstore.serializers"]
    with pytest.raises(CorruptDataError, match="broken off"):
        SERIALIZER.unpickle(pid, protocols)
    import h5py

    files = {FILE_PROTOCOL: Files(str(tmp_path))}
    pid = SERIALIZER.pickle(ARRAYS["uniform"], files)
    whole = (tmp_path / pid).read_bytes()
    with h5py.File(tmp_path / pid, "w"):
        pass
    with pytest.raises(CorruptDataError, match="no dask array"):
        SERIALIZER.unpickle(pid, files)
    for length in (0, 100, len(whole) - 1):
        (tmp_path / pid).write_bytes(whole[:length])
        with pytest.raises(CorruptDataError, match="is damaged"):
            SERIALIZER.unpickle(pid, files)


def test_a_version_to_come(tmp_path):
    protocols = {S3_PROTOCOL: {"client": fsspec.filesystem("file"), "folder": str(tmp_path)}}
    pid = SERIALIZER.pickle(ARRAYS["uniform"], protocols)
    attributes = zarrstore.open_group(tmp_path / pid).attrs
    attributes["zarrstore.serializers"] = {"version": 2, "blocks": []}
    with pytest.raises(zarrstore.MetadataError, match="version 2, and 1 can be read"):
        SERIALIZER.unpickle(pid, protocols)


def test_other_tools_can_read_it(tmp_path):
    import h5py

    pid = SERIALIZER.pickle(ARRAYS["of several lengths"], {FILE_PROTOCOL: Files(str(tmp_path))})
    with h5py.File(tmp_path / pid) as file:
        assert file["data"][5, 9] == 59
    pid = SERIALIZER.pickle(
        ARRAYS["text of variable length"], {FILE_PROTOCOL: Files(str(tmp_path))}
    )
    with h5py.File(tmp_path / pid) as file:
        assert file["data"].asstr()[3] == "é\U0001f600"
