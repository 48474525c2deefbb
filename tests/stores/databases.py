"""What the tests of stores in database files share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

__all__ = ["AS_NOBODY", "COUNT", "let_others_enter", "run", "start"]

AS_NOBODY = """
import os, sys
from zarrstore import ABSENT, DBMStore, LMDBStore, RangeByteRequest, SQLiteStore
from zarrstore.errors import AccessDeniedError, BackendError
import tempfile
with tempfile.TemporaryDirectory() as folder:  # it loads more at its first use
    LMDBStore(folder).sync["a"] = b"1"
if os.geteuid() == 0:
    os.setuid(65534)
"""
"""Code that imports what is needed, and gives up what root may do."""

COUNT = """
from zarrstore.errors import ConflictError
done = 0
while done < 40:
    version = store.stat("n").version
    value = int(store["n"])
    try:
        store.set("n", b"%d" % (value + 1), expect=version)
    except ConflictError:
        continue
    done += 1
"""
"""Code that adds 40 to a number in a store, by conditional writes."""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    """Start another Python."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, *args: object) -> str:
    """Run another Python to its end; return what it printed."""
    process = start(code, *args)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def let_others_enter(folder: Path) -> None:
    """Let every user reach a temporary folder of pytest."""
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent != Path("/tmp") and parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o011)
