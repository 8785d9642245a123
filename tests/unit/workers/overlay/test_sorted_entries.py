"""The entries of a layer in order, however they were added and however few were sorted at a time."""

from __future__ import annotations

import random
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.column_items import as_list
from shardstore.workers.overlay import sorted_entries
from shardstore.workers.overlay.sorted_entries import SortedEntries

KEYS = st.binary(min_size=1, max_size=2)
KEYS_OF_ONE_LENGTH = st.binary(min_size=2, max_size=2)
BATCHES = st.lists(st.lists(KEYS, max_size=30), max_size=5) | st.lists(
    st.lists(KEYS_OF_ONE_LENGTH, max_size=30), max_size=5
)


def sort_all(entries: SortedEntries, keys_max: int) -> int:
    """Sort all entries; returns the number of turns."""
    turns = 1
    while entries.sort(keys_max) == keys_max:
        turns += 1
    return turns


def contents(entries: SortedEntries) -> list[tuple[Stored, Stored]]:
    pieces = entries.between(EVERYTHING)
    return sorted(entry for piece in pieces for entry in zip(*map(as_list, piece), strict=True))


@given(BATCHES, st.integers(1, 7), st.integers(2, 20))
def test_every_entry_is_in_one_piece_and_pieces_are_in_order(
    batches: list[list[bytes]], keys_max: int, piece_max: int
) -> None:
    entries: dict[bytes, Stored] = {}
    in_order = SortedEntries(entries)
    with patch.object(sorted_entries, "PIECE_KEYS_MAX", piece_max):
        for number, batch in enumerate(batches):
            entries_before = len(entries)
            entries.update(dict.fromkeys(batch, b"%d" % number))
            if len(entries) - entries_before < len(batch):
                in_order.note_overwritten()
            in_order.sort(keys_max)  # and then more keys are added
        sort_all(in_order, keys_max)
    pieces = in_order.between(EVERYTHING)
    assert all(left < right for piece in pieces for left, right in pairwise(as_list(piece.keys)))
    assert contents(in_order) == sorted(entries.items())
    assert contents(in_order.copy(dict(entries))) == sorted(entries.items())


@given(BATCHES, st.integers(0, 30))
def test_a_copy_goes_on_with_what_is_not_in_order_yet(batches: list[list[bytes]], keys_max: int) -> None:
    entries: dict[bytes, Stored] = {key: key for batch in batches for key in batch}
    in_order = SortedEntries(entries)
    in_order.sort(keys_max)
    copied = dict(entries)
    copy = in_order.copy(copied)
    copied[b"later"] = b""
    sort_all(copy, 7)
    assert contents(copy) == sorted(copied.items())


def test_an_entry_that_is_written_again_is_shown_as_it_is() -> None:
    entries: dict[bytes, Stored] = {b"%06d" % (number * 7 % 1_000): b"old" for number in range(1_000)}
    in_order = SortedEntries(entries)
    in_order.sort(400)
    entries.update({b"000001": b"new", b"000999": b"new"})
    in_order.note_overwritten()
    sort_all(in_order, 400)
    assert contents(in_order) == sorted(entries.items())


def test_keys_that_come_in_order_make_one_piece() -> None:
    in_order = SortedEntries({b"%06d" % number: b"" for number in range(1_000)})
    assert sort_all(in_order, 100) == 11
    assert len(in_order.between(EVERYTHING)) == 1


def test_pieces_that_overlap_become_few() -> None:
    in_order = SortedEntries({b"%06d" % (number * 7_919 % 10_000): b"" for number in range(10_000)})
    sort_all(in_order, 10)
    assert len(in_order.between(EVERYTHING)) < 12


@given(st.sets(KEYS, min_size=1), KEYS, KEYS, st.booleans(), st.integers(1, 50))
@example({b"\0", b"\1"}, b"\0", b"\0", True, 32)  # fewer keys than the first mark is away
def test_marks_tell_about_how_many_keys_lie_between_them(
    drawn: set[bytes], one: bytes, other: bytes, reverse: bool, entries_max: int
) -> None:
    in_order = SortedEntries(dict.fromkeys(sorted(drawn), b""))
    sort_all(in_order, 100)
    wanted = KeyRange(min(one, other), max(one, other) + b"\0")
    inside = sorted(key for key in drawn if key in wanted)
    assert in_order.extent(wanted) == (KeyRange(inside[0], inside[-1] + b"\0") if inside else None)
    marks = in_order.marks(wanted, reverse, entries_max, 10)
    for number, mark in enumerate(marks, 1):
        nearer = [key for key in inside if (key >= mark.key if reverse else key < mark.key)]
        assert 0 < len(nearer) <= number * mark.entries
        assert mark.bytes == 10 * mark.entries
    counted = sum(mark.entries for mark in marks)
    assert counted >= min(entries_max, len(inside) - max(1, entries_max // 16)) or not inside


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("pieces", [1, 3, 20, 50])
def test_marks_of_many_pieces_together_count_about_what_there_is(pieces: int, reverse: bool) -> None:
    drawn = random.Random(pieces)
    keys = [b"%08d" % number for number in range(pieces * 1_000)]
    drawn.shuffle(keys)
    in_order = SortedEntries(dict.fromkeys(keys, b""))
    with patch.object(sorted_entries, "SORTED_TOGETHER", 1_000), patch.object(sorted_entries, "PIECE_KEYS_MAX", 1_000):
        sort_all(in_order, 1_000)
    assert len(in_order.between(EVERYTHING)) == pieces
    marks = in_order.marks(EVERYTHING, reverse, 900, 10)
    far = marks[-1].key
    nearer = sum(key >= far if reverse else key < far for key in keys)
    assert 750 <= nearer <= 1_100


@pytest.mark.parametrize(
    ("field", "broken", "what"),
    [
        ("keys", [b"a", b"b", b"a"], "a piece is not in order"),
        ("values", [b"1", b"1", b"2"], "a piece holds a former value"),
        ("keys", [b"a", b"b", b"d"], "an entry is missing, or is held twice"),
    ],
)
def test_a_piece_that_is_not_as_promised_is_found(field: str, broken: list[bytes], what: str) -> None:
    entries: dict[bytes, Stored] = dict.fromkeys([b"a", b"b", b"c", b"d"], b"1")
    in_order = SortedEntries(entries)
    in_order.check_invariants()
    in_order.sort(3)
    in_order.check_invariants()
    in_order._pieces[0] = in_order._pieces[0]._replace(**{field: broken})
    with pytest.raises(AssertionError, match=what):
        in_order.check_invariants()
