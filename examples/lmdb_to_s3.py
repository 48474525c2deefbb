"""An LMDB database of zarr 2 moves to a zip file in a bucket, and is read there.

Run it with ``python examples/lmdb_to_s3.py old.lmdb s3://bucket/folder/new.zip``. The archive is
made on the local disk, compared with the database, and sent when it is complete. Run again,
it goes on where an error or Ctrl-C broke it off; if it was killed, it begins again.
"""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import zarrstore


def main(source: str, dest: str) -> None:
    """Copy, send, and open."""
    archive = Path(dest.rpartition("/")[2])
    report = zarrstore.copy_store(f"lmdb://{source}", archive, progress=True)
    print(f"{source} to {archive}: {report}")

    bucket, _, name = dest.rpartition("/")
    with (
        archive.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        zarrstore.open_store(bucket).sync as remote,
    ):
        remote[name] = data
        print(f"{name}: {remote.getsize(name):,} bytes in {bucket}")

    with zarrstore.open_group(f"{dest}|zip:", mode="r") as group:
        print(group.tree())
        arrays = [node for _, node in group.members(None) if isinstance(node, zarrstore.Array)]
        for array in arrays:
            print(f"{array.path}: {array[...].mean():.3f} on average")


if __name__ == "__main__":
    main(*sys.argv[1:])
