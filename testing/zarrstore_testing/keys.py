"""Keys and prefixes: which are legal, and that two that differ are never taken for one."""

from __future__ import annotations

from typing import Any

from zarrstore.abc import Capability, RangeByteRequest
from zarrstore.errors import InvalidKeyError, ZarrStoreError
from zarrstore_testing.behaviour import Failed, behaviour
from zarrstore_testing.faces import Face
from zarrstore_testing.log import plain, shown

LIST = Capability.LIST
DELETE = Capability.DELETE

_ILLEGAL = [
    "/", "/a", "a//b", "//", ".", "..", "a/.", "a/..", "../a", "a/../b", "./a", "a/./b",
    "a\x00b", "a\\b", "\\", "\ud800", "a/\udfff/b", "x" * 1025, "\u00e9" * 513,
]  # fmt: skip
_ILLEGAL_KEYS = ["", "a/", "a/b/", "a/" * 512 + "a", *_ILLEGAL]
_ILLEGAL_PREFIXES = ["a//", "../", "a/../", "\u00e9" * 513 + "/", *_ILLEGAL]
_NOT_STRINGS: list[Any] = [None, 1, b"a", ("a",)]

_INSTEAD_OF_SLASHES = [
    *"-._=|:,;~!$@ +^&#", "__", "--", "..", "::", "%2F", "%2f", "\u2044", "\u2215", "\uff0f",
]  # fmt: skip
"""What stores have been seen to write for a ``/``."""

ODD_KEYS = {
    "case": ["Case", "case", "CASE/x", "other/X", "other/x"],
    "normalisation": ["caf\u00e9", "cafe\u0301", "n/\u212b", "n/\u00c5"],
    "percent": ["a b", "a+b", "a%20b", "a%2520b", "100%", "%", "%2F", "p%2Fq", "p/q", "%00"],
    "dots": [".zarray", "..a", "a..", "...", ".d/..e", "x.", "1.0", "a/...", ".../b", "..a/b.."],
    "patterns": ["*", "?", "[x]", "x[a]", "xa", "x*", "x?", "{a,b}", "*[x]?", "!", "^x$", "x|y"],
    "SQL": ["_", "a_b", "aXb", "a%b", "it's", "'", '"', "`", "--", ";", "q'; DROP TABLE x"],
    "URLs": ["#", "a#b", "a&b", "&", "a=b", "a?b=c", "~", "@", "u:p@h", "http:", "$x", "$(x)"],
    "controls": ["a\nb", "a\tb", "\n", " lead", "trail ", " ", "\r", "\x7f", "\x1b"],
    "slashes": ["s/t", *(f"s{other}t" for other in _INSTEAD_OF_SLASHES)],
    "unicode": ["\U0001f600", "\u65e5\u672c/\u8a9e", "z/\U0010ffff", "\u200b", "\ufeff", "\u202e"],
}
_PLAIN_KEYS = [
    "zarr.json", "a/zarr.json", ".zgroup", "a/.zarray", "a/.zattrs", "a/0.0", "a/0.1", "b/c/0/0",
    "b/c/0/1", "b/c/10/2", "0", "00", "-1", "A-z_0.9",
]  # fmt: skip


def _key_calls(face: Face, key: Any) -> list[tuple[Any, ...]]:
    part = RangeByteRequest(0, 1)
    calls: list[tuple[Any, ...]] = [
        ("get", key),
        ("get", key, part),
        ("get_ranges", key, [part]),
        ("get_ranges", key, []),
        ("get_versioned", key, [part]),
        ("get_into", key, bytearray(4)),
        ("exists", key),
        ("stat", key),
        ("getsize", key),
        ("set", key, b"x"),
        ("set_many", {key: b"x"}),
        ("set_many", [("fine", b"x"), (key, b"x")]),
        ("get_each", [key], print),
        ("get_each_into", [key], [bytearray(8)]),
        ("set_each", [(key, b"x")]),
    ]
    if isinstance(key, str):
        calls += [("get_many", [key]), ("get_many", ["fine", (key, part)])]
    if face.can(DELETE):
        calls.append(("delete", key))
    if face.can(Capability.CREATE_EXCLUSIVE):
        calls.append(("set_if_not_exists", key, b"x"))
    return calls


def _prefix_calls(face: Face, prefix: Any) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    if face.can(LIST):
        names = ("list_prefix", "list_dir", "is_empty", "getsize_prefix")
        calls += [(name, prefix) for name in names]
    if face.can(DELETE):
        calls.append(("delete_dir", prefix))
    return calls


