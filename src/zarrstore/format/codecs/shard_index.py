"""`ShardIndex`: where the inner chunks of a shard are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ShardIndex"]


class ShardIndex:
    """Where the inner chunks of a shard are: of each, in C order, its span or ``None``.

    Parameters
    ----------
    starts, ends : numpy.ndarray of int
        Of each inner chunk the first byte in the shard and the one after its last; of one that
        is missing a negative number.
    is_full : bool
        Whether no inner chunk is missing.
    """

    __slots__ = ("ends", "is_full", "starts")

    def __init__(
        self, starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any], is_full: bool
    ) -> None:
        self.starts = starts
        self.ends = ends
        self.is_full = is_full

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> tuple[int, int] | None:
        start = int(self.starts[number])
        return None if start < 0 else (start, int(self.ends[number]))

    def spans(self, numbers: Any = ...) -> list[tuple[int, int] | None]:
        """Return the spans of some inner chunks: numbers, or a slice of them; of all by default."""
        pairs = zip(self.starts[numbers].tolist(), self.ends[numbers].tolist(), strict=True)
        return list(pairs) if self.is_full else [None if p[0] < 0 else p for p in pairs]
