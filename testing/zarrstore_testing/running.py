"""Running behaviours on a store: `check_store`, and what `StoreTests` calls."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from zarrstore.abc import Capability, Store
from zarrstore_testing.behaviour import Behaviour, Failed, NotApplicable
from zarrstore_testing.case import Case
from zarrstore_testing.contract import registry
from zarrstore_testing.faces import ASYNC_FACES, FACES, Face
from zarrstore_testing.instead import check_append_only, check_instead
from zarrstore_testing.options import Options
from zarrstore_testing.report import Report, Result, Status
from zarrstore_testing.script import Source, script, source_of

__all__ = ["ConformanceError", "check_store", "run_behaviour"]

T = TypeVar("T")


class ConformanceError(AssertionError):
    """A store broke a rule of the contract; the message says which, and how."""


def run_behaviour(
    behaviour: Behaviour, make_store: Callable[[], Store], options: Options
) -> tuple[Status, str]:
    """Check one behaviour; return its status, ``passed`` or ``not applicable``, and why.

    Raises
    ------
    ConformanceError
        If the store does otherwise.
    """
    __tracebackhide__ = True
    notes: list[str] = []
    for face in FACES if behaviour.over_faces else (None,):
        instead = _run_once(behaviour, make_store, options, face, notes)
        if instead is not None:
            return "not applicable", instead
    where = f"over {', '.join(face.name for face in FACES)}" if behaviour.over_faces else ""
    reason = "; ".join(part for part in (behaviour.rule, *notes) if part)
    return "passed", f"{reason} ({where})" if where else reason


def _run_once(
    behaviour: Behaviour,
    make_store: Callable[[], Store],
    options: Options,
    kind: type[Face] | None,
    notes: list[str],
) -> str | None:
    """Check a behaviour over one face; return what was checked instead if it does not apply."""
    __tracebackhide__ = True
    case = Case(make_store, options)
    name = "make_store()"

    def check() -> str | None:
        nonlocal name
        with case:
            store = case.make()
            name = repr(store)
            if (instead := _instead(behaviour, case, store)) is not None:
                return instead
            try:
                if kind is None:
                    behaviour.function(case, store)
                else:
                    face = kind(store, case)
                    kind.run(lambda: behaviour.function(face))
            except NotApplicable as reason:
                return str(reason)
        return None

    try:
        instead = _within(options.timeout, check, case.break_off)
    except Exception as error:
        raise ConformanceError(_message(behaviour, kind, name, error, case, make_store)) from error
    notes.extend(note for note in case.log.notes if note not in notes)
    return instead


def _instead(behaviour: Behaviour, case: Case, store: Store) -> str | None:
    """Check that a store refuses what a behaviour needs and it cannot do; tell so in words."""
    missing = behaviour.needs & ~store.capabilities
    if behaviour.reads_only and case.options.seed is not None:
        missing &= ~Capability.WRITE
    if missing:
        checked = check_instead(case, store, missing)
        return f"the store has no {_names(missing)}; checked instead: {checked}"
    if behaviour.rewrites and case.options.append_only:
        return f"the store only appends; checked instead: {check_append_only(case, store)}"
    return None


def _within(seconds: float | None, function: Callable[[], T], break_off: Callable[[], object]) -> T:
    """Call a function, and fail if it does not end.

    In a thread of its own, where no event loop runs (as one does in Jupyter); it is broken off
    and left to itself if it hangs, or the caller is interrupted.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="zarrstore-testing", daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except BaseException:
        break_off()
        raise
    if thread.is_alive():
        frame = sys._current_frames().get(thread.ident or 0)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
        break_off()
        raise Failed(f"the store hangs: no end after {seconds or 0:g} s, and it stands at\n{where}")
    return outcome.result()


def _names(capabilities: Capability) -> str:
    return " and ".join(str(member.name) for member in Capability if member in capabilities)


