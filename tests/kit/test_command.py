"""``python -m zarrstore_testing``: what it says, and that it leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner
from zarrstore_testing.command import app
from zarrstore_testing.scratch import Scratch, ScratchError

from zarrstore.abc import Capability
from zarrstore.registry import make_store
from zarrstore.stores.local import LocalStore
from zarrstore.stores.memory import MemoryStore

FEW = ["--behaviour", "range_inside", "--behaviour", "sync_equals_async"]


def command(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def broken(monkeypatch):
    """A memory store that keeps nothing of the odd keys, for every URL of a scheme."""

    def get(self, key):
        return None if key.endswith("c") else self._data.values.get(key)

    monkeypatch.setattr(MemoryStore, "_get", get)


def test_it_checks_and_leaves_nothing(tmp_path):
    path = tmp_path / "new"
    assert f"{path}: 2 passed" in command(path, *FEW)
    assert os.listdir(tmp_path) == []
    path.mkdir()
    command(f"file://{path}", *FEW)
    assert os.listdir(path) == []


def test_several_stores_and_a_matrix(tmp_path):
    page, data, table = tmp_path / "x.md", tmp_path / "x.json", tmp_path / "m.md"
    files = ["--markdown", page, "--json", data, "--matrix", table]
    command(tmp_path / "a", "memory://matrix", *FEW, *files)
    found = json.loads(data.read_text())
    assert [each["store"] for each in found] == [str(tmp_path / "a"), "memory://matrix"]
    assert found[0]["ok"]
    assert found[0]["results"][0]["behaviour"] == "range_inside"
    assert "| ranges | `range_inside` | pass |" in page.read_text()
    assert "| `range_inside` | yes | yes |" in table.read_text()
    assert sorted(os.listdir(tmp_path)) == ["m.md", "x.json", "x.md"]


def test_a_failure_is_shown_and_told_by_the_exit_code(tmp_path, broken):
    page, data = tmp_path / "x.md", tmp_path / "x.json"
    names = ["--behaviour", "usual_keys_round_trip", "--behaviour", "list_dir_yields_children"]
    names += ["--behaviour", "many_keys_are_listed", "--behaviour", "delete_removes"]
    text = command("memory://broken", *names, "--json", data, "--markdown", page, code=1)
    assert "FAIL delete_removes" in text
    assert "the same again, as code:" in text
    assert "zarrstore.PrefixStore(zarrstore.open_store('memory://broken')," in text
    found = json.loads(data.read_text())
    assert not found["ok"]
    status = {result["behaviour"]: result["status"] for result in found["results"]}
    assert status["delete_removes"] == "failed"
    assert status["many_keys_are_listed"] == "passed"
    assert "## delete_removes" in page.read_text()
    assert list(make_store("memory://broken").sync) == []


def test_what_is_there_is_never_touched(tmp_path):
    with LocalStore(tmp_path / "full").sync as sync:
        sync.update({"a": b"1", "b/c": b"2"})
    text = command(tmp_path / "full", *FEW, code=2)
    assert "give a prefix below which there is nothing: --scratch PREFIX" in text
    assert "below 'b'" in command(tmp_path / "full", "--scratch", "b", *FEW, code=2)
    assert "there is a key 'a'" in command(tmp_path / "full", "--scratch", "a", *FEW, code=2)
    command(tmp_path / "full", "--scratch", "b/d", *FEW)
    assert dict(LocalStore(tmp_path / "full").sync) == {"a": b"1", "b/c": b"2"}
    assert sorted(path.name for path in (tmp_path / "full").rglob("*")) == ["a", "b", "c"]


def test_a_store_with_one_writer_has_a_place_for_each(tmp_path):
    text = command(tmp_path / "x.zip", *FEW, code=2)
    assert "put '{}' into the name" in text
    assert os.listdir(tmp_path) == []
    command(tmp_path / "x-{}.zip", *FEW)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_checked(tmp_path, monkeypatch):
    assert "unknown scheme" in command("nothing://x", code=2)
    assert "there is no behaviour 'x'" in command("memory://x", "--behaviour", "x", code=2)
    no_delete = LocalStore(tmp_path / "a").capabilities & ~Capability.DELETE
    monkeypatch.setattr(LocalStore, "capabilities", no_delete)
    assert "has no DELETE" in command(tmp_path / "a", *FEW, code=2)
    with pytest.raises(ScratchError), Scratch(str(tmp_path / "a")):
        pass


def test_breaking_off_cleans_up(tmp_path):
    path = tmp_path / "x"
    with LocalStore(path).sync as sync:
        sync["kept"] = b"1"
    with subprocess.Popen(
        [sys.executable, "-m", "zarrstore_testing", str(path), "--scratch", "s/t"],
        # a job in the background of a shell ignores it, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        until = time.monotonic() + 60
        while not list(path.glob("s/t/*/*/*")) and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        try:
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode not in (0, 2), out + err
    assert dict(LocalStore(path).sync) == {"kept": b"1"}
    assert os.listdir(path) == ["kept"]


def test_wrong_options_are_told_before_anything_is_checked(tmp_path):
    for arguments, says in [
        (["--json", tmp_path / "no" / "x.json"], "there is no directory"),
        (["--markdown", tmp_path / "no" / "x.md"], "there is no directory"),
        (["--storage-options", "anon=true"], "a JSON object is wanted"),
        (["--storage-options", "[1]"], "a JSON object is wanted"),
        (["--many-keys", 0], "many-keys"),
    ]:
        assert says in command(tmp_path / "x", *FEW, *arguments, code=2)
    assert os.listdir(tmp_path) == []


def test_credentials_are_in_no_script():
    options = {"secret": "ge'heim", "client_kwargs": {"aws_session_token": "geheim2"}, "anon": True}
    source = Scratch("s3://me:geheim3@host/x", storage_options=options).source
    text = "\n".join([*source.lines, source.expression])
    assert "heim" not in text
    assert "'secret': '***'" in text
    assert "'anon': True" in text


def test_a_check_that_is_broken_off_writes_no_more(tmp_path):
    names = ["--behaviour", "many_keys_are_listed", "--many-keys", 100_000, "--timeout", 0.5]
    assert "the store hangs" in command(tmp_path / "x", *names, code=1)
    limit = time.monotonic() + 30  # on a busy machine deleting takes its time
    while os.listdir(tmp_path) and time.monotonic() < limit:
        time.sleep(0.1)
    time.sleep(0.5)
    assert os.listdir(tmp_path) == []
