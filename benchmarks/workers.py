"""Workers: processes in another environment, which time zarr 2 on behalf of this one.

zarr 2 cannot be installed beside zarr 3. A worker is asked a request a line, as JSON, and gives an
answer a line. Needs the standard library only, as it is imported in both environments.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from zarr2 import environment  # noqa: E402


class Worker:
    """A process that runs a module of the benchmarks beside zarr 2.

    Its environment is made when it is first used, with Python 3.11 where there is one, and kept in
    the user's cache folder.

    Parameters
    ----------
    module : str
        Calls `serve`.
    packages : sequence of str
        What it needs beside zarr 2.
    """

    def __init__(self, module: str, packages: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [_environment(packages), "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: dict[str, Any]) -> Any:
        """Return the answer to a request."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ImportError(f"the worker of zarr 2 ended with {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["answer"]

    def close(self) -> None:
        """End the process."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def serve(answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        try:
            reply = {"answer": answer(json.loads(line))}
        except Exception as error:
            reply = {"error": repr(error)}
        print(json.dumps(reply), flush=True)


def _environment(packages: Sequence[str]) -> str:
    """Return the interpreter of an environment that has zarr 2."""
    python = next(python for python in ("python3.11", sys.executable) if _works(python))
    try:
        return str(environment(packages, python))
    except (OSError, subprocess.CalledProcessError) as error:
        raise ImportError(f"zarr 2 cannot be installed: {error}") from error


def _works(python: str) -> bool:
    """Tell whether there is such a Python; a shim may be there without one."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False
