"""Values as the expressions that make them: `literal`."""

from __future__ import annotations

import array
from typing import Any

from zarrstore.abc import (
    ABSENT,
    OffsetByteRequest,
    RangeByteRequest,
    Stat,
    SuffixByteRequest,
)

__all__ = ["NotLiteralError", "Snapshot", "given_as", "literal", "snapshot"]

_SHORT = 48
_LONGEST = 4096
_AS_THEY_ARE = (
    bool, int, float, slice, range, Stat, RangeByteRequest, OffsetByteRequest, SuffixByteRequest,
)  # fmt: skip
_LIST_ITERATOR: type[Any] = type(iter([]))


class NotLiteralError(Exception):
    """There is no expression for a value."""


class Snapshot:
    """What a buffer held when it was given to a store, as an expression."""

    def __init__(self, code: str) -> None:
        self.code = code


def snapshot(value: Any) -> Any:
    """Return a value, or what tells it later on, if it may change until then."""
    if isinstance(value, bytearray | memoryview | array.array) or hasattr(value, "__array__"):
        return Snapshot(_buffer(value))
    if isinstance(value, list):
        return [snapshot(item) for item in value]
    if isinstance(value, tuple):
        return tuple(snapshot(item) for item in value)
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return value


def given_as(value: Any, code: str) -> None:
    """Say by which expression a function, or an iterator, is given to a store in the code."""
    value._as_code = code


def _buffer(value: Any) -> str:
    """Return the expression of a buffer that is no `bytes`; empty if there is none."""
    if isinstance(value, bytearray):
        return f"bytearray({_repeated(bytes(value))})"
    if isinstance(value, array.array):
        return f"array.array({value.typecode!r}, {value.tolist()!r})"
    if isinstance(value, memoryview):
        return _view(value)
    if not value.flags.c_contiguous or len(value.tobytes()) > _LONGEST:
        return ""
    made = f"np.frombuffer({_repeated(value.tobytes())}, {value.dtype.str!r})"
    made = made if value.size else f"np.zeros(0, {value.dtype.str!r})"
    return f"{made}.reshape({value.shape!r}).copy()"


def _view(value: memoryview) -> str:
    kind = "bytes" if value.readonly else "bytearray"
    if not value.c_contiguous:
        if value.ndim != 1 or value.format != "B" or not value.strides:
            return ""
        step = value.strides[0]
        return f"memoryview({kind}({value.nbytes * abs(step)}))[::{step}]"
    data = _repeated(value.tobytes())
    made = f"memoryview({data})" if value.readonly else f"memoryview(bytearray({data}))"
    if value.format == "B" and value.ndim == 1:
        return made
    if value.ndim == 1:
        return f"{made}.cast({value.format!r})"
    return f"{made}.cast({value.format!r}, {list(value.shape or ())!r})"


def _repeated(value: Any) -> str:
    """Return the expression of text or bytes, short where a part of it is repeated."""
    if len(value) <= _SHORT:
        return repr(value)
    same = 16  # so much is the same at each place that is looked at, and twice that at the next
    period = value.find(value[:same], 1)
    while 0 < period <= min(len(value) // 2, _LONGEST):
        if value[period:] == value[:-period]:
            part = value[:period]
            times, rest = divmod(len(value), period)
            made = "bytes(range(256))" if part == bytes(range(256)) else repr(part)
            made = f"{made} * {times}"
            return f"({made} + {part[:rest]!r})" if rest else made
        same = min(2 * same, len(value) // 2)
        period = value.find(value[:same], period + 1)
    if len(value) > _LONGEST:
        raise NotLiteralError
    return repr(value)


def _collection(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{literal(item)}, ' for item in value).rstrip()})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    return f"iter({literal(value.__reduce__()[1][0])})"


def literal(value: Any) -> str:
    """Return an expression that makes a value.

    Raises
    ------
    NotLiteralError
        If there is none that a reader could use.
    """
    if isinstance(value, Snapshot):
        if not value.code:
            raise NotLiteralError
        return value.code
    if value is None or value is ABSENT or isinstance(value, _AS_THEY_ARE):
        return repr(value)
    if isinstance(value, bytes | str):
        return _repeated(value)
    if isinstance(value, list | tuple | dict | _LIST_ITERATOR):
        return _collection(value)
    if value is print or type(value) is object:
        return "print" if value is print else "object()"
    if text := getattr(value, "_as_code", ""):
        return str(text)
    frozen = snapshot(value)
    if isinstance(frozen, Snapshot):
        return literal(frozen)
    raise NotLiteralError
