"""What `info` says of arrays and groups."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hierarchy.markup import array_facts, group_facts
from hypothesis import given
from hypothesis import strategies as st

from zarrstore.errors import MetadataError
from zarrstore.hierarchy.facts import human_size, pieces_text
from zarrstore.hierarchy.html import array_html
from zarrstore.hierarchy.info import array_info, group_info

COMPLETE = """\
Name              : /temperature
Type              : Array
Zarr format       : 3
Data type         : float64
Fill value        : 0.0
Shape             : (1000, 1000)
Dimensions        : ('y', None)
Shard shape       : (500, 500)
Chunk shape       : (100, 100)
Order             : C
Read-only         : False
Store type        : LocalStore
URL               : file:///data/x.zarr/temperature
Filters           : (delta, shuffle)
Serializer        : bytes(endian='little')
Compressors       : (zstd(level=1),)
No. bytes         : 7.6 MiB (8000000)
No. bytes stored  : 5.5 KiB (5668)
Storage ratio     : 1411.4
No. chunks        : 100
No. shards        : 4
No. shards stored : 3"""


def test_all_that_is_told_of_an_array() -> None:
    facts = array_facts(
        (1000, 1000),
        (100, 100),
        name="/temperature",
        url="file:///data/x.zarr/temperature",
        store="LocalStore",
        dtype="float64",
        fill_value="0.0",
        shards=(500, 500),
        dimension_names=("y", None),
        filters=("delta", "shuffle"),
        serializer="bytes(endian='little')",
        compressors=("zstd(level=1)",),
        nbytes=8_000_000,
        nbytes_stored=5668,
        nchunks_initialized=3,
    )
    info = array_info(facts)
    assert repr(info) == str(info) == COMPLETE
    assert info._repr_html_() == array_html(facts)


def test_what_is_not_there_has_no_line() -> None:
    facts = array_facts(serializer=None, nbytes=None, zarr_format=2, nbytes_stored=7)
    text = str(array_info(facts))
    for label in ("Serializer", "No. bytes  ", "Storage ratio", "Shard", "Dimensions"):
        assert label not in text
    assert "No. bytes stored : 7 B" in text
    assert "Storage ratio" not in str(array_info(array_facts(nbytes_stored=0)))


def test_the_labels_are_those_of_zarr_where_zarr_has_them() -> None:
    array = zarr.create_array({}, shape=(8, 8), chunks=(2, 2), shards=(4, 4), dtype="i2")
    array[:4] = 1
    theirs = dict(line.split(":", 1) for line in str(array.info).splitlines())
    ours = dict(
        line.split(" : ", 1)
        for line in str(array_info(array_facts((8, 8), (2, 2), shards=(4, 4)))).splitlines()
    )
    assert {label.strip() for label in theirs} <= {label.strip() for label in ours}
    for label, value in ours.items():
        if label.strip() in ("Type", "Zarr format", "Shape", "Shard shape", "Chunk shape", "Order"):
            assert theirs[next(t for t in theirs if t.strip() == label.strip())].strip() == value


def test_a_group() -> None:
    nodes = [
        (0, "a", group_facts()),
        (1, "b", array_facts()),
        (1, "c", array_facts()),
        (0, "bad", MetadataError("codecs")),
    ]
    lines = str(group_info(group_facts(read_only=True), nodes)).splitlines()
    assert lines[3:] == [
        "Read-only   : True",
        "Store type  : MemoryStore",
        "URL         : memory://x",
        "No. members : 4",
        "No. arrays  : 2",
        "No. groups  : 1",
    ]
    assert "No." not in str(group_info(group_facts()))
    assert "<ul" in group_info(group_facts(), nodes)._repr_html_()


def test_what_does_not_print_is_escaped() -> None:
    text = str(array_info(array_facts(name="/a\x1b[31m\n/b", dimension_names=("\u202ex", None))))
    assert "/a\\x1b[31m\\n/b" in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (8_000_000, "7.6 MiB"),
        (2**63, "8.0 EiB"),
        (2**100, "1099511627776.0 EiB"),
    ],
)
def test_sizes(nbytes: int, text: str) -> None:
    assert human_size(nbytes) == text


@given(st.integers(0, 2**69))
def test_a_size_is_near_what_it_says(nbytes: int) -> None:
    number, unit = human_size(nbytes).split()
    factor = 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].index(unit)
    assert abs(float(number) * factor - nbytes) <= 0.0501 * factor
    assert float(number) < 1024


@given(st.lists(st.integers(1, 9) | st.lists(st.integers(1, 9), max_size=6).map(tuple)))
def test_a_chunk_shape_reads_as_python_writes_it(chunks: list[int | tuple[int, ...]]) -> None:
    assert pieces_text(tuple(chunks)) == repr(tuple(chunks))


def test_counts_of_chunks() -> None:
    assert array_facts((10, 7), (3, 7), shards=(6, 7)).nchunks == 4
    assert array_facts((10, 7), (3, 7), shards=(6, 7)).nshards == 2
    assert array_facts((0, 7), (3, 7)).nchunks == 0
    assert array_facts((), ()).nchunks == 1
    assert array_facts((10, 7), ((3, 3, 4), 2)).nchunks == 12
    assert array_facts((10, 7), ((3, 3, 4), 2)).nbytes_of(((3, 3, 4), 2)) == 16
    assert array_facts((2**62,), (1,), nbytes=None).nchunks == 2**62
    assert np.int64(array_facts((10**9, 10**9), (1, 1)).nchunks) == 10**18
