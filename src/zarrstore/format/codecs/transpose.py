"""The ``transpose`` codec.

Follows https://zarr-specs.readthedocs.io/en/latest/v3/codecs/transpose/index.html.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ChunkSpec, take

__all__ = ["Transpose"]


class Transpose(ArrayArrayCodec):
    """Store the dimensions of a chunk in another order.

    Parameters
    ----------
    order : sequence of int, or {"C", "F"}
        The dimension of the chunk that each stored dimension is: ``(2, 0, 1)`` stores the last
        one first. ``"F"`` is all of them reversed, ``"C"`` as they are: early drafts of Zarr v3
        had these names, and they are read, and written as numbers.

    Examples
    --------
    >>> Transpose((2, 0, 1)).to_dict()
    {'name': 'transpose', 'configuration': {'order': [2, 0, 1]}}
    """

    name = "transpose"

    def __init__(self, order: Sequence[int] | Literal["C", "F"]) -> None:
        self.order: tuple[int, ...] | str
        if isinstance(order, str) and order in ("C", "F"):
            self.order = order
            return
        try:
            if isinstance(order, str) or any(isinstance(item, bool) for item in order):
                raise TypeError
            self.order = tuple(operator.index(item) for item in order)
        except TypeError:
            raise MetadataError(
                f"codecs: transpose.order is a list of integers, not {order!r}"
            ) from None
        if sorted(self.order) != list(range(len(self.order))):
            raise MetadataError(
                f"codecs: transpose.order has each of 0 to {max(0, len(self.order) - 1)} once, "
                f"and is {list(self.order)}"
            )

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Transpose:
        given = take(configuration, cls.name, "order")
        if "order" not in given:
            raise MetadataError("codecs: transpose.order is missing")
        return cls(given["order"])

    def configuration(self) -> dict[str, Any]:
        return {"order": self.order if isinstance(self.order, str) else list(self.order)}

    def fitted(self, spec: ChunkSpec) -> Transpose:
        dimensions = range(len(spec.shape))
        if isinstance(self.order, str):
            return Transpose(dimensions if self.order == "C" else dimensions[::-1])
        if len(self.order) != len(dimensions):
            raise MetadataError(
                f"codecs: transpose.order has {len(self.order)} dimensions, and the chunks have "
                f"{len(dimensions)}: {list(self.order)} and {list(spec.shape)}"
            )
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        return dataclasses.replace(spec, shape=tuple(spec.shape[axis] for axis in self._axes(spec)))

    def encode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        return chunk.transpose(self._axes(spec))

    def decode(self, chunk: np.ndarray[Any, Any], spec: ChunkSpec) -> np.ndarray[Any, Any]:
        axes = self._axes(spec)
        return chunk.transpose([axes.index(axis) for axis in range(len(axes))])

    def _axes(self, spec: ChunkSpec) -> tuple[int, ...]:
        order = self.fitted(spec).order
        assert not isinstance(order, str)
        return order
