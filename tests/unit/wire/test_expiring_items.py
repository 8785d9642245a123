"""Values with an end as items of columns: alike or not, they have the same bytes and are read the same."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Expiring, Lasting, Stored
from shardstore.limits import MOMENT_MS_MAX
from shardstore.wire import expiring_items
from shardstore.wire.columns import InvalidColumn, decode, decode_ending
from shardstore.wire.expiring_items import encode_items, items_alike

ENDS = st.sampled_from([0, 1, 1_700_000_000_000, MOMENT_MS_MAX])
VALUES = st.sampled_from([b"", b"v", b"eight by", b"x" * 247, b"y" * 248, b"z" * 70_000])
ITEMS = st.one_of(
    st.builds(Expiring, ENDS, VALUES), st.builds(Lasting, ENDS, VALUES), VALUES, st.none(), st.just(TOMBSTONE)
)


@given(st.one_of(st.lists(ITEMS, max_size=40), st.builds(lambda item, n: [item] * n, ITEMS, st.integers(1, 40))))
def test_items_are_what_msgpack_makes_of_them(items: list[Stored | Lasting | None]) -> None:
    encoded = encode_items(items)
    assert encoded == msgpack.packb(items, default=expiring_items._ext_or_nil, strict_types=True)
    read, kinds = decode_ending(encoded, len(items), 70_000, nullable=True)
    expected = [None if item is TOMBSTONE else item for item in items]
    assert read == expected
    assert kinds == set(map(type, expected))
    assert list(map(type, read)) == list(map(type, expected))


@given(st.sampled_from([Expiring, Lasting]), ENDS, st.lists(VALUES, min_size=17, max_size=40))
def test_values_of_one_end_are_what_msgpack_makes_of_them(kind: type, end: int, values: list[bytes]) -> None:
    items = [kind(end, value) for value in values]
    encoded = encode_items(items)
    assert encoded == msgpack.packb(items, default=expiring_items._ext_or_nil, strict_types=True)
    assert decode_ending(encoded, len(items), 70_000, nullable=False)[0] == items
    assert (items_alike(encoded, len(items)) is not None) == (len(set(map(len, values))) == 1)


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb([msgpack.ExtType(1, b"short")] * 20),
        msgpack.packb([msgpack.ExtType(3, bytes(20))] * 20),
        msgpack.packb([msgpack.ExtType(1, b"\xff" * 20)] * 20),
        msgpack.packb([msgpack.ExtType(1, bytes(100))] * 20),
        msgpack.packb([msgpack.ExtType(1, bytes(20))] * 19),
        b"\xdc\x00\x14" + b"\xc7\xff\x01" * 60,
        b"",
    ],
)
def test_what_is_no_such_item_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidColumn):
        decode_ending(data, 20, 50, nullable=False)
    with pytest.raises(InvalidColumn):
        decode(data, False, 20, 0, 50)


def test_a_plain_column_has_no_ends() -> None:
    with pytest.raises(InvalidColumn):
        decode(encode_items([Expiring(1, b"value")]), False, 1, 0, 50)


def test_values_with_an_end_have_no_length_and_are_there() -> None:
    for item in (Expiring(1, b""), Lasting(1, b"")):
        assert bool(item)
        with pytest.raises(TypeError):
            len(item)