async def keep(face: Face, key: str, value: bytes) -> bool:
    """Write a value, unless the backend refuses the key with an error of ours; tell whether.

    Where the author says which keys are taken, those are, and the others are refused.
    """
    allows = face.options.allows_key
    if allows is not None and allows(key):
        await face.set(key, value)
        return True
    try:
        await face.set(key, value)
    except ZarrStoreError as error:
        face.log.note(f"{shown(key)} refused with {type(error).__name__}")
        try:
            found = await face.get(key)
        except ZarrStoreError:
            return False
        if plain(found) == value:
            raise Failed(f"set({shown(key)}) raised, and wrote the value all the same") from error
        return False
    if allows is not None:
        raise Failed(f"allows_key says that {shown(key)} is not taken, and set() took it")
    return True


async def _round_trip(face: Face, keys: list[str]) -> None:
    kept = {}
    for number, key in enumerate(keys):
        value = f"{number}: {key}".encode()
        if await keep(face, key, value):
            kept[key] = value
    for key, value in kept.items():
        await face.gives(value, "get", key)
        await face.gives(True, "exists", key)
    await face.gives(list(kept.values()), "get_many", list(kept))
    if face.can(LIST):
        await face.lists(kept, "list")
        await face.lists({key.partition("/")[0] for key in kept}, "list_dir")
    if face.can(DELETE):
        for key in list(kept)[::2]:
            await face.delete(key)
            del kept[key]
        for key in keys:
            if key in kept:
                await face.gives(kept[key], "get", key)
        if face.can(LIST):
            await face.lists(kept, "list")


@behaviour("make_store() gives a new store that is empty and writable", Capability.READ)
async def store_is_new_and_writable(face: Face) -> None:
    if face.store.read_only:
        raise Failed("the store is read-only")
    if face.can(LIST):
        await face.lists([], "list")
        await face.gives(True, "is_empty", "")
    for key in _PLAIN_KEYS:
        await face.gives(None, "get", key)


@behaviour("an illegal key raises InvalidKeyError from every method, reads too, before any I/O")
async def illegal_keys_raise(face: Face) -> None:
    for key in [*_ILLEGAL_KEYS, *_NOT_STRINGS]:
        for call in _key_calls(face, key):
            error = await face.raises(InvalidKeyError, *call)
            if not isinstance(error, ValueError):
                raise Failed("InvalidKeyError should be a ValueError")
    await face.gives(False, "exists", "fine")
    if face.can(LIST):
        await face.lists([], "list")


@behaviour("an illegal prefix raises InvalidKeyError from every method", LIST)
async def illegal_prefixes_raise(face: Face) -> None:
    await face.set("a/b", b"kept")
    for prefix in [*_ILLEGAL_PREFIXES, *_NOT_STRINGS]:
        for call in _prefix_calls(face, prefix):
            await face.raises(InvalidKeyError, *call)
    await face.lists(["a/b"], "list")


@behaviour("the keys that arrays and groups have are stored, each on its own", reads_only=True)
async def usual_keys_round_trip(face: Face) -> None:
    keys = face.usable(_PLAIN_KEYS)
    await face.seed({key: key.encode() for key in keys})
    for key in keys:
        await face.gives(key.encode(), "get", key)
    if face.can(LIST):
        await face.lists(keys, "list")


@behaviour("keys are case-sensitive: 'a' and 'A' are two keys, or the second is refused")
async def case_is_kept(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["case"])


@behaviour("keys are not normalised: the two spellings of an accented letter are two keys")
async def unicode_is_not_normalised(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["normalisation"])


@behaviour("keys are not percent-decoded: space, '+', '%' and '%20' are ordinary characters")
async def percent_is_not_decoded(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["percent"])


@behaviour("leading and trailing dots are ordinary: '.a', '..a', 'a..'")
async def dots_are_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["dots"])


@behaviour("'/' is no other character: 'a/b' is another key than 'a.b', 'a-b', 'a__b', 'a%2Fb'")
async def slash_is_no_other_character(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["slashes"])


@behaviour("'*', '?', '[' and their like are ordinary, not patterns")
async def wildcards_are_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["patterns"])


@behaviour("'_', '%' and quotes are ordinary, not SQL")
async def sql_is_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["SQL"])


@behaviour("'#', '&', '?', '@' and ':' are ordinary, not parts of a URL")
async def url_characters_are_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["URLs"])


@behaviour("newline, tab and spaces at either end are ordinary")
async def control_characters_are_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["controls"])


@behaviour("any Unicode text is a key: emoji, CJK, the last code point")
async def unicode_is_ordinary(face: Face) -> None:
    await _round_trip(face, ODD_KEYS["unicode"])


