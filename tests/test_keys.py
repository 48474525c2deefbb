"""The key rules, against a slow and obvious reference."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zarrstore.errors import InvalidKeyError
from zarrstore.keys import (
    MAX_KEY_BYTES,
    check_key,
    check_keys,
    check_prefix,
    is_key,
    join,
    legal_keys,
)

TEXT = st.text(st.sampled_from("ab./\\\x00\ud800\udfff\u00e9 %~\n\U0001f600"), max_size=12)
LENGTHS = st.builds(
    lambda character, length: character * length,
    st.sampled_from(["a", "\u00e9", "\u20ac", "\U0001f600"]),
    st.sampled_from([0, 1, 255, 256, 257, 341, 342, 511, 512, 513, 1023, 1024, 1025, 3000]),
)


def legal(key: object) -> bool:
    if not isinstance(key, str):
        return False
    try:
        encoded = key.encode("utf-8")
    except UnicodeEncodeError:
        return False
    if not 1 <= len(encoded) <= MAX_KEY_BYTES or b"\0" in encoded or b"\\" in encoded:
        return False
    return all(segment not in ("", ".", "..") for segment in key.split("/"))


PLAIN = st.text(st.sampled_from("abc-_0123"), min_size=1, max_size=5)


@given(st.lists(st.one_of(PLAIN, TEXT, LENGTHS), max_size=6))
@example(["a", "", "b"])
@example(["a", "a\0b"])
@example(["a", "b/", "/c"])
@example(["a", ".zgroup", "..", "a/."])
@example(["a" * 257, "b"])
@example(["a"] * 200 + ["b" * 1025] + ["c"] * 200)
def test_many_keys_at_once(keys):
    assert legal_keys(keys) == [key for key in keys if legal(key)]
    if all(map(legal, keys)):
        check_keys(keys)
    else:
        with pytest.raises(InvalidKeyError):
            check_keys(keys)


@given(st.one_of(TEXT, LENGTHS, st.text()))
@example("a\n")
@example("..\n")
@example("a/.")
@example("./a")
@example("...")
@example("a/..b/.c")
def test_keys(key):
    assert is_key(key) == legal(key)
    if legal(key):
        assert check_key(key) == key
    else:
        with pytest.raises(InvalidKeyError, match="invalid key") as caught:
            check_key(key)
        assert caught.value.key == key


@given(st.one_of(TEXT, LENGTHS, st.text()))
@example("a/")
@example("a//")
@example("/")
@example("")
def test_prefixes(prefix):
    path = prefix.removesuffix("/")
    if prefix == "":
        assert check_prefix(prefix) == ""
    elif legal(path):
        assert check_prefix(prefix) == path + "/" == check_prefix(path)
    else:
        with pytest.raises(InvalidKeyError, match="invalid prefix"):
            check_prefix(prefix)


@pytest.mark.parametrize("value", [None, b"a", 5, ["a"], ("a",)])
def test_other_types(value):
    with pytest.raises(InvalidKeyError, match="is a str, not"):
        check_key(value)
    with pytest.raises(InvalidKeyError, match="is a str, not"):
        check_prefix(value)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "at least one character"),
        ("/a", "does not start with '/'"),
        ("a/", "does not end with '/'"),
        ("a//b", "is not empty"),
        ("a/./b", "'.' or '..'"),
        ("../a", "'.' or '..'"),
        ("a\0", "NUL"),
        ("a\\b", "backslash"),
        ("\ud800", "lone surrogate"),
        ("x" * 1025, "at most 1024 bytes"),
        ("\u20ac" * 342, "at most 1024 bytes"),
    ],
)
def test_the_message_says_which_rule_is_broken(key, reason):
    with pytest.raises(InvalidKeyError, match=reason) as caught:
        check_key(key)
    assert len(str(caught.value)) < 300


def test_keys_are_kept_as_they_are():
    for key in ("A", "a", "e\u0301", "\u00e9", "a%20b", "a+b", ".hidden", "..a", " ", "a b"):
        assert check_key(key) == key


SEGMENT = st.text(st.sampled_from("ab. %~\n\u00e9"), min_size=1, max_size=5).filter(legal)


@given(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), SEGMENT)
def test_join(path, name):
    assert join("", name) == name
    assert join(path, name).startswith(check_prefix(path))
    assert legal(join(path, name))
