"""Running behaviours on a store: `check_store`, `Report`, and what `StoreTests` calls."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from zarrstore.abc import Capability, Store
from zarrstore_testing.behaviour import Behaviour, Failed, Options
from zarrstore_testing.case import Case
from zarrstore_testing.contract import registry
from zarrstore_testing.faces import FACES, Face
from zarrstore_testing.instead import check_instead
from zarrstore_testing.log import Log

__all__ = ["ConformanceError", "Report", "Result", "check_store", "run_behaviour"]

T = TypeVar("T")
Status = Literal["passed", "failed", "not applicable"]


class ConformanceError(AssertionError):
    """A store broke a rule of the contract; the message says which, and how."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one behaviour.

    Attributes
    ----------
    behaviour : Behaviour
    status : {"passed", "failed", "not applicable"}
    reason : str
        Why, in one line.
    details : str
        Of a failure: the rule, the store, and the operations that led there.
    seconds : float
        How long it took.
    """

    behaviour: Behaviour
    status: Status
    reason: str
    details: str = field(default="", repr=False)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of the behaviour."""
        return self.behaviour.name


@dataclass(frozen=True)
class Report:
    """What came of checking a store; ``str(report)`` is a table of it.

    ``report[name]`` is the result of one behaviour.

    Attributes
    ----------
    store : str
        The class of the store, with its module.
    results : tuple of Result
        One for each behaviour, in the order in which they were checked.
    """

    store: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that failed."""
        return tuple(result for result in self.results if result.status == "failed")

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        lines = []
        section = ""
        for result in self.results:
            if result.behaviour.section != section:
                section = result.behaviour.section
                lines.append(f"\n{section}")
            mark = {"passed": "pass", "failed": "FAIL", "not applicable": "n/a "}[result.status]
            lines.append(f"  {mark}  {result.name:<{width}}  {result.reason}")
        counts = ", ".join(
            f"{number} {status}"
            for status in ("passed", "failed", "not applicable")
            if (number := sum(result.status == status for result in self.results))
        )
        return "\n".join([self.store, *lines, "", counts])


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
            missing = behaviour.needs & ~store.capabilities
            if missing:
                checked = check_instead(case, store, missing)
                return f"the store has no {_names(missing)}; checked instead: {checked}"
            if kind is None:
                behaviour.function(case, store)
            else:
                face = kind(store, case.log)
                kind.run(lambda: behaviour.function(face))
        return None

    try:
        instead = _within(options.timeout, check)
    except Exception as error:
        raise ConformanceError(_message(behaviour, kind, name, error, case.log)) from error
    notes.extend(note for note in case.log.notes if note not in notes)
    return instead


def _within(seconds: float | None, function: Callable[[], T]) -> T:
    """Call a function, and fail if it does not end.

    In a thread of its own, where no event loop runs (as one does in Jupyter); it is left to
    itself if it hangs.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="zarrstore-testing", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        frame = sys._current_frames().get(thread.ident or 0)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
        raise Failed(f"the store hangs: no end after {seconds or 0:g} s, and it stands at\n{where}")
    return outcome.result()


def _names(capabilities: Capability) -> str:
    return " and ".join(str(member.name) for member in Capability if member in capabilities)


def _message(
    behaviour: Behaviour, kind: type[Face] | None, store: str, error: Exception, log: Log
) -> str:
    what = str(error) if isinstance(error, Failed) else f"{type(error).__name__} raised: {error}"
    face = f" ({kind.name} face)" if kind is not None else ""
    lines = [what, f"  behaviour: {behaviour.name}{face}", f"  rule: {behaviour.rule}"]
    lines.append(f"  store: {store}")
    if operations := str(log):
        lines += ["  operations that led there:", operations]
    return "\n".join(lines)


def check_store(
    make_store: Callable[[], Store],
    *,
    options: Options | None = None,
    behaviours: Iterable[str] | None = None,
) -> Report:
    """Check a store against the whole contract.

    Parameters
    ----------
    make_store : callable
        Returns a new, empty, writable store each time it is called.
    options : Options, optional
    behaviours : iterable of str, optional
        The names of the behaviours to check; all by default.

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

    results = [_result(registry[name], make_store, options) for name in chosen]
    return Report(_described(make_store), tuple(results))


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


def make_test(behaviour: Behaviour) -> Callable[[Any], None]:
    """Return the test method of a behaviour."""

    def test(self: Any) -> None:
        options = Options(self.many_keys, self.examples, self.timeout)
        run_behaviour(behaviour, self.make_store, options)

    test.__name__ = f"test_{behaviour.name}"
    test.__qualname__ = f"StoreTests.{test.__name__}"
    test.__doc__ = f"{behaviour.rule[:1].upper()}{behaviour.rule[1:]}."
    return test
