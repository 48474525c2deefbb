from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from zarrstore_testing import StoreTests

from zarrstore.abc import Store
from zarrstore.stores._dbm import FLAVOURS
from zarrstore.stores.dbm import DBMStore


def is_there(flavour: str) -> bool:
    try:
        importlib.import_module(f"dbm.{flavour}")
    except ImportError:
        return False
    return True


HERE = [flavour for flavour in FLAVOURS if is_there(flavour)]


@pytest.fixture(params=HERE)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestDBMStore(StoreTests):
    many_keys = 300

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, flavour: str) -> None:
        self.folder = tmp_path
        self.flavour = flavour
        self.count = 0

    def make_store(self) -> DBMStore:
        self.count += 1
        return DBMStore(self.folder / f"{self.count}.dbm", open=self.flavour)

    def reopen(self, store: Store) -> DBMStore:
        opened: Any = store
        return DBMStore(opened.path, open=self.flavour)
