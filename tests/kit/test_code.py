"""A failure is told as code, which fails again where it is pasted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import FAULTS
from mutants.values import NoTruncation
from zarrstore_testing import ConformanceError, StoreTests, check_store
from zarrstore_testing.literals import NotLiteralError, literal

from zarrstore.abc import ABSENT, RangeByteRequest
from zarrstore.stores.memory import MemoryStore

MARK = "  the same again, as code:\n"


def code_of(details: str) -> str:
    return details.partition(MARK)[2]


def run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "pasted.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("NoTruncation", "assert found == b'abc'"),
        ("AppendsInsteadOfReplacing", "assert found == b'abc'"),
        ("KeepsTheCallersBuffer", "assert found == b'oooooo'"),
        ("PadsRanges", "assert found == "),
        ("SuffixOfZeroIsAll", "assert found == b''"),
        ("RaisesPastTheEnd", "await store.get('a/v', RangeByteRequest(start=11, end=20))"),
        ("IntoOfMissingIsZero", "assert found == None"),
        ("DeleteOfMissingRaises", "await store.delete('missing')"),
        ("DirectoriesExist", "assert found == False"),
        ("ListsTwice", "assert sorted(found) == "),
        ("FoldsCase", "assert found == b'0: Case'"),
        ("TakesText", "was not raised')"),
        ("SetIsNotAsked", "ReadOnlyError was not raised')"),
        ("WorksAfterClose", "StoreClosedError was not raised')"),
        ("CreateOverwrites", "ConflictError was not raised')"),
        ("AcceptsAnyVersion", "ConflictError was not raised')"),
        ("EachWithoutTheMissing", "assert handed == "),
        ("ViewOfAMoment", "assert found == "),
        ("CacheKeepsWhatWasOverwritten", "assert found == b'11'"),
    ],
)
def test_it_is_a_script_of_the_calls(name, last, tmp_path):
    fault = FAULTS[name]
    chosen = sorted(fault.found_by)[-1:] if name != "CreateOverwrites" else ["absent_is_honoured"]
    result = check_store(fault.make, behaviours=chosen).failures[0]
    code = code_of(result.details)
    assert last in code, code
    assert "check_store" not in code, code
    done = run(code, tmp_path)
    assert done.returncode == 1, code + done.stderr
    assert "Traceback" in done.stderr
    if "await" not in last:
        assert "AssertionError" in done.stderr, code + done.stderr
    assert not any(wrong in done.stderr for wrong in ("NameError", "SyntaxError", "ImportError"))


@pytest.mark.parametrize("name", ["ChecksThenWrites", "PicklesACopy", "ReadsLeaveAFileOpen"])
def test_what_is_no_list_of_calls_is_the_check_itself(name, tmp_path):
    fault = FAULTS[name]
    result = check_store(fault.make, behaviours=sorted(fault.found_by)[:1]).failures[0]
    code = code_of(result.details)
    assert f"check_store(make_store, behaviours=['{result.name}'])" in code
    done = run(code, tmp_path)
    assert done.returncode == 1
    assert "AssertionError" in done.stderr, code + done.stderr


def test_random_operations_are_a_script(tmp_path):
    name = "random_operations_match_a_dict"
    result = check_store(NoTruncation, behaviours=[name]).failures[0]
    code = code_of(result.details)
    assert "store.sync.set" in code
    assert "check_store" not in code
    done = run(code, tmp_path)
    assert "AssertionError" in done.stderr, code + done.stderr


class TestMade(StoreTests):
    """As an author writes it, with what a fixture gave."""

    __test__ = False

    def make_store(self):
        return NoTruncation() if self.where.is_dir() else MemoryStore()


def test_the_store_is_made_as_given(tmp_path):
    tests = TestMade()
    tests.where = tmp_path
    with pytest.raises(ConformanceError) as caught:
        tests.test_overwriting_replaces()
    code = code_of(str(caught.value))
    assert "import TestMade" in code
    assert f"made.where = Path({str(tmp_path)!r})" in code
    assert "store = make_store()" in code
    assert "AssertionError" in run(code, tmp_path).stderr


def test_a_function_within_another_has_to_be_put_in(tmp_path):
    result = check_store(lambda: NoTruncation(), behaviours=["overwriting_replaces"]).failures[0]
    assert "put here what makes the store in" in code_of(result.details)
    assert "test_code.py, line" in code_of(result.details)


def test_it_runs_under_unittest_and_as_a_script(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import unittest\n"
        "from mutants.deleting import DeleteOfMissingRaises\n"
        "from zarrstore.stores.memory import MemoryStore\n"
        "from zarrstore_testing import StoreTests\n"
        "class TestMine(StoreTests, unittest.TestCase):\n"
        "    def make_store(self):\n"
        "        return MemoryStore()\n"
        "class TestBroken(StoreTests, unittest.TestCase):\n"
        "    def make_store(self):\n"
        "        return DeleteOfMissingRaises()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "-v", "-k", "delete_is_idempotent", "-k", "range_inside",
         "test_mine"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert "Ran 4 tests" in done.stderr, done.stderr
    assert "FAILED (failures=1)" in done.stderr
    assert "rule: deleting a missing key does nothing" in done.stderr
    code = code_of(done.stderr).partition("\n\n----")[0].partition("\n\n\n")[0]
    assert "KeyError" in run(code.partition("\n======")[0], tmp_path).stderr, code


def test_literals_make_what_they_are_of():
    values = [
        b"", b"abc", b"x" * 100_000, bytes(range(256)) * 40, b"ab" * 33 + b"a", "text", "y" * 999,
        None, True, 7, 1.5, [1, (2,), {"a": b"b"}], ABSENT, RangeByteRequest(1, 2),
        bytearray(b"q" * 70), memoryview(b"12345678").cast("i"), memoryview(bytes(6)),
    ]  # fmt: skip
    names = {"ABSENT": ABSENT, "RangeByteRequest": RangeByteRequest}
    for value in values:
        code = literal(value)
        assert len(code) < 2000
        assert eval(code, dict(names)) == value
    for value in (os.urandom(9000), lambda: None, iter({1})):
        with pytest.raises(NotLiteralError):
            literal(value)


def test_long_values_are_short_if_they_repeat_something_short():
    part = b"0123456789abcdef" * 200 + b"tail"
    for value in (part * 1000, part * 3 + part[:1000], part * 2):
        expression = literal(value)
        assert len(expression) < 10_000
        assert eval(expression) == value
    for value in (part * 1000 + b"x", (b"0123456789abcdef" * 65_536 + b"tail") * 5):
        with pytest.raises(NotLiteralError):
            literal(value)
