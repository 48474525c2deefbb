"""A dask graph is written to S3: the plan, a bar, and what was written is read back.

``python examples/dask_to_s3.py`` writes the photograph beside it to an S3 server that it starts on
this machine (moto: ``pip install 'zarrstore[dask,s3,cli]' 'moto[server]'``). Another store, and an
array of your own in an ``.npz`` file, can be named:
``python examples/dask_to_s3.py s3://bucket/folder volume.npz``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from zarrstore.dask import from_zarr, to_zarr

PHOTOGRAPH = Path(__file__).parent / "data" / "hubble_deep_field.npz"


@contextmanager
def server() -> Iterator[tuple[str, dict[str, Any]]]:
    """Start an S3 server; yield the URL of a bucket and the options for it."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        options = {"key": "any", "secret": "any", "endpoint_url": f"http://{host}:{port}"}
        s3fs.S3FileSystem(**options, skip_instance_cache=True).mkdir("photographs")
        yield "s3://photographs/deep_field.zarr", options
    finally:
        moto.stop()


def write(url: str, options: dict[str, Any] | None, values: Any) -> None:
    """Smooth an array a little, in blocks that do not line up with its chunks, and write it."""
    lazy = da.from_array(values, chunks=(100, 150) + (-1,) * (values.ndim - 2))
    depth = {0: 1, 1: 1}
    smooth = da.map_overlap(smoothed, lazy.astype("float32"), depth=depth, dtype="float32")
    chunks = tuple(min(64, length) for length in values.shape)
    task = to_zarr(smooth, url, chunks=chunks, mode="w", storage_options=options, compute=False)
    print(task.plan)
    result = task.compute(progress=True)
    print(f"{result.verify()} chunks, {result.nbytes:,} bytes, read back and compared")
    again = from_zarr(url, storage_options=options)
    assert np.array_equal(again.compute(), smooth.compute())
    print("nothing was lost")


def smoothed(block: Any) -> Any:
    """Return each element's mean with its neighbours along the first two dimensions."""
    total = block + np.roll(block, 1, 0) + np.roll(block, -1, 0)
    total = total + np.roll(block, 1, 1) + np.roll(block, -1, 1)
    return total / 5


def main() -> None:
    """Run the example."""
    with np.load(sys.argv[2] if len(sys.argv) > 2 else PHOTOGRAPH) as file:
        values = file[file.files[0]]
    if len(sys.argv) > 1:
        write(sys.argv[1], None, values)
        return
    with server() as (url, options):
        write(url, options, values)


if __name__ == "__main__":
    main()
