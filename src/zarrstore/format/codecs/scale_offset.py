"""The ``scale_offset`` codec.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/scale_offset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ChunkSpec, take

__all__ = ["ScaleOffset"]

Array = np.ndarray[Any, Any]


class ScaleOffset(ArrayArrayCodec):
    """Store ``(element - offset) * scale``, in the data type of the array.

    Lossless for integers, which must stay in the range of the data type. `CastValue` after it
    stores the result in fewer bytes.

    Parameters
    ----------
    offset, scale : number or str, optional
        Values of the array's data type, as a fill value stands in metadata; 0 and 1 by default.

    Examples
    --------
    >>> ScaleOffset(offset=273.15, scale=100).to_dict()
    {'name': 'scale_offset', 'configuration': {'offset': 273.15, 'scale': 100}}
    """

    name = "scale_offset"

    def __init__(self, offset: Any = None, scale: Any = None) -> None:
        self.offset = _plain(offset)
        self.scale = _plain(scale)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> ScaleOffset:
        given = take(configuration, cls.name, "offset", "scale")
        for name, value in given.items():
            if value is None:
                raise MetadataError(f"codecs: scale_offset.{name} is null, not a number")
        return cls(**given)

    def configuration(self) -> dict[str, Any]:
        given = {"offset": self.offset, "scale": self.scale}
        return {name: value for name, value in given.items() if value is not None}

    def fitted(self, spec: ChunkSpec) -> ScaleOffset:
        if spec.dtype.kind not in "iufc":
            raise MetadataError(
                f"codecs: scale_offset is for numbers, and the elements are {spec.data_type.name}"
            )
        _, scale = self._values(spec)
        if scale == 0:
            raise MetadataError("codecs: scale_offset.scale must not be 0")
        return self

    def _values(self, spec: ChunkSpec) -> tuple[Any, Any]:
        """Return the offset and the scale as scalars of the data type."""
        given = {"offset": 0, "scale": 1, **self.configuration()}
        values = []
        for name, value in given.items():
            try:
                values.append(spec.data_type.cast_fill_value(value))
            except (MetadataError, TypeError) as error:
                raise MetadataError(
                    f"codecs: scale_offset.{name}: {value!r} is not a value of data type "
                    f"{spec.data_type.name}"
                ) from error
        return values[0], values[1]

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        fill_value = np.array([spec.fill_value], spec.dtype)
        try:
            encoded = self.encode(fill_value, spec)
            self.decode(encoded, spec)
        except (ValueError, CorruptDataError) as error:
            raise MetadataError(f"codecs: scale_offset of the fill value: {error}") from error
        return dataclasses.replace(spec, fill_value=encoded[0])

    def encode(self, chunk: Array, spec: ChunkSpec) -> Array:
        offset, scale = self._values(spec)
        if spec.dtype.kind in "fc":
            with np.errstate(all="ignore"):
                scaled: Array = (chunk.astype(spec.dtype, copy=False) - offset) * scale
            return scaled
        lowest, highest = int(chunk.min(initial=offset)), int(chunk.max(initial=offset))
        offset, scale = int(offset), int(scale)
        lowest, highest = lowest - offset, highest - offset
        _check_range((lowest, highest), spec, ValueError)
        _check_range((lowest * scale, highest * scale), spec, ValueError)
        # nothing leaves the range of the data type, so its own arithmetic is exact
        dtype = spec.dtype.type
        encoded: Array = (chunk.astype(spec.dtype, copy=False) - dtype(offset)) * dtype(scale)
        return encoded

    def decode(self, chunk: Array, spec: ChunkSpec) -> Array:
        offset, scale = self._values(spec)
        chunk = chunk.astype(spec.dtype, copy=False)
        if spec.dtype.kind in "fc":
            with np.errstate(all="ignore"):
                restored: Array = chunk / scale + offset
            return restored.astype(spec.dtype, copy=False)
        if not chunk.size:
            return chunk
        lowest, highest = int(chunk.min()), int(chunk.max())
        offset, scale = int(offset), int(scale)
        if scale != 1:
            dtype = spec.dtype.type
            if (chunk % dtype(scale)).any():
                raise CorruptDataError(
                    f"scale_offset data has elements that are no multiples of its scale, {scale}"
                )
            _check_range((lowest // scale, highest // scale), spec, CorruptDataError)
            chunk = chunk // dtype(scale)
            lowest, highest = sorted((lowest // scale, highest // scale))
        _check_range((lowest + offset, highest + offset), spec, CorruptDataError)
        decoded: Array = chunk + spec.dtype.type(offset)
        return decoded


def _plain(given: Any) -> Any:
    """Return a number as it stands in a metadata document."""
    value = given.item() if isinstance(given, np.generic) else given
    return [value.real, value.imag] if isinstance(value, complex) else value


def _check_range(values: tuple[int, int], spec: ChunkSpec, error: type[Exception]) -> None:
    limits = np.iinfo(spec.dtype)
    for value in values:
        if not limits.min <= value <= limits.max:
            raise error(
                f"scale_offset gives {value}, which is out of the range of {spec.data_type.name}, "
                f"{limits.min} to {limits.max}"
            )
