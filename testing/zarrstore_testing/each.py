"""Values one after the other: `get_each` and `get_each_into` read them, `set_each` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from zarrstore.abc import Capability
from zarrstore.errors import InvalidKeyError, ReadOnlyError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.literals import given_as
from zarrstore_testing.log import shown
from zarrstore_testing.reading import check_frozen

_SIZES = [3, 0, 4096, 300_000, 1, 5, 70_000, 2_000_000, 0, 7]


class _Ours(Exception):  # noqa: N818
    pass


class _Taken(Iterator[Any]):
    """An iterator that knows how many items were taken from it."""

    def __init__(self, items: Any) -> None:
        self._items = iter(items)
        self.count = 0

    def __next__(self) -> Any:
        item = next(self._items)
        self.count += 1
        if isinstance(item, BaseException):
            raise item
        return item


def _receiver(into: list[tuple[int, bytes | None]]) -> Callable[[int, Any], None]:
    def receive(index: int, value: Any) -> None:
        if value is not None:
            check_frozen("get_each()", value)
        into.append((index, None if value is None else bytes(value)))

    return receive


def _failing(into: list[int], at: int, error: type[Exception]) -> Callable[[int, Any], None]:
    def receive(index: int, value: Any) -> None:
        into.append(index)
        if index == at and into.count(at) == 1:
            raise error("raised by the receiver")
        if bytes(value[:1]) != bytes([index]):
            raise Failed(f"the value of key '{index}' was that of another key")

    return receive


async def _gives_each(face: Face, wanted: list[bytes | None], keys: Any) -> None:
    found: list[tuple[int, bytes | None]] = []
    receive = _receiver(found)
    face.log.bind(found, "handed", "[]")
    value = "None if value is None else bytes(value)"
    given_as(receive, f"lambda i, value: {face.log.name_of(found)}.append((i, {value}))")
    await face.gives(None, "get_each", keys, receive)
    if found != list(enumerate(wanted)):
        face.fail(
            f"get_each should have handed over {shown(list(enumerate(wanted)))}, and handed over "
            f"{shown(found)}",
            "{} == {}",
            found,
            list(enumerate(wanted)),
        )


@behaviour(
    "get_each hands over in the order asked; a key may repeat, a missing one is None",
    reads_only=True,
)
async def get_each_keeps_the_order(face: Face) -> None:
    keys = [f"k/{number}" for number in range(20)]
    await face.seed({key: key.encode() for key in keys})
    asked = ["k/7", "missing", "k/0", "k/7", "k", "k/7/x", *reversed(keys), "k/0"]
    wanted = [key.encode() if key in keys else None for key in asked]
    await _gives_each(face, wanted, asked)
    await _gives_each(face, wanted, iter(asked))
    await _gives_each(face, [], [])
    await _gives_each(face, [None, None], ["x", "x"])


@behaviour(
    "get_each hands over whole values of any size, read-only, right until the next", reads_only=True
)
async def get_each_values_are_whole(face: Face) -> None:
    values = {f"{n}": bytes([n + 1]) * face.size(size) for n, size in enumerate(_SIZES)}
    await face.seed(values)
    await _gives_each(face, list(values.values()), list(values))
    turned = list(values)[::-1]
    await _gives_each(face, [values[key] for key in turned], turned)


@behaviour(
    "what the receiver of get_each raises comes out, and nothing is handed over after it",
    reads_only=True,
)
async def get_each_passes_errors_on(face: Face) -> None:
    await face.seed({f"{n}": bytes([n]) * face.size(100_000) for n in range(8)})
    for error in (_Ours, OSError, KeyError):
        for at in (0, 3, 7):
            received: list[int] = []
            keys = _Taken([f"{n}" for n in range(8)])
            await face.raises(error, "get_each", keys, _failing(received, at, error))
            if received != list(range(at + 1)):
                raise Failed(f"{error.__name__} at {at}, and positions {received} were handed over")
            taken = keys.count
            await face.gives(b"\0" * face.size(100_000), "get", "0")
            if keys.count != taken:
                raise Failed("keys were taken after the error")


@behaviour(
    "get_each raises for a wrong key at its turn; what was handed over comes before it",
    reads_only=True,
)
async def get_each_checks_keys(face: Face) -> None:
    await face.seed({"a": b"1", "b": b"2", "c": b"3"})
    for wrong in ("../a", "", "a//b", 7):
        found: list[tuple[int, bytes | None]] = []
        keys = _Taken(["a", "b", wrong, "c"])
        await face.raises(InvalidKeyError, "get_each", keys, _receiver(found))
        if found != [(0, b"1"), (1, b"2")][: len(found)]:
            raise Failed(f"before the wrong key {wrong!r} get_each handed over {shown(found)}")
        if keys.count > 3:
            raise Failed("a key was taken after the wrong one")
    error = _Ours("raised by the keys")
    await face.raises(_Ours, "get_each", _Taken(["a", error, "b"]), lambda *_: None)


@behaviour(
    "get_each_into reads each value into its buffer, and returns sizes; a missing one is None",
    reads_only=True,
)
async def get_each_into_fills_buffers(face: Face) -> None:
    values = {f"v/{n}": bytes([n + 1]) * face.size(size) for n, size in enumerate(_SIZES)}
    await face.seed(values)
    await face.gives([], "get_each_into", [], [])
    asked = ["v/2", "missing", "v", "v/0", "v/2", "v/0/x", *reversed(values), "v/4"]
    wanted = [values.get(key) for key in asked]
    sizes = [None if value is None else len(value) for value in wanted]
    for spare in (0, 1, 5000):
        buffers = [bytearray(b"\xff" * ((size or 0) + spare)) for size in sizes]
        given = [memoryview(buffer) if n % 2 else buffer for n, buffer in enumerate(buffers)]
        await face.gives(sizes, "get_each_into", iter(asked), iter(given))
        for key, value, buffer in zip(asked, wanted, buffers, strict=True):
            if value is not None and buffer != value + b"\xff" * spare:
                raise Failed(
                    f"get_each_into should have read {shown(value)} of {key!r}, and left the "
                    f"buffer as {shown(bytes(buffer))}"
                )


@behaviour(
    "get_each_into returns the size of a value that its buffer is too small for", reads_only=True
)
async def get_each_into_tells_what_is_too_large(face: Face) -> None:
    large = face.size(70_000)
    await face.seed({"a": b"1" * 5, "b": b"2" * large, "c": b"3"})
    for room in (0, 1, 4, 100):
        buffers = [bytearray(room), bytearray(room), bytearray(1)]
        await face.gives([5, large, 1], "get_each_into", ["a", "b", "c"], buffers)
        if len(buffers[0]) != room or len(buffers[1]) != room:
            raise Failed("get_each_into changed the size of a buffer that was too small")
        if buffers[2] != b"3":
            raise Failed(f"the value after those too large was read as {shown(buffers[2])}")


@behaviour(
    "get_each_into raises for a wrong key or buffer, and for more of one than of the other",
    reads_only=True,
)
async def get_each_into_checks_what_it_is_given(face: Face) -> None:
    await face.seed({"a": b"1", "b": b"2"})

    def room() -> bytearray:
        return bytearray(4)

    for wrong in ("../a", "", "a//b", 7):
        await face.raises(InvalidKeyError, "get_each_into", ["a", wrong], [room(), room()])
    strided = memoryview(bytearray(8))[::2]
    for buffer in (b"1234", memoryview(b"1234"), strided, "1234", None, 4):
        await face.raises(TypeError, "get_each_into", ["a", "b"], [room(), buffer])
    await face.raises(ValueError, "get_each_into", ["a", "b"], [room()])
    await face.raises(ValueError, "get_each_into", ["a"], [room(), room()])
    error = _Ours("raised by the keys")
    await face.raises(_Ours, "get_each_into", _Taken(["a", error]), [room(), room()])


@behaviour("set_each writes every item in turn; the last of a key counts", rewrites=True)
async def set_each_writes_all(face: Face) -> None:
    await face.gives(None, "set_each", [])
    items = [(f"m/{number % 25}/x", b"%d" % number) for number in range(30)]
    await face.gives(None, "set_each", iter(items))
    wanted = dict(items)
    await face.gives(list(wanted.values()), "get_many", list(wanted))
    values = [(f"{n}", bytes([n + 1]) * face.size(size)) for n, size in enumerate(_SIZES)]
    await face.set_each(values)
    await _gives_each(face, [value for _, value in values], [key for key, _ in values])
    if face.can(Capability.LIST):
        await face.lists([*wanted, *dict(values)], "list")


@behaviour(
    "set_each takes each value when the one before is written: all may be in one buffer",
    rewrites=True,
)
async def set_each_takes_one_at_a_time(face: Face) -> None:
    for size in (4, face.size(300_000)):
        buffer = bytearray(size)

        def items(buffer: bytearray = buffer) -> Iterator[tuple[str, Any]]:
            for number in range(12):
                buffer[:] = bytes([number]) * len(buffer)
                yield f"c/{number}", memoryview(buffer) if number % 2 else buffer

        await face.set_each(items())
        buffer[:] = b"x" * size
        keys = [f"c/{number}" for number in range(12)]
        await _gives_each(face, [bytes([number]) * size for number in range(12)], keys)


@behaviour("set_each stops at what is wrong: what came before is written, nothing after is taken")
async def set_each_stops_at_an_error(face: Face) -> None:
    wrong: list[tuple[Any, type[Exception]]] = [
        (("../a", b"1"), InvalidKeyError),
        (("", b"1"), InvalidKeyError),
        ((b"a", b"1"), InvalidKeyError),
        (("a", "text"), TypeError),
        (("a", None), TypeError),
        (("a", memoryview(b"1234")[::2]), TypeError),
        (_Ours("raised by the items"), _Ours),
        (OSError("raised by the items"), OSError),
    ]
    for number, (item, error) in enumerate(wrong):
        items = _Taken([(f"{number}/b", b"before"), item, (f"{number}/after", b"after")])
        await face.raises(error, "set_each", items)
        await face.gives(b"before", "get", f"{number}/b")
        await face.gives(None, "get", f"{number}/after")
        if items.count > 2:
            raise Failed("an item was taken after the wrong one")
    await face.gives(None, "get", "a")


@behaviour("set_each of a read-only store raises ReadOnlyError before the first item is taken")
async def set_each_read_only_takes_nothing(face: Face) -> None:
    view = face.view()
    items = _Taken([("a", b"1")])
    await view.raises(ReadOnlyError, "set_each", items)
    if items.count:
        raise Failed("an item was taken, and it could not be written")
    await face.gives(None, "get", "a")
