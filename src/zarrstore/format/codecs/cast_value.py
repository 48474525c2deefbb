"""The ``cast_value`` codec.

Follows https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/cast_value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import ArrayArrayCodec, ChunkSpec, take
from zarrstore.format.codecs.casting import OUT_OF_RANGE, ROUNDING, CastError, cast_values
from zarrstore.format.data_types.base import DataType
from zarrstore.format.data_types.registry import data_type_for, data_type_of

__all__ = ["CastValue"]

Array = np.ndarray[Any, Any]
Rounding = Literal[
    "nearest-even", "towards-zero", "towards-positive", "towards-negative", "nearest-away"
]


class CastValue(ArrayArrayCodec):
    """Store the elements as numbers of another data type.

    Parameters
    ----------
    data_type : str, dict or dtype
        An integer or a float, by its name in metadata or as numpy takes it.
    rounding : str, default "nearest-even"
        What becomes of a number that the other type has not: ``"nearest-even"``,
        ``"nearest-away"``, ``"towards-zero"``, ``"towards-positive"`` or ``"towards-negative"``.
    out_of_range : {None, "clamp", "wrap"}
        What becomes of a rounded number out of the other type's range: an error, its nearest
        value (for floats infinity), or the value modulo 2**bits (for integers only).
    scalar_map : dict, optional
        ``{"encode": [[element, stored], ...], "decode": [[stored, element], ...]}``: what
        becomes of these values, before any other rule. Values are as fill values in metadata.

    Examples
    --------
    >>> codec = CastValue("uint8", scalar_map={"encode": [["NaN", 0]], "decode": [[0, "NaN"]]})
    >>> codec.configuration()["data_type"]
    'uint8'
    """

    name = "cast_value"

    def __init__(
        self,
        data_type: Any,
        rounding: Rounding = "nearest-even",
        out_of_range: Literal["clamp", "wrap"] | None = None,
        scalar_map: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        self.data_type = _data_type(data_type)
        kind = self.data_type.dtype.kind
        if kind not in "iuf":
            raise MetadataError(
                "codecs: cast_value.data_type is an integer or a float, not "
                f"{self.data_type.name!r}"
            )
        if rounding not in ROUNDING:
            raise MetadataError(
                f"codecs: cast_value.rounding is one of {ROUNDING}, not {rounding!r}"
            )
        if out_of_range is not None and out_of_range not in OUT_OF_RANGE:
            raise MetadataError(
                f"codecs: cast_value.out_of_range is one of {OUT_OF_RANGE}, or missing, not "
                f"{out_of_range!r}"
            )
        if out_of_range == "wrap" and kind == "f":
            raise MetadataError(
                "codecs: cast_value.out_of_range is 'wrap', which is for integers, and "
                f"data_type is {self.data_type.name}"
            )
        self.rounding = rounding
        self.out_of_range = out_of_range
        self.scalar_map = _plain_map(scalar_map)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> CastValue:
        names = ("data_type", "rounding", "out_of_range", "scalar_map")
        given = take(configuration, cls.name, *names)
        if "data_type" not in given:
            raise MetadataError("codecs: cast_value.data_type is missing")
        return cls(**{**given, "data_type": _named_data_type(given["data_type"])})

    def configuration(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {"data_type": self.data_type.to_metadata()}
        if self.rounding != "nearest-even":
            configuration["rounding"] = self.rounding
        if self.out_of_range is not None:
            configuration["out_of_range"] = self.out_of_range
        if self.scalar_map:
            configuration["scalar_map"] = self.scalar_map
        return configuration

    def fitted(self, spec: ChunkSpec) -> CastValue:
        if spec.dtype.kind not in "iuf":
            raise MetadataError(
                "codecs: cast_value is for integers and floats, and the elements are "
                f"{spec.data_type.name}"
            )
        self._map("encode", spec.data_type, self.data_type)
        self._map("decode", self.data_type, spec.data_type)
        return self

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        try:
            stored = self.encode(np.array([spec.fill_value], spec.dtype), spec)
            self.decode(stored, spec)
        except (ValueError, CorruptDataError) as error:
            raise MetadataError(f"codecs: cast_value of the fill value: {error}") from error
        return ChunkSpec(spec.shape, self.data_type, stored[0])

    def encode(self, chunk: Array, spec: ChunkSpec) -> Array:
        mapped = self._map("encode", spec.data_type, self.data_type)
        try:
            return self._cast(chunk.astype(spec.dtype, copy=False), self.data_type.dtype, mapped)
        except CastError as error:
            raise ValueError(f"cast_value to {self.data_type.name}: {error}") from None

    def decode(self, chunk: Array, spec: ChunkSpec) -> Array:
        mapped = self._map("decode", self.data_type, spec.data_type)
        chunk = chunk.astype(self.data_type.dtype, copy=False)
        try:
            return self._cast(chunk, spec.dtype, mapped)
        except CastError as error:
            raise CorruptDataError(
                f"cast_value from {self.data_type.name} to {spec.data_type.name}: {error}"
            ) from None

    def _cast(self, values: Array, dtype: np.dtype[Any], mapped: list[tuple[Any, Any]]) -> Array:
        found: list[tuple[Array, Any]] = []
        for key, value in mapped:
            same = np.isnan(values) if key != key else values == key
            if same.any():
                found.append((same, value))
        if found:
            # 0 is a value of any type, and stands where the map has the last word
            values = np.where(
                np.logical_or.reduce([same for same, _ in found]), values.dtype.type(0), values
            )
        # wrapping is for integers; nothing else can be meant when a float is read back
        out_of_range = self.out_of_range
        if out_of_range == "wrap" and dtype.kind == "f":
            out_of_range = None
        result = cast_values(values, dtype, self.rounding, out_of_range)
        if found:
            result = result.copy() if result is values else result
            for same, value in reversed(found):  # the first of several has the last word
                result[same] = value
        return result

    def _map(self, direction: str, source: DataType, target: DataType) -> list[tuple[Any, Any]]:
        """Return the scalar map of a direction as scalars of the data types."""
        pairs = self.scalar_map.get(direction, [])
        place = f"scalar_map.{direction}"
        return [
            (_scalar(key, source, place), _scalar(value, target, place)) for key, value in pairs
        ]


def _data_type(given: Any) -> DataType:
    try:
        return data_type_for(given)
    except TypeError as error:
        raise MetadataError(f"codecs: cast_value.data_type: {error}") from error


def _named_data_type(given: Any) -> DataType:
    """Return a data type of a metadata document."""
    if isinstance(given, str):
        return data_type_of(given, {})
    configuration = given.get("configuration", {}) if isinstance(given, Mapping) else None
    if not isinstance(configuration, Mapping) or not isinstance(given.get("name"), str):
        raise MetadataError(
            f"codecs: cast_value.data_type is a name, or one with a configuration, not {given!r}"
        )
    return data_type_of(given["name"], configuration)


def _plain_map(given: Any) -> dict[str, list[list[Any]]]:
    """Return a scalar map as it stands in a metadata document."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not set(given) <= {"encode", "decode"}:
        raise MetadataError(
            f"codecs: cast_value.scalar_map has 'encode' and 'decode' at most, not {given!r}"
        )
    plain = {}
    for direction, pairs in given.items():
        listed = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
        for pair in listed:
            if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise MetadataError(
                    f"codecs: cast_value.scalar_map.{direction} is a list of pairs, and has "
                    f"{pair!r}"
                )
        plain[direction] = [[_plain(value) for value in pair] for pair in listed]
    return plain


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _scalar(value: Any, data_type: DataType, place: str) -> Any:
    # the specification's own example has a plus sign, which fill values have not
    plain = "Infinity" if value == "+Infinity" else value
    try:
        return data_type.decode_fill_value(plain)
    except MetadataError:
        raise MetadataError(
            f"codecs: cast_value.{place}: {value!r} is not a value of data type {data_type.name}"
        ) from None
