"""Codecs by name: what is known, what other packages add, and what need not be understood."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr.codecs
from codec_helpers import pipeline_of

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.bytes import Bytes
from zarrstore.format.codecs.cast_value import CastValue
from zarrstore.format.codecs.crc32c import Crc32c
from zarrstore.format.codecs.gzip import Gzip
from zarrstore.format.codecs.registry import codec_of, codecs_of
from zarrstore.format.codecs.transpose import Transpose
from zarrstore.format.codecs.vlen import VlenBytes, VlenUtf8
from zarrstore.format.codecs.zstd import Zstd
from zarrstore.format.documents import Extension


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("gzip", Gzip()),
        ("bytes", Bytes("little")),
        ("vlen-utf8", VlenUtf8()),
        ({"name": "zstd", "configuration": {"level": 3}}, Zstd(3)),
        ({"name": "crc32c"}, Crc32c()),
        (zarr.codecs.ZstdCodec(level=2), Zstd(2)),
        (zarr.codecs.TransposeCodec(order=(1, 0)), Transpose((1, 0))),
        (zarr.codecs.VLenBytesCodec(), VlenBytes()),
        (CastValue("int8"), CastValue("i1")),
    ],
)
def test_forms_of_codecs(given: Any, expected: Any) -> None:
    assert codec_of(given) == expected


@pytest.mark.parametrize("given", [3, None, {"id": "zlib"}, {"name": 3}, [Zstd()]])
def test_what_is_no_codec(given: Any) -> None:
    with pytest.raises(TypeError, match="a codec is a Codec, one of numcodecs, a name, or"):
        codec_of(given)


@pytest.mark.parametrize("name", ["endian", "Zstd", "", "numcodecs.", "numcodecs.json2"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(MetadataError, match=f"codecs: unknown codec '{name}'; known are"):
        codec_of(name)


def test_what_need_not_be_understood() -> None:
    ignored = Extension(name="acme.checked", must_understand=False)
    found = codecs_of([ignored, Extension(name="bytes"), "crc32c"])
    assert found == [Bytes(None), Crc32c()]
    pipeline = pipeline_of(found, (3,), "u1")
    values = np.arange(3, dtype="u1")
    assert pipeline.decode(pipeline.encode(values)).tolist() == [0, 1, 2]
    with pytest.raises(MetadataError, match=r"unknown codec 'acme\.checked'"):
        codecs_of(["acme.checked"])


def test_what_is_known_must_be_valid_all_the_same() -> None:
    for name in ("gzip", "numcodecs.zlib"):
        wrong = Extension(name=name, configuration={"level": 99}, must_understand=False)
        with pytest.raises(MetadataError, match="level is from"):
            codecs_of(["bytes", wrong])


ENTRY_POINTS = """
[zarrstore.codecs]
acme.inverted = acme_codecs:Inverted
acme.picky = acme_codecs:Picky
acme.missing = acme_codecs:Missing
acme.absent = acme_absent:Absent
acme.number = acme_codecs:NUMBER
acme.twice = acme_codecs:Inverted
numcodecs.acme = acme_codecs:Inverted
gzip = acme_codecs:Picky
"""

ACME = """
from zarrstore.format.codecs.base import BytesBytesCodec

NUMBER = 3


class Inverted(BytesBytesCodec):
    name = "acme.inverted"

    @classmethod
    def from_configuration(cls, configuration):
        return cls()

    def configuration(self):
        return {}

    def encode(self, data):
        return bytes(255 - byte for byte in data)

    def decode(self, data, size, limit):
        return self.encode(data)

    def encoded_size(self, size):
        return size

    def largest_encoded_size(self, size):
        return size


class Picky(Inverted):
    @classmethod
    def from_configuration(cls, configuration):
        return cls(configuration["missing"])
"""

ASKS = """
import sys

import numpy as np

from zarrstore.errors import MetadataError
from zarrstore.format.codecs.base import ChunkSpec
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.registry import codec_of, codecs_of
from zarrstore.format.data_types.registry import data_type_for
from zarrstore.format.documents import Extension

spec = ChunkSpec((3,), data_type_for("u1"), np.uint8(0))
for name in ("acme.inverted", "numcodecs.acme"):
    pipeline = CodecPipeline([codec_of("bytes"), codec_of(name)], spec)
    stored = bytes(pipeline.encode(np.arange(3, dtype="u1")))
    assert stored == b"\\xff\\xfe\\xfd"
    assert pipeline.decode(stored).tolist() == [0, 1, 2]
assert codec_of("gzip").to_dict()["configuration"] == {"level": 5}
for name in sys.argv[1:]:
    try:
        codecs_of([Extension(name=name, must_understand=name == "acme.unknown")])
    except MetadataError as error:
        print(error, "|", repr(error.__cause__))
"""


def test_codecs_of_other_packages(tmp_path: Path) -> None:
    for name, points in [("acme", ENTRY_POINTS), ("other", "[zarrstore.codecs]\n")]:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        if name == "other":
            points += "acme.twice = acme_codecs:Picky\n"
        (info / "entry_points.txt").write_text(points)
    (tmp_path / "acme_codecs.py").write_text(ACME)
    names = ["picky", "missing", "absent", "number", "twice", "unknown"]
    asked = [sys.executable, "-c", ASKS, *(f"acme.{name}" for name in names)]
    done = subprocess.run(
        asked, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    picky, missing, absent, number, twice, unknown = done.stdout.splitlines()
    assert "Picky cannot make 'acme.picky': KeyError('missing') | KeyError('missing')" in picky
    assert "'acme.missing' is registered as acme_codecs:Missing, which cannot be loaded" in missing
    assert "| AttributeError(" in missing
    assert "No module named 'acme_absent'" in absent
    assert "acme_codecs:NUMBER, which is no ArrayArrayCodec, ArrayBytesCodec or" in number
    assert "registered as acme_codecs:Inverted and as acme_codecs:Picky; uninstall one" in twice
    assert "unknown codec 'acme.unknown'" in unknown
    assert "acme.inverted" in unknown


def test_float64_elements_go_through_every_codec() -> None:
    values = np.arange(6, dtype="f8").reshape(2, 3)
    pipeline = pipeline_of([Transpose((1, 0)), Bytes()], (2, 3), "f8")
    assert bytes(pipeline.encode(values)) == values.T.tobytes()
    assert not pipeline.is_raw
