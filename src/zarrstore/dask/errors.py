"""What is raised before a write begins."""

from __future__ import annotations

from typing import Any

from zarrstore.errors import ZarrStoreError

__all__ = ["AlignmentError"]


class AlignmentError(ZarrStoreError, ValueError):
    """Blocks share chunks or shards, and ``align="error"`` forbids it; `plan` tells which."""

    def __init__(
        self,
        message: str,
        *,
        store: str | None = None,
        key: str | None = None,
        plan: Any = None,
    ) -> None:
        super().__init__(message, store=store, key=key)
        self.plan = plan

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "plan": self.plan}
