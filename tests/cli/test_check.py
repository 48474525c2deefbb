"""``zarrstore check``."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from zarrstore.cli import main
from zarrstore.cli.app import app


def test_it_is_the_command_of_the_kit(tmp_path):
    arguments = ["check", str(tmp_path / "x"), "--behaviour", "range_inside"]
    done = subprocess.run(
        [sys.executable, "-c", "from zarrstore.cli.main import main; main()", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "1 passed" in " ".join(done.stdout.split())
    assert os.listdir(tmp_path) == []


def test_help():
    text = CliRunner().invoke(app, ["--help"]).output
    assert "check" in text
    text = CliRunner().invoke(app, ["check", "--help"]).output
    assert "zarrstore check" in text
    assert "--scratch" in text


def test_what_is_missing_is_said(monkeypatch):
    def importing(name, *args, **kwargs):
        if name == "hypothesis":
            raise ImportError("No module named 'hypothesis'")
        return real(name, *args, **kwargs)

    real = builtins.__import__
    for name in [name for name in sys.modules if name.startswith("zarrstore_testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", importing)
    result = CliRunner().invoke(app, ["check", "memory://x"])
    assert result.exit_code == 2
    assert "pip install 'zarrstore[cli,testing]'" in result.output
    monkeypatch.setattr(main, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"zarrstore\[cli\]"):
        main.main()
