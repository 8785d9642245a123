"""Keys of a layer in order, however they came and however little was sorted at a time."""

from __future__ import annotations

from itertools import chain, pairwise
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.workers.overlay import sorted_keys
from shardstore.workers.overlay.sorted_keys import SortedKeys

KEYS = st.binary(min_size=1, max_size=2)


def sort_all(keys: SortedKeys, keys_max: int) -> int:
    """Answers how many turns it took."""
    turns = 1
    while keys.sort(keys_max) == keys_max:
        turns += 1
    return turns


@given(st.lists(st.lists(KEYS, max_size=30), max_size=5), st.integers(1, 7), st.integers(2, 20))
def test_every_key_is_in_one_piece_and_pieces_are_in_order(
    batches: list[list[bytes]], keys_max: int, piece_max: int
) -> None:
    entries: dict[bytes, Stored] = {}
    keys = SortedKeys(entries)
    with patch.object(sorted_keys, "PIECE_KEYS_MAX", piece_max):
        for batch in batches:
            entries.update(dict.fromkeys(batch, b""))
            keys.sort(keys_max)  # and then more keys come
        sort_all(keys, keys_max)
    pieces = keys.between(EVERYTHING)
    assert all(left < right for piece in pieces for left, right in pairwise(piece))
    assert sorted(chain.from_iterable(pieces)) == sorted(entries)
    copy = dict(entries)
    assert keys.copy(copy).between(EVERYTHING) == pieces


def test_keys_that_come_in_order_make_one_piece() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % number: b"" for number in range(1_000)}
    keys = SortedKeys(entries)
    assert sort_all(keys, 100) == 11
    assert len(keys.between(EVERYTHING)) == 1


def test_pieces_that_overlap_become_few() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % (number * 7_919 % 10_000): b"" for number in range(10_000)}
    keys = SortedKeys(entries)
    sort_all(keys, 10)
    assert len(keys.between(EVERYTHING)) < 12


@given(st.sets(KEYS, min_size=1), KEYS, KEYS, st.booleans(), st.integers(1, 9))
def test_marks_tell_how_many_keys_lie_between_them(
    drawn: set[bytes], one: bytes, other: bytes, reverse: bool, entries_max: int
) -> None:
    keys = SortedKeys(dict.fromkeys(sorted(drawn), b""))
    sort_all(keys, 100)
    wanted = KeyRange(min(one, other), max(one, other) + b"\0")
    inside = sorted(key for key in drawn if key in wanted)
    assert keys.extent(wanted) == (KeyRange(inside[0], inside[-1] + b"\0") if inside else None)
    marks = keys.marks(wanted, reverse, entries_max, 10)
    for number, mark in enumerate(marks, 1):
        nearer = [key for key in inside if (key >= mark.key if reverse else key < mark.key)]
        assert len(nearer) == number * mark.entries
        assert mark.bytes == 10 * mark.entries
    counted = sum(mark.entries for mark in marks)
    assert counted >= min(entries_max, len(inside) - 1) or not inside
