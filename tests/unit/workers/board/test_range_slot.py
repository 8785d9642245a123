"""The slot of a range: what a client would take from it after each step of the worker, and in the middle of steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables.digests import digest_of
from shardstore.wire.board_format import (
    ACTIVE,
    ANY_KEY,
    CLOSED,
    EPOCH,
    FILTER_BYTES,
    FILTER_MASK,
    FIRST_FILTER,
    MANIFEST,
    NO_KEYS,
    SEALED,
    SEGMENT,
    SEQUENCE,
    SERVING,
    SLOT_WORDS,
    STATE,
)
from shardstore.workers.board import range_slot
from shardstore.workers.board.filter_pool import FilterPool
from shardstore.workers.board.range_slot import FILTERED_KEYS_MAX, RangeSlot

AT = 8
FILTERS = 3
SEGMENT_ID = 42
MANY = [b"%d" % number for number in range(FILTERED_KEYS_MAX + 1)]
LARGE = [b"%d of many" % number for number in range(5_000)]


class Board:
    """Memory with one slot that is open for version 9 and epoch 5, with nothing in memory, and some filters."""

    def __init__(self, filters: int = FILTERS) -> None:
        self.words = memoryview(bytearray(8 * (AT + 2 * SLOT_WORDS))).cast("Q")
        self.memory = memoryview(bytearray(filters * FILTER_BYTES))
        self.filters = FilterPool(self.memory)
        self.slot = RangeSlot(self.words, AT, self.filters, SEGMENT_ID)
        self.slot.open(5, 9, has_active=False, has_runs=False)

    def field(self, field: int) -> int:
        return self.words[AT + field]

    def names(self, field: int, key: bytes) -> bool:
        """Whether a client takes the key for one in memory."""
        named = self.field(field)
        if named < FIRST_FILTER:
            return named == ANY_KEY
        bit = digest_of(key)[0] & FILTER_MASK
        return bool(self.memory[(named - FIRST_FILTER) * FILTER_BYTES + bit // 8] >> bit % 8 & 1)

    def shows(self, key: bytes) -> bool:
        return self.names(ACTIVE, key) or self.names(SEALED, key)

    @property
    def left(self) -> int:
        """How many filters are free."""
        return len(self.filters._free)


@pytest.fixture
def board() -> Board:
    return Board()


def changes(board: Board, step: Callable[[], object]) -> int:
    """By how much a step raises the sequence."""
    before = board.field(SEQUENCE)
    step()
    board.slot.check_invariants()
    return board.field(SEQUENCE) - before


# ---------------------------------------------------------------- open and closed


def test_a_slot_is_closed_until_it_is_opened() -> None:
    board = Board()
    slot = RangeSlot(board.words, AT + SLOT_WORDS, board.filters, 7)
    assert not slot.is_open
    assert board.words[AT + SLOT_WORDS + SEGMENT] == 7
    assert board.words[AT + SLOT_WORDS + STATE] == CLOSED
    slot.check_invariants()


def test_an_open_slot_names_epoch_version_and_that_no_key_is_in_memory(board: Board) -> None:
    assert board.slot.is_open
    fields = [board.field(field) for field in (SEGMENT, EPOCH, STATE, MANIFEST, ACTIVE, SEALED)]
    assert fields == [SEGMENT_ID, 5, SERVING, 9, NO_KEYS, NO_KEYS]


@pytest.mark.parametrize("has_active", [False, True])
@pytest.mark.parametrize("has_runs", [False, True])
def test_what_was_in_memory_before_may_be_any_key(board: Board, has_active: bool, has_runs: bool) -> None:
    board.slot.close()
    board.slot.open(5, 9, has_active, has_runs)
    assert (board.names(ACTIVE, b"x"), board.names(SEALED, b"x")) == (has_active, has_runs)


def test_a_slot_opens_with_the_bits_of_the_keys_in_memory(board: Board) -> None:
    board.slot.close()
    board.slot.open(5, 9, has_active=True, has_runs=False, active=LARGE)
    assert all(board.shows(key) for key in LARGE)
    assert not board.shows(b"x")
    board.slot.note([b"x"])
    assert board.shows(b"x")
    board.slot.check_invariants()


def test_a_slot_opens_without_bits_for_too_many_keys_or_without_a_free_filter(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_slot, "OPENED_KEYS_MAX", len(MANY) - 1)
    board.slot.close()
    board.slot.open(5, 9, has_active=True, has_runs=False, active=MANY)
    assert board.field(ACTIVE) == ANY_KEY
    assert board.left == FILTERS
    full = Board(filters=0)
    full.slot.close()
    full.slot.open(5, 9, has_active=True, has_runs=False, active=[b"a"])
    assert full.field(ACTIVE) == ANY_KEY


def test_a_closed_slot_takes_nothing(board: Board) -> None:
    board.slot.close()
    slot = board.slot
    steps: list[Callable[[], object]] = [
        slot.close,
        slot.seal,
        lambda: slot.note([b"a"]),
        lambda: slot.take_epoch(8),
        lambda: slot.take_version(8),
        lambda: slot.drop(has_active=False, has_runs=False),
    ]
    assert [changes(board, step) for step in steps] == [0] * len(steps)
    assert (board.field(STATE), board.left) == (CLOSED, FILTERS)


def test_closing_gives_both_filters_back_after_the_slot_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.slot.note([b"a"])
    board.slot.seal()
    board.slot.note([b"b"])
    assert board.left == FILTERS - 2
    states: list[int] = []
    give_back = board.filters.give_back
    monkeypatch.setattr(
        board.filters, "give_back", lambda number: (states.append(board.field(STATE)), give_back(number))
    )
    assert changes(board, board.slot.close) == 2
    assert (states, board.left) == ([CLOSED, CLOSED], FILTERS)


def test_a_slot_can_be_opened_again(board: Board) -> None:
    board.slot.note([b"a"])
    board.slot.close()
    board.slot.open(6, 10, has_active=True, has_runs=False)
    assert board.shows(b"any key")
    board.slot.note([b"b"])
    assert board.left == FILTERS, "it says any key already"


# ---------------------------------------------------------------- epoch and version


def test_a_new_epoch_and_a_new_version_are_told(board: Board) -> None:
    assert changes(board, lambda: board.slot.take_epoch(6)) == 2
    assert changes(board, lambda: board.slot.take_version(10)) == 2
    assert (board.field(EPOCH), board.field(MANIFEST)) == (6, 10)


# ---------------------------------------------------------------- writes


def test_a_noted_key_is_shown_and_others_are_not(board: Board) -> None:
    board.slot.note([b"a"])
    assert board.shows(b"a")
    assert not board.shows(b"b")
    assert board.left == FILTERS - 1


def test_only_the_first_write_changes_the_slot(board: Board) -> None:
    assert changes(board, lambda: board.slot.note([b"a"])) == 2
    assert changes(board, lambda: board.slot.note([b"b"])) == 0
    assert board.shows(b"a")
    assert board.shows(b"b")


def test_the_bits_are_set_before_anybody_else_can_act(board: Board) -> None:
    """The filter is named by the slot before bits are set in it, so that no bit is missed later."""
    board.slot.note([b"a"])
    assert board.field(ACTIVE) >= FIRST_FILTER
    board.slot.note([b"b", b"c"])
    assert all(map(board.shows, (b"a", b"b", b"c")))


def test_a_write_without_keys_is_not_noted(board: Board) -> None:
    assert changes(board, lambda: board.slot.note([])) == 0
    assert board.left == FILTERS


@pytest.mark.parametrize("before", [False, True])
def test_a_large_write_makes_any_key_one_in_memory(board: Board, before: bool) -> None:
    if before:
        board.slot.note([b"a"])
    board.slot.note(MANY)
    assert board.field(ACTIVE) == ANY_KEY
    assert board.left == FILTERS, "the filter is of no use any more"
    assert changes(board, lambda: board.slot.note([b"b"])) == 0


def test_a_large_write_sets_bits_while_clients_ask(board: Board) -> None:
    slot = board.slot
    slot.note([b"a"])
    slot.is_asked = True
    slot.note(LARGE)
    assert board.field(ACTIVE) >= FIRST_FILTER
    assert all(map(board.shows, [*LARGE, b"a"]))
    assert sum(map(int.bit_count, board.memory)) <= slot._bits_set <= len(LARGE) + 1
    slot.seal()
    slot.note(MANY)
    assert board.field(ACTIVE) >= FIRST_FILTER, "somebody asked in the layer before"
    slot.seal()
    slot.note(LARGE)
    assert board.field(ACTIVE) == ANY_KEY, "nobody has asked for a whole layer"
    slot.is_asked = True
    slot.note(LARGE)
    assert board.field(ACTIVE) == ANY_KEY, "until it is drained"


def test_more_keys_than_fit_a_filter_make_any_key_one_in_memory(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_slot, "BITS_SET_MAX", len(LARGE) + 10)
    board.slot.is_asked = True
    board.slot.note(LARGE)
    assert board.field(ACTIVE) >= FIRST_FILTER
    board.slot.note(MANY)
    assert board.field(ACTIVE) == ANY_KEY
    assert board.left == FILTERS


def test_a_write_of_as_many_keys_as_may_be_filtered_sets_bits(board: Board) -> None:
    board.slot.note(MANY[:FILTERED_KEYS_MAX])
    assert board.field(ACTIVE) >= FIRST_FILTER
    assert all(map(board.shows, MANY[:FILTERED_KEYS_MAX]))


def test_a_full_filter_makes_any_key_one_in_memory(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_slot, "BITS_SET_MAX", 3)
    board.slot.note([b"a", b"b"])
    board.slot.note([b"c"])
    assert board.field(ACTIVE) >= FIRST_FILTER
    board.slot.note([b"d"])
    assert board.field(ACTIVE) == ANY_KEY
    board.slot.seal()
    board.slot.drop(has_active=False, has_runs=False)
    board.slot.note([b"e"])
    assert board.field(ACTIVE) >= FIRST_FILTER, "the next layer counts its own keys"


def test_without_a_free_filter_any_key_may_be_in_memory() -> None:
    board = Board(filters=0)
    board.slot.note([b"a"])
    assert board.field(ACTIVE) == ANY_KEY


# ---------------------------------------------------------------- seals and drains


def test_a_seal_moves_the_filter_and_the_next_write_takes_another(board: Board) -> None:
    board.slot.note([b"a"])
    assert changes(board, board.slot.seal) == 2
    assert (board.field(ACTIVE), board.names(SEALED, b"a")) == (NO_KEYS, True)
    board.slot.note([b"b"])
    assert (board.names(ACTIVE, b"b"), board.names(SEALED, b"b"), board.names(ACTIVE, b"a")) == (True, False, False)


def test_a_seal_of_nothing_changes_nothing(board: Board) -> None:
    assert changes(board, board.slot.seal) == 0


def test_a_second_seal_joins_the_filters(board: Board) -> None:
    for key in (b"a", b"b"):
        board.slot.note([key])
        board.slot.seal()
    assert board.names(SEALED, b"a")
    assert board.names(SEALED, b"b")
    assert not board.names(SEALED, b"c")
    assert board.left == FILTERS - 1


@pytest.mark.parametrize("order", ["any key first", "any key last"])
def test_any_key_and_a_filter_together_are_any_key(board: Board, order: str) -> None:
    for large in (order == "any key first", order == "any key last"):
        board.slot.note(MANY if large else [b"a"])
        board.slot.seal()
    assert board.field(SEALED) == ANY_KEY
    assert board.left == FILTERS


def test_a_drain_of_all_runs_drops_only_their_filter(board: Board) -> None:
    board.slot.note([b"a"])
    board.slot.seal()
    board.slot.note([b"b"])
    assert changes(board, lambda: board.slot.drop(has_active=True, has_runs=False)) == 2
    assert (board.shows(b"a"), board.shows(b"b")) == (False, True)
    assert board.left == FILTERS - 1


def test_a_drain_of_some_runs_keeps_the_filter(board: Board) -> None:
    board.slot.note([b"a"])
    board.slot.seal()
    assert changes(board, lambda: board.slot.drop(has_active=False, has_runs=True)) == 0
    assert board.shows(b"a")


def test_a_run_that_was_set_aside_is_among_the_keys_since_the_latest_seal(board: Board) -> None:
    """The overlay may end a layer for a scan, without a seal. Its keys must be shown until that run is drained."""
    board.slot.note([b"set aside"])
    board.slot.drop(has_active=False, has_runs=True)
    assert board.shows(b"set aside")
    board.slot.drop(has_active=False, has_runs=False)
    assert not board.shows(b"set aside")
    assert board.left == FILTERS


def test_a_drain_of_everything_leaves_no_key(board: Board) -> None:
    board.slot.note(MANY)
    board.slot.seal()
    board.slot.drop(has_active=False, has_runs=False)
    assert (board.field(ACTIVE), board.field(SEALED)) == (NO_KEYS, NO_KEYS)


# ---------------------------------------------------------------- whatever happens

KEYS = st.sampled_from([b"%d" % number for number in range(40)])
STEPS = st.one_of(
    st.lists(KEYS, min_size=1, max_size=FILTERED_KEYS_MAX + 2),
    st.sampled_from(["seal", "drain", "set aside", "epoch", "version", "reopen", "ask"]),
)


@given(st.lists(STEPS, max_size=40), st.integers(0, 2))
def test_every_key_in_memory_is_shown_whatever_happens(steps: list[list[bytes] | str], filters: int) -> None:
    """The model: an active layer, and runs of which a drain takes the oldest."""
    board = Board(filters)
    active: set[bytes] = set()
    runs: list[set[bytes]] = []
    for step in steps:
        if isinstance(step, list):
            board.slot.note(step)
            active |= {*step}
        elif step == "seal":
            if active:
                runs.append(active)
                active = set()
            board.slot.seal()
        elif step == "set aside":
            if active:
                runs.append(active)
                active = set()
        elif step == "drain":
            del runs[:1]
            board.slot.drop(bool(active), bool(runs))
        elif step == "ask":
            board.slot.is_asked = True
        elif step == "reopen":
            board.slot.close()
            board.slot.open(5, 9, bool(active), bool(runs))
        else:
            getattr(board.slot, f"take_{step}")(7)
        board.slot.check_invariants()
        assert all(map(board.shows, active.union(*runs)))
        named = {board.field(field) for field in (ACTIVE, SEALED) if board.field(field) >= FIRST_FILTER}
        assert board.left == filters - len(named), "a filter is lost, or free while a slot names it"
        if not active and not runs and step == "drain":
            assert not board.shows(b"0")
            assert board.left == filters


class Watched:
    """Words that tell after each store what a client would see."""

    def __init__(self, words: memoryview, stored: Callable[[], None]) -> None:
        self._words = words
        self._stored = stored

    def __getitem__(self, at: int) -> int:
        return self._words[at]

    def __setitem__(self, at: int, value: int) -> None:
        self._words[at] = value
        self._stored()


@pytest.mark.parametrize("step", ["open", "close", "note", "seal", "drop", "take_epoch", "take_version"])
def test_a_client_that_looks_in_the_middle_of_a_change_finds_out(step: str) -> None:
    board = Board()
    if step == "open":
        board.slot.close()
    if step in ("seal", "drop"):
        board.slot.note([b"a"])
    arguments = {
        "open": (6, 10, True, True),
        "note": ([b"a"],),
        "drop": (False, False),
        "take_epoch": (6,),
        "take_version": (10,),
    }
    before = board.words[AT : AT + SLOT_WORDS].tolist()
    seen: list[list[int]] = []
    watched = Watched(board.words, lambda: seen.append(board.words[AT : AT + SLOT_WORDS].tolist()))
    board.slot._words = watched  # type: ignore[assignment]
    getattr(board.slot, step)(*arguments.get(step, ()))
    assert seen, "the step changes the slot"
    assert all(slot[SEQUENCE] & 1 for slot in seen[:-1]), "odd until the last word is stored"
    assert seen[-1][SEQUENCE] == before[SEQUENCE] + 2
    assert before[1:] == seen[0][1:], "the sequence is raised before anything else changes"


BREAKS: dict[str, Callable[[Board], object]] = {
    "in the middle of a change": lambda board: board.words.__setitem__(AT + SEQUENCE, board.field(SEQUENCE) + 1),
    "another state": lambda board: board.words.__setitem__(AT + STATE, CLOSED),
    "other filters": lambda board: board.words.__setitem__(AT + ACTIVE, ANY_KEY),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(board: Board, what: str) -> None:
    board.slot.check_invariants()
    BREAKS[what](board)
    with pytest.raises(AssertionError, match=what):
        board.slot.check_invariants()


def test_a_range_deletion_lets_clients_ask_for_every_key_until_its_drain(board: Board) -> None:
    board.slot.note([b"a"])
    assert not board.shows(b"deleted")
    assert changes(board, board.slot.note_clear) == 2
    assert board.shows(b"deleted")
    assert board.left == FILTERS
    assert changes(board, board.slot.note_clear) == 0
    board.slot.seal()
    assert board.shows(b"deleted")
    board.slot.drop(has_active=False, has_runs=False)
    assert not board.shows(b"deleted")
    board.slot.close()
    assert changes(board, board.slot.note_clear) == 0
