"""Keys and values of a space as bytes, and entries that cannot be decoded."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore import keys, values
from shardstore.errors import InvalidRequest, UndecodableKey, UndecodableValue
from shardstore.spaces.reserved import RESERVED
from shardstore.spaces.space_codec import SpaceCodec, raw_codec
from shardstore.values import Values

CODEC: SpaceCodec[str, Any] = SpaceCodec("users", b"\xff\xff\x01", keys.Str(), Values(values.Json()))


def test_keys_have_the_prefix_in_front() -> None:
    assert CODEC.key("ada") == b"\xff\xff\x01ada"
    assert CODEC.keys(["ada", ""]) == [b"\xff\xff\x01ada", b"\xff\xff\x01"]
    assert CODEC.decoded_key(b"\xff\xff\x01ada") == "ada"
    assert CODEC.decoded_keys([b"\xff\xff\x01ada", b"\xff\xff\x01"]) == ["ada", ""]
    assert CODEC.keys([]) == []


@pytest.mark.parametrize("key", [b"\xff\xff", b"\xff\xff\x01k", b"\xff\xff\xff"])
def test_raw_bytes_do_not_reach_into_spaces(key: bytes) -> None:
    raw = raw_codec()
    assert raw.keys([b"\xff\xfe\xff", b"a"]) == [b"\xff\xfe\xff", b"a"]
    for encode in (raw.key, lambda key: raw.keys([b"a", key, b"b"])):
        with pytest.raises(InvalidRequest) as caught:
            encode(key)
        assert str(caught.value) == f"keys that begin with {RESERVED!r} are reserved for spaces, such as {key!r}"


def test_values_of_keys_that_have_none_are_the_default() -> None:
    assert CODEC.decoded_values(["a", "b", "c"], [b"1", None, b"null"], "none") == [1, "none", None]
    assert CODEC.decoded_values(["a"], [b"[1]"], None) == [[1]]
    assert CODEC.decoded_values([], [], None) == []


def test_a_value_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(UndecodableValue) as caught:
        CODEC.decoded_values(["a", "b", "c", "d"], [b"1", None, b"?", b"!"], None)
    assert (caught.value.space, caught.value.key) == ("users", "c")
    assert isinstance(caught.value.__cause__, ValueError)


def entries(*pairs: tuple[bytes, bytes]) -> tuple[Any, Any]:
    """The keys that are not read, and the decoded entries."""
    stored = [CODEC.prefix + key for key, _ in pairs]
    unread = iter(stored)
    return unread, CODEC.entries(stored, [value for _, value in pairs], unread)


def test_each_entry_takes_one_of_the_unread_keys() -> None:
    unread, decoded = entries((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    assert next(decoded) == ("a", 1)
    assert unread.__length_hint__() == 2
    assert list(decoded) == [("b", 2), ("c", 3)]


def test_what_cannot_be_decoded_raises_in_its_turn_and_the_others_follow() -> None:
    unread, decoded = entries((b"a", b"1"), (b"b", b"?"), (b"\xff", b"3"), (b"d", b"4"))
    assert next(decoded) == ("a", 1)
    with pytest.raises(UndecodableValue, match="'b' in the space 'users'"):
        next(decoded)
    assert unread.__length_hint__() == 2
    with pytest.raises(UndecodableKey):
        next(decoded)
    assert list(decoded) == [("d", 4)]
    stored = [CODEC.prefix + b"\xff", CODEC.prefix + b"d"]
    only_keys = CODEC.only_keys(stored, iter(stored))
    with pytest.raises(UndecodableKey):
        next(only_keys)
    assert list(only_keys) == ["d"]
