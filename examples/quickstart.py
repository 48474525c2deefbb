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
from rich.table import Column, Table

import zarrstore

PHOTOGRAPH = Path(__file__).parent / "data" / "hubble_deep_field.npz"
CROP = (slice(300, 428), slice(500, 628))
console = Console()


def copy_to(kind: str, target: Any, photograph: np.ndarray, table: Table) -> None:
    """Write the photograph to a store, read it and a crop of it back, and check every value."""
    shown = repr(target)
    console.print(f"\n[bold]{kind}[/bold] zarrstore.open_group({shown})", highlight=False)
    with zarrstore.open_group(target) as group:
        array = group.create_array(
            "rgb",
            shape=photograph.shape,
            dtype=photograph.dtype,
            chunks=(128, 128, 3),
            attributes={"title": "Hubble Deep Field", "credit": "NASA/ESA"},
            overwrite=True,
        )
        started = time.perf_counter()
        array.write(..., photograph, progress=True)
        written = time.perf_counter()
        whole = array.read(progress=True)
        read = time.perf_counter()
        crop = array[CROP]
        cropped = time.perf_counter()
        stored = group.store.sync.getsize_prefix("rgb")

    if not (np.array_equal(whole, photograph) and np.array_equal(crop, photograph[CROP])):
        raise SystemExit(f"the values read from {shown} differ from those written")
    table.add_row(
        kind,
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
    console.print(f"the Hubble Deep Field: {photograph.shape}, {photograph.dtype}", highlight=False)

    with contextlib.ExitStack() as stack:
        folder = arguments.keep or stack.enter_context(tempfile.TemporaryDirectory())
        targets = {
            "a directory": f"{folder}/hubble.zarr",
            "a zip file": f"{folder}/hubble.zip",
            "a dict": {},
            "fsspec (as for S3 ...)": "dir::memory://hubble.zarr",
            **{url: url for url in arguments.url},
        }
        numbers = [Column(name, justify="right") for name in ("write", "read", "crop", "size")]
        table = Table("store", *numbers, title="milliseconds, and bytes stored of those given")
        for kind, target in targets.items():
            copy_to(kind, target, photograph, table)
    console.print()
    console.print(table)
    console.print("[green]every value is equal[/green]")


if __name__ == "__main__":
    main()
