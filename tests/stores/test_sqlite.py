from __future__ import annotations

from pathlib import Path

import pytest
from zarrstore_testing import StoreTests

from zarrstore.stores.sqlite import SQLiteStore


class TestSQLiteStore(StoreTests):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.count = 0

    def make_store(self) -> SQLiteStore:
        self.count += 1
        return SQLiteStore(self.folder / f"{self.count}.db")
