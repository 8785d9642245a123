"""Where things are on a board: no word of a slot and no byte of a filter belongs to two things."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shardstore.limits import BOARD_FILTERS, BOARD_SLOTS, MIB
from shardstore.wire.board_format import (
    ACTIVE,
    ANY_KEY,
    EPOCH,
    FILTER_BITS,
    FILTER_BYTES,
    FILTER_MASK,
    FIRST_FILTER,
    HEADER_WORDS,
    MANIFEST,
    MOVES_AT,
    NO_KEYS,
    SEALED,
    SEGMENT,
    SEQUENCE,
    SLOT_WORDS,
    STATE,
    WORD_BYTES,
    board_bytes,
    filters_at,
    header,
    slot_at,
)


def test_the_fields_of_a_slot_are_different_words_of_it() -> None:
    fields = {SEQUENCE, SEGMENT, EPOCH, STATE, MANIFEST, ACTIVE, SEALED}
    assert len(fields) == 7
    assert fields < set(range(SLOT_WORDS))


def test_the_header_ends_before_the_number_of_moves_and_the_first_slot() -> None:
    assert len(header(1, 2, 3)) == MOVES_AT < HEADER_WORDS == slot_at(0)


@pytest.mark.parametrize("slots", [1, 2, 100, BOARD_SLOTS])
def test_slots_follow_each_other_and_the_filters_come_next(slots: int) -> None:
    starts = [*map(slot_at, range(slots + 1))]
    assert {later - earlier for earlier, later in pairwise(starts)} == {SLOT_WORDS}
    assert filters_at(slots) == starts[-1] * WORD_BYTES
    assert board_bytes(slots, 3) == filters_at(slots) + 3 * FILTER_BYTES
    assert board_bytes(slots, 0) == filters_at(slots)


def test_every_word_is_where_a_processor_stores_it_at_once() -> None:
    assert filters_at(BOARD_SLOTS) % WORD_BYTES == 0
    assert SLOT_WORDS * WORD_BYTES == 64, "a slot is a cache line"


def test_a_filter_has_a_bit_for_each_value_under_the_mask() -> None:
    assert FILTER_BITS & FILTER_MASK == 0
    assert FILTER_MASK >> 3 == FILTER_BYTES - 1


def test_the_names_of_filters_are_not_those_of_no_key_and_any_key() -> None:
    assert len({NO_KEYS, ANY_KEY, *range(FIRST_FILTER, FIRST_FILTER + BOARD_FILTERS)}) == BOARD_FILTERS + 2


def test_a_zeroed_slot_is_that_of_no_segment_and_closed() -> None:
    """A board is empty memory with a header."""
    assert NO_KEYS == 0
    assert board_bytes(BOARD_SLOTS, BOARD_FILTERS) < 8 * MIB
