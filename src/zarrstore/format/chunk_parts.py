"""Parts of one chunk in memory: read from its bytes, or changed in them. Pure: no I/O.

A chunk may be a shard, whose inner chunks may be shards again: then only those inner chunks are
decoded, or encoded anew, that the part touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from zarrstore.errors import CorruptDataError
from zarrstore.format.codecs.pipeline import CodecPipeline
from zarrstore.format.codecs.shard_index import ShardIndex
from zarrstore.format.codecs.sharding_indexed import ShardingIndexed, ShardLayout
from zarrstore.format.indexing import ChunkPart, Selection
from zarrstore.operations import Buffer

__all__ = [
    "changed",
    "gathered",
    "is_ready",
    "keeps_memory",
    "place",
    "place_inner",
    "rows_of_chunks",
    "shard_layout",
    "unit_of",
]

NDArray: TypeAlias = np.ndarray[Any, Any]

_WORTH_CUTTING_AT_ONCE = 2**25
_WORTH_DECODING_TOGETHER = 32
"""Inner chunks from which that is quicker than one after the other."""
_DECODED_TOGETHER = 2**22
"""Bytes of inner chunks that are decoded in one call."""


def shard_layout(pipeline: CodecPipeline) -> ShardLayout | None:
    """Return where things are in the chunks of a pipeline, if these are shards.

    What is compressed, or reordered, as a whole can only be read as a whole: that is none.
    """
    serializer = pipeline.serializer
    if isinstance(serializer, ShardingIndexed) and len(pipeline.codecs) == 1:
        return serializer.layout(pipeline.spec)
    return None


def unit_of(pipeline: CodecPipeline) -> CodecPipeline:
    """Return the codecs of what is encoded in one go: of inner chunks, if chunks are shards."""
    layout = shard_layout(pipeline)
    if layout is None or layout.stores_plainly:
        return pipeline
    return unit_of(layout.pipeline)


def place(
    pipeline: CodecPipeline, data: Buffer, part: ChunkPart, selection: Selection, out: NDArray
) -> None:
    """Put a part of a chunk where it belongs: ``out[part.outside]``.

    Parameters
    ----------
    pipeline : CodecPipeline
        Of the chunk.
    data : bytes-like
        The encoded chunk.
    part : ChunkPart
    selection : Selection
        Whose part it is.
    out : numpy.ndarray
        Of the selection's full shape.

    Raises
    ------
    CorruptDataError
    """
    layout = shard_layout(pipeline)
    if layout is not None:
        _place_shard(layout, data, part, selection, out)
    elif not part.fills_chunk:
        out[part.outside] = pipeline.decode(data)[part.inside]
    else:
        target = out[part.outside]
        if is_ready(target, pipeline):
            pipeline.decode_into(data, target)
        else:
            target[...] = pipeline.decode(data)


def _place_shard(
    layout: ShardLayout, shard: Buffer, part: ChunkPart, selection: Selection, out: NDArray
) -> None:
    index = layout.index_of(shard)
    if part.fills_chunk and layout.is_plain(index):
        layout.copy_plain(shard, out[part.outside])
        return
    if part.fills_chunk and not layout.is_nested:
        _place_whole_shard(layout, shard, index, out[part.outside])
        return
    inner = selection.inside(part)
    parts = list(inner.parts(layout.grid))
    spans = index.spans(layout.numbers_of([inner_part.coords for inner_part in parts]))
    chunks = [None if span is None else shard[span[0] : span[1]] for span in spans]
    target = out[part.outside] if part.is_view else np.empty(inner.full_shape, out.dtype)
    place_inner(layout, parts, chunks, inner, target)
    if not part.is_view:
        out[part.outside] = target


def _place_whole_shard(layout: ShardLayout, shard: Buffer, index: ShardIndex, out: NDArray) -> None:
    """Put all of a shard into an array of its shape."""
    target = layout.by_chunk(out)
    together = _decoded_together(layout.pipeline)
    for first in range(0, layout.count, together):
        numbers = np.arange(first, min(first + together, layout.count))
        if not index.is_full:
            is_there = index.starts[numbers] >= 0
            target[layout.places_of(numbers[~is_there])] = layout.spec.fill_value
            numbers = numbers[is_there]
        spans = zip(index.starts[numbers].tolist(), index.ends[numbers].tolist(), strict=True)
        chunks = _decoded(layout, numbers, [shard[start:end] for start, end in spans])
        if len(numbers) == layout.count:
            target[...] = chunks.reshape(target.shape)
        elif len(numbers):
            target[layout.places_of(numbers)] = chunks


def _decoded_together(pipeline: CodecPipeline) -> int:
    """Return how many inner chunks are decoded in one call."""
    return max(1, _DECODED_TOGETHER // max(1, pipeline.nbytes))


def _decoded(layout: ShardLayout, numbers: Iterable[int], data: Sequence[Buffer]) -> NDArray:
    """Return inner chunks one after the other; their memory is used again.

    Raises
    ------
    CorruptDataError
        It names the first that is corrupt.
    """
    pipeline = layout.pipeline
    chunks = pipeline.room(len(data), lasting=False)
    try:
        pipeline.decode_stack(data, chunks)
    except CorruptDataError as error:
        for number, one in zip(numbers, data, strict=True):
            try:
                pipeline.decode(one)
            except CorruptDataError as first:
                raise _of_inner_chunk(layout.coords_of(number), first) from error
        raise
    return chunks


def _of_inner_chunk(coords: tuple[int, ...], error: CorruptDataError) -> CorruptDataError:
    return CorruptDataError(f"inner chunk {coords}: {error}")


def place_inner(
    layout: ShardLayout,
    parts: Sequence[ChunkPart],
    chunks: Sequence[Buffer | None],
    selection: Selection,
    out: NDArray,
) -> None:
    """Put parts of inner chunks where they belong.

    Parameters
    ----------
    layout : ShardLayout
    parts : sequence of ChunkPart
        Of inner chunks.
    chunks : sequence of (bytes-like or None)
        The bytes of each of these inner chunks.
    selection : Selection
        Of the shard.
    out : numpy.ndarray
        Of the selection's full shape.
    """
    if (
        layout.pipeline.decodes_many
        and len(parts) >= _WORTH_DECODING_TOGETHER
        and not layout.is_nested
    ):
        together = _decoded_together(layout.pipeline)
        for first in range(0, len(parts), together):
            last = first + together
            _place_together(layout, parts[first:last], chunks[first:last], out)
        return
    fill_value = layout.spec.fill_value
    pipeline = layout.pipeline
    is_nested = layout.is_nested
    for part, data in zip(parts, chunks, strict=True):
        if data is None:
            out[part.outside] = fill_value
            continue
        try:
            if is_nested:
                place(pipeline, data, part, selection, out)
            elif part.fills_chunk:
                out[part.outside] = pipeline.decode(data)
            else:
                out[part.outside] = pipeline.decode(data)[part.inside]
        except CorruptDataError as error:
            raise _of_inner_chunk(part.coords, error) from error


def _place_together(
    layout: ShardLayout,
    parts: Sequence[ChunkPart],
    chunks: Sequence[Buffer | None],
    out: NDArray,
) -> None:
    """Put parts of inner chunks, which are decoded in one call, where they belong."""
    numbers = layout.numbers_of([part.coords for part in parts])
    there = {n: data for n, data in zip(numbers, chunks, strict=True) if data is not None}
    decoded = _decoded(layout, there, list(there.values()))
    at = 0
    for part, data in zip(parts, chunks, strict=True):
        if data is None:
            out[part.outside] = layout.spec.fill_value
        else:
            out[part.outside] = decoded[at, ...][part.inside]
            at += 1


def rows_of_chunks(
    parts: Sequence[ChunkPart], array: NDArray
) -> Iterator[tuple[int, int, NDArray]]:
    """View whole chunks that are neighbours as one array, so that one call copies all of them.

    Parameters
    ----------
    parts : sequence of ChunkPart
    array : numpy.ndarray
        Of the selection's full shape.

    Yields
    ------
    tuple
        Of such parts the first and the one after the last, and a view of ``array`` with a
        chunk for each, along one more dimension; for parts that are not whole chunks, or stand
        alone, one at a time and ``array[part.outside]``: to be read only, as that is a copy
        where the part has ``is_view`` false.
    """
    first, count = 0, len(parts)
    while first < count:
        stop = _end_of_row(parts, first)
        part = parts[first]
        if stop - first == 1:
            yield first, stop, array[part.outside]
        else:
            index: Any = part.outside
            end: Any = parts[stop - 1].outside[-1]
            row = array[(*index[:-1], slice(index[-1].start, end.stop))]
            shape = row.shape
            split = row.reshape(*shape[:-1], stop - first, shape[-1] // (stop - first))
            yield first, stop, split.transpose(len(shape) - 1, *range(len(shape) - 1), len(shape))
        first = stop


def _end_of_row(parts: Sequence[ChunkPart], first: int) -> int:
    """Return the end of the parts that are whole chunks beside each other in array and result."""
    part = parts[first]
    stop = first + 1
    if not part.fills_chunk or not part.coords:
        return stop
    row = part.coords[:-1]
    at: Any = part.outside[-1]
    for following in parts[stop:]:
        beside: Any = following.outside[-1]
        if not following.fills_chunk or following.coords[:-1] != row or beside.start != at.stop:
            break
        at = beside
        stop += 1
    return stop


def changed(
    pipeline: CodecPipeline,
    old: Buffer | None,
    part: ChunkPart,
    selection: Selection,
    value: NDArray,
    write_empty_chunks: bool,
    fields: Sequence[str] | None = None,
    *,
    lasting: bool = True,
) -> Buffer | None:
    """Return the bytes of a chunk with a part of it changed to ``value[part.outside]``.

    Parameters
    ----------
    pipeline : CodecPipeline
        Of the chunk.
    old : bytes-like or None
        The encoded chunk as it is; not needed where the part is all of it.
    part : ChunkPart
    selection : Selection
        Whose part it is.
    value : numpy.ndarray
        Of the selection's full shape.
    write_empty_chunks : bool
        Whether a chunk that holds only the fill value has bytes.
    fields : sequence of str, optional
        Only these fields of records are changed; the part is then never all of the chunk.
    lasting : bool, default True
        If false, the next call in this thread may overwrite what is returned.

    Returns
    -------
    bytes-like or None
        ``None`` if the chunk need not be stored.

    Raises
    ------
    CorruptDataError
        If the old bytes are needed and cannot be decoded.
    """
    layout = shard_layout(pipeline)
    if layout is not None:
        return _changed_shard(layout, old, part, selection, value, write_empty_chunks, fields)
    chunk = value[part.outside]
    if not (part.fills_chunk and is_ready(chunk, pipeline)):
        room = pipeline.room(1, lasting=lasting and keeps_memory(pipeline))[0, ...]
        chunk = gathered(pipeline, old, part, chunk, room, fields)
    if not write_empty_chunks and pipeline.spec.is_fill(chunk):
        return None
    return pipeline.encode(chunk)


def is_ready(chunk: NDArray, pipeline: CodecPipeline) -> bool:
    """Tell whether an array of a chunk's shape can be encoded as it is."""
    return chunk.dtype == pipeline.dtype and chunk.flags.c_contiguous


