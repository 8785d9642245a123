"""The codecs of values: what they take, what they refuse, and what they read back."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import msgpack
import pytest

from shardstore import InvalidRequest, values

JSON_LIKE = [None, True, False, 0, -5, 1 << 63, 1.5, "", "ä\0\U0001f600", [], [1, [2]], {}, {"b": 1, "a": [None]}]
READ_BACK = {
    values.Raw(): [b"", b"a\0", bytes(100)],
    values.Str(): ["", "ä\0", "a" * 100],
    values.Int(): [0, -1, 12345, 1 << 64, -(1 << 5000)],
    values.Float(): [0.0, 1.5, -math.inf],
    values.Json(): [*JSON_LIKE, 1 << 70],
    values.MsgPack(): [*JSON_LIKE, b"", {1: 2, None: [1.5], False: 3, 2.5: 4, b"k": 5}],
    values.Pickle(): [*JSON_LIKE, (1, {2}), 1 << 70],
}
CASES = [(codec, value) for codec, some in READ_BACK.items() for value in some]
NAMES = [f"{codec.name} {number}" for codec, some in READ_BACK.items() for number, _ in enumerate(some)]


def typed(value: Any) -> Any:
    """The value with all types in it, and the order of dicts."""
    if isinstance(value, list | tuple):
        return type(value), list(map(typed, value))
    if isinstance(value, dict):
        return [(typed(key), typed(each)) for key, each in value.items()]
    return type(value), value


@pytest.mark.parametrize(("codec", "value"), CASES, ids=NAMES)
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_a_value_is_read_back(codec: values.ValueCodec[Any], value: Any, compression: str | None) -> None:
    stored = values.Values(codec, compression)
    data = stored.encode(value)
    assert type(data) is bytes
    assert typed(stored.decode(data)) == typed(value)
    if compression is None:
        assert data == codec.encode(value)
        assert typed(codec.decode(data)) == typed(value)


@pytest.mark.parametrize("codec", READ_BACK, ids=lambda codec: codec.name)
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_many_values_are_encoded_and_decoded_as_each_is(codec: values.ValueCodec[Any], compression: str | None) -> None:
    stored = values.Values(codec, compression)
    many = READ_BACK[codec] * 10
    datas = stored.encode_many(iter(many))
    assert datas == list(map(stored.encode, many))
    assert typed(stored.decode_many(iter(datas))) == typed(many)
    assert stored.encode_many([]) == stored.decode_many([]) == []


@pytest.mark.parametrize("bits", [1 << 63, 0x7FF8 << 48, 0xFFF8_0000_0000_0001, 1])
def test_every_bit_of_a_float_is_read_back(bits: int) -> None:
    data = bits.to_bytes(8, "big")
    assert values.Float().encode(values.Float().decode(data)) == data


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (values.Raw(), b"a", b"a"),
        (values.Str(), "ä", b"\xc3\xa4"),
        (values.Int(), -17, b"-17"),
        (values.Float(), 1.0, b"\x3f\xf0\0\0\0\0\0\0"),
        (values.Json(), {"b": "ä", "a": [1, None]}, '{"b":"ä","a":[1,null]}'.encode()),
        (values.MsgPack(), {"b": b"x"}, b"\x81\xa1b\xc4\x01x"),
    ],
)
def test_the_bytes_of_a_value(codec: values.ValueCodec[Any], value: Any, data: bytes) -> None:
    assert codec.encode(value) == data


class Unpicklable:
    def __reduce__(self) -> str:
        raise RuntimeError("not me")


class Unreadable:
    """Pickled as a call that fails."""

    def __reduce__(self) -> Any:
        return (int, ("five",))


REFUSED = [
    (values.Raw(), "a", "Raw takes bytes, not str: 'a'"),
    (values.Raw(), bytearray(b"a"), "Raw takes bytes, not bytearray: bytearray(b'a')"),
    (values.Str(), b"a", "Str takes str, not bytes: b'a'"),
    (values.Str(), "\ud800", "a value of Str has no UTF-8: 'utf-8' codec can't encode"),
    (values.Int(), True, "Int takes int, not bool: True"),
    (values.Int(), 1.0, "Int takes int, not float: 1.0"),
    (values.Int(), 10**4300, "a value of Int is too large: Exceeds the limit"),
    (values.Float(), 1, "Float takes float, not int: 1"),
    (values.Json(), math.nan, "a value of Json is no JSON: Out of range float values are not JSON compliant"),
    (values.Json(), {"a": b""}, "a value of Json is no JSON: Object of type bytes is not JSON serializable"),
    (values.Json(), {(1, 2): 3}, "a value of Json is no JSON: keys must be str, int, float, bool or None"),
    (values.Json(), "\ud800", "a value of Json is no JSON: 'utf-8' codec can't encode"),
    (values.MsgPack(), 1 << 64, "a value of MsgPack is no MessagePack: "),
    (values.MsgPack(), {(1, 2): 3}, "a value of MsgPack is no MessagePack: no MessagePack: unhashable type: 'list'"),
    (values.MsgPack(), object(), "a value of MsgPack is no MessagePack: can not serialize 'object' object"),
    (values.MsgPack(), "\ud800", "a value of MsgPack is no MessagePack: "),
    (values.Pickle(), Unpicklable(), "a value of Pickle cannot be pickled: not me"),
]


@pytest.mark.parametrize(("codec", "value", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_a_wrong_value_is_refused(codec: values.ValueCodec[Any], value: Any, text: str) -> None:
    for encode in (codec.encode, values.Values(codec).encode):
        with pytest.raises(InvalidRequest) as caught:
            encode(value)
        assert text in str(caught.value)


def recursive() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("codec", [values.Json(), values.MsgPack()], ids=["Json", "MsgPack"])
def test_a_value_without_end_is_refused(codec: values.ValueCodec[Any]) -> None:
    with pytest.raises(InvalidRequest):
        codec.encode(recursive())


UNDECODABLE = [
    (values.Str(), b"\xff", "invalid start byte"),
    (values.Int(), b"", "invalid literal for int"),
    *(
        (values.Int(), data, "a sign, a zero, a space or a mark too much")
        for data in (b"+1", b" 1", b"01", b"1_0", b"-0")
    ),
    (values.Float(), bytes(7), "a float has 8 bytes"),
    (values.Json(), b"", "Expecting value"),
    (values.Json(), b"[1", "Expecting ',' delimiter"),
    (values.Json(), b"1,2", "something follows the JSON of a value"),
    (values.Json(), b"NaN", "JSON has no NaN"),
    (values.Json(), b"[-Infinity]", "JSON has no -Infinity"),
    (values.Json(), b"\xff", "invalid start byte"),
    (values.Json(), b"[" * 100_000, "RecursionError"),
    (values.MsgPack(), b"", "no MessagePack"),
    (values.MsgPack(), b"\xc1", "no MessagePack"),
    (values.MsgPack(), b"\x01\x01", "no MessagePack"),
    (values.MsgPack(), b"\xdd\xff\xff\xff\xff", "no MessagePack"),
    (values.Pickle(), b"", "EOFError: Ran out of input"),
    (values.Pickle(), values.Pickle().encode(Unreadable()), "invalid literal for int"),
]


@pytest.mark.parametrize(("codec", "data", "text"), UNDECODABLE, ids=[text for _, _, text in UNDECODABLE])
def test_bytes_of_others_are_refused(codec: values.ValueCodec[Any], data: bytes, text: str) -> None:
    stored = values.Values(codec)
    right = next(some[0] for each, some in READ_BACK.items() if each.name == codec.name)
    for decode, what in ((stored.decode, data), (stored.decode_many, [stored.encode(right), data])):
        with pytest.raises(ValueError, match=re.escape(text)):
            decode(what)


def test_json_of_others_may_have_space_around_it() -> None:
    assert values.Json().decode_many([b' {"a": 1}\r\n', b"\t2"]) == [{"a": 1}, 2]


def test_no_dict_is_read_whose_keys_all_have_the_same_hash() -> None:
    """Such a dict takes quadratic time. Hashes of floats are known to everybody, unlike those of strings."""
    same = [math.ldexp(1.0, 61 * power) for power in range(-16, 16)]
    assert len(set(map(hash, same))) == 1
    many = [math.ldexp(float(odd), 61 * power) for power in range(-15, 16) for odd in range(1, 200, 2)]
    begin = time.monotonic()
    with pytest.raises(ValueError, match="the keys of a dict have the same hash"):
        values.MsgPack().decode(msgpack.packb(dict.fromkeys(many, 0)))
    assert time.monotonic() - begin < 10
    harmless = {math.ldexp(1.0, exponent): 0 for exponent in range(60)}
    assert values.MsgPack().decode(values.MsgPack().encode(harmless)) == harmless
