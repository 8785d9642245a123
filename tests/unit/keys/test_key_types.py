"""The types of keys: what they take, what they refuse and how they say so, and the ranges of tuples."""

from __future__ import annotations

import datetime
import enum
import uuid
from typing import Any, NamedTuple, Optional

import pytest

from shardstore import InvalidRequest, UndecodableKey, keys
from shardstore.limits import KEY_BYTES_MAX, KEY_NESTING_MAX

NAMES = "bytes, str, int, float, bool, UUID, date, datetime"
USER = keys.Tuple(str, int)
NAIVE = datetime.datetime(2000, 1, 1)
ABOVE = datetime.datetime.max.replace(tzinfo=datetime.timezone(-datetime.timedelta(hours=1)))


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class User(NamedTuple):
    name: str
    number: int


class OwnDatetime(datetime.datetime):
    """A subclass that may mean more, as those of other libraries do."""


def nested(depth: int) -> tuple[Any, ...]:
    key: tuple[Any, ...] = ()
    for _ in range(depth):
        key = (key,)
    return key


REFUSED = [
    (keys.Bytes(), "a", "Bytes() takes bytes, not str: 'a'"),
    (keys.Str(), 5, "Str() takes str, not int: 5"),
    (keys.Str(), "\ud800", "Str() takes str without lone surrogates, not str: '\\ud800'"),
    (keys.Int(), True, "Int() takes int, not bool: True"),
    (keys.Int(), 1.0, "Int() takes int, not float: 1.0"),
    (keys.Int(), 1 << 8 * KEY_BYTES_MAX, "Int() takes int of at most 4096 bytes, not int: 0x1000"),
    (keys.Uuid(), str(uuid.UUID(int=1)), "Uuid() takes UUID, not str: '00000000-0000-0000-0000-000000000001'"),
    (USER, ("a", "b"), "Tuple(str, int) takes int as key[1], not str: 'b'"),
    (USER, ("a", True), "Tuple(str, int) takes int as key[1], not bool: True"),
    (USER, ("a", None), "Tuple(str, int) takes int as key[1], not NoneType: None"),
    (USER, ("a",), "Tuple(str, int) takes tuple of 2 elements, not tuple: ('a',)"),
    (USER, ["a", 1], "Tuple(str, int) takes tuple of 2 elements, not list: ['a', 1]"),
    (keys.Tuple(int | None, USER), (1, ("a", 1.5)), "takes int as key[1][1], not float: 1.5"),
    (keys.Tuple(int | None, USER), (1, ("a",)), "takes tuple of 2 elements as key[1], not tuple: ('a',)"),
    (keys.Tuple(int | None), ("a",), "Tuple(int | None) takes int | None as key[0], not str: 'a'"),
    (keys.Tuple(float), (1,), "Tuple(float) takes float as key[0], not int: 1"),
    (keys.Tuple(datetime.date), (NAIVE,), "takes date as key[0], not datetime: datetime.datetime(2000, 1, 1, 0, 0)"),
    (keys.Tuple(datetime.datetime), (NAIVE,), "takes datetime with a zone as key[0], not datetime: datetime"),
    (keys.Tuple(datetime.datetime), (ABOVE,), "takes datetime that is in the years 1 to 9999 in UTC as key[0], not"),
    (keys.Tuple(datetime.datetime), (OwnDatetime.now(datetime.UTC),), "takes datetime as key[0], not OwnDatetime"),
    (keys.AnyTuple(), "ab", "AnyTuple() takes tuple, not str: 'ab'"),
    (keys.AnyTuple(), (1, [2]), "or tuple (at most 32 deep) as key[1], not list: [2]"),
    (keys.AnyTuple(), nested(KEY_NESTING_MAX + 1), "or tuple (at most 32 deep) as key[0][0][0]"),
]


