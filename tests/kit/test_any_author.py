"""The kit fits stores that take few keys, small values, no changes, or no second write."""

from __future__ import annotations

import contextlib
import re
import zlib

import pytest
from mutants import Sound
from mutants.errors import OnDisk, failing
from zarrstore_testing import Options, Report, StoreTests, check_store, registry

from zarrstore.abc import BlockingStore, Capability
from zarrstore.errors import BackendError, UnsupportedOperationError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore

SHORT = re.compile(r"[a-z0-9/]{1,24}")
LIMIT = 1 << 16


def passes(report: Report) -> Report:
    assert report.ok, "\n\n".join(result.details for result in report.failures)
    return report


class Table(Sound):
    """A database whose keys are short and lower-case, and whose values are small."""

    def _set(self, key, value):
        if not SHORT.fullmatch(key):
            raise BackendError(f"{key!r} does not fit the column", store=self.url, key=key)
        if len(value) > LIMIT:
            raise BackendError(f"{len(value)} bytes do not fit", store=self.url, key=key)
        return super()._set(key, value)


class TakesLongValues(Table):
    def _set(self, key, value):
        return super()._set(key, value[:LIMIT])


class TakesOtherKeys(Table):
    def _set(self, key, value):
        return super()._set(key.lower() if key.isalpha() else key, value)


class Journal(Sound):
    """A store in which a key is written once."""

    def _set(self, key, value):
        if key in self.data:
            raise UnsupportedOperationError("nothing is written twice", store=self.url, key=key)
        return super()._set(key, value)

    _delete = BlockingStore._delete


class NoList(Sound):
    _list = BlockingStore._list


class Published(BlockingStore):
    """What a server publishes: to be read only, and not listed."""

    def __init__(self, values=None, *, read_only=False):
        super().__init__(read_only=read_only)
        self.values = values or {}

    def _get(self, key):
        return self.values.get(key)


class PadsPublished(Published):
    def _get_range(self, key, byte_range):
        value = self.values.get(key)
        return value if value is None else value.ljust(byte_range.end, b"\0")[: byte_range.end]


TABLE = Options(allows_key=lambda key: bool(SHORT.fullmatch(key)), max_value_size=LIMIT)


class TestTable(StoreTests):
    max_value_size = LIMIT

    def make_store(self):
        return Table()

    def allows_key(self, key):
        return bool(SHORT.fullmatch(key))


class TestJournal(StoreTests):
    append_only = True

    def make_store(self):
        return Journal()


class TestPublished(StoreTests):
    def seed(self, values):
        return Published(values)


class TestReadOnlyMemory(StoreTests):
    def seed(self, values):
        return MemoryStore(values, read_only=True)


class TestReadOnlyLocal(StoreTests):
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.path = tmp_path
        self.count = 0

    def seed(self, values):
        self.count += 1
        path = self.path / str(self.count)
        path.mkdir()
        with LocalStore(path).sync as sync:
            sync.update(values)
        return LocalStore(path, read_only=True)


class TestNoList(StoreTests):
    def make_store(self):
        return NoList()


class TestOnDisk(StoreTests):
    def make_store(self):
        return OnDisk()

    def failing(self, store):
        return failing(store)


def test_a_class_and_options_are_one_mechanism():
    options = TestTable().options()
    assert options.max_value_size == LIMIT
    assert options.allows("a/b")
    assert not options.allows("A")
    assert options.seed is None
    assert TestJournal().options() == Options(append_only=True)
    names = ["too_big_values_are_refused", "case_is_kept"]
    report = passes(check_store(Table, options=TABLE, behaviours=names))
    assert [result.status for result in report.results] == ["passed", "passed"]


def test_what_the_author_says_is_held_against_the_store():
    broken = check_store(TakesLongValues, options=TABLE, behaviours=["too_big_values_are_refused"])
    assert "should have raised ZarrStoreError" in broken.results[0].reason
    broken = check_store(TakesOtherKeys, options=TABLE, behaviours=["case_is_kept"])
    assert "is not taken, and set() took it" in broken.results[0].reason
    report = check_store(Table, behaviours=["big_values_are_whole"])
    assert "BackendError" in report.results[0].reason
    report = check_store(Sound, options=Options(append_only=True), behaviours=["one_swapper_wins"])
    assert "should have raised ZarrStoreError" in report.results[0].reason


def test_reading_is_asked_of_a_store_that_is_seeded():
    report = check_store(options=Options(seed=MemoryStore), behaviours=["range_inside"])
    assert report.results[0].status == "passed"
    report = passes(check_store(options=Options(seed=Published)))
    status = {result.name: result.status for result in report.results}
    asked = [name for name, behaviour in registry.items() if behaviour.reads_only]
    assert len(asked) > 45
    without_list = [name for name in asked if Capability.LIST not in registry[name].needs]
    passed = [name for name in without_list if status[name] == "passed"]
    assert len(passed) > 30
    assert status["overwriting_replaces"] == "not applicable"
    report = check_store(options=Options(seed=PadsPublished), behaviours=["range_is_clamped"])
    assert not report.ok
    with pytest.raises(TypeError, match="make_store, or options with seed"):
        check_store()


def test_options_are_checked():
    with pytest.raises(ValueError, match="256 or more"):
        Options(max_value_size=10)
    with pytest.raises(ValueError, match="cannot do without"):
        Options(allows_key=str.isupper)


def test_reopening_and_failing_are_used():
    opened = []

    def reopen(store):
        opened.append(store)
        again = Sound()
        again.data, again.versions = store.data, store.versions
        return again

    name = "reopened_store_has_the_same_data"
    assert check_store(Sound, behaviours=[name])[name].status == "not applicable"
    options = Options(reopen=reopen)
    assert check_store(Sound, options=options, behaviours=[name])[name].status == "passed"
    assert opened
    failed = []

    @contextlib.contextmanager
    def watched(store):
        failed.append(store)
        with failing(store):
            yield

    names = ["errors_are_not_missing", "failed_changes_are_told"]
    report = check_store(OnDisk, options=Options(failing=watched), behaviours=names)
    assert [result.status for result in report.results] == ["passed", "passed"]
    assert len(failed) == 6


class LockedError(BlockingStore):
    def _get(self, key):
        raise zlib.error("locked")


def test_an_error_is_named_so_that_it_is_known():
    result = check_store(LockedError, behaviours=["get_missing_is_none"]).results[0]
    assert result.reason == "zlib.error raised: locked"
