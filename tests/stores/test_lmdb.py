from __future__ import annotations

from pathlib import Path

import pytest
from zarrstore_testing import StoreTests

from zarrstore.stores.lmdb import LMDBStore


class TestLMDBStore(StoreTests):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.count = 0

    def make_store(self) -> LMDBStore:
        self.count += 1
        return LMDBStore(self.folder / f"{self.count}.lmdb")

    def allows_key(self, key: str) -> bool:
        return len(key.encode()) <= 511
