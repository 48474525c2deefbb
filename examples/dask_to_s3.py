"""A dask graph is written to S3: the plan, a bar, and what was written is read back.

``python examples/dask_to_s3.py`` writes the photograph beside it to an S3 server that it starts on
this machine; it needs ``pip install 'zarrstore[dask,s3,cli]' 'moto[server]'``. An array of your
own, such as a volume, and another store can be named:
``python examples/dask_to_s3.py volume.npz --to s3://bucket/volume.zarr``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from zarrstore.dask import from_zarr, to_zarr

PHOTOGRAPH = Path(__file__).parent / "data" / "hubble_deep_field.npz"


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "file", nargs="?", default=PHOTOGRAPH, help="an .npz file; by default the photograph"
    )
    parser.add_argument("--to", metavar="URL", help="by default on a server that is started here")
    parser.add_argument("--endpoint", metavar="URL", help="of an S3 server other than Amazon's")
    asked = parser.parse_args()
    with np.load(asked.file) as file:
        name = max(file.files, key=lambda name: file[name].ndim)
        values = file[name]
    print(f"{name} of {asked.file}: {values.dtype}, {' x '.join(map(str, values.shape))}")
    options = {"endpoint_url": asked.endpoint} if asked.endpoint else None
    name = f"{Path(asked.file).stem}.zarr"
    with server(name) if asked.to is None else nullcontext((asked.to, options)) as (url, options):
        write(url, options, values)


@contextmanager
def server(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Start an S3 server; yield a URL in a bucket, and the options for it."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        options = {"key": "any", "secret": "any", "endpoint_url": f"http://{host}:{port}"}
        s3fs.S3FileSystem(**options, skip_instance_cache=True).mkdir("bucket")
        yield f"s3://bucket/{name}", options
    finally:
        moto.stop()


def write(url: str, options: dict[str, Any] | None, values: Any) -> None:
    """Smooth an array a little, in blocks that do not line up with its chunks, and write it."""
    # a channel, such as a colour, is no direction to smooth or to cut in
    lengths = [length if length > 4 else None for length in values.shape]
    lazy = da.from_array(values, chunks=tuple([length and 100 for length in lengths]))
    depth = {axis: 1 for axis, length in enumerate(lengths) if length}
    smooth = lazy.astype("float32").map_overlap(smoothed, depth, axes=tuple(depth), dtype="float32")
    chunks = tuple([min(64, length) for length in values.shape])

    task = to_zarr(smooth, url, chunks=chunks, mode="w", storage_options=options, compute=False)
    print(f"\nthe plan:\n{task.plan}\n")
    result = task.compute(progress=True)
    count = result.verify(progress=True)
    print(f"\n{count} chunks, {result.nbytes:,} bytes, are there as they were written")

    again = from_zarr(url, storage_options=options)
    assert np.array_equal(again.compute(), smooth.compute())
    print(f"{again.size:,} elements are read back: nothing was lost")


def smoothed(block: Any, axes: tuple[int, ...]) -> Any:
    """Return each element's mean with its neighbours."""
    total = block.copy()
    for axis in axes:
        total += np.roll(block, 1, axis) + np.roll(block, -1, axis)
    return total / (1 + 2 * len(axes))


if __name__ == "__main__":
    main()
