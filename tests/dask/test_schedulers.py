"""The same writes on every scheduler: threads, processes, one thread, clusters of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from dask.diagnostics import ProgressBar
from distributed import Client, LocalCluster

import zarrstore
from zarrstore import LocalStore, MemoryStore, NotShareableError
from zarrstore.dask import from_zarr, store, to_zarr
from zarrstore.interop.xarray import dataset_to_zarr

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:Creating scratch directories:UserWarning", "ignore::ResourceWarning"
)
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A cluster of two processes."""
    folder = str(tmp_path_factory.mktemp("workers"))
    with (
        dask.config.set({"distributed.admin.log-length": 0}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            processes=True,
            dashboard_address=":0",
            local_directory=folder,
        ) as cluster,
        Client(cluster, set_as_default=False) as found,
    ):
        yield found


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype="int64").reshape(shape)


@pytest.mark.parametrize("align", ["auto", "lock"])
def test_a_cluster_of_processes(client, align, tmp_path):
    expected = numbers(60, 30)
    source = da.from_array(expected, chunks=(7, 30))
    told: list[tuple[int, int]] = []
    result = to_zarr(
        source,
        str(tmp_path / "a.zarr"),
        chunks=(5, 6),
        shards=(10, 12),
        align=align,
        scheduler=client,
        progress=lambda done, total: told.append((done, total)),
    )
    assert np.array_equal(result.array[:], expected)
    assert result.verify() == 18
    ntasks = result.plan.ntasks
    assert told == [(done, ntasks) for done in range(ntasks + 1)]
    lazy = from_zarr(str(tmp_path / "a.zarr"))
    assert int(lazy.sum().compute(scheduler=client)) == expected.sum()


def test_a_graph_that_reads_what_it_overwrites_on_a_cluster(client, tmp_path):
    array = zarrstore.create_array(str(tmp_path / "a.zarr"), data=numbers(100), chunks=9)
    store(from_zarr(array)[::-1], array, scheduler=client)
    assert np.array_equal(array[:], numbers(100)[::-1])


def test_a_dataset_of_xarray_on_a_cluster(client, tmp_path):
    values = numbers(20, 30)
    dataset = xr.Dataset({"a": (("y", "x"), da.from_array(values, chunks=(7, 9)))})
    where = tmp_path / "a.zarr"
    dataset_to_zarr(dataset, where, encoding={"a": {"chunks": (4, 4)}}, scheduler=client)
    task = dataset_to_zarr(dataset, where, append_dim="y", compute=False)
    result = client.compute(task).result()
    assert result.verify() == 40
    assert np.array_equal(result.array[:], np.concatenate([values, values]))


def test_several_at_once_on_a_cluster(client, tmp_path):
    tasks = [
        to_zarr(da.full(20, number, chunks=3), tmp_path / f"{number}.zarr", compute=False)
        for number in range(2)
    ]
    assert not (tmp_path / "0.zarr" / "zarr.json").exists()
    for future in client.compute(tasks):
        future.result().verify()
    for number in range(2):
        assert (zarrstore.open_array(tmp_path / f"{number}.zarr", mode="r")[:] == number).all()


@pytest.mark.parametrize("fuse", [None, False])
def test_what_is_on_a_cluster_already(client, fuse, tmp_path):
    source = client.persist(da.from_array(numbers(8, 6), chunks=(4, 3)))
    with dask.config.set({"optimization.fuse.active": fuse}):
        for name, lazy in (("same", source), ("cut", source[::-1].rechunk((3, 6)))):
            array = to_zarr(lazy, tmp_path / name, scheduler=client).array
            assert np.array_equal(array[:], numbers(8, 6)[:: 1 if name == "same" else -1])


def test_what_lives_in_this_process(client):
    with pytest.raises(NotShareableError, match=r"scheduler='threads'"):
        to_zarr(da.ones(10, chunks=2), MemoryStore(), scheduler=client)
    task = to_zarr(da.ones(10, chunks=2), MemoryStore(), compute=False)
    with pytest.raises(NotShareableError):
        client.compute(task).result()  # not known before it runs, and yet no copy is written


