"""`zarrstore.v2.ABSStore`: what a client of Azure Blob Storage tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken, AzureSasCredential
from azure.storage.blob import ContainerClient, PublicAccess, generate_container_sas

from zarrstore import AccessDeniedError, v2

if TYPE_CHECKING:
    from azurite import Azurite

pytest_plugins = ["azurite"]


def test_a_key_and_a_signature(azurite: Azurite) -> None:
    name = azurite.container()
    by_key = ContainerClient.from_connection_string(azurite.connection_string, name)
    store = v2.ABSStore(prefix="/a//b/", client=by_key, dimension_separator="/")
    store["c/d"] = b"1"
    assert (store.prefix, store.container, store.account_name) == ("a/b", name, "devstoreaccount1")
    signature = generate_container_sas(
        azurite.account_name,
        name,
        account_key=azurite.account_key,
        permission="rl",
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    for client in (
        ContainerClient.from_container_url(f"{azurite.endpoint}/{name}?{signature}"),
        ContainerClient(azurite.endpoint, name, credential=signature),
        ContainerClient(azurite.endpoint, name, credential=AzureSasCredential(signature)),
    ):
        reader = v2.ABSStore(prefix="a", client=client)
        assert dict(reader) == {"b/c/d": b"1"}
        with pytest.raises(AccessDeniedError):
            reader["x"] = b"2"
        client.close()
    by_key.close()


def test_what_anybody_may_read(azurite: Azurite) -> None:
    name = azurite.container()
    with ContainerClient.from_connection_string(azurite.connection_string, name) as owner:
        owner.set_container_access_policy({}, public_access=PublicAccess.CONTAINER)
        v2.ABSStore(client=owner)["a"] = b"1"
    with ContainerClient(azurite.endpoint, name) as client:
        assert dict(v2.ABSStore(client=client)) == {"a": b"1"}


class TokenServer(HTTPServer):
    """Answers every request with one byte, and notes how it was authorised."""

    authorised: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.authorised.append(self.headers["Authorization"])
        self.send_response(200)
        for name, value in (
            ("Content-Length", "1"),
            ("ETag", '"1"'),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"1")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    with TokenServer(("127.0.0.1", 0), Handler) as server:
        server.authorised = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Credential:
    """As azure-identity has them."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("a-token", int(time.time()) + 3600)


def test_a_credential_with_tokens(token_server: TokenServer) -> None:
    address = f"https://127.0.0.1:{token_server.server_port}/account"
    credential: Any = Credential()
    with ContainerClient(address, "box", credential=credential) as client:
        client.scheme = "http"  # which it takes no tokens for
        assert v2.ABSStore(client=client)["a"] == b"1"
    assert token_server.authorised == ["Bearer a-token"]


def test_without_a_client() -> None:
    store = v2.ABSStore("box", "a", account_name="me", account_key="c2VjcmV0")
    assert store.url == "az://box/a"
    assert "c2VjcmV0" not in repr(store)
    emulated = v2.ABSStore("box", blob_service_kwargs={"is_emulated": True})
    assert emulated.container == "box"
    with pytest.raises(TypeError, match="container"):
        v2.ABSStore()
    with pytest.raises(TypeError, match="known"):
        v2.ABSStore("box", blob_service_kwargs={"max_retries": 1})
