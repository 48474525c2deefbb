"""SeaweedFS, a real S3 server, for the tests and the benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

__all__ = ["SeaweedFS", "free_port"]


def free_port() -> int:
    """Return a port on which nothing listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SeaweedFS:
    """The server, in a process of its own, with its files in a directory. Any credentials do."""

    def __init__(self, directory: Path) -> None:
        names = [f"{part}.port" for part in ("s3", "filer", "master", "volume")]
        names += [f"{name}.grpc" for name in names]
        ports = {name: free_port() for name in names}
        self.endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        weed = shutil.which("weed", path=os.path.dirname(sys.executable)) or "weed"
        self._process = subprocess.Popen(
            [
                weed, "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                "-s3", "-filer", "-volume.max=100", "-volume.minFreeSpace=1",
                "-master.volumeSizeLimitMB=64", "-master.telemetry=false",
                "-s3.port.iceberg=0", "-s3.port.lance=0",
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, "weed ended"
            assert time.monotonic() < limit, "SeaweedFS does not answer"
            time.sleep(0.2)

    def _answers(self) -> bool:
        """Tell whether an object can be written, which takes longest to begin."""
        try:
            for path, body in (("/ready", None), ("/ready/k", b"1")):
                request = urllib.request.Request(self.endpoint + path, body, method="PUT")
                with urllib.request.urlopen(request, timeout=5):
                    pass
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._process.kill()  # to end in order takes it 15 seconds
        self._process.wait(10)
