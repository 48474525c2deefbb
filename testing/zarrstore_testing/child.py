"""What runs in another process: run as a script, so that it loads no more than it needs."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import pickle
import runpy
import select
import signal
import sys
import warnings
from typing import Any

__all__ = ["forked"]


def _step(function: Any) -> dict[str, Any]:
    """Return what a function gave, or which error it raised, in a form that JSON can carry."""
    try:
        value = function()
    except Exception as error:  # noqa: BLE001 - the parent judges it
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return {"error": type(error).__name__, "kinds": kinds, "message": str(error)}
    if value is None or isinstance(value, bool):
        return {"value": value}
    return {"value": bytes(value).hex()}


def use(store: Any) -> dict[str, Any]:
    """Use a store in each of its faces; return what came of it, by name."""
    return {
        "sync.get": _step(lambda: store.sync.get("a/b")),
        "asyncio get": _step(lambda: asyncio.run(store.get("a/b"))),
        "sync.set": _step(lambda: store.sync.set("from/child", b"written") and None),
    }


def forked(store: Any, seconds: float) -> dict[str, Any] | None:
    """Use a store in a forked child; ``None`` if that has not ended after some seconds."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # a process with threads is what a store has to survive
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(use(store)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], seconds)
        if not ready:
            return None
        data = os.read(reading, 65536)
        found: dict[str, Any] = json.loads(data or b'{"child": {"error": "no answer"}}')
        return found
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def write(store: Any, sizes: list[int]) -> None:
    """Write values of two sizes in turn, until this process is killed."""
    values = [letter * size for letter, size in zip((b"o", b"n"), sizes, strict=True)]
    print(flush=True)  # noqa: T201 - it begins
    while True:
        for value in values:
            store.sync.set("a/b", value)


def _load(name: str, file: str) -> None:
    """Make a module importable that the parent had, a test module for one."""
    if name == "__main__":
        for key, value in runpy.run_path(file, run_name="__mp_main__").items():
            setattr(sys.modules["__main__"], key, value)
        return
    try:
        importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def _main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = order["path"]
    data = sys.stdin.buffer.read()
    opened: list[Any] = []

    def load() -> None:
        for name, file in order["modules"]:
            _load(name, file)
        opened.append(pickle.loads(data))  # noqa: S301 - our parent made it

    answer = {"load": _step(load)}
    if opened and order["action"] == "fork":
        store = opened[0]
        answer["before"] = _step(lambda: store.sync.get("a/b"))
        use(store)
        answer["fork"] = {"value": forked(store, order["seconds"])}
        answer["after"] = _step(lambda: store.sync.get("a/b"))
    elif opened and order["action"] == "write":
        write(opened[0], order["sizes"])
    elif opened:
        answer |= use(opened[0])
    for store in opened:
        answer["close"] = _step(store.sync.close)
    print(f"\n{json.dumps(answer)}", flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    _main()