def test_a_cluster_in_this_process():
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        where = MemoryStore()
        to_zarr(da.ones(100, chunks=7), where, scheduler=client).verify()
        assert zarrstore.open_array(where)[:].sum() == 100


def test_after_a_fork(tmp_path):
    """The threads of dask do not exist in the child."""
    code = f"""
        import os, warnings, dask.array as da
        from zarrstore.dask import to_zarr
        warnings.simplefilter("ignore")
        to_zarr(da.ones(40, chunks=2), {{}})
        pid = os.fork()
        if pid == 0:
            os._exit(to_zarr(da.ones(40, chunks=2), {str(tmp_path / "a")!r}).verify())
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "20\n", done.stderr


class Killing(LocalStore):
    """Kills the process that writes some chunk for the first time, when half of it is done."""

    def _set(self, key: str, value: Any) -> Any:
        mark = Path(self.root).parent / "killed"
        if key.endswith("c/12") and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._set(key, value)

    def _set_each(self, items: Any) -> Any:
        return NotImplemented


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["new", "overwriting what is read"])
def test_a_worker_is_killed_in_mid_write(client, mode, tmp_path):
    where = Killing(tmp_path / "a.zarr")
    expected = numbers(200)
    source = da.from_array(expected, chunks=7)
    if mode != "new":
        array = zarrstore.create_array(str(tmp_path / "a.zarr"), data=expected[::-1], chunks=10)
        source = from_zarr(array, chunks=7)[::-1]
        result = store(source, zarrstore.open_array(where, mode="r+"), scheduler=client)
    else:
        result = to_zarr(source, where, chunks=10, scheduler=client)
    assert (tmp_path / "killed").exists()
    result.verify()
    plain = zarrstore.open_array(str(tmp_path / "a.zarr"), mode="r")
    assert np.array_equal(plain[:], expected)


def test_workers_that_reach_the_store_over_http(client, s3_bucket: Bucket):
    expected = numbers(40, 40)
    url = f"{s3_bucket.url}/a.zarr"
    result = to_zarr(
        da.from_array(expected, chunks=(9, 40)),
        url,
        chunks=(10, 10),
        scheduler=client,
        storage_options=s3_bucket.storage_options,
    )
    assert result.verify() == 16
    again = from_zarr(url, storage_options=s3_bucket.storage_options)
    assert np.array_equal(again.compute(scheduler="threads"), expected)


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_progress(scheduler, capsys, tmp_path):
    source = da.ones((40, 40), chunks=(10, 10))
    told: list[tuple[int, int]] = []
    to_zarr(source, {}, scheduler=scheduler, progress=lambda *each: told.append(each))
    assert told == [(done, 16) for done in range(17)]
    to_zarr(source, {}, scheduler=scheduler, progress=True)
    assert "16/16 tasks" in capsys.readouterr().out
    with ProgressBar(out=sys.stdout):
        to_zarr(source, {}, scheduler=scheduler)
    assert "100%" in capsys.readouterr().out


def test_a_callback_that_raises():
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    where = MemoryStore()
    with suppress(KeyboardInterrupt):
        to_zarr(da.ones(100, chunks=10), where, progress=stop, scheduler="sync")
    with pytest.raises(zarrstore.NodeNotFoundError):
        zarrstore.open_array(where, mode="r")
    assert to_zarr(da.ones(100, chunks=10), where, resume=True).verify() == 10


def test_configured_schedulers():
    with dask.config.set(scheduler="processes"), pytest.raises(NotShareableError):
        to_zarr(da.ones(10), {})
    with dask.config.set(scheduler="sync"):
        here: set[int] = set()

        def noted(block: Any) -> Any:
            here.add(threading.get_ident())
            return block

        to_zarr(da.ones(10, chunks=2).map_blocks(noted, dtype="float64"), {})
        assert here == {threading.get_ident()}
