"""The database servers of a test session, and names in them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from daemons import Secantus, Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def secantus() -> Iterator[Secantus]:
    with Secantus() as server:
        yield server


@pytest.fixture
def fresh() -> str:
    """A name that no other test has."""
    return uuid.uuid4().hex
