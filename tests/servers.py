"""Real servers on the loopback interface, as fixtures: S3, files over HTTP, and a bad web server.

A test module that wants them says ``pytest_plugins = ["servers"]``, and imports the types here
(`Bucket`, `FileServer` ...) for its annotations only, under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from aiohttp import web
from google_storage import GoogleStorage
from seaweed import SeaweedFS, free_port

__all__ = [
    "Bucket",
    "FileServer",
    "MisbehavingServer",
    "S3Server",
    "free_port",
    "google_storage",
    "http_server",
    "misbehaving_http_server",
    "s3_bucket",
    "s3_server",
    "seaweed_bucket",
    "seaweed_server",
    "strict_s3_bucket",
]

REGION = "us-east-1"


class AppThread:
    """An aiohttp application, served by an event loop in a thread of its own."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="test-http-server", daemon=True)
        self.port = 0

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.AppRunner(
            self._app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@dataclass
class FileServer:
    """Files of a directory over HTTP, with ranges and (unless switched off) index pages."""

    url: str
    root: Path
    index: bool = True
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request, in order."""

    def put(self, key: str, value: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        path = self.root / request.path.lstrip("/")
        if path.is_file() and not request.path.endswith("/"):
            return web.FileResponse(path)
        if not path.is_dir() or not self.index:
            raise web.HTTPNotFound
        if not request.path.endswith("/"):
            raise web.HTTPMovedPermanently(quote(request.path) + "/")
        names = [entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir()]
        links = "".join(
            f'<a href="{quote(name, safe="/")}">{html.escape(name)}</a>\n'
            for name in ["../", *sorted(names)]
        )
        title = f"Index of {html.escape(request.path)}"
        page = f"<html><head><title>{title}</title></head><body><pre>{links}</pre></body></html>"
        return web.Response(text=page, content_type="text/html")


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[FileServer]:
    """A web server over an empty directory."""
    root = tmp_path / "served"
    root.mkdir()
    server = FileServer("", root)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    with AppThread(app) as thread:
        server.url = f"http://127.0.0.1:{thread.port}"
        yield server


Handler = Callable[["MisbehavingServer", web.Request], Awaitable[web.StreamResponse]]
_misbehaviours: dict[str, Handler] = {}


def _misbehaviour(handler: Handler) -> Handler:
    _misbehaviours[handler.__name__] = handler
    return handler


@dataclass
class MisbehavingServer:
    """A web server with one path for each way to be wrong: ``server.at("truncated")``."""

    origin: str = ""
    value: bytes = bytes(range(256)) * 4
    """What every key holds."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many requests each misbehaviour has seen."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def at(self, misbehaviour: str) -> str:
        """Return the URL of a store whose keys are all answered in one wrong way."""
        assert misbehaviour in _misbehaviours, misbehaviour
        return f"{self.origin}/{misbehaviour}"

    @property
    def misbehaviours(self) -> list[str]:
        return sorted(_misbehaviours)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["misbehaviour"]
        self.counts[name] = self.counts.get(name, 0) + 1
        self.headers.append(dict(request.headers))
        return await _misbehaviours[name](self, request)

    def wanted(self, request: web.Request) -> slice:
        return request.http_range

    def honest(self, request: web.Request) -> web.Response:
        """Answer as a good server would."""
        if "Range" not in request.headers:
            return web.Response(body=self.value)
        start, stop, _ = self.wanted(request).indices(len(self.value))
        if start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.value)}"})
        return self.part(start, stop, self.value[start:stop])

    def part(self, start: int, stop: int, body: bytes, size: object = None) -> web.Response:
        size = len(self.value) if size is None else size
        return web.Response(
            status=206, body=body, headers={"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        )


@_misbehaviour
async def ignores_range(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A 200 with the whole value, whatever was asked."""
    return web.Response(body=server.value)


@_misbehaviour
async def short_part(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A 206 with the right Content-Range and fewer bytes than it says."""
    if "Range" not in request.headers:
        return server.honest(request)
    start, stop, _ = server.wanted(request).indices(len(server.value))
    return server.part(start, stop, server.value[start : stop - 1])


@_misbehaviour
async def smaller_part(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A consistent 206 with less than was asked for."""
    if "Range" not in request.headers:
        return server.honest(request)
    start, stop, _ = server.wanted(request).indices(len(server.value))
    return server.part(start, stop - 1, server.value[start : stop - 1])


@_misbehaviour
async def other_part(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A 206 of another range of the same length."""
    if "Range" not in request.headers:
        return server.honest(request)
    start, stop, _ = server.wanted(request).indices(len(server.value))
    return server.part(start + 7, stop + 7, server.value[start + 7 : stop + 7])


@_misbehaviour
async def no_content_range(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A 206 that does not say of what."""
    start, stop, _ = server.wanted(request).indices(len(server.value))
    return web.Response(status=206, body=server.value[start:stop])


@_misbehaviour
async def unknown_size(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """Legal: a 206 that does not know the size of the whole."""
    if "Range" not in request.headers:
        return server.honest(request)
    answer = server.honest(request)
    if answer.status == 206:
        said = answer.headers["Content-Range"].rpartition("/")[0]
        answer.headers["Content-Range"] = f"{said}/*"
    return answer


@_misbehaviour
async def truncated(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A Content-Length above what is sent before the connection is cut."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(server.value))})
    await answer.prepare(request)
    if request.method != "HEAD":
        await answer.write(server.value[:100])
    assert request.transport is not None
    request.transport.close()
    return answer


@_misbehaviour
async def compressed(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """Compressed, though identity was asked for."""
    body = gzip.compress(server.value)
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


@_misbehaviour
async def web_page(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """A login page with status 200."""
    page = "<!DOCTYPE html><html><body>Please log in</body></html>" + " " * 2000
    return web.Response(text=page, content_type="text/html")


@_misbehaviour
async def busy_twice(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """503 twice, then the value."""
    if server.counts["busy_twice"] <= 2:
        return web.Response(status=503)
    return server.honest(request)


@_misbehaviour
async def cut_twice(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """The connection is cut twice, then the value."""
    if server.counts["cut_twice"] <= 2:
        return await truncated(server, request)
    return server.honest(request)


@_misbehaviour
async def always_busy(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@_misbehaviour
async def forbidden(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    return web.Response(status=403)


@_misbehaviour
async def unauthorized(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    return web.Response(status=401)


@_misbehaviour
async def not_found(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


@_misbehaviour
async def unsatisfiable(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """416 to every range, even of bytes that are there."""
    if "Range" not in request.headers:
        return server.honest(request)
    return web.Response(status=416, headers={"Content-Range": f"bytes */{len(server.value)}"})


@_misbehaviour
async def bare_416(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """416 without a Content-Range where the start is past the end."""
    answer = server.honest(request)
    return web.Response(status=416) if answer.status == 416 else answer


@_misbehaviour
async def no_head(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """No HEAD requests."""
    return web.Response(status=405) if request.method == "HEAD" else server.honest(request)


@_misbehaviour
async def hanging(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    """No answer for a minute."""
    await asyncio.sleep(60)
    return server.honest(request)


@_misbehaviour
async def honest(server: MisbehavingServer, request: web.Request) -> web.StreamResponse:
    return server.honest(request)


@pytest.fixture
def misbehaving_http_server() -> Iterator[MisbehavingServer]:
    """A web server that is wrong in every way that `MisbehavingServer.at` knows."""
    server = MisbehavingServer()
    app = web.Application()
    app.router.add_route("*", "/{misbehaviour}/{key:.*}", server.handle)
    with AppThread(app) as thread:
        server.origin = f"http://127.0.0.1:{thread.port}"
        yield server


@pytest.fixture
def google_storage() -> Iterator[GoogleStorage]:
    """An empty bucket of Google Cloud Storage."""
    server = GoogleStorage()
    with AppThread(server.app()) as thread:
        server.url = f"http://127.0.0.1:{thread.port}"
        yield server


@dataclass(frozen=True)
class S3Server:
    """An S3 server (moto) in a process of its own."""

    endpoint: str
    storage_options: dict[str, Any]

    def client(self, service: str = "s3", **options: str) -> Any:
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=options.get("key", self.storage_options["key"]),
            aws_secret_access_key=options.get("secret", self.storage_options["secret"]),
        )

    def bucket(self) -> Bucket:
        """Make a new bucket."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return Bucket(f"s3://{name}", name, self.storage_options, self)


@dataclass(frozen=True)
class Bucket:
    """A bucket: ``RemoteStore.from_url(bucket.url, bucket.storage_options)``."""

    url: str
    name: str
    storage_options: dict[str, Any]
    server: S3Server


_SERVE = """
import sys, threading
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()
def app(*request):
    with turn:  # a condition and the write that depends on it are one step, as on a real server
        return moto(*request)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"""


class _Moto:
    """A server on a port that the system has chosen; it ends with the process that started it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip().decode()
        assert port, "moto ended"
        self.endpoint = f"http://127.0.0.1:{port}"

    def require_credentials(self) -> None:
        """Check credentials from now on."""
        url = f"{self.endpoint}/moto-api/reset-auth"
        request = urllib.request.Request(url, b"0", {"Content-Type": "text/plain"})
        with urllib.request.urlopen(request, timeout=5):
            pass

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that takes any credentials."""
    moto = _Moto()
    options = {
        "key": "AKIAIOSFODNN7EXAMPLE",
        "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "endpoint_url": moto.endpoint,
    }
    try:
        yield S3Server(moto.endpoint, options)
    finally:
        moto.stop()


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Bucket:
    """A new, empty bucket."""
    return s3_server.bucket()


@pytest.fixture(scope="session")
def strict_s3_bucket() -> Iterator[Bucket]:
    """A bucket of a server that checks credentials, as a real one does."""
    moto = _Moto()
    try:
        first = S3Server(moto.endpoint, {"key": "setup", "secret": "setup-secret"})
        iam = first.client("iam")
        iam.create_user(UserName="user")
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", '
        policy += '"Resource": "*"}]}'
        iam.put_user_policy(UserName="user", PolicyName="s3", PolicyDocument=policy)
        made = iam.create_access_key(UserName="user")["AccessKey"]
        options = {
            "key": made["AccessKeyId"],
            "secret": made["SecretAccessKey"],
            "endpoint_url": moto.endpoint,
        }
        bucket = S3Server(moto.endpoint, options).bucket()
        moto.require_credentials()
        yield bucket
    finally:
        moto.stop()


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server (SeaweedFS) that takes any credentials."""
    server = SeaweedFS(tmp_path_factory.mktemp("seaweed"))
    options = {"key": "any", "secret": "any-secret", "endpoint_url": server.endpoint}
    try:
        yield S3Server(server.endpoint, options)
    finally:
        server.stop()


@pytest.fixture
def seaweed_bucket(seaweed_server: S3Server) -> Bucket:
    """A new, empty bucket of a real S3 server."""
    return seaweed_server.bucket()
