"""Codecs of numcodecs: what they write is what numcodecs and zarr-python read."""

from __future__ import annotations

import bz2
import json
import lzma
import struct
import subprocess
import sys
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr.codecs.numcodecs
import zfpy
from codec_helpers import (
    altered,
    check_damage,
    check_refused_cheaply,
    check_round_trip,
    pipeline_of,
    pipeline_of_document,
    read_by_zarr,
    same,
    spec_of,
    truncated,
    written_by_zarr,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrstore
from zarrstore.errors import CorruptDataError, MetadataError
from zarrstore.format.codecs.base import BytesBytesCodec, Codec
from zarrstore.format.codecs.blosc import Blosc
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.numcodecs import numcodecs_codec
from zarrstore.format.codecs.numcodecs_arrays import Filter
from zarrstore.format.codecs.numcodecs_bytes import Lz4, Zlib
from zarrstore.format.codecs.registry import codec_of
from zarrstore.format.codecs.vlen import VlenBytes, VlenUtf8
from zarrstore.format.codecs.zstd import Zstd

BYTES: list[tuple[str, dict[str, Any]]] = [
    ("adler32", {}),
    ("adler32", {"location": "end"}),
    ("blosc", {}),
    ("blosc", {"cname": "zstd", "clevel": 1, "shuffle": -1, "blocksize": 0}),
    ("bz2", {"level": 2}),
    ("crc32", {}),
    ("crc32", {"location": "end"}),
    ("crc32c", {}),
    ("crc32c", {"location": "start"}),
    ("fletcher32", {}),
    ("gzip", {"level": 2}),
    ("jenkins_lookup3", {}),
    ("jenkins_lookup3", {"initval": 5}),
    ("lz4", {}),
    ("lz4", {"acceleration": 4}),
    ("lzma", {}),
    ("lzma", {"format": 2, "preset": 1}),
    ("lzma", {"format": 3, "filters": [{"id": lzma.FILTER_LZMA2, "preset": 1}]}),
    ("shuffle", {"elementsize": 4}),
    ("shuffle", {"elementsize": 0}),
    ("zlib", {"level": 3}),
    ("zstd", {}),
    ("zstd", {"level": 3, "checksum": True}),
]
FILTERS: list[tuple[str, dict[str, Any], str]] = [
    ("delta", {"dtype": "<i4"}, "i4"),
    ("delta", {"dtype": "int64", "astype": "<i2"}, "i8"),
    ("fixedscaleoffset", {"offset": 2, "scale": 10, "dtype": "<f8", "astype": "<i2"}, "f8"),
    ("fixedscaleoffset", {"offset": 1.5, "scale": 4, "dtype": "<f4"}, "f4"),
    ("quantize", {"digits": 1, "dtype": "<f8"}, "f8"),
    ("quantize", {"digits": 1, "dtype": "<f8", "astype": "<f4"}, "f8"),
    ("bitround", {"keepbits": 3}, "f4"),
    ("bitround", {"keepbits": 52}, "f8"),
    ("astype", {"encode_dtype": "<f4", "decode_dtype": "<f8"}, "f8"),
    ("packbits", {}, "bool"),
]
SERIALIZERS: list[tuple[str, dict[str, Any]]] = [
    ("pcodec", {"level": 4}),
    ("zfpy", {"mode": zfpy.mode_fixed_accuracy, "tolerance": 1e-3}),
    ("zfpy", {"mode": zfpy.mode_fixed_rate, "rate": 12.0}),
    ("zfpy", {"mode": zfpy.mode_fixed_precision, "precision": 20}),
]
VALUES = np.cumsum(np.random.default_rng(0).integers(0, 9, 60)).reshape(6, 10)


def _theirs(id: str, configuration: dict[str, Any]) -> Any:
    return numcodecs.get_codec({**configuration, "id": id})


def _as_bytes(data: Any) -> bytes:
    return data.tobytes() if isinstance(data, np.ndarray) else bytes(data)


@pytest.mark.parametrize(("id", "configuration"), BYTES)
@pytest.mark.parametrize("size", [0, 4, 1000])
def test_bytes_both_ways(id: str, configuration: Any, size: int) -> None:
    ours, theirs = numcodecs_codec(id, configuration), _theirs(id, configuration)
    assert isinstance(ours, BytesBytesCodec)
    data = bytes(range(200)) * 5
    data = data[:size]
    encoded = bytes(ours.encode(memoryview(data)))
    assert len(encoded) <= ours.largest_encoded_size(size)
    assert ours.encoded_size(size) in (None, len(encoded))
    assert bytes(ours.decode(encoded, size, size)) == data
    assert bytes(ours.decode(bytearray(encoded), None, size)) == data
    out = bytearray(size)
    ours.decode_into(memoryview(encoded), memoryview(out))
    assert out == data
    if not size:  # of nothing, numcodecs makes mistakes
        return
    assert _as_bytes(theirs.decode(encoded)) == data
    encoded = _as_bytes(theirs.encode(data))
    assert bytes(ours.decode(encoded, size, size)) == data
    for limit in (size - 1, 1):
        with pytest.raises(CorruptDataError):
            ours.decode(encoded, None, limit)


@pytest.mark.parametrize(("id", "configuration"), BYTES)
def test_damaged_bytes(id: str, configuration: Any) -> None:
    pipeline = pipeline_of([Bytes(), numcodecs_codec(id, configuration)], (6, 4), "i4")
    values = np.ascontiguousarray(VALUES[:, :4], "i4")
    data = check_round_trip(pipeline, values)
    decoded = check_damage(pipeline, data)
    has_checksum = "32" in id or id == "jenkins_lookup3"
    assert not has_checksum or decoded == 0


@given(
    chosen=st.lists(st.sampled_from(BYTES), max_size=3),
    dtype=st.sampled_from(["i4", "f8", "u1", "M8[ns]"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_several(chosen: list[tuple[str, Any]], dtype: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 9, (4, 6)).astype(np.dtype(dtype))
    codecs = [numcodecs_codec(*pair) for pair in chosen if pair != ("shuffle", {"elementsize": 4})]
    pipeline = pipeline_of([Bytes(), *codecs], (4, 6), dtype)
    data = check_round_trip(pipeline, values)
    decoded: Any = data
    for codec in reversed(pipeline.codecs[1:]):
        configuration = codec.configuration()
        decoded = _theirs(codec.name.removeprefix("numcodecs."), configuration).decode(decoded)
    assert _as_bytes(decoded) == values.tobytes()


BOMB = bytes(2**26)


@pytest.mark.parametrize(
    ("id", "configuration", "bomb"),
    [
        ("zlib", {}, zlib.compress(BOMB)),
        ("bz2", {}, bz2.compress(b"") * 3 + bz2.compress(BOMB)),
        ("bz2", {}, bz2.compress(BOMB)),
        ("lzma", {}, lzma.compress(BOMB, preset=0)),
        ("lz4", {}, numcodecs.LZ4().encode(BOMB)),
        ("lz4", {}, struct.pack("<I", 2**31 - 2) + bytes(100)),
        ("blosc", {}, numcodecs.Blosc().encode(BOMB)),
        ("zstd", {}, numcodecs.Zstd().encode(BOMB)),
        ("gzip", {}, numcodecs.GZip().encode(BOMB)),
    ],
)
def test_bombs(id: str, configuration: Any, bomb: bytes) -> None:
    codec = numcodecs_codec(id, configuration)
    check_refused_cheaply(pipeline_of([Bytes(), codec], (6, 4), "i4"), bomb)
    check_refused_cheaply(pipeline_of([Bytes(), Zlib(), codec], (6, 4), "i4"), bomb)


def test_lz4_that_claims_more_than_there_is() -> None:
    pipeline = pipeline_of([VlenUtf8(), Lz4()], (4,), str)
    check_refused_cheaply(pipeline, struct.pack("<I", 2**31 - 2) + bytes(2000))


@pytest.mark.parametrize(("id", "configuration", "dtype"), FILTERS)
@pytest.mark.parametrize("compressor", [None, Zstd(), Blosc("lz4")], ids=repr)
def test_filters(id: str, configuration: Any, dtype: str, compressor: Any) -> None:
    values = (VALUES / (3 if "f" in dtype else 1)).astype(dtype)
    codecs = [numcodecs_codec(id, configuration), Bytes()]
    pipeline = pipeline_of(codecs + [compressor] * (compressor is not None), (6, 10), dtype)
    theirs = _theirs(id, configuration)
    encoded = theirs.encode(values)
    expected = np.asarray(theirs.decode(encoded)).reshape(values.shape)
    data = bytes(pipeline.encode(values))
    assert same(pipeline.decode(data), expected)
    out = np.empty_like(values)
    pipeline.decode_into(data, out)
    assert same(out, expected)
    if compressor is None:
        assert data == np.asarray(encoded).tobytes()
        check_damage(pipeline, data)


@pytest.mark.parametrize(
    ("id", "configuration", "dtype"),
    # zarr-python does not know that these change the size of elements
    [pair for pair in FILTERS if pair[0] != "quantize" or "astype" not in pair[1]],
)
def test_filters_between_versions(tmp_path: Path, id: str, configuration: Any, dtype: str) -> None:
    values = (VALUES / (3 if "f" in dtype else 1)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {
            cls.codec_name: cls
            for cls in vars(zarr.codecs.numcodecs).values()
            if hasattr(cls, "codec_name") and cls.codec_name
        }
        theirs = names[f"numcodecs.{id}"](**configuration)
        metadata, data = written_by_zarr(tmp_path, values, filters=theirs, compressors=None)
        expected = read_by_zarr(tmp_path)
    pipeline = pipeline_of_document(metadata, values.shape)
    assert same(pipeline.decode(data), expected)
    assert bytes(pipeline.encode(values)) == data
    assert codec_of(theirs).to_dict()["name"] == theirs.to_dict()["name"]


@pytest.mark.parametrize(("id", "configuration"), [*BYTES, *SERIALIZERS])
def test_bytes_between_versions(tmp_path: Path, id: str, configuration: Any) -> None:
    values = VALUES.astype("f4" if id == "zfpy" else "i4")
    codec = numcodecs_codec(id, configuration)
    named: Any = codec.to_dict()
    if isinstance(codec, BytesBytesCodec):
        options = {"compressors": [named]}
    else:
        options = {"serializer": named, "compressors": None}
    metadata, data = written_by_zarr(tmp_path, values, **options)
    expected = read_by_zarr(tmp_path)
    pipeline = pipeline_of_document(metadata, values.shape)
    assert same(pipeline.decode(data), expected)
    (tmp_path / "c/0/0").write_bytes(bytes(pipeline.encode(values)))
    assert same(read_by_zarr(tmp_path), expected)
    assert json.dumps(metadata["codecs"])


def test_codecs_without_configuration_between_versions(tmp_path: Path) -> None:
    values = VALUES % 2 == 0
    zarrstore.create_array(
        tmp_path / "a",
        data=values,
        filters="numcodecs.packbits",
        compressors=["numcodecs.fletcher32", "numcodecs.crc32"],
    ).close()
    assert same(read_by_zarr(tmp_path / "a"), values)


@pytest.mark.parametrize(("id", "configuration"), SERIALIZERS)
@pytest.mark.parametrize("shape", [(7,), (5, 6), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8"])
def test_serializers(id: str, configuration: Any, shape: tuple[int, ...], dtype: str) -> None:
    if id == "zfpy" and "i" in dtype and configuration["mode"] != zfpy.mode_fixed_precision:
        configuration = {"mode": zfpy.mode_fixed_rate, "rate": 12.0}
    values = VALUES.reshape(-1)[: np.prod(shape)].reshape(shape).astype(dtype)
    pipeline = pipeline_of([numcodecs_codec(id, configuration), Crc32c()], shape, dtype)
    data = bytes(pipeline.encode(values))
    theirs = np.asarray(_theirs(id, configuration).decode(data[:-4])).reshape(shape)
    assert same(pipeline.decode(data), theirs)


def test_damaged_numbers_of_pcodec() -> None:
    pipeline = pipeline_of([numcodecs_codec("pcodec", {})], (6, 10), "i4")
    data = check_round_trip(pipeline, VALUES.astype("i4"))
    for damaged in truncated(data):
        with pytest.raises(CorruptDataError):
            pipeline.decode(damaged)
    for damaged in altered(data):
        with suppress(CorruptDataError):
            assert pipeline.decode(damaged).shape == (6, 10)
    for other in (VALUES[:5].astype("i4"), VALUES.astype("i8"), np.arange(61, dtype="i4")):
        encoded = bytes(_theirs("pcodec", {}).encode(other))
        with pytest.raises(CorruptDataError, match="pcodec"):
            pipeline.decode(encoded)


@pytest.mark.parametrize(("id", "configuration"), SERIALIZERS[1:])
def test_damaged_numbers_of_zfp(id: str, configuration: Any) -> None:
    pipeline = pipeline_of([numcodecs_codec(id, configuration)], (6, 10), "f4")
    data = bytes(pipeline.encode(VALUES.astype("f4")))
    for damaged in (*truncated(data), *altered(data)):
        with suppress(CorruptDataError):
            assert pipeline.decode(damaged).shape == (6, 10)
    for other in (VALUES.T.astype("f4"), VALUES.astype("f8"), VALUES[0].astype("f4")):
        encoded = bytes(_theirs(id, configuration).encode(np.ascontiguousarray(other)))
        with pytest.raises(CorruptDataError, match="and the chunk of shape"):
            pipeline.decode(encoded)


def test_what_is_filled_in() -> None:
    spec = spec_of((4, 6), "i4")
    for id, given_, filled in [
        ("delta", {}, {"dtype": "<i4"}),
        ("astype", {"encode_dtype": "i8"}, {"encode_dtype": "<i8", "decode_dtype": "<i4"}),
        ("shuffle", {}, {"elementsize": 4}),
        ("fixedscaleoffset", {"offset": 1, "scale": 2}, {"offset": 1, "scale": 2, "dtype": "<i4"}),
    ]:
        assert numcodecs_codec(id, given_).fitted(spec).configuration() == filled
    automatic = numcodecs_codec("blosc", {"shuffle": -1})
    for dtype, typesize, shuffle in [("u1", 1, "bitshuffle"), ("f8", 8, "shuffle")]:
        fitted: Any = automatic.fitted(spec_of((4,), dtype))
        assert (fitted.typesize, fitted.shuffle) == (typesize, shuffle)
        assert fitted.configuration()["shuffle"] == -1
        assert fitted.to_dict()["name"] == "numcodecs.blosc"


def test_a_filter_that_looks_at_times_as_integers() -> None:
    values = np.array(["2020-01-01", "2020-01-03", "NaT"], "M8[s]")
    pipeline = pipeline_of([numcodecs_codec("delta", {"dtype": "<i8"}), Bytes()], (3,), "M8[s]")
    data = check_round_trip(pipeline, values)
    assert data == numcodecs.Delta("<i8").encode(values.view("i8")).tobytes()


def test_a_filter_that_looks_at_halves_of_elements() -> None:
    pipeline = pipeline_of([numcodecs_codec("delta", {"dtype": "<i2"}), Bytes()], (2, 3), "i4")
    data = check_round_trip(pipeline, np.arange(6, dtype="i4").reshape(2, 3))
    assert len(data) == 24
    with pytest.raises(MetadataError, match=r"takes elements of 8 bytes .* has 12 bytes"):
        pipeline_of([numcodecs_codec("delta", {"dtype": "<i8"}), Bytes()], (3,), "i4")


def test_unused_bits_that_lie() -> None:
    pipeline = pipeline_of([numcodecs_codec("packbits", {}), Bytes(None)], (10,), "bool")
    data = bytearray(pipeline.encode(np.ones(10, bool)))
    assert data[0] == 6
    for unused in (0, 5, 7, 255):
        with pytest.raises(CorruptDataError, match=f"has {unused} unused bits where 6"):
            pipeline.decode(bytes([unused]) + data[1:])


@pytest.mark.parametrize(
    ("id", "configuration", "dtype", "message"),
    [
        ("pickle", {}, "i4", "numcodecs.pickle is never used"),
        ("nothing", {}, "i4", "unknown codec 'numcodecs.nothing'; known are numcodecs.adler32"),
        ("zlib", {"level": 10}, "i4", "numcodecs.zlib.level is from -1 to 9, not 10"),
        ("zlib", {"level": True}, "i4", "numcodecs.zlib.level"),
        ("zlib", {"speed": 1}, "i4", "numcodecs.zlib has no configuration speed"),
        ("bz2", {"level": 0}, "i4", "numcodecs.bz2.level is from 1 to 9, not 0"),
        ("lzma", {"format": 0}, "i4", "numcodecs.lzma.format is from 1 to 3, not 0"),
        ("lzma", {"format": 3}, "i4", "numcodecs.lzma: Must specify filters"),
        ("lzma", {"filters": [{"id": 99}]}, "i4", "numcodecs.lzma: "),
        ("lzma", {"preset": "9"}, "i4", "numcodecs.lzma.preset"),
        ("lz4", {"acceleration": "1"}, "i4", "numcodecs.lz4.acceleration"),
        ("gzip", {"level": 12}, "i4", "numcodecs.gzip.level"),
        ("zstd", {"level": "1"}, "i4", "zstd.level"),
        ("blosc", {"shuffle": 3}, "i4", "numcodecs.blosc.shuffle is from -1 to 2, not 3"),
        ("blosc", {"cname": "lzo"}, "i4", "blosc.cname is one of"),
        ("crc32", {"location": "middle"}, "i4", "numcodecs.crc32.location is 'start' or 'end'"),
        ("fletcher32", {"location": "end"}, "i4", "numcodecs.fletcher32 has no configuration"),
        ("jenkins_lookup3", {"prefix": [300]}, "i4", "prefix is a list of bytes"),
        ("shuffle", {"elementsize": -1}, "i4", "numcodecs.shuffle.elementsize"),
        ("delta", {"dtype": "x"}, "i4", "numcodecs.delta.dtype: 'x' is no dtype"),
        ("delta", {"dtype": "O"}, "i4", "numcodecs.delta.dtype: 'O' has no size"),
        ("delta", {"dtype": "<i4"}, str, "numcodecs.delta cannot encode string"),
        ("delta", {"dtype": "S4"}, "i4", "numcodecs.delta of |S4: "),
        ("fixedscaleoffset", {}, "f4", "numcodecs.fixedscaleoffset: .*missing"),
        ("quantize", {"digits": 1}, "i4", "only floating point"),
        ("bitround", {"keepbits": -1}, "f4", "keepbits must be zero or positive"),
        ("bitround", {"keepbits": 24}, "f4", "numcodecs.bitround of float32: Keepbits too large"),
        ("bitround", {"keepbits": 3}, "i4", "numcodecs.bitround of int32: Only float arrays"),
        ("bitround", {}, "f4", "numcodecs.bitround: .*missing"),
        ("packbits", {}, "i4", "numcodecs.packbits is for booleans, and the elements are int32"),
        ("zfpy", {"mode": 4}, "i2", "numcodecs.zfpy cannot encode chunks of int16 in 1 dim"),
        ("zfpy", {"mode": 4}, str, "numcodecs.zfpy cannot encode string"),
        ("pcodec", {"level": "x"}, "i4", "numcodecs.pcodec cannot encode chunks of int32"),
        ("pcodec", {"nothing": 1}, "i4", "numcodecs.pcodec: .*unexpected"),
    ],
)
def test_what_is_not_valid(id: str, configuration: Any, dtype: Any, message: str) -> None:
    with pytest.raises(MetadataError, match=f"codecs: .*{message}".replace("|", r"\|")):
        _compile(id, configuration, dtype)


def _compile(id: str, configuration: Any, dtype: Any) -> None:
    codec = numcodecs_codec(id, configuration)
    if isinstance(codec, BytesBytesCodec):
        pipeline_of([Bytes(), codec], (2,), dtype)
    elif isinstance(codec, Filter):
        pipeline_of([codec, Bytes()], (2,), dtype)
    else:
        pipeline_of([codec], (2,), dtype)


def test_a_package_that_is_not_installed() -> None:
    asks = """
import sys

sys.modules["pcodec"] = None
from zarrstore.format.codecs.registry import codec_of

codec_of("numcodecs.pcodec")
"""
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert "numcodecs has no codec 'pcodec'; install the package pcodec" in done.stderr


def test_a_shuffle_of_what_is_no_elements() -> None:
    codec = numcodecs_codec("shuffle", {"elementsize": 4})
    pipeline = pipeline_of([Bytes(), codec], (3,), "u1")
    with pytest.raises(ValueError, match=r"takes elements of 4 bytes, and the chunk has 3"):
        pipeline.encode(np.arange(3, dtype="u1"))
    with pytest.raises(CorruptDataError, match="3 bytes, no multiple of 4"):
        pipeline.decode(b"abc")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (numcodecs.Zstd(3), Zstd(3)),
        (numcodecs.Zstd(25), Zstd(22)),
        (numcodecs.GZip(2), Gzip(2)),
        (numcodecs.Blosc("zstd", 3, 2, 9), Blosc("zstd", 3, "bitshuffle", None, 9)),
        (numcodecs.Blosc("lz4", 1, -1), Blosc("lz4", 1, None)),
        (numcodecs.checksum32.CRC32C(), Crc32c()),
        (numcodecs.VLenUTF8(), VlenUtf8()),
        (numcodecs.VLenBytes(), VlenBytes()),
        (numcodecs.BZ2(3), numcodecs_codec("bz2", {"level": 3})),
        (numcodecs.LZMA(), numcodecs_codec("lzma", {})),
        (numcodecs.Delta("i4"), numcodecs_codec("delta", {"dtype": "<i4", "astype": "<i4"})),
        (numcodecs.JenkinsLookup3(), numcodecs_codec("jenkins_lookup3", {})),
    ],
)
def test_objects_of_numcodecs(given_: Any, expected: Codec) -> None:
    found = codec_of(given_)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, Blosc) and isinstance(expected, Blosc):
        assert found.shuffle == expected.shuffle
    if not isinstance(found, Filter):
        assert codec_of(json.loads(json.dumps(found.to_dict()))).name == found.name


def test_objects_of_numcodecs_that_are_refused() -> None:
    with pytest.raises(MetadataError, match="never used"):
        codec_of(numcodecs.Pickle())
    with pytest.raises(MetadataError, match=r"unknown codec 'numcodecs.json2'"):
        codec_of(numcodecs.JSON())