@pytest.mark.parametrize(("key_type", "key", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_a_wrong_key_is_refused_with_its_place(key_type: keys.KeyType[Any], key: Any, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        key_type.encode(key)
    assert text in str(caught.value)
    right = {"Bytes()": b"", "Str()": "", "Int()": 0, "Uuid()": uuid.UUID(int=0)}.get(key_type.description, key)
    with pytest.raises(InvalidRequest) as many:
        key_type.encode_many([*[right] * 20, key])
    assert str(many.value) == str(caught.value)


@pytest.mark.parametrize("many", [False, True])
def test_subclasses_are_read_back_as_the_plain_type(many: bool) -> None:
    made = User(Color.RED, Level.HIGH)
    (encoded,) = set(USER.encode_many([made] * 20)) if many else {USER.encode(made)}
    assert encoded == USER.encode(("red", 3)) == keys.AnyTuple().encode(made)
    assert list(map(type, USER.decode(encoded))) == [str, int]


@pytest.mark.parametrize(
    ("key_type", "data", "what"),
    [
        (keys.Str(), b"\xff", "no UTF-8: invalid start byte"),
        (keys.Int(), b"", "no int is empty"),
        (keys.Int(), b"\x02a\x00", "no int at byte 0"),
        (keys.Int(), b"\x14\x14", "the int ends at byte 1"),
        (keys.Uuid(), bytes(15), "15 bytes instead of 16"),
        (USER, b"\x02a\x00", "1 elements instead of 2"),
        (USER, b"\x02a\x00\x14\x14", "nothing that may stand at byte 4"),
        (USER, b"\x02a\x00\x26", "no int at byte 3"),
        (USER, b"\x01a\x00\x14", "no str at byte 0"),
        (USER, b"\x00\x14", "no str at byte 0"),
        (keys.Tuple(bool), b"\x14", "no bool at byte 0"),
        (keys.Tuple(USER), b"\x14", "no tuple at byte 0"),
    ],
)
def test_bytes_of_others_are_refused(key_type: keys.KeyType[Any], data: bytes, what: str) -> None:
    text = f"{data!r} is no key of the type {key_type}: {what}"
    with pytest.raises(UndecodableKey) as caught:
        key_type.decode(data)
    assert str(caught.value) == text
    with pytest.raises(UndecodableKey) as many:
        key_type.decode_many([data] * 20)
    assert str(many.value) == text


def test_plain_keys_are_short() -> None:
    assert keys.Bytes().encode(b"a\0") == b"a\0"
    assert keys.Str().encode("ä") == "ä".encode()
    assert keys.Int().encode(5) == b"\x15\x05"
    assert keys.Uuid().encode(uuid.UUID(int=1)) == bytes(15) + b"\x01"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_int_may_be_as_large_as_a_key(sign: int) -> None:
    largest = sign * ((1 << 8 * KEY_BYTES_MAX) - 1)
    assert keys.Int().decode(keys.Int().encode(largest)) == largest


def test_tuples_in_each_other_have_a_limit() -> None:
    deepest = nested(KEY_NESTING_MAX)
    assert keys.AnyTuple().decode(keys.AnyTuple().encode(deepest)) == deepest


def test_a_range_holds_the_keys_that_begin_so() -> None:
    start, end = USER.range_of(("a",))
    assert (start, end) == (b"\x02a\x00", b"\x02a\x00\xff")
    inside = [USER.encode(("a", number)) for number in (-(1 << 600), 0, 1 << 600)]
    outside = [USER.encode(key) for key in (("", 0), ("a\0", 0), ("a\0b", 0), ("aa", 0), ("b", 0))]
    assert all(start <= key < end for key in inside)
    assert not any(start <= key < end for key in outside)
    assert USER.range_of(()) == (b"", b"\xff")
    start, end = keys.AnyTuple().range_of((1, 2))
    assert start <= keys.AnyTuple().encode((1, 2)) < end, "a key begins with itself"


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        (("a", 1, 2), "Tuple(str, int) takes beginning of a key, not tuple: ('a', 1, 2)"),
        ("a", "Tuple(str, int) takes beginning of a key, not str: 'a'"),
        ((1,), "Tuple(str, int) takes str as key[0], not int: 1"),
    ],
)
def test_a_range_of_no_keys_is_refused(prefix: Any, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        USER.range_of(prefix)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("types", "text"),
    [
        ((), "Tuple takes the type of each position; AnyTuple() takes tuples of any types"),
        ((list,), f"a position of a Tuple takes {NAMES}, another Tuple or AnyTuple(), not <class 'list'>"),
        ((tuple,), "AnyTuple(), not <class 'tuple'>"),
        ((int | str,), "AnyTuple(), not int | str"),
        ((None,), "AnyTuple(), not None"),
        ((keys.Str(),), "AnyTuple(), not Str()"),
        ((int,) * 300, "the description of a key type has at most 1024 characters"),
    ],
)
def test_what_is_no_type_is_refused(types: tuple[Any, ...], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        keys.Tuple(*types)
    assert text in str(caught.value)


def test_only_none_may_be_an_alternative_of_a_tuple() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        USER | int  # type: ignore[operator]
    with pytest.raises(TypeError, match="unsupported operand"):
        keys.AnyTuple() | int  # type: ignore[operator]


DESCRIPTIONS = {
    "Bytes()": keys.Bytes(),
    "Str()": keys.Str(),
    "Int()": keys.Int(),
    "Uuid()": keys.Uuid(),
    "AnyTuple()": keys.AnyTuple(),
    "Tuple(str, int)": USER,
    "Tuple(bytes, float, bool, UUID, date, datetime)": keys.Tuple(
        bytes, float, bool, uuid.UUID, datetime.date, datetime.datetime
    ),
    "Tuple(str | None, Tuple(int | None) | None, AnyTuple() | None, AnyTuple())": keys.Tuple(
        Optional[str],  # noqa: UP045  the older way to write it
        keys.Tuple(int | None) | None,
        keys.AnyTuple() | None,
        keys.AnyTuple(),
    ),
}


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_descriptions_are_what_a_program_writes(description: str) -> None:
    assert DESCRIPTIONS[description].description == description
    again = keys.from_description(description)
    assert repr(again) == description
    assert type(again) is type(DESCRIPTIONS[description])


@pytest.mark.parametrize(
    "description",
    [
        *("", "Tuple()", "Tuple(", "Tuple(str", "Tuple(str,int)", "Tuple(str, int))", "Tuple(str, int) ", "Tuple(set)"),
        *("Str", "AnyTuple", "Tuple( | None)", "Tuple(str | None | None)", "Tuple(Tuple(str)", "tuple", "Tuple(Str())"),
        *("Tuple(" * 150 + "str" + ")" * 150, "Tuple(" * 100_000, b"Str()", None),
    ],
)
def test_other_descriptions_are_refused(description: Any) -> None:
    with pytest.raises(InvalidRequest, match="this version of shardstore knows no keys of the type "):
        keys.from_description(description)
