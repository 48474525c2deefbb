"""Random sequences of operations, compared with those on a ``dict``."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, configuration, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from zarrstore.abc import (
    Capability,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarrstore.byte_range import resolve
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.case import Case
from zarrstore_testing.faces import BlockingFace, drive
from zarrstore_testing.keys import keep
from zarrstore_testing.literals import given_as
from zarrstore_testing.log import shown

_KEYS = [
    "a/b", "a/bc", "a/b.d", "a_b/c", "aXb/c", "a%b/c", "d/e/f", "d/e/g", "d/h", "d.e/f", "d e/%20",
    ".hidden", "*", "caf\u00e9/x", "z/zarr.json", "z/c/0/0",
]  # fmt: skip
_PREFIXES = [
    "",
    "a",
    "a/",
    "a/b",
    "a_b",
    "a%b",
    "d",
    "d/e/",
    "d.e",
    "z/c",
    "missing",
    "caf\u00e9",
    "*",
]

keys = st.sampled_from(_KEYS)
prefixes = st.sampled_from(_PREFIXES)
values = st.one_of(st.binary(max_size=12), st.sampled_from([0, 5000, 70_000]).map(bytes))
numbers = st.one_of(st.integers(0, 14), st.sampled_from([4999, 5000, 5001, 100_000]))
ranges = st.one_of(
    st.tuples(numbers, numbers).map(lambda pair: RangeByteRequest(min(pair), max(pair))),
    numbers.map(OffsetByteRequest),
    numbers.map(SuffixByteRequest),
)


def _part(value: bytes | None, request: Any) -> bytes | None:
    if value is None or request is None:
        return value
    start, stop = resolve(request, len(value))
    return value[start:stop]


def _under(model: dict[str, bytes], prefix: str) -> list[str]:
    start = prefix.rstrip("/") + "/" if prefix else ""
    return [key for key in model if key.startswith(start)]


class _Machine(RuleBasedStateMachine):
    case: Case
    kept: frozenset[str]  # the keys that the store does not refuse

    def __init__(self) -> None:
        super().__init__()
        self.case.log.restart()
        store = self.case.make()
        self.face: BlockingFace = BlockingFace(store, self.case)
        self.model: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.face.store.sync.close()

    def can(self, capability: Capability) -> bool:
        return self.face.can(capability)

    @rule(key=keys, value=values)
    def set(self, key: str, value: bytes) -> None:
        if key in self.kept:
            value = value[: self.face.size(len(value))]
            drive(self.face.set(key, value))
            self.model[key] = value

    @rule(items=st.dictionaries(keys, values, max_size=4))
    def set_many(self, items: dict[str, bytes]) -> None:
        size = self.face.size
        items = {k: value[: size(len(value))] for k, value in items.items() if k in self.kept}
        drive(self.face.set_many(items))
        self.model.update(items)

    @rule(items=st.lists(st.tuples(keys, values), max_size=4))
    def set_each(self, items: list[tuple[str, bytes]]) -> None:
        size = self.face.size
        items = [(key, value[: size(len(value))]) for key, value in items if key in self.kept]
        drive(self.face.set_each(items))
        self.model.update(items)

    @rule(asked=st.lists(keys, max_size=5))
    def get_each(self, asked: list[str]) -> None:
        asked = [key for key in asked if key in self.kept]
        found: list[bytes | None] = []

        def receive(_: int, value: Any) -> None:
            found.append(None if value is None else bytes(value))

        handed = "None if value is None else bytes(value)"
        self.case.log.bind(found, "handed", "[]")
        given_as(receive, f"lambda _, value: handed.append({handed})")

        drive(self.face.get_each(asked, receive))
        wanted = [self.model.get(key) for key in asked]
        if found != wanted:
            self.case.log.claim("{} == {}", found, wanted)
            raise Failed(f"get_each handed over {shown(found)}, and not {shown(wanted)}")

    @rule(key=keys, request=st.none() | ranges)
    def get(self, key: str, request: Any) -> None:
        if key in self.kept:
            drive(self.face.gives(_part(self.model.get(key), request), "get", key, request))

    @rule(key=keys, requests=st.lists(ranges, max_size=4))
    def get_ranges(self, key: str, requests: list[Any]) -> None:
        value = self.model.get(key)
        wanted = None if value is None else [_part(value, request) for request in requests]
        if key in self.kept:
            drive(self.face.gives(wanted, "get_ranges", key, requests))

    @rule(asked=st.lists(st.tuples(keys, st.none() | ranges), max_size=5))
    def get_many(self, asked: list[tuple[str, Any]]) -> None:
        asked = [(key, request) for key, request in asked if key in self.kept]
        wanted = [_part(self.model.get(key), request) for key, request in asked]
        drive(self.face.gives(wanted, "get_many", asked))

    @rule(key=keys)
    def look(self, key: str) -> None:
        if key in self.kept:
            drive(self.face.gives(key in self.model, "exists", key))
        if key in self.model:
            drive(self.face.gives(len(self.model[key]), "getsize", key))

    @precondition(lambda self: self.can(Capability.DELETE))
    @rule(key=keys)
    def delete(self, key: str) -> None:
        if key in self.kept:
            drive(self.face.delete(key))
            self.model.pop(key, None)

    @precondition(lambda self: self.can(Capability.DELETE | Capability.LIST))
    @rule(prefix=prefixes)
    def delete_dir(self, prefix: str) -> None:
        drive(self.face.delete_dir(prefix))
        for key in _under(self.model, prefix):
            del self.model[key]

    @precondition(lambda self: self.can(Capability.CREATE_EXCLUSIVE))
    @rule(key=keys, value=values)
    def set_if_not_exists(self, key: str, value: bytes) -> None:
        if key in self.kept:
            value = value[: self.face.size(len(value))]
            drive(self.face.gives(key not in self.model, "set_if_not_exists", key, value))
            self.model.setdefault(key, value)

    @precondition(lambda self: self.can(Capability.COMPARE_AND_SWAP))
    @rule(key=keys, value=values)
    def swap(self, key: str, value: bytes) -> None:
        if key in self.model:
            stat = drive(self.face.call("stat", key))
            value = value[: self.face.size(len(value))]
            drive(self.face.set(key, value, expect=stat.version))
            self.model[key] = value

    @precondition(lambda self: self.can(Capability.LIST))
    @rule(prefix=prefixes)
    def list(self, prefix: str) -> None:
        under = _under(self.model, prefix)
        start = len(prefix.rstrip("/")) + 1 if prefix else 0
        drive(self.face.lists(under, "list_prefix", prefix))
        names = {key[start:].partition("/")[0] for key in under}
        drive(self.face.lists(names, "list_dir", prefix))
        drive(self.face.gives(not under, "is_empty", prefix))
        size = sum(len(self.model[key]) for key in under)
        drive(self.face.gives(size, "getsize_prefix", prefix))

    @precondition(lambda self: self.can(Capability.LIST))
    @invariant()
    def keys_are_those_of_the_model(self) -> None:
        drive(self.face.lists(self.model, "list"))


@contextlib.contextmanager
def _no_files() -> Iterator[None]:
    """Keep Hypothesis from leaving a directory where an author runs the tests."""
    before = getattr(configuration, "__hypothesis_home_directory", None)
    with tempfile.TemporaryDirectory() as directory:
        configuration.set_hypothesis_home_dir(directory)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


@behaviour("any sequence of operations has the results that it has on a dict", rewrites=True)
def random_operations_match_a_dict(case: Case, store: Store) -> None:
    face = BlockingFace(store, case)
    case.log.is_complete = True

    class Machine(_Machine):
        pass

    Machine.case = case
    Machine.kept = frozenset(key for key in _KEYS if drive(keep(face, key, b"1")))
    # what is random to an author cannot be reproduced: the same sequences every time
    chosen = settings(
        max_examples=case.options.examples,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,  # the first line of a failure says which
    )
    with _no_files(), contextlib.redirect_stdout(io.StringIO()):
        run_machine(Machine, settings=chosen)
