"""`ObjectStore` over Azure Blob Storage: an emulator of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from zarrstore_testing import StoreTests

from zarrstore import AccessDeniedError, ObjectStore, open_store

if TYPE_CHECKING:
    from azurite import Azurite

pytest_plugins = ["azurite"]


class TestObjectStoreOnAzure(StoreTests):
    many_keys = 120
    examples = 3

    @pytest.fixture(autouse=True)
    def place(self, azurite: Azurite) -> None:
        self.azurite = azurite
        self.container = azurite.container()

    def make_store(self) -> ObjectStore:
        return ObjectStore.from_url(
            f"az://{self.container}/{uuid.uuid4().hex}",
            {"connection_string": self.azurite.connection_string},
        )
