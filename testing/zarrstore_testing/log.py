"""What was done to a store, for the message of a failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Log", "plain", "shown"]

_LONGEST = 60
_LAST = 12


def plain(value: Any) -> Any:
    """Return a result with its buffers as bytes."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def shown(value: Any) -> str:
    """Return a value as a short text."""
    value = plain(value)
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 24 else f"{len(value)} bytes {value[:8]!r}..."
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        items = [shown(item) for item in value[:6]]
        if len(value) > 6:
            items.append(f"... ({len(value)} items)")
        return f"[{', '.join(items)}]" if isinstance(value, list) else f"({', '.join(items)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{shown(k)}: {shown(v)}' for k, v in list(value.items())[:6])}}}"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]}... ({len(text)} characters)"


class Log:
    """The operations on the stores of one check, and what an author should know about it."""

    def __init__(self) -> None:
        self._entries: deque[str] = deque(maxlen=_LAST)
        self._left_out = 0
        self.notes: list[str] = []

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the arguments of a call as they would be written."""
        named = [f"{name}={shown(value)}" for name, value in kwargs.items()]
        return ", ".join([*map(shown, args), *named])

    def operation(
        self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[str], None]:
        """Return a function that writes down a call with its outcome."""

        def done(outcome: str) -> None:
            self.add(f"{operation}({self.arguments(args, kwargs)}) {outcome}")

        return done

    def add(self, entry: str) -> None:
        """Write down what was done."""
        if len(self._entries) == _LAST:
            self._left_out += 1
        self._entries.append(entry)

    def restart(self) -> None:
        """Forget what was done: a new store has seen nothing of it."""
        self._entries.clear()
        self._left_out = 0

    def note(self, text: str) -> None:
        """Say something that an author should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def __str__(self) -> str:
        lines = [f"    {entry}" for entry in self._entries]
        if self._left_out:
            lines.insert(0, f"    ... {self._left_out} before")
        return "\n".join(lines)
