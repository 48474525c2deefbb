"""What the tests of codecs share: pipelines, damage, and chunks that zarr-python has written."""

from __future__ import annotations

import json
import tracemalloc
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.base import ChunkSpec, Codec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codecs_of
from zarrstore.format.data_types.registry import data_type_for, data_type_of
from zarrstore.format.documents import Extension, extension


def spec_of(shape: tuple[int, ...], dtype: Any) -> ChunkSpec:
    data_type = data_type_for(dtype)
    return ChunkSpec(shape, data_type, data_type.default_fill_value())


def pipeline_of(codecs: Iterable[Codec], shape: tuple[int, ...], dtype: Any) -> CodecPipeline:
    return CodecPipeline(codecs, spec_of(shape, dtype))


def same(first: Any, second: Any) -> bool:
    """Tell whether arrays are equal, NaN and arrays of arrays included."""
    a, b = np.asarray(first), np.asarray(second)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "OT" or b.dtype.kind in "OT":
        pairs = zip(a.astype(object).flat, b.astype(object).flat, strict=True)
        return all(np.array_equal(p, q) if isinstance(p, np.ndarray) else p == q for p, q in pairs)
    if a.dtype.names:
        return all(same(a[name], b[name]) for name in a.dtype.names)
    return np.array_equal(a.astype(b.dtype), b, equal_nan=a.dtype.kind in "fcmM")


def check_round_trip(pipeline: CodecPipeline, values: np.ndarray[Any, Any]) -> bytes:
    """Encode and decode a chunk in every way there is; return its bytes."""
    data = bytes(pipeline.encode(values))
    assert same(pipeline.decode(data), values)
    out = np.empty(pipeline.shape, pipeline.dtype)
    pipeline.decode_into(data, out)
    assert same(out, values)
    for chunk in pipeline.decode_many([memoryview(data), bytearray(data)]):
        assert same(chunk, values)
    assert pipeline.encoded_size in (None, len(data))
    assert len(data) <= pipeline.largest_encoded_size
    return data


def truncated(data: bytes) -> Iterator[bytes]:
    for size in range(len(data)):
        yield data[:size]


def altered(data: bytes) -> Iterator[bytes]:
    """Return data with one byte altered, each of them in a few ways."""
    for index in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            yield data[:index] + bytes([data[index] ^ change]) + data[index + 1 :]


def check_damage(pipeline: CodecPipeline, data: bytes) -> int:
    """Look that cut data is refused, and altered data refused or decoded; return how much was."""
    for damaged in (*truncated(data), data * 2):
        with pytest.raises(CorruptDataError):
            pipeline.decode(damaged)
    decoded = 0
    for damaged in altered(data):
        try:
            chunk = pipeline.decode(damaged)
        except CorruptDataError:
            continue
        assert chunk.shape == pipeline.shape
        decoded += 1
    return decoded


def check_refused_cheaply(pipeline: CodecPipeline, bomb: bytes, most: int = 2**23) -> None:
    tracemalloc.start()
    with pytest.raises(CorruptDataError):
        pipeline.decode(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most


def written_by_zarr(
    path: Path, values: np.ndarray[Any, Any], **options: Any
) -> tuple[dict[str, Any], bytes]:
    """Return the metadata and the one chunk of an array that zarr-python writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a codec is in no specification
        array = zarr.create_array(
            path, shape=values.shape, chunks=values.shape, dtype=values.dtype, **options
        )
        array[...] = values
    if options.get("zarr_format") == 2:
        name = ".".join(["0"] * max(1, values.ndim))
        return json.loads((path / ".zarray").read_text()), (path / name).read_bytes()
    name = "/".join(["c", *["0"] * values.ndim])
    return json.loads((path / "zarr.json").read_text()), (path / name).read_bytes()


def read_by_zarr(path: Path) -> Any:
    """Return what zarr-python reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zarr.open_array(path, mode="r")[...]


def _named(member: Any) -> Extension:
    return extension(member if isinstance(member, str) else Extension(**member))


def pipeline_of_document(metadata: dict[str, Any], shape: tuple[int, ...]) -> CodecPipeline:
    """Return the pipeline of the metadata of an array of Zarr v3."""
    named = _named(metadata["data_type"])
    data_type = data_type_of(named.name, named.configuration)
    fill_value = data_type.decode_fill_value(metadata["fill_value"])
    codecs = codecs_of([_named(member) for member in metadata["codecs"]])
    return CodecPipeline(codecs, ChunkSpec(shape, data_type, fill_value))
