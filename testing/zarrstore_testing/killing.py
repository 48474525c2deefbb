"""`kill_at`: kill a writer at a system call of its choice, and see what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Killed", "kill_at"]


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of a process that was to be killed.

    Attributes
    ----------
    killed : bool
        Whether it was; if not, the system call did not come so often.
    returncode : int
    stdout, stderr : str
        Of the process, without what strace said.
    calls : tuple of str
        The calls of this kind until then, as strace shows them, the last of which was not done.
    """

    killed: bool
    returncode: int
    stdout: str
    stderr: str
    calls: tuple[str, ...]


def kill_at(
    code: str,
    call: str,
    when: int = 1,
    *,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Killed:
    """Run Python code in another process, and kill it at a system call: no handler, no flush.

    Parameters
    ----------
    code : str
        Its indentation is taken off.
    call : str
        The system call, or several, as strace names them: ``"rename"``, ``"?rename,?renameat2"``
        (a question mark where a machine may not have it), ``"write"``, ``"fsync"``.
    when : int, default 1
        At which of these calls, counted from 1, each kind for itself; the call is not done.
    arguments : sequence of str
        The code's ``sys.argv[1:]``.
    env : mapping, optional
        More variables of the environment.
    timeout : float, default 60
        In seconds.

    Raises
    ------
    FileNotFoundError
        If strace is not installed.
    subprocess.TimeoutExpired
        If the process does not end.

    Notes
    -----
    Needs Linux, strace, and leave to trace one's own processes.

    Examples
    --------
    >>> kill_at("open('x', 'w').write('1'); import os; os.rename('x', 'y')", "?rename").killed
    True
    >>> sorted(os.listdir("."))
    ['x']
    """
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError(
            "kill_at needs strace, which is not installed: apt-get install strace (Linux only)"
        )
    inject = f"inject={call}:signal=SIGKILL:when={when}"
    with tempfile.NamedTemporaryFile("r", errors="replace") as trace:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [
                strace, "-f", "-qq", "-e", f"trace={call}", "-e", inject, "-o", trace.name,
                sys.executable, "-c", textwrap.dedent(code), *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            # what is written by the interpreter itself would be counted
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        )  # fmt: skip
        lines = trace.read().splitlines()
    calls = tuple(line.partition(" ")[2].strip() for line in lines if "(" in line)
    killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return Killed(killed, done.returncode, done.stdout, done.stderr, calls)