@behaviour("a key has up to 1024 bytes, in one segment or many; one too long is never cut")
async def long_keys_are_whole(face: Face) -> None:
    segments = "/".join("s" * 102 for _ in range(10))[:1022]
    accents = "\u00e9" * 100
    keys = ["x" * 255, "x" * 254, f"a/{'y' * 255}", f"{segments}/z"[:1024], f"{segments}/w"[:1024]]
    keys += ["/".join([accents] * 5), "z" * 1024, "z" * 1023, "z" * 256, "b/" * 127 + "bb"]
    await _round_trip(face, keys)


@behaviour("the prefixes 'a/b' and 'a/b/' mean the same", LIST, reads_only=True)
async def prefix_slash_is_optional(face: Face) -> None:
    await face.seed(dict.fromkeys(("a/b/c", "a/b/d/e", "a/bc", "x"), b"1234"))
    for prefix in ("a/b", "a/b/"):
        await face.lists(["a/b/c", "a/b/d/e"], "list_prefix", prefix)
        await face.lists(["c", "d"], "list_dir", prefix)
        await face.gives(False, "is_empty", prefix)
        await face.gives(8, "getsize_prefix", prefix)


@behaviour("the prefix 'a/b' is everything under that node, never 'a/bc'", LIST, reads_only=True)
async def prefix_ends_at_a_segment(face: Face) -> None:
    keys = face.usable(("a/b/c", "a/bc", "a/b.c", "a/b c", "a/b-/c", "ab/c", "b/c"))
    await face.seed(dict.fromkeys(keys, b"12"))
    await face.lists(["a/b/c"], "list_prefix", "a/b")
    await face.lists(["c"], "list_dir", "a/b")
    await face.gives(2, "getsize_prefix", "a/b")
    await face.gives(True, "is_empty", "a/bc")
    await face.gives(False, "is_empty", "a/")
    await face.lists([], "list_prefix", "a/b/c")


@behaviour("the prefix 'a/b' is never the key 'a/b' itself", LIST, reads_only=True)
async def prefix_is_not_its_own_key(face: Face) -> None:
    await face.seed({"a/b": b"123"})
    await face.lists([], "list_prefix", "a/b")
    await face.lists([], "list_dir", "a/b")
    await face.gives(True, "is_empty", "a/b")
    await face.gives(0, "getsize_prefix", "a/b")


@behaviour("a key may be a prefix as well, or the second of the two is refused", LIST)
async def key_and_prefix_of_one_name(face: Face) -> None:
    await face.set("a/b", b"123")
    both = await keep(face, "a/b/c", b"4")
    await face.gives(b"123", "get", "a/b")
    await face.gives(b"4" if both else None, "get", "a/b/c")
    await face.lists(["a/b", "a/b/c"] if both else ["a/b"], "list")
    await face.lists(["a/b/c"] if both else [], "list_prefix", "a/b")
    await face.lists(["b"], "list_dir", "a")
    await face.set("d/e/f", b"5")
    if await keep(face, "d/e", b"6"):
        await face.gives(b"6", "get", "d/e")
    await face.gives(b"5", "get", "d/e/f")
    await face.lists(["e"], "list_dir", "d")
    await face.lists(["d/e/f"], "list_prefix", "d/e")


@behaviour("a prefix is text, not a pattern: '_', '%', '*', '?', '[', '.' match themselves", LIST)
async def prefix_is_not_a_pattern(face: Face) -> None:
    pairs = [("a_b", "aXb"), ("a%b", "aYYb"), ("c*", "cde"), ("d?", "de"), ("e[f]", "ef"),
             ("g.h", "gXh"), ("i%2Fj", "i"), ("k'", "k"), ("{l,m}", "l")]  # fmt: skip
    kept = [f"{name}/x" for pair in pairs for name in pair if await keep(face, f"{name}/x", b"1")]
    for special, other in pairs:
        for name in (special, other):
            wanted = [key for key in kept if key == f"{name}/x"]
            await face.lists(wanted, "list_prefix", name)
            await face.lists(["x"] if wanted else [], "list_dir", name)
    if face.can(DELETE):
        for special, _ in pairs:
            await face.delete_dir(special)
            kept = [key for key in kept if key != f"{special}/x"]
            await face.lists(kept, "list")


@behaviour("prefixes are case-sensitive and reach to the last code point", LIST)
async def prefix_is_compared_as_it_is(face: Face) -> None:
    keys = [
        key
        for key in (
            "a/\U0010ffff",
            "a/\uffff",
            "a/z",
            "A/y",
            "a/\x01",
            "a0/x",
            "a./x",
            "a/\U0010ffff\U0010ffff",
        )
        if await keep(face, key, b"1")
    ]
    wanted = [key for key in keys if key.startswith("a/")]
    await face.lists(wanted, "list_prefix", "a")
    await face.lists([key[2:] for key in wanted], "list_dir", "a")
    await face.lists([key for key in keys if key.startswith("A/")], "list_prefix", "A")
