"""Write a real photograph to four kinds of store by changing one string, and read it back.

Run it with ``python examples/quickstart.py``. Any URL can be added, such as
``python examples/quickstart.py s3://bucket/folder``; ``--keep DIR`` keeps what is written.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import zarrstore

PHOTOGRAPH = Path(__file__).parent / "data" / "hubble_deep_field.npz"
CROP = (slice(300, 428), slice(500, 628))
console = Console()


def copy_to(target: Any, photograph: np.ndarray, table: Table) -> None:
    """Write the photograph to a store, read it and a crop of it back, and check every value."""
    shown = target if isinstance(target, str) else "a dict"
    console.print(f"[bold]{shown}[/bold]")
    with zarrstore.open_group(target) as group:
        started = time.perf_counter()
        array = group.create_array(
            "rgb",
            shape=photograph.shape,
            dtype=photograph.dtype,
            chunks=(128, 128, 3),
            attributes={"title": "Hubble Deep Field", "credit": "NASA/ESA"},
            overwrite=True,
        )
        array.write(..., photograph, progress=True)
        written = time.perf_counter()
        whole = array.read(progress=True)
        read = time.perf_counter()
        crop = array[CROP]
        cropped = time.perf_counter()
        console.print(group.tree(), highlight=False)
        stored = group.store.sync.getsize_prefix("rgb")

    if not (np.array_equal(whole, photograph) and np.array_equal(crop, photograph[CROP])):
        raise SystemExit(f"the values read from {shown} differ from those written")
    table.add_row(
        shown,
        f"{1e3 * (written - started):.1f}",
        f"{1e3 * (read - written):.1f}",
        f"{1e3 * (cropped - read):.1f}",
        f"{100 * stored / photograph.nbytes:.0f} %",
    )


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="*", help="more stores to write to")
    parser.add_argument("--keep", metavar="DIR", help="write to DIR, and leave it there")
    arguments = parser.parse_args()

    with np.load(PHOTOGRAPH) as arrays:
        photograph = arrays["rgb"]
    console.print(f"a photograph of {photograph.shape}, {photograph.dtype}")

    with contextlib.ExitStack() as stack:
        folder = arguments.keep or stack.enter_context(tempfile.TemporaryDirectory())
        targets = [
            f"{folder}/hubble.zarr",  # a directory
            f"{folder}/hubble.zip",  # one file
            {},  # a dict of this program
            "dir::memory://hubble.zarr",  # a remote store: fsspec's in-memory filesystem
            *arguments.url,
        ]
        table = Table("store", "write, ms", "read, ms", "crop, ms", "size")
        for target in targets:
            copy_to(target, photograph, table)
    console.print(table)
    console.print("[green]every value is equal[/green]")


if __name__ == "__main__":
    main()
