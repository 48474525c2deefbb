"""`Server`: commands to a Redis or Valkey server, one or many in a round trip; its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zarrstore.errors import AccessDeniedError, BackendError, UnsupportedOperationError
from zarrstore.runtime import PerProcess
from zarrstore.stores._report import DENIED, Entry, Report, secrets_of

__all__ = ["Command", "Server"]

Command = tuple[Any, ...]

_DEFAULTS = {"socket_timeout": 10.0, "socket_connect_timeout": 10.0, "max_connections": 2**16}
_RETRIES, _FIRST_DELAY, _LONGEST_DELAY = 2, 0.05, 0.5

_NOT_CLUSTERS = (
    UnsupportedOperationError,
    "this server is a part of a cluster, which is not supported; give a server that has all keys",
)
_ERRORS: dict[str, Entry] = {
    "AuthenticationError": (AccessDeniedError, DENIED),
    "AuthorizationError": (AccessDeniedError, DENIED),
    "NoPermissionError": (AccessDeniedError, DENIED),
    "ReadOnlyError": (AccessDeniedError, "this server is a replica; write to its primary"),
    "OutOfMemoryError": (
        BackendError,
        "the server is full; free some of its memory, or raise its maxmemory",
    ),
    "MovedError": _NOT_CLUSTERS,
    "ClusterError": _NOT_CLUSTERS,
    "ClusterCrossSlotError": _NOT_CLUSTERS,
    "BusyLoadingError": (BackendError, "the server is starting; try again"),
    "MaxConnectionsError": (BackendError, "raise max_connections"),
    "TimeoutError": (BackendError, "the server did not answer in time; see socket_timeout"),
    "ConnectionError": (BackendError, "check the server's address, and that it is running"),
}

_STATE = """
local size = redis.call('STRLEN', KEYS[1])
if size == 0 and redis.call('EXISTS', KEYS[1]) == 0 then return false end
local found = {size, redis.sha1hex(redis.call('GET', KEYS[1]))}
for i = 1, #ARGV, 2 do
    found[#found + 1] = redis.call('GETRANGE', KEYS[1], ARGV[i], ARGV[i + 1])
end
return found
"""
_SWAP = """
local there = redis.call('GET', KEYS[1])
local found = there and redis.sha1hex(there)
if found == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return found
"""


class _Report(Report):
    errors = _ERRORS

    def is_missing(self, _: Exception) -> bool:
        return False


class _Clients(NamedTuple):
    """What one process talks to the server with."""

    client: Any
    once: Any
    """Makes no second attempt: a write that is conditional would take itself for another's."""
    state: Callable[..., Any]
    swap: Callable[..., Any]

    def close(self) -> None:
        self.client.close()
        self.once.close()


class Server:
    """A database of a server, whose errors are told in our words.

    Parameters
    ----------
    url : str
        For messages.
    options : mapping
        Of ``redis.Redis``.

    Notes
    -----
    Usable from any thread and, after a fork, from the child. Nothing is connected before the
    first command. ``key`` is what messages name.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._options = options
        self._report = _Report(url, secrets_of("", dict(options)))
        self._process = PerProcess(self._connect, _Clients.close)

    def _connect(self) -> _Clients:
        from redis import Redis
        from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
        from redis.exceptions import ConnectionError as Disconnected
        from redis.retry import Retry

        backoff = ExponentialWithJitterBackoff(_LONGEST_DELAY, _FIRST_DELAY)
        options: dict[str, Any] = {**_DEFAULTS, **self._options}
        # what has timed out is not tried again: the caller has waited long enough
        client = Redis(retry=Retry(backoff, _RETRIES, (Disconnected,)), **options)
        once = Redis(retry=Retry(NoBackoff(), 0), **options)
        return _Clients(client, once, client.register_script(_STATE), once.register_script(_SWAP))

    def close(self) -> None:
        self._process.close()

    def run(self, action: str, key: str, *command: Any) -> Any:
        """Run a command, and once more if the connection was lost."""
        with self._report.during(action, key):
            pool = self._process.get().client.connection_pool
            connection = pool.get_connection()

            def asked() -> Any:
                try:
                    connection.send_command(*command)
                    return connection.read_response()
                except Exception:
                    raise
                except BaseException:  # Ctrl-C: the next would take this answer for its own
                    connection.disconnect()
                    raise

            # what the client itself does, but for its telemetry: a sixth of a small read
            try:
                return connection.retry.call_with_retry(asked, connection.disconnect)
            finally:
                pool.release(connection)

    def run_many(
        self, action: str, keys: Sequence[str], commands: Iterable[Command], *, atomic: bool = False
    ) -> list[Any]:
        """Run commands in one round trip, and raise the first error of any."""
        with self._report.during(action, keys[0]):
            pipeline = self._process.get().client.pipeline(transaction=atomic)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        for number, answer in enumerate(answers):
            if isinstance(answer, Exception):
                with self._report.during(action, keys[min(number, len(keys) - 1)]):
                    raise answer
        return answers

    def scan(self, prefix: str, cursor: int, pattern: str, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor, 0 at the end, and some names."""
        with self._report.during("list", prefix):
            found: tuple[int, list[bytes]] = self._process.get().client.scan(cursor, pattern, count)
            return found
        raise AssertionError

    def state(self, key: str, name: str, bounds: Sequence[int]) -> Any:
        """Return size, SHA-1 and parts of one state of a value; ``None`` if it is missing."""
        with self._report.during("read", key):
            return self._process.get().state(keys=[name], args=bounds)

    def create(self, key: str, name: str, value: Any) -> bool:
        """Write a value if there is none; tell whether there was none."""
        with self._report.during("write", key):
            return bool(self._process.get().once.execute_command("SET", name, value, "NX"))
        raise AssertionError

    def swap(self, key: str, name: str, value: Any, expect: str) -> str | None:
        """Write a value if there is one with this SHA-1; return the SHA-1 found."""
        with self._report.during("write", key):
            found = self._process.get().swap(keys=[name], args=[expect, value])
            return found.decode() if found else None
        raise AssertionError
