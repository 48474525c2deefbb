"""What was done to the stores of one check, as code that does it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from zarrstore_testing.literals import NotLiteralError, literal, snapshot

__all__ = ["Log", "plain", "shown"]

_LONGEST = 60
_LONGEST_CODE = 20_000
LISTINGS = frozenset(("list", "list_prefix", "list_dir"))


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


@dataclass
class Call:
    """One call of an operation."""

    store: object
    operation: str
    args: Any
    kwargs: Any
    result: Any = None
    error: str = ""
    name: str = ""


class Log:
    """The operations on the stores of one check, and what an author should know about it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: list[str] = []
        self.is_complete = False
        """Whether a check without a face has written down all that it did."""
        self._entries: list[Call | str] = []
        self._names: list[tuple[object, str]] = []
        self._claim: tuple[str, tuple[Any, ...]] | None = None
        self._raises = ""
        self._is_code = True

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return the arguments of a call as they would be written, shortened."""
        named = [f"{name}={shown(value)}" for name, value in kwargs.items()]
        return ", ".join([*map(shown, args), *named])

    @contextmanager
    def operation(
        self, store: object, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[Callable[[Any], None]]:
        """Write down a call; what it gives is handed to the function that is yielded."""
        named = {id(thing) for thing, _ in self._names}
        try:
            given = tuple(arg if id(arg) in named else snapshot(arg) for arg in args)
        except NotLiteralError:
            self.no_code()
            given = args
        call = Call(store, operation, given, kwargs)
        self._entries.append(call)

        def done(result: Any) -> None:
            call.result = result

        try:
            yield done
        except BaseException as error:
            call.error = type(error).__name__
            raise

    def bind(self, thing: object, name: str, code: str) -> None:
        """Give a store or a buffer a name in the code, and the expression that makes it."""
        taken = {other for _, other in self._names}
        number = 1
        while (f"{name}{number}" if number > 1 else name) in taken:
            number += 1
        name = f"{name}{number}" if number > 1 else name
        self._names.append((thing, name))
        self.statement(f"{name} = {code}")

    def name_of(self, thing: object) -> str:
        """Return the name of a store or buffer in the code; empty if it has none."""
        return next((name for other, name in self._names if other is thing), "")

    def statement(self, code: str) -> None:
        """Write down a line of code that is no call of an operation."""
        self._entries.append(code)

    @property
    def last(self) -> Call:
        """The last call, which stands for its result in a claim."""
        return next(entry for entry in reversed(self._entries) if isinstance(entry, Call))

    def claim(self, expression: str, *operands: Any) -> None:
        """Say what ought to be true, and is not, with a place for each operand."""
        self._claim = expression, operands

    def claim_raises(self, kinds: tuple[type[BaseException], ...]) -> None:
        """Say that the last call ought to have raised."""
        names = [kind.__name__ for kind in kinds]
        self._raises = names[0] if len(names) == 1 else f"({', '.join(names)})"

    def add(self, text: str) -> None:
        """Tell what was done besides calling operations."""
        self.told.append(text)
        self.no_code()

    def no_code(self) -> None:
        """Say that what is done here is no list of calls: threads, tasks, processes."""
        self._is_code = False

    def restart(self) -> None:
        """Forget what was done: a new store has seen nothing of it."""
        self._entries.clear()
        self._names.clear()
        self._claim = None
        self._raises = ""

    def note(self, text: str) -> None:
        """Say something that an author should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def code(self, sync: bool) -> list[str] | None:
        """Return the lines that do again what was done, the last of which fails.

        ``None`` if there are no such lines, or too many to read.
        """
        if not self._is_code:
            return None
        try:
            lines = _Writer(self, sync).lines(self._entries, self._claim, self._raises)
        except NotLiteralError:
            return None
        return lines if sum(map(len, lines)) < _LONGEST_CODE else None


class _Writer:
    """Turns what a log has into code."""

    def __init__(self, log: Log, sync: bool) -> None:
        self._log = log
        self._sync = sync
        self._calls: list[Call] = []

    def lines(
        self,
        entries: list[Call | str],
        claim: tuple[str, tuple[Any, ...]] | None,
        raises: str,
    ) -> list[str]:
        self._calls = [entry for entry in entries if isinstance(entry, Call)]
        codes = [entry if isinstance(entry, str) else self._call(entry) for entry in entries]
        last: list[str] = []
        if claim is not None:
            expression, operands = claim
            last = [f"assert {expression.format(*map(self._operand, operands))}"]
        elif raises:
            last = self._should_raise(codes.pop(), raises)
        elif not self._calls or entries[-1] is not self._calls[-1] or not self._calls[-1].error:
            raise NotLiteralError
        else:
            last = [codes.pop()]
        lines: list[str] = []
        for entry, code in zip(entries, codes, strict=False):
            lines += [code] if isinstance(entry, str) else self._done(entry, code)
        return lines + last

    def _done(self, call: Call, code: str) -> list[str]:
        if call.error:
            return [f"with contextlib.suppress({call.error}):", f"    {code}"]
        code = f"{call.name} = {code}" if call.name else code
        return [code if call.result is None else f"{code}  # {shown(call.result)}"]

    def _should_raise(self, code: str, kinds: str) -> list[str]:
        message = f"{kinds} was not raised"
        return [
            "try:",
            f"    {code}",
            f"except {kinds}:",
            "    pass",
            "else:",
            f"    raise AssertionError({message!r})",
        ]

    def _call(self, call: Call) -> str:
        store = self._log.name_of(call.store)
        if not store:
            raise NotLiteralError
        args = [self._log.name_of(arg) or literal(arg) for arg in call.args]
        args += [f"{name}={self._version(call, value)}" for name, value in call.kwargs.items()]
        arguments = ", ".join(args)
        if call.operation in LISTINGS:
            if self._sync:
                return f"list({store}.sync.{call.operation}({arguments}))"
            return f"[key async for key in {store}.{call.operation}({arguments})]"
        if self._sync:
            return f"{store}.sync.{call.operation}({arguments})"
        return f"await {store}.{call.operation}({arguments})"

    def _version(self, call: Call, value: Any) -> str:
        """Return a version as the result that it came from: another run has others."""
        for other in self._calls:
            if other is call:
                break
            if isinstance(value, str) and getattr(other.result, "version", None) is value:
                return f"{self._named(other)}.version"
            if isinstance(value, str) and other.operation == "set" and other.result is value:
                return self._named(other)
        return literal(value)

    def _operand(self, value: Any) -> str:
        if isinstance(value, Call):
            return self._named(value)
        return self._log.name_of(value) or literal(value)

    def _named(self, call: Call) -> str:
        if not call.name:
            count = sum(bool(other.name) for other in self._calls)
            call.name = f"found{count + 1}" if count else "found"
        return call.name
