"""Operations on an array, written once: coroutines that run in its store's home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zarrstore.chunks import Progress, read_chunks, write_chunks
from zarrstore.errors import ReadOnlyError
from zarrstore.format.array_spec import ArraySpec
from zarrstore.format.documents import ArrayDocument
from zarrstore.format.indexing import basic_selection
from zarrstore.hierarchy.nodes import NodeCore

__all__ = ["ArrayCore"]


@dataclass(eq=False)
class ArrayCore(NodeCore):
    """An array in a store."""

    document: ArrayDocument
    spec: ArraySpec
    write_empty_chunks: bool = False

    async def read(
        self, selection: Any = ..., out: Any = None, progress: Progress | None = None
    ) -> Any:
        """Return a selection as a numpy array, or a scalar where every index is an integer."""
        wanted = basic_selection(selection, self.spec.shape)
        if out is None:
            result = np.empty(wanted.shape, self.spec.dtype)
        else:
            result = _checked_out(out, wanted.shape)
        await read_chunks(self.store, self.path, self.spec, wanted, result, progress)
        return result[()] if wanted.is_element and out is None else result

    async def write(self, selection: Any, value: Any, progress: Progress | None = None) -> None:
        """Write a value, broadcast to the shape of the selection."""
        wanted = basic_selection(selection, self.spec.shape)
        if self.store.read_only:
            raise ReadOnlyError(
                f"{self.url} was opened read-only; open it with mode 'r+' or 'a' to write",
                store=self.store.url,
                key=self.path,
            )
        await write_chunks(
            self.store,
            self.path,
            self.spec,
            wanted,
            self.values(value, wanted.shape),
            progress,
            self.write_empty_chunks,
        )

    def values(self, value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Return a value as numbers that can be written, broadcast to a shape."""
        known = isinstance(value, np.ndarray | np.generic)  # else numpy would cast dates as well
        array = np.asarray(value) if known else np.asarray(value, self.spec.dtype)
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"cannot write values of {array.dtype} to an array of {self.spec.dtype}"
            )
        full = array
        while full.ndim > len(shape) and full.shape[0] == 1:
            full = full[0]  # as numpy does in an assignment
        try:
            return np.broadcast_to(full, shape)
        except ValueError:
            raise ValueError(
                f"could not broadcast a value of shape {array.shape} into the selection's "
                f"shape {shape}"
            ) from None


def _checked_out(out: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a numpy array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, and the selection {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    return out
