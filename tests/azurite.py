"""Azurite, an emulator of Azure Blob Storage from npm, for the tests.

A test module that wants it says ``pytest_plugins = ["azurite"]``.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from cache_folder import made_once
from seaweed import free_port

__all__ = ["Azurite", "azurite"]

_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The same in every emulator, and so no secret."""


class Azurite:
    """The server, in a process of its own, with its files in a directory."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
        self.account_name, self.account_key = _ACCOUNT, _KEY
        self.connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint={self.endpoint}"
        )
        node = shutil.which("node")
        assert node, "the tests of Azure need node and npm"
        package = made_once("azurite", _install) / "node_modules" / "azurite"
        options = "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"
        self._process = subprocess.Popen(
            [node, package / "dist/src/blob/main.js", "--blobHost", "127.0.0.1", *options,
             "--blobPort", str(port)],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 60
        while not _answers(port):
            assert self._process.poll() is None, "azurite ended"
            assert time.monotonic() < limit, "azurite does not answer"
            time.sleep(0.1)

    def container(self) -> str:
        """Make a container, and return its name."""
        name = f"c{uuid.uuid4().hex}"
        client = ContainerClient.from_connection_string(self.connection_string, name)
        client.create_container()
        client.close()
        return name

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


def _install(folder: Path) -> None:
    options = "--silent", "--no-fund", "--no-audit", "--no-save"
    subprocess.run(["npm", "install", *options, "azurite"], cwd=folder, check=True)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The server, until the tests end."""
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    yield server
    server.stop()
