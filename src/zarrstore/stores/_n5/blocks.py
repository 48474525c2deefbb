"""The header of an N5 block.

Follows https://github.com/saalfeldlab/n5#file-system-specification: two bytes of mode, two of the
number of dimensions, four for each of them, and, in a block of varying length, four for the
number of elements; all big-endian, the dimensions in Fortran order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from zarrstore.errors import CorruptDataError
from zarrstore.operations import Buffer

__all__ = ["header", "read_header"]

_START = struct.Struct(">HH")
_DEFAULT, _VARYING = 0, 1


def header(shape: Sequence[int]) -> bytes:
    """Return the header of a block.

    Examples
    --------
    >>> header((2, 300)).hex(" ", 2)
    '0000 0002 0000 012c 0000 0002'
    """
    return struct.pack(f">HH{len(shape)}I", _DEFAULT, len(shape), *shape[::-1])


def read_header(data: Buffer, block_shape: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Return where the elements begin, and the shape of the block, in C order.

    Parameters
    ----------
    data : bytes-like
    block_shape : sequence of int
        The largest that a block can have; the last ones of a dataset may be smaller.

    Raises
    ------
    CorruptDataError
        If it is no header of such a block.
    """
    ndim = len(block_shape)
    start = _START.size + 4 * ndim
    if len(data) < _START.size:
        raise CorruptDataError(f"an N5 block has a header, and this one has {len(data)} bytes")
    mode, found = _START.unpack_from(data)
    if mode not in (_DEFAULT, _VARYING) or found != ndim:
        raise CorruptDataError(
            f"the header of an N5 block has mode {mode} and {found} dimensions, where mode 0 and "
            f"{ndim} are expected"
        )
    varies = mode == _VARYING
    if len(data) < start + 4 * varies:
        raise CorruptDataError(f"an N5 block of {len(data)} bytes ends within its header")
    shape = struct.unpack_from(f">{ndim}I", data, _START.size)[::-1]
    if any(not 1 <= size <= most for size, most in zip(shape, block_shape, strict=True)):
        raise CorruptDataError(
            f"an N5 block claims the shape {shape}, which is not within {tuple(block_shape)}"
        )
    if varies:
        (count,) = struct.unpack_from(">I", data, start)
        if count != math.prod(shape):
            raise CorruptDataError(
                f"an N5 block of varying length has {count} elements for the shape {shape}: an "
                "array has one element at each place"
            )
        start += 4
    return start, shape
