"""Time the stores of zarr 2 on behalf of another process; see `workers.py`."""

from __future__ import annotations

import platform
import warnings
from typing import Any

import zarr
import zarr.storage

from benchmarks.store_times import times
from benchmarks.workers import serve


def answer(request: dict[str, Any]) -> Any:
    """Return what a request asks for."""
    if request["do"] == "versions":
        return [zarr.__version__, platform.python_version()]
    warnings.simplefilter("ignore")  # most of these classes are deprecated there
    return times(zarr.storage, **request["of"])


if __name__ == "__main__":
    serve(answer)
