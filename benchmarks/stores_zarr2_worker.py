"""Time the stores of zarr 2 on behalf of another process; see `workers.py`."""

from __future__ import annotations

import dbm.dumb
import platform
import warnings
from collections.abc import Callable
from typing import Any

import zarr

from benchmarks.store_times import times
from benchmarks.workers import serve

MAKERS: dict[str, Callable[[str, int], Any]] = {
    "DBMStore": lambda path, _: zarr.DBMStore(path, open=dbm.dumb.open),
    "LMDBStore": lambda path, _: zarr.LMDBStore(path),
    "SQLiteStore": lambda path, _: zarr.SQLiteStore(path),
    "RedisStore": lambda _, port: zarr.RedisStore("theirs", host="127.0.0.1", port=port),
    "MongoDBStore": lambda _, port: zarr.MongoDBStore("theirs", host="127.0.0.1", port=port),
}
"""How a store is made, for a path where nothing is, and the port of a server."""


def answer(request: dict[str, Any]) -> Any:
    """Return what a request asks for."""
    if request["do"] == "versions":
        return [zarr.__version__, platform.python_version()]
    warnings.simplefilter("ignore")  # these classes are deprecated there
    store = MAKERS[request["name"]](request["path"], request["port"])
    try:
        return times(store, request["size"], request["count"], request["deleted"])
    finally:
        if hasattr(store, "close"):
            store.close()


if __name__ == "__main__":
    serve(answer)
