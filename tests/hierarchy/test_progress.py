"""Progress: callbacks and bars."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from typing import Any

import pytest
import rich

from zarrstore import aio
from zarrstore.hierarchy import progress as module
from zarrstore.hierarchy.progress import reporting


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.rstrip().splitlines()[-1]


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_reported(progress: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(progress, "reading") as callback:
        assert callback is None
    assert capsys.readouterr().out == ""


def test_a_callback_is_called_as_it_is() -> None:
    def callback(done: int, total: int | None) -> None:
        raise NotImplementedError

    with reporting(callback, "reading") as given:
        assert given is callback


def test_what_a_callback_raises_is_raised() -> None:
    def callback(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    def work() -> None:
        with reporting(callback, "reading") as given:
            assert given is not None
            given(1, 2)

    with pytest.raises(KeyboardInterrupt):
        work()


@pytest.mark.parametrize(
    ("unit", "calls", "expected"),
    [
        ("chunks", [(1, 4), (4, 4)], "100% 4/4 chunks"),
        ("chunks", [(1, 4)], " 25% 1/4 chunks"),
        ("values", [(1, 1), (1, 2000), (1000, 2000)], " 50% 1,000/2,000 values"),
        ("bytes", [(2**20, 2**21)], " 50% 1.0 MiB of 2.0 MiB"),
        ("bytes", [(5, None), (2**20, None)], "100% 1.0 MiB of 1.0 MiB"),
        ("chunks", [(3, 3), (3, 6), (3, 12)], " 25% 3/12 chunks"),
        ("chunks", [(0, 0)], "100% 0/0 chunks"),
        ("chunks", [], "100% 0/0 chunks"),
    ],
)
def test_the_text_of_a_bar(
    unit: str, calls: list[Any], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with reporting(True, "reading /a", unit) as callback:
        assert callback is not None
        for done, total in calls:
            callback(done, total)
    line = last_line(capsys)
    assert line.startswith("reading /a ")
    assert expected in line


def test_a_bar_of_work_that_fails_stays_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with reporting(True, "reading") as callback:
            assert callback is not None
            callback(1, 2)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert "1/2 chunks" in last_line(capsys)
    with reporting(True, "again"):
        pass
    assert last_line(capsys).startswith("again")


def test_names_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(True, "reading /a[bold]\x1b[31m"):
        pass
    assert last_line(capsys).startswith("reading /a[bold]\\x1b[31m")


def test_bars_within_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(True, "outer", "arrays") as outer:
        assert outer is not None
        for number in range(3):
            with reporting(True, "inner") as inner:
                assert inner is not None
                inner(1, 1)
            outer(number + 1, 3)
    out = capsys.readouterr().out
    assert "3/3 arrays" in out
    assert "inner" not in out


def test_bars_of_threads(capsys: pytest.CaptureFixture[str]) -> None:
    inside = threading.Barrier(4, timeout=30)

    def work(number: int) -> None:
        with reporting(True, f"thread {number}") as callback:
            assert callback is not None
            inside.wait()
            for done in range(100):
                callback(done + 1, 100)
            inside.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "100/100 chunks" in capsys.readouterr().out
    assert module._DISPLAY.get()._users == 0


def test_the_speed_is_known_while_the_total_grows() -> None:
    with reporting(True, "copying", "bytes") as callback:
        assert callback is not None
        for done in range(1, 20):
            callback(done, done * 2)
        (task,) = module._DISPLAY.get()._bars.tasks
        assert len(task._progress) > 2
        assert not task.finished


def test_a_bar_within_a_display_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.progress import Progress

    with Progress() as theirs:
        task = theirs.add_task("theirs", total=1)
        with reporting(True, "ours") as callback:
            assert callback is not None
            callback(1, 1)
        theirs.update(task, completed=1)
    assert "theirs" in capsys.readouterr().out


def test_a_bar_of_work_in_an_event_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        array = await aio.create_array({}, name="a", shape=40, chunks=10, dtype="i4")
        await array.write(..., 1, progress=True)
        await asyncio.gather(*[array.read(progress=True) for _ in range(3)])

    asyncio.run(main())
    out = capsys.readouterr().out
    assert "writing /a" in out
    assert "reading /a" in out


def test_without_rich_it_is_said_what_to_do() -> None:
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "from zarrstore.hierarchy.progress import reporting\n"
        "with reporting(None, 'x'), reporting(lambda *_: None, 'x'): pass\n"
        "try:\n"
        "    with reporting(True, 'x'): pass\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert "pip install 'zarrstore[cli]', or give a callback" in done.stdout


class Output:
    """What the output of a notebook's cell was, one after the other."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, table: Any) -> None:
        self.shown.append(table._repr_mimebundle_([], [])["text/html"])

    def display(self, table: Any, *, display_id: bool) -> Output:
        assert display_id
        self.update(table)
        return self


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Output:
    """A notebook, as far as a bar sees of it."""
    output = Output()
    display = types.ModuleType("IPython.display")
    display.display = output.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(rich.get_console(), "is_jupyter", True)
    return output


def test_a_bar_in_a_notebook_is_drawn_a_few_times_a_second(
    notebook: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    with reporting(True, "reading /a") as callback:
        assert callback is not None
        for done in range(10_000):
            callback(done + 1, 10_000)
    assert "0 chunks" in notebook.shown[0]
    assert "10,000/10,000 chunks" in notebook.shown[-1]
    assert 2 <= len(notebook.shown) < 200
    assert capsys.readouterr().out == ""
