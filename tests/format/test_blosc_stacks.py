"""Many small chunks in one call of Blosc: the same bytes, and nothing believed that is wrong."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import blosc

import zarrstore
from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs import blosc_stacks
from zarrstore.format.codecs.base import joined
from zarrstore.format.codecs.blosc import Blosc

COUNT = 7
COMPRESSORS = ("lz4", "lz4hc", "blosclz", "zlib", "zstd")
RNG = np.random.default_rng(0)


def stack_of(kind: str, size: int) -> np.ndarray[Any, Any]:
    """Return chunks of bytes that compress well, or not, or some of them."""
    smooth = np.cumsum(RNG.normal(0, 0.1, COUNT * size // 4 + 4)).astype("f4").view("u1")
    smooth = smooth[: COUNT * size].reshape(COUNT, size)
    noise = RNG.integers(0, 256, (COUNT, size), dtype="u1")
    mixed = smooth.copy()
    mixed[::3] = noise[::3]
    mixed[1::3] = 0
    kinds = {"smooth": smooth, "noise": noise, "mixed": mixed, "zeros": np.zeros_like(smooth)}
    return kinds[kind]


@pytest.mark.parametrize("cname", COMPRESSORS)
@pytest.mark.parametrize("shuffle", ["shuffle", "noshuffle", "bitshuffle"])
def test_together_they_are_what_each_is_alone(cname: str, shuffle: str) -> None:
    sizes = (20, 1024, 1200, 4096, 16_384)
    kinds = ("smooth", "noise", "mixed", "zeros")
    for typesize, size, kind in itertools.product((1, 2, 3, 4, 8, 16, 17), sizes, kinds):
        codec = Blosc(cname, 5, shuffle, typesize)
        chunks = stack_of(kind, size)
        alone = [codec.encode(chunk.data) for chunk in chunks]
        pieces = codec.encode_stack(chunks.reshape(-1).data, COUNT)
        assert list(map(bytes, joined(pieces))) == alone
        assert pieces[1] == list(map(len, alone))
        assert [bytes(data) for data in codec.encode_many([c.data for c in chunks])] == alone
        out = np.empty_like(chunks)
        codec.decode_stack(alone, out.reshape(-1).data)
        np.testing.assert_array_equal(out, chunks)
        decoded = codec.decode_many(alone, size, size)
        assert b"".join(decoded) == chunks.tobytes()


def test_it_is_done_together() -> None:
    """Without falling back, for what arrays mostly are."""
    assert Blosc("lz4", 5, "shuffle", 4)._stacks(16_384)
    for codec in (Blosc("lz4", 5, "shuffle", 4), Blosc("zstd", 1, "bitshuffle", 1)):
        chunks = stack_of("mixed", 16_384)
        encoded = [codec.encode(chunk.data) for chunk in chunks]
        out = np.empty_like(chunks)
        assert blosc_stacks.decode_stack(encoded, out.reshape(-1).data)
        np.testing.assert_array_equal(out, chunks)


@pytest.mark.parametrize("threads", [True, False])
def test_with_threads_of_the_library(monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    monkeypatch.setattr(blosc, "use_threads", threads)
    codec = Blosc("lz4", 5, "shuffle", 4)
    chunks = stack_of("smooth", 16_384)
    for _ in range(20):
        found = joined(codec.encode_stack(chunks.reshape(-1).data, COUNT))
        assert b"".join(map(blosc.decompress, found)) == chunks.tobytes()
        out = np.empty_like(chunks)
        codec.decode_stack(found, out.reshape(-1).data)
        np.testing.assert_array_equal(out, chunks)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_chunks_are_found_as_they_are_alone(data: st.DataObject) -> None:
    """Not one byte is taken from a neighbour."""
    typesize = data.draw(st.sampled_from([1, 4]))
    codec = Blosc(data.draw(st.sampled_from(COMPRESSORS)), 5, "shuffle", typesize)
    chunks = stack_of(data.draw(st.sampled_from(["smooth", "mixed", "zeros"])), 2048)
    encoded = [bytearray(codec.encode(chunk.data)) for chunk in chunks]
    chosen = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(1, 3))):
        one = chosen.choice(encoded)
        at = chosen.choice([chosen.randrange(len(one)), chosen.randrange(min(40, len(one)))])
        one[at] = chosen.choice([0, 1, 0x7F, 0x80, 0xFF, one[at] ^ 1 << chosen.randrange(8)])
    alone: list[bytes] | None = []
    try:
        alone = [bytes(codec.decode(memoryview(one), 2048, 2048)) for one in encoded]
    except CorruptDataError:
        alone = None
    out = memoryview(bytearray(COUNT * 2048))
    if alone is None:
        with pytest.raises(CorruptDataError):
            codec.decode_stack([memoryview(one) for one in encoded], out)
    else:
        codec.decode_stack([memoryview(one) for one in encoded], out)
        assert bytes(out) == b"".join(alone)


@pytest.mark.parametrize("location", ["start", "end"])
def test_the_inner_chunk_that_is_damaged_is_named(location: Any) -> None:
    from zarrstore.format.codecs.bytes import Bytes
    from zarrstore.format.codecs.sharding_indexed import ShardingIndexed

    data: dict[str, Any] = {}
    sharding = ShardingIndexed((32, 32), [Bytes(), Blosc("lz4")], index_location=location)
    array = zarrstore.create_array(
        data, shape=(256, 256), chunks=(256, 256), dtype="f4", codecs=[sharding]
    )
    values = RNG.random((256, 256), "f4")
    array[...] = values
    shard = data["c/0/0"]
    size = 64 * 16 + 4
    index = np.frombuffer(shard[:size] if location == "start" else shard[-size:], "<u8", 128)
    damaged = bytearray(shard)
    damaged[int(index[2 * 19]) + 12] ^= 1  # the size in the header of one
    data["c/0/0"] = bytes(damaged)
    for selection in (slice(None), slice(64, 200)):
        with pytest.raises(CorruptDataError, match=r"inner chunk \(2, 3\)"):
            _ = array[selection]
    np.testing.assert_array_equal(array[:64], values[:64])