def keeps_memory(pipeline: CodecPipeline) -> bool:
    """Tell whether an encoded chunk may be the memory of the chunk itself, which must then last.

    Not only where there is no codec: a transposed chunk is a view, and often in C order still.
    """
    return pipeline.codecs[-1] is pipeline.serializer


def gathered(
    pipeline: CodecPipeline,
    old: Buffer | None,
    part: ChunkPart,
    new: NDArray,
    room: NDArray,
    fields: Sequence[str] | None = None,
) -> NDArray:
    """Return a chunk in ``room``, a part of it new, the rest as it was."""
    if not part.is_whole and old is not None:
        pipeline.decode_into(old, room)
    elif not part.fills_chunk:
        room[...] = pipeline.spec.fill_value
    if fields is None:
        room[part.inside] = new
    else:
        for name in fields:
            room[name][part.inside] = new[name]
    return room


def in_part(part: ChunkPart) -> ChunkPart:
    """Return a part as one of which only some fields are meant."""
    return part._replace(is_whole=False, fills_chunk=False)


def _changed_shard(
    layout: ShardLayout,
    old: Buffer | None,
    part: ChunkPart,
    selection: Selection,
    value: NDArray,
    write_empty_chunks: bool,
    fields: Sequence[str] | None,
) -> Buffer | None:
    new = value[part.outside]
    if part.fills_chunk and new.dtype == layout.spec.dtype:
        if layout.stores_plainly:
            plain = layout.plain_shard(new, write_empty_chunks)
            if plain is not None:
                return plain
        elif layout.spec.nbytes <= _WORTH_CUTTING_AT_ONCE and not layout.is_nested:
            return _whole_shard(layout, new, write_empty_chunks)
    if part.is_whole or old is None:
        chunks: list[Buffer | None] = [None] * layout.count
    else:
        spans = layout.index_of(old).spans()
        chunks = [None if span is None else old[span[0] : span[1]] for span in spans]
    inner = selection.inside(part)
    for inner_part in inner.parts(layout.grid):
        if fields is not None:
            inner_part = in_part(inner_part)
        number = layout.number_of(inner_part.coords)
        try:
            data = changed(
                layout.pipeline, chunks[number], inner_part, inner, new, write_empty_chunks, fields
            )
        except CorruptDataError as error:
            raise _of_inner_chunk(inner_part.coords, error) from error
        chunks[number] = data
    if not write_empty_chunks and not any(data is not None for data in chunks):
        return None
    return layout.joined(chunks)


def _whole_shard(layout: ShardLayout, new: NDArray, write_empty_chunks: bool) -> Buffer | None:
    """Return a shard of an array of its shape, whose inner chunks are copied out in one go."""
    pipeline = layout.pipeline
    pieces: list[Buffer] = []
    sizes: list[int | None] = []
    for stack in layout.stacks(new, lasting=keeps_memory(pipeline)):
        kept = [True] * len(stack)
        if not write_empty_chunks:
            for number in np.flatnonzero(pipeline.spec.begins_with_fill(stack)):
                kept[number] = not pipeline.spec.is_fill(stack[number, ...])
        some, lengths = pipeline.encode_pieces(stack if all(kept) else stack[kept])
        pieces += some
        left = iter(lengths)
        sizes += [next(left) if keep else None for keep in kept]
    return layout.joined_pieces(pieces, sizes) if pieces else None
