"""The kit itself: reports, what does not apply, and running under plain pytest."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zarrstore_testing
from mutants import Sound
from mutants.deleting import DeleteOfMissingRaises
from zarrstore_testing import (
    Behaviour,
    ConformanceError,
    Options,
    StoreTests,
    check_store,
    registry,
)

from zarrstore.abc import BlockingStore, Capability
from zarrstore.errors import BackendError
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore

PACKAGE = Path(zarrstore_testing.__file__).parent
ROOT = Path(__file__).parents[2]


class Minimal(BlockingStore):
    """Reads and writes, and no more."""

    def __init__(self):
        self.data = {}

    def _get(self, key):
        return self.data.get(key)

    def _set(self, key, value):
        self.data[key] = value


class Refuses(Sound):
    """Refuses what a simple file system could not name, with an error of ours."""

    def _set(self, key, value):
        there = list(self.data)
        known = {other.lower(): other for other in there}
        parents = {key[:i] for i, letter in enumerate(key) if letter == "/"}
        if (
            len(max(key.split("/"), key=len)) > 100
            or set(key) & set('*?"|:\n\t')
            or known.get(key.lower(), key) != key
            or parents & set(there)
            or any(other.startswith(f"{key}/") for other in there)
        ):
            raise BackendError(f"{key!r} cannot be a name here", store=self.url, key=key)
        return super()._set(key, value)


def test_a_store_with_few_capabilities_passes():
    report = check_store(Minimal)
    assert report.ok, "\n\n".join(result.details for result in report.failures)
    result = report["list_yields_every_key"]
    assert result.status == "not applicable"
    assert "has no LIST" in result.reason
    assert "list_dir() " in result.reason or "list_dir()," in result.reason
    assert "UnsupportedOperationError" in result.reason
    assert report["one_swapper_wins"].status == "not applicable"
    assert report["get_missing_is_none"].status == "passed"


def test_a_store_that_does_not_say_what_it_cannot_do_fails():
    class Silent(Minimal):
        async def delete(self, key):
            pass

    result = check_store(Silent, behaviours=["delete_removes"]).results[0]
    assert result.status == "failed"
    assert "delete('a') should have raised UnsupportedOperationError" in result.reason


def test_a_legal_key_may_be_refused_with_a_typed_error():
    report = check_store(Refuses)
    assert report.ok, "\n\n".join(result.details for result in report.failures)
    assert "'case' refused with BackendError" in report["case_is_kept"].reason


def test_a_refused_key_is_not_stored_all_the_same():
    class Lies(Sound):
        def _set(self, key, value):
            super()._set(key, value)
            if "*" in key:
                raise BackendError("no stars here", store=self.url, key=key)

    report = check_store(Lies, behaviours=["wildcards_are_ordinary"])
    assert "wrote the value all the same" in report.results[0].reason


def test_an_untyped_refusal_is_a_failure():
    class Untyped(Sound):
        def _set(self, key, value):
            if "*" in key:
                raise OSError(22, "Invalid argument")
            return super()._set(key, value)

    assert not check_store(Untyped, behaviours=["wildcards_are_ordinary"]).ok


def test_the_report_is_a_table():
    report = check_store(DeleteOfMissingRaises, behaviours=["delete_is_idempotent", "range_inside"])
    assert not report.ok
    assert [result.name for result in report.failures] == ["delete_is_idempotent"]
    assert report["delete_is_idempotent"].reason == "KeyError raised: 'missing'"
    text = str(report)
    assert "FAIL  delete_is_idempotent" in text
    assert "pass  range_inside" in text
    assert text.endswith("1 passed, 1 failed")
    assert "\n" not in report["range_inside"].reason
    with pytest.raises(KeyError):
        report["no_such_behaviour"]


def test_a_failure_says_the_rule_and_what_led_there():
    class TestBroken(StoreTests):
        def make_store(self):
            return DeleteOfMissingRaises()

    TestBroken().test_delete_touches_one_key()
    with pytest.raises(ConformanceError) as caught:
        TestBroken().test_delete_is_idempotent()
    message = str(caught.value)
    assert "rule: deleting a missing key does nothing" in message
    assert "behaviour: delete_is_idempotent (asyncio face)" in message
    assert "    await store.delete('missing')\n" in message
    assert "DeleteOfMissingRaises(" in message


def test_what_make_store_does_wrong_is_reported():
    def broken():
        raise ValueError("no server")

    report = check_store(broken, behaviours=["range_inside"])
    assert report.results[0].reason == "ValueError raised: no server"
    report = check_store(dict, behaviours=["range_inside"])
    assert "not a zarrstore.abc.Store" in report.results[0].reason
    reused = Sound()
    assert not check_store(lambda: reused, behaviours=["store_is_new_and_writable"]).ok
    view = MemoryStore().with_read_only()
    assert not check_store(lambda: view, behaviours=["store_is_new_and_writable"]).ok
    with pytest.raises(NotImplementedError, match="make_store"):
        StoreTests().make_store()
    with pytest.raises(ValueError, match="no_such_behaviour"):
        check_store(Sound, behaviours=["no_such_behaviour"])


def test_a_running_event_loop_does_not_matter():
    async def cell():
        return check_store(MemoryStore, behaviours=["get_missing_is_none", "loops_at_once"])

    assert asyncio.run(cell()).ok


def test_every_behaviour_is_a_test_with_a_rule():
    for name, behaviour in registry.items():
        assert isinstance(behaviour, Behaviour)
        assert name == behaviour.name
        assert "\n" not in behaviour.rule
        method = getattr(StoreTests, f"test_{name}")
        assert method.__name__ == f"test_{name}"
        assert method.__doc__.lower().startswith(behaviour.rule[:20].lower())
        assert Capability.WRITE in behaviour.needs
    tests = [name for name in vars(StoreTests) if name.startswith("test_")]
    assert len(tests) == len(registry)


def test_options_are_used():
    made = []

    class CountsKeys(Sound):
        def _set(self, key, value):
            made.append(key)
            return super()._set(key, value)

    check_store(CountsKeys, options=Options(many_keys=60), behaviours=["many_keys_are_listed"])
    assert len(made) == 60


def test_a_store_that_hangs_is_found():
    forever = threading.Event()

    class Hangs(Sound):
        def _stat(self, key):
            forever.wait()

    options = Options(timeout=0.5)
    try:
        result = check_store(Hangs, options=options, behaviours=["getsize_is_in_bytes"]).results[0]
        assert result.reason.startswith("the store hangs: no end after 0.5 s")
        assert "rule: getsize is the size in bytes" in result.details
    finally:
        forever.set()
    assert check_store(Sound, options=Options(timeout=None), behaviours=["range_inside"]).ok


def test_it_runs_under_plain_pytest_with_nothing_else(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import tempfile\n"
        "from zarrstore.stores.local import LocalStore\n"
        "from zarrstore.stores.memory import MemoryStore\n"
        "from zarrstore_testing import StoreTests\n"
        "class MyStore(LocalStore):\n"
        "    pass\n"
        "class TestMine(StoreTests):\n"
        "    def make_store(self):\n"
        "        return MyStore(tempfile.mkdtemp(dir='.'))\n"
    )
    chosen = "missing or pickle or fork or random or loop"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k",
         chosen, "test_mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_mine.py::TestMine::test_get_missing_is_none PASSED" in done.stdout
    assert "skipped" not in done.stdout
    assert not (tmp_path / ".hypothesis").exists()


def test_check_store_finds_a_class_of_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import tempfile\n"
        "from zarrstore.stores.local import LocalStore\n"
        "from zarrstore_testing import check_store\n"
        "class MyStore(LocalStore):\n"
        "    pass\n"
        "if __name__ == '__main__':\n"
        "    names = ['pickle_opens_the_same_data_elsewhere', 'fork_works_or_raises']\n"
        "    make = lambda: MyStore(tempfile.mkdtemp(dir='.'))\n"
        "    print(check_store(make, behaviours=names))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_shared_store_is_opened_elsewhere(tmp_path):
    numbers = iter(range(10))
    report = check_store(
        lambda: LocalStore(tmp_path / str(next(numbers))),
        behaviours=["pickle_opens_the_same_data_elsewhere", "fork_works_or_raises"],
    )
    assert report.ok, str(report)
    assert "NotShareable" not in report.results[0].reason.partition(";")[2]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_examples(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"zarrstore_testing.{path.stem}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail; see stdout"


def test_it_imports_nothing_private():
    """What it imports has a place in the reference, or is a module of the errors and the ABC."""
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    modules = {"zarrstore.abc", "zarrstore.errors"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [(node.module, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [(alias.name, "") for alias in node.names]
            for module, name in names:
                assert not module.startswith("pytest"), path
                if module.partition(".")[0] != "zarrstore" or module in modules:
                    continue
                assert not any(part.startswith("_") for part in [*module.split("."), name]), path
                places = (f"::: {module}.{name}\n", f"::: zarrstore.{name}\n")
                assert any(place in pages for place in places), (path, module, name)
