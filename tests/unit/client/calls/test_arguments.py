"""The arguments of calls: what is accepted, what it becomes, and what is refused."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import pytest

from shardstore.client.calls import operations
from shardstore.client.calls.arguments import (
    checked_key,
    checked_keys,
    checked_timeout_ns,
    checked_value,
    checked_values,
)
from shardstore.client.calls.operations import CHUNK_BYTES, CHUNK_ENTRIES, delete_many, get_many, put_many
from shardstore.errors import InvalidRequest
from shardstore.limits import (
    DEADLINE_DEFAULT_NS,
    KEY_BYTES_MAX,
    MIB,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
    VALUE_BYTES_MAX,
)
from shardstore.wire.wire_format import Op
from tests.unit.client.session_driver import new_scan

BYTES_LIKE = [b"abc", bytearray(b"abc"), memoryview(b"abc")]
WIDE = memoryview(array("I", [1, 2]))
TOKEN = new_scan().token


@pytest.mark.parametrize("item", BYTES_LIKE, ids=lambda item: type(item).__name__)
def test_bytes_like_objects_become_bytes(item: Any) -> None:
    for made in (checked_key(item), checked_value(item)):
        assert type(made) is bytes
        assert made == b"abc"
    assert checked_keys([item, item]) == ([item, item], b"abcabc", 3)
    uneven = checked_values([item, b"", item])
    assert uneven.items == [b"abc", b"", b"abc"]
    assert set(map(type, uneven.items)) == {bytes}


@pytest.mark.parametrize(
    "check", [checked_value, lambda item: checked_values([item, item]), lambda item: checked_values([item, b"a"])]
)
def test_a_memoryview_of_wider_items_is_refused(check: Callable[[Any], Any]) -> None:
    """The length of a memoryview may differ from its size, by which requests are cut."""
    with pytest.raises(InvalidRequest, match=r"memoryview of 'I': cast it with .cast\('B'\)"):
        check(WIDE)


@pytest.mark.parametrize("check", [checked_key, checked_value, lambda item: checked_keys([b"abc", item])])
@pytest.mark.parametrize("item", ["abc", "abcd", 7, None, 1.5, ["abc"], (b"abc",)], ids=repr)
def test_other_objects_are_refused(check: Callable[[Any], Any], item: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"is bytes, not {type(item).__name__}"):
        check(item)


@pytest.mark.parametrize("check", [checked_key, checked_value, lambda item: checked_values([item, item])])
def test_text_is_refused_with_advice(check: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidRequest, match=r'encode it, for example with .encode\("utf-8"\): \'text\''):
        check("text")


@pytest.mark.fault("C8")
def test_limits_of_length() -> None:
    longest = b"k" * KEY_BYTES_MAX
    assert checked_key(longest) == longest
    assert checked_keys([b"k", longest]).items == [b"k", longest]
    assert checked_value(b"") == b""
    assert checked_values([b"", b""]) == ([b"", b""], b"", 0)
    for wrong in (b"", longest + b"k"):
        for check in (checked_key, lambda key: checked_keys([key]), lambda key: checked_keys([b"k", key])):
            with pytest.raises(InvalidRequest, match=r"1 to 4,096 bytes"):
                check(wrong)
    too_long = b"v" * (VALUE_BYTES_MAX + 1)
    for check in (checked_value, lambda value: checked_values([value]), lambda value: checked_values([b"", value])):
        with pytest.raises(InvalidRequest, match="8,388,608 bytes, not 8,388,609"):
            check(too_long)


def test_timeouts() -> None:
    assert checked_timeout_ns(None) == DEADLINE_DEFAULT_NS
    assert checked_timeout_ns(0.25) == 250_000_000
    assert checked_timeout_ns(0) == 1_000_000
    for wrong in (-1, 3_601, float("nan"), float("inf"), "1"):
        with pytest.raises(InvalidRequest, match="0 to 3600 seconds"):
            checked_timeout_ns(wrong)  # type: ignore[arg-type]


def _pairs(call: Any) -> list[tuple[bytes, bytes]]:
    return list(zip(call.keys.items, call.values.items, strict=True))


@pytest.mark.parametrize("make", [dict, list, tuple, iter, lambda pairs: (pair for pair in pairs)])
def test_pairs_come_from_a_mapping_or_any_iterable(make: Callable[[Any], Any]) -> None:
    pairs = [(at.to_bytes(4, "big"), b"v" * (at % 3)) for at in range(CHUNK_ENTRIES * 2 + 300)]
    calls = list(put_many(make(pairs), 1.0))
    assert [pair for call in calls for pair in _pairs(call)] == pairs
    assert len(calls) == 3
    assert {(call.op, call.timeout_ns) for call in calls} == {(Op.PUT, 10**9)}


@pytest.mark.parametrize(("make", "op"), [(get_many, Op.GET), (delete_many, Op.DELETE)])
def test_keys_come_from_any_iterable(make: Callable[..., Iterator[Any]], op: Op) -> None:
    keys = [at.to_bytes(4, "big") for at in range(CHUNK_ENTRIES + 1)]
    for source in (keys, iter(keys), dict.fromkeys(keys), {b"k"}):
        calls = list(make(source, None))
        assert [key for call in calls for key in call.keys.items] == list(source) or source is not keys
        assert {(call.op, call.values) for call in calls} == {(op, None)}
    assert list(make([], None)) == []


def test_nothing_to_write() -> None:
    assert list(put_many({}, None)) == [] == list(put_many([], None))


def test_an_endless_iterable_is_read_as_far_as_needed() -> None:
    read = count()
    calls = put_many(((str(next(read)).encode(), b"v") for _ in count()), None)
    next(calls)
    assert next(read) == CHUNK_ENTRIES


@pytest.mark.parametrize("size", [1_000, 100_000, CHUNK_BYTES + 1, VALUE_BYTES_MAX])
def test_chunks_fit_a_request(size: int) -> None:
    value = b"v" * size
    entries = 3 + 40 * MIB // size
    pairs = ((str(at).encode(), value if at > 300 or at % 2 else b"") for at in range(entries + 300))
    counted = 0
    for call in put_many(pairs, None):
        total = sum(map(len, call.keys.items)) + sum(map(len, call.values.items))
        counted += len(call.keys.items)
        assert total + 10 * len(call.keys.items) < REQUEST_BYTES_MAX
        assert len(call.keys.items) <= REQUEST_ENTRIES_MAX
    assert counted == entries + 300


@pytest.mark.parametrize(
    "pairs",
    [[b"ab", b"cde"], [b"abc"], [(b"a",)], [(b"a", b"b", b"c")], [(b"a", b"b"), (b"c",)], ["abc"], [7], "abc", b"abc"],
    ids=repr,
)
def test_what_is_no_pairs(pairs: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"pairs? of key and value|entry \d: a key is bytes, not"):
        list(put_many(pairs, None))


@pytest.mark.parametrize("pairs", [[(b"a", "b")], [("a", b"b")], [(b"a", None)], {b"a": 7}, {"a": b"b"}], ids=repr)
def test_pairs_of_something_else_than_bytes(pairs: Any) -> None:
    with pytest.raises(InvalidRequest, match="is bytes, not"):
        list(put_many(pairs, None))


def test_what_cannot_be_iterated() -> None:
    for make in (put_many, get_many, delete_many):
        with pytest.raises(InvalidRequest, match=r"(pairs|keys) is .*, not int"):
            make(7, None)


def test_an_error_of_the_callers_generator_is_the_callers() -> None:
    def broken() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"b"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(put_many(broken(), None))


def test_single_operations_are_checked() -> None:
    assert operations.put(bytearray(b"k"), memoryview(b"v"), None).value == b"v"
    for call in (
        lambda: operations.get("k", None),
        lambda: operations.contains(b"", None),
        lambda: operations.delete(None, None),
        lambda: operations.put(b"k", None, None),
    ):
        with pytest.raises(InvalidRequest):
            call()


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": "a"},
        {"end": 7},
        {"prefix": "a"},
        {"limit": -1},
        {"limit": 1.5},
        {"limit": 2**64 - 1},
        {"timeout": -1},
        {"start": b"k" * 5_000},
        {"mode": "dirty"},
        {"mode": None},
        {"mode": ["live"]},
        {"resume": "token"},
        {"resume": b"\x01"},
        {"resume": TOKEN + b"."},
        {"resume": b"\x01" + TOKEN[1:]},
        {"resume": TOKEN, "start": b"a"},
        {"resume": TOKEN, "reverse": True},
        {"resume": TOKEN, "limit": 1},
        {"resume": TOKEN, "mode": "live"},
    ],
    ids=repr,
)
def test_arguments_of_a_scan_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        new_scan(**arguments)


def test_islice_of_an_endless_get() -> None:
    endless = get_many((str(at).encode() for at in count()), None)
    assert [len(call.keys.items) for call in islice(endless, 2)] == [CHUNK_ENTRIES, CHUNK_ENTRIES]
