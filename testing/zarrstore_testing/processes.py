"""Processes: pickles, and what is left of a store after a fork."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import pickletools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from zarrstore.abc import Capability, Store
from zarrstore.errors import NotShareableError
from zarrstore_testing import child
from zarrstore_testing.behaviour import Failed, NotApplicable, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.log import shown

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


@behaviour("a pickle opens the same data in this process, equal to the original", rewrites=True)
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
    "NotShareableError there if it is not: never a silent copy",
    reads_only=True,
)
def pickle_opens_the_same_data_elsewhere(case: Case, store: Store) -> None:
    store = case.with_values(store, {"a/b": _VALUE})
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
    can_write = Capability.WRITE in store.capabilities
    for step in ("sync.set", "close") if can_write else ("close",):
        if "error" in answer[step]:
            raise Failed(f"{step} in another process {_said(answer[step])}")
    if can_write and store.sync.get("from/child") != b"written":
        raise Failed("what another process wrote through the pickle did not reach this one")


@behaviour(
    "after a fork a store works or raises; it never hangs, and its parent goes on", reads_only=True
)
def fork_works_or_raises(case: Case, store: Store) -> None:
    if not hasattr(os, "fork"):
        case.note("this system has no fork")
        return
    store = case.with_values(store, {"a/b": _VALUE})
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


def _reopened(case: Case, store: Store) -> Callable[[], Store]:
    """Return what opens the same data again, even when the store is closed."""
    reopen = case.options.reopen
    if reopen is not None:
        return lambda: reopen(store)
    if Capability.SHARED not in store.capabilities:
        raise NotApplicable("the data lives in this process, and the kit is not told how to reopen")
    data = pickle.dumps(store)
    return lambda: cast("Store", pickle.loads(data))  # noqa: S301 - just made


@behaviour(
    "a store that is opened again has what was written, and not what was deleted", reads_only=True
)
def reopened_store_has_the_same_data(case: Case, store: Store) -> None:
    values = {"a/b": b"1", "a/c/d": b"x" * case.options.size(100_000), "e": b"", "f": b"last"}
    store = case.with_values(store, values)
    reopen = _reopened(case, store)
    if Capability.DELETE in store.capabilities:
        store.sync.delete("e")
        del values["e"]
    if Capability.WRITE in store.capabilities and not case.options.append_only:
        values["a/b"] = b"new"
        store.sync.set("a/b", b"new")
    # what is kept until it is closed has to be written by then
    store.sync.close()
    for _ in range(2):
        case.log.add("close() and open it again")
        with reopen().sync as again:
            for key, value in values.items():
                if (found := again.get(key)) != value:
                    raise Failed(
                        f"get({key!r}) gave {shown(found)}, and {shown(value)} was written"
                    )
            if again.exists("e") is not ("e" in values):
                raise Failed("a key that was deleted is back")
            if Capability.LIST in again.capabilities and sorted(again.list()) != sorted(values):
                raise Failed(f"list() gave {shown(sorted(again.list()))}, not {sorted(values)}")


@behaviour(
    "a writer that is killed leaves the old value or the new, and nothing that is listed",
    rewrites=True,
)
def killed_writer_leaves_whole_values(case: Case, store: Store) -> None:
    if Capability.SHARED not in store.capabilities or not hasattr(signal, "SIGKILL"):
        raise NotApplicable("no other process can open the same data, to be killed")
    size = case.options.size(3_000_000)
    values = [b"o" * size, b"n" * (size * 2 // 3)]
    store.sync.set("a/b", values[0])
    data = pickle.dumps(store)
    reopen = _reopened(case, store)
    store.sync.close()
    for number in range(3):
        _kill_a_writer(data, [len(value) for value in values], 0.004 * number)
        case.log.add("another process, which wrote to 'a/b' over and over, was killed")
        with reopen().sync as again:
            found = again.get("a/b")
            if found not in values:
                length = "no value" if found is None else f"{len(found)} bytes"
                raise Failed(
                    f"a writer that was killed left {length}: neither the old {size} bytes nor "
                    f"the new {len(values[1])}"
                )
            if Capability.LIST in again.capabilities and (keys := list(again.list())) != ["a/b"]:
                raise Failed(f"after a writer was killed list() gives {shown(keys)}")
            again.set("a/b", values[0])


def _kill_a_writer(data: bytes, sizes: list[int], seconds: float) -> None:
    """Let another process write two values in turn, and kill it in the midst of it."""
    order = {"path": sys.path, "modules": _modules(data), "action": "write", "sizes": sizes}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, child.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(json.dumps(order).encode() + b"\n" + data)
        writer.stdin.close()
        if not writer.stdout.readline():
            assert writer.stderr is not None
            text = writer.stderr.read().decode(errors="replace")[-1500:]
            raise Failed(f"the writer in another process died: {text}")
        time.sleep(seconds)
        writer.kill()
