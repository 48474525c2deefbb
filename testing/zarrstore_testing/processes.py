"""Processes: pickles, and what is left of a store after a fork."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import pickletools
import subprocess
import sys
from typing import Any

from zarrstore.abc import Capability, Store
from zarrstore.errors import NotShareableError
from zarrstore_testing import child
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case

_VALUE = b"from the parent"
_SECONDS = 5.0


def _modules(data: bytes) -> list[tuple[str, str]]:
    """Return the modules that a pickle names, with their files."""
    names = {arg.split(" ")[0] for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)}
    files = {
        name: getattr(sys.modules[name], "__file__", None) for name in names & set(sys.modules)
    }
    return sorted((name, os.path.abspath(file)) for name, file in files.items() if file)


def _elsewhere(case: Case, data: bytes, action: str) -> dict[str, Any]:
    """Do something with a pickled store in another process; return what came of it."""
    order = {"path": sys.path, "modules": _modules(data), "action": action, "seconds": _SECONDS}
    case.log.add(f"in another process: pickle.loads(pickle.dumps(store)), then {action} it")
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, child.__file__],
            input=json.dumps(order).encode() + b"\n" + data,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed("the store hung in another process for 60 s") from None
    last = done.stdout.decode(errors="replace").rstrip().rpartition("\n")[2]
    try:
        answer: dict[str, Any] = json.loads(last)
    except ValueError:
        text = done.stderr.decode(errors="replace")[-1500:]
        raise Failed(f"the other process died with code {done.returncode}: {text}") from None
    return answer


def _said(step: dict[str, Any]) -> str:
    if "error" in step:
        return f"raised {step['error']}: {step.get('message', '')}"
    return f"gave {step['value']!r}"


def _gave(step: dict[str, Any], value: bytes) -> bool:
    return step.get("value") == value.hex()


@behaviour("a pickle opens the same data in this process, equal to the original")
def pickle_opens_the_same_data_here(_: Case, store: Store) -> None:
    store.sync["a/b"] = _VALUE
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(store, protocol))  # noqa: S301 - just made
        if type(copy) is not type(store) or copy != store or hash(copy) != hash(store):
            raise Failed(f"the pickle of {store!r} opened as {copy!r}, which is not equal to it")
        if copy.sync.get("a/b") != _VALUE:
            raise Failed("a pickled store does not have the data of its original")
        copy.sync["c"] = b"from the copy"
        if store.sync.get("c") != b"from the copy":
            raise Failed(
                "a pickled store is a silent copy: a write to it did not reach the original"
            )
        if copy.read_only or copy.capabilities != store.capabilities:
            raise Failed("a pickled store has other capabilities than its original")
        view = pickle.loads(pickle.dumps(store.with_read_only(), protocol))  # noqa: S301
        if not view.read_only or view != store.with_read_only():
            raise Failed("the pickle of a read-only view is not a read-only view")
        if view.sync.get("a/b") != _VALUE:
            raise Failed("a pickled view does not have the data of its original")
    sync = pickle.loads(pickle.dumps(store.sync))  # noqa: S301 - just made
    if sync["a/b"] != _VALUE:
        raise Failed("a pickled store.sync does not have the data of its original")


@behaviour(
    "a pickle opens the same data in another process if the store is SHARED, and raises "
    "NotShareableError there if it is not: never a silent copy"
)
def pickle_opens_the_same_data_elsewhere(case: Case, store: Store) -> None:
    store.sync["a/b"] = _VALUE
    asyncio.run(store.get("a/b"))
    answer = _elsewhere(case, pickle.dumps(store), "use")
    loaded = answer["load"]
    if Capability.SHARED not in store.capabilities:
        if NotShareableError.__name__ not in loaded.get("kinds", ()):
            raise Failed(
                "the store is not SHARED, so its pickle should raise NotShareableError in another "
                f"process, and loading it {_said(loaded)}"
            )
        case.note("not SHARED: NotShareableError in another process")
        return
    if "error" in loaded:
        raise Failed(
            f"the store is SHARED, and loading its pickle in another process {_said(loaded)}"
        )
    for step in ("sync.get", "asyncio get"):
        if not _gave(answer[step], _VALUE):
            raise Failed(f"{step} in another process {_said(answer[step])}, not the parent's value")
    for step in ("sync.set", "close"):
        if "error" in answer[step]:
            raise Failed(f"{step} in another process {_said(answer[step])}")
    if store.sync.get("from/child") != b"written":
        raise Failed("what another process wrote through the pickle did not reach this one")


@behaviour("after a fork a store works or raises; it never hangs, and its parent goes on")
def fork_works_or_raises(case: Case, store: Store) -> None:
    if not hasattr(os, "fork"):
        case.note("this system has no fork")
        return
    store.sync["a/b"] = _VALUE
    if Capability.SHARED in store.capabilities:
        answer = _elsewhere(case, pickle.dumps(store), "fork")
        for step in ("load", "before", "after"):
            if "error" in answer.get(step, {}):
                raise Failed(f"{step} (beside a fork) {_said(answer[step])}")
        steps = answer["fork"]["value"]
    else:
        asyncio.run(store.get("a/b"))
        case.log.add("fork, and use the store in the child")
        steps = child.forked(store, _SECONDS)
    if steps is None:
        raise Failed(f"the store hung in a forked child: no answer after {_SECONDS:.0f} s")
    for name in ("sync.get", "asyncio get"):
        step = steps.get(name, {"value": "nothing: the child died"})
        if "error" in step:
            case.note(f"{name} in a forked child raises {step['error']}")
        elif not _gave(step, _VALUE):
            raise Failed(f"{name} in a forked child {_said(step)}, not what had been written")
    if store.sync.get("a/b") != _VALUE:
        raise Failed("the store does not work in the parent of a fork")