def _message(
    behaviour: Behaviour,
    kind: type[Face] | None,
    store: str,
    error: Exception,
    case: Case,
    make_store: Callable[[], Store],
) -> str:
    what = str(error) if isinstance(error, Failed) else f"{_name(error)} raised: {error}"
    face = f" ({kind.name} face)" if kind is not None else ""
    lines = [what, f"  behaviour: {behaviour.name}{face}", f"  rule: {behaviour.rule}"]
    lines.append(f"  store: {store}")
    lines += [f"  done: {text}" for text in case.log.told]
    calls = case.log.code(sync=kind not in ASYNC_FACES)
    if kind is None and not case.log.is_complete:
        calls = None
    sources = {"make_store": source_of(make_store)}
    for name in ("seed", "reopen", "failing", "allows_key"):
        if (function := getattr(case.options, name)) is not None:
            sources[name] = source_of(function)
    code = script(behaviour.name, kind.name if kind else "", sources, calls)
    return "\n".join([*lines, "  the same again, as code:", "", code, ""])


def _name(error: Exception) -> str:
    """Return the name of an exception's class, with its module where it says too little alone."""
    cls = type(error)
    return f"{cls.__module__}.{cls.__qualname__}" if cls.__name__ == "error" else cls.__name__


def check_store(
    make_store: Callable[[], Store] | None = None,
    *,
    options: Options | None = None,
    behaviours: Iterable[str] | None = None,
    progress: Callable[[Result], object] | None = None,
) -> Report:
    """Check a store against the whole contract.

    Parameters
    ----------
    make_store : callable, optional
        Returns a new, empty, writable store each time it is called. May be left out for a store
        that cannot be written, if ``options.seed`` makes one.
    options : Options, optional
    behaviours : iterable of str, optional
        The names of the behaviours to check; all by default.
    progress : callable, optional
        Called with the `Result` of each behaviour as it is known.

    Returns
    -------
    Report

    Examples
    --------
    >>> from zarrstore.stores.memory import MemoryStore
    >>> from zarrstore_testing import check_store
    >>> report = check_store(MemoryStore, behaviours=["get_missing_is_none"])
    >>> report.ok, report.results[0].status
    (True, 'passed')
    """
    chosen = list(registry) if behaviours is None else list(behaviours)
    if unknown := [name for name in chosen if name not in registry]:
        raise ValueError(f"there are no behaviours {unknown}; see zarrstore_testing.registry")
    options = options or Options()
    if make_store is None:
        make_store = _empty(options)
    results = []
    for name in chosen:
        results.append(_result(registry[name], make_store, options))
        if progress is not None:
            progress(results[-1])
    return Report(_described(make_store), tuple(results))


def _empty(options: Options) -> Callable[[], Store]:
    """Return a function that makes an empty store by seeding it with nothing."""
    if options.seed is None:
        raise TypeError("give make_store, or options with seed")
    return _Empty(options.seed)


class _Empty:
    def __init__(self, seed: Callable[[dict[str, bytes]], Store]) -> None:
        self._seed = seed
        seeding = source_of(seed)
        self.source = Source(seeding.lines, f"lambda: {seeding.expression}({{}})")

    def __call__(self) -> Store:
        return self._seed({})


def _described(make_store: Callable[[], Store]) -> str:
    try:
        store = make_store()
        text = f"{type(store).__module__}.{type(store).__qualname__}"
        store.sync.close()
    except Exception as error:  # noqa: BLE001 - each result says it better
        return f"make_store() raised {type(error).__name__}"
    return text


def _result(behaviour: Behaviour, make_store: Callable[[], Store], options: Options) -> Result:
    started = time.perf_counter()
    details = ""
    status: Status
    try:
        status, reason = run_behaviour(behaviour, make_store, options)
    except ConformanceError as error:
        details = str(error)
        status, reason = "failed", details.partition("\n")[0]
    return Result(behaviour, status, reason, details, time.perf_counter() - started)
