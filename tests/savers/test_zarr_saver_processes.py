"""`ZarrSaver` in several processes, killed ones among them, on disk and on S3."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import zarrstore
from zarrstore.savers import ZarrSaver, _claims

if TYPE_CHECKING:
    from servers import Bucket

pytest_plugins = ["servers"]

APPEND = """
    import json, sys
    from zarrstore.savers import ZarrSaver
    url, options, process, times = json.loads(sys.argv[1])
    saver = ZarrSaver(url, "log", storage_options=options)
    print("ready", flush=True)
    sys.stdin.readline()
    for time in range(times):
        saver.save([[process, time]])
"""
OVERWRITE = """
    import json, sys
    from time import sleep
    import numpy as np
    from zarrstore.savers import ZarrSaver, _claims
    _claims._BEAT, _claims._PATIENCE = 0.05, 1e9  # who was killed here is known to have ended
    url, options, process, times = json.loads(sys.argv[1])
    saver = ZarrSaver(url, "state", "overwrite", storage_options=options)
    print("ready", flush=True)
    sys.stdin.readline()
    for time in range(times):
        mark = 1000 * process + time
        shape = [(30,), (6, 7), (2, 3, 4)][time % 3]
        saver.save(np.full(shape, mark), chunks=1, attributes={"mark": mark})
        sleep(0.1)
"""

CREATE = """
    import json, sys
    import numpy as np
    from zarrstore.savers import ZarrSaver
    folder, approach, times = json.loads(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    for time in range(times):
        for row in range(1, 5):
            values = np.full((6, 2), -1) if approach == "overwrite" else np.full((1, 2), row)
            saver = ZarrSaver(f"{folder}/{time}.zarr", "x", approach)
            saver.save(values, chunks=(4, 2), zarr_format=2 + time % 2)
            if approach == "overwrite":
                break
"""
CLAIM = """
    import json, sys
    import zarrstore
    from zarrstore.savers import _claims
    (url,) = json.loads(sys.argv[1])
    claim = _claims.Claim(zarrstore.open_store(url).sync, "state/.overwriting")
    claim.acquire()
    claim.use(["c."])
    print("ready", flush=True)
    sys.stdin.readline()
"""


class Process:
    """A script in an interpreter of its own."""

    def __init__(self, code: str, *arguments: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=60)
        assert self._process.returncode == -signal.SIGKILL

    def end(self) -> None:
        self._process.communicate(timeout=120)
        assert self._process.returncode == 0


def append_all(url: str, options: Any, processes: int, times: int) -> None:
    running = [Process(APPEND, url, options, number, times) for number in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.end()
    found = zarrstore.load(url, path="log", storage_options=options)
    assert found.shape == (processes * times, 2)
    for number in range(processes):
        assert found[found[:, 0] == number, 1].tolist() == list(range(times))


def test_4_processes_append_50_times_each(tmp_path):
    append_all(str(tmp_path / "x.zarr"), None, 4, 50)


def test_processes_append_on_s3(seaweed_bucket: Bucket) -> None:
    append_all(f"{seaweed_bucket.url}/x.zarr", seaweed_bucket.storage_options, 3, 8)


def check_whole(url: str, options: Any = None) -> int:
    """Return the mark of the array that is there, all of whose elements must have it."""
    while True:
        began = time.monotonic()
        with zarrstore.open_array(url, path="state", mode="r", storage_options=options) as array:
            mark, values = int(array.attrs["mark"]), array[...]
        if (values == mark).all():
            return mark
        # who is halted while the array is overwritten twice may find no chunks any more
        assert time.monotonic() - began > 0.2, (mark, values)


def save_first(url: str, options: Any = None) -> None:
    ZarrSaver(url, "state", "overwrite", storage_options=options).save(
        np.full((4, 4), -1), chunks=1, attributes={"mark": -1}
    )


def test_a_killed_process_leaves_the_old_or_the_new(tmp_path):
    url = str(tmp_path / "x.zarr")
    save_first(url)
    marks = {check_whole(url)}
    for number in range(1, 6):
        process = Process(OVERWRITE, url, None, number, 1000)
        process.start()
        while check_whole(url) // 1000 != number:
            assert process.is_running()
            time.sleep(0.01)
        ends = time.monotonic() + random.uniform(0, 0.4)
        while time.monotonic() < ends:
            marks.add(check_whole(url))
        process.kill()
        marks.add(check_whole(url))
    assert len(marks) > 5


def test_the_turn_of_a_killed_process_is_over_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_claims, "_PATIENCE", 1e9)
    url = str(tmp_path / "x.zarr")
    save_first(url)
    process = Process(CLAIM, url)
    held = zarrstore.open_store(url).sync["state/.overwriting"]
    assert not _claims._parsed(held).has_ended
    process.kill()
    save_first(url)
    assert check_whole(url) == -1


def test_the_first_is_appended_and_overwritten_at_once(tmp_path):
    running = [Process(CREATE, str(tmp_path), which, 10) for which in ("overwrite", "append")]
    for process in running:
        process.start()
    for process in running:
        process.end()
    for number in range(10):
        found = zarrstore.load(tmp_path / f"{number}.zarr", path="x")
        assert (found[:6] == -1).all()
        rows = found[6:].tolist()  # what was appended after it was overwritten
        assert rows == [[row] * 2 for row in range(5 - len(rows), 5)]


def overwrite_all(url: str, options: Any, processes: int, times: int) -> None:
    save_first(url, options)
    running = [Process(OVERWRITE, url, options, number, times) for number in range(processes)]
    for process in running:
        process.start()
    marks = set()
    while any(process.is_running() for process in running):
        marks.add(check_whole(url, options))
    for process in running:
        process.end()
    assert check_whole(url, options) % 1000 == times - 1
    assert len(marks) > 1


def test_processes_overwrite_what_none_has_made(tmp_path):
    url = str(tmp_path / "x.zarr")
    running = [Process(OVERWRITE, url, None, number, 3) for number in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.end()
    assert check_whole(url) % 1000 == 2


def test_processes_overwrite_at_once(tmp_path):
    overwrite_all(str(tmp_path / "x.zarr"), None, 3, 4)


def test_overwritten_on_s3(seaweed_bucket: Bucket) -> None:
    overwrite_all(f"{seaweed_bucket.url}/x.zarr", seaweed_bucket.storage_options, 2, 2)


def test_a_killed_process_on_s3(seaweed_bucket: Bucket) -> None:
    url, options = f"{seaweed_bucket.url}/x.zarr", seaweed_bucket.storage_options
    save_first(url, options)
    for number in range(1, 3):
        process = Process(OVERWRITE, url, options, number, 1000)
        process.start()
        time.sleep(random.uniform(0.6, 1.2))
        process.kill()
        check_whole(url, options)
    ZarrSaver(url, "state", "update", storage_options=options).save(
        check_whole(url, options), indices=...
    )
