"""Columns: decoding returns exactly the encoded items."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import KeyRange
from shardstore.wire import columns
from shardstore.wire.columns import InvalidColumn

ITEMS = st.lists(st.binary(max_size=20), min_size=1, max_size=50)
SAME_LENGTH = st.integers(0, 20).flatmap(
    lambda length: st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=50)
)
KEYS = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=50)


@given(st.one_of(ITEMS, SAME_LENGTH))
def test_items_come_back(items: list[bytes]) -> None:
    frame, fixed = columns.encode(items)
    assert fixed == (len(set(map(len, items))) == 1)
    assert columns.decode(frame, fixed, len(items), 0, 20) == items
    assert columns.decode(memoryview(frame), fixed, len(items), 0, 20) == items


@given(st.lists(st.none() | st.binary(max_size=20), min_size=1, max_size=50))
def test_absent_values_come_back_as_none(items: list[bytes | None]) -> None:
    frame, fixed = columns.encode(items)
    assert columns.decode(frame, fixed, len(items), 0, 20, nullable=True) == items


def test_a_column_of_one_item_is_the_item() -> None:
    assert columns.encode([b"key"]) == (b"key", True)


def test_a_zero_byte_at_the_end_of_an_item_is_kept() -> None:
    assert columns.split_items(b"a\0b\0", 2, 2) == [b"a\0", b"b\0"]


@pytest.mark.parametrize(
    ("frame", "fixed", "count", "shortest", "longest", "nullable"),
    [
        (b"abc", True, 2, 0, 20, False),  # no two items of one length
        (b"abc", True, 0, 0, 20, False),
        (b"", True, 2, 1, 20, False),  # too short
        (b"abcd", True, 1, 0, 3, False),  # too long
        (b"", False, 1, 0, 20, False),  # no msgpack
        (b"\xc1", False, 1, 0, 20, False),
        (msgpack.packb([b"a"]), False, 2, 0, 20, False),  # fewer than announced
        (msgpack.packb([b"a", b"b"]), False, 1, 0, 20, False),  # more
        (msgpack.packb([b"a"]) + b"x", False, 1, 0, 20, False),  # trailing byte
        (msgpack.packb([b""]), False, 1, 1, 20, False),
        (msgpack.packb([b"", None]), False, 2, 1, 20, True),
        (msgpack.packb([b"abcd"]), False, 1, 0, 3, False),
        (msgpack.packb([None]), False, 1, 0, 20, False),
        (msgpack.packb([""]), False, 1, 0, 20, False),
        (msgpack.packb(["a"]), False, 1, 0, 20, False),
        (msgpack.packb([1]), False, 1, 0, 20, False),
        (msgpack.packb([[]]), False, 1, 0, 20, False),
        (msgpack.packb([{}]), False, 1, 0, 20, True),
        (msgpack.packb({}), False, 1, 0, 20, False),
        (msgpack.packb(b"a"), False, 1, 0, 20, False),
        (b"\xdd\xff\xff\xff\xff", False, 1, 0, 20, False),  # an array of four thousand million
        (b"\x91\xc6\xff\xff\xff\xff", False, 1, 0, 20, False),  # an item of four thousand million bytes
        (b"\x91" * 5_000, False, 1, 0, 20, False),  # nested deeply
    ],
)
def test_a_frame_that_is_not_the_promised_column_is_refused(
    frame: bytes, fixed: bool, count: int, shortest: int, longest: int, nullable: bool
) -> None:
    with pytest.raises(InvalidColumn):
        columns.decode(frame, fixed, count, shortest, longest, nullable)


@given(st.binary(max_size=40), st.booleans(), st.integers(0, 5), st.booleans())
def test_arbitrary_bytes_are_a_good_column_or_refused(frame: bytes, fixed: bool, count: int, nullable: bool) -> None:
    try:
        items = columns.decode(frame, fixed, count, 1, 4, nullable)
    except InvalidColumn:
        return
    assert len(items) == count
    assert all((item is None and nullable) or (type(item) is bytes and 1 <= len(item) <= 4) for item in items)


def test_absent_items_do_not_hide_short_ones() -> None:
    frame = msgpack.packb([None, b"ab", b"cd"])
    assert columns.decode(frame, False, 3, 2, 4, nullable=True) == [None, b"ab", b"cd"]
    with pytest.raises(InvalidColumn, match="shorter than 3"):
        columns.decode(frame, False, 3, 3, 4, nullable=True)


@given(KEYS)
def test_prefixes_order_as_keys_do(keys: list[bytes]) -> None:
    prefixes = list(map(columns.prefix_of, keys))
    assert [prefix for prefix, _ in sorted(zip(prefixes, keys, strict=True))] == [
        columns.prefix_of(key) for key in sorted(keys)
    ]


@given(
    st.integers(1, 12).flatmap(
        lambda length: st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=20)
    )
)
def test_prefixes_of_a_fixed_column_are_those_of_its_items(keys: list[bytes]) -> None:
    from_frame = columns.prefixes_of_fixed(b"".join(keys), len(keys[0]))
    assert from_frame.tolist() == list(map(columns.prefix_of, keys))


@given(KEYS, st.binary(max_size=3), st.binary(max_size=3))
def test_all_within_says_whether_each_key_is_in_the_range(keys: list[bytes], one: bytes, other: bytes) -> None:
    start, end = sorted((one, other))
    key_range = KeyRange(start, b"" if start == end else end)
    assert columns.all_within(keys, key_range) == all(key in key_range for key in keys)


def test_positions_are_found_by_identity() -> None:
    mark = object()
    assert columns.positions_of([mark, b"", mark, None], mark) == [0, 2]


@given(
    st.integers(1, 12).flatmap(lambda width: st.lists(st.binary(min_size=width, max_size=width), min_size=1)),
    st.binary(max_size=10),
    st.binary(max_size=10),
)
def test_prefixes_never_tell_that_a_key_outside_a_range_lies_in_it(keys: list[bytes], start: bytes, end: bytes) -> None:
    if end and start >= end:
        start, end = end, start + b"\0"
    key_range = KeyRange(start, end)
    told = columns.fixed_within(b"".join(keys), len(keys), key_range)
    assert not told or columns.all_within(keys, key_range)
    assert told or key_range != KeyRange()
