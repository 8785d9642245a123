"""Cutting a batch by range, especially where 8 bytes of a key do not decide."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.calls import batch_pieces
from shardstore.client.calls.arguments import checked_keys, checked_values
from shardstore.client.calls.batch_pieces import COMPARED_KEYS, Boundaries, Piece, cut_by_range, group_by_range
from shardstore.wire import columns
from shardstore.wire.wire_format import Flag


def rejoined(pieces: list[tuple[int, Piece]], entries: int) -> list[tuple[int, bytes, bytes | None]]:
    """Route, key and value of every entry, in the order of the batch."""
    found: list[tuple[int, bytes, bytes | None] | None] = [None] * entries
    for route, piece in pieces:
        keys = columns.decode(piece.body[0], bool(piece.flags & Flag.KEYS_FIXED), piece.entries, 1, 10_000)
        values = [None] * piece.entries
        if len(piece.body) > 1:
            fixed = bool(piece.flags & Flag.VALUES_FIXED)
            values = columns.decode(piece.body[1], fixed, piece.entries, 0, 10_000)
        positions = range(entries) if piece.positions is None else piece.positions.tolist()
        assert list(positions) == sorted(positions), "equal keys would lose their order"
        for position, key, value in zip(positions, keys, values, strict=True):
            assert found[position] is None
            found[position] = (route, key, value)
    assert None not in found
    return found  # type: ignore[return-value]


def check(keys: list[bytes], values: list[bytes] | None, starts: list[bytes]) -> list[tuple[int, Piece]]:
    """Cut a batch, and compare the result with that of a simple implementation."""
    pieces = cut_by_range(checked_keys(keys), checked_values(values) if values else None, Boundaries([b"", *starts]))
    expected = [
        (bisect_right(starts, key), key, value) for key, value in zip(keys, values or [None] * len(keys), strict=True)
    ]
    assert rejoined(pieces, len(keys)) == expected
    assert [route for route, _ in pieces] == sorted({route for route, _, _ in expected})
    return pieces


def test_one_range_takes_the_whole_batch() -> None:
    ((route, piece),) = check([b"b", b"a"], [b"1", b"2"], [])
    assert route == 0
    assert piece == Piece((b"ba", b"12"), int(Flag.KEYS_FIXED | Flag.VALUES_FIXED), 2, None)


@pytest.mark.parametrize("starts", [[], [b"b"]])
def test_long_items_of_one_length_are_joined_only_when_they_are_cut(starts: list[bytes]) -> None:
    keys, values = [b"a" * 600, b"b" * 600, b"a" + b"c" * 599], [b"%d" % at * 2_000 for at in range(3)]
    assert checked_values(values).frame is None
    for _, piece in check(keys, values, starts):
        assert piece.flags == Flag.KEYS_FIXED | Flag.VALUES_FIXED
    changeable = list(map(bytearray, values))
    assert checked_values(changeable).items == values
    assert set(map(type, checked_values(changeable).items)) == {bytes}


def test_a_batch_within_one_of_many_ranges_is_not_sorted() -> None:
    ((route, piece),) = check([b"cc", b"cb"], None, [b"a", b"c", b"d"])
    assert piece.positions is None
    assert route == 2


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 16])
def test_keys_of_one_length(width: int) -> None:
    keys = [bytes([at * 37 % 256]).ljust(width, b"x") for at in range(300)]
    check(keys, [str(at).encode() for at in range(300)], [b"\x20", b"\x80", b"\x80x", b"\xf0"])


def test_keys_and_values_of_many_lengths() -> None:
    keys = [bytes([at * 37 % 256]) * (1 + at % 20) for at in range(300)]
    check(keys, [b"v" * (at % 5) for at in range(300)], [b"\x20", b"\x80\x80\x80", b"\xf0"])


def test_empty_values() -> None:
    check([b"a", b"z"], [b"", b""], [b"m"])


@pytest.mark.parametrize(
    "starts",
    [
        [b"prefix--"],
        [b"prefix--m"],
        [b"prefix--a", b"prefix--m", b"prefix--mm", b"prefix--z"],
        [b"prefix-", b"prefix--", b"prefix--\0", b"prefix--\0\0"],
        [b"p", b"prefix--aaaaaaaaaa", b"prefix.", b"q"],
    ],
)
@pytest.mark.parametrize("width", [8, 9, 10, 12])
@pytest.mark.parametrize("compared_keys", [1, COMPARED_KEYS])
def test_boundaries_that_share_their_first_eight_bytes_with_keys(
    starts: list[bytes], width: int, compared_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_pieces, "COMPARED_KEYS", compared_keys)
    tails = [b"", b"\0", b"\0\0\0\0", b"a", b"aaaa", b"m", b"m\0", b"mm", b"mmmm", b"z", b"\xff\xff\xff\xff"]
    keys = [(b"prefix--" + tail).ljust(width, b"\0")[:width] for tail in tails]
    keys += [b"o".ljust(width, b"x"), b"prefix-,".ljust(width, b"x"), b"prefix..".ljust(width, b"x")]
    check(keys, None, starts)


@pytest.mark.parametrize("starts", [[b"a\0"], [b"a", b"a\0", b"a\0\0\0"], [b"ab\0\0"]])
def test_keys_shorter_than_boundaries_that_end_in_zeros(starts: list[bytes]) -> None:
    check([b"a", b"b", b"`"], None, starts)
    check([b"a\0", b"aa", b"ab", b"ac"], None, starts)
    check([b"a\0\0", b"ab\0", b"ab\x01"], None, starts)


def test_more_ranges_than_fit_a_byte() -> None:
    starts = [at.to_bytes(2, "big") for at in range(1, 2_000)]
    check([at.to_bytes(2, "big") * 3 for at in range(0, 2_200, 7)], None, starts)


def test_keys_of_mixed_lengths_that_agree_for_long() -> None:
    stem = b"a/long/stem/that/is/longer/than/a/row/of/the/search/"
    starts = [stem + b"a", stem + b"b", stem + b"b\0", stem + b"bb"]
    check([stem + b"b" * at for at in range(40)] + [stem[:at] for at in range(1, 50)] + [b"b"], None, starts)


# ---------------------------------------------------------------- only the positions


@given(
    st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=60),
    st.sets(st.binary(min_size=1, max_size=12), max_size=8),
)
def test_keys_are_grouped_as_they_are_cut(keys: list[bytes], starts: set[bytes]) -> None:
    boundaries = Boundaries([b"", *sorted(starts)])
    order, spans = group_by_range(checked_keys(keys), boundaries)
    pieces = cut_by_range(checked_keys(keys), None, boundaries)
    as_lists = [(route, None if order is None else order[begin:end].tolist()) for route, begin, end in spans]
    assert order is not None or spans[0][1:] == (0, len(keys))
    assert as_lists == [
        (route, None if piece.positions is None else piece.positions.tolist()) for route, piece in pieces
    ]
    owners = {
        at: route for route, positions in as_lists for at in (range(len(keys)) if positions is None else positions)
    }
    assert owners == {at: bisect_right(sorted(starts), key) for at, key in enumerate(keys)}
