"""``zarrstore copy``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import zarrstore
from zarrstore.cli.app import app


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.zarr"
    zarrstore.create_array(path, data=list(range(100)), chunks=10)
    return path


def test_it_copies_and_goes_on(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "a.zip"
    arguments = ["copy", str(source), str(dest), "--no-progress"]
    planned = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert planned.output.startswith("would be: 11 copied")
    assert not dest.exists()
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.output[:9]) == (0, "11 copied")
    assert zarrstore.open_array(dest)[...].tolist() == list(range(100))
    again = CliRunner().invoke(app, arguments)
    assert again.output == "0 copied (0 B), 11 unchanged, 0 skipped\n"


def test_a_bar_is_shown(source: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["copy", str(source), str(tmp_path / "b"), "--exclude", "json"])
    assert "copying to file://" in done.output
    assert "10 copied" in done.output


def test_what_is_not_installed_is_said(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    done = CliRunner().invoke(app, ["copy", str(source), str(tmp_path / "b")])
    assert (done.exit_code, done.output[:24]) == (1, "progress=True needs rich")


def test_errors_are_said(source: Path, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "zarr.json").write_text("other")
    for dest, options, said in [
        ("c", [], "has another value"),
        ("d", ["--if-exists", "maybe"], "if_exists is one of raise, replace, skip"),
        ("e", ["--source-path", "nothing"], "nothing to copy"),
        ("f", ["--include", "("], "includes: '(' is no regular expression"),
    ]:
        done = CliRunner().invoke(app, ["copy", str(source), str(tmp_path / dest), *options])
        assert done.exit_code == 1, done.output
        assert said in done.output
